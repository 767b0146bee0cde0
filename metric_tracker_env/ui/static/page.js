// The page: asks the server for the state, draws it, and sends what the visitor does.
import { byId, dayOf, make, short } from "./elements.js";
import { drawBoard, drawNames } from "./board.js";
import { TABS, drawTab } from "./selection.js";
import { drawResult } from "./result.js";
import { Timeline } from "./timeline.js";

const view = { state: null, day: 5, entity: 0, tab: "Day", step: null, blind: false };
const scored = () => view.state.left !== null; // episodes that count: the server chooses them
let options = null; // the form of an episode's options; a replay has none, nor have scored episodes

function say(text) {
  byId("status").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { byId("status").textContent = ""; }, 5000);
}

// One request after the other, so that none is lost and each sees what the one before it did.
let waiting = Promise.resolve(true);
function ask(route, body) {
  waiting = waiting.then(() => send(route, body));
  return waiting;
}

async function send(route, body) {
  try {
    const sent = body === undefined ? {} : {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    };
    const answer = await fetch(`/api/${route}`, sent);
    const told = await answer.json();
    if (!answer.ok) {
      if (route === "begin" && options?.tell(told.faults ?? [])) say("not begun: the options say what is wrong");
      else say(typeof told.error === "string" ? told.error : told.error?.message ?? "the server refused this");
      return false;
    }
    view.state = told;
    view.step = null;
    if (!told.over) view.blind = false;
    draw();
    return true;
  } catch {
    say("the server does not answer; is it still running?");
    return false;
  }
}

function address() {
  const place = new URL(location.href);
  place.searchParams.set("task", view.state.task);
  place.searchParams.set("seed", view.state.seed);
  options.toAddress(place.searchParams, view.state.options);
  history.replaceState(null, "", place);
}

async function call(tool, given) {
  if (await ask("call", { tool, arguments: given })) {
    const last = view.state.steps.at(-1);
    if (last && !last.ok) say(last.error);
    const date = given.date;
    if (date) view.day = view.state.dates.indexOf(date);
    if (tool === "hourly_rows_for_date") view.tab = "Hours";
    draw();
  }
}

const cellAt = (day, entity) => view.state.cells.find((cell) => cell.d === day && cell.e === entity);
const inDraft = (day, entity) => view.state.draft.some((row) => row.d === day && row.e === entity);

async function report() {
  const { day, entity } = view;
  if (!view.state.over) await ask("draft", { day, entity, report: !inDraft(day, entity) });
}

// Of scored episodes the next: which one that is, nobody chooses.
async function beginNext() {
  const { state } = view;
  if (!state.left) { say("all episodes have been begun"); return; }
  if (!state.over && !confirm("Leave this episode? It counts 0 then.")) return;
  await ask("begin", {});
}

async function begin(seed, task = byId("task").value, chosen = options.read()) {
  const number = Number(seed);
  if (!Number.isSafeInteger(number) || number < 0) { say(`seed ${seed} is not a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`); return; }
  if (!await ask("begin", { task, seed: number, options: chosen })) return;
  options.tell([]);
  options.show(false);
  await options.load(view.state.task, view.state.options, say);
  address();
}

function button(text, units, act, attributes = {}) {
  const label = units === null ? [text] : [`${text} `, make("span", { class: "units" }, `${units}`)];
  const title = units === null ? null : `costs ${units} ${units === 1 ? "unit" : "units"}`;
  return make("button", { type: "button", title, onclick: act, ...attributes }, ...label);
}

function drawHeader() {
  const { state } = view;
  const task = byId("task");
  if (!task.options.length) for (const name of state.tasks) task.append(make("option", {}, name));
  task.value = state.task;
  byId("seed").value = state.seed ?? (scored() ? "scored" : "");
  byId("budget").textContent = `${state.budget.left} of ${state.budget.all}`;
  byId("calls").textContent = `${state.calls.left} of ${state.calls.all}`;
  byId("truth").setAttribute("aria-pressed", String(Boolean(state.truth) && !view.blind));
  byId("truth").textContent = state.truth && !view.blind ? "Truth ●" : "Truth ○";
  byId("truth").disabled = (Boolean(state.truth) || scored()) && !state.over;
}

function drawActions() {
  const { state, day, entity } = view;
  const scans = byId("scans"), actions = byId("actions");
  scans.replaceChildren(); actions.replaceChildren();
  byId("more")?.toggleAttribute("hidden", state.over);
  if (state.over) {
    if (!state.agent) scans.append(make("span", { class: "soft" }, "Over: the board shows all that was there."));
    return;
  }
  for (const tool of state.tools) {
    const free = { disabled: tool.units > state.budget.left };
    if (tool.where === "all") scans.append(button(short(tool.name), tool.units, () => call(tool.name, {}), free));
    if (tool.where === "date") {
      actions.append(button(short(tool.name), tool.units, () => call(tool.name, { date: state.dates[day] }), free));
    }
  }
  const shown = cellAt(day, entity);
  const word = inDraft(day, entity) ? "take out" : "report";
  actions.append(button(`${word} ${state.entities[entity].short}`, null, report, { disabled: !shown, id: "report" }));
}

// Why the episode does not count, where it does not.
function uncounted({ counted, options: { anomaly_generators: chosen } }) {
  return counted ? [] : [make("p", { id: "counted", class: "missed" }, `does not count: ${chosen?.length ? "anomalies chosen" : "truth shown"}`)];
}

// What comes after an episode.
function further({ seed, left }) {
  if (left === 0) return make("p", { id: "played" }, "That was the last episode. The command line ranks you: compare --agents, with the folder of the books.");
  const [label, act] = left === null ? ["Next seed", () => begin(seed + 1)] : [`Next episode: ${left} left`, beginNext];
  return make("button", { type: "button", class: "go", onclick: act }, label);
}

function drawDraft() {
  const { state } = view;
  const panel = byId("draft");
  if (!state.over) {
    const number = state.draft.length;
    const rows = state.draft.map((row) => {
      const entity = state.entities[row.e];
      const drop = make("button", {
        type: "button", "aria-label": `take out ${row.row.date} ${entity.short}`,
        onclick: () => ask("draft", { day: row.d, entity: row.e, report: false }),
      }, "✕");
      const mark = row.confirmed ? `✓ confirmed ${row.r}` : "✗ not confirmed";
      return make("tr", {}, make("td", {}, `${row.row.date.slice(5)} · ${row.family} · ${entity.short}`), make("td", { class: `mark ${row.confirmed ? "right" : "wrong"}` }, mark), make("td", {}, drop));
    });
    panel.replaceChildren(
      make("h2", {}, "Draft ", make("span", { class: "soft" }, number ? `${number} ${number === 1 ? "row" : "rows"}` : "select a shown cell and report it")),
      ...uncounted(state), make("table", {}, ...rows),
      make("button", { type: "button", class: "go", id: "submit", onclick: () => ask("submit", {}) }, number ? `Submit ${number} ${number === 1 ? "row" : "rows"}` : "Submit nothing: all is well"),
    );
    return;
  }
  panel.replaceChildren(...drawResult(view), ...uncounted(state), byId("replay") ? "" : further(state));
}

const timeline = new Timeline(byId("timeline"), go);

function go(step) {
  view.step = step;
  const day = dayOf(view.state, view.state.steps[step - 1]);
  if (day >= 0) view.day = day;
  draw();
}

function drawForm() {
  const { state } = view;
  const form = byId("form"), date = state.dates[view.day];
  if (form.dataset.task === `${state.task}`) { // the date follows the selection
    if (form.dataset.date !== date && byId("of-date")) byId("of-date").value = date;
    form.dataset.date = date;
    return;
  }
  form.dataset.task = state.task;
  const chosen = make("select", { "aria-label": "tool" }, ...state.tools.map((tool) => make("option", { value: tool.name }, `${tool.name} (${tool.price})`)));
  const fields = make("div", {}), about = make("p", { class: "soft" });
  const inputs = new Map();
  const change = () => {
    const tool = state.tools.find((item) => item.name === chosen.value);
    about.textContent = tool.about;
    inputs.clear();
    fields.replaceChildren(...Object.entries(tool.parameters.properties).map(([name, schema]) => {
      const choices = schema.enum ?? schema.anyOf?.find((part) => part.enum)?.enum;
      const needed = tool.parameters.required.includes(name);
      const dates = name === "date" ? view.state.dates : null;
      const input = choices || dates
        ? make("select", {}, ...(needed ? [] : [make("option", { value: "" }, "any")]), ...(choices ?? dates).map((value) => make("option", {}, String(value))))
        : make("input", { placeholder: schema.default === undefined ? "" : JSON.stringify(schema.default) });
      if (dates) { input.value = dates[view.day]; input.id = "of-date"; }
      inputs.set(name, input);
      return make("label", { title: schema.description ?? "" }, name, input);
    }));
  };
  const send = () => {
    const given = {};
    for (const [name, input] of inputs) {
      if (input.value === "") continue;
      try { given[name] = input.tagName === "SELECT" ? input.value : JSON.parse(input.value); } catch { given[name] = input.value; }
    }
    view.tab = "Answer";
    call(chosen.value, given);
  };
  chosen.addEventListener("change", change);
  form.replaceChildren(chosen, about, fields, button("call", null, send));
  change();
}

export function select(day, entity) {
  view.day = Math.max(0, Math.min(view.state.dates.length - 1, day));
  view.entity = Math.max(0, Math.min(view.state.entities.length - 1, entity));
  draw();
}

function draw() {
  const { state } = view;
  if (!state) return;
  const held = document.activeElement;
  view.day = Math.min(view.day, state.dates.length - 1);
  view.entity = Math.min(view.entity, state.entities.length - 1);
  drawHeader();
  drawActions();
  byId("names").replaceChildren(drawNames(view));
  const scrolled = byId("cells").scrollLeft;
  byId("cells").replaceChildren(drawBoard(view, select, (day) => call("rows_for_date", { date: state.dates[day] })));
  byId("cells").scrollLeft = scrolled;
  const marks = state.truth ? "! cause that was not reported · the point: follows from a cause · e explained · ✓ right · ✗ wrong · " : "";
  byId("legend").textContent = marks + "colour: deviation from the median in detection thresholds, red below, blue above · grey: not looked at · amber: flagged by a scan · violet: announced · click selects, double click or o opens the date, arrows move, h hours, f funnel, i impossible counts, r reports";
  byId("tabs").replaceChildren(...TABS.map((name) => make("button", {
    type: "button", role: "tab", "aria-selected": String(name === view.tab), onclick: () => { view.tab = name; draw(); },
  }, name === "Day" ? `${state.dates[view.day].slice(5)}, ${state.weekdays[view.day]}` : name)));
  byId("view").replaceChildren(...drawTab(view));
  drawDraft();
  timeline.draw(view);
  if (byId("form")) drawForm();
  if (held && !held.isConnected) byId("cells").focus({ preventScroll: true }); // a button that was drawn anew: keys go on
}

function scrub(by) {
  const last = view.state.steps.length;
  if (last) go(Math.max(1, Math.min(last, (view.step ?? last) + by)));
}

const KEYS = { o: "rows_for_date", h: "hourly_rows_for_date", f: "detect_funnel_break", i: "check_impossible_counts" };
byId("cells").addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (moves[event.key]) {
    const [days, entities] = moves[event.key];
    if (event.shiftKey && view.state.over) scrub(days);
    else select(view.day + days, view.entity + entities);
  } else if (KEYS[event.key] && !view.state.over) call(KEYS[event.key], { date: view.state.dates[view.day] });
  else if (event.key === "s" && !view.state.over) call("list_suspicious_dates", {});
  else if (event.key === "r") report();
  else return;
  event.preventDefault();
});
byId("task").addEventListener("change", () => {
  const { [options.name]: _, ...chosen } = options.read(); // names and dates of another funnel are none of this one
  options.load(byId("task").value, chosen, say);
});
byId("begin").addEventListener("click", () => scored() ? beginNext() : begin(byId("seed").value));
byId("seed").addEventListener("keydown", (event) => { if (event.key === "Enter") begin(byId("seed").value); });
byId("previous").addEventListener("click", () => begin(Math.max(0, view.state.seed - 1)));
byId("next").addEventListener("click", () => begin(view.state.seed + 1));
byId("truth").addEventListener("click", () => {
  if (view.state.over) { view.blind = !view.blind; draw(); return; }
  if (confirm("Show the truth? The episode does not count then.")) ask("truth", {});
});

function showReplay(state) {
  document.body.classList.add("replay");
  for (const id of ["previous", "next", "begin", "options", "choices"]) byId(id).remove();
  for (const id of ["task", "seed", "difficulty"]) byId(id).disabled = true;
  byId("more").remove();
  view.state = state;
  view.day = state.draft[0]?.d ?? state.truth.expected[0]?.d ?? 0;
  view.entity = state.draft[0]?.e ?? 0;
  draw();
  document.body.dataset.ready = "yes";
}

function ready() {
  byId("cells").focus({ preventScroll: true });
  document.body.dataset.ready = "yes";
}

// The server chooses the episodes, so that nothing of them can be chosen here.
function showScored() {
  for (const id of ["previous", "next", "options", "choices"]) byId(id).remove();
  for (const id of ["task", "seed"]) byId(id).disabled = true;
  byId("difficulty").closest("label").remove();
  byId("begin").textContent = "Next episode";
  ready();
}

async function enter() {
  const replay = byId("replay");
  if (replay) { showReplay(JSON.parse(replay.textContent)); return; }
  const { Options } = await import("./options.js");
  options = new Options(byId("choices"), byId("options"));
  if (!await ask("state")) return;
  if (scored()) { showScored(); return; }
  const { state } = view, wanted = new URL(location.href).searchParams;
  if (!await options.load(state.task, state.options, say)) return;
  const task = wanted.get("task") ?? state.task, seed = wanted.get("seed") ?? String(state.seed), chosen = options.fromAddress(wanted);
  const other = task !== state.task || Number(seed) !== state.seed || JSON.stringify(chosen) !== JSON.stringify(state.options);
  if (other && (wanted.has("task") || wanted.has("seed")) && await options.load(task, chosen, say)) await begin(seed, task, chosen);
  address();
  ready();
}
enter();
