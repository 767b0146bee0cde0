"""An environment in which an agent does a product analyst's work: find anomalies in funnel metrics."""

from __future__ import annotations

import gymnasium as _gymnasium

from metric_tracker_env.config import (
    EnvConfig,
    EpisodeConfig,
    FunnelStep,
    GeneratorConfig,
    SyntheticAnomalyGenerator,
    ToolCosts,
    load_config,
)
from metric_tracker_env.env import MetricTrackerEnv
from metric_tracker_env.investigation import Investigation
from metric_tracker_env.schema import (
    ALL_SCENARIO_FAMILIES,
    DIFFICULTIES,
    ConversionMetricDefinition,
    MethodSpec,
    MetricRecord,
    MetricSubmissionRow,
    PlannedAnomaly,
    SyntheticGeneratorApplication,
)
from metric_tracker_env.scoring import Grade, ScoringConfig, score_submission
from metric_tracker_env.seal import Seal
from metric_tracker_env.session import Session
from metric_tracker_env.tasks import TASKS, Task, find_task, get_task, register_task
from metric_tracker_env.tools import (
    SharedAnalysisToolkit,
    available_analysis_methods,
    available_payload_generation_methods,
)
from metric_tracker_env.vector_env import MetricTrackerVectorEnv
from metric_tracker_env.world.episode import EpisodeData, MetricDataGenerator
from metric_tracker_env.world.explicit import available_synthetic_generator_methods

__version__ = "0.2.0"

ENV_ID = "MetricTracker-v0"

_default = GeneratorConfig().catalogue
COUNT_METRICS: tuple[str, ...] = _default.count_metrics
FUNNEL_STEPS: tuple[tuple[str, str], ...] = _default.funnel_steps

__all__ = [
    "ALL_SCENARIO_FAMILIES",
    "COUNT_METRICS",
    "DIFFICULTIES",
    "ENV_ID",
    "FUNNEL_STEPS",
    "TASKS",
    "ConversionMetricDefinition",
    "EnvConfig",
    "EpisodeConfig",
    "EpisodeData",
    "FunnelStep",
    "GeneratorConfig",
    "Grade",
    "Investigation",
    "MethodSpec",
    "MetricDataGenerator",
    "MetricRecord",
    "MetricSubmissionRow",
    "MetricTrackerEnv",
    "MetricTrackerVectorEnv",
    "PlannedAnomaly",
    "ScoringConfig",
    "Seal",
    "Session",
    "SharedAnalysisToolkit",
    "SyntheticAnomalyGenerator",
    "SyntheticGeneratorApplication",
    "Task",
    "ToolCosts",
    "available_analysis_methods",
    "available_payload_generation_methods",
    "available_synthetic_generator_methods",
    "find_task",
    "get_task",
    "load_config",
    "register_task",
    "score_submission",
]

if ENV_ID not in _gymnasium.registry:
    # No max_episode_steps: an episode ends at the option step_limit, where its draft is submitted; a limit of the spec
    # would cut off those with a longer one, and call the ends of the others truncated.
    _gymnasium.register(
        id=ENV_ID,
        entry_point="metric_tracker_env.env:MetricTrackerEnv",
        vector_entry_point="metric_tracker_env.vector_env:MetricTrackerVectorEnv",
    )
