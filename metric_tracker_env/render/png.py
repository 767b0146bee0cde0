"""A frame as a PNG file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_tracker_env.render.sheet import INSTALL_HINT


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
