"""Replay: episodes whose clean data are weeks of a real history instead of drawn ones."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, StringConstraints

from metric_tracker_env.config.base import Name
from metric_tracker_env.model import ConfigModel

Part = Literal["train", "held_out", "latest"]
LATEST_DAYS = 7  # of a replay of the latest weeks, that are as they are whatever happened on them
MAX_JITTER = 12  # weeks


class Replay(ConfigModel):
    """Which weeks of a history an episode's clean data are; the file is one that ``agents fit`` wrote."""

    path: Name = Field(description="File with the fitted history; relative to the file of the configuration.")
    sha256: Annotated[StrictStr, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Of the file, in hexadecimal: an episode is one of this very history."
    )
    weeks: Part = Field(
        default="train",
        description="Those before the ones held out, those held out, or the last ones there are.",
    )
    ordinary: StrictBool = Field(
        default=True,
        description="Whether a day on which the data show something by themselves gives its place to the nearest "
        "ordinary one of its weekday.",
    )
    jitter: StrictInt = Field(
        default=2,
        ge=0,
        le=MAX_JITTER,
        description="Weeks by which each week of an episode may be another than its own; only in train.",
    )
