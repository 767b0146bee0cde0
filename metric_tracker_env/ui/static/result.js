// What an episode came to: the score, and of each row whether it was right, what it was instead, or that it was missed.
import { make } from "./elements.js";

export const shownRow = (state, row) => `${row.row.date.slice(5)} · ${row.family} · ${state.entities[row.e].short}`;

export function missedRows(state) {
  const reported = new Set(state.draft.map((row) => `${row.d},${row.e}`));
  return state.truth.expected.filter((row) => !reported.has(`${row.d},${row.e}`));
}

export function drawResult(view, select = null) {
  const { state } = view, { grade } = state;
  const line = (row, kind, mark) => {
    const later = row.k && view.step !== null && row.k > view.step;
    const what = select ? make("button", { type: "button", class: "plain", onclick: () => select(row.d, row.e) }, shownRow(state, row)) : shownRow(state, row);
    return make("tr", { class: later ? "later" : null, title: row.k ? `reported by call ${row.k}` : null }, make("td", {}, what), make("td", { class: kind }, mark));
  };
  const rows = state.draft.map((row) => line(row, row.was.right ? "right" : "wrong", row.was.right ? "✓ right" : `✗ ${row.was.why}`));
  const missed = missedRows(state).map((row) => line(row, "missed", "! missed"));
  const drawn = [
    state.agent ? make("h2", {}, `Result of ${state.agent}`) : make("h2", {}, "Result ", make("span", { class: "soft" }, `return ${state.reward.toFixed(3)}`)),
    make("div", {}, make("span", { class: "score", id: "score" }, grade.score.toFixed(3)), " score · ", `recall ${grade.recall.toFixed(2)} · precision ${grade.precision.toFixed(2)}`),
    make("table", {}, ...rows, ...missed),
  ];
  if (!rows.length && !missed.length) drawn.push(make("p", { class: "soft" }, "Nothing was wrong, and nothing was reported."));
  if (state.agent && grade.issues.length) {
    drawn.push(make("details", {}, make("summary", {}, `${grade.issues.length} ${grade.issues.length === 1 ? "fault" : "faults"} as the grade tells them`), make("ul", {}, ...grade.issues.map((issue) => make("li", {}, issue)))));
  }
  return drawn;
}
