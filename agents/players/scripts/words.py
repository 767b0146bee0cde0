"""The analyst in words: the same script, at a desk that calls tools by name and reads their JSON, through any door.

It is what a good language model would do: survey, learn what was announced, open the dates that promise most, inspect
what asks for it, name the roots by its rule, and submit their rows as the tools gave them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np

from metric_tracker_env.config import EnvConfig, GeneratorConfig
from metric_tracker_env.measure import anomaly_type
from metric_tracker_env.play.actions import EVENTS_TOOL, OPEN_TOOL, REPORT, SUBMIT, SURVEY_TOOL
from metric_tracker_env.schema import ANOMALY_TYPES, Difficulty, MetricSubmissionRow
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.world.announced import Announcements

from .calendar_analyst import analyst_at
from .desk import Desk

Call = tuple[str, dict[str, Any]]
Answer = Mapping[str, Any]
ROW_FIELDS = tuple(MetricSubmissionRow.model_fields)
ALL_DATES = 366
LISTS = ("counts", "rates", "steps", "pairs")  # of cells, in the results of the tools on one date


class WordsDesk(Desk):
    """A desk whose actions are calls of tools, and that shows what the answers told."""

    def __init__(self, config: GeneratorConfig, difficulty: Difficulty) -> None:
        self.config = EnvConfig(generator=config, difficulty=difficulty, anomaly_count=0)
        self.catalogue, self.days = config.catalogue, config.num_days
        self.in_world = config.world is not None
        self.rows: list[dict[str, Any]] = []  # the draft
        self._calls: list[Call] = []
        self._numbers: dict[str, int] = {}
        self.budget = 0  # units left
        cells = (self.days, self.catalogue.num_entities)
        self._cells: dict[tuple[int, int], Mapping[str, Any]] = {}
        self._deviation = np.zeros(cells)
        self._season, self._missing = np.zeros(self.days), np.zeros(self.days)
        self._flags, self._families = np.zeros((2, len(ANOMALY_TYPES), self.days))
        self._expected = np.zeros(cells)
        self.survey, self.submit = self._number(SURVEY_TOOL, limit=ALL_DATES), self._number(SUBMIT)
        self.events = self._number(EVENTS_TOOL) if self.in_world else None

    def _number(self, tool: str, **arguments: Any) -> int:
        """The action that a call is."""
        key = json.dumps([tool, arguments])
        if key not in self._numbers:
            self._numbers[key] = len(self._calls)
            self._calls.append((tool, arguments))
        return self._numbers[key]

    def call(self, action: int) -> Call:
        """The call that an action is."""
        return self._calls[action]

    def read(self, action: int, answer: Answer) -> None:
        """Take in the answer to a call."""
        self.budget = answer["budget_left"]
        if not answer["ok"]:
            return
        tool, arguments = self._calls[action]
        result = from_tables(answer["result"])
        if tool == SURVEY_TOOL:
            for item in result["dates"]:
                day = self._day(item["date"])
                self._flags[[ANOMALY_TYPES.index(name) for name in item["anomaly_types"]], day] = 1.0
        elif tool == EVENTS_TOOL:
            self._read_events(result["events"])
        else:
            self._read_date(self._day(arguments["date"]), result)

    def _read_events(self, events: list[Mapping[str, Any]]) -> None:
        """What was announced."""
        entities = [self.catalogue.index[event["entity_type"], event["entity_name"]] for event in events]
        changes = np.array([event["expected_change"] for event in events])
        told = Announcements(self.config.generator, self.config.difficulty).ratios(
            np.array(entities, np.int64), changes
        )
        for event, expected in zip(events, told.T, strict=True):
            days = slice(self._day(event["first_date"]), self._day(event["last_date"]) + 1)
            self._expected[days] = expected
            family = anomaly_type(event["entity_type"], event["expected_change"])
            self._families[ANOMALY_TYPES.index(family), days] = 1.0

    def _read_date(self, day: int, result: Mapping[str, Any]) -> None:
        """The result of a tool on a date."""
        for cell in cells_told(result):
            entity = self.catalogue.index[cell["entity_type"], cell["entity_name"]]
            self._cells[day, entity] = cell
            self._deviation[day, entity] = cell["ratio"]
        self._missing[day] = result.get("lost_share", self._missing[day])
        if "seasonal" in result:
            self._season[day] = result["seasonal"]["ratio"]

    def note(self, action: int) -> None:
        """Put the row that an action reports into the draft."""
        named = self._calls[action][1]
        cell = self._cells[self._day(named["date"]), self.catalogue.index[named["entity_type"], named["entity_name"]]]
        self.rows.append({field: cell[field] for field in ROW_FIELDS})

    def _day(self, date: str) -> int:
        return self.config.generator.day_index(date)

    def may(self, action: int) -> bool:
        """Whether a call may be paid for, or the row is confirmed and not in the draft."""
        tool, arguments = self._calls[action]
        if tool != REPORT:
            return self.budget > 0
        cell = (self._day(arguments["date"]), self.catalogue.index[arguments["entity_type"], arguments["entity_name"]])
        return bool(self.confirmed(cell[0])[cell[1]])

    def open(self, day: int) -> int:
        """The call that opens a date."""
        return self._number(OPEN_TOOL, date=self.config.generator.date_names[day])

    def inspect(self, tool: str, day: int) -> int:
        """The call of a further tool on a date."""
        return self._number(tool, date=self.config.generator.date_names[day])

    def report(self, day: int, entity: int) -> int:
        """The action that puts a row into the draft."""
        described, date = self.entities[entity], self.config.generator.date_names[day]
        return self._number(REPORT, date=date, entity_type=described.entity_type, entity_name=described.entity_name)

    def flags(self) -> np.ndarray:
        """(7, D): 1 where the survey flagged the date."""
        return self._flags

    def revealed(self, day: int) -> np.ndarray:
        """(E,) bool: cells of a date that a tool has told."""
        return np.array([(day, entity) in self._cells for entity in range(len(self.entities))])

    def deviation(self, day: int) -> np.ndarray:
        """(E,) signed deviation / threshold of the cells that were told, 0 else."""
        return self._deviation[day]

    def season(self, day: int) -> float:
        """Deviation / threshold of the first step from weekday and trend on an opened date."""
        return float(self._season[day])

    def announced_families(self) -> np.ndarray:
        """(7, D) bool: families of the events that were announced for each date."""
        return self._families > 0

    def announced(self, day: int) -> np.ndarray:
        """(E,) deviations / threshold that the announcement for a date lets one expect."""
        return self._expected[day]

    def missing(self, day: int) -> float:
        """Share of usual traffic in the lost hours of a date."""
        return float(self._missing[day])

    def confirmed(self, day: int) -> np.ndarray:
        """(E,) bool: cells of a date that a tool has confirmed and that are not in the draft."""
        drafted = {(row["date"], row["entity_type"], row["entity_name"]) for row in self.rows}
        date = self.config.generator.date_names[day]
        found = [self._cells.get((day, entity)) for entity in range(len(self.entities))]
        return np.array(
            [
                cell is not None and cell["is_anomaly"] and (date, item.entity_type, item.entity_name) not in drafted
                for item, cell in zip(self.entities, found, strict=True)
            ]
        )


def cells_told(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The cells in the result of a tool on one date, of a tool on one cell, or in none."""
    single = [result["daytime_share"]] if "daytime_share" in result else []
    own = [result] if {"entity_name", "ratio"} <= result.keys() else []
    return [*(cell for name in LISTS for cell in result.get(name, ())), *single, *own]


def investigate(config: GeneratorConfig) -> Generator[Call, Answer, None]:
    """The calls of one episode: yields (tool, arguments) and is sent each answer, decoded."""
    overview = yield "task_overview", {}
    desk = WordsDesk(config, overview["result"]["difficulty"])
    desk.budget = overview["budget_left"]
    for action in analyst_at(desk).play():
        tool, arguments = desk.call(action)
        if tool == REPORT:
            desk.note(action)
        else:
            answer = yield tool, arguments
            if answer.get("done"):  # no call is left
                return
            desk.read(action, answer)
    yield SUBMIT, {"rows": desk.rows}


def converse(script: Generator[Call, Answer, None], call: Callable[[str, dict[str, Any]], str]) -> list[Answer]:
    """Play a script through a door that takes a tool's name and arguments and answers with JSON text.

    Returns:
        The answers, decoded; the last is the one to ``submit``.
    """
    answers: list[Answer] = []
    asked = next(script, None)
    while asked is not None:
        answers.append(json.loads(call(*asked)))
        try:
            asked = script.send(answers[-1])
        except StopIteration:
            asked = None
    return answers
