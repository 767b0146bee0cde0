"""The commands of the board: ``submit``, ``verify`` and ``leaderboard`` of ``python -m agents``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from metric_tracker_env import Seal

from ..command_line import check_whole, command
from ..evaluation.charts import draw_recall, draw_scores
from ..evaluation.evaluate import MAX_WORKERS, Evaluation, differing_fields, worker_pool
from ..evaluation.leaderboard import check_writable, show
from ..evaluation.paired import CONFIGURED
from ..evaluation.report import Comparison, console, score_table
from ..llm.card import slug
from ..players.registry import find_player
from ..progress import progress_bar
from ..sealing import told_seal
from .manifest import Manifest, open_submission
from .submit import planned
from .submit import submit as make
from .verify import Checked, claimed
from .verify import verify as check

BOARD_FILE = "board.json"
SHOWN = 10  # faults of a task
UNVERIFIED = "not verified: these are the figures that the file claims"


def submit(
    agent: str,
    output: Path,
    tasks: tuple[str, ...] = (),
    episodes: int | None = None,
    name: str | None = None,
    workers: int = 2,
    play_missing: bool = False,
    seal: Path | None = None,
) -> None:
    """Pack results, and what it takes to play them again, into one file that others can verify.

    Args:
        agent: Name of a script or of a model that comes with the package; or folder of a saved model, of a run with a
            language model, or of the books of a server.
        output: File to write.
        tasks: Named tasks, and paths of presets; the books of a server are of one.
        episodes: First held-out episodes of each task; by default 1,000, or those of the books.
        name: Shown on the board, instead of the player's.
        workers: Processes.
        play_missing: Let a language model play the episodes that its folder does not hold, which may cost money.
        seal: Play sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    sealed = Seal.of(seal)
    plan = planned(find_player(agent), tasks, episodes, name, play_missing, sealed)
    check_whole("workers", workers, 1, MAX_WORKERS)
    check_writable(output)
    told_seal(sealed)
    with _pool(workers) as pool, progress_bar(sum(part.episodes for part in plan.parts)) as advance:
        advance.describe(plan.name)
        made = make(plan, output, pool, advance)
    lines = Comparison.of(made.evaluations).tasks
    for task, of_task in lines.items():
        console().print(score_table(of_task, f"{task}: mean of {of_task[0].held_out}, 95 % intervals"))
    size = output.stat().st_size / 1000
    console().print(f"wrote {output}, {size:,.0f} kB, digest {made.digest}", markup=False, soft_wrap=True)
    console().print(f"{command()} verify {output} plays it again", markup=False, soft_wrap=True)


def verify(file: Path, workers: int = 2, seal: Path | None = None) -> None:
    """Play a submission again, grade it again, and say what is not as the file has it; exit code 1 if anything is not.

    Args:
        file: That ``submit`` wrote.
        workers: Processes.
        seal: Of sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    check_whole("workers", workers, 1, MAX_WORKERS)
    with open_submission(file) as opened:
        manifest = opened.manifest
    _print_head(file, manifest)
    with _pool(workers) as pool, progress_bar(sum(part.episodes for part in manifest.parts)) as advance:
        advance.describe(manifest.agent)
        verdict = check(file, Seal.of(seal), pool, advance)
    for each in verdict.checked:
        _print_checked(each)
    if verdict.other_version is not None:
        why = "" if verdict.right else ", which may be why"
        _say(f"{verdict.other_version}{why}")
    if not verdict.right:
        _say(f"NOT VERIFIED: {file} is not what comes of playing it again")
        raise SystemExit(1)
    _say(f"verified: {file}, digest {verdict.digest}")


def leaderboard(
    files: tuple[Path, ...],
    output: Path = Path("results"),
    workers: int = 2,
    unverified: bool = False,
    seal: Path | None = None,
) -> None:
    """Verify submissions, then print the leaderboard with paired tests by family; write JSON and charts.

    Args:
        files: That ``submit`` wrote.
        output: Folder for board.json, and board_TASK.png and recall_TASK.png of each task.
        workers: Processes.
        unverified: Believe the files instead of playing them again; the tables say so.
        seal: Of sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    if not files:
        raise ValueError("files is empty; name at least one submission")
    check_whole("workers", workers, 1, MAX_WORKERS)
    check_writable(output / BOARD_FILE)
    evaluations = _believed(files) if unverified else _verified(files, workers, Seal.of(seal))
    check_alike(evaluations)
    comparison = Comparison.of(evaluations)
    show(comparison)
    if not unverified:
        _say(f"{len(files)} of {len(files)} files were played again and are as they say")
    _say(f"wrote {', '.join(map(str, _write(comparison, output)))}")


def _write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the comparison, and two charts a task, since not everybody has played every task."""
    comparison.to_json(folder / BOARD_FILE)
    files = [folder / BOARD_FILE]
    for task in comparison.tasks:
        of_task = Comparison.of([item for item in comparison.evaluations if (item.task or CONFIGURED) == task])
        name = slug(task)  # of a file that anybody may have made
        files += [folder / f"board_{name}.png", folder / f"recall_{name}.png"]
        draw_scores(of_task, files[-2])
        draw_recall(of_task, files[-1])
    return files


def check_alike(evaluations: Sequence[Evaluation]) -> None:
    """Refuse evaluations that are no comparison.

    Raises:
        ValueError: if two of a task have one name, or are of other episodes or another configuration.
    """
    first: dict[str | None, Evaluation] = {}
    names: set[tuple[str | None, str]] = set()
    for item in evaluations:
        if (item.task, item.agent) in names:
            raise ValueError(f"two submissions of task {item.task!r} are named {item.agent!r}; each needs its own name")
        names.add((item.task, item.agent))
        other = first.setdefault(item.task, item)
        differing = differing_fields(item.config, other.config)
        if set(differing) - {"view", "reward"}:
            told = f"task {item.task!r} of {item.agent!r} is not the one of {other.agent!r}"
            raise ValueError(f"{told}: {', '.join(differing)} differ")
        if item.episodes.seed != other.episodes.seed:
            ours, theirs = len(item.episodes.seed), len(other.episodes.seed)
            told = f"{item.agent!r} has {ours:,} episodes of task {item.task!r} and {other.agent!r} {theirs:,}"
            raise ValueError(f"{told}; a comparison is of the same ones")


def _verified(files: Sequence[Path], workers: int, seal: Seal | None) -> list[Evaluation]:
    """What comes of playing files again.

    Raises:
        ValueError: if one is not as it says.
    """
    found: list[Evaluation] = []
    parts = [part for file in files for part in _manifest_of(file).parts]
    with _pool(workers) as pool, progress_bar(sum(part.episodes for part in parts)) as advance:
        for file in files:
            advance.describe(file.name)
            verdict = check(file, seal, pool, advance)
            for each in verdict.checked:
                if each.faults or each.found is None:
                    why = "" if verdict.other_version is None else f" ({verdict.other_version})"
                    told = f"submission {str(file)!r}, task {each.part.task.name!r}, is not verified: {each.faults[0]}"
                    raise ValueError(f"{told}{why}; {command()} verify says all")
                found.append(each.found)
    return found


def _believed(files: Sequence[Path]) -> list[Evaluation]:
    """What files say."""
    return [item.model_copy(update={"notes": (*item.notes, UNVERIFIED)}) for file in files for item in claimed(file)[1]]


def _manifest_of(file: Path) -> Manifest:
    with open_submission(file) as opened:
        return opened.manifest


def _print_head(file: Path, manifest: Manifest) -> None:
    """Print what a file says that it is."""
    episodes = "public episodes" if manifest.seal is None else f"sealed episodes, hash {manifest.seal}"
    tasks = ", ".join(f"{part.task.name} ({part.episodes:,})" for part in manifest.parts)
    _say(f"{file}: {manifest.agent} ({manifest.kind}), version {manifest.version}, {episodes}: {tasks}")


def _print_checked(checked: Checked) -> None:
    """Print what came of a task."""
    part, found, faults = checked
    for fault in faults[:SHOWN]:
        _say(f"{part.task.name}: {fault}")
    if len(faults) > SHOWN:
        _say(f"{part.task.name}: and {len(faults) - SHOWN:,} more")
    if found is not None:
        score = found.interval("score")
        told = f"{part.episodes:,} episodes played again from their {part.evidence}: score {score}"
        _say(f"{part.task.name}: {told}{'' if faults else ', as the file says'}")


def _pool(workers: int) -> AbstractContextManager[Executor | None]:
    return worker_pool(workers) if workers > 1 else nullcontext()


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)
