// The index of Watch: a line an episode, filtered by the server, more of them as one scrolls.
import { byId, make } from "./elements.js";
import { get, link, query, remember } from "./request.js";
import { svg } from "./board.js";

const PART = 200;
const FIELDS = ["agent", "task", "seed", "fate", "failure", "family", "entity", "order"];
const COUNTED = ["fate", "failure", "family", "entity"];
const FATES = { missed: "missed a row", extra: "reported an extra row", flawless: "flawless", refused: "a call was refused", unfinished: "not submitted" };
const ORDERS = { seed: "by seed, repeats together", worst: "worst score first", best: "best score first", dearest: "dearest first" };
let loaded = 0, total = 0, asked = 0, last = null, classes = {};

function choice(name, label, options, chosen) {
  const input = make("select", { id: `by-${name}`, name, onchange: again }, ...options.map(([value, text, title]) => make("option", { value, selected: value === chosen, title: title ?? null, "data-text": text }, text)));
  return make("label", {}, label, input);
}

// Behind each value of a filter how many episodes it would leave; how many the chosen one leaves stands above the list.
function tellCounts(counts) {
  for (const name of COUNTED) {
    for (const option of byId(`by-${name}`).options) {
      if (!option.value) continue;
      const number = counts[name][option.value] ?? 0;
      option.textContent = option.selected ? option.dataset.text : `${option.dataset.text} · ${number.toLocaleString("en")}`;
      option.disabled = !number && !option.selected;
    }
  }
}

const bar = (score) => {
  const drawn = svg("svg", { width: 40, height: 8, class: "bar", "aria-hidden": "true" });
  drawn.append(svg("rect", { width: 40, height: 8, fill: "#eceef1" }), svg("rect", { width: 40 * score, height: 8, fill: "#2f6096" }));
  return drawn;
};

const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));
export const classWords = (name) => name.replaceAll("_", " ");

// Its class, and what went wrong; an episode without a class, as one that is still played, is neither right nor wrong.
function fault(line) {
  const words = line.words.join(" · ");
  if (!line.failure) return [words || "–"];
  const name = line.failure === "solved" ? make("span", { class: "right" }, "✓ all right") : make("b", { title: `the episode ${classes[line.failure]}` }, classWords(line.failure));
  return words ? [name, ` · ${words}`] : [name];
}

function drawLine(line, body) {
  const key = `${line.task} ${line.seal} ${line.seed}`, order = byId("by-order").value;
  if (order === "seed" && key !== last && line.alike > 1) {
    const spread = line.low === null ? "" : ` · score ${line.low.toFixed(2)} to ${line.high.toFixed(2)}`;
    body.append(make("tr", { class: "of-seed" }, make("td", { colspan: 9 }, make("b", {}, `seed ${line.seed}`), ` · ${line.task}${line.seal ? " · sealed" : ""} · ${line.alike} episodes${spread}`)));
  }
  last = key;
  const place = { run: line.run, seed: line.seed, trial: line.trial };
  const trial = line.trial ? ` · trial ${line.trial + 1}` : "";
  body.append(make("tr", {},
    make("td", { class: "text" }, make("a", { href: link("/watch", place) }, String(line.seed)), trial),
    make("td", { class: "text" }, line.agent, make("span", { class: "soft wide" }, ` ${line.kind}`)),
    make("td", { class: "text wide" }, line.task),
    make("td", {}, line.score === null ? "" : bar(line.score), number(line.score, 3)),
    make("td", { class: "wide" }, number(line.f1, 3)),
    make("td", { "data-name": "units" }, number(line.cost, 0)),
    make("td", { "data-name": "calls" }, String(line.calls)),
    make("td", { class: "words" }, ...fault(line)),
    make("td", {}, line.alike > 1 ? make("a", { href: link("/compare", place) }, "compare") : ""),
  ));
}

const given = () => Object.fromEntries(FIELDS.map((name) => [name, byId(`by-${name}`).value.trim()]));

async function more() {
  const number_asked = ++asked;
  const told = await get("index", { ...given(), offset: loaded, limit: PART });
  if (!told || number_asked !== asked) return;
  if (!loaded) {
    last = null;
    byId("lines").replaceChildren(make("table", { class: "lines" }, make("thead", {}, make("tr", {},
      ...[["seed", "text"], ["agent", "text"], ["task", "text wide"], ["score", ""], ["F1", "wide"], ["units", ""], ["calls", ""], ["what went wrong", "text"], ["others", ""]].map(([text, kind]) => make("th", { class: kind, scope: "col" }, text)))), make("tbody")));
    byId("lines").scrollTop = 0;
    tellCounts(told.counts);
  }
  byId("more-lines")?.remove();
  const body = byId("lines").querySelector("tbody");
  for (const line of told.lines) drawLine(line, body);
  loaded += told.lines.length; total = told.total;
  const { failure } = given();
  const meant = failure ? `${classWords(failure)}: the episode ${classes[failure]}` : "an episode is played again when it is opened";
  byId("count").textContent = total ? `${total.toLocaleString("en")} ${total === 1 ? "episode" : "episodes"} of ${told.seeds.toLocaleString("en")} ${told.seeds === 1 ? "seed" : "seeds"}; ${meant}` : "no episode is like that; take a filter back";
  if (loaded < total) {
    const button = make("button", { type: "button", id: "more-lines", onclick: more }, `${(total - loaded).toLocaleString("en")} more`);
    byId("lines").append(button);
    new IntersectionObserver((seen, watcher) => { if (seen.some((item) => item.isIntersecting)) { watcher.disconnect(); more(); } }).observe(button);
  }
}

function again() {
  loaded = 0;
  const { order, ...rest } = given();
  remember({ ...rest, order: order === "seed" ? "" : order });
  return more();
}

export async function showIndex() {
  byId("index").hidden = false;
  const told = await get("runs");
  if (!told) return;
  byId("faults").replaceChildren(
    ...told.faults.map((fault) => make("p", { role: "alert" }, `not read: ${fault}`)),
    ...told.runs.flatMap((run) => run.notes.map((note) => make("p", { class: "note" }, make("b", {}, run.agent), `, ${run.task}: ${note}`))),
  );
  classes = told.failures;
  const names = (list) => [["", "all"], ...[...new Set(list)].map((name) => [name, name])];
  const wanted = query();
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").replaceChildren(
    choice("agent", "agent", names(told.runs.map((run) => run.agent)), wanted.agent),
    choice("task", "task", names(told.runs.map((run) => run.task)), wanted.task),
    make("label", {}, "seed", make("input", { id: "by-seed", name: "seed", inputmode: "numeric", placeholder: "all", value: wanted.seed ?? "", onchange: again })),
    choice("fate", "outcome", [["", "any"], ...Object.entries(FATES)], wanted.fate),
    choice("failure", "class", [["", "any"], ...Object.entries(classes).map(([name, words]) => [name, classWords(name), `the episode ${words}`])], wanted.failure),
    choice("family", "family", [["", "all"], ...Object.entries(told.families)], wanted.family),
    choice("entity", "entity", names(told.entities), wanted.entity),
    choice("order", "order", Object.entries(ORDERS), wanted.order ?? "seed"),
  );
  if (!told.runs.length) {
    byId("count").textContent = "no run was named: python -m agents page compare.json runs/MODEL analyst";
    return;
  }
  await more();
}
