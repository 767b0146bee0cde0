"""What a warm start saves: CPU seconds of ``train_sb3`` until F1 0.97 on held-out seeds, with and without one.

Each run is the command that a user types, in a process of its own on one CPU thread, evaluated at every 2 % of its
steps on seeds that it does not learn from, and ended as soon as an evaluation reaches the F1. In the discrete
environment the score is the F1, as a report takes its fields from the evidence. The seconds are those of training:
playing and fitting the demonstrations included, evaluations left out.

    python benchmarks/warm_start.py [--tasks easy_single_spike medium_mixed_pair] [--seeds 2] [--demonstrations 2000]

What the output folder holds is not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from agents.training.curve import Curve

ROOT = Path(__file__).parents[1]
TASKS = ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")
REACH = 0.97
EVALUATIONS, EPISODES = 50, 300  # of a run, if it goes on to its end
STARTS: dict[str, tuple[str, ...]] = {"from scratch": (), "after the analyst": ("--warm-start", "analyst")}
LOOKED_AT = 1.0  # seconds between looks at a curve


class Reached(NamedTuple):
    """Where a run was when it reached the F1, or else at its end."""

    reached: bool
    cpu_seconds: float
    steps: int
    score: float


def reach(task: str, start: str, seed: int, demonstrations: int, folder: Path) -> Reached:
    """Run until the F1 is reached, or to the end.

    Raises:
        RuntimeError: with what the command told, if it failed.
    """
    kept = folder / f"{task}-{start.replace(' ', '_')}-{seed}.json"
    if kept.is_file():
        return Reached(*json.loads(kept.read_text(encoding="utf-8")))
    more = [*STARTS[start], *(("--demonstration-episodes", str(demonstrations)) if STARTS[start] else ())]
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        command = [sys.executable, "-m", "agents.train_sb3", "--task", task, "--seed", str(seed), "--episodes", "0"]
        command += ["--output", str(run), *more]
        command += [
            "--settings",
            f"evaluations = {EVALUATIONS}",
            f"evaluation_episodes = {EPISODES}",
            "checkpoints = 0",
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as going:
            while going.poll() is None:
                time.sleep(LOOKED_AT)
                if (found := looked_at(run)) is not None and found.reached:
                    going.terminate()
                    break
            told = going.communicate()[1]
        found = looked_at(run)
        if found is None or not (found.reached or going.returncode == 0):
            raise RuntimeError(f"{' '.join(command)} failed:\n{told}")
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def looked_at(run: Path) -> Reached | None:
    """The first evaluation of a run that reached the F1, or the last one; None before the first."""
    if not (run / "curve.csv").is_file():
        return None
    points = Curve.read(run / "curve.csv", sys.maxsize).points
    if not points:
        return None
    point = next((point for point in points if point.score >= REACH), points[-1])
    return Reached(point.score >= REACH, point.cpu_seconds, point.steps, point.score)


def told(found: list[Reached]) -> str:
    """The runs of a place in the table, seed by seed."""
    return "; ".join(
        f"{each.cpu_seconds:.0f} s, {each.steps:,} steps"
        if each.reached
        else f"not in {each.cpu_seconds:.0f} s ({each.score:.3f})"
        for each in found
    )


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--demonstrations", type=int, default=2000, help="episodes")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "warm_start")
    options = parser.parse_args()
    print(f"| task | {' | '.join(STARTS)} |\n|---|{'---|' * len(STARTS)}", flush=True)
    for task in options.tasks:
        cells = [
            told([reach(task, start, seed, options.demonstrations, options.output) for seed in range(options.seeds)])
            for start in STARTS
        ]
        print(f"| {task} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
