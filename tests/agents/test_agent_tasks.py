"""Tasks as commands take them: names and presets, and the seeds of each."""

from __future__ import annotations

import pytest
from helpers_models import LAST_RUN
from helpers_training import small

from agents.tasks import SEEDS_PER_RUN, held_out_seeds, presets, validation_seeds
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
