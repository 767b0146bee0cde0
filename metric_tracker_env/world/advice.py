"""What to ask for instead of an explicit anomaly that the data cannot carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from metric_tracker_env.config import ExplicitAnomaly, TargetAnomaly
from metric_tracker_env.model import limits_of
from metric_tracker_env.schema import DIFFICULTIES, Entity
from metric_tracker_env.world.bench import Ask, Bench
from metric_tracker_env.world.reach import TARGET_MARGIN, Room, nominal_ground, room

SLACK = 0.02  # by which a range that is advised stays inside what is possible, as all anomalies pull at the medians
DIGITS = 3  # significant digits of advised values


def advice(bench: Bench, spec: ExplicitAnomaly, entity: Entity, days: list[int]) -> str:
    """What is possible instead of an anomaly that none of some days can carry, in words.

    A size, where there is one that works; else another direction, date, difficulty or entity for which this one does.
    """
    assert isinstance(spec, TargetAnomaly)  # impossible counts can go anywhere
    sizes = [
        (_miss(bench, ask, found), text)
        for day in days
        for sign in _signs(spec.directions)
        for ask in [Ask(day, entity, spec, sign)]
        for found in [bench.room(ask)]
        for text in [_range(bench, ask, found)]
        if text
    ]
    if sizes:
        return min(sizes)[1]
    found = [*_directions(bench, spec, entity, days), *_dates(bench, spec, entity, days)]
    found += [*_difficulties(bench, spec, entity), *_entities(bench, spec, entity, days)]
    no = f"no {spec.parameter} is possible there, as an anomaly is at least {TARGET_MARGIN} detection thresholds large"
    return f"{no}; what is: {'; '.join(found)}" if found else f"{no}, nor in another direction or on another date"


def _signs(directions: tuple[str, ...]) -> list[float]:
    return [1.0 if direction == "up" else -1.0 for direction in directions]


def _miss(bench: Bench, ask: Ask, found: Room) -> float:
    """How far the size that is asked for is from the room, relative to it."""
    size = bench.size(ask)
    return max(size / max(found.most, 1e-9), max(found.least, 1e-9) / size)


def _range(bench: Bench, ask: Ask, found: Room) -> str:
    """The values of the method's parameter that reach into the room, in words; nothing if there is none."""
    spec = ask.spec
    assert isinstance(spec, TargetAnomaly)
    unit = bench.unit(ask.entity, spec)
    if found.empty or unit <= 0:
        return ""
    free = found.least <= bench.least_size(ask.entity)  # smaller amounts are made as large as that
    amounts = (found.least * (0.0 if free else 1.0 + SLACK) / unit, found.most * (1.0 - SLACK) / unit)
    if amounts[0] >= amounts[1] or found.least >= found.most * (1.0 - SLACK):
        return ""
    low, high = sorted(map(spec.asking_for, amounts))
    least, most = limits_of(type(spec), spec.parameter)
    parts = [f"from {_rounded(low, math.ceil):g}"] if low > least else []
    parts += [f"up to {_rounded(high, math.floor):g}"] if high < most else []
    if not parts:
        return ""
    direction = "up" if ask.sign > 0 else "down"
    where = f"going {direction} on {bench.config.date_names[ask.day]}"
    return f"possible is a {spec.parameter} {' '.join(parts)}, {where}"


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """A value with ``DIGITS`` significant digits."""
    scale = 10.0 ** (DIGITS - 1 - math.floor(math.log10(value)))
    return towards(value * scale) / scale


def _fits(bench: Bench, asks: Iterable[Ask]) -> bool:
    """Whether one of some anomalies is possible as asked."""
    return any(bench.fault(ask) is None for ask in asks)


def _directions(bench: Bench, spec: TargetAnomaly, entity: Entity, days: list[int]) -> list[str]:
    others = [direction for direction in spec.ways if direction not in spec.directions]
    fit = [d for d in others if _fits(bench, (Ask(day, entity, spec, sign) for day in days for sign in _signs((d,))))]
    return [f"direction {', '.join(map(repr, fit))}"] if fit else []


def _dates(bench: Bench, spec: TargetAnomaly, entity: Entity, days: list[int]) -> list[str]:
    signs, names = _signs(spec.directions), bench.config.date_names
    others = [day for day in bench.config.candidate_days if day not in days]
    fit = [names[day] for day in others if _fits(bench, (Ask(day, entity, spec, sign) for sign in signs))]
    return [f"date {fit[0]}" + (f" or {len(fit) - 1} others" if len(fit) > 1 else "")] if fit else []


def _difficulties(bench: Bench, spec: TargetAnomaly, entity: Entity) -> list[str]:
    """Difficulties at which a mean day has room, as their data are not made yet."""
    fit: list[str] = []
    for difficulty in DIFFICULTIES:
        ground = nominal_ground(bench.config, difficulty)
        rooms = [room(bench.config, difficulty, entity, ground, sign) for sign in _signs(spec.directions)]
        if difficulty != bench.difficulty and any(found.least < found.most * (1.0 - SLACK) for found in rooms):
            fit.append(repr(difficulty))
    return [f"difficulty {' or '.join(fit)}"] if fit else []


def _entities(bench: Bench, spec: TargetAnomaly, entity: Entity, days: list[int]) -> list[str]:
    fit = [
        name
        for name, other in spec.choices(bench.config.catalogue).items()
        if other is not entity
        and _fits(bench, (Ask(day, other, spec, sign) for day in days for sign in _signs(spec.directions)))
    ]
    return [f"{spec.named[0].removesuffix('_name')} {', '.join(fit)}"] if fit and spec.named else []
