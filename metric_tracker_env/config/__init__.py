"""Configuration: every default is written once, here; unknown keys and bad values are refused."""

from __future__ import annotations

from metric_tracker_env.config.base import MAX_SEED, ConfigModel, Name, Positive, Real, Seed, StepCost
from metric_tracker_env.config.environment import EnvConfig, Reward, ToolCosts, View
from metric_tracker_env.config.episode import (
    COUNT_OF_DENSITY,
    EpisodeConfig,
    EpisodeOptions,
    GenerationError,
    SyntheticAnomalyGenerator,
    check_fits,
)
from metric_tracker_env.config.generator import (
    FIRST_CANDIDATE_DAY,
    LAST_CLEAN_DAYS,
    MAX_DAILY_COUNT,
    FunnelStep,
    GeneratorConfig,
    RateNoise,
)
from metric_tracker_env.config.load import load_config
from metric_tracker_env.config.world import WorldConfig

__all__ = [
    "COUNT_OF_DENSITY",
    "FIRST_CANDIDATE_DAY",
    "LAST_CLEAN_DAYS",
    "MAX_DAILY_COUNT",
    "MAX_SEED",
    "ConfigModel",
    "EnvConfig",
    "EpisodeConfig",
    "EpisodeOptions",
    "FunnelStep",
    "GenerationError",
    "GeneratorConfig",
    "Name",
    "Positive",
    "RateNoise",
    "Real",
    "Reward",
    "Seed",
    "StepCost",
    "SyntheticAnomalyGenerator",
    "ToolCosts",
    "View",
    "WorldConfig",
    "check_fits",
    "load_config",
]
