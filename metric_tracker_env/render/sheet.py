"""A sheet of paper to draw on in pixels, with matplotlib behind it; and the colours used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSTALL_HINT = 'drawing needs matplotlib; install it with: pip install "metric_tracker_env[render]"'
DPI = 100
RANGE = 3.0  # thresholds at which colours and curves are clipped

INK, SOFT, FAINT, EMPTY, PAPER = "#1d2733", "#66717e", "#d4d9df", "#eceef1", "#ffffff"
BAND, TWIN, SPEND = "#e9edf2", "#8a94a0", "#3b6ea5"
FOUND, MISSED, WRONG = "#0b8457", "#e07b00", "#a3007d"
KNOWN, LOST, LOST_FILL = "#4b3f8f", "#5c6670", "#c3cad1"  # announced events, lost hours
DASH = (0, (2.2, 1.6))  # of the outline of announced cells
SCAN_COLOURS = ("#f6dfa4", "#e8ae3c", "#a86b00")  # by SCAN_MULTIPLIERS
# Down is red, up is blue, as in ColorBrewer's RdBu; white in the middle.
COLOURS_DOWN = np.array([(247, 247, 247), (253, 219, 199), (244, 165, 130), (214, 96, 77), (165, 15, 38)]) / 255
COLOURS_UP = np.array([(247, 247, 247), (209, 229, 240), (146, 197, 222), (67, 147, 195), (20, 80, 150)]) / 255


def colours(ratios: np.ndarray) -> np.ndarray:
    """(...) deviations in thresholds -> (..., 3) RGB from 0 to 1; deep red for -RANGE, deep blue for +RANGE."""
    stops = np.linspace(0.0, 1.0, len(COLOURS_UP))
    depth = np.clip(np.abs(ratios) / RANGE, 0.0, 1.0)
    down, up = (
        np.stack([np.interp(depth, stops, table[:, channel]) for channel in range(3)], -1)
        for table in (COLOURS_DOWN, COLOURS_UP)
    )
    return np.where(ratios[..., None] < 0, down, up)


def rgb(colour: str) -> tuple[float, float, float]:
    """``#rrggbb`` as three numbers from 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


class Sheet:
    """A figure with one invisible axes in pixels; lets one draw many marks of a kind at once.

    Args:
        width: Pixels at scale 1; so is ``height``, and so are all places and lengths that are given to a sheet.
        height: See ``width``.
        scale: Pixels that are drawn for each of them; the drawn width and height are even, as video encoders ask.
    """

    def __init__(self, width: int, height: int, scale: float = 1.0) -> None:
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(INSTALL_HINT) from error
        dpi = DPI * scale
        size = [2 * round(length * scale / 2) / dpi for length in (width, height)]
        figure = Figure(figsize=(size[0], size[1]), dpi=dpi, facecolor=PAPER)
        self._canvas = FigureCanvasAgg(figure)
        self._axes: Axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._axes.set_axis_off()
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)
        self._axes.set_autoscale_on(False)

    def boxes(self, boxes: Any, fill: Any = "none", edge: Any = "none", line: float = 0.0, dash: Any = "solid") -> None:
        """Rectangles (n, 4): left, top, width, height."""
        from matplotlib.collections import PolyCollection

        x, y, width, height = np.asarray(boxes, float).reshape(-1, 4).T
        if len(x):
            corners = np.stack(
                [np.stack([x, x + width, x + width, x], -1), np.stack([y, y, y + height, y + height], -1)], -1
            )
            drawn = PolyCollection(
                list(corners), facecolors=fill, edgecolors=edge, linewidths=line, linestyles=dash, joinstyle="miter"
            )
            self._axes.add_collection(drawn, autolim=False)

    def lines(self, lines: Any, colour: Any, width: float, dash: Any = "solid") -> None:
        """Polylines, each a sequence of points."""
        from matplotlib.collections import LineCollection

        drawn = LineCollection(list(lines), colors=colour, linewidths=width, linestyles=dash, capstyle="round")
        self._axes.add_collection(drawn, autolim=False)

    def dots(self, x: Any, y: Any, fill: Any, size: float, edge: Any = INK, line: float = 0.6, mark: str = "o") -> None:
        """Markers of ``size`` points across."""
        self._axes.scatter(x, y, s=size**2, c=fill, edgecolors=edge, linewidths=line, marker=mark)

    def text(
        self,
        x: float,
        y: float,
        string: str,
        size: float = 8.5,
        colour: str = INK,
        align: Literal["left", "center", "right"] = "left",
        bold: bool = False,
        turned: bool = False,
    ) -> None:
        """Text whose middle is at height ``y``."""
        self._axes.text(
            x,
            y,
            string,
            size=size,
            color=colour,
            ha=align,
            va="center",
            weight="bold" if bold else "normal",
            rotation=90 if turned else 0,
            family="DejaVu Sans",
            parse_math=False,
        )

    def marks(self, x: float, y: float, right: bool, colour: Any, size: float = 4.5, width: float = 2.0) -> None:
        """A check mark or a cross."""
        if right:
            self.lines([[(x - size, y), (x - size / 3, y + size * 0.8), (x + size, y - size * 0.8)]], colour, width)
        else:
            a, b = size * 0.8, -size * 0.8
            self.lines([[(x + b, y + b), (x + a, y + a)], [(x + b, y + a), (x + a, y + b)]], colour, width)

    def event(self, box: tuple[float, float, float, float], mark: str, solid: bool) -> None:
        """A known event: a filled box with its letter; hollow if it did not come true."""
        x, y, width, height = box
        if solid:
            self.boxes([box], KNOWN)
        else:
            self.boxes([(x + 0.7, y + 0.7, width - 1.4, height - 1.4)], PAPER, KNOWN, 1.2)
        self.text(x + width / 2, y + height / 2, mark, 8, PAPER if solid else KNOWN, "center", bold=True)

    def lost(self, box: tuple[float, float, float, float], mark: str) -> None:
        """A date that lost hours: a grey box with its letter."""
        x, y, width, height = box
        self.boxes([(x + 0.7, y + 0.7, width - 1.4, height - 1.4)], LOST_FILL, LOST, 1.2)
        self.text(x + width / 2, y + height / 2, mark, 8, INK, "center", bold=True)

    def badge(self, x: float, y: float, mark: str, size: float = 9.0) -> None:
        """The letter of what explains a cell, on a disc of paper of ``size`` points."""
        self.dots([x], [y], PAPER, size, KNOWN if mark.isupper() else LOST, 0.9)
        self.text(x, y, mark, 0.72 * size, INK, "center", bold=True)

    def kept(self) -> Any:
        """Draw, and keep the result to draw others on top of it."""
        self._canvas.draw()
        return self._canvas.copy_from_bbox(self._axes.bbox)

    def pixels(self, background: Any) -> np.ndarray:
        """(H, W, 3) uint8: this sheet drawn on top of one that was kept."""
        self._canvas.restore_region(background)
        self._axes.draw(self._canvas.get_renderer())
        return np.asarray(self._canvas.buffer_rgba())[:, :, :3].copy()
