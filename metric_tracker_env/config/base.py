"""What all configs have in common: strict types, and unknown keys refused with those that there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import numpy as np
from pydantic import Field, StrictInt, StrictStr, model_validator

from metric_tracker_env.schema import StrictModel

MAX_SEED = 2**63 - 1

Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]  # an int will do, text and bool will not
Positive = Annotated[Real, Field(gt=0)]
StepCost = Annotated[Real, Field(ge=0, le=1)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)]
Name = Annotated[StrictStr, Field(min_length=1)]
Seed = Annotated[StrictInt, Field(ge=0, le=MAX_SEED)]


class ConfigModel(StrictModel):
    """Base of the configs: an unknown key is refused with the keys that there are."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: object) -> object:
        if isinstance(data, Mapping):
            unknown = [key for key in data if key not in cls.model_fields]
            if unknown:
                raise ValueError(f"unknown key {', '.join(map(repr, unknown))}; allowed: {sorted(cls.model_fields)}")
        return data


class UnknownOptionError(TypeError, ValueError):
    """A keyword argument that there is not: Python's ``TypeError`` for it, and a ``ValueError`` like any bad option."""


def unknown_option(names: Iterable[str], allowed: Iterable[str]) -> UnknownOptionError:
    """The error for keyword arguments that there are not; in Python's words, which callers look for."""
    given = " and ".join(f"an unexpected keyword argument {name!r}" for name in sorted(names))
    return UnknownOptionError(f"got {given}; allowed: {sorted(allowed)}")


def check_seed(seed: object) -> None:
    """Refuse a seed that is neither None nor an integer from 0 to ``MAX_SEED``.

    Raises:
        ValueError: naming the seed.
    """
    if seed is None:
        return
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed {seed!r} is not an integer from 0 to {MAX_SEED}")
