"""Data frames of an episode's counts."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from metric_tracker_env import EpisodeConfig, MetricDataGenerator


def test_frames_hold_the_records() -> None:
    """A frame has a row for each record, in order, with the same values."""
    episode = MetricDataGenerator().generate_episode(EpisodeConfig(seed=4))
    daily, hourly = episode.frame(), episode.frame(hourly=True)
    assert isinstance(daily, pd.DataFrame)
    assert daily.to_dict("records") == [{"date": r.date, **r.counts} for r in episode.daily_metrics]
    assert hourly.to_dict("records") == [{"date": r.date, "hour": r.hour, **r.counts} for r in episode.hourly_metrics]


def test_a_frame_of_no_known_kind_is_refused() -> None:
    """An unknown backend is named with those there are."""
    with pytest.raises(ValueError, match=r"backend 'excel' is not one of \['pandas', 'polars', 'pyarrow'\]"):
        MetricDataGenerator().generate_episode().frame(backend="excel")  # pyright: ignore[reportArgumentType]


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the error says what to install."""
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match=r"metric_tracker_env\[frames\]"):
        MetricDataGenerator().generate_episode().frame()
