"""Demonstrations as a small language model reads them: conversations of ``agents demonstrate --format chat``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .tokens import Tape, Vocabulary

READ_FOR_WORDS = 1000  # conversations that the vocabulary is made from


class Talk(NamedTuple):
    """A conversation: what the expert called and what each call was answered, but for the last."""

    task: str
    agent: str
    turns: tuple[tuple[str, str], ...]


class Shown(NamedTuple):
    """Conversations to learn from."""

    talks: list[Talk]
    vocabulary: Vocabulary
    tapes: list[Tape]

    @classmethod
    def of(cls, paths: Sequence[Path], merges: int) -> Shown:
        """The conversations of files, with a vocabulary of their own.

        Raises:
            ValueError: if a file cannot be read, or a line is no conversation.
        """
        talks = [talk for path in paths for talk in talks_of(path)]
        if not talks:
            raise ValueError(f"demonstrations {[str(path) for path in paths]} hold no conversation")
        texts = (text for talk in talks[:READ_FOR_WORDS] for turn in talk.turns for text in turn)
        vocabulary = Vocabulary.of(texts, merges)
        return cls(talks, vocabulary, [taped(vocabulary, talk) for talk in talks])

    @property
    def tasks(self) -> tuple[str, ...]:
        """That they are of."""
        return tuple(sorted({talk.task for talk in self.talks}))

    @property
    def agents(self) -> tuple[str, ...]:
        """That demonstrated."""
        return tuple(sorted({talk.agent for talk in self.talks}))

    @property
    def longest_call(self) -> int:
        """Tokens of the longest call."""
        return max(longest_call(tape) for tape in self.tapes)

    @property
    def longest_episode(self) -> int:
        """Tokens of the longest conversation."""
        return max(map(len, self.tapes))


def call_text(tool: str, arguments: object) -> str:
    """A call as the model writes it."""
    return json.dumps({"name": tool, "arguments": arguments}, separators=(",", ":"))


def call_of(text: str) -> tuple[str, Any]:
    """Tool and arguments of what the model wrote; what is no call has the whole text for a tool, which there is not."""
    try:
        found = json.loads(text)
        return found["name"], found["arguments"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return text, {}


def talks_of(path: Path) -> list[Talk]:
    """The conversations of a file.

    Raises:
        ValueError: if it cannot be read, or a line is no conversation.
    """
    found: list[Talk] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    found.append(Talk(row["task"], row["agent"], _turns(row["messages"])))
                except (ValueError, TypeError, LookupError):
                    raise ValueError(
                        f"{str(path)!r}, line {number}, is no conversation as 'demonstrate --format chat' writes them"
                    ) from None
    except OSError as error:
        raise ValueError(f"demonstrations {str(path)!r} cannot be read: {error.strerror}") from error
    return found


def _turns(messages: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Calls and answers, after the brief, one call a message.

    Raises:
        ValueError: if they do not take turns.
    """
    _, *rest = messages
    if [each["role"] for each in rest] != ["assistant", "tool"] * (len(rest) // 2) or not rest:
        raise ValueError("calls and answers do not take turns")
    calls: list[str] = []
    for each in rest[::2]:
        (call,) = each["tool_calls"]
        calls.append(call_text(call["function"]["name"], call["function"]["arguments"]))
    answers = [each["content"] for each in rest[1:-2:2]]
    return tuple(zip(calls, [*answers, ""], strict=True))


def taped(vocabulary: Vocabulary, talk: Talk) -> Tape:
    """A conversation as tokens."""
    tape = Tape(vocabulary)
    for call, answer in talk.turns:
        tape.say(call)
        if answer:
            tape.hear(answer)
    return tape


def longest_call(tape: Tape) -> int:
    """Tokens of the longest call of a conversation, its end included."""
    others = np.flatnonzero(~np.array([*tape.own, False]))
    return int(np.diff(others).max(initial=1)) - 1
