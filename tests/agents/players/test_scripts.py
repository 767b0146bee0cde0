"""Scripted agents: legal, reproducible, in order of how much they know, and none but the oracle is told the truth."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents import AGENTS, evaluate, get_agent, name_roots
from agents.players.scripts import script
from agents.tasks import held_out_seeds, presets
from metric_tracker_env import (
    ALL_SCENARIO_FAMILIES,
    DIFFICULTIES,
    EnvConfig,
    MetricDataGenerator,
    MetricTrackerEnv,
    load_config,
)
from metric_tracker_env.play.actions import SURVEY_TOOL
from metric_tracker_env.schema import Difficulty
from metric_tracker_env.world.labels import CellClass

ROOT = Path(__file__).parents[3]


PRESETS = sorted(presets().glob("*.toml"))


TASKS = ("easy_mixed", "medium_mixed", "hard_mixed")


class WrongSeed:
    """An agent that is told another seed than the one played."""

    def __init__(self, env: gym.Env[np.ndarray, Any], name: str) -> None:
        self.agent = get_agent(name)(env)

    def begin(self, seed: int) -> None:
        """Pass on another seed."""
        self.agent.begin(seed + 1)

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        """Act as the agent does."""
        return self.agent.act(observation, info)


def test_registry_refuses_duplicates_and_unknown_names() -> None:
    """A name belongs to one agent, and a wrong one is answered with those there are."""
    assert set(AGENTS) >= {"nothing", "random", "threshold", "zscore", "fixed_order", "analyst", "oracle"}
    with pytest.raises(ValueError, match="'nothing' is registered twice"):
        script.register("nothing")(get_agent("nothing"))
    with pytest.raises(ValueError, match=r"agent 'nobody' is not one of \['analyst_blind'"):
        get_agent("nobody")


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("name", sorted(AGENTS))
def test_agents_play_legally_and_repeat_themselves(name: str, view: str) -> None:
    """Every agent ends every episode in both views with legal actions only, and the same way each time."""
    env = MetricTrackerEnv(difficulty="hard", anomaly_count=(1, 5), view=view)
    agent = get_agent(name)(env)
    played: list[list[int]] = []
    for seed in (0, 1, 0):
        observation, info = env.reset(seed=seed)
        agent.begin(seed)
        actions: list[int] = []
        over = False
        while not over:
            action = agent.act(observation, info)
            assert info["action_mask"][action], env.actions.text(action)
            actions.append(action)
            observation, _, over, _, info = env.step(action)
        played.append(actions)
    assert played[0] == played[2]


def test_both_views_give_the_same_investigation() -> None:
    """The analyst finds the same in the focus and in the board view."""
    seeds = held_out_seeds("hard_mixed", 40)
    focus = evaluate("analyst", seeds, "hard_mixed")
    board = evaluate("analyst", seeds, "hard_mixed", options={"view": "board"})
    assert focus.episodes == board.episodes
    assert focus.tools == board.tools


def test_order_of_the_agents() -> None:
    """Nothing = 0 <= random < threshold < zscore < fixed_order < analyst <= oracle = 1, intervals apart."""
    many = {"zscore": 800, "fixed_order": 800}
    for task in TASKS:
        score = {
            name: evaluate(name, held_out_seeds(task, many.get(name, 150)), task).interval()
            for name in ("nothing", "random", "threshold", "zscore", "fixed_order", "analyst", "oracle")
        }
        assert score["nothing"].mean == 0.0
        ascending = ("random", "threshold", "zscore", "fixed_order", "analyst")
        for lower, higher in pairwise(ascending):
            assert score[lower].high < score[higher].low, (task, lower, score[lower], higher, score[higher])
        assert score["random"].mean <= 0.05
        assert score["threshold"].mean <= 0.50
        assert score["analyst"].mean >= 0.98
        assert score["analyst"].mean <= score["oracle"].mean
        assert score["oracle"].mean == 1.0


def test_scanning_beats_opening_one_by_one() -> None:
    """Under the budget, scan-then-inspect is worth at least 0.20 of score over opening dates in order."""
    for task in TASKS:
        scanning, opening = (evaluate(name, held_out_seeds(task, 150), task) for name in ("analyst", "one_by_one"))
        assert scanning.interval().low - opening.interval().high >= 0.20
        assert SURVEY_TOOL not in opening.tools


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("family", ALL_SCENARIO_FAMILIES)
def test_oracle_scores_one_on_every_family(family: str, difficulty: Difficulty) -> None:
    """Every episode can be solved within the default budget, at the cost of revealing just the roots."""
    options = {"scenario_family": family, "difficulty": difficulty, "anomaly_count": (1, 5)}
    result = evaluate("oracle", range(12), options=options)
    assert set(result.episodes.score) == {1.0}
    assert max(result.episodes.cost) <= 10


@pytest.mark.parametrize("name", ["analyst", "one_by_one", "fixed_order", "zscore", "threshold"])
def test_scripts_do_not_use_the_seed(name: str) -> None:
    """A script told a wrong seed plays the same: it knows nothing but the observation."""
    told = evaluate(name, range(15), "hard_mixed")

    def misled(env: gym.Env[np.ndarray, Any]) -> WrongSeed:
        return WrongSeed(env, name)

    assert evaluate(misled, range(15), "hard_mixed").episodes == told.episodes


def test_the_seed_matters_to_the_oracle() -> None:
    """The control of the test above: the oracle told a wrong seed fails."""
    result = evaluate(lambda env: WrongSeed(env, "oracle"), range(15), "hard_mixed")
    assert result.interval().mean < 0.2


def test_only_the_oracle_generates_episodes() -> None:
    """No other agent can look up the truth: none imports what makes episodes or names the classes of cells.

    How episodes fail is read from those that have ended, by no agent; and exploits make public ones, which they may.
    """
    importers: set[str] = set()
    for file in (ROOT / "agents").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
                if names & {"MetricDataGenerator", "CellClass", "EpisodeSource"}:
                    importers.add(file.name)
    assert importers == {"exploit.py", "failures.py", "guesser.py", "oracle.py"}


def test_scripted_agents_refuse_another_environment() -> None:
    """The scripts say which environment they play."""
    env = gym.make("CartPole-v1")
    with pytest.raises(TypeError, match="CartPoleEnv; the scripted agents play MetricTrackerEnv"):
        get_agent("analyst")(env)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_load_and_are_solved(path: Path) -> None:
    """Every preset loads by its path, and the analyst finds what is in it."""
    assert len(PRESETS) >= 5
    solved = 0.98 if load_config(path).generator.world is None else 0.85  # the realistic world is not solved
    assert evaluate("analyst", range(25), config=path).interval().mean >= solved


def test_another_funnel_has_its_own_names() -> None:
    """The agents find the roots of a six-step shop: names, entities and actions follow from the preset."""
    config = load_config(presets() / "ecommerce.toml")
    assert config.generator.catalogue.num_steps == 6
    assert set(evaluate("oracle", range(25), config=config).episodes.score) == {1.0}
    episode = MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=3))
    day, entity = np.nonzero(episode.classes == CellClass.EXPECTED)
    assert name_roots(episode.view) == list(zip(day.tolist(), entity.tolist(), strict=True))


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("steps", [3, 1])
def test_scripts_play_data_by_day(name: str, steps: int) -> None:
    """A funnel of one's own whose hours nobody knows: no script asks for what is not there, the oracle finds all."""
    measures = 2 * steps - 1  # counts and step rates
    generator = {
        "steps": [{"name": f"step_{i}", "rate": 0.3} for i in range(1, steps)],
        "conversion_definitions": [],
        "hours": False,
        "noise": (0.03,) * measures,
    }
    played = evaluate(name, range(5), config=EnvConfig.model_validate({"anomaly_count": 1, "generator": generator}))
    assert len(played.episodes.score) == 5
    assert name != "oracle" or played.mean() == 1.0
