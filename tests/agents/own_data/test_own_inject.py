"""Incidents put into a history by hand: what moves with them, and that the analyst names them the next morning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_own_data import STEPS, shop_history

from agents.own_data.files import FIT, FitReport, Reported, read_model
from agents.own_data.fit import Fitted, fit
from agents.own_data.inject import inject
from agents.own_data.watch import judge
from agents.players.registry import find_player
from metric_tracker_env.history import History, HistoryError

DAY = 224


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a fit of the shop is."""
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def fitted(folder: Path) -> Fitted:
    """A fit of the shop."""
    return fit(shop_history(), folder, held_out_weeks=4)


def changed(fitted: Fitted, measure: str, change: float, day: int = DAY) -> tuple[History, History]:
    """The history before and after."""
    before = shop_history()
    return before, inject(before, fitted.whole, str(before.dates[day]), measure, change)


@pytest.mark.parametrize(
    ("measure", "change", "factors"),
    [
        ("visits", -0.3, (0.7, 0.7, 0.7)),
        ("visits", 0.5, (1.5, 1.5, 1.5)),
        ("carts", 0.8, (1.0, 1.8, 1.0)),
        ("visits_to_carts", -0.4, (1.0, 0.6, 0.6)),
        ("carts_to_orders", 0.5, (1.0, 1.0, 1.5)),
        ("visits_to_orders", -0.36, (1.0, 0.8, 0.64)),
        ("visits:daytime_share", -0.2, (1.0, 1.0, 1.0)),
    ],
)
def test_what_moves_with_it(fitted: Fitted, measure: str, change: float, factors: tuple[float, ...]) -> None:
    """The measure by what was asked for, what follows from it, and no other day; no step gets above the one before."""
    before, after = changed(fitted, measure, change)
    other = np.arange(len(before.dates)) != DAY
    assert (before.counts[other] == after.counts[other]).all()
    tolerance = 0.05 if measure.endswith("share") else 0.02
    assert after.daily[DAY] / before.daily[DAY] == pytest.approx(factors, abs=tolerance)
    if measure.endswith("share"):
        daytime = after.counts[DAY, 8:20, 0].sum() / after.daily[DAY, 0]
        assert daytime == pytest.approx(0.8 * before.counts[DAY, 8:20, 0].sum() / before.daily[DAY, 0], rel=0.01)
    if measure != "carts":
        assert (after.counts[:, :, 1:] <= after.counts[:, :, :-1]).all()


@pytest.mark.parametrize(
    ("measure", "change", "entity"),
    [
        ("visits", -0.4, "visits"),
        ("carts", 0.6, "carts"),
        ("visits_to_carts", -0.25, "visits_to_carts"),
        ("carts_to_orders", 0.5, "carts_to_orders"),
        ("visits:daytime_share", -0.25, "visits:daytime_share"),
    ],
)
def test_the_analyst_names_it(
    fitted: Fitted, folder: Path, tmp_path: Path, measure: str, change: float, entity: str
) -> None:
    """The report of the morning after says what was done; that of the same morning without it says nothing."""
    player, report = find_player("analyst"), read_model(folder / FIT, FitReport)
    before, after = changed(fitted, measure, change)
    last = str(before.dates[DAY])
    plain, told = (
        judge(tmp_path, history.between(last=last), report, Reported(), player, 1) for history in (before, after)
    )
    assert plain.report.rows == ()
    (row,) = told.report.rows
    assert (row.date, row.entity_name) == (last, entity)
    assert row.change is not None
    assert np.sign(row.change) == np.sign(change)


@pytest.mark.parametrize(
    ("measure", "change", "date", "told"),
    [
        ("sales", -0.3, "2026-08-17", r"measure 'sales' is not one of \['visits'"),
        ("visits", -0.3, "2020-01-01", "is not a day of the history, 2026-01-05 to"),
        ("visits", -0.3, "soon", "date"),
        ("visits", -1.5, "2026-08-17", "change -1.5 is not a number from -1, and not 0"),
        ("visits", 0.0, "2026-08-17", "and not 0"),
        ("visits", float("nan"), "2026-08-17", "is not a number"),
        ("visits", 0.0001, "2026-08-17", "is less than one event"),
        ("carts_to_orders", 2.0, "2026-08-17", r"is the most that this rate can have"),
        ("visits:daytime_share", 0.9, "2026-08-17", "it can have at most"),
    ],
)
def test_what_cannot_be_is_refused(fitted: Fitted, measure: str, change: float, date: str, told: str) -> None:
    """With the value and what is allowed."""
    with pytest.raises(HistoryError, match=told):
        inject(shop_history(), fitted.whole, date, measure, change)


def test_the_most_that_a_rate_can_have_is_allowed(fitted: Fitted) -> None:
    """Every event of the step before goes on; the history is still one that can be."""
    before = shop_history()
    most = before.daily[DAY, 1] / before.daily[DAY, 2] - 1.0
    after = inject(before, fitted.whole, str(before.dates[DAY]), "carts_to_orders", float(most))
    assert after.daily[DAY, 2] == pytest.approx(after.daily[DAY, 1], rel=0.1)
    assert (after.counts[:, :, 1:] <= after.counts[:, :, :-1]).all()


def test_daily_counts_are_enough(tmp_path: Path) -> None:
    """A history without hours takes the same incidents, but for the mix of the hours."""
    history = shop_history().by_day()
    found = fit(history, tmp_path, held_out_weeks=4).whole
    after = inject(history, found, str(history.dates[DAY]), STEPS[0], -0.5)
    assert after.daily[DAY, 0] == pytest.approx(0.5 * history.daily[DAY, 0], abs=1)
    with pytest.raises(HistoryError, match="is not one of"):
        inject(history, found, str(history.dates[DAY]), "visits:daytime_share", 0.1)
