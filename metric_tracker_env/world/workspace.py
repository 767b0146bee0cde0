"""Memory that is used again from call to call: kept by us, or by the allocator."""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.typing import DTypeLike


class Workspace(threading.local):
    """Memory that is used again from call to call, so that it stays in the cache; each thread has its own.

    Copies of an environment share what makes their episodes, and may play in different threads.
    """

    def __init__(self) -> None:
        self._used = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """An array of any content, which the next call may overwrite."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if len(self._used) < size:
            self._used = np.empty(size, np.uint8)
        return self._used[:size].view(dtype).reshape(shape)

    def __reduce__(self) -> tuple[object, ...]:
        return Workspace, ()  # it holds nothing that a copy needs


def keep_freed(size: int) -> None:
    """Have the allocator keep freed blocks of up to ``size`` bytes, to be used again without page faults.

    glibc gives a large block back to the system when it is freed, unless one as large was freed before (its dynamic
    mmap threshold, which ends at 32 MB). Other allocators take no notice.
    """
    np.empty(size, np.uint8)
