"""Demonstrations: every exported episode replays to the same grade, and the formats are what their readers take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

from agents.cli import main
from agents.demonstrate.command import seeds_of
from agents.demonstrate.expert import Expert
from agents.demonstrate.offline import dataset_id
from agents.evaluation.evaluate import evaluate
from metric_tracker_env import MetricTrackerEnv, Session, find_task
from metric_tracker_env.session import call_schemas

EPISODES = 8
TASKS = ("medium_mixed", "realistic_hard")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def written(tmp_path: Path, form: str, task: str, agent: str = "analyst", *more: str) -> Path:
    output = tmp_path / f"{form}-{task}-{agent}"
    asked = ["demonstrate", "--agent", agent, "--task", task, "--episodes", str(EPISODES), "--format", form]
    main([*asked, "--output", str(output), *more])
    return output


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("agent", ["analyst", "random", "fixed_order", "nothing"])
def test_a_demonstration_is_the_agents_own_play(task: str, agent: str) -> None:
    """Calls, cost and grade are those of the same agent in an evaluation, whatever its skill."""
    expert = Expert(agent, find_task(task))
    shown = [expert.play(seed) for seed in range(EPISODES)]
    found = evaluate(agent, range(EPISODES), find_task(task))
    assert [each.grade.score for each in shown] == pytest.approx(found.episodes.score)
    assert [len(each.steps.actions) for each in shown] == list(found.episodes.steps)
    assert [each.calls[-1].tool for each in shown] == ["submit"] * EPISODES
    reports = found.tools.get("report", 0)
    assert sum(len(each.calls) for each in shown) == sum(found.tools.values()) - reports


@pytest.mark.parametrize("task", TASKS)
def test_a_chat_replays_to_its_grade(tmp_path: Path, task: str) -> None:
    """The calls of a conversation, made again, are answered word for word, and end with its score."""
    rows = lines(written(tmp_path, "chat", task))
    assert [row["seed"] for row in rows] == list(range(EPISODES))
    session = Session(task)
    for row in rows:
        brief, *rest = row["messages"]
        assert brief == {"role": "user", "content": session.begin(row["seed"])}
        for asked, answered in zip(rest[::2], rest[1::2], strict=True):
            (call,) = asked["tool_calls"]
            assert (asked["role"], answered["role"]) == ("assistant", "tool")
            assert call["id"] == answered["tool_call_id"]
            assert call["function"]["name"] == answered["name"]
            assert session.call(call["function"]["name"], call["function"]["arguments"]).text == answered["content"]
        assert session.grade().score == row["score"]
        names = {tool["function"]["name"] for tool in json.loads(row["tools"])}
        assert names == {tool["function"]["name"] for tool in call_schemas(find_task(task).config.generator)}
    assert float(np.mean([row["score"] for row in rows])) > 0.7


class Strict(BaseModel):
    """Nothing is converted, and no field is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AtifCall(Strict):
    """A call."""

    tool_call_id: str
    function_name: str
    arguments: dict[str, Any]


class AtifResult(Strict):
    """What was observed after a call."""

    source_call_id: str
    content: str


class AtifObservation(Strict):
    """What was observed after a step."""

    results: list[AtifResult]


class AtifStep(Strict):
    """A step."""

    step_id: int
    source: Literal["user", "agent"]
    message: str
    tool_calls: list[AtifCall] | None = None
    observation: AtifObservation | None = None
    llm_call_count: int | None = None
    extra: dict[str, Any] | None = None


class AtifAgent(Strict):
    """Who acted."""

    name: str
    version: str
    tool_definitions: list[dict[str, Any]]


class Trajectory(Strict):
    """The parts of ATIF 1.7 that are written, by the names that Harbor's own models have."""

    schema_version: Literal["ATIF-v1.7"]
    session_id: str
    trajectory_id: str
    agent: AtifAgent
    steps: list[AtifStep]
    final_metrics: dict[str, Any]
    extra: dict[str, Any]


def test_a_trajectory_is_atif_and_replays(tmp_path: Path) -> None:
    """Each line has the fields of ATIF 1.7, steps counted from 1, and calls that lead to the same grade again."""
    rows = lines(written(tmp_path, "atif", "realistic_medium"))
    session = Session("realistic_medium")
    for row in rows:
        found = Trajectory.model_validate(row)
        assert [step.step_id for step in found.steps] == list(range(1, len(found.steps) + 1))
        assert found.steps[0].message == session.begin(found.extra["seed"])
        for step in found.steps[1:]:
            assert step.tool_calls is not None
            assert step.observation is not None
            (call,), (result,) = step.tool_calls, step.observation.results
            assert call.tool_call_id == result.source_call_id
            assert step.llm_call_count == 0
            answer = session.call(call.function_name, call.arguments)
            assert answer.text == result.content
            assert step.extra == {"reward": answer.reward}
        assert session.grade().model_dump(mode="json") == found.extra["grade"]
    assert len({row["trajectory_id"] for row in rows}) == EPISODES


def test_a_minari_dataset_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minari loads the data, whose actions, taken again in the environment that it recovers, give the same episodes."""
    import minari  # slow to import

    folder = written(tmp_path, "minari", "realistic_medium", "fixed_order")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    data = minari.load_dataset(dataset_id("realistic_medium", "fixed_order"))
    assert data.total_episodes == EPISODES
    env = data.recover_environment()
    inner = env.unwrapped
    assert isinstance(inner, MetricTrackerEnv)
    seeds = [item["seed"] for item in data.storage.get_episode_metadata(range(EPISODES))]
    assert [int(seed) for seed in seeds] == list(range(EPISODES))
    for episode, seed in zip(data.iterate_episodes(), seeds, strict=True):
        observation, info = env.reset(seed=int(seed))
        masks = episode.infos["action_mask"]
        for step, action in enumerate(episode.actions):
            assert np.array_equal(observation, episode.observations[step])
            assert np.array_equal(info["action_mask"], masks[step])
            assert masks[step][action] == 1
            observation, reward, terminated, _, info = env.step(int(action))
            assert reward == pytest.approx(episode.rewards[step])
            assert terminated == episode.terminations[step]
        assert np.array_equal(observation, episode.observations[-1])
    with pytest.raises(SystemExit):
        written(tmp_path, "minari", "realistic_medium", "fixed_order")


def test_the_same_command_gives_the_same_file(tmp_path: Path) -> None:
    """The file depends on neither the run nor the number of processes."""
    first = written(tmp_path, "chat", "medium_mixed").read_bytes()
    (tmp_path / "two").mkdir()
    assert written(tmp_path / "two", "chat", "medium_mixed", "analyst", "--workers", "2").read_bytes() == first


def test_what_is_held_out_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Training seeds by default; seeds that are held out are refused, and so is a file that is there or a bad agent."""
    task = find_task("medium_mixed")
    first, end = task.held_out_seeds
    assert seeds_of(task, 5, None) == range(task.training_seeds[0], task.training_seeds[0] + 5)
    assert seeds_of(task, 5, end) == range(end, end + 5)
    for seed in (first, first - 1, end - 1):
        with pytest.raises(ValueError, match="held out"):
            seeds_of(task, 2, seed)
    there = tmp_path / "there"
    there.write_text("mine")
    for options, told in (
        (["--output", str(there)], "is there already"),
        (["--agent", "nobody"], "nobody"),
        (["--episodes", "0"], "episodes 0"),
        (["--workers", "0"], "workers 0"),
        (["--first-seed", "-1"], "seed"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["demonstrate", "--episodes", "1", *options])
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
    assert there.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [there]
