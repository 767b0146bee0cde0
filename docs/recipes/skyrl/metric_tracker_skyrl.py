r"""Investigations as an environment of SkyRL-Gym (0.4): text in, text out, a session an episode.

    pip install -e . -e docs/recipes/skyrl
    python docs/recipes/skyrl/metric_tracker_skyrl.py --task medium_mixed --split training --episodes 1000 train.parquet

The second command (it needs pyarrow) writes the data set that SkyRL's trainer reads. ``import metric_tracker_skyrl`` in
the program that starts the trainer, and in its Ray entry point, registers the environment ``metric_tracker``.

SkyRL gives a chat template no tools, so the prompt describes them, and a reply calls them between the marks that Qwen's
models use. What the calls pay is the reward of a step; over the episode it sums to that of the session.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput, ConversationType
from skyrl_gym.envs.registration import register, registry

from metric_tracker_env import Session
from metric_tracker_env.session import REMINDER, Answer
from metric_tracker_env.tasks import find_task
from metric_tracker_env.trials import SOLVED

ENV_CLASS = "metric_tracker"
REMINDERS = 2  # after replies without a call, one after another
CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)  # a stop string may have cut the mark that closes
HOW_TO_CALL = (
    "You have the functions that follow, one a line, as JSON schemas. To call one, write its name and arguments as "
    'JSON between two marks: <tool_call>{"name": "...", "arguments": {...}}</tool_call>. The answer comes between '
    "<tool_response> and </tool_response>."
)


class InvestigationEnv(BaseTextEnv):
    """One episode.

    Args:
        env_config: SkyRL's settings of the environment, of which this one has none.
        extras: Columns of the data set's row: ``task``, name or path of one, and ``seed``; SkyRL adds ``max_turns``.
    """

    def __init__(
        self,
        env_config: Any = None,  # noqa: ARG002 - SkyRL gives it to every environment
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        given = extras or {}
        missing = [name for name in ("task", "seed") if name not in given]
        if missing:
            raise ValueError(f"extras {sorted(given)} have no {' and no '.join(missing)}")
        self._session, self._seed = Session(str(given["task"])), int(given["seed"])
        self._silent = 0
        self.max_turns = int(given.get("max_turns", self._session.config.step_limit))

    def init(self, prompt: ConversationType) -> tuple[ConversationType, dict[str, Any]]:
        """Begin the episode; the prompt of the data set stays as it is."""
        self._session.begin(self._seed)
        return prompt, {}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Make the calls of a reply, one after another."""
        self.turns += 1
        calls = CALL.findall(action)
        self._silent = 0 if calls else self._silent + 1
        answers = [self._call(text) for text in calls]
        done = self._session.standing.done or self._silent > REMINDERS or self.turns >= self.max_turns
        told = "\n".join(f"<tool_response>\n{answer.text}\n</tool_response>" for answer in answers) or REMINDER
        return BaseTextEnvStepOutput(
            observations=[] if done else [{"role": "user", "content": told}],
            reward=sum(answer.reward for answer in answers),
            done=done,
            metadata={"answers": [answer.text for answer in answers]},
            postprocessed_action=None,
        )

    def get_metrics(self) -> dict[str, Any]:
        """The score, 0 without a submission, whether that is a solved episode, and the units spent."""
        standing = self._session.standing
        score = 0.0 if standing.grade is None else standing.grade.score
        solved = standing.grade is not None and score >= SOLVED
        return {"score": score, "solved": solved, "cost": standing.cost, "done": standing.done}

    def _call(self, text: str) -> Answer:
        """One call; what cannot be read as one is a call of a tool that there is not."""
        try:
            made = json.loads(text)
        except (ValueError, RecursionError):
            made = None
        if not isinstance(made, Mapping) or not isinstance(made.get("name"), str):
            return self._session.call(text.strip(), {})
        return self._session.call(made["name"], made.get("arguments", {}))


def prompt_of(task: str) -> ConversationType:
    """What the model is told first: the tools and the brief, the same for every episode of a task."""
    session = Session(task)
    brief = session.begin(0)
    tools = [json.dumps(schema["function"]) for schema in session.schemas]
    return [
        {"role": "system", "content": "\n".join((HOW_TO_CALL, *tools))},
        {"role": "user", "content": brief},
    ]


def rows(task: str, seeds: Iterable[int]) -> list[dict[str, Any]]:
    """The rows of a data set, one an episode."""
    prompt = prompt_of(task)
    return [{"prompt": prompt, "env_class": ENV_CLASS, "task": task, "seed": seed} for seed in seeds]


def main() -> None:
    """Write a data set."""
    parser = argparse.ArgumentParser(description="Write a data set for SkyRL's trainer.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--task", default="medium_mixed")
    parser.add_argument("--split", choices=("training", "held_out"), default="training")
    parser.add_argument("--episodes", type=int, default=1000)
    given = parser.parse_args()
    try:
        seeds = range(*getattr(find_task(given.task), f"{given.split}_seeds"))
    except ValueError as error:
        parser.error(str(error))
    if not 1 <= given.episodes <= len(seeds):
        parser.error(f"--episodes {given.episodes} is not an integer from 1 to {len(seeds)}")
    import pandas as pd  # which SkyRL-Gym brings

    pd.DataFrame(rows(given.task, seeds[: given.episodes])).to_parquet(given.file)
    print(f"wrote {given.episodes} episodes of {given.task} to {given.file}")


if ENV_CLASS not in registry:
    register(id=ENV_CLASS, entry_point="metric_tracker_skyrl:InvestigationEnv")

if __name__ == "__main__":
    main()
