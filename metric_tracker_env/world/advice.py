"""What to ask for instead of an explicit anomaly that the data cannot carry."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from metric_tracker_env.config import ExplicitAnomaly, TargetAnomaly
from metric_tracker_env.model import limits_of
from metric_tracker_env.schema import DIFFICULTIES, Entity
from metric_tracker_env.world.bench import Ask, Bench
from metric_tracker_env.world.reach import TARGET_MARGIN, nominal_ground, room

SLACK = 0.02  # by which a range that is advised stays inside what is possible, as all anomalies pull at the medians
DIGITS = 3  # significant digits of advised values


class Range(NamedTuple):
    """Amounts of a method that are possible for some of what it names."""

    low: float
    high: float
    where: str

    @property
    def empty(self) -> bool:
        """Whether there is none, with some slack."""
        return self.low >= self.high * (1.0 - SLACK)


def advice(bench: Bench, spec: ExplicitAnomaly, entity: Entity, days: list[int]) -> str:
    """What is possible instead of an anomaly that none of some days can carry, in words.

    A size, where there is one that works for all that the item names, or for this entity alone; else another direction,
    date, difficulty or entity for which this size works.
    """
    assert isinstance(spec, TargetAnomaly)  # impossible counts can go anywhere
    named = spec.all_dates and len(spec.all_dates) * len(spec.entities(bench.config.catalogue)) > 1
    for found in (_for_all(bench, spec) if named else None, _best(bench, spec, entity, days)):
        text = _told(spec, found) if found and not found.empty else ""
        if text:
            return text
    others = [*_directions(bench, spec, entity, days), *_dates(bench, spec, entity, days)]
    others += [*_difficulties(bench, spec, entity), *_entities(bench, spec, entity, days)]
    no = f"no {spec.parameter} is possible there, as an anomaly is at least {TARGET_MARGIN} detection thresholds large"
    return f"{no}; what is: {'; '.join(others)}" if others else f"{no}, nor in another direction or on another date"


def _signs(directions: tuple[str, ...]) -> list[float]:
    return [1.0 if direction == "up" else -1.0 for direction in directions]


def _best(bench: Bench, spec: TargetAnomaly, entity: Entity, days: list[int]) -> Range | None:
    """Of the directions and days that are open, the possible amounts that are nearest to what is asked for."""
    unit = bench.unit(entity, spec)
    found: list[tuple[float, Range]] = []
    for day, sign in itertools.product(days, _signs(spec.directions) if unit > 0 else ()):
        sizes = bench.room(Ask(day, entity, spec, sign))
        free = sizes.least <= bench.least_size(entity)  # smaller amounts are made as large as that
        direction = "up" if sign > 0 else "down"
        amounts = Range(
            0.0 if free else sizes.least * (1.0 + SLACK) / unit,
            sizes.most * (1.0 - SLACK) / unit,
            f"going {direction} on {bench.config.date_names[day]}",
        )
        if not sizes.empty and not amounts.empty:
            found.append((max(spec.amount / amounts.high, amounts.low / spec.amount), amounts))
    return min(found)[1] if found else None


def _for_all(bench: Bench, spec: TargetAnomaly) -> Range | None:
    """The amounts that are possible for each date and entity that a method names; None if one of them has none."""
    days = [bench.config.day_index(date) for date in spec.all_dates]
    found = [_best(bench, spec, entity, [day]) for day in days for entity in spec.entities(bench.config.catalogue)]
    ranges = [item for item in found if item]
    if len(ranges) < len(found):
        return None
    return Range(max(item.low for item in ranges), min(item.high for item in ranges), "for all that it names")


def _told(spec: TargetAnomaly, amounts: Range) -> str:
    """The values of a method's parameter that ask for some amounts, in words."""
    low, high = sorted(map(spec.asking_for, amounts[:2]))
    least, most = limits_of(type(spec), spec.parameter)
    parts = [f"from {_rounded(low, math.ceil):g}"] if low > least else []
    parts += [f"up to {_rounded(high, math.floor):g}"] if high < most else []
    return f"possible is a {spec.parameter} {' '.join(parts)}, {amounts.where}" if parts else ""


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
