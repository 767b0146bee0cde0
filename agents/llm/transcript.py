"""What is left of an episode with a language model: a line of the run's transcripts."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple, Self

from pydantic import Field, StrictInt, model_validator

from metric_tracker_env import EnvConfig, Seal
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.session import brief, call_schemas
from metric_tracker_env.tasks import Task

from ..players.failures import Failure
from ..players.outcome import EpisodeLine, Row
from .faults import Finish
from .messages import Record
from .reply import Reply
from .schemas import Mode, schemas_for

CHARACTERS = 4  # of a token, where an endpoint does not tell tokens
Figures = dict[str, StrictInt | float | Failure]  # of an episode, by their names; the seed is apart


def line_of(seed: int, figures: Figures) -> EpisodeLine:
    """The figures of an episode as a line of an evaluation.

    Raises:
        ValueError: if one is missing, or there is one too many.
    """
    names = sorted(set(EpisodeLine._fields) - {"seed"})
    if sorted(figures) != names:
        raise ValueError(f"figures {sorted(figures)} must be {names}")
    values: dict[str, Any] = dict(figures)
    return EpisodeLine(seed=seed, **values)


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


class Used(StrictModel):
    """What an episode has used so far, over all attempts at it."""

    turns: StrictInt = Field(default=0, description="Replies of the model.")
    retries: StrictInt = Field(default=0, description="Requests that failed and were repeated.")
    unmetered: StrictInt = Field(default=0, description="Replies whose tokens the endpoint did not tell.")
    guessed: StrictInt = Field(default=0, description="Tokens of those by their length; for max_episode_tokens alone.")
    tokens: Tokens = Tokens()
    seconds: float = Field(default=0.0, description="Of the model: until its replies came.")
    waited: float = Field(default=0.0, description="Seconds of failed requests, and until they were repeated.")

    def after(self, reply: Reply, characters: int) -> Used:
        """With a reply, and so many characters of the request."""
        told = reply.usage is not None
        return Used(
            turns=self.turns + 1,
            retries=self.retries + reply.retries,
            unmetered=self.unmetered + (not told),
            guessed=self.guessed + (0 if told else (characters + reply.length) // CHARACTERS),
            tokens=self.tokens + Tokens.of(reply),
            seconds=self.seconds + reply.seconds,
            waited=self.waited + reply.waited,
        )

    @property
    def total(self) -> int:
        """Tokens that count to the limit of an episode."""
        return self.tokens.prompt + self.tokens.completion + self.guessed


class Attempt(StrictModel):
    """Which attempt at which episode."""

    told: str = Field(description="Digest of the configuration, the brief, the tools, and a seal.")
    seed: StrictInt
    trial: StrictInt = Field(default=0, description="Of the episode that is played several times, from 0.")
    attempt: StrictInt = Field(default=1, description="At this trial; all but the first go on where the last ended.")
    interruptions: StrictInt = Field(default=0, description="Of the run amid this attempt, which then went on.")


class Transcript(Attempt, Used):
    """What is left of an attempt, with all that came before in its episode. The model is told neither seed nor task."""

    task: str | None
    finish: Finish
    error: str | None = Field(description="In the endpoint's words, when that ended the attempt.")
    adapted: tuple[str, ...] = Field(default=(), description="What of the requests the endpoint had refused.")
    figures: Figures = Field(description="As on the leaderboard.")
    rows: tuple[Row, ...] = Field(description="As in an evaluation.")
    tools: dict[str, StrictInt] = Field(description="Calls of each tool that were not refused.")
    messages: tuple[Record, ...]

    @model_validator(mode="after")
    def _check_figures(self) -> Self:
        line_of(self.seed, self.figures)
        return self

    @property
    def line(self) -> EpisodeLine:
        """The figures of an evaluation."""
        return line_of(self.seed, self.figures)

    @property
    def used(self) -> Used:
        """What the episode has used."""
        return Used(**{name: getattr(self, name) for name in Used.model_fields})


class Briefing(NamedTuple):
    """What the model is told at the beginning of an episode, the same in each."""

    text: str
    tools: list[dict[str, Any]]
    digest: str
    characters: int  # of the tools
    seal: Seal | None = None  # of the episodes, of which the model is told nothing; None for public ones

    @classmethod
    def of(cls, config: EnvConfig, task: Task | None, mode: Mode, seal: Seal | None = None) -> Briefing:
        """Of a configuration and, if it is of a task, the task."""
        text = brief(config, task)
        tools = schemas_for(mode, call_schemas(config.generator))
        # Neither the view nor the kind of reward reaches an agent that calls tools.
        played = config.model_dump(mode="json", exclude={"view", "reward"})
        sealed = [] if seal is None else [seal.hash]
        digest = hashlib.sha256(json.dumps([played, text, tools, *sealed], sort_keys=True).encode()).hexdigest()
        return cls(text, tools, digest, len(json.dumps(tools)), seal)
