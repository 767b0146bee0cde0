"""The types that configs are made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, Field, StrictInt, StrictStr

from metric_tracker_env.model import with_nearest
from metric_tracker_env.schema import MAX_NAME_LENGTH, NAME_PATTERN

MAX_SEED = 2**63 - 1

Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]  # an int will do, text and bool will not
Positive = Annotated[Real, Field(gt=0)]
StepCost = Annotated[Real, Field(ge=0, le=1)]
Identifier = Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME_LENGTH)]
Name = Annotated[StrictStr, Field(min_length=1)]
Seed = Annotated[StrictInt, Field(ge=0, le=MAX_SEED)]
# An ISO date as text; a date of Python, NumPy or a TOML file is one too.
IsoDate = Annotated[Name, BeforeValidator(lambda value: value.isoformat() if type(value) is dt.date else value)]


class GenerationError(ValueError):
    """An episode cannot be made as asked."""


class UnknownOptionError(TypeError, ValueError):
    """A keyword argument that there is not: Python's ``TypeError`` for it, and a ``ValueError`` like any bad option."""


def unknown_option(names: Iterable[str], allowed: Iterable[str]) -> UnknownOptionError:
    """The error for keyword arguments that there are not; in Python's words, which callers look for."""
    known = sorted(allowed)
    given = " and ".join(f"an unexpected keyword argument {with_nearest(name, known)}" for name in sorted(names))
    return UnknownOptionError(f"got {given}; allowed: {known}")


def checked_seeds(seeds: Iterable[object]) -> list[int]:
    """Seeds as integers.

    Raises:
        ValueError: naming one that is not an integer from 0 to ``MAX_SEED``.
    """
    found = list(seeds)
    for seed in found:
        if seed is None:
            raise ValueError(f"seed None is not an integer from 0 to {MAX_SEED}")
        check_seed(seed)
    return [int(seed) for seed in found]  # pyright: ignore[reportArgumentType] - they are integers


def check_seed(seed: object) -> None:
    """Refuse a seed that is neither None nor an integer from 0 to ``MAX_SEED``.

    Raises:
        ValueError: naming the seed.
    """
    if seed is None:
        return
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed {seed!r} is not an integer from 0 to {MAX_SEED}")
