"""The page of the environment, made from the docstring of its class: ``docs/environment.md``.

``python docs/make_environment.py > docs/environment.md`` writes it again.
"""

from __future__ import annotations

import inspect

from metric_tracker_env import ENV_ID, MetricTrackerEnv

HEAD = """# The environment: {id}

This page is the docstring of `MetricTrackerEnv`, by `python docs/make_environment.py`. Tests compare its tables with
the spaces. The same in other words, for who reads it first: [The rules](rules.md).

| | |
|---|---|
| made by | `gymnasium.make("metric_tracker_env:{id}")`, `gymnasium.make_vec("metric_tracker_env:{id}", num_envs=...)` |
| actions | `Discrete(75)` in the focus view, `Discrete(1003)` on the board |
| observation | `Box(361,)` in the focus view, `Box(2153,)` on the board; float32 |

{text}
"""


def environment_page() -> str:
    """The page in Markdown."""
    return HEAD.format(id=ENV_ID, text=inspect.cleandoc(MetricTrackerEnv.__doc__ or ""))


if __name__ == "__main__":
    print(environment_page(), end="")
