// Watch: the index of episodes, or one of them, played again and gone through call by call.
import { atEnd, byId, dayOf, make, shows, told } from "./elements.js";
import { drawBoard, drawNames } from "./board.js";
import { TABS, drawTab } from "./selection.js";
import { drawResult } from "./result.js";
import { Timeline, spentAt } from "./timeline.js";
import { Transcript } from "./transcript.js";
import { get, link, query, remember } from "./request.js";
import { classWords, showIndex } from "./index.js";

const view = { state: null, failure: null, day: 0, entity: 0, tab: "Day", step: null, blind: false, beside: true };
let timeline = null, words = null;

function go(step) {
  view.step = Math.max(1, Math.min(view.state.steps.length, step));
  const day = dayOf(view.state, view.state.steps[view.step - 1] ?? { arguments: {} });
  if (day >= 0) view.day = day;
  remember({ step: view.step });
  draw();
}

function select(day, entity) {
  view.day = Math.max(0, Math.min(view.state.dates.length - 1, day));
  view.entity = Math.max(0, Math.min(view.state.entities.length - 1, entity));
  draw();
}

function flip() {
  if (!view.state.truth) return;
  view.blind = !view.blind;
  remember({ truth: view.blind ? "off" : "" });
  draw();
}

// The class of the episode, where something failed.
function failed(failure) {
  if (!failure || failure[0] === "solved") return [];
  return [make("p", { id: "failure" }, make("b", {}, classWords(failure[0])), `: the episode ${failure[1]}`)];
}

function drawOutcome() {
  const { state } = view;
  if (!state.truth) byId("draft").replaceChildren(make("p", { class: "soft" }, byId("note").textContent || "This episode is still played; its truth is told when it has ended."));
  else if (told(view)) {
    const [heading, score, ...rows] = drawResult(view, select);
    byId("draft").replaceChildren(heading, score, ...failed(view.failure), ...rows);
  }
  else {
    const reported = state.draft.filter((row) => shows(view, row.k));
    byId("draft").replaceChildren(
      make("h2", {}, "Reported so far"),
      reported.length ? make("table", {}, ...reported.map((row) => make("tr", {}, make("td", {}, `${row.row.date.slice(5)} · ${row.family} · ${state.entities[row.e].short}`), make("td", { class: row.confirmed ? "right" : "wrong" }, row.confirmed ? "✓ confirmed" : "✗ not confirmed")))) : make("p", { class: "soft" }, "nothing yet"),
    );
  }
}

function draw() {
  const { state } = view;
  byId("truth").setAttribute("aria-pressed", String(told(view)));
  byId("truth").textContent = told(view) ? "Truth ●" : "Truth ○";
  byId("truth").disabled = !state.truth;
  byId("names").replaceChildren(drawNames(view));
  const scrolled = byId("cells").scrollLeft;
  byId("cells").replaceChildren(drawBoard(view, select, () => {}));
  byId("cells").scrollLeft = scrolled;
  const marks = told(view) ? "! cause not reported yet · the point: follows from a cause · e explained · ✓ right · ✗ wrong · " : "● reported · ";
  byId("legend").textContent = `${marks}colour: deviation from the median in detection thresholds, red below, blue above · grey: not looked at${atEnd(view) ? "" : " yet · italic rows: reported later"} · amber: flagged by a scan · t: truth`;
  byId("tabs").replaceChildren(...[...TABS, "Words"].map((name) => make("button", {
    type: "button", role: "tab", "aria-selected": String(name === view.tab), onclick: () => { view.tab = name; remember({ tab: name === "Day" ? "" : name }); draw(); },
  }, name === "Day" ? `${state.dates[view.day].slice(5)} ${state.weekdays[view.day].slice(0, 3)}` : name)));
  if (view.tab === "Words") {
    if (byId("view").firstChild !== words.host) byId("view").replaceChildren(words.host);
  } else byId("view").replaceChildren(...drawTab(view));
  drawOutcome();
  timeline.draw(view);
  if (view.tab === "Words") words.mark(view.step);
}

function drawHeader(opened) {
  const { state } = view;
  const seed = `seed ${opened.seed}${opened.trial ? ` trial ${opened.trial + 1}` : ""}`;
  byId("title").replaceChildren(make("b", {}, state.agent), ` · ${state.task} · ${seed} · ${state.grade ? `score ${state.grade.score.toFixed(3)} · ` : ""}${spentAt(state, state.steps.length)} of ${state.budget.all} units`);
  for (const name of ["before", "after"]) {
    const place = opened[name];
    if (place) byId(name).href = link("/watch", { run: opened.run, seed: place[0], trial: place[1] });
  }
  if (opened.alike.length > 1) {
    byId("compare").hidden = false;
    byId("compare").href = link("/compare", { run: opened.run, seed: opened.seed, trial: opened.trial });
    byId("compare").textContent = `compare (${opened.alike.length - 1})`;
  }
  for (const name of ["where", "truth", "timeline", "episode"]) byId(name).hidden = false;
  document.title = `${state.agent}, ${seed} · Metric tracker`;
  byId("note").textContent = opened.note;
}

// An episode that does not open: why, and where the others are.
function shut(why) {
  byId("index").hidden = false;
  byId("faults").replaceChildren(make("p", { role: "alert" }, why));
  byId("lines").replaceChildren(make("p", {}, make("a", { href: "/watch" }, "all episodes")));
}

async function showEpisode(wanted) {
  const opened = await get("episode", { run: wanted.run, seed: wanted.seed, trial: wanted.trial }, shut);
  if (!opened) return;
  const { state } = opened;
  state.seed = opened.seed;
  view.state = state;
  view.failure = opened.failure;
  view.blind = wanted.truth === "off";
  view.tab = [...TABS, "Words"].includes(wanted.tab) ? wanted.tab : opened.transcript && !wanted.tab ? "Words" : "Day";
  const last = state.steps.length, step = Number(wanted.step);
  view.step = Number.isInteger(step) && step >= 1 && step <= last ? step : last;
  const first = state.draft[0] ?? state.truth?.expected[0];
  const day = wanted.step ? dayOf(state, state.steps[view.step - 1] ?? { arguments: {} }) : -1;
  view.day = day >= 0 ? day : first?.d ?? 0;
  view.entity = first?.e ?? 0;
  timeline = new Timeline(byId("timeline"), go);
  words = new Transcript(state, opened.transcript, go);
  drawHeader(opened);
  draw();
  byId("cells").focus({ preventScroll: true });
}

byId("cells").addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.ctrlKey || event.metaKey || event.altKey || !view.state) return;
  if (moves[event.key]) {
    const [days, entities] = moves[event.key];
    if (event.shiftKey) { if (days) go(view.step + days); } else select(view.day + days, view.entity + entities);
  } else if (event.key === "t") flip();
  else return;
  event.preventDefault();
});
byId("truth").addEventListener("click", flip);

const wanted = query();
if (wanted.run && wanted.seed) await showEpisode(wanted);
else await showIndex();
document.body.dataset.ready = "yes";
