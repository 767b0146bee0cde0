// The board: dates across, entities down, as one SVG beside the names.
import { shows, told } from "./elements.js";

const SIZES = {
  full: { cell: 23, row: 22, gap: 9, top: 62, names: 182, narrow: 118, events: 14, flags: 32, dates: 55, font: "" },
  small: { cell: 23, row: 12, gap: 3, top: 36, names: 150, narrow: 104, events: 2, flags: 16, dates: 33, font: "small" },
};
const sizes = (view) => SIZES[view.size ?? "full"];

export function svg(tag, attributes = {}, ...children) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) found.setAttribute(name, value);
  }
  found.append(...children);
  return found;
}

function tops(entities, { row, gap, top }) {
  let at = top;
  return entities.map((entity, place) => {
    if (place && entity.group !== entities[place - 1].group) at += gap;
    at += row;
    return at - row;
  });
}

function clip(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

export function drawNames(view) {
  const { entities } = view.state, size = sizes(view);
  const at = tops(entities, size), full = size === SIZES.full;
  const wide = matchMedia("(min-width: 901px)").matches;
  const width = wide ? size.names : size.narrow;
  const drawn = svg("svg", { width, height: at.at(-1) + size.row + 4, "aria-hidden": "true", class: size.font });
  const base = size.row / 2 + 4;
  drawn.append(svg("text", { x: width - 8, y: size.events + 10, "text-anchor": "end", class: "soft" }, "known events"));
  drawn.append(svg("text", { x: width - 8, y: size.flags + 8, "text-anchor": "end", class: "soft" }, full ? "scan flags" : "flags"));
  entities.forEach((entity, place) => {
    if (wide && full && (!place || entity.group !== entities[place - 1].group)) {
      drawn.append(svg("text", { x: 0, y: at[place] + base, class: "soft bold" }, entity.group));
    }
    const name = svg("text", { x: width - 8, y: at[place] + base, "text-anchor": "end", class: place === view.entity ? "bold" : "" }, clip(entity.short, wide ? 20 : 15));
    name.append(svg("title", {}, `${entity.type} ${entity.name}`));
    drawn.append(name);
  });
  return drawn;
}

export function drawBoard(view, select, open) {
  const { state } = view, size = sizes(view), { cell: CELL, row: ROW } = size, full = size === SIZES.full;
  const { entities, dates, palette } = state;
  const at = tops(entities, size), width = dates.length * CELL + 4, height = at.at(-1) + ROW + 4;
  const drawn = svg("svg", { width, height, "aria-hidden": "true", class: size.font });
  const shown = new Map(state.cells.map((cell) => [`${cell.d},${cell.e}`, cell]));
  const draft = new Map(state.draft.filter((row) => !row.k || shows(view, row.k)).map((row) => [`${row.d},${row.e}`, row]));
  const known = told(view);
  const truth = new Map((known ? state.truth.classes : []).map(([d, e, name]) => [`${d},${e}`, name]));
  for (const event of state.events.filter((item) => shows(view, item.k))) {
    const words = event.kind.replaceAll("_", " "), long = event.last - event.first + 1;
    const box = svg("rect", { x: event.first * CELL + 1, y: size.events, width: long * CELL - 4, height: full ? 13 : 11, rx: 6, fill: palette.band, stroke: palette.known });
    box.append(svg("title", {}, `${words} announced for ${event.entity_name}: ${event.expected_change > 0 ? "+" : ""}${event.expected_change} ${event.unit}, ${event.first_date} to ${event.last_date}`));
    drawn.append(box, svg("text", { x: event.first * CELL + 6, y: size.events + (full ? 10 : 9), class: "soft" }, long > 1 ? clip(words, Math.floor(long * 3.2 - 1)) : ""));
  }
  dates.forEach((date, day) => {
    const weekend = ["Saturday", "Sunday"].includes(state.weekdays[day]);
    if (state.flags[day].length && shows(view, state.flagged_at[day])) {
      const flag = svg("rect", { x: day * CELL + 5, y: size.flags, width: CELL - 12, height: full ? 8 : 6, rx: 2, fill: palette.scan[1] });
      flag.append(svg("title", {}, state.flags[day].join(", ")));
      drawn.append(flag);
    }
    drawn.append(svg("text", { x: day * CELL + CELL / 2, y: size.dates, "text-anchor": "middle", class: `${weekend ? "soft" : ""} ${day === view.day ? "bold" : ""}` }, String(Number(date.slice(8)))));
    entities.forEach((entity, place) => {
      const key = `${day},${place}`, cell = shown.get(key);
      const visible = cell && shows(view, cell.k);
      const alone = visible && view.unseen?.has(key);
      const box = svg("rect", {
        x: day * CELL + 1, y: at[place] + 1, width: CELL - 3, height: ROW - (full ? 3 : 2), rx: 2,
        fill: visible ? cell.c : palette.empty, "data-day": day, "data-entity": place, class: alone ? "cell alone" : "cell",
        onclick: () => select(day, place), ondblclick: () => open(day),
      });
      box.append(svg("title", {}, visible ? `${date} ${entity.short}: ${cell.v} ${entity.unit}, ${cell.r} thresholds${alone ? "; the other has not looked" : ""}` : `${date} ${entity.short}: not looked at`));
      drawn.append(box);
      const x = day * CELL + CELL / 2 - 0.5, y = at[place] + ROW / 2 + (full ? 3.5 : 3.7);
      const kind = truth.get(key), row = draft.get(key);
      let mark = null;
      if (row) mark = row.was && known ? (row.was.right ? ["✓", "found"] : ["✗", "wrong"]) : ["●", "found"];
      else if (kind === "expected") mark = ["!", "missed"];
      else if (kind === "explained") mark = ["e", "known"];
      else if (kind === "consequence") mark = ["·", "ink"];
      if (mark) drawn.append(svg("circle", { cx: x, cy: y - (full ? 4 : 3.5), r: full ? 7 : 5, fill: palette.paper, "pointer-events": "none" }));
      if (mark) drawn.append(svg("text", { x, y, "text-anchor": "middle", class: `bold ${mark[1]}`, "pointer-events": "none" }, mark[0]));
    });
  });
  for (const lost of state.lost.filter((item) => shows(view, item.k))) {
    const box = svg("rect", { x: lost.day * CELL + 1, y: size.top - (full ? 4 : 2), width: CELL - 3, height: full ? 4 : 2, fill: palette.soft });
    box.append(svg("title", {}, `hours ${lost.first_hour} to ${lost.last_hour} of ${lost.date} were lost`));
    drawn.append(box);
  }
  const head = size.dates - 12;
  drawn.append(svg("rect", { x: view.day * CELL + 0.5, y: head, width: CELL - 2, height: height - head - 3, fill: "none", stroke: palette.ink, "pointer-events": "none", rx: 3 }));
  drawn.append(svg("rect", { x: view.day * CELL + 1, y: at[view.entity] + 1, width: CELL - 3, height: ROW - (full ? 3 : 2), fill: "none", stroke: palette.found, "stroke-width": 2.5, "pointer-events": "none", rx: 2 }));
  return drawn;
}
