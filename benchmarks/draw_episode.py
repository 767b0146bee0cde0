"""Draw an episode that a scripted agent has played, as the README shows it: ``docs/episode.png``.

python benchmarks/draw_episode.py [--agent analyst] [--task hard_mixed] [--seed 2000000000] [--stop-after 9]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np

import metric_tracker_env
from agents import AGENTS, get_agent
from metric_tracker_env import TASKS, get_task
from metric_tracker_env.render import save_png


def play(agent: str, task: str, seed: int, stop_after: int | None) -> tuple[np.ndarray, str]:
    """Play one episode.

    Args:
        agent: Name of a scripted agent.
        task: Name of a task.
        seed: Seed of the episode.
        stop_after: Steps after which to stop and look; None plays to the end.

    Returns:
        The last frame, (H, W, 3) uint8, and what came of the episode.
    """
    env = gym.make(f"metric_tracker_env:{metric_tracker_env.ENV_ID}", task=task, render_mode="rgb_array")
    player = get_agent(agent)(env)
    observation, info = env.reset(seed=seed)
    player.begin(seed)
    steps, over = 0, False
    while not over and steps != stop_after:
        observation, _, over, _, info = env.step(np.int64(player.act(observation, info)))
        steps += 1
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    found = f"score {info['score']:.2f}, {info['matched']} of {info['expected']} found" if over else "not over yet"
    env.close()
    return frame, f"{agent} on {task}, seed {seed}: {steps} steps, {found}"


def main() -> None:
    """Play, draw, say what was drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", choices=list(AGENTS), default="analyst")
    parser.add_argument("--task", choices=list(TASKS), default="hard_mixed")
    parser.add_argument("--seed", type=int, default=get_task("hard_mixed").held_out_seeds[0])
    parser.add_argument("--stop-after", type=int, default=None, metavar="STEPS")
    parser.add_argument("--out", type=Path, default=Path("docs/episode.png"))
    given = parser.parse_args()
    frame, result = play(given.agent, given.task, given.seed, given.stop_after)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    save_png(frame, given.out)
    print(f"{given.out}: {result}")


if __name__ == "__main__":
    main()
