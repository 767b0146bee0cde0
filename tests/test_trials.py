"""What several trials of an episode say of any k of them."""

from __future__ import annotations

from itertools import combinations

import pytest

from metric_tracker_env.trials import all_solved, any_solved


@pytest.mark.parametrize("tried", [[True, False, True, False, True], [False] * 3, [True] * 4, [True], [False, True]])
def test_the_chances_are_those_of_drawing_k_of_the_trials(tried: list[bool]) -> None:
    """Counted over every way to draw k trials: in how many are all solved, and in how many is any."""
    for k in range(1, len(tried) + 1):
        drawn = list(combinations(tried, k))
        assert all_solved(tried, k) == pytest.approx(sum(map(all, drawn)) / len(drawn))
        assert any_solved(tried, k) == pytest.approx(sum(map(any, drawn)) / len(drawn))
    assert all_solved(tried, 1) == pytest.approx(any_solved(tried, 1))
