"""The learning curve of a run: a CSV file that grows while it trains, and a picture of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from metric_tracker_env.schema import StrictModel

LABELS_APART = 0.04  # of the score, which a line of text is high
COLOUR, REFERENCE = "#08306b", "#888888"


class Point(StrictModel):
    """An evaluation during training."""

    steps: int
    cpu_seconds: float  # of training, evaluations left out
    environment_seconds: float  # of them in the environment
    score: float
    low: float  # bounds of the score's 95 % interval
    high: float
    precision: float
    recall: float
    net: float  # score minus the cost of tools
    cost: float  # units an episode

    def __str__(self) -> str:
        return (
            f"{self.steps:>11,} steps {self.cpu_seconds:>6.0f} CPU s   score {self.score:.3f} "
            f"[{self.low:.3f}, {self.high:.3f}]   net {self.net:.3f}   units {self.cost:.1f}"
        )


class Curve:
    """The points of a run, on disk as they come."""

    def __init__(self, path: Path, points: list[Point]) -> None:
        self.path, self.points = path, points

    @classmethod
    def fresh(cls, path: Path) -> Curve:
        """An empty curve, its file made."""
        curve = cls(path, [])
        curve._write()
        return curve

    @classmethod
    def read(cls, path: Path, steps: int) -> Curve:
        """The points of a run up to a number of steps; later ones are dropped, as they will come again.

        Raises:
            ValueError: if the file is missing or damaged.
        """
        try:
            with path.open(encoding="utf-8", newline="") as file:
                points = [Point.model_validate(row) for row in csv.DictReader(file)]
        except (OSError, ValueError) as error:
            raise ValueError(f"curve {str(path)!r} cannot be read: {error}") from error
        curve = cls(path, [point for point in points if point.steps <= steps])
        curve._write()
        return curve

    def add(self, point: Point) -> None:
        """Append a point."""
        self.points.append(point)
        self._write()

    def _write(self) -> None:
        with self.path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(Point.model_fields)
            table.writerows(tuple(point.model_dump().values()) for point in self.points)


def labels_of(references: Mapping[str, float], apart: float = LABELS_APART) -> list[tuple[str, float]]:
    """Texts for scores and their heights, lowest first; scores that are less than ``apart`` share one, a line each."""
    groups: list[list[tuple[float, str]]] = []
    for score, name in sorted((score, name) for name, score in references.items()):
        if groups and score - groups[-1][-1][0] < apart:
            groups[-1].append((score, name))
        else:
            groups.append([(score, name)])
    return [
        (
            "\n".join(f"{name} {score:.3f}" for score, name in reversed(group)),
            sum(score for score, _ in group) / len(group),
        )
        for group in groups
    ]


def draw_curve(curve: Curve, title: str, references: Mapping[str, float], path: Path) -> None:
    """Draw score and net score over steps as a PNG file, with the scores of other agents as lines.

    Args:
        curve: At least one point.
        title: Title of the picture.
        references: Mean score of other agents.
        path: The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(9, 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = [point.steps for point in curve.points]
    axes.fill_between(steps, [p.low for p in curve.points], [p.high for p in curve.points], color=COLOUR, alpha=0.15)
    axes.plot(
        steps, [p.score for p in curve.points], color=COLOUR, marker="o", markersize=4, label="score, 95 % interval"
    )
    axes.plot(
        steps, [p.net for p in curve.points], color=COLOUR, linestyle=":", label="net of the cost of tools (the return)"
    )
    low = -0.05
    for score in references.values():
        axes.axhline(score, color=REFERENCE, linewidth=0.8, linestyle="--", zorder=1)
    for text, height in labels_of(references):
        axes.annotate(
            text, (1.005, height), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=REFERENCE
        )
    axes.set_ylim(low, 1.05)
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.set_xlabel("environment steps")
    axes.set_ylabel("mean of held-out episodes")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    axes.grid(color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=True, framealpha=1.0, edgecolor="#dddddd")
    figure.savefig(path)
