"""Runs with language models as submissions: every call is made again, and what was changed is found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers_board import contents, made, of_json, of_lines, rewritten
from helpers_llm import KEY, SEEDS, TASK, begun
from llm_server import ScriptedServer

from agents import Evaluation, LlmRun, cli
from agents.board.verify import verify
from agents.evaluation.evaluate import evaluate

FIRST = SEEDS[0]


@pytest.fixture
def file(good: tuple[LlmRun, Evaluation], tmp_path: Path) -> Path:
    """A submission of the good model's four episodes."""
    made(tmp_path / "a.zip", good[0].folder, (TASK,), len(SEEDS))
    return tmp_path / "a.zip"


def faults_of(file: Path) -> list[str]:
    """What verification finds."""
    return [fault for each in verify(file).checked for fault in each.faults]


def test_a_run_is_submitted_from_its_transcripts(file: Path, good: tuple[LlmRun, Evaluation]) -> None:
    """Nothing is played for it; the transcripts are in the file, and come of their calls again."""
    verdict = verify(file)
    assert verdict.right
    assert verdict.manifest.parts[0].evidence == "transcripts"
    assert verdict.checked[0].found == good[1]
    assert contents(file)["00/transcripts.jsonl"] == b"".join(
        f"{item.model_dump_json()}\n".encode() for item in good[0].transcripts(verdict.manifest.parts[0].asked(None))
    )


@pytest.mark.parametrize("model", ["talker", "looping", "malformed", "parallel"])
def test_episodes_of_any_end_are_verified(model: str, server: ScriptedServer, tmp_path: Path) -> None:
    """Models that never call, never submit, or call badly, have the scores that come of what they did."""
    run = begun(server, tmp_path / "run", model, key=KEY)
    played = evaluate(run, SEEDS[:2], TASK)
    made(tmp_path / "a.zip", run.folder, (TASK,), 2)
    verdict = verify(tmp_path / "a.zip")
    assert [each.faults for each in verdict.checked] == [()]
    assert verdict.checked[0].found == played
    assert all(KEY.encode() not in data for data in contents(tmp_path / "a.zip").values())


def test_what_was_not_played_is_not_submitted_unasked(
    good: tuple[LlmRun, Evaluation], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Episodes that would have to be paid for are told, and nothing is written."""
    asked = ["submit", str(good[0].folder), "--tasks", TASK, "--episodes", "9", "--output", str(tmp_path / "a.zip")]
    with pytest.raises(SystemExit) as ended:
        cli.main(asked)
    assert ended.value.code == 2
    assert "holds 4 of the 9 episodes of 'hard_mixed'" in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()


def first_call(line: dict[str, Any], tool: str) -> dict[str, Any]:
    """The function of the first call of a tool."""
    calls = (call for message in line["messages"] for call in message.get("tool_calls", ()))
    return next(call["function"] for call in calls if call["function"]["name"] == tool)


def answer(line: dict[str, Any]) -> dict[str, Any]:
    """The first answer to a call."""
    return next(message for message in line["messages"] if message["role"] == "tool")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line["figures"].update(score=0.5), r"figures: 'score' is 0\.5 in the file and .* played again"),
        (lambda line: line["rows"].pop(), "rows are not those that come of its calls"),
        (lambda line: line["tools"].update(submit=2), "tools: 'submit' is 2 in the file and 1 when played again"),
        (
            lambda line: first_call(line, "submit").update(arguments='{"rows": []}'),
            "figures: |rows are not|cannot go on",
        ),
        (lambda line: answer(line).update(content="{}"), "the conversation of seed .* cannot go on"),
        (lambda line: line["messages"].pop(), "the conversation of seed .* cannot go on"),
        (lambda line: line["messages"].clear(), "finish is 'submitted', which is not how it ended"),
        (lambda line: line["messages"][0].update(content="Find what you like."), "cannot go on"),
        (lambda line: line.update(finish="turn_limit"), "finish is 'turn_limit', which is not how it ended"),
        (lambda line: line.update(told="0" * 64), "it was told of another configuration, task, tools or seal"),
        (lambda line: line["messages"][1].pop("role"), "Unable to extract tag using discriminator"),
        (lambda line: line["messages"][1].update(tool_calls=[{"id": 3}]), r"tool_calls\.0\.id"),
        (lambda line: line["messages"][1].update(tool_calls=[7]), r"tool_calls\.0"),
        (lambda line: line["messages"].append({"role": "system", "content": "x"}), "'system'"),
    ],
)
def test_changed_transcripts_are_found_and_named(change: Any, message: str, file: Path) -> None:
    """A score, a row, a call, an answer or a brief that was changed is told with the seed of its episode."""
    rewritten(file, transcripts=of_lines(lambda lines: change(lines[1])))
    found = faults_of(file)
    assert any(re.search(rf"^seed {FIRST + 1}: .*({message})", fault) for fault in found), found


def test_missing_and_repeated_transcripts_are_found(file: Path) -> None:
    """An episode that was left out, for it went badly, or stands for another one, is told."""
    whole = file.read_bytes()
    for change, message in (
        (lambda lines: lines.pop(2), f"1 of 4 episodes are missing; the first has seed {FIRST + 2}"),
        (lambda lines: lines.__setitem__(2, lines[1]), f"1 of 4 episodes are missing; the first has seed {FIRST + 2}"),
        (lambda lines: lines[2].update(seed=FIRST + 3), "1 of 4 episodes are missing"),
        (lambda lines: lines[2].pop("seed"), "line 3 of the evidence: seed: Field required"),
    ):
        file.write_bytes(whole)
        rewritten(file, transcripts=of_lines(change))
        assert any(message in fault for fault in faults_of(file))


def test_a_card_that_is_none_is_told(file: Path) -> None:
    """The settings of the run are read from the card, which must be one."""
    rewritten(
        file,
        lambda told: told["card"].pop("settings"),
        results=of_json(lambda held: held["card"].pop("settings")),
    )
    assert faults_of(file) == ["card: settings: Field required"]
