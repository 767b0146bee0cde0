"""What a training run with stable-baselines3 is: its settings, its seeds, and the folder that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictInt, Tag, model_validator

from metric_tracker_env.config import ConfigModel, EnvConfig, Positive, Real, Reward, StepCost, View, load_config
from metric_tracker_env.model import in_one_line
from metric_tracker_env.tasks import Task, build_config, get_task
from metric_tracker_env.vector_env import MAX_LANES

from ..players.scripts.script import demonstrators
from ..tasks import AnyTask, presets, task_of, training_seed

Algorithm = Literal["maskable_ppo", "ppo", "dqn"]
Network = Literal["mlp", "shared"]
Count = Annotated[StrictInt, Field(ge=1, le=10**12)]
Share = Annotated[Real, Field(ge=0, le=1)]


class Ramp(ConfigModel):
    """A number that keeps its ``start`` for a share ``hold`` of training and then goes to ``end``."""

    start: Annotated[Real, Field(ge=0)]
    end: Annotated[Real, Field(ge=0)]
    hold: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    power: Positive = Field(default=1.0, description="1 goes in a line, 2 in a parabola that ends flat.")

    def __call__(self, left: float) -> float:
        """The number when a share ``left`` of training is left, from 1 to 0, as stable-baselines3 asks for it."""
        return self.end + (self.start - self.end) * min(1.0, left / (1.0 - self.hold)) ** self.power


class StepCostRamp(Ramp):
    """A step cost that changes during training."""

    start: StepCost
    end: StepCost


def form_of(step_cost: object) -> str:
    """Which of the two forms of a step cost a value is meant as, so that an error speaks of that one alone."""
    return "ramp" if isinstance(step_cost, (Mapping, Ramp)) else "number"


StepCostOrRamp = Annotated[
    Annotated[StepCost, Tag("number")] | Annotated[StepCostRamp, Tag("ramp")], Discriminator(form_of)
]


class PpoSettings(ConfigModel):
    """Settings of PPO and MaskablePPO, named as in stable-baselines3."""

    n_steps: Count = 96
    batch_size: Count = 1024
    n_epochs: Count = 3
    gamma: Share = 1.0
    gae_lambda: Share = 0.95
    clip_range: Positive = 0.2
    vf_coef: Annotated[Real, Field(ge=0)] = 0.5
    max_grad_norm: Positive = 0.5
    ent_coef: Ramp = Ramp(start=0.01, end=0.01)
    target_kl: Positive | None = Field(default=None, description="Divergence at which an update stops early.")


def _demonstrator(name: str) -> str:
    """The name of a scripted agent that can demonstrate."""
    if name not in demonstrators():
        raise ValueError(f"agent {name!r} cannot demonstrate; allowed: {demonstrators()}")
    return name


class CloningSettings(ConfigModel):
    """How a policy is fitted to demonstrations before it learns from reward."""

    agent: Annotated[str, AfterValidator(_demonstrator)] = Field(
        default="analyst", description="Scripted agent that plays them."
    )
    episodes: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 20_000
    epochs: Annotated[StrictInt, Field(ge=1, le=1000)] = 8
    batch_size: Count = 512
    learning_rate: Ramp = Ramp(start=1.4e-3, end=2e-5, hold=0.2)
    vf_coef: Annotated[Real, Field(ge=0)] = 0.5
    max_grad_norm: Positive = 1.0


class DqnSettings(ConfigModel):
    """Settings of DQN, named as in stable-baselines3."""

    buffer_size: Count = 200_000
    learning_starts: Count = 20_000
    batch_size: Count = 256
    gamma: Share = 1.0
    train_freq: Count = 4
    gradient_steps: Count = 4
    target_update_interval: Count = 5_000
    exploration_fraction: Share = 0.4
    exploration_final_eps: Share = 0.02
    n_step_returns: Count = 3


def _found(task: object) -> object:
    """The task that a name or a preset's path stands for."""
    return task_of(task) if isinstance(task, (str, Path)) else task


class TrainingConfig(ConfigModel):
    """A training run; the same settings give the same curve on the same machine."""

    task: Annotated[Task, BeforeValidator(_found)] = Field(
        default_factory=lambda: get_task("medium_mixed"), description="By name, or as a preset's path; kept in full."
    )
    view: View = "focus"
    reward: Reward = "terminal"
    step_cost: StepCostOrRamp | None = Field(
        default=None, description="Reward lost per unit in training; None is the task's. Evaluation uses the task's."
    )
    algorithm: Algorithm = "maskable_ppo"
    total_steps: Count = 1_200_000
    lanes: Annotated[StrictInt, Field(ge=1, le=MAX_LANES)] = 64
    seed: Annotated[StrictInt, Field(ge=0)] = 0
    threads: Annotated[StrictInt, Field(ge=1, le=256)] = Field(default=1, description="CPU threads of torch.")
    learning_rate: Ramp = Ramp(start=1e-3, end=1e-3)
    network: Network | None = Field(
        default=None,
        description="'mlp' is stable-baselines3's, 'shared' shares its weights over dates; "
        "None is 'mlp' on the focus view and 'shared' on the board.",
    )
    hidden: tuple[Count, ...] = Field(
        default=(128, 128),
        min_length=1,
        description="Widths of the hidden layers; of a shared network one on the board, on the focus view that of the "
        "date in focus and that of all dates.",
    )
    demonstrations: CloningSettings | None = Field(
        default=None, description="What the policy is fitted to first; None for nothing."
    )
    ppo: PpoSettings = PpoSettings()
    dqn: DqnSettings = DqnSettings()
    evaluations: Annotated[StrictInt, Field(ge=0, le=1000)] = Field(
        default=12, description="Evaluations during training, evenly spread, on seeds that the report does not use."
    )
    evaluation_episodes: Annotated[StrictInt, Field(ge=1, le=10_000)] = 500
    checkpoints: Annotated[StrictInt, Field(ge=0, le=1000)] = Field(
        default=12, description="Checkpoints, evenly spread; each replaces the last."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        training_seed(self.task, self.seed, self.lanes)
        if self.algorithm != "maskable_ppo":
            for name, given in (("view", self.view), ("network", self.network)):
                if given in ("board", "shared"):
                    told = f"algorithm {self.algorithm!r} has no network for {name} {given!r}"
                    raise ValueError(f"{told}; allowed there: 'maskable_ppo'")
            if self.demonstrations is not None:
                raise ValueError(f"demonstrations are for algorithm 'maskable_ppo'; this is {self.algorithm!r}")
        if self.view == "board" and self.network == "mlp":
            raise ValueError("network 'mlp' is not for view 'board'; allowed there: 'shared'")
        widths = {"board": 1, "focus": 2}[self.view]
        if self.shared and len(self.hidden) != widths:
            raise ValueError(
                f"hidden {list(self.hidden)} has {len(self.hidden)} widths; the shared network of view {self.view!r} "
                f"takes {widths}"
            )
        rollout = self.lanes * self.ppo.n_steps
        if self.algorithm != "dqn" and rollout % self.ppo.batch_size:
            raise ValueError(
                f"ppo.batch_size {self.ppo.batch_size} does not divide lanes x ppo.n_steps = {rollout}; "
                "a rest would make one tiny batch"
            )
        return self

    @property
    def shared(self) -> bool:
        """Whether the network shares its weights over dates."""
        return self.view == "board" or self.network == "shared"

    @property
    def environment(self) -> EnvConfig:
        """What is played in training, as it begins."""
        options: dict[str, object] = {"view": self.view, "reward": self.reward}
        if self.step_cost is not None:
            options["step_cost"] = self.step_cost.start if isinstance(self.step_cost, Ramp) else self.step_cost
        return build_config(config=self.task.config, options=options)

    @property
    def first_seed(self) -> int:
        """Seed of lane 0; lane i is seeded i more."""
        return training_seed(self.task, self.seed, self.lanes)

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return f"{self.task.name}-{self.view}-{self.algorithm}-seed{self.seed}"


def preset_path(algorithm: Algorithm, view: View, demonstrations: bool = False) -> Path:
    """The preset of an algorithm and view that comes with the project, from scratch or from demonstrations."""
    return presets() / "training" / f"{algorithm}_{view}{'_demonstrations' if demonstrations else ''}.toml"


class Preset(ConfigModel):
    """A preset file: settings, and what is other for some tasks."""

    settings: dict[str, object]
    tasks: dict[str, dict[str, object]] = Field(default_factory=dict)

    def config(self, task: AnyTask, **changes: object) -> TrainingConfig:
        """The settings for a task, with changes on top."""
        found = task_of(task)
        data = merge(merge(self.settings, self.tasks.get(found.name, {})), {"task": found, **changes})
        return TrainingConfig.model_validate(data)


def load_preset(path: str | Path) -> Preset:
    """Read a preset, a .toml or .json file of ``settings`` and ``tasks``.

    Raises:
        ValueError: if it is missing, malformed or holds an unknown key or bad value, for whatever task.
    """
    preset = load_config(path, Preset)
    for task in preset.tasks or ("medium_mixed",):
        try:
            preset.config(get_task(task))
        except ValueError as error:
            raise ValueError(f"training preset {str(path)!r}: {in_one_line(error)}") from error
    return preset


def merge(base: dict[str, object], changes: dict[str, object]) -> dict[str, object]:
    """A copy of nested tables with changes on top."""
    merged = dict(base)
    for key, value in changes.items():
        before = merged.get(key)
        merged[key] = merge(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged
