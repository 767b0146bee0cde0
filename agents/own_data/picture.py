"""Pictures of a fitted history and of a report: measures over time, what is expected, and what stands out."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from metric_tracker_env.fitting import HistoryFit
from metric_tracker_env.measure import NOISE_MULTIPLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, BAND, MARK = "#1d2733", "#66717e", "#d4d9df", "#a3007d"
WIDTH, HEIGHT = 10.0, 1.5  # inches, of a measure
SHOWN_WEEKS = 8  # of a report


def draw_fit(found: HistoryFit) -> bytes:
    """Every measure of a fit over all its days, as PNG: dots for unusual days."""
    marks: dict[str, list[str]] = {}
    for item in found.unusual:
        marks.setdefault(item.measure, []).append(item.date)
    return _draw(found, list(found.measures), marks, len(found.history.dates), "unusual days")


def draw_report(found: HistoryFit, marks: Mapping[str, Sequence[str]]) -> bytes:
    """The measures that a report is about, or else the counts, over the last weeks, as PNG."""
    names = [name for name in found.measures if name in marks] or list(found.history.steps)
    return _draw(found, names, marks, SHOWN_WEEKS * 7, "reported days")


def _draw(found: HistoryFit, names: list[str], marks: Mapping[str, Sequence[str]], days: int, what: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 0.7 + HEIGHT * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(names):
        axes = figure.add_subplot(len(names), 1, place + 1)
        _draw_measure(axes, found, name, marks.get(name, ()), days)
        if place + 1 < len(names):
            axes.tick_params(labelbottom=False)
    told = f"line: observed · dashes: expected · band: 4 times the usual noise · dots: {what}"
    figure.suptitle(told, fontsize=9, color=SOFT)
    return _png(figure)


def _draw_measure(axes: Axes, found: HistoryFit, name: str, marks: Sequence[str], days: int) -> None:
    column = found.measures.index(name)
    date = found.history.dates[-days:].astype("datetime64[D]").astype(object)
    value, expected = found.values[-days:, column], found.expected[-days:, column]
    scale = 1.0 if column < len(found.history.steps) else 100.0
    room = NOISE_MULTIPLES["medium"] * found.noise[column]
    most = np.inf if scale == 1.0 else 100.0  # of a share
    above, below = (np.clip(scale * expected * (1 + side * room), 0.0, most) for side in (1, -1))
    axes.fill_between(date, below, above, color=BAND, linewidth=0, alpha=0.6)
    axes.plot(date, scale * expected, color=SOFT, linewidth=0.9, linestyle="--")
    axes.plot(date, scale * value, color=INK, linewidth=0.9)
    at = np.isin(found.history.dates[-days:].astype(str), list(marks))
    axes.plot(np.array(date)[at], scale * value[at], linestyle="", marker="o", markersize=4, color=MARK)
    unit = "events a day" if scale == 1.0 else "%"
    axes.set_title(f"{name}, {unit}", fontsize=9, loc="left", color=INK)
    axes.tick_params(labelsize=8, colors=SOFT)
    axes.margins(x=0.005)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()
