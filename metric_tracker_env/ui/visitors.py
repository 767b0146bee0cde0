"""Visitors by their cookies: what each of them has here, until there are too many or he was silent for long."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

KEPT_SECONDS = 6 * 3600.0  # without a request, after which what a visitor has may be forgotten

T = TypeVar("T")


class Visitors(Generic[T]):
    """What all visitors have; those who were silent for longest are forgotten first.

    Args:
        make: Makes what a new visitor has.
        most: Visitors at once.
        forget: Called with what a forgotten visitor had, once nobody uses it.
    """

    def __init__(self, make: Callable[[], T], most: int, forget: Callable[[T], object] | None = None) -> None:
        self._make, self._most, self._forget = make, most, forget
        self._held: OrderedDict[str, tuple[T, Lock, float]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    def knows(self, token: str | None) -> bool:
        """Whether a cookie is that of a visitor."""
        return token in self._held

    def of(self, token: str | None, now: float) -> tuple[str, T, Lock]:
        """Cookie, belongings and lock of a visitor, or of a new one; ``now`` in seconds of a clock that goes on."""
        gone: list[tuple[T, Lock]] = []
        with self._lock:
            known = None if token is None else self._held.pop(token, None)
            if known is None:
                token = secrets.token_urlsafe(24)
                known = (self._make(), Lock(), now)
            assert token is not None
            self._held[token] = (known[0], known[1], now)
            while len(self._held) > self._most or next(iter(self._held.values()))[2] < now - KEPT_SECONDS:
                gone.append(self._held.popitem(last=False)[1][:2])
        self._let_go(gone)
        return token, known[0], known[1]

    def close(self) -> None:
        """Forget everybody."""
        with self._lock:
            gone = [item[:2] for item in self._held.values()]
            self._held.clear()
        self._let_go(gone)

    def _let_go(self, gone: list[tuple[T, Lock]]) -> None:
        if self._forget is not None:
            for item, lock in gone:
                with lock:
                    self._forget(item)


class Alone(Generic[T]):
    """One person, whatever browser he comes with; in the place of ``Visitors``.

    Args:
        make: Makes what the person has, when he first comes.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._lock, self._made = make, Lock(), list[T]()

    def __len__(self) -> int:
        return len(self._made)

    def of(self, token: str | None, now: float) -> tuple[str, T, Lock]:
        """As of ``Visitors``, whoever asks."""
        del token, now
        with self._lock:
            if not self._made:
                self._made.append(self._make())
        return "alone", self._made[0], self._lock


def loop_time() -> float:
    """Seconds of the clock of the running event loop."""
    return asyncio.get_running_loop().time()
