"""Whose fault it is: what an error of an endpoint says, and what kind of trouble that is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

from ..players.player import PlayerError

# How an episode ends. What is the model's counts as it is; what is the endpoint's can be played on.
Finish = Literal[
    "submitted",
    "calls_spent",
    "turn_limit",
    "token_limit",
    "time_limit",
    "no_call",
    "length",
    "filtered",
    "context",
    "timeout",
    "rate_limit",
    "error",
]
FAILED: tuple[Finish, ...] = ("timeout", "rate_limit", "error")  # by the endpoint and not by the model

Kind = Literal["closed", "rate", "busy", "timeout", "lost", "unreadable", "filtered", "context", "refused"]
# What may be otherwise the next time.
TRANSIENT: tuple[Kind, ...] = ("rate", "busy", "timeout", "lost", "unreadable")
# Wrong key, unpaid, forbidden, no such model or path: no episode can do better.
NOT_FOUND = 404
CLOSED = (401, 402, 403, NOT_FOUND)
RATE, TOO_LARGE = 429, 413
BUSY = (408, 409, 425)  # and 5xx
UNPAID = "insufficient_quota"  # the code of a 429 that waiting does not cure
FULL = re.compile(
    r"context[ _-]?(length|window|size|limit)|(prompt|input) (is )?too long|too many (input |prompt )?tokens"
    r"|exceeds? the (model'?s )?(maximum|max) (number of )?(input |prompt )?tokens"
    r"|maximum (input|prompt) (length|tokens)|input token count|reduce the length",
    re.IGNORECASE,
)
FILTERED = re.compile(
    r"content[ _-]?(filter|management|policy)|moderation|flagged|safety (system|setting|filter)|prohibited_content"
    r"|blocked .{0,40}(safety|filter|policy)|data_inspection_failed|inappropriate content|usage polic(y|ies)",
    re.IGNORECASE,
)
DELAY = re.compile(r'"retryDelay"\s*:\s*"([0-9.]+)s"')  # in which some say how long to wait
DEEPEST = 6  # objects in objects that an error is looked for in
TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


class EndpointError(PlayerError):
    """The endpoint cannot be used at all: a run ends, and no episode is scored for it."""


class RequestError(Exception):
    """A request failed, repetitions included: its episode ends."""

    def __init__(self, finish: Finish, reason: str | None, retries: int = 0, waited: float = 0.0) -> None:
        super().__init__(reason)
        self.finish: Finish = finish
        self.reason = reason  # None if the model's time was up
        self.retries, self.waited = retries, waited


class Trouble(NamedTuple):
    """What went wrong with one request."""

    kind: Kind
    reason: str  # in the endpoint's own words, if it had any
    pause: float | None = None  # seconds that it asks to wait


def trouble_of(status: int | None, text: str, headers: Mapping[str, str]) -> Trouble:
    """What an error means.

    Args:
        status: Of HTTP, or the code that an error inside HTTP 200 gives.
        text: Of the body.
        headers: Of the response.
    """
    body = _data(text)
    words = " ".join(words_of(body).split())
    reason = f"HTTP {status}: {words}" if status is not None else words
    return Trouble(_kind(status, text), reason, pause_of(headers, text))


def status_in(body: object) -> int | None:
    """The HTTP status that an error inside HTTP 200 gives as its code."""
    for part in _parts(body):
        for name in ("code", "status", "status_code"):
            value = part.get(name)
            if isinstance(value, str) and value.isdecimal():
                value = int(value)
            if isinstance(value, int) and 400 <= value <= 599:
                return value
    return None


def words_of(body: object) -> str:
    """What an error says, whatever form it has."""
    if isinstance(body, str):
        return TAGS.sub(" ", body) if "<" in body else body
    found: list[str] = []
    for part in _parts(body):
        for name in ("message", "error", "detail", "raw", "msg", "error_description"):
            value = part.get(name)
            if isinstance(value, str) and value and value not in found and not value.startswith(("{", "[")):
                place = part.get("loc") if name == "msg" else None
                where = f"'{'.'.join(map(str, place))}': " if isinstance(place, list) else ""
                found.append(where + value)
    return "; ".join(found) or json.dumps(body, ensure_ascii=False)


def pause_of(headers: Mapping[str, str], text: str) -> float | None:
    """The seconds that an endpoint asks to wait, from a header in any of its forms or from the body."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if not value:
            continue
        try:
            return max(float(value) / unit, 0.0)
        except ValueError:
            pass
        try:
            return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
        except ValueError:
            pass
    found = DELAY.search(text)
    return float(found[1]) if found else None


def _kind(status: int | None, text: str) -> Kind:
    """What kind of trouble a status and the words that came with it are."""
    if status == RATE or (status == TOO_LARGE and "rate_limit" in text):
        return "closed" if UNPAID in text else "rate"
    if status == TOO_LARGE or (status in (None, 400, 422, 500) and FULL.search(text)):
        return "context"
    if status in (None, 400, 403, 422, 451) and FILTERED.search(text):
        return "filtered"
    if status is None or status in BUSY or status >= 500:
        return "busy"
    return "closed" if status in CLOSED else "refused"


def _parts(body: object, depth: int = 0) -> Iterator[Mapping[str, object]]:
    """The objects that an error is made of, outer ones first."""
    if depth > DEEPEST:
        return
    if isinstance(body, str) and body.startswith(("{", "[")):
        body = _data(body)
    if isinstance(body, Mapping):
        yield body
        for name in ("error", "message", "detail", "errors", "metadata", "raw"):
            yield from _parts(body.get(name), depth + 1)
    elif isinstance(body, list):
        for item in body:
            yield from _parts(item, depth + 1)


def _data(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
