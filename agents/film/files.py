"""Pictures as one file that moves: GIF by Pillow, MP4 by the library that records videos for Gymnasium."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..command_line import how_to_install

COLOURS = 200
CLUSTERING = 3  # rounds of k-means that the palette is made better with


class Pace(NamedTuple):
    """How long pictures stand."""

    seconds: float
    last: float  # seconds of the last one


def write_gif(frames: Sequence[np.ndarray], path: Path, pace: Pace) -> None:
    """Write (H, W, 3) uint8 frames of one size as a small GIF: one palette for all, and only what changes."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"a .gif needs Pillow; {how_to_install('render')}") from error

    palette = Image.fromarray(np.concatenate([frames[0], frames[-1]])).quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=CLUSTERING
    )
    small = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    shown = [round(pace.seconds * 1000)] * (len(frames) - 1) + [round(pace.last * 1000)]
    small[0].save(path, save_all=True, append_images=small[1:], duration=shown, loop=0, optimize=False)


def write_mp4(frames: Sequence[np.ndarray], path: Path, pace: Pace) -> None:
    """Write frames as an MP4, each for its time; a row or column is added where the codec needs even sizes."""
    try:
        import moviepy
    except ImportError as error:
        raise ImportError(f"an .mp4 needs moviepy; {how_to_install('video')}") from error

    height, width, _ = frames[0].shape
    even = [np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") for frame in frames]
    seconds = [pace.seconds] * (len(even) - 1) + [pace.last]
    clip: Any = moviepy.ImageSequenceClip(even, durations=seconds)
    clip.write_videofile(str(path), fps=4 / pace.seconds, codec="libx264", audio=False, logger=None)
    clip.close()


WRITERS: dict[str, Callable[[Sequence[np.ndarray], Path, Pace], None]] = {".gif": write_gif, ".mp4": write_mp4}


def writer_of(path: Path) -> Callable[[Sequence[np.ndarray], Path, Pace], None]:
    """What writes files of that name.

    Raises:
        ValueError: for an ending that there is not.
    """
    try:
        return WRITERS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"output {str(path)!r} must end in one of {list(WRITERS)}") from None
