"""Which tests of a run of pytest ``mutants.py`` wants, in which order, and for how long.

How long each test took, and whether it failed, is written to a file as it ends and read by the runs that follow. Tests
that noticed changes before come first, those that do so most cheaply before the others, then the quickest.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

FIRST, REST = "first", "rest"
UNKNOWN = 0.2  # seconds that a test is thought to take before it was run
QUICK = 0.5  # seconds of a test of the first round, at most


class Limits(NamedTuple):
    """What a round of tests may take."""

    round: Literal["first", "rest"]  # one case of each quick test, or all
    seconds: float  # CPU time of the round; no test begins after it
    told: Path  # file of what tests were run: name, CPU seconds, 1 if it failed


class Told(NamedTuple):
    """What is known of a test."""

    seconds: float = UNKNOWN  # the last time
    failed: int = 0  # how often


class Order:
    """The plugin."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def known(self) -> dict[str, Told]:
        """What is known of each test that was run."""
        found: dict[str, Told] = {}
        path = self._limits.told
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            name, seconds, failed = line.rsplit("\t", 2)
            found[name] = Told(float(seconds), found.get(name, Told()).failed + int(failed))
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Sort the tests; in the first round leave out what takes long, and all cases of a test but one."""
        known = self.known()

        def rank(item: pytest.Item) -> tuple[float, float, str]:
            told = known.get(item.nodeid, Told())
            return -told.failed / (told.seconds + 0.05), told.seconds, item.nodeid

        wanted = sorted(items, key=rank)
        if self._limits.round == FIRST:
            cases: dict[str, pytest.Item] = {}
            for item in wanted:
                if known.get(item.nodeid, Told()).seconds < QUICK:
                    cases.setdefault(item.nodeid.partition("[")[0], item)
            wanted = list(cases.values())
            config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = wanted

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> bool | None:
        """Begin no test when time is up."""
        return True if cpu_time() > self._limits.seconds else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Note what a test took, and whether it failed."""
        begun, failed = cpu_time(), True
        try:
            yield
            failed = False
        finally:
            with self._limits.told.open("a", encoding="utf-8") as file:
                file.write(f"{item.nodeid}\t{cpu_time() - begun:.3f}\t{failed:d}\n")


def cpu_time() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(os.times()[:4])
