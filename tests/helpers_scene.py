"""What the tests of pictures share."""

from __future__ import annotations

import numpy as np

from metric_tracker_env import EnvConfig
from metric_tracker_env.play.state import Progress
from metric_tracker_env.schema import ANOMALY_TYPES


def nothing_done(config: EnvConfig, informed: bool = False) -> Progress:
    """The beginning of an episode, its known events listed or not."""
    days, entities = config.generator.num_days, config.generator.catalogue.num_entities
    return Progress(
        revealed=np.zeros((days, entities), bool),
        reported=np.zeros((days, entities), bool),
        opened=np.zeros(days, bool),
        known=np.zeros((len(ANOMALY_TYPES), days), np.int8),
        informed=informed,
        focus=-1,
        budget=config.budget,
        steps=0,
        tool_calls=0,
    )
