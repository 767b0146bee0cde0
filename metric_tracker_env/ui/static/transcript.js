// The words of an episode: what a model said, its calls word for word, what was answered; drawn once and then marked.
import { make, short } from "./elements.js";

const LONG = 400;
const units = (number) => `${number} ${number === 1 ? "unit" : "units"}`;

function folded(text, what) {
  if (text.length <= LONG) return make("p", {}, text);
  return make("details", {}, make("summary", {}, `${what} · ${text.length.toLocaleString("en")} characters · ${text.slice(0, 160)}`), make("p", {}, text));
}

function message(said, go, steps) {
  const drawn = make("div", { class: `said ${said.role}`, "data-step": said.step });
  const who = { user: "told", assistant: "model", tool: `answer to call ${said.step}`, end: "end" }[said.role] ?? said.role;
  const cost = said.role === "tool" && steps[said.step - 1] ? ` · ${units(steps[said.step - 1].cost)}${steps[said.step - 1].ok ? "" : " · refused"}` : "";
  drawn.append(make("div", { class: "who" }, who + cost));
  if (said.thought) drawn.append(folded(said.thought, "thought"));
  if (said.text) drawn.append(said.role === "assistant" ? make("p", {}, said.text) : folded(said.text, said.role === "user" ? "brief" : "answer"));
  said.calls.forEach(([tool, given], place) => {
    const number = said.step + place;
    drawn.append(make("button", { type: "button", class: "call", title: `go to call ${number}`, onclick: () => go(number) }, `${number} ${tool}(${given})`));
  });
  return drawn;
}

// A player without words: its calls, and what the same call is answered in words.
function call(step, number, go) {
  const drawn = make("div", { class: "said tool", "data-step": number });
  drawn.append(make("div", { class: "who" }, `call ${number} · ${units(step.cost)} · return ${step.total.toFixed(3)}${step.ok ? "" : ` · ${step.error}`}`));
  drawn.append(make("button", { type: "button", class: "call", title: `go to call ${number}`, onclick: () => go(number) }, `${short(step.tool)} ${JSON.stringify(step.arguments)}`));
  if (step.result) drawn.append(folded(JSON.stringify(step.result), "what this call is answered in words"));
  return drawn;
}

export class Transcript {
  constructor(state, said, go) {
    const list = said ? said.map((item) => message(item, go, state.steps)) : state.steps.map((step, place) => call(step, place + 1, go));
    this.host = make("div", { class: "transcript" }, ...list);
    this.at = state.steps.length;
    this.of = new Map();  // what was said by each call
    for (const drawn of list) this.of.set(Number(drawn.dataset.step), [...this.of.get(Number(drawn.dataset.step)) ?? [], drawn]);
  }

  // Mark what was said by a call, and scroll to it.
  mark(step) {
    for (const drawn of this.of.get(this.at) ?? []) drawn.classList.remove("now");
    for (let k = Math.min(this.at, step); k <= Math.max(this.at, step); k += 1) {
      for (const drawn of this.of.get(k) ?? []) drawn.classList.toggle("later", k > step);
    }
    const found = this.of.get(step) ?? [];
    for (const drawn of found) drawn.classList.add("now");
    this.at = step;
    if (found.length) this.reach(found[0], 4);
  }

  // Where the others stand is an estimate until they have been drawn, so that one looks again.
  reach(found, times) {
    const shelf = this.host.parentElement;
    if (!shelf || shelf.scrollHeight <= shelf.clientHeight) return;
    const above = found.getBoundingClientRect().top - shelf.getBoundingClientRect().top;
    if (above < 0 || above > shelf.clientHeight - 90) shelf.scrollTop += above - 40;
    if (times) requestAnimationFrame(() => this.reach(found, times - 1));
  }
}
