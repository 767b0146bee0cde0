"""For Inspect (extra ``inspect``): the task ``metric_tracker_env/investigation``, its solver and its scorers.

The package's entry point of the group ``inspect_ai`` names this package, so that Inspect finds the task by its name:

    inspect eval metric_tracker_env/investigation --model NAME -T task=realistic_medium -T episodes=50
"""

# Type checkers read this package also where Inspect is not installed; .ci/run has it checked where it is.
# pyright: reportMissingImports=false

from __future__ import annotations

try:
    import inspect_ai as _inspect_ai
except ImportError as error:
    raise ImportError(
        f"metric_tracker_env.inspect_task needs inspect_ai ({error}); "
        "install it with: pip install 'metric_tracker_env[inspect]'"
    ) from error

from metric_tracker_env.inspect_task.play import begin, investigate
from metric_tracker_env.inspect_task.scores import grade, solved, trials
from metric_tracker_env.inspect_task.task import investigation

del _inspect_ai

__all__ = ["begin", "grade", "investigate", "investigation", "solved", "trials"]
