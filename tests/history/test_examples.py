"""The examples in the docstrings of history and fitting run and give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from typing import Any

import pytest

from metric_tracker_env import fitting, history

PUBLIC = {
    f"{package.__name__}.{name}": getattr(package, name) for package in (history, fitting) for name in package.__all__
}
FUNCTIONS = {name: item for name, item in PUBLIC.items() if callable(item) and not isinstance(item, type)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_runs(name: str) -> None:
    """Each public function has an example, and it gives what it says."""
    item: Any = FUNCTIONS[name]
    module = import_module(item.__module__)
    (found,) = [
        test
        for test in doctest.DocTestFinder().find(module)
        if test.name == f"{item.__module__}.{name.rpartition('.')[2]}"
    ]
    assert len(found.examples) >= 3
    assert doctest.DocTestRunner().run(found).failed == 0


def test_the_examples_of_the_record_run() -> None:
    """So do those of the history's own methods."""
    assert doctest.testmod(import_module("metric_tracker_env.history.record")).failed == 0
