"""Event logs: each unit once a step, in the hour in which it began; time zones and the changes of their clocks."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from metric_tracker_env.history import HistoryError, read_history

STEPS = ["visit", "cart", "paid"]


def log_of(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    """An event log."""
    return pd.DataFrame(rows, columns=["unit", "event", "time"])


SMALL = log_of(
    [
        ("a", "visit", "2026-03-02 10:59:00"),
        ("a", "cart", "2026-03-02 11:01:00"),
        ("a", "paid", "2026-03-03 00:10:00"),  # over midnight: still the visit of hour 10
        ("b", "visit", "2026-03-02 11:30:00"),
        ("b", "visit", "2026-03-02 11:31:00"),  # again: counted once
        ("b", "scroll", "2026-03-02 09:00:00"),  # no step of the funnel
        ("c", "cart", "2026-03-03 12:00:00"),  # its visit was lost
        ("c", "visit", "2026-03-03 12:05:00"),
    ]
)


def test_a_unit_counts_once_a_step_in_the_hour_it_began() -> None:
    """Later events and repeats of a unit fall into its first hour, whatever the order of the rows."""
    expected = np.zeros((2, 24, 3), np.int64)
    expected[0, 10] = [1, 1, 1]
    expected[0, 11] = [1, 0, 0]
    expected[1, 12] = [1, 1, 0]
    for log in (SMALL, SMALL.iloc[::-1].reset_index(drop=True), SMALL.assign(unit=SMALL["unit"].map(ord))):
        history = read_history(log, STEPS)
        assert np.array_equal(history.counts, expected)
        assert history.notes == (
            "1 row of other events left out: scroll",
            "7 events of 3 units, each counted in the hour in which it began",
            "1 event repeated a step of the same unit, which is counted once a step",
        )


def test_units_by_day_where_there_is_no_clock() -> None:
    """A log with dates alone gives daily counts."""
    history = read_history(SMALL.assign(time=SMALL["time"].str[:10]), STEPS)
    assert history.daily.tolist() == [[2, 1, 1], [1, 1, 0]]
    assert not history.hourly


def test_people_come_again() -> None:
    """With a gap, a unit begins a new visit after so many hours without an event; without end it is counted once."""
    rows = [
        (f"p{person}", event, f"2026-03-{day:02} {hour}:30:00")
        for person in range(9)
        for day in (2, 3, 4)
        for hour, event in ((10, "visit"), (11, "paid"), (20, "visit"))
    ]
    log = log_of(rows)
    with pytest.raises(HistoryError, match="are they people"):
        read_history(log)
    visits = read_history(log, visit_gap=2)
    assert visits.counts[:, 10].tolist() == [[9, 9]] * 3
    assert visits.counts[:, 20].tolist() == [[9, 0]] * 3
    assert visits.counts[:, 11].sum() == 0
    once = read_history(log, ["visit", "paid"], visit_gap=float("inf"))
    assert once.daily.tolist() == [[9, 9]]


def test_a_day_without_an_event_is_missing() -> None:
    """Hours without an event are 0, a day without any is missing."""
    log = SMALL[SMALL["unit"] != "a"].replace("2026-03-03 12", "2026-03-05 12", regex=True)
    with pytest.raises(HistoryError, match=r"2 days of 4 missing \(2026-03-03, 2026-03-04\)"):
        read_history(log, STEPS[:2])
    assert read_history(log, STEPS[:2], missing="zero").daily[:, 0].tolist() == [1, 0, 0, 1]


def test_since_and_until_cut_visits_not_their_events() -> None:
    """A visit belongs to the day on which it began."""
    history = read_history(SMALL, STEPS, until="2026-03-02")
    assert history.daily.tolist() == [[2, 1, 1]]


def hours_around(start: str, periods: int) -> pd.DataFrame:
    """Hourly counts of UTC hours, each with its own number."""
    times = pd.date_range(start, periods=periods, freq="h", tz="UTC")
    return pd.DataFrame({"time": times, "visits": np.arange(1000, 1000 + periods)})


def converted(frame: pd.DataFrame, how: str) -> Any:
    """The hours as instants in different clothes."""
    berlin = frame["time"].dt.tz_convert("Europe/Berlin")
    texts = {
        "Z": frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "offsets": berlin.map(lambda time: time.isoformat()),
        "short offsets": berlin.map(lambda time: time.isoformat(" ").replace(":00:00+", ":00+")),
    }
    if how in texts:
        return io.BytesIO(frame.assign(time=texts[how]).to_csv(index=False).encode())
    if how == "zoned pandas":
        return frame.assign(time=berlin)
    return pl.from_pandas(frame) if how == "polars" else frame


@pytest.mark.parametrize("how", ["Z", "offsets", "short offsets", "zoned pandas", "polars", "pandas"])
@pytest.mark.parametrize(
    ("start", "short_hour", "counts"),
    [("2026-03-27T23:00", 2, 23), ("2026-10-23T22:00", None, 25)],
    ids=["23 hours", "25 hours"],
)
def test_days_of_23_and_25_hours(how: str, start: str, short_hour: int | None, counts: int) -> None:
    """The hour that the clock skips is 0 and not missing, and the one that it shows twice is added up."""
    frame = hours_around(start, 24 + counts + 24)
    history = read_history(converted(frame, how), timezone="Europe/Berlin")
    assert history.counts.shape == (3, 24, 1)
    assert history.counts.sum() == frame["visits"].sum()
    day = history.counts[1, :, 0]
    numbers = frame["visits"].to_numpy()[24 : 24 + counts]
    if short_hour is not None:
        assert day.tolist() == [*numbers[:2], 0, *numbers[2:]]
        assert history.notes == ("the clock skipped 2026-03-29 02:00",)
    else:
        assert day.tolist() == [*numbers[:2], numbers[2] + numbers[3], *numbers[4:]]
        assert history.notes == ()
    assert history.known.all()


def test_local_times_of_a_zone() -> None:
    """Times without an offset are local times of the zone that is told; without it the jump is a gap or a duplicate."""
    spring = hours_around("2026-03-27T23:00", 71)
    spring["time"] = spring["time"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None)
    with pytest.raises(HistoryError, match=r"2026-03-29 02:00.*timezone="):
        read_history(spring)
    assert read_history(spring, timezone="Europe/Berlin").counts[1, 2, 0] == 0
    autumn = hours_around("2026-10-23T22:00", 73)
    autumn["time"] = autumn["time"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None)
    with pytest.raises(HistoryError, match=r"2026-10-25 02:00.*timezone="):
        read_history(autumn)
    for duplicates in ("refuse", "sum", "last"):
        history = read_history(autumn, timezone="Europe/Berlin", duplicates=duplicates)
        assert history.counts[1, 2, 0] == 1026 + 1027


def test_days_cannot_be_cut_anew() -> None:
    """Daily counts of UTC are not days of another zone; in their own zone they are read."""
    frame = pd.DataFrame({"time": pd.date_range("2026-03-01", periods=30, tz="UTC"), "visits": 900})
    assert len(read_history(frame).dates) == 30
    with pytest.raises(HistoryError, match="whole days, which cannot be cut anew"):
        read_history(frame, timezone="America/New_York")
    frame["time"] = pd.date_range("2026-03-20", periods=30, tz="America/New_York")
    assert str(read_history(frame).dates[0]) == "2026-03-20"


def test_instants_tell_how_long_a_unit_was_away() -> None:
    """A gap is measured in true hours, not by the clock on the wall."""
    log = log_of([("a", "visit", "2026-10-25T00:30:00Z"), ("a", "visit", "2026-10-25T01:30:00Z")])
    assert read_history(log, timezone="Europe/Berlin", visit_gap=0.9).counts[0, 2, 0] == 2
    assert read_history(log, timezone="Europe/Berlin", visit_gap=1.1).counts[0, 2, 0] == 1
