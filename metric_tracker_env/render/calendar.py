"""What is known beside incidents, in a frame: announced events, lost hours, and the cells that they explain."""

from __future__ import annotations

import datetime as dt

import numpy as np

from metric_tracker_env.render.layout import MONTHS, Places, entity_names, shortened
from metric_tracker_env.render.scene import Announced, Lost, Scene
from metric_tracker_env.render.sheet import DASH, INK, KNOWN, LOST, SOFT, Sheet, rgb

EVENT_HEIGHT, GAP_HEIGHT = 30, 18  # pixels of an item of the list
HEADING = 32
NAME_LENGTH = 29  # beside what came of the event


def calendar_columns(sheet: Sheet, at: Places, scene: Scene) -> None:
    """A tint behind the counts on the dates of events and lost hours."""
    spans = [(event.first, event.last, KNOWN) for event in scene.events if event.came_true is not False]
    spans += [(lost.day, lost.day, LOST) for lost in scene.lost]
    for first, last, colour in spans:
        left, width = at.left + first * at.column, (last - first + 1) * at.column
        tint = (*rgb(colour), 0.14)
        sheet.boxes([(left, at.curves_top, width, at.curve * scene.catalogue.num_steps)], tint)


def calendar_marks(sheet: Sheet, at: Places, scene: Scene) -> None:
    """The strip above the dates, an outline of the announced cells, and at the end a letter on each explained cell."""
    for event in scene.events:
        sheet.event(at.strip_box(event.first, event.last), event.mark, event.came_true is not False)
        box = np.array(at.cells[event.first, event.entity.index], float)
        box[2] = (event.last - event.first + 1) * at.column - 1
        sheet.boxes(box + np.array([-0.5, -0.5, 1.0, 1.0]), "none", KNOWN, 1.4, DASH)
    for lost in scene.lost:
        sheet.lost(at.strip_box(lost.day, lost.day), lost.mark)
    if scene.truth is not None:
        explained, size = scene.truth.explained, min(9.0, 0.62 * at.column)
        for day, entity in np.argwhere((explained != "") & ~scene.progress.reported).tolist():
            y = at.rows_top[entity] + (at.row - 1) / 2
            sheet.badge(at.middle(day) - 0.5, y, str(explained[day, entity]), size)


def calendar_list(sheet: Sheet, at: Places, scene: Scene, top: float) -> float:
    """The events and lost hours in words, above the legend and in at most half of the room below ``top``.

    Returns:
        Where the list begins, below which nothing else may be drawn.
    """
    items: list[Announced | Lost] = sorted((*scene.events, *scene.lost), key=_day)
    most = (at.legend_top - 26 - top) / 2
    heights = np.array([EVENT_HEIGHT if isinstance(item, Announced) else GAP_HEIGHT for item in items])
    shown = int((HEADING + heights.cumsum() <= most).sum())
    left = len(items) - shown
    begin = at.legend_top - 26 - HEADING - int(heights[:shown].sum()) - GAP_HEIGHT * (left > 0)
    y = begin + 12
    sheet.text(at.panel, y, "Calendar", 11, bold=True)
    listed = f"{len(scene.events)} known events" if scene.over or scene.progress.informed else "events not listed"
    sheet.text(at.panel + 84, y, listed, 8.5, SOFT)
    y += 20
    for item, height in zip(items[:shown], heights, strict=False):
        if isinstance(item, Announced):
            _event(sheet, at, scene, item, y)
        else:
            _gap(sheet, at, item, y)
        y += height
    if left:
        sheet.text(at.panel + 24, y, f"and {left} more", 8.5, SOFT)
    return begin


def _day(item: Announced | Lost) -> int:
    return item.first if isinstance(item, Announced) else item.day


def _event(sheet: Sheet, at: Places, scene: Scene, item: Announced, y: float) -> None:
    """What was announced, when and for what; at the end what came of it."""
    x, right, event = at.panel, at.panel + at.panel_width, item.event
    sheet.event((x, y - 6.5, 17, 13), item.mark, item.came_true is not False)
    sheet.text(x + 24, y, _span(event.first_date, event.last_date), 8)
    sheet.text(x + 112, y, event.kind.replace("_", " "), 8, KNOWN, bold=True)
    sheet.text(right, y, f"{event.expected_change:+g} {'%' if event.unit == 'percent' else 'points'}", 8, INK, "right")
    name = shortened(entity_names(scene.catalogue)[item.entity.index], NAME_LENGTH)
    sheet.text(x + 24, y + 13, name, 7.5, SOFT)
    if item.came_true is not None:
        sheet.text(right, y + 13, "came true" if item.came_true else "changed nothing", 7.5, SOFT, "right")


def _gap(sheet: Sheet, at: Places, item: Lost, y: float) -> None:
    """Which hours a date lost."""
    sheet.lost((at.panel, y - 6.5, 17, 13), item.mark)
    sheet.text(at.panel + 24, y, _span(item.gap.date, item.gap.date), 8)
    sheet.text(at.panel + 112, y, "hours lost", 8, LOST, bold=True)
    hours = f"{item.gap.first_hour}:00 to {item.gap.last_hour + 1}:00"
    sheet.text(at.panel + at.panel_width, y, hours, 8, INK, "right")


def _span(first: str, last: str) -> str:
    """Dates as short as they can be told."""
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    told = f"{MONTHS[start.month - 1]} {start.day}"
    if end > start:
        told += f" to {end.day}" if end.month == start.month else f" to {MONTHS[end.month - 1]} {end.day}"
    return told
