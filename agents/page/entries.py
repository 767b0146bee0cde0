"""The index of an evaluation: a line an episode, from its columns alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from metric_tracker_env.schema import ANOMALY_TYPES, Catalogue
from metric_tracker_env.ui.library import Entry, Fate, RowFate

from ..evaluation.evaluate import Evaluation
from ..evaluation.paired import CONFIGURED
from ..players.outcome import Fate as Outcome
from ..players.outcome import Row

FATES: Mapping[int, Fate] = {Outcome.MISSED: "missed", Outcome.MATCHED: "matched", Outcome.EXTRA: "extra"}


def entity_names(catalogue: Catalogue) -> list[str]:
    """Type and name of each entity."""
    return [f"{entity.entity_type} {entity.entity_name}" for entity in catalogue.entities]


def fates_of(rows: Sequence[Row], names: Sequence[str]) -> tuple[RowFate, ...]:
    """What became of the rows of an episode; an entity that the names do not reach is called by its number.

    Raises:
        ValueError: for a row of a family that there is not.
    """
    odd = [row for row in rows if not 0 <= row.family < len(ANOMALY_TYPES)]
    if odd:
        raise ValueError(f"family {odd[0].family} of a row is not from 0 to {len(ANOMALY_TYPES) - 1}")
    return tuple(
        RowFate(
            FATES[row.fate],
            ANOMALY_TYPES[row.family],
            names[row.entity] if 0 <= row.entity < len(names) else f"entity {row.entity}",
        )
        for row in rows
    )


def entries_of(evaluation: Evaluation) -> list[Entry]:
    """A line for each episode of an evaluation.

    Raises:
        ValueError: for a score that is no number, or a row of no episode.
    """
    episodes, rows = evaluation.episodes, evaluation.rows
    if not all(map(math.isfinite, (*episodes.score, *episodes.f1))):
        raise ValueError(f"a score of {evaluation.agent!r} is no number")
    if rows.episode and not 0 <= min(rows.episode) <= max(rows.episode) < len(episodes.seed):
        raise ValueError(f"a row of {evaluation.agent!r} is of none of its {len(episodes.seed):,} episodes")
    names = entity_names(evaluation.config.generator.catalogue)
    found: list[list[Row]] = [[] for _ in episodes.seed]
    columns = zip(rows.episode, rows.day, rows.entity, rows.family, rows.fate, strict=True)
    for episode, day, entity, family, fate in columns:
        found[episode].append(Row(day, entity, family, Outcome(fate)))
    trials: Counter[int] = Counter()
    entries: list[Entry] = []
    for place, seed in enumerate(episodes.seed):
        entries.append(
            Entry(
                seed=seed,
                trial=trials[seed],
                score=episodes.score[place],
                f1=episodes.f1[place],
                cost=episodes.cost[place],
                calls=episodes.steps[place],
                refused=episodes.illegal[place],
                rows=fates_of(found[place], names),
                failure=episodes.failure[place],
            )
        )
        trials[seed] += 1
    return entries


def title_of(task: str | None) -> str:
    """What a task is called, or what is none."""
    return task or CONFIGURED


def name_of(agent: str, task: str, taken: Collection[str]) -> str:
    """What a run is called in the address: agent and task, and a number where another one has that name."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{agent}.{task}")
    number, name = 1, plain
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    return name
