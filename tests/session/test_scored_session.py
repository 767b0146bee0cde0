"""Scored sessions: the books choose the episodes and hold each call, whatever the player does, and survive a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from metric_tracker_env import Seal, Session, find_task
from metric_tracker_env.books import BOOKS_FILE, Books, Terms, read_books
from metric_tracker_env.session import ScoredSession

TASK = "easy_mixed"
FIRST = find_task(TASK).held_out_seeds[0]
SEAL = Seal("5a" * 32)
DATE = find_task(TASK).config.generator.date_names[9]


def terms(episodes: int = 4, agent: str = "somebody", task: str = TASK, seal: Seal | None = None) -> Terms:
    return Terms.of(agent, find_task(task), episodes, seal=seal)


def kept(folder: Path, episodes: int = 4, seal: Seal | None = None) -> Books:
    return Books(folder, terms(episodes, seal=seal), TASK, seal)


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / BOOKS_FILE).read_text().splitlines()]


def test_the_books_choose_and_hold_everything(tmp_path: Path) -> None:
    """Each begin plays the next seed; begin, calls and end are lines of the books, in order, with the grade."""
    books = kept(tmp_path)
    session = ScoredSession(books)
    public = Session(TASK)
    assert session.begin() == public.begin(FIRST)
    assert session.call("rows_for_date", {"date": DATE}) == public.call("rows_for_date", {"date": DATE})
    assert session.call("guess", {"date": 3}).ok is False
    last = session.call("submit", {"rows": []})
    assert last.done
    assert "episode" not in last.told  # of seeds that follow each other one would tell the next
    told = events(tmp_path)
    assert [event["event"] for event in told] == ["terms", "begin", "call", "call", "call", "end"]
    assert told[2] == {"event": "call", "episode": 0, "tool": "rows_for_date", "arguments": {"date": DATE}}
    assert told[-1]["grade"] == last.told["grade"]
    session.begin()
    assert session.standing.calls_left == find_task(TASK).config.step_limit
    assert read_books(tmp_path).episodes[1].seed == FIRST + 1


def test_what_is_left_is_abandoned_and_cannot_be_played_again(tmp_path: Path) -> None:
    """A second begin, a client that goes, and a killed server leave an episode without an end; the next is another."""
    session = ScoredSession(kept(tmp_path))
    session.begin()
    session.begin()
    session.leave()
    session.leave()
    assert [event["event"] for event in events(tmp_path)] == ["terms", "begin", "begin", "abandon", "abandon"]
    again = kept(tmp_path)
    assert again.left == 2
    ScoredSession(again).begin()
    record = read_books(tmp_path)
    assert [episode.seed for episode in record.episodes] == [FIRST, FIRST + 1, FIRST + 2]
    assert all(episode.ended is None for episode in record.episodes)


def test_nothing_can_be_chosen(tmp_path: Path) -> None:
    """Seed, task and options are refused, and cost no episode; after the last episode there is none."""
    books = kept(tmp_path, episodes=1)
    session = ScoredSession(books)
    choices: list[dict[str, Any]] = [{"seed": 3}, {"task": "hard_mixed"}, {"difficulty": "easy"}]
    for given in choices:
        with pytest.raises(ValueError, match="scored"):
            session.begin(**given)
    assert books.left == 1
    session.begin()
    with pytest.raises(ValueError, match="none is left"):
        session.begin()
    assert session.call("submit", {"rows": []}).done  # the one under way goes on
    assert session.call("submit", {"rows": []}).ok is False
    assert [event["event"] for event in events(tmp_path)] == ["terms", "begin", "call", "end"]


def test_sealed_books_name_the_seal_and_play_its_episodes(tmp_path: Path) -> None:
    """The terms hold the seal's hash and no secret, the episodes are the sealed ones, and the end may name them."""
    session = ScoredSession(kept(tmp_path, seal=SEAL))
    session.begin()
    last = session.call("submit", {"rows": []})
    assert last.told["episode"]["seal"] == SEAL.hash
    sealed = Session(TASK, seal=SEAL)
    sealed.begin(FIRST)
    sealed.call("submit", {"rows": []})
    assert sealed.episode().expected_rows == session.episode().expected_rows
    assert SEAL.secret not in (tmp_path / BOOKS_FILE).read_text()
    assert events(tmp_path)[0]["seal"] == SEAL.hash
    with pytest.raises(ValueError, match="seal"):
        Books(tmp_path / "other", terms(), TASK, SEAL)


def test_books_of_other_terms_are_refused(tmp_path: Path) -> None:
    """Who goes on with books must keep their terms; what differs is named."""
    kept(tmp_path).close()
    for other, named in ((terms(5), "episodes"), (terms(agent="another"), "agent"), (terms(task="hard_mixed"), "task")):
        with pytest.raises(ValueError, match=f"{named}.* differ"):
            Books(tmp_path, other, TASK)
    for episodes, first in ((0, None), (2_000_000, None), (4, -1), (10, 2**63 - 5)):
        with pytest.raises(ValueError, match=r"episodes|first_seed"):
            Terms.of("somebody", find_task(TASK), episodes, first)
    with pytest.raises(ValueError, match="agent"):
        Terms.of("", find_task(TASK), 3)


def test_a_line_without_an_end_is_cut_off(tmp_path: Path) -> None:
    """What a killed process left of a line is passed over by readers and taken off by who goes on."""
    session = ScoredSession(kept(tmp_path))
    session.begin()
    path = tmp_path / BOOKS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event":"call","epi')
    assert len(read_books(tmp_path).episodes) == 1
    kept(tmp_path).close()
    assert path.read_bytes() == whole
    path.write_bytes(whole[:30])  # killed amid the first line
    assert kept(tmp_path).left == 4


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"[]", "line 3"),
        (b'{"event":"begin","episode":0}', "episode 0 begins where 1 of 4"),
        (b'{"event":"begin","episode":7}', "episode 7 begins"),
        (b'{"event":"call","episode":2,"tool":"x","arguments":{}}', "episode 2 has not begun"),
        (b'{"event":"abandon","episode":-1}', "line 3"),
        (b'{"event":"win","episode":0}', "line 3"),
        (b"\xff\xfe", "line 3"),
    ],
)
def test_damaged_books_are_refused(tmp_path: Path, line: bytes, told: str) -> None:
    """A line that is none, or that tells what cannot have happened, is named."""
    ScoredSession(kept(tmp_path)).begin()
    path = tmp_path / BOOKS_FILE
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ValueError, match=told):
        read_books(tmp_path)
    with pytest.raises(ValueError, match=told):
        kept(tmp_path)


def test_missing_books_are_told(tmp_path: Path) -> None:
    """A folder without books, and one that is no folder, are errors that name the file."""
    with pytest.raises(ValueError, match=r"books\.jsonl"):
        read_books(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        kept(tmp_path / "file")


def test_sessions_in_threads_play_each_episode_once(tmp_path: Path) -> None:
    """However many sessions share the books, no episode is begun twice and every line is whole."""
    books, found = kept(tmp_path, episodes=40), []

    def play() -> None:
        session = ScoredSession(books)
        while True:
            try:
                session.begin()
            except ValueError:
                return
            session.call("rows_for_date", {"date": DATE})
            found.append(session.call("submit", {"rows": []}).told["grade"]["score"])

    threads = [threading.Thread(target=play) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = read_books(tmp_path)
    assert len(found) == len(record.episodes) == 40
    assert all(len(episode.calls) == 2 and episode.ended is not None for episode in record.episodes)


def test_one_process_keeps_the_books(tmp_path: Path) -> None:
    """A second process is refused while the first keeps them, and may go on afterwards."""
    refused = pytest.raises(ValueError, match="another process")
    with Books.kept(tmp_path, terms(), TASK), refused, Books.kept(tmp_path, terms(), TASK):
        pass
    with Books.kept(tmp_path, terms(), TASK) as books:
        assert books.left == 4


KILLED = """
import os, signal, sys
from pathlib import Path
from metric_tracker_env import find_task
from metric_tracker_env.books import Books, Terms
from metric_tracker_env.session import ScoredSession

task = find_task({task!r})
books = Books(Path({folder!r}), Terms.of("somebody", task, 1000), {task!r})
session, left = ScoredSession(books), {calls}
while True:
    session.begin()
    for call in (("rows_for_date", {{"date": {date!r}}}), ("submit", {{"rows": []}})):
        answer = session.call(*call)
        print(answer.done, flush=True)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.parametrize("calls", [1, 2, 5, 6])
def test_a_kill_loses_no_call_that_was_answered(tmp_path: Path, calls: int) -> None:
    """After SIGKILL the books hold every call that was answered and every grade that was told, and they go on."""
    code = KILLED.format(task=TASK, folder=str(tmp_path), calls=calls, date=DATE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    answered = done.stdout.split()
    record = read_books(tmp_path)
    assert sum(len(episode.calls) for episode in record.episodes) == len(answered) == calls
    assert sum(episode.ended is not None for episode in record.episodes) == answered.count("True")
    books = Books(tmp_path, record.terms, TASK)
    ScoredSession(books).begin()
    assert len(read_books(tmp_path).episodes) == len(record.episodes) + 1
