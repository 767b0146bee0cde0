"""Boosted trees that see everything but the calendar, and decide which roots of the blind rule to keep.

They show that no statistic of the data tells announced events from incidents. The same trees are also told the
calendar, which shows that they can learn what there is to learn. scikit-learn does the learning
(``pip install scikit-learn``); nothing else needs it.
"""

from __future__ import annotations

import numpy as np
from detectors import episode_f1

from agents.players.scripts.calendar_rule import CalendarRule, Known
from agents.players.scripts.signature import NO_INCIDENT
from metric_tracker_env.measure import seasonal_baseline
from metric_tracker_env.world.source import EpisodeBatch

CLIP = 8.0  # thresholds
NEIGHBOURS = (-2, -1, 1, 2)  # days
CUTS = np.linspace(0.02, 0.6, 30)  # least probabilities that are tried


def features(
    rule: CalendarRule, batch: EpisodeBatch, named: np.ndarray, lost: np.ndarray, calendar: Known | None
) -> np.ndarray:
    """(F, B, D) what is seen of each date: its cells, season, lost hours, root, and the roots of the days around it.

    With a calendar also for which entity what change was announced.
    """
    final = batch.final
    entry = final.values[0]
    season = (entry - seasonal_baseline(entry)) / final.thresholds[0][:, None]
    days = np.broadcast_to(np.arange(entry.shape[1]), entry.shape)
    around = [np.roll(np.pad(named, ((0, 0), (2, 2)), constant_values=NO_INCIDENT), n, axis=1) for n in NEIGHBOURS]
    number = np.broadcast_to((named != NO_INCIDENT).sum(axis=1)[:, None], entry.shape)
    weekday = np.broadcast_to(rule.config.weekdays, entry.shape)
    cells = np.clip(final.ratios, -CLIP, CLIP)
    announced = [] if calendar is None else [calendar.entity, calendar.change]
    return np.stack([*cells, season, lost, named, *(a[:, 2:-2] for a in around), number, days, weekday, *announced])


def filtered_f1(rule: CalendarRule, batch: EpisodeBatch, known: Known, calendar: Known | None = None) -> float:
    """Mean F1 of the roots that the trees keep, over a quarter of the episodes.

    They learn from half of the episodes; another quarter chooses how sure they have to be.

    Args:
        rule: Of the configuration.
        batch: Episodes with their hours.
        known: What is known of their hours, and nothing of the calendar: the roots to choose from follow from it.
        calendar: What was announced, if the trees are told.

    Raises:
        ImportError: without scikit-learn.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("the boosted-tree filter needs scikit-learn: pip install scikit-learn") from error
    named = rule.root_of_all(batch.final, known)
    lane, day = np.nonzero(named != NO_INCIDENT)
    root = named[lane, day]
    seen = features(rule, batch, named, known.lost, calendar)[:, lane, day].T
    right = batch.expected[root, lane, day]
    episodes = named.shape[0]
    half, rest = episodes // 2, 3 * episodes // 4
    trees = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.05, random_state=0)
    probability = trees.fit(seen[lane < half], right[lane < half]).predict_proba(seen)[:, 1]

    def score(cut: float, chosen: slice) -> float:
        kept = probability >= cut
        cells = np.zeros(batch.expected.shape, bool)
        cells[root[kept], lane[kept], day[kept]] = True
        return float(episode_f1(cells, batch.expected)[chosen].mean())

    return score(max(CUTS, key=lambda cut: score(cut, slice(half, rest))), slice(rest, None))
