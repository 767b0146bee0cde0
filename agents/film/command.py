"""The command ``python -m agents film``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from metric_tracker_env import Seal, Task
from metric_tracker_env.base_env import check_render_scale

from ..command_line import check_number, need
from ..evaluation.evaluate import check_seeds, config_of
from ..evaluation.leaderboard import check_writable
from ..evaluation.report import console
from ..page.collection import kind_of
from ..players.registry import find_player
from ..tasks import task_of
from .files import Pace, writer_of
from .frames import Picture, captioned, pictures_of
from .told import Told, of_books, of_model

PLAYED = "realistic_medium"
SCALE, SECONDS, LAST_SECONDS = 0.8, 1.0, 6.0


def film(
    agent: str,
    task: str | None = None,
    seed: int | None = None,
    output: Path = Path("episode.gif"),
    seconds: float = SECONDS,
    last_seconds: float = LAST_SECONDS,
    scale: float = SCALE,
    seal: Path | None = None,
) -> None:
    """Write an episode as a moving picture: GIF, or MP4 with the extra video.

    Args:
        agent: Name of a script; folder of a saved model, of a run with a language model, or of the books of a server.
        task: Named task, or a preset's path; by default what the run has played, or realistic_medium.
        seed: Of the episode; by default the run's first, or the task's first held-out one.
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
    check_render_scale(scale)
    if seed is not None:
        check_seeds((seed,))
    told = _told(agent, None if task is None else task_of(task), seed, Seal.of(seal))
    check_writable(output)
    pictures = told.pictures(scale)
    named = pictures[-1]._replace(words=f"{told.agent}: {pictures[-1].words}")
    write([captioned(picture, scale) for picture in (*pictures[:-1], named)], output, Pace(seconds, last_seconds))
    came = f"{len(pictures) - 1} actions, {pictures[-1].words}"
    size = f"{len(pictures)} pictures, {output.stat().st_size / 1e6:.2f} MB"
    console().print(
        f"wrote {output}: {told.agent} on {told.task}, seed {told.seed}: {came}; {size}", markup=False, soft_wrap=True
    )


class _Played(NamedTuple):
    """An episode that an agent plays now."""

    agent: str
    task: str
    seed: int
    pictures: Callable[[float], list[Picture]]


def _told(agent: str, task: Task | None, seed: int | None, seal: Seal | None) -> Told | _Played:
    """The episode of what is named."""
    kind = kind_of(agent)
    if kind in ("books", "transcripts"):
        return (of_books if kind == "books" else of_model)(Path(agent).expanduser(), task, seed, seal)
    if kind == "results":
        raise ValueError(f"agent {agent!r} is a results file; name who played")
    found = task_of(PLAYED) if task is None else task
    number = found.held_out_seeds[0] if seed is None else seed
    player = find_player(agent)
    config = config_of(player, found)
    return _Played(player.name, found.name, number, lambda scale: list(pictures_of(agent, config, number, scale, seal)))
