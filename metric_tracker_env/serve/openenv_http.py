"""OpenEnv's HTTP routes that play: ``/reset`` and ``/step``, with bodies that are checked as their schemas say.

Each request has an environment of its own, which is forgotten: ``/reset`` tells the brief and the tools, and ``/step``
can only say that no episode is under way. Sessions are at the WebSocket.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body
from openenv.core.env_server.serialization import serialize_observation
from openenv.core.env_server.types import ResetResponse, StepResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from metric_tracker_env.schema import Difficulty, ScenarioFamily
from metric_tracker_env.serve.openenv_env import MAX_EPISODE_ID, InvestigationAction, InvestigationEnvironment
from metric_tracker_env.tasks import TASKS

TAG = "Environment Control"
LARGEST_SEED = 2**53  # of these routes: FastAPI writes limits as floating numbers, which hold all up to here


class CheckedBody(BaseModel):
    """A body whose values are what its schema says: nothing is converted, nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ResetBody(CheckedBody):
    """What ``/reset`` takes; over a WebSocket a reset takes all options of an episode."""

    seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED, description="Of the episode.")
    episode_id: str | None = Field(default=None, max_length=MAX_EPISODE_ID, description="The client's own name for it.")
    task: str | None = Field(default=None, description="Named task.", json_schema_extra={"enum": [*TASKS, None]})
    scenario_family: ScenarioFamily | None = Field(default=None, description="Family of the incidents.")
    difficulty: Difficulty | None = Field(default=None, description="Sizes, thresholds and noise.")

    @field_validator("seed", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        return int(value) if isinstance(value, float) and value.is_integer() else value  # 5.0 is an integer in JSON


class StepBody(CheckedBody):
    """What ``/step`` takes."""

    action: InvestigationAction
    timeout_s: float | None = Field(default=None, gt=0, description="Not used; a call takes milliseconds.")
    request_id: str | None = Field(default=None, max_length=MAX_EPISODE_ID, description="Not used.")


class Told(BaseModel):
    """An error in words."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """What is answered to a request that is refused."""

    error: Told


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is no text."},
    422: {"model": ErrorBody, "description": "The body is not as it must be."},
}


def playing(task: str | Path | None) -> APIRouter:
    """The two routes.

    Args:
        task: See ``InvestigationEnvironment``.
    """
    router = APIRouter(tags=[TAG])

    @router.post("/reset", summary="Tell the brief and the tools of an episode", responses=REFUSALS)
    async def reset(body: Annotated[ResetBody, Body(default_factory=ResetBody)]) -> ResetResponse:
        told = await InvestigationEnvironment(task).reset_async(**body.model_dump(exclude_none=True))
        return ResetResponse(**serialize_observation(told))

    @router.post("/step", summary="Tell that no episode is under way", responses=REFUSALS)
    async def step(body: StepBody) -> StepResponse:
        told = await InvestigationEnvironment(task).step_async(body.action)
        return StepResponse(**serialize_observation(told))

    return router
