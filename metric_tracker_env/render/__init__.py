"""Pictures of an episode: as text for the terminal, as an RGB array, as a PNG file.

``Scene`` decides what may be shown; ``text`` and ``frame`` only draw it.
"""

from __future__ import annotations

from metric_tracker_env.render.frame import frame
from metric_tracker_env.render.png import save_png
from metric_tracker_env.render.scene import Scene
from metric_tracker_env.render.text import text

__all__ = ["Scene", "frame", "save_png", "text"]
