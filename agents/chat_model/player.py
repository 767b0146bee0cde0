"""A small language model as a player: it calls tools in words, as any language model does, and is graded as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from metric_tracker_env import EnvConfig, Seal, Session
from metric_tracker_env.play.actions import SUBMIT

from ..players.failures import End
from ..players.outcome import EpisodeLine, InWords, Played, Progress, Row, submitted_cells
from ..players.player import Assignment, PlaysAnything, PlaysForNothing
from ..players.registry import register_folder
from .saved import CARD_FILE, ChatCard, read_chat_card, read_network
from .shown import call_of

if TYPE_CHECKING:
    from .network import Network

CHUNK = 25  # episodes that a process plays at a time


@register_folder(CARD_FILE)
class ChatModel(PlaysForNothing, PlaysAnything):
    """A folder of ``agents.train_chat`` as a player.

    It plays any configuration, as it is not told which one it plays; one that it was not shown it plays badly.

    Args:
        folder: With a card and weights.

    Raises:
        ValueError: if either is missing or damaged.
        ImportError: naming the extra, if torch is not installed.
    """

    kind = "small language model"

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.card = read_chat_card(self.folder)
        read_network(self.folder, self.card)

    def __repr__(self) -> str:
        return f"<ChatModel {self.name!r}>"

    @property
    def name(self) -> str:
        """That of the card."""
        return self.card.name

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Play in this process, or ``CHUNK`` episodes at a time in those of the pool."""
        chunks = [asked.seeds[i : i + CHUNK] for i in range(0, len(asked.seeds), CHUNK)]
        run = map if pool is None else pool.map
        parts = run(play_in_words, repeat(self.folder), repeat(asked.config), chunks, repeat(asked.seal))
        return Played.collected(parts, progress)


def play_in_words(folder: Path, config: EnvConfig, seeds: Sequence[int], seal: Seal | None = None) -> Played:
    """Play one episode a seed."""
    card = read_chat_card(folder)
    network, session = read_network(folder, card), Session(config=config, seal=seal)
    lines, rows, tools = list[EpisodeLine](), list[list[Row]](), Counter[str]()
    for seed in seeds:
        session.begin(seed)
        course = converse(card, network, session)
        line, found = course.ended(session, seed)
        lines.append(line)
        rows.append(found)
        tools += course.tools
    return Played(lines, rows, tools)


def converse(card: ChatCard, network: Network, session: Session) -> InWords:
    """Have a network make the calls of an episode that has begun, until it is over or the network has said too much."""
    from .reply import Speaker

    speaker, tools = Speaker(network, card.vocabulary), Counter[str]()
    refused = 0
    while len(speaker.tape) < card.longest_episode:
        tool, arguments = call_of(speaker.reply(card.longest_call))
        answer = session.call(tool, arguments)
        speaker.tape.hear(answer.text)
        if answer.ok:
            tools[tool] += 1
        else:
            refused += 1
        if answer.done:
            handed_in = answer.ok and tool == SUBMIT
            reported = submitted_cells(arguments["rows"], session.config.generator) if handed_in else ()
            end: End = "handed_in" if handed_in else "spent" if answer.ok else "refused"
            return InWords(reported, refused, end, tools)
    return InWords((), refused, "spent", tools)
