// What all views use: making elements, short names of tools, and what is shown at a moment of an episode.
export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) found.setAttribute(name, value === true ? "" : value);
  }
  found.append(...children);
  return found;
}

const WORDS = {
  rows_for_date: "open", hourly_rows_for_date: "hours", detect_funnel_break: "funnel",
  check_impossible_counts: "impossible counts", list_suspicious_dates: "suspicious dates",
  list_known_events: "known events", submit: "submit", show_raw_data: "raw data",
};
export const short = (tool) => WORDS[tool] ?? tool.replace(/^get_/, "").replace(/_rows$/, "").replaceAll("_", " ");

// The date of a call as a day of the episode; -1 for a call that names none of its dates.
export const dayOf = (state, step) => state.dates.indexOf(step.arguments.date);

export const atEnd = (view) => view.step === null || view.step >= view.state.steps.length;

// Whether the truth is told: at the end; in Watch at every step, beside what the agent knew.
export const told = (view) => Boolean(view.state.truth) && !view.blind && (Boolean(view.beside) || atEnd(view));

// Whether something is shown that call k has told; what no call has told (0) comes with the truth of the end,
// but in Compare, where it would hide how far the other has come.
export const shows = (view, k) => (k ? view.step === null || k <= view.step : told(view) && atEnd(view) && !view.seenOnly);
