"""Bad input is an error that names the field, the value and what is allowed; nothing else has changed then."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers_env import ENV_ID, SUBMIT, VIEWS, assert_same, bare, make_lanes

from metric_tracker_env import MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.config import View

NAN, INF = math.nan, math.inf
ALLOWED = (
    "should",
    "must",
    "allowed",
    "one of",
    "at most",
    "not an integer from",
    "do not fit",
    "is not True or False",
)
Makers = pytest.mark.parametrize("maker", [bare, lambda **kwargs: make_lanes(2, **kwargs)], ids=["make", "make_vec"])
Maker = Callable[..., MetricTrackerEnv | MetricTrackerVectorEnv]


def assert_tells(message: str, field: str, value: object) -> None:
    """An error message names the field, shows the value, and says what is allowed."""
    assert field in message
    assert repr(value) in message or str(value) in message
    assert any(word in message for word in ALLOWED)


# Making an environment

WHOLE = (-1, 0, 1.5, 16.0, NAN, INF, -INF, 10**30, True, "16", None)
SHARE = (-0.1, 1.5, NAN, INF, -INF, 10**30, True, "0.1", None)
NUMBERS: dict[str, tuple[Any, ...]] = {
    "budget": WHOLE,
    "step_limit": WHOLE,
    "step_cost": SHARE,
    "anomaly_count": (-1, *WHOLE[2:-1], 14, (3, 1), (1,), (1, 2, 3), (-1, 2), (1, 2.5), (1, True), (NAN, 3), []),
    "costs.open": (*WHOLE, 1001),
    "costs.inspect": (*WHOLE, 1001),
    "costs.scan": (*WHOLE, 1001),
    "costs.survey": (*WHOLE, 1001),
    "costs.free": (1, -1, NAN, True),
    "generator.num_weeks": (-1, 0, 13, 1.5, 4.0, NAN, INF, 10**30, True, "4", None),
    "generator.base_daily_count": (-1, 0, NAN, INF, 1e9, True, "many", None),
    "generator.trend_per_day": (-0.5, 1.0, NAN, INF, True, "up"),
    "generator.day_noise": SHARE,
    "generator.hour_noise": SHARE,
    "generator.rate_noise.hard": SHARE,
}


@Makers
@pytest.mark.parametrize(("place", "value"), [(place, value) for place, values in NUMBERS.items() for value in values])
def test_numbers_that_are_refused(maker: Maker, place: str, value: Any) -> None:
    """Negative, zero, fractional, NaN, infinite, huge and boolean numbers are refused for every numeric option."""
    option, *inner = place.split(".")
    given = value
    for name in reversed(inner):
        given = {name: given}
    with pytest.raises(ValueError, match=option) as caught:
        maker(**{option: given})
    assert_tells(str(caught.value), inner[-1] if inner else option, value)


NAMES: list[tuple[str, Any, str]] = [
    ("task", "hard_mixd", "hard_mixed"),
    ("view", "side", "board"),
    ("reward", "sparse", "terminal"),
    ("difficulty", "Easy", "easy"),
    ("scenario_family", "chaos", "funnel_break"),
    ("anomaly_density", "dense", "high"),
    *((name, value, "") for name in ("view", "reward", "difficulty") for value in (None, 3, True, ["focus"], "")),
]


@Makers
@pytest.mark.parametrize(("option", "value", "allowed"), NAMES)
def test_names_that_are_refused(maker: Maker, option: str, value: Any, allowed: str) -> None:
    """An unknown name is refused with the option, the name, and the names that there are."""
    with pytest.raises(ValueError, match=option) as caught:
        maker(**{option: value})
    assert_tells(str(caught.value), option, value)
    assert allowed in str(caught.value)


@Makers
@pytest.mark.parametrize(
    ("kwargs", "allowed"),
    [
        ({"colour": 3}, "step_limit"),
        ({"config": {"colour": 3}}, "step_limit"),
        ({"generator": {"colour": 3}}, "num_weeks"),
        ({"config": {"generator": {"colour": 3}}}, "num_weeks"),
        ({"costs": {"colour": 3}}, "survey"),
        ({"generator": {"rate_noise": {"colour": 3}}}, "medium"),
        ({"anomaly_generators": [{"stddev_factor": 3.0, "colour": 3}]}, "direction"),
        ({"seed": 3}, "step_limit"),
        ({"max_steps": 3}, "step_limit"),
    ],
)
def test_unknown_keys_are_refused(maker: Maker, kwargs: dict[str, Any], allowed: str) -> None:
    """An unknown key, at any depth, is refused with its name and the keys that there are."""
    unknown = next(name for name in ("colour", "seed", "max_steps") if name in str(kwargs))
    with pytest.raises(ValueError, match=unknown) as caught:
        maker(**kwargs)
    assert allowed in str(caught.value)


@Makers
@pytest.mark.parametrize("unknown", [["colour"], ["frameskip", "colour"]], ids=str)
def test_an_unknown_keyword_is_pythons_type_error(maker: Maker, unknown: list[str]) -> None:
    """Each unknown keyword is named in the words of Python's own error, which libraries look for to drop it."""
    inner: Maker = MetricTrackerEnv if maker is bare else MetricTrackerVectorEnv
    given: dict[str, Any] = dict.fromkeys(unknown, 3)
    for make in (maker, inner):
        for kind in (TypeError, ValueError):
            with pytest.raises(kind, match=r"got an unexpected keyword argument .*; allowed: .*'step_limit'") as caught:
                make(**given)
            assert all(f"unexpected keyword argument '{name}'" in str(caught.value) for name in unknown)


@Makers
def test_config_files_that_are_refused(maker: Maker, tmp_path: Path) -> None:
    """A config that is no config, or a file that is missing, of another kind, or wrong inside, is refused by name."""
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("budget = -3\n", encoding="utf-8")
    for config, words in (
        (tmp_path / "none.toml", ["none.toml", "does not exist"]),
        (str(tmp_path / "preset.yaml"), ["preset.yaml", ".toml or .json"]),
        (wrong, ["budget", "-3"]),
        (3, ["config", "3"]),
        (["easy"], ["config", "easy"]),
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            maker(config=config)
        assert all(word in str(caught.value) for word in words)
    with pytest.raises(ValueError, match=r"'hard_mixed' and config"):
        maker(task="hard_mixed", config={})


@Makers
@pytest.mark.parametrize("mode", ["video", "human", "", "rgb"])
def test_render_modes_that_are_refused(mode: str, maker: Maker) -> None:
    """An unknown render mode is refused with its name and those that there are."""
    inner = MetricTrackerEnv if maker is bare else MetricTrackerVectorEnv
    with pytest.raises(ValueError, match=r"render_mode.*ansi.*rgb_array") as caught:
        inner(render_mode=mode)
    assert repr(mode) in str(caught.value)


@Makers
@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"anomaly_count": 14}, ["14", "28 days", "13"]),
        ({"anomaly_count": (2, 20)}, ["20", "13"]),
        ({"anomaly_count": None, "anomaly_density": "high", "generator": {"num_weeks": 1}}, ["7", "7 days", "2"]),
        ({"generator": {"num_weeks": 1}}, ["3", "7 days", "2"]),
    ],
)
def test_more_incidents_than_fit(maker: Maker, kwargs: dict[str, Any], words: list[str]) -> None:
    """More incidents than the calendar can hold are refused when the environment is made, with the most that fits."""
    with pytest.raises(ValueError, match=r"anomaly_count.*at most") as caught:
        maker(**kwargs)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((), ["steps"]),
        ([{"name": "buy", "rate": 1.0}], ["rate", "1.0"]),
        ([{"name": "buy", "rate": 0.0}], ["rate", "0.0"]),
        ([{"name": "buy", "rate": 0.99}], ["buy", "0.99", "below 1"]),
        ([{"name": "app_opens", "rate": 0.5}], ["app_opens", "distinct"]),
        ([{"name": "buy now", "rate": 0.5}], ["name", "buy now"]),
        ([{"rate": 0.5}], ["name"]),
    ],
)
def test_funnels_that_are_refused(steps: Any, words: list[str]) -> None:
    """An empty or inconsistent funnel is refused."""
    with pytest.raises(ValueError, match=r"steps|rate") as caught:
        bare(generator={"steps": steps, "conversion_definitions": ()})
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("num_envs", value) for value in (0, -1, 1.5, 2.0, True, "2", None, NAN, INF, 2**40)),
        *(("autoreset_mode", value) for value in ("next", "NEXT_STEP", None, 3)),
        *(("copy", value) for value in (1, None, "yes")),
    ],
)
def test_vector_arguments_that_are_refused(option: str, value: Any) -> None:
    """Numbers of lanes, autoreset modes and copy flags that are none are refused."""
    with pytest.raises(ValueError, match=option) as caught:
        gym.make_vec(ENV_ID, **{option: value})
    assert_tells(str(caught.value), option, value)


# Resetting

SEEDS = [-1, 1.5, 7.0, NAN, INF, True, "7", 2**63, 10**30, [1, 2, 3], np.float64(3.0), np.bool_(True), {}]
DROP = {"metric_name": "menu_opens", "date": "2026-03-18", "stddev_factor": 5.0}
BREAK = {"method_name": "funnel_break", "step_name": "menu_opens", "date": "2026-03-18", "keep": 0.5}
OPTIONS: list[tuple[Any, list[str]]] = [
    ({"colour": 3}, ["colour", "difficulty"]),
    ({"seed": 3}, ["seed", "difficulty"]),
    ({"budget": 3}, ["budget", "difficulty"]),
    ({3: "easy"}, ["3", "difficulty"]),
    ({"difficulty": "Easy"}, ["difficulty", "Easy", "easy"]),
    ({"scenario_family": "chaos"}, ["scenario_family", "chaos", "mixed"]),
    ({"anomaly_density": 3}, ["anomaly_density", "3", "high"]),
    *(({"anomaly_count": n}, ["anomaly_count", str(n)]) for n in (-1, -5, 1.7, NAN, INF, True, 14, 10**30, (3, 1))),
    *(({"anomaly_generators": [DROP | {"stddev_factor": f}]}, ["stddev_factor", str(f)]) for f in (0, -2.0, NAN, INF)),
    ({"anomaly_generators": [DROP | {"metric_name": "nope"}]}, ["nope", "menu_opens"]),
    ({"anomaly_generators": [DROP | {"date": "2020-01-01"}]}, ["2020-01-01", "2026-03-04", "2026-03-31"]),
    ({"anomaly_generators": [DROP | {"date": "18 March"}]}, ["18 March", "2026-03-04"]),
    ({"anomaly_generators": [DROP | {"date": "2026-02-30"}]}, ["2026-02-30", "2026-03-04"]),
    ({"anomaly_generators": [DROP | {"stddev_factor": 900.0}]}, ["menu_opens", "stddev_factor up to"]),
    ({"anomaly_generators": [DROP, DROP]}, ["2026-03-18", "both change the rate of menu_opens"]),
    ({"anomaly_generators": [DROP | {"method_name": "magic"}]}, ["method_name", "funnel_break", "magic"]),
    ({"anomaly_generators": ["menu_opens"]}, ["anomaly_generators", "method_name", "menu_opens"]),
    ({"anomaly_generators": [BREAK | {"keep": 0.7}]}, ["keep", "0.7"]),
    ({"anomaly_generators": [BREAK | {"step_name": "app_opens"}]}, ["step 'app_opens'", "orders_placed"]),
    ({"anomaly_generators": [BREAK | {"stddev_factor": 3.0}]}, ["stddev_factor", "keep"]),
    ({"anomaly_generators": 3}, ["anomaly_generators", "3"]),
    *((options, ["options", repr(options)]) for options in ("easy", 5, ["difficulty"], [], 0, "", False)),
]
OPTION_IDS = [str(options)[:60] for options, _ in OPTIONS]


def assert_goes_on_alike(env: MetricTrackerEnv, other: MetricTrackerEnv) -> None:
    """Two environments play the rest of the episode and the next two alike."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        assert np.array_equal(env.action_masks(), other.action_masks())
        for _ in range(6):
            action = int(rng.choice(np.flatnonzero(env.action_masks())[:-1]))
            assert_same(env.step(action), other.step(action))
        submit = len(env.actions) - 1
        assert_same(env.step(submit), other.step(submit))
        assert np.array_equal(env.episode().hourly, other.episode().hourly)
        assert env.grade() == other.grade()
        assert_same(env.reset(), other.reset())


def under_way(view: View = "focus") -> MetricTrackerEnv:
    """An environment in the second episode of its stream, a few steps in."""
    env = bare(view=view)
    env.reset(seed=17)
    env.reset()
    for action in (3, 4, 4):
        env.step(action)
    return env


@pytest.mark.parametrize("seed", SEEDS, ids=repr)
def test_a_bad_seed_changes_nothing(seed: Any) -> None:
    """A bad seed is refused with its value and the range, and the episode goes on as if nothing had been asked."""
    env, other = under_way(), under_way()
    with pytest.raises(ValueError, match="seed") as caught:
        env.reset(seed=seed)
    assert_tells(str(caught.value), "seed", seed)
    assert_goes_on_alike(env, other)


@pytest.mark.parametrize("with_seed", [False, True], ids=["", "seeded"])
@pytest.mark.parametrize(("options", "words"), OPTIONS, ids=OPTION_IDS)
def test_bad_reset_options_change_nothing(options: Any, words: list[str], with_seed: bool) -> None:
    """A bad option is refused with its name and value, and neither the episode nor the stream has changed."""
    env, other = under_way(), under_way()
    with pytest.raises(ValueError, match=r".") as caught:
        env.reset(seed=5 if with_seed else None, options=options)
    assert all(word in str(caught.value) for word in words)
    assert_goes_on_alike(env, other)


def test_configured_anomalies_that_cannot_be_are_refused() -> None:
    """Explicit anomalies of the configuration that name no metric or date are refused before an episode begins."""
    for wrong, word in (({"metric_name": "nope"}, "nope"), ({"date": "2020-01-01"}, "2020-01-01")):
        with pytest.raises(ValueError, match=rf"anomaly_generators.*{word}"):
            bare(anomaly_generators=[DROP | wrong]).reset(seed=0)


# Stepping

ACTIONS = [-1, 10**30, 1.0, 1.5, NAN, INF, True, "0", None, [0], (0,), {}, np.array([0]), np.array(0.0), np.bool_(True)]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("action", ACTIONS, ids=repr)
def test_a_bad_action_changes_nothing(view: View, action: Any) -> None:
    """What is not the index of an action is refused with the value and the range, and costs not even a step."""
    env, other = under_way(view), under_way(view)
    for ask in (env.step, env.resolve):
        with pytest.raises(ValueError, match="action") as caught:
            ask(action)
        assert_tells(str(caught.value), "action", action)
        assert str(len(env.actions) - 1) in str(caught.value)
    with pytest.raises(ValueError, match=str(len(env.actions))):
        env.step(len(env.actions))
    assert_goes_on_alike(env, other)


@pytest.mark.parametrize("action", [5, np.int64(5), np.int32(5), np.uint8(5), np.array(5)], ids=repr)
def test_any_integer_is_an_action(action: Any) -> None:
    """Integers of Python and NumPy, and arrays of no dimension that hold one, are the same action."""
    env, other = bare(), bare()
    env.reset(seed=0)
    other.reset(seed=0)
    assert_same(env.step(action), other.step(5))


def test_step_needs_a_reset() -> None:
    """Before the first reset and after the end a step is refused, and a reset makes it work."""
    env = bare()
    with pytest.raises(gym.error.ResetNeeded, match="before the first reset"):
        env.step(0)
    env.reset(seed=0)
    env.step(env.actions.encode("submit"))
    grade = env.grade()
    for _ in range(2):
        with pytest.raises(gym.error.ResetNeeded, match="after the end"):
            env.step(0)
    assert env.grade() == grade
    observation, _ = env.reset(seed=0)
    assert np.array_equal(observation, bare().reset(seed=0)[0])


# Lanes


def lanes_under_way(mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> MetricTrackerVectorEnv:
    """Three lanes in the second episodes of their streams, a few steps in."""
    envs = make_lanes(3, autoreset_mode=mode)
    envs.reset(seed=17)
    envs.reset()
    for action in (3, 4, 4):
        envs.step(np.array([action, action + 1, action + 2]))
    return envs


def assert_lanes_go_on_alike(envs: MetricTrackerVectorEnv, other: MetricTrackerVectorEnv) -> None:
    """Two vector environments play the rest of their episodes and the next ones alike."""
    rng = np.random.default_rng(0)
    for _ in range(2):
        for _ in range(6):
            actions = np.array([rng.choice(np.flatnonzero(mask)[:-1]) for mask in envs.action_masks()])
            assert_same(envs.step(actions), other.step(actions))
        submit = np.full(3, len(envs.actions) - 1)
        assert_same(envs.step(submit), other.step(submit))
        assert all(np.array_equal(envs.episode(i).hourly, other.episode(i).hourly) for i in range(3))
        assert_same(envs.reset(), other.reset())


LANE_ACTIONS: list[tuple[Any, list[str]]] = [
    (np.array([0, 1]), ["(2,)", "(3,)"]),
    (np.array([[0, 1, 2]]), ["(1, 3)", "(3,)"]),
    (np.zeros((0,), np.int64), ["(0,)", "(3,)"]),
    (np.array([0.0, 1.0, 2.0]), ["float64", "integers"]),
    (np.array([True, False, True]), ["bool", "integers"]),
    (np.array(["0", "1", "2"]), ["<U1", "integers"]),
    (np.array([0, None, 2], object), ["object", "integers"]),
    (np.array([0, -1, 2]), ["-1", "lane 1", str(SUBMIT)]),
    (np.array([0, 1, SUBMIT + 1]), [str(SUBMIT + 1), "lane 2", str(SUBMIT)]),
    (np.array([2**63, 1, 2], np.uint64), [str(2**63), "lane 0", str(SUBMIT)]),
    (3, ["()", "(3,)"]),
    (None, ["()", "(3,)"]),
    ("abc", ["()", "(3,)"]),
    ([NAN, 1, 2], ["float64", "integers"]),
]


@pytest.mark.parametrize(("actions", "words"), LANE_ACTIONS, ids=[repr(actions)[:50] for actions, _ in LANE_ACTIONS])
def test_bad_actions_of_lanes_change_nothing(actions: Any, words: list[str]) -> None:
    """Actions of a wrong shape, dtype or range are refused with what was given and what is needed."""
    envs, other = lanes_under_way(), lanes_under_way()
    with pytest.raises(ValueError, match="action") as caught:
        envs.step(actions)
    assert all(word in str(caught.value) for word in words)
    assert_lanes_go_on_alike(envs, other)


def test_ragged_actions_change_nothing() -> None:
    """A list that is no array is refused too."""
    envs, other = lanes_under_way(), lanes_under_way()
    with pytest.raises(ValueError, match=r"."):
        envs.step([[0], [1, 2], []])  # pyright: ignore[reportArgumentType]
    assert_lanes_go_on_alike(envs, other)


@pytest.mark.parametrize(
    "actions", [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3], np.int8), np.array([1, 2, 3], np.uint64)]
)
def test_any_integers_are_actions(actions: Any) -> None:
    """Lists and arrays of any integer type are the same actions."""
    envs, other = lanes_under_way(), lanes_under_way()
    assert_same(envs.step(actions), other.step(np.array([1, 2, 3])))


RESETS: list[tuple[dict[str, Any], list[str]]] = [
    *(({"seed": seed}, ["seed", str(seed)]) for seed in (-1, 1.5, NAN, True, 2**63, 2**63 - 1, 10**30)),
    ({"seed": [1, 2]}, ["seed", "2", "3"]),
    ({"seed": [1, 2, -3]}, ["seed", "-3"]),
    ({"seed": [1, 2, 3.5]}, ["seed", "3.5"]),
    ({"seed": "abc"}, ["seed", "a"]),
    *(({"options": options}, words) for options, words in OPTIONS if options or isinstance(options, dict)),
    ({"options": {"reset_mask": [True, False, True]}}, ["reset_mask", "list", "bool", "(3,)"]),
    ({"options": {"reset_mask": np.array([1, 0, 1])}}, ["reset_mask", "int64", "bool", "(3,)"]),
    ({"options": {"reset_mask": np.array([True, False])}}, ["reset_mask", "(2,)", "(3,)"]),
    ({"options": {"reset_mask": np.zeros((3, 1), bool)}}, ["reset_mask", "(3, 1)", "(3,)"]),
    ({"options": {"reset_mask": np.zeros(3, bool)}}, ["reset_mask", "at least one"]),
    ({"options": {"reset_mask": None}}, ["reset_mask", "None", "bool"]),
    ({"options": {"reset_mask": np.ones(3, bool), "difficulty": "x"}}, ["difficulty", "easy"]),
    ({"seed": [4, 5, "6"], "options": {"reset_mask": np.ones(3, bool)}}, ["seed", "'6'"]),
]


@pytest.mark.parametrize(("arguments", "words"), RESETS, ids=[str(arguments)[:60] for arguments, _ in RESETS])
def test_bad_resets_of_lanes_change_nothing(arguments: dict[str, Any], words: list[str]) -> None:
    """Bad seeds, masks and options are refused with what was given and what is allowed; every lane plays on."""
    envs, other = lanes_under_way(), lanes_under_way()
    with pytest.raises(ValueError, match=r".") as caught:
        envs.reset(**arguments)
    assert all(word in str(caught.value) for word in words)
    assert_lanes_go_on_alike(envs, other)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_lanes_need_a_reset(mode: AutoresetMode) -> None:
    """Before the first reset of all lanes neither a step nor a partial reset is possible."""
    envs = make_lanes(3, autoreset_mode=mode)
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.zeros(3, np.int64))
    with pytest.raises(gym.error.ResetNeeded, match="reset_mask"):
        envs.reset(options={"reset_mask": np.array([True, False, True])})
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.zeros(3, np.int64))
    assert_same(envs.reset(seed=1), make_lanes(3, autoreset_mode=mode).reset(seed=1))


def test_disabled_lanes_need_a_reset_after_the_end() -> None:
    """With autoreset disabled a step is refused while a lane has ended, which leaves the others as they were."""
    envs, other = (make_lanes(3, autoreset_mode=AutoresetMode.DISABLED) for _ in range(2))
    submit = len(envs.actions) - 1
    for one in (envs, other):
        one.reset(seed=3)
        one.step(np.array([1, submit, 2]))
    for _ in range(2):
        with pytest.raises(gym.error.ResetNeeded, match=r"lanes \[1\].*reset_mask"):
            envs.step(np.array([3, 3, 3]))
    mask = np.array([False, True, False])
    assert_same(envs.reset(options={"reset_mask": mask}), other.reset(options={"reset_mask": mask}))
    assert_same(envs.step(np.array([3, 3, 3])), other.step(np.array([3, 3, 3])))


@pytest.mark.parametrize("lane", [-1, 3, 1.0, True, "0", None])
@pytest.mark.parametrize("method", ["episode", "grade"])
def test_lanes_that_are_none(method: str, lane: Any) -> None:
    """Asking for the truth of a lane that there is none of is refused with the lane and the range."""
    envs = make_lanes(3)
    envs.reset(seed=0)
    envs.step(np.full(3, len(envs.actions) - 1))
    with pytest.raises(ValueError, match="lane") as caught:
        getattr(envs, method)(lane)
    assert repr(lane) in str(caught.value)
