"""An OpenEnv server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from helpers_serve import wait_for

if TYPE_CHECKING:
    from helpers_openenv import Live


@pytest.fixture(scope="module")
def server() -> Iterator[Live]:
    """A server that the tests of a file share; nothing is left in it between them."""
    from helpers_openenv import live  # some of these tests run where there is no OpenEnv

    with live() as running:
        yield running
        wait_for(lambda: running.sessions == 0)
