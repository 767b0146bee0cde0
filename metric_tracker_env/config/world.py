"""The realistic world's configuration: announced events, lost hours, and incidents that last and coincide."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from metric_tracker_env.config.base import Positive, Real
from metric_tracker_env.model import ConfigModel, Length
from metric_tracker_env.schema import DAYS_PER_WEEK

MIN_WORLD_WEEKS = 3  # fewer days cannot hold the events beside enough plain dates
MAX_EVENTS, MAX_GAPS = 12, 6
MAX_GAP_LOSS = 4.0  # count thresholds: at easy 88 % of a date's traffic

Share = Annotated[Real, Field(ge=0, le=1)]
Events = Annotated[StrictInt, Field(ge=0, le=MAX_EVENTS)]
Gaps = Annotated[StrictInt, Field(ge=0, le=MAX_GAPS)]


class WorldConfig(ConfigModel):
    """What moves the data beside incidents: events that somebody announced, and hours that a pipeline lost.

    An event is drawn like an incident, so that only its announcement tells the two apart; an incident may fall on the
    date of an event, and may go beyond what was announced.
    """

    events: tuple[Events, Events] = Field(default=(4, 6), description="Fewest and most known events of an episode.")
    lengths: Annotated[tuple[Share, ...], Length(1, DAYS_PER_WEEK)] = Field(
        default=(0.55, 0.25, 0.20), description="Probability that an event or an incident lasts 1, 2, 3, ... dates."
    )
    without_effect: Share = Field(default=0.25, description="Share of the events that change nothing.")
    announced_within: Real = Field(
        default=0.2,
        ge=0,
        le=0.5,
        description="Announced change = actual / U(1 - w, 1 + w).",
    )
    gaps: tuple[Gaps, Gaps] = Field(default=(1, 2), description="Fewest and most dates of an episode that lose hours.")
    gap_loss: tuple[Positive, Positive] = Field(
        default=(1.2, 2.0), description="Least and most traffic that a gap loses, in count thresholds."
    )
    on_event_dates: Share = Field(
        default=0.45, description="Share of the incidents that are put on the date of an event."
    )
    beyond_announced: Share = Field(
        default=0.3, description="Share of those that go beyond the announced change, on the event's own entity."
    )

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for name in ("events", "gaps", "gap_loss"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: the range ({low}, {high}) must not fall; give (low, high)")
        if abs(sum(self.lengths) - 1.0) > 1e-9:
            raise ValueError(f"lengths: the probabilities {list(self.lengths)} sum to {sum(self.lengths):.6g}, not 1")
        if self.gap_loss[1] > MAX_GAP_LOSS:
            raise ValueError(f"gap_loss: {self.gap_loss[1]} thresholds are given; at most {MAX_GAP_LOSS} are allowed")
        return self

    @property
    def longest(self) -> int:
        """Most dates that an event or an incident lasts."""
        return max(number for number, probability in enumerate(self.lengths, start=1) if probability > 0)
