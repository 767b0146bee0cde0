"""The layout of the observation: named parts that tile it, bounds, and the calendar."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest
from gymnasium.spaces import Box
from helpers_env import VIEWS, bare, generator_configs, make_lanes, play
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.config import EnvConfig, GeneratorConfig, View
from metric_tracker_env.play.layout import Layout, calendar_features

CALENDAR = {"focus": {"focus_calendar", "next_calendar"}, "board": {"calendar"}}


def assert_tiles(layout: Layout) -> None:
    """Every number of the observation belongs to exactly one part, and every part has a meaning in words."""
    places = np.concatenate([part.places.ravel() for part in layout.parts.values()])
    assert sorted(places.tolist()) == list(range(layout.size))
    assert all(part.meaning for part in layout.parts.values())
    assert all(part.places.shape == part.shape for part in layout.parts.values())


@pytest.mark.parametrize("view", VIEWS)
def test_parts_tile_the_observation(view: View) -> None:
    """The parts of the default environments cover the observation without gap or overlap."""
    env = bare(view=view)
    assert_tiles(env.observation_layout)
    assert env.observation_space.shape == (env.observation_layout.size,)
    assert env.observation_space.dtype == np.float32


@pytest.mark.parametrize("view", VIEWS)
def test_observations_of_another_length_are_refused(view: View) -> None:
    """layout.view takes observations of its own length only, whatever else of them there is."""
    layout = bare(view=view).observation_layout
    for shape in ((), (0,), (layout.size - 1,), (layout.size + 1,), (layout.size, 1), (3, layout.size + 5)):
        with pytest.raises(ValueError, match=rf"{re.escape(str(shape))} must be arrays \(\.\.\., {layout.size}\)"):
            layout.view(np.zeros(shape, np.float32), "flags")


@settings(max_examples=20, deadline=None, derandomize=True)
@given(generator_configs(), st.sampled_from(VIEWS))
def test_any_funnel_has_a_layout(config: GeneratorConfig, view: View) -> None:
    """Other funnels and numbers of weeks have the same parts, of the sizes that their dates and entities ask for."""
    layout = bare(view=view, generator=config, anomaly_count=1).observation_layout
    assert_tiles(layout)
    assert list(layout.parts) == list(bare(view=view).observation_layout.parts)
    days, entities = config.num_days, config.catalogue.num_entities
    lead = () if view == "focus" else (days,)
    assert layout.parts["revealed"].shape == (*lead, entities)
    assert layout.parts["deviation"].shape == (*lead, entities)
    assert layout.parts["reported"].shape == (*lead, entities)
    assert layout.parts["flags"].shape == (days, 7)
    assert layout.parts["globals"].shape == (25,)


@pytest.mark.parametrize("view", VIEWS)
def test_view_takes_a_part_out_of_any_batch(view: View) -> None:
    """layout.view picks the same numbers from one observation, from a batch, and from a batch of sequences."""
    layout = bare(view=view).observation_layout
    one = np.arange(layout.size, dtype=np.float32)
    batch = np.stack([one, one + 0.5, one - 7])
    for name, part in layout.parts.items():
        assert np.array_equal(layout.view(one, name), part.places)
        assert layout.view(batch, name).shape == (3, *part.shape)
        assert np.array_equal(layout.view(batch, name)[2], part.places - 7)
        assert layout.view(batch[None], name).shape == (1, 3, *part.shape)


@pytest.mark.parametrize("view", VIEWS)
def test_a_part_that_there_is_not_is_refused(view: View) -> None:
    """An unknown part is named with those there are."""
    env = bare(view=view)
    observation, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match=r"part 'truth' is not one of \['.*'globals'\]"):
        env.observation_layout.view(observation, "truth")


@pytest.mark.parametrize("view", VIEWS)
def test_bounds_of_the_parts(view: View) -> None:
    """Deviations reach 5 thresholds either way, flags the largest multiplier, everything else lies between 0 and 1."""
    env = bare(view=view)
    layout, space = env.observation_layout, env.observation_space
    assert isinstance(space, Box)
    for name in layout.parts:
        low, high = layout.view(space.low, name), layout.view(space.high, name)
        if name in {"deviation", "season"}:
            assert (low == -5.0).all()
            assert (high == 5.0).all()
        elif "flags" in name:
            assert (low == 0.0).all()
            assert (high == 1.5).all()
        elif name == "globals":
            assert (low == 0.0).all()
            assert (high[1:] == 1.0).all()
            assert high[0] == pytest.approx(0.1 * env.config.step_limit)
        else:
            assert (low == 0.0).all()
            assert (high == 1.0).all()


def test_bounds_are_met_by_what_is_shown() -> None:
    """Opening everything shows deviations on both sides that fill, and never leave, the declared range."""
    envs = make_lanes(200, view="board", difficulty="hard", anomaly_count=(5, 13), budget=90, step_limit=90)
    observations, _ = envs.reset(seed=0)
    shown = np.zeros(0)
    for date in envs.config.generator.date_names:
        for tool in ("rows_for_date", "check_impossible_counts", "detect_funnel_break"):
            observations, *_ = envs.step(np.full(200, envs.actions.encode(tool, date=date)))
            assert envs.observation_space.contains(observations)
            shown = envs.observation_layout.view(observations, "deviation")
    assert (shown.min(), shown.max()) == (-5.0, 5.0)
    assert envs.observation_layout.view(observations, "revealed").sum() == 200 * 28 * 19


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("budget", "step_limit"), [(1, 1), (3, 7), (7, 49), (16, 48), (100, 333)])
def test_budget_and_steps_stay_within_zero_and_one(view: View, budget: int, step_limit: int) -> None:
    """The shares of budget and steps left fall from 1 to 0 and stay in their bounds to the very last step."""
    env = bare(view=view, budget=budget, step_limit=step_limit)
    _, info = env.reset(seed=0)
    left, terminated = [], False
    for step in range(step_limit):
        observation, _, terminated, _, info = env.step(step if step < len(env.actions) - 1 else 0)
        left.append(env.observation_layout.view(observation, "globals")[1:3].astype(np.float64))
        assert env.observation_space.contains(observation)
    assert terminated
    np.testing.assert_allclose([pair[1] for pair in left], 1.0 - np.arange(1, step_limit + 1) / step_limit, atol=1e-6)
    assert left[-1][0] == pytest.approx(1.0 - info["cost"] / budget, abs=1e-6)


def test_calendar_features_on_paper() -> None:
    """A week that ends on Tuesday 2026-03-31 begins on Wednesday; positions go from 0 to 1 in sixths."""
    features = calendar_features(EnvConfig(generator=GeneratorConfig(num_weeks=1), anomaly_count=1))
    assert features.shape == (7, 8)
    assert features.dtype == np.float32
    assert features[:, :7].argmax(axis=1).tolist() == [2, 3, 4, 5, 6, 0, 1]
    assert (features[:, :7].sum(axis=1) == 1.0).all()
    np.testing.assert_allclose(features[:, 7], [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1], atol=1e-7)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.dates(dt.date(1971, 1, 1), dt.date(2100, 1, 1)), st.integers(1, 12))
def test_calendar_features_of_any_range(end: dt.date, weeks: int) -> None:
    """The weekday of each date is the calendar's, whatever the last day and the number of weeks."""
    config = EnvConfig(generator=GeneratorConfig(end_date=end, num_weeks=weeks), anomaly_count=1)
    weekdays = [dt.date.fromisoformat(name).weekday() for name in config.generator.date_names]
    features = calendar_features(config)
    assert features[:, :7].argmax(axis=1).tolist() == weekdays
    assert (np.diff(features[:, 7]) > 0).all()
    assert config.generator.date_names[-1] == end.isoformat()


def test_the_focused_and_the_next_date_are_told_by_their_calendar() -> None:
    """After a date is opened the focus view shows its calendar row; the next flagged date shows its own."""
    env = bare(difficulty="easy", anomaly_count=5)
    layout, calendar = env.observation_layout, calendar_features(env.config)
    observation, _ = env.reset(seed=0)
    assert not layout.view(observation, "focus_calendar").any()
    assert not layout.view(observation, "next_calendar").any()
    observation, *_ = env.step(9)
    assert np.array_equal(layout.view(observation, "focus_calendar"), calendar[9])
    observation, *_ = env.step(env.actions.encode("list_suspicious_dates"))
    flagged = [day for day in np.flatnonzero(layout.view(observation, "flags").any(axis=1)) if day != 9]
    assert np.array_equal(layout.view(observation, "next_calendar"), calendar[flagged[0]])
    assert layout.view(observation, "waiting")[0] == pytest.approx(len(flagged) / 28)


def test_every_date_may_wait() -> None:
    """With rates so noisy that no date is near all of its medians, the scans flag every date of the week."""
    steps = [{"name": f"s{i}", "rate": 0.4, "noise_scale": 2} for i in range(6)]
    noisy = {"steps": steps, "num_weeks": 1, "base_daily_count": 1e6, "rate_noise": {"hard": 0.49}}
    options = {"generator": noisy, "difficulty": "hard", "anomaly_count": 1, "budget": 100}
    env, lanes = bare(**options), make_lanes(2, **options)
    env.reset(seed=1)
    lanes.reset(seed=0)
    waiting = []
    for action, call in enumerate(env.actions.decode(index) for index in range(len(env.actions))):
        if "threshold_multiplier" in call.arguments:
            one, *_ = env.step(action)
            many, *_ = lanes.step(np.full(2, action))
            waiting.append(float(env.observation_layout.view(one, "waiting")[0]))
            assert np.array_equal(many[1], one)
    assert waiting[-1] == 1.0
    assert waiting == sorted(waiting)


@pytest.mark.parametrize("view", VIEWS)
def test_a_fresh_observation_shows_nothing(view: View) -> None:
    """At reset everything is zero but the calendar and the budget and steps left."""
    env = bare(view=view)
    play(env, 0, np.random.default_rng(0))  # what an earlier episode left behind must be gone
    observation, _ = env.reset()
    layout = env.observation_layout
    for name in layout.parts.keys() - CALENDAR["board"] - {"globals"}:
        assert not layout.view(observation, name).any()
    assert layout.view(observation, "globals").tolist() == [0.0, 1.0, 1.0, *[0.0] * 22]
