"""``agents fit``: the folder that it writes, what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_own_data import MEASURES, STEPS, csv_of, shop_history

from agents import cli, evaluate
from agents.own_data.files import AS_IS, FIT, FITTED, HELD_OUT, HISTORY, PICTURE, FitReport, read_model
from agents.own_data.fit import fit
from metric_tracker_env import load_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of a shop's CSV, by the command."""
    place = tmp_path_factory.mktemp("own")
    source = csv_of(shop_history(), place / "shop.csv")
    cli.main(["fit", str(source), "--output", str(place / "own"), "--steps", *STEPS, "--held-out-weeks", "8"])
    return place / "own"


def test_the_folder_has_all_that_follows(folder: Path) -> None:
    """A fitted world, the held-out weeks, both of the noise that was found, and a picture."""
    assert {FITTED, HELD_OUT, AS_IS, FIT, PICTURE, HISTORY} == {path.name for path in folder.iterdir()}
    assert (folder / PICTURE).read_bytes().startswith(b"\x89PNG")
    world, held, as_is = (load_config(folder / name) for name in (FITTED, HELD_OUT, AS_IS))
    assert world.generator.replay is None
    assert held.generator.replay is not None
    assert as_is.generator.replay is not None
    assert (held.generator.replay.ordinary, as_is.generator.replay.ordinary) == (True, False)
    assert held.generator.model_copy(update={"replay": None}) == world.generator
    report = read_model(folder / FIT, FitReport)
    assert report.held_out_from == str(shop_history().dates[-56])
    assert [item.measure for item in report.normal] == list(MEASURES)
    assert report.normal[0].usual == pytest.approx(1085, rel=0.03)
    assert report.normal[0].smallest_change["medium"] == pytest.approx(max(0.15, 4 * report.normal[0].noise), rel=0.02)


def test_agents_play_the_fitted_world_and_its_weeks(folder: Path) -> None:
    """The analyst finds what is injected into either."""
    for name in (FITTED, HELD_OUT):
        played = evaluate("analyst", range(1_000_000, 1_000_040), config=folder / name)
        assert played.mean("f1") >= 0.97


def test_the_same_history_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    """Every file but the picture, to the byte."""
    source = csv_of(shop_history(), tmp_path / "shop.csv")
    cli.main(["fit", str(source), "--output", str(tmp_path / "own"), "--steps", *STEPS, "--held-out-weeks", "8"])
    for name in (FITTED, HELD_OUT, AS_IS, FIT, HISTORY):
        assert (tmp_path / "own" / name).read_bytes() == (folder / name).read_bytes()


def test_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is normal, what was unusual, what was written and what comes next."""
    history = shop_history(incident=(40, 0, 0.5))
    source = csv_of(history, tmp_path / "shop.csv")
    cli.main(["fit", str(source), "--output", str(tmp_path / "own"), "--steps", *STEPS])
    told = " ".join(capsys.readouterr().out.split())
    assert "what is normal from" in told
    assert f"{history.dates[40]}: visits -5" in told
    assert "wrote fitted.toml, held_out.toml" in told
    assert "train_sb3 --task" in told


def test_without_weeks_held_out_there_are_none(tmp_path: Path) -> None:
    """An earlier fit's held-out files go, as their history has gone."""
    fit(shop_history(), tmp_path, held_out_weeks=8)
    assert (tmp_path / HELD_OUT).exists()
    fit(shop_history(), tmp_path, held_out_weeks=0)
    assert not (tmp_path / HELD_OUT).exists()
    assert not (tmp_path / AS_IS).exists()
    assert read_model(tmp_path / FIT, FitReport).held_out_from is None


def test_daily_data_of_one_step(tmp_path: Path) -> None:
    """A CSV with a date and a number is enough."""
    history = shop_history()
    visits = history.daily[:, 0]
    rows = [f"{date},{number}" for date, number in zip(history.dates, visits.tolist(), strict=True)]
    (tmp_path / "visits.csv").write_text("\n".join(["date,visits", *rows]), encoding="utf-8")
    found = fit(tmp_path / "visits.csv", tmp_path / "own")
    assert found.config.generator.step_names == ("visits",)
    assert not found.config.generator.hours
    assert evaluate("analyst", range(1_000_000, 1_000_030), config=tmp_path / "own" / FITTED).mean("f1") >= 0.97


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--held-out-weeks", "-1"], "held_out_weeks -1 is not an integer from 0"),
        (["--held-out-weeks", "40"], "held_out_weeks=40 leaves no day to fit"),
        (["--held-out-weeks", "32"], "weeks are the least"),
        (["--weeks", "13"], "weeks=13 is not a whole number from 1 to 12"),
        (["--steps", "visits", "sales"], "sales"),
        (["--ignore", "2020-01-01"], "ignore has '2020-01-01', not a day from"),
        (["--country", "XX"], "country='XX'"),
        (["--until", "soon"], "until='soon' is not a date"),
    ],
)
def test_bad_input_is_told_in_one_line(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and nothing is written."""
    source = csv_of(shop_history(), tmp_path / "shop.csv")
    given = ["fit", str(source), "--output", str(tmp_path / "own"), *arguments]
    with pytest.raises(SystemExit) as end:
        cli.main(given if "--steps" in arguments else [*given, "--steps", *STEPS])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert not (tmp_path / "own").exists()


def test_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that is not there."""
    with pytest.raises(SystemExit):
        cli.main(["fit", str(tmp_path / "absent.csv"), "--output", str(tmp_path / "own")])
    assert "absent.csv" in capsys.readouterr().err


def test_the_history_of_the_helpers_is_hourly_with_noise() -> None:
    """What the other tests rest on."""
    history = shop_history()
    assert history.counts.shape == (238, 24, 3)
    assert np.std(history.daily[:, 0] / history.daily[:, 0].mean()) > 0.01
