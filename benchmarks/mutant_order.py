"""A pytest plugin of ``mutants.py``: the quickest tests come first, and in a first round one case of each.

How long a test took in CPU time is written to a file as it ends, and read again by the runs that follow.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest

# The file of times; "first", or "all"; CPU seconds after which no test begins.
TIMES, ROUND, SECONDS = "MUTANT_TIMES", "MUTANT_ROUND", "MUTANT_SECONDS"
UNKNOWN = 1.0  # seconds that a test is thought to take before it was run
LONG = 4.0  # seconds of a test that the first round leaves out


def read_times() -> dict[str, float]:
    """CPU seconds of each test that was run, the last time."""
    path = Path(os.environ[TIMES])
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {name: float(seconds) for name, _, seconds in (line.rpartition("\t") for line in lines)}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests; in the first round leave out what takes long, and all cases of a test but the first."""
    known = read_times()
    items.sort(key=lambda item: known.get(item.nodeid, UNKNOWN))
    if os.environ[ROUND] == "first":
        kept: dict[str, pytest.Item] = {}
        for item in sorted(items, key=lambda item: item.nodeid):
            if known.get(item.nodeid, UNKNOWN) < LONG:
                kept.setdefault(item.nodeid.partition("[")[0], item)
        left_out = [item for item in items if item not in kept.values()]
        items[:] = [item for item in items if item in kept.values()]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Note the CPU time of a test."""
    begun = time.process_time()
    result = yield
    with Path(os.environ[TIMES]).open("a", encoding="utf-8") as file:
        file.write(f"{item.nodeid}\t{time.process_time() - begun:.3f}\n")
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol() -> bool | None:
    """Begin no test when time is up."""
    return True if time.process_time() > float(os.environ[SECONDS]) else None
