"""Pictures of an episode: as text for the terminal, as an RGB array, as a PNG file.

``Scene`` decides what may be shown; ``text`` and ``frame`` only draw it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_tracker_env.render_frame import frame
from metric_tracker_env.render_scene import Scene
from metric_tracker_env.render_sheet import INSTALL_HINT
from metric_tracker_env.render_text import text


def save_png(image: np.ndarray, path: str | Path) -> None:
    """Write an (H, W, 3) uint8 frame to a PNG file.

    Raises:
        ImportError: without matplotlib; names the extra to install.
    """
    try:
        from matplotlib.image import imsave
    except ImportError as error:
        raise ImportError(INSTALL_HINT) from error
    imsave(path, image, format="png")


__all__ = ["Scene", "frame", "save_png", "text"]
