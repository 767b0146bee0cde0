"""Verification: whatever was changed in a file after it was played is found and named; nothing can be made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers_board import contents, made, of_json, of_lines, rewritten

from agents import cli
from agents.archive import write_archive
from agents.board import verify as verifying
from agents.board.command import check_alike
from agents.board.verify import claimed, verify
from agents.evaluation.evaluate import worker_pool
from agents.players.scripts.words import converse, investigate
from metric_tracker_env import Seal, __version__, find_task
from metric_tracker_env.books import Books, Terms
from metric_tracker_env.session import ScoredSession

FIRST = 2_000_000_000
SEAL = Seal("3c" * 32)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A submission of eight episodes of the analyst."""
    file = tmp_path_factory.mktemp("origin") / "a.zip"
    made(file, episodes=8)
    return file.read_bytes()


@pytest.fixture
def file(origin: bytes, tmp_path: Path) -> Path:
    """A copy of it."""
    path = tmp_path / "a.zip"
    path.write_bytes(origin)
    return path


def faults_of(file: Path, seal: Seal | None = None) -> list[str]:
    """What verification finds."""
    return [fault for each in verify(file, seal).checked for fault in each.faults]


def test_what_was_played_is_verified(file: Path) -> None:
    """An honest file has no fault, and comes of playing again as it was, in one process and in two."""
    verdict = verify(file)
    assert verdict.right
    assert verdict.other_version is None
    assert [each.found for each in verdict.checked] == list(claimed(file)[1])
    with worker_pool(2) as pool:
        assert verify(file, pool=pool) == verdict


def shift_score(held: dict[str, Any]) -> None:
    held["episodes"]["score"][2] = 0.125


def drop_row(held: dict[str, Any]) -> None:
    for column in held["rows"].values():
        del column[4]


def missed_to_matched(held: dict[str, Any]) -> None:
    held["rows"]["entity"][0] = (held["rows"]["entity"][0] + 1) % 20


def absurd_row(held: dict[str, Any]) -> None:
    for name, value in {"episode": 99, "day": 1000, "entity": -1, "family": 99, "fate": 9}.items():
        held["rows"][name].append(value)


def drop_episode(held: dict[str, Any]) -> None:
    for column in held["episodes"].values():
        del column[3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shift_score, rf"^seed {FIRST + 2}: score is 0\.125 in the file and .* when played again$"),
        (lambda held: held["episodes"]["cost"].__setitem__(5, 0), rf"^seed {FIRST + 5}: cost is 0 in the file and"),
        (drop_row, r"^seed 20000000\d\d: row \(2026-.*, matched\) comes of playing again and is not in the file$"),
        (missed_to_matched, r"^seed 2000000000: row \(2026-.* is in the file and does not come of playing again$"),
        (absurd_row, r"^episode 99, which there is not: row \(1000, -1, 99, 9\) is in the file"),
        (lambda held: held["episodes"]["seed"].__setitem__(1, 7), r"1 of 8 episodes are missing; the first has seed"),
        (drop_episode, rf"^results: 1 of 8 episodes are missing; the first has seed {FIRST + 3}$"),
        (lambda held: held["config"].update(budget=99), "^results: the configuration .* budget differ"),
        (lambda held: held.update(agent="better"), "^results: agent is not that of the manifest"),
        (lambda held: held.update(task="hard_mixed"), "^results: task is not that of the manifest"),
        (lambda held: held.update(seal="0" * 64), "^results: seal is not that of the manifest"),
        (lambda held: held.update(card={"name": "x"}), "^results: card is not that of the manifest"),
        (lambda held: held.update(notes=["all is well"]), "^results: the notes are not those"),
        (lambda held: held["tools"].update(submit=7), "^calls of 'submit': 7 in the file, 8 when played again"),
        (lambda held: held["episodes"].update(score=[float("nan")] * 8), "score is nan in the file"),
        (lambda held: held.pop("episodes"), "^results: episodes: Field required"),
    ],
)
def test_changed_results_are_found_and_named(change: Any, message: str, file: Path) -> None:
    """A changed score, cost, row, seed, configuration or name is told, though all hashes are right."""
    rewritten(file, results=of_json(change))
    found = faults_of(file)
    assert any(re.search(message, fault) for fault in found), found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines.pop(3), rf"^1 of 8 episodes are missing; the first has seed {FIRST + 3}$"),
        (lambda lines: lines[1].update(seed=7), rf"^1 of 8 episodes are missing; the first has seed {FIRST + 1}$"),
        (lambda lines: lines.append(lines[0]), "^there are 9 episodes of 8"),
        (lambda lines: lines.reverse(), rf"^episode 0 has seed {FIRST + 7}, where {FIRST} is due$"),
        (lambda lines: lines[2]["actions"].pop(), rf"^seed {FIRST + 2}: its \d+ actions do not end the episode$"),
        (lambda lines: lines[2]["actions"].append(0), rf"^seed {FIRST + 2}: the episode ends after \d+ of \d+ actions"),
        (lambda lines: lines[2]["actions"].insert(0, 10**6), rf"^seed {FIRST + 2}: action 1000000 is not one of 0 to"),
        (lambda lines: lines[2]["actions"].insert(0, -1), rf"^seed {FIRST + 2}: action -1 is not one of"),
        (lambda lines: lines[2]["actions"].insert(0, "x"), "^line 3 of the evidence: actions.0: "),
        (lambda lines: lines[4]["actions"].__setitem__(0, 3), rf"^seed {FIRST + 4}: "),
    ],
)
def test_changed_actions_are_found_and_named(change: Any, message: str, file: Path) -> None:
    """Episodes and actions that are missing, too many, in another order, or others, are told."""
    rewritten(file, actions=of_lines(change))
    found = faults_of(file)
    assert any(re.search(message, fault) for fault in found), found


def test_a_score_cannot_be_made_up_by_whoever_writes_the_hashes(file: Path) -> None:
    """With every score at 1, rows to match and fitting hashes, each episode that was not so is still told."""
    made(file, "threshold", ("hard_mixed",), 10)
    before = claimed(file)[1][0]

    def perfect(held: dict[str, Any]) -> None:
        for name in ("score", "f1", "precision", "recall"):
            held["episodes"][name] = [1.0] * 10
        held["rows"]["fate"] = [1] * len(held["rows"]["fate"])

    rewritten(file, results=of_json(perfect))
    assert claimed(file)[1][0].mean("score") == 1.0
    found = faults_of(file)
    wrong = [FIRST + i for i, score in enumerate(before.episodes.score) if score < 1.0]
    assert wrong
    assert all(any(fault.startswith(f"seed {seed}: score is 1 in the file") for fault in found) for seed in wrong)


def test_a_changed_entry_without_its_hash_is_told_too(file: Path) -> None:
    """Somebody who changes results alone is told by the hash, and by what differs."""
    held = contents(file)
    name = "00/results.json"
    results = json.loads(held[name])
    shift_score(results)
    write_archive(file, held | {name: json.dumps(results).encode()})
    found = faults_of(file)
    assert f"entry {name!r} is not the one that the manifest has the hash of" in found
    assert any(fault.startswith(f"seed {FIRST + 2}: score is 0.125") for fault in found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda told: told["parts"][0]["task"]["config"].update(budget=99),
            r"task 'easy_mixed' of the file is not the task of that name: config\.budget differs",
        ),
        (
            lambda told: told["parts"][0]["task"].update(held_out_seeds=[FIRST + 5, FIRST + 50]),
            "task of that name: held_out_seeds differs",
        ),
        (lambda told: told["parts"][0].update(view="board"), rf"^seed {FIRST}"),
        (lambda told: told["parts"][0].update(episodes=7), "there are 8 episodes of 7"),
        (
            lambda told: told["parts"][0].update(episodes=9),
            "1 of 9 episodes are missing; the first",
        ),
        (lambda told: told.update(agent="better"), "results: agent is not that of the manifest"),
    ],
)
def test_a_changed_manifest_is_found(change: Any, message: str, file: Path) -> None:
    """Another budget, seeds, view, or number of episodes than was played is told."""
    rewritten(file, change)
    found = faults_of(file)
    assert any(re.search(message, fault) for fault in found), found


def test_another_seal_is_found(tmp_path: Path) -> None:
    """Actions of public episodes do not pass as those of sealed ones."""
    file = tmp_path / "a.zip"
    made(file)
    rewritten(file, lambda told: told.update(seal=SEAL.hash), results=of_json(lambda held: held.update(seal=SEAL.hash)))
    found = faults_of(file, SEAL)
    assert any(fault.startswith("seed 2000000000: ") for fault in found)


def test_a_file_of_another_version_is_told_so(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is played again all the same, since an id promises the same episodes; if they differ, that may be why."""
    rewritten(file, lambda told: told.update(version="0.0.9"))
    cli.main(["verify", str(file), "--workers", "1"])
    told = capsys.readouterr().out
    assert f"the file was made by version 0.0.9 of the package; this is {__version__}\n" in told
    assert "verified: " in told
    rewritten(file, results=of_json(shift_score))
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", str(file), "--workers", "1"])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert f"the file was made by version 0.0.9 of the package; this is {__version__}, which may be why\n" in told
    assert "NOT VERIFIED" in told
    monkeypatch.setattr(verifying.metric_tracker_env, "__version__", "0.0.9")
    assert verify(file).other_version is None


def test_the_commands_submit_verify_and_rank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From ``submit`` to the table: who is best, paired tests by family, files and charts of each task."""
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    common = ["--episodes", "12", "--workers", "1"]
    cli.main(["submit", "analyst", "--tasks", "easy_mixed", "medium_mixed", "--output", str(one), *common])
    assert "easy_mixed: mean of 12 held-out episodes" in capsys.readouterr().out
    cli.main(["submit", "threshold", "--tasks", "easy_mixed", "--name", "other", "--output", str(two), *common])
    capsys.readouterr()
    cli.main(["verify", str(one), "--workers", "2"])
    told = capsys.readouterr().out
    assert "easy_mixed: 12 episodes played again from their actions: score" in told
    assert told.count("as the file says") == 2
    cli.main(["leaderboard", str(one), str(two), "--output", str(tmp_path / "out"), "--workers", "1"])
    told = capsys.readouterr().out
    assert told.index("analyst") < told.index("other")
    assert "less that of analyst" in told.replace("\n", " ").replace("  ", " ")
    assert "2 of 2 files were played again and are as they say" in told
    held = json.loads((tmp_path / "out" / "board.json").read_text())
    assert {(line["agent"], line["task"]) for line in held["summary"]} == {
        ("analyst", "easy_mixed"), ("analyst", "medium_mixed"), ("other", "easy_mixed"),
    }  # fmt: skip
    assert {pair["agent"] for pair in held["pairs"]} == {"other"}
    charts = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert charts == {f"{kind}_{task}.png" for kind in ("board", "recall") for task in ("easy_mixed", "medium_mixed")}


def test_the_leaderboard_takes_no_file_that_is_not_verified(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed file ends it; believed files are told to be just that."""
    rewritten(file, results=of_json(shift_score))
    with pytest.raises(SystemExit) as ended:
        cli.main(["leaderboard", str(file), "--output", str(tmp_path / "out"), "--workers", "1"])
    assert ended.value.code == 2
    assert "is not verified: seed 2000000002: score is 0.125" in capsys.readouterr().err
    cli.main(["leaderboard", str(file), "--output", str(tmp_path / "out"), "--unverified"])
    told = capsys.readouterr().out
    assert "not verified: these are the figures that the file claims" in told
    assert "played again" not in told


def test_what_is_no_comparison_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two of one name, other numbers of episodes, public and sealed ones, and no file at all."""
    files = {name: tmp_path / f"{name}.zip" for name in ("one", "fewer", "sealed", "same")}
    made(files["one"])
    made(files["same"])
    made(files["fewer"], "threshold", episodes=7)
    made(files["sealed"], "threshold", seal=SEAL)
    (tmp_path / "seal").write_text(SEAL.secret)
    for names, more, message in (
        (("one", "same"), (), "two submissions of task 'easy_mixed' are named 'analyst'"),
        (("one", "fewer"), (), "'threshold' has 7 episodes of task 'easy_mixed' and 'analyst' 8"),
        (("one", "sealed"), (), "its episodes are sealed"),
        (("one", "sealed"), ("--unverified",), "are not of the same episodes"),
    ):
        given = [str(files[name]) for name in names]
        with pytest.raises(SystemExit) as ended:
            cli.main(["leaderboard", *given, "--output", str(tmp_path / "out"), "--workers", "1", *more])
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
    sealed = ["--seal", str(tmp_path / "seal"), "--workers", "1"]
    cli.main(["leaderboard", str(files["sealed"]), "--output", str(tmp_path / "out"), *sealed])
    assert "8 sealed episodes" in capsys.readouterr().out
    (one,) = claimed(files["one"])[1]
    other = one.model_copy(update={"agent": "x", "config": one.config.model_copy(update={"budget": 99})})
    with pytest.raises(ValueError, match="of 'x' is not the one of 'analyst': budget differ"):
        check_alike([one, other])
    check_alike([one, one.model_copy(update={"agent": "x", "config": one.config.model_copy(update={"view": "board"})})])


def kept(folder: Path, episodes: int = 4, left: int = 1, seal: Seal | None = None) -> Path:
    """Books of the analyst in words, some episodes of which were left."""
    task = find_task("medium_mixed")
    books = Books(folder, Terms.of("someone", task, episodes, seal=seal), task.name, seal)
    session = ScoredSession(books)
    for _ in range(episodes - left):
        session.begin()
        converse(investigate(task.config.generator), lambda tool, arguments: session.call(tool, arguments).text)
    for _ in range(left):
        session.begin()
    session.leave()
    books.close()
    return folder


@pytest.mark.parametrize("seal", [None, SEAL])
def test_books_of_a_server_are_submitted_whole(seal: Seal | None, tmp_path: Path) -> None:
    """The books say what is submitted; every call is made again, and what was left scores 0 with a note."""
    file = tmp_path / "a.zip"
    done = made(file, kept(tmp_path / "books", seal=seal), (), None, seal=seal)
    assert done.evaluations[0].episodes.score[3] == 0.0
    verdict = verify(file, seal)
    assert verdict.right
    assert verdict.manifest.agent == "someone"
    assert verdict.checked[0].found is not None
    assert verdict.checked[0].found.notes == ("episodes that were left before their end, and score 0: 1",)


def test_changed_books_are_found(tmp_path: Path) -> None:
    """A grade, a call or an episode that was changed, or books of another task, are told."""
    file = tmp_path / "a.zip"
    made(file, kept(tmp_path / "books"), (), None)
    whole = file.read_bytes()

    def grade(lines: list[Any]) -> None:
        next(line for line in lines if line["event"] == "end")["grade"]["score"] = 0.1

    def call(lines: list[Any]) -> None:
        line = next(line for line in lines if line.get("tool") == "submit")
        line["arguments"]["rows"].pop()

    def drop(lines: list[Any]) -> None:
        lines[:] = [line for line in lines if line.get("episode") != 2]

    def task(lines: list[Any]) -> None:
        lines[0]["task"] = "hard_mixed"

    for change, message in (
        (grade, "episode 0 of the books .* ends otherwise"),
        (call, "episode 0 of the books .* ends otherwise"),
        (drop, "line .*: episode 3 begins where 2 of 4 have begun"),
        (task, "the books are of task 'hard_mixed'; 'medium_mixed' is due"),
    ):
        file.write_bytes(whole)
        rewritten(file, books=of_lines(change))
        found = faults_of(file)
        assert any(re.search(message, fault) for fault in found), found
    for tasks, message in ((("hard_mixed",), "are of task 'medium_mixed' alone"),):
        with pytest.raises(ValueError, match=message):
            made(file, tmp_path / "books", tasks, None)
