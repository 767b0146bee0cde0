"""Runs of a language model that speaks from a script, without an endpoint; for tests of what is watched afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agents.llm.card import LlmCard, card_of, write_card
from agents.llm.episode import play_episode
from agents.llm.faults import EndpointError
from agents.llm.journal import Begun, Journal
from agents.llm.reply import Reply
from agents.llm.run import TRANSCRIPTS_FILE, trials
from agents.llm.transcript import Attempt, Briefing, Transcript, Used
from agents.players.scripts.words import investigate
from metric_tracker_env import Task

Script = Generator[tuple[str, dict[str, Any]], Mapping[str, Any], None]
THOUGHT = "The weekday may explain it."


class Speaker:
    """Answers for the model: says what it is about to do, and calls what its script calls.

    Args:
        script: Of one episode; silent once it has ended.
        lives: Replies until the endpoint is gone.
    """

    adapted = ()

    def __init__(self, script: Script, lives: int = 10**9) -> None:
        self._script, self._lives = script, lives

    async def ask(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], first: bool, seconds: float
    ) -> Reply:
        """One reply."""
        del tools, seconds
        self._lives -= 1
        if self._lives < 0:
            raise EndpointError("the endpoint is gone")
        try:
            call = next(self._script) if first else self._script.send(json.loads(messages[-1]["content"]))
        except (StopIteration, ValueError):
            return Reply({"content": "I have nothing more to say."}, "stop", None)
        function: dict[str, Any] = {"name": call[0], "arguments": json.dumps(call[1])}
        message: dict[str, Any] = {"content": f"Next I call {call[0]}.", "reasoning_content": THOUGHT}
        return Reply({**message, "tool_calls": [{"function": function}]}, "tool_calls", None)


def spoken(
    folder: Path,
    task: Task,
    seeds: Sequence[int],
    script: Callable[[], Script] | None = None,
    lives: int = 10**9,
    name: str = "speaker",
) -> LlmCard:
    """Write the folder of a run in which the episodes of some seeds were played, or begun."""
    card = card_of(model=name, base_url="http://127.0.0.1:9/v1", max_turns=2000, max_episode_tokens=None)
    write_card(folder, card)
    briefing = Briefing.of(task.config, task, card.settings.schemas)
    for seed, trial in trials(seeds):
        attempt = Attempt(told=briefing.digest, seed=seed, trial=trial)
        model = Speaker(investigate(task.config.generator) if script is None else script(), lives)
        journal = Journal(folder, attempt)
        begun = Begun(attempt, Used(), ())
        try:
            found = _apart(play_episode(model, card.settings, task.config, task, briefing, begun, journal))
        except EndpointError:
            continue  # the journal holds what there is
        with (folder / TRANSCRIPTS_FILE).open("a", encoding="utf-8") as file:
            file.write(found.model_dump_json() + "\n")
        journal.end()
    return card


def _apart(work: Coroutine[Any, Any, Transcript]) -> Transcript:
    """Run in a thread of its own, since a browser's loop may run in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def many_calls(number: int) -> Script:
    """A script of so many calls that cost nothing, and then an empty submission."""
    for _ in range(number - 1):
        yield "task_overview", {}
    yield "submit", {"rows": []}


def silence() -> Script:
    """A script without a call."""
    yield from ()
