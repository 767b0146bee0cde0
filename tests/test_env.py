"""The single environment: what Gymnasium and its users expect, and what an episode does."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from helpers_env import ENV_ID, ENV_IDS, REWARDS, VIEWS, assert_same, bare, make, make_lanes, make_sync, pick, play
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from metric_tracker_env import (
    TASKS,
    EnvConfig,
    EpisodeConfig,
    MetricDataGenerator,
    MetricTrackerEnv,
    get_task,
    load_config,
    score_submission,
)
from metric_tracker_env.config import Reward, View
from metric_tracker_env.schema import ALL_SCENARIO_FAMILIES, DIFFICULTIES, ScenarioFamily

PRESETS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))
Env = gym.Env[np.ndarray, np.int64]


def follow(env: Env, actions: list[int]) -> list[Any]:
    """What an environment returns for some actions."""
    return [env.step(np.int64(action)) for action in actions]


def actions_of(env: MetricTrackerEnv, seed: int, legal: float = 0.9) -> list[int]:
    """The actions of a random episode."""
    return [step.action for step in play(env, seed, np.random.default_rng(seed), legal)[1:]]


# What Gymnasium and stable-baselines3 check


def test_one_environment_is_registered() -> None:
    """The package registers one id, with a native vector entry point."""
    assert ENV_IDS == ["MetricTracker-v0"]
    spec = gym.spec(ENV_IDS[0])
    assert spec.vector_entry_point is not None
    assert not spec.nondeterministic


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_gymnasium_finds_no_fault(env_id: str, view: View, reward: Reward) -> None:
    """Gymnasium's check_env passes without a warning."""
    check_env(gym.make(env_id, view=view, reward=reward).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", ENV_IDS)
@pytest.mark.parametrize("view", VIEWS)
def test_stable_baselines3_finds_no_fault(env_id: str, view: View) -> None:
    """The check_env of stable-baselines3 passes without a warning."""
    check_env_sb3(gym.make(env_id, view=view), skip_render_check=True)


@pytest.mark.parametrize("view", VIEWS)
def test_the_passive_checker_never_warns(view: View) -> None:
    """Whole episodes, legal or not, submitted or ended by the step limit, stay within the declared spaces."""
    env = make(view=view, step_limit=24)
    rng = np.random.default_rng(0)
    lengths: set[int] = set()
    for seed in range(12):
        _, info = env.reset(seed=seed)
        done, length = False, 0
        while not done:
            observation, _, done, _, info = env.step(np.int64(pick(rng, info["action_mask"], 0.5, 0.04)))
            assert env.observation_space.contains(observation)
            length += 1
        lengths.add(length)
    assert 24 in lengths
    assert min(lengths) < 24


def test_masks_are_usable_as_they_are() -> None:
    """The int8 mask of info samples legal actions; the bool one of action_masks is the same."""
    env = make()
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(200):
        assert info["action_mask"][env.action_space.sample(info["action_mask"])] == 1
    masks = env.get_wrapper_attr("action_masks")()
    assert masks.dtype == np.bool_
    assert np.array_equal(masks, info["action_mask"] == 1)


# Copies, specs, wrappers


def pickled(env: Env) -> Env:
    """The environment after a round through bytes."""
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_running_environment_goes_on_the_same(view: View, duplicate: Callable[[Env], Env]) -> None:
    """A copy made in the middle of an episode returns the same bits as the original, in this episode and the next."""
    for seed in range(3):
        env = make(view=view)
        inner = env.unwrapped
        assert isinstance(inner, MetricTrackerEnv)
        actions = actions_of(inner, seed)
        env.reset(seed=seed)
        half = len(actions) // 2
        follow(env, actions[:half])
        other = duplicate(env)
        rest = follow(env, actions[half:])
        assert_same(follow(other, actions[half:]), rest)
        for _ in range(3):
            assert_same(other.reset(), env.reset())
            again = [np.int64(i) for i in rest[0][4]["action_mask"].nonzero()[0][:3]]
            assert_same(follow(other, [int(i) for i in again]), follow(env, [int(i) for i in again]))


def test_a_copy_leaves_the_original_alone() -> None:
    """Steps of a copy do not show in the original."""
    env = bare()
    env.reset(seed=1)
    before = env.action_masks()
    other = copy.deepcopy(env)
    other.step(0)
    assert np.array_equal(env.action_masks(), before)
    assert not np.array_equal(other.action_masks(), before)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"task": "hard_mixed", "view": "board"},
        {"anomaly_count": (1, 5), "difficulty": "hard", "reward": "dense"},
        {"anomaly_count": None, "anomaly_density": "low", "costs": {"survey": 6}, "budget": 20, "step_cost": 0.01},
        {"generator": {"num_weeks": 3, "rate_noise": {"hard": 0.05}, "end_date": "2025-06-30"}},
        {"config": {"scenario_family": "funnel_break", "generator": {"num_weeks": 2}}, "anomaly_count": (1, 2)},
        {"anomaly_generators": [{"metric_name": "app_opens", "stddev_factor": 6.0, "direction": "down"}]},
    ],
    ids=str,
)
def test_a_spec_survives_json(kwargs: dict[str, Any]) -> None:
    """An environment made from its spec as JSON has the same configuration and plays the same episodes."""
    env = make(**kwargs)
    assert env.spec is not None
    other = gym.make(EnvSpec.from_json(env.spec.to_json()))
    first, second = env.unwrapped, other.unwrapped
    assert isinstance(first, MetricTrackerEnv)
    assert isinstance(second, MetricTrackerEnv)
    assert first.config.model_dump() == second.config.model_dump()
    actions = actions_of(first, 4)
    assert_same(env.reset(seed=4), other.reset(seed=4))
    assert_same(follow(other, actions), follow(env, actions))


def test_returned_arrays_are_the_callers_own() -> None:
    """Later steps do not change an observation or a mask that was returned before."""
    env = bare()
    observation, info = env.reset(seed=0)
    masks = env.action_masks()
    kept = observation.copy(), info["action_mask"].copy(), masks.copy()
    observation_2, *_ = env.step(0)
    assert not np.array_equal(observation, observation_2)
    observation_2 += 1.0
    assert_same((observation, info["action_mask"], masks), kept)
    assert env.observation_space.contains(env.step(1)[0])


def test_record_episode_statistics_adds_up_the_rewards() -> None:
    """The wrapper's return and length are the sum of rewards and the number of steps."""
    env = wrappers.RecordEpisodeStatistics(make(reward="dense"))
    actions = actions_of(bare(), 2)
    env.reset(seed=2)
    steps = follow(env, actions)
    recorded = steps[-1][4]["episode"]
    assert recorded["r"] == pytest.approx(sum(step[1] for step in steps))
    assert recorded["l"] == len(actions)


def test_a_time_limit_truncates() -> None:
    """With max_episode_steps the wrapper truncates; the episode itself goes on."""
    env = make(max_episode_steps=3)
    env.reset(seed=0)
    steps = follow(env, [0, 1, 2])
    assert [(step[2], step[3]) for step in steps] == [(False, False), (False, False), (False, True)]
    assert "score" not in steps[-1][4]
    with pytest.raises(gym.error.ResetNeeded):
        bare_of(env).episode()


def bare_of(env: Env) -> MetricTrackerEnv:
    """The environment inside its wrappers."""
    inner = env.unwrapped
    assert isinstance(inner, MetricTrackerEnv)
    return inner


@pytest.mark.parametrize(
    "wrap",
    [
        wrappers.FlattenObservation,
        wrappers.NormalizeObservation,
        wrappers.NormalizeReward,
        wrappers.TimeAwareObservation,
        wrappers.Autoreset,
        wrappers.RecordEpisodeStatistics,
        wrappers.OrderEnforcing,
        wrappers.PassiveEnvChecker,
        lambda env: wrappers.TimeLimit(env, 99),
        lambda env: wrappers.FrameStackObservation(env, 3),
        lambda env: wrappers.DelayObservation(env, 2),
        lambda env: wrappers.ReshapeObservation(env, (*env.observation_space.shape, 1)),  # pyright: ignore
        lambda env: wrappers.TransformObservation(env, np.abs, None),
        lambda env: wrappers.TransformAction(env, lambda action: action, None),
        lambda env: wrappers.StickyAction(env, 0.0),
        lambda env: wrappers.TransformReward(env, lambda reward: 2.0 * float(reward)),
        lambda env: wrappers.RescaleObservation(env, np.float32(-1.0), np.float32(1.0)),
        lambda env: wrappers.ClipReward(env, -1.0, 1.0),
    ],
    ids=lambda wrap: getattr(wrap, "__name__", "wrap"),
)
@pytest.mark.parametrize("view", VIEWS)
def test_gymnasiums_wrappers_work(wrap: Callable[[Env], gym.Env[Any, Any]], view: View) -> None:
    """An episode runs in the wrapper, within the wrapper's spaces, to the same end."""
    env = wrap(make(view=view, max_episode_steps=99))  # one of them needs a time limit
    plain = bare(view=view)
    actions = actions_of(plain, 1, legal=1.0)
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    steps = follow(env, actions)
    assert all(env.observation_space.contains(step[0]) for step in steps)
    plain.reset(seed=1)
    assert steps[-1][4]["score"] == follow(plain, actions)[-1][4]["score"]


@pytest.mark.parametrize("render_only", [False, True])
def test_pictures_as_observations(render_only: bool) -> None:
    """Gymnasium's wrappers put frames of a chosen size into the observation, for agents that look at pixels."""
    env = make(render_mode="rgb_array", render_scale=0.1)
    pixels = wrappers.AddRenderObservation(env, render_only=render_only)
    observation, _ = pixels.reset(seed=0)
    assert pixels.observation_space.contains(observation)
    observation, *_ = pixels.step(np.int64(0))
    assert pixels.observation_space.contains(observation)
    if render_only:
        grey = wrappers.GrayscaleObservation(pixels)
        assert grey.observation_space.contains(grey.reset(seed=0)[0])
    else:
        plain = wrappers.FilterObservation(pixels, ["state"])
        assert plain.observation_space.contains(plain.reset(seed=0)[0])


REPEATING = [getattr(wrappers, name, None) for name in ("MaxAndSkipObservation", "RepeatAction")]  # the second is new


@pytest.mark.parametrize("wrap", [wrap for wrap in REPEATING if wrap])
def test_wrappers_that_repeat_actions(wrap: Any) -> None:
    """An action that is repeated is illegal the second time, which is safe."""
    env = wrap(make(), 2)
    env.reset(seed=0)
    observation, _, terminated, truncated, info = env.step(np.int64(3))
    assert env.observation_space.contains(observation)
    assert (terminated, truncated, info["illegal_action"]) == (False, False, True)


def test_flattening_changes_nothing() -> None:
    """The observation is flat already."""
    assert_same(wrappers.FlattenObservation(make()).reset(seed=3)[0], make().reset(seed=3)[0])


def test_async_workers_play_what_the_sync_ones_play() -> None:
    """Environments in spawned processes register themselves and return the same as those in this process."""
    sync = make_sync(2, "NextStep", view="board")
    asynchronous = gym.make_vec(
        ENV_ID, num_envs=2, vectorization_mode="async", vector_kwargs={"context": "spawn"}, view="board"
    )
    try:
        assert_same(asynchronous.reset(seed=9), sync.reset(seed=9))
        rng = np.random.default_rng(0)
        for _ in range(60):
            actions = rng.integers(sync.single_action_space.n, size=2)  # pyright: ignore[reportAttributeAccessIssue]
            assert_same(asynchronous.step(actions), sync.step(actions))
    finally:
        asynchronous.close()


# Configurations


@pytest.mark.parametrize("name", TASKS)
def test_every_named_task_can_be_made(name: str) -> None:
    """A task's configuration is that of the environments, single and vector, made from its name."""
    assert bare(task=name).config == get_task(name).config
    assert make_lanes(2, task=name).config == get_task(name).config
    assert bare(task=name, view="board").config == get_task(name).config.model_copy(update={"view": "board"})


def test_every_preset_can_be_made() -> None:
    """Each file of configs/ makes an environment that plays an episode."""
    assert PRESETS, "configs/ holds no preset"
    for path in PRESETS:
        env = bare(config=str(path))
        assert env.config.model_dump() == load_config(path, EnvConfig).model_dump()
        assert play(env, 0, np.random.default_rng(0))[-1].terminated
        assert make_lanes(2, config=path).config.model_dump() == env.config.model_dump()


def test_options_go_on_top_of_a_config() -> None:
    """A config may be an object or a dict; options given beside it win."""
    config = EnvConfig(difficulty="hard", budget=7)
    assert bare(config=config).config == config
    assert bare(config={"difficulty": "hard", "budget": 7}).config == config
    assert bare(config=config, budget=9).config == EnvConfig(difficulty="hard", budget=9)


# Seeds and episodes


@pytest.mark.parametrize("view", VIEWS)
def test_a_seed_gives_the_same_stream_of_episodes(view: View) -> None:
    """reset(seed) starts a stream, reset() goes on with it: the same again for the same seed, in any environment."""
    streams = []
    for env in (bare(view=view), bare(view=view)):
        for _ in range(2):
            rng = np.random.default_rng(5)
            streams.append([play(env, 11 if number == 0 else None, rng) for number in range(4)])
    for stream in streams[1:]:
        assert_same(stream, streams[0])


def test_a_stream_does_not_repeat_an_episode() -> None:
    """The episodes of a stream differ from each other and from those of the next seed."""
    env = bare()
    seen: set[bytes] = set()
    for seed in (11, 12):
        env.reset(seed=seed)
        for _ in range(10):
            env.step(env.actions.encode("submit"))
            seen.add(env.episode().hourly.tobytes())
            env.reset()
    assert len(seen) == 20


def test_the_stream_does_not_depend_on_what_was_played() -> None:
    """Episode n of a seed is the same whether the ones before it were played, ended or skipped."""
    played, skipped = bare(), bare()
    rng = np.random.default_rng(0)
    play(played, 3, rng)
    play(played, None, rng)
    skipped.reset(seed=3)
    skipped.reset()
    skipped.step(0)
    for env in (played, skipped):
        env.reset()
        env.step(env.actions.encode("submit"))
    assert np.array_equal(played.episode().hourly, skipped.episode().hourly)


def test_without_a_seed_environments_differ() -> None:
    """Two environments that were never seeded play different episodes."""
    hourly = []
    for env in (bare(), bare()):
        env.reset()
        env.step(env.actions.encode("submit"))
        hourly.append(env.episode().hourly)
    assert not np.array_equal(hourly[0], hourly[1])


@pytest.mark.parametrize("seed", [0, 7, 2**32 + 5, 2**63 - 1, np.int64(7), np.uint32(9)])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_seed_plays_the_episode_of_the_generator(seed: Any, difficulty: Any) -> None:
    """reset(seed=s) plays what MetricDataGenerator.generate_episode makes of seed s and the same options."""
    env = bare(difficulty=difficulty, anomaly_count=(1, 5))
    env.reset(seed=seed)
    env.step(env.actions.encode("submit"))
    request = EpisodeConfig(seed=int(seed), difficulty=difficulty, anomaly_count=(1, 5))
    made = MetricDataGenerator(env.config.generator).generate_episode(request)
    assert np.array_equal(env.episode().hourly, made.hourly)
    assert np.array_equal(env.episode().classes, made.classes)
    assert env.episode().expected_rows == made.expected_rows
    assert env.episode().anomaly_schedule == made.anomaly_schedule


@pytest.mark.parametrize("family", ALL_SCENARIO_FAMILIES)
def test_reset_options_hold_for_one_episode(family: ScenarioFamily) -> None:
    """An option of reset is that of this episode, which the generator makes too; the next one is as configured."""
    env, plain = bare(), bare()
    env.reset(seed=21, options={"scenario_family": family, "anomaly_count": 2, "difficulty": "easy"})
    env.step(env.actions.encode("submit"))
    request = EpisodeConfig(seed=21, scenario_family=family, anomaly_count=2, difficulty="easy")
    assert env.episode().expected_rows == MetricDataGenerator().generate_episode(request).expected_rows
    assert len(env.episode().expected_rows) == 2
    assert env.config == EnvConfig()
    plain.reset(seed=21)
    for one in (env, plain):
        one.reset()
        one.step(one.actions.encode("submit"))
    assert_same(env.episode().expected_rows, plain.episode().expected_rows)


def test_explicit_anomalies_as_a_reset_option() -> None:
    """Anomaly generators given to reset are what the episode holds."""
    env = bare()
    wanted = {"metric_name": "menu_opens", "date": "2026-03-18", "stddev_factor": 5.0, "direction": "down"}
    env.reset(seed=1, options={"anomaly_generators": [wanted]})
    env.step(env.actions.encode("submit"))
    rows = env.episode().expected_rows
    assert [(row.date, row.entity_name, row.delta_value < 0) for row in rows] == [("2026-03-18", "menu_opens", True)]


# Rewards and the end


def collect(env: MetricTrackerEnv, seed: int, rng: np.random.Generator) -> list[int]:
    """Actions of an episode that opens many dates and reports whatever it can, right or wrong."""
    env.reset(seed=seed)
    actions: list[int] = []
    while env.action_masks()[:-1].any() and len(actions) < env.config.step_limit - 1:
        legal = np.flatnonzero(env.action_masks())[:-1].tolist()
        reports = [i for i in legal if env.actions.decode(i).tool == "report"]
        actions.append(int(rng.choice(reports or legal)))
        env.step(actions[-1])
    return [*actions, len(env.actions) - 1]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_dense_rewards_telescope_to_the_terminal_return(view: View, difficulty: str) -> None:
    """The same actions earn the same return with both rewards: the score less the cost of the tools."""
    terminal = bare(view=view, difficulty=difficulty, anomaly_count=(1, 5), budget=28)
    dense = bare(view=view, difficulty=difficulty, anomaly_count=(1, 5), budget=28, reward="dense")
    rng = np.random.default_rng(0)
    informative = 0
    for seed in range(6):
        actions = collect(terminal, seed, rng)
        terminal.reset(seed=seed)
        dense.reset(seed=seed)
        late, early = follow(terminal, actions), follow(dense, actions)
        end = late[-1][4]
        expected = end["score"] - terminal.config.step_cost * end["cost"]
        assert sum(step[1] for step in late) == pytest.approx(expected, abs=1e-9)
        assert sum(step[1] for step in early) == pytest.approx(expected, abs=1e-9)
        assert_same([(s[0], *s[2:]) for s in late], [(s[0], *s[2:]) for s in early])  # only the rewards differ
        assert all(step[1] <= 0.0 for step in late[:-1])
        informative += sum(step[1] > 0.0 for step in early)
        assert early[-1][1] == 0.0
    assert informative > 0


@pytest.mark.parametrize("reward", ["terminal", "dense"])
def test_the_step_cost_can_be_changed(reward: Reward) -> None:
    """A step cost set on the way, through wrappers too, is that of the steps to come and changes nothing else."""
    env, fixed = gym.make(ENV_ID, reward=reward), gym.make(ENV_ID, reward=reward, step_cost=0.02)
    seed, reports = 3, 0
    first, *rest = collect(bare(), seed, np.random.default_rng(seed))
    for each in (env, fixed):
        each.reset(seed=seed)
    assert env.step(first)[1] == pytest.approx(-0.005)
    assert fixed.step(first)[1] == pytest.approx(-0.02)
    env.set_wrapper_attr("step_cost", 0.02)
    assert env.get_wrapper_attr("config") == fixed.get_wrapper_attr("config")
    for action in rest:
        assert_same(env.step(action), fixed.step(action))
        reports += bare().actions.decode(action).tool == "report"
    assert reports
    assert_same(env.reset(), fixed.reset())
    assert_same(env.step(first), fixed.step(first))
    for bad in (-0.1, 1.5, float("nan"), "dear", None):
        with pytest.raises(ValueError, match="step_cost"):
            env.set_wrapper_attr("step_cost", bad)
    assert env.get_wrapper_attr("step_cost") == 0.02


@pytest.mark.parametrize("view", VIEWS)
def test_each_unit_costs_budget_and_reward(view: View) -> None:
    """A tool call takes its cost from the budget and the reward; report and submit are free."""
    env = bare(view=view, costs={"open": 2, "survey": 5}, budget=10, step_cost=0.01)
    env.reset(seed=0)
    assert env.step(env.actions.encode("list_suspicious_dates"))[1] == pytest.approx(-0.05)
    date = env.config.generator.date_names[0]
    assert env.step(env.actions.encode("rows_for_date", date=date))[1] == pytest.approx(-0.02)
    assert env.step(env.actions.encode("get_funnel_break_rows", threshold_multiplier=1.5))[1] == pytest.approx(-0.01)
    _, reward, terminated, _, info = env.step(env.actions.encode("submit"))
    assert terminated
    assert reward == 0.0
    assert (info["cost"], info["tool_calls"], info["score"]) == (8, 3, 0.0)


@pytest.mark.parametrize("view", VIEWS)
def test_the_budget_is_never_overdrawn(view: View) -> None:
    """Whatever is tried, an episode spends no more than its budget."""
    env = bare(view=view, budget=5, costs={"survey": 3, "scan": 2})
    for seed in range(10):
        end = play(env, seed, np.random.default_rng(seed), legal=0.8)[-1].info
        assert end["cost"] <= 5


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_the_step_limit_submits_the_draft(view: View, reward: Reward) -> None:
    """At the step limit the draft is graded as it stands: terminated, not truncated."""
    env = bare(view=view, reward=reward, budget=28, step_limit=60, difficulty="easy")
    actions = collect(env, 3, np.random.default_rng(3))[:-1]
    limited = bare(view=view, reward=reward, budget=28, step_limit=len(actions), difficulty="easy")
    limited.reset(seed=3)
    *before, last = follow(limited, actions)
    assert not any(step[2] or step[3] for step in before)
    assert (last[2], last[3]) == (True, False)
    assert last[4]["score"] == limited.grade().score
    assert limited.grade().submitted == sum(limited.actions.decode(i).tool == "report" for i in actions) > 0
    assert limited.observation_space.contains(last[0])


@pytest.mark.parametrize("view", VIEWS)
def test_illegal_steps_run_into_the_limit_too(view: View) -> None:
    """An agent that does nothing but illegal things comes to the end at the step limit, with the score of nothing."""
    env = bare(view=view, step_limit=5)
    env.reset(seed=0)
    steps = follow(env, [int(np.flatnonzero(~env.action_masks())[0])] * 5)
    assert [step[2] for step in steps] == [False] * 4 + [True]
    assert (steps[-1][4]["score"], steps[-1][4]["submitted"], steps[-1][4]["cost"]) == (0.0, 0, 0)


@pytest.mark.parametrize("view", VIEWS)
def test_an_illegal_action_changes_nothing_but_the_steps_left(view: View) -> None:
    """An illegal action is told in info, earns nothing, and leaves all but the number of steps left as it was."""
    env = bare(view=view)
    observation, info = env.reset(seed=2)
    rng = np.random.default_rng(2)
    steps_left = env.observation_layout.parts["globals"].start + 2
    tried = 0
    while not (info["action_mask"].sum() == 1 or tried > 25):
        action = int(rng.choice(np.flatnonzero(info["action_mask"] == 0)))
        after, reward, terminated, truncated, told = env.step(action)
        assert (reward, terminated, truncated, told["illegal_action"]) == (0.0, False, False, True)
        assert np.flatnonzero(after != observation).tolist() == [steps_left]
        assert np.array_equal(told["action_mask"], info["action_mask"])
        observation, *_, info = env.step(pick(rng, info["action_mask"], submit=0.0))
        assert info["illegal_action"] is False
        tried += 1
        if tried == 20:
            break
    assert tried >= 10


@pytest.mark.parametrize("view", VIEWS)
def test_report_needs_evidence(view: View) -> None:
    """No cell may be reported until a tool has revealed it and its detection method confirms it; then once."""
    env = bare(view=view, difficulty="easy", scenario_family="rate_drop_from_median", budget=40, step_limit=99)
    env.reset(seed=0)

    def reports() -> list[int]:
        return [i for i in np.flatnonzero(env.action_masks()).tolist() if env.actions.decode(i).tool == "report"]

    assert reports() == []
    told: dict[str, set[tuple[str, str]]] = {}
    for date in env.config.generator.date_names:
        env.step(env.actions.encode("rows_for_date", date=date))
        calls = [env.resolve(i).arguments for i in reports()]
        told[date] = {(str(c["entity_type"]), str(c["entity_name"])) for c in calls if c["date"] == date}
    if view == "focus":  # the last date is in focus: go back to one with something to report
        date = next(date for date, cells in told.items() if cells)
        env.step(env.actions.encode("rows_for_date", date=date))
    action = reports()[0]
    env.step(action)
    assert action not in reports()
    env.step(env.actions.encode("submit"))
    assert env.grade().submitted == 1
    view_of_data = env.episode().view
    for day, date in enumerate(env.config.generator.date_names):
        entities = view_of_data.catalogue.entities
        opened = {"event_count", "conversion_rate"}
        flagged = [e for e in entities if view_of_data.flagged[e.index, day] and e.entity_type in opened]
        assert told[date] == {(e.entity_type, e.entity_name) for e in flagged}
    assert sum(map(len, told.values())) >= 3


@pytest.mark.parametrize("view", VIEWS)
def test_grade_is_the_score_of_info(view: View) -> None:
    """grade() says in full what info tells in numbers, and a perfect grade of the truth is 1."""
    env = bare(view=view, budget=28, anomaly_count=(1, 5))
    rng = np.random.default_rng(1)
    for seed in range(8):
        actions = collect(env, seed, rng)
        env.reset(seed=seed)
        info = follow(env, actions)[-1][4]
        grade = env.grade()
        for name in ("score", "precision", "recall", "f1", "submitted", "expected", "matched", "missing", "extra"):
            assert info[name] == pytest.approx(getattr(grade, name), abs=1e-12), name
        assert grade.duplicate == grade.invalid == 0
        for name in ("anomaly_type_accuracy", "detection_method_accuracy", "values_accuracy", "severity_accuracy"):
            assert getattr(grade, name) == pytest.approx(grade.recall), name
        assert score_submission(env.episode().expected_rows, env.episode()).score == 1.0
        assert info["expected"] == len(env.episode().expected_rows)


@pytest.mark.parametrize("method", ["episode", "grade"])
def test_the_truth_is_told_at_the_end_only(method: str) -> None:
    """Before the first reset and during an episode there is no truth; after the end there is, until the next reset."""
    env = bare()
    ask = getattr(env, method)
    with pytest.raises(gym.error.ResetNeeded):
        ask()
    env.reset(seed=0)
    with pytest.raises(gym.error.ResetNeeded):
        ask()
    env.step(0)
    with pytest.raises(gym.error.ResetNeeded):
        ask()
    env.step(env.actions.encode("submit"))
    assert ask() is not None
    env.reset()
    with pytest.raises(gym.error.ResetNeeded):
        ask()
