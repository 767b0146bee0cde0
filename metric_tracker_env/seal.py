"""A seal: a secret that makes episodes, so that who knows the seed and the package cannot make them.

The keys of public episodes follow from their seeds, which anybody can try one after another. Those of sealed episodes
are HMAC-SHA256 of the secret over seed and number (RFC 2104), and their random words an extendable-output function of
that (``world/rng``). The hash of the secret is told before, as a promise; the secret is told after, so that everybody
can make the episodes again and grade what was submitted.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np

SEAL_VARIABLE = "METRIC_TRACKER_SEAL"
FROM_VARIABLE = "env"  # instead of a file's path: the secret is in the variable
LEAST_BITS, USUAL_BITS, MOST_BITS = 128, 256, 1024
SECRET = re.compile(r"(?:[0-9a-f]{2})+")
KEY_WORDS = 4  # 64-bit words of a sealed key


class Seal:
    """A secret, and what is made of it.

    It is told by no ``repr``, and compares by the secret.

    Args:
        secret: Hexadecimal digits, 128 to 1,024 bits.

    Raises:
        ValueError: for another text; it is not repeated.
    """

    __slots__ = ("_key", "secret")

    def __init__(self, secret: str) -> None:
        least, most = LEAST_BITS // 4, MOST_BITS // 4
        if not (isinstance(secret, str) and least <= len(secret) <= most and SECRET.fullmatch(secret)):
            told = f"{least} to {most} hexadecimal digits (0-9, a-f), an even number of them"
            raise ValueError(f"the secret of a seal must be {told}; what was given is not")
        self.secret = secret
        self._key = bytes.fromhex(secret)

    @classmethod
    def new(cls) -> Self:
        """A seal that nobody knows yet, from the operating system's entropy."""
        return cls(secrets.token_hex(USUAL_BITS // 8))

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The seal of a file, which holds the secret and nothing else; "env" stands for the variable.

        Raises:
            ValueError: if the file or the variable ``METRIC_TRACKER_SEAL`` is missing or holds something else.
        """
        if str(path) == FROM_VARIABLE:
            text, where = os.environ.get(SEAL_VARIABLE), f"the variable {SEAL_VARIABLE}"
            if text is None:
                raise ValueError(f"seal {FROM_VARIABLE!r}: {where} is not set")
        else:
            file = Path(path).expanduser()
            where = f"file {str(file)!r}"
            try:
                with file.open(encoding="ascii") as opened:
                    text = opened.read(MOST_BITS)
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not text of ASCII characters"
                raise ValueError(f"seal: {where} cannot be read: {why}") from error
        try:
            return cls(text.strip())
        except ValueError as error:
            raise ValueError(f"seal: {where}: {error}") from None

    @classmethod
    def of(cls, given: Seal | str | Path | None) -> Seal | None:
        """A seal as it is given: itself, its file, or None for public episodes.

        Raises:
            ValueError: see ``read``.
        """
        if given is None or isinstance(given, Seal):
            return given
        if not isinstance(given, (str, Path)):
            raise ValueError(f"seal {type(given).__name__} is not a Seal, the path of its file, or {FROM_VARIABLE!r}")
        return cls.read(given)

    @property
    def hash(self) -> str:
        """SHA-256 of the secret's digits: what is told before, and binds who tells it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def keys(self, seeds: Iterable[int], numbers: Iterable[int]) -> np.ndarray:
        """(n, 4) uint64: the keys of episodes, each by the seed of its stream and its number in it."""
        made = [
            hmac.digest(self._key, seed.to_bytes(8, "big") + number.to_bytes(8, "big"), "sha256")
            for seed, number in zip(seeds, numbers, strict=True)
        ]
        return np.frombuffer(b"".join(made), "<u8").reshape(-1, KEY_WORDS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seal) and hmac.compare_digest(self._key, other._key)

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"<Seal {self.hash}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.secret,)


__all__ = ["FROM_VARIABLE", "SEAL_VARIABLE", "Seal"]
