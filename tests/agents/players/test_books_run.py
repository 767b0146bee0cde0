"""The books of a server as a player: every call is made again, and what was left or never begun scores 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_books import SEAL, kept

from agents.cli import main
from agents.evaluation.evaluate import evaluate
from agents.players.books import BooksRun
from agents.players.registry import find_player
from metric_tracker_env import Seal, find_task
from metric_tracker_env.books import BOOKS_FILE, Books, Terms
from metric_tracker_env.session import ScoredSession

TASK = find_task("medium_mixed")
FIRST = TASK.held_out_seeds[0]


def test_a_run_that_was_kept_is_evaluated_like_any_player(tmp_path: Path) -> None:
    """Scores, costs and rows of the books are those that the analyst in words had; the name is that of the terms."""
    kept(tmp_path, TASK, 12, played=12)
    player = find_player(str(tmp_path))
    assert isinstance(player, BooksRun)
    found = evaluate(player, range(FIRST, FIRST + 12), TASK)
    assert (found.agent, found.kind) == ("someone", "scored by a server")
    assert found.mean("score") > 0.95
    assert found.notes == ()
    assert found.tools["submit"] == 12
    script = evaluate("analyst", range(FIRST, FIRST + 12), TASK)
    assert found.episodes.score == pytest.approx(script.episodes.score)
    assert found.episodes.cost == script.episodes.cost
    assert found.rows == script.rows


def test_what_was_left_or_never_begun_scores_nothing(tmp_path: Path) -> None:
    """An abandoned episode scores 0 at its cost, one that never began 0 at none, and both are told."""
    kept(tmp_path, TASK, 6, played=2, left=3)
    found = evaluate(str(tmp_path), range(FIRST, FIRST + 6), TASK)
    assert [score > 0.5 for score in found.episodes.score] == [True, True, False, False, False, False]
    assert found.episodes.score[2:] == (0.0,) * 4
    assert found.episodes.cost[2:] == (5, 5, 5, 0)  # a survey and a bad call
    assert found.episodes.illegal[2:] == (1, 1, 1, 0)
    assert min(found.episodes.expected) > 0
    assert found.notes == (
        "episodes that were left before their end, and score 0: 3",
        "episodes that were never begun, and score 0: 1",
    )
    assert "the books are of 6 episodes; these are 2 of them" in evaluate(str(tmp_path), (FIRST, FIRST + 1), TASK).notes


def test_quiet_episodes_that_are_left_score_nothing(tmp_path: Path) -> None:
    """Where nothing happened an empty submission scores 1, and leaving scores 0 all the same."""
    task = find_task("quiet_weeks")
    books = Books(tmp_path, Terms.of("someone", task, 8), task.name)
    session = ScoredSession(books)
    for number in range(8):
        session.begin()
        if number >= 4:
            session.call("submit", {"rows": []})
    session.leave()
    found = evaluate(str(tmp_path), range(FIRST, FIRST + 8), task)
    assert found.episodes.score[:4] == (0.0,) * 4
    assert max(found.episodes.score[4:]) == 1.0


def changed(path: Path, number: int, change: Any) -> None:
    """Change the event of a line."""
    lines = path.read_text().splitlines()
    event = json.loads(lines[number])
    change(event)
    lines[number] = json.dumps(event)
    path.write_text("\n".join(lines) + "\n")


def test_changed_books_are_found(tmp_path: Path) -> None:
    """A grade, a call or a row that was changed after the fact no longer fits the others."""
    kept(tmp_path, TASK, 2, played=2)
    path = tmp_path / BOOKS_FILE
    before, events = path.read_text(), [json.loads(line) for line in path.read_text().splitlines()]
    end = next(i for i, event in enumerate(events) if event["event"] == "end")
    survey = next(i for i, event in enumerate(events) if event.get("tool") == "list_suspicious_dates")
    changes = [
        (end, lambda event: event["grade"].update(score=0.123)),
        (end - 1, lambda event: event["arguments"]["rows"].pop()),
        (end - 1, lambda event: event.update(tool="task_overview", arguments={})),
        (survey, lambda event: event.update(tool="submit", arguments={"rows": []})),
    ]
    for number, change in changes:
        changed(path, number, change)
        with pytest.raises(ValueError, match="ends otherwise"):
            evaluate(str(tmp_path), (FIRST,), TASK)
        path.write_text(before)
    assert evaluate(str(tmp_path), (FIRST,), TASK).mean() > 0.5


def test_sealed_books_need_the_seal(tmp_path: Path) -> None:
    """Books of sealed episodes are graded again with the seal, and with none or another they are refused."""
    kept(tmp_path, TASK, 3, played=3, seal=SEAL)
    seeds = range(FIRST, FIRST + 3)
    assert evaluate(str(tmp_path), seeds, TASK, seal=SEAL).mean() > 0.9
    for seal in (None, Seal("00" * 32)):
        with pytest.raises(ValueError, match="those of seal"):
            evaluate(str(tmp_path), seeds, TASK, seal=seal)


def test_other_tasks_and_seeds_are_refused(tmp_path: Path) -> None:
    """Books are of one task and its seeds; others are refused and named."""
    kept(tmp_path, TASK, 3, played=1)
    with pytest.raises(ValueError, match=r"of task 'medium_mixed': \['difficulty'"):
        evaluate(str(tmp_path), (FIRST,), find_task("hard_mixed"))
    for seeds in ((FIRST + 3,), (5,), (FIRST, FIRST)):
        with pytest.raises(ValueError, match="3 episodes, each once"):
            evaluate(str(tmp_path), seeds, TASK)


def test_compare_ranks_the_books(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The leaderboard takes the folder of the books beside scripts, with sealed episodes too."""
    kept(tmp_path / "kept", TASK, 10, played=9, left=1, seal=SEAL)
    (tmp_path / "seal").write_text(SEAL.secret)
    asked = ["compare", "--agents", str(tmp_path / "kept"), "nothing", "--tasks", TASK.name, "--episodes", "10"]
    main([*asked, "--workers", "1", "--seal", str(tmp_path / "seal"), "--output", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert "someone" in told
    assert "10 sealed episodes" in told
    assert "left before their end, and score 0: 1" in told.replace("\n", " ")
