"""Attempts and trials: an episode goes on where it was, so that a failure buys nothing; and every attempt is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_llm import CONFIG, SEEDS, TASK, arguments, begun, lines_of
from llm_server import ScriptedServer

from agents import Evaluation, evaluate
from agents.llm import command as llm
from agents.llm.command import EndpointError, LlmRun, Summary
from agents.llm.journal import JOURNALS
from agents.llm.run import TRANSCRIPTS_FILE
from agents.players.player import Assignment
from metric_tracker_env import get_task

TOLD = "episodes that failed by the endpoint, and score 0: {}; --retry-failed of python -m agents.llm plays them on"


def asked(seeds: Any) -> Assignment:
    """Some episodes of the task."""
    return Assignment(seeds, CONFIG, get_task(TASK))


def test_a_failed_episode_goes_on_where_it_was(
    server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path
) -> None:
    """What the endpoint's failure ended ends as it would have without, and every attempt stays in the transcripts."""
    server.ill.add("sickly")
    first = evaluate(begun(server, tmp_path, "sickly", retries=0), SEEDS[:2], TASK)
    assert (set(first.episodes.score), first.notes) == ({0.0}, (TOLD.format(2),))
    failed = (tmp_path / TRANSCRIPTS_FILE).read_bytes()
    still = evaluate(begun(server, tmp_path, "sickly", retries=0), SEEDS[:2], TASK)
    assert still == first
    run = LlmRun.begin(tmp_path, LlmRun(tmp_path).card, retry_failed=True)
    evaluate(run, SEEDS[:2], TASK)  # which fails again at once
    server.ill.discard("sickly")
    episodes = server.episodes("sickly")
    run = LlmRun.begin(tmp_path, run.card, retry_failed=True)
    result = evaluate(run, SEEDS[:2], TASK)
    assert server.episodes("sickly") == episodes
    assert result.episodes == evaluate(good[0], SEEDS[:2], TASK).episodes
    assert result.notes == (
        "episodes that were played on from where they had stopped: 2 (4 failures of the endpoint, 0 interruptions)",
    )
    assert (tmp_path / TRANSCRIPTS_FILE).read_bytes().startswith(failed)
    attempts = run.attempts(asked(SEEDS[:2]))
    assert sorted((item.seed, item.attempt) for item in attempts) == [(s, a) for s in SEEDS[:2] for a in (1, 2, 3)]
    for item in run.transcripts(asked(SEEDS[:2])):
        before = [other for other in attempts if other.seed == item.seed and other.attempt < item.attempt]
        assert [(other.finish, other.turns, other.error) for other in before] == [
            ("error", 4, "HTTP 500: I feel faint")
        ] * 2
        assert item.messages[: len(before[0].messages)] == before[0].messages == before[1].messages
        whole = next(other for other in good[0].transcripts(asked(SEEDS[:2])) if other.seed == item.seed)
        assert item.messages == whole.messages
        assert (item.turns, item.tokens) == (whole.turns, whole.tokens)
    summary = Summary.of(run.card, TASK, result, run.transcripts(asked(SEEDS[:2])))
    assert (summary.episodes, summary.attempts) == (2, 6)


def test_a_failure_buys_nothing(server: ScriptedServer, tmp_path: Path) -> None:
    """What was looked at before a failure stays paid for, whoever fails on purpose; a further attempt costs no less."""
    server.ill.add("gambler")
    evaluate(begun(server, tmp_path, "gambler", retries=0), SEEDS[:1], TASK)
    server.ill.discard("gambler")
    run = LlmRun.begin(tmp_path, LlmRun(tmp_path).card, retry_failed=True)
    result = evaluate(run, SEEDS[:1], TASK)
    failed, last = lines_of(tmp_path)
    assert (failed["attempt"], failed["finish"], failed["figures"]["cost"]) == (1, "error", 5)
    assert (last["attempt"], last["finish"], last["figures"]["cost"]) == (2, "submitted", 5)
    assert last["tools"] == {"rows_for_date": 5, "submit": 1}
    assert result.episodes.cost == (5,)
    assert result.episodes.net == (-0.005 * 5,)


def test_what_is_the_models_is_not_played_again(server: ScriptedServer, tmp_path: Path) -> None:
    """A full context, a filter, a reply that is cut: they count, whoever asks for another attempt."""
    for model in ("full", "moderated", "filtered", "wordy"):
        folder = tmp_path / model
        evaluate(begun(server, folder, model), SEEDS[:1], TASK)
        before, requests = (folder / TRANSCRIPTS_FILE).read_bytes(), len(server.requests)
        result = evaluate(LlmRun.begin(folder, LlmRun(folder).card, retry_failed=True), SEEDS[:1], TASK)
        assert ((folder / TRANSCRIPTS_FILE).read_bytes(), len(server.requests)) == (before, requests)
        assert (result.episodes.score, result.notes) == ((0.0,), ())


def test_a_killed_run_goes_on_amid_an_episode(
    server: ScriptedServer, good: tuple[LlmRun, Evaluation], tmp_path: Path
) -> None:
    """The journal of an episode, which even a killed process leaves, is gone on with, a piece of a line left out."""
    run = begun(server, tmp_path, "good")
    (whole,) = good[0].transcripts(asked(SEEDS[:1]))
    # What a kill after three replies leaves: three entries, and a piece of a fourth.
    server.ill.add("sickly")
    evaluate(begun(server, tmp_path / "sick", "sickly", retries=0), SEEDS[:1], TASK)
    (item,) = LlmRun(tmp_path / "sick").transcripts(asked(SEEDS[:1]))
    server.ill.discard("sickly")
    place = tmp_path / JOURNALS / f"{item.told[:12]}-{SEEDS[0]}-0.jsonl"
    place.parent.mkdir()
    entries = [
        {
            "attempt": {"told": item.told, "seed": SEEDS[0], "interruptions": 2},
            "used": {"turns": 2 * (number + 1), "tokens": {"prompt": 100 * number, "completion": 20}},
            "messages": list(item.messages[start:stop]),
        }
        for number, (start, stop) in enumerate([(0, 5), (5, 9)])
    ]
    place.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries) + '{"attempt": {"to', encoding="utf-8")
    episodes, seen = server.episodes("good"), server.seen["good"]
    assert run.unpaid(asked(SEEDS[:1])) == 1
    result = evaluate(run, SEEDS[:1], TASK)
    assert (server.episodes("good"), server.seen["good"] - seen) == (episodes, whole.turns - 4)
    assert result.episodes == evaluate(good[0], SEEDS[:1], TASK).episodes
    (item,) = run.transcripts(asked(SEEDS[:1]))
    assert (item.messages, item.turns, item.attempt, item.interruptions) == (whole.messages, whole.turns, 1, 3)
    assert item.tokens.completion == 20 + 10 * (whole.turns - 4)
    assert "1 (0 failures of the endpoint, 3 interruptions)" in result.notes[0]
    assert not place.parent.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}\n", "line 1, is no part of an episode"),
        ("other", "cannot go on: its calls are answered otherwise than they were"),
    ],
)
def test_a_journal_that_does_not_fit_is_refused(text: str, told: str, server: ScriptedServer, tmp_path: Path) -> None:
    """A damaged journal, and one whose answers are not those of the episode, end the run with an error that says so."""
    run = begun(server, tmp_path / "run", "good")
    evaluate(begun(server, tmp_path / "other", "good"), SEEDS[:1], TASK)
    (item,) = LlmRun(tmp_path / "other").transcripts(asked(SEEDS[:1]))
    if text == "other":  # the conversation of another seed
        begun_before = {"attempt": {"told": item.told, "seed": SEEDS[1]}, "used": {}, "messages": item.messages[:9]}
        text = json.dumps(begun_before) + "\n"
    place = run.folder / JOURNALS / f"{item.told[:12]}-{SEEDS[1]}-0.jsonl"
    place.parent.mkdir()
    place.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        evaluate(run, SEEDS[1:2], TASK)


def test_an_endpoint_that_is_gone_ends_the_run(server: ScriptedServer, tmp_path: Path) -> None:
    """Episode after episode without a reply is no bad reply: the run ends, and the others are left to be played."""
    server.ill.add("dying")
    with pytest.raises(EndpointError, match="failed in 3 episodes in a row, without a reply between: HTTP 503: gone"):
        evaluate(begun(server, tmp_path, "dying", retries=0, parallel=1), SEEDS, TASK)
    assert [item["finish"] for item in lines_of(tmp_path)] == ["error"] * 2
    server.ill.discard("dying")
    run = LlmRun.begin(tmp_path, LlmRun(tmp_path).card, retry_failed=True)
    result = evaluate(run, SEEDS, TASK)
    assert {item.finish for item in run.transcripts(asked(SEEDS))} == {"submitted"}
    assert "2 failures of the endpoint" in result.notes[0]


def test_settings_stay_while_an_episode_is_under_way(server: ScriptedServer, tmp_path: Path) -> None:
    """A part of an episode is something that was played: no other model goes on with it."""
    server.mortal_after = server.seen["mortal"] + 3
    with pytest.raises(EndpointError):
        evaluate(begun(server, tmp_path, "mortal", retries=0), SEEDS[:1], TASK)
    assert not (tmp_path / TRANSCRIPTS_FILE).exists()
    assert (tmp_path / JOURNALS).exists()
    with pytest.raises(ValueError, match="holds a run with other settings: model 'mortal' there and 'good' here"):
        begun(server, tmp_path, "good")


def test_trials_of_an_episode_are_told_apart(server: ScriptedServer, tmp_path: Path) -> None:
    """A seed that is asked for several times is played as often, and found when asked for again; it counts once."""
    run, before = begun(server, tmp_path, "talker"), server.episodes("talker")
    result = evaluate(run, [*SEEDS[:2], *SEEDS[:2]], TASK)
    assert server.episodes("talker") - before == 4
    assert [
        (item["seed"], item["trial"]) for item in sorted(lines_of(tmp_path), key=lambda i: (i["trial"], i["seed"]))
    ] == [(seed, trial) for trial in (0, 1) for seed in SEEDS[:2]]
    assert evaluate(run, [*SEEDS[:2], *SEEDS[:2]], TASK) == result
    assert run.unpaid(asked([SEEDS[0]] * 3)) == 1
    once = evaluate(run, SEEDS[:2], TASK)
    assert result.interval("score") == once.interval("score")
    assert server.episodes("talker") - before == 4


def test_repeats_on_the_command_line(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trials are played, and pass@1, pass^k, families with intervals, tokens and cost of a solved episode are told."""
    prices = ["--price-input", "2", "--price-output", "8"]
    llm.main(arguments(server, tmp_path, "good", "--episodes", "2", "--repeats", "3", "--solved", "0.5", *prices))
    printed = capsys.readouterr().out
    assert "hard_mixed: mean of 2 held-out episodes of 3 trials each" in printed
    assert "solved (score of at least 0.5): 6 of 6; pass@1 1.000 [" in printed
    assert "pass^3 1.000 [" in printed
    assert "recall and precision of each family, 95 % intervals" in printed
    summary = Summary.model_validate_json((tmp_path / "summary_hard_mixed.json").read_text(encoding="utf-8"))
    assert (summary.seeds, summary.repeats, summary.episodes, summary.solved) == (2, 3, 6, 6)
    assert list(summary.pass_hat) == [1, 2, 3]
    tokens = summary.tokens.prompt + summary.tokens.completion
    cost = summary.tokens.prompt * 2e-6 + summary.tokens.completion * 8e-6
    assert summary.token_cost == pytest.approx(cost)
    assert f"{tokens / 6:,.0f} an episode, {tokens / 6:,.0f} a solved one" in printed
    assert f"{cost / 6:,.4f} an episode, {cost / 6:,.4f} a solved one" in printed
    with pytest.raises(SystemExit):
        llm.main(arguments(server, tmp_path, "good", "--repeats", "0"))
    assert "repeats 0 is not an integer from 1 to 64" in capsys.readouterr().err
