"""Tasks of a user's own: registered by name, or read from a file; and what of them is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from helpers_env import ENV_ID, bare, make_lanes
from pydantic import ValidationError

from metric_tracker_env import TASKS, EnvConfig, Investigation, Task, find_task, get_task, register_task
from metric_tracker_env.config import MAX_SEED
from metric_tracker_env.sb3 import MetricTrackerVecEnv
from metric_tracker_env.tasks import HELD_OUT_SEEDS, TRAINING_SEEDS

CONFIGS = Path(__file__).parents[1] / "configs"
MINE = Task(name="mine", config=EnvConfig(difficulty="hard", budget=9), instruction="Find it.")


@pytest.fixture(autouse=True)
def _tasks_as_before() -> Iterator[None]:
    """A test's tasks are its own."""
    before = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(before)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_registered_task_is_one_of_the_tasks() -> None:
    """After registering it every door takes the name."""
    register_task(MINE)
    assert find_task("mine") is get_task("mine") is TASKS["mine"] is MINE
    for env in (bare(task="mine"), make_lanes(2, task="mine"), MetricTrackerVecEnv(2, task="mine")):
        assert env.config == MINE.config
    assert "Find it." in Investigation("mine").reset(seed=0)
    assert "Find it." in Investigation().reset(seed=0, task="mine")


def test_a_taken_name_is_refused() -> None:
    """A name is taken once, unless the task is to be replaced; only a task can be registered."""
    register_task(MINE)
    other = Task(name="mine", config=EnvConfig())
    with pytest.raises(ValueError, match=r"'mine' is taken.*replace=True"):
        register_task(other)
    assert get_task("mine") is MINE
    register_task(other, replace=True)
    assert get_task("mine") is other
    for nothing in ("mine", None, EnvConfig()):
        with pytest.raises(ValueError, match="must be a Task"):
            register_task(nothing)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("preset", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_preset_is_a_task(preset: Path) -> None:
    """A file with the fields of an EnvConfig is a task with its name, the usual seeds and an instruction."""
    task = find_task(preset)
    assert task.name == preset.stem
    assert bare(task=str(preset)).config == bare(config=preset).config == task.config
    assert range(*task.training_seeds) == TRAINING_SEEDS
    assert range(*task.held_out_seeds) == HELD_OUT_SEEDS
    assert task.instruction
    assert type(task) is Task


def test_a_file_may_hold_all_of_a_task(tmp_path: Path) -> None:
    """A file with a task's fields has its own seeds and instruction; without a name it has the file's."""
    held = {
        "config": {"difficulty": "easy"},
        "instruction": "Look.",
        "training_seeds": [5, 9],
        "held_out_seeds": [9, 12],
    }
    task = find_task(write(tmp_path / "seven.json", json.dumps(held)))
    assert task == Task(
        name="seven",
        config=EnvConfig(difficulty="easy"),
        instruction="Look.",
        training_seeds=(5, 9),
        held_out_seeds=(9, 12),
    )
    assert find_task(write(tmp_path / "eight.json", json.dumps({**held, "name": "other"}))).name == "other"
    toml = write(tmp_path / "nine.toml", 'instruction = "Seek."\n[config]\nbudget = 7\n')
    assert (find_task(toml).instruction, find_task(str(toml)).config.budget) == ("Seek.", 7)
    register_task(find_task(toml))
    assert bare(task="nine").config.budget == 7


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` in a path is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "mine.toml", "budget = 5\n")
    assert find_task("~/mine.toml").config.budget == 5
    assert bare(task="~/mine.toml").config.budget == 5


def test_a_file_survives_the_spec() -> None:
    """An environment made of a task's file is made again from its spec as JSON."""
    env = gym.make(ENV_ID, task=str(CONFIGS / "ecommerce.toml"))
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert env.get_wrapper_attr("config") == again.get_wrapper_attr("config")


@pytest.mark.parametrize(
    "door", [find_task, lambda task: bare(task=task), lambda task: MetricTrackerVecEnv(1, task=task)]
)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hard_mixd", ["'hard_mixd'", "hard_mixed", ".toml or .json"]),
        ("preset.yaml", ["'preset.yaml'", ".toml or .json"]),
        ("absent.toml", ["'absent.toml'", "does not exist"]),
        (3, ["3", "hard_mixed"]),
        (Path("hard_mixed"), ["hard_mixed", ".toml or .json"]),
        (["hard_mixed"], ["hard_mixed", ".toml or .json"]),
    ],
    ids=str,
)
def test_tasks_that_are_not_there(door: Any, name: Any, words: list[str]) -> None:
    """What names no task and no file is refused with the names that there are and the files that are taken."""
    with pytest.raises(ValueError, match=r".") as caught:
        door(name)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"dificulty": "hard"}, ["dificulty", "difficulty"]),
        ({"config": {}, "budget": 3}, ["budget", "training_seeds"]),
        ({"instruction": "Look."}, ["config"]),
        ({"config": {"budget": -3}}, ["budget", "-3"]),
        ({"config": {}, "training_seeds": [9, 5]}, ["training_seeds", "(9, 5)", str(MAX_SEED)]),
        ({"config": {}, "held_out_seeds": [0, 10]}, ["held_out_seeds", "overlap"]),
        ({"config": {}, "name": ""}, ["name"]),
        ([1, 2], ["list", "table of keys"]),
    ],
    ids=str,
)
def test_files_that_are_refused(tmp_path: Path, held: Any, words: list[str]) -> None:
    """Unknown keys, bad values, and seeds that training and evaluation share, are refused by file and field."""
    path = write(tmp_path / "wrong.json", json.dumps(held))
    with pytest.raises(ValueError, match=r"wrong\.json") as caught:
        find_task(path)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("seeds", [(-1, 5), (5, 5), (0, MAX_SEED + 2), (0.5, 3), ("0", 3), (1, 2, 3)], ids=str)
def test_ranges_of_seeds_that_are_refused(seeds: Any) -> None:
    """A range of seeds is (first, last + 1) of valid ones."""
    with pytest.raises(ValidationError, match="held_out_seeds"):
        Task(name="x", config=EnvConfig(), held_out_seeds=seeds)


def test_who_plays_opens_no_file(tmp_path: Path) -> None:
    """A player of an investigation may choose a registered task, but no file of the machine."""
    path = write(tmp_path / "mine.toml", "budget = 5\n")
    with pytest.raises(ValueError, match=r"mine\.toml' is not one of") as caught:
        Investigation().reset(seed=0, task=str(path))
    assert ".toml or .json" not in str(caught.value)
    assert "5 units" in Investigation(str(path)).reset(seed=0)
