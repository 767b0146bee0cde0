"""The recipe of SkyRL-Gym: episodes through its own ``make``, played as its trainer's loop plays them.

Run in the virtual environment of docs/recipes/skyrl. The trainer itself needs GPUs, and is not part of this.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import metric_tracker_skyrl
import pandas as pd
import pytest
import skyrl_gym
from helpers_session import by_the_analyst
from metric_tracker_skyrl import ENV_CLASS, InvestigationEnv, prompt_of, rows
from omegaconf import DictConfig
from skyrl_gym.metrics import aggregate_for_environment

from agents.players.scripts.words import investigate
from metric_tracker_env import Session, get_task
from metric_tracker_env.session import REMINDER

TASK = "easy_single_spike"
FIRST, SEED = get_task(TASK).training_seeds[0], 123_456_789
ANSWER = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)
Model = Callable[[list[dict[str, str]]], str]


def call_text(tool: str, arguments: Any) -> str:
    """A call as the prompt asks for it."""
    return f"<tool_call>{json.dumps({'name': tool, 'arguments': arguments})}</tool_call>"


def analyst(conversation: list[dict[str, str]]) -> str:
    """The analyst's next reply, worked out from the answers so far."""
    script = investigate(get_task(TASK).config.generator)
    asked = next(script)
    for message in conversation:
        if message["role"] == "user":
            for answer in ANSWER.findall(message["content"]):
                asked = script.send(json.loads(answer))
    return "I look further. " + call_text(*asked)


def played(model: Model, seed: int = SEED, max_turns: int = 64) -> tuple[InvestigationEnv, list[Any], list[Any]]:
    """An episode as SkyRL's generator plays it: the environment, what its steps gave, and the conversation."""
    (row,) = rows(TASK, [seed])
    extras = {name: value for name, value in row.items() if name not in ("prompt", "env_class")}
    env = skyrl_gym.make(row["env_class"], env_config=DictConfig({}), extras=extras | {"max_turns": max_turns})
    conversation, _ = env.init(list(row["prompt"]))
    steps: list[Any] = []
    while not steps or not steps[-1]["done"]:
        reply = model(conversation)
        steps.append(env.step(reply))
        conversation = [*conversation, {"role": "assistant", "content": reply}, *steps[-1]["observations"]]
    env.close()
    assert isinstance(env, InvestigationEnv)
    return env, steps, conversation


def answers_of(steps: list[Any]) -> list[str]:
    """The answers of tools in the steps of an episode."""
    return [answer for step in steps for answer in step["metadata"]["answers"]]


def test_the_analyst_has_the_answers_and_the_reward_of_a_session() -> None:
    """Answers are word for word the session's, and the rewards of the steps sum to its own."""
    metrics = []
    for seed in (SEED, SEED + 1):
        env, steps, conversation = played(analyst, seed)
        session, answers = by_the_analyst(TASK, seed)
        assert answers_of(steps) == answers
        assert sum(step["reward"] for step in steps) == pytest.approx(session.standing.reward)
        told = [text for message in conversation[2:] for text in ANSWER.findall(message["content"])]
        assert told == answers[:-1]
        assert env.get_metrics()["score"] == session.grade().score > 0.9
        assert str(seed) not in json.dumps(conversation)
        metrics.append(env.get_metrics())
    together = aggregate_for_environment(ENV_CLASS, metrics)
    assert together["score"] == pytest.approx(sum(item["score"] for item in metrics) / 2)
    assert (together["solved"], together["done"]) == (1.0, 1.0)


def test_the_prompt_has_the_tools_and_the_brief() -> None:
    """Each tool of the session stands in the prompt with its whole schema, and the brief follows."""
    system, user = prompt_of(TASK)
    session = Session(TASK)
    assert user == {"role": "user", "content": session.begin(SEED)}
    lines = system["content"].splitlines()[1:]
    assert [json.loads(line) for line in lines] == [schema["function"] for schema in session.schemas]


def test_replies_without_a_call_end_an_episode() -> None:
    """After two reminders it is over, with nothing earned and no score."""
    env, steps, conversation = played(lambda _: "It was the orders, I believe.")
    assert [message["content"] for message in conversation if message["content"] == REMINDER] == [REMINDER] * 2
    assert [step["reward"] for step in steps] == [0, 0, 0]
    assert env.get_metrics() == {"score": 0.0, "solved": False, "cost": 0, "done": False}


def test_turns_are_limited() -> None:
    """The trainer's greatest number of turns ends an episode without a submission."""
    env, steps, _ = played(lambda _: call_text("list_dates", {}), max_turns=3)
    assert len(steps) == 3
    assert env.get_metrics()["done"] is False


def test_bad_calls_are_judged_by_the_session() -> None:
    """What is no JSON, no object, of no tool or of bad arguments costs a unit, and is answered with what is allowed."""
    bad = ['{"name": ', "[1, 2]", '{"name": 7}', '{"name": "no_such"}', '{"name": "rows_for_date", "arguments": "x"}']
    said = iter([f"<tool_call>{text}</tool_call>" for text in bad] + ["", "", ""])
    env, steps, _ = played(lambda _: next(said))
    answers = [json.loads(answer) for answer in answers_of(steps)]
    assert len(answers) == len(bad)
    assert not any(answer["ok"] for answer in answers)
    assert all("the tools are" in answer["error"] for answer in answers[:4])
    assert env.get_metrics()["cost"] == sum(answer["cost"] for answer in answers) > 0
    assert sum(step["reward"] for step in steps) < 0


def test_several_calls_and_one_that_is_cut() -> None:
    """Calls of one reply are made in their order, the last also without the mark that a stop string took."""
    text = call_text("list_dates", {}) + " and " + call_text("submit", {"rows": []}).removesuffix("</tool_call>")
    env, steps, _ = played(lambda _: text)
    session = Session(TASK)
    session.begin(SEED)
    assert answers_of(steps) == [session.call("list_dates", {}).text, session.call("submit", {"rows": []}).text]
    assert len(steps) == 1
    assert env.get_metrics()["done"] is True


def test_a_row_without_a_seed_is_refused() -> None:
    """The error names what the row has and what is missing."""
    with pytest.raises(ValueError, match=r"extras \['task'\] have no seed"):
        skyrl_gym.make(ENV_CLASS, extras={"task": TASK})


def test_the_data_set(tmp_path: Path) -> None:
    """The command writes the rows as parquet, which plays; a bad number is refused in one line."""
    file = tmp_path / "train.parquet"
    command = [sys.executable, metric_tracker_skyrl.__file__, "--task", TASK, "--episodes"]
    subprocess.run([*command, "3", file], check=True, capture_output=True, timeout=100)
    found = pd.read_parquet(file)
    assert list(found["seed"]) == [FIRST, FIRST + 1, FIRST + 2]
    assert [dict(message) for message in found["prompt"][0]] == prompt_of(TASK)
    refused = subprocess.run([*command, "0", file], check=False, capture_output=True, text=True, timeout=100)
    assert refused.returncode == 2
    assert "--episodes 0 is not an integer from 1 to" in refused.stderr
