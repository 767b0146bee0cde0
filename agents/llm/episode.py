"""One episode with a language model: the conversation, and its limits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from metric_tracker_env import EnvConfig, Session
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.session import REMINDER
from metric_tracker_env.tasks import Task

from ..players.failures import Course, End
from ..players.outcome import NOTHING_SCORED, EpisodeLine, rows_of, submitted_cells
from .card import LlmSettings
from .faults import FAILED, Finish, RequestError
from .journal import Begun, Journal
from .messages import Record, noted, sendable, tool_of
from .reply import Reply
from .schemas import without_nulls
from .transcript import Briefing, Tokens, Transcript, Used

# Why replies without a call ended, where that says more than that there was none.
# What each finish means for the class of failure: the model's own words, a limit, or a fault of the endpoint.
ENDS: dict[Finish, End] = {
    "submitted": "handed_in",
    **dict.fromkeys(("no_call", "length", "filtered", *FAILED), "refused"),
    **dict.fromkeys(("calls_spent", "turn_limit", "token_limit", "time_limit", "context"), "spent"),
}
LAST_REASON: dict[str | None, Finish] = {"length": "length", "content_filter": "filtered"}


class Asked(Protocol):
    """Who answers for the model."""

    @property
    def adapted(self) -> tuple[str, ...]:
        """What of the requests was changed because the endpoint refused it, in words."""
        ...

    async def ask(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], first: bool, seconds: float
    ) -> Reply:
        """One reply."""
        ...


class Conversation:
    """An episode under way; one that was begun before is brought to where it was.

    Args:
        settings: Of the run.
        config: What is played.
        briefing: What the model is told first.
        begun: The attempt, and what was used and said before.

    Raises:
        ValueError: if what was said before is not what this episode answers.
    """

    def __init__(self, settings: LlmSettings, config: EnvConfig, briefing: Briefing, begun: Begun) -> None:
        self._settings, self._config, self._briefing = settings, config, briefing
        self._attempt, self.used = begun.attempt, begun.used
        self._session = Session(config=config, seal=briefing.seal)
        self._session.begin(begun.attempt.seed)
        self.messages: list[Record] = [{"role": "user", "content": briefing.text}]
        self._refused = self._silent = 0
        self._last_refused = False
        self._tools: Counter[str] = Counter()
        self._reported: list[tuple[int, int]] = []
        for message in begun.messages:
            if message["role"] == "assistant":
                self.messages.append(message)
                self._follow(message)
        if begun.messages and self.messages != list(begun.messages):
            raise ValueError(
                f"the conversation of seed {begun.attempt.seed} cannot go on: its calls are answered otherwise than "
                "they were, as by another version; play into another folder"
            )
        self._ids = {call["id"] for message in self.messages for call in message.get("tool_calls", ())}

    async def hold(self, model: Asked, journal: Journal) -> Finish:
        """Ask and answer until the episode is over or a limit is reached.

        Raises:
            RequestError: if the endpoint fails in this episode.
            EndpointError: if it cannot be used at all.
        """
        limits = self._settings
        while True:
            used, left = self.used, limits.episode_seconds - self.used.seconds
            if used.turns >= limits.max_turns:
                return "turn_limit"
            if limits.max_episode_tokens is not None and used.total >= limits.max_episode_tokens:
                return "token_limit"
            if left <= 0:
                return "time_limit"
            sent = sendable(self.messages)
            reply = await model.ask(sent, self._briefing.tools, first=not used.turns, seconds=left)
            told = reply.usage is not None
            self.used = used.after(reply, 0 if told else len(json.dumps(sent)) + self._briefing.characters)
            message = noted(reply, self.used.turns, self._ids, Tokens.of(reply).model_dump())
            self.messages.append(message)
            finish = self._follow(message)
            if finish is not None:
                return finish
            journal.add(self._attempt, self.used, self.messages)

    def note_failure(self, failure: RequestError) -> None:
        """Count the repetitions of a request that failed after all; the model's time is up if that ended it."""
        before = self.used
        spent = self._settings.episode_seconds if failure.finish == "time_limit" else before.seconds
        waited, retries = before.waited + failure.waited, before.retries + failure.retries
        self.used = before.model_copy(update={"retries": retries, "waited": waited, "seconds": spent})

    def transcript(self, task: str | None, finish: Finish, error: str | None, adapted: tuple[str, ...]) -> Transcript:
        """Say how the episode went; one that the conversation left before its end is ended, and scores 0."""
        times = {name: round(getattr(self.used, name), 3) for name in ("seconds", "waited")}
        session, used = self._session, self.used.model_copy(update=times)
        before = session.standing
        if not before.done:
            session.call(SUBMIT, {"rows": []})
        told = {**session.grade().model_dump(), "cost": before.cost, "tool_calls": before.tool_calls}
        reward = session.standing.reward
        if not before.done:
            told, reward = told | NOTHING_SCORED, before.reward
        seed, counted = self._attempt.seed, {"illegal": self._refused, "steps": before.steps}
        end = "refused" if finish == "calls_spent" and self._last_refused else ENDS[finish]
        course = Course(
            session.episode(), self._config, self._reported, session.revealed, before.cost, before.wasted, end
        )
        figures = EpisodeLine.of(seed, told, course, episode_return=reward, **counted)._asdict()
        del figures["seed"]
        return Transcript(
            **self._attempt.model_dump(),
            task=task,
            finish=finish,
            error=error,
            **{name: getattr(used, name) for name in Used.model_fields},
            adapted=adapted,
            figures=figures,
            rows=tuple(rows_of(session.episode(), self._reported)),
            tools=dict(self._tools),
            messages=tuple(self.messages),
        )

    def _follow(self, message: Record) -> Finish | None:
        """Answer a message of the model; how the episode finished, if it did."""
        calls = message.get("tool_calls")
        if calls:
            self._silent = 0
            for call in calls:
                finish = self._answer(call)
                if finish is not None:
                    return finish
            return None
        if self._silent == self._settings.reminders:
            return LAST_REASON.get(message["finish_reason"], "no_call")
        self._silent += 1
        self.messages.append({"role": "user", "content": REMINDER})
        return None

    def _answer(self, call: Record) -> Finish | None:
        """Make a call and note the answer; how the episode finished, if it did."""
        tool, given = tool_of(call)
        arguments = without_nulls(self._settings.schemas, given)
        # What is no object goes on as it is, for the tool to refuse.
        answer = self._session.call(tool, arguments)
        self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": answer.text})
        self._last_refused = not answer.ok
        if answer.ok:
            self._tools[tool] += 1
        else:
            self._refused += 1
        if not answer.done:
            return None
        if not (answer.ok and tool == SUBMIT):
            return "calls_spent"
        self._reported = submitted_cells(arguments["rows"], self._config.generator)
        return "submitted"


async def play_episode(
    model: Asked,
    settings: LlmSettings,
    config: EnvConfig,
    task: Task | None,
    briefing: Briefing,
    begun: Begun,
    journal: Journal,
) -> Transcript:
    """Play one episode, or play it on; a limit, or a failure of the endpoint in it, ends it with nothing submitted.

    Raises:
        EndpointError: if the endpoint cannot be used at all; the journal holds what there is.
        ValueError: if the episode cannot go on, see ``Conversation``.
    """
    talk, error = Conversation(settings, config, briefing, begun), None
    if begun.messages:
        journal.go_on(begun)
    try:
        finish = await talk.hold(model, journal)
    except RequestError as failure:
        finish, error = failure.finish, failure.reason
        talk.note_failure(failure)
    return talk.transcript(None if task is None else task.name, finish, error, model.adapted)
