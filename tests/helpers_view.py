"""A seven-day funnel written by hand, and what its tools must say, worked out on paper."""

from __future__ import annotations

import datetime as dt

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import FunnelStep, GeneratorConfig
from metric_tracker_env.schema import HOURS_PER_DAY, ConversionMetricDefinition, Difficulty
from metric_tracker_env.view import MetricView

TINY_CONFIG = GeneratorConfig(
    entry_step="visits",
    steps=(FunnelStep(name="signups", rate=0.5), FunnelStep(name="orders", rate=0.2)),
    conversion_definitions=(
        ConversionMetricDefinition(name="visit_to_signup", numerator="signups", denominator="visits"),
        ConversionMetricDefinition(name="visit_to_order", numerator="orders", denominator="visits"),
    ),
    num_weeks=1,
    end_date=dt.date(2026, 1, 11),
)
MON, TUE, WED, THU, FRI, SAT, SUN = TINY_CONFIG.date_names


def make_view(config: GeneratorConfig, hourly: np.ndarray, difficulty: Difficulty = "medium") -> MetricView:
    """The view of (D, H, S) hourly counts."""
    planes = hourly.transpose(2, 1, 0)[:, :, None, :]
    daily = planes.sum(axis=1).astype(np.float64)
    values = measure.measures(config.catalogue, daily, measure.daytime(planes[0]), measure.excess(planes))
    return MetricView(config, difficulty, hourly, measure.deviations(config.catalogue, difficulty, values))


def tiny_view() -> MetricView:
    """Seven days, Monday 2026-01-05 to Sunday, of a funnel visits > signups > orders, at medium.

    A plain hour has 100 visits, 50 signups, 10 orders, so a plain day 2400, 1200, 240 (50 %, 20 %, 10 % end to end,
    daytime share 0.5), and those are the medians. Thresholds: visits 360, signups 180, orders 50 events; rates 4.5 and
    0.9 points; funnel steps 15 and 6 points; daytime share 0.035.

    - Wednesday: 30 signups and 6 orders an hour. 720 signups, 144 orders, 30 % and 6 %: a broken first step.
    - Thursday: 130 / 65 / 13 in the hours 8 to 19, 70 / 35 / 7 in the others. Daytime share 0.65, all else plain.
    - Friday: 105 signups at 3 h and 120 at 4 h, with 100 visits. 1325 signups, excess 25.
    - Saturday: everything x 1.25. 3000 visits, 1500 signups, 300 orders.
    """
    hourly = np.empty((7, HOURS_PER_DAY, 3), dtype=np.int32)
    hourly[:] = (100, 50, 10)
    hourly[2] = (100, 30, 6)
    hourly[3] = (70, 35, 7)
    hourly[3, 8:20] = (130, 65, 13)
    hourly[4, 3, 1], hourly[4, 4, 1] = 105, 120
    hourly[5, 0::2], hourly[5, 1::2] = (125, 62, 12), (125, 63, 13)
    return make_view(TINY_CONFIG, hourly)
