// What the selected date and cell explain: plots, hours, funnel, arithmetic, the call in other words, the answer.
import { make, short, shows, told } from "./elements.js";
import { KEY, expectedOf, figure, funnelPlot, hourPlot, plot, signed, twinOf } from "./plots.js";

export const TABS = ["Day", "Hours", "Funnel", "Why", "Call", "Answer"];

// As it was known at the call: the cells that were shown then, and the calls so far.
export function drawTab(view) {
  const { state } = view;
  const cells = state.cells.filter((cell) => shows(view, cell.k)), steps = view.step === null ? state.steps : state.steps.slice(0, view.step);
  const cellAt = (day, entity) => cells.find((cell) => cell.d === day && cell.e === entity);
  const drawn = { Day: day, Hours: hours, Funnel: funnel, Why: why, Call: calls, Answer: answer }[view.tab](view, { cells, steps, cellAt });
  return Array.isArray(drawn) ? drawn : [drawn];
}

const hint = (text) => make("p", { class: "soft" }, text);

function day(view, { cells, cellAt }) {
  const plots = view.state.entities.flatMap((_, place) => (cellAt(view.day, place) ? [plot(view, place, cells)] : []));
  if (!plots.length) return hint("Nothing was shown of this date yet. Open it (o), or click another one.");
  return [make("p", { class: "soft key" }, KEY[0] + (told(view) ? KEY[1] : "")), make("div", { class: "plots" }, ...plots)];
}

function hours(view, { steps }) {
  const looked = new Map(steps.filter((step) => step.tool === "hourly_rows_for_date" && step.result).map((step) => [step.arguments.date, step.result]));
  const found = looked.get(view.state.dates[view.day]);
  return found ? hourPlot(view, found, [...looked.values()]) : hint("The hours of this date were not looked at (h).");
}

function funnel(view, { cellAt }) {
  const counts = view.state.entities.map((entity, place) => [entity, cellAt(view.day, place), place]).filter(([entity, cell]) => entity.type === "event_count" && cell);
  return counts.length ? funnelPlot(view, counts) : hint("The counts of this date were not shown yet (o).");
}

function why(view, { cellAt }) {
  const { state } = view, entity = state.entities[view.entity], cell = cellAt(view.day, view.entity);
  if (!cell) return hint(`${entity.short} on ${state.dates[view.day]} was not shown yet.`);
  const delta = cell.v - entity.median;
  const lines = [
    ["entity", `${entity.type} ${entity.name}`], ["value", figure(cell.v, entity.unit)],
    ["median over the dates", figure(entity.median, entity.unit)], ["difference", figure(delta, entity.unit)],
    ["detection threshold", figure(entity.threshold, entity.unit)],
    ["deviation", `${figure(delta, entity.unit)} / ${figure(entity.threshold, entity.unit)} = ${cell.r.toFixed(2)} thresholds`],
    [entity.method, cell.f ? `confirms it, severity ${cell.s}` : "does not confirm it"],
  ];
  const at = ({ d }) => d === view.day, expected = expectedOf(view, view.entity).find(at), twin = twinOf(view, view.entity).find(at);
  const compared = (value) => `${figure(value, entity.unit)}, ${signed((value - entity.median) / entity.threshold)} thresholds`;
  if (expected) lines.push(["weekday and trend", compared(expected.v)]);
  if (told(view)) {
    if (twin) lines.push(["without incidents", compared(twin.v)]);
    const known = state.truth.classes.find(([d, e]) => d === view.day && e === view.entity);
    lines.push(["at the end", known ? { expected: "the cause of an incident", consequence: "follows from an incident", natural: "natural: weekday, trend or noise", explained: "explained by a known event or lost hours" }[known[2]] : "nothing"]);
  }
  return make("table", {}, ...lines.map(([name, value]) => make("tr", {}, make("td", { class: "soft" }, name), make("td", {}, value))));
}

function inPython(value) {
  if (Array.isArray(value)) return `[${value.map(inPython).join(", ")}]`;
  if (value !== null && typeof value === "object") return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${inPython(item)}`).join(", ")}}`;
  return { null: "None", true: "True", false: "False" }[value] ?? JSON.stringify(value);
}

const named = (values) => Object.entries(values).map(([name, value]) => `${name}=${inPython(value)}`).join(", ");

function calls(view, { steps }) {
  const step = steps.at(-1) ?? null;
  if (!step) return hint("No call was made yet; the same call in Python, HTTP and MCP appears here.");
  const python = `from metric_tracker_env import Investigation\n\nplay = Investigation("${view.state.task}")\nplay.reset(${named({ ...(view.state.seed === null ? {} : { seed: view.state.seed }), ...view.state.options })})\nprint(play.${step.tool}(${named(step.arguments)}))`;
  const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: step.tool, arguments: step.arguments } };
  const http = `POST /api/call\n${JSON.stringify({ tool: step.tool, arguments: step.arguments })}`;
  return [["Python", python], ["HTTP, this server", http], ["MCP", JSON.stringify(message)]].flatMap(([name, text]) => [
    make("div", { class: "row" }, make("b", {}, name), make("button", { type: "button", onclick: () => navigator.clipboard?.writeText(text) }, "copy")), make("pre", { tabindex: "0" }, text),
  ]);
}

function answer(_, { steps }) {
  const step = steps.at(-1) ?? null;
  if (!step) return hint("No call was made yet.");
  if (!step.ok) return [make("p", { class: "wrong" }, step.error)];
  const tables = Object.entries(step.result ?? {}).filter(([, value]) => Array.isArray(value) && value.length && typeof value[0] === "object");
  const drawn = tables.map(([name, rows]) => {
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) => rows.some((row) => typeof row[column] !== "object"));
    return make("div", {}, make("b", {}, name), make("table", {},
      make("tr", {}, ...columns.map((column) => make("th", {}, column.replaceAll("_", " ")))),
      ...rows.map((row) => make("tr", {}, ...columns.map((column) => make("td", {}, String(row[column] ?? "")))))));
  });
  return [make("p", {}, `${short(step.tool)}, ${step.cost} ${step.cost === 1 ? "unit" : "units"}`), ...drawn, make("details", {}, make("summary", {}, "JSON"), make("pre", { tabindex: "0" }, JSON.stringify(step.result, null, 1)))];
}
