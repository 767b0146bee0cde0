"""A scene as text for a terminal of 120 columns, with ANSI colours."""

from __future__ import annotations

import textwrap

import numpy as np

from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.render.scene import DraftRow, Scene, codes
from metric_tracker_env.schema import ANOMALY_TYPES, ENTITY_TYPES

WIDTH = 118
BAR = 24  # characters of a full budget
LEVEL_MARKS = "·▂▅█"  # by the number of SCAN_MULTIPLIERS that a family is known to reach
FAMILY_HEADS = ("rrccfmq", "↓↑↓↑   ")  # two lines, one column a family
WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MARK_REPORTED, MARK_FOUND, MARK_WRONG, MARK_MISSED = "*", "✓", "x", "!"

RESET = "\033[0m"
BOLD, DIM = "1", "2"
GREEN, RED, YELLOW, CYAN = "32", "31", "33", "36"
DOWN = ("31", "1;97;41")  # beyond 1 threshold, beyond 2
UP = ("34", "1;97;44")


def text(scene: Scene) -> str:
    """Draw a scene: header, board of dates x entities, legend, calendar, draft, and at the end the grade.

    Returns:
        Lines with ANSI colours, at most 120 columns wide.
    """
    parts = [_header(scene), _board(scene), _legend(scene)]
    parts += [_calendar(scene), _draft(scene)] if scene.worldly else [_draft(scene)]
    if scene.truth is not None:
        grade = scene.truth.grade
        parts.append(
            _paint(f"Score {grade.score:.3f}", BOLD)
            + f"   precision {grade.precision:.2f}   recall {grade.recall:.2f}"
            + f"   right {grade.matched}   wrong {grade.extra}   missed {grade.missing}"
        )
    return "\n\n".join(parts) + "\n"


def _paint(string: str, *styles: str) -> str:
    return f"\033[{';'.join(styles)}m{string}{RESET}" if styles and string.strip() else string


def _header(scene: Scene) -> str:
    config, progress, names = scene.config, scene.progress, scene.generator.date_names
    full = round(BAR * progress.budget / config.budget)
    focus = names[progress.focus] if progress.focus >= 0 else "none"
    return "\n".join(
        (
            _paint("Metric tracker", BOLD)
            + f"   {names[0]} to {names[-1]}   {scene.difficulty}   {'over' if scene.over else 'playing'}",
            f"budget {_paint('█' * full, CYAN)}{_paint('░' * (BAR - full), DIM)} {progress.budget}/{config.budget}"
            f"   steps {progress.steps}/{config.step_limit}   reports {len(scene.draft)}   focus {focus}",
        )
    )


def _board(scene: Scene) -> str:
    progress, names = scene.progress, scene.generator.date_names
    labels = codes(scene.catalogue)
    known = _known(scene)
    left = len(">03-04 We ") + 2 * scene.worldly + len(ANOMALY_TYPES) + 1
    width = max(1, min(5, (WIDTH - left) // len(labels)))
    lines = [" " * (left - len(head) - 1) + head for head in FAMILY_HEADS]
    if width > max(map(len, labels)):
        lines[-1] += " " + "".join(f"{label:>{width - 1}} " for label in labels)
    else:  # too narrow: the labels stand upright
        upright = max(map(len, labels))
        lines = [" " * (left - len(FAMILY_HEADS[0]) - 1)] * (upright - len(lines)) + lines
        for place in range(upright):
            head = "".join(f"{label.ljust(upright)[place]:<{width}}" for label in labels)
            lines[len(lines) - upright + place] = f"{lines[len(lines) - upright + place]:<{left}}{head}"
    for day, name in enumerate(names):
        focused = day == progress.focus
        date = f"{'>' if focused else ' '}{name[5:]} {WEEKDAYS[scene.generator.weekdays[day]]} "
        seen = bool(progress.opened[day] or progress.revealed[day].any())
        what = _paint(f"{known.get(day, ' ')} ", CYAN) if scene.worldly else ""
        scans = "".join(LEVEL_MARKS[level] for level in progress.known[:, day])
        cells = "".join(_cell(scene, day, entity, width) for entity in range(len(labels)))
        lines.append(
            _paint(date, *((BOLD,) if focused or seen else (DIM,)))
            + what
            + _paint(scans, *((YELLOW,) if progress.known[:, day].any() else (DIM,)))
            + f" {cells}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _cell(scene: Scene, day: int, entity: int, width: int) -> str:
    """One cell: the deviation in thresholds as wide as fits, then its mark."""
    ratio = scene.ratios[day, entity]
    mark, style = _mark(scene, day, entity)
    if np.isnan(ratio):
        value, styles = "·", (DIM,)
    else:
        size, sign = min(abs(ratio), 9.9), "-" if ratio < 0 else "+"
        digits = f"{int(size * 10) / 10:.1f}"  # cut, not rounded: 1.0 is over the threshold, 0.9 is not
        value = sign + (digits if width >= 5 else digits[0])
        if width < 3:
            value = sign if size >= 1 else "0"
        styles = ((UP if ratio > 0 else DOWN)[int(size >= 2)],) if size >= 1 else (DIM,)
    if width == 1:
        return _paint(mark, style) if mark.strip() else _paint(value, *styles)
    return " " * (width - 1 - len(value)) + _paint(value, *styles) + _paint(mark, style)


def _mark(scene: Scene, day: int, entity: int) -> tuple[str, str]:
    reported = scene.progress.reported[day, entity]
    if scene.truth is None:
        return (MARK_REPORTED, BOLD) if reported else (" ", BOLD)
    if scene.truth.expected[day, entity]:
        return (MARK_FOUND, GREEN) if reported else (MARK_MISSED, YELLOW)
    if reported:
        return MARK_WRONG, RED
    return str(scene.truth.explained[day, entity]) or " ", CYAN


def _known(scene: Scene) -> dict[int, str]:
    """The mark of each date of an event or of lost hours."""
    spans = {day: event.mark for event in scene.events for day in range(event.first, event.last + 1)}
    return spans | {lost.day: lost.mark for lost in scene.lost}


def _legend(scene: Scene) -> str:
    labels, catalogue = codes(scene.catalogue), scene.catalogue
    lines: list[str] = []
    for kind in ENTITY_TYPES:
        members = catalogue.entities[catalogue.slices[kind]]
        if members:
            listed = "  ".join(f"{labels[e.index]}\N{NO-BREAK SPACE}{e.entity_name}" for e in members)
            lines += textwrap.wrap(listed, WIDTH, initial_indent=f"{kind:<16}", subsequent_indent=" " * 16)
    multipliers = "  ".join(f"{mark} {m:g}x" for mark, m in zip(LEVEL_MARKS[1:], SCAN_MULTIPLIERS, strict=True))
    marks = f"{MARK_REPORTED} reported"
    if scene.over:
        marks = f"{MARK_FOUND} right  {MARK_WRONG} wrong  {MARK_MISSED} missed"
    lines += [
        f"{'cells':<16}signed deviation from the median in detection thresholds; · not revealed; {marks}",
        f"{'scans':<16}r rate, c count, f funnel break, m hourly mix, q data quality; flagged at {multipliers}",
    ]
    if scene.worldly:
        what = "A B C known events, a b c lost hours: on their dates"
        lines.append(f"{'calendar':<16}{what}{', and on the cells that they explain' if scene.over else ''}")
    return "\n".join(_paint(line.replace("\N{NO-BREAK SPACE}", " "), DIM) for line in lines)


def _calendar(scene: Scene) -> str:
    """What was announced, and which hours were lost; at the end what came of it and how many cells it explains."""
    labels, lines = codes(scene.catalogue), [_paint("Calendar", BOLD)]
    for item in scene.events:
        event = item.event
        until = f" to {event.last_date}" if item.last > item.first else ""
        change = f"{event.expected_change:+g}{'%' if event.unit == 'percent' else ' points'}"
        fate = {None: "", True: "came true", False: "changed nothing"}[item.came_true]
        lines.append(
            f"{_paint(item.mark, CYAN)} {event.first_date + until:<24} {labels[item.entity.index]:>3}"
            f" {event.entity_name:<38.38} {event.kind.replace('_', ' '):<19} {change:>11} {fate}".rstrip()
        )
    if not scene.over and not scene.progress.informed:
        lines.append("  known events not listed")
    elif not scene.events:
        lines.append("  no known events")
    for item in scene.lost:
        gap = item.gap
        lines.append(f"{_paint(item.mark, CYAN)} {gap.date}  hours {gap.first_hour} to {gap.last_hour} lost")
    if scene.truth is not None:
        explained = scene.truth.explained != ""
        mistaken = int((explained & scene.progress.reported).sum())
        lines.append(f"  {int(explained.sum())} explained cells, {mistaken} of them reported by mistake")
    return "\n".join(lines)


def _draft(scene: Scene) -> str:
    lines = [_paint("Submitted" if scene.over else "Draft", BOLD)]
    labels = codes(scene.catalogue)
    for item in scene.draft:
        right = scene.is_right(item)
        mark, style = {None: (MARK_REPORTED, BOLD), True: (MARK_FOUND, GREEN), False: (MARK_WRONG, RED)}[right]
        lines.append(f"{_paint(mark, style)} {_row(item, labels)}")
        if scene.truth is not None and (by := scene.truth.explained[item.day, item.entity.index]):
            lines.append(f"  explained by {_paint(str(by), CYAN)}: no incident")
    if not scene.draft:
        lines.append("  no rows")
    if scene.truth is not None:
        lines += [f"{_paint(MARK_MISSED, YELLOW)} {_row(item, labels)}" for item in scene.truth.missed]
    return "\n".join(lines)


def _row(item: DraftRow, labels: tuple[str, ...]) -> str:
    row = item.row
    return (
        f"{row.date} {labels[item.entity.index]:>3} {row.entity_name:<38.38} {row.anomaly_type:<35}"
        f" {item.ratio:>+6.1f}x {row.severity}"
    )
