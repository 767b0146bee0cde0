"""One episode with a language model: the conversation, its limits, and the transcript that is left of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol, Self

from pydantic import Field, StrictInt, model_validator

from metric_tracker_env import EnvConfig, Session
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.schema import MetricSubmissionRow, StrictModel
from metric_tracker_env.session import brief, call_schemas
from metric_tracker_env.submission import check_rows
from metric_tracker_env.tasks import Task

from ..players.outcome import EpisodeLine, Row, rows_of
from .card import LlmSettings
from .client import Reply, RequestError, ToolCall

REMINDER = (
    f"There was no tool call in your reply, so nothing has happened. Go on by calling a tool; {SUBMIT} hands in your "
    "rows and ends the episode."
)
BAD_NAME = re.compile(r"[^A-Za-z0-9_-]")  # what the protocol does not allow in the name of a function
NAME_LENGTH = 64

Finish = Literal["submitted", "calls_spent", "turn_limit", "token_limit", "time_limit", "no_call", "timeout", "error"]
FAILED: tuple[Finish, ...] = ("timeout", "error")  # by the endpoint and not by the model


class Tokens(StrictModel):
    """Tokens used, as the endpoint counts them."""

    prompt: StrictInt = 0
    cached: StrictInt = Field(default=0, description="Part of prompt.")
    completion: StrictInt = 0
    reasoning: StrictInt = Field(default=0, description="Part of completion.")

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(**{name: getattr(self, name) + getattr(other, name) for name in Tokens.model_fields})

    @classmethod
    def of(cls, reply: Reply) -> Tokens:
        """Those of a reply; none where the endpoint does not tell."""
        usage = reply.usage
        if usage is None:
            return cls()
        cached = usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens
        reasoning = usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens
        return cls(
            prompt=usage.prompt_tokens,
            cached=min(cached or 0, usage.prompt_tokens),
            completion=usage.completion_tokens,
            reasoning=reasoning or 0,
        )


class Transcript(StrictModel):
    """What is left of an episode: a line of ``transcripts.jsonl``. The model is told neither the seed nor the task."""

    task: str | None
    told: str = Field(description="Digest of the configuration, the brief and the tools.")
    seed: StrictInt
    finish: Finish
    error: str | None = Field(description="Of the endpoint, when that ended the episode.")
    turns: StrictInt = Field(description="Replies of the model.")
    retries: StrictInt = Field(description="Requests that were repeated.")
    unmetered: StrictInt = Field(description="Replies whose tokens the endpoint did not tell.")
    tokens: Tokens
    seconds: float
    figures: dict[str, StrictInt | float] = Field(description="As on the leaderboard.")
    rows: tuple[Row, ...] = Field(description="As in an evaluation.")
    tools: dict[str, StrictInt] = Field(description="Calls of each tool that were not refused.")
    messages: tuple[dict[str, Any], ...]

    @model_validator(mode="after")
    def _check_figures(self) -> Self:
        if {"seed", *self.figures} != set(EpisodeLine._fields):
            raise ValueError(f"figures {sorted(self.figures)} must be {sorted(set(EpisodeLine._fields) - {'seed'})}")
        return self

    @property
    def line(self) -> EpisodeLine:
        """The figures of an evaluation."""
        figures: dict[str, Any] = self.figures
        return EpisodeLine(seed=self.seed, **figures)


class Briefing(NamedTuple):
    """What the model is told at the beginning of an episode, the same in each."""

    text: str
    tools: list[dict[str, Any]]
    digest: str

    @classmethod
    def of(cls, config: EnvConfig, task: Task | None) -> Briefing:
        """Of a configuration and, if it is of a task, the task."""
        text = brief(config, task)
        tools = call_schemas(config.generator)
        # Neither the view nor the kind of reward reaches an agent that calls tools.
        played = config.model_dump(mode="json", exclude={"view", "reward"})
        return cls(text, tools, hashlib.sha256(json.dumps([played, text, tools], sort_keys=True).encode()).hexdigest())


class Asked(Protocol):
    """Who answers for the model."""

    async def ask(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], first: bool) -> Reply:
        """One reply."""
        ...


class Conversation:
    """An episode under way."""

    def __init__(self, model: Asked, settings: LlmSettings, config: EnvConfig, briefing: Briefing, seed: int) -> None:
        self._model, self._settings, self._config, self._briefing, self._seed = model, settings, config, briefing, seed
        self._session = Session(config=config)
        self._session.begin(seed)
        self._messages: list[dict[str, Any]] = [{"role": "user", "content": briefing.text}]
        self._tokens = Tokens()
        self._turns = self._retries = self._unmetered = self._refused = 0
        self._tools: Counter[str] = Counter()
        self._reported: list[tuple[int, int]] = []

    async def hold(self) -> Finish:
        """Ask and answer until the episode is over or a limit is reached.

        Raises:
            RequestError: if the endpoint fails in this episode.
            EndpointError: if it cannot be used at all.
        """
        limits, silent = self._settings, 0
        while True:
            if self._turns >= limits.max_turns:
                return "turn_limit"
            used = self._tokens.prompt + self._tokens.completion
            if limits.max_episode_tokens is not None and used >= limits.max_episode_tokens:
                return "token_limit"
            sent = [_sendable(message) for message in self._messages]
            reply = await self._model.ask(sent, self._briefing.tools, first=not self._turns)
            calls = self._take(reply)
            if calls:
                silent = 0
                for call in calls:
                    finish = self._answer(call)
                    if finish is not None:
                        return finish
            elif silent == limits.reminders:
                return "no_call"
            else:
                silent += 1
                self._messages.append({"role": "user", "content": REMINDER})

    def note_retries(self, retries: int) -> None:
        """Count the repetitions of a request that failed after all."""
        self._retries += retries

    def transcript(self, task: str | None, finish: Finish, error: str | None, seconds: float) -> Transcript:
        """End the episode, if a limit has not let it end, with nothing submitted; and say how it went."""
        session = self._session
        before = session.standing
        if not before.done:
            session.call(SUBMIT, {"rows": []})
        after = session.standing
        told = {**session.grade().model_dump(), "cost": before.cost, "tool_calls": before.tool_calls}
        line = EpisodeLine.of(
            self._seed, told, self._config, episode_return=after.reward, illegal=self._refused, steps=before.steps
        )
        figures = line._asdict()
        del figures["seed"]
        return Transcript(
            task=task,
            told=self._briefing.digest,
            seed=self._seed,
            finish=finish,
            error=error,
            turns=self._turns,
            retries=self._retries,
            unmetered=self._unmetered,
            tokens=self._tokens,
            seconds=round(seconds, 3),
            figures=figures,
            rows=tuple(rows_of(session.episode(), self._reported)),
            tools=dict(self._tools),
            messages=tuple(self._messages),
        )

    def _take(self, reply: Reply) -> list[dict[str, Any]]:
        """Note a reply as it came; its calls, each with an id."""
        tokens, message, choice = Tokens.of(reply), reply.message, reply.choices[0]
        self._turns += 1
        self._retries += reply.retries
        self._unmetered += reply.usage is None
        self._tokens += tokens
        calls: dict[str, dict[str, Any]] = {}
        for number, call in enumerate(message.tool_calls or ()):
            # An endpoint may leave ids out, and the answers need them.
            name = call.id if call.id and call.id not in calls else f"call_{self._turns}_{number}"
            calls[name] = {"id": name, "type": "function", "function": _function(call)}
        noted: dict[str, Any] = {"role": "assistant", "content": message.content}
        if calls:
            noted["tool_calls"] = list(calls.values())
        reasoning = message.reasoning_content or message.reasoning
        if reasoning:
            noted["reasoning"] = reasoning
        self._messages.append(noted | {"finish_reason": choice.finish_reason, "usage": tokens.model_dump()})
        return list(calls.values())

    def _answer(self, call: Mapping[str, Any]) -> Finish | None:
        """Make a call and note the answer; how the episode finished, if it did."""
        tool, arguments = call["function"]["name"], _decoded(call["function"]["arguments"])
        # What is no object goes on as it is, for the tool to refuse.
        answer = self._session.call(tool, arguments)
        self._messages.append({"role": "tool", "tool_call_id": call["id"], "content": answer.text})
        if answer.ok:
            self._tools[tool] += 1
        else:
            self._refused += 1
        if not answer.done:
            return None
        if not (answer.ok and tool == SUBMIT):
            return "calls_spent"
        generator = self._config.generator
        self._reported = [
            (generator.day_index(row.date), generator.catalogue.index[row.entity_type, row.entity_name])
            for row in check_rows(arguments["rows"], generator)
            if isinstance(row, MetricSubmissionRow)
        ]
        return "submitted"


async def play_episode(
    model: Asked, settings: LlmSettings, config: EnvConfig, task: Task | None, briefing: Briefing, seed: int
) -> Transcript:
    """Play one episode; a limit, or a failure of the endpoint in it, ends it with nothing submitted.

    Raises:
        EndpointError: if the endpoint cannot be used at all.
    """
    talk = Conversation(model, settings, config, briefing, seed)
    start, error = time.monotonic(), None
    clock = asyncio.timeout(settings.episode_seconds)
    try:
        async with clock:
            finish = await talk.hold()
    except TimeoutError:
        if not clock.expired():
            raise
        finish = "time_limit"
    except RequestError as failure:
        finish, error = failure.finish, str(failure)
        talk.note_retries(failure.retries)
    return talk.transcript(None if task is None else task.name, finish, error, time.monotonic() - start)


def _function(call: ToolCall) -> dict[str, Any]:
    """What is called, as it came; a name that is missing is none that there is."""
    return {"name": call.function.name or "", "arguments": call.function.arguments}


def _decoded(arguments: Any) -> Any:
    """The arguments of a call: JSON text by the protocol, an object from some endpoints, nothing for no arguments.

    What is neither is given back as it is.
    """
    if arguments is None or arguments == "":
        return {}
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _sendable(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the record as the protocol has it.

    Servers refuse a whole conversation for one call in it whose arguments are no JSON object or whose name is no name
    of a function, so that these are mended on the way; the answer to the call says what was wrong.
    """
    kept = {name: message[name] for name in ("role", "content", "tool_call_id") if name in message}
    if "tool_calls" in message:
        kept["tool_calls"] = [{**call, "function": _mended(**call["function"])} for call in message["tool_calls"]]
    elif kept["content"] is None:
        kept["content"] = ""  # which the protocol allows beside calls only
    return kept


def _mended(name: str, arguments: Any) -> dict[str, str]:
    found = _decoded(arguments)
    if not isinstance(found, Mapping):
        text = "{}"
    else:
        text = arguments if isinstance(arguments, str) and arguments else json.dumps(found)
    return {"name": BAD_NAME.sub("_", name)[:NAME_LENGTH] or "_", "arguments": text}
