"""The folder of a run: it goes on, keeps what was played, and is refused if it is damaged or another plays in it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from helpers_llm import CONFIG, SEEDS, TASK, begun, lines_of
from llm_server import ScriptedServer

from agents import Evaluation, evaluate
from agents.llm.card import CARD_FILE
from agents.llm.command import EndpointError, LlmRun, Prices, Summary
from agents.llm.journal import JOURNALS
from agents.llm.run import LOCK_FILE, TRANSCRIPTS_FILE
from agents.players.player import Assignment
from metric_tracker_env import get_task


def test_an_interrupted_run_goes_on(server: ScriptedServer, tmp_path: Path) -> None:
    """Finished episodes are kept, and one under way goes on where it was; the result is that of a run in one go."""
    run = begun(server, tmp_path, "mortal", parallel=2)
    server.mortal_after = 28  # of about 40; an episode has at most 13
    with pytest.raises(EndpointError, match="This key is void"):
        evaluate(run, SEEDS, TASK)
    kept = (tmp_path / TRANSCRIPTS_FILE).read_bytes()
    done = len(lines_of(tmp_path))
    assert 1 <= done < len(SEEDS)
    under_way = len(list((tmp_path / JOURNALS).iterdir()))
    assert under_way >= 1
    # A crash in the middle of a line leaves a piece of it.
    (tmp_path / TRANSCRIPTS_FILE).write_bytes(kept + kept[: len(kept) // 3].split(b"\n")[0])
    server.mortal_after = None
    episodes = server.episodes("mortal")
    again = begun(server, tmp_path, "mortal", parallel=2)
    result = evaluate(again, SEEDS, TASK)
    assert server.episodes("mortal") - episodes == len(SEEDS) - done - under_way
    assert not (tmp_path / JOURNALS).exists()
    assert (tmp_path / TRANSCRIPTS_FILE).read_bytes().startswith(kept)
    assert sorted(item["seed"] for item in lines_of(tmp_path)) == list(SEEDS)
    assert sum(item["interruptions"] for item in lines_of(tmp_path)) == under_way
    assert result.notes == (
        f"episodes that were played on from where they had stopped: {under_way} (0 failures of the endpoint, "
        f"{under_way} interruptions)",
    )
    whole = begun(server, tmp_path / "whole", "mortal", parallel=2)
    straight = evaluate(whole, SEEDS, TASK)
    card = again.card.model_dump(mode="json")
    assert result == straight.model_copy(update={"card": card, "notes": result.notes})
    asked = Assignment(SEEDS, CONFIG, get_task(TASK))
    alike = {"seconds": 0.0, "waited": 0.0, "interruptions": 0}
    one, other = (
        Summary.of(each.card, TASK, result, each.transcripts(asked)).model_copy(update=alike) for each in (again, whole)
    )
    assert one == other
    requests = len(server.requests)
    assert evaluate(tmp_path, SEEDS, TASK) == result
    assert len(server.requests) == requests


def test_other_episodes_are_not_taken_for_played(server: ScriptedServer, tmp_path: Path) -> None:
    """A transcript counts for its own seed and configuration; the view, which a model does not see, is none of it."""
    run = begun(server, tmp_path, "talker")
    evaluate(run, SEEDS[:1], TASK)
    for seeds, options, fresh in (
        (SEEDS[:2], None, 1),
        (SEEDS[:2], {"view": "board", "reward": "dense"}, 0),
        (SEEDS[:1], {"budget": 9}, 1),
        ((SEEDS[0], SEEDS[0]), {"difficulty": "easy"}, 2),  # a seed that is given again is another trial
        ((SEEDS[0], SEEDS[0]), {"difficulty": "easy"}, 0),
    ):
        before = server.episodes("talker")
        assert evaluate(run, seeds, TASK, options=options).episodes.seed == tuple(seeds)
        assert server.episodes("talker") - before == fresh
    own = get_task("easy_single_spike")  # whose instruction, its own, is in the brief
    for task, config, fresh in ((None, CONFIG, 0), (own.name, None, 1), (None, own.config, 1)):
        before = server.episodes("talker")
        evaluate(run, SEEDS[:1], task, config)
        assert server.episodes("talker") - before == fresh
    assert len(run.transcripts(Assignment(SEEDS, CONFIG, get_task(TASK)))) == 2


def test_settings_stay_the_same(server: ScriptedServer, tmp_path: Path) -> None:
    """A folder is not gone on with under other settings, which are named; names, prices and parallelism may change."""
    begun(server, tmp_path, "good", max_turns=7)
    evaluate(begun(server, tmp_path, "talker"), SEEDS[:1], TASK)  # nothing had been played with the first ones
    before = (tmp_path / CARD_FILE).read_text(encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"other settings: model 'talker' there and 'good' here; give the same ones or"
    ):
        begun(server, tmp_path, "good")
    with pytest.raises(ValueError, match=r"max_turns 64 there and 3 here; temperature None there and 0\.1 here"):
        begun(server, tmp_path, "talker", max_turns=3, temperature=0.1)
    assert (tmp_path / CARD_FILE).read_text(encoding="utf-8") == before
    again = begun(server, tmp_path, "talker", name="T", parallel=1, prices={"input": 2, "output": 8})
    assert LlmRun(tmp_path).card == again.card
    assert (again.card.name, again.card.parallel, again.card.prices) == ("T", 1, Prices(input=2, output=8))


def test_damaged_folders_are_refused(server: ScriptedServer, tmp_path: Path) -> None:
    """A line that is no transcript, and a card that is none, are named."""
    run = begun(server, tmp_path, "talker")
    evaluate(run, SEEDS[:1], TASK)
    whole = run.path.read_text(encoding="utf-8")
    for line, told in (
        ("{}", "task: Field required"),
        ("{", "Invalid JSON"),
        (whole.replace("no_call", "won"), "finish"),
    ):
        run.path.write_text(whole + line.rstrip() + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=f"{TRANSCRIPTS_FILE}', line 2, is no transcript: .*{told}"):
            evaluate(run, SEEDS[:1], TASK)
    item = json.loads(whole)
    del item["figures"]["net"]
    run.path.write_text(json.dumps(item) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1, is no transcript: .*figures .* must be"):
        evaluate(run, SEEDS[:1], TASK)
    card = json.loads((tmp_path / CARD_FILE).read_text(encoding="utf-8"))
    for text, told in (
        ("{", "is not JSON"),
        (json.dumps(card | {"format": 2}), "has format 2; this version reads format 1"),
        (json.dumps(card | {"wings": 2}), "is not valid: wings: Extra inputs are not permitted, given 2"),
    ):
        (tmp_path / CARD_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=told):
            evaluate(tmp_path, SEEDS[:1], TASK)
    (tmp_path / CARD_FILE).unlink()
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        LlmRun(tmp_path)


def test_one_process_plays_in_a_folder(server: ScriptedServer, tmp_path: Path) -> None:
    """While another plays, episodes are not paid for twice; what has been played can still be read."""
    run = begun(server, tmp_path, "talker")
    result = evaluate(run, SEEDS[:1], TASK)
    with FileLock(tmp_path / LOCK_FILE):
        assert evaluate(run, SEEDS[:1], TASK) == result
        with pytest.raises(ValueError, match="is in use: another process plays in it"):
            evaluate(run, SEEDS[:2], TASK)
    assert len(evaluate(run, SEEDS[:2], TASK).episodes.seed) == 2


def test_a_running_loop_is_no_hindrance(server: ScriptedServer, tmp_path: Path) -> None:
    """In a notebook, whose cells run in a loop, an evaluation is the same."""
    run = begun(server, tmp_path, "talker")

    async def cell() -> Evaluation:
        return evaluate(run, SEEDS[:1], TASK)

    assert asyncio.run(cell()) == evaluate(run, SEEDS[:1], TASK)
    assert server.seen["talker"] > 0


def test_what_another_process_played_meanwhile_is_taken(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Episodes that were played between the first look and the lock are not played again."""
    run, before = begun(server, tmp_path, "talker"), server.seen["talker"]
    alone, steps = LlmRun._alone, list[int]()

    def late(self: LlmRun) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(LlmRun, "_alone", alone)
            evaluate(begun(server, tmp_path, "talker"), SEEDS[:2], TASK)
        return alone(self)

    monkeypatch.setattr(LlmRun, "_alone", late)
    assert len(run.play(Assignment(SEEDS[:2], CONFIG, get_task(TASK)), progress=steps.append).lines) == 2
    assert (len(lines_of(tmp_path)), steps) == (2, [2])
    assert server.seen["talker"] - before == 6  # a reply and two reminders each


def test_a_folder_that_another_took_over_is_not_scored(server: ScriptedServer, tmp_path: Path) -> None:
    """Two runs begun in one folder: what one has played is not the other's."""
    one, other = begun(server, tmp_path, "good"), begun(server, tmp_path, "talker")
    evaluate(other, SEEDS[:1], TASK)
    for seeds in (SEEDS[:1], SEEDS[:2]):
        with pytest.raises(ValueError, match="has come to hold a run with other settings"):
            evaluate(one, seeds, TASK)
    assert len(lines_of(tmp_path)) == 1
