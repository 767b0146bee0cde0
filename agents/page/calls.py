"""The calls of an episode that was played in words, made again one by one, with what a board needs to show of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env import EnvConfig, Seal, Session
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.render.scene import Scene
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


Watcher = Callable[[Scene, str], None]  # told before each call what is known and the call in words; at last the end


class Calls:
    """Makes calls again.

    Args:
        what: What was played.
        seed: Of the episode.
        watcher: Told of each call before it is made, and of the end, with no words then.
    """

    def __init__(self, what: Played, seed: int, watcher: Watcher | None = None) -> None:
        self._what, self._seed, self._watcher = what, seed, watcher
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
        if self._watcher is not None:
            self._watcher(session.scene(), f"{tool}({json.dumps(arguments, ensure_ascii=False)})")
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
        counted = session.standing.grade if grade is None else grade
        if self._watcher is not None:
            self._watcher(self._last_scene(counted), "")
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
            grade=counted,
        )

    def _last_scene(self, grade: Grade | None) -> Scene:
        """The end with the rows that were handed in, and the grade that counted."""
        reported = np.zeros(self._shown_at.shape, bool)
        for cell in self._draft:
            reported[cell] = True
        scene = self._session.scene(reported)
        if scene.truth is not None and grade is not None:
            scene.truth = scene.truth._replace(grade=grade)
        return scene
