// The index of Watch: a line an episode, filtered by the server, more of them as one scrolls.
import { byId, make } from "./elements.js";
import { get, link, query, remember } from "./request.js";
import { svg } from "./board.js";

const PART = 200;
const FIELDS = ["agent", "task", "seed", "fate", "family", "entity", "order"];
const FATES = { missed: "missed a row", extra: "reported an extra row", flawless: "flawless", refused: "a call was refused", unfinished: "not submitted" };
const ORDERS = { seed: "by seed, repeats together", worst: "worst score first", best: "best score first", dearest: "dearest first" };
let loaded = 0, total = 0, asked = 0, last = null;

function choice(name, label, options, chosen) {
  const input = make("select", { id: `by-${name}`, name, onchange: again }, ...options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  return make("label", {}, label, input);
}

const bar = (score) => {
  const drawn = svg("svg", { width: 40, height: 8, class: "bar", "aria-hidden": "true" });
  drawn.append(svg("rect", { width: 40, height: 8, fill: "#eceef1" }), svg("rect", { width: 40 * score, height: 8, fill: "#2f6096" }));
  return drawn;
};

const number = (value, digits) => (value === null ? "–" : value.toFixed(digits));

function drawLine(line, body) {
  const key = `${line.task} ${line.seed}`, order = byId("by-order").value;
  if (order === "seed" && key !== last && line.alike > 1) {
    const spread = line.low === null ? "" : ` · score ${line.low.toFixed(2)} to ${line.high.toFixed(2)}`;
    body.append(make("tr", { class: "of-seed" }, make("td", { colspan: 9 }, make("b", {}, `seed ${line.seed}`), ` · ${line.task} · ${line.alike} episodes${spread}`)));
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
    make("td", { "data-name": "units" }, String(line.cost)),
    make("td", { "data-name": "calls" }, String(line.calls)),
    make("td", { class: "words" }, ...(line.words.length ? [line.words.join(" · ")] : [make("span", { class: "right" }, "✓ all right")])),
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
  }
  byId("more-lines")?.remove();
  const body = byId("lines").querySelector("tbody");
  for (const line of told.lines) drawLine(line, body);
  loaded += told.lines.length; total = told.total;
  byId("count").textContent = total ? `${total.toLocaleString("en")} ${total === 1 ? "episode" : "episodes"} of ${told.seeds.toLocaleString("en")} ${told.seeds === 1 ? "seed" : "seeds"}; an episode is played again when it is opened` : "no episode is like that; take a filter back";
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
  byId("faults").replaceChildren(...told.faults.map((fault) => make("p", { role: "alert" }, `not read: ${fault}`)));
  const names = (list) => [["", "all"], ...[...new Set(list)].map((name) => [name, name])];
  const wanted = query();
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").replaceChildren(
    choice("agent", "agent", names(told.runs.map((run) => run.agent)), wanted.agent),
    choice("task", "task", names(told.runs.map((run) => run.task)), wanted.task),
    make("label", {}, "seed", make("input", { id: "by-seed", name: "seed", inputmode: "numeric", placeholder: "all", value: wanted.seed ?? "", onchange: again })),
    choice("fate", "outcome", [["", "any"], ...Object.entries(FATES)], wanted.fate),
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
