"""Tasks as commands take them: names and presets, and the seeds of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers_models import LAST_RUN
from helpers_tasks import FIRST_HELD_OUT, FIRST_TRAINING, INSTRUCTION, own_task
from helpers_training import small

from agents.tasks import SEEDS_PER_RUN, held_out_seeds, presets, task_of, training_seed, validation_seeds
from metric_tracker_env import TASKS, get_task, load_config
from metric_tracker_env.tasks import HELD_OUT_SEEDS, TRAINING_SEEDS


def test_held_out_seeds_are_held_out() -> None:
    """They never meet the training seeds, and there is an end to them."""
    first, end = get_task("hard_mixed").training_seeds
    assert not set(held_out_seeds("hard_mixed", 100)) & set(range(first, min(end, first + 10_000)))
    assert held_out_seeds("hard_mixed", 100).start >= end
    with pytest.raises(ValueError, match="episodes 1000000000 is not an integer from 1 to 100000"):
        held_out_seeds("hard_mixed", 1_000_000_000)


@pytest.mark.parametrize("name", ["easy", "medium", "hard"])
def test_presets_equal_the_tasks(name: str) -> None:
    """The presets of the difficulties are the named tasks."""
    assert load_config(presets() / f"{name}.toml") == get_task(f"{name}_mixed").config


def test_board_preset_is_the_medium_task_in_the_board_view() -> None:
    """Only the view differs."""
    board = load_config(presets() / "board.toml")
    assert board == get_task("medium_mixed").config.model_copy(update={"view": "board"})


def test_seeds_of_runs_and_evaluations_are_apart() -> None:
    """Lanes of any run are seeded inside the training range and no two runs share one; evaluations are held out."""
    first, last = small(seed=0), small(seed=LAST_RUN)
    assert first.first_seed == TRAINING_SEEDS.start
    assert last.first_seed + SEEDS_PER_RUN <= TRAINING_SEEDS.stop
    assert small(seed=1).first_seed - first.first_seed == SEEDS_PER_RUN
    for task in TASKS:
        checked = validation_seeds(task, 10_000)
        assert len(checked) == 10_000
        assert set(checked) <= set(HELD_OUT_SEEDS)
        assert not set(checked) & set(held_out_seeds(task, 10_000))


def test_a_preset_is_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a preset, or of a task's own file, stands for a task that is called like the file."""
    shop = presets() / "ecommerce.toml"
    found = task_of(shop)
    assert (found.name, found.config) == ("ecommerce", load_config(shop))
    assert (found.training_seeds, found.held_out_seeds) == (
        (TRAINING_SEEDS.start, TRAINING_SEEDS.stop),
        (HELD_OUT_SEEDS.start, HELD_OUT_SEEDS.stop),
    )
    own = task_of(str(own_task(tmp_path)))
    assert (own.name, own.instruction, own.config.scenario_family) == ("broken_step", INSTRUCTION, "funnel_break")
    assert task_of(own) is own
    monkeypatch.setenv("HOME", str(tmp_path))
    assert task_of("~/broken_step.toml") == own
    for wrong, told in (("no_such", "task 'no_such' is not one of"), (tmp_path / "none.toml", "does not exist")):
        with pytest.raises(ValueError, match=told):
            task_of(wrong)


def test_an_own_task_keeps_its_seeds(tmp_path: Path) -> None:
    """Reports take its first held-out seeds and evaluations in training its last ones; runs begin at its own first."""
    own = own_task(tmp_path)
    assert held_out_seeds(own, 3) == range(FIRST_HELD_OUT, FIRST_HELD_OUT + 3)
    assert validation_seeds(own, 10) == range(FIRST_HELD_OUT + 90, FIRST_HELD_OUT + 100)
    assert validation_seeds(own, 500) == range(FIRST_HELD_OUT + 50, FIRST_HELD_OUT + 100)
    assert training_seed(own, 0, 4990) == FIRST_TRAINING
    with pytest.raises(ValueError, match="episodes 101 is not an integer from 1 to 100"):
        held_out_seeds(own, 101)
    with pytest.raises(ValueError, match="seed 1 is not an integer from 0 to 0"):
        training_seed(own, 1, 4)
    with pytest.raises(ValueError, match="task 'broken_step' has training seeds 10 to 4999, too few for 4991 lanes"):
        training_seed(own, 0, 4991)
