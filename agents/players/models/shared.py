"""The networks that share their weights over dates, in NumPy alone.

They are what ``metric_tracker_env.sb3.FocusPolicy`` and ``BoardPolicy`` compute for the actor, where the layers are
drawn; what is read here was trained there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from metric_tracker_env import EnvConfig, MetricTrackerEnv

from .arrays import read_arrays
from .card import ModelCard

Shapes = dict[str, tuple[int, ...]]
SharedKind = Literal["focus", "board"]


class Sizes(NamedTuple):
    """Where the numbers of an observation are, and how many actions of each kind there are."""

    days: int
    head: int  # numbers before the tables by date
    tables: tuple[tuple[int, int], ...]  # start, and numbers a date, of each table
    rest: int  # where the numbers begin that belong to no date
    size: int
    by_date: int  # actions of each date
    others: int

    @classmethod
    def of(cls, config: EnvConfig) -> Sizes:
        """Those of a configuration."""
        env = MetricTrackerEnv(config=config)
        layout, table, days = env.observation_layout, env.actions, config.generator.num_days
        first = ("flags", "announced_flags") if config.view == "focus" else ("revealed",)
        parts = [layout.parts[name] for name in first if name in layout.parts]
        by_date = int((table.day == days - 1).sum())
        return cls(
            days=days,
            head=parts[0].start,
            tables=tuple((part.start, part.stride) for part in parts),
            rest=layout.parts["globals"].start,
            size=layout.size,
            by_date=by_date,
            others=len(table) - days * by_date,
        )

    @property
    def a_date(self) -> int:
        """Numbers a date in all tables."""
        return sum(width for _, width in self.tables)

    @property
    def common(self) -> int:
        """Numbers that belong to no date and stand behind the tables."""
        return self.size - self.rest


class SharedPolicy:
    """A network that shares its weights over dates; legal actions only.

    Args:
        arrays: Its layers, see ``shapes_of``.
        config: What it plays.

    Raises:
        ValueError: if an array is missing, too many, of another shape, or not finite.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: EnvConfig) -> None:
        self._sizes = Sizes.of(config)
        check_shapes(arrays, config)
        self._arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
        self._logits = {"focus": self._focus, "board": self._board}[config.view]

    def actions(self, observations: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """(n, L) float32 observations and (n, A) bool masks -> (n,) int64, the greedy actions."""
        return np.where(masks, self.logits(observations), -np.inf).argmax(axis=1)

    def logits(self, observations: np.ndarray) -> np.ndarray:
        """(n, L) float32 observations -> (n, A) logits, in the order of the view's actions."""
        sizes = self._sizes
        tables = [
            observations[:, start : start + sizes.days * width].reshape(-1, sizes.days, width)
            for start, width in sizes.tables
        ]
        table = tables[0] if len(tables) == 1 else np.concatenate(tables, axis=2)
        return self._logits(observations[:, : sizes.head], table, observations[:, sizes.rest :])

    def _layer(self, name: str, values: np.ndarray) -> np.ndarray:
        """A layer, whose offset may be missing."""
        weight = self._arrays[f"{name}_weight"]
        # In one product: NumPy would multiply episode by episode.
        found = (values.reshape(-1, len(weight)) @ weight).reshape(*values.shape[:-1], -1)
        offset = self._arrays.get(f"{name}_bias")
        return found if offset is None else found + offset

    def _codes(self, table: np.ndarray, common: np.ndarray) -> np.ndarray:
        """(n, D, c) codes of the dates."""
        codes = self._layer("date_in", table) + self._layer("globals_in", common)[:, None]
        if "date_place" in self._arrays:
            codes += self._arrays["date_place"]
        return _relu(self._layer("date_code", _relu(codes)))

    def _focus(self, head: np.ndarray, table: np.ndarray, common: np.ndarray) -> np.ndarray:
        codes = self._codes(table, common)
        seen = np.concatenate([head, common, codes.mean(axis=1), codes.max(axis=1)], axis=1)
        trunk = _relu(self._layer("trunk", _relu(self._layer("trunk_in", seen))))
        mixed = _relu(self._layer("code_out", codes) + self._layer("trunk_out", trunk)[:, None])
        opened = self._layer("open_logits", mixed)[:, :, 0]
        return np.concatenate([opened, self._layer("other_logits", trunk)], axis=1)

    def _board(self, head: np.ndarray, table: np.ndarray, common: np.ndarray) -> np.ndarray:
        del head  # there is none
        codes = self._codes(table, common)
        context = _relu(self._layer("context", np.concatenate([codes.mean(axis=1), codes.max(axis=1), common], axis=1)))
        mixed = _relu(self._layer("code_out", codes) + self._layer("context_out", context)[:, None])
        of_dates = self._layer("date_logits", mixed).reshape(len(codes), -1)
        of_none = self._layer("global_logits", _relu(self._layer("global_hidden", context)))
        return np.concatenate([of_dates, of_none], axis=1)


def shapes_of(config: EnvConfig, hidden: int, date_hidden: int) -> Shapes:
    """The arrays of a network by name: (in, out) weights, (out,) biases.

    Args:
        config: Whose view it plays.
        hidden: Width of the network of the date in focus; on the board that of every layer.
        date_hidden: Width of a date's code on the focus view.
    """
    sizes = Sizes.of(config)
    layers: dict[str, tuple[int, int]]
    found: Shapes = {}
    if config.view == "board":
        layers = {
            "date_in": (sizes.a_date, hidden),
            "globals_in": (sizes.common, hidden),
            "date_code": (hidden, hidden),
            "context": (2 * hidden + sizes.common, hidden),
            "code_out": (hidden, hidden),
            "context_out": (hidden, hidden),
            "date_logits": (hidden, sizes.by_date),
            "global_hidden": (hidden, hidden),
            "global_logits": (hidden, sizes.others),
        }
        without = ("globals_in", "context_out")
    else:
        layers = {
            "date_in": (sizes.a_date, date_hidden),
            "globals_in": (sizes.common, date_hidden),
            "date_code": (date_hidden, date_hidden),
            "trunk_in": (sizes.head + sizes.common + 2 * date_hidden, hidden),
            "trunk": (hidden, hidden),
            "code_out": (date_hidden, date_hidden),
            "trunk_out": (hidden, date_hidden),
            "open_logits": (date_hidden, 1),
            "other_logits": (hidden, sizes.others),
        }
        without = ("globals_in", "trunk_out")
        found["date_place"] = sizes.days, date_hidden
    for name, shape in layers.items():
        found[f"{name}_weight"] = shape
        if name not in without:
            found[f"{name}_bias"] = shape[1:]
    return found


def check_shapes(arrays: Mapping[str, np.ndarray], config: EnvConfig) -> None:
    """Refuse arrays that are not those of a network for a configuration.

    Raises:
        ValueError: naming the array, its shape and what is needed.
    """
    code, trunk = "date_code_bias", "trunk_bias" if config.view == "focus" else "date_code_bias"
    if any(name not in arrays or arrays[name].ndim != 1 for name in (code, trunk)):
        raise ValueError(f"arrays {sorted({code, trunk})} are needed, each of one axis")
    needed = shapes_of(config, len(arrays[trunk]), len(arrays[code]))
    if arrays.keys() != needed.keys():
        missing, other = sorted(needed.keys() - arrays.keys()), sorted(arrays.keys() - needed.keys())
        raise ValueError(f"arrays: {missing} are missing and {other} have no place in a network of this view")
    for name, shape in needed.items():
        if arrays[name].shape != shape:
            raise ValueError(f"array {name!r} has shape {arrays[name].shape}; {shape} is needed")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"array {name!r} holds numbers that are not finite")


def load_shared(path: Path, card: ModelCard) -> SharedPolicy:
    """The network of a file of ``write_arrays``.

    Raises:
        ValueError: if the file cannot be read, or is of another network than its card says.
    """
    try:
        if card.policy != card.config.view:
            raise ValueError(f"a network of the {card.policy} plays no {card.config.view} view")
        return SharedPolicy(read_arrays(path), card.config)
    except (OSError, ValueError) as error:
        raise ValueError(f"weights {str(path)!r} cannot be read: {error}") from error


def _relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, np.float32(0))
