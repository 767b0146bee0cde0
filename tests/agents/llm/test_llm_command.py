"""The command, its leaderboard entry, and interrupts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from helpers_llm import CONFIG, SEEDS, TASK, arguments, begun, lines_of
from helpers_tasks import FIRST_HELD_OUT, INSTRUCTION, own_task
from llm_server import PATIENCE, ScriptedServer

import agents
from agents import Evaluation, cli, command_line, evaluate
from agents.evaluation.report import Comparison
from agents.llm import command as llm
from agents.llm.card import CARD_FILE, is_llm_run
from agents.llm.client import Endpoint
from agents.llm.command import EndpointError, LlmCard, LlmRun, Summary
from agents.llm.run import LOCK_FILE, TRANSCRIPTS_FILE
from agents.players.player import Assignment
from agents.tasks import held_out_seeds, presets, task_of
from metric_tracker_env import get_task

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--task", "no_such"], "task 'no_such' is not one of"),
        (["--episodes", "0"], "episodes 0 is not an integer from 1 to 100000"),
        (["--config", "configs/hard.toml"], "are both given"),
        (["--max-turns", "0"], "max_turns: Input should be greater than or equal to 1, given 0"),
        (["--extra", "[]"], r"extra '[]' is not a JSON object of fields"),
        (["--extra", "{"], "extra '{' is not JSON"),
        (["--price-input", "1"], "price_input 1.0 and price_output None: give both, or no price"),
        (["--api-key-env", "NOT_SET"], "api_key_env 'NOT_SET': no such environment variable is set"),
    ],
)
def test_command_line_refuses_bad_options(
    more: list[str], told: str, server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad value ends the command with exit code 2 and one line, and nothing is written or asked."""
    before = len(server.requests)
    with pytest.raises(SystemExit) as ended:
        llm.main(arguments(server, tmp_path / "run", "good", *more))
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert told in error
    assert not (tmp_path / "run").exists()
    assert len(server.requests) == before


@pytest.mark.parametrize("package", ["openai", "filelock"])
def test_a_missing_package_names_the_extra(
    package: str, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a package the command and the evaluation say what to install; what has been played needs neither."""
    run = begun(server, tmp_path, "talker")
    result = evaluate(run, SEEDS[:1], TASK)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"language models need {package} .*metric_tracker_env\[llm\]"):
        evaluate(run, SEEDS[:2], TASK)
    assert evaluate(run, SEEDS[:1], TASK) == result

    def absent(name: str) -> None:
        if name == package:
            raise ImportError(name)

    monkeypatch.setattr(command_line, "import_module", absent)
    with pytest.raises(SystemExit, match=rf"needs {package}; .*pip install -e '\.\[llm\]'"):
        llm.main(["--model", "x"])


def test_command_line(server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command plays, prints table, endings, tokens and cost, and writes card, transcripts and summary."""
    prices = ["--price-input", "2", "--price-output", "8", "--price-cached", "0.5"]
    llm.main(arguments(server, tmp_path, "good", "--episodes", "2", "--parallel", "2", "--name", "scripted", *prices))
    printed = capsys.readouterr().out
    assert "hard_mixed: mean of 2 held-out episodes" in printed
    assert "episodes ended: submitted 2" in printed
    names = {CARD_FILE, TRANSCRIPTS_FILE, LOCK_FILE, "summary_hard_mixed.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    summary = Summary.model_validate_json((tmp_path / "summary_hard_mixed.json").read_text(encoding="utf-8"))
    assert (summary.name, summary.model, summary.task, summary.episodes) == ("scripted", "good", TASK, 2)
    assert summary.finishes == {"submitted": 2}
    assert summary.figures["score"] == evaluate(tmp_path, SEEDS[:2], TASK).interval()
    tokens = summary.tokens
    cost = (tokens.prompt - tokens.cached) * 2e-6 + tokens.cached * 0.5e-6 + tokens.completion * 8e-6
    assert summary.token_cost == pytest.approx(cost)
    assert f"cost {cost:,.4f}" in printed
    assert LlmCard.model_validate_json((tmp_path / CARD_FILE).read_text(encoding="utf-8")) == LlmRun(tmp_path).card
    before, text = len(server.requests), (tmp_path / "summary_hard_mixed.json").read_text(encoding="utf-8")
    llm.main(arguments(server, tmp_path, "good", "--episodes", "2", "--name", "scripted", *prices))
    assert len(server.requests) == before
    assert (tmp_path / "summary_hard_mixed.json").read_text(encoding="utf-8") == text


def test_an_own_task_is_played(server: ScriptedServer, tmp_path: Path) -> None:
    """The path of a task is one: the brief begins with its instruction, and its held-out seeds are played."""
    own = own_task(tmp_path)
    llm.main([*arguments(server, tmp_path / "run", "talker", "--episodes", "2"), "--task", str(own)])
    transcripts = lines_of(tmp_path / "run")
    assert {item["seed"] for item in transcripts} == {FIRST_HELD_OUT, FIRST_HELD_OUT + 1}
    assert {item["task"] for item in transcripts} == {"broken_step"}
    assert all(item["messages"][0]["content"].startswith(INSTRUCTION) for item in transcripts)
    assert (tmp_path / "run" / "summary_broken_step.json").is_file()
    again = evaluate(tmp_path / "run", held_out_seeds(own, 2), own)
    assert (again.task, again.config) == ("broken_step", task_of(own).config)
    assert len(lines_of(tmp_path / "run")) == 2


def test_command_line_tells_what_failed(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed episodes are told with their reasons, and are played on if asked for; a preset has its own summary."""
    server.ill.add("sickly")
    command = ["--model", "sickly", "--base-url", server.url, "--output", str(tmp_path), "--episodes", "7"]
    command += ["--config", str(presets() / "hard.toml"), "--retries", "0"]
    for options in ([], ["--retry-failed"]):
        before = server.episodes("sickly")
        with pytest.raises(SystemExit) as ended:
            llm.main([*command, *options])
        assert ended.value.code == 1
        assert server.episodes("sickly") - before == (0 if options else 7)
    printed = capsys.readouterr().out
    assert "7 failed episodes are played on" in printed
    assert "episodes ended: error 7" in printed
    assert f"seed {SEEDS[0]}: error, HTTP 500: I feel faint" in printed
    assert "and 2 more; see error in" in printed
    assert (tmp_path / "summary_hard.json").is_file()


def test_command_line_stops_when_interrupted(server: ScriptedServer, tmp_path: Path) -> None:
    """Ctrl-C ends the command with one line, and leaves a folder to go on with."""
    server.arrived.clear()
    command = [sys.executable, "-m", "agents.llm", *arguments(server, tmp_path, "slow", "--episodes", "2")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert server.arrived.wait(60)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.splitlines()[-1] == "interrupted; what was played is kept, and the same command goes on"
    assert "Traceback" not in error
    assert is_llm_run(tmp_path)


def test_an_interrupt_reaches_a_run_beside_a_running_loop(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a notebook too, an interrupt ends the run and not only the wait for it."""
    waited_out: list[None] = []

    async def ask(*_: Any, first: bool, **__: Any) -> Any:
        assert first
        os.kill(os.getpid(), signal.SIGINT)
        waited_out.append(await asyncio.sleep(PATIENCE))
        raise EndpointError("nobody asked for this")

    async def cell() -> None:
        begun(server, tmp_path, "slow", parallel=1).play(Assignment(SEEDS, CONFIG, get_task(TASK)))

    monkeypatch.setattr(Endpoint, "ask", ask)
    loop = asyncio.new_event_loop()  # whose cells get the interrupt as it is, as in a notebook
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
    finally:
        loop.close()
    assert waited_out == []


@pytest.mark.parametrize("stubborn", ["swallows a cancellation", "calls it a lost connection"])
def test_an_interrupt_wins_over_what_requests_make_of_it(
    stubborn: str, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection may swallow a first cancellation, or end with an error of its own; Ctrl-C ends the run anyway."""
    asked: list[bool] = []
    waited_out: list[None] = []

    async def ask(*_: Any, first: bool, **__: Any) -> Any:
        asked.append(first)
        if len(asked) == 2:
            signal.raise_signal(signal.SIGINT)
        for _wait in range(2 if stubborn == "swallows a cancellation" else 1):
            with suppress(asyncio.CancelledError):
                waited_out.append(await asyncio.sleep(PATIENCE))
        raise EndpointError("it cannot be reached")

    monkeypatch.setattr(Endpoint, "ask", ask)
    with pytest.raises(KeyboardInterrupt):
        begun(server, tmp_path, "slow", parallel=2).play(Assignment(SEEDS, CONFIG, get_task(TASK)))
    assert (asked, waited_out) == ([True, True], [])


def test_the_leaderboard_takes_the_folder(
    server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``run`` and ``compare`` play a run's folder like a saved model's, and its endpoint's errors are told."""
    folder, out = good[0].folder, tmp_path / "out"
    cli.main(["run", "--agent", str(folder), "--task", TASK, "--episodes", "2", "--output", str(out / "run.json")])
    assert "scripted: mean of 2 episodes, seeds from 2000000000" in capsys.readouterr().out
    written = Evaluation.from_json(out / "run.json")
    assert written == evaluate(folder, SEEDS[:2], TASK)
    before = server.episodes("good")
    command = ["compare", "--tasks", TASK, "--episodes", "5", "--workers", "1", "--output", str(out)]
    with pytest.raises(SystemExit):
        cli.main([*command, "--agents", str(folder), "nothing"])
    assert f"holds {len(SEEDS)} of the 5 episodes of ['{TASK}']" in capsys.readouterr().err
    assert server.episodes("good") == before
    cli.main([*command, "--agents", str(folder), "nothing", "--play-missing"])
    compared = Comparison.model_validate_json((out / "compare.json").read_text(encoding="utf-8"))
    assert {line.agent for line in compared.summary} == {"scripted", "nothing"}
    assert compared.models == {"scripted"}
    assert server.episodes("good") - before == 5 - len(SEEDS)
    begun(server, tmp_path / "locked", "locked", retries=0)
    with pytest.raises(SystemExit, match=r"error: .* refuses to serve: HTTP 401"):
        cli.main(["run", "--agent", str(tmp_path / "locked"), "--task", TASK, "--episodes", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--agents", str(folder), str(folder)])
    assert ended.value.code == 2
    assert "two are named 'scripted'" in capsys.readouterr().err


def test_failures_of_the_endpoint_are_told(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Episodes that the endpoint failed in are told wherever they are scored; a run of nothing else ends with 1."""
    told = "episodes that failed by the endpoint, and score 0: 2; --retry-failed of python -m agents.llm plays them "
    with pytest.raises(SystemExit) as ended:
        llm.main(arguments(server, tmp_path / "run", "busy", "--episodes", "2"))
    assert ended.value.code == 1
    assert told in capsys.readouterr().out
    command = ["compare", "--tasks", TASK, "--episodes", "2", "--workers", "1", "--output", str(tmp_path / "out")]
    cli.main([*command, "--agents", str(tmp_path / "run"), "nothing"])
    assert f"busy, {TASK}: {told}" in capsys.readouterr().out


def test_an_interrupted_comparison_says_so(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends any command with one line."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    begun(server, tmp_path, "talker")
    monkeypatch.setattr(LlmRun, "play", interrupted)
    with pytest.raises(SystemExit, match=r"^interrupted$"):
        cli.main(["run", "--agent", str(tmp_path), "--task", TASK, "--episodes", "1"])


def test_public_names_exist() -> None:
    """Everything in ``__all__`` is there, and the run's class is the one that the evaluation knows."""
    assert all(hasattr(llm, name) for name in llm.__all__)
    assert llm.LlmRun is agents.LlmRun
