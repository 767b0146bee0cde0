// Small plots of what was shown of a date: each measure over the dates, the hours, the funnel.
import { svg } from "./board.js";
import { make, shows, told } from "./elements.js";

export const figure = (value, unit) => unit === "percent" ? `${value.toFixed(1)} %` : Math.abs(value) < 10 ? value.toFixed(3) : value.toLocaleString("en", { maximumFractionDigits: 1 });

export const signed = (ratio) => `${ratio > 0 ? "+" : ""}${ratio.toFixed(2)}`;

// What weekday and trend lead one to expect of a count, on the dates where it was told: of the first step as it was
// told, of the others in proportion to their medians.
export function expectedOf(view, place) {
  const { entities, seasonal } = view.state, entity = entities[place], first = entities[0];
  if (entity.type !== "event_count" || entity.median === null || !first.median) return [];
  return seasonal.filter((item) => shows(view, item.k)).map(({ d, v }) => ({ d, v: (v / first.median) * entity.median }));
}

// The values without incidents, once the truth is told.
export function twinOf(view, place) {
  const values = told(view) ? view.state.truth.twin[place] : null;
  return (values ?? []).map((v, d) => ({ d, v }));
}

export const KEY = ["band: median ± threshold · dotted: weekday, trend", " · dashed: clean twin"];

export function plot(view, place, cells) {
  const { state } = view, { palette } = state, entity = state.entities[place];
  const width = 180, height = 52, shown = cells.filter((item) => item.e === place).sort((a, b) => a.d - b.d);
  const cell = shown.find((item) => item.d === view.day);
  const inThresholds = ({ d, v }) => ({ d, r: (v - entity.median) / entity.threshold });
  const expected = expectedOf(view, place).map(inThresholds), twin = twinOf(view, place).map(inThresholds);
  const reach = Math.max(1.3, ...[...shown, ...expected, ...twin].map((item) => Math.min(Math.abs(item.r), 4)));
  const x = (d) => 4 + (d / (state.dates.length - 1)) * (width - 8);
  const y = (r) => height / 2 - (Math.max(-4, Math.min(4, r)) / reach) * (height / 2 - 4);
  const line = (points, attributes) => svg("polyline", { points: points.map((item) => `${x(item.d).toFixed(1)},${y(item.r).toFixed(1)}`).join(" "), fill: "none", ...attributes });
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${entity.short}: ${signed(cell.r)} thresholds from its median` });
  drawn.append(svg("rect", { x: 0, y: y(1), width, height: y(-1) - y(1), fill: palette.band }), svg("line", { x1: 0, x2: width, y1: y(0), y2: y(0), stroke: palette.twin }));
  if (twin.length) drawn.append(line(twin, { class: "twin", stroke: palette.found, "stroke-width": 2, "stroke-dasharray": "4 2" }));
  drawn.append(line(shown, { stroke: palette.ink, "stroke-width": 1.2 }));
  if (expected.length > 1) drawn.append(line(expected, { class: "expected", stroke: palette.spend, "stroke-width": 1.6, "stroke-dasharray": "1.5 2.5" }));
  for (const item of shown) drawn.append(svg("circle", { cx: x(item.d), cy: y(item.r), r: item.d === view.day ? 4 : shown.length > 14 ? 1.2 : 2, fill: item.d === view.day ? palette.wrong : palette.ink }));
  const now = shown.length > 14 ? null : expected.find((item) => item.d === view.day);
  if (now) drawn.append(svg("line", { class: "expected", x1: x(now.d) - 6, x2: x(now.d) + 6, y1: y(now.r), y2: y(now.r), stroke: palette.spend, "stroke-width": 2 }));
  return make("div", {}, make("h2", { title: entity.name }, make("span", {}, entity.short), make("b", { class: cell.f ? "wrong" : "soft" }, signed(cell.r))),
    make("p", {}, `${figure(cell.v, entity.unit)} · median ${figure(entity.median, entity.unit)}`), drawn);
}

const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b), half = sorted.length / 2;
  return Number.isInteger(half) ? (sorted[half - 1] + sorted[half]) / 2 : sorted[Math.floor(half)];
};

const FEWEST = 3; // dates whose hours were looked at, of which a median says something

// The usual share of each hour, and of which dates: of those whose hours were looked at, and of all once the truth is told.
function usualHours(view, profiles) {
  if (told(view)) return { shares: view.state.truth.profile, of: "all dates" };
  if (profiles.length < FEWEST) return { shares: null, of: "" };
  return { shares: profiles[0].map((_, hour) => median(profiles.map((shares) => shares[hour]))), of: `the ${profiles.length} dates whose hours were looked at` };
}

export function hourPlot(view, found, all) {
  const { palette, dates } = view.state, { records, lost_hours: lost = [] } = found;
  const name = Object.keys(records[0]).find((key) => !["date", "hour", "counts"].includes(key));
  const of = (result) => result.records.map((record) => record[name]);
  const profiles = all.map((result) => { const values = of(result), sum = values.reduce((a, b) => a + b, 0) || 1; return values.map((value) => value / sum); });
  const values = of(found), usual = usualHours(view, profiles);
  const recorded = (_, hour) => !lost.includes(hour), total = (list) => list.filter(recorded).reduce((a, b) => a + b, 0);
  const profile = usual.shares?.map((share) => (share / (total(usual.shares) || 1)) * total(values)) ?? [];
  const width = 380, height = 130, step = width / values.length, most = Math.max(...values, ...profile, 1);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height + 16}`, role: "img", "aria-label": `${name} by hour` });
  values.forEach((value, hour) => {
    const tall = (value / most) * height;
    const bar = svg("rect", { x: hour * step + 1.5, y: height - tall, width: step - 3, height: Math.max(tall, 1), fill: palette.spend });
    bar.append(svg("title", {}, `${hour}:00 ${value}`));
    drawn.append(bar);
    if (lost.includes(hour)) drawn.append(svg("text", { x: (hour + 0.5) * step, y: height - 4, "text-anchor": "middle" }, "✕"));
    if (hour % 3 === 0) drawn.append(svg("text", { x: (hour + 0.5) * step, y: height + 12, "text-anchor": "middle", class: "soft" }, String(hour)));
  });
  if (profile.length) drawn.append(svg("path", { class: "profile", fill: "none", stroke: palette.ink, "stroke-width": 1.5, d: profile.map((value, hour) => `${hour ? "L" : "M"}${hour * step} ${height - (value / most) * height}H${(hour + 1) * step}`).join("") }));
  const share = found.daytime_share;
  const words = [make("p", {}, `${name} by hour on ${dates[view.day]}; daytime share ${share.observed_value} of median ${share.baseline_value}`), drawn];
  words.push(make("p", { class: "soft" }, profile.length ? `bars: this date · line: the median profile of ${usual.of}, for as many events` : `The median profile is drawn beside it once the hours of ${FEWEST} dates were looked at.`));
  if (lost.length) words.push(make("p", {}, `✕ lost hours: ${lost.join(", ")} (${(100 * found.lost_share).toFixed(0)} % of a usual day)`));
  return words;
}

export function funnelPlot(view, counts) {
  const { palette } = view.state, width = 380, known = told(view), tall = known ? 40 : 34;
  const rows = counts.map(([entity, cell, place]) => ({ entity, cell, twin: twinOf(view, place)[cell.d]?.v }));
  const most = Math.max(...rows.flatMap(({ entity, cell, twin }) => [cell.v, entity.median, twin ?? 0]));
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${rows.length * tall}`, role: "img", "aria-label": "the funnel of this date beside the median funnel" });
  rows.forEach(({ entity, cell, twin }, place) => {
    const y = place * tall, bar = (value, top, height, fill, name) => svg("rect", { class: name, x: 0, y: y + top, width: Math.max(1, (value / most) * width), height, fill });
    drawn.append(svg("text", { x: 0, y: y + 11 }, `${entity.short}: ${figure(cell.v, entity.unit)} · median ${figure(entity.median, entity.unit)}${known ? ` · clean ${figure(twin, entity.unit)}` : ""}`));
    drawn.append(bar(cell.v, 15, 8, palette.spend), bar(entity.median, 24, 4, palette.twin));
    if (known) drawn.append(bar(twin, 29, 4, palette.found, "twin"));
  });
  return [drawn, make("p", { class: "soft" }, `blue: this date · grey: the median of each count${known ? " · green, clean: this date without incidents" : ""}`)];
}
