// Compare: two runs of one seed, a board and a timeline each, aligned by the number of the call; differences marked.
import { byId, dayOf, make, shows } from "./elements.js";
import { drawBoard, drawNames, svg } from "./board.js";
import { shownRow } from "./result.js";
import { Timeline, nameOf, sliderOf, spentAt } from "./timeline.js";
import { get, link, query, remember } from "./request.js";

const chosen = { step: 1, day: 0, entity: 0, blind: false };
const sides = [];
let last = 1, unlike = new Set();
const slider = sliderOf(go);
const line = make("div", { class: "told" }), scrub = make("div", { class: "scrub" });

const key = (row) => `${row.d},${row.e}`;
const callOf = (step) => (step ? `${step.tool} ${JSON.stringify(step.arguments)}` : "");
const alike = (k) => callOf(sides[0].state.steps[k - 1]) === callOf(sides[1].state.steps[k - 1]);

// The view of one side at the common call; one that has ended stays at its end.
const viewOf = (side) => ({ ...chosen, state: side.state, step: Math.min(chosen.step, side.state.steps.length), beside: true, seenOnly: true, size: "small" });
const seen = (side) => new Set(side.state.cells.filter((cell) => cell.k && cell.k <= chosen.step).map(key));

function go(step) {
  chosen.step = Math.max(1, Math.min(last, step));
  for (const side of sides) {
    const call = side.state.steps[chosen.step - 1], day = call ? dayOf(side.state, call) : -1;
    if (day >= 0) { chosen.day = day; break; }
  }
  remember({ step: chosen.step });
  draw();
}

function select(day, entity) {
  const { dates, entities } = sides[0].state;
  chosen.day = Math.max(0, Math.min(dates.length - 1, day));
  chosen.entity = Math.max(0, Math.min(entities.length - 1, entity));
  draw();
}

function flip() {
  chosen.blind = !chosen.blind;
  remember({ truth: chosen.blind ? "off" : "" });
  draw();
}

function board(side, other) {
  const view = { ...viewOf(side), unseen: new Set([...seen(side)].filter((cell) => !seen(other).has(cell))) };
  const { state } = side, call = state.steps[view.step - 1];
  side.head.replaceChildren(state.agent, make("span", {}, ` · ${state.grade && !chosen.blind ? `score ${state.grade.score.toFixed(3)} · ` : ""}call ${view.step} of ${state.steps.length} · ${spentAt(state, view.step)} units · return ${(call?.total ?? 0).toFixed(3)}${chosen.step > state.steps.length ? (state.over ? " · has ended" : " · still played") : ""}`));
  side.names.replaceChildren(drawNames(view));
  const scrolled = side.cells.scrollLeft;
  side.cells.replaceChildren(drawBoard(view, select, () => {}));
  side.cells.scrollLeft = scrolled;
  side.timeline.draw(view, unlike);
}

function markOf(side, row) {
  const { state } = side, view = viewOf(side);
  const found = state.draft.find((item) => key(item) === key(row) && shows(view, item.k));
  if (found) return chosen.blind || !found.was ? ["●", "right", `call ${found.k}`] : found.was.right ? ["✓", "right", `call ${found.k}`] : ["✗", "wrong", found.was.why];
  const expected = !chosen.blind && state.truth?.expected.some((item) => key(item) === key(row));
  return expected ? ["!", "missed", view.step < state.steps.length ? "not yet" : "missed"] : ["", "soft", "–"];
}

function table(head, rows) {
  return make("table", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text))), ...rows);
}

function differences() {
  const [one, two] = sides, names = [one.label, two.label];
  const first = [...unlike].sort((a, b) => a - b)[0];
  const both = (text, values, differ) => make("tr", {}, make("td", {}, text), ...values.map((value) => make("td", { class: differ ? "unlike" : "" }, value)));
  const told = sides.map(({ state }) => ({ state, step: Math.min(chosen.step, state.steps.length) }));
  const figures = [
    ["call", told.map(({ state }) => { const step = state.steps[chosen.step - 1]; return step ? `${nameOf(step)} ${step.cost}` : "–"; })],
    ["units", told.map(({ state, step }) => String(spentAt(state, step)))],
    ["return", told.map(({ state, step }) => (state.steps[step - 1]?.total ?? 0).toFixed(3))],
    ["cells seen", sides.map((side) => String(seen(side).size))],
  ];
  if (!chosen.blind && one.state.grade && two.state.grade) {
    for (const name of ["score", "recall", "precision"]) figures.push([`${name} at the end`, sides.map(({ state }) => state.grade[name].toFixed(3))]);
  }
  const rows = new Map();
  for (const { state } of sides) {
    for (const row of [...(chosen.blind ? [] : state.truth?.expected ?? []), ...state.draft]) if (!rows.has(key(row))) rows.set(key(row), row);
  }
  const lines = [...rows.values()].sort((a, b) => a.d - b.d || a.e - b.e).map((row) => {
    const marks = sides.map((side) => markOf(side, row));
    if (marks.every((mark) => mark[2] === "–")) return null;
    return make("tr", {}, make("td", {}, make("button", { type: "button", class: "plain", onclick: () => select(row.d, row.e) }, shownRow(one.state, row))),
      ...marks.map(([mark, kind, words]) => make("td", { class: `${kind} ${marks[0][0] === marks[1][0] ? "" : "unlike"}` }, `${mark} ${words}`)));
  }).filter(Boolean);
  const entity = one.state.entities[chosen.entity];
  const cell = sides.map(({ state }) => {
    const found = state.cells.find((item) => item.d === chosen.day && item.e === chosen.entity);
    return found?.k && found.k <= chosen.step ? `${found.r > 0 ? "+" : ""}${found.r.toFixed(2)}, call ${found.k}` : "not seen";
  });
  figures.push([`${one.state.dates[chosen.day].slice(5)} ${entity.short}`, cell]);
  byId("differences").replaceChildren(
    make("p", {}, first ? "the first call that differs: " : "all calls are the same", ...(first ? [make("button", { type: "button", id: "first-unlike", onclick: () => go(first) }, `call ${first}`)] : [])),
    make("h2", {}, `At call ${chosen.step}`),
    table(["figure", ...names], figures.map(([text, values]) => both(text, values, values[0] !== values[1]))),
    make("h2", {}, "Rows"),
    lines.length ? table(["row", ...names], lines) : make("p", { class: "soft" }, "none so far"),
  );
}

// The returns of both, one over the other; the call where they stand.
function drawLine() {
  const high = 24, { palette } = sides[0].state;
  const drawn = svg("svg", { viewBox: `0 0 ${last} ${high}`, preserveAspectRatio: "none", class: "curves", role: "img", "aria-label": "the returns of both, call by call" });
  const totals = sides.map(({ state }) => [0, ...state.steps.map((step) => step.total)]);
  const low = Math.min(-0.1, ...totals.flat()), top = Math.max(1, ...totals.flat());
  for (const step of unlike) drawn.append(svg("rect", { x: step - 1, y: 0, width: 1, height: high, fill: palette.faint, opacity: 0.6 }));
  totals.forEach((values, place) => drawn.append(svg("polyline", {
    points: values.map((value, step) => `${step},${high - 1 - ((value - low) / (top - low)) * (high - 2)}`).join(" "),
    fill: "none", stroke: place ? palette.spend : palette.ink, "stroke-width": 1.6, "stroke-dasharray": place ? "5 3" : null, "vector-effect": "non-scaling-stroke",
  })));
  drawn.append(svg("line", { x1: chosen.step, x2: chosen.step, y1: 0, y2: high, stroke: palette.wrong, "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" }));
  line.textContent = `call ${chosen.step} of ${last} · returns: line ${sides[0].label}, dashed ${sides[1].label} · grey: other calls, ${unlike.size} of ${last} · drag, or hold Shift with the arrow keys`;
  slider.max = last; slider.value = chosen.step;
  if (scrub.contains(slider)) scrub.firstChild.replaceWith(drawn);
  else scrub.replaceChildren(drawn, slider);
}

function draw() {
  board(sides[0], sides[1]);
  board(sides[1], sides[0]);
  differences();
  drawLine();
  byId("truth").setAttribute("aria-pressed", String(!chosen.blind));
  byId("truth").textContent = chosen.blind ? "Truth ○" : "Truth ●";
  byId("legend").textContent = "≠ and blue bars: another call or another row · blue frame: only this one has looked there · grey: not looked at · ● reported · ✓ right · ✗ wrong · ! cause not reported · e explained · t: truth";
}

function keys(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (moves[event.key]) {
    const [days, entities] = moves[event.key];
    if (event.shiftKey) { if (days) go(chosen.step + days); } else select(chosen.day + days, chosen.entity + entities);
  } else if (event.key === "t") flip();
  else return;
  event.preventDefault();
}

function sideOf(opened, number) {
  const side = { state: opened.state, label: number && opened.state.agent === sides[0].state.agent ? `${opened.state.agent} (2)` : opened.state.agent };
  side.head = make("h2", {});
  side.names = make("div", { class: "names" });
  side.cells = make("div", { class: "cells", tabindex: 0, role: "application", "aria-label": `board of ${side.label}; arrow keys move, Shift and left or right go through the calls, t shows and hides the truth`, onkeydown: keys });
  const chips = make("div", {});
  side.timeline = new Timeline(chips, go, true);
  side.host = make("div", { class: "side" }, side.head, make("div", { class: "pair" }, side.names, side.cells), chips);
  return side;
}

function choices(input, opened, own, change) {
  input.replaceChildren(...opened.alike.map((item) => {
    const value = `${item.run} ${item.trial}`;
    const twice = opened.alike.some((each) => each.agent === item.agent && each.run !== item.run);
    const trial = opened.alike.filter((each) => each.run === item.run).length > 1 ? ` trial ${item.trial + 1}` : "";
    return make("option", { value, selected: value === own }, `${item.score === null ? "–" : item.score.toFixed(2)} ${twice ? item.run : item.agent}${trial}`);
  }));
  input.addEventListener("change", () => { const [run, trial] = input.value.split(" "); location.assign(change(run, trial)); });
}

// What is asked for; where nothing is, the first seed that two have played.
async function place() {
  const wanted = query();
  if (wanted.run && wanted.seed) return wanted;
  const told = await get("index", { limit: 1000 });
  const found = told?.lines.find((item) => item.alike > 1);
  if (told && !found) say("no seed was played twice; name two runs of one task to the command");
  return found ? { ...wanted, run: found.run, seed: String(found.seed), trial: String(found.trial) } : null;
}

// Why there is nothing to compare.
function say(why) {
  byId("left").replaceChildren(make("p", { role: "alert", class: "missed" }, why), make("p", {}, make("a", { href: "/watch" }, "all episodes")));
}

async function start() {
  const wanted = await place();
  const one = wanted && await get("episode", { run: wanted.run, seed: wanted.seed, trial: wanted.trial }, say);
  if (!one) return;
  const rest = one.alike.filter((item) => item.run !== one.run || item.trial !== one.trial);
  const other = wanted.other ? { run: wanted.other, trial: Number(wanted.other_trial ?? 0) } : rest.find((item) => item.run !== one.run) ?? rest[0];
  if (!other) { say("nobody else has played this seed"); return; }
  const two = await get("episode", { run: other.run, seed: one.seed, trial: other.trial }, say);
  if (!two) return;
  sides.push(sideOf(one, 0));
  sides.push(sideOf(two, 1));
  last = Math.max(1, ...sides.map(({ state }) => state.steps.length));
  unlike = new Set(Array.from({ length: last }, (_, place_) => place_ + 1).filter((k) => !alike(k)));
  const step = Number(wanted.step);
  chosen.step = Number.isInteger(step) && step >= 1 && step <= last ? step : last;
  chosen.blind = wanted.truth === "off";
  const row = sides[0].state.truth?.expected[0] ?? sides[0].state.draft[0];
  chosen.day = row?.d ?? 0; chosen.entity = row?.e ?? 0;
  const address = (run, trial, otherRun, otherTrial) => link("/compare", { run, trial: Number(trial), other: otherRun, other_trial: Number(otherTrial), seed: one.seed });
  choices(byId("first"), one, `${one.run} ${one.trial}`, (run, trial) => address(run, trial, two.run, two.trial));
  choices(byId("second"), one, `${two.run} ${two.trial}`, (run, trial) => address(one.run, one.trial, run, trial));
  for (const name of ["before", "after"]) {
    if (one[name]) byId(name).href = link("/compare", { run: one.run, trial: one[name][1], other: two.run, other_trial: two.trial, seed: one[name][0] });
  }
  byId("title").replaceChildren(make("b", {}, `seed ${one.seed}`), ` · ${one.state.task}`);
  byId("note").textContent = [one.note, two.note].filter(Boolean).join(" ");
  byId("truth").hidden = false;
  byId("truth").addEventListener("click", flip);
  byId("left").replaceChildren(...sides.map((side) => side.host));
  byId("timeline").replaceChildren(line, scrub);
  document.title = `${sides[0].label} and ${sides[1].label}, seed ${one.seed} · Metric tracker`;
  remember({ run: one.run, trial: one.trial || "", other: two.run, other_trial: two.trial || "", seed: one.seed });
  draw();
  sides[0].cells.focus({ preventScroll: true });
}

await start();
document.body.dataset.ready = "yes";
