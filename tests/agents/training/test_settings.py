"""Settings of a training run: ramps, presets, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers_models import LAST_RUN
from helpers_tasks import FIRST_TRAINING, own_task
from helpers_training import small

from agents.tasks import presets, task_of
from agents.training.settings import Ramp, TrainingConfig, load_preset, preset_path
from metric_tracker_env import TASKS


def test_ramp_holds_then_falls() -> None:
    """A ramp keeps its start, then falls to its end, in a line or in a curve that ends flat."""
    ramp = Ramp(start=1.0, end=0.2, hold=0.5)
    assert [ramp(left) for left in (1.0, 0.75, 0.5)] == [1.0, 1.0, 1.0]
    assert [round(ramp(left), 12) for left in (0.25, 0.0)] == [0.6, 0.2]
    curve = Ramp(start=0.9, end=0.1, power=2.0)
    assert [round(curve(left), 12) for left in (1.0, 0.5, 0.25, 0.0)] == [0.9, 0.3, 0.15, 0.1]
    flat = Ramp(start=0.3, end=0.3)
    assert flat(1.0) == flat(0.5) == flat(0.0) == 0.3


@pytest.mark.parametrize("path", sorted((presets() / "training").glob("*.toml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("task", TASKS)
def test_presets(path: Path, task: str) -> None:
    """Each preset fits every task, and is named by its algorithm and view."""
    config = TrainingConfig.model_validate({})
    for algorithm in ("maskable_ppo", "ppo", "dqn"):
        for view in ("focus", "board"):
            for demonstrations in (False, True):
                if preset_path(algorithm, view, demonstrations) == path:
                    config = load_preset(path).config(task, algorithm=algorithm, view=view)
                    assert (config.algorithm, config.view, config.task) == (algorithm, view, TASKS[task])
                    assert (config.demonstrations is not None) == demonstrations
    assert config.name in {f"{task}-{config.view}-{config.algorithm}-seed0"}
    assert config.environment.difficulty == TASKS[task].config.difficulty


def test_settings_hold_the_task(tmp_path: Path) -> None:
    """A task is kept in full, so that a run goes on with it whatever becomes of its file; it has its own seeds."""
    path = own_task(tmp_path)
    config = load_preset(preset_path("ppo", "focus")).config(path, algorithm="ppo", lanes=128)
    assert (config.task, config.name) == (task_of(path), "broken_step-focus-ppo-seed0")
    assert (config.environment.scenario_family, config.first_seed) == ("funnel_break", FIRST_TRAINING)
    path.unlink()
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValueError, match="task 'broken_step' has training seeds 10 to 4999, too few for 8192 lanes"):
        TrainingConfig.model_validate({**dict(config), "lanes": 8192})
    with pytest.raises(ValueError, match="seed 1 is not an integer from 0 to 0"):
        TrainingConfig.model_validate({**dict(config), "seed": 1})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "no_such"}, "no_such"),
        ({"algorithm": "a2c"}, "algorithm"),
        ({"view": "board", "algorithm": "ppo"}, "'ppo' has no network for view 'board'"),
        ({"view": "board", "hidden": (16, 16)}, "hidden"),
        ({"view": "board", "network": "mlp"}, "network 'mlp' is not for view 'board'"),
        ({"network": "other"}, "network"),
        ({"network": "shared", "algorithm": "ppo"}, "'ppo' has no network for network 'shared'"),
        ({"network": "shared", "hidden": (16,)}, r"hidden \[16\] has 1 widths; .* takes 2"),
        ({"demonstrations": {}, "algorithm": "dqn"}, "demonstrations are for algorithm 'maskable_ppo'; this is 'dqn'"),
        ({"demonstrations": {"agent": "no_such"}}, "agent 'no_such' cannot demonstrate; allowed: .*'analyst'"),
        ({"demonstrations": {"agent": "oracle"}}, "agent 'oracle' cannot demonstrate"),
        ({"demonstrations": {"episodes": 0}}, "demonstrations.episodes"),
        ({"demonstrations": {"epochs": 1.5}}, "demonstrations.epochs"),
        ({"ppo": {"target_kl": 0}}, "target_kl"),
        ({"lanes": 0}, "lanes"),
        ({"total_steps": 0}, "total_steps"),
        ({"total_steps": 1.5}, "total_steps"),
        ({"seed": LAST_RUN + 1}, "seed"),
        ({"seed": -1}, "seed"),
        ({"ppo": {"batch_size": 100}}, "batch_size 100 does not divide"),
        ({"ppo": {"gamma": 1.5}}, "gamma"),
        ({"step_cost": 1.5}, r"step_cost\S*\n\s+Input should be less than or equal to 1"),
        ({"step_cost": {"start": 0.1, "end": 1.5}}, r"step_cost\S*\.end\n\s+Input should be less than or equal to 1"),
        ({"step_cost": {"end": 0.1}}, r"step_cost\S*\.start\n\s+Field required"),
        ({"learning_rate": {"start": float("nan")}}, "learning_rate"),
        ({"no_such_key": 1}, "no_such_key"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], told: str) -> None:
    """Each bad setting is named with what is allowed."""
    with pytest.raises(ValueError, match=told):
        small(**changes)


def test_bad_presets_are_refused(tmp_path: Path) -> None:
    """A preset that is missing, malformed, or wrong for one of its tasks names the file and the key."""
    for text, told in (
        ("settings = 3", "settings"),
        ("[settings]\nlanes = -2", "lanes"),
        ("[settings]\n[tasks.hard_mixed]\nn_steps = 3", "n_steps"),
        ("[settings]\n[tasks.no_such]\nlanes = 3", "no_such"),
        ("[settings", "malformed"),
    ):
        path = tmp_path / "preset.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=told):
            load_preset(path)
    with pytest.raises(ValueError, match="does not exist"):
        load_preset(tmp_path / "none.toml")
