"""The typed client: plays a session on an OpenEnv server.

```python
from metric_tracker_env.serve.openenv_client import InvestigationAction, InvestigationClient

with InvestigationClient(base_url="http://127.0.0.1:8000").sync() as client:
    print(client.reset(task="hard_mixed_multi").observation.brief)
    result = client.step(InvestigationAction(tool="list_suspicious_dates"))
    print(result.observation.told, result.reward, result.done)
```

Without ``.sync()`` its methods are awaited.
"""

from __future__ import annotations

from typing import Any, Self

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient
from openenv.core.sync_client import SyncEnvClient

from metric_tracker_env.serve.openenv_env import (
    InvestigationAction,
    InvestigationObservation,
    InvestigationState,
)


class InvestigationClient(EnvClient[InvestigationAction, InvestigationObservation, InvestigationState]):
    """A session on a server; its arguments are those of OpenEnv's ``EnvClient``, ``base_url`` above all.

    What the server refuses raises ``RuntimeError`` with its words.
    """

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    def sync(self) -> SyncEnvClient[InvestigationAction, InvestigationObservation, InvestigationState]:
        """The same client with methods that need no ``await``."""
        return super().sync()

    def _step_payload(self, action: InvestigationAction) -> dict[str, Any]:
        return action.model_dump(exclude_defaults=True)

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[InvestigationObservation]:
        reward, done = payload["reward"], payload["done"]
        observation = InvestigationObservation(**payload["observation"], reward=reward, done=done)
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> InvestigationState:
        return InvestigationState(**payload)


__all__ = ["InvestigationAction", "InvestigationClient", "InvestigationObservation", "InvestigationState"]
