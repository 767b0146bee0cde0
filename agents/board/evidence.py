"""What was done in each episode, kept so that it can be done again: actions, transcripts, or the books of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from pydantic import JsonValue, StrictInt, ValidationError

from metric_tracker_env import EnvConfig, MetricTrackerEnv, Seal
from metric_tracker_env.books import BOOKS_FILE
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel

from ..llm.run import LlmRun
from ..llm.transcript import Transcript
from ..players.agent import CHUNK, play_agent
from ..players.books import BooksRun
from ..players.outcome import Played, Progress
from ..players.player import Assignment, Player
from .manifest import EvidenceKind
from .words import replay_transcripts

LineT = TypeVar("LineT", "Actions", Transcript)


class Actions(StrictModel):
    """The actions of an episode, as the environment was given them."""

    seed: StrictInt
    actions: tuple[StrictInt, ...]


def kind_of(player: Player) -> EvidenceKind:
    """What is kept of a player's episodes."""
    if isinstance(player, LlmRun):
        return "transcripts"
    return "books" if isinstance(player, BooksRun) else "actions"


def gathered(player: Player, asked: Assignment, played: Played) -> bytes:
    """What was done in the episodes that a player has just played.

    Raises:
        ValueError: if the player is of a kind that does not tell its actions.
    """
    if isinstance(player, LlmRun):
        return _joined([item.model_dump_json() for item in player.transcripts(asked)])
    if isinstance(player, BooksRun):
        return (player.folder / BOOKS_FILE).read_bytes()
    if len(played.actions) != len(played.lines):
        raise ValueError(f"agent {player.name!r} does not tell its actions, without which nothing can be played again")
    lines = zip(asked.seeds, played.actions, strict=True)
    return _joined([Actions(seed=seed, actions=actions).model_dump_json() for seed, actions in lines])


def replayed(
    kind: EvidenceKind,
    data: bytes,
    asked: Assignment,
    card: Mapping[str, JsonValue] | None,
    pool: Executor | None = None,
    progress: Progress | None = None,
) -> Played:
    """Play episodes again from what was done in them, and grade them again.

    Args:
        kind: Of the evidence.
        data: The evidence.
        asked: The episodes that it must be of, no more and no fewer.
        card: What the player says of itself.
        pool: Processes that the episodes may be spread over.
        progress: To be told of the episodes as they are played.

    Raises:
        ValueError: naming the episode, if one is missing, ends otherwise, or is answered otherwise.
    """
    if kind == "books":
        with TemporaryDirectory() as folder:
            (Path(folder) / BOOKS_FILE).write_bytes(data)
            run = BooksRun(folder)
            run.check(asked.config)
            if asked.task is not None and run.card.task != asked.task.name:
                raise ValueError(f"the books are of task {run.card.task!r}; {asked.task.name!r} is due")
            return run.play(asked, None, progress)
    if kind == "transcripts":
        return replay_transcripts(_parsed(data, Transcript, asked.seeds), asked, card, progress)
    lines = _parsed(data, Actions, asked.seeds)
    chunks = [lines[i : i + CHUNK] for i in range(0, len(lines), CHUNK)]
    run = map if pool is None else pool.map
    return Played.collected(run(play_recorded, repeat(asked.config), chunks, repeat(asked.seal)), progress)


def play_recorded(config: EnvConfig, lines: Sequence[Actions], seal: Seal | None) -> Played:
    """Give a single environment the actions of episodes.

    Raises:
        ValueError: if there is no such action, or an episode does not end with its last one.
    """
    given = {line.seed: line.actions for line in lines}
    played = play_agent(partial(Recorded, given=given), config, [line.seed for line in lines], seal)
    for line, told in zip(played.lines, lines, strict=True):
        if line.steps != len(told.actions):
            raise ValueError(f"seed {line.seed}: the episode ends after {line.steps} of {len(told.actions)} actions")
    return played


class Recorded:
    """An agent that does what was done."""

    def __init__(self, env: gym.Env[np.ndarray, Any], given: Mapping[int, Sequence[int]]) -> None:
        game = env.unwrapped
        assert isinstance(game, MetricTrackerEnv)
        self._number, self._given = len(game.actions), given
        self._seed, self._at = -1, 0

    def begin(self, seed: int) -> None:
        """Start at the first action of the episode."""
        self._seed, self._at = seed, 0

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        """The next action."""
        del observation, info
        actions = self._given[self._seed]
        if self._at == len(actions):
            raise ValueError(f"seed {self._seed}: its {len(actions)} actions do not end the episode")
        action = actions[self._at]
        if not 0 <= action < self._number:
            raise ValueError(f"seed {self._seed}: action {action} is not one of 0 to {self._number - 1}")
        self._at += 1
        return action


def _joined(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _parsed(data: bytes, model: type[LineT], seeds: Sequence[int]) -> list[LineT]:
    """The lines of evidence, one for each seed, in order.

    Raises:
        ValueError: naming the line or the episode.
    """
    found: list[LineT] = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            found.append(model.model_validate_json(line))
        except ValidationError as error:
            raise ValueError(f"line {number} of the evidence: {in_one_line(error)}") from None
    held = [line.seed for line in found]
    missing = sorted(set(seeds) - set(held))
    if missing:
        raise ValueError(f"{len(missing):,} of {len(seeds):,} episodes are missing; the first has seed {missing[0]}")
    for number, (seed, due) in enumerate(zip(held, seeds, strict=False)):
        if seed != due:
            raise ValueError(f"episode {number} has seed {seed}, where {due} is due")
    if len(held) > len(seeds):
        raise ValueError(f"there are {len(held):,} episodes of {len(seeds):,}; each must be there once")
    return found
