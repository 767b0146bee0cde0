"""Going back within an episode: from a snapshot the same actions lead to the same, to the last bit."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from helpers_env import REWARDS, VIEWS, assert_same, bare, make, pick

from metric_tracker_env import MetricTrackerEnv
from metric_tracker_env.config import Reward, View
from metric_tracker_env.play.single import Snapshot

GENEROUS: dict[str, Any] = {"difficulty": "easy", "anomaly_count": 5, "budget": 40, "step_limit": 60}


def play_on(env: MetricTrackerEnv, seed: int, most: int = 1000) -> list[Any]:
    """What an environment tells of some random steps, most of them legal, until the end or ``most`` of them."""
    rng, told = np.random.default_rng(seed), []
    while len(told) < most and (not told or not told[-1][2]):
        told.append((*env.step(pick(rng, env.action_masks(), 0.9, 0.02)), env.action_masks()))
    return told


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize(
    "options",
    [{}, GENEROUS, {"generator": {"num_weeks": 1}, "anomaly_count": 1}, {"generator": {"world": {}}}],
    ids=str,
)
def test_a_restored_episode_goes_on_the_same(view: View, reward: Reward, options: dict[str, Any]) -> None:
    """Observation, reward, info, mask, grade and the episodes to come are those of play that was never interrupted."""
    for before in (0, 1, 4, 9):
        env, plain = bare(view=view, reward=reward, **options), bare(view=view, reward=reward, **options)
        for one in (env, plain):
            one.reset(seed=6)
            one.reset()
        assert_same(play_on(env, 1, before), play_on(plain, 1, before))
        here = env.snapshot()
        expected = play_on(plain, 2)
        for other in (3, 4, 2):  # as often as one likes, and from after the end
            env.restore(here)
            told = play_on(env, other)
        assert_same(told, expected)
        assert env.grade() == plain.grade()
        env.restore(here)
        for _ in range(3):
            assert_same(env.reset(), plain.reset())
            assert_same(play_on(env, 5), play_on(plain, 5))
            assert np.array_equal(env.episode().hourly, plain.episode().hourly)


@pytest.mark.parametrize("view", VIEWS)
def test_steps_lie_between_snapshots(view: View) -> None:
    """Every step of an episode can be gone back to, in any order, and going forward from it is what was seen."""
    env = bare(view=view, reward="dense", **GENEROUS)
    env.reset(seed=2)
    rng, taken, actions, told = np.random.default_rng(2), [], [], []
    while not told or not told[-1][2]:
        taken.append(env.snapshot())
        actions.append(pick(rng, env.action_masks(), 0.9, 0.01))
        told.append(env.step(actions[-1]))
    assert len(taken) > 20
    for at in rng.permutation(len(taken)).tolist():
        env.restore(taken[at])
        assert_same(env.step(actions[at]), told[at])


def test_a_snapshot_is_not_moved_by_play() -> None:
    """What was kept is a copy: steps after it, and after a restore, leave it as it was."""
    env = bare()
    env.reset(seed=0)
    here = env.snapshot()
    first = play_on(env, 0)
    env.restore(here)
    assert_same(play_on(env, 0), first)
    env.restore(here)
    assert_same(play_on(env, 0), first)


def test_what_a_restore_leaves_alone() -> None:
    """The step cost, the generator that Gymnasium keeps and the counters of wrappers are not part of an episode."""
    env = gym.wrappers.TimeLimit(make(), 5)
    env.reset(seed=3)
    inner = env.unwrapped
    assert isinstance(inner, MetricTrackerEnv)
    drawn = inner.np_random.bit_generator.state
    here = inner.snapshot()
    inner.step_cost = 0.5
    for _ in range(4):
        env.step(np.int64(0))
        inner.restore(here)
    assert inner.step_cost == 0.5
    assert inner.np_random.bit_generator.state == drawn
    _, reward, _, truncated, _ = env.step(np.int64(0))
    assert (reward, truncated) == (-0.5, True)


# What is refused


def refused(env: MetricTrackerEnv, snapshot: Any) -> str:
    """The error of a restore, which changes nothing."""
    before = env.action_masks(), copy.deepcopy(env)
    with pytest.raises(ValueError, match="snapshot") as caught:
        env.restore(snapshot)
    assert_same(env.action_masks(), before[0])
    assert_same(env.step(3), before[1].step(3))
    return str(caught.value)


def test_snapshots_of_other_episodes_and_environments_are_refused() -> None:
    """Only the episode in which it was taken takes a snapshot back: no later one, no copy, no other environment."""
    env, twin = bare(), bare()
    env.reset(seed=1)
    twin.reset(seed=1)
    here = env.snapshot()
    for other in (twin, copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert "another environment" in refused(other, here)
    env.reset(seed=1)
    assert "another episode" in refused(env, here)
    env.reset()
    assert "another episode" in refused(env, here)
    for foreign in (copy.deepcopy(here), pickle.loads(pickle.dumps(env.snapshot()))):
        refused(env, foreign)


@pytest.mark.parametrize("value", [None, 0, "here", b"", [np.zeros(3)], object()])
def test_what_is_no_snapshot_is_refused(value: Any) -> None:
    """What snapshot() did not return is named and refused."""
    env = bare()
    env.reset(seed=1)
    assert repr(value) in refused(env, value)


def test_there_is_nothing_to_keep_without_an_episode() -> None:
    """Before the first reset and after the end a snapshot is refused, and says which of them it is."""
    env = bare()
    with pytest.raises(gym.error.ResetNeeded, match="before the first reset"):
        env.snapshot()
    with pytest.raises(ValueError, match="another"):
        env.restore(taken_elsewhere())
    env.reset(seed=0)
    env.step(env.actions.encode("submit"))
    with pytest.raises(gym.error.ResetNeeded, match="after the end"):
        env.snapshot()


def taken_elsewhere() -> Snapshot:
    other = bare()
    other.reset(seed=0)
    return other.snapshot()


# What it tells


def test_a_snapshot_tells_nothing() -> None:
    """Its text is the same whatever the episode, and it has no public value; after a restore the truth is untold."""
    texts: set[str] = set()
    env = bare()
    for seed in range(3):
        env.reset(seed=seed)
        play_on(env, seed, 4)
        here = env.snapshot()
        texts |= {repr(here), str(here)}
        assert not [name for name in dir(here) if not name.startswith("_") and not callable(getattr(here, name))]
        env.step(env.actions.encode("submit"))
        assert env.grade().score >= 0
        env.restore(here)
        for ask in (env.grade, env.episode):
            with pytest.raises(gym.error.ResetNeeded):
                ask()
    assert texts == {"<Snapshot>"}


def test_the_example_of_the_docstring_runs() -> None:
    """The documented search finds a draft that is worth something, and playing it earns what the search said."""
    example = re.search(r"```python\n(.*?)```", inspect.getdoc(MetricTrackerEnv) or "", re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {"gym": gym, "np": np}
    exec(compile(example[1], "docstring", "exec"), names)
    earned, actions = names["best"]
    results = names["results"]
    assert earned > 0.3
    assert len(results) == len(actions)
    assert sum(result[1] for result in results) == pytest.approx(earned)
    assert results[-1][2]
    assert results[-1][4]["score"] > earned
