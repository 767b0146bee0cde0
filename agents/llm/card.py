"""What a run with a language model is: its settings, and the card in its folder. Neither holds a key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, JsonValue, SecretStr, StrictInt, ValidationError, field_validator

import metric_tracker_env
from metric_tracker_env.config import ConfigModel, Name, Positive, Real
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel

from ..players.card_file import read_card_file
from .schemas import Mode

CARD_FILE = "llm.json"
FORMAT = 1
MAX_PARALLEL = 256
KEY_VARIABLE, URL_VARIABLE, MODEL_VARIABLE = "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"
OPENAI_URL = "https://api.openai.com/v1"
URL_FORM = "http(s)://host[:port]/path"
# Fields of a request that the run itself sets.
OWN_FIELDS = (
    *("model", "messages", "tools", "temperature", "max_tokens", "max_completion_tokens"),
    *("stream", "stream_options", "n"),
)

Count = Annotated[StrictInt, Field(ge=1, le=10**12)]
Few = Annotated[StrictInt, Field(ge=0, le=100)]
Seconds = Annotated[Positive, Field(le=10**6)]
Price = Annotated[Real, Field(ge=0)]
TokensField = Literal["max_tokens", "max_completion_tokens"]


class LlmSettings(ConfigModel):
    """What the result of a run depends on."""

    model_config = ConfigDict(hide_input_in_errors=True)

    model: Name = Field(description="As the endpoint names it.")
    base_url: str = Field(default=OPENAI_URL, description="Of the endpoint, up to and including /v1.")
    max_turns: Count = Field(default=64, description="Replies of the model in an episode.")
    max_reply_tokens: Count | None = Field(default=8192, description="Of one reply; None leaves it to the endpoint.")
    max_episode_tokens: Count | None = Field(
        default=1_000_000, description="Prompts and replies; once they are used no further reply is asked for."
    )
    request_seconds: Seconds = Field(default=180.0, description="Of silence until a request is given up and repeated.")
    episode_seconds: Seconds = Field(
        default=1800.0, description="Of the model in an episode; failed requests and the pauses after them are not its."
    )
    wait_seconds: Seconds = Field(
        default=600.0, description="Longest pause that an endpoint may ask for; a longer one ends the episode."
    )
    retries: Few = Field(default=5, description="Of a request that timed out, was refused for its rate or failed.")
    reminders: Few = Field(default=2, description="After replies without a tool call, one after another.")
    temperature: Annotated[Real, Field(ge=0, le=2)] | None = Field(default=None, description="None is the endpoint's.")
    tokens_field: TokensField | None = Field(
        default=None,
        description="What the endpoint calls the most tokens of a reply; None is max_completion_tokens for OpenAI's "
        "own, which refuses max_tokens for some models, and max_tokens for others, which may ignore the new name.",
    )
    stream: bool | None = Field(
        default=None, description="Whether replies come as streams; None asks for one where nothing else is served."
    )
    schemas: Mode = Field(
        default="plain",
        description="Of the tools: plain has nothing that some endpoints refuse, strict is OpenAI's strict mode, full "
        "says all that the tools check.",
    )
    extra: dict[str, JsonValue] = Field(default={}, description="Further fields of each request.")

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        # Secrets may stand in what follows these; the value is not told then.
        if set(url) & set("@?#"):
            raise ValueError("holds a user name, a query or a fragment, which would be stored; allowed: " + URL_FORM)
        try:
            parts = urlsplit(url)
            right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"{url!r} is not of the form {URL_FORM}")
        return url.rstrip("/")

    @field_validator("extra")
    @classmethod
    def _check_extra(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        taken = [name for name in extra if name in OWN_FIELDS]
        if taken:
            raise ValueError(f"{', '.join(map(repr, taken))} cannot be given here: set by the run's own options")
        return extra

    @property
    def is_openai(self) -> bool:
        """Whether the endpoint is OpenAI's own."""
        return urlsplit(self.base_url).hostname == urlsplit(OPENAI_URL).hostname

    @property
    def limit_field(self) -> TokensField:
        """The field of a request that limits its reply."""
        return self.tokens_field or ("max_completion_tokens" if self.is_openai else "max_tokens")


class Prices(ConfigModel):
    """What a million tokens cost, in any currency."""

    input: Price
    output: Price
    cached: Price | None = Field(default=None, description="Of input that the endpoint had cached; None is as input.")

    def of(self, prompt: int, cached: int, completion: int) -> float:
        """What so many tokens cost; ``cached`` is part of ``prompt``."""
        reused = self.input if self.cached is None else self.cached
        return ((prompt - cached) * self.input + cached * reused + completion * self.output) / 1e6


class LlmCard(StrictModel):
    """What the folder of a run says of itself."""

    name: Name = Field(description="Shown on the leaderboard.")
    settings: LlmSettings
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None, description=f"Environment variable of the key; None is {KEY_VARIABLE}, if it is set."
    )
    parallel: Annotated[StrictInt, Field(ge=1, le=MAX_PARALLEL)] = Field(default=8, description="Episodes at a time.")
    prices: Prices | None = None
    version: str = metric_tracker_env.__version__
    format: Literal[1] = FORMAT


def card_of(
    model: str | None = None,
    base_url: str | None = None,
    name: str | None = None,
    api_key_env: str | None = None,
    parallel: int = 8,
    prices: Mapping[str, float | None] | None = None,
    **settings: object,
) -> LlmCard:
    """A card of options; a model and a base URL that are not given come from the environment.

    Raises:
        ValueError: naming what is missing, or the option, its value and what is allowed.
    """
    chosen = model or os.environ.get(MODEL_VARIABLE)
    if not chosen:
        raise ValueError(f"model is missing; give the option or set {MODEL_VARIABLE}")
    url = base_url or os.environ.get(URL_VARIABLE) or OPENAI_URL
    try:
        asked = LlmSettings.model_validate({"model": chosen, "base_url": url, **settings})
        data = {"settings": asked, "api_key_env": api_key_env, "parallel": parallel, "prices": prices}
        return LlmCard.model_validate(data | {"name": name or chosen})
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from None


def key_of(card: LlmCard) -> SecretStr | None:
    """The key of a run, from the environment; None for an endpoint that seems to need none.

    Raises:
        ValueError: if the variable that should hold it is not set or holds no key; the value is never told.
    """
    variable = card.api_key_env or KEY_VARIABLE
    value = os.environ.get(variable)
    if not value:
        if card.api_key_env is None and not card.settings.is_openai:
            return None
        raise ValueError(f"api_key_env {variable!r}: no such environment variable is set; it must hold the key")
    return checked_key(value, f"api_key_env {variable!r}", card)


def checked_key(value: str, name: str, card: LlmCard) -> SecretStr:
    """A key that can be sent and that the card does not hold.

    Raises:
        ValueError: if it is none; the value is not told.
    """
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError(
            f"{name}: the key holds a blank or another character that no key has; printable ASCII is needed"
        )
    if is_secret(value) and json.dumps(value)[1:-1] in card.model_dump_json():
        raise ValueError(f"{name}: the key is also in the settings, which are stored; take it out of them")
    return SecretStr(value)


def is_secret(key: str) -> bool:
    """Whether a key is one, or only stands for one, as the "none" that endpoints without keys are given."""
    return len(key) >= 8


def slug(text: str) -> str:
    """A name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-") or "model"


def is_llm_run(path: str | Path) -> bool:
    """Whether a path is the folder of a run with a language model."""
    return (Path(path) / CARD_FILE).is_file()


def read_card(folder: str | Path) -> LlmCard:
    """The card of a run.

    Raises:
        ValueError: if it is missing, damaged or of another format.
    """
    path = Path(folder) / CARD_FILE
    data = read_card_file(path, "card", FORMAT)
    try:
        return LlmCard.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"card {str(path)!r} is not valid: {in_one_line(error)}") from None


def write_card(folder: str | Path, card: LlmCard, anew: bool = False) -> None:
    """Write the card of a run into its folder, which is made if it is missing.

    Args:
        folder: Of the run.
        card: To write.
        anew: Whether a card with other settings is replaced, as before anything was played with them.

    Raises:
        ValueError: if it holds a run with other settings, naming those, or if it cannot be written.
    """
    place = Path(folder)
    if is_llm_run(place) and not anew:
        there, here = read_card(place).settings.model_dump(), card.settings.model_dump()
        other = [f"{name} {there[name]!r} there and {here[name]!r} here" for name in here if there[name] != here[name]]
        if other:
            told = f"{'; '.join(other)}; give the same ones or another folder"
            raise ValueError(f"output {str(place)!r} holds a run with other settings: {told}")
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"output {str(place)!r} cannot be written: {error.strerror}") from error
