"""Before an episode ends nothing that an agent can reach holds its truth: seed, expected rows, their number, twin."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers_env import (
    REWARDS,
    VIEWS,
    WORLDS,
    SlowModel,
    assert_shows,
    bare,
    in_both_worlds,
    make,
    make_lanes,
    pick,
    pick_lanes,
    play,
)
from helpers_view import make_view

from metric_tracker_env import (
    EpisodeConfig,
    EpisodeData,
    MetricDataGenerator,
    MetricTrackerEnv,
    MetricTrackerVectorEnv,
    SharedAnalysisToolkit,
    get_task,
)
from metric_tracker_env.config import GeneratorConfig, Reward, View
from metric_tracker_env.schema import ANOMALY_TYPES, DIFFICULTIES
from metric_tracker_env.tools import TOOLS, ToolError, call_tool
from metric_tracker_env.view import MetricView

RUNNING = {"action_mask", "illegal_action"}
ENDED = {
    *("score", "precision", "recall", "f1"),
    *("matched", "missing", "extra", "submitted", "expected"),
    *("cost", "tool_calls"),
    *("episode_seed", "episode_number"),
}
GYMNASIUM_OWN = {"np_random", "np_random_seed"}  # the generator that check_env asks every environment for
SEED = 987_654_321_987
Either = MetricTrackerEnv | MetricTrackerVectorEnv


@in_both_worlds
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_info_has_the_documented_keys_only(view: View, reward: Reward, world: str) -> None:
    """Info holds the mask and whether the action was illegal, and the score and its parts at the end only."""
    rng = np.random.default_rng(0)
    for seed in range(8):
        steps = play(bare(task=world, view=view, reward=reward), seed, rng, legal=0.8)
        assert all(set(step.info) == RUNNING for step in steps[:-1])
        assert set(steps[-1].info) == RUNNING | ENDED


@in_both_worlds
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vector_info_tells_of_ended_lanes_only(mode: AutoresetMode, world: str) -> None:
    """The parts of the score are zero for every lane whose episode has not ended in this step."""
    envs = make_lanes(40, task=world, autoreset_mode=mode, difficulty="easy", step_limit=20)
    _, info = envs.reset(seed=0)
    rng, masks, ended = np.random.default_rng(0), info["action_mask"].copy(), 0
    for _ in range(60):
        _, _, terminated, _, info = envs.step(pick_lanes(rng, masks))
        masks = info["action_mask"].copy()
        told = info.get("final_info", info) if mode is AutoresetMode.SAME_STEP else info
        for name in ENDED & told.keys():
            assert np.array_equal(told[f"_{name}"], terminated)
            assert not told[name][~terminated].any()
        allowed = RUNNING | ({"final_obs", "final_info"} if mode is AutoresetMode.SAME_STEP else ENDED)
        assert {key.removeprefix("_") for key in info} <= allowed
        ended += int(terminated.sum())
        if mode is AutoresetMode.DISABLED and terminated.any():
            _, told = envs.reset(options={"reset_mask": terminated})
            masks[terminated] = told["action_mask"][terminated]
    assert ended > 40


@in_both_worlds
@pytest.mark.parametrize("view", VIEWS)
def test_the_terminal_reward_says_nothing_before_the_end(view: View, world: str) -> None:
    """Until the end the terminal reward is the cost of the tool and nothing else, whatever was reported."""
    env = bare(task=world, view=view, difficulty="easy", budget=28, costs={"survey": 5})
    rng = np.random.default_rng(1)
    for seed in range(8):
        steps = play(env, seed, rng, legal=0.9)
        model = SlowModel(env.config, env.actions, env.episode().view)
        for step in steps[1:-1]:
            cost = model.cost(model.actions[step.action]) * (not step.info["illegal_action"])
            assert step.reward == pytest.approx(-env.config.step_cost * cost)


def attempt(call: Callable[[], object]) -> str:
    """The text of the error that a bad call raises."""
    with pytest.raises((ValueError, gym.error.ResetNeeded, ToolError)) as caught:
        call()
    return f"{caught.type.__name__}: {caught.value}"


def reachable_texts(env: Either) -> dict[str, str]:
    """What the environment says of itself, and every error that bad calls raise while an episode is under way."""
    texts = {"repr": repr(env), "str": str(env)}
    for name in dir(env):
        if not name.startswith("_") and name not in GYMNASIUM_OWN:
            value = getattr(env, name)
            if not callable(value):
                texts[name] = f"{value!r} {value}"
    size = len(env.actions)
    bad_actions = [-1, size, 1.5, "report", None, np.zeros((2, 2)), 10**40]
    texts |= {f"step {i}": attempt(lambda a=a: env.step(a)) for i, a in enumerate(bad_actions)}  # pyright: ignore[reportArgumentType]
    bad_options = [{"seed": 3}, {"difficulty": "x"}, {"anomaly_count": 99}]
    texts |= {f"options {i}": attempt(lambda o=o: env.reset(options=o)) for i, o in enumerate(bad_options)}
    texts["seed"] = attempt(lambda: env.reset(seed=-1))
    if isinstance(env, MetricTrackerEnv):
        texts |= {"episode": attempt(env.episode), "grade": attempt(env.grade)}
        texts["resolve"] = attempt(lambda: env.resolve(size))
    else:
        texts |= {"episode": attempt(lambda: env.episode(0)), "grade": attempt(lambda: env.grade(0))}
    texts["decode"] = attempt(lambda: env.actions.decode(size))
    texts["encode"] = attempt(lambda: env.actions.encode("truth"))
    texts["parse"] = attempt(lambda: env.actions.parse("expected_rows"))
    return {name: re.sub(r" at 0x[0-9a-f]+", "", text) for name, text in texts.items()}


@in_both_worlds
@pytest.mark.parametrize("view", VIEWS)
def test_what_an_environment_says_is_the_same_whatever_the_episode(view: View, world: str) -> None:
    """Texts, public attributes and errors are those of a fresh environment for every seed and at every step."""
    env = bare(task=world, view=view, anomaly_count=WORLDS[world], difficulty="hard", budget=40)
    numbers: set[int] = set()
    first: dict[str, str] = {}
    for seed in (SEED, *range(4)):
        _, info = env.reset(seed=seed)
        rng = np.random.default_rng(seed)
        for _ in range(12):
            texts = reachable_texts(env)
            first = first or texts
            assert texts == first
            _, _, done, _, info = env.step(pick(rng, info["action_mask"], submit=0.0))
            assert not done
        env.step(env.actions.encode("submit"))
        numbers.add(len(env.episode().expected_rows))
    assert len(numbers) > 1
    assert str(SEED) not in " ".join(first.values())


@in_both_worlds
def test_what_lanes_say_is_the_same_whatever_the_episodes(world: str) -> None:
    """The vector environment too says the same for every seed and at every step."""
    envs = make_lanes(2, task=world, anomaly_count=WORLDS[world])
    first: dict[str, str] = {}
    for seed in (SEED, 1, 2):
        envs.reset(seed=seed)
        for action in range(5):
            texts = reachable_texts(envs)
            first = first or texts
            assert texts == first
            envs.step(np.full(2, action))
    assert str(SEED) not in " ".join(first.values())


@in_both_worlds
def test_the_wrapped_environment_does_not_say_its_seed(world: str) -> None:
    """The text of the environment inside Gymnasium's wrappers, and of its spec, has no seed either."""
    env = make(task=world)
    env.reset(seed=SEED)
    assert str(SEED) not in f"{env} {env!r} {env.spec}"


@in_both_worlds
@pytest.mark.parametrize("view", VIEWS)
def test_a_fresh_episode_looks_like_any_other(view: View, world: str) -> None:
    """Before any tool was used, observation and info are the same for every seed, difficulty of it and family."""
    env = bare(task=world, view=view)
    expected = env.reset(seed=0)
    for seed, family in enumerate(ANOMALY_TYPES):
        for options in (
            {},
            {"anomaly_count": 0},
            {"scenario_family": family, "anomaly_count": 1 + seed, "difficulty": DIFFICULTIES[seed % 3]},
        ):
            observation, info = env.reset(seed=seed, options=options)
            assert np.array_equal(observation, expected[0])
            assert np.array_equal(info["action_mask"], expected[1]["action_mask"])


# Scans whose dates many episodes share: in a world events flag dates of nearly all other families.
SCANS = {
    "medium_mixed": ("funnel_break", "hourly_traffic_mix_shift", "instrumentation_data_quality_issue"),
    "realistic_medium": ("instrumentation_data_quality_issue",),
}


@pytest.mark.parametrize("world", SCANS)
@pytest.mark.parametrize("view", VIEWS)
def test_equal_evidence_looks_equal(view: View, world: str) -> None:
    """Episodes whose scans told the same dates show the same observation and info, however their truths differ."""
    high = WORLDS[world]
    envs = make_lanes(
        300, task=world, view=view, anomaly_count=high, autoreset_mode=AutoresetMode.DISABLED, step_limit=6
    )
    envs.reset(seed=0)
    shown = []
    for family in SCANS[world]:
        observations, rewards, _, _, info = envs.step(
            np.full(300, envs.actions.encode(f"get_{family}_rows", threshold_multiplier=1.0))
        )
        shown.append((observations, rewards, info["action_mask"], info["illegal_action"]))
    envs.step(np.full(300, envs.actions.encode("submit")))
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    episodes = [envs.episode(lane) for lane in range(300)]
    for lane, episode in enumerate(episodes):
        toolkit = SharedAnalysisToolkit(episode.view)
        groups[tuple(tuple(getattr(toolkit, f"get_{family}_rows")().dates) for family in SCANS[world])].append(lane)
    largest = max(groups.values(), key=len)
    truths = [str(episodes[lane].expected_rows) for lane in largest]
    quiet = truths.count("[]")  # the truth of all quiet episodes is the same
    assert len(largest) > 10
    assert len(set(truths)) == len(truths) - max(quiet - 1, 0)
    assert len({len(episodes[lane].expected_rows) for lane in largest}) > 2
    for lanes in groups.values():
        for arrays in shown:
            for array in arrays:
                assert (array[lanes] == array[lanes[0]]).all()


@in_both_worlds
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_all_that_is_shown_follows_from_the_label_free_data(view: View, reward: Reward, world: str) -> None:
    """Observations and masks are what counts, events and gaps alone give, with no label, seed or twin at hand."""
    env = bare(task=world, view=view, reward=reward, anomaly_count=WORLDS[world], difficulty="hard", budget=40)
    steps = play(env, 3, np.random.default_rng(3), legal=0.9)
    data = label_free(env.episode())
    model = SlowModel(env.config, env.actions, data)
    for step in steps:
        if step.action >= 0:
            model.act(step.action)
        assert_shows(env.observation_layout, step.observation, model.observation())
        assert step.terminated or np.array_equal(step.mask, model.mask())


@pytest.mark.parametrize("task", ["hard_mixed", "realistic_hard"])
@pytest.mark.parametrize("view", VIEWS)
def test_zeros_have_no_sign(view: View, task: str) -> None:
    """What is hidden is 0 and not -0.0, which would tell on which side of the median it lies, one lane or many."""
    env, lanes = bare(task=task, view=view), make_lanes(8, task=task, view=view)
    _, info = env.reset(seed=0)
    _, told = lanes.reset(seed=0)
    for step in range(160):
        legal = np.flatnonzero(info["action_mask"])
        observation, _, over, _, info = env.step(int(legal[step * 7 % len(legal)]))
        chosen = [
            int(np.flatnonzero(mask)[(step + lane) * 5 % mask.sum()]) for lane, mask in enumerate(told["action_mask"])
        ]
        observed, *_, told = lanes.step(np.array(chosen))
        if over:
            _, info = env.reset()
        for shown in (observation, observed):
            assert not np.signbit(shown[shown == 0]).any()


# The tools


def label_free(episode: EpisodeData) -> MetricView:
    """The view of an episode, made from what was recorded and announced alone."""
    view = make_view(episode.generator_config, episode.hourly, episode.config.difficulty)
    return replace(view, known_events=tuple(episode.known_events), gaps=tuple(episode.gaps))


def tool_calls(config: GeneratorConfig) -> list[tuple[str, dict[str, Any]]]:
    """Calls of all tools, on every date where they take one."""
    counts = config.catalogue.count_metrics
    rates = [item.name for item in config.catalogue.conversions]
    row = {"date": config.date_names[9], "entity_type": "event_count", "entity_name": counts[0]}
    row |= {"anomaly_type": "absolute_drop_in_event_count", "detection_method": "compare_count_to_median"}
    row |= {"baseline_value": 1.0, "observed_value": 1.0, "delta_value": 0.0, "severity": "low"}
    special: dict[str, list[dict[str, Any]]] = {
        "compare_count_to_median": [{"date": d, "entity_name": m} for d in config.date_names for m in counts],
        "compare_rate_to_median": [{"date": d, "entity_name": m} for d in config.date_names for m in rates],
        "list_suspicious_dates": [{"limit": 28}],
        "preview_submission": [{"rows": [row]}, {"rows": []}],
        "show_raw_data": [{"limit": 28}],
        "get_rows_with_abs_diff_from_median_gt": [{"metric_name": m, "threshold": 1.0} for m in (*counts, *rates)],
        "get_median_filter_rows": [{"metric_name": m, "threshold_multiplier": 0.5} for m in (*counts, *rates)],
        "get_metric_median": [{"metric_name": m} for m in (*counts, *rates)],
        "get_metric_std_dev_from_median": [{"metric_name": m} for m in (*counts, *rates)],
        "payload_generator": [{"generator_methods": [f"get_{family}_rows" for family in ANOMALY_TYPES]}],
    }
    calls: list[tuple[str, dict[str, Any]]] = []
    for name, spec in TOOLS.items():
        if not spec.offered(config):
            continue
        by_date = [{"date": date} for date in config.date_names] if "date" in spec.parameters else [{}]
        calls += [(name, arguments) for arguments in special.get(name, by_date)]
    return calls


def answers(toolkit: SharedAnalysisToolkit, config: GeneratorConfig) -> list[str]:
    """JSON of the results of all tools, and the errors of bad calls."""
    found = [json.dumps(call_tool(toolkit, name, arguments)) for name, arguments in tool_calls(config)]
    found += [attempt(lambda name=name: call_tool(toolkit, name, {"truth": 1})) for name in TOOLS]
    return [*found, attempt(lambda: call_tool(toolkit, "expected_rows", {})), repr(toolkit).split(" at ")[0]]


def episode_of(seed: int, world: str, difficulty: Any = "medium") -> EpisodeData:
    asked = EpisodeConfig(seed=seed, difficulty=difficulty, anomaly_count=WORLDS[world])
    return MetricDataGenerator(get_task(world).config.generator).generate_episode(asked)


@in_both_worlds
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_tools_know_the_data_and_nothing_else(difficulty: str, world: str) -> None:
    """All tools answer the same on the episode's view as on one built from its counts, announcements and gaps."""
    episode = episode_of(SEED, world, difficulty)
    config = episode.generator_config
    assert {name for name, _ in tool_calls(config)} == {name for name, spec in TOOLS.items() if spec.offered(config)}
    told = answers(SharedAnalysisToolkit(episode.view), config)
    assert told == answers(SharedAnalysisToolkit(label_free(episode)), config)
    assert str(SEED) not in " ".join(told)


@in_both_worlds
def test_the_view_has_no_way_to_the_truth(world: str) -> None:
    """The label-free view holds configuration, difficulty, counts and deviations, none of which knows the episode."""
    view = episode_of(SEED, world).view
    public = {name for name in dir(view) if not name.startswith("_")}
    assert not public & {
        "expected_rows",
        "classes",
        "twin_daily",
        "anomaly_schedule",
        "incidents_of_day",
        "causes",
        "event_effects",
        "explanation",
        "seed",
    }
    assert set(vars(view)) >= {"config", "difficulty", "hourly", "deviations"}
    assert isinstance(view.config, GeneratorConfig)
    assert "seed" not in GeneratorConfig.model_fields


@in_both_worlds
def test_texts_of_data_objects_are_the_same_for_every_episode(world: str) -> None:
    """The repr and str of an episode, its view and its toolkit say nothing that differs from one seed to the next."""
    texts: set[str] = set()
    for seed in (SEED, 1, 2, 3):
        episode = episode_of(seed, world)
        objects = (episode, episode.view)
        texts.add(" ".join(f"{item!r} {item}" for item in objects))
    assert len(texts) == 1
    assert str(SEED) not in texts.pop()


@in_both_worlds
def test_the_twin_is_in_nothing_that_is_told(world: str) -> None:
    """On dates with an incident no tool names a daily count of the clean twin that the data do not show."""
    found = 0
    for seed in range(20):
        episode = episode_of(seed, world)
        shown, twin = episode.daily, episode.twin_daily
        hidden = {str(value) for value in twin[twin != shown].tolist() if value > 3000} - {
            str(value) for value in [*shown.ravel().tolist(), *episode.hourly.ravel().tolist()]
        }
        told = " ".join(answers(SharedAnalysisToolkit(episode.view), episode.generator_config))
        whole = set(re.findall(r"(?<![\d.])\d{4,}(?:\.0)?(?![\d.])", told))
        assert not hidden & {number.removesuffix(".0") for number in whole}
        found += len(hidden)
    assert found > 20
