"""The discrete actions: each is one tool call with its arguments, or ``report``, or ``submit``.

An action table is derived from the configuration and the view; it encodes, decodes and spells actions.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import GeneratorConfig, ToolCosts, View
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.schema import EntityType
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.tools.arguments import FAMILY_OF_METHOD
from metric_tracker_env.tools.registry import CostClass

FOCUSED = "focused"  # stands for the date in focus
NEXT_FLAGGED = "next_flagged"  # stands for the earliest date that a scan flagged and that was not opened yet
REPORT, SUBMIT = "report", "submit"
# What the actions do that are no tool.
WITHOUT_TOOL = {
    REPORT: "Put a cell that a tool has revealed, and whose detection method confirms it, into the draft.",
    SUBMIT: "Submit the draft, which ends the episode.",
}
OPEN_TOOL, SURVEY_TOOL, EVENTS_TOOL = "rows_for_date", "list_suspicious_dates", "list_known_events"
HOURLY_TOOL = "hourly_rows_for_date"  # which also shows which hours were lost
# What each tool on one date reveals.
REVEALED_TYPES: dict[str, tuple[EntityType, ...]] = {
    OPEN_TOOL: ("event_count", "conversion_rate"),
    HOURLY_TOOL: ("hourly_mix",),
    "detect_funnel_break": ("funnel_step",),
    "check_impossible_counts": ("data_quality",),
}
INSPECT_TOOLS = tuple(name for name in REVEALED_TYPES if name != OPEN_TOOL)
SINGLE_TOOLS: dict[EntityType, str] = {
    "event_count": "compare_count_to_median",
    "conversion_rate": "compare_rate_to_median",
}
SCAN_TOOLS = tuple(FAMILY_OF_METHOD)  # one a family, in the order of ANOMALY_TYPES
SURVEY_MULTIPLIER = 1.0
NEVER_PAID = 1 << 30  # units: more than any budget
ARGUMENT = re.compile(r"(\w+)=('[^']*'|[-+.\w]+)")


class Op(IntEnum):
    """What a step does."""

    ILLEGAL = 0
    DATE = 1  # a tool on one date
    SCAN = 2  # one family over all dates
    SURVEY = 3  # all families over all dates
    REPORT = 4
    SUBMIT = 5
    EVENTS = 6  # what was announced


class Day(IntEnum):
    """Stand-ins for a day index."""

    FOCUSED = -1
    NEXT_FLAGGED = -2


class Action(NamedTuple):
    """A tool call: the tool's name and its arguments."""

    tool: str
    arguments: dict[str, str | float]

    def __str__(self) -> str:
        return f"{self.tool}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"


class ActionTable:
    """All actions of a view, in a fixed order, as columns; A actions, E entities.

    The focus view has one action for each date to open, then ``rows_for_date`` of the next flagged date, the
    further tools and ``report`` on the date in focus; the board view has every tool and every report for each date.
    Both end with the scans, the survey, in a world the known events, and ``submit``. What this configuration gives a
    tool nothing to tell of, such as hours of daily data, costs more than any budget: it is never legal.
    """

    rows: list[tuple[int, int, int, int]]  # (op, day, argument, cost) of each action, as plain numbers
    op: np.ndarray  # (A,) int8 of Op
    day: np.ndarray  # (A,) int64, day index or Day
    argument: np.ndarray  # (A,) int64: DATE row of `reveals`, SCAN and SURVEY which of the scans, REPORT entity
    cost: np.ndarray  # (A,) int64 budget units
    reveals: np.ndarray  # (T, E) bool, cells of a date that a tool on it reveals

    def __init__(self, config: GeneratorConfig, costs: ToolCosts, view: View) -> None:
        self.view: View = view
        self._config = config
        self._actions: list[Action] = []
        self.rows = []
        self._reveals: list[np.ndarray] = []
        self._costs = costs
        catalogue = config.catalogue
        tools = self._date_tools()
        self.reveals = np.array(self._reveals)
        if view == "focus":
            for day in range(config.num_days):
                self._add_date_tool(day, 0, *tools[0])
            self._add_date_tool(Day.NEXT_FLAGGED, 0, *tools[0])
            for row, (name, arguments) in enumerate(tools[1:], start=1):
                self._add_date_tool(Day.FOCUSED, row, name, arguments)
            self.report_start = self._add_reports(Day.FOCUSED)
        else:
            self.report_start = len(tools)
            for day in range(config.num_days):
                for row, (name, arguments) in enumerate(tools):
                    self._add_date_tool(day, row, name, arguments)
                self._add_reports(day)
        self.date_tools = len(tools)
        self.block = len(tools) + catalogue.num_entities  # actions of one date in the board view
        for family, name in enumerate(SCAN_TOOLS):
            for level, multiplier in enumerate(SCAN_MULTIPLIERS):
                scan = family * len(SCAN_MULTIPLIERS) + level
                self._add(Op.SCAN, 0, scan, self._cost(name), name, {"threshold_multiplier": multiplier})
        self._add(Op.SURVEY, 0, len(SCAN_TOOLS) * len(SCAN_MULTIPLIERS), self._cost(SURVEY_TOOL), SURVEY_TOOL, {})
        if TOOLS[EVENTS_TOOL].offered(config):
            self._add(Op.EVENTS, 0, 0, self._cost(EVENTS_TOOL), EVENTS_TOOL, {})
        self._add(Op.SUBMIT, 0, 0, 0, SUBMIT, {})
        op, self.day, self.argument, self.cost = np.array(self.rows, np.int64).T.copy()
        self.op = op.astype(np.int8)

    def _cost(self, tool: str) -> int:
        kind: CostClass = TOOLS[tool].cost
        return getattr(self._costs, kind) if TOOLS[tool].offered(self._config) else NEVER_PAID

    def _date_tools(self) -> list[tuple[str, dict[str, str | float]]]:
        """Tools on one date with their further arguments; fills the rows of ``reveals``."""
        catalogue = self._config.catalogue
        tools: list[tuple[str, dict[str, str | float]]] = []
        for name, kinds in REVEALED_TYPES.items():
            tools.append((name, {}))
            self._reveals.append(np.array([e.entity_type in kinds for e in catalogue.entities]))
        if self.view == "board":
            for entity in catalogue.entities:
                if entity.entity_type in SINGLE_TOOLS:
                    tools.append((SINGLE_TOOLS[entity.entity_type], {"entity_name": entity.entity_name}))
                    self._reveals.append(np.arange(catalogue.num_entities) == entity.index)
        return tools

    def _date_name(self, day: int) -> str:
        if day >= 0:
            return self._config.date_names[day]
        return FOCUSED if day == Day.FOCUSED else NEXT_FLAGGED

    def _add(self, op: Op, day: int, argument: int, cost: int, tool: str, arguments: dict[str, str | float]) -> None:
        self.rows.append((int(op), int(day), argument, cost))
        self._actions.append(Action(tool, arguments))

    def _add_date_tool(self, day: int, row: int, tool: str, arguments: dict[str, str | float]) -> None:
        self._add(Op.DATE, day, row, self._cost(tool), tool, {"date": self._date_name(day), **arguments})

    def _add_reports(self, day: int) -> int:
        first = len(self._actions)
        for entity in self._config.catalogue.entities:
            arguments: dict[str, str | float] = {
                "date": self._date_name(day),
                "entity_type": entity.entity_type,
                "entity_name": entity.entity_name,
            }
            self._add(Op.REPORT, day, entity.index, 0, REPORT, arguments)
        return first

    def __len__(self) -> int:
        return len(self._actions)

    def __repr__(self) -> str:
        return f"ActionTable({self.view!r}, {len(self)} actions)"

    @cached_property
    def _index(self) -> dict[tuple[str, frozenset[tuple[str, str | float]]], int]:
        return {(a.tool, frozenset(a.arguments.items())): i for i, a in enumerate(self._actions)}

    def decode(self, index: int) -> Action:
        """The tool call that an action is.

        In the focus view the date of an action may be ``"focused"`` or ``"next_flagged"``.

        Raises:
            ValueError: if the index is not one of the actions.
        """
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < len(self):
            raise ValueError(f"action {index!r} is not an integer from 0 to {len(self) - 1}")
        action = self._actions[int(index)]
        return Action(action.tool, dict(action.arguments))

    def encode(self, tool: str, **arguments: str | float) -> int:
        """The index of a tool call.

        Raises:
            ValueError: if this view has no such action; names what is allowed.
        """
        plain = isinstance(tool, str) and all(isinstance(value, (str, int, float)) for value in arguments.values())
        found = self._index.get((tool, frozenset(arguments.items()))) if plain else None
        if found is not None:
            return found
        names = sorted({a.tool for a in self._actions})
        if tool not in names:
            raise ValueError(f"tool {tool!r} is not an action of the {self.view} view; allowed: {names}")
        example = next(str(a) for a in self._actions if a.tool == tool)
        raise ValueError(f"{Action(tool, arguments)} is not an action of the {self.view} view; one is {example}")

    def text(self, index: int) -> str:
        """An action as text, ``tool(argument='value')``."""
        return str(self.decode(index))

    def describe(self, index: int) -> str:
        """What an action does, in a sentence: that of its tool's docstring."""
        tool = self.decode(index).tool
        return WITHOUT_TOOL[tool] if tool in WITHOUT_TOOL else TOOLS[tool].description.split("\n\n")[0]

    def parse(self, text: str) -> int:
        """The index of an action given as text.

        Raises:
            ValueError: if the text is not a tool call or not an action of this view.
        """
        match = re.fullmatch(r"\s*(\w+)\((.*)\)\s*", text)
        if match is None or (match[2].strip() and ARGUMENT.sub("", match[2]).strip(" ,")):
            raise ValueError(f"action {text!r} must read like {self.text(0)!r}")
        names = [name for name, _ in ARGUMENT.findall(match[2])]
        if len(set(names)) != len(names):
            raise ValueError(f"action {text!r} gives an argument twice; it must read like {self.text(0)!r}")
        arguments = {
            name: value[1:-1] if value.startswith("'") else _number(value) for name, value in ARGUMENT.findall(match[2])
        }
        return self.encode(match[1], **arguments)


def _number(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
