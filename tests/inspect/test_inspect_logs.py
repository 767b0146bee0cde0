"""Logs, epochs, the recipe and the command, and which episodes a task has."""

# pyright: reportMissingImports=false

from __future__ import annotations

import inspect
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from helpers_inspect import (
    BIN,
    IGNORED,
    RECIPE,
    ROOT,
    SEED,
    TASK,
    analyst,
    call,
    evaluated,
    metrics,
    noted,
    parts,
    samples,
    says,
    told_in,
)
from helpers_session import by_the_analyst
from helpers_tasks import FIRST_HELD_OUT, INSTRUCTION, own_task
from inspect_ai import Epochs
from inspect_ai import score as inspect_score
from inspect_ai.log import read_eval_log
from inspect_ai.model import ChatMessage, ModelOutput
from llm_server import ScriptedServer
from llm_words import Answer

from agents.llm.summary import pass_hat
from metric_tracker_env import Seal
from metric_tracker_env.inspect_task import grade, investigation, solved
from metric_tracker_env.trials import any_solved

pytestmark = IGNORED


# Epochs


def test_epochs_give_pass_at_k_and_pass_hat_k(tmp_path: Path) -> None:
    """Of four trials of two episodes some are solved: ours, Inspect's reducers and agents.llm tell the same of them."""
    pattern = {1: [True, True, False, True], 2: [False, True, False, False]}
    good, begun, lucky = analyst(), dict.fromkeys(pattern, 0), [False]
    first = by_the_analyst(TASK, SEED)[1][1]  # the second answer tells which episode it is

    def wavering(conversation: list[ChatMessage], *_: Any) -> ModelOutput:
        answers = [message.text for message in conversation if message.role == "tool"]
        if len(answers) == 2:
            number = 1 if answers[1] == first else 2
            lucky[0] = pattern[number][begun[number]]
            begun[number] += 1
        if len(answers) >= 2 and not lucky[0]:
            return says(calls=[call("submit", {"rows": []})])
        return good(conversation)

    reducers = ["mean", *(f"{name}_{k}" for k in range(1, 5) for name in ("pass_at", "pass_k"))]
    log = evaluated(wavering, tmp_path, episodes=2, epochs=Epochs(4, reducers), max_samples=1)
    assert [parts(sample)["solved"] for sample in samples(log)] == [float(it) for row in pattern.values() for it in row]
    trials = list(pattern.values())
    ours = metrics(log, "solved")
    for k in range(1, 5):
        expected = sum(any_solved(tried, k) for tried in trials) / 2
        assert ours[f"pass@{k}"] == pytest.approx(expected)
        assert metrics(log, "solved", f"pass_at_{k}")["mean"] == pytest.approx(expected)
        together = pass_hat(trials, k).mean
        assert ours["pass@1" if k == 1 else f"pass^{k}"] == pytest.approx(together)
        assert metrics(log, "solved", f"pass_k_{k}")["mean"] == pytest.approx(together)
    assert len(ours) == 7
    assert metrics(log, "solved", "mean")["mean"] == pytest.approx(0.5)


def test_the_threshold_says_what_is_solved(tmp_path: Path) -> None:
    """An episode that is worth nothing is solved where 0 is enough, and only there."""
    for threshold in (0.0, 0.01):
        script = iter([says(calls=[call("submit", {"rows": []})])])
        (sample,) = samples(evaluated(lambda *_, script=script: next(script), tmp_path, threshold=threshold))
        assert (parts(sample)["score"], parts(sample)["solved"]) == (0.0, float(threshold == 0.0))


# Logs


def test_a_log_is_scored_again_from_itself(tmp_path: Path) -> None:
    """Inspect scores a log without playing: the same parts, and another threshold if one wants."""
    log = evaluated(analyst(), tmp_path, episodes=2)
    again = inspect_score(log, [grade(), solved(1.0)], action="overwrite", display="none")
    for before, after in zip(samples(log), samples(again), strict=True):
        assert parts(after) == parts(before) | {"solved": float(parts(before)["score"] == 1.0)}


def test_a_sample_of_another_task_has_no_grade(tmp_path: Path) -> None:
    """The scorer names what is missing in a log that is none of this task's."""
    log = evaluated(lambda *_: says(), tmp_path)
    for sample in samples(log):
        sample.store.clear()
    with pytest.raises(ValueError, match="no 'investigation'"):
        inspect_score(log, [grade()], action="overwrite", display="none")


def run(*command: str | Path, **environment: str) -> str:
    """What a command of Inspect prints that ends well."""
    done = subprocess.run(
        [BIN / "inspect", *command],
        cwd=ROOT,
        env=os.environ | {"INSPECT_DISPLAY": "plain", "NO_COLOR": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_recipe_and_the_viewer(tmp_path: Path) -> None:
    """The command of docs/inspect.md plays; ``inspect log`` and ``inspect view`` open what it leaves."""
    logs, site = tmp_path / "logs", tmp_path / "site"
    told = run("eval", RECIPE.relative_to(ROOT), "--epochs", "2", "--log-dir", logs)
    assert "analyst (3 x 2 samples): mockllm/model" in told
    assert "pass^2" in told
    (file,) = logs.glob("*.eval")
    dumped = json.loads(run("log", "dump", file))
    headline = dumped["results"]["headline"]
    assert (headline["scorer"], headline["score"], headline["metric"]) == ("grade", "score", "mean")
    run("view", "bundle", "--log-dir", logs, "--output-dir", site)
    assert file.name in {path.name for path in site.rglob("*.eval")}
    assert file.name in json.dumps([json.loads(path.read_text()) for path in site.rglob("listing.json")])


class Endpoint(ScriptedServer):
    """The scripted server with replies as well-behaved endpoints send them, which Inspect's client counts on."""

    def answer(self, body: dict[str, Any], key: str) -> Answer | None:
        """See ``ScriptedServer``."""
        found = super().answer(body, key)
        if found is not None and isinstance(found.body, dict) and "choices" in found.body:
            found.body.update(model=body["model"], created=0)
            message = found.body["choices"][0]["message"]
            message["content"] = "I look further."  # Inspect sends a message without text as one with empty text
            for made in message["tool_calls"]:
                made["id"] = f"call_{len(body['messages'])}"
        return found


def test_the_name_of_the_task_over_http(tmp_path: Path) -> None:
    """The task is found by its name, and played with a model behind an endpoint that finds no fault with it."""
    with Endpoint() as server:
        options = ["-T", f"task={TASK}", "-T", "episodes=2", "--log-dir", tmp_path]
        environment = {"SCRIPTED_BASE_URL": server.url, "SCRIPTED_API_KEY": "none"}
        model = ["--model", "openai-api/scripted/good"]
        run("eval", "metric_tracker_env/investigation", *model, *options, **environment)
        assert server.faults == []
        assert not any(str(SEED) in json.dumps(request) for request in server.requests)
    (file,) = tmp_path.glob("*.eval")
    log = read_eval_log(str(file))
    assert log.status == "success"
    for sample, seed in zip(samples(log), (SEED, SEED + 1), strict=True):
        session, answers = by_the_analyst(TASK, seed)
        assert told_in(sample) == answers
        assert parts(sample)["score"] == session.grade().score > 0.9
    again = tmp_path / "again.eval"
    scorer = ["--scorer", "metric_tracker_env/solved", "-S", "threshold=1"]
    run("score", file, *scorer, "--action", "overwrite", "--output-file", again, **environment)
    assert log.samples is not None
    perfect = [parts(sample)["score"] == 1.0 for sample in log.samples]
    assert metrics(read_eval_log(str(again)), "solved", "mean")["mean"] == sum(perfect) / 2


def test_the_page_names_every_option_and_score(tmp_path: Path) -> None:
    """docs/inspect.md has a line for each argument of the task and each score, and the default of each argument."""
    page = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    for name, argument in inspect.signature(investigation).parameters.items():
        default = "FILE" if argument.default is None else argument.default
        assert f"`-T {name}={default}`" in page
    (sample,) = samples(evaluated(lambda *_: says(), tmp_path))
    for name in parts(sample):
        assert f"`{name}`" in page


# Which episodes


def test_sealed_episodes(tmp_path: Path) -> None:
    """With a seal the episodes are those of the sealed session, and the log has its hash but not its secret."""
    seal, file = Seal.new(), tmp_path / "seal"
    file.write_text(seal.secret)
    log = evaluated(analyst(), tmp_path / "logs", seal=str(file))
    _, answers = by_the_analyst(TASK, SEED, seal)
    assert told_in(samples(log)[0]) == answers
    assert answers[:-1] != by_the_analyst(TASK, SEED)[1][:-1]
    assert (log.eval.metadata or {})["seal"] == seal.hash
    assert seal.secret not in log.model_dump_json()


def test_a_task_of_ones_own(tmp_path: Path) -> None:
    """The path of a task is one: its instruction begins the brief, and its held-out seeds are played."""
    log = evaluated(lambda *_: says(calls=[call("submit", {"rows": []})]), tmp_path, str(own_task(tmp_path)), first=3)
    (sample,) = samples(log)
    assert str(sample.input).startswith(INSTRUCTION)
    assert noted(sample)["episode"]["seed"] == FIRST_HELD_OUT + 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"task": "no_such"}, "no_such"),
        ({"episodes": 0}, "episodes 0 is not an integer from 1 to 100000"),
        ({"episodes": 2.5}, "episodes 2.5"),
        ({"first": 0}, "first 0"),
        ({"first": 99_999, "episodes": 3}, "episodes 3 is not an integer from 1 to 2"),
        ({"reminders": -1}, "reminders -1"),
        ({"threshold": 1.5}, "threshold 1.5 is not a number from 0 to 1"),
        ({"threshold": True}, "threshold True"),
        ({"seal": "no/such/file"}, "no/such/file"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], told: str) -> None:
    """A bad argument is refused before anything is played, with an error that names it."""
    with pytest.raises(ValueError, match=told):
        investigation(**given)
