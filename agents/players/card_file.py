"""The file in a player's folder that says what it is."""

from __future__ import annotations

import json
from pathlib import Path


def read_card_file(path: Path, what: str, form: int) -> object:
    """What the file of a card holds.

    Args:
        path: The file.
        what: What to call it in an error.
        form: The ``format`` that this version reads; a card that names none has it.

    Raises:
        ValueError: if it cannot be read, is no JSON or names another format.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{what} {str(path)!r} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} {str(path)!r} is not JSON: {error}") from error
    if isinstance(data, dict) and data.get("format", form) != form:
        raise ValueError(f"{what} {str(path)!r} has format {data['format']!r}; this version reads format {form}")
    return data
