"""Draw the episodes of the documents that a scripted agent has played: ``docs/episode.png`` and ``docs/realistic.png``.

Without ``--seed`` it is the first held-out seed of the task whose episode has at least four expected rows, whatever the
agent makes of it. ``--task`` and ``--out`` draw another episode instead.

    python benchmarks/draw_episode.py [--agent analyst] [--task hard_mixed --out drawn.png] [--seed 7] [--stop-after 9]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np

import metric_tracker_env
from agents import AGENTS, get_agent
from metric_tracker_env import TASKS, get_task

INCIDENTS = 4
PICTURES = (("hard_mixed", Path("docs/episode.png")), ("realistic_medium", Path("docs/realistic.png")))


def play(env: gym.Env[np.ndarray, np.int64], agent: str, seed: int, stop_after: int | None) -> str:
    """Play one episode, or its first steps, and say what came of it."""
    player = get_agent(agent)(env)
    observation, info = env.reset(seed=seed)
    player.begin(seed)
    steps, over = 0, False
    while not over and steps != stop_after:
        observation, _, over, _, info = env.step(np.int64(player.act(observation, info)))
        steps += 1
    found = f"score {info['score']:.2f}, {info['matched']} of {info['expected']} found" if over else "not over yet"
    return f"{agent}, seed {seed}: {steps} steps, {found}"


def first_seed(env: gym.Env[np.ndarray, np.int64], task: str) -> int:
    """The first held-out seed with enough incidents; an empty submission tells how many there are."""
    for seed in range(*get_task(task).held_out_seeds):
        _, info = env.reset(seed=seed)
        submit = np.flatnonzero(info["action_mask"])[-1]
        if env.step(np.int64(submit))[-1]["expected"] >= INCIDENTS:
            return seed
    raise ValueError(f"task {task!r} has no held-out episode with {INCIDENTS} incidents; give --seed")


def save_small(frame: np.ndarray, path: Path) -> None:
    """Write a frame with a palette of 256 colours, to a third of its size; no colour moves so far that one sees it."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame).quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE).save(path)


def draw(task: str, out: Path, agent: str, seed: int | None, stop_after: int | None) -> None:
    """Play an episode of a task, draw it, say what was drawn."""
    env = gym.make(f"metric_tracker_env:{metric_tracker_env.ENV_ID}", task=task, render_mode="rgb_array")
    result = play(env, agent, first_seed(env, task) if seed is None else seed, stop_after)
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    save_small(frame, out)
    print(f"{out}: {task}, {result}")


def main() -> None:
    """Draw the pictures of the documents, or one of another task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", choices=list(AGENTS), default="analyst")
    parser.add_argument("--task", choices=list(TASKS), default=None)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--stop-after", type=int, default=None, metavar="STEPS", help="draw an unfinished episode")
    parser.add_argument("--out", type=Path, default=None, help="where the picture of --task goes")
    given = parser.parse_args()
    if (given.task is None) != (given.out is None):
        parser.error("--task and --out: give both, or none of them for the pictures of the documents")
    for task, out in PICTURES if given.task is None else ((given.task, given.out),):
        draw(task, out, given.agent, given.seed, given.stop_after)


if __name__ == "__main__":
    main()
