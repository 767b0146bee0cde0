"""The command line: ``run`` plays one agent with any configuration, ``compare`` is the leaderboard of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.command_line import need, told_in_one_line
from agents.evaluation.evaluate import MAX_WORKERS, check_count, check_seeds, evaluate, find_player, options_of
from agents.evaluation.leaderboard import check_writable, leaderboard
from agents.evaluation.report import Comparison, console, detail_table, score_table
from agents.llm.client import EndpointError
from agents.llm.run import LlmRun
from agents.players.models import LoadedModel, check_fits
from agents.players.scripts.script import AGENTS
from agents.progress import progress_bar
from metric_tracker_env.config import Reward, View
from metric_tracker_env.schema import Difficulty, ScenarioFamily
from metric_tracker_env.tasks import HELD_OUT_SEEDS, build_config

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
    """Play one agent, saved model or language model and print how well it does.

    Args:
        agent: Name of an agent, or the folder of a saved model or of a run with a language model.
        task: Named task; without it, and without a config, the defaults.
        config: Preset to load, a .toml or .json file.
        episodes: Episodes to play.
        first_seed: Seed of the first episode; each further one adds 1.
        workers: Processes.
        difficulty: Instead of the configuration's.
        scenario_family: Instead of the configuration's.
        anomaly_count: A number, or the fewest and the most; instead of the configuration's.
        view: Instead of the configuration's, or of the model's.
        reward: Instead of the configuration's.
        budget: Instead of the configuration's.
        step_limit: Instead of the configuration's.
        output: JSON file to write the evaluation to.
    """
    player = find_player(agent)
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
    if isinstance(player, LoadedModel):
        options = options_of(player.card, options)
        check_fits(player.card, build_config(task, config, options))
    build_config(task, config, options)
    check_count("workers", workers, MAX_WORKERS)
    check_seeds((first_seed, first_seed + episodes - 1))
    if output is not None:
        check_writable(output)
    own = player if isinstance(player, LoadedModel | LlmRun) else None
    name = agent if own is None else own.card.name
    with progress_bar(episodes) as advance:
        advance.describe(name)
        seeds = range(first_seed, first_seed + episodes)
        evaluation = evaluate(agent if own is None else own, seeds, task, config, options, workers, progress=advance)
    lines = Comparison.of([evaluation]).summary
    console().print(score_table(lines, f"{name}: mean of {episodes:,} episodes, seeds from {first_seed}"))
    console().print(detail_table(lines, "recall and precision"))
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
) -> None:
    """Play agents and saved models on held-out seeds; print the leaderboard, write JSON and charts.

    Args:
        episodes: Episodes of each agent and task.
        agents: Names of agents, and folders of saved models and of runs with language models; none means all agents.
        tasks: Named tasks.
        workers: Processes.
        output: Folder for compare.json, compare.png and recall.png.
        play_missing: Let language models play the episodes that their folders do not hold, which may cost money.
    """
    scripts = tuple(name for name in agents if name in AGENTS)
    models = tuple(name for name in agents if name not in AGENTS)
    leaderboard(models, tasks, episodes, output, scripts if agents else None, workers, "compare", play_missing)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a bad value ends it with exit code 2 and one line that says why."""
    need(dict.fromkeys(("tyro", "rich", "matplotlib"), "agents"), "python -m agents")
    import tyro

    commands = {"run": run, "compare": compare}
    with told_in_one_line():
        try:
            tyro.extras.subcommand_cli_from_dict(commands, prog="python -m agents", description=__doc__, args=arguments)
        except (ImportError, EndpointError) as error:  # of the library of a saved model, or of a language model
            raise SystemExit(f"error: {error}") from None
