"""Confidence intervals of shares and of means."""

from __future__ import annotations

import numpy as np
import pytest

from agents import Evaluation
from agents.evaluation.evaluate import Episodes
from agents.evaluation.intervals import Interval, wilson
from agents.evaluation.rows import Rows
from metric_tracker_env import EnvConfig


def test_wilson_interval() -> None:
    """The interval is that of the formula, worked out by hand; it stays within 0 and 1 and holds the share."""
    half = wilson(5, 10)
    assert half is not None
    assert (half.mean, half.low, half.high) == (0.5, pytest.approx(0.23659, abs=1e-5), pytest.approx(0.76341, abs=1e-5))
    whole = wilson(10, 10)
    assert whole is not None
    assert (whole.mean, whole.low, whole.high) == (1.0, pytest.approx(10 / (10 + 1.95996**2), abs=1e-5), 1.0)
    assert wilson(0, 0) is None
    wide, narrow = wilson(30, 40, level=0.99), wilson(30, 40, level=0.9)
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < 0.75 < narrow.high < wide.high


def test_bootstrap_interval() -> None:
    """The interval holds the mean, has the exact bound without spread, repeats, and agrees with the normal one."""
    scores = np.random.default_rng(0).uniform(size=400)
    columns = dict.fromkeys(Episodes.model_fields, (0,) * 400) | {
        "score": tuple(scores.tolist()),
        "seed": tuple(range(400)),
        "failure": ("solved",) * 400,
    }
    episodes = Episodes.model_validate(columns)
    result = Evaluation(
        agent="x", task=None, config=EnvConfig(), episodes=episodes, rows=Rows(), tools={}, kind="script"
    )
    found = result.interval()
    assert found == result.interval()
    assert found.low < found.mean < found.high
    width = 2 * 1.96 * scores.std() / 20
    assert found.high - found.low == pytest.approx(width, rel=0.1)
    assert found.mean == pytest.approx(result.mean())
    flat = result.interval("recall")
    # If a share p of all episodes had recall 1, 400 without one would come up with probability (1 - p) ** 400.
    assert (flat.mean, flat.low) == (0.0, 0.0)
    assert (1 - flat.high) ** 400 == pytest.approx(0.025)
    perfect = result.model_copy(update={"episodes": episodes.model_copy(update={"recall": (1.0,) * 400})})
    assert perfect.interval("recall") == Interval(mean=1.0, low=1 - flat.high, high=1.0)
    steps = result.interval("steps")
    assert (steps.mean, steps.low, steps.high) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"level 1\.5 is not a number between 0 and 1"):
        result.interval(level=1.5)
    with pytest.raises(ValueError, match="resamples 0 is not an integer from 1"):
        result.interval(resamples=0)
