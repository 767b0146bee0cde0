"""The learning curve."""

from __future__ import annotations

import pytest

from agents.training.curve import labels_of


def test_labels_of_a_curve_do_not_overlap() -> None:
    """Scores that are close share one label, best on top; the others have their own, at their height."""
    found = labels_of({"oracle": 1.0, "analyst": 0.99, "zscore": 0.7, "random": 0.01, "nothing": 0.0})
    assert [text for text, _ in found] == ["random 0.010\nnothing 0.000", "zscore 0.700", "oracle 1.000\nanalyst 0.990"]
    assert [height for _, height in found] == pytest.approx([0.005, 0.7, 0.995])
