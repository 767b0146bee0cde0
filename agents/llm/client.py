"""An OpenAI-compatible endpoint: one request, its reply checked where it comes in, and what may go wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, Field, JsonValue, NonNegativeInt, SecretStr, field_validator

from metric_tracker_env.model import in_one_line

from ..command_line import how_to_install
from ..players.player import PlayerError
from .card import LlmSettings, is_secret

if TYPE_CHECKING:
    import openai

RETRY_HEADER = "x-stainless-retry-count"  # in which the client says how often it has repeated a request
NO_KEY = "none"  # the client sends a key in any case
TOLD = 300  # characters of an endpoint's error that are told
# Wrong key, unpaid, forbidden, no such model or path: no episode can do better.
NOT_FOUND = 404
HOPELESS = (401, 402, 403, NOT_FOUND)
BUSY = (408, 409, 429)  # and 5xx; the client has repeated these
UNPAID = "insufficient_quota"  # the code of a 429 that waiting does not cure


class EndpointError(PlayerError):
    """The endpoint cannot be used at all: a run ends, and no episode is scored for it."""


class RequestError(Exception):
    """A request failed, repetitions included: its episode ends."""

    def __init__(self, finish: Literal["timeout", "error"], reason: str, retries: int = 0) -> None:
        super().__init__(reason)
        self.finish: Literal["timeout", "error"] = finish
        self.retries = retries  # how often it had been repeated


class Function(BaseModel):
    """What a model calls."""

    name: str | None = None
    arguments: JsonValue = None  # JSON text by the protocol; some endpoints give the object


class ToolCall(BaseModel):
    """One call of a reply."""

    id: str | None = None
    function: Function = Function()


class Message(BaseModel):
    """What a model says."""

    content: JsonValue = None
    tool_calls: list[ToolCall] | None = None
    reasoning: JsonValue = None
    reasoning_content: JsonValue = None


class Choice(BaseModel):
    """The message of a reply, and why it ended."""

    message: Message
    finish_reason: str | None = None


class Details(BaseModel):
    """Tokens of a kind, among the others."""

    cached_tokens: NonNegativeInt | None = None
    reasoning_tokens: NonNegativeInt | None = None


class Usage(BaseModel):
    """Tokens of a request and its reply."""

    prompt_tokens: NonNegativeInt
    completion_tokens: NonNegativeInt
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


class Reply(BaseModel):
    """What an endpoint answers; fields that play no part here are passed over."""

    choices: list[Choice] = Field(min_length=1)
    usage: Usage | None = None
    retries: int = 0  # of the request; filled in here

    @field_validator("usage", mode="before")
    @classmethod
    def _told_in_full(cls, usage: Any) -> Any:
        """Tokens of which a part is missing are not told: none at all is another matter."""
        if isinstance(usage, dict) and None in (usage.get("prompt_tokens"), usage.get("completion_tokens")):
            return None
        return usage

    @property
    def message(self) -> Message:
        """The message."""
        return self.choices[0].message


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

    Raises:
        ImportError: naming the extra, if ``openai`` is not installed.
    """

    def __init__(self, settings: LlmSettings, key: SecretStr | None) -> None:
        self._openai = client_library()
        self._settings, self._key = settings, key
        self._client: openai.AsyncOpenAI = self._openai.AsyncOpenAI(
            api_key=NO_KEY if key is None else key.get_secret_value(),
            base_url=settings.base_url,
            timeout=settings.request_seconds,
            max_retries=settings.retries,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def ask(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], first: bool) -> Reply:
        """One reply.

        Args:
            messages: The conversation.
            tools: What the model may call, in OpenAI's form.
            first: Whether this begins an episode. All episodes begin alike, so that what is wrong with the request
                is wrong with each.

        Raises:
            EndpointError: if no episode can be played.
            RequestError: if this one cannot go on.
        """
        settings = self._settings
        # By way of extra_body, which is sent as it is: the client walks through the types of everything else, which for
        # these tools and conversations takes more CPU time than the rest of a request.
        body: dict[str, Any] = {"messages": list(messages), "tools": list(tools), **settings.extra}
        if settings.max_reply_tokens is not None:
            body[settings.limit_field] = settings.max_reply_tokens
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        try:
            # The raw response: the client's own reading of it checks nothing.
            response = await self._client.chat.completions.with_raw_response.create(
                model=settings.model, messages=[], extra_body=body
            )
        except self._openai.APIError as error:
            raise self._failure(error, first) from None
        try:
            # Parsed once more as text, which is the place to take a key out, and half characters, which cannot be sent.
            text = self._without_key(json.dumps(json.loads(response.text), ensure_ascii=False))
            reply = Reply.model_validate_json(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise self._fault(f"a reply that is no chat completion: {in_one_line(error)}", first) from None
        if reply.usage is None and settings.max_episode_tokens is not None:
            raise EndpointError(
                f"{settings.base_url} does not tell how many tokens a reply took, so max_episode_tokens "
                f"{settings.max_episode_tokens} cannot be kept; set it to None"
            )
        return reply.model_copy(update={"retries": response.retries_taken})

    def _failure(self, error: Any, first: bool) -> EndpointError | RequestError:
        """What a request that failed means."""
        library = self._openai
        retries = int(error.request.headers.get(RETRY_HEADER, 0))
        if isinstance(error, library.APITimeoutError):
            return RequestError("timeout", f"no reply within {self._settings.request_seconds:g} s", retries)
        if isinstance(error, library.APIConnectionError):
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            return EndpointError(self._short(f"{self._settings.base_url} cannot be reached: {error.message}{cause}"))
        status = error.status_code if isinstance(error, library.APIStatusError) else None
        said = error.body.get("message") if isinstance(error.body, dict) else None
        hint = "; does base_url lack its /v1?" if status == NOT_FOUND and "/v1" not in self._settings.base_url else ""
        reason = self._short(f"HTTP {status}: {said or error.message}") + hint
        if status in HOPELESS or error.code == UNPAID:
            return EndpointError(f"{self._settings.base_url} refuses to serve: {reason}")
        if status is not None and (status in BUSY or status >= 500):
            return RequestError("error", reason, retries)
        return self._fault(reason, first)

    def _fault(self, reason: str, first: bool) -> EndpointError | RequestError:
        """A fault that is of the run if it shows at once, and else of the episode."""
        told = self._short(reason)
        if not first:
            return RequestError("error", told)
        return EndpointError(f"{self._settings.base_url} does not take the first request of an episode: {told}")

    def _short(self, text: str) -> str:
        """A text of the endpoint's in one line, cut, and without the key."""
        line = " ".join(self._without_key(text).split())
        return line if len(line) <= TOLD else f"{line[:TOLD]}..."

    def _without_key(self, text: str) -> str:
        key = NO_KEY if self._key is None else self._key.get_secret_value()
        if not is_secret(key):
            return text
        return text.replace(key, "[key]").replace(json.dumps(key)[1:-1], "[key]")
