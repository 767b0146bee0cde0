"""Films of what was played in words: every call of the books and of a transcript, and no truth before an end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_books import SEAL, kept
from helpers_watch import spoken
from PIL import Image

from agents import cli
from agents.film.told import of_books, of_model
from metric_tracker_env import get_task
from metric_tracker_env.books import read_books

TASK = get_task("realistic_medium")
SEEDS = range(TASK.held_out_seeds[0], TASK.held_out_seeds[0] + 3)
SCALE = 0.2


def test_books_are_filmed_call_by_call(tmp_path: Path) -> None:
    """A picture before each call, and the score that the server gave; one that was left scores 0."""
    kept(tmp_path, TASK, 3, played=1, left=1, open_end=1)
    first, left, under_way = (of_books(tmp_path, TASK, seed, None) for seed in SEEDS)
    episode = read_books(tmp_path).episodes[0]
    pictures = first.pictures(SCALE)
    assert len(pictures) == len(episode.calls) + 1
    assert [picture.words[4:].split("(")[0] for picture in pictures[:-1]] == [tool for tool, _ in episode.calls]
    assert max(len(picture.words) for picture in pictures[:-1]) <= 4 + 78
    assert episode.ended is not None
    assert pictures[-1].words.startswith(f"score {episode.ended.grade.score:.2f}, ")
    assert left.pictures(SCALE)[-1].words.startswith("score 0.00, ")
    shown = under_way.pictures(SCALE)
    assert shown[-1].words == "without an end"
    assert len(shown) == 2
    again = of_books(tmp_path, None, None, None).pictures(SCALE)
    assert all(np.array_equal(one.frame, other.frame) for one, other in zip(pictures, again, strict=True))


def test_a_language_model_is_filmed(tmp_path: Path) -> None:
    """Its task and first episode are found where none is named, and what it has not played is told."""
    spoken(tmp_path, TASK, SEEDS[:2])
    found = of_model(tmp_path, None, None, None)
    assert (found.agent, found.task, found.seed) == ("speaker", TASK.name, SEEDS[0])
    pictures = of_model(tmp_path, TASK, SEEDS[1], None).pictures(SCALE)
    assert pictures[0].words == " 1  task_overview({})"
    assert pictures[-1].words.startswith("score ")
    for task, seed in ((TASK, 5), (get_task("easy_mixed"), None)):
        with pytest.raises(ValueError, match="has no finished episode of task"):
            of_model(tmp_path, task, seed, None)


def test_what_books_do_not_have(tmp_path: Path) -> None:
    """Another task, another seed, and sealed episodes without their secret are refused in words."""
    kept(tmp_path, TASK, 1, played=1, seal=SEAL)
    with pytest.raises(ValueError, match="are of 'realistic_medium'"):
        of_books(tmp_path, get_task("easy_mixed"), None, SEAL)
    with pytest.raises(ValueError, match="seed 5 is not from"):
        of_books(tmp_path, None, 5, SEAL)
    with pytest.raises(ValueError, match="the episodes are sealed"):
        of_books(tmp_path, None, None, None).pictures(SCALE)


def test_the_command_takes_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it takes an agent."""
    kept(tmp_path / "kept", TASK, 1, played=1)
    cli.main(["film", str(tmp_path / "kept"), "--scale", "0.15", "--output", str(tmp_path / "a.gif")])
    assert f"someone on {TASK.name}, seed {SEEDS[0]}" in capsys.readouterr().out
    with Image.open(tmp_path / "a.gif") as image:
        assert getattr(image, "n_frames", 1) > 5
