"""What one episode asks of the generator, and the check that the generator can carry it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from metric_tracker_env.config.base import MAX_SEED, GenerationError, Seed
from metric_tracker_env.config.explicit import AnomalyGenerator, check_generators
from metric_tracker_env.config.generator import GeneratorConfig
from metric_tracker_env.model import ConfigModel
from metric_tracker_env.schema import Density, Difficulty, ScenarioFamily

COUNT_OF_DENSITY: dict[Density, int] = {"low": 3, "medium": 5, "high": 7}


Count = Annotated[StrictInt, Field(ge=0)]


class EpisodeOptions(ConfigModel):
    """What an episode holds; an environment is made with these, and a reset may change them for one episode."""

    scenario_family: ScenarioFamily = Field(default="mixed", description="Family of the incidents; mixed is any.")
    difficulty: Difficulty = Field(default="medium", description="Sizes, thresholds and noise.")
    anomaly_density: Density = Field(default="medium", description="Number of incidents where anomaly_count is None.")
    anomaly_count: Count | tuple[Count, Count] | None = Field(
        default=3,
        description="Incidents: a number, a (low, high) range, or None = by density (low 3, medium 5, high 7); 0 is a "
        "quiet episode; at most one a candidate date, and fewer than half of all dates.",
    )
    anomaly_generators: tuple[AnomalyGenerator, ...] = Field(
        default=(), description="Explicit anomalies, instead of drawn ones."
    )

    @field_validator("anomaly_count", mode="before")
    @classmethod
    def _read_count(cls, value: object) -> object:
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
        if value is not None and not (whole and len(numbers) == (2 if isinstance(value, (list, tuple)) else 1)):
            raise ValueError(f"{value!r} given; it must be a whole number from 0, a (low, high) pair of them, or None")
        return value

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        low, high = self.count_range
        if low > high:
            raise ValueError(f"anomaly_count: the range ({low}, {high}) must not fall; give (low, high)")
        usual = type(self).model_fields["anomaly_density"].default
        if self.anomaly_count is not None and self.anomaly_density != usual:
            raise ValueError(
                f"anomaly_density: {self.anomaly_density!r} does nothing beside anomaly_count {self.anomaly_count}; "
                "set anomaly_count to None, or leave it out"
            )
        return self

    @property
    def count_range(self) -> tuple[int, int]:
        """Fewest and most incidents of an episode."""
        if self.anomaly_count is None:
            return COUNT_OF_DENSITY[self.anomaly_density], COUNT_OF_DENSITY[self.anomaly_density]
        if isinstance(self.anomaly_count, int):
            return self.anomaly_count, self.anomaly_count
        return self.anomaly_count


class EpisodeConfig(EpisodeOptions):
    """What one episode asks of the generator, and the episode's name: the same again makes the same episode again."""

    seed: Seed = Field(default=0, description="Of a stream of episodes, as given to reset.")
    number: StrictInt = Field(
        default=0, ge=0, le=MAX_SEED, description="Which episode of the stream; 0 is what reset(seed) plays."
    )


def check_fits(generator: GeneratorConfig, episode: EpisodeConfig) -> None:
    """Refuse more incidents than the calendar can hold, and explicit generators that no data could carry.

    Raises:
        GenerationError: naming the count and the most that fits, or the unknown metric or date.
    """
    if episode.anomaly_generators:
        check_generators(generator, episode.anomaly_generators)
        return
    _, high = episode.count_range
    if high > generator.max_incidents:
        raise GenerationError(
            f"anomaly_count: {high} incidents do not fit in {generator.num_days} days; "
            f"at most {generator.max_incidents} do (one a date, fewer than half of all days"
            f"{'' if generator.world is None else f'; in a world each may last {generator.world.longest} dates'})"
        )
