// What the selected date and cell explain: plots, hours, funnel, arithmetic, the call in other words, the answer.
import { svg } from "./board.js";
import { make, short } from "./elements.js";

export const TABS = ["Day", "Hours", "Funnel", "Why", "Call", "Answer"];

const number = (value, unit) => unit === "percent" ? `${value.toFixed(1)} %` : Math.abs(value) < 10 ? value.toFixed(3) : value.toLocaleString("en", { maximumFractionDigits: 1 });

export function drawTab(view, cellAt) {
  const drawn = { Day: day, Hours: hours, Funnel: funnel, Why: why, Call: calls, Answer: answer }[view.tab](view, cellAt);
  return Array.isArray(drawn) ? drawn : [drawn];
}

const hint = (text) => make("p", { class: "soft" }, text);

function day(view, cellAt) {
  const plots = view.state.entities.flatMap((entity, place) => {
    const cell = cellAt(view.day, place);
    return cell ? [plot(view, entity, place, cell)] : [];
  });
  return plots.length ? make("div", { class: "plots" }, ...plots) : hint("Nothing was shown of this date yet. Open it (o), or click another one.");
}

function plot(view, entity, place, cell) {
  const { state } = view, { palette } = state;
  const width = 180, height = 52, shown = state.cells.filter((item) => item.e === place);
  const reach = Math.max(1.3, ...shown.map((item) => Math.min(Math.abs(item.r), 4)));
  const x = (d) => 4 + (d / (state.dates.length - 1)) * (width - 8);
  const y = (r) => height / 2 - (Math.max(-4, Math.min(4, r)) / reach) * (height / 2 - 4);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${entity.short}: ${cell.r} thresholds from its median` });
  drawn.append(svg("rect", { x: 0, y: y(1), width, height: y(-1) - y(1), fill: palette.band }));
  drawn.append(svg("line", { x1: 0, x2: width, y1: y(0), y2: y(0), stroke: palette.twin, "stroke-dasharray": "3 2" }));
  const points = shown.slice().sort((a, b) => a.d - b.d);
  drawn.append(svg("polyline", { points: points.map((item) => `${x(item.d)},${y(item.r)}`).join(" "), fill: "none", stroke: palette.ink, "stroke-width": 1.2 }));
  for (const item of points) drawn.append(svg("circle", { cx: x(item.d), cy: y(item.r), r: item.d === view.day ? 4 : 2, fill: item.d === view.day ? palette.wrong : palette.ink }));
  return make("div", {}, make("h3", { title: entity.name }, entity.short),
    make("p", {}, `${number(cell.v, entity.unit)} · median ${number(entity.median, entity.unit)} · `, make("b", { class: cell.f ? "wrong" : "" }, `${cell.r > 0 ? "+" : ""}${cell.r.toFixed(2)}`)), drawn);
}

function hours(view) {
  const { state } = view, date = state.dates[view.day], { palette } = state;
  const found = state.steps.filter((step) => step.tool === "hourly_rows_for_date" && step.ok && step.arguments.date === date).at(-1);
  if (!found) return hint("The hours of this date were not looked at (h).");
  const { records, lost_hours: lost = [] } = found.result;
  const name = Object.keys(records[0]).find((key) => !["date", "hour", "counts"].includes(key));
  const values = records.map((record) => record[name]);
  const width = 380, height = 130, step = width / values.length, most = Math.max(...values, 1);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height + 16}`, role: "img", "aria-label": `${name} by hour` });
  values.forEach((value, hour) => {
    const tall = (value / most) * height;
    const bar = svg("rect", { x: hour * step + 1.5, y: height - tall, width: step - 3, height: Math.max(tall, 1), fill: palette.spend });
    bar.append(svg("title", {}, `${hour}:00 ${value}`));
    drawn.append(bar);
    if (lost.includes(hour)) drawn.append(svg("text", { x: (hour + 0.5) * step, y: height - 4, "text-anchor": "middle" }, "✕"));
    if (hour % 3 === 0) drawn.append(svg("text", { x: (hour + 0.5) * step, y: height + 12, "text-anchor": "middle", class: "soft" }, String(hour)));
  });
  const share = found.result.daytime_share;
  const told = [make("p", {}, `${name} by hour on ${date}; daytime share ${share.observed_value} of median ${share.baseline_value}`), drawn];
  if (lost.length) told.push(make("p", {}, `✕ lost hours: ${lost.join(", ")} (${(100 * found.result.lost_share).toFixed(0)} % of a usual day)`));
  return told;
}

function funnel(view, cellAt) {
  const counts = view.state.entities.map((entity, place) => [entity, cellAt(view.day, place)]).filter(([entity, cell]) => entity.type === "event_count" && cell);
  if (!counts.length) return hint("The counts of this date were not shown yet (o).");
  const most = Math.max(...counts.flatMap(([entity, cell]) => [cell.v, entity.median]));
  const { palette } = view.state, width = 380;
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${counts.length * 34}`, role: "img", "aria-label": "the funnel of this date beside the median funnel" });
  counts.forEach(([entity, cell], place) => {
    const y = place * 34;
    drawn.append(svg("text", { x: 0, y: y + 11 }, `${entity.short}: ${number(cell.v, entity.unit)} of median ${number(entity.median, entity.unit)}`));
    drawn.append(svg("rect", { x: 0, y: y + 15, width: Math.max(1, (cell.v / most) * width), height: 8, fill: palette.spend }));
    drawn.append(svg("rect", { x: 0, y: y + 24, width: Math.max(1, (entity.median / most) * width), height: 4, fill: palette.twin }));
  });
  return [drawn, hint("blue: this date · grey: the median of each count")];
}

function why(view, cellAt) {
  const { state } = view, entity = state.entities[view.entity], cell = cellAt(view.day, view.entity);
  if (!cell) return hint(`${entity.short} on ${state.dates[view.day]} was not shown yet.`);
  const delta = cell.v - entity.median;
  const lines = [
    ["entity", `${entity.type} ${entity.name}`], ["value", number(cell.v, entity.unit)],
    ["median over the dates", number(entity.median, entity.unit)], ["difference", number(delta, entity.unit)],
    ["detection threshold", number(entity.threshold, entity.unit)],
    ["deviation", `${number(delta, entity.unit)} / ${number(entity.threshold, entity.unit)} = ${cell.r.toFixed(2)} thresholds`],
    [entity.method, cell.f ? `confirms it, severity ${cell.s}` : "does not confirm it"],
  ];
  const known = state.truth?.classes.find(([d, e]) => d === view.day && e === view.entity);
  if (state.truth && !view.blind) lines.push(["at the end", known ? { expected: "the cause of an incident", consequence: "follows from an incident", natural: "natural: weekday, trend or noise", explained: "explained by a known event or lost hours" }[known[2]] : "nothing"]);
  return make("table", {}, ...lines.map(([name, value]) => make("tr", {}, make("td", { class: "soft" }, name), make("td", {}, value))));
}

function inPython(value) {
  if (Array.isArray(value)) return `[${value.map(inPython).join(", ")}]`;
  if (value !== null && typeof value === "object") return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${inPython(item)}`).join(", ")}}`;
  return { null: "None", true: "True", false: "False" }[value] ?? JSON.stringify(value);
}

const named = (values) => Object.entries(values).map(([name, value]) => `${name}=${inPython(value)}`).join(", ");

function calls(view) {
  const step = (view.step === null ? view.state.steps.at(-1) : view.state.steps[view.step - 1]) ?? null;
  if (!step) return hint("No call was made yet; the same call in Python, HTTP and MCP appears here.");
  const python = `from metric_tracker_env import Investigation\n\nplay = Investigation("${view.state.task}")\nplay.reset(${named({ seed: view.state.seed, ...view.state.options })})\nprint(play.${step.tool}(${named(step.arguments)}))`;
  const message = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: step.tool, arguments: step.arguments } };
  const http = `POST /api/call\n${JSON.stringify({ tool: step.tool, arguments: step.arguments })}`;
  return [["Python", python], ["HTTP, this server", http], ["MCP", JSON.stringify(message)]].flatMap(([name, text]) => [
    make("div", { class: "row" }, make("b", {}, name), make("button", { type: "button", onclick: () => navigator.clipboard?.writeText(text) }, "copy")), make("pre", { tabindex: "0" }, text),
  ]);
}

function answer(view) {
  const step = (view.step === null ? view.state.steps.at(-1) : view.state.steps[view.step - 1]) ?? null;
  if (!step) return hint("No call was made yet.");
  if (!step.ok) return [make("p", { class: "wrong" }, step.error)];
  const tables = Object.entries(step.result ?? {}).filter(([, value]) => Array.isArray(value) && value.length && typeof value[0] === "object");
  const drawn = tables.map(([name, rows]) => {
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) => rows.some((row) => typeof row[column] !== "object"));
    return make("div", {}, make("b", {}, name), make("table", {},
      make("tr", {}, ...columns.map((column) => make("th", {}, column.replaceAll("_", " ")))),
      ...rows.map((row) => make("tr", {}, ...columns.map((column) => make("td", {}, String(row[column] ?? "")))))));
  });
  return [make("p", {}, `${short(step.tool)}, ${step.cost} units`), ...drawn, make("details", {}, make("summary", {}, "JSON"), make("pre", { tabindex: "0" }, JSON.stringify(step.result, null, 1)))];
}
