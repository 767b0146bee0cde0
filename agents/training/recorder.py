"""What goes on beside learning: the clock of the lanes, changing settings, evaluations, and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import ConstantSchedule
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from metric_tracker_env import EnvConfig
from metric_tracker_env.sb3 import MetricTrackerVecEnv
from metric_tracker_env.tasks import build_config

from ..players.models.sb3 import Sb3Policy
from ..tasks import validation_seeds
from .curve import Curve, Point
from .held_out import evaluate_policy
from .settings import Ramp, TrainingConfig


class TimedVecEnv(MetricTrackerVecEnv):
    """Adds up the CPU seconds in the lanes."""

    def __init__(self, num_envs: int, config: EnvConfig, info_keywords: tuple[str, ...] = ()) -> None:
        super().__init__(num_envs, config=config, info_keywords=info_keywords)
        self.seconds = 0.0

    def reset(self) -> Any:
        """Reset the lanes."""
        return self._timed(super().reset)

    def step_wait(self) -> VecEnvStepReturn:
        """Step the lanes."""
        return self._timed(super().step_wait)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the lanes, such as ``action_masks``."""
        call = self.venv.env_method
        return self._timed(lambda: call(method_name, *method_args, indices=indices, **method_kwargs))

    def _timed(self, call: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = call()
        self.seconds += time.process_time() - start
        return result


class Recorder(BaseCallback):
    """Between rollouts: sets learning rate, entropy and step cost, evaluates on held-out seeds, keeps checkpoints."""

    def __init__(
        self,
        config: TrainingConfig,
        curve: Curve,
        envs: TimedVecEnv,
        save: Callable[[BaseAlgorithm, TimedVecEnv, float], None],
        spent: float = 0.0,
    ) -> None:
        super().__init__()
        self._config, self._curve, self._envs, self._save = config, curve, envs, save
        self._spent = spent  # CPU seconds of training before the last look at the clock
        self._since = 0.0
        self._played = build_config(config=config.task.config, options={"view": config.view})
        self._seeds = validation_seeds(config.task, config.evaluation_episodes)
        self._evaluated = self._kept = -1  # how many evaluations and checkpoints were due already

    def _on_training_start(self) -> None:
        self._since = time.process_time()
        self._evaluated = self._due(self._config.evaluations)
        self._kept = self._due(self._config.checkpoints)

    def _on_rollout_start(self) -> None:
        left = 1.0 - self.num_timesteps / self._config.total_steps
        self.model.lr_schedule = ConstantSchedule(self._config.learning_rate(left))
        if isinstance(self.model, MaskablePPO | PPO):
            self.model.ent_coef = self._config.ppo.ent_coef(left)
        if isinstance(self._config.step_cost, Ramp):
            self._envs.set_attr("step_cost", self._config.step_cost(left))
        cloned = self._config.demonstrations is not None and self._config.evaluations and not self._curve.points
        if cloned or self._due(self._config.evaluations) > self._evaluated:
            self._evaluated = self._due(self._config.evaluations)
            self._evaluate()
        if self._due(self._config.checkpoints) > self._kept:
            self._kept = self._due(self._config.checkpoints)
            self._save(self.model, self._envs, self._stop_clock())

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if self._config.evaluations:
            self._evaluate()

    def _due(self, number: int) -> int:
        """How many of so many, evenly spread, are due by now."""
        return self.num_timesteps * number // self._config.total_steps

    def _stop_clock(self) -> float:
        now = time.process_time()
        self._spent += now - self._since
        self._since = now
        return self._spent

    def _evaluate(self) -> None:
        spent = self._stop_clock()
        masked = self._config.algorithm == "maskable_ppo"
        played = evaluate_policy(Sb3Policy(self.model, masked), self._seeds, self._config.name, self._played)
        score = played.interval("score")
        point = Point(
            steps=self.num_timesteps,
            cpu_seconds=round(spent, 2),
            environment_seconds=round(self._envs.seconds, 2),
            score=score.mean,
            low=score.low,
            high=score.high,
            **{name: played.mean(name) for name in ("precision", "recall", "net", "cost")},
        )
        self._curve.add(point)
        print(point, flush=True)
        for name in ("score", "precision", "recall", "net", "cost"):
            self.logger.record(f"held_out/{name}", getattr(point, name))
        self.logger.dump(self.num_timesteps)
        self._since = time.process_time()
