"""What agents learn: every row of the table of training figures, over several training seeds.

Each run is the command that a user types, in a process of its own, on one CPU thread. Then the model plays held-out
episodes, which pay at the end. F1, return net of the cost of tools, units spent; CPU seconds of training (evaluations
left out) and the share of them in the environment; the family and the entity that is found least. Below the table: what
each row nets above the analyst script on the same episodes.

    python benchmarks/learning.py [--rows medium hard] [--seeds 3] [--output results/learning] [--jobs 2]

``--skip 2000`` leaves out the first held-out episodes, so that models are judged on some that nobody has looked at.
Runs that the output folder holds already are not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agents.evaluation.evaluate import Evaluation, evaluate
from agents.evaluation.intervals import Interval, bootstrap
from agents.players.models.card import is_model
from agents.tasks import held_out_seeds
from agents.training.curve import Curve

ROOT = Path(__file__).parents[1]
BASELINE = "analyst"


class Row(NamedTuple):
    """A row of the table."""

    what: str
    task: str
    options: tuple[str, ...]  # of agents.train_sb3
    reach: str


ROWS: dict[str, Row] = {
    "easy": Row("MaskablePPO, focus, easy", "easy_mixed", (), ""),
    "medium": Row(
        "MaskablePPO, focus, medium", "medium_mixed", ("--total-steps", "1200000"), "F1 0.97 in 1.2 M, 180 CPU s"
    ),
    "hard": Row("MaskablePPO, focus, hard", "hard_mixed", (), "F1 0.95 in 240 CPU s"),
    "board": Row("MaskablePPO, board, hard", "hard_mixed", ("--view", "board"), "F1 0.95 in 600 CPU s"),
    "ppo": Row("PPO without masks, focus, medium", "medium_mixed", ("--algorithm", "ppo"), "F1 0.85 in 2 M"),
    "dqn": Row("DQN without masks, focus, medium", "medium_mixed", ("--algorithm", "dqn"), ""),
    "realistic_medium": Row(
        "MaskablePPO after the analyst's demonstrations, focus, realistic medium",
        "realistic_medium",
        ("--warm-start", "analyst"),
        "the analyst's net in 30 CPU min",
    ),
    "realistic_hard": Row(
        "MaskablePPO after the analyst's demonstrations, focus, realistic hard",
        "realistic_hard",
        ("--warm-start", "analyst"),
        "the analyst's net in 30 CPU min",
    ),
    "realistic_scratch": Row(
        "MaskablePPO from scratch, stock network, focus, realistic medium without quiet episodes",
        "configs/realistic_incidents.toml",
        ("--total-steps", "2500000"),
        "",
    ),
}


class Result(NamedTuple):
    """One run and how its model plays."""

    seed: int
    steps: int
    cpu_seconds: float
    environment_share: float
    f1: float
    net: float
    units: float
    least_family: tuple[str, float]  # name and recall
    least_entity: tuple[str, float]


def train(row: Row, seed: int, folder: Path) -> None:
    """Train a row's model, unless the folder holds it.

    Raises:
        RuntimeError: with what the command told, if it failed.
    """
    if is_model(folder):
        return
    command = [sys.executable, "-m", "agents.train_sb3", "--task", row.task, "--seed", str(seed), *row.options]
    command += ["--episodes", "0", "--output", str(folder.resolve())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")


def measure(seed: int, folder: Path, played: Evaluation) -> Result:
    """The figures of a run whose model has played held-out episodes."""
    last = Curve.read(folder / "curve.csv", sys.maxsize).points[-1]
    return Result(
        seed=seed,
        steps=last.steps,
        cpu_seconds=last.cpu_seconds,
        environment_share=last.environment_seconds / last.cpu_seconds,
        f1=played.mean("f1"),
        net=played.mean("net"),
        units=played.mean("cost"),
        least_family=least([(group.name, group.matched, group.expected) for group in played.rows.by_family()]),
        least_entity=least(
            [
                (group.name, group.matched, group.expected)
                for group in played.rows.by_entity(played.config.generator.catalogue)
            ]
        ),
    )


def gain(runs: Sequence[Evaluation], baseline: Evaluation) -> Interval:
    """What runs net above the baseline on the same episodes: mean over the runs, interval over the episodes."""
    nets = np.mean([run.episodes.net for run in runs], axis=0)
    return bootstrap(nets - np.array(baseline.episodes.net))


def least(groups: list[tuple[str, int, int]]) -> tuple[str, float]:
    """The group with the lowest recall of those that were expected at all."""
    return min(((name, matched / expected) for name, matched, expected in groups if expected), key=lambda item: item[1])


def spread(values: Sequence[float], digits: int) -> str:
    """Mean, least and most."""
    low, high = min(values), max(values)
    return f"{np.mean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def lines_of(results: dict[str, list[Result]], baseline: dict[str, Evaluation]) -> list[str]:
    """The table in Markdown: mean (least and most) over the training seeds."""
    lines = [
        f"| what | steps | reach | F1 | net of tool cost ({BASELINE}) | CPU s | in the environment | least recall: "
        "family, entity |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        row = ROWS[name]
        family = min((run.least_family for run in runs), key=lambda item: item[1])
        entity = min((run.least_entity for run in runs), key=lambda item: item[1])
        cells = [
            row.what,
            f"{np.mean([run.steps for run in runs]) / 1e6:.1f} M",
            row.reach,
            spread([run.f1 for run in runs], 3),
            f"{spread([run.net for run in runs], 3)} ({baseline[row.task].mean('net'):.3f})",
            spread([run.cpu_seconds for run in runs], 0),
            f"{np.mean([run.environment_share for run in runs]):.1%}",
            f"{family[0]} {family[1]:.2f}, {entity[0]} {entity[1]:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Train, measure, print, and write ``learning.json`` into the output folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--skip", type=int, default=0, help="held-out episodes to leave out before the first")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("results/learning"))
    given = parser.parse_args()
    if given.seeds < 1 or given.jobs < 1 or given.episodes < 1 or given.skip < 0:
        parser.error("--seeds, --jobs and --episodes must be at least 1, --skip at least 0")
    tasks = dict.fromkeys(ROWS[name].task for name in given.rows)
    seeds = {task: held_out_seeds(task, given.skip + given.episodes)[given.skip :] for task in tasks}
    work = [(name, seed, given.output / f"{name}-seed{seed}") for name in given.rows for seed in range(given.seeds)]
    with ThreadPoolExecutor(given.jobs) as pool:
        for _ in pool.map(lambda item: train(ROWS[item[0]], item[1], item[2]), work):
            pass
    results: dict[str, list[Result]] = {name: [] for name in given.rows}
    played: dict[str, list[Evaluation]] = {name: [] for name in given.rows}
    for name, seed, folder in work:
        played[name].append(evaluate(folder, seeds[ROWS[name].task], ROWS[name].task))
        results[name].append(measure(seed, folder, played[name][-1]))
    baseline = {task: evaluate(BASELINE, seeds[task], task) for task in tasks}
    gains = {name: gain(runs, baseline[ROWS[name].task]) for name, runs in played.items()}
    print("\n".join(lines_of(results, baseline)))
    told_gain = "; ".join(f"{name} {gained}" for name, gained in gains.items())
    print(f"net above the {BASELINE} on the same episodes [95 % interval]: {told_gain}")
    told = {name: [run._asdict() for run in runs] for name, runs in results.items()}
    told_baseline = {task: {"f1": line.mean("f1"), "net": line.mean("net")} for task, line in baseline.items()}
    data = {
        "held_out": {"skipped": given.skip, "episodes": given.episodes},
        "runs": told,
        BASELINE: told_baseline,
        f"net_above_{BASELINE}": {name: gained.model_dump() for name, gained in gains.items()},
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "learning.json").write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
