"""A pytest plugin of ``mutants.py``: a test that takes far more CPU time or memory than any needs ends the run."""

from __future__ import annotations

import resource
import time

import pytest

CPU_SECONDS = 30  # of one test; CPU time, so that a busy machine makes no difference
MEMORY = 8 << 30  # bytes of address space


def pytest_configure() -> None:
    """Bound the memory of the run."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Bound the CPU time of the test that begins; the system ends a process that passes it."""
    limit = int(time.process_time()) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
