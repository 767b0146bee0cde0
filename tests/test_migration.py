"""What docs/migration.md says of names is true."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path
from typing import Any, get_args

import pytest

import metric_tracker_env
from metric_tracker_env import GeneratorConfig, MetricDataGenerator, ScoringConfig, SharedAnalysisToolkit
from metric_tracker_env.config import EpisodeConfig
from metric_tracker_env.session import Answer, Standing
from metric_tracker_env.submission import Fault, FaultType
from metric_tracker_env.tools import ToolError
from metric_tracker_env.tools.results import SubmissionPreview

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith(("| `", "| a "))]
NAMES: dict[str, Any] = {
    **{name: getattr(metric_tracker_env, name) for name in metric_tracker_env.__all__},
    **{item.__name__: item for item in (Answer, Fault, Standing, SubmissionPreview, ToolError)},
}


def test_every_row_has_two_cells() -> None:
    """The table is one."""
    assert len(ROWS) > 30
    assert {len(row) for row in ROWS} == {2}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_said_to_be_here_is_here(row: list[str]) -> None:
    """Each capitalised or dotted name of the right column is a name of the package, an attribute, or a field."""
    for code in re.findall(r"`([\w.]+)", row[1]):
        first, *fields = code.split(".")
        if first == metric_tracker_env.__name__:
            assert pkgutil.resolve_name(code) is not None
        elif first in NAMES:
            owner = NAMES[first]
            assert set(fields) <= {*dir(owner), *getattr(owner, "model_fields", ())}
        else:
            assert code.islower(), code
            assert not fields


def test_the_words_for_faults_are_those_that_there_are() -> None:
    """Every type of fault stands in the page."""
    for name in get_args(FaultType):
        assert f"`{name}`" in PAGE


def test_the_two_things_that_mean_something_else() -> None:
    """A multiplier counts detection thresholds, 1 unless given, and values count within 1 % or 0.0001."""
    config = ScoringConfig()
    assert (config.value_tolerance, config.value_tolerance_abs) == (0.01, 0.0001)
    episode = MetricDataGenerator(GeneratorConfig()).generate_episode(EpisodeConfig(seed=4, difficulty="hard"))
    toolkit = SharedAnalysisToolkit(episode.view)
    found = toolkit.get_median_filter_rows(limit=366)
    assert found == toolkit.get_median_filter_rows(threshold_multiplier=1.0, limit=366)
    assert found.rows
    assert all(row.is_anomaly for row in found.rows)
