"""The leaderboard: players on held-out seeds of tasks, as tables, a file and charts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from metric_tracker_env import Seal
from metric_tracker_env.tasks import Task

from ..command_line import check_whole
from ..players.player import Assignment, Player
from ..players.registry import find_player, known_players
from ..progress import progress_bar
from ..tasks import AnyTask, held_out_seeds, task_of
from .charts import draw_recall, draw_scores
from .evaluate import MAX_WORKERS, Evaluation, config_of, evaluate, worker_pool
from .report import Comparison, console, detail_table, pair_table, print_notes, quiet_table, rates_table, score_table


def leaderboard(
    models: Sequence[str | Path],
    task: AnyTask | Sequence[AnyTask],
    episodes: int,
    output: str | Path,
    agents: Sequence[str] | None = None,
    workers: int = 2,
    stem: str = "leaderboard",
    play_missing: bool = False,
    seal: Seal | None = None,
) -> Comparison:
    """Play saved models and agents on the first held-out seeds of tasks; print tables, write a file and two charts.

    Args:
        models: Folders of players: of saved models, each of which plays in the view that it was trained on, and of runs
            with language models.
        task: A task, its name, or the path of a preset; or several.
        episodes: Episodes of each player and task.
        output: Folder, made if it is missing, for ``<stem>.json``, ``<stem>.png`` and ``recall.png``.
        agents: Names of registered players; None means all.
        workers: Processes that scripts are spread over.
        stem: What to call the files.
        play_missing: Whether players play episodes that cost money, as those that the folder of a language model does
            not hold.
        seal: Of the episodes; None for public ones.

    Raises:
        ValueError: before anything is played, for an unknown player or task, two of one name, nobody to play, a bad
            number, an output that cannot be written, a player that is damaged or does not fit a task, or one that
            would have to be paid for.
        EndpointError: if the endpoint of a language model cannot be used.
    """
    tasks = _tasks((task,) if isinstance(task, (str, Path, Task)) else task)
    check_whole("workers", workers, 1, MAX_WORKERS)
    seeds = {name: held_out_seeds(each, episodes) for name, each in tasks.items()}
    players = _players([*models, *(known_players() if agents is None else agents)], tasks, seeds, play_missing, seal)
    folder = Path(output)
    check_writable(folder / f"{stem}.json")

    start = time.perf_counter()
    evaluations: list[Evaluation] = []
    with (
        worker_pool(workers) if workers > 1 else nullcontext() as pool,
        progress_bar(len(players) * len(tasks) * episodes) as advance,
    ):
        for name, player in players.items():
            for title, each in tasks.items():
                advance.describe(f"{name}, {title}")
                evaluations.append(evaluate(player, seeds[title], each, pool=pool, progress=advance, seal=seal))
    comparison = Comparison.of(evaluations)
    show(comparison)
    files = [folder / name for name in (f"{stem}.json", f"{stem}.png", "recall.png")]
    comparison.to_json(files[0])
    draw_scores(comparison, files[1])
    draw_recall(comparison, files[2])
    seconds = time.perf_counter() - start
    console().print(f"wrote {', '.join(map(str, files))} in {seconds:.0f} s")
    return comparison


def show(comparison: Comparison) -> None:
    """Print the table of each task, the details of each task for some agents, and what is to be told besides."""
    screen = console()
    for task, lines in comparison.tasks.items():
        screen.print(score_table(lines, f"{task}: mean of {lines[0].held_out}, 95 % intervals"), "")
        if any(line.quiet is not None for line in lines):
            screen.print(quiet_table(lines, f"{task}: episodes in which nothing happened"), "")
        screen.print(rates_table(lines, f"{task}: whole answers, evidence and waste"), "")
    names = comparison.chosen()
    for task, lines in comparison.tasks.items():
        some = [line for name in names for line in lines if line.agent == name]
        which = "" if len(some) == len(lines) else f" of {len(some)} of {len(lines)} agents"
        screen.print(detail_table(some, f"{task}: recall and precision{which}"), "")
        pairs = [pair for pair in comparison.pairs if pair.title == task and pair.agent in names]
        if pairs:
            title = f"{task}: F1 by family, less that of {pairs[0].other} on the same episodes; * is no chance"
            screen.print(pair_table(pairs, title), "")
    for evaluation in comparison.evaluations:
        print_notes(evaluation)


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


def _tasks(given: Sequence[AnyTask]) -> dict[str, Task]:
    """The tasks by their names.

    Raises:
        ValueError: if there is none, an unknown one, or two of one name.
    """
    if not given:
        raise ValueError("tasks is empty; name at least one task")
    found = [task_of(each) for each in given]
    tasks = {task.name: task for task in found}
    if len(tasks) != len(found):
        raise ValueError(f"tasks {[task.name for task in found]} names something twice; each once")
    return tasks


def _players(
    given: Sequence[str | Path],
    tasks: Mapping[str, Task],
    seeds: Mapping[str, Sequence[int]],
    play_missing: bool,
    seal: Seal | None,
) -> dict[str, Player]:
    """Who plays, by name; all fit every task, and none has to be paid for unless that is allowed.

    Raises:
        ValueError: see ``leaderboard``.
    """
    if not given:
        raise ValueError("agents is empty; name at least one agent or model")
    players: dict[str, Player] = {}
    for item in given:
        player, unpaid = find_player(item), 0
        if player.name in players:
            raise ValueError(f"agents: two are named {player.name!r}; name each once, and models apart in their cards")
        players[player.name] = player
        for name, task in tasks.items():
            try:
                unpaid += player.unpaid(Assignment(seeds[name], config_of(player, task), task, seal))
            except ValueError as error:
                raise ValueError(f"task {name!r}: {error}") from error
        asked = sum(map(len, seeds.values()))
        if unpaid and not play_missing:
            raise ValueError(
                f"agent {str(item)!r} holds {asked - unpaid:,} of the {asked:,} episodes of {list(tasks)}; give the "
                "tasks and the number of episodes that it has played, or --play-missing to let it play the others"
            )
    return players
