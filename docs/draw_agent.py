"""Draw the moving picture of the README: an agent plays an episode of the realistic world, a frame an action.

The episode is the first held-out one of the task with at least four rows to find, whatever the agent makes of it.

    python docs/draw_agent.py [--agent analyst] [--task realistic_medium] [--seed 7] [--out docs/agent.gif]

The agent is the name of a script, or the folder of a saved model.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

import metric_tracker_env
from agents import AGENTS, Agent, ModelAgent, get_agent
from metric_tracker_env import get_task

LEAST_ROWS = 4
SCALE = 0.8
SECONDS, LAST_SECONDS = 1.0, 6.0  # how long a frame stands, and the last one
COLOURS = 200
STRIP, INK, PAPER = 46, (31, 41, 55), (243, 244, 246)  # below a picture: what the agent does next


def first_seed(env: gym.Env[np.ndarray, np.int64], task: str) -> int:
    """The first held-out seed with enough rows; an empty submission tells how many there are."""
    for seed in range(*get_task(task).held_out_seeds):
        _, info = env.reset(seed=seed)
        submit = np.flatnonzero(info["action_mask"])[-1]
        if env.step(np.int64(submit))[-1]["expected"] >= LEAST_ROWS:
            return seed
    raise ValueError(f"task {task!r} has no held-out episode with {LEAST_ROWS} rows; give --seed")


def drawn(env: gym.Env[np.ndarray, np.int64]) -> np.ndarray:
    """The picture of where an episode stands."""
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    return frame


def captioned(frame: np.ndarray, text: str) -> np.ndarray:
    """A picture with a line of words below it."""
    height, width, _ = frame.shape
    sheet = Image.new("RGB", (width, height + STRIP), PAPER)
    sheet.paste(Image.fromarray(frame))
    font = ImageFont.truetype(findfont("DejaVu Sans Mono"), STRIP * 2 // 5)
    ImageDraw.Draw(sheet).text((STRIP // 2, height + STRIP // 2), text, fill=INK, font=font, anchor="lm")
    return np.asarray(sheet)


def frames_of(agent: str, task: str, seed: int | None, scale: float = SCALE) -> tuple[list[np.ndarray], str]:
    """The frames of an episode, the first before any action, and what came of it."""
    name = f"metric_tracker_env:{metric_tracker_env.ENV_ID}"
    env = gym.make(name, task=task, render_mode="rgb_array", render_scale=scale)
    seed = first_seed(env, task) if seed is None else seed
    player: Agent = get_agent(agent)(env) if agent in AGENTS else ModelAgent(env, agent)
    observation, info = env.reset(seed=seed)
    player.begin(seed)
    table = env.get_wrapper_attr("actions")
    frames: list[np.ndarray] = []
    over = False
    while not over:
        action = player.act(observation, info)
        frames.append(captioned(drawn(env), f"{len(frames) + 1:>2}  {table.text(int(action))}"))
        observation, _, terminated, truncated, info = env.step(np.int64(action))
        over = terminated or truncated
    found = f"score {info['score']:.2f}, {info['matched']} of {info['expected']} rows found, {info['cost']} units spent"
    frames.append(captioned(drawn(env), f"{agent}: {found}"))
    return frames, f"{agent} on {task}, seed {seed}: {len(frames) - 1} actions, {found}"


def write_gif(frames: Sequence[np.ndarray], path: Path) -> None:
    """Write frames as one small GIF: one palette for all, and only what changes from frame to frame."""
    palette = Image.fromarray(np.concatenate([frames[0], frames[-1]])).quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3
    )
    small = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    shown = [round(SECONDS * 1000)] * (len(frames) - 1) + [round(LAST_SECONDS * 1000)]
    path.parent.mkdir(parents=True, exist_ok=True)
    small[0].save(path, save_all=True, append_images=small[1:], duration=shown, loop=0, optimize=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw an episode, write it, say what was drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="analyst")
    parser.add_argument("--task", default="realistic_medium")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=Path("docs/agent.gif"))
    given = parser.parse_args(arguments)
    frames, told = frames_of(given.agent, given.task, given.seed)
    write_gif(frames, given.out)
    print(f"{given.out}: {told}; {len(frames)} frames, {given.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
