// My data: a history of the visitor's own, read, fitted, tried with incidents, and reported about.
import { byId, make } from "./elements.js";
import { plots } from "./day_plots.js";
import { query, remember, say } from "./request.js";

const page = { state: null, busy: false };
const percent = (share, digits = 0) => `${share > 0 ? "+" : ""}${(100 * share).toFixed(digits)} %`;
const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const size = (bytes) => (bytes < 1e5 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

// Ask the server and draw what it tells; how long it has been at it stands where the result will.
async function ask(route, body, doing, headers = { "content-type": "application/json" }) {
  if (page.busy) return;
  page.busy = true;
  const began = performance.now();
  const tell = () => say(`${doing} · ${Math.round((performance.now() - began) / 1000)} s`);
  const timer = setInterval(tell, 1000);
  document.querySelectorAll("main button, main input, main select").forEach((item) => { item.disabled = true; });
  tell();
  let refused = "";
  try {
    const answer = await fetch(`/api/own/${route}`, { method: "POST", headers, body });
    const told = await answer.json();
    if (answer.ok) page.state = told;
    else refused = typeof told.error === "string" ? told.error : told.error?.message ?? "the server refused this";
  } catch {
    refused = "the server does not answer; is it still running?";
  }
  clearInterval(timer);
  page.busy = false;
  draw();
  say(refused);
}
const post = (route, told, doing) => ask(route, JSON.stringify(told), doing);

function upload(file) {
  if (!file) return;
  const { most_bytes: most } = page.state;
  if (file.size > most) say(`${file.name} has ${size(file.size)}; at most ${size(most)} can be uploaded`);
  else ask(`upload?name=${encodeURIComponent(file.name.slice(-120))}`, file, `sending ${file.name}`, { "content-type": "application/octet-stream" });
}

function options() {
  return Object.fromEntries([...document.querySelectorAll("#options [name]")].map((item) => [item.name, item.value]));
}

function fit(changes = {}) {
  const told = Object.entries({ ...options(), ...changes }).filter(([, value]) => value !== "");
  post("fit", { options: Object.fromEntries(told) }, `reading and fitting ${page.state.source.name}`);
}

// The control of an option; the same description makes the command's.
function control(field, id) {
  const { source, options: given } = page.state;
  const value = given[field.name] ?? "";
  const named = { id, name: field.name };
  if (field.kind === "choice") {
    const chosen = value || field.default;
    return make("select", named, ...(field.default ? [] : [make("option", { value: "", selected: !chosen }, "not told")]),
      ...field.choices.map((choice) => make("option", { value: choice, selected: choice === chosen }, choice)));
  }
  if (field.kind === "column" && source?.columns.length) {
    return make("select", named, make("option", { value: "" }, "by its usual name"),
      ...source.columns.filter(Boolean).map((name) => make("option", { value: name, selected: name === value }, name)));
  }
  const hints = { columns: source?.columns.slice(1).join(", ") ?? "", days: "2026-03-14, 2026-03-15", number: field.default };
  const type = field.kind === "day" ? "date" : "text";
  return make("input", { ...named, type, value, placeholder: hints[field.kind] ?? "", inputmode: field.kind === "number" ? "decimal" : null });
}

function shownField(field, prefix, decides = false) {
  const id = `${prefix}-${field.name}`;
  return make("div", { class: decides ? "field decides" : "field" },
    make("label", { for: id }, field.name.replaceAll("_", " ")), control(field, id), make("span", { class: "help" }, field.help));
}

function drawChoice() {
  const { source, files, most_bytes: most } = page.state;
  const parts = [make("label", {}, `file, at most ${size(most)} `, make("input", { type: "file", id: "file", accept: ".csv,.tsv,.txt,.gz,.parquet", onchange: (event) => upload(event.target.files[0]) }))];
  if (files.length) {
    parts.push(make("label", {}, "or of the server ", make("select", { id: "server-file", onchange: (event) => event.target.value && post("open", { path: event.target.value }, "opening") },
      make("option", { value: "" }, "choose"), ...files.map((name) => make("option", { value: name, selected: source?.name === name }, name)))));
  }
  if (source) parts.push(make("button", { type: "button", class: "main", id: "fit", onclick: () => fit() }, "Read and fit"));
  byId("choose").replaceChildren(...parts);
  const { fit: found } = page.state;
  byId("summary").replaceChildren(...(source ? [make("b", {}, source.name), ` · ${size(source.bytes)}`] : ["no file yet"]),
    ...(found ? [` · ${counted(found.days, "day")} to ${found.last_date}, ${found.hourly ? "hourly" : "daily"} · ${found.steps.join(" → ")}`] : []));
}

function drawRows(fault) {
  const [names] = fault.near.length ? [fault.near[0][1]] : [[]];
  const at = names.map((name) => name.trim()).indexOf(fault.column);
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "rows around it" }, make("table", { class: "rows" },
    ...fault.near.map(([line, cells], place) => make("tr", { class: line === fault.row ? "here" : null },
      make(place ? "td" : "th", { class: "soft" }, place ? `row ${line}` : "line"),
      ...cells.map((cell, column) => make(place ? "td" : "th", { class: line === fault.row && column === at ? "here" : null }, cell || (place ? "(empty)" : "(no name)")))))));
}

function drawFault() {
  const { fault, form } = page.state;
  byId("fault").replaceChildren();
  if (!fault || !["file", "fit"].includes(fault.about)) return;
  const place = [fault.row === null ? "" : `row ${fault.row}`, fault.column === null ? "" : `column ${fault.column}`, fault.row === null || fault.value === null ? "" : `value ${fault.value === "" ? "(empty)" : fault.value}`].filter(Boolean);
  byId("fault").append(make("p", { class: "wrong" }, place.length ? `Not read: ${place.join(", ")}` : "Not read"), make("p", {}, fault.message));
  if (fault.near.length) byId("fault").append(drawRows(fault));
  const field = form.find((item) => item.name === fault.option);
  if (!field) return;
  const shown = shownField(field, "decides", true);
  byId("fault").append(make("p", { class: "soft" }, "This decides:"), shown,
    make("button", { type: "button", class: "main", id: "again", onclick: () => fit({ [field.name]: shown.querySelector("[name]").value }) }, "Read and fit with it"));
}

function drawOptions() {
  const { form, source } = page.state;
  byId("how").hidden = !source;
  byId("options").replaceChildren(...form.map((field) => shownField(field, "option")), make("button", { id: "fit-so" }, "Read and fit so"));
}

function drawFit() {
  const { fit: found } = page.state;
  if (!found) { byId("fitted").replaceChildren(); return; }
  const usual = (item) => (item.unit === "share" ? `${(100 * item.usual).toFixed(1)} %` : `${Math.round(item.usual).toLocaleString("en")} a day`);
  byId("fitted").replaceChildren(
    make("h2", {}, "What is normal", make("span", { class: "soft" }, ` from ${found.first_date}${found.held_out_from ? `; from ${found.held_out_from} on held out` : ` to ${found.last_date}`}`)),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "what is normal" }, make("table", { id: "normal" },
      make("tr", {}, ...["measure", "usual", "noise", "seen at easy", "medium", "hard"].map((name) => make("th", { scope: "col" }, name))),
      ...found.normal.map((item) => make("tr", {}, make("td", {}, item.measure), make("td", {}, usual(item)), make("td", {}, `${(100 * item.noise).toFixed(1)} %`),
        ...["easy", "medium", "hard"].map((name) => make("td", {}, `± ${(100 * item.smallest_change[name]).toFixed(1)} %`)))))),
    make("p", { class: "soft" }, `Dates a week that ordinary days would show without any incident: ${["easy", "medium", "hard"].map((name) => `${found.natural_per_week[name].toFixed(2)} at ${name}`).join(", ")}.`),
    ...found.notes.map((note) => make("p", { class: "soft" }, `Note: ${note}.`)),
    plots(found.plots, room("fitted"), "unusual days"),
    make("div", { class: "files" }, make("span", { class: "soft" }, "to train and judge with:"), ...found.files.map((name) => make("a", { href: `/api/own/file/${name}`, download: name }, name))),
  );
}

function drawUnusual() {
  const { fit: found } = page.state;
  if (!found) { byId("unusual").replaceChildren(make("p", { class: "soft" }, "Choose a table of your counts: a row a day or an hour and a column a step, a row a step and time, or a log of events. It stays on this server, in a folder of your own, until you are gone.")); return; }
  const days = [...found.unusual].reverse();
  byId("unusual").replaceChildren(
    make("h2", {}, counted(days.length, "unusual day"), make("span", { class: "soft" }, days.length ? " · the last first" : "")),
    make("div", { class: "list", tabindex: 0, role: "region", "aria-label": "list of unusual days" }, make("table", {},
      ...days.map((day) => make("tr", {},
        make("td", {}, make("button", { type: "button", class: "plain", title: "see the report of its morning", onclick: () => { byId("until").value = day.date; report(); } }, day.date)),
        make("td", { class: "text" }, day.changes.map((item) => `${item.measure} ${percent(item.change)}`).join(", "), day.holiday ? make("span", { class: "soft" }, ` · near ${day.holiday}`) : ""))))),
  );
}

const room = (id) => Math.max(240, byId(id).clientWidth);
const choice = (id, label, names, chosen) => make("label", { for: id }, label, make("select", { id }, ...names.map((name) => make("option", { value: name, selected: name === chosen }, name))));
const day = (id, label, value) => make("label", { for: id }, label, make("input", { type: "date", id, value, min: page.state.fit.first_morning, max: page.state.fit.last_date }));
const list = (rows) => make("ul", { class: "said-rows" }, ...rows.map((text) => make("li", {}, text)));
const faultOf = (about) => (page.state.fault?.about === about ? [make("p", { class: "wrong", role: "alert" }, page.state.fault.message)] : []);

function attempt() {
  const told = { date: byId("date").value, measure: byId("measure").value, change: Number(byId("change").value) / 100, agent: byId("try-agent").value };
  remember({ date: told.date, measure: told.measure, change: byId("change").value });
  post("try", told, "reading the morning after");
}

const VERDICTS = {
  named: ["right", "✓ named"], otherwise: ["wrong", "✗ named as something else"],
  missed: ["missed", "! missed"], holiday: ["missed", "! put down to a holiday"],
};

function drawTry() {
  const { fit: found, agents, tried } = page.state;
  if (!found) { byId("try").replaceChildren(); return; }
  const asked = query();
  byId("try").replaceChildren(
    make("h2", {}, "Try an incident", make("span", { class: "soft" }, " · nothing of it is kept")),
    make("form", { class: "asked", onsubmit: (event) => { event.preventDefault(); attempt(); } },
      day("date", "on", tried?.date ?? asked.date ?? found.last_date),
      choice("measure", "measure", found.measures, tried?.measure ?? asked.measure),
      make("label", { for: "change" }, "change, %", make("input", { type: "number", id: "change", step: "any", value: tried ? Math.round(1e4 * tried.change) / 100 : asked.change ?? -30 })),
      choice("try-agent", "agent", agents, tried?.agent), make("button", { class: "main", id: "attempt" }, "Ask")),
    ...faultOf("try"));
  if (!tried) return;
  const [colour, words] = VERDICTS[tried.verdict];
  byId("try").append(
    make("p", { id: "verdict" }, make("span", { class: `verdict ${colour}` }, words), ` · ${tried.measure} ${percent(tried.change)} on ${tried.date}; ${found.difficulty} sees changes from ± ${(100 * tried.seen).toFixed(1)} %`),
    ...(tried.rows.length ? [list(tried.rows.map((row) => row.text))] : [make("p", {}, "The report of that morning has nothing to look at.")]),
    ...(tried.explained.length ? [list(tried.explained.map((row) => `explained by ${row.holiday}: ${row.text}`))] : []),
    make("p", { class: "soft" }, tried.without.length ? "Without it, that morning told:" : "Without it, that morning had nothing to look at."),
    ...(tried.without.length ? [list(tried.without)] : []),
    plots(tried.plots, room("try"), "reported days"));
}

function report(accept = "") {
  remember({ until: byId("until").value });
  post("report", { until: byId("until").value, agent: byId("agent").value, accept }, "making the report");
}

function drawMorning() {
  const { fit: found, agents, report: told } = page.state;
  if (!found) { byId("morning").replaceChildren(); return; }
  byId("morning").replaceChildren(
    make("h2", {}, "Morning report", make("span", { class: "soft" }, " · the last seven days before it")),
    make("form", { class: "asked", onsubmit: (event) => { event.preventDefault(); report(); } },
      day("until", "last day", told?.until ?? query().until ?? found.last_date), choice("agent", "agent", agents, told?.agent),
      make("button", { class: "main", id: "report" }, "Report")),
    ...faultOf("report"));
  if (!told) return;
  const days = new Set(told.rows.map((row) => row.date)).size;
  byId("morning").append(
    make("p", { id: "days" }, make("b", {}, days ? `${counted(days, "day")} to look at` : "nothing to look at"), ` from ${told.first_date} to ${told.last_date}`),
    list(told.rows.map((row) => row.text)),
    ...(told.explained.length ? [list(told.explained.map((row) => `explained by ${row.holiday}: ${row.text}`))] : []),
    plots(told.plots, room("morning"), "reported days"));
  if (!told.disbelieved.length) return;
  const last = told.disbelieved.at(-1);
  byId("morning").append(make("p", { class: "soft" }, `${counted(told.disbelieved.length, "reported day")} not learnt from until accepted.`),
    make("button", { type: "button", id: "accept", onclick: () => report(last) }, `All days to ${last} are normal now`));
}

function draw() {
  drawChoice();
  drawFault();
  drawOptions();
  drawFit();
  drawUnusual();
  drawTry();
  drawMorning();
}

byId("options").addEventListener("submit", (event) => { event.preventDefault(); if (page.state.source) fit(); });
const answer = await fetch("/api/own/state").catch(() => null);
if (answer?.ok) {
  page.state = await answer.json();
  draw();
} else say("the server does not answer; is it still running?");
document.body.dataset.ready = "yes";
