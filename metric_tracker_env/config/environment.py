"""What an environment is made with: the episodes, the view, the reward and the budget."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, StrictInt, model_validator

from metric_tracker_env.config.base import StepCost
from metric_tracker_env.config.episode import EpisodeConfig, EpisodeOptions, check_fits
from metric_tracker_env.config.generator import GeneratorConfig
from metric_tracker_env.model import ConfigModel

View = Literal["focus", "board"]
Reward = Literal["terminal", "dense"]


class ToolCosts(ConfigModel):
    """Budget units that a tool call of each class costs."""

    free: StrictInt = Field(default=0, ge=0, le=0, description="Calendar, names, rows of shown cells: always free.")
    open: StrictInt = Field(default=1, ge=1, le=1000, description="Open a date; of raw data, each date.")
    inspect: StrictInt = Field(default=1, ge=1, le=1000, description="A further tool on one date or one metric.")
    scan: StrictInt = Field(default=1, ge=1, le=1000, description="One family over all dates.")
    survey: StrictInt = Field(default=4, ge=1, le=1000, description="All families over all dates.")
    calendar: StrictInt = Field(default=2, ge=1, le=1000, description="What was announced, in the realistic world.")


class EnvConfig(EpisodeOptions):
    """Everything that ``gymnasium.make`` accepts: the episodes, the view, the reward and the budget."""

    generator: GeneratorConfig = Field(default=GeneratorConfig(), description="Funnel, calendar and clean traffic.")
    view: View = Field(default="focus", description="One date at a time, or all dates at once.")
    reward: Reward = Field(default="terminal", description="The score at the end, or its change at each report.")
    budget: StrictInt = Field(default=16, ge=1, le=100_000, description="Units to spend on tools in an episode.")
    costs: ToolCosts = Field(default=ToolCosts(), description="Units that tools cost.")
    step_cost: StepCost = Field(default=0.005, description="Reward lost per unit spent.")
    step_limit: StrictInt = Field(default=48, ge=1, le=1_000_000, description="The draft is submitted at this step.")

    @model_validator(mode="after")
    def _check_fits(self) -> Self:
        check_fits(self.generator, self.episode_config())
        return self

    def episode_config(self, **changes: Any) -> EpisodeConfig:
        """The generator's request for one episode of this environment, seed 0, with ``changes`` on top."""
        options = {name: getattr(self, name) for name in EpisodeOptions.model_fields}
        return EpisodeConfig(**{**options, **changes})
