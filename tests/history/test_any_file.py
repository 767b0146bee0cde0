"""Whatever stands in a file, it is read or refused in words."""

from __future__ import annotations

import io

from bad_files import file_of, sound
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from metric_tracker_env.history import HistoryError, read_history

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
CELLS = st.sampled_from(
    ["", "0", "12", "-3", "1.5", "1,5", "1e3", "2026-01-02", "02.01.2026", '"', "NaN", "\x00", "é", ";"]
)


def attempt(content: bytes) -> None:
    """Read a file; the only error is one of one line."""
    words, history = "", None
    try:
        history = read_history(io.BytesIO(content))
    except HistoryError as error:
        words = str(error)
    assert words if history is None else history.counts.size
    assert "\n" not in words


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Bytes of no sense."""
    attempt(content)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 9), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4), TEXTS | CELLS), max_size=4))
def test_any_cells(seed: int, changes: list[tuple[int, int, str]]) -> None:
    """Sound files with some cells, names among them, changed for anything."""
    rows = [line.split(";") for line in sound(default_rng(seed), separator=";").lines()]
    for row, column, text in changes:
        cells = rows[row % len(rows)]
        cells[column % len(cells)] = text
    attempt(file_of([";".join(cells) for cells in rows]))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 9), st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3)), min_size=1, max_size=3))
def test_any_bytes_in_a_sound_file(seed: int, changes: list[tuple[int, bytes]]) -> None:
    """Sound files with some bytes changed for anything."""
    content = file_of(sound(default_rng(seed), separator=",").lines())
    for place, new in changes:
        at = place % len(content)
        content = content[:at] + new + content[at + len(new) :]
    attempt(content)
