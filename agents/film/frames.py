"""The pictures of an episode that an agent plays: one before each action, with the action below it, and the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metric_tracker_env import EnvConfig, MetricTrackerEnv, Seal

from ..players.agent import Agent
from ..players.models.saved import ModelAgent
from ..players.registry import folder_of
from ..players.scripts.script import AGENTS, get_agent

if TYPE_CHECKING:
    from PIL import ImageFont

STRIP, INK, PAPER = 58, (31, 41, 55), (243, 244, 246)  # below a picture of scale 1, in pixels: what comes next


class Picture(NamedTuple):
    """A picture, and the words below it."""

    frame: np.ndarray  # (H, W, 3) uint8
    words: str


def pictures_of(name: str, config: EnvConfig, seed: int, scale: float, seal: Seal | None = None) -> Iterator[Picture]:
    """The pictures of an episode; before the end they show what the agent knows, and then the truth.

    Args:
        name: Of a script, or the folder of a saved model.
        config: To play.
        seed: Of the episode.
        scale: Of the pictures.
        seal: Of the episode; None for a public one.

    Raises:
        ValueError: for a bad seed or scale, or an agent that is neither a script nor a saved model.
        ImportError: without matplotlib; names the extra to install.
    """
    env = MetricTrackerEnv(config=config, render_mode="rgb_array", render_scale=scale, seal=seal)
    agent: Agent = get_agent(name)(env) if name in AGENTS else ModelAgent(env, folder_of(name))
    observation, info = env.reset(seed=seed)
    agent.begin(seed)
    number, over = 0, False
    while not over:
        action, number = int(agent.act(observation, info)), number + 1
        yield Picture(_drawn(env), f"{number:>2}  {env.actions.text(action)}")
        observation, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    yield Picture(_drawn(env), outcome(info, info["cost"]))


def outcome(grade: Mapping[str, Any], spent: int) -> str:
    """What came of an episode, in words."""
    return f"score {grade['score']:.2f}, {grade['matched']} of {grade['expected']} rows found, {spent} units spent"


def captioned(picture: Picture, scale: float) -> np.ndarray:
    """A picture with its words on a strip below it, which is as high as the scale says."""
    from PIL import Image, ImageDraw

    height, width, _ = picture.frame.shape
    strip = round(STRIP * scale)
    sheet = Image.new("RGB", (width, height + strip), PAPER)
    sheet.paste(Image.fromarray(picture.frame))
    place = strip // 2, height + strip // 2
    ImageDraw.Draw(sheet).text(place, picture.words, fill=INK, font=_font(max(6, strip * 2 // 5)), anchor="lm")
    return np.asarray(sheet)


def _drawn(env: MetricTrackerEnv) -> np.ndarray:
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    return frame


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    from matplotlib.font_manager import findfont
    from PIL import ImageFont

    return ImageFont.truetype(findfont("DejaVu Sans Mono"), size)
