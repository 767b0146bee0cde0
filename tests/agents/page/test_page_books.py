"""The books of a server in Watch: every call again, what has no end is seen as such, and a seal stays shut."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers_books import SEAL, kept

from agents import Comparison, evaluate
from agents.cli import main
from agents.evaluation.quiet import Quiet
from agents.evaluation.rates import Rates
from agents.page import scored
from agents.page.collection import Asked, Collection
from agents.players.books import BooksRun
from agents.tasks import held_out_seeds
from metric_tracker_env import Seal, get_task
from metric_tracker_env.books import BOOKS_FILE, read_books

TASK = get_task("realistic_medium")
FIRST = TASK.held_out_seeds[0]
ASKED = Asked((TASK,), 1)
SECRET = Asked((TASK,), 1, SEAL)


def test_an_episode_is_made_again_from_its_calls(tmp_path: Path) -> None:
    """Score, cost, calls and classes are those of the evaluation; an episode has every call word for word."""
    kept(tmp_path, TASK, 4, played=4)
    library = Collection([str(tmp_path)], ASKED)
    assert library.faults == []
    (run,) = library.runs
    held = evaluate(str(tmp_path), range(FIRST, FIRST + 4), TASK)
    assert (run.agent, run.kind, run.task) == ("someone", "scored by a server", TASK.name)
    assert [entry.score for entry in run.entries] == list(held.episodes.score)
    assert [entry.failure for entry in run.entries] == list(held.episodes.failure)
    for entry, episode in zip(run.entries, read_books(tmp_path).episodes, strict=True):
        opened = library.open(run.name, entry.seed, 0)
        state, said = opened.state, opened.transcript
        assert said is not None
        assert (state["grade"]["score"], state["over"], opened.note) == (entry.score, True, "")
        assert sum(step["cost"] for step in state["steps"]) == entry.cost
        assert len(state["steps"]) == entry.calls == len(episode.calls)
        assert [item.calls[0][0] for item in said[::2]] == [tool for tool, _ in episode.calls]
        assert [item.step for item in said[::2]] == list(range(1, len(episode.calls) + 1))
        assert said[1].text.startswith("{")
    (board,) = library.boards()
    assert [(line.agent, line.run, line.episodes) for line in board.lines] == [("someone", run.name, 4)]


def test_what_has_no_end_is_seen_as_such(tmp_path: Path) -> None:
    """Left: its truth and a score of 0. Without an end, or never begun: 0, and nothing of its truth, rows neither."""
    kept(tmp_path, TASK, 5, played=1, left=1, open_end=1)
    library = Collection([str(tmp_path)], ASKED)
    (run,) = library.runs
    ends = [(entry.end, entry.score, entry.failure) for entry in run.entries[1:]]
    assert ends == [
        ("left before its end", 0.0, "gave_up"),
        ("without an end", 0.0, "gave_up"),
        ("never begun", 0.0, "gave_up"),
        ("never begun", 0.0, "gave_up"),
    ]
    assert run.notes == (
        "episodes that were left before their end, and score 0: 2",
        "episodes that were never begun, and score 0: 2",
    )
    left, *others = (library.open(run.name, entry.seed, 0) for entry in run.entries[1:])
    assert left.state["truth"] is not None
    assert (left.state["grade"]["score"], left.state["grade"]["recall"], left.state["draft"]) == (0.0, 0.0, [])
    assert [step["ok"] for step in left.state["steps"]] == [True, False]
    assert "left the episode here" in left.note
    for opened, entry in zip(others, run.entries[2:], strict=True):
        assert (opened.state["truth"], opened.state["grade"], opened.state["over"]) == (None, None, False)
        assert len(opened.state["steps"]) == entry.calls
        assert all(cell["k"] for cell in opened.state["cells"])
        assert entry.rows == ()
        assert opened.note
    assert others[-1].state["steps"] == []
    with pytest.raises(ValueError, match="no finished episode"):
        library.boards()  # from a table of all, what is left to play could be told


def test_finished_books_are_on_the_leaderboard(tmp_path: Path) -> None:
    """With what was left counted as 0."""
    kept(tmp_path, TASK, 3, played=1, left=2)
    library = Collection([str(tmp_path)], ASKED)
    (board,) = library.boards()
    assert board.lines[0].figures["score"].mean == pytest.approx((library.runs[0].entries[0].score or 0.0) / 3)


def test_an_empty_board_scores_nothing_when_it_is_left(tmp_path: Path) -> None:
    """Where nothing happened, leaving is shown with the 0 that it counts, not with the 1 of an empty submission."""
    task = get_task("quiet_weeks")
    kept(tmp_path, task, 6, left=6)
    library = Collection([str(tmp_path)], ASKED)
    (run,) = library.runs
    quiet = [entry for entry in run.entries if not entry.rows]
    assert quiet
    for entry in quiet:
        opened = library.open(run.name, entry.seed, 0)
        assert (entry.score, opened.state["grade"]["score"], opened.state["truth"]["expected"]) == (0.0, 0.0, [])
        assert "as by another version" not in opened.note


def test_what_was_sent_is_shown_as_it_was(tmp_path: Path) -> None:
    """Arguments that are no object, and a tool that is no name, are refused again and stay word for word."""
    kept(tmp_path, TASK, 1, odd=((7, [1, 2]), ("rows_for_date", {"date": 3})))
    library = Collection([str(tmp_path)], ASKED)
    opened = library.open(library.runs[0].name, FIRST, 0)
    assert opened.transcript is not None
    assert [item.calls for item in opened.transcript[:4:2]] == [(("7", "[1, 2]"),), (("rows_for_date", '{"date": 3}'),)]
    assert [(step["ok"], step["arguments"]) for step in opened.state["steps"]] == [(False, {}), (False, {"date": 3})]


def test_sealed_books_without_their_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server wrote is there, nothing is played, and it is said what that is worth and what opens the rest."""
    kept(tmp_path, TASK, 4, played=2, left=1, seal=SEAL)
    opened = Collection([str(tmp_path)], SECRET)
    monkeypatch.setattr(scored, "Calls", None)
    monkeypatch.setattr(BooksRun, "play", None)
    for asked in (ASKED, Asked((TASK,), 1, Seal("00" * 32))):
        shut = Collection([str(tmp_path)], asked)
        assert shut.faults == []
        (run,) = shut.runs
        (note,) = run.notes
        assert SEAL.hash in note
        assert "--seal and its file open them" in note
        assert [entry.score for entry in run.entries] == [entry.score for entry in opened.runs[0].entries]
        assert [entry.calls for entry in run.entries] == [entry.calls for entry in opened.runs[0].entries]
        assert {(entry.cost, entry.rows, entry.failure) for entry in run.entries} == {(None, (), "")}
        assert [entry.end for entry in run.entries] == ["", "", "left before its end", "never begun"]
        with pytest.raises(ValueError, match="unchecked, and no episode opens"):
            shut.open(run.name, FIRST, 0)
        with pytest.raises(ValueError, match="no finished episode to compare"):
            shut.boards()


def test_sealed_books_with_their_secret(tmp_path: Path) -> None:
    """They open like any others, beside a page of public episodes."""
    kept(tmp_path, TASK, 2, played=2, seal=SEAL)
    library = Collection([str(tmp_path)], SECRET)
    (run,) = library.runs
    for entry in run.entries:
        found = library.open(run.name, entry.seed, 0)
        assert (found.state["grade"]["score"], found.note) == (entry.score, "")
        assert entry.score is not None
        assert entry.score > 0.5


def test_public_books_do_not_mind_a_seal(tmp_path: Path) -> None:
    """The seal that the page was given is of other runs."""
    kept(tmp_path, TASK, 1, played=1)
    library = Collection([str(tmp_path)], SECRET)
    assert library.open(library.runs[0].name, FIRST, 0).note == ""


def test_a_results_file_lends_its_books(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Episodes of a comparison are opened from the books; these are played only where the file has not all of them."""
    kept(tmp_path / "kept", TASK, 3, played=2, left=1)
    asked = ["compare", "--agents", str(tmp_path / "kept"), "nothing", "--tasks", TASK.name, "--workers", "1"]
    main([*asked, "--episodes", "3", "--output", str(tmp_path)])
    capsys.readouterr()
    whole = Collection([str(tmp_path / "compare.json"), str(tmp_path / "kept")], ASKED)
    assert [run.agent for run in whole.runs] == ["someone", "nothing"]
    assert whole.runs[0].entries[2].end == "left before its end"
    assert whole.open(whole.runs[0].name, FIRST, 0).transcript is not None
    held = Comparison.model_validate_json((tmp_path / "compare.json").read_bytes())
    assert {line.agent for line in whole.boards()[0].lines} == {item.agent for item in held.evaluations}
    alone = Collection([str(tmp_path / "compare.json")], ASKED)
    with pytest.raises(ValueError, match="played again with its folder"):
        alone.open(alone.runs[0].name, FIRST, 0)
    main([*asked, "--episodes", "2", "--output", str(tmp_path)])
    some = Collection([str(tmp_path / "compare.json"), str(tmp_path / "kept")], ASKED)
    assert [len(run.entries) for run in some.runs] == [2, 2, 3]


def test_changed_and_broken_books_are_told(tmp_path: Path) -> None:
    """A score that the calls do not earn, and a line that is none, are faults; the rest is served."""
    kept(tmp_path / "changed", TASK, 1, played=1)
    path = tmp_path / "changed" / BOOKS_FILE
    first = read_books(tmp_path / "changed").episodes[0]
    assert first.ended is not None
    score = f'"score":{first.ended.grade.score}'
    text = path.read_text()
    assert score in text
    path.write_text(text.replace(score, '"score":0.123'))
    kept(tmp_path / "broken", TASK, 1, played=1)
    with (tmp_path / "broken" / BOOKS_FILE).open("a") as file:
        file.write("{}\n")
    library = Collection([str(tmp_path / "changed"), str(tmp_path / "broken"), "nothing"], ASKED)
    assert [run.agent for run in library.runs] == ["nothing"]
    assert sum("ends otherwise" in fault for fault in library.faults) == 1
    assert sum(", line " in fault for fault in library.faults) == 1
    assert len(library.faults) == 2


def test_who_leaves_a_quiet_episode_has_not_left_it_alone(tmp_path: Path) -> None:
    """Neither an exact answer nor a week left alone: nothing was handed in."""
    task = get_task("quiet_weeks")
    kept(tmp_path, task, 6, left=6)
    evaluation = evaluate(str(tmp_path), held_out_seeds(task, 6), task)
    assert 0 in evaluation.episodes.expected
    assert Rates.of(evaluation).exact_set.mean == 0.0
    quiet = Quiet.of(evaluation)
    assert quiet is not None
    assert quiet.left_alone.mean == 0.0
