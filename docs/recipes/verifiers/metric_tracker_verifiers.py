r"""Investigations as a verifiers environment (verifiers 0.4), played through an OpenEnv server.

openenv and verifiers do not fit into one virtual environment, so this speaks the server's WebSocket messages itself.
Each rollout has a tool server of its own, which holds one session: its tools are those that the session's ``reset``
told, and each call is a ``step``. The reward is the sum of what the steps paid. In two virtual environments:

    python -m metric_tracker_env.serve openenv                 # with the extra `serve`
    pip install uv -e . -e docs/recipes/verifiers              # uv runs verifiers' own chat loop
    vf-eval metric-tracker-verifiers --env.taskset.base-url http://127.0.0.1:8000 -n 20 --no-push \
        --model NAME --client.base-url http://127.0.0.1:8080/v1 --client.api-key-var OPENAI_API_KEY

Without the last three options verifiers asks its makers' endpoint, and without --no-push it uploads the run to them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Literal, Self, cast

import aiohttp
import httpx
import verifiers.v1 as vf
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool
from pydantic import Field, model_validator

from metric_tracker_env.tasks import get_task

MAX_TURNS = 64  # replies of a model; verifiers refuses calls of tools that there are not itself, without end
SECONDS = 60.0  # within which the server must answer; a call takes milliseconds


class InvestigationState(vf.State):
    """What a rollout has earned; its tool server writes it, the reward reads it."""

    reward: float = 0.0
    score: float = 0.0
    done: bool = False


class InvestigationData(vf.TaskData):
    """One episode."""

    base_url: str
    task_name: str
    seed: int


class InvestigationTaskConfig(vf.TaskConfig):
    """Where the tool server of a rollout runs; by default beside the evaluation."""

    tools: vf.ToolsetConfig = vf.ToolsetConfig()


class InvestigationTools(vf.Toolset[vf.ToolsetConfig, InvestigationState]):
    """The tools of one session on the OpenEnv server."""

    TOOL_PREFIX = None  # the brief calls the tools by their own names

    async def setup_task(self, task: InvestigationData) -> None:
        """Open the session and begin the episode."""
        http = await self._exit_stack.enter_async_context(aiohttp.ClientSession())
        opening = http.ws_connect(f"{task.base_url}/ws", max_msg_size=0)
        self._socket = await self._exit_stack.enter_async_context(opening)
        self._turn = asyncio.Lock()
        told = await self._ask("reset", {"task": task.task_name, "seed": task.seed})
        functions = [tool["function"] for tool in told["observation"]["tools"]]
        self._tools = [
            Tool(name=f["name"], description=f["description"], input_schema=f["parameters"]) for f in functions
        ]

    def register(self, mcp: MCPServer) -> None:
        """Answer for the tools before the library does.

        It would make their schemas of signatures, and drop or convert arguments that the environment ought to judge.
        """
        mcp.middleware.append(self._answer)

    async def _answer(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "tools/list":
            return ListToolsResult(tools=self._tools)
        if ctx.method == "tools/call":
            asked = CallToolRequestParams.model_validate(ctx.params)
            async with self._turn:  # calls at once would write over each other's state
                answer = await self._with_state(self._call)(asked.name, asked.arguments or {})
            return CallToolResult(content=[TextContent(type="text", text=answer)])
        return await call_next(ctx)

    async def _call(self, tool: str, arguments: dict[str, Any]) -> str:
        """One call: its answer, as JSON text; what it paid goes to the state."""
        told = await self._ask("step", {"tool": tool, "arguments": arguments})
        answer = told["observation"]["answer"]
        self.state.reward += told["reward"] or 0.0
        self.state.done = told["done"]
        if told["done"] and "grade" in (last := json.loads(answer)):
            self.state.score = last["grade"]["score"]
        return answer

    async def _ask(self, kind: Literal["reset", "step"], data: dict[str, Any]) -> dict[str, Any]:
        """Send a message and have its answer.

        Raises:
            RuntimeError: if the server refuses it.
            TimeoutError: if it says nothing.
        """
        try:
            async with asyncio.timeout(SECONDS):
                await self._socket.send_json({"type": kind, "data": data})
                answer = await self._socket.receive_json()
        except TimeoutError:
            await self._socket.close()  # or the late answer would be taken for that of the next message
            raise
        if answer["type"] != "observation":
            raise RuntimeError(f"the OpenEnv server answers {kind} with: {answer['data']['message']}")
        return answer["data"]


def state_of(trace: vf.Trace) -> InvestigationState:
    """The state of a rollout, which the library types as its base class."""
    return cast(InvestigationState, trace.state)


class InvestigationTask(vf.Task[InvestigationData, InvestigationState, InvestigationTaskConfig]):
    """One episode, what ends it and what it is worth."""

    @classmethod
    def toolsets(cls, config: InvestigationTaskConfig) -> list[vf.Toolset[Any, Any]]:
        """The tool server of a rollout."""
        return [InvestigationTools(config.tools)]

    @vf.stop
    async def episode_over(self, trace: vf.Trace) -> bool:
        """The model is not asked again when it has submitted or has no call left."""
        return state_of(trace).done

    @vf.reward
    async def reward(self, trace: vf.Trace) -> float:
        """What the environment pays: the score, less what was spent."""
        return state_of(trace).reward

    @vf.metric
    async def submission(self, trace: vf.Trace) -> dict[str, float]:
        """The score, 0 without a submission, and whether the episode came to its end."""
        state = state_of(trace)
        return {"score": state.score, "done": float(state.done)}


class InvestigationConfig(vf.TasksetConfig):
    """Which episodes, on which server."""

    base_url: str = "http://127.0.0.1:8000"
    """Of the OpenEnv server."""
    task_name: str = "medium_mixed"
    """Named task of metric_tracker_env."""
    split: Literal["training", "held_out"] = "held_out"
    """Whose seeds are played."""
    first: int = Field(default=0, ge=0)
    """Number of the first episode in the split."""
    episodes: int = Field(default=100, ge=1)
    """How many episodes."""
    task: InvestigationTaskConfig = InvestigationTaskConfig()  # pyright: ignore[reportIncompatibleVariableOverride]

    @model_validator(mode="after")
    def check_episodes(self) -> Self:
        """Refuse an unknown task and episodes that a split has not."""
        there_are = len(self.split_seeds())
        if self.first + self.episodes > there_are:
            raise ValueError(
                f"first {self.first} and episodes {self.episodes} go beyond the {there_are} of {self.split}"
            )
        return self

    def split_seeds(self) -> range:
        """All seeds of the split."""
        task = get_task(self.task_name)
        return range(*(task.training_seeds if self.split == "training" else task.held_out_seeds))


class InvestigationTaskset(
    vf.Taskset[InvestigationTask, InvestigationConfig]  # pyright: ignore[reportInvalidTypeArguments] - of its bound
):
    """The episodes of a task."""

    def load(self) -> Iterator[InvestigationTask]:
        """One task for each episode.

        Raises:
            RuntimeError: if there is no such server.
        """
        config = self.config
        base_url = config.base_url.rstrip("/")
        prompt = brief(base_url, config.task_name)
        for seed in config.split_seeds()[config.first : config.first + config.episodes]:
            row = {"base_url": base_url, "task_name": config.task_name, "seed": seed}
            data = InvestigationData.model_validate({"name": f"{config.task_name}#{seed}", "prompt": prompt, **row})
            yield InvestigationTask(data, config.task)


def brief(base_url: str, task_name: str) -> str:
    """What the model is told first; the server tells it without a session, as it is the same for all episodes.

    Raises:
        RuntimeError: if there is no such server.
    """
    try:
        answer = httpx.post(f"{base_url}/reset", json={"task": task_name}, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()["observation"]["brief"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"base_url {base_url!r} is no OpenEnv server that plays {task_name}: {error!r}") from error


class InvestigationEnvConfig(vf.SingleAgentEnvConfig):
    """The one agent: by default the chat loop that has the tools of the task and no others, on this machine."""

    agent: vf.AgentConfig = vf.AgentConfig.model_validate(
        {"harness": {"id": "null"}, "runtime": {"type": "subprocess"}, "max_turns": MAX_TURNS}
    )


class InvestigationEnv(vf.Env[InvestigationEnvConfig]):
    """One agent plays one episode."""

    async def run(self, task: vf.Task, agents: vf.Agents) -> None:
        """Play."""
        await agents.agent.run(task)


def load_environment(**settings: Any) -> vf.Env:
    """The environment with fields of ``InvestigationConfig``, for programs; ``vf-eval`` goes by this module's name."""
    taskset = {"id": "metric_tracker_verifiers", **settings}
    return vf.load_environment(vf.resolve_env_config({"taskset": taskset}))


__all__ = ["InvestigationEnv", "InvestigationTaskset", "load_environment"]

if __name__ == "__main__":
    InvestigationTools.run()
