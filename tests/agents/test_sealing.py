"""Sealed evaluation: every player plays the sealed episodes, the hash is told, and the secret makes them again."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from agents.cli import main
from agents.evaluation.evaluate import Evaluation, evaluate
from agents.evaluation.report import Comparison
from agents.llm.transcript import Briefing
from metric_tracker_env import MetricDataGenerator, Seal, find_task

SEAL = Seal("0f" * 32)
SEEDS = range(2_000_000_000, 2_000_000_030)


def test_every_kind_of_player_plays_the_sealed_episodes() -> None:
    """The rows of an evaluation are those of the sealed episodes, played in one process or in several."""
    task = find_task("medium_mixed")
    generator = MetricDataGenerator(task.config.generator, SEAL)
    days = [
        sorted(task.config.generator.day_index(row.date) for row in episode.expected_rows)
        for episode in (generator.generate_episode(task.config.episode_config(seed=seed)) for seed in SEEDS)
    ]
    for agent in ("oracle", "analyst"):
        found = evaluate(agent, SEEDS, task, seal=SEAL)
        assert found.mean("f1") > 0.97
        assert found.seal == SEAL.hash
        public = evaluate(agent, SEEDS, task)
        assert public.seal is None
        assert public.rows != found.rows
    assert evaluate("oracle", SEEDS, task, workers=2, seal=SEAL) == evaluate("oracle", SEEDS, task, seal=SEAL)
    oracle = evaluate("oracle", SEEDS, task, seal=SEAL)
    held = [
        sorted(day for episode, day in zip(oracle.rows.episode, oracle.rows.day, strict=True) if episode == number)
        for number in range(len(SEEDS))
    ]
    assert held == days


def test_seal_is_made_promised_and_revealed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command makes a secret that its owner alone may read, tells its hash alone, and the secret later."""
    file = tmp_path / "seal"
    main(["seal", str(file)])
    made, told = Seal.read(file), capsys.readouterr().out
    assert made.hash in told
    assert made.secret not in told
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(SystemExit):
        main(["seal", str(file)])
    assert "File exists" in capsys.readouterr().err
    assert Seal.read(file) == made
    main(["reveal", str(file)])
    told = capsys.readouterr().out
    assert made.secret in told.replace("\n", "")
    assert made.hash in told.replace("\n", "")


def test_compare_and_run_play_sealed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hash is printed before the figures and stored with them; the same secret gives the same file again."""
    file = tmp_path / "seal"
    file.write_text(SEAL.secret)
    common = ["--task", "easy_mixed", "--episodes", "20", "--seal", str(file)]
    main(["run", "--agent", "analyst", *common, "--output", str(tmp_path / "run.json")])
    told = capsys.readouterr().out.replace("\n", "")
    assert told.index(SEAL.hash) < told.index("score")
    assert Evaluation.from_json(tmp_path / "run.json").seal == SEAL.hash
    asked = ["compare", "--agents", "analyst", "nothing", "--tasks", "easy_mixed", "--episodes", "20", "--workers", "1"]
    for name in ("one", "two"):
        main([*asked, "--seal", str(file), "--output", str(tmp_path / name)])
    one, two = ((tmp_path / name / "compare.json").read_text() for name in ("one", "two"))
    assert one == two
    assert SEAL.secret not in one
    assert {each["seal"] for each in json.loads(one)["evaluations"]} == {SEAL.hash}
    main([*asked, "--output", str(tmp_path / "public")])
    public = (tmp_path / "public" / "compare.json").read_text()
    assert {each["seal"] for each in json.loads(public)["evaluations"]} == {None}


def test_sealed_and_public_figures_are_not_mixed() -> None:
    """Evaluations of public and of sealed episodes are no comparison, and a table's title says which they are."""
    task = find_task("easy_mixed")
    sealed, public = (evaluate("analyst", SEEDS, task, seal=seal) for seal in (SEAL, None))
    with pytest.raises(ValueError, match="seal"):
        Comparison.of([sealed, public])
    (line,) = Comparison.of([sealed]).summary
    assert line.held_out == "30 sealed episodes"
    (line,) = Comparison.of([public]).summary
    assert line.held_out == "30 held-out episodes"


def test_bad_seal_ends_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without a secret is told in one line before anything is played."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "--agent", "analyst", "--seal", str(tmp_path / "none")])
    assert ended.value.code == 2
    assert "No such file" in capsys.readouterr().err


def test_transcripts_of_sealed_episodes_are_others() -> None:
    """A language model is told the same of sealed and public episodes, and their transcripts are kept apart."""
    task = find_task("easy_mixed")
    public, sealed = (Briefing.of(task.config, task, "plain", seal) for seal in (None, SEAL))
    assert public.text == sealed.text
    assert public.tools == sealed.tools
    assert public.digest != sealed.digest
