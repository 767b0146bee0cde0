"""Two agents on the same episodes: differences by family with paired intervals, and what quiet episodes come to."""

from __future__ import annotations

import numpy as np
import pytest

from agents import Evaluation, evaluate
from agents.evaluation.paired import ALL, compare_pair, counts_of, f1_of
from agents.evaluation.quiet import Quiet
from agents.evaluation.report import Comparison, console, pair_table, quiet_table
from agents.evaluation.rows import Rows
from agents.players.outcome import Fate
from metric_tracker_env.schema import ANOMALY_TYPES

EPISODES = 40


@pytest.fixture(scope="module")
def analyst() -> Evaluation:
    """The analyst in weeks that may be quiet."""
    return evaluate("analyst", range(EPISODES), "realistic_medium")


@pytest.fixture(scope="module")
def blind() -> Evaluation:
    """The analyst that knows of no calendar, on the same episodes."""
    return evaluate("analyst_blind", range(EPISODES), "realistic_medium")


def test_counts_are_those_of_the_rows(analyst: Evaluation) -> None:
    """By episode and family the counts add up to the figures of the episodes."""
    counts = counts_of(analyst)
    assert counts.shape == (len(ANOMALY_TYPES) + 1, EPISODES, 3)
    assert counts[-1, :, 1].tolist() == list(analyst.episodes.submitted)
    assert counts[-1, :, 2].tolist() == list(analyst.episodes.expected)
    assert np.allclose(f1_of(counts[-1]), analyst.episodes.f1)
    assert (counts[:-1].sum(axis=0) == counts[-1]).all()


def test_f1_by_hand() -> None:
    """2 x matched / (submitted + expected), and 1 for nothing of nothing."""
    counts = np.array([[0, 0, 0], [1, 1, 1], [1, 2, 2], [0, 3, 0], [2, 2, 4]])
    assert f1_of(counts).tolist() == pytest.approx([1.0, 1.0, 0.5, 0.0, 2 / 3])


def test_an_agent_is_no_better_than_itself(analyst: Evaluation) -> None:
    """The paired interval of nothing is nothing, however much the episodes differ."""
    for pair in compare_pair(analyst, analyst):
        assert (pair.difference.mean, pair.difference.low, pair.difference.high) == (0.0, 0.0, 0.0)
        assert not pair.apart


def test_the_calendar_is_worth_something_in_every_family(analyst: Evaluation, blind: Evaluation) -> None:
    """The pair tells by how much, the other way round with the other sign."""
    pairs, mirrored = compare_pair(analyst, blind), compare_pair(blind, analyst)
    assert [pair.family for pair in pairs] == [*ANOMALY_TYPES, ALL]
    total = pairs[-1]
    assert total.apart
    assert total.difference.low > 0.2
    assert total.expected == sum(analyst.episodes.expected)
    for pair, other in zip(pairs, mirrored, strict=True):
        assert pair.difference.mean == pytest.approx(pair.f1 - pair.other_f1)
        assert pair.difference.mean == pytest.approx(-other.difference.mean)
        assert pair.difference.low == pytest.approx(-other.difference.high)


def test_pairing_makes_intervals_narrower() -> None:
    """Two agents that differ in one row of many episodes are told apart from chance by pairing alone."""
    base = evaluate("nothing", range(EPISODES), "easy_mixed")
    rng = np.random.default_rng(0)
    fates = [Fate.MATCHED if draw < 0.5 else Fate.MISSED for draw in rng.random(EPISODES)]
    made = [
        base.model_copy(update={"agent": name, "rows": rows_of_fates(fates, better)})
        for name, better in (("one", 0), ("two", 12))
    ]
    (pair,) = [pair for pair in compare_pair(made[1], made[0]) if pair.family == ALL]
    assert pair.difference.mean > 0
    assert pair.apart


def rows_of_fates(fates: list[Fate], found: int) -> Rows:
    """One row an episode, of one family; the first ``found`` missed ones are matched instead."""
    told, left = [], found
    for fate in fates:
        better = fate == Fate.MISSED and left > 0
        left -= better
        told.append(int(Fate.MATCHED if better else fate))
    number = len(fates)
    return Rows(
        episode=tuple(range(number)), day=(5,) * number, entity=(0,) * number, family=(2,) * number, fate=tuple(told)
    )


def test_other_episodes_are_refused(analyst: Evaluation) -> None:
    """Paired means the same seeds of the same task."""
    other = evaluate("nothing", range(1, 1 + EPISODES), "realistic_medium")
    with pytest.raises(ValueError, match="'analyst' and 'nothing' did not play the same episodes"):
        compare_pair(analyst, other)


def test_quiet_episodes_have_figures_of_their_own(analyst: Evaluation, blind: Evaluation) -> None:
    """Share left alone and false alarms are of the quiet ones, precision and recall of the others."""
    for evaluation in (analyst, blind):
        quiet, episodes = Quiet.of(evaluation), evaluation.episodes
        assert quiet is not None
        chosen = [number for number, expected in enumerate(episodes.expected) if expected == 0]
        rows = [episodes.submitted[number] for number in chosen]
        others = [recall for recall, expected in zip(episodes.recall, episodes.expected, strict=True) if expected]
        assert quiet.episodes == len(chosen) > 0
        assert quiet.left_alone.mean == rows.count(0) / len(rows)
        assert quiet.false_alarms.mean == pytest.approx(sum(rows) / len(rows))
        assert quiet.recall is not None
        assert quiet.recall.mean == pytest.approx(np.mean(others))
    assert Quiet.of(evaluate("nothing", range(5), "easy_mixed")) is None


def test_tables_show_both(analyst: Evaluation, blind: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    """The pairs of a comparison are against its best agent, and quiet episodes have a table; both fit a page."""
    comparison = Comparison.of([blind, analyst])
    assert {(pair.agent, pair.other) for pair in comparison.pairs} == {("analyst_blind", "analyst")}
    lines = comparison.tasks["realistic_medium"]
    console().print(quiet_table(lines, "quiet"), pair_table(comparison.pairs, "pairs"))
    text = capsys.readouterr().out
    assert "left alone" in text
    assert "hourly mix shift" in text
    assert ALL in text
    assert "]*" in text
    assert "…" not in text
