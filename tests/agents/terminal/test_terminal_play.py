"""A person plays in a terminal: lines are read, completed, played as agents' calls are, and scored with books."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent, Completer
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from agents.cli import main
from agents.evaluation.evaluate import evaluate
from agents.terminal import command
from agents.terminal.command import asked, completer
from agents.terminal.game import Game
from metric_tracker_env import MetricDataGenerator, Session, find_task
from metric_tracker_env.books import read_books

TASK = find_task("realistic_easy")
CLEAN = find_task("easy_mixed")
DATE = CLEAN.config.generator.date_names[9]


def game(task: str = "easy_mixed", seed: int = 7) -> Game:
    return Game(Session(task), seed)


def said(playing: Game, *lines: str) -> str:
    """What is shown of the last line."""
    screen = Console(file=io.StringIO(), width=200)
    items = [playing.play(line) for line in lines][-1]
    for item in items:
        screen.print(item, markup=False)
    file = screen.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def truth(seed: int = 7) -> list[tuple[str, str, str]]:
    episode = MetricDataGenerator(CLEAN.config.generator).generate_episode(CLEAN.config.episode_config(seed=seed))
    return [row.key for row in episode.expected_rows]


TOOL_OF = {
    "funnel_step": "detect_funnel_break",
    "hourly_mix": "hourly_rows_for_date",
    "data_quality": "check_impossible_counts",
}


def test_a_whole_episode_by_lines() -> None:
    """Opening, reporting and submitting the roots scores 1; the board then shows the truth, and the seed is told."""
    playing = game()
    for date, kind, name in truth():
        assert "unit" in said(playing, f"{TOOL_OF.get(kind, 'rows_for_date')} {date}")
        assert name in said(playing, f"report {date} {name} {kind}")
    assert playing.prompt.endswith(f"{len(truth())} in the draft> ")
    told = said(playing, "submit")
    assert "score 1.000" in told
    assert "missed 0" in told
    assert "seed 7" in told
    assert "over" in playing.prompt
    assert "the episode is over" in said(playing, "submit")
    assert "Four weeks" in said(playing, "next")
    assert playing.prompt.startswith("16 units, 48 calls, 0 in")


def test_calls_are_those_of_an_agent() -> None:
    """A tool costs what it costs an agent, a bad call a unit, and a slip of the pen nothing."""
    playing = game()
    session = Session("easy_mixed")
    session.begin(7)
    session.call("rows_for_date", {"date": DATE})
    assert "app_opens" in said(playing, f"rows_for_date {DATE}")
    assert playing.prompt.startswith(f"{session.standing.budget_left} units, {session.standing.calls_left} calls")
    assert "must be an ISO date" in said(playing, "rows_for_date tomorrow")
    left = playing.prompt
    assert left.startswith("14 units")
    for line, told in (
        ("", ""),
        ("rows_for_dat", "do you mean"),
        ("xyzzy", "help lists"),
        ("rows_for_date 'x", "close every quote"),
        (f"rows_for_date {DATE} 3", "takes 1 arguments"),
        ("rows_for_date day=3", "has no argument 'day'"),
        ("report 3", "report takes a date"),
        ("report 3 app_opens", "no date of this episode"),
        (f"report {DATE} nobody", "no entity"),
        (f"report {DATE} app_opens:daytime_share", "not shown yet"),
        ("drop 1", "number of a row"),
        ("draft now", "takes nothing"),
        ("help xyzzy", "no tool"),
    ):
        assert told in said(playing, line)
        assert playing.prompt == left


def test_values_are_read_as_their_schema_says() -> None:
    """Numbers, lists and names reach the tool as such; what is no number is the tool's to refuse."""
    tools = game().tools
    line = tools.read(
        "get_rate_drop_from_median_rows threshold_multiplier=0.7 metric_names=app_open_to_menu_open,x limit=3"
    )
    assert line.arguments == {"threshold_multiplier": 0.7, "metric_names": ["app_open_to_menu_open", "x"], "limit": 3}
    assert tools.read("list_suspicious_dates 4").arguments == {"limit": 4}
    assert tools.read("list_suspicious_dates many").arguments == {"limit": "many"}
    assert tools.read('preview_submission "[1]"').arguments == {"rows": [1]}
    assert tools.read("preview_submission [1").arguments == {"rows": "[1"}
    assert "limit" in said(game(), "list_suspicious_dates many")


def test_tools_dates_and_names_are_completed() -> None:
    """The tab key offers tools and commands, then what the argument at that place can be, then names of others."""
    found = completer(game())
    assert isinstance(found, Completer)

    def offered(text: str) -> list[str]:
        return [item.text for item in found.get_completions(Document(text), CompleteEvent())]

    assert {"rows_for_date", "report", "submit"} <= set(offered(""))
    assert offered("rows_for") == ["rows_for_date"]
    assert offered("rows_for_date ")[:2] == list(CLEAN.config.generator.date_names[:2])
    assert offered(f"rows_for_date {DATE}") == [DATE]
    assert offered("rows_for_date date=2026-03-0")[0].startswith("date=2026-03-0")
    assert offered(f"compare_count_to_median {DATE} app") == ["app_opens"]
    assert offered("get_rate_drop_from_median_rows metric_name=app_open_to_m") == ["metric_name=app_open_to_menu_open"]
    assert "threshold_multiplier=" in offered("get_rate_drop_from_median_rows ")
    assert offered(f"report {DATE} orders_placed_lte") == ["orders_placed_lte_product_added_to_cart"]
    assert offered("help check") == ["check_impossible_counts"]
    assert offered("quit now") == []


def test_help_and_board_tell_what_there_is() -> None:
    """Help lists every tool with its price and every command; the board shows what was opened and the draft."""
    playing = game()
    told = said(playing, "help")
    assert all(name in told for name in playing.tools.functions)
    assert "4 units" in told
    assert "Day to" in said(playing, "help rows_for_date") or "Date to" in said(playing, "help rows_for_date")
    assert "no rows" in said(playing, "board")
    assert f"{DATE[5:]}" in said(playing, f"rows_for_date {DATE}", f"report {DATE} app_opens", "board")
    assert "app_opens (count)" in said(playing, "draft")
    assert "the draft is empty" in said(playing, "drop 1")
    assert "reading" in said(playing, "brief") or "Budget" in said(playing, "brief")


def piped(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))


def test_a_person_gets_a_row_on_the_leaderboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With books a person's episodes are held-out ones, are gone on with, and are evaluated like any agent's."""
    folder = str(tmp_path / "me")
    asked_for = ["play", "--task", "quiet_weeks", "--books", folder, "--name", "Ada", "--episodes", "3"]
    piped(monkeypatch, "submit", "next", "list_dates", "quit")
    main(asked_for)
    piped(monkeypatch, "submit")
    main(asked_for)
    record = read_books(folder)
    assert [episode.ended is not None for episode in record.episodes] == [True, False, True]
    first = find_task("quiet_weeks").held_out_seeds[0]
    found = evaluate(folder, range(first, first + 3), find_task("quiet_weeks"))
    assert (found.agent, found.episodes.score[1]) == ("Ada", 0.0)
    piped(monkeypatch, "submit")
    with pytest.raises(SystemExit):
        main(asked_for)
    assert "none is left" in capsys.readouterr().err
    for options in (["--seed", "3"], ["--seal", str(tmp_path / "none")]):
        with pytest.raises(SystemExit):
            main([*asked_for, *options])
    with pytest.raises(SystemExit):
        main(["play", "--task", "xyzzy"])


def test_a_terminal_asks_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the prompt shows what is left, and the end of input ends the game."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    playing = game()
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        typed.send_text(f"rows_for_date {DATE}\r")
        lines = asked(playing)
        assert next(lines) == f"rows_for_date {DATE}"
        typed.send_text("\x04")
        assert list(lines) == []
    assert command.HINT
