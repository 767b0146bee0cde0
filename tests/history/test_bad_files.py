"""Files that cannot be taken as they are: refused with the row, the column, the value and the option that decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bad_files import KINDS, sound, write

from metric_tracker_env.history import HistoryError, read_history

EACH = 5  # files of a kind


@pytest.mark.parametrize("seed", range(EACH))
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_file_is_refused_with_the_right_words(kind: str, seed: int, tmp_path: Path) -> None:
    """The error names where and what is wrong and which option decides, and the file is as it was."""
    bad = KINDS[kind](np.random.default_rng([seed, *kind.encode()]))
    path = write(bad, tmp_path)
    with pytest.raises(HistoryError) as caught:
        read_history(path, **bad.kwargs)
    error = caught.value
    for word in bad.words:
        assert word in str(error)
    assert "\n" not in str(error)
    assert error.option == bad.option
    for name, expected in (("row", bad.row), ("column", bad.column), ("value", bad.value)):
        if expected is not None:
            assert getattr(error, name) == expected, name
    if bad.row is not None:
        assert f"row {bad.row}" in str(error)
    if bad.column is not None:
        assert repr(bad.column) in str(error)
    if bad.option is not None and bad.option not in {"time_format", "steps"}:
        assert bad.option in str(error)
    assert path.read_bytes() == bad.content


def test_there_are_two_hundred_bad_files() -> None:
    """The kinds and their number are what the documents say."""
    assert len(KINDS) * EACH >= 200


@pytest.mark.parametrize("seed", range(20))
def test_the_files_are_sound_but_for_the_fault(seed: int, tmp_path: Path) -> None:
    """The table that the faults are put into is read without a word against it."""
    rng = np.random.default_rng(seed)
    table = sound(rng, hourly=bool(seed % 2))
    path = tmp_path / "sound.csv"
    path.write_text("\n".join(table.lines()), "utf-8")
    history = read_history(path)
    assert history.steps == table.names
    assert history.counts.reshape(-1, len(table.names)).tolist() == [[int(cell) for cell in row] for row in table.cells]
    assert history.notes == ()
