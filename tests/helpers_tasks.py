"""A user's own task, for tests."""

from __future__ import annotations

from pathlib import Path

INSTRUCTION = "A step of the funnel broke on one date. Find it."
FIRST_TRAINING, FIRST_HELD_OUT = 10, 5000
OWN_TASK = f"""
instruction = "{INSTRUCTION}"
training_seeds = [{FIRST_TRAINING}, {FIRST_HELD_OUT}]
held_out_seeds = [{FIRST_HELD_OUT}, 5100]

[config]
scenario_family = "funnel_break"
anomaly_count = 1
"""


def own_task(folder: Path) -> Path:
    """The file of a task of a user's own."""
    path = folder / "broken_step.toml"
    path.write_text(OWN_TASK, encoding="utf-8")
    return path
