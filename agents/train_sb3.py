"""Train with stable-baselines3: ``python -m agents.train_sb3`` (extra ``sb3``).

MaskablePPO on the focus view by default; ``--view board`` trains the network that shares its weights over dates, and
``--algorithm ppo`` or ``dqn`` train without masks. Settings come from ``configs/training``. A run fills one folder:
settings, checkpoint, curve (CSV, PNG, tensorboard), model, and the leaderboard on held-out seeds.

``--warm-start analyst`` warm-starts it: the scripted analyst plays training episodes, the policy is fitted to them
(behavioural cloning), and learns from reward from there on. CPU seconds of the curve count all of it.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from metric_tracker_env.config import View
from metric_tracker_env.tasks import Task

from .command_line import check_whole, command, described, need, told_in_one_line
from .evaluation.evaluate import MAX_WORKERS
from .evaluation.leaderboard import leaderboard
from .tasks import held_out_seeds
from .training.curve import draw_curve
from .training.settings import Algorithm, load_preset, merge, preset_path

NEEDED = {
    "tyro": "agents", "rich": "agents", "matplotlib": "agents",
    "stable_baselines3": "sb3", "sb3_contrib": "sb3", "tensorboard": "sb3", "tqdm": "sb3",
}  # fmt: skip


def run(
    task: str = "medium_mixed",
    view: View = "focus",
    algorithm: Algorithm = "maskable_ppo",
    preset: Path | None = None,
    settings: tuple[str, ...] = (),
    seed: int = 0,
    total_steps: int | None = None,
    output: Path | None = None,
    warm_start: str | None = None,
    demonstration_episodes: int | None = None,
    resume_from: Path | None = None,
    episodes: int = 1000,
    workers: int = 2,
) -> None:
    """Train an agent, then set it beside the scripted agents on held-out seeds.

    Args:
        task: Named task, or a preset's path.
        view: View that the agent has; "board" trains one network for all dates.
        algorithm: "maskable_ppo"; or "ppo" or "dqn", which are not told which actions are legal.
        preset: Settings file; by default the one of algorithm and view in configs/training.
        settings: Settings on top, each written as in a preset, for example "ppo.ent_coef.start = 0.02".
        seed: Seed of the run.
        total_steps: Environment steps; by default the preset's.
        output: Folder of the run; by default runs/TASK-VIEW-ALGORITHM-seedSEED.
        warm_start: Scripted agent, for example "analyst", that plays training episodes first; the policy is fitted
            to them before it learns from reward.
        demonstration_episodes: Episodes that it plays; by default the preset's.
        resume_from: Folder of an interrupted run to go on with; the settings are the run's own.
        episodes: Held-out episodes of each agent on the leaderboard; 0 for no leaderboard.
        workers: Processes that play the scripted agents.
    """
    from .training.sb3_run import load_settings, resume, train

    check_whole("workers", workers, 1, MAX_WORKERS)
    progress_bar = sys.stderr.isatty()
    if resume_from is not None:
        folder = resume_from
        check_episodes(load_settings(folder).task, episodes)
        config, curve = resume(folder, progress_bar)
    else:
        changes: dict[str, object] = {"view": view, "algorithm": algorithm, "seed": seed}
        if total_steps is not None:
            changes["total_steps"] = total_steps
        if warm_start is not None:
            changes["demonstrations"] = {"agent": warm_start}
        if demonstration_episodes is not None:
            if warm_start is None:
                raise ValueError(
                    f"demonstration_episodes {demonstration_episodes} needs warm_start, the agent that plays them"
                )
            changes = merge(changes, {"demonstrations": {"episodes": demonstration_episodes}})
        for line in settings:
            changes = merge(changes, parse_setting(line))
        config = load_preset(preset or preset_path(algorithm, view, warm_start is not None)).config(task, **changes)
        check_episodes(config.task, episodes)
        folder = output or Path("runs") / config.name
        print(f"training {config.name}: {config.total_steps:,} steps, folder {folder}")
        curve = train(config, folder, progress_bar)
    references: dict[str, float] = {}
    if episodes:
        own = folder.resolve().name
        compared = leaderboard([folder], config.task, episodes, folder, workers=workers)
        references = {line.agent: line.figures["score"].mean for line in compared.summary if line.agent != own}
    if curve.points:
        last = curve.points[-1]
        share = last.environment_seconds / last.cpu_seconds
        print(f"{last.steps:,} steps in {last.cpu_seconds:.0f} CPU s, {share:.1%} of them in the environment")
        draw_curve(curve, f"Learning curve of {config.name}", references, folder / "curve.png")
    print(f"the model, its curve and its leaderboard are in {folder}")


def check_episodes(task: Task, episodes: int) -> None:
    """Refuse a leaderboard that cannot be made when training has ended.

    Raises:
        ValueError: if the task does not hold out so many episodes.
    """
    if episodes:
        held_out_seeds(task, episodes)


def parse_setting(line: str) -> dict[str, object]:
    """A line of a preset as nested tables.

    Raises:
        ValueError: if it is none.
    """
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"settings {line!r} must read like 'lanes = 32': {error}") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a bad value ends it with exit code 2 and one line that says why."""
    need(NEEDED, "train_sb3")
    import tyro

    with told_in_one_line():
        tyro.cli(run, prog=command("train_sb3"), description=described(__doc__), args=arguments)


if __name__ == "__main__":
    main()
