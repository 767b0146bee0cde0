// The calls of an episode: a chip each with its cost, and over them the units spent and the return; after the end one
// goes back in time with the slider, the chips or the keys.
import { svg } from "./board.js";
import { make, short } from "./elements.js";

const HIGH = 24;

export function nameOf(step) {
  const { date } = step.arguments;
  return `${short(step.tool)}${typeof date === "string" ? ` ${date.slice(5, 10)}` : ""}`;
}

export function spentAt(state, step) {
  return state.steps.slice(0, step).reduce((sum, item) => sum + item.cost, 0);
}

// The units spent as steps, the return as a line; one unit wide a call.
function curves(state, step) {
  const { steps, palette, budget } = state, number = Math.max(steps.length, 1);
  const drawn = svg("svg", { viewBox: `0 0 ${number} ${HIGH}`, preserveAspectRatio: "none", class: "curves", role: "img", "aria-label": "units spent, and the return, call by call" });
  let spent = 0;
  steps.forEach((item, place) => {
    spent += item.cost;
    const tall = (spent / Math.max(budget.all, 1)) * (HIGH - 2);
    drawn.append(svg("rect", { x: place + 0.08, y: HIGH - tall, width: 0.84, height: tall, fill: place < step ? palette.spend : palette.faint, opacity: 0.55 }));
  });
  const totals = [0, ...steps.map((item) => item.total)];
  const low = Math.min(-0.1, ...totals), high = Math.max(1, ...totals);
  const y = (total) => HIGH - 1 - ((total - low) / (high - low)) * (HIGH - 2);
  const points = totals.map((total, place) => `${place},${y(total)}`);
  drawn.append(svg("polyline", { points: points.join(" "), fill: "none", stroke: palette.ink, "stroke-width": 1.4, "vector-effect": "non-scaling-stroke" }));
  drawn.append(svg("line", { x1: step, x2: step, y1: 0, y2: HIGH, stroke: palette.wrong, "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" }));
  return drawn;
}

export class Timeline {
  // host: element to draw into; go: called with the number of a call, from 1; slim: without its own slider and curves.
  constructor(host, go, slim = false) {
    this.go = go; this.slim = slim; this.state = null;
    this.told = make("div", { class: "told" });
    this.drawn = make("div", { class: "scrub" });
    this.chips = make("div", { id: slim ? null : "chips", class: "chips", role: "group", "aria-label": "calls" });
    this.slider = make("input", { type: "range", min: 1, step: 1, "aria-label": "call", oninput: () => go(Number(this.slider.value)) });
    host.replaceChildren(this.told, this.drawn, this.chips);
  }

  draw(view, unlike = null) {
    const { state } = view, last = state.steps.length, now = view.step ?? last;
    const step = state.steps[now - 1];
    const past = now < last || state.agent ? `call ${now} of ${last} · ` : "";
    const soFar = `${past}return so far ${(step?.total ?? 0).toFixed(3)} · ${spentAt(state, now)} of ${state.budget.all} units spent`;
    this.told.textContent = soFar + (state.over && !this.slim ? " · blue: units spent, line: return; drag, click a call, or hold Shift with the arrow keys" : "");
    if (state.over && !this.slim && last) {
      this.slider.max = last; this.slider.value = now;
      this.slider.setAttribute("aria-valuetext", step ? `call ${now}, ${nameOf(step)}` : "before the first call");
      this.drawn.replaceChildren(curves(state, now), this.slider);
    } else if (!this.slim) this.drawn.replaceChildren();
    if (this.state !== state || this.unlike !== unlike) this.fill(state, unlike);
    [...this.chips.children].forEach((chip, place) => {
      chip.classList.toggle("now", place + 1 === now);
      chip.classList.toggle("later", place + 1 > now);
    });
    const chip = this.chips.children[now - 1];
    if (chip) this.chips.scrollLeft = chip.offsetLeft - this.chips.offsetLeft - (this.chips.clientWidth - chip.offsetWidth) / 2;
  }

  fill(state, unlike) {
    this.state = state; this.unlike = unlike;
    this.chips.replaceChildren(...state.steps.map((step, place) => make("button", {
      type: "button", class: `${step.ok ? "" : "bad"} ${unlike?.has(place + 1) ? "unlike" : ""}`,
      title: step.error ?? (unlike?.has(place + 1) ? "the other made another call here" : ""), onclick: () => this.go(place + 1),
    }, `${place + 1} ${step.ok ? "" : "✗ "}${unlike?.has(place + 1) ? "≠ " : ""}${nameOf(step)} `, make("span", { class: "units" }, `${step.cost}`))));
  }
}
