"""Runs with scripted language models, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helpers_session import begun as begun_session
from helpers_session import door
from llm_server import PATIENCE, ScriptedServer

from agents.llm.command import LlmRun, card_of
from agents.llm.run import TRANSCRIPTS_FILE
from agents.players.scripts.words import converse, investigate
from agents.tasks import held_out_seeds
from metric_tracker_env import Session, get_task

TASK = "hard_mixed"
CONFIG = get_task(TASK).config


SEEDS = held_out_seeds(TASK, 4)


KEY = "sk-a/very=secret+key"


SHORT = {"step_limit": 12, "budget": 6}  # an episode that is soon over


def begun(server: ScriptedServer, folder: Path, model: str = "good", key: str | None = None, **options: Any) -> LlmRun:
    """A run with a scripted model."""
    settings = {"request_seconds": PATIENCE, "episode_seconds": 60.0, "retries": 3, "parallel": 4} | options
    return LlmRun.begin(folder, card_of(model=model, base_url=server.url, **settings), key)


def arguments(server: ScriptedServer, folder: Path, model: str = "good", *more: str) -> list[str]:
    """A command line for a scripted model."""
    given = ["--model", model, "--base-url", server.url, "--output", str(folder), "--task", TASK]
    return [*given, "--request-seconds", str(PATIENCE), "--retries", "1", *more]


def in_process(seed: int) -> tuple[Session, list[Any]]:
    """What the analyst in words does without a server."""
    session = begun_session(seed, task=TASK)
    return session, converse(investigate(CONFIG.generator), door(session))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The transcripts as a reader of the file has them."""
    return [json.loads(line) for line in (folder / TRANSCRIPTS_FILE).read_text(encoding="utf-8").splitlines()]
