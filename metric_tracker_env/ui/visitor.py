"""A visitor of the page: one episode under way, what was called in it, the draft, and whether it still counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env.config import EnvConfig, EpisodeConfig, check_seed
from metric_tracker_env.model import in_one_line
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.render.scene import Scene
from metric_tracker_env.schema import MetricSubmissionRow
from metric_tracker_env.session import Answer, ScoredSession, Session
from metric_tracker_env.tasks import get_task
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.ui.options import ANOMALIES, RefusedError, check_names, faults_of
from metric_tracker_env.world.episode import EpisodeData, MetricDataGenerator


class Step(NamedTuple):
    """A call, and what came of it."""

    tool: str
    arguments: dict[str, Any]
    cost: int
    ok: bool
    error: str | None
    result: dict[str, Any] | None
    total: float  # the return so far


class Visitor:
    """Plays through the session that agents play through, and reads no truth before the end.

    Args:
        session: A task, whose episodes the visitor chooses; or a session, which may be one of scored episodes.

    Attributes:
        seed: Of the episode, always shown; None while a scored one is under way.
        options: Of this episode, as a reset takes them.
        steps: The calls so far.
        draft: (day, entity) of the rows to submit, in the order in which they were added.
        counted: False once the truth was looked at before the end, or if the visitor has chosen the anomalies.
        shown_at: (D, E) int64: number of the call that first showed each cell, 0 for none.
    """

    def __init__(self, session: str | Session) -> None:
        self.session = session if isinstance(session, Session) else Session(session)
        self.scored = isinstance(session, ScoredSession)
        self.seed: int | None = None
        self.options: dict[str, Any] = {}
        self.begin(None, None if self.scored else 0, {})

    def begin(self, task: str | None, seed: int | None, options: Mapping[str, Any]) -> None:
        """Begin an episode; of scored ones the next, whose seed nobody chooses.

        Raises:
            ValueError: for a bad task, seed or option, or no seed; the episode under way goes on then. Of a bad option
                it is ``RefusedError``, which has its place in the form.
        """
        if not self.scored and seed is None:
            raise ValueError("seed None: an episode that counts for nothing has a seed of the visitor's choice")
        check_seed(seed)
        check_names(options)
        config = self.config_of(task)
        try:
            self.session.begin(seed, task, **options)
        except ValueError as error:
            raise RefusedError(in_one_line(error), faults_of(error, config, seed or 0, options)) from error
        self.seed, self.options = seed, dict(options)
        self.steps: list[Step] = []
        self.draft: list[tuple[int, int]] = []
        self.counted = not options.get(ANOMALIES)
        generator = self.session.config.generator
        self.shown_at = np.zeros((generator.num_days, generator.catalogue.num_entities), np.int64)
        self._truth: EpisodeData | None = None

    def config_of(self, task: str | None) -> EnvConfig:
        """The configuration of a registered task; of the one that is played for None.

        Raises:
            ValueError: for an unknown task.
        """
        return self.session.config if task in (None, self.session.task) else get_task(task).config

    def call(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Call a tool as an agent does; a bad call is an answer that says why."""
        over = self.session.standing.done
        answer = self.session.call(tool, arguments)
        if not over:
            result = None if answer.result is None else from_tables(answer.result)
            total = self.session.standing.reward
            self.steps.append(Step(tool, dict(arguments), answer.cost, answer.ok, answer.error, result, total))
            seen = self.session.revealed
            self.shown_at[(self.shown_at == 0) & seen] = len(self.steps)
        return answer

    def report(self, day: int, entity: int) -> None:
        """Put a cell into the draft.

        Raises:
            ValueError: if its value was not shown, it is there already, or the episode is over.
        """
        generator = self.session.config.generator
        if self.session.standing.done:
            raise ValueError("the episode is over; begin another one")
        if not (0 <= day < generator.num_days and 0 <= entity < generator.catalogue.num_entities):
            raise ValueError(f"cell ({day}, {entity}) is none of this episode")
        if not self.session.revealed[day, entity]:
            raise ValueError("this cell was not shown yet; open its date first")
        if (day, entity) in self.draft:
            raise ValueError("this cell is in the draft already")
        self.draft.append((day, entity))

    def drop(self, day: int, entity: int) -> None:
        """Take a cell out of the draft.

        Raises:
            ValueError: if it is not in it, or the episode is over.
        """
        if self.session.standing.done:
            raise ValueError("the episode is over; begin another one")
        if (day, entity) not in self.draft:
            raise ValueError("this cell is not in the draft")
        self.draft.remove((day, entity))

    def rows(self) -> list[MetricSubmissionRow]:
        """The rows of the draft, as the data show them."""
        scene = self.session.scene()
        return [scene.row(day, entity) for day, entity in self.draft]

    def scene(self) -> Scene:
        """What may be drawn, with the draft."""
        reported = np.zeros(self.shown_at.shape, bool)
        for cell in self.draft:
            reported[cell] = True
        return self.session.scene(reported)

    def submit(self) -> Answer:
        """Submit the draft, which ends the episode."""
        return self.call(SUBMIT, {"rows": [row.model_dump(mode="json") for row in self.rows()]})

    def look_at_truth(self) -> None:
        """Show the truth before the end, for debugging: the episode does not count then.

        Raises:
            ValueError: while a scored episode is under way.
        """
        if not self.session.standing.done:
            if self.scored:
                raise ValueError("this episode is scored; its truth is shown when it has ended")
            self.counted = False
            self._truth = self.episode()

    @property
    def truth(self) -> EpisodeData | None:
        """The episode with its truth: when it is over, or after ``look_at_truth``."""
        if self._truth is None and self.session.standing.done:
            self._truth = self.session.episode()
        return self._truth

    def episode(self) -> EpisodeData:
        """The episode, made again from its seed."""
        config = self.session.config
        request: EpisodeConfig = config.model_copy(update=self.options).episode_config(seed=self.seed or 0)
        return MetricDataGenerator(config.generator).generate_episode(request)
