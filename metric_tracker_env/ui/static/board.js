// The board: dates across, entities down, as one SVG beside the names.
const CELL = 23, ROW = 22, GAP = 9, TOP = 62;

export function svg(tag, attributes = {}, ...children) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) found.setAttribute(name, value);
  }
  found.append(...children);
  return found;
}

function tops(entities) {
  let top = TOP;
  return entities.map((entity, place) => {
    if (place && entity.group !== entities[place - 1].group) top += GAP;
    top += ROW;
    return top - ROW;
  });
}

function clip(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

export function drawNames(view) {
  const { entities } = view.state;
  const at = tops(entities);
  const wide = matchMedia("(min-width: 901px)").matches;
  const width = wide ? 190 : 118;
  const drawn = svg("svg", { width, height: at.at(-1) + ROW + 4, "aria-hidden": "true" });
  drawn.append(svg("text", { x: width - 8, y: 24, "text-anchor": "end", class: "soft" }, "known events"));
  drawn.append(svg("text", { x: width - 8, y: 40, "text-anchor": "end", class: "soft" }, "scan flags"));
  entities.forEach((entity, place) => {
    if (wide && (!place || entity.group !== entities[place - 1].group)) {
      drawn.append(svg("text", { x: 0, y: at[place] + 15, class: "soft bold" }, entity.group));
    }
    const name = svg("text", { x: width - 8, y: at[place] + 15, "text-anchor": "end", class: place === view.entity ? "bold" : "" }, clip(entity.short, wide ? 20 : 15));
    name.append(svg("title", {}, `${entity.type} ${entity.name}`));
    drawn.append(name);
  });
  return drawn;
}

export function drawBoard(view, select, open) {
  const { state } = view;
  const { entities, dates, palette } = state;
  const at = tops(entities), width = dates.length * CELL + 4, height = at.at(-1) + ROW + 4;
  const drawn = svg("svg", { width, height, "aria-hidden": "true" });
  const shown = new Map(state.cells.map((cell) => [`${cell.d},${cell.e}`, cell]));
  const draft = new Map(state.draft.map((row) => [`${row.d},${row.e}`, row]));
  const told = state.truth && !view.blind && (view.step === null || view.step === state.steps.length);
  const truth = new Map((told ? state.truth.classes : []).map(([d, e, name]) => [`${d},${e}`, name]));
  for (const event of state.events) {
    const box = svg("rect", { x: event.first * CELL + 1, y: 14, width: (event.last - event.first + 1) * CELL - 4, height: 13, rx: 6, fill: palette.band, stroke: palette.known });
    box.append(svg("title", {}, `${event.kind.replaceAll("_", " ")} announced for ${event.entity_name}: ${event.expected_change > 0 ? "+" : ""}${event.expected_change} ${event.unit}, ${event.first_date} to ${event.last_date}`));
    drawn.append(box, svg("text", { x: event.first * CELL + 6, y: 24, class: "soft" }, clip(event.kind.replaceAll("_", " "), Math.floor((event.last - event.first + 1) * 3.2))));
  }
  dates.forEach((date, day) => {
    const weekend = ["Saturday", "Sunday"].includes(state.weekdays[day]);
    if (state.flags[day].length) {
      const flag = svg("rect", { x: day * CELL + 5, y: 32, width: CELL - 12, height: 8, rx: 2, fill: palette.scan[1] });
      flag.append(svg("title", {}, state.flags[day].join(", ")));
      drawn.append(flag);
    }
    drawn.append(svg("text", { x: day * CELL + CELL / 2, y: 55, "text-anchor": "middle", class: `${weekend ? "soft" : ""} ${day === view.day ? "bold" : ""}` }, String(Number(date.slice(8)))));
    entities.forEach((entity, place) => {
      const key = `${day},${place}`, cell = shown.get(key);
      const visible = cell && (cell.k ? view.step === null || cell.k <= view.step : state.truth && told);
      const box = svg("rect", {
        x: day * CELL + 1, y: at[place] + 1, width: CELL - 3, height: ROW - 3, rx: 2,
        fill: visible ? cell.c : palette.empty, "data-day": day, "data-entity": place, class: "cell",
        onclick: () => select(day, place), ondblclick: () => open(day),
      });
      box.append(svg("title", {}, visible ? `${date} ${entity.short}: ${cell.v} ${entity.unit}, ${cell.r} thresholds` : `${date} ${entity.short}: not looked at`));
      drawn.append(box);
      const x = day * CELL + CELL / 2 - 0.5, y = at[place] + ROW / 2 + 3.5;
      const kind = truth.get(key), row = draft.get(key);
      let mark = null;
      if (row && view.step !== null && row.k > view.step) mark = null;
      else if (row) mark = row.was && told ? (row.was.right ? ["✓", "found"] : ["✗", "wrong"]) : ["●", "found"];
      else if (kind === "expected") mark = ["!", "missed"];
      else if (kind === "explained") mark = ["e", "known"];
      else if (kind === "consequence") mark = ["·", "ink"];
      if (mark) drawn.append(svg("circle", { cx: x, cy: y - 4, r: 7, fill: palette.paper, "pointer-events": "none" }));
      if (mark) drawn.append(svg("text", { x, y, "text-anchor": "middle", class: `bold ${mark[1]}`, "pointer-events": "none" }, mark[0]));
    });
  });
  for (const lost of state.lost) {
    const box = svg("rect", { x: lost.day * CELL + 1, y: TOP - 4, width: CELL - 3, height: 4, fill: palette.soft });
    box.append(svg("title", {}, `hours ${lost.first_hour} to ${lost.last_hour} of ${lost.date} were lost`));
    drawn.append(box);
  }
  drawn.append(svg("rect", { x: view.day * CELL + 0.5, y: 43, width: CELL - 2, height: height - 46, fill: "none", stroke: palette.ink, "pointer-events": "none", rx: 3 }));
  drawn.append(svg("rect", { x: view.day * CELL + 1, y: at[view.entity] + 1, width: CELL - 3, height: ROW - 3, fill: "none", stroke: palette.found, "stroke-width": 2.5, "pointer-events": "none", rx: 2 }));
  return drawn;
}
