"""Whether the time of a reset tells what is in the episode: AUC of its CPU time, for one incident against more.

An agent that shares a machine with its environment can time ``reset``. Each episode is begun once, from a seed of its
own, at four doors: a single environment, a lane of four, a session in words, and a single environment with the options
of a reset. The AUC is the chance that an episode with more incidents took longer than one with one; 0.5 tells nothing.
Where episodes may be quiet, also that of some incidents against none. Times are those of this thread alone, which other
processes disturb little.

    python benchmarks/reset_timing.py [--tasks hard_mixed realistic_medium] [--episodes 1500]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode

from metric_tracker_env import EpisodeData, MetricTrackerEnv, MetricTrackerVectorEnv, Session

WARM_UP = 20  # episodes that are not counted
LANES = 4
OTHER_SEEDS = 1_000_000  # from those of one lane to those of the next


class Timed(NamedTuple):
    """Resets of one door."""

    seconds: np.ndarray  # (n,) float64
    incidents: np.ndarray  # (n,) int64, dates with a root


class Door(NamedTuple):
    """How an episode is begun, and told the truth of."""

    begin: Callable[[int], object]
    end: Callable[[], EpisodeData]


def single(task: str, **options: object) -> Door:
    """A single environment."""
    env = MetricTrackerEnv(task=task)
    submit = env.actions.encode("submit")

    def end() -> EpisodeData:
        env.step(submit)
        return env.episode()

    return Door(lambda seed: env.reset(seed=seed, options=options or None), end)


def lane(task: str) -> Door:
    """The first of some lanes, which begin together."""
    envs = MetricTrackerVectorEnv(LANES, AutoresetMode.DISABLED, task=task)
    submit = np.full(LANES, envs.actions.encode("submit"))

    def end() -> EpisodeData:
        envs.step(submit)
        return envs.episode(0)

    return Door(lambda seed: envs.reset(seed=[seed + other * OTHER_SEEDS for other in range(LANES)]), end)


def words(task: str) -> Door:
    """A session."""
    session = Session(task)

    def end() -> EpisodeData:
        session.call("submit", {"rows": []})
        return session.episode()

    return Door(session.begin, end)


def timed(door: Door, episodes: int) -> Timed:
    """Begin as many episodes, each from the next seed."""
    seconds, incidents = np.zeros(episodes), np.zeros(episodes, np.int64)
    for seed in range(-WARM_UP, episodes):
        start = time.thread_time()
        door.begin(seed + WARM_UP)
        spent = time.thread_time() - start
        told = door.end()
        if seed >= 0:
            seconds[seed], incidents[seed] = spent, len(told.anomaly_schedule)
    return Timed(seconds, incidents)


def auc(slower: np.ndarray, faster: np.ndarray) -> tuple[float, float]:
    """The chance that one of the (n,) ``slower`` is larger than one of the (m,) ``faster``, and its standard error.

    J. Hanley and B. McNeil: The meaning and use of the area under a ROC curve, Radiology 143, 1982.
    """
    n, m = len(slower), len(faster)
    _, place, number = np.unique(np.concatenate([slower, faster]), return_inverse=True, return_counts=True)
    rank = (np.cumsum(number) - (number - 1) / 2)[place]
    area = (rank[:n].sum() - n * (n + 1) / 2) / (n * m)
    above, below = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    return float(area), float(np.sqrt((area * (1 - area) + (n - 1) * above + (m - 1) * below) / (n * m)))


def told(part: np.ndarray, other: np.ndarray) -> str:
    """An AUC with its 95 % half width, where there are episodes of both kinds."""
    if not len(part) or not len(other):
        return "-"
    area, error = auc(part, other)
    return f"{area:.3f} ± {1.96 * error:.3f}"


def main() -> None:
    """Print a line a task and door."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["hard_mixed", "realistic_medium"])
    parser.add_argument("--episodes", type=int, default=1500)
    asked = parser.parse_args()
    doors: dict[str, Callable[[str], Door]] = {
        "single": single,
        f"lane of {LANES}": lane,
        "words": words,
        "single, options": lambda task: single(task, difficulty="hard"),
    }
    print(f"{asked.episodes} episodes a door")
    print(f"{'task':18} {'door':16} {'median':>9}  {'more than one':16} some against none")
    for task in asked.tasks:
        for name, door in doors.items():
            found = timed(door(task), asked.episodes)
            seconds, number = found
            one, more, none = seconds[number == 1], seconds[number > 1], seconds[number == 0]
            median = f"{np.median(seconds) * 1e3:.2f} ms"
            print(
                f"{task:18} {name:16} {median:>9}  {told(more, one):16} {told(seconds[number > 0], none)}", flush=True
            )


if __name__ == "__main__":
    main()
