"""The analyst: in the realistic world it learns what was announced, and spends the rest where that explains least."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from metric_tracker_env.schema import ANOMALY_TYPES, FAMILIES, AnomalyType

from .analyst import BlindAnalyst, SignatureScript
from .calendar_rule import CalendarRule, Known, Sight
from .desk import HOURLY_TOOL, MIX_FAMILY, QUALITY_FAMILY, TOOL_OF_TYPE, Desk
from .script import register
from .signature import NO_INCIDENT

# Families that an event or incident of each family can flag on its date, by what follows from it.
FOLLOWING: dict[AnomalyType, tuple[AnomalyType, ...]] = {
    "rate_drop_from_median": ("absolute_drop_in_event_count",),
    "rate_spike_from_median": ("absolute_spike_in_event_count",),
    "absolute_drop_in_event_count": ("rate_drop_from_median", "rate_spike_from_median"),
    "absolute_spike_in_event_count": ("rate_drop_from_median", "rate_spike_from_median"),
    "funnel_break": ("rate_drop_from_median", "absolute_drop_in_event_count"),
    "hourly_traffic_mix_shift": (),
    "instrumentation_data_quality_issue": (
        "rate_drop_from_median",
        "rate_spike_from_median",
        "absolute_spike_in_event_count",
        "funnel_break",
    ),
}
DROP, SPIKE = 2, 3  # positions in ANOMALY_TYPES
# What a unit spent on a date is worth: chances that it holds an incident, by what is flagged there and not explained.
CERTAIN, SHIFTED, NEIGHBOUR, FEWER, ANNOUNCED, SEASONAL = 1.0, 0.8, 0.35, 0.07, 0.09, 0.04
NEARLY = 0.85  # thresholds from which weekday and trend may be what flags a count
SHORT_OF = 4.0  # deviations of the noise by which traffic must be short for a look at the hours


class CalendarAnalyst(SignatureScript):
    """Surveys and lists the known events; then opens date after date, the most promising first."""

    rule: CalendarRule

    def __init__(self, place: gym.Env[np.ndarray, Any] | Desk) -> None:
        super().__init__(place)
        config = self.desk.config.generator
        self.rule = CalendarRule(config, self.desk.config.difficulty)
        self._natural = (self.season - 1.0) / self.rule.shares[0]  # thresholds
        following = np.eye(len(ANOMALY_TYPES), dtype=bool)
        for family, others in FOLLOWING.items():
            following[ANOMALY_TYPES.index(family), [ANOMALY_TYPES.index(other) for other in others]] = True
        self._following = following
        self._gaps = config.world is not None and config.world.gaps[1] > 0  # whether hours may have been lost

    def play(self) -> Iterator[int]:
        """List the events, survey, then date by date: open, inspect, report."""
        desk = self.desk
        assert desk.events is not None
        yield from self.use(desk.events)
        yield from self.use(desk.survey)
        flags, announced = desk.flags() > 0, desk.announced_families()
        promise = self.promise(flags, announced)
        while promise.max() > 0:
            day = int(promise.argmax())
            promise[day] = 0.0
            if not desk.may(desk.open(day)):
                continue  # it is too dear, or in focus
            yield desk.open(day)
            root = yield from self._look(day, flags[:, day] & ~(announced[:, day] @ self._following))
            if self._gaps and root == 0 and desk.deviation(day)[0] < 0 and not desk.revealed(day)[self.rule.mix]:
                continue
            if root != NO_INCIDENT and desk.may(desk.report(day, root)):
                yield desk.report(day, root)
                for other in (day - 1, day + 1):
                    if 0 <= other < desk.days and 0 < promise[other] < NEIGHBOUR:
                        promise[other] = NEIGHBOUR

    def promise(self, flags: np.ndarray, announced: np.ndarray) -> np.ndarray:
        """(D,) worth of opening each date; (7, D) bool each: what the survey flagged, what was announced."""
        explained = (announced.T @ self._following).T
        unexplained = flags & ~explained
        seasonal = np.zeros_like(flags)
        seasonal[DROP], seasonal[SPIKE] = self._natural <= -NEARLY, self._natural >= NEARLY
        unexplained &= ~seasonal
        only = unexplained.sum(axis=0)
        short, shifted = unexplained[DROP], unexplained[MIX_FAMILY]
        told = announced.any(axis=0)
        worth = np.where(told, ANNOUNCED, SEASONAL)
        worth[only > 0] = CERTAIN
        alone = ~told & shifted & (only == 1)
        worth[alone] = SHIFTED
        if self._gaps:
            worth[~told & short & (only == 1)] = FEWER
            worth[~told & short & shifted & (only == 2)] = 0.0  # hours were lost
        worth[announced[QUALITY_FAMILY]] = 0.0  # no incident can be told there
        worth[~flags.any(axis=0)] = 0.0
        return worth

    def _look(self, day: int, unexplained: np.ndarray) -> Generator[int, None, int]:
        """Use the further tools that the opened date asks for; (7,) bool, what is flagged and not announced.

        Returns:
            The root that all the evidence names.
        """
        desk, flagged = self.desk, self.desk.flags()[:, day] > 0
        if unexplained[QUALITY_FAMILY]:
            yield from self.use(desk.inspect(TOOL_OF_TYPE["data_quality"], day))
            return self.named(day, flagged)
        seen, known = self.sight(day), self.known(day)
        residual = np.log(seen.entry.item()) / self.rule.entry_noise
        short = self._gaps and residual < -SHORT_OF and known.entity.item() != 0
        if unexplained[MIX_FAMILY] or short:
            yield from self.use(desk.inspect(HOURLY_TOOL, day))
        root = self.named(day, flagged)
        if root == NO_INCIDENT or desk.revealed(day)[root]:
            return root
        yield from self.use(desk.inspect(TOOL_OF_TYPE[desk.entities[root].entity_type], day))
        return self.named(day, flagged)

    def named(self, day: int, flagged: np.ndarray) -> int:
        """The root that the evidence on an opened date names, revealed or not; (7,) bool, what is flagged there."""
        seen = self.sight(day)
        steps = self.desk.catalogue.slices["funnel_step"]
        if flagged[ANOMALY_TYPES.index("funnel_break")]:  # one of them is confirmed, and it is not known which
            hidden = ~self.desk.revealed(day)[steps]
            seen.confirmed[steps][hidden] = -1
        return int(self.rule.roots(seen, self.known(day))[0])

    def sight(self, day: int) -> Sight:
        """What the opened date shows."""
        desk, rule = self.desk, self.rule
        moves = self.moves(day)
        deviation, revealed = desk.deviation(day).astype(np.float64), desk.revealed(day)
        looked = desk.config.generator.hours and revealed[rule.mix] and not desk.missing(day)
        mix = deviation[rule.mix] * rule.mix_limit if looked else np.nan
        return Sight(
            rates=moves.rates,
            limits=moves.limits,
            entry=np.maximum(moves.entry, 1e-6),
            level=self.season[day : day + 1],
            mix=np.array([mix]),
            confirmed=(desk.confirmed(day) * np.sign(deviation)).astype(np.int8)[:, None],
            excess=moves.excess,
        )

    def known(self, day: int) -> Known:
        """What is known of the opened date beside its values."""
        entity, change = self.announced(day)
        lost = self.desk.missing(day)
        return Known(np.array([entity]), np.array([change]), np.array([lost]), np.zeros(1))

    def announced(self, day: int) -> tuple[int, float]:
        """What the event of the opened date was announced for, and the change; ``NO_INCIDENT`` if there is none."""
        desk, rule = self.desk, self.rule
        family = desk.announced_families()[:, day]
        if not family.any():
            return NO_INCIDENT, 0.0
        expected = desk.announced(day).astype(np.float64)
        kind = FAMILIES[ANOMALY_TYPES[int(family.argmax())]].entity_type
        at = desk.catalogue.slices[kind]
        moved = at.start + np.flatnonzero(expected[at])
        entity = int(moved[0])
        if kind == "conversion_rate":  # others follow it; the one whose steps are those that move
            steps = set(1 + np.flatnonzero(expected[desk.catalogue.slices["funnel_step"]]))
            entity = next(int(i) for i in moved if set(desk.catalogue.links_of(int(i))[0]) == steps)
        elif kind == "data_quality":
            entity = at.start + int(expected[at].argmax())
        if kind == "hourly_mix":
            return entity, 100.0 * expected[entity] * rule.mix_limit
        return entity, 100.0 * expected[entity] * rule.shares[entity]


def analyst_at(desk: Desk) -> SignatureScript:
    """The analyst for a desk: where nothing is announced, it needs no calendar."""
    return CalendarAnalyst(desk) if desk.in_world else BlindAnalyst(desk)


@register("analyst")
def analyst(env: gym.Env[np.ndarray, Any]) -> SignatureScript:
    """The analyst for an environment."""
    return analyst_at(Desk(env))
