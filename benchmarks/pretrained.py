"""The models that come with the package: train those that are missing, write them as plain arrays, measure them.

    python benchmarks/pretrained.py [--names realistic_medium ...] [--runs runs/pretrained]

Each run is the command of its card, one after another in a process of its own on one CPU thread, all with seed 0. Runs
that the folder holds already are not trained again; models and figures in ``agents/pretrained`` are written anew.
Prints the table of docs/pretrained.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agents.players.models.card import is_model
from agents.pretrained import SHELF
from agents.pretrained.figures import Figures
from agents.training.curve import Curve
from agents.training.export import export_model

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "agents" / SHELF
WARM = ("--warm-start", "analyst")


class Recipe(NamedTuple):
    """How a model is made."""

    task: str
    options: tuple[str, ...] = ()  # of agents.train_sb3, beside task, episodes and output


RECIPES: dict[str, Recipe] = {
    "easy_single_spike": Recipe("easy_single_spike", ("--total-steps", "600000")),
    "medium_mixed": Recipe("medium_mixed"),
    "medium_mixed_board": Recipe("medium_mixed", ("--view", "board", "--total-steps", "1200000")),
    "hard_mixed": Recipe("hard_mixed"),
    "realistic_easy": Recipe("realistic_easy", WARM),
    "realistic_medium": Recipe("realistic_medium", WARM),
    "realistic_hard": Recipe("realistic_hard", WARM),
    "quiet_weeks": Recipe("quiet_weeks", (*WARM, "--total-steps", "600000")),
}


def command_of(recipe: Recipe, folder: Path) -> list[str]:
    """The arguments of Python that train a model."""
    told = ["-m", "agents.train_sb3", "--task", recipe.task, *recipe.options]
    return [*told, "--episodes", "0", "--output", folder.as_posix()]


def made(name: str, runs: Path) -> Figures:
    """A model of ``RECIPES``, trained if its run is missing, then written and measured."""
    recipe, run, place = RECIPES[name], runs / name, MODELS / name
    if not is_model(run):
        subprocess.run([sys.executable, *command_of(recipe, run)], check=True, cwd=ROOT)
    export_model(run, place, name)
    spent = Curve.read(run / "curve.csv", sys.maxsize).points[-1].cpu_seconds
    command = " ".join(["python", *command_of(recipe, Path("runs") / SHELF / name)])
    figures = Figures.measured(place, recipe.task, command, round(spent))
    figures.write(place)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / SHELF)
    options = parser.parse_args(arguments)
    print("| model | score [95 %] | F1 | net of tool cost | units | training, CPU s | size |")
    print("|---|---|---|---|---|---|---|")
    for name in options.names:
        figures = made(name, options.runs)
        size = sum(path.stat().st_size for path in (MODELS / name).iterdir())
        told = f"{figures.f1.mean:.3f} | {figures.net.mean:.3f} | {figures.cost.mean:.1f} | {figures.cpu_seconds:.0f}"
        print(f"| `{SHELF}/{name}` | {figures.score} | {told} | {size / 1000:.0f} kB |", flush=True)


if __name__ == "__main__":
    main()
