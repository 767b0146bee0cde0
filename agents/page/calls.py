"""The calls of an episode that was played in words, made again one by one, with what a board needs to show of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env import EnvConfig, Seal, Session
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.scoring import Grade
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.ui.snapshot import Replayed, flags
from metric_tracker_env.ui.visitor import Step

from ..players.outcome import submitted_cells


class Played(NamedTuple):
    """What was played, and how who played is called."""

    agent: str
    task: str
    config: EnvConfig
    seal: Seal | None


class Calls:
    """Makes calls again.

    Args:
        what: What was played.
        seed: Of the episode.
    """

    def __init__(self, what: Played, seed: int) -> None:
        self._what, self._seed = what, seed
        self._session = Session(config=what.config, seal=what.seal)
        self._session.begin(seed)
        self._steps: list[Step] = []
        self._draft: list[tuple[int, int]] = []
        generator = what.config.generator
        self._shown_at = np.zeros((generator.num_days, generator.catalogue.num_entities), np.int64)

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def done(self) -> bool:
        """Whether the episode has ended."""
        return self._session.standing.done

    def make(self, tool: Any, arguments: Any) -> str:
        """Make a call, whatever was sent, and note what came of it; the answer as it was sent back."""
        session = self._session
        answer = session.call(tool, arguments)
        result = None if answer.result is None else from_tables(answer.result)
        given = dict(arguments) if isinstance(arguments, Mapping) else {}
        step = Step(str(tool), given, answer.cost, answer.ok, answer.error, result, session.standing.reward)
        self._steps.append(step)
        self._shown_at[(self._shown_at == 0) & session.revealed] = len(self._steps)
        if answer.ok and tool == SUBMIT:
            cells = submitted_cells(given["rows"], self._what.config.generator)
            self._draft = list(dict.fromkeys(cells))
        return answer.text

    def end_unseen(self) -> Grade:
        """End an episode that its player left, so that what there was to find can be shown; the grade of nothing."""
        self._session.call(SUBMIT, {"rows": []})
        return self._session.grade()

    def replayed(self, grade: Grade | None = None) -> Replayed:
        """The episode as far as it has come.

        Args:
            grade: That counted, where it is not that of what was submitted.
        """
        session, what = self._session, self._what
        families, flagged_at = flags(self._steps, what.config.generator.date_names)
        return Replayed(
            agent=what.agent,
            task=what.task,
            seed=self._seed,
            scene=session.scene(),
            episode=session.episode() if self.done else None,
            steps=self._steps,
            draft=self._draft,
            draft_at=[len(self._steps)] * len(self._draft),
            shown_at=self._shown_at,
            flags=families,
            flagged_at=flagged_at,
            grade=session.standing.grade if grade is None else grade,
        )
