"""Rows of many episodes: expected ones that were matched or missed, and extra ones, by family and by entity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
from pydantic import StrictInt, model_validator

from metric_tracker_env.schema import ANOMALY_TYPES, Catalogue, StrictModel

from ..players.outcome import Fate, Row
from .intervals import Interval, wilson


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
