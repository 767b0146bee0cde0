"""The bench on which the explicit anomalies of one episode are worked out, against its clean data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import (
    ExplicitAnomaly,
    GeneratorConfig,
    ImpossibleCountsGenerator,
    TargetAnomaly,
)
from metric_tracker_env.measure import (
    Deviations,
    anomaly_type,
    measures,
    medians,
    rounded,
    std_dev_from_median,
    thresholds,
)
from metric_tracker_env.schema import HOURS_PER_DAY, Difficulty, Entity, SyntheticGeneratorApplication
from metric_tracker_env.world.plan import Plan, hour_ranks
from metric_tracker_env.world.reach import (
    MOVE_MARGIN,
    TARGET_MARGIN,
    Ground,
    Room,
    count_factors,
    room,
    values_allowed,
)
from metric_tracker_env.world.variants import FAMILY_INDEX, FUNNEL_FAMILY, IMPOSSIBLE_HOURS, MIX_FAMILY, QUALITY_FAMILY


class Ask(NamedTuple):
    """One anomaly that was asked for, with everything drawn that was left open."""

    day: int
    entity: Entity
    spec: ExplicitAnomaly
    sign: float  # +1 up, -1 down


class Bench:
    """The clean data of one episode, on which its explicit anomalies are worked out.

    Targets are set from the medians as they are after all anomalies, since each moves them a little.

    Attributes:
        config: Funnel and calendar.
        difficulty: Of the episode.
        twin: Deviations of the clean data, batch axis kept with B = 1.
    """

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty, entry: np.ndarray, twin: Deviations) -> None:
        self.config, self.twin = config, twin
        self.difficulty: Difficulty = difficulty
        self._entry = entry
        self._medians, self._thresholds = twin.medians[:, 0], twin.thresholds[:, 0]

    def ground(self, day: int) -> Ground:
        """A date as it is without any anomaly."""
        return Ground(
            self.twin.values[:, 0, day],
            self.twin.medians[:, 0],
            self._entry[:, day],
            self._medians,
            self._thresholds,
        )

    def unit(self, entity: Entity, spec: TargetAnomaly) -> float:
        """What the amount of a method is a multiple of, in the entity's unit."""
        row = self.config.catalogue.measure_of_entity[entity.index]
        units = {"deviation": self.deviation(entity), "median": float(self._medians[row]), "share": 1.0}
        return units[spec.unit]

    def deviation(self, entity: Entity) -> float:
        """The ``std_dev_from_median`` of an entity on the clean data."""
        row = self.config.catalogue.measure_of_entity[entity.index]
        return std_dev_from_median(self.twin.values[row, 0], float(self.twin.medians[row, 0]))

    def least_size(self, entity: Entity) -> float:
        """Least distance of a target from the median, in the entity's unit."""
        return TARGET_MARGIN * float(self._thresholds[entity.index])

    def size(self, ask: Ask) -> float:
        """Distance from the median that an anomaly asks for, in the entity's unit."""
        assert isinstance(ask.spec, TargetAnomaly)
        return max(ask.spec.amount * self.unit(ask.entity, ask.spec), self.least_size(ask.entity))

    def target(self, ask: Ask) -> float:
        """The value that an anomaly asks for."""
        row = self.config.catalogue.measure_of_entity[ask.entity.index]
        return float(self._medians[row]) + ask.sign * self.size(ask)

    def room(self, ask: Ask) -> Room:
        """The sizes that are possible for an entity on a date in a direction."""
        return room(self.config, self.difficulty, ask.entity, self.ground(ask.day), ask.sign)

    def fault(self, ask: Ask) -> str | None:
        """Why a date cannot carry an anomaly; None if it can.

        It cannot if it is nearly there already, or if the funnel cannot carry the target.
        """
        if not isinstance(ask.spec, TargetAnomaly):
            return None
        ground, entity, target = self.ground(ask.day), ask.entity, self.target(ask)
        value = float(ground.values[self.config.catalogue.measure_of_entity[entity.index]])
        least_move = MOVE_MARGIN * float(ground.thresholds[entity.index])
        low, high = values_allowed(self.config, self.difficulty, entity, ground)
        if ask.sign * (target - value) < least_move:
            why = (
                f"it is at {rounded(value)} there without any anomaly, and an anomaly must move it by at least "
                f"{rounded(least_move)}"
            )
        elif not low <= target <= high:
            why = f"the funnel allows {rounded(low)} to {rounded(high)} there"
        else:
            return None
        date = self.config.date_names[ask.day]
        return f"anomaly_generators: {entity.entity_name!r} cannot go to {rounded(target)} on {date}: {why}"

    def settle(self, plan: Plan) -> None:
        """Measure medians and thresholds anew, with the anomalies of a plan."""
        catalogue, steps = self.config.catalogue, self.config.catalogue.num_steps
        share, excesses = catalogue.share_row, slice(catalogue.share_row + 1, None)
        values = self.twin.values.copy()
        for place in np.flatnonzero(plan.active[0]):
            day, family, size = plan.day[0, place], plan.family[0, place], plan.size[0, place]
            daily = values[:steps, :, day] * plan.factor[0, place][:, None]
            part = values[share, :, day] * daily[0]
            if family == MIX_FAMILY:
                part += plan.sign[0, place] * size * self._thresholds[plan.entity[0, place]] * daily[0]
            elif family == QUALITY_FAMILY:  # the hours that are drawn weigh about as much as others
                step = 1 + plan.entity[0, place] - catalogue.slices["data_quality"].start
                hours = IMPOSSIBLE_HOURS[self.difficulty] / HOURS_PER_DAY
                daily[step] += hours * (daily[step - 1] * (1.0 + size) - daily[step])
            values[:, :, day] = measures(catalogue, daily, part, values[excesses, :, day])
        moved = medians(catalogue, values)
        self._medians, self._thresholds = moved[:, 0], thresholds(catalogue, self.difficulty, moved)[:, 0]

    def write(self, plan: Plan, place: int, ask: Ask, keys: np.ndarray) -> SyntheticGeneratorApplication:
        """Put one anomaly, which its date can carry, into a plan; its record."""
        catalogue, entity, spec = self.config.catalogue, ask.entity, ask.spec
        ground = self.ground(ask.day)
        row, limit = catalogue.measure_of_entity[entity.index], float(ground.thresholds[entity.index])
        value, median = float(ground.values[row]), float(ground.medians[row])
        kind = anomaly_type(entity.entity_type, ask.sign)
        plan.active[0, place], plan.day[0, place], plan.sign[0, place] = True, ask.day, ask.sign
        plan.entity[0, place], plan.family[0, place] = entity.index, FAMILY_INDEX[kind]
        plan.limit[0, place], plan.alone[0, place] = limit, catalogue.links_of(entity.index)[1]
        if isinstance(spec, ImpossibleCountsGenerator):
            plan.size[0, place] = spec.excess
            plan.hours[0, place] = hour_ranks(keys, np.array([place]))[0]
            target = None
        else:
            target = self.target(ask)
            plan.size[0, place] = target / value if FAMILY_INDEX[kind] == FUNNEL_FAMILY else abs(target - value) / limit
            if entity.entity_type != "hourly_mix":
                plan.factor[0, place] = count_factors(self.config, self.difficulty, entity, ground, target)
        return SyntheticGeneratorApplication(
            method_name=spec.method(),
            date=self.config.date_names[ask.day],
            metric_name=entity.entity_name,
            metric_type=entity.entity_type,
            direction="up" if ask.sign > 0 else "down",
            anomaly_type=kind,
            detection_method=entity.detection_method,
            baseline_value=rounded(median),
            pre_applied_value=rounded(value),
            std_dev_from_median=rounded(self.deviation(entity)),
            stddev_factor=getattr(spec, "stddev_factor", None),
            threshold_value=rounded(limit),
            target_value=None if target is None else rounded(target),
            actual_value=rounded(value if target is None else target),
            formula=formula(ask),
        )


def formula(ask: Ask) -> str:
    """How the value of an anomaly comes about."""
    name, spec = ask.entity.entity_name, ask.spec
    if not isinstance(spec, TargetAnomaly):
        return f"{name} = sum over the drawn hours of {spec.expression}"
    operator = "+" if ask.sign > 0 else "-"
    return f"{name} = median {operator} max({spec.expression}, {TARGET_MARGIN} * detection threshold)"
