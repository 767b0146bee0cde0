"""An OpenAI-compatible endpoint: one reply, whatever it takes to get it, and what it means if it does not come."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from ..command_line import how_to_install
from .adapt import Request
from .card import LlmSettings, is_secret
from .faults import (
    FAILED,
    NOT_FOUND,
    TRANSIENT,
    EndpointError,
    Finish,
    Kind,
    RequestError,
    Trouble,
    status_in,
    trouble_of,
)
from .reply import ErrorBodyError, Reply, read_reply

if TYPE_CHECKING:
    import openai

NO_KEY = "none"  # the client sends a key in any case
TOLD = 300  # characters of an endpoint's error that are told
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between a failed request and the next, unless the endpoint says
SPREAD = 0.25  # part of a pause that is left to chance, so that episodes do not come back all at once
REFUSALS = 2  # times that a request is sent that is refused, as that may be one bad reply
LOST_EPISODES = 2  # in a row without any reply, besides those under way at once, after which a run ends
FINISH: dict[Kind, Finish] = {
    "rate": "rate_limit",
    "timeout": "timeout",
    "filtered": "filtered",
    "context": "context",
}


def client_library() -> Any:
    """The ``openai`` package.

    Raises:
        ImportError: naming the extra, if it is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise ImportError(missing("openai", error)) from error
    return openai


def missing(package: str, error: ImportError) -> str:
    """What to tell where a package of the extra is not installed."""
    return f"language models need {package} ({error}); {how_to_install('llm')}"


class Endpoint:
    """An endpoint and the key to it; to be used as an asynchronous context.

    Args:
        settings: Of the run.
        key: None for an endpoint that needs none.
        parallel: Episodes that are under way at once.

    Raises:
        ImportError: naming the extra, if ``openai`` is not installed.
    """

    def __init__(self, settings: LlmSettings, key: SecretStr | None, parallel: int) -> None:
        self._openai = client_library()
        self._settings, self._key, self._request = settings, key, Request(settings)
        self._served = 0  # replies so far
        self._lost = 0  # episodes that failed since the last one
        self._most_lost = parallel + LOST_EPISODES
        # Requests are repeated here and not by the client, whose versions differ in what they repeat and how long
        # they wait.
        self._client: openai.AsyncOpenAI = self._openai.AsyncOpenAI(
            api_key=NO_KEY if key is None else key.get_secret_value(),
            base_url=settings.base_url,
            timeout=settings.request_seconds,
            max_retries=0,
        )

    @property
    def adapted(self) -> tuple[str, ...]:
        """What of the requests was changed because the endpoint refused it, in words."""
        return tuple(self._request.adapted)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def ask(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], first: bool, seconds: float
    ) -> Reply:
        """One reply.

        Args:
            messages: The conversation.
            tools: What the model may call, in OpenAI's form.
            first: Whether this begins an episode. All episodes begin alike, so that what is wrong with the request
                is wrong with each.
            seconds: That the model has; failed requests, and the pauses after them, are not its time.

        Raises:
            EndpointError: if no episode can be played.
            RequestError: if this one cannot go on.
        """
        served, start, failures, refusals, limited = self._served, time.monotonic(), 0, 0, True
        while True:
            body, clock = self._request.body(messages, tools, limited), asyncio.timeout(seconds)
            begun = time.monotonic()
            try:
                async with clock:
                    found = await self._once(body)
            except TimeoutError:
                if not clock.expired():
                    raise
                raise RequestError("time_limit", None, failures, begun - start) from None
            if isinstance(found, Reply):
                self._served, self._lost = self._served + 1, 0
                took = time.monotonic() - begun
                return found._replace(seconds=took, retries=failures, waited=max(begun - start, 0.0))
            if found.kind == "refused" and self._request.adapt(found.reason, body):
                continue
            if found.kind == "context" and limited:
                limited = False  # some count the longest reply in: the context may have room for a shorter one
                continue
            refusals += found.kind in ("refused", "closed")
            # What a served endpoint refuses all at once may be one of its machines, or one bad reply.
            again = found.kind in TRANSIENT or (found.kind == "closed" and self._served > 0)
            if (again and failures < self._settings.retries) or 0 < refusals < REFUSALS:
                failures += 1
                if await self._pause(found, failures):
                    if failures <= (self._settings.retries + 1) // 2:
                        served = self._served  # what was under way when the trouble began is no sign of its end
                    continue
                found = found._replace(reason=f"{found.reason}; it asks to wait {found.pause:,.0f} s")
            reason = self._short(found.reason) + self._advice(found, body)
            raise self._given_up(found.kind, reason, first, self._served > served, failures, time.monotonic() - start)

    async def _once(self, body: Mapping[str, Any]) -> Reply | Trouble:
        """Send a request: the reply, or what went wrong."""
        library, settings = self._openai, self._settings
        try:
            # By way of extra_body, which is sent as it is: the client walks through the types of everything else, which
            # for these tools and conversations takes more CPU time than the rest of a request. And the raw response:
            # the client's own reading of it checks nothing.
            response = await self._client.chat.completions.with_raw_response.create(
                model=settings.model, messages=[], extra_body=body
            )
        except library.APITimeoutError:
            return Trouble("timeout", f"no reply within {settings.request_seconds:g} s")
        except library.APIConnectionError as error:
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            return Trouble("lost", f"{error.message}{cause}")
        except library.APIStatusError as error:
            return trouble_of(error.status_code, error.response.text, error.response.headers)
        try:
            return read_reply(response.text, self._without_key)
        except ErrorBodyError as error:
            return trouble_of(status_in(error.body), json.dumps(error.body, ensure_ascii=False), response.headers)
        except (ValueError, RecursionError) as error:
            page = "" if response.text.lstrip().startswith(("{", "data:")) else f"; it begins {response.text[:TOLD]!r}"
            return Trouble("unreadable", f"a reply that is no chat completion: {error}{page}")

    async def _pause(self, trouble: Trouble, failures: int) -> bool:
        """Wait before a request is repeated: as long as the endpoint asks, or longer each time; False for too long."""
        if trouble.pause is None:
            longest = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
            await asyncio.sleep(longest * (1 - SPREAD * random.random()))
            return True
        if trouble.pause > self._settings.wait_seconds:
            return False
        await asyncio.sleep(trouble.pause)
        return True

    def _given_up(
        self, kind: Kind, reason: str, first: bool, others_served: bool, failures: int, waited: float
    ) -> EndpointError | RequestError:
        """What a request that is not repeated any more means."""
        url = self._settings.base_url
        if kind == "closed" and not others_served:
            return EndpointError(f"{url} refuses to serve: {reason}")
        if kind == "lost" and not self._served:
            return EndpointError(f"{url} cannot be reached: {reason}")
        if kind in ("unreadable", "refused", "filtered", "context") and first and not self._served:
            return EndpointError(f"{url} does not take the first request of an episode: {reason}")
        finish = FINISH.get(kind, "error")
        if finish in FAILED:
            self._lost += 1
            if self._lost >= self._most_lost:
                return EndpointError(
                    f"{url} failed in {self._lost} episodes in a row, without a reply between: {reason}"
                )
        return RequestError(finish, reason, failures, waited)

    def _advice(self, trouble: Trouble, body: Mapping[str, Any]) -> str:
        if trouble.kind == "refused":
            return self._request.advice(trouble.reason, body)
        if trouble.reason.startswith(f"HTTP {NOT_FOUND}") and "/v1" not in self._settings.base_url:
            return "; does base_url lack its /v1?"
        return ""

    def _short(self, text: str) -> str:
        """A text of the endpoint's in one line, cut, and without the key."""
        line = " ".join(self._without_key(text).split())
        return line if len(line) <= TOLD else f"{line[:TOLD]}..."

    def _without_key(self, text: str) -> str:
        key = NO_KEY if self._key is None else self._key.get_secret_value()
        if not is_secret(key):
            return text
        return text.replace(key, "[key]").replace(json.dumps(key)[1:-1], "[key]")
