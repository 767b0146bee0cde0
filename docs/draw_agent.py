"""Draw the moving picture of the README: an agent plays an episode of the realistic world, a frame an action.

The episode is the first held-out one of the task with at least four rows to find, whatever the agent makes of it.

    python docs/draw_agent.py [--agent analyst] [--task realistic_medium] [--out docs/agent.gif]

`python -m agents film` draws that of any other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agents.film.command import film
from metric_tracker_env import MetricTrackerEnv, get_task

LEAST_ROWS = 4


def first_seed(task: str) -> int:
    """The first held-out seed with enough rows; an empty submission tells how many there are."""
    env = MetricTrackerEnv(task=task)
    for seed in range(*get_task(task).held_out_seeds):
        _, info = env.reset(seed=seed)
        submit = int(np.flatnonzero(info["action_mask"])[-1])
        if env.step(submit)[-1]["expected"] >= LEAST_ROWS:
            return seed
    raise ValueError(f"task {task!r} has no held-out episode with {LEAST_ROWS} rows")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw an episode, write it, say what was drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="analyst")
    parser.add_argument("--task", default="realistic_medium")
    parser.add_argument("--out", type=Path, default=Path("docs/agent.gif"))
    given = parser.parse_args(arguments)
    film(given.agent, given.task, first_seed(given.task), given.out)


if __name__ == "__main__":
    main()
