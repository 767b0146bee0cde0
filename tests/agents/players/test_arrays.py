"""Files of plain arrays: they read back, and what is damaged, large, pickled or of another shape is refused."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.archive import write_archive
from agents.players.models.arrays import read_arrays, write_arrays

ARRAYS = {
    "half": np.arange(6, dtype=np.float16).reshape(2, 3),
    "full": np.linspace(0, 1, 5, dtype=np.float32),
    "by_column": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2)),
    "word": np.array("tanh"),
}


def npy(array: Any) -> bytes:
    """An array as NumPy writes it, pickled if it must be."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def test_arrays_read_back_and_numpy_reads_them(tmp_path: Path) -> None:
    """What was written comes back, the same bytes each time; ``numpy.load`` reads the file, and its files are read."""
    for name in ("one.npz", "two.npz"):
        write_arrays(tmp_path / name, ARRAYS)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    np.savez_compressed(tmp_path / "three.npz", **ARRAYS)
    for name in ("one.npz", "three.npz"):
        found = read_arrays(tmp_path / name)
        assert list(found) == list(ARRAYS)
        with np.load(tmp_path / name, allow_pickle=False) as loaded:
            for key, array in ARRAYS.items():
                assert found[key].dtype == array.dtype
                assert (found[key] == array).all()
                assert (loaded[key] == array).all()


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('it ran')",))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy(np.array([Evil()], dtype=object)), r"array 'a\.npy' is of dtype object; float16 or float32"),
        (pickle.dumps(Evil()), r"array 'a\.npy' is damaged"),
        (npy(np.arange(3)), "is of dtype int64"),
        (npy(np.zeros(3)), "is of dtype float64"),
        (npy(np.array(["tanh"])), "is of dtype <U4"),
        (npy(np.array("x" * 65)), "is of dtype <U65"),
        (npy(np.zeros(3, np.float32))[:-1], r"has 11 bytes; its shape \(3,\) needs 12"),
        (npy(np.zeros(3, np.float32)) + b"x", r"has 13 bytes; its shape \(3,\) needs 12"),
        (npy(np.zeros(3, np.float32)).replace(b"(3,)", b"(9**9,)"), "is damaged"),
        (npy(np.zeros(3, np.float32)).replace(b"(3,), }" + b" " * 10, b"(33333333333,), }"), "needs 133,333,333,332"),
        (b"", "is damaged"),
    ],
)
def test_other_arrays_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    """Objects, other types and lengths are refused by name; nothing is unpickled, and nothing large is made."""
    write_archive(tmp_path / "a.npz", {"a.npy": data})
    with pytest.raises(ValueError, match=message):
        read_arrays(tmp_path / "a.npz")


def test_other_entries_are_refused(tmp_path: Path) -> None:
    """An entry that is no array, and arrays that are too large, are refused by the table of contents."""
    write_archive(tmp_path / "a.npz", {"a.txt": b""})
    with pytest.raises(ValueError, match=r"'a\.txt' is no array; each ends in \.npy"):
        read_arrays(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(np.zeros(17 << 20, np.float32)))
    assert (tmp_path / "bomb.npz").stat().st_size < 100_000
    with pytest.raises(ValueError, match="unpacked; at most 67,108,864 are read"):
        read_arrays(tmp_path / "bomb.npz")


def test_each_damaged_byte_of_a_header_is_a_value_error(tmp_path: Path) -> None:
    """Whatever stands in the header of an array, reading it gives an array or one ValueError."""
    whole = npy(np.zeros((2, 3), np.float32))
    for at in range(len(whole) - 24):
        for flip in (0x01, 0x20, 0x80):
            write_archive(tmp_path / "a.npz", {"a.npy": whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]})
            try:
                found = read_arrays(tmp_path / "a.npz")["a"]
            except ValueError:
                continue
            assert found.nbytes == 24
