"""The scripted analyst in the place of a model: shows the Inspect task without a key and without the network.

In a clone, with the extra ``inspect``:

    inspect eval docs/recipes/inspect/analyst.py --epochs 2
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
from typing import Any

from inspect_ai import Task, task
from inspect_ai.model import ChatMessage, ChatMessageTool, ModelOutput, ModelUsage, get_model

from agents.players.scripts.words import investigate
from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.inspect_task import investigation
from metric_tracker_env.tasks import find_task

NO_TOKENS = ModelUsage()  # or Inspect's mock model loads a tokenizer from the net to count them


class ScriptedModel:
    """What Inspect's mock model says: the analyst's next call, worked out from the answers in the conversation.

    It keeps nothing, so that samples may be played at once.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config

    def __call__(self, conversation: list[ChatMessage], *_: Any) -> ModelOutput:
        """The next reply."""
        script = investigate(self._config)
        tool, arguments = next(script)
        for message in conversation:
            if isinstance(message, ChatMessageTool):
                tool, arguments = script.send(json.loads(message.text))
        said = ModelOutput.for_tool_call("mockllm/model", tool, arguments)
        said.usage = NO_TOKENS
        return said


@task
def analyst(task: str = "medium_mixed", episodes: int = 3) -> Task:
    """The analyst's investigations.

    Args:
        task: Named task, or a task's file.
        episodes: How many held-out episodes.
    """
    made = investigation(task, episodes)
    made.model = get_model("mockllm/model", custom_outputs=ScriptedModel(find_task(task).config.generator))
    return made
