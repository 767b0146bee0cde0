"""What may be drawn of an episode: before its end only what the agent has paid for, at its end the truth."""

from __future__ import annotations

import string
from typing import NamedTuple

import numpy as np

from metric_tracker_env.config import EnvConfig, GeneratorConfig
from metric_tracker_env.play.state import Progress
from metric_tracker_env.schema import Catalogue, Entity, EntityType, Gap, KnownEvent, MetricSubmissionRow
from metric_tracker_env.scoring import Grade, score_submission
from metric_tracker_env.view import row_of_cell
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.labels import CellClass

CODE_LETTERS: dict[EntityType, str] = {
    "event_count": "C",
    "conversion_rate": "R",
    "funnel_step": "F",
    "hourly_mix": "M",
    "data_quality": "Q",
}


class DraftRow(NamedTuple):
    """A reported cell: the row that is submitted for it."""

    day: int
    entity: Entity
    ratio: float  # signed deviation in thresholds
    row: MetricSubmissionRow


class Announced(NamedTuple):
    """A known event: what was announced and, at the end, whether it came true."""

    mark: str  # a capital letter, by date
    first: int  # day
    last: int  # day
    entity: Entity
    event: KnownEvent
    came_true: bool | None  # None before the end


class Lost(NamedTuple):
    """A date of which hours were lost."""

    mark: str  # a small letter, by date
    day: int
    gap: Gap


class Truth(NamedTuple):
    """What is told when the episode is over."""

    classes: np.ndarray  # (D, E) int8 of CellClass
    twin_ratios: np.ndarray  # (D, S) float64: the counts without injection, as ``Scene.ratios``
    missed: tuple[DraftRow, ...]
    grade: Grade
    explained: np.ndarray  # (D, E) str: mark of the event or gap that explains the cell, "" elsewhere

    @property
    def expected(self) -> np.ndarray:
        """(D, E) bool: root cells of the incidents."""
        return self.classes == CellClass.EXPECTED


class Scene:
    """All that a picture of an episode may hold.

    The hidden part is dropped here, so that nothing that draws a scene can give it away.

    Attributes:
        generator: Funnel and calendar.
        difficulty: Of this episode.
        config: Budget and step limit.
        ratios: (D, E) float64 signed deviation in thresholds; NaN where no tool has revealed it,
            unless the episode is over.
        values: (D, E) float64 in each entity's unit; NaN where the ratio is.
        baselines: (E,) float64 median of each entity, and ``thresholds``; NaN where none of its cells was revealed.
        progress: What the agent has seen and done.
        draft: Reported cells by date.
        events: Known events by date; none before they were listed, unless the episode is over.
        lost: Dates that lost hours; before the end those alone whose hours were looked at.
        truth: None before the end.
    """

    def __init__(self, config: EnvConfig, episode: EpisodeData, progress: Progress, over: bool) -> None:
        self.config = config
        self.progress = progress
        self.generator: GeneratorConfig = episode.generator_config
        self.difficulty = episode.config.difficulty
        ratios = episode.deviations.ratios[:, 0].T
        self.ratios: np.ndarray = ratios.copy() if over else np.where(progress.revealed, ratios, np.nan)
        view, shown = episode.view, np.isfinite(self.ratios)
        self.values: np.ndarray = np.where(shown, view.values.T, np.nan)
        known = shown.any(axis=0)
        self.baselines: np.ndarray = np.where(known, view.baselines, np.nan)
        self.thresholds: np.ndarray = np.where(known, view.thresholds, np.nan)
        self._confirmed = shown & view.flagged.T
        self.draft = _rows(episode, progress.reported)
        self.events = _events(episode, over) if over or progress.informed else ()
        looked_at = progress.revealed[:, self.generator.catalogue.slices["hourly_mix"]]
        self.lost = _lost(episode, np.ones((len(ratios), 1), bool) if over else looked_at)
        self.truth = _truth(episode, self) if over else None

    @property
    def catalogue(self) -> Catalogue:
        """Entities of the funnel."""
        return self.generator.catalogue

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.truth is not None

    @property
    def worldly(self) -> bool:
        """Whether there is a calendar to know of."""
        return self.generator.world is not None

    def confirmed(self, day: int, entity: int) -> bool:
        """Whether the detection method of a cell that was revealed confirms it."""
        return bool(self._confirmed[day, entity])

    def row(self, day: int, entity: int) -> MetricSubmissionRow:
        """The row of a cell that was revealed: what the data show there."""
        return row_of_cell(self.generator, day, entity, float(self.baselines[entity]), float(self.values[day, entity]))

    def is_right(self, item: DraftRow) -> bool | None:
        """Whether a row of the draft is expected; None before the end."""
        return None if self.truth is None else bool(self.truth.expected[item.day, item.entity.index])


def codes(catalogue: Catalogue) -> tuple[str, ...]:
    """(E,) short names: the letter of the entity type and a number within it."""
    return tuple(
        f"{CODE_LETTERS[entity.entity_type]}{entity.index - catalogue.slices[entity.entity_type].start + 1}"
        for entity in catalogue.entities
    )


def _rows(episode: EpisodeData, cells: np.ndarray) -> tuple[DraftRow, ...]:
    """The rows of (D, E) bool cells, by date."""
    entities, ratios = episode.generator_config.catalogue.entities, episode.deviations.ratios[:, 0]
    return tuple(
        DraftRow(day, entities[entity], float(ratios[entity, day]), episode.row(day, entity))
        for day, entity in np.argwhere(cells).tolist()
    )


def _events(episode: EpisodeData, over: bool) -> tuple[Announced, ...]:
    """What was announced; whether it came true only when the episode is over."""
    config = episode.generator_config
    return tuple(
        Announced(
            mark,
            config.day_index(event.first_date),
            config.day_index(event.last_date),
            config.catalogue.entity(event.entity_type, event.entity_name),
            event,
            effect if over else None,
        )
        for mark, event, effect in zip(
            string.ascii_uppercase, episode.known_events, episode.event_effects, strict=False
        )
    )


def _lost(episode: EpisodeData, looked_at: np.ndarray) -> tuple[Lost, ...]:
    """Gaps on the dates whose hours were looked at: (D, 1) bool, or (D, 0) where there are no hours."""
    days = [(episode.generator_config.day_index(gap.date), gap) for gap in episode.gaps]
    known = [(day, gap) for day, gap in days if looked_at[day].any()]
    return tuple(Lost(mark, day, gap) for mark, (day, gap) in zip(string.ascii_lowercase, known, strict=False))


def _truth(episode: EpisodeData, scene: Scene) -> Truth:
    steps, measured = episode.generator_config.catalogue.num_steps, episode.deviations
    expected = episode.classes == CellClass.EXPECTED
    marks = {id(known.event): known.mark for known in scene.events} | {id(lost.gap): lost.mark for lost in scene.lost}
    explained = np.full(expected.shape, "", "<U1")
    for day, entity in np.argwhere(episode.classes == CellClass.EXPLAINED).tolist():
        explained[day, entity] = marks[id(episode.explanation(day, entity))]
    return Truth(
        classes=episode.classes.copy(),
        twin_ratios=(episode.twin_daily - measured.medians[:steps, 0]) / measured.thresholds[:steps, 0],
        missed=_rows(episode, expected & ~scene.progress.reported),
        grade=score_submission([item.row for item in scene.draft], episode, shown=scene.progress.revealed),
        explained=explained,
    )
