"""A small language model as a player: it calls tools in words, as any language model does, and is graded as one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from metric_tracker_env import EnvConfig, Seal, Session
from metric_tracker_env.play.actions import SUBMIT

from ..players.failures import End
from ..players.outcome import EpisodeLine, InWords, Played, Progress, Row, submitted_cells
from ..players.player import Assignment, PlaysAnything, PlaysForNothing
from ..players.registry import register_folder
from .saved import CARD_FILE, ChatCard, read_chat_card, read_network

CHUNK = 25  # episodes that a process plays at a time


def call_text(tool: str, arguments: Any) -> str:
    """A call as the model writes it."""
    return json.dumps({"name": tool, "arguments": arguments}, separators=(",", ":"))


def call_of(text: str) -> tuple[str, Any]:
    """Tool and arguments of what the model wrote; what is no call has the whole text for a tool, which there is not."""
    try:
        found = json.loads(text)
        return found["name"], found["arguments"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return text, {}


@register_folder(CARD_FILE)
@dataclass(frozen=True)
class ChatModel(PlaysForNothing, PlaysAnything):
    """A folder of ``agents.train_chat`` as a player.

    Args:
        folder: With a card and weights.

    Raises:
        ValueError: if either is missing or damaged.
        ImportError: naming the extra, if torch is not installed.
    """

    folder: Path
    kind = "small language model"

    def __post_init__(self) -> None:
        read_network(self.folder, self.card)

    @property
    def card(self) -> ChatCard:
        """What it says of itself."""
        return read_chat_card(self.folder)

    @property
    def name(self) -> str:
        """That of the card."""
        return self.card.name

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Play in this process, or ``CHUNK`` episodes at a time in those of the pool."""
        chunks = [asked.seeds[i : i + CHUNK] for i in range(0, len(asked.seeds), CHUNK)]
        run = map if pool is None else pool.map
        parts = run(play_words, repeat(self.folder), repeat(asked.config), chunks, repeat(asked.seal))
        return Played.collected(parts, progress)


def play_words(folder: Path, config: EnvConfig, seeds: Sequence[int], seal: Seal | None = None) -> Played:
    """Play one episode a seed, call by call."""
    from .reply import Speaker

    card = read_chat_card(folder)
    network, session = read_network(folder, card), Session(config=config, seal=seal)
    lines, rows, tools = list[EpisodeLine](), list[list[Row]](), Counter[str]()
    for seed in seeds:
        session.begin(seed)
        speaker = Speaker(network, card.vocabulary)
        refused, reported = 0, list[tuple[int, int]]()
        end: End = "handed_in"
        while not session.standing.done:
            if len(speaker.tape) > card.longest_episode:
                end = "spent"
                break
            tool, arguments = call_of(speaker.reply(card.longest_call))
            answer = session.call(tool, arguments)
            speaker.tape.hear(answer.text)
            refused += not answer.ok
            tools[tool] += answer.ok
            if answer.ok and tool == SUBMIT:
                reported = submitted_cells(arguments["rows"], config.generator)
            elif answer.done:
                end = "spent" if answer.ok else "refused"
        line, found = InWords(reported, refused, end).ended(session, seed)
        lines.append(line)
        rows.append(found)
    return Played(lines, rows, +tools)
