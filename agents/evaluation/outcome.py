"""What became of each row: expected rows that were matched or missed, and extra ones, by family and by entity."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple, Self

import numpy as np
from pydantic import StrictInt, model_validator

from agents.evaluation.intervals import Interval, wilson
from metric_tracker_env import EpisodeData, MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.play.actions import Day, Op
from metric_tracker_env.schema import ANOMALY_TYPES, Catalogue, StrictModel


class Fate(IntEnum):
    """What became of a row."""

    MISSED = 0  # expected, not submitted
    MATCHED = 1  # expected and submitted
    EXTRA = 2  # submitted, not expected


class Row(NamedTuple):
    """A row of an episode."""

    day: int
    entity: int  # index in the catalogue
    family: int  # index in ANOMALY_TYPES, of what the data show in the cell
    fate: Fate


class Rows(StrictModel):
    """Rows of many episodes, as columns; by episode, then by date."""

    episode: tuple[StrictInt, ...] = ()  # index in ``Episodes``
    day: tuple[StrictInt, ...] = ()
    entity: tuple[StrictInt, ...] = ()
    family: tuple[StrictInt, ...] = ()
    fate: tuple[StrictInt, ...] = ()

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        lengths = {name: len(getattr(self, name)) for name in type(self).model_fields}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"rows: the columns must be of one length, not {lengths}")
        return self

    @classmethod
    def of(cls, episodes: Iterable[Iterable[Row]]) -> Rows:
        """The rows of episodes, in order."""
        flat = [(number, *row[:3], int(row.fate)) for number, rows in enumerate(episodes) for row in rows]
        columns = zip(*flat, strict=True) if flat else ()
        return cls.model_validate(dict(zip(cls.model_fields, columns, strict=False)))

    def by_family(self) -> tuple[Group, ...]:
        """Recall and precision of each of ``ANOMALY_TYPES``."""
        return self._groups(self.family, ANOMALY_TYPES)

    def by_entity(self, catalogue: Catalogue) -> tuple[Group, ...]:
        """Recall and precision of each entity, named by type and name."""
        return self._groups(self.entity, [f"{e.entity_type} {e.entity_name}" for e in catalogue.entities])

    def _groups(self, column: tuple[int, ...], names: Iterable[str]) -> tuple[Group, ...]:
        labels = list(names)
        counts = np.zeros((len(labels), len(Fate)), np.int64)
        np.add.at(counts, (np.array(column, np.int64), np.array(self.fate, np.int64)), 1)
        return tuple(Group.of(name, *row) for name, row in zip(labels, counts.tolist(), strict=True))


class Group(StrictModel):
    """Rows of one family or entity over all episodes.

    The intervals are Wilson's, which take rows for independent of each other.
    """

    name: str
    expected: int
    matched: int
    extra: int
    recall: Interval | None  # None where nothing was expected
    precision: Interval | None  # None where nothing was submitted

    @classmethod
    def of(cls, name: str, missed: int, matched: int, extra: int) -> Group:
        """Count up."""
        expected = missed + matched
        recall, precision = wilson(matched, expected), wilson(matched, matched + extra)
        return cls(name=name, expected=expected, matched=matched, extra=extra, recall=recall, precision=precision)


class Reports:
    """Which cell a report puts into the draft."""

    def __init__(self, env: MetricTrackerEnv | MetricTrackerVectorEnv) -> None:
        table = env.actions
        reports = table.op == int(Op.REPORT)
        self._entity: list[int] = np.where(reports, table.argument, -1).tolist()
        self._day: list[int] = table.day.tolist()
        self._last_day = env.config.generator.num_days - 1
        # In the focus view the date is the one in focus, whose position in the range is the last of its calendar.
        focused = "focus_calendar" in env.observation_layout.parts
        self._position = int(env.observation_layout.parts["focus_calendar"].places[-1]) if focused else -1

    def cell(self, action: int, observation: np.ndarray) -> tuple[int, int] | None:
        """(day, entity) of a legal action where (L,) was observed; None for one that is no report."""
        entity = self._entity[action]
        if entity < 0:
            return None
        day = self._day[action]
        if day == int(Day.FOCUSED):
            day = round(float(observation[self._position]) * self._last_day)
        return day, entity


def rows_of(episode: EpisodeData, reported: Iterable[tuple[int, int]]) -> list[Row]:
    """What became of the rows of an episode that has ended, by date.

    Args:
        episode: With its truth.
        reported: (day, entity) of the cells of the draft.
    """
    config, draft = episode.generator_config, set(reported)
    rows: list[Row] = []
    for truth in episode.expected_rows:
        cell = config.day_index(truth.date), config.catalogue.index[truth.entity_type, truth.entity_name]
        fate = Fate.MATCHED if cell in draft else Fate.MISSED
        rows.append(Row(*cell, ANOMALY_TYPES.index(truth.anomaly_type), fate))
        draft.discard(cell)
    rows += [Row(*cell, ANOMALY_TYPES.index(episode.row(*cell).anomaly_type), Fate.EXTRA) for cell in draft]
    return sorted(rows)
