"""Agents and people play, are ranked and watched, and teach others; a history of your own becomes a world like it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel

from metric_tracker_env import Seal
from metric_tracker_env.config import Reward, View
from metric_tracker_env.schema import Difficulty, ScenarioFamily
from metric_tracker_env.tasks import HELD_OUT_SEEDS

from .audit.command import audit
from .board import command as board
from .command_line import check_whole, command, described, need, told_in_one_line
from .demonstrate.command import demonstrate
from .evaluation.evaluate import MAX_WORKERS, check_seeds, config_of, evaluate
from .evaluation.leaderboard import check_writable, leaderboard
from .evaluation.report import Comparison, console, detail_table, print_notes, score_table
from .film.command import film
from .own_data.command import fit, watch
from .page.command import page
from .players.player import PlayerError
from .players.registry import find_player, known_players
from .progress import progress_bar
from .replay import export_html
from .sealing import reveal, seal, told_seal
from .tasks import presets, task_of
from .terminal.command import play

COMPARED_TASKS = ("easy_mixed", "medium_mixed", "hard_mixed")
DEFAULT_EPISODES = 1000


def run(
    agent: str,
    task: str | None = None,
    config: Path | None = None,
    episodes: int = 200,
    first_seed: int | None = None,
    workers: int = 1,
    difficulty: Difficulty | None = None,
    scenario_family: ScenarioFamily | None = None,
    anomaly_count: int | tuple[int, int] | None = None,
    view: View | None = None,
    reward: Reward | None = None,
    budget: int | None = None,
    step_limit: int | None = None,
    output: Path | None = None,
    seal: Path | None = None,
) -> None:
    """Play one agent, saved model or language model and print how well it does.

    Args:
        agent: Name of an agent, or the folder of a saved model or of a run with a language model.
        task: Named task, or a preset's path; without it, and without a config, the defaults.
        config: Preset to load, a .toml or .json file.
        episodes: Episodes to play.
        first_seed: Seed of the first episode, by default the task's first held-out one; each further one adds 1.
        workers: Processes.
        difficulty: Instead of the configuration's.
        scenario_family: Instead of the configuration's.
        anomaly_count: A number, or the fewest and the most; instead of the configuration's.
        view: Instead of the configuration's, or of the model's.
        reward: Instead of the configuration's.
        budget: Instead of the configuration's.
        step_limit: Instead of the configuration's.
        output: JSON file to write the evaluation to.
        seal: Play sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    player = find_player(agent)
    check_whole("episodes", episodes, 1, 10_000_000)
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
    found = None if task is None else task_of(task)
    config_of(player, found, config, options)
    check_whole("workers", workers, 1, MAX_WORKERS)
    first = (HELD_OUT_SEEDS.start if found is None else found.held_out_seeds[0]) if first_seed is None else first_seed
    seeds = range(first, first + episodes)
    check_seeds((seeds[0], seeds[-1]))
    if output is not None:
        check_writable(output)
    sealed = Seal.of(seal)
    told_seal(sealed)
    with progress_bar(episodes) as advance:
        advance.describe(player.name)
        evaluation = evaluate(player, seeds, found, config, options, workers, progress=advance, seal=sealed)
    lines = Comparison.of([evaluation]).summary
    console().print(score_table(lines, f"{player.name}: mean of {episodes:,} episodes, seeds from {first}"))
    console().print(detail_table(lines, "recall and precision"))
    print_notes(evaluation)
    if output is not None:
        evaluation.to_json(output)
        console().print(f"wrote {output}")


def compare(
    episodes: int = DEFAULT_EPISODES,
    agents: tuple[str, ...] = (),
    tasks: tuple[str, ...] = COMPARED_TASKS,
    workers: int = 2,
    output: Path = Path("results"),
    play_missing: bool = False,
    seal: Path | None = None,
) -> None:
    """Play agents and saved models on held-out seeds; print the leaderboard, write JSON and charts.

    Args:
        episodes: Episodes of each agent and task.
        agents: Names of agents, and folders of saved models and of runs with language models; none means all agents.
        tasks: Named tasks, and paths of presets.
        workers: Processes.
        output: Folder for compare.json, compare.png and recall.png.
        play_missing: Let language models play the episodes that their folders do not hold, which may cost money.
        seal: Play sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    sealed = Seal.of(seal)
    told_seal(sealed)
    names = known_players()
    named = tuple(name for name in agents if name in names)
    folders = tuple(name for name in agents if name not in names)
    leaderboard(folders, tasks, episodes, output, named if agents else None, workers, "compare", play_missing, sealed)


def export_model(run: Path, output: Path, name: str | None = None, half: bool = True) -> None:
    """Write what plays of a model of stable-baselines3 as plain arrays, which NumPy alone plays.

    Args:
        run: Folder of the model.
        output: Folder to write.
        name: Shown on the leaderboard; by default the model's.
        half: Write numbers in half precision, which halves the file.
    """
    need({"torch": "sb3", "stable_baselines3": "sb3", "sb3_contrib": "sb3"})
    from .training.export import export_model as export

    card = export(run, output, name, half)
    size = sum(path.stat().st_size for path in output.iterdir()) / 1000
    console().print(f"wrote {output}: {card.name}, {size:,.0f} kB", markup=False, soft_wrap=True)


def with_positional(function: Callable[..., None], *names: str) -> Callable[..., None]:
    """A command whose arguments of these names are given by their place; the fields of a model are options each."""
    import tyro

    hints = get_type_hints(function)

    @functools.wraps(function)
    def placed(**given: Any) -> None:
        function(**given)

    def flat(hint: Any) -> Any:
        model = isinstance(hint, type) and issubclass(hint, BaseModel)
        return Annotated[hint, tyro.conf.arg(name="")] if model else hint

    signature = inspect.signature(function)
    placed_hints = [hints[name] for name in signature.parameters]
    annotated = [
        parameter.replace(annotation=tyro.conf.Positional[hint] if name in names else flat(hint))
        for (name, parameter), hint in zip(signature.parameters.items(), placed_hints, strict=True)
    ]
    del placed.__wrapped__  # pyright: ignore[reportAttributeAccessIssue] - its signature would be read instead
    placed.__signature__ = signature.replace(parameters=annotated)  # pyright: ignore[reportAttributeAccessIssue]
    placed.__annotations__ = {parameter.name: parameter.annotation for parameter in annotated}
    return placed


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a bad value ends it with exit code 2 and one line that says why."""
    need(dict.fromkeys(("tyro", "rich", "matplotlib"), "agents"))
    import tyro

    commands = {
        "run": run,
        "compare": compare,
        "export-html": with_positional(export_html, "agent"),
        "film": with_positional(film, "agent"),
        "audit": audit,
        "play": play,
        "demonstrate": demonstrate,
        "page": with_positional(page, "runs"),
        "seal": with_positional(seal, "file"),
        "reveal": with_positional(reveal, "file"),
        "submit": with_positional(board.submit, "agent"),
        "verify": with_positional(board.verify, "file"),
        "leaderboard": with_positional(board.leaderboard, "files"),
        "export-model": with_positional(export_model, "run"),
        "fit": with_positional(fit, "source"),
        "watch": with_positional(watch, "folder", "source"),
    }
    description = f"{described(__doc__)} Presets are in {presets()}."
    with told_in_one_line():
        try:
            tyro.extras.subcommand_cli_from_dict(commands, prog=command(), description=description, args=arguments)
        except (ImportError, PlayerError) as error:  # the library of a saved model is missing, or an endpoint is
            raise SystemExit(f"error: {error}") from None
