"""A training run with stable-baselines3: builds the model of its settings, learns, saves, and resumes."""

from __future__ import annotations

import time
from pathlib import Path

import torch as th
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.logger import configure

from metric_tracker_env.sb3 import BoardPolicy, FocusPolicy, board_policy_kwargs, focus_policy_kwargs

from ..players.models.card import WEIGHTS_OF, write_card
from .checkpoint import Checkpoint, load_checkpoint
from .curve import Curve
from .demonstrations import clone, demonstrate
from .recorder import Recorder, TimedVecEnv
from .settings import TrainingConfig

Model = MaskablePPO | PPO | DQN

SETTINGS_FILE, CHECKPOINT_FILE, CURVE_FILE = "training.json", "checkpoint.pkl", "curve.csv"
MODEL_FILE = WEIGHTS_OF["sb3"]
LIBRARY = "stable-baselines3"


def build(config: TrainingConfig) -> tuple[Model, TimedVecEnv]:
    """A fresh model of the settings, and the lanes that it trains on."""
    envs = TimedVecEnv(config.lanes, config.environment, info_keywords=("score", "cost"))
    model = _build_model(config, envs)
    envs.seed(config.first_seed)  # after the model, which seeds the lanes with its own seed
    return model, envs


def _build_model(config: TrainingConfig, envs: TimedVecEnv) -> Model:
    common = {"learning_rate": config.learning_rate.start, "device": "cpu", "seed": config.seed}
    if config.algorithm == "dqn":
        settings = config.dqn.model_dump()
        returns = {"n_steps": settings.pop("n_step_returns"), "gamma": config.dqn.gamma}
        return DQN(
            "MlpPolicy",
            envs,
            replay_buffer_class=NStepReplayBuffer,
            replay_buffer_kwargs=returns,
            policy_kwargs={"net_arch": list(config.hidden)},
            **settings,
            **common,
        )
    settings = config.ppo.model_dump() | {"ent_coef": config.ppo.ent_coef.start}
    if config.shared:
        widths = dict(zip(("hidden", "date_hidden"), config.hidden, strict=False))
        board = config.view == "board"
        shape = (board_policy_kwargs if board else focus_policy_kwargs)(config.environment)
        policy = BoardPolicy if board else FocusPolicy
        return MaskablePPO(policy, envs, policy_kwargs={**shape, **widths}, **settings, **common)
    kwargs = {"net_arch": list(config.hidden), "activation_fn": th.nn.Tanh}
    algorithm = MaskablePPO if config.algorithm == "maskable_ppo" else PPO
    return algorithm("MlpPolicy", envs, policy_kwargs=kwargs, **settings, **common)


def train(config: TrainingConfig, folder: Path, progress_bar: bool = False) -> Curve:
    """Train from the start and save the model.

    Args:
        config: The settings.
        folder: Where the run is kept; must not hold one yet.
        progress_bar: Whether to draw one on the terminal.

    Raises:
        ValueError: if the folder holds a run already.
    """
    held = [name for name in (SETTINGS_FILE, CHECKPOINT_FILE, MODEL_FILE) if (folder / name).exists()]
    if held:
        raise ValueError(
            f"output {str(folder)!r} holds a run already ({held[0]}); resume it, remove it, or name another"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS_FILE).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    th.set_num_threads(config.threads)
    model, envs = build(config)
    curve, spent = Curve.fresh(folder / CURVE_FILE), 0.0
    if config.demonstrations is not None:
        assert isinstance(model, MaskablePPO)  # the settings allow nothing else
        start = time.process_time()
        shown = demonstrate(config.demonstrations.agent, envs, config.demonstrations.episodes, config.ppo.gamma)
        fitted = clone(model, shown, config.demonstrations, config.seed)
        spent = time.process_time() - start
        print(
            f"{fitted.episodes:,} demonstrations of {config.demonstrations.agent} in {fitted.steps:,} steps; "
            f"the policy agrees with {fitted.agreement:.1%} of those held back; {spent:.0f} CPU s",
            flush=True,
        )
        Checkpoint(folder / CHECKPOINT_FILE, config).save(model, envs, spent)
    return _learn(config, folder, model, envs, curve, spent, progress_bar)


def resume(folder: Path, progress_bar: bool = False) -> tuple[TrainingConfig, Curve]:
    """Go on from a run's last checkpoint, to the same result as without the interruption.

    Raises:
        ValueError: if there is no run or checkpoint in the folder, or another version made it.
    """
    config = load_settings(folder)
    if (folder / MODEL_FILE).exists():
        raise ValueError(f"resume: the run in {str(folder)!r} is complete; its model is {MODEL_FILE}")
    if not (folder / CHECKPOINT_FILE).exists():
        raise ValueError(f"resume: {str(folder)!r} has no {CHECKPOINT_FILE}; the run must be started again")
    th.set_num_threads(config.threads)
    kept = load_checkpoint(folder / CHECKPOINT_FILE, config, {"maskable_ppo": MaskablePPO, "ppo": PPO, "dqn": DQN})
    curve = Curve.read(folder / CURVE_FILE, kept.model.num_timesteps)
    kept.restore_random_state()
    return config, _learn(config, folder, kept.model, kept.envs, curve, kept.cpu_seconds, progress_bar)


def load_settings(folder: Path) -> TrainingConfig:
    """The settings of a run.

    Raises:
        ValueError: if the folder holds no run, or its settings are not valid in this version.
    """
    file = folder / SETTINGS_FILE
    if not file.is_file():
        raise ValueError(f"{str(folder)!r} holds no run: it has no {SETTINGS_FILE}")
    return TrainingConfig.model_validate_json(file.read_text(encoding="utf-8"))


def _learn(
    config: TrainingConfig,
    folder: Path,
    model: Model,
    envs: TimedVecEnv,
    curve: Curve,
    cpu_seconds: float,
    progress_bar: bool,
) -> Curve:
    """Learn until the end of the run, then save."""
    model.set_logger(configure(str(folder / "tensorboard"), ["tensorboard"]))
    recorder = Recorder(config, curve, envs, Checkpoint(folder / CHECKPOINT_FILE, config).save, cpu_seconds)
    left = config.total_steps - model.num_timesteps
    fresh = model.num_timesteps == 0
    model.learn(left, callback=recorder, reset_num_timesteps=fresh, progress_bar=progress_bar)
    model.save(folder / MODEL_FILE)
    shown = config.demonstrations
    write_card(
        folder,
        name=folder.resolve().name,
        library=LIBRARY,
        algorithm=config.algorithm,
        policy="sb3",
        masked=config.algorithm == "maskable_ppo",
        config=config.environment,
        steps=model.num_timesteps,
        seed=config.seed,
        demonstrator=None if shown is None else shown.agent,
        demonstration_episodes=0 if shown is None else shown.episodes,
    )
    return curve
