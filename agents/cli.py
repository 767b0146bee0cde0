"""The command line: ``run`` plays one agent with any configuration, ``compare`` plays all of them and draws a chart."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agents.base import AGENTS, get_agent
from agents.evaluate import (
    MAX_WORKERS,
    Evaluation,
    check_count,
    check_seeds,
    evaluate,
    held_out_seeds,
    worker_pool,
)
from agents.report import Comparison, draw_chart, table_of
from metric_tracker_env.config import Reward, View
from metric_tracker_env.schema import Difficulty, ScenarioFamily
from metric_tracker_env.tasks import HELD_OUT_SEEDS, build_config

if TYPE_CHECKING:
    from collections.abc import Callable

COMPARED_TASKS = ("easy_mixed", "medium_mixed", "hard_mixed")
DEFAULT_EPISODES = 1000


def run(
    agent: str,
    task: str | None = None,
    config: Path | None = None,
    episodes: int = 200,
    first_seed: int = HELD_OUT_SEEDS.start,
    workers: int = 1,
    difficulty: Difficulty | None = None,
    scenario_family: ScenarioFamily | None = None,
    anomaly_count: int | tuple[int, int] | None = None,
    view: View | None = None,
    reward: Reward | None = None,
    budget: int | None = None,
    step_limit: int | None = None,
    output: Path | None = None,
) -> None:
    """Play one agent and print how well it does.

    Args:
        agent: Name of the agent.
        task: Named task; without it, and without a config, the defaults.
        config: Preset to load, a .toml or .json file.
        episodes: Episodes to play.
        first_seed: Seed of the first episode; each further one adds 1.
        workers: Processes.
        difficulty: Instead of the configuration's.
        scenario_family: Instead of the configuration's.
        anomaly_count: A number, or the fewest and the most; instead of the configuration's.
        view: Instead of the configuration's.
        reward: Instead of the configuration's.
        budget: Instead of the configuration's.
        step_limit: Instead of the configuration's.
        output: JSON file to write the evaluation to.
    """
    from rich.console import Console

    get_agent(agent)
    check_count("episodes", episodes, 10_000_000)
    given = {
        "difficulty": difficulty,
        "scenario_family": scenario_family,
        "anomaly_count": anomaly_count,
        "view": view,
        "reward": reward,
        "budget": budget,
        "step_limit": step_limit,
    }
    options = {name: value for name, value in given.items() if value is not None}
    # A bad value is told before anything is drawn.
    build_config(task, config, options)
    check_count("workers", workers, MAX_WORKERS)
    check_seeds((first_seed, first_seed + episodes - 1))
    if output is not None:
        check_writable(output)
    with progress_bar(episodes) as advance:
        advance.describe(agent)
        seeds = range(first_seed, first_seed + episodes)
        evaluation = evaluate(agent, seeds, task, config, options, workers, progress=advance)
    Console().print(table_of([evaluation], title=f"{agent}, {episodes} episodes, seeds from {first_seed}"))
    if output is not None:
        evaluation.to_json(output)
        Console().print(f"wrote {output}", highlight=False)


def compare(
    episodes: int = DEFAULT_EPISODES,
    agents: tuple[str, ...] = (),
    tasks: tuple[str, ...] = COMPARED_TASKS,
    workers: int = 2,
    output: Path = Path("results"),
) -> None:
    """Play all scripted agents on the three difficulties, on held-out seeds; print a table, write JSON and a chart.

    Args:
        episodes: Episodes of each agent and task.
        agents: Names of agents; none means all.
        tasks: Named tasks.
        workers: Processes.
        output: Folder for compare.json and compare.png.
    """
    from rich.console import Console

    chosen = agents or tuple(AGENTS)
    for name in chosen:
        get_agent(name)
    seeds = {task: held_out_seeds(task, episodes) for task in tasks}
    if not seeds:
        raise ValueError("tasks is empty; name at least one task")
    for field, names in (("agents", chosen), ("tasks", tasks)):
        if len(set(names)) != len(names):
            raise ValueError(f"{field} {list(names)} names something twice; each once")
    check_count("workers", workers, MAX_WORKERS)
    check_writable(output / "compare.json")
    start = time.perf_counter()
    evaluations: list[Evaluation] = []
    with (
        worker_pool(workers) if workers > 1 else nullcontext() as pool,
        progress_bar(len(chosen) * len(tasks) * episodes) as advance,
    ):
        for name in chosen:
            for task in tasks:
                advance.describe(f"{name}, {task}")
                evaluations.append(evaluate(name, seeds[task], task, pool=pool, progress=advance))
    comparison = Comparison.of(evaluations)
    title = f"Mean score and 95 % confidence interval, {episodes} held-out episodes each"
    Console().print(table_of(evaluations, title))
    comparison.to_json(output / "compare.json")
    draw_chart(comparison, output / "compare.png")
    seconds = time.perf_counter() - start
    Console().print(f"wrote {output / 'compare.json'} and {output / 'compare.png'} in {seconds:.0f} s", highlight=False)


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


class _Advance:
    """Moves a progress bar on."""

    def __init__(self, move: Callable[[int], None], describe: Callable[[str], None]) -> None:
        self._move, self.describe = move, describe

    def __call__(self, episodes: int) -> None:
        self._move(episodes)


@contextmanager
def progress_bar(episodes: int) -> Iterator[_Advance]:
    """A bar over so many episodes, on stderr so that stdout holds only the results."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<26}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=episodes)
        yield _Advance(
            lambda number: progress.advance(bar, number), lambda text: progress.update(bar, description=text)
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a bad value ends it with exit code 2 and one line that says why."""
    for package in ("tyro", "rich", "matplotlib"):
        try:
            import_module(package)
        except ImportError:
            raise SystemExit(
                f"python -m agents needs {package}; install it, in a clone of the repository, with: "
                "pip install -e '.[agents]'"
            ) from None
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict(
            {"run": run, "compare": compare}, prog="python -m agents", description=__doc__, args=arguments
        )
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        print(f"error: {found}", file=sys.stderr)
        raise SystemExit(2) from None
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
