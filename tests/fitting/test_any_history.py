"""Whatever stands in a history, it is fitted or refused in words."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.fitting import fit_history
from metric_tracker_env.history import History, HistoryError


@st.composite
def histories(draw: st.DrawFn) -> History:
    """One to four steps, daily or hourly, with gaps, closed weekdays, constant counts, jumps and days not known."""
    days, steps = draw(st.integers(21, 90)), draw(st.integers(1, 4))
    hours = draw(st.sampled_from([1, 24]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.05, 1.0, 30.0, 4000.0])) * 0.5 ** np.arange(steps)
    counts = (
        rng.poisson(scale, (days, hours, steps)) if draw(st.booleans()) else np.rint(scale + np.zeros((days, hours, 1)))
    )
    counts = counts.astype(np.int64)
    if draw(st.booleans()):
        counts[np.arange(days) % 7 == draw(st.integers(0, 6))] = 0
    if draw(st.booleans()):
        counts[draw(st.integers(0, days - 1)) :] *= draw(st.integers(0, 1000))
    known = rng.random(days) < draw(st.sampled_from([1.0, 0.8]))
    return History(tuple("abcd"[:steps]), np.datetime64("2026-01-01") + np.arange(days), counts, known)


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(1, 12))
def test_a_history_is_fitted_or_refused(history: History, weeks: int) -> None:
    """There is a fit without a number that is none, or an error of one line; the history is as it was."""
    before, words = history.counts.copy(), ""
    try:
        fit = fit_history(history, weeks)
    except HistoryError as error:
        words = str(error)
        fit = None
    if fit is None:
        assert words
        assert "\n" not in words
    else:
        assert np.isfinite(fit.level).all()
        assert np.isfinite(fit.weekday).all()
        assert np.isfinite(fit.noise).all()
        assert (fit.noise > 0).all()
        assert np.isfinite([fit.parameters.level, fit.parameters.trend_per_day, *fit.parameters.tails.values()]).all()
        assert isinstance(fit.parameters.obstacles(), tuple)
        assert (fit.config is None) == bool(fit.parameters.obstacles())
    assert np.array_equal(history.counts, before)
