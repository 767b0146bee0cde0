"""An analyst's desk: actions by what they do and the observation by what it shows, the same for both views."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from metric_tracker_env import MetricTrackerEnv
from metric_tracker_env.play.actions import (
    EVENTS_TOOL,
    FOCUSED,
    HOURLY_TOOL,
    INSPECT_TOOLS,
    OPEN_TOOL,
    REPORT,
    SUBMIT,
    SURVEY_TOOL,
)
from metric_tracker_env.schema import Entity, EntityType

FUNNEL_TOOL, QUALITY_TOOL = "detect_funnel_break", "check_impossible_counts"
TOOL_OF_TYPE: dict[EntityType, str] = {
    "event_count": OPEN_TOOL,
    "conversion_rate": OPEN_TOOL,
    "funnel_step": FUNNEL_TOOL,
    "hourly_mix": HOURLY_TOOL,
    "data_quality": QUALITY_TOOL,
}
WORLD_PARTS = ("announced", "announced_flags", "missing")
COUNT_FAMILIES = (2, 3)  # positions in ANOMALY_TYPES: drop, spike
FUNNEL_FAMILY, MIX_FAMILY, QUALITY_FAMILY = 4, 5, 6
TOOL_OF_FAMILY = {QUALITY_FAMILY: QUALITY_TOOL, MIX_FAMILY: HOURLY_TOOL, FUNNEL_FAMILY: FUNNEL_TOOL}


class Desk:
    """The actions and the latest observation of one environment; D days, E entities."""

    def __init__(self, env: gym.Env[np.ndarray, Any]) -> None:
        game = env.unwrapped
        if not isinstance(game, MetricTrackerEnv):
            raise TypeError(f"env is a {type(game).__name__}; the scripted agents play MetricTrackerEnv")
        self.config = game.config
        self.catalogue = game.config.generator.catalogue
        self.days = game.config.generator.num_days
        self._focus = game.config.view == "focus"
        layout = game.observation_layout
        self.in_world = game.config.generator.world is not None
        names = ("revealed", "deviation", "season", "flags", *(WORLD_PARTS if self.in_world else ()))
        self._places = {name: layout.parts[name].places for name in names}
        self._observation = np.zeros(layout.size, np.float32)
        self._mask = np.zeros(len(game.actions), np.int8)
        encode = game.actions.encode
        dates = game.config.generator.date_names
        self.survey, self.submit = encode(SURVEY_TOOL), encode(SUBMIT)
        self.events = encode(EVENTS_TOOL) if self.in_world else None
        self._open = [encode(OPEN_TOOL, date=date) for date in dates]
        named = [FOCUSED] * self.days if self._focus else dates
        self._inspect = {tool: [encode(tool, date=date) for date in named] for tool in INSPECT_TOOLS}
        self._report = [
            [encode(REPORT, date=date, entity_type=e.entity_type, entity_name=e.entity_name) for e in self.entities]
            for date in (named[:1] if self._focus else named)
        ]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The entities of a date."""
        return self.catalogue.entities

    def look(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        """Take in what the environment shows now."""
        self._observation, self._mask = observation, info["action_mask"]

    def may(self, action: int) -> bool:
        """Whether an action is legal now."""
        return bool(self._mask[action])

    def open(self, day: int) -> int:
        """The action that opens a date, which puts it in focus in the focus view."""
        return self._open[day]

    def inspect(self, tool: str, day: int) -> int:
        """The action of a further tool on a date; in the focus view it must be in focus."""
        return self._inspect[tool][day]

    def report(self, day: int, entity: int) -> int:
        """The action that reports a cell; in the focus view its date must be in focus."""
        return self._report[0 if self._focus else day][entity]

    def flags(self) -> np.ndarray:
        """(7, D) float32: largest multiplier at which a scan flagged each date, families as in ``ANOMALY_TYPES``."""
        return self._observation[self._places["flags"]].T

    def revealed(self, day: int) -> np.ndarray:
        """(E,) bool: cells of a date (the one in focus) that a tool has revealed."""
        return self._of_date("revealed", day) > 0

    def deviation(self, day: int) -> np.ndarray:
        """(E,) float32: signed deviation / threshold of the revealed cells of a date (the one in focus), 0 else."""
        return self._of_date("deviation", day)

    def season(self, day: int) -> float:
        """Deviation / threshold of the first step from weekday and trend on a date (the one in focus)."""
        return float(self._of_date("season", day).item())

    def announced_families(self) -> np.ndarray:
        """(7, D) bool: families of the events that were announced for each date; in a world, once they were listed."""
        return self._observation[self._places["announced_flags"]].T > 0

    def announced(self, day: int) -> np.ndarray:
        """(E,) float32: deviations / threshold that the announcement for a date (the one in focus) lets one expect."""
        return self._of_date("announced", day)

    def missing(self, day: int) -> float:
        """Share of usual traffic in the lost hours of a date (the one in focus), 0 before its hours were looked at."""
        return float(self._of_date("missing", day).item())

    def confirmed(self, day: int) -> np.ndarray:
        """(E,) bool: cells of a date (the one in focus) that may be reported now."""
        return self._mask[self._report[0 if self._focus else day]] > 0

    def _of_date(self, name: str, day: int) -> np.ndarray:
        places = self._places[name]
        return self._observation[places if self._focus else places[day]]
