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

// The units spent as one shape, the return as a line; one unit wide a call. What comes later is paled, and the line of
// the present moves.
class Curves {
  constructor({ steps, palette, budget }) {
    const number = Math.max(steps.length, 1);
    this.number = number;
    let spent = 0, shape = `M0 ${HIGH}`;
    steps.forEach((item, place) => {
      spent += item.cost;
      shape += `L${place} ${HIGH - (spent / Math.max(budget.all, 1)) * (HIGH - 2)}H${place + 1}`;
    });
    const totals = [0, ...steps.map((item) => item.total)];
    const low = Math.min(-0.1, ...totals), high = Math.max(1, ...totals);
    const points = totals.map((total, place) => `${place},${HIGH - 1 - ((total - low) / (high - low)) * (HIGH - 2)}`);
    this.later = svg("rect", { y: 0, height: HIGH, fill: palette.empty, opacity: 0.7 });
    this.now = svg("line", { y1: 0, y2: HIGH, stroke: palette.wrong, "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" });
    this.host = svg("svg", { viewBox: `0 0 ${number} ${HIGH}`, preserveAspectRatio: "none", class: "curves", role: "img", "aria-label": "units spent, and the return, call by call" },
      svg("path", { d: `${shape}V${HIGH}Z`, fill: palette.spend, opacity: 0.5 }), this.later,
      svg("polyline", { points: points.join(" "), fill: "none", stroke: palette.ink, "stroke-width": 1.4, "vector-effect": "non-scaling-stroke" }), this.now);
  }

  move(step) {
    this.later.setAttribute("x", step);
    this.later.setAttribute("width", this.number - step);
    this.now.setAttribute("x1", step);
    this.now.setAttribute("x2", step);
  }
}

// A slider over calls: however fast it is dragged, what is drawn is drawn once a frame.
export function sliderOf(go) {
  let waiting = false;
  const slider = make("input", {
    type: "range", min: 1, step: 1, "aria-label": "call", oninput: () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; go(Number(slider.value)); });
    },
  });
  return slider;
}

export class Timeline {
  // host: element to draw into; go: called with the number of a call, from 1; slim: without its own slider and curves.
  constructor(host, go, slim = false) {
    this.go = go; this.slim = slim; this.state = null;
    this.told = make("div", { class: "told" });
    this.drawn = make("div", { class: "scrub" });
    this.chips = make("div", { id: slim ? null : "chips", class: "chips", role: "group", "aria-label": "calls" });
    this.slider = sliderOf(go);
    host.replaceChildren(this.told, this.drawn, this.chips);
  }

  draw(view, unlike = null) {
    const { state } = view, back = !this.slim && (state.over || Boolean(state.agent)), last = state.steps.length, now = view.step ?? last;
    const step = state.steps[now - 1];
    const past = now < last || state.agent ? `call ${now} of ${last} · ` : "";
    const soFar = `${past}return so far ${(step?.total ?? 0).toFixed(3)} · ${spentAt(state, now)} of ${state.budget.all} units spent`;
    this.told.textContent = soFar + (back ? " · blue: units spent, line: return; drag, click a call, or hold Shift with the arrow keys" : "");
    if (back && last) {
      this.slider.max = last; this.slider.value = now;
      this.slider.setAttribute("aria-valuetext", step ? `call ${now}, ${nameOf(step)}` : "before the first call");
      if (this.curves?.of !== state) {
        this.curves = Object.assign(new Curves(state), { of: state });
        this.drawn.replaceChildren(this.curves.host, this.slider);
      }
      this.curves.move(now);
    } else if (!this.slim) { this.drawn.replaceChildren(); this.curves = null; }
    if (this.state !== state || this.unlike !== unlike) this.fill(state, unlike);
    const { children } = this.chips;
    children[this.at - 1]?.classList.remove("now");
    children[now - 1]?.classList.add("now");
    for (let k = Math.min(this.at, now); k <= Math.max(this.at, now); k += 1) children[k - 1]?.classList.toggle("later", k > now);
    this.at = now;
    const chip = this.chips.children[now - 1];
    if (chip) this.chips.scrollLeft = chip.offsetLeft - this.chips.offsetLeft - (this.chips.clientWidth - chip.offsetWidth) / 2;
  }

  fill(state, unlike) {
    this.state = state; this.unlike = unlike; this.at = state.steps.length;
    this.chips.replaceChildren(...state.steps.map((step, place) => make("button", {
      type: "button", class: `${step.ok ? "" : "bad"} ${unlike?.has(place + 1) ? "unlike" : ""}`,
      title: step.error ?? (unlike?.has(place + 1) ? "the other made another call here" : ""), onclick: () => this.go(place + 1),
    }, `${place + 1} ${step.ok ? "" : "✗ "}${unlike?.has(place + 1) ? "≠ " : ""}${nameOf(step)} `, make("span", { class: "units" }, `${step.cost}`))));
  }
}
