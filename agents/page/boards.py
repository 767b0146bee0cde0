"""Leaderboards for the page: what the command line prints of the same results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metric_tracker_env.ui.library import Board, BoardLine, Difference, Estimate, QuietLine, RatesLine, Run

from ..evaluation.evaluate import Evaluation, Figure
from ..evaluation.intervals import Interval
from ..evaluation.paired import Pair
from ..evaluation.quiet import Quiet
from ..evaluation.rates import Rates
from ..evaluation.report import Comparison, Line
from .entries import title_of

SHOWN: tuple[Figure, ...] = ("score", "f1", "precision", "recall", "net", "tool_calls", "cost", "illegal")
HERE = "played for this page"


def boards_of(
    compared: Sequence[tuple[str, Comparison]], alone: Sequence[Evaluation], runs: Sequence[Run]
) -> list[Board]:
    """A board for each task of each results file, and of what was evaluated by itself.

    Args:
        compared: Results files with their names.
        alone: Evaluations of no file; of those that have one name on one task, the first counts.
        runs: To link the lines with.
    """
    found = [board for source, comparison in compared for board in _boards(source, comparison, runs)]
    for seal in dict.fromkeys(item.seal for item in alone):
        first = {(title_of(item.task), item.agent): item for item in reversed(alone) if item.seal == seal}
        found += _boards(HERE, Comparison.of(list(first.values())), runs)
    return found


def _boards(source: str, comparison: Comparison, runs: Sequence[Run]) -> list[Board]:
    kinds = {item.agent: item.kind for item in comparison.evaluations}
    own = {(run.agent, run.task): run.name for run in reversed(runs) if source in (HERE, run.source)}
    return [
        Board(
            source=source,
            task=task,
            lines=tuple(_line(line, kinds, own.get((line.agent, task))) for line in lines),
            quiet=tuple(_quiet(line.agent, line.quiet) for line in lines if line.quiet is not None),
            rates=tuple(_rates(line.agent, line.rates) for line in lines),
            differences=tuple(_difference(pair) for pair in comparison.pairs if pair.title == task),
        )
        for task, lines in comparison.tasks.items()
    ]


def _line(line: Line, kinds: Mapping[str, str], run: str | None) -> BoardLine:
    figures = {name: _estimate(line.figures[name]) for name in SHOWN if name in line.figures}
    return BoardLine(agent=line.agent, kind=kinds.get(line.agent, ""), run=run, episodes=line.episodes, figures=figures)


def _quiet(agent: str, quiet: Quiet) -> QuietLine:
    return QuietLine(
        agent=agent,
        episodes=quiet.episodes,
        left_alone=_estimate(quiet.left_alone),
        false_alarms=_estimate(quiet.false_alarms),
        precision=None if quiet.precision is None else _estimate(quiet.precision),
        recall=None if quiet.recall is None else _estimate(quiet.recall),
    )


def _rates(agent: str, rates: Rates) -> RatesLine:
    return RatesLine(
        agent=agent,
        exact_set=_estimate(rates.exact_set),
        any_root=None if rates.any_root is None else _estimate(rates.any_root),
        grounded=None if rates.grounded is None else _estimate(rates.grounded),
        false_alarms=_estimate(rates.false_alarms),
        units_wasted=_estimate(rates.units_wasted),
        failures={str(name): number for name, number in rates.failures.items()},
    )


def _difference(pair: Pair) -> Difference:
    return Difference(
        agent=pair.agent,
        other=pair.other,
        family=pair.family,
        expected=pair.expected,
        f1=pair.f1,
        other_f1=pair.other_f1,
        difference=_estimate(pair.difference),
        apart=pair.apart,
    )


def _estimate(interval: Interval) -> Estimate:
    return Estimate(mean=interval.mean, low=interval.low, high=interval.high)
