"""Replays: one file that shows an agent's episode as it was played, without a server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers_models import saved
from helpers_page import SIZES
from helpers_serve import wait_for

from agents import cli, evaluate
from agents.replay import played
from metric_tracker_env import get_task
from metric_tracker_env.ui.html import self_contained
from metric_tracker_env.ui.snapshot import replay

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SEED = 1_000_012


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The replay of an episode of the analyst, by the command."""
    output = tmp_path_factory.mktemp("replay") / "replay.html"
    cli.main(["export-html", "analyst", "--task", "realistic_medium", "--seed", str(SEED), "--output", str(output)])
    return output


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("task", ["medium_mixed", "realistic_hard"])
def test_it_is_what_was_played(task: str, view: Any) -> None:
    """Score, costs, calls and rows are those of an evaluation; what a call showed is grey before it."""
    config = get_task(task).config.model_copy(update={"view": view})
    for seed in range(SEED, SEED + 5):
        told = played("analyst", config, seed, task)
        state = replay(told)
        evaluation = evaluate("analyst", [seed], config=config)
        assert state["grade"]["score"] == pytest.approx(evaluation.mean("score"))
        assert state["reward"] == pytest.approx(evaluation.mean("episode_return"), abs=1e-4)
        assert sum(step["cost"] for step in state["steps"]) == evaluation.mean("cost")
        assert len(state["steps"]) == evaluation.mean("steps")
        assert {(row["d"], row["e"]) for row in state["draft"]} == set(
            zip(evaluation.rows.day, evaluation.rows.entity, strict=True)
        ) - {(row["d"], row["e"]) for row in state["truth"]["expected"] if (row["d"], row["e"]) not in told.draft}
        opened = {step["arguments"]["date"] for step in state["steps"] if step["tool"] == "rows_for_date"}
        shown = {state["dates"][cell["d"]] for cell in state["cells"] if cell["k"]}
        assert opened == shown
        for (day, entity), at in zip(told.draft, told.draft_at, strict=True):
            assert 0 < told.shown_at[day, entity] < at


def test_the_flags_are_those_of_the_scans() -> None:
    """What the page marks is what the observation told the agent."""
    config = get_task("medium_mixed").config
    told = played("analyst", config, SEED, "medium_mixed")
    assert told.episode is not None
    strength = told.episode.view.strength
    assert [bool(day) for day in told.flags] == (strength >= 1).any(axis=0).tolist()
    nothing = played("one_by_one", config, SEED, "medium_mixed")
    assert not any(nothing.flags)
    assert np.count_nonzero(nothing.shown_at) > 0


def test_one_file_without_anything_else(file: Path) -> None:
    """Small, with its data as JSON that cannot end the script, and no address of another host."""
    text = file.read_text(encoding="utf-8")
    assert len(text) < 300_000
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    (data,) = re.findall(r'<script type="application/json" id="replay">(.*?)</script>', text, re.DOTALL)
    state = json.loads(data)
    assert (state["agent"], state["seed"], state["over"]) == ("analyst", SEED, True)
    odd = self_contained({**state, "task": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in odd


@pytest.mark.parametrize("size", SIZES)
def test_it_is_shown_from_the_disk(size: str, file: Path, browser: Browser) -> None:
    """The whole board at the end; at an earlier call what was known then; the switch hides the truth."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height})
    faults: list[str] = []
    page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-ready] rect.cell")
    grey = page.locator("rect.cell[fill='#eceef1']")
    assert grey.count() == 0
    assert page.locator("#cells text.known").count() > 0
    page.click("#chips button >> nth=0")
    wait_for(lambda: page.locator("#cells text.known").count() == 0)
    assert grey.count() == page.locator("rect.cell").count()
    page.focus("#cells")
    for _ in range(40):
        page.keyboard.press("Shift+ArrowRight")
    wait_for(lambda: grey.count() == 0)
    page.click("#truth")
    wait_for(lambda: grey.count() > 0)
    assert page.locator("#cells text.known").count() == 0
    assert "analyst" in page.inner_text("#draft")
    assert page.locator("#begin, #report, #submit").count() == 0
    assert faults == []
    page.close()


def test_saved_models_are_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By their folder; what is neither a script nor a model is refused in one line."""
    folder, output = saved(tmp_path / "model"), tmp_path / "model.html"
    cli.main(["export-html", str(folder), "--task", "easy_single_spike", "--output", str(output)])
    assert output.stat().st_size > 10_000
    for arguments in (["nobody"], ["analyst", "--task", "none"], ["analyst", "--seed", "-1"]):
        with pytest.raises(SystemExit) as end:
            cli.main(["export-html", *arguments, "--output", str(tmp_path / "x.html")])
        assert end.value.code == 2
    assert "error: " in capsys.readouterr().err
