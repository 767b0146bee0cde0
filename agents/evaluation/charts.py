"""Charts of a comparison, as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .report import Comparison, Line, wrapped
from .rows import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COLOURS = ("#9ecae1", "#4292c6", "#08306b", "#fdae6b", "#e6550d", "#7f2704")  # light to dark, easy to hard
SCRIPT, MODEL = "#9ecae1", "#08306b"  # where colours need not tell tasks apart
COLOUR_MAP = "OrRd_r"  # pale where all is found
DARK = 0.45  # recall below which a cell is dark
NAME_WIDTH = 26  # characters of an agent's name in a line


def draw_scores(comparison: Comparison, path: str | Path) -> None:
    """Draw the mean score with its interval, and the net score, by agent and task, as a PNG file."""
    tasks = comparison.tasks
    at = {(line.agent, task): line.figures for task, lines in tasks.items() for line in lines}
    agents = list(dict.fromkeys(agent for agent, _ in at))
    agents.sort(key=lambda agent: [sum(at[agent, task][figure].mean for task in tasks) for figure in ("score", "net")])
    height, alone = 0.8 / len(tasks), len(tasks) == 1

    figure = _canvas(9, 1.8 + len(agents) * max(0.5, 0.2 * len(tasks)))
    axes = figure.add_subplot()
    for rank, task in enumerate(tasks):
        places = [i + (len(tasks) / 2 - rank - 0.5) * height for i in range(len(agents))]
        scores = [at[agent, task]["score"] for agent in agents]
        of_agent = [MODEL if agent in comparison.models else SCRIPT for agent in agents]
        axes.barh(
            places,
            [score.mean for score in scores],
            height * 0.92,
            xerr=[[score.mean - score.low for score in scores], [score.high - score.mean for score in scores]],
            color=of_agent if alone else COLOURS[rank % len(COLOURS)],
            error_kw={"ecolor": "#777777", "elinewidth": 1.1, "capsize": 2.5},
            label=task,
        )
        axes.plot(
            [at[agent, task]["net"].mean for agent in agents],
            places,
            linestyle="",
            marker="D",
            markersize=3.5,
            color="white",
            markeredgecolor="#222222",
            markeredgewidth=0.8,
        )
        for place, score in zip(places, scores, strict=True):
            axes.text(score.high + 0.012, place, f"{score.mean:.3f}", va="center", fontsize=8, color="#333333")
    _name(axes, [wrapped(agent, NAME_WIDTH) for agent in agents])
    for label, agent in zip(axes.get_yticklabels(), agents, strict=True):
        label.set_fontweight("bold" if agent in comparison.models else "normal")
    axes.set_ylim(-0.6, len(agents) - 0.4)
    axes.set_xlim(min(0.0, *(figures["net"].mean - 0.02 for figures in at.values())), 1.1)
    axes.set_xticks([i / 5 for i in range(6)])
    axes.set_xlabel(
        "mean score of an episode (0 to 1, soft F1) with its 95 % bootstrap interval;\n"
        "diamonds: net of the cost of tools"
    )
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if not alone:
        axes.legend(loc="lower right", frameon=True, framealpha=1.0, edgecolor="#dddddd", title="task")
    where = f"of {next(iter(tasks))}" if alone else "of each task"
    _head(figure, f"{_who(comparison)} on {_episodes(comparison)} {where}")
    figure.savefig(path)


def draw_recall(comparison: Comparison, path: str | Path) -> None:
    """Draw the recall of some agents by family and entity, a panel a task, as a PNG file."""
    tasks, chosen = comparison.tasks, comparison.chosen()
    every = {task: [line for name in chosen for line in lines if line.agent == name] for task, lines in tasks.items()}
    names = _row_names(every)
    figure = _canvas(4.6 + len(tasks) * (0.9 + 0.62 * len(chosen)), 2.2 + 0.27 * len(names))
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, (task, lines) in zip(panels, every.items(), strict=True):
        groups = [[_group(line, kind, name) for line in lines] for kind, name in names]
        values = np.array([[np.nan if g is None or g.recall is None else g.recall.mean for g in row] for row in groups])
        image = axes.imshow(values, cmap=COLOUR_MAP, vmin=0, vmax=1, aspect="auto")
        if axes is panels[-1]:
            bar = figure.colorbar(image, ax=list(panels), shrink=0.4, aspect=25, pad=0.03)
            bar.ax.tick_params(labelsize=8)
            bar.set_label("recall", fontsize=8)
        axes.set_title(task, loc="left", fontweight="bold", fontsize=10)
        _write_cells(axes, values)
        expected = [max((g.expected for g in row if g is not None), default=0) for row in groups]
        for y, number in enumerate(expected):
            axes.text(len(lines) - 0.4, y, f"{number:,}", va="center", ha="left", fontsize=7, color="#666666")
        axes.text(len(lines) - 0.4, -0.75, "rows", va="bottom", ha="left", fontsize=7, color="#666666")
        axes.set_xticks(range(len(lines)), [wrapped(line.agent, NAME_WIDTH) for line in lines], rotation=35, ha="right")
        for label, line in zip(axes.get_xticklabels(), lines, strict=True):
            label.set_fontweight("bold" if line.agent in comparison.models else "normal")
        _name(axes, [_row_label(*name) for name in names] if axes is panels[0] else [])
        axes.axhline(sum(kind == "family" for kind, _ in names) - 0.5, color="white", linewidth=6)
        axes.tick_params(which="both", length=0, labelsize=8)
        axes.spines[:].set_visible(False)
    agents = len({line.agent for line in comparison.summary})
    told = "" if len(chosen) == agents else f", {len(chosen)} of {agents} agents"
    _head(figure, f"Share of the incidents found, by family and entity: {_episodes(comparison)}{told}")
    figure.savefig(path)


def _row_names(every: dict[str, list[Line]]) -> list[tuple[str, str]]:
    """("family", name) and ("entity", name) of the groups with expected rows in some task; all if none has."""
    found: dict[tuple[str, str], bool] = {}
    for kind in ("family", "entity"):
        for line in (line for lines in every.values() for line in lines):
            for group in _groups(line, kind):
                found[kind, group.name] = found.get((kind, group.name), False) or group.expected > 0
    return [name for name, some in found.items() if some] or list(found)


def _groups(line: Line, kind: str) -> tuple[Group, ...]:
    return line.families if kind == "family" else line.entities


def _group(line: Line, kind: str, name: str) -> Group | None:
    """The group of that name; None if the task has none."""
    return next((group for group in _groups(line, kind) if group.name == name), None)


def _write_cells(axes: Axes, values: np.ndarray) -> None:
    """Each recall as a number in its cell; a dot where nothing was expected."""
    for (y, x), value in np.ndenumerate(values):
        text = "·" if np.isnan(value) else f"{value:.2f}"
        axes.text(x, y, text, ha="center", va="center", fontsize=7, color="white" if value < DARK else "#222222")
    rows, columns = values.shape
    axes.set_xticks([i + 0.5 for i in range(columns - 1)], minor=True)
    axes.set_yticks([i + 0.5 for i in range(rows - 1)], minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)


def _row_label(kind: str, name: str) -> str:
    if kind == "family":
        return name
    entity_type, entity = name.split(" ")
    return f"{entity}  ({entity_type.replace('_', ' ')})"


def _who(comparison: Comparison) -> str:
    if not comparison.models:
        return "Scripted agents"
    every = {line.agent for line in comparison.summary}
    return "Models" if comparison.models == every else "Models (bold) and scripts"


def _episodes(comparison: Comparison) -> str:
    return f"{min(line.episodes for line in comparison.summary):,} held-out episodes"


def _name(axes: Axes, names: list[str]) -> None:
    """Label the places 0, 1, ... of the vertical axis."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)


def _head(figure: Canvas, title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)


def _canvas(width: float, height: float) -> Canvas:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
