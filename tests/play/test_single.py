"""The engine of a single environment: the rules of the vector engine, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_env import REWARDS, VIEWS, generator_configs, pick
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.config import EnvConfig, GeneratorConfig, Reward, View
from metric_tracker_env.play.actions import Op
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.play.single import SingleEngine

LANES, LANE = 3, 1  # the lane is one among others
ONE = np.zeros(1, np.int64)
SHOP: dict[str, Any] = {
    "entry_step": "visits",
    "steps": [{"name": "carts", "rate": 0.2, "noise_scale": 1.5}, {"name": "sales", "rate": 0.5}],
    "conversion_definitions": [{"name": "visit_to_sale", "numerator": "sales", "denominator": "visits"}],
    "base_daily_count": 7000,
}
SHIFT = {"metric_name": "app_opens", "stddev_factor": 6.0, "direction": "down"}
CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "hard": {"difficulty": "hard", "anomaly_count": (1, 5), "budget": 40},
    "tight": {"budget": 9, "costs": {"open": 2, "inspect": 3, "scan": 1, "survey": 7}, "step_limit": 20},
    "too dear": {"budget": 3, "costs": {"open": 4, "survey": 5}},
    "one step": {"step_limit": 1},
    "roomy": {"budget": 200, "step_limit": 150, "anomaly_count": 7, "step_cost": 0.0125},
    "one week": {"generator": {"num_weeks": 1}, "anomaly_count": 2, "difficulty": "hard", "budget": 30},
    "twelve weeks": {"generator": {"num_weeks": 12}, "anomaly_count": 20, "budget": 99, "step_limit": 120},
    "shop": {"generator": {**SHOP, "num_weeks": 2}, "anomaly_count": 2, "budget": 40},
    "explicit": {"anomaly_generators": [SHIFT]},
    "world": {"generator": {"world": {}}, "anomaly_count": (0, 4), "budget": 40},
    "quiet world": {"generator": {"world": {}, "num_weeks": 3}, "anomaly_count": 0, "difficulty": "hard"},
    "busy shop": {"generator": {**SHOP, "num_weeks": 3, "world": {"events": (6, 12), "gaps": (4, 6)}}, "budget": 50},
    "dear calendar": {"generator": {"world": {}}, "costs": {"calendar": 17, "survey": 1}, "anomaly_count": (1, 4)},
    "explicit in a world": {"anomaly_generators": [SHIFT], "generator": {"world": {}}},
}
KIND_OF_OP = {Op.DATE: "dates", Op.SCAN: "scans", Op.SURVEY: "scans", Op.EVENTS: "events"}
KIND_OF_OP |= {Op.REPORT: "reports", Op.SUBMIT: "submit"}
OPTIONS: list[dict[str, Any]] = [{}, {"difficulty": "easy"}, {"anomaly_count": 1}, {}]


def assert_alike(single: Engine, many: Engine) -> None:
    """Whatever the engines keep of the lane is the same, to the last bit."""
    assert len(single.arrays) == len(many.arrays)
    for one, all_lanes in zip(single.arrays, many.arrays, strict=True):
        lane = all_lanes.reshape(LANES, -1)[LANE]
        assert one.tobytes() == lane.tobytes()
    assert single.observations[0].tobytes() == many.observations[LANE].tobytes()
    assert np.array_equal(single.mask[0], many.mask[LANE])


def choose(rng: np.random.Generator, engine: Engine, legal: float) -> int:
    """A random action that often is a report, where there is one to make, or lists the known events."""
    reports = np.flatnonzero(engine.mask[0] & (engine.table.op == Op.REPORT))
    events = np.flatnonzero(engine.table.op == Op.EVENTS)
    if len(events) and rng.random() < 0.1:
        return int(events[0])
    return int(rng.choice(reports)) if len(reports) and rng.random() < 0.5 else pick(rng, engine.mask[0], legal, 0.04)


def play_both(config: EnvConfig, seed: int, episodes: int, legal: float) -> dict[str, int]:
    """Play the same on an engine of one lane and on a lane of another; how often what happened."""
    single, many = SingleEngine(config), Engine(config, LANES)
    rng = np.random.default_rng(seed)
    kinds = ("illegal", "reports", "scans", "dates", "events", "matched", "extra", "limit", "submit")
    happened: dict[str, int] = dict.fromkeys(kinds, 0)
    for episode in range(episodes):
        options = {} if config.anomaly_generators else OPTIONS[episode % len(OPTIONS)]
        anew = seed if episode % 4 == 0 else None
        single.deal(ONE, single.source(options), [anew])
        other = None if anew is None else anew + 5
        many.deal(np.arange(LANES), many.source(options), [other, anew, other])
        assert_alike(single, many)
        done = False
        while not done:
            actions = np.array([pick(rng, mask, 0.8, 0.0) for mask in many.mask])
            action = actions[LANE] = choose(rng, single, legal)
            tool = single.table.decode(action).tool
            reward, done, illegal = single.step_one(action)
            rewards, dones, illegals = many.step(actions)
            assert (reward, done, illegal) == (rewards[LANE], dones[LANE], illegals[LANE])
            assert_alike(single, many)
            happened["illegal" if illegal else KIND_OF_OP[single.table.op[action]]] += 1
            happened["limit"] += done and tool != "submit"
        outcome = {name: value[0].item() for name, value in many.outcome(np.array([LANE]))._asdict().items()}
        assert single.outcome_one() == outcome
        for name in ("matched", "extra"):
            happened[name] += outcome[name]
    return happened


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_one_lane_plays_as_a_lane_among_others(name: str, view: View, reward: Reward) -> None:
    """Observation, mask, state, reward and outcome of every step are a lane's, whatever is played and configured."""
    config = EnvConfig.model_validate({"view": view, "reward": reward, **CONFIGS[name]})
    happened = play_both(config, seed=3, episodes=8, legal=0.85)
    assert happened["submit"] + happened["limit"] == 8


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_what_is_compared_happens(view: View, reward: Reward) -> None:
    """The play that is compared holds right and wrong reports, illegal actions, and both ways to end."""
    generous = {"view": view, "reward": reward, "difficulty": "hard", "anomaly_count": 5, "budget": 60}
    generous |= {"generator": {"world": {}}}
    happened = play_both(EnvConfig.model_validate(generous), seed=0, episodes=24, legal=0.95)
    assert min(happened.values()) > 3, happened


@settings(max_examples=25, deadline=None, derandomize=True)
@given(generator_configs(), st.sampled_from(VIEWS), st.sampled_from(REWARDS), st.integers(1, 40))
def test_one_lane_of_any_funnel(generator: GeneratorConfig, view: View, reward: Reward, budget: int) -> None:
    """Other funnels, weeks and budgets are played alike too."""
    config = EnvConfig(generator=generator, view=view, reward=reward, budget=budget, anomaly_count=1, difficulty="easy")
    play_both(config, seed=1, episodes=2, legal=0.9)
