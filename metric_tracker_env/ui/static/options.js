// The options of an episode as a form, made from what the server tells of them; and the options in the address.
import { byId, make } from "./elements.js";
import { get } from "./request.js";

const words = (name) => name.replaceAll("_", " ");
const told = (value) => value === null ? "none" : Array.isArray(value) ? value.join("-") : String(value);

// A number, a range such as 1-4, or none; anything else goes as it is to the server, which says what is wrong with it.
function readCount(text) {
  const range = text.match(/^(\d+)\s*(?:-|–|to|,)\s*(\d+)$/);
  if (range) return range.slice(1).map(Number);
  if (text === "none") return null;
  return /^\d+$/.test(text) ? Number(text) : text;
}

function limits(schema) {
  const found = [["over", schema.exclusiveMinimum], ["from", schema.minimum], ["below", schema.exclusiveMaximum], ["to", schema.maximum]];
  return found.filter(([, value]) => value !== undefined).map(([word, value]) => `${word} ${value}`).join(", ");
}

function choice(first, values, given) {
  const host = make("select", {}, ...(first === null ? [] : [make("option", { value: "" }, first)]), ...values.map((value) => make("option", {}, String(value))));
  host.value = given ?? (first === null ? values[0] : "");
  return { host, read: () => host.value || undefined };
}

// Several names: a box for each, folded away under how many are chosen.
function several(schema, given) {
  const boxes = schema.names.map((name) => [name, make("input", { type: "checkbox", checked: (given ?? []).includes(name) })]);
  const chosen = () => boxes.filter(([, box]) => box.checked).map(([name]) => name);
  const summary = make("summary"), count = () => { summary.textContent = chosen().length ? `${chosen().length} chosen` : "none"; };
  const host = make("details", { onchange: count }, summary, make("div", { class: "names" }, ...boxes.map(([name, box]) => make("label", {}, box, name))));
  count();
  return { host, read: () => (chosen().length ? chosen() : undefined) };
}

function number(schema, given) {
  const host = make("input", { inputmode: "decimal", placeholder: limits(schema), value: given ?? "" });
  return { host, read: () => (host.value.trim() === "" ? undefined : Number.isNaN(Number(host.value)) ? host.value : Number(host.value)) };
}

function count(schema, given, usual) {
  const host = make("input", { placeholder: `${told(usual)} (task's)`, value: given === undefined ? "" : told(given) });
  return { host, read: () => (host.value.trim() === "" ? undefined : readCount(host.value.trim())) };
}

// The input of a field of an anomaly; one without a value is left out, and then the generator chooses.
function fieldOf(schema, given) {
  if (schema.several) return several(schema, given);
  if (schema.names) return choice(schema.left_out, schema.names, given);
  if (schema.enum) return choice(null, schema.enum, given ?? schema.default);
  return number(schema, given);
}

function labelled(name, about, input, fault) {
  const id = `of-${name}-${labelled.next = (labelled.next ?? 0) + 1}`;
  input.host.id ||= id;
  fault.id = `${input.host.id}-fault`;
  const text = words(name);
  const label = input.host.tagName === "DETAILS" ? make("span", { class: "soft" }, text) : make("label", { for: input.host.id }, text);
  if (input.host.tagName === "DETAILS") input.host.querySelector("summary").setAttribute("aria-label", text);
  else input.host.setAttribute("aria-describedby", fault.id);
  return make("div", { class: "field", title: about ?? "" }, label, input.host, fault);
}

const faultLine = () => make("p", { class: "wrong fault", role: "alert" });

class Row {
  constructor(methods, given, drop) {
    this.methods = methods;
    this.method = choice(null, methods.map((method) => method.name), given.method_name);
    this.method.host.setAttribute("aria-label", "method");
    this.method.host.addEventListener("change", () => this.fill({}));
    this.about = make("p", { class: "soft" });
    this.fields = make("div", { class: "fields" });
    this.fault = faultLine();
    this.host = make("fieldset", { class: "anomaly" }, make("legend", {}, "anomaly"),
      make("div", { class: "row" }, this.method.host, make("button", { type: "button", "aria-label": "take this anomaly out", onclick: () => drop(this) }, "✕")),
      this.about, this.fields, this.fault);
    this.fill(given);
  }

  fill(given) {
    const method = this.methods.find((item) => item.name === this.method.host.value);
    this.about.textContent = method.about;
    this.inputs = new Map(Object.entries(method.fields).map(([name, schema]) => [name, { ...fieldOf(schema, given[name]), fault: faultLine() }]));
    this.fields.replaceChildren(...[...this.inputs].map(([name, input]) => labelled(name, method.fields[name].description, input, input.fault)));
  }

  read() {
    const found = { method_name: this.method.host.value };
    for (const [name, input] of this.inputs) {
      const value = input.read();
      if (value !== undefined) found[name] = value;
    }
    return found;
  }

  tell(key, text) { (this.inputs.get(key)?.fault ?? this.fault).textContent = text; }

  hush() { for (const fault of [this.fault, ...[...this.inputs.values()].map((input) => input.fault)]) fault.textContent = ""; }
}

export class Options {
  // host: element for the fields that the header has not; button: opens and closes it.
  constructor(host, button) {
    this.host = host; this.button = button; this.inputs = new Map(); this.rows = []; this.task = null;
    button.addEventListener("click", () => this.show(host.hidden));
    host.addEventListener("keydown", (event) => { if (event.key === "Escape") { this.show(false); button.focus(); } });
  }

  show(open) {
    this.host.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
  }

  // Make the form of a task, with some options.
  make(task, form, given) {
    this.task = task; this.form = form;
    this.inputs.clear();
    const fields = [];
    for (const [name, schema] of Object.entries(form.options)) {
      if (schema.methods) continue;
      const usual = `${told(schema.default)} (task's)`;
      const input = { ...(schema.enum ? choice(usual, schema.enum, given[name]) : count(schema, given[name], schema.default)), fault: faultLine() };
      this.inputs.set(name, input);
      const place = byId(name);
      if (place && !this.host.contains(place)) {
        input.host.id = name;
        place.replaceWith(input.host);
      } else {
        input.host.id = name;
        fields.push(labelled(name, schema.description, input, input.fault));
      }
    }
    const [name, schema] = Object.entries(form.options).find(([, item]) => item.methods);
    this.name = name;
    this.list = make("div", { class: "anomalies" });
    this.fault = faultLine();
    this.rows = (Array.isArray(given[name]) ? given[name] : []).map((item) => this.row(item));
    this.list.replaceChildren(...this.rows.map((row) => row.host));
    this.host.replaceChildren(
      make("div", { class: "fields" }, ...fields),
      make("p", { class: "soft" }, `${words(name)}: ${schema.description} An episode whose anomalies you choose does not count.`),
      this.list, this.fault,
      make("div", { class: "row" },
        make("button", { type: "button", id: "add", onclick: () => this.add({}) }, "add an anomaly"),
        make("button", { type: "button", id: "apply", class: "go", onclick: () => byId("begin").click() }, "Begin with these options"),
        make("button", { type: "button", onclick: () => this.make(this.task, this.form, {}) }, "clear")));
    this.count();
    this.host.onchange = () => this.count();
  }

  row(given) { return new Row(this.form.options[this.name].methods, given, (row) => this.drop(row)); }

  add(given) {
    const row = this.row(given);
    this.rows.push(row);
    this.list.append(row.host);
    this.count();
    row.method.host.focus();
  }

  drop(row) {
    this.rows = this.rows.filter((item) => item !== row);
    row.host.remove();
    this.count();
    byId("add").focus();
  }

  read() {
    const found = {};
    for (const [name, input] of this.inputs) {
      const value = input.read();
      if (value !== undefined) found[name] = value;
    }
    if (this.rows.length) found[this.name] = this.rows.map((row) => row.read());
    return found;
  }

  count() {
    const number = Object.keys(this.read()).filter((name) => this.host.contains(this.inputs.get(name)?.host ?? this.list)).length;
    this.button.textContent = number ? `Options (${number})` : "Options";
  }

  // Tell each fault where it is; whether each has a place here.
  tell(faults) {
    let placed = true;
    this.fault.textContent = "";
    for (const row of this.rows) row.hush();
    for (const input of this.inputs.values()) input.fault.textContent = "";
    for (const { text, option, row, key } of faults) {
      const input = this.inputs.get(option);
      if (input && this.host.contains(input.host)) input.fault.textContent = text;
      else if (option === this.name && this.rows[row]) this.rows[row].tell(key, text);
      else if (option === this.name) this.fault.textContent = text;
      else placed = false;
    }
    const first = this.host.querySelector(".fault:not(:empty)");
    if (first) { this.show(true); first.scrollIntoView({ block: "nearest" }); }
    return placed && Boolean(first);
  }

  // The form of a task, with some options; it is asked for once a task.
  async load(task, given, say) {
    if (task === this.task) { this.make(task, this.form, given); return true; }
    const form = await get("options", { task }, say);
    if (form) this.make(task, form, given);
    return Boolean(form);
  }

  // In an address, text stands as it is and anything else as JSON.
  fromAddress(params) {
    const found = {};
    for (const name of Object.keys(this.form.options).filter((item) => params.has(item))) {
      const text = params.get(name);
      try { found[name] = JSON.parse(text); } catch { found[name] = text; }
    }
    return found;
  }

  toAddress(params, chosen) {
    for (const name of Object.keys(this.form.options)) {
      if (name in chosen) params.set(name, typeof chosen[name] === "string" ? chosen[name] : JSON.stringify(chosen[name]));
      else params.delete(name);
    }
  }
}
