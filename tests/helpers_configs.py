"""Configurations of every kind, and what is said of one that is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from metric_tracker_env import EnvConfig, EpisodeConfig, FunnelStep, GeneratorConfig, ScoringConfig, Task, ToolCosts
from metric_tracker_env.config import METHODS, ConfigModel, RateNoise
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import ConversionMetricDefinition

AMOUNTS = {"metric_stddev_shift": 3.0, "funnel_break": 0.5, "hourly_mix_shift": 0.05, "impossible_counts": 0.1}
EXPLICIT = [METHODS[name].model_validate({METHODS[name].parameter: amount}) for name, amount in AMOUNTS.items()]
CONFIGS: list[ConfigModel] = [
    EnvConfig(),
    EpisodeConfig(),
    GeneratorConfig(),
    FunnelStep(name="sales", rate=0.5),
    ConversionMetricDefinition(name="x_to_y", numerator="y", denominator="x"),
    RateNoise(),
    ToolCosts(),
    ScoringConfig(),
    Task(name="mine", config=EnvConfig()),
    *EXPLICIT,
]
Configs = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)


def fault_of(model: type[BaseModel], data: Any) -> str:
    """The one fault of data that is refused, in one line."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    assert caught.value.error_count() == 1, caught.value
    return in_one_line(caught.value)


def funnel(*names: str, **fields: Any) -> GeneratorConfig:
    steps = tuple(FunnelStep(name=name, rate=0.5) for name in names[1:])
    return GeneratorConfig(entry_step=names[0], steps=steps, **fields)


def used(config: GeneratorConfig) -> GeneratorConfig:
    """A config whose cached values have been worked out."""
    assert config.catalogue.num_entities > 0
    assert len(config.date_names) == config.num_days
    return config
