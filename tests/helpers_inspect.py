"""Inspect's tasks played by models that follow a script."""

# pyright: reportMissingImports=false

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog, EvalSample, EvalScore, read_eval_log
from inspect_ai.model import ChatMessageTool, ModelOutput, ModelUsage, get_model
from inspect_ai.tool import ToolCall

from metric_tracker_env import Session, get_task
from metric_tracker_env.inspect_task import investigation

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "docs" / "recipes" / "inspect" / "analyst.py"
TASK = "easy_single_spike"
SEED = get_task(TASK).held_out_seeds[0]
BIN = Path(sys.executable).parent
Model = Callable[..., ModelOutput]
IGNORED = [  # warnings of tenacity and anyio, as Inspect uses them
    pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*<function MemoryObject:pytest.PytestUnraisableExceptionWarning"),
]


def loaded() -> ModuleType:
    """The recipe as a module."""
    spec = importlib.util.spec_from_file_location("inspect_recipe", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ScriptedModel = loaded().ScriptedModel


def analyst(task: str = TASK) -> Model:
    """A mock model that plays as the analyst."""
    return ScriptedModel(get_task(task).config.generator)


def says(text: str = "It was the orders, I believe.", calls: Sequence[ToolCall] = ()) -> ModelOutput:
    """A reply of a mock model."""
    output = ModelOutput.from_content("mockllm/model", text)
    output.message.tool_calls = list(calls) or None
    output.usage = ModelUsage()
    return output


def call(tool: str, arguments: Any, number: int = 0, parse_error: str | None = None) -> ToolCall:
    """A call."""
    return ToolCall(id=f"call{number}", function=tool, arguments=arguments, parse_error=parse_error)


def evaluated(model: Model, folder: Path, task: str = TASK, episodes: int = 1, **options: Any) -> EvalLog:
    """What Inspect makes of a mock model, read from its log again."""
    given = {name: options.pop(name) for name in ("first", "threshold", "reminders", "seal") if name in options}
    (log,) = inspect_eval(
        investigation(task, episodes, **given),
        model=get_model("mockllm/model", custom_outputs=model, memoize=False),
        log_dir=str(folder),
        display="none",
        **options,
    )
    found = read_eval_log(log.location)
    assert found.status == "success", found.error
    return found


def samples(log: EvalLog) -> list[EvalSample]:
    """The samples of a log, by episode."""
    assert log.samples is not None
    return sorted(log.samples, key=lambda sample: (sample.id, sample.epoch))


def told_in(sample: EvalSample) -> list[str]:
    """The answers of tools in a sample."""
    return [message.text for message in sample.messages if isinstance(message, ChatMessageTool)]


def parts(sample: EvalSample) -> dict[str, float]:
    """What the scorers found."""
    assert sample.scores is not None
    of_grade: Any = sample.scores["grade"].value
    return {**of_grade, "solved": sample.scores["solved"].as_float()}


def noted(sample: EvalSample) -> dict[str, Any]:
    """What the scorer noted of the episode."""
    assert sample.scores is not None
    found = sample.scores["grade"].metadata
    assert found is not None
    return found


def why(sample: EvalSample) -> str:
    """What the scorer says in words."""
    assert sample.scores is not None
    return sample.scores["grade"].explanation or ""


def metrics(log: EvalLog, name: str, reducer: str | None = None) -> dict[str, float]:
    """The metrics of a score over all samples."""
    assert log.results is not None
    found: list[EvalScore] = [item for item in log.results.scores if (item.name, item.reducer) == (name, reducer)]
    return {key: item.value for key, item in found[0].metrics.items()}


def played(calls: Sequence[tuple[str, Any]], task: str = TASK, seed: int = SEED) -> tuple[Session, list[str]]:
    """A session in which calls were made, and the answers."""
    session = Session(task)
    session.begin(seed)
    return session, [session.call(*made).text for made in calls]
