"""The toolkit on the seven days of helpers_view."""

from __future__ import annotations

import pytest
from helpers_view import tiny_view

from metric_tracker_env.tools import SharedAnalysisToolkit


@pytest.fixture(scope="module")
def tiny() -> SharedAnalysisToolkit:
    return SharedAnalysisToolkit(tiny_view())
