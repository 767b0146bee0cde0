"""The OpenEnv environment: a ``Session`` behind ``reset``, ``step`` and ``state``, with typed messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, EnvironmentMetadata, Observation, State
from pydantic import ConfigDict, Field

from metric_tracker_env.books import Books
from metric_tracker_env.config import EpisodeOptions
from metric_tracker_env.model import in_one_line
from metric_tracker_env.serve.limits import FAILED, LOG
from metric_tracker_env.session import NOT_BEGUN, ScoredSession, Session

NAME = "metric_tracker_env"
DESCRIPTION = (
    "An analyst's investigation of weeks of funnel metrics: spend a budget on analysis tools, find the root cause of "
    "each incident, submit one row a root cause. `reset` gives the brief and the tools, `step` calls a tool by name."
)
RESET_ARGUMENTS = ("seed", "episode_id", "task", *EpisodeOptions.model_fields)
MAX_EPISODE_ID = 255  # characters, as OpenEnv's own request model has it
MAX_TOLD = 1000  # characters of an error that repeats what was given
REFUSED = "refused: "  # begins the text of an error that is meant for the client


class InvestigationAction(Action):
    """One call of a tool, or of ``submit``."""

    tool: str = Field(description="Name of a tool; the observation of reset lists them.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Arguments by name.")


class InvestigationObservation(Observation):
    """What came of a reset or of a call."""

    answer: str = Field(default="", description="Answer of the tool as JSON text; empty after a reset.")
    brief: str | None = Field(default=None, description="After a reset: data, task, budget, and what tools cost.")
    tools: list[dict[str, Any]] | None = Field(
        default=None, description="After a reset: the tools and submit, in OpenAI's function form."
    )
    practice: bool = Field(
        default=False,
        description="After a reset: whether the session has played the seed to its end before, and may know its truth.",
    )
    budget_left: int = Field(default=0, ge=0, description="Units left.")
    calls_left: int = Field(default=0, ge=0, description="Calls left.")

    @property
    def told(self) -> dict[str, Any]:
        """The answer, decoded; empty after a reset."""
        return json.loads(self.answer) if self.answer else {}


class InvestigationState(State):
    """Where a session stands: nothing that its observations did not tell."""

    model_config = ConfigDict(extra="forbid")

    begun: bool = Field(default=False, description="Whether an episode was begun.")
    done: bool = Field(default=False, description="Whether it is over.")
    budget_left: int | None = Field(default=None, description="Units left; null before the first episode.")
    calls_left: int | None = Field(default=None, description="Calls left; null before the first episode.")


class RefusedError(ValueError):
    """What a client asked for is refused; the text is for the client."""

    def __init__(self, told: str) -> None:
        short = told if len(told) <= MAX_TOLD else f"{told[:MAX_TOLD]}..."
        super().__init__(f"{REFUSED}{short}")


@contextmanager
def failures_told() -> Iterator[None]:
    """Log an exception that no client caused, and put one that tells nothing in its place.

    Raises:
        RuntimeError: for any exception but a refusal.
    """
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:
        LOG.exception("a session failed")
        raise RuntimeError(FAILED) from error


class InvestigationEnvironment(Environment[InvestigationAction, InvestigationObservation, InvestigationState]):
    """An investigation as an OpenEnv environment; each session has one of its own.

    The engine is made by the first reset. A bad call of a tool is an answer, which costs a unit, as in process;
    an action that is no action, and a reset that asks for what there is not, change nothing.

    Args:
        task: Task to play unless ``reset`` names one: a registered name, or a file.
        books: Of scored episodes, which choose them, in place of task and seed.

    Raises:
        ValueError: for an unknown task or file.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, task: str | Path | None = None, books: Books | None = None) -> None:
        super().__init__()
        self._task, self._books = task, books
        self._session = self._fresh()
        self._episode_id: str | None = None

    def _fresh(self) -> Session:
        return Session(self._task) if self._books is None else ScoredSession(self._books)

    def reset(
        self, /, seed: int | None = None, episode_id: str | None = None, task: str | None = None, **options: Any
    ) -> InvestigationObservation:
        """Begin an episode; see ``Session.begin``.

        Args:
            seed: Of the episode; None goes on with the session's stream of episodes, or starts one.
            episode_id: The client's name for the episode, which ``state`` gives back.
            task: Named task to play from now on.
            options: For this episode only: scenario_family, difficulty, anomaly_density, anomaly_count,
                anomaly_generators.

        Returns:
            The brief and the tools.

        Raises:
            RefusedError: for an unknown argument or a bad value; nothing has changed then.
        """
        unknown = [name for name in options if name not in RESET_ARGUMENTS]
        if unknown:
            raise RefusedError(f"reset has no argument {', '.join(map(repr, unknown))}; allowed: {RESET_ARGUMENTS}")
        if not (episode_id is None or (isinstance(episode_id, str) and len(episode_id) <= MAX_EPISODE_ID)):
            raise RefusedError(f"episode_id {episode_id!r} must be a text of at most {MAX_EPISODE_ID} characters")
        with failures_told():
            try:
                brief = self._session.begin(seed, task, **options)
            except ValueError as error:
                raise RefusedError(f"reset: {in_one_line(error)}") from error
            self._episode_id = episode_id
            standing, tools = self._session.standing, self._session.schemas
        return InvestigationObservation(
            brief=brief,
            tools=tools,
            practice=self._session.practice,
            budget_left=standing.budget_left,
            calls_left=standing.calls_left,
        )

    def step(
        self, /, action: InvestigationAction, timeout_s: float | None = None, **options: Any
    ) -> InvestigationObservation:
        """Call a tool.

        Args:
            action: The call.
            timeout_s: Not used; a call takes milliseconds.
            options: None but OpenEnv's ``request_id``, which is not used.

        Returns:
            The tool's answer, and what the call paid: its costs, and at the end the score.

        Raises:
            RefusedError: for an unknown argument.
        """
        del timeout_s
        unknown = [name for name in options if name != "request_id"]
        if unknown:
            raise RefusedError(f"step has no argument {', '.join(map(repr, unknown))}; allowed: action")
        with failures_told():
            if not self._session.standing.begun:
                # Over, so that a loop until the end ends when a lost connection took its session with it.
                return InvestigationObservation(answer=NOT_BEGUN.text, done=True)
            answer = self._session.call(action.tool, action.arguments)
            standing = self._session.standing
        return InvestigationObservation(
            answer=answer.text,
            reward=answer.reward,
            done=standing.done,
            budget_left=standing.budget_left,
            calls_left=standing.calls_left,
        )

    # OpenEnv calls these two. What a client names its arguments is its own choice, so that `self` has no name here.

    async def reset_async(
        self, /, seed: int | None = None, episode_id: str | None = None, task: str | None = None, **options: Any
    ) -> InvestigationObservation:
        """As ``reset``, in a thread: making an engine takes tens of milliseconds."""
        return await asyncio.to_thread(self.reset, seed, episode_id, task, **options)

    async def step_async(
        self, /, action: InvestigationAction, timeout_s: float | None = None, **options: Any
    ) -> InvestigationObservation:
        """As ``step``, here: a call takes a millisecond, and handing it to a thread as long again."""
        return self.step(action, timeout_s, **options)

    @property
    def state(self) -> InvestigationState:
        """Where the session stands."""
        standing = self._session.standing
        if not standing.begun:
            return InvestigationState()
        return InvestigationState(
            episode_id=self._episode_id,
            step_count=standing.steps,
            begun=standing.begun,
            done=standing.done,
            budget_left=standing.budget_left,
            calls_left=standing.calls_left,
        )

    def get_metadata(self) -> EnvironmentMetadata:
        """Name, description and version."""
        return EnvironmentMetadata(name=NAME, description=DESCRIPTION, version=version(NAME))

    def close(self) -> None:
        """Let go of the engine; a scored episode that is under way is abandoned."""
        if isinstance(self._session, ScoredSession):
            self._session.leave()
        self._session = self._fresh()
