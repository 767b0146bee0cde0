"""Whether a text is a message that a server may read: JSON, of characters, numbers and depth that JSON can hold."""

from __future__ import annotations

import json

MAX_DEPTH = 32  # levels of a message; a submission has 5


def read_message(text: str | bytes) -> object:
    """Decode a message.

    Returns:
        What it says, as JSON is decoded.

    Raises:
        ValueError: which says what is wrong with it, and repeats nothing of it.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"the message is not UTF-8, at byte {error.start}") from error
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # also of a number that is too long
        told = "the message is not JSON, or nested too deep, or holds a number beyond limits"
        raise ValueError(told) from error
    if "\\u" in text:
        try:
            json.dumps(message, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        except UnicodeEncodeError as error:
            raise ValueError("the message holds an escape that is no Unicode character") from error
    return message


def deeper_than(most: int, value: object) -> bool:
    """Whether lists and objects of decoded JSON lie in each other more than so many levels deep."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
