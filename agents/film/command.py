"""The command ``python -m agents film``."""

from __future__ import annotations

from pathlib import Path

from metric_tracker_env import Seal

from ..command_line import check_number, need
from ..evaluation.evaluate import check_seeds, config_of
from ..evaluation.leaderboard import check_writable
from ..evaluation.report import console
from ..players.registry import find_player
from ..tasks import task_of
from .files import Pace, writer_of
from .frames import captioned, pictures_of

SCALE, SECONDS, LAST_SECONDS = 0.8, 1.0, 6.0


def film(
    agent: str,
    task: str = "realistic_medium",
    seed: int | None = None,
    output: Path = Path("episode.gif"),
    seconds: float = SECONDS,
    last_seconds: float = LAST_SECONDS,
    scale: float = SCALE,
    seal: Path | None = None,
) -> None:
    """Write an episode as a moving picture: GIF, or MP4 with the extra video.

    Args:
        agent: Name of a script, or the folder of a saved model.
        task: Named task, or a preset's path.
        seed: Of the episode; by default the task's first held-out one.
        output: File to write, .gif or .mp4.
        seconds: That a picture stands.
        last_seconds: That the last one stands.
        scale: Of the pictures, as a multiple of about 1200 x 1000 pixels.
        seal: Of a sealed episode: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    need(dict.fromkeys(("matplotlib", "PIL"), "render"))
    write = writer_of(output)
    for name, value in (("seconds", seconds), ("last-seconds", last_seconds)):
        check_number(name, value, 0.05, 60)
    found = task_of(task)
    number = found.held_out_seeds[0] if seed is None else seed
    check_seeds((number,))
    config = config_of(find_player(agent), found)
    check_writable(output)
    pictures = list(pictures_of(agent, config, number, scale, Seal.of(seal)))
    named = pictures[-1]._replace(words=f"{find_player(agent).name}: {pictures[-1].words}")
    write([captioned(picture, scale) for picture in (*pictures[:-1], named)], output, Pace(seconds, last_seconds))
    told = f"{len(pictures) - 1} actions, {pictures[-1].words}"
    size = f"{len(pictures)} pictures, {output.stat().st_size / 1e6:.2f} MB"
    console().print(
        f"wrote {output}: {agent} on {found.name}, seed {number}: {told}; {size}", markup=False, soft_wrap=True
    )
