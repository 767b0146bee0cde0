"""Rows of arrays as single items: NumPy moves chosen items in half the time that it takes to move chosen rows."""

from __future__ import annotations

import numpy as np


def items(array: np.ndarray, count: int) -> np.ndarray:
    """(count,) items that share the memory of a contiguous array: each an equal part of it."""
    return np.ndarray((count,), f"V{array.nbytes // max(count, 1)}", array)


def runs(array: np.ndarray, length: int) -> np.ndarray:
    """Items that share the memory of a contiguous array: item i is the ``length`` elements from element i on."""
    return np.ndarray((array.size - length + 1,), f"V{length * array.itemsize}", array, strides=(array.itemsize,))
