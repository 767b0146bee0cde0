"""What an evaluation says, as a table, a file and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from agents.evaluate import Evaluation, Figure, Interval
from metric_tracker_env.schema import StrictModel

if TYPE_CHECKING:
    from rich.table import Table

FIGURES: tuple[Figure, ...] = get_args(Figure)
COLOURS = ("#9ecae1", "#4292c6", "#08306b", "#fdae6b", "#e6550d", "#7f2704")  # light to dark, easy to hard


class Line(StrictModel):
    """The figures of one agent on one task."""

    agent: str
    task: str | None
    episodes: int
    figures: dict[Figure, Interval]


class Comparison(StrictModel):
    """Several evaluations, summed up and in full."""

    summary: tuple[Line, ...]
    evaluations: tuple[Evaluation, ...]

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation]) -> Comparison:
        """Sum up evaluations."""
        lines = [
            Line(
                agent=evaluation.agent,
                task=evaluation.task,
                episodes=len(evaluation.episodes.seed),
                figures={figure: evaluation.interval(figure) for figure in FIGURES},
            )
            for evaluation in evaluations
        ]
        return cls(summary=tuple(lines), evaluations=tuple(evaluations))

    def to_json(self, path: str | Path) -> None:
        """Write the comparison to a file."""
        Path(path).write_text(self.model_dump_json() + "\n", encoding="utf-8")


def table_of(evaluations: Sequence[Evaluation], title: str) -> Table:
    """A line for each evaluation: score with interval, precision, recall, return and units spent an episode."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("task", no_wrap=True)
    table.add_column("agent", no_wrap=True)
    for name in ("score", "interval", "prec.", "recall", "return", "units"):
        table.add_column(name, justify="right", no_wrap=True)
    last = ""
    tasks = list(dict.fromkeys(evaluation.task for evaluation in evaluations))
    for evaluation in sorted(evaluations, key=lambda e: (tasks.index(e.task), e.interval("score").mean)):
        task = evaluation.task or evaluation.config.difficulty
        if last and task != last:
            table.add_section()
        score = evaluation.interval("score")
        shares = [f"{evaluation.interval(figure).mean:.3f}" for figure in FIGURES[2:5]]
        bounds, units = f"{score.low:.3f}-{score.high:.3f}", f"{evaluation.interval('cost').mean:.1f}"
        table.add_row("" if task == last else task, evaluation.agent, f"{score.mean:.3f}", bounds, *shares, units)
        last = task
    return table


def draw_chart(comparison: Comparison, path: str | Path) -> None:
    """Draw the mean score with its interval, by agent and task, as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    agents = list(dict.fromkeys(line.agent for line in comparison.summary))
    tasks = list(dict.fromkeys(line.task for line in comparison.summary))
    at = {(line.agent, line.task): line.figures["score"] for line in comparison.summary}
    means = {agent: sum(at[agent, task].mean for task in tasks) for agent in agents}
    agents.sort(key=means.__getitem__)
    height = 0.8 / len(tasks)

    figure = Canvas(figsize=(9, 1.6 + len(agents) * max(0.62, 0.2 * len(tasks))), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for rank, task in enumerate(tasks):
        places = [i + (len(tasks) / 2 - rank - 0.5) * height for i in range(len(agents))]
        scores = [at[agent, task] for agent in agents]
        below = [score.mean - score.low for score in scores]
        above = [score.high - score.mean for score in scores]
        axes.barh(
            places,
            [score.mean for score in scores],
            height * 0.92,
            xerr=[below, above],
            color=COLOURS[rank % len(COLOURS)],
            error_kw={"ecolor": "#444444", "elinewidth": 1.1, "capsize": 2.5},
            label=task or "configured",
        )
        for place, score in zip(places, scores, strict=True):
            axes.text(score.high + 0.012, place, f"{score.mean:.3f}", va="center", fontsize=8, color="#333333")
    axes.set_yticks(range(len(agents)), agents, fontsize=10)
    axes.set_ylim(-0.6, len(agents) - 0.4)
    axes.set_xlim(0, 1.1)
    axes.set_xticks([i / 5 for i in range(6)])
    axes.set_xlabel("mean score of an episode (0 to 1, soft F1); bars: 95 % bootstrap interval")
    axes.set_ylabel("agent")
    episodes = min(line.episodes for line in comparison.summary)
    axes.set_title(f"Scripted agents on {episodes:,} held-out episodes of each task", loc="left", fontweight="bold")
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower right", frameon=True, framealpha=1.0, edgecolor="#dddddd", title="task")
    figure.savefig(path)
