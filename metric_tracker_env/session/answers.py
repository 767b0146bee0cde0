"""What a session tells: the answer to a call, where the play stands, and at the end which episode it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field

from metric_tracker_env.config import EpisodeConfig, EpisodeOptions, Seed
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.scoring import Grade
from metric_tracker_env.seal import Seal


class Answer(NamedTuple):
    """The answer to a call."""

    text: str  # compact JSON, as a model is sent it
    told: Mapping[str, Any]  # the same as data
    reward: float = 0.0  # what the call paid

    @classmethod
    def of(cls, told: Mapping[str, Any], reward: float = 0.0) -> Answer:
        """The answer that tells this."""
        return cls(json.dumps(told, separators=(",", ":"), allow_nan=False), told, reward)

    @property
    def ok(self) -> bool:
        """Whether the call was carried out."""
        return self.told["ok"]

    @property
    def error(self) -> str | None:
        """Why it was not, and what is allowed."""
        return self.told.get("error")

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What the tool found."""
        return self.told.get("result")

    @property
    def cost(self) -> int:
        """Units spent on it."""
        return self.told.get("cost", 0)

    @property
    def done(self) -> bool:
        """Whether the episode is over."""
        return self.told.get("done", False)


NOT_BEGUN = Answer.of({"ok": False, "error": "no episode is under way; reset begins one"})
OVER = Answer.of({"ok": False, "error": "the episode is over", "done": True})


class PlayedEpisode(StrictModel):
    """Which episode was played: with the same generator it is made again from this.

    ``Session.begin(seed=seed)`` plays episode 0 of the seed and ``begin()`` the next one; the options go with the
    ``begin`` of the episode itself. ``MetricDataGenerator.generate_episode`` takes the same as an ``EpisodeConfig``.
    """

    seed: Seed
    number: int = Field(ge=0, description="Of the episode in the stream that the seed starts, from 0.")
    options: EpisodeOptions
    seal: str | None = Field(default=None, description="Hash of the seal, of a sealed episode.")

    @classmethod
    def of(cls, config: EpisodeConfig, seal: Seal | None = None) -> PlayedEpisode:
        """The episode that a configuration names."""
        options = EpisodeOptions(**{name: getattr(config, name) for name in EpisodeOptions.model_fields})
        return cls(seed=config.seed, number=config.number, options=options, seal=None if seal is None else seal.hash)

    def told(self) -> dict[str, Any]:
        """As JSON; a public episode says nothing of a seal."""
        return self.model_dump(mode="json", exclude={"seal"} if self.seal is None else None)


class Standing(NamedTuple):
    """Where the play stands."""

    begun: bool
    done: bool
    reward: float  # so far: at the end the score, less ``step_cost`` for each unit spent
    budget_left: int  # units
    cost: int  # units spent
    tool_calls: int  # that cost something, refused ones left out, as the discrete environment counts them
    steps: int  # calls of any kind
    calls_left: int
    wasted: int = 0  # units of calls that told nothing new
    grade: Grade | None = None  # once the episode is over
    episode: PlayedEpisode | None = None  # once the episode is over, in a session that names its episodes
