"""Episodes whose truth is known, and submissions about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from metric_tracker_env import measure
from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig
from metric_tracker_env.schema import (
    DIFFICULTIES,
    ConversionMetricDefinition,
    Difficulty,
    MetricSubmissionRow,
    ScenarioFamily,
)
from metric_tracker_env.scoring import score_submission
from metric_tracker_env.world.episode import EpisodeData, MetricDataGenerator
from metric_tracker_env.world.labels import CellClass

AXIOM = settings(max_examples=40, deadline=None, derandomize=True)
Item = MetricSubmissionRow | dict[str, Any]
Drawn = tuple[EpisodeData, list[Item]]
VALUES = ("baseline_value", "observed_value", "delta_value")
FIELDS = ("anomaly_type", "detection_method", "severity", *VALUES)


@cache
def drawn_episode(difficulty: Difficulty, family: ScenarioFamily, count: int, seed: int = 5) -> EpisodeData:
    config = EpisodeConfig(seed=seed, difficulty=difficulty, scenario_family=family, anomaly_count=count)
    return MetricDataGenerator().generate_episode(config)


def tiny_episode() -> EpisodeData:
    """Seven days of a two-step funnel, written by hand; 2400 visits and 1200 orders a day but on three days.

    day 1  480 orders: the rate falls from 50 % to 20 %. Incident; the orders (-60 %) and the funnel step follow.
    day 3  4800 visits, 2400 orders: traffic doubles. Incident; the orders (+100 %) follow.
    day 5  3600 visits, 1800 orders: nobody injected that, so visits and orders (+50 %) are natural.
    """
    step = FunnelStep(name="orders", rate=0.5)
    rate = ConversionMetricDefinition(name="visit_to_order", numerator="orders", denominator="visits")
    config = GeneratorConfig(entry_step="visits", steps=(step,), conversion_definitions=(rate,), num_weeks=1)
    drawn = MetricDataGenerator(config).generate_batch(EpisodeConfig(anomaly_count=2), [0])

    visits = [2400.0, 2400.0, 2400.0, 4800.0, 2400.0, 3600.0, 2400.0]
    orders = [1200.0, 480.0, 1200.0, 2400.0, 1200.0, 1800.0, 1200.0]
    rates = [50.0, 20.0, 50.0, 50.0, 50.0, 50.0, 50.0]
    values = np.array([visits, orders, rates, [0.5] * 7, [0.0] * 7])[:, None]
    final = measure.deviations(config.catalogue, "medium", values)
    none, expected, follows, natural = CellClass.NONE, CellClass.EXPECTED, CellClass.CONSEQUENCE, CellClass.NATURAL
    classes = np.full((6, 1, 7), none, np.int8)
    for entity, day, cell_class in [
        (("conversion_rate", "visit_to_order"), 1, expected),
        (("event_count", "orders"), 1, follows),
        (("funnel_step", "orders_from_visits"), 1, follows),
        (("event_count", "visits"), 3, expected),
        (("event_count", "orders"), 3, follows),
        (("event_count", "visits"), 5, natural),
        (("event_count", "orders"), 5, natural),
    ]:
        classes[config.catalogue.index[entity], 0, day] = cell_class
    assert ((classes > 0) == final.flagged).all()
    plan = drawn.plan
    plan.day[0], plan.entity[0] = (1, 3), (config.catalogue.index["conversion_rate", "visit_to_order"], 0)
    batch = dataclasses.replace(drawn, final=final, plan=plan, classes=classes)
    return EpisodeData(config, EpisodeConfig(anomaly_count=2), batch, [])


def quiet_episode() -> EpisodeData:
    """The tiny episode with nothing expected: every flagged cell is natural."""
    episode = tiny_episode()
    batch = episode._batch
    batch.classes[batch.classes > 0] = CellClass.NATURAL
    return episode


def changed(row: MetricSubmissionRow, **fields: Any) -> MetricSubmissionRow:
    return row.model_copy(update=fields)


def spoiled(row: MetricSubmissionRow, field: str) -> MetricSubmissionRow:
    """The row with one wrong field."""
    wrong = {
        "anomaly_type": "funnel_break" if row.anomaly_type != "funnel_break" else "hourly_traffic_mix_shift",
        "detection_method": "hourly_rows_for_date"
        if row.detection_method != "hourly_rows_for_date"
        else "check_impossible_counts",
        "severity": "low" if row.severity != "low" else "critical",
    }
    return changed(row, **{field: wrong[field] if field in wrong else getattr(row, field) * 1.1 + 1.0})


def all_cells(episode: EpisodeData) -> list[MetricSubmissionRow]:
    days, entities = episode.classes.shape
    return [episode.row(day, entity) for day in range(days) for entity in range(entities)]


def cells_of(episode: EpisodeData, cell_class: CellClass) -> list[MetricSubmissionRow]:
    return [episode.row(int(day), int(entity)) for day, entity in np.argwhere(episode.classes == cell_class)]


def score(rows: Sequence[Item], episode: EpisodeData) -> float:
    return score_submission(rows, episode).score


@st.composite
def submissions(draw: st.DrawFn) -> Drawn:
    """An episode and a submission of distinct true rows (some with wrong fields), false rows and invalid rows."""
    episode = drawn_episode(draw(st.sampled_from(DIFFICULTIES)), "mixed", 5)
    truth, false_cells = episode.expected_rows, cells_of(episode, CellClass.CONSEQUENCE)
    false_cells = (false_cells + cells_of(episode, CellClass.NONE))[:40]
    rows: list[Item] = []
    for row in draw(st.lists(st.sampled_from(truth), unique_by=lambda row: row.key)):
        for field in draw(st.lists(st.sampled_from(FIELDS), unique=True)):
            row = spoiled(row, field)
        rows.append(row)
    rows += draw(st.lists(st.sampled_from(false_cells), max_size=8, unique_by=lambda row: row.key))
    rows += [{"date": "some day"}] * draw(st.integers(0, 2))
    return episode, draw(st.permutations(rows))


def keys(rows: Sequence[Item]) -> set[tuple[str, str, str]]:
    return {row.key for row in rows if isinstance(row, MetricSubmissionRow)}


GOOD = dict(drawn_episode("medium", "rate_drop_from_median", 1).expected_rows[0])


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != field}
