// Plots of measures over days: observed, expected, the band that noise stays in, and what stands out.
import { make } from "./elements.js";
import { svg } from "./board.js";

const HEIGHT = 88, LEFT = 46, RIGHT = 8, TOP = 6, BOTTOM = 18;
const told = (value, share) => (share ? `${(100 * value).toFixed(1)} %` : Math.round(value).toLocaleString("en"));

// Numbers between which an axis has its lines: round ones, two to four.
function ticks(low, high) {
  const rough = (high - low) / 4 || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  return found;
}

function path(points, close = "") {
  let drawn = "", on = false;
  for (const [x, y] of points) {
    if (y === null) { on = false; continue; }
    drawn += `${on ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    on = true;
  }
  return drawn + close;
}

function plot(measure, dates, width) {
  const { values, expected, room, share, marks } = measure;
  const above = expected.map((value) => (value === null ? null : Math.min(value * (1 + room), share ? 1 : Infinity)));
  const below = expected.map((value) => (value === null ? null : Math.max(value * (1 - room), 0)));
  const all = [...values, ...above, ...below].filter((value) => value !== null);
  const low = Math.min(...all), high = Math.max(...all), span = high - low || 1;
  const x = (place) => LEFT + ((width - LEFT - RIGHT) * (place + 0.5)) / dates.length;
  const y = (value) => (value === null ? null : TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / span));
  const line = (series) => series.map((value, place) => [x(place), y(value)]);
  const known = expected.map((value, place) => [value, place]).filter(([value]) => value !== null).map(([, place]) => place);
  const drawn = svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", class: "small", "aria-label": `${measure.name} from ${dates[0]} to ${dates.at(-1)}; ${marks.length} days stand out` });
  if (known.length) drawn.append(svg("path", { d: path([...known.map((place) => [x(place), y(above[place])]), ...[...known].reverse().map((place) => [x(place), y(below[place])])], "Z"), fill: "#e3e7ec" }));
  for (const at of ticks(low, high)) {
    drawn.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(at), y2: y(at), stroke: "#d4d9df", "stroke-width": 0.6 }));
    const text = svg("text", { x: LEFT - 5, y: y(at) + 3.5, "text-anchor": "end", class: "soft" });
    text.textContent = share ? `${+(100 * at).toPrecision(4)} %` : at.toLocaleString("en");
    drawn.append(text);
  }
  const count = Math.max(2, Math.min(6, Math.floor(width / 130)));
  for (let number = 0; number < count; number += 1) {
    const place = Math.round((number * (dates.length - 1)) / (count - 1));
    const text = svg("text", { x: x(place), y: HEIGHT - 4, "text-anchor": number === 0 ? "start" : number === count - 1 ? "end" : "middle", class: "soft" });
    text.textContent = dates[place];
    drawn.append(text);
  }
  drawn.append(svg("path", { d: path(line(expected)), fill: "none", stroke: "#566270", "stroke-width": 1, "stroke-dasharray": "4 3" }));
  drawn.append(svg("path", { d: path(line(values)), fill: "none", stroke: "#1d2733", "stroke-width": 1.1 }));
  for (const place of marks.filter((at) => values[at] !== null)) {
    const dot = svg("circle", { cx: x(place), cy: y(values[place]), r: 3.6, fill: "#a3007d" }), title = svg("title", {});
    title.textContent = `${dates[place]}: ${told(values[place], share)}${expected[place] === null ? "" : ` instead of ${told(expected[place], share)}`}`;
    dot.append(title);
    drawn.append(dot);
  }
  return drawn;
}

// The plots of some measures, one below the other, or two beside each other where there is room.
export function plots({ dates, measures }, room, marked) {
  const two = room > 700 && measures.length > 1, width = two ? Math.floor((room - 14) / 2) : room;
  return make("div", { class: two ? "series two" : "series" },
    ...measures.map((measure) => make("figure", {}, make("figcaption", {}, measure.name, make("span", { class: "soft" }, measure.share ? "" : " · events a day")), plot(measure, dates, width))),
    make("p", { class: "soft legend" }, `line: observed · dashes: expected · band: what noise leaves unseen · dots: ${marked}`));
}
