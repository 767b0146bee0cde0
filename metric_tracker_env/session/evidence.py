"""Which cells a call of a tool reveals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.play.actions import EVENTS_TOOL, OPEN_TOOL, REVEALED_TYPES, SINGLE_TOOLS
from metric_tracker_env.schema import EntityType
from metric_tracker_env.tools import TOOLS


def revealed_by(tool: str, arguments: Mapping[str, Any], config: GeneratorConfig) -> np.ndarray | None:
    """(D, E) bool: the cells that a call reveals; None for a tool that shows no cell's value."""
    entities, days = config.catalogue.entities, config.num_days
    cells = np.zeros((days, len(entities)), bool)
    if tool in REVEALED_TYPES:
        cells[config.day_index(arguments["date"])] = _of_types(REVEALED_TYPES[tool], config)
    elif tool in SINGLE_TOOLS.values():
        kind = next(kind for kind, name in SINGLE_TOOLS.items() if name == tool)
        entity = config.catalogue.entity(kind, arguments["entity_name"])
        cells[config.day_index(arguments["date"]), entity.index] = True
    elif (dates := TOOLS[tool].dates_argument) is not None:
        number = arguments.get(dates, TOOLS[tool].arguments.model_fields[dates].default)
        cells[max(days - number, 0) :] = _of_types(REVEALED_TYPES[OPEN_TOOL], config)
    else:
        return None
    return cells


def informs(tool: str) -> bool:
    """Whether a call lists the known events."""
    return tool == EVENTS_TOOL


def _of_types(kinds: Sequence[EntityType], config: GeneratorConfig) -> np.ndarray:
    """(E,) bool: the entities of some types."""
    return np.array([entity.entity_type in kinds for entity in config.catalogue.entities])
