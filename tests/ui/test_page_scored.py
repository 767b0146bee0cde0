"""Play for score: a person's episodes are those of the books, which make a row of the leaderboard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers_page import SIZES, Visit
from helpers_serve import listening, wait_for
from playwright.sync_api import Browser
from test_page import click_cell, expected, settled

from agents import evaluate
from metric_tracker_env import get_task
from metric_tracker_env.books import Books, Terms
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app

TASK = get_task("easy_single_spike")
EPISODES = 3
FIRST = TASK.held_out_seeds[0]


@pytest.fixture
def scored(tmp_path: Path) -> Iterator[str]:
    """Where the page of one person's books is."""
    limits = ServeLimits()
    with (
        Books.kept(tmp_path / "ada", Terms.of("Ada", TASK, EPISODES), TASK.name) as books,
        listening(page_app(TASK.name, limits, books=books), limits) as found,
    ):
        yield f"http://{found}"


@pytest.mark.parametrize("size", SIZES)
def test_a_persons_row(scored: str, size: str, browser: Browser, tmp_path: Path) -> None:
    """One episode solved, one left, one with nothing submitted; a reload and another browser go on with the same."""
    visit = Visit(browser, scored, SIZES[size])
    page = visit.open()
    assert page.input_value("#seed") == "scored"
    assert page.locator("#options, #next, #previous, #difficulty").count() == 0
    assert page.is_disabled("#truth")
    page.click("text=suspicious dates")
    settled(page, 1)
    roots = expected(TASK.name, FIRST)
    for number, (day, entity) in enumerate(roots):
        click_cell(page, day, entity)
        page.click("#actions >> text=open")
        settled(page, 2 + number)
        page.click("#report")
        wait_for(lambda number=number: page.locator("#draft >> text=confirmed").count() == 1 + number)
    again = Visit(browser, scored, SIZES[size])
    assert again.open("?task=hard_mixed&seed=3").locator("#chips button").count() == 1 + len(roots)
    assert again.state()["task"] == TASK.name
    page.click("#submit")
    page.wait_for_selector("#score")
    assert page.inner_text("#score") == "1.000"
    assert visit.state()["seed"] is None  # that of a public episode would tell the next one
    page.click("text=Next episode: 2 left")
    settled(page, 0)
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#begin")
    wait_for(lambda: visit.state()["left"] == 0)
    page.wait_for_selector("#submit")
    page.click("#submit")
    page.wait_for_selector("#played")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert visit.faults == again.faults == []
    assert visit.elsewhere == []
    for one in (visit, again):
        one.context.close()
    row = evaluate(tmp_path / "ada", range(FIRST, FIRST + EPISODES), TASK)
    assert row.episodes.score == (1.0, 0.0, 0.0)
    assert row.episodes.failure == ("solved", "gave_up", "gave_up")


def test_nothing_of_a_scored_episode_can_be_chosen(scored: str) -> None:
    """Neither seed, task nor option, nor the truth before the end; nothing has changed then."""
    with httpx.Client(base_url=scored) as client:
        before = client.get("/api/state").json()
        assert (before["seed"], before["left"], before["truth"]) == (None, EPISODES - 1, None)
        for asked in ({"seed": 3}, {"task": "hard_mixed"}, {"options": {"difficulty": "hard"}}):
            refused = client.post("/api/begin", json=asked)
            assert refused.status_code == 400
            assert next(iter(asked)) in refused.json()["error"] or "difficulty" in refused.json()["error"]
        assert client.post("/api/truth", json={}).status_code == 400
        assert client.get("/api/state").json() == before
        assert client.post("/api/begin", json={}).json()["left"] == EPISODES - 2
    with httpx.Client(base_url=scored) as other:
        assert other.get("/api/state").json()["left"] == EPISODES - 2  # no browser begins an episode of its own


def test_the_command(tmp_path: Path) -> None:
    """It needs a name and a number, and says when all has been played."""
    command = [
        sys.executable,
        "-m",
        "metric_tracker_env.ui",
        "--task",
        TASK.name,
        "--port",
        "0",
        "--books",
        str(tmp_path),
    ]

    def refused(*more: str) -> str:
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        return done.stderr

    assert "argument --agent: needed with --books" in refused()
    with Books.kept(tmp_path, Terms.of("Ada", TASK, 1), TASK.name) as books:
        books.begin()
    assert "have begun" in refused("--agent", "Ada", "--episodes", "1")
