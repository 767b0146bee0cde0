"""What Gymnasium passes to any environment, given to the native lanes: time limits, and pictures in lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers import vector as vector_wrappers
from helpers_env import ENV_ID, ENV_IDS, VIEWS, assert_same, bare, make, make_lanes, pick_lanes

from metric_tracker_env import MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.config import View

MODES = list(AutoresetMode)
Vector = VectorEnv[Any, Any, Any]
Env = gym.Env[np.ndarray, np.int64]


class WithScore(gym.Wrapper[np.ndarray, np.int64, np.ndarray, np.int64]):
    """Ends an episode that a time limit has cut off, and tells its score."""

    def step(self, action: np.int64) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if truncated:
            inner = self.env.unwrapped
            assert isinstance(inner, MetricTrackerEnv)
            info = inner.end_episode() | {"illegal_action": info["illegal_action"]}
        return observation, reward, terminated, truncated, info


def limited(num_envs: int, mode: AutoresetMode, **options: Any) -> tuple[Vector, Vector]:
    """The native lanes, and Gymnasium's over single environments with its own time limit."""
    sync = gym.make_vec(
        ENV_ID,
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        wrappers=[WithScore],
        **options,
    )
    return make_lanes(num_envs, autoreset_mode=mode, **options), sync


def compare(native: Vector, sync: Vector, mode: AutoresetMode, steps: int, submit: float = 0.1) -> tuple[int, int]:
    """Drive both with the same actions; all they return is the same. Episodes that ended, and those cut off."""
    rng = np.random.default_rng(0)
    results = native.reset(seed=3), sync.reset(seed=3)
    assert_same(*results)
    masks, ended, cut_off = results[0][1]["action_mask"].copy(), 0, 0
    for _ in range(steps):
        actions = pick_lanes(rng, masks, legal=0.8, submit=submit)
        results = native.step(actions), sync.step(actions)
        assert_same(*results)
        _, _, terminated, truncated, info = results[0]
        ended, cut_off = ended + int(terminated.sum()), cut_off + int((truncated & ~terminated).sum())
        masks = info["action_mask"].copy()
        done = terminated | truncated
        if mode is AutoresetMode.DISABLED and done.any():
            renewed = native.reset(options={"reset_mask": done}), sync.reset(options={"reset_mask": done.copy()})
            assert_same(*renewed)
            masks[done] = renewed[0][1]["action_mask"][done]
    return ended, cut_off


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("limits", [(5, 9), (9, 9), (12, 9)], ids=str)
def test_truncated_like_single_environments(mode: AutoresetMode, view: View, limits: tuple[int, int]) -> None:
    """With max_episode_steps below, at or above the step limit, lanes return what TimeLimit makes of single ones."""
    options: dict[str, Any] = {"max_episode_steps": limits[0], "step_limit": limits[1], "view": view}
    native, sync = limited(4, mode, anomaly_count=(1, 5), **options)
    ended, cut_off = compare(native, sync, mode, steps=70)
    assert ended >= 10
    assert (cut_off >= 10) == (limits[0] < limits[1])


def with_reports(*actions: int) -> tuple[int, MetricTrackerEnv, list[int]]:
    """An environment and its seed, in which there is something to report after some actions."""
    env = bare(difficulty="easy")
    for seed in range(20):
        env.reset(seed=seed)
        for action in actions:
            env.step(action)
        reports = [i for i in np.flatnonzero(env.action_masks()).tolist() if env.actions.decode(i).tool == "report"]
        if reports:
            return seed, env, reports
    raise AssertionError("no seed has something to report")


@pytest.mark.parametrize("mode", MODES)
def test_a_truncated_lane_tells_its_score(mode: AutoresetMode) -> None:
    """A lane that is cut off tells the score of its draft, its grade and its truth, and is not paid the score."""
    envs = make_lanes(2, autoreset_mode=mode, max_episode_steps=4, difficulty="easy")
    survey = envs.actions.encode("list_suspicious_dates")
    open_next = envs.actions.encode("rows_for_date", date="next_flagged")
    seed, single, reports = with_reports(survey, open_next)
    actions = [survey, open_next, reports[0], 0]
    single.step(actions[2])
    observation, *_ = single.step(0)
    envs.reset(seed=seed)
    for action in actions[:-1]:
        *_, truncated, info = envs.step(np.array([action, survey]))
        assert not truncated.any()
    observations, rewards, terminated, truncated, info = envs.step(np.array([0, survey]))
    assert (terminated.tolist(), truncated.tolist()) == ([False] * 2, [True] * 2)
    told = info["final_info"] if mode is AutoresetMode.SAME_STEP else info
    last = info["final_obs"] if mode is AutoresetMode.SAME_STEP else observations
    assert_same(last[0], observation)
    assert rewards[0] == pytest.approx(-0.005)
    assert (told["submitted"][0], told["_score"][0]) == (1, True)
    assert envs.grade(0).score == pytest.approx(told["score"][0])
    assert envs.grade(0) == envs.grade(0)
    ended = single.end_episode()
    assert all(told[name][0] == value for name, value in ended.items() if name != "action_mask")
    assert envs.episode(0).expected_rows == single.episode().expected_rows


def test_end_episode_is_the_end() -> None:
    """After end_episode the truth is told and no step is possible; after the episode's own end it tells the same."""
    env = bare()
    with pytest.raises(gym.error.ResetNeeded, match="before the first reset"):
        env.end_episode()
    env.reset(seed=1)
    env.step(0)
    info = env.end_episode()
    assert (info["submitted"], info["cost"], info["episode_seed"]) == (0, 1, 1)
    assert env.grade().score == info["score"]
    with pytest.raises(gym.error.ResetNeeded, match="after the end"):
        env.step(0)
    env.reset()
    *_, info = env.step(env.actions.encode("submit"))
    assert_same(env.end_episode(), info)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_every_way_to_a_time_limit(env_id: str) -> None:
    """make_vec, a spec, a spec as JSON and a user's own registration all give lanes that are cut off at that step."""
    spec = gym.spec(env_id)
    gym.register(
        "Mine-v0", entry_point=spec.entry_point, vector_entry_point=spec.vector_entry_point, max_episode_steps=3
    )
    try:
        mine = gym.spec("Mine-v0")
        made = gym.make_vec(env_id, num_envs=2, max_episode_steps=3)
        assert made.spec is not None
        for envs in (
            made,
            gym.make_vec("Mine-v0", num_envs=2),
            gym.make_vec(mine, num_envs=2),
            gym.make_vec(EnvSpec.from_json(mine.to_json()), num_envs=2),
            gym.make_vec(made.spec),
            gym.make_vec(EnvSpec.from_json(made.spec.to_json())),
            MetricTrackerVectorEnv(2, max_episode_steps=3),
        ):
            assert isinstance(envs, MetricTrackerVectorEnv)
            envs.reset(seed=0)
            ends = [envs.step(np.array([i, i]))[3].tolist() for i in range(3)]
            assert ends == [[False, False], [False, False], [True, True]]
        env = gym.make("Mine-v0")
        env.reset(seed=0)
        assert [env.step(np.int64(i))[3] for i in range(3)] == [False, False, True]
    finally:
        del gym.registry["Mine-v0"]


@pytest.mark.parametrize("none", [None, -1])
def test_without_a_time_limit(none: int | None) -> None:
    """None and Gymnasium's -1 mean none: nothing is ever truncated, the step limit ends an episode as terminated."""
    envs = make_lanes(2, max_episode_steps=none, step_limit=3)
    envs.reset(seed=0)
    ends = [envs.step(np.array([i, i]))[2:4] for i in range(3)]
    assert [truncated.any() for _, truncated in ends] == [False] * 3
    assert ends[-1][0].all()


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_the_registered_spec_has_no_time_limit(env_id: str) -> None:
    """The draft is submitted at ``step_limit``, which is an option and an end; a limit of the spec would be neither."""
    assert gym.spec(env_id).max_episode_steps is None
    env = make(step_limit=60)
    env.reset(seed=0)
    illegal = np.int64(np.flatnonzero(~bare_masks(env))[0])
    steps = [env.step(illegal)[2:4] for _ in range(60)]
    assert steps == [(False, False)] * 59 + [(True, False)]


def bare_masks(env: Env) -> np.ndarray:
    """The masks of the environment inside its wrappers."""
    return env.get_wrapper_attr("action_masks")()


@pytest.mark.parametrize("steps", [0, -2, -1.0, 1.5, True, "5", [3], float("nan")], ids=repr)
def test_time_limits_that_are_refused(steps: Any) -> None:
    """What is no number of steps is refused with its value and what is allowed."""
    with pytest.raises(ValueError, match=r"max_episode_steps.*None, -1 and integers from 1") as caught:
        gym.make_vec(ENV_ID, max_episode_steps=steps)
    assert repr(steps) in str(caught.value)


# Pictures


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("render_mode", ["ansi_list", "rgb_array_list"])
def test_collected_pictures_are_gymnasiums(mode: AutoresetMode, render_mode: str) -> None:
    """Render hands out the pictures since it was last called or the episode began, as RenderCollection does."""
    options: dict[str, Any] = {"render_mode": render_mode, "max_episode_steps": 4, "render_scale": 0.2}
    native, sync = limited(2, mode, **options)
    assert native.render_mode == sync.render_mode == render_mode
    assert set(sync.metadata["render_modes"]) <= set(native.metadata["render_modes"])
    native.reset(seed=2)
    sync.reset(seed=2)
    submit = int(native.single_action_space.n) - 1  # pyright: ignore[reportAttributeAccessIssue]
    lengths = []
    for number, actions in enumerate([(0, 1), (1, submit), (2, 3), (3, 4), (5, 6)]):
        done = native.step(np.array(actions))[2:4]
        sync.step(np.array(actions))
        if mode is AutoresetMode.DISABLED and (done[0] | done[1]).any():
            for envs in (native, sync):
                envs.reset(options={"reset_mask": done[0] | done[1]})
        if number in (1, 2, 4):
            ours, theirs = native.render(), sync.render()
            assert_same(ours, theirs)
            assert ours is not None
            lengths.append([len(pictures) for pictures in ours])
    assert native.render() == ([], [])
    assert max(map(max, lengths)) >= 3


def test_one_picture_a_lane_otherwise() -> None:
    """The plain modes draw each lane once when asked."""
    envs = make_lanes(2, render_mode="rgb_array", render_scale=0.25)
    envs.reset(seed=0)
    frames = envs.render()
    assert frames is not None
    assert [frame.dtype for frame in frames] == [np.uint8] * 2
    assert frames[0].shape == frames[1].shape


def test_a_list_mode_in_make() -> None:
    """Gymnasium's own wrapper collects the pictures of a single environment."""
    env = make(render_mode="ansi_list")
    env.reset(seed=0)
    env.step(np.int64(0))
    texts = env.render()
    assert isinstance(texts, list)
    assert [isinstance(text, str) for text in texts] == [True, True]


@pytest.mark.parametrize("render_mode", ["rgb_array", "rgb_array_list"])
def test_video_of_a_single_environment(render_mode: str, tmp_path: Path) -> None:
    """Gymnasium's recorder takes the pictures one by one or in lists."""
    env = RecordVideo(make(render_mode=render_mode, render_scale=0.3), str(tmp_path / "videos"), lambda _: True)
    env.reset(seed=0)
    env.step(np.int64(0))
    env.close()
    assert list(tmp_path.rglob("*.mp4"))


def test_video_of_lanes(tmp_path: Path) -> None:
    """Gymnasium's recorder of vector environments tiles the lanes."""
    envs = vector_wrappers.RecordVideo(
        make_lanes(2, render_mode="rgb_array", render_scale=0.3),
        str(tmp_path / "videos"),
        step_trigger=lambda step: step == 0,
        video_length=3,
    )
    envs.reset(seed=0)
    for action in range(4):
        envs.step(np.array([action, action + 1]))
    envs.close()
    assert list(tmp_path.rglob("*.mp4"))


def test_the_sync_environment_is_what_is_compared_with() -> None:
    """The environments that the lanes are held against are Gymnasium's own."""
    assert isinstance(limited(1, AutoresetMode.NEXT_STEP)[1], SyncVectorEnv)
