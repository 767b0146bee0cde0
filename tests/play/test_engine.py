"""The rules of a step: against the same rules written a second time, and under a million random steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from helpers_env import (
    REWARDS,
    VIEWS,
    SlowModel,
    assert_shows,
    bare,
    make_lanes,
    pick,
    pick_lanes,
    play,
)

from metric_tracker_env import MetricTrackerEnv, MetricTrackerVectorEnv, SharedAnalysisToolkit, score_submission
from metric_tracker_env.config import Reward, View
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.schema import ANOMALY_TYPES, DIFFICULTIES

TIGHT: dict[str, Any] = {"budget": 9, "costs": {"open": 2, "inspect": 3, "scan": 1, "survey": 7}, "step_limit": 20}
ROOMY: dict[str, Any] = {"budget": 200, "step_limit": 150, "anomaly_count": 7}
WORLD: dict[str, Any] = {"generator": {"world": {}}, "anomaly_count": (0, 4), "budget": 60, "step_limit": 90}
SHORT: dict[str, Any] = {
    "generator": {"world": {"events": (9, 12), "gaps": (3, 6)}, "num_weeks": 3},
    "anomaly_count": 0,
}
SHORT |= {"budget": 9, "costs": {"calendar": 8}}
TINY: dict[str, Any] = {"budget": 3, "generator": {"num_weeks": 1}, "anomaly_count": 1}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "options", [{}, TIGHT, ROOMY, TINY, WORLD, SHORT], ids=["default", "tight", "roomy", "tiny", "world", "short"]
)
def test_masks_and_observations_equal_the_slow_rules(view: View, options: dict[str, Any]) -> None:
    """Every mask and observation of random play is what the rules say, worked out anew from the label-free data."""
    rng = np.random.default_rng(1)
    for seed, difficulty in enumerate(DIFFICULTIES):
        env = bare(view=view, difficulty=difficulty, **options)
        steps = play(env, seed, rng, legal=0.9)
        model = SlowModel(env.config, env.actions, env.episode().view)
        for step in steps:
            if step.action >= 0:
                legal = model.act(step.action)
                assert step.info["illegal_action"] is not legal
            assert_shows(env.observation_layout, step.observation, model.observation())
            assert step.terminated or np.array_equal(step.mask, model.mask())
            assert np.array_equal(step.info["action_mask"], step.mask)


def reported_rows(env: MetricTrackerEnv, calls: list[dict[str, Any]]) -> list[Any]:
    """The rows of the cells that ``report`` calls named."""
    episode, config = env.episode(), env.config.generator
    entities = [config.catalogue.entity(call["entity_type"], call["entity_name"]).index for call in calls]
    return [episode.row(config.day_index(call["date"]), entity) for call, entity in zip(calls, entities, strict=True)]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_the_score_is_that_of_the_reported_rows(view: View, reward: Reward) -> None:
    """The score and its parts in info are those of score_submission on the rows of the cells that were reported."""
    rng = np.random.default_rng(2)
    scores: list[float] = []
    for seed in range(25):
        env = bare(
            view=view, reward=reward, difficulty=DIFFICULTIES[seed % 3], anomaly_count=(1, 5), budget=99, step_limit=99
        )
        env.reset(seed=seed)
        calls: list[dict[str, Any]] = []
        info: dict[str, Any] = {}
        while "score" not in info:
            mask = env.action_masks()
            action = pick(rng, mask, submit=0.02)
            reports = [i for i in np.flatnonzero(mask).tolist() if env.actions.decode(i).tool == "report"]
            if reports and rng.random() < 0.7:
                action = reports[0]
            call = env.resolve(action)
            if call.tool == "report":
                calls.append(call.arguments)
            *_, info = env.step(action)
        grade = score_submission(reported_rows(env, calls), env.episode())
        assert info["score"] == pytest.approx(grade.score, abs=1e-12)
        told = {name: info[name] for name in ("submitted", "expected", "matched", "missing", "extra")}
        assert told == {name: getattr(grade, name) for name in told}
        for name in ("precision", "recall", "f1"):
            assert info[name] == pytest.approx(getattr(grade, name), abs=1e-12)
        scores.append(grade.score)
    assert max(scores) > 0.3
    assert len(set(scores)) > 4


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_scan_tells_the_dates_that_reach_its_multiplier(view: View, difficulty: str) -> None:
    """After one scan the flags are the dates whose strength reaches the multiplier, as the tool itself finds them."""
    env = bare(view=view, difficulty=difficulty, anomaly_count=7)
    found = 0
    for family, name in enumerate(ANOMALY_TYPES):
        for multiplier in SCAN_MULTIPLIERS:
            env.reset(seed=family)
            observation, *_ = env.step(env.actions.encode(f"get_{name}_rows", threshold_multiplier=multiplier))
            env.step(env.actions.encode("submit"))
            flags = env.observation_layout.view(observation, "flags").T
            episode = env.episode()
            expected = np.zeros_like(flags)
            expected[family] = np.where(episode.view.strength[family] >= multiplier, np.float32(multiplier), 0.0)
            assert np.array_equal(flags, expected)
            tool = getattr(SharedAnalysisToolkit(episode.view), f"get_{name}_rows")
            dates = np.array(env.config.generator.date_names)[flags[family] > 0]
            assert list(tool(threshold_multiplier=multiplier).dates) == dates.tolist()
            found += len(dates)
    assert found > 20


@pytest.mark.parametrize("view", VIEWS)
def test_the_survey_tells_every_family_at_the_threshold(view: View) -> None:
    """list_suspicious_dates flags, for every family, the dates whose strength reaches the threshold."""
    env = bare(view=view, anomaly_count=7)
    env.reset(seed=5)
    observation, *_ = env.step(env.actions.encode("list_suspicious_dates"))
    env.step(env.actions.encode("submit"))
    flags = env.observation_layout.view(observation, "flags").T
    assert np.array_equal(flags, env.episode().view.strength >= 1.0)
    assert flags.any(axis=1).sum() >= 3


@pytest.mark.parametrize("view", VIEWS)
def test_only_submit_is_left_when_the_budget_is_spent(view: View) -> None:
    """With no budget and nothing to report, the mask holds submit alone."""
    env = bare(view=view, budget=2, difficulty="easy", anomaly_count=1)
    env.reset(seed=0)
    for day in (0, 1):  # the first days are never incidents
        env.step(env.actions.encode("rows_for_date", date=env.config.generator.date_names[day]))
    assert np.flatnonzero(env.action_masks()).tolist() == [env.actions.encode("submit")]


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_too_dear_is_not_legal_from_the_start(view: View) -> None:
    """A tool that costs more than the whole budget is never legal."""
    env = bare(view=view, budget=3)
    env.reset(seed=0)
    mask = env.action_masks()
    assert not mask[env.actions.encode("list_suspicious_dates")]
    assert mask[env.actions.encode("get_funnel_break_rows", threshold_multiplier=1.0)]


LANES, STEPS = 500, 250


def parts_outside(envs: MetricTrackerVectorEnv, observations: np.ndarray) -> dict[str, tuple[float, float]]:
    """(lowest, highest) number of each part of the observation that leaves its space or is NaN."""
    space = envs.single_observation_space
    assert isinstance(space, Box)
    inside = np.all((observations >= space.low) & (observations <= space.high), axis=0)
    if inside.all():
        return {}
    layout = envs.observation_layout
    outside = [name for name, part in layout.parts.items() if not inside[part.places].all()]
    shown = {name: layout.view(observations, name) for name in outside}
    return {name: (float(part.min()), float(part.max())) for name, part in shown.items()}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_million_random_steps(view: View, reward: Reward, mode: AutoresetMode) -> None:
    """A million steps in all, half of them illegal: no exception, and every observation is finite and in its space."""
    assert LANES * STEPS * len(VIEWS) * len(REWARDS) * 2 == 1_000_000
    envs = make_lanes(LANES, view=view, reward=reward, autoreset_mode=mode, copy=False, anomaly_count=(1, 5))
    rng = np.random.default_rng(3)
    _, info = envs.reset(seed=0)
    illegal, episodes = 0, 0
    for _ in range(STEPS):
        actions = pick_lanes(rng, info["action_mask"], legal=0.5, submit=0.02)
        observations, rewards, terminated, truncated, info = envs.step(actions)
        assert parts_outside(envs, observations) == {}
        assert ((rewards >= -1.0) & (rewards <= 1.0)).all()
        assert not truncated.any()
        assert ((info["action_mask"] == 0) | (info["action_mask"] == 1)).all()
        illegal += int(info["illegal_action"].sum())
        if not terminated.any():
            continue
        episodes += int(terminated.sum())
        final = info
        if mode is AutoresetMode.SAME_STEP:
            final = info["final_info"]
            assert parts_outside(envs, np.stack(info["final_obs"][terminated].tolist())) == {}
            illegal += int(final["illegal_action"].sum())
        assert ((final["score"][terminated] >= 0) & (final["score"][terminated] <= 1)).all()
    assert 0.45 < illegal / (LANES * STEPS) < 0.55
    assert episodes > LANES
