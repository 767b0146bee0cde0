"""What rows and configs have in common: immutable, strict, one error a fault, and copies that are checked."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema, to_jsonable_python

LONGEST = 60  # characters of a value that is shown
_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = LONGEST


class StrictModel(BaseModel):
    """Base of every row and config: immutable, refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfigModel(StrictModel):
    """Base of the configs.

    NumPy's numbers and arrays are numbers and lists, an unknown key is refused with the nearest one that there is, and
    a copy with changes is checked like any other config.
    """

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        unknown = [key for key in data if key not in cls.model_fields]
        if unknown:
            raise ValueError(unknown_names("key", unknown, list(cls.model_fields)))
        return {key: plain(value) for key, value in data.items()}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with changes that are checked; nothing that was worked out for this config is kept.

        Raises:
            pydantic.ValidationError: for an unknown key or a bad value.
        """
        if not update:
            return super().model_copy(deep=deep)
        return type(self).model_validate({name: getattr(self, name) for name in self.model_fields_set} | dict(update))

    def copy(self, **arguments: Any) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The old name of ``model_copy``."""
        return self.model_copy(**arguments)


def unknown_names(what: str, given: Iterable[object], allowed: Iterable[str]) -> str:
    """The sentence that refuses names: each with the nearest one that there is, and then all of them."""
    known = sorted(allowed)
    return f"unknown {what} {', '.join(with_nearest(name, known) for name in given)}; allowed: {known}"


def with_nearest(name: object, known: list[str]) -> str:
    """A name that is unknown, with the known one that was meant, if any is near."""
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"{shown(name)} (did you mean {near[0]!r}?)" if near else shown(name)


def plain(value: object) -> object:
    """A value without NumPy: its scalars and arrays as Python's, inside lists and tuples too."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return tuple(plain(item) for item in value) if isinstance(value, tuple) else value


def as_json(value: object) -> object:
    """A value as JSON holds it: configs as dicts, paths and dates as text, NumPy's numbers as Python's.

    What JSON has nothing for, such as a function, stays as it is.
    """
    value = plain(value)
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        return value


@dataclass(frozen=True)
class Length:
    """How many items a tuple may hold.

    It is asked once every item has passed, so that a bad item is one error: pydantic's own ``min_length`` counts the
    items that passed, and tells of a missing one beside the bad one.
    """

    low: int
    high: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, items: tuple[object, ...]) -> tuple[object, ...]:
        if not self.low <= len(items) <= self.high:
            raise ValueError(f"{len(items)} items given; there must be {self}")
        return items

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low} to {self.high}"


def bounds_of(metadata: Iterable[object]) -> dict[str, Any]:
    """The limits among the metadata of a field, by pydantic's name for each; the narrowest of each kind."""
    found: dict[str, Any] = {}
    for names, narrowest in ((("gt", "ge"), max), (("le", "lt"), min), (("max_length",), min), (("pattern",), min)):
        limits = [(getattr(item, name), name) for item in metadata for name in names if hasattr(item, name)]
        told = [limit for limit in limits if limit[0] is not None]
        if told:
            value, name = narrowest(told)
            found[name] = value
    return found


def limits_of(model: type[BaseModel], field: str) -> tuple[float, float]:
    """Least and greatest value of a number in a config, itself allowed or not; infinite where there is no limit."""
    found = bounds_of(model.model_fields[field].metadata)
    return found.get("ge", found.get("gt", -math.inf)), found.get("le", found.get("lt", math.inf))


def shown(value: object) -> str:
    """A value for a message: its repr, cut short."""
    try:
        return _shorten.repr(value)
    except ValueError:  # an integer with more digits than Python prints
        return f"({type(value).__name__}, too long to show)"


def in_one_line(error: Exception) -> str:
    """Each fault of a config as ``path.of.the.key: what is wrong``, with the value once; another error as it is."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, place))}: {told}" if place else told for place, told in faults_in(error))


def faults_in(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """The faults of a config: the path of the key, empty for the config as a whole, and what is wrong there."""
    return [(item["loc"], _fault(item["type"], item["msg"], item["input"])) for item in error.errors()]


def _fault(kind: str, message: str, given: object) -> str:
    told = message.removeprefix("Value error, ")
    if kind in {"value_error", "missing"}:  # those name the value themselves, or there is none
        return told
    return f"{told}, given {shown(given)}"
