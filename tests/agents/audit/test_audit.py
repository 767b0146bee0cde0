"""The audit: no exploit buys a score on a sealed server that keeps books, and elsewhere each that can is found out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers_serve import listening

from agents.audit.command import AUDIT_SEAL, Audit, Mean, audited, tried
from agents.audit.door import BooksDoor, Door
from agents.audit.exploit import EXPLOITS, Knowledge, exploit
from agents.cli import main
from metric_tracker_env import MetricDataGenerator, Seal, find_task
from metric_tracker_env.books import Books, Terms
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.serve.openenv_app import make_server
from metric_tracker_env.tasks import Task

TASK = find_task("realistic_medium")
CLEAN = find_task("medium_mixed")
EPISODES = 12
NO_FLOOR = Mean(0.0, 0.0)


def by_name(made: Audit) -> dict[str, tuple[float, str]]:
    return {finding.exploit: (finding.score, finding.verdict) for finding in made.findings}


in_both_worlds = pytest.mark.parametrize("task", [TASK, CLEAN], ids=lambda task: task.name)


@in_both_worlds
def test_nothing_is_bought_in_sealed_sessions(task: Task) -> None:
    """Every exploit stays at its documented floor; what an owner does in his own process is marked as his."""
    made = audited(task, EPISODES, None, AUDIT_SEAL)
    assert not [finding for finding in made.findings if finding.verdict == "bought"]
    found = by_name(made)
    assert len(found) >= 15
    assert {name for name, (_, verdict) in found.items() if verdict == "its owner's"} == {
        *("np_random_seed", "copies", "dense_reward")
    }
    assert found["np_random_seed"][0] > 0.99


@in_both_worlds
def test_public_seeds_are_found(task: Task) -> None:
    """Without a seal one opened date gives the seed away, which the audit calls bought."""
    made = by_name(audited(task, EPISODES, None, None))
    assert made["seed_search"] == (1.0, "bought")
    assert {name for name, (_, verdict) in made.items() if verdict == "bought"} == {"seed_search"}


@contextmanager
def server(task: Task, books: Books | None = None) -> Iterator[str]:
    """An OpenEnv server of a task."""
    limits = ServeLimits(calls_per_second=1000.0)
    with listening(make_server(limits, task.name, books=books).app, limits) as address:
        yield f"http://{address}"


@pytest.mark.parametrize(("task", "episodes"), [(TASK, 24), (CLEAN, 6)], ids=["world", "clean"])
def test_a_server_that_lets_clients_choose_is_found_out(task: Task, episodes: int) -> None:
    """Where a client chooses the seeds it plays one twice, leaves what looks hard, and finds public seeds."""
    with server(task) as url:
        made = by_name(audited(task, episodes, url, None))
    assert {name for name, (_, verdict) in made.items() if verdict == "bought"} == {"seed_search", "replay_after_grade"}


@in_both_worlds
def test_a_sealed_server_that_keeps_books_holds(tmp_path: Path, task: Task) -> None:
    """The same exploits buy nothing from a server with books and a seal."""
    seal, episodes = Seal("2e" * 32), 8
    terms = Terms.of("exploits", task, 1000, seal=seal)
    with Books.kept(tmp_path, terms, task.name, seal) as books, server(task, books) as url:
        made = audited(task, episodes, url, None)
    assert not [finding for finding in made.findings if finding.verdict == "bought"]
    assert "copies" not in by_name(made)


def test_an_exploit_that_succeeds_is_bought() -> None:
    """The verdict follows from the score: an exploit that is told the truth by a leaking door is not held."""

    class Leaky(BooksDoor):
        """A door whose preview says what is right."""

        def call(self, tool: str, **arguments: Any) -> Mapping[str, Any]:
            told = dict(super().call(tool, **arguments))
            if tool != "preview_submission" or not told["ok"]:
                return told
            asked = CLEAN.config.episode_config(seed=CLEAN.held_out_seeds[0] + self.begun - 1)
            roots = {row.key for row in truth.generate_episode(asked).expected_rows}
            keys = [(row["date"], row["entity_type"], row["entity_name"]) for row in arguments["rows"]]
            return told | {"result": {"rows": [{"status": "right" if key in roots else "wrong"} for key in keys]}}

        begun = 0

        def begin(self, seed: int | None = None) -> bool:
            began = super().begin(seed)
            self.begun += began
            return began

    truth = MetricDataGenerator(CLEAN.config.generator, AUDIT_SEAL)

    known = Knowledge(CLEAN)
    with Leaky.opened(CLEAN, 6, AUDIT_SEAL) as door:
        finding = tried(EXPLOITS["preview_as_oracle"], door, known, NO_FLOOR)
    assert finding.verdict == "bought", finding
    assert finding.score > 0.3


def test_units_that_are_given_back_are_found() -> None:
    """A door that gives units back is bought from, whatever the score."""

    class Generous(BooksDoor):
        """A door that raises the budget."""

        def call(self, tool: str, **arguments: Any) -> Mapping[str, Any]:
            told = dict(super().call(tool, **arguments))
            if tool == "show_raw_data":
                told["budget_left"] = 99
            return told

    with Generous.opened(CLEAN, 2, AUDIT_SEAL) as door:
        finding = tried(EXPLOITS["budget_pump"], door, Knowledge(CLEAN), NO_FLOOR)
    assert (finding.verdict, "show_raw_data" in finding.told) == ("bought", True)


def test_an_exploit_is_registered_once() -> None:
    """A second exploit of a name is refused, as it would hide the first."""

    def nothing(door: Door, known: Knowledge) -> None:
        del door, known

    with pytest.raises(ValueError, match="'nothing' is registered twice"):
        exploit("again")(nothing)


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command shows a line an exploit, writes the findings, and ends with 1 if something was bought."""
    file = tmp_path / "audit.json"
    main(["audit", "--task", CLEAN.name, "--episodes", "3", "--output", str(file)])
    told = capsys.readouterr().out
    assert all(name in told for name in EXPLOITS)
    assert "no exploit bought a score" in told
    assert Audit.model_validate_json(file.read_text()).held
    with pytest.raises(SystemExit) as ended:
        main(["audit", "--task", CLEAN.name, "--episodes", "3", "--public", "--output", str(file)])
    assert ended.value.code == 1
    assert "bought by: seed_search" in capsys.readouterr().out
    assert not json.loads(file.read_text())["findings"][0].get("bought")
    with pytest.raises(SystemExit) as ended:
        main(["audit", "--episodes", "2", "--server", "http://127.0.0.1:9"])
    assert ended.value.code == 2
    assert "cannot be reached" in capsys.readouterr().err
