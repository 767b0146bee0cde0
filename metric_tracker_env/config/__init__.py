"""Configuration: every default is written once, here; unknown keys and bad values are refused."""

from __future__ import annotations

from metric_tracker_env.config.base import (
    MAX_SEED,
    GenerationError,
    Name,
    Positive,
    Real,
    Seed,
    StepCost,
    UnknownOptionError,
    check_seed,
    checked_seeds,
    unknown_option,
)
from metric_tracker_env.config.environment import EnvConfig, Reward, ToolCosts, View
from metric_tracker_env.config.episode import COUNT_OF_DENSITY, EpisodeConfig, EpisodeOptions, check_fits
from metric_tracker_env.config.explicit import (
    METHODS,
    AnomalyGenerator,
    ExplicitAnomaly,
    FunnelBreakGenerator,
    HourlyMixShiftGenerator,
    ImpossibleCountsGenerator,
    SyntheticAnomalyGenerator,
    TargetAnomaly,
)
from metric_tracker_env.config.generator import (
    FIRST_CANDIDATE_DAY,
    LAST_CLEAN_DAYS,
    MAX_DAILY_COUNT,
    MAX_WEEKS,
    FunnelStep,
    GeneratorConfig,
    RateNoise,
)
from metric_tracker_env.config.load import load_config
from metric_tracker_env.config.world import WorldConfig
from metric_tracker_env.model import ConfigModel

__all__ = [
    "COUNT_OF_DENSITY",
    "FIRST_CANDIDATE_DAY",
    "LAST_CLEAN_DAYS",
    "MAX_DAILY_COUNT",
    "MAX_SEED",
    "MAX_WEEKS",
    "METHODS",
    "AnomalyGenerator",
    "ConfigModel",
    "EnvConfig",
    "EpisodeConfig",
    "EpisodeOptions",
    "ExplicitAnomaly",
    "FunnelBreakGenerator",
    "FunnelStep",
    "GenerationError",
    "GeneratorConfig",
    "HourlyMixShiftGenerator",
    "ImpossibleCountsGenerator",
    "Name",
    "Positive",
    "RateNoise",
    "Real",
    "Reward",
    "Seed",
    "StepCost",
    "SyntheticAnomalyGenerator",
    "TargetAnomaly",
    "ToolCosts",
    "UnknownOptionError",
    "View",
    "WorldConfig",
    "check_fits",
    "check_seed",
    "checked_seeds",
    "load_config",
    "unknown_option",
]
