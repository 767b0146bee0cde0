"""Where everything is in a frame, and what no step changes: names, calendar, legend."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.render.sheet import (
    BAND,
    DASH,
    EMPTY,
    FAINT,
    FOUND,
    INK,
    KNOWN,
    MISSED,
    RANGE,
    SCAN_COLOURS,
    SOFT,
    TWIN,
    WRONG,
    Sheet,
    colours,
)
from metric_tracker_env.schema import ANOMALY_TYPES, ENTITY_TYPES, FAMILIES, Catalogue, EntityType

GROUP_NAMES: dict[EntityType, str] = {
    "event_count": "counts",
    "conversion_rate": "conversion rates",
    "funnel_step": "funnel steps",
    "hourly_mix": "mix",
    "data_quality": "data quality",
}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NAME_LENGTH = 34


@dataclass(frozen=True)
class Places:
    """Where everything is on the sheet, in pixels from the top left corner."""

    days: int
    left: int  # of the first date's column
    column: int  # width of a date
    curve: int  # height of a count's curve
    row: int  # height of an entity's row
    scan: int  # height of a family's row
    curves_top: int
    calendar_top: int
    rows_top: tuple[int, ...]  # of each entity's row
    scans_top: int
    panel: int  # left edge of the panel
    panel_width: int
    width: int
    height: int
    legend: int = 226  # height of the legend in the panel
    strip: int = 0  # height of the strip of known events and lost hours above the dates; 0 without a world

    @property
    def right(self) -> int:
        """Right edge of the last date's column."""
        return self.left + self.days * self.column

    @property
    def legend_top(self) -> int:
        """Upper edge of the legend in the panel."""
        return self.height - self.legend

    @property
    def cells(self) -> np.ndarray:
        """(D, E, 4) left, top, width, height of each cell of the board."""
        return self._grid(np.array(self.rows_top), self.row)

    @property
    def flags(self) -> np.ndarray:
        """(D, 7, 4) left, top, width, height of each cell of the scans."""
        return self._grid(self.scans_top + np.arange(len(ANOMALY_TYPES)) * self.scan, self.scan)

    def strip_box(self, first: int, last: int) -> tuple[float, float, float, float]:
        """Left, top, width, height of the dates from first to last in the strip above the board's dates."""
        left = self.left + first * self.column
        return left, self.calendar_top - self.strip + 3, (last - first + 1) * self.column - 1, self.strip - 7

    def _grid(self, tops: np.ndarray, height: int) -> np.ndarray:
        left, top = np.meshgrid(self.left + np.arange(self.days) * self.column, tops, indexing="ij")
        return np.stack([left, top, np.full_like(left, self.column - 1), np.full_like(top, height - 1)], -1)

    def middle(self, day: int) -> float:
        """Middle of a date's column."""
        return self.left + (day + 0.5) * self.column


@lru_cache(maxsize=8)
def places(catalogue: Catalogue, days: int, worldly: bool = False) -> Places:
    """The layout for a funnel and a number of days, with room for a calendar where there is one to know of."""
    strip, legend = (23, 226 + 52) if worldly else (0, 226)
    longest = max(len(name) for name in entity_names(catalogue))
    left, column, curve, row, scan = 50 + round(6.7 * longest), max(12, 588 // days), 52, 18, 15
    curves_top = 96
    calendar_top = curves_top + curve * catalogue.num_steps + 40 + strip
    tops: list[int] = []
    top, kind = calendar_top + 34, catalogue.entities[0].entity_type
    for entity in catalogue.entities:
        top += 7 if entity.entity_type != kind else 0  # a gap between groups
        kind = entity.entity_type
        tops.append(top)
        top += row
    scans_top = top + 38
    panel = left + days * column + 40
    width, height = panel + 316, max(900 if worldly else 660, scans_top + scan * len(ANOMALY_TYPES) + 18)
    # Even sizes, since video encoders ask for them.
    return Places(
        days=days,
        left=left,
        column=column,
        curve=curve,
        row=row,
        scan=scan,
        curves_top=curves_top,
        calendar_top=calendar_top,
        rows_top=tuple(tops),
        scans_top=scans_top,
        panel=panel,
        panel_width=300,
        width=width + width % 2,
        height=height + height % 2,
        legend=legend,
        strip=strip,
    )


@lru_cache(maxsize=8)
def entity_names(catalogue: Catalogue) -> tuple[str, ...]:
    """(E,) what each entity is, in terms of the counts."""
    counts = catalogue.count_metrics
    names = list(counts)
    names += [
        f"{counts[den]} → {counts[num]}" if num - den > 1 else f"rate into {counts[num]}"
        for den, num in catalogue.spans
    ]
    names += [f"break at {num}" for num, _ in catalogue.funnel_steps]
    names += [f"{counts[0]} in daytime"]
    names += [f"{num} > upstream" for num, _ in catalogue.funnel_steps]
    return tuple(shortened(name, NAME_LENGTH) for name in names)


def shortened(name: str, length: int) -> str:
    """The beginning and the end of a long name."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"


@lru_cache(maxsize=4)
def background(catalogue: Catalogue, dates: tuple[str, ...], scale: float, worldly: bool = False) -> Any:
    """What no step changes, drawn and kept; only read from then on."""
    at, names = places(catalogue, len(dates), worldly), entity_names(catalogue)
    sheet = Sheet(at.width, at.height, scale)
    sheet.text(20, 27, "Metric tracker", 15, bold=True)
    sheet.text(196, 28.5, f"{dates[0]} to {dates[-1]}: which cells are the root causes of incidents?", 10, SOFT)

    _heading(
        sheet,
        at,
        at.curves_top - 18,
        "Daily event counts",
        "deviation from the median in thresholds; the band is normal",
    )
    for step, name in enumerate(catalogue.count_metrics):
        middle = at.curves_top + (step + 0.5) * at.curve
        third = (at.curve - 6) / 2 / RANGE
        sheet.boxes([(at.left, middle - third, at.right - at.left, 2 * third)], BAND)
        sheet.lines([[(at.left, middle), (at.right, middle)]], FAINT, 0.8)
        sheet.text(at.left - 10, middle, shortened(name, NAME_LENGTH), align="right")
        for value in (-2, 0, 2):
            sheet.text(at.right + 6, middle - value * third, f"{value:+d}" if value else "0", 7, SOFT)

    top = at.calendar_top - at.strip
    _heading(sheet, at, top - 16, "Board", "every metric on every date: the same deviation as a colour")
    if worldly:
        _, top, _, height = at.strip_box(0, 0)
        sheet.boxes([(at.left, top + height + 1, at.right - at.left, 1)], FAINT)
        sheet.text(at.left - 10, top + height / 2, "known events, lost hours", 8.5, align="right")
    for day, name in enumerate(dates):
        date = dt.date.fromisoformat(name)
        if at.column >= 16 or date.weekday() == 0:
            colour = TWIN if date.weekday() >= 5 else INK
            sheet.text(at.middle(day), at.calendar_top + 22, str(date.day), 7.5, colour, "center")
        if date.day == 1 or day == 0:
            shown = f"{MONTHS[date.month - 1]} {date.year}" if day == 0 else MONTHS[date.month - 1]
            sheet.text(at.middle(day) - 6, at.calendar_top + 8, shown, 7.5, SOFT)
    sheet.boxes(at.cells, EMPTY)
    sheet.boxes(at.flags, EMPTY)
    for entity in catalogue.entities:
        sheet.text(at.left - 10, at.rows_top[entity.index] + at.row / 2, names[entity.index], 8.5, align="right")
    for kind in ENTITY_TYPES:
        members = catalogue.entities[catalogue.slices[kind]]
        if members:
            top, bottom = at.rows_top[members[0].index], at.rows_top[members[-1].index] + at.row
            sheet.lines([[(30, top + 1), (30, bottom - 2)]], TWIN, 1.0)
            if bottom - top >= 5.6 * len(GROUP_NAMES[kind]):
                sheet.text(20, (top + bottom) / 2, GROUP_NAMES[kind], 7.5, SOFT, "center", turned=True)

    _heading(sheet, at, at.scans_top - 15, "Scans", "dates that a scan of a family has flagged")
    for number, family in enumerate(FAMILIES.values()):
        sheet.text(at.left - 10, at.scans_top + (number + 0.5) * at.scan, family.label, 8, align="right")
    _legend(sheet, at)
    if worldly:
        _world_legend(sheet, at.panel, at.legend_top + 194)
    return sheet.kept()


def _heading(sheet: Sheet, at: Places, y: float, name: str, further: str) -> None:
    sheet.text(at.left, y, name, 10, bold=True)
    sheet.text(at.left + 12 + 8.6 * len(name), y + 0.5, further, 8.5, SOFT)


def _legend(sheet: Sheet, at: Places) -> None:
    """How to read the colours and marks."""
    x, y = at.panel, at.legend_top
    sheet.lines([[(x, y - 14), (x + at.panel_width, y - 14)]], FAINT, 1.0)
    sheet.text(x, y + 4, "Legend", 10, bold=True)
    ramp = np.linspace(-RANGE, RANGE, 60)
    sheet.boxes([(x + i * 5, y + 18, 5.5, 12) for i in range(60)], colours(ramp))
    for value in range(-3, 4):
        sheet.text(x + 150 + value * 49, y + 39, f"{value:+d}" if value else "0", 7, SOFT, "center")
    sheet.text(x, y + 54, "below", 7.5, SOFT)
    sheet.text(x + 150, y + 54, "the median, in thresholds", 7.5, SOFT, "center")
    sheet.text(x + 300, y + 54, "above", 7.5, SOFT, "right")

    y += 74
    sheet.boxes([(x, y, 20, 14)], EMPTY)
    sheet.text(x + 28, y + 7, "not looked at", 8)
    sheet.boxes([(x + 165, y, 20, 14)], colours(np.array([1.8])))
    sheet.text(x + 193, y + 7, "looked at", 8)
    y += 24
    for level, (multiplier, colour) in enumerate(zip(SCAN_MULTIPLIERS, SCAN_COLOURS, strict=True)):
        sheet.boxes([(x + level * 52, y, 14, 14)], colour)
        sheet.text(x + level * 52 + 19, y + 7, f"{multiplier:g}", 8)
    sheet.text(x + 165, y + 7, "thresholds (scan flag)", 8)
    y += 24
    sheet.boxes([(x + 1, y, 20, 14)], "none", INK, 1.8)
    sheet.text(x + 28, y + 7, "reported", 8)
    sheet.dots([x + 175], [y + 8], INK, 6, "none", mark="v")
    sheet.text(x + 193, y + 7, "date in focus", 8)
    y += 24
    sheet.text(x, y + 7, "at the end", 8, SOFT)
    for right, colour, name, shift in ((True, FOUND, "right", 72), (False, WRONG, "wrong", 142)):
        sheet.marks(x + shift + 8, y + 7, right, colour)
        sheet.text(x + shift + 20, y + 7, name, 8)
    sheet.boxes([(x + 213, y + 1, 16, 12)], "none", MISSED, 2.0)
    sheet.text(x + 235, y + 7, "missed", 8)
    y += 24
    sheet.boxes([(x + 5, y + 3, 10, 8)], colours(np.array([1.8])))
    sheet.text(x + 28, y + 7, "never looked at", 8)
    sheet.lines([[(x + 165, y + 7), (x + 187, y + 7)]], TWIN, 1.2, (0, (2.0, 2.0)))
    sheet.text(x + 193, y + 7, "without incidents", 8)


def _world_legend(sheet: Sheet, x: float, y: float) -> None:
    """How to read the marks of events, lost hours and what they explain."""
    sheet.event((x, y, 20, 14), "A", True)
    sheet.text(x + 28, y + 7, "known event", 8)
    sheet.boxes([(x + 166, y + 1, 18, 12)], "none", KNOWN, 1.4, DASH)
    sheet.text(x + 193, y + 7, "announced for it", 8)
    y += 24
    sheet.lost((x, y, 20, 14), "a")
    sheet.text(x + 28, y + 7, "hours were lost", 8)
    sheet.event((x + 165, y, 20, 14), "A", False)
    sheet.text(x + 193, y + 7, "did not come true", 8)
    y += 24
    sheet.text(x, y + 7, "at the end", 8, SOFT)
    sheet.boxes([(x + 72, y, 20, 14)], colours(np.array([-1.8])))
    sheet.badge(x + 82, y + 7, "A")
    sheet.text(x + 100, y + 7, "explained by A: no incident", 8)
