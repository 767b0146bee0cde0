"""Files of plain arrays, read without trust: an ``.npz`` of numbers, never of pickled objects, of bounded size."""

from __future__ import annotations

import io
import math
import struct
import tokenize
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...archive import Archive, Limits, write_archive

LIMITS = Limits(file=64 << 20, unpacked=64 << 20, entries=256)
LONGEST_WORD = 64  # characters
FLOATS = (np.dtype("float16"), np.dtype("float32"))
NPY = ".npy"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as ``numpy.savez`` lays them out; the same arrays give the same bytes.

    Raises:
        ValueError: if the file cannot be written.
    """
    entries: dict[str, bytes] = {}
    for name, array in arrays.items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
        entries[name + NPY] = stream.getvalue()
    write_archive(path, entries, packed=False)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read arrays of float16 or float32, and of one word.

    Raises:
        ValueError: if the file cannot be read, is larger than ``LIMITS``, or holds anything else.
    """
    with Archive(path, LIMITS) as archive:
        other = [name for name in archive.names if not name.endswith(NPY)]
        if other:
            raise ValueError(f"entry {other[0]!r} is no array; each ends in {NPY}")
        return {name.removesuffix(NPY): _array(name, archive.read(name)) for name in archive.names}


def _array(name: str, data: bytes) -> np.ndarray:
    """One array.

    Raises:
        ValueError: if it is damaged, of another type, or not as long as its header says.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"its format is {version}; one of {list(HEADERS)} is needed")
        shape, by_column, dtype = HEADERS[version](stream)
    except (ValueError, TypeError, SyntaxError, struct.error, tokenize.TokenError, RecursionError) as error:
        raise ValueError(f"array {name!r} is damaged: {error}") from error
    word = dtype.kind == "U" and dtype.isnative and shape == () and dtype.itemsize <= LONGEST_WORD * 4
    if dtype not in FLOATS and not word:
        raise ValueError(f"array {name!r} is of dtype {dtype}; float16 or float32 is needed")
    needed, given = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if needed != given:
        raise ValueError(f"array {name!r} has {given:,} bytes; its shape {shape} needs {needed:,}")
    found = np.frombuffer(data, dtype, offset=stream.tell())
    return found.reshape(shape, order="F" if by_column else "C")
