"""``agents watch``: what it reports, what it remembers, and that its state survives whatever stops it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_own_data import csv_of, shop_history

from agents import cli
from agents.own_data import files
from agents.own_data.files import REPORTED, Reported, read_model
from agents.own_data.fit import fit
from agents.own_data.watch import watch
from metric_tracker_env.history import History

ROOT = Path(__file__).parents[3]
FITTED_DAYS, START = 210, 217


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``fit`` wrote thirty weeks into the history; tests watch in copies of it."""
    folder = tmp_path_factory.mktemp("fitted")
    fit(shop_history(FITTED_DAYS), folder, held_out_weeks=8)
    return folder


@pytest.fixture
def folder(fitted: Path, tmp_path: Path) -> Path:
    """A copy of the folder."""
    return Path(shutil.copytree(fitted, tmp_path / "own"))


def until(history: History, day: int) -> History:
    """The history up to a day."""
    return history.between(last=str(history.dates[day]))


def test_nothing_is_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ordinary days are not reported; the command ends well."""
    assert watch(folder, shop_history()).report.rows == ()
    cli.main(["watch", str(folder), str(csv_of(shop_history(), tmp_path / "shop.csv"))])
    assert "nothing to look at" in capsys.readouterr().out
    assert read_model(folder / REPORTED, Reported).days == {}


@pytest.mark.parametrize(
    ("incident", "measure", "change"),
    [
        ((START, 0, 0.6), "visits", -0.4),
        ((START, 1, 0.6), "visits_to_carts", -0.4),
        ((START, 2, 1.5), "carts_to_orders", 0.5),
    ],
)
def test_an_incident_is_told_in_raw_numbers(folder: Path, incident: Any, measure: str, change: float) -> None:
    """The cause with what was counted, what was expected, and what follows from it."""
    history = shop_history(incident=incident)
    (row,) = watch(folder, until(history, START + 2)).report.rows
    assert (row.date, row.measure, row.since) == (str(history.dates[START]), measure, row.date)
    assert row.change is not None
    assert row.change == pytest.approx(change, abs=0.12)
    assert row.noises is not None
    assert abs(row.noises) > 4
    day = history.daily[START].astype(float)
    observed = {"visits": day[0], "visits_to_carts": day[1] / day[0], "carts_to_orders": day[2] / day[1]}[measure]
    assert row.observed == pytest.approx(observed)
    assert row.expected == pytest.approx(observed / (1 + row.change))
    if measure == "visits":
        assert {item.measure for item in row.follows} >= {"carts"}
        assert all(item.change < 0 for item in row.follows)


def test_the_command_ends_with_three(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And writes the report as JSON and as a picture."""
    source = csv_of(until(shop_history(incident=(START, 0, 0.6)), START + 1), tmp_path / "shop.csv")
    report, picture = tmp_path / "report.json", tmp_path / "report.png"
    with pytest.raises(SystemExit) as end:
        cli.main(["watch", str(folder), str(source), "--json", str(report), "--png", str(picture)])
    assert end.value.code == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "1 day to look at" in told
    assert "count drop in visits:" in told
    (row,) = json.loads(report.read_text(encoding="utf-8"))["rows"]
    assert (row["entity_name"], row["holiday"]) == ("visits", None)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_incident_that_lasts_stays_one(folder: Path) -> None:
    """On each of twenty-one days, watched every day; what was reported is not believed, until it is accepted."""
    lasting = shop_history(incident=(START, 0, 0.75), lasting=21)
    named: set[str] = set()
    for day in range(START, START + 21):
        report = watch(folder, until(lasting, day)).report
        named |= {row.date for row in report.rows if row.measure == "visits"}
    days = {str(date) for date in lasting.dates[START : START + 21]}
    assert len(named & days) >= 20
    last = watch(folder, until(lasting, START + 20)).report.rows[-1]
    assert last.since == str(lasting.dates[START])
    state = read_model(folder / REPORTED, Reported)
    assert set(state.days) == named
    assert state.disbelieved() == sorted(named)
    accepted = watch(folder, until(lasting, START + 20), accept=max(days)).report
    assert accepted.rows == ()
    assert read_model(folder / REPORTED, Reported).disbelieved() == []


def test_twice_is_as_good_as_once(folder: Path) -> None:
    """The same report and the same state, whatever is judged again."""
    history = until(shop_history(incident=(START, 1, 0.5)), START + 1)
    first = watch(folder, history).report
    state = (folder / REPORTED).read_bytes()
    assert watch(folder, history).report == first
    assert (folder / REPORTED).read_bytes() == state


def test_days_are_the_last_ones(folder: Path) -> None:
    """Of a week ago nothing is told where two days are asked for."""
    history = until(shop_history(incident=(START, 0, 0.5)), START + 4)
    assert len(watch(folder, history, days=5).report.rows) == 1
    report = watch(folder, history, days=2).report
    assert report.rows == ()
    assert (report.first_date, report.last_date) == (str(history.dates[-2]), str(history.dates[-1]))


def test_holidays_explain(tmp_path: Path) -> None:
    """With a country, a day near a holiday is told apart, and is nothing to look at."""
    dates = shop_history().dates.astype(str).tolist()
    labor_day = dates.index("2026-07-04")
    history = until(shop_history(incident=(labor_day, 0, 0.5)), labor_day + 3)
    fit(until(shop_history(), labor_day - 7), tmp_path, held_out_weeks=0, country="US")
    report = watch(tmp_path, history).report
    assert report.rows == ()
    (row,) = report.explained
    assert (row.date, row.measure) == ("2026-07-04", "visits")
    assert row.holiday is not None
    assert "Independence Day" in row.holiday
    assert read_model(tmp_path / REPORTED, Reported).days == {}


@pytest.mark.parametrize("at", range(12))
def test_a_crash_at_any_write_leaves_a_whole_state(folder: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Stopped before any of its calls of the file system, it goes on as if it had not begun, or as if it had ended."""
    history = until(shop_history(incident=(START, 0, 0.6)), START)
    whole = Path(shutil.copytree(folder, folder.parent / "whole"))
    expected = watch(whole, history).report
    left = [at]

    def stopping(call: Any) -> Any:
        def stopped(*args: Any, **kwargs: Any) -> Any:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return call(*args, **kwargs)

        return stopped

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", stopping(os.fsync))
        patched.setattr(files.Path, "replace", stopping(Path.replace))
        patched.setattr(files.Path, "open", stopping(Path.open))
        with suppress(KeyboardInterrupt):
            watch(folder, history)
    assert watch(folder, history).report == expected
    assert read_model(folder / REPORTED, Reported) == read_model(whole / REPORTED, Reported)


def test_a_killed_process_leaves_a_whole_state(folder: Path, tmp_path: Path) -> None:
    """Killed with SIGKILL at many times, and run again: the state is that of a run that nobody stopped."""
    history = until(shop_history(incident=(START, 0, 0.6)), START)
    source = csv_of(history, tmp_path / "shop.csv")
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    began = time.monotonic()
    command = [sys.executable, "-m", "agents", "watch"]
    assert subprocess.run([*command, whole, source], cwd=ROOT, capture_output=True, check=False).returncode == 3
    seconds = time.monotonic() - began
    for share in np.linspace(0.5, 0.98, 5):
        process = subprocess.Popen([*command, folder, source], cwd=ROOT, stdout=subprocess.DEVNULL)
        time.sleep(seconds * share)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (folder / REPORTED).exists():
            assert read_model(folder / REPORTED, Reported) == read_model(whole / REPORTED, Reported)
    assert subprocess.run([*command, folder, source], cwd=ROOT, capture_output=True, check=False).returncode == 3
    assert (folder / REPORTED).read_bytes() == (whole / REPORTED).read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"days": 8}, "days 8 is not an integer from 1 to 7"),
        ({"days": True}, "days True is not an integer from 1 to 7"),
        ({"agent": "nobody"}, "agent 'nobody' is not one of"),
        ({"accept": "soon"}, "accept 'soon' is not a date"),
        ({"accept": "2026-01-09"}, "accept 2026-01-09: no day up to it was reported; nothing was reported yet"),
    ],
)
def test_bad_input_is_refused(folder: Path, options: dict[str, Any], told: str) -> None:
    """By the argument, its value and what is allowed; the state stays."""
    with pytest.raises(ValueError, match=told):
        watch(folder, shop_history(), **options)
    assert not (folder / REPORTED).exists()


def test_other_folders_and_histories_are_refused(folder: Path, tmp_path: Path) -> None:
    """One that is no fit's, one that is damaged, and a history that ends before the fit's."""
    with pytest.raises(ValueError, match=r"is no folder of a fitted history: it has no fit.json"):
        watch(tmp_path, shop_history())
    with pytest.raises(ValueError, match=f"the last day is .*, before that of the fit, {shop_history().dates[209]}"):
        watch(folder, until(shop_history(), 100))
    (folder / REPORTED).write_text('{"days": 3}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"reported.json' is damaged"):
        watch(folder, shop_history())


def test_the_example_of_the_documents_runs(tmp_path: Path) -> None:
    """The Python of ``docs/own_data.md``, as printed, in an empty folder: it finds the day that it spoils."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8"), re.DOTALL)
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2026-05-20 visits_to_orders" in done.stdout
