"""A language model's episode, played again from its transcript: its calls word for word, and each answer compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env import EnvConfig, Seal, Session
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.ui.library import Opened, Said
from metric_tracker_env.ui.snapshot import Replayed, flags, replay
from metric_tracker_env.ui.visitor import Step

from ..llm.messages import Record, tool_of
from ..llm.schemas import Mode, without_nulls
from ..players.outcome import submitted_cells

THOUGHTS = ("reasoning_content", "reasoning")  # what endpoints call what a model says to itself


class Played(NamedTuple):
    """What was played, and how the model that played is called."""

    agent: str
    task: str
    config: EnvConfig
    seal: Seal | None
    mode: Mode  # of the schemas that the model was sent


class Teller:
    """Makes the calls of a transcript again.

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
        self._said: list[Said] = []

    def tell(self, messages: Sequence[Record], end: str | None) -> Opened:
        """The episode with the words of the model.

        Args:
            messages: Of the transcript.
            end: How it ended; None if it is still played, and then nothing is told of the truth.

        Raises:
            ValueError: if an answer is not the one that stands in the transcript.
        """
        waiting = list(messages)
        while waiting:
            message = waiting.pop(0)
            calls = message.get("tool_calls") or ()
            first = len(self._steps) + 1 if calls else 0
            told = [tool_of(call) for call in calls]
            words = tuple((call["function"]["name"], _text(call["function"]["arguments"])) for call in calls)
            thought = next((_text(message[name]) for name in THOUGHTS if message.get(name)), "")
            self._said.append(Said(message["role"], _text(message.get("content")), thought, words, first))
            for tool, given in told:
                if self._session.standing.done:
                    break
                answer = self._call(tool, without_nulls(self._what.mode, given))
                recorded = waiting.pop(0)["content"] if waiting and waiting[0]["role"] == "tool" else None
                if answer != recorded:
                    raise ValueError(
                        f"seed {self._seed}: call {len(self._steps)}, {tool}, is answered otherwise than in the "
                        "transcript, as by another version of the package"
                    )
                self._said.append(Said("tool", answer, "", (), len(self._steps)))
        if end is not None and not self._session.standing.done:
            self._call(SUBMIT, {"rows": []})  # as it counted
            words = f"The episode ended by itself ({end.replace('_', ' ')}): nothing was submitted, and it scores 0."
            self._said.append(Said("end", words, "", (), len(self._steps)))
        return Opened(replay(self._replayed()), self._said)

    def _call(self, tool: str, arguments: Any) -> str:
        """Make a call and note what came of it; the answer as the model was sent it."""
        session = self._session
        answer = session.call(tool, arguments)
        result = None if answer.result is None else from_tables(answer.result)
        given = dict(arguments) if isinstance(arguments, Mapping) else {}
        self._steps.append(Step(tool, given, answer.cost, answer.ok, answer.error, result, session.standing.reward))
        self._shown_at[(self._shown_at == 0) & session.revealed] = len(self._steps)
        if answer.ok and tool == SUBMIT:
            cells = submitted_cells(given["rows"], self._what.config.generator)
            self._draft = list(dict.fromkeys(cells))
        return answer.text

    def _replayed(self) -> Replayed:
        session, what = self._session, self._what
        standing = session.standing
        families, flagged_at = flags(self._steps, what.config.generator.date_names)
        return Replayed(
            agent=what.agent,
            task=what.task,
            seed=self._seed,
            scene=session.scene(),
            episode=session.episode() if standing.done else None,
            steps=self._steps,
            draft=self._draft,
            draft_at=[len(self._steps)] * len(self._draft),
            shown_at=self._shown_at,
            flags=families,
            flagged_at=flagged_at,
            grade=standing.grade,
        )


def _text(content: Any) -> str:
    """A content as text: as it is, or the texts of its parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(_text(part.get("text", part) if isinstance(part, Mapping) else part) for part in content)
    return "" if content is None else str(content)
