"""Scripted language models behind a real HTTP server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from helpers_llm import SEEDS, TASK, begun
from llm_server import ScriptedServer

from agents import Evaluation, evaluate
from agents.llm import client
from agents.llm.command import LlmRun


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """The scripted models; no client may have sent a conversation that a strict server refuses."""
    with ScriptedServer() as running:
        yield running
        assert running.faults == []


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """No variable of the machine reaches a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("OPENAI_")]:
            patch.delenv(name)
        patch.setenv("NO_PROXY", "*")
        patch.setattr(client, "FIRST_PAUSE", 0.01)
        yield


@pytest.fixture(scope="module")
def good(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[LlmRun, Evaluation]:
    """A run with the good model, one episode after another, and its evaluation."""
    run = begun(server, tmp_path_factory.mktemp("runs") / "good", name="scripted", parallel=1)
    return run, evaluate(run, SEEDS, TASK)
