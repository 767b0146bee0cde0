"""An episode as a sample of Inspect: a session of its own, the session's tools, and the conversation."""

# pyright: reportMissingImports=false

from __future__ import annotations

from dataclasses import replace
from typing import Any

from inspect_ai.model import ChatMessageUser, execute_tools, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import Tool, ToolCall, ToolDef, ToolParams

from metric_tracker_env.inspect_task.outcome import Finish, Outcome
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.session import REMINDER, Session
from metric_tracker_env.tasks import find_task

REMINDERS = 2
NOT_CUT = 0  # Inspect's word for a tool whose answers have no greatest length
FULL_CONTEXT = "model_length"  # Inspect's word for a reply that ended because the context is full
ANYTHING = ToolParams(additionalProperties=True)

_underway: dict[str, Session] = {}  # by the sample's uuid; a session cannot be in the store, which is JSON


@solver
def begin(task: str, seal: str | None = None) -> Solver:
    """Begin a sample's episode and give the sample the session's tools; the setup of the task.

    Args:
        task: Named task, or a task's file.
        seal: See ``Session``.
    """
    seeds = range(*find_task(task).held_out_seeds)

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001 - the signature is Inspect's
        session = _underway[state.uuid] = Session(task, seal=seal)
        session.begin(seeds[int(state.sample_id) - 1])
        Outcome.of(session.standing).write(state.store)
        state.tools = [_offered(state, schema["function"]) for schema in session.schemas]
        return state

    return solve


@solver
def investigate(reminders: int = REMINDERS) -> Solver:
    """Let the model call tools until the episode is over; it ends too when reply after reply has no call.

    Every call goes to the session as the model made it, which judges it as through any other door. Inspect's own loop
    would refuse a bad one itself, and it would cost nothing.

    Args:
        reminders: After replies without a tool call, one after another.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:  # noqa: ARG001 - the signature is Inspect's
        silent = 0
        while not state.completed:
            state.output = await get_model().generate(state.messages, state.tools)
            message = state.output.message
            before = list(state.messages)
            state.messages.append(message)
            if message.tool_calls:
                silent = 0
                for call in message.tool_calls:
                    alone = message.model_copy(update={"tool_calls": [replace(call, parse_error=None)]})
                    made = await execute_tools([*before, alone], [_judged(state, call)])
                    state.messages.extend(made.messages)
            elif state.output.stop_reason == FULL_CONTEXT:
                return _given_up(state, "context")
            elif silent == reminders:
                return _given_up(state, "no_call")
            else:
                silent += 1
                state.messages.append(ChatMessageUser(content=REMINDER))
        return state

    return solve


async def leave(state: TaskState) -> None:
    """Forget a sample's session, once it has been scored."""
    _underway.pop(state.uuid, None)


def _offered(state: TaskState, function: dict[str, Any]) -> Tool:
    """A tool as the model is told of it, and as solvers other than ``investigate`` call it."""
    name = function["name"]

    async def execute(**kwargs: Any) -> str:
        return _answer(state, name, kwargs)

    parameters = ToolParams.model_validate(function["parameters"])
    return ToolDef(execute, name, function["description"], parameters, max_output=NOT_CUT).as_tool()


def _judged(state: TaskState, call: ToolCall) -> ToolDef:
    """A tool for one call, of whatever name, that leaves all checks to the session."""

    async def execute(**kwargs: Any) -> str:
        # What Inspect could not read as an object is none to the session either, which quotes it.
        return _answer(state, call.function, call.parse_error or kwargs)

    return ToolDef(execute, call.function, call.function, ANYTHING, max_output=NOT_CUT)


def _answer(state: TaskState, tool: str, arguments: Any) -> str:
    """Call the session's tool, and note what the episode has come to."""
    session = _underway[state.uuid]
    over = session.standing.done
    answer = session.call(tool, arguments)
    if answer.done and not over:
        finish: Finish = "submitted" if answer.ok and tool == SUBMIT else "calls_spent"
        Outcome.of(session.standing, finish).write(state.store)
        state.completed = True
    elif not over:
        Outcome.of(session.standing).write(state.store)
    return answer.text


def _given_up(state: TaskState, finish: Finish) -> TaskState:
    """End the conversation before the episode has come to its end."""
    Outcome.of(_underway[state.uuid].standing, finish).write(state.store)
    return state
