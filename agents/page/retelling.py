"""A language model's episode, played again from its transcript: its calls word for word, and each answer compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metric_tracker_env.ui.library import Opened, Said
from metric_tracker_env.ui.snapshot import replay

from ..llm.messages import Record, tool_of
from ..llm.schemas import Mode, without_nulls
from ..players.outcome import NOTHING_SCORED
from .calls import Calls, Played, Watcher

THOUGHTS = ("reasoning_content", "reasoning")  # what endpoints call what a model says to itself


class Teller:
    """Makes the calls of a transcript again.

    Args:
        what: What was played.
        seed: Of the episode.
        mode: Of the schemas that the model was sent.
        watcher: See ``Calls``.
    """

    def __init__(self, what: Played, seed: int, mode: Mode, watcher: Watcher | None = None) -> None:
        self._seed = seed
        self._mode: Mode = mode
        self._calls = Calls(what, seed, watcher)
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
            first = len(self._calls) + 1 if calls else 0
            told = [tool_of(call) for call in calls]
            words = tuple((call["function"]["name"], _text(call["function"]["arguments"])) for call in calls)
            thought = next((_text(message[name]) for name in THOUGHTS if message.get(name)), "")
            self._said.append(Said(message["role"], _text(message.get("content")), thought, words, first))
            for tool, given in told:
                if self._calls.done:
                    break
                answer = self._calls.make(tool, without_nulls(self._mode, given))
                recorded = waiting.pop(0)["content"] if waiting and waiting[0]["role"] == "tool" else None
                if answer != recorded:
                    raise ValueError(
                        f"seed {self._seed}: call {len(self._calls)}, {tool}, is answered otherwise than in the "
                        "transcript, as by another version of the package"
                    )
                self._said.append(Said("tool", answer, "", (), len(self._calls)))
        grade = None
        if end is not None and not self._calls.done:
            grade = self._calls.end_unseen().model_copy(update={**NOTHING_SCORED})
            words = f"The episode ended by itself ({end.replace('_', ' ')}): nothing was submitted, and it scores 0."
            self._said.append(Said("end", words, "", (), len(self._calls)))
        return Opened(replay(self._calls.replayed(grade)), self._said)


def _text(content: Any) -> str:
    """A content as text: as it is, or the texts of its parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(_text(part.get("text", part) if isinstance(part, Mapping) else part) for part in content)
    return "" if content is None else str(content)
