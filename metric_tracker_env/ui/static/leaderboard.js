// The leaderboard: the figures that the command line prints, with their intervals, and the paired differences.
import { byId, make } from "./elements.js";
import { svg } from "./board.js";
import { get, link } from "./request.js";

const FIGURES = [["f1", "F1", 3], ["precision", "precision", 3], ["recall", "recall", 3], ["net", "net", 3], ["tool_calls", "tools", 1], ["cost", "units", 1], ["illegal", "illegal", 1]];
const half = ({ low, high }, digits) => ((high - low) / 2).toFixed(digits);

// A mean and its interval on a common axis from least to most.
function whisker({ mean, low, high }, least, most, colour) {
  const width = 120, x = (value) => ((value - least) / (most - least)) * (width - 6) + 3;
  const drawn = svg("svg", { width, height: 14, class: "bar", "aria-hidden": "true" });
  drawn.append(svg("line", { x1: x(least), x2: x(most), y1: 7, y2: 7, stroke: "#d4d9df" }));
  if (least < 0) drawn.append(svg("line", { x1: x(0), x2: x(0), y1: 1, y2: 13, stroke: "#566270" }));
  drawn.append(svg("line", { x1: x(low), x2: x(high), y1: 7, y2: 7, stroke: colour, "stroke-width": 3 }));
  drawn.append(svg("circle", { cx: x(mean), cy: 7, r: 3.5, fill: colour }));
  return drawn;
}

function scores(board) {
  const shown = FIGURES.filter(([name]) => board.lines.every((line) => line.figures[name]) && (name !== "illegal" || board.lines.some((line) => line.figures.illegal.high > 0)));
  const head = [["agent", "text"], ["score", "text"], ...shown.map(([, text]) => [text, ""]), ["episodes", ""], ["open", ""]];
  return make("table", { class: "lines" },
    make("thead", {}, make("tr", {}, ...head.map(([text, kind]) => make("th", { class: kind, scope: "col" }, text)))),
    make("tbody", {}, ...board.lines.map((line) => make("tr", {},
      make("td", { class: "text" }, line.agent, make("span", { class: "soft wide" }, ` ${line.kind}`)),
      make("td", { class: "text" }, whisker(line.figures.score, 0, 1, "#2f6096"), `${line.figures.score.mean.toFixed(3)} `, make("span", { class: "soft" }, `${line.figures.score.low.toFixed(3)}–${line.figures.score.high.toFixed(3)}`)),
      ...shown.map(([name, , digits]) => make("td", {}, line.figures[name].mean.toFixed(digits), make("span", { class: "soft" }, ` ±${half(line.figures[name], digits)}`))),
      make("td", {}, line.episodes.toLocaleString("en")),
      make("td", {}, line.run ? make("a", { href: link("/watch", { agent: line.agent, task: board.task, order: "worst" }) }, "watch") : "")))));
}

// A figure with half its interval; nothing where there is none.
const figure = (value, digits) => (value ? make("td", { title: `${value.low.toFixed(digits)} to ${value.high.toFixed(digits)}` }, value.mean.toFixed(digits), make("span", { class: "soft" }, ` ±${half(value, digits)}`)) : make("td", {}, "–"));

function table(head, rows) {
  return make("table", { class: "lines" }, make("thead", {}, make("tr", {}, ...head.map(([text, kind]) => make("th", { class: kind, scope: "col" }, text)))), make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells))));
}

function quiet(board) {
  return table([["agent", "text"], ["quiet", ""], ["left alone", ""], ["false alarms", ""], ["precision of others", ""], ["recall of others", ""]], board.quiet.map((line) => [
    make("td", { class: "text" }, line.agent), make("td", {}, line.episodes.toLocaleString("en")), figure(line.left_alone, 3), figure(line.false_alarms, 2), figure(line.precision, 3), figure(line.recall, 3)]));
}

// Each class of failure leads to its episodes.
function rates(board) {
  const watched = new Set(board.lines.filter((line) => line.run).map((line) => line.agent));
  const faults = (line) => Object.entries(line.failures).filter(([name]) => name !== "solved").sort(([, one], [, other]) => other - one).flatMap(([name, number], place) => [
    place ? ", " : "", watched.has(line.agent) ? make("a", { href: link("/watch", { agent: line.agent, task: board.task, failure: name }) }, name.replaceAll("_", " ")) : name.replaceAll("_", " "), ` ${number.toLocaleString("en")}`]);
  return table([["agent", "text"], ["exact", ""], ["any root", ""], ["grounded", ""], ["false alarms", ""], ["wasted", ""], ["first fault of the other episodes", "text"]], board.rates.map((line) => [
    make("td", { class: "text" }, line.agent), figure(line.exact_set, 3), figure(line.any_root, 3), figure(line.grounded, 3), figure(line.false_alarms, 2), figure(line.units_wasted, 1), make("td", { class: "text faults" }, ...faults(line))]));
}

function differences(board, families) {
  const agents = [...new Set(board.differences.map((pair) => pair.agent))];
  const names = [...new Set(board.differences.map((pair) => pair.family))];
  const of = (family, agent) => board.differences.find((pair) => pair.family === family && pair.agent === agent);
  const some = names.filter((family) => agents.some((agent) => { const pair = of(family, agent); return pair && (pair.expected || pair.f1 !== 1 || pair.other_f1 !== 1); }));
  return make("table", { class: "lines" },
    make("thead", {}, make("tr", {}, make("th", { class: "text", scope: "col" }, "family"), make("th", { scope: "col" }, "rows"), ...agents.map((agent) => make("th", { class: "text", scope: "col" }, agent)))),
    make("tbody", {}, ...some.map((family) => make("tr", {},
      make("td", { class: "text" }, families[family] ?? family),
      make("td", {}, of(family, agents[0]).expected.toLocaleString("en")),
      ...agents.map((agent) => {
        const { difference, apart } = of(family, agent);
        const words = `${difference.mean > 0 ? "+" : ""}${difference.mean.toFixed(3)}`;
        return make("td", { class: "text", title: `${difference.low.toFixed(3)} to ${difference.high.toFixed(3)}` }, whisker(difference, -1, 1, apart ? "#a3007d" : "#566270"), words, apart ? make("b", { title: "the interval leaves out 0" }, " *") : "", make("span", { class: "soft" }, ` ${difference.low.toFixed(2)} to ${difference.high.toFixed(2)}`));
      })))));
}

const told = await get("leaderboard", {}, (why) => byId("board-page").append(make("p", { role: "alert", class: "missed" }, why)));
if (told) byId("board-page").replaceChildren(...told.boards.flatMap((board) => {
  const parts = [
    make("h2", {}, board.task, make("span", { class: "soft" }, ` · ${board.source}`)),
    make("p", { class: "soft" }, `means over ${board.lines[0].episodes.toLocaleString("en")} episodes, best score first; intervals of 95 %`),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `scores on ${board.task}, ${board.source}` }, scores(board)),
  ];
  if (board.quiet.length) {
    parts.push(make("h2", {}, "Episodes in which nothing happened", make("span", { class: "soft" }, " left alone: share without a row; false alarms: rows of one")),
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `quiet episodes of ${board.task}, ${board.source}` }, quiet(board)));
  }
  parts.push(make("h2", {}, "Whole answers, evidence and waste", make("span", { class: "soft" }, " exact: all rows and no other; grounded: rows whose cell was shown; wasted: units that told nothing new")),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `rates on ${board.task}, ${board.source}` }, rates(board)));
  if (board.differences.length) {
    parts.push(make("h2", {}, "F1 by family", make("span", { class: "soft" }, ` less that of ${board.differences[0].other} on the same episodes; * is no chance`)),
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `differences on ${board.task}, ${board.source}` }, differences(board, told.families)));
  }
  return parts;
}));
document.body.dataset.ready = "yes";
