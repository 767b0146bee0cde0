"""Presets: configurations in TOML or JSON files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TypeVar

from metric_tracker_env.config.environment import EnvConfig
from metric_tracker_env.model import StrictModel, in_one_line

ModelT = TypeVar("ModelT", bound=StrictModel)


def load_config(path: str | Path, model: type[ModelT] = EnvConfig) -> ModelT:
    """Read a preset from a TOML or JSON file.

    The ``path`` of a replay is relative to the file's folder.

    Args:
        path: File ending in ``.toml`` or ``.json``; ``~`` is the home directory.
        model: Config class to build.

    Raises:
        ValueError: if the file is missing, has another ending, is malformed, or holds an unknown key or bad value.
    """
    try:
        file = Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"config file {str(path)!r} is in no home directory that is known here") from error
    if file.suffix not in {".toml", ".json"}:
        raise ValueError(f"config file {str(file)!r} must end in .toml or .json")
    if not file.is_file():
        raise ValueError(f"config file {str(file)!r} does not exist")
    try:
        text = file.read_text(encoding="utf-8")
        data = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:  # the decoders' errors are ValueErrors
        raise ValueError(f"config file {str(file)!r} is malformed: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"config file {str(file)!r} holds {type(data).__name__}; it must hold a table of keys")
    _place_replay(data, file.resolve().parent)
    try:
        return model.model_validate(data)
    except ValueError as error:
        raise ValueError(f"config file {str(file)!r}: {in_one_line(error)}") from error
    except RecursionError as error:
        raise ValueError(f"config file {str(file)!r} is nested too deeply") from error


def _place_replay(data: object, folder: Path) -> None:
    """Make the path of a replay absolute, in place, wherever in the data of a file it stands."""
    if not isinstance(data, dict):
        return
    for name, value in data.items():
        if name == "replay" and isinstance(value, dict) and isinstance(value.get("path"), str):
            value["path"] = str(folder / Path(value["path"]).expanduser())
        else:
            _place_replay(value, folder)
