"""What calls of tools tell: which cells each reveals, and which calls told nothing that was not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.play.actions import (
    EVENTS_TOOL,
    OPEN_TOOL,
    REVEALED_TYPES,
    SCAN_TOOLS,
    SINGLE_TOOLS,
    SURVEY_MULTIPLIER,
    SURVEY_TOOL,
)
from metric_tracker_env.schema import EntityType
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.tools.arguments import names_of


class Evidence:
    """What the paid calls of an episode have told, whichever door they came through.

    Attributes:
        shown: (D, E) bool, cells whose values were told.
        wasted: Units of calls that told nothing new: all their cells had been shown, or their question answered.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config
        self.shown = np.zeros((config.num_days, config.catalogue.num_entities), bool)
        self.wasted = 0
        self._answered: set[tuple[object, ...]] = set()

    def take(self, tool: str, arguments: Mapping[str, Any], units: int) -> None:
        """Take in a call that was carried out."""
        cells = revealed_by(tool, arguments, self._config)
        if cells is None:
            asked = self._questions(tool, arguments)
            new, self._answered = not asked <= self._answered, self._answered | asked
        else:
            new, self.shown = bool((cells & ~self.shown).any()), self.shown | cells
        self.wasted += 0 if new else units

    def _questions(self, tool: str, arguments: Mapping[str, Any]) -> set[tuple[object, ...]]:
        """What a call over all dates asks, so that what a survey answers need not be asked of a scan."""
        if tool == SURVEY_TOOL:
            return {(name, SURVEY_MULTIPLIER) for name in SCAN_TOOLS}
        if tool in SCAN_TOOLS:  # whichever metrics it names, see ``tools.scans``
            return {(tool, float(arguments.get("threshold_multiplier", 1.0)))}
        if "metric_names" in TOOLS[tool].parameters:
            every = names_of("metric", self._config)
            one, several = arguments.get("metric_name"), arguments.get("metric_names")
            return {(tool, name) for name in ((one,) if one is not None else several or every)}
        return {(tool,)}


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
