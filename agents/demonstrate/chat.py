"""Demonstrations as conversations: a row of JSONL an episode, as trainers of language models take them."""

from __future__ import annotations

import json
from typing import Any

from metric_tracker_env import Task
from metric_tracker_env.config import EnvConfig

from ..llm.transcript import Briefing
from .expert import Demonstration


class Chat:
    """Writes conversations as ``agents.llm`` holds them: the brief, calls, answers.

    Args:
        config: What is played.
        task: That it is of.
        agent: Who plays.
    """

    def __init__(self, config: EnvConfig, task: Task, agent: str) -> None:
        self._briefing = Briefing.of(config, task, "plain")
        # Written once, as it is as long as all else of a row.
        self._tools = _json({"tools": json.dumps(self._briefing.tools)})
        self._from = {"task": task.name, "agent": agent}

    def row(self, shown: Demonstration) -> str:
        """One episode: ``messages`` and ``tools`` to learn from, and where they come from."""
        messages = _json({"messages": self.messages(shown)})
        source = _json({**self._from, "seed": shown.seed, "score": shown.grade.score})
        return f"{messages[:-1]},{self._tools[1:-1]},{source[1:]}"

    def messages(self, shown: Demonstration) -> list[dict[str, Any]]:
        """The conversation: arguments are objects, as chat templates take them, and answers are JSON text."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": self._briefing.text}]
        for number, call in enumerate(shown.calls, 1):
            function = {"name": call.tool, "arguments": call.arguments}
            made = {"id": f"call_{number}", "type": "function", "function": function}
            messages.append({"role": "assistant", "content": "", "tool_calls": [made]})
            answer = {"role": "tool", "tool_call_id": f"call_{number}", "name": call.tool, "content": call.answer}
            messages.append(answer)
        return messages


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), allow_nan=False)
