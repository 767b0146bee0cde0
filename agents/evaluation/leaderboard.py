"""The leaderboard: agents and saved models on held-out seeds of tasks, as tables, a file and charts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from agents.evaluation.charts import draw_recall, draw_scores
from agents.evaluation.evaluate import (
    MAX_WORKERS,
    Evaluation,
    check_count,
    evaluate,
    find_player,
    held_out_seeds,
    options_of,
    worker_pool,
)
from agents.evaluation.report import Comparison, console, detail_table, score_table
from agents.llm.episode import Transcript
from agents.llm.run import LlmRun, told_of_failed
from agents.players.models import LoadedModel, check_fits
from agents.players.scripts.script import AGENTS
from agents.progress import progress_bar
from metric_tracker_env.tasks import build_config


def leaderboard(
    models: Sequence[str | Path],
    task: str | Sequence[str],
    episodes: int,
    output: str | Path,
    agents: Sequence[str] | None = None,
    workers: int = 2,
    stem: str = "leaderboard",
    play_missing: bool = False,
) -> Comparison:
    """Play saved models and agents on the first held-out seeds of tasks; print tables, write a file and two charts.

    Args:
        models: Folders of saved models, each of which plays in the view that it was trained on, and of runs with
            language models.
        task: A named task, or several.
        episodes: Episodes of each agent and task.
        output: Folder, made if it is missing, for ``<stem>.json``, ``<stem>.png`` and ``recall.png``.
        agents: Names of registered agents; None means all.
        workers: Processes that play the registered agents.
        stem: What to call the files.
        play_missing: Whether language models play the episodes that their folders do not hold, which may cost money.

    Raises:
        ValueError: before anything is played, for an unknown agent or task, two agents of one name, nobody to play, a
            bad number, an output that cannot be written, a model that is damaged or does not fit a task, or a language
            model that has not played all episodes.
        EndpointError: if the endpoint of a language model cannot be used.
    """
    tasks = (task,) if isinstance(task, str) else tuple(task)
    scripts = tuple(AGENTS) if agents is None else tuple(agents)
    if not tasks:
        raise ValueError("tasks is empty; name at least one task")
    if not (models or scripts):
        raise ValueError("agents is empty; name at least one agent or model")
    if len(set(tasks)) != len(tasks):
        raise ValueError(f"tasks {list(tasks)} names something twice; each once")
    check_count("workers", workers, MAX_WORKERS)
    seeds = {name: held_out_seeds(name, episodes) for name in tasks}
    players = _players([*models, *scripts], tasks)
    runs = [player for player in players.values() if isinstance(player, LlmRun)]
    if not play_missing:
        for run in runs:
            _check_played(run, seeds)
    folder = Path(output)
    check_writable(folder / f"{stem}.json")

    start = time.perf_counter()
    evaluations: list[Evaluation] = []
    with (
        worker_pool(workers) if workers > 1 else nullcontext() as pool,
        progress_bar(len(players) * len(tasks) * episodes) as advance,
    ):
        for name, player in players.items():
            for each in tasks:
                advance.describe(f"{name}, {each}")
                evaluations.append(evaluate(player, seeds[each], each, pool=pool, progress=advance))
    comparison = Comparison.of(evaluations)
    show(comparison)
    for run in runs:
        failed = sum(item.error is not None for item in _transcripts(run, seeds))
        if failed:
            console().print(f"{run.card.name}: {told_of_failed(failed)}", soft_wrap=True)
    files = [folder / name for name in (f"{stem}.json", f"{stem}.png", "recall.png")]
    comparison.to_json(files[0])
    draw_scores(comparison, files[1])
    draw_recall(comparison, files[2])
    seconds = time.perf_counter() - start
    console().print(f"wrote {', '.join(map(str, files))} in {seconds:.0f} s")
    return comparison


def show(comparison: Comparison) -> None:
    """Print the table of each task, then the details of each task for some agents."""
    screen = console()
    for task, lines in comparison.tasks.items():
        screen.print(score_table(lines, f"{task}: mean of {lines[0].episodes:,} held-out episodes, 95 % intervals"), "")
    names = comparison.chosen()
    for task, lines in comparison.tasks.items():
        some = [line for name in names for line in lines if line.agent == name]
        which = "" if len(some) == len(lines) else f" of {len(some)} of {len(lines)} agents"
        screen.print(detail_table(some, f"{task}: recall and precision{which}"), "")


def _transcripts(run: LlmRun, seeds: Mapping[str, range]) -> list[Transcript]:
    """What a language model has played of the seeds of tasks."""
    return [item for task, of_task in seeds.items() for item in run.transcripts(of_task, build_config(task), task)]


def _check_played(run: LlmRun, seeds: Mapping[str, range]) -> None:
    """Refuse a language model that would have to play.

    Raises:
        ValueError: with how many episodes its folder holds.
    """
    asked, held = sum(map(len, seeds.values())), len(_transcripts(run, seeds))
    if held < asked:
        raise ValueError(
            f"agent {str(run.folder)!r} holds {held:,} of the {asked:,} episodes of {list(seeds)}; give the tasks and "
            "the number of episodes that it has played, or --play-missing to let it play the others"
        )


def check_writable(file: Path) -> None:
    """Make the folder of a file and refuse one that cannot be written.

    Raises:
        ValueError: naming the file and why.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise ValueError(f"output {str(file)!r} cannot be written: {error.strerror}") from error


def _players(given: Sequence[str | Path], tasks: Sequence[str]) -> dict[str, LoadedModel | LlmRun | str]:
    """Who plays, by name; models are loaded and fit every task.

    Raises:
        ValueError: see ``leaderboard``.
    """
    players: dict[str, LoadedModel | LlmRun | str] = {}
    for item in given:
        found = find_player(item)
        if isinstance(found, LoadedModel):
            name = found.card.name
            for task in tasks:
                try:
                    check_fits(found.card, build_config(task, options=options_of(found.card)))
                except ValueError as error:
                    raise ValueError(f"task {task!r}: {error}") from error
        else:
            name = found.card.name if isinstance(found, LlmRun) else str(item)
        if name in players:
            raise ValueError(f"agents: two are named {name!r}; name each once, and models apart in their model.json")
        players[name] = found if isinstance(found, LoadedModel | LlmRun) else name
    return players
