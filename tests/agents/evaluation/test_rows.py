"""Rows by family and by entity."""

from __future__ import annotations

import pytest

from agents import evaluate
from agents.evaluation.rows import Group, Rows
from metric_tracker_env import GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES

CATALOGUE = GeneratorConfig().catalogue


def test_groups_add_up_to_the_whole() -> None:
    """Recall and precision by family and by entity are made of the same rows as those of all episodes together."""
    result = evaluate("zscore", range(80), "hard_mixed")
    families, entities = result.rows.by_family(), result.rows.by_entity(CATALOGUE)
    assert [group.name for group in families] == list(ANOMALY_TYPES)
    assert [group.name for group in entities] == [f"{e.entity_type} {e.entity_name}" for e in CATALOGUE.entities]
    for groups in (families, entities):
        assert sum(group.expected for group in groups) == sum(result.episodes.expected)
        assert sum(group.matched + group.extra for group in groups) == sum(result.episodes.submitted)
        for group in groups:
            assert group.recall is None or group.recall.mean == group.matched / group.expected
            assert group.precision is None or group.precision.mean == group.matched / (group.matched + group.extra)
    per_type = [
        sum(g.expected for g in entities if g.name.startswith(kind)) for kind in ("event_count", "data_quality")
    ]
    assert per_type == [families[2].expected + families[3].expected, families[6].expected]


def test_a_group_of_nothing_has_no_share() -> None:
    """Where nothing was expected there is no recall, and where nothing was submitted no precision."""
    none = Group.of("x", missed=0, matched=0, extra=0)
    assert (none.recall, none.precision) == (None, None)
    missed = Group.of("x", missed=4, matched=0, extra=0)
    assert missed.recall is not None
    assert (missed.recall.mean, missed.precision) == (0.0, None)


def test_rows_refuse_columns_of_other_lengths() -> None:
    """Columns belong together."""
    with pytest.raises(ValueError, match="rows: the columns must be of one length"):
        Rows(episode=(0,), day=(1,), entity=(2,), family=(3,))
