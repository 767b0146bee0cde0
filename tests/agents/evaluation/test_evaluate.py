"""Evaluations: what they keep, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import Evaluation, evaluate
from agents.evaluation.intervals import bootstrap
from agents.tasks import presets
from metric_tracker_env import EnvConfig


def test_evaluation_survives_json(tmp_path: Path) -> None:
    """What is written is what is read, configuration included."""
    result = evaluate("threshold", range(4), config=presets() / "ecommerce.toml")
    result.to_json(tmp_path / "evaluation.json")
    assert Evaluation.from_json(tmp_path / "evaluation.json") == result
    assert json.loads((tmp_path / "evaluation.json").read_text())["episodes"]["seed"] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="does not exist"):
        Evaluation.from_json(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": "nobody"}, "agent 'nobody' is not one of"),
        ({"agent": 3}, "agent 3 is neither one of"),
        ({"agent": Path("nobody")}, "agent 'nobody' is not one of"),
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": 7}, "seeds 7 is not a sequence of integers"),
        ({"seeds": [0, -1]}, "seeds: -1 is not an integer from 0"),
        ({"seeds": [0.5]}, "seeds: 0.5 is not an integer"),
        ({"seeds": [True]}, "seeds: True is not an integer"),
        ({"task": "no_task"}, "task 'no_task' is not one of"),
        ({"task": "easy_mixed", "config": EnvConfig()}, "are both given"),
        ({"config": "absent.toml"}, "config file 'absent.toml' does not exist"),
        ({"options": {"bugdet": 3}}, "unexpected keyword argument 'bugdet'"),
        ({"options": {"budget": -3}}, "budget"),
        ({"workers": 0}, "workers 0 is not an integer from 1 to 256"),
        ({"workers": 2.0}, "workers 2.0 is not an integer"),
    ],
)
def test_evaluate_refuses_bad_input(arguments: dict[str, Any], message: str) -> None:
    """Each error names what was given and what is allowed."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        evaluate(**({"agent": "nothing", "seeds": [0]} | arguments))


def test_trials_of_a_seed_are_one_value_of_the_interval() -> None:
    """Where seeds come more than once, the interval is over the means of seeds; the mean stays that of the episodes."""
    alike = evaluate("nothing", [3, 4, 3, 4], "easy_single_spike")
    episodes = alike.episodes.model_copy(update={"score": (1.0, 0.25, 0.0, 0.75), "net": (1.0, 3.0, 0.0, 7.0)})
    trials = alike.model_copy(update={"episodes": episodes})
    assert trials.interval("score") == bootstrap(np.array([0.5, 0.5]), bounds=(0.0, 1.0))
    assert trials.interval("net") == bootstrap(np.array([0.5, 5.0]))
    assert trials.interval("net").mean == trials.mean("net")
