"""Models that come with the package, one a task: ``pretrained/NAME`` wherever a player is asked for.

Each is a folder of three small files: ``weights.npz``, plain arrays that NumPy alone plays; ``model.json``, the card of
any saved model; ``figures.json``, how well it plays and the command that made it.
"""

from __future__ import annotations

from pathlib import Path

from ..players.registry import on_shelf, register_shelf

SHELF = "pretrained"

register_shelf(SHELF, Path(__file__).parent)


def pretrained_names() -> tuple[str, ...]:
    """The models, as a player is asked for: "pretrained/realistic_medium", ..."""
    return tuple(f"{SHELF}/{name}" for name in on_shelf(SHELF))
