"""The bar over a long file: it moves, it changes nothing of what is read, and it is for people alone."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from helpers_own_data import csv_of, shop_history
from rich.console import Console

from agents import progress
from agents.own_data import command
from agents.progress import file_bar
from metric_tracker_env.history import HistoryError, read_history


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of some 200 kB."""
    return csv_of(shop_history(), tmp_path / "shop.csv")


def test_what_is_read_is_the_same(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain and gzipped; the bar goes to its end, and then tells what comes next."""
    monkeypatch.setattr(progress, "BLOCK", 1 << 12)
    packed = source.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(source.read_bytes()))
    for path in (source, packed):
        drawn = Console(file=io.StringIO(), force_terminal=True, width=100)
        with file_bar(path, "fitting", drawn) as stream:
            found = read_history(stream)
        assert (found.counts == read_history(path).counts).all()
        assert isinstance(drawn.file, io.StringIO)
        told = drawn.file.getvalue()
        assert f"reading {path.name}" in told
        assert "fitting" in told


def test_faults_name_the_file(source: Path) -> None:
    """As without a bar."""
    lines = source.read_text("utf-8").splitlines()
    source.write_text("\n".join([*lines[:300], "2026-01-17 11:00,many,1,1", *lines[301:]]), encoding="utf-8")
    drawn = Console(file=io.StringIO(), force_terminal=True)
    with pytest.raises(HistoryError) as plain:
        read_history(source)
    with file_bar(source, "fitting", drawn) as stream, pytest.raises(HistoryError) as shown:
        read_history(stream)
    assert str(shown.value) == str(plain.value)
    assert shown.value.row == 301


@pytest.mark.parametrize(("terminal", "least", "bar"), [(True, 1, True), (False, 1, False), (True, 10**9, False)])
def test_only_people_who_wait_see_it(
    source: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool, least: int, bar: bool
) -> None:
    """No bar in a file or a pipe, nor for a short file; none for what is no text."""
    monkeypatch.setattr(command, "LONG_FILE", least)
    monkeypatch.setattr(command.sys.stderr, "isatty", lambda: terminal, raising=False)
    with command.shown_progress(str(source), "fitting") as opened:
        assert (opened == str(source)) is not bar
    parquet = source.with_suffix(".parquet")
    parquet.write_bytes(b"PAR1" + bytes(100))
    for other in (str(parquet), "select * from log", str(source.with_name("absent.csv"))):
        with command.shown_progress(other, "fitting") as opened:
            assert opened == other
