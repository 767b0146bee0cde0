"""Draw the folders and the way of the data for the page on the design: ``docs/design.svg``.

python docs/draw_design.py
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

OUT = Path(__file__).with_name("design.svg")
INK, SOFT, LINE = "#1f2937", "#6b7280", "#9ca3af"
RULES, MAKES, PLAYS, DOORS, USES = "#eef2ff", "#ecfdf5", "#fffbeb", "#fdf2f8", "#f3f4f6"
HEIGHT = 0.86


class Box(NamedTuple):
    """A folder, or a few modules, with what is in it."""

    name: str
    words: str
    left: float
    bottom: float
    width: float
    colour: str


BOXES = (
    Box(
        "schema  config/  measure  tasks", "names, settings, medians and thresholds: defined once", 0.0, 6.0, 8.0, RULES
    ),
    Box("history/  fitting/", "your own table, and what is normal in it", 8.4, 6.0, 3.6, RULES),
    Box(
        "world/", "a key becomes an episode: traffic, events,\nlost hours, incidents; then labels", 0.0, 4.6, 5.8, MAKES
    ),
    Box("tools/  scoring", "what an analyst may ask;\nthe grade", 6.4, 4.6, 5.6, MAKES),
    Box("play/", "steps for all lanes at once: actions,\nmasks, observations of both views", 0.0, 3.2, 5.8, PLAYS),
    Box("session/", "an episode in words: brief, schemas,\ncalls and answers", 6.4, 3.2, 5.6, PLAYS),
    Box("env  vector_env", "Gymnasium", 0.0, 1.8, 2.7, DOORS),
    Box("sb3/", "stable-baselines3", 3.1, 1.8, 2.7, DOORS),
    Box("investigation", "Python", 6.4, 1.8, 1.45, DOORS),
    Box("serve/", "OpenEnv, MCP", 7.95, 1.8, 1.35, DOORS),
    Box("inspect_task/", "Inspect", 9.4, 1.8, 1.55, DOORS),
    Box("ui/", "page", 11.05, 1.8, 0.95, DOORS),
    Box(
        "agents/",
        "players, training, evaluation, language models, your own data: by public names only",
        0.0,
        0.4,
        12.0,
        USES,
    ),
)
# From the foot of one place to the head of another: what is handed on, and on which side of the line it is written.
WAYS = (
    ((3.0, 6.0), (3.0, 5.46), "seed, options"),
    ((10.2, 6.0), (5.3, 5.46), ""),
    ((1.6, 4.6), (1.6, 4.06), "episodes: counts, classes of cells"),
    ((9.2, 4.6), (9.2, 4.06), "results without labels"),
    ((1.35, 3.2), (1.35, 2.66), "observation, mask, reward"),
    ((4.45, 3.2), (4.45, 2.66), ""),
    ((7.15, 3.2), (7.15, 2.66), "text"),
    ((8.62, 3.2), (8.62, 2.66), ""),
    ((10.17, 3.2), (10.17, 2.66), ""),
    ((11.52, 3.2), (11.52, 2.66), ""),
    ((3.0, 1.8), (3.0, 1.26), ""),
    ((9.2, 1.8), (9.2, 1.26), ""),
)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A line with a head at its end."""
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": LINE, "lw": 1.4})


def draw() -> Figure:
    """The picture."""
    figure = Figure(figsize=(10, 6.2))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set(xlim=(-0.15, 12.15), ylim=(0.25, 7.0))
    axes.axis("off")
    for start, end, words in WAYS:
        arrow(axes, start, end)
        axes.text(start[0] + 0.12, (start[1] + end[1]) / 2, words, fontsize=8, color=SOFT, va="center", style="italic")
    axes.text(6.1, 4.86, "view", fontsize=8, color=SOFT, ha="center", style="italic")
    arrow(axes, (5.8, 5.03), (6.4, 5.03))
    arrow(axes, (5.8, 3.63), (6.4, 3.63))
    for name, words, left, bottom, width, colour in BOXES:
        shape = FancyBboxPatch((left, bottom), width, HEIGHT, boxstyle="round,pad=0,rounding_size=0.08")
        shape.set(facecolor=colour, edgecolor=LINE, linewidth=1)
        axes.add_patch(shape)
        axes.text(left + 0.14, bottom + HEIGHT - 0.14, name, fontsize=10, color=INK, va="top", weight="bold")
        axes.text(left + 0.14, bottom + HEIGHT - 0.42, words, fontsize=8.5, color=INK, va="top", linespacing=1.15)
    return figure


def main() -> None:
    """Write the picture, the same bytes whenever nothing in it has changed."""
    with mpl.rc_context({"svg.hashsalt": "design", "svg.fonttype": "path"}):
        draw().savefig(OUT, metadata={"Date": None}, facecolor="white")
    print(OUT.name)


if __name__ == "__main__":
    main()
