"""Demonstrations as trajectories: ATIF 1.7, the Agent Trajectory Interchange Format of Harbor, one JSON a line."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from metric_tracker_env import Task
from metric_tracker_env.config import EnvConfig

from ..llm.transcript import Briefing
from .expert import Demonstration

SCHEMA = "ATIF-v1.7"
PACKAGE = "metric_tracker_env"


class Atif:
    """Writes trajectories.

    Args:
        config: What is played.
        task: That it is of.
        agent: Who plays.
    """

    def __init__(self, config: EnvConfig, task: Task, agent: str) -> None:
        self._briefing = Briefing.of(config, task, "plain")
        self._task = task.name
        self._by = {"name": agent, "version": version(PACKAGE), "tool_definitions": self._briefing.tools}

    def row(self, shown: Demonstration) -> str:
        """One episode."""
        return json.dumps(self.trajectory(shown), separators=(",", ":"), allow_nan=False)

    def trajectory(self, shown: Demonstration) -> dict[str, Any]:
        """One episode as the format has it; each call is a step of the agent, with what was observed after it."""
        name = f"{self._task}-{shown.seed}"
        steps: list[dict[str, Any]] = [{"step_id": 1, "source": "user", "message": self._briefing.text}]
        for number, call in enumerate(shown.calls, 1):
            made = {"tool_call_id": f"call_{number}", "function_name": call.tool, "arguments": call.arguments}
            seen = {"source_call_id": f"call_{number}", "content": call.answer}
            steps.append(
                {
                    "step_id": number + 1,
                    "source": "agent",
                    "message": "",
                    "tool_calls": [made],
                    "observation": {"results": [seen]},
                    "llm_call_count": 0,  # a script or a policy decided
                    "extra": {"reward": call.reward},
                }
            )
        grade = shown.grade.model_dump(mode="json")
        return {
            "schema_version": SCHEMA,
            "session_id": name,
            "trajectory_id": name,
            "agent": self._by,
            "steps": steps,
            "final_metrics": {"total_steps": len(steps), "extra": {"score": shown.grade.score, "reward": shown.reward}},
            "extra": {"task": self._task, "seed": shown.seed, "grade": grade},
        }
