"""What incidents do to the hours of a date, against hours counted on paper."""

from __future__ import annotations

import numpy as np
import pytest

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.injection import inject, shift_hours, shift_traffic
from metric_tracker_env.world.labels import pulls
from metric_tracker_env.world.planner import Plan

NOON, MORNING = 12, 7  # an hour of the day, and one of neither day nor night


def hours(**events: int) -> np.ndarray:
    """(H, 1) events of a date: ``h12=5`` are five from 12 to 13 h."""
    out = np.zeros((24, 1))
    for name, number in events.items():
        out[int(name[1:])] = number
    return out


def shifted(entry: np.ndarray, moved: float) -> dict[int, float]:
    """The hours that have events after a shift."""
    out = shift_hours(entry, np.array([moved]))[:, 0]
    return {hour: events for hour, events in enumerate(out.tolist()) if events}


@pytest.mark.parametrize(
    ("entry", "moved", "after"),
    [
        (hours(h0=40, h7=20, h12=40), 0.2, {0: 20.0, 7: 20.0, 12: 60.0}),
        (hours(h0=40, h7=20, h12=40), -0.2, {0: 60.0, 7: 20.0, 12: 20.0}),
        (hours(h0=10, h4=10, h21=10, h23=10, h9=30, h18=30), 0.2, {0: 5, 4: 5, 9: 40, 18: 40, 21: 5, 23: 5}),
        (hours(h0=40, h12=60), 0.9, {0: 4.0, 12: 96.0}),  # nine tenths of the night, not 90 of 40 events
        (hours(h0=60, h12=40), -0.9, {0: 96.0, 12: 4.0}),
        (hours(h0=10, h12=1), 0.6, {0: 3.0, 12: 8.0}),  # 6.6 of 10 events join a single one: 3.4 and 7.6
        (hours(h0=1, h12=10), -0.6, {0: 8.0, 12: 3.0}),
        (hours(h0=10, h7=5), -0.5, {0: 10.0, 7: 5.0}),  # no events to take
        (hours(h12=10, h7=5), 0.5, {7: 5.0, 12: 10.0}),
        (hours(h0=3, h1=3, h2=3, h12=1), 0.14, {0: 3, 1: 2, 2: 3, 12: 2}),  # sums of 2.53, 5.07, 7.6 and 10
    ],
)
def test_events_move_between_day_and_night(entry: np.ndarray, moved: float, after: dict[int, float]) -> None:
    """A share of all events goes from one to the other in proportion; the total and the hours between stay."""
    assert shifted(entry, moved) == after


def test_each_date_is_shifted_by_itself() -> None:
    """Dates side by side each move by their own share."""
    both = np.hstack([hours(h0=40, h12=60), hours(h0=60, h12=40)])
    out = shift_hours(both, np.array([0.1, -0.3]))
    assert out[[0, NOON]].T.tolist() == [[30.0, 70.0], [90.0, 10.0]]


def test_the_funnel_of_an_hour_keeps_its_rates() -> None:
    """Steps follow the first at the rates of their hour, in hours of a single event too, and never above it."""
    before = np.stack([hours(h0=70, h7=7, h12=1), hours(h0=42, h7=4, h12=1), hours(h0=14, h7=1)])
    after = shift_traffic(before, np.array([0.5]))  # 39 of 78 events
    assert after[:, 0, 0].tolist() == [31.0, 19.0, 6.0]  # 18.6, and a third of 19
    assert after[:, MORNING, 0].tolist() == [7.0, 4.0, 1.0]
    assert after[:, NOON, 0].tolist() == [40.0, 40.0, 0.0]


CHAIN = GeneratorConfig(entry_step="a", steps=tuple(FunnelStep(name=name, rate=0.5) for name in "bcd"))


@pytest.mark.parametrize(
    ("factor", "alone", "before", "after"),
    [
        # Half of 1, 2, 3 and 4 events is 0, 1, 2 and 2; the last step has no event in an hour without one before it.
        ((0.5, 0.5, 0.5, 0.5), 0, ("8888", "1111", "1111", "1011"), ("4444", "0110", "0110", "0010")),
        ((0.5, 0.5, 0.5, 0.5), 0, ("8888", "8888", "1111", "1011"), ("4444", "4444", "0110", "0010")),
        ((1.0, 1.0, 1.5, 1.0), 2, ("8888", "1222", "1111", "0111"), ("8888", "1222", "1112", "0111")),  # 2, 1, 1, 2
        ((1.0, 1.0, 0.5, 1.0), 2, ("8888", "2222", "2222", "2111"), ("8888", "2222", "2111", "2111")),  # not 1
        ((1.0, 0.5, 1.0, 1.0), 1, ("8888", "4444", "3222", "1111"), ("8888", "3222", "3222", "1111")),  # not 2
    ],
)
def test_few_events_an_hour(
    factor: tuple[float, ...], alone: int, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """Sums over the hours are scaled and rounded; then a lone count gives way to its neighbours."""
    planes = np.zeros((4, 24, 1, 1))
    planes[:, :4, 0, 0] = [[int(hour) for hour in step] for step in before]
    plan = Plan.empty(1, 1, 4)
    plan.active[:], plan.day[:], plan.factor[0, 0], plan.alone[:] = True, 0, factor, alone
    counts = inject(CHAIN, "easy", planes, plan).counts[..., 0]
    assert ["".join(str(int(hour)) for hour in step[:4]) for step in counts] == list(after)
    assert not counts[:, 4:].any()


def test_a_lone_drop_never_passes_the_step_after_it() -> None:
    """Where a count falls nearly to the next one, rounding of its few hourly events leaves the next one as it was."""
    config = GeneratorConfig(
        entry_step="visits",
        steps=(FunnelStep(name="carts", rate=0.5), FunnelStep(name="sales", rate=0.78)),
        base_daily_count=2000,
    )
    asked = EpisodeConfig(scenario_family="absolute_drop_in_event_count", anomaly_count=5)
    batch = MetricDataGenerator(config).generate_batch(asked, list(range(60)))
    lane, place = np.nonzero(batch.plan.entity == 1)
    day = batch.plan.day[lane, place]
    assert len(lane) > 100
    assert (batch.daily[lane, day, 2] == batch.twin_daily[2, lane, day]).all()
    assert (batch.hourly[lane, day, :, 1] == batch.hourly[lane, day, :, 2]).any()


# Which way an incident pulls what follows from it

SHOP = GeneratorConfig(
    entry_step="visits",
    steps=(FunnelStep(name="carts", rate=0.2), FunnelStep(name="sales", rate=0.5)),
    conversion_definitions=(),
)
MEASURES = ["visits", "carts", "sales", "carts rate", "sales rate", "daytime share", "carts excess", "sales excess"]


def pulled(kind: str, name: str, factor: tuple[float, float, float], sign: float = -1.0, size: float = 0.0) -> str:
    """The measures that one incident pulls, each with its direction."""
    plan = Plan.empty(2, 2, 3)
    plan.active[1, 1], plan.entity[1, 1] = True, SHOP.catalogue.entity(kind, name).index
    plan.factor[1, 1], plan.sign[1, 1], plan.size[1, 1] = factor, sign, size
    found = pulls(SHOP.catalogue, plan, 1)
    assert found.shape == (8, 2)
    assert (found[:, 0] == 0).all()
    return ", ".join(f"{name} {way:+d}" for name, way in zip(MEASURES, found[:, 1].tolist(), strict=True) if way)


@pytest.mark.parametrize(
    ("incident", "expected"),
    [
        (("event_count", "visits", (0.7, 0.7, 0.7)), "visits -1, carts -1, sales -1"),
        (("event_count", "carts", (1.0, 1.3, 1.0)), "carts +1, carts rate +1, sales rate -1"),
        (("event_count", "sales", (1.0, 1.0, 0.7)), "sales -1, sales rate -1"),
        (("funnel_step", "carts_from_visits", (1.0, 0.5, 0.5)), "carts -1, sales -1, carts rate -1"),
        (("hourly_mix", "visits:daytime_share", (1.0, 1.0, 1.0), 1.0, 2.0), "daytime share +1"),
        (("hourly_mix", "visits:daytime_share", (1.0, 1.0, 1.0), -1.0, 2.0), "daytime share -1"),
        (
            ("data_quality", "carts_lte_visits", (1.0, 1.0, 1.0), 1.0, 1e-6),
            "carts +1, carts rate +1, sales rate -1, carts excess +1",
        ),
        (
            ("data_quality", "sales_lte_carts", (1.0, 1.0, 1.0), 1.0, 1e-6),
            "sales +1, sales rate +1, sales excess +1",
        ),
    ],
    ids=lambda item: item[1] if isinstance(item, tuple) else "",
)
def test_what_an_incident_pulls(incident: tuple[str, str, tuple[float, float, float]], expected: str) -> None:
    """Counts and rates go as their factors do, the share as the mix does, and impossible counts up with their step."""
    assert pulled(*incident) == expected
