"""Submissions as files: what is in them, that the same play gives the same bytes, and which are refused unread."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from helpers_board import contents, made, rewritten
from helpers_models import saved

from agents import AgentPlayer, Evaluation, evaluate
from agents.archive import write_archive
from agents.board.manifest import MANIFEST, Manifest, Part, open_submission
from agents.board.submit import planned, submit
from agents.board.verify import claimed, verify
from agents.evaluation.evaluate import worker_pool
from agents.players.outcome import Played
from agents.players.player import Assignment
from agents.players.scripts.simple import Nothing
from agents.tasks import held_out_seeds, presets
from metric_tracker_env import ENV_ID, Seal, Task, __version__, get_task

SEAL = Seal("5a" * 32)


def test_a_submission_holds_what_was_played(tmp_path: Path) -> None:
    """Results are those of ``evaluate``, the actions as many as the steps, and the manifest names who and what."""
    file = tmp_path / "a.zip"
    done = made(file, "analyst", ("easy_mixed", "realistic_easy"), 6)
    with open_submission(file) as opened:
        manifest = opened.manifest
    assert (manifest.agent, manifest.kind, manifest.card, manifest.seal) == ("analyst", "script", None, None)
    assert (manifest.version, manifest.environment_id, opened.digest) == (__version__, ENV_ID, done.digest)
    assert [part.task for part in manifest.parts] == [get_task("easy_mixed"), get_task("realistic_easy")]
    held = contents(file)
    assert list(held) == [MANIFEST, *(f"{i:02d}/{name}" for i in (0, 1) for name in ("results.json", "actions.jsonl"))]
    for number, task in enumerate(("easy_mixed", "realistic_easy")):
        results = Evaluation.model_validate_json(held[f"{number:02d}/results.json"])
        assert results == evaluate("analyst", held_out_seeds(task, 6), task) == done.evaluations[number]
        lines = [json.loads(line) for line in held[f"{number:02d}/actions.jsonl"].splitlines()]
        assert tuple(line["seed"] for line in lines) == results.episodes.seed
        assert tuple(len(line["actions"]) for line in lines) == results.episodes.steps
    assert claimed(file) == (manifest, done.evaluations)


def test_the_same_play_gives_the_same_bytes(tmp_path: Path) -> None:
    """Neither the clock, nor the path, nor the number of processes is in the file."""
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    made(one, episodes=60)
    (tmp_path / "there").mkdir()
    with worker_pool(2) as pool:
        submit(planned(AgentPlayer("analyst", _analyst()), ("easy_mixed",), 60), two, pool)
    assert one.read_bytes() == two.read_bytes()


def _analyst() -> Any:
    from agents import get_agent

    return get_agent("analyst")


@pytest.mark.parametrize("masked", [True, False])
def test_models_are_submitted_in_their_own_view(masked: bool, tmp_path: Path) -> None:
    """A saved model's actions, illegal ones too, are those of its view, and its card is in the file."""
    from helpers_models import BOARD

    folder, file = saved(tmp_path / "net", BOARD, masked), tmp_path / "a.zip"
    made(file, folder, ("hard_mixed",), 5, name="mine")
    with open_submission(file) as opened:
        manifest = opened.manifest
    assert (manifest.agent, manifest.kind, manifest.parts[0].view) == ("mine", "model", "board")
    assert manifest.card is not None
    assert manifest.card["name"] == "net"
    assert verify(file).right
    assert (max(claimed(file)[1][0].episodes.illegal) > 0) != masked


def test_a_preset_of_ones_own_is_in_the_file(tmp_path: Path) -> None:
    """A task that is not registered is told in full, so that anybody can play it again."""
    file = tmp_path / "a.zip"
    made(file, "threshold", (presets() / "ecommerce.toml",), 3)
    verdict = verify(file)
    assert verdict.right
    assert verdict.manifest.parts[0].task.name == "ecommerce"
    assert verdict.manifest.parts[0].task.config.generator.catalogue.num_entities == 24


class Silent(AgentPlayer):
    """A player that does not tell what it did."""

    def play(self, asked: Assignment, pool: Any = None, progress: Any = None) -> Played:
        """Play, and forget the actions."""
        return super().play(asked, pool, progress)._replace(actions=())


def test_what_cannot_be_submitted_is_refused_before_it_is_played(tmp_path: Path) -> None:
    """No task, one twice, too many episodes, a name that is none, a player that tells no actions."""
    player = AgentPlayer("nothing", Nothing)
    for tasks, episodes, name, message in (
        ((), 5, None, "tasks is empty"),
        (("easy_mixed", "easy_mixed"), 5, None, "names a task twice"),
        (("easy_mixed",), 0, None, "episodes 0 is not an integer from 1"),
        (("easy_mixed",), 100_001, None, "episodes 100001 is not an integer from 1 to 100000"),
        (("nowhere",), 5, None, "task 'nowhere' is not one of"),
        (("easy_mixed",), 5, "a\x1b[31m", "is not a name of 1 to 100 printable"),
        (("easy_mixed",), 5, "[red]", "is not a name of 1 to 100 printable"),
        (("easy_mixed",), 5, "x" * 101, "is not a name of 1 to 100 printable"),
    ):
        with pytest.raises(ValueError, match=message):
            planned(player, tasks, episodes, name)
    with pytest.raises(ValueError, match="agent 'silent' does not tell its actions"):
        submit(planned(Silent("silent", Nothing), ("easy_mixed",), 2), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_sealed_submissions_name_the_hash_and_not_the_secret(tmp_path: Path) -> None:
    """The hash of the seal is in the manifest and the results; the secret is in no entry."""
    file = tmp_path / "a.zip"
    made(file, seal=SEAL)
    manifest, (results,) = claimed(file)
    assert manifest.seal == results.seal == SEAL.hash
    assert all(SEAL.secret.encode() not in data for data in contents(file).values())
    assert verify(file, SEAL).right
    for seal, message in ((None, "none was given"), (Seal("00" * 32), "the hash of the one given is")):
        with pytest.raises(ValueError, match=f"sealed, with hash {SEAL.hash}; {message}"):
            verify(file, seal)
    made(file)
    with pytest.raises(ValueError, match="public, and no seal is to be given"):
        verify(file, SEAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"environment_id": "Other-v0"}, "it is of environment 'Other-v0'; this is 'MetricTracker-v0'"),
        ({"wings": 2}, "wings: Extra inputs"),
        ({"parts": []}, "parts: "),
        ({"agent": "a\u001b]0;x"}, "agent: "),
        ({"agent": "[bold]x"}, "agent: "),
        ({"seal": "abc"}, "seal: "),
        ({"files": []}, r"files: \[\] must be \['00/results\.json', '00/actions\.jsonl'\]"),
    ],
)
def test_other_manifests_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Another format, environment or field is told in one line."""
    file = tmp_path / "a.zip"
    made(file, episodes=1)
    held = contents(file)
    held[MANIFEST] = json.dumps(json.loads(held[MANIFEST]) | change).encode()
    write_archive(file, held)
    with pytest.raises(ValueError, match=message) as told:
        verify(file)
    assert str(told.value).startswith(f"submission {str(file)!r}: ")
    assert "\n" not in str(told.value)
    assert "\x1b" not in str(told.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """What is no zip, has no manifest, an entry too many or one too few, or a bomb in it, is told in one line."""
    file = tmp_path / "a.zip"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="it is no zip file"):
        verify(file)
    with pytest.raises(ValueError, match="No such file"):
        verify(tmp_path / "none.zip")
    made(file, episodes=1)
    held = contents(file)
    for entries, message in (
        ({name: data for name, data in held.items() if name != MANIFEST}, f"it holds no '{MANIFEST}'"),
        (held | {"more": b""}, r"entries \['more'\] are in the file or in its manifest"),
        (held | {"../../more": b""}, "leads elsewhere"),
        ({name: held[name] for name in list(held)[:2]}, r"entries \['00/actions\.jsonl'\]"),
        (held | {MANIFEST: b"[" * 100_000}, "Invalid JSON"),
    ):
        write_archive(file, entries)
        with pytest.raises(ValueError, match=message):
            verify(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(MANIFEST, "w") as opened:
        for _ in range(1025):
            opened.write(bytes(1 << 20))
    assert file.stat().st_size < 2_000_000
    with pytest.raises(ValueError, match="bytes unpacked; at most 1,073,741,824"):
        verify(file)


def test_a_history_of_its_owners_is_not_submitted(tmp_path: Path) -> None:
    """A task that names a file outside of the submission is refused, in the making and in the reading."""
    replay = {"path": "/etc/hostname", "sha256": "0" * 64}
    own = {"entry_step": "visits", "steps": [{"name": "bought", "rate": 0.5, "day_noise": 0.02}], "hours": False}
    flat = {"noise": [0.02] * 3, "adjusted": True, "weekday_factors": [1.0] * 7, "trend_per_day": 0.0}
    task = {"name": "own", "config": {"generator": {**own, **flat, "replay": replay}}}
    with pytest.raises(ValueError, match="plays a history of its owner's"):
        Part(task=Task.model_validate(task), view="focus", episodes=1, evidence="actions")
    file = tmp_path / "a.zip"
    made(file, episodes=1)
    with pytest.raises(ValueError, match="plays a history of its owner's"):
        rewritten(file, lambda manifest: manifest["parts"][0].update(task=task))


def test_a_manifest_reads_back(tmp_path: Path) -> None:
    """The manifest as JSON is the manifest."""
    file = tmp_path / "a.zip"
    made(file, episodes=2)
    data = contents(file)[MANIFEST]
    assert Manifest.model_validate_json(data).model_dump_json(indent=1).encode() + b"\n" == data
