"""The analyst: scan, open the dates in order of promise, inspect what is asked for, apply the signature rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from metric_tracker_env.config import FIRST_CANDIDATE_DAY, LAST_CLEAN_DAYS
from metric_tracker_env.measure import SEASONAL_MIN_DAYS
from metric_tracker_env.play.supply import RATIO_CLIP

from .desk import (
    COUNT_FAMILIES,
    FUNNEL_FAMILY,
    FUNNEL_TOOL,
    HOURLY_TOOL,
    MIX_FAMILY,
    QUALITY_FAMILY,
    QUALITY_TOOL,
    Desk,
)
from .script import Script, register
from .signature import NO_INCIDENT, Moves, SignatureRule, nominal_season

CLIPPED = 0.999 * RATIO_CLIP  # an observed deviation from here on may be larger than it shows


class SignatureScript(Script):
    """Reads an opened date with the signature rule."""

    def __init__(self, place: gym.Env[np.ndarray, Any] | Desk) -> None:
        super().__init__(place)
        config = self.desk.config.generator
        self.rule = SignatureRule(config, self.desk.config.difficulty)
        self.season = nominal_season(config)
        self.seasonal = config.num_days >= SEASONAL_MIN_DAYS
        self.several = config.replay is not None  # causes on a date: drawn episodes have one at most

    def moves(self, day: int) -> Moves:
        """What is known of an opened date."""
        desk, rule = self.desk, self.rule
        catalogue = desk.catalogue
        steps, at = catalogue.num_steps, catalogue.slices
        deviation, revealed = desk.deviation(day).astype(np.float64), desk.revealed(day)
        relative = 1.0 + deviation * rule.shares
        counts = np.maximum(relative[:steps], 1e-6)
        rates = counts[1:] / counts[:-1]
        exact = revealed & (np.abs(deviation) < CLIPPED)
        for step in range(1, steps):
            for entity in (rule.single.get(step), rule.funnel + step):
                if entity is not None and exact[entity]:
                    rates[step - 1] = relative[entity]
        deviation_of_entry = desk.season(day) if self.seasonal else deviation[0]
        expected = self.season[day]
        entry = (expected if self.seasonal else 1.0) + deviation_of_entry * rule.shares[0]
        return Moves(
            rates=rates[:, None],
            limits=rule.rate_limits,
            entry=np.array([entry / expected]),
            flagged=desk.confirmed(day)[:, None],
            excess=deviation[at["data_quality"]][:, None],
        )

    def root(self, day: int) -> int:
        """The root that the evidence on a date names, or ``NO_INCIDENT``."""
        if not self.desk.confirmed(day).any():
            return NO_INCIDENT
        return int(self.rule.name(self.moves(day))[0])

    def use(self, action: int) -> Iterator[int]:
        """An action if it is legal."""
        if self.desk.may(action):
            yield action

    def conclude(self, day: int) -> Iterator[int]:
        """Report the root of a date, if there is one."""
        root = self.root(day)
        if root != NO_INCIDENT:
            yield from self.use(self.desk.report(day, root))
            second = self.beside(day, root) if self.several else NO_INCIDENT
            if second != NO_INCIDENT:
                yield from self.use(self.desk.report(day, second))

    def beside(self, day: int, root: int) -> int:
        """A second cause on a date, that the first can neither lead to nor follow from; or ``NO_INCIDENT``.

        First-step traffic and the rates move without each other, and so do the mix of the hours and the rates, so that
        of a date on which both are beyond their thresholds one alone is no explanation. Traffic and the mix are taken
        for one: a part of a day that is lost moves both.
        """
        rule, moves = self.rule, self.moves(day)
        if root == rule.mix:
            others = np.arange(len(moves.flagged))[:, None] != rule.mix
            left = moves._replace(flagged=moves.flagged & others)
        elif root == 0:
            left = moves._replace(entry=np.ones(1))
        elif root < rule.quality:
            left = moves._replace(rates=np.ones_like(moves.rates))
        else:
            return NO_INCIDENT
        second = int(rule.name(left)[0])
        return NO_INCIDENT if second == root or {root, second} == {0, rule.mix} else second


@register("analyst_blind")
class BlindAnalyst(SignatureScript):
    """Surveys once; opens the dates that only an incident can flag, then those that weekday and trend explain least.

    It knows of no announcement; where there are none, it is the analyst.
    """

    def play(self) -> Iterator[int]:
        """Survey, then date by date: open, inspect, report."""
        desk = self.desk
        yield from self.use(desk.survey)
        flags = desk.flags() > 0
        for day in self.ranked(flags):
            if not desk.may(desk.open(day)):
                break
            yield desk.open(day)
            quality, mix, funnel = (flags[family, day] for family in (QUALITY_FAMILY, MIX_FAMILY, FUNNEL_FAMILY))
            if quality:
                yield from self.use(desk.inspect(QUALITY_TOOL, day))
            elif mix:
                yield from self.use(desk.inspect(HOURLY_TOOL, day))
            if funnel and not quality and (self.several or not mix) and self.root(day) not in self.rule.inner_counts:
                # A tracking error that doubles a count also lowers the rate after it; such a date needs no look.
                yield from self.use(desk.inspect(FUNNEL_TOOL, day))
            yield from self.conclude(day)

    def ranked(self, flags: np.ndarray) -> list[int]:
        """Flagged dates, by how little of the flag the calendar explains; (7, D) bool."""
        drop, spike = COUNT_FAMILIES
        certain = np.delete(flags, COUNT_FAMILIES, axis=0).any(axis=0)
        # Deviation that weekday and trend alone lead one to expect, towards the flag, in thresholds.
        natural = (self.season - 1.0) / self.rule.shares[0]
        explained = np.maximum(np.where(flags[spike], natural, -np.inf), np.where(flags[drop], -natural, -np.inf))
        explained[certain] = -np.inf
        order = np.argsort(explained, kind="stable")
        return [day for day in order.tolist() if flags[:, day].any()]


@register("one_by_one")
class OneByOne(SignatureScript):
    """Opens the dates in order, without a scan, and applies the signature rule to each."""

    def play(self) -> Iterator[int]:
        """Date by date: open, inspect where the rates ask for it, report."""
        desk = self.desk
        for day in range(FIRST_CANDIDATE_DAY, desk.days - LAST_CLEAN_DAYS):
            if not desk.may(desk.open(day)):
                break
            yield desk.open(day)
            if (
                np.abs(desk.deviation(day)[desk.catalogue.num_steps :]).max(initial=0.0) < 0.5
                and not desk.confirmed(day).any()
            ):
                continue
            moves = self.moves(day)
            moved = (moves.rates - 1.0)[:, 0] / moves.limits[:, 0]
            after = np.append(moved[1:], -np.inf)
            if (moves.rates < 0.7).any() and self.root(day) not in self.rule.inner_counts:
                yield from self.use(desk.inspect(FUNNEL_TOOL, day))
            elif ((moved > 0.5) & (after < -0.5)).any():  # logged above its upstream, or a count that is doubled
                yield from self.use(desk.inspect(QUALITY_TOOL, day))
            yield from self.conclude(day)
