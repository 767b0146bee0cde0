"""What a sample's episode has come to: kept in the sample's store, and so in the log, for the scorer to read."""

# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Literal, Self

from inspect_ai.util import Store
from pydantic import Field

from metric_tracker_env.schema import StrictModel
from metric_tracker_env.scoring import Grade
from metric_tracker_env.session import PlayedEpisode, Standing

Finish = Literal["submitted", "calls_spent", "no_call", "context"]
PLACE = "investigation"  # in the store


class Outcome(StrictModel):
    """How an episode stands, or how it ended."""

    finish: Finish | None = Field(description="None while it is under way, and where a limit of Inspect ended it.")
    reward: float
    cost: int = Field(description="Units spent.")
    calls: int = Field(description="Of any kind, refused ones too.")
    grade: Grade | None = Field(description="Once the episode has come to its end.")
    episode: PlayedEpisode | None = Field(description="Likewise.")

    @classmethod
    def of(cls, standing: Standing, finish: Finish | None = None) -> Self:
        """Of a session."""
        return cls(
            finish=finish,
            reward=standing.reward,
            cost=standing.cost,
            calls=standing.steps,
            grade=standing.grade,
            episode=standing.episode,
        )

    @classmethod
    def read(cls, store: Store) -> Self:
        """The one that a store holds.

        Raises:
            ValueError: if it holds none, as that of a sample which another task has played.
        """
        held = store.get(PLACE)
        if held is None:
            raise ValueError(f"the sample's store has no {PLACE!r}: no episode was begun in it")
        return cls.model_validate(held)

    def write(self, store: Store) -> None:
        """Put it into a store."""
        store.set(PLACE, self.model_dump(mode="json"))
