"""Transcripts of a language model, played again: every call is made, and every answer compared with the one noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from metric_tracker_env.model import in_one_line
from metric_tracker_env.play.actions import SUBMIT

from ..llm.card import LlmCard
from ..llm.episode import Conversation
from ..llm.journal import Begun
from ..llm.run import notes_of
from ..llm.transcript import Attempt, Briefing, Transcript
from ..players.outcome import Played, Progress
from ..players.player import Assignment


class Named(BaseModel):
    """What a call calls."""

    name: str
    arguments: JsonValue


class Call(BaseModel):
    """A call of a message."""

    id: str
    function: Named


class Spoken(BaseModel):
    """A message of the model."""

    model_config = ConfigDict(extra="allow")

    role: Literal["assistant"]
    finish_reason: str | None
    tool_calls: list[Call] = []


class Answered(BaseModel):
    """A message to the model."""

    role: Literal["user", "tool"]
    content: str


MESSAGE: TypeAdapter[Spoken | Answered] = TypeAdapter(Annotated[Spoken | Answered, Field(discriminator="role")])


def replay_transcripts(
    items: Sequence[Transcript], asked: Assignment, card: Mapping[str, JsonValue] | None, progress: Progress | None
) -> Played:
    """Make the calls of transcripts again, one an episode.

    Raises:
        ValueError: naming the episode, if it is answered otherwise, or its figures or rows are others.
    """
    try:
        settings = LlmCard.model_validate(card).settings
    except ValidationError as error:
        raise ValueError(f"card: {in_one_line(error)}") from None
    briefing = Briefing.of(asked.config, asked.task, settings.schemas, asked.seal)
    for item in items:
        try:
            if item.told != briefing.digest:
                raise ValueError("it was told of another configuration, task, tools or seal")
            for message in item.messages:
                MESSAGE.validate_python(message)
            attempt = Attempt(**{name: getattr(item, name) for name in Attempt.model_fields})
            talk = Conversation(settings, asked.config, briefing, Begun(attempt, item.used, item.messages))
            _compare(item, talk.transcript(item.task, item.finish, item.error, item.adapted))
        except ValidationError as error:
            raise ValueError(f"seed {item.seed}: {in_one_line(error)}") from None
        except ValueError as error:
            raise ValueError(f"seed {item.seed}: {error}") from None
        if progress is not None:
            progress(1)
    tools: Counter[str] = sum((Counter(item.tools) for item in items), Counter())
    return Played([item.line for item in items], [list(item.rows) for item in items], tools, notes_of(items))


def _compare(item: Transcript, again: Transcript) -> None:
    """Refuse a transcript that is not what comes of its calls.

    Raises:
        ValueError: naming what differs.
    """
    if (item.finish == "submitted") != (SUBMIT in again.tools):
        raise ValueError(f"finish is {item.finish!r}, which is not how it ended when played again")
    for name in Transcript.model_fields:
        held, found = getattr(item, name), getattr(again, name)
        if isinstance(held, dict) and held != found:
            key = next(key for key in {**found, **held} if held.get(key) != found.get(key))
            there, here = held.get(key), found.get(key)
            raise ValueError(f"{name}: {key!r} is {there} in the file and {here} when played again")
        if held != found:
            raise ValueError(f"{name} are not those that come of its calls")
