"""A scene as an RGB array.

Everything is placed in pixels of a sheet whose size follows from the funnel and the calendar alone, so that all frames
of an environment are equally large; a scale makes them all larger or smaller.
"""

from __future__ import annotations

import datetime as dt
import threading

import numpy as np

from metric_tracker_env.render.calendar import calendar_columns, calendar_list, calendar_marks
from metric_tracker_env.render.layout import MONTHS, Places, background, entity_names, places
from metric_tracker_env.render.scene import DraftRow, Scene
from metric_tracker_env.render.sheet import (
    EMPTY,
    FAINT,
    FOUND,
    INK,
    MISSED,
    PAPER,
    RANGE,
    SCAN_COLOURS,
    SOFT,
    SPEND,
    TWIN,
    WRONG,
    Sheet,
    colours,
    rgb,
)
from metric_tracker_env.schema import FAMILIES
from metric_tracker_env.world.labels import CellClass

# Why a row is wrong, by what its cell is.
WRONG_BECAUSE = {
    CellClass.NONE: "normal",
    CellClass.CONSEQUENCE: "a consequence",
    CellClass.NATURAL: "natural",
    CellClass.EXPLAINED: "explained",
}

_drawing = threading.Lock()  # matplotlib asks its users to serialise access to artists


def frame(scene: Scene, scale: float = 1.0) -> np.ndarray:
    """Draw a scene: counts, board and scans by date on the left, budget, draft and legend on the right.

    Args:
        scene: What to draw.
        scale: Size of the frame, as a multiple of its own; lettering and lines grow with it.

    Returns:
        (H, W, 3) uint8; the size depends on the funnel, the calendar and the scale alone.

    Raises:
        ImportError: without matplotlib; names the extra to install.
    """
    catalogue, dates = scene.catalogue, scene.generator.date_names
    at = places(catalogue, len(dates), scene.worldly)
    with _drawing:
        under, sheet = background(catalogue, dates, scale, scene.worldly), Sheet(at.width, at.height, scale)
        calendar_columns(sheet, at, scene)
        _columns(sheet, at, scene)
        _curves(sheet, at, scene)
        _cells(sheet, at, scene)
        _scans(sheet, at, scene)
        calendar_marks(sheet, at, scene)
        _panel(sheet, at, scene)
        return sheet.pixels(under)


def _columns(sheet: Sheet, at: Places, scene: Scene) -> None:
    """The date in focus; at the end the dates of the incidents."""
    if scene.truth is not None:
        expected = scene.truth.expected
        for days, colour in (
            ((expected & scene.progress.reported).any(axis=1), FOUND),
            ((expected & ~scene.progress.reported).any(axis=1), MISSED),
        ):
            left = at.left + np.flatnonzero(days) * at.column
            top = np.full(len(left), at.curves_top)
            size = np.full(len(left), at.column), np.full(len(left), at.curve * scene.catalogue.num_steps)
            sheet.boxes(np.stack([left, top, *size], -1), (*rgb(colour), 0.20))
    elif scene.progress.focus >= 0:
        x = at.middle(scene.progress.focus)
        sheet.dots([x], [at.calendar_top + 8], INK, 7, "none", mark="v")


def _curves(sheet: Sheet, at: Places, scene: Scene) -> None:
    """Counts by date: stems and dots where revealed; at the end all of them, beside the clean twin."""
    steps, half = scene.catalogue.num_steps, (at.curve - 6) / 2
    x = at.left + (np.arange(at.days) + 0.5) * at.column
    middle = at.curves_top + (np.arange(steps) + 0.5) * at.curve

    def height(ratios: np.ndarray) -> np.ndarray:
        return middle - np.clip(ratios, -RANGE, RANGE) * half / RANGE

    ratios, seen = scene.ratios[:, :steps], scene.progress.revealed[:, :steps]
    if scene.truth is not None:
        for values, colour, width, dash in (
            (scene.truth.twin_ratios, TWIN, 1.1, (0, (2.0, 2.0))),
            (ratios, INK, 1.3, "solid"),
        ):
            y = height(values)
            sheet.lines([np.stack([x, y[:, step]], -1) for step in range(steps)], colour, width, dash)
    else:
        day, step = np.nonzero(~seen)
        sheet.dots(x[day], middle[step], FAINT, 2.0, "none", 0.0)
    day, step = np.nonzero(seen)
    if len(day):
        y = height(np.where(seen, ratios, 0.0))[day, step]
        if scene.truth is None:
            stems = np.stack([np.stack([x[day], middle[step]], -1), np.stack([x[day], y], -1)], 1)
            sheet.lines(stems, SOFT, 1.2)
        sheet.dots(x[day], y, colours(ratios[day, step]), 5.5)


def _cells(sheet: Sheet, at: Places, scene: Scene) -> None:
    """The board: a colour where known, an outline where reported, the truth at the end."""
    boxes = at.cells
    seen, known = scene.progress.revealed, ~np.isnan(scene.ratios)
    sheet.boxes(boxes[seen], colours(scene.ratios[seen]))
    small = known & ~seen & (np.abs(np.where(known, scene.ratios, 0.0)) >= 1.0)
    inset = np.array([at.column * 0.3, at.row * 0.28, -at.column * 0.6, -at.row * 0.56])
    sheet.boxes(boxes[small] + inset, colours(scene.ratios[small]))

    reported = scene.progress.reported
    outline = np.array([0.5, 0.5, -1.0, -1.0])
    if scene.truth is None:
        sheet.boxes(boxes[reported] + outline, "none", INK, 1.8)
        return
    expected = scene.truth.expected
    for cells, colour in (
        (expected & reported, FOUND),
        (expected & ~reported, MISSED),
        (reported & ~expected, WRONG),
    ):
        sheet.boxes(boxes[cells] + outline, "none", colour, 2.2)
    for day, entity in np.argwhere(reported).tolist():
        x, y = at.middle(day) - 0.5, at.rows_top[entity] + at.row / 2
        sheet.marks(x, y, bool(expected[day, entity]), PAPER, width=4.0)
        sheet.marks(x, y, bool(expected[day, entity]), FOUND if expected[day, entity] else WRONG)


def _scans(sheet: Sheet, at: Places, scene: Scene) -> None:
    """How many multiples of its threshold each family is known to reach on each date."""
    known = scene.progress.known.T
    for level, colour in enumerate(SCAN_COLOURS, start=1):
        sheet.boxes(at.flags[known == level], colour)


def _panel(sheet: Sheet, at: Places, scene: Scene) -> None:
    """Budget, steps and draft; at the end the score."""
    x, width, config, progress = at.panel, at.panel_width, scene.config, scene.progress
    sheet.text(x + width, 29, f"difficulty: {scene.difficulty}", 10, SOFT, "right")
    y = 78
    for name, left, full, colour in (
        ("budget left", progress.budget, config.budget, SPEND),
        ("steps left", config.step_limit - progress.steps, config.step_limit, TWIN),
    ):
        sheet.text(x, y, name, 9)
        sheet.boxes([(x + 80, y - 6, 100, 12), (x + 80, y - 6, 100 * left / full, 12)], [EMPTY, colour])
        sheet.text(x + width, y, f"{left} of {full}", 8.5, align="right")
        y += 24
    y += 12
    if scene.truth is None:
        count = len(scene.draft)
        sheet.text(x, y, "Draft", 11, bold=True)
        sheet.text(x + 52, y, f"{count} {'row' if count == 1 else 'rows'} reported", 8.5, SOFT)
        items = list(scene.draft)
    else:
        grade = scene.truth.grade
        sheet.text(x, y, f"Score {grade.score:.2f}", 15, bold=True)
        further = f"precision {grade.precision:.2f}, recall {grade.recall:.2f}"
        sheet.text(x + width, y, further, 8.5, SOFT, "right")
        y += 26
        sheet.text(x, y, f"{grade.matched} right, {grade.extra} wrong, {grade.missing} missed", 8.5, SOFT)
        items = sorted((*scene.draft, *scene.truth.missed), key=lambda item: (item.day, item.entity.index))
    if items:
        sheet.text(x + width, y, "thresholds", 8, SOFT, "right")
    y += 26
    bottom = calendar_list(sheet, at, scene, y) if scene.worldly else at.legend_top - 26
    room = max(1, int(bottom - y) // 36)
    shown = items if len(items) <= room else items[: room - 1]
    for item in shown:
        _item(sheet, at, scene, item, y)
        y += 36
    if len(shown) < len(items):
        sheet.text(x + 18, y, f"and {len(items) - len(shown)} more", 8.5, SOFT)


def _item(sheet: Sheet, at: Places, scene: Scene, item: DraftRow, y: float) -> None:
    """One row of the draft, or one missed incident: date, what happened, where, how large."""
    x, date = at.panel, dt.date.fromisoformat(item.row.date)
    reported = bool(scene.progress.reported[item.day, item.entity.index])
    right = scene.is_right(item)
    if right is None:
        sheet.boxes([(x, y - 4, 9, 8)], "none", INK, 1.6)
    elif reported:
        sheet.marks(x + 5, y, right, FOUND if right else WRONG)
    else:
        sheet.boxes([(x, y - 5, 10, 9)], "none", MISSED, 2.0)
    family = FAMILIES[item.row.anomaly_type].label
    size = f"{item.ratio:+.1f}" if abs(item.ratio) < 100 else f"{item.ratio:+.0f}"
    if scene.truth is not None and not right:
        why = WRONG_BECAUSE[CellClass(scene.truth.classes[item.day, item.entity.index])]
        mark = scene.truth.explained[item.day, item.entity.index]
        size = f"{why} by {mark}" if mark else f"{why}, {size}"
    colour = INK if right is None else FOUND if right and reported else MISSED if not reported else WRONG
    sheet.text(x + 20, y, f"{MONTHS[date.month - 1]} {date.day}", 8.5, colour, bold=True)
    sheet.text(x + 72, y, family, 8.5, colour, bold=True)
    sheet.text(x + at.panel_width, y, size, 8, SOFT, "right")
    sheet.text(x + 72, y + 15, entity_names(scene.catalogue)[item.entity.index], 8, SOFT)
