"""What is advised instead of an anomaly that the data cannot carry, word for word, on data without any noise."""

from __future__ import annotations

from typing import Any

import pytest

from metric_tracker_env.config import EpisodeConfig, FunnelStep, GenerationError, GeneratorConfig, RateNoise
from metric_tracker_env.world.episode import MetricDataGenerator

WEDNESDAY, SUNDAY = "2026-03-18", "2026-03-15"


def still(weekday_factors: tuple[float, ...] = (1.0,) * 7, num_weeks: int = 4) -> GeneratorConfig:
    """2,000 visits an hour, of which 1,550 see a menu and half of those order, the same each day but where told."""
    return GeneratorConfig(
        entry_step="visits",
        steps=(FunnelStep(name="menus", rate=0.775), FunnelStep(name="orders", rate=0.5)),
        base_daily_count=48_000,
        hourly_weights=(1.0,) * 24,
        trend_per_day=0.0,
        day_noise=0.0,
        hour_noise=0.0,
        rate_noise=RateNoise(easy=0.0, medium=0.0, hard=0.0),
        weekday_factors=weekday_factors,
        num_weeks=num_weeks,
    )


def advised(config: GeneratorConfig, **anomaly: Any) -> str:
    """The part of the error that says what is possible."""
    asked = EpisodeConfig.model_validate({"anomaly_generators": [anomaly]})
    with pytest.raises(GenerationError) as caught:
        MetricDataGenerator(config).generate_episode(asked)
    fault, _, advice = str(caught.value).partition("; ")
    assert "cannot go to" in fault
    return advice


# Wednesdays have nine tenths of the traffic, so 37,200 menus are usual and 33,480 are there. The deviation is the root
# of a seventh of the square of a tenth of 37,200. In tenths of 37,200: up, no rate above 1 allows 33,480 / 0.775 menus,
# which is 1.6129 above the median and beyond the threshold of 1.5; down, the menus may fall to the orders, 5.5 below,
# and must move by 0.55 thresholds from where they are, so that 1.825 is the least. Advice stays 2 % inside.
SLOW_WEDNESDAYS = still(weekday_factors=(1.0, 1.0, 0.9, 1.0, 1.0, 1.0, 1.0))
UP_TO = f"possible is a stddev_factor up to 4.18, going up on {WEDNESDAY}"  # 1.6129 x 0.98 x sqrt(7) = 4.1820
DOWN_FROM = f"possible is a stddev_factor from 4.93 up to 14.2, going down on {WEDNESDAY}"  # 4.9251 and 14.2605


@pytest.mark.parametrize(
    ("direction", "factor", "advice"),
    [
        ("up", 900.0, UP_TO),
        ("down", 900.0, DOWN_FROM),
        ("down", 0.1, DOWN_FROM),
        ("auto", 4.49, UP_TO),  # 4.49 / 4.18 is less than 4.93 / 4.49
        ("auto", 4.63, DOWN_FROM),  # 4.63 / 4.18 is more than 4.93 / 4.63
        ("auto", 900.0, DOWN_FROM),
    ],
)
def test_the_nearest_size_is_advised(direction: str, factor: float, advice: str) -> None:
    """Of the sizes that are possible in either direction, those whose end is the least times off what was asked."""
    fields = {"metric_name": "menus", "date": WEDNESDAY, "direction": direction}
    assert advised(SLOW_WEDNESDAYS, stddev_factor=factor, **fields) == advice


def test_an_end_beyond_what_may_be_asked_is_not_told() -> None:
    """Visits can grow by more than the 1,000 deviations that may be asked for; on a busy day by 4.93 at least."""
    busy = still(weekday_factors=(1.0, 1.0, 1.1, 1.0, 1.0, 1.0, 1.0))
    found = advised(busy, metric_name="visits", date=WEDNESDAY, direction="up", stddev_factor=0.1)
    assert found == f"possible is a stddev_factor from 4.93, going up on {WEDNESDAY}"


@pytest.mark.parametrize(
    "named",
    [
        {"metric_names": ["visits", "menus"], "date": WEDNESDAY},
        {"metric_names": ["menus", "visits"], "dates": [WEDNESDAY, "2026-03-11"]},
        {"metric_name": "menus", "dates": [WEDNESDAY, "2026-03-10"]},  # a Tuesday has less of 4.25 to 13.0
    ],
)
def test_a_size_for_all_that_is_named(named: dict[str, Any]) -> None:
    """Where several metrics or dates are named, what all of them can carry: the narrowest range."""
    found = advised(SLOW_WEDNESDAYS, stddev_factor=900.0, direction="down", **named)
    most = 12.9 if "2026-03-10" in named.get("dates", ()) else 14.2  # half of 37,200 x 0.98 on a Tuesday
    assert found == f"possible is a stddev_factor from 4.93 up to {most}, for all that it names"


@pytest.mark.parametrize(
    ("direction", "shift", "advice"),
    [
        ("up", 0.8, "up to 0.294, going up"),  # nine tenths of the 8 night hours of 24
        ("down", 0.8, "up to 0.367, going down"),  # nine tenths of the 10 day hours
        ("auto", 0.8, "up to 0.367, going down"),
    ],
)
def test_how_far_the_hours_can_shift(direction: str, shift: float, advice: str) -> None:
    """The direction with more hours to take events from is the nearer one."""
    fields: dict[str, Any] = {"method_name": "hourly_mix_shift", "date": WEDNESDAY, "direction": direction}
    assert advised(still(), shift=shift, **fields) == f"possible is a shift {advice} on {WEDNESDAY}"


def test_what_a_break_can_keep() -> None:
    """A twentieth of the rate and a little more stays: 1 - 0.95 x 0.98 is 0.069; the last bit may round it up."""
    fields = {"method_name": "funnel_break", "step_name": "orders", "date": WEDNESDAY}
    found = advised(still(), keep=0.01, **fields)
    assert found in {f"possible is a keep from {least}, going down on {WEDNESDAY}" for least in ("0.069", "0.0691")}


BUSY_SUNDAYS = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.5)


@pytest.mark.parametrize(
    ("weeks", "dates"),
    [
        (4, "date 2026-03-07 or 18 others"),  # 19 of the 23 days from March 7 to 29 are no Sundays
        (1, "date 2026-03-28"),  # the one beside the 29th that is none of the first 3 and last 2
    ],
)
def test_other_dates_are_counted(weeks: int, dates: str) -> None:
    """A drop that Sundays are too busy for is possible on every other candidate date, of which the first is named."""
    sunday = SUNDAY if weeks == 4 else "2026-03-29"
    fields = {"metric_name": "menus", "direction": "down", "date": sunday, "stddev_factor": 0.01}
    config = still(weekday_factors=BUSY_SUNDAYS, num_weeks=weeks)
    assert advised(config, **fields) == (
        "no stddev_factor is possible there, as an anomaly is at least 1.05 detection thresholds large; what is: "
        f"{dates}; difficulty 'easy' or 'hard'; "
        "metric visits, orders, visits_to_menus, menus_to_orders, visits_to_orders"
    )
