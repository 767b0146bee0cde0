"""Train with RLlib on Ray: ``python -m agents.train_rllib`` (extra ``rllib``, in a virtual environment of its own).

PPO of the new API stack with RLlib's module for action masks. Each env runner plays many lanes in one engine. To spread
a run over a cluster, start Ray there and name it: ``--address auto --num-env-runners 64``. ``--resume-from`` goes on
with a run from its last checkpoint, on other machines and to other total steps if told so; what it learns, and how,
stays the run's own.
"""

# Type checkers read this file also where ray is not installed; .ci/run has it checked where it is.
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from pydantic import TypeAdapter

import metric_tracker_env
from metric_tracker_env import EnvConfig, MetricTrackerVectorEnv, Task
from metric_tracker_env.config import Reward
from metric_tracker_env.tasks import build_config

from .command_line import check_number, check_whole, command, described, need, told_in_one_line
from .evaluation.evaluate import evaluate
from .players.models.card import CARD_FILE, fingerprint
from .players.models.mlp import save_mlp
from .tasks import SEEDS_PER_RUN, held_out_seeds, task_of, training_seed

ENV_NAME = "metric_tracker_masked"
RUN_FILE, CHECKPOINT = "rllib.json", "checkpoint"
# What a run that goes on may have otherwise: how far it goes, where it is kept, and the machines it runs on.
FREE_ON_RESUME = {
    "total_steps", "output", "resume_from", "episodes", "checkpoints",
    "num_env_runners", "num_envs", "num_learners", "address", "threads",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Options of a run."""

    task: str = "medium_mixed"
    """Named task, or a preset's path; played in the focus view."""
    reward: Reward = "dense"
    """Of training: "dense" pays for each report, "terminal" at the end; evaluation always pays at the end."""
    total_steps: int = 1_200_000
    """Environment steps."""
    seed: int = 0
    """Of weights, actions and episodes."""
    output: Path | None = None
    """Folder for model and checkpoint; by default runs/TASK-rllib-seedSEED, or the folder to resume from."""
    resume_from: Path | None = None
    """Folder of a run to go on with, to total_steps in all; its other options are the default then."""
    episodes: int = 1000
    """Held-out episodes that the model plays at the end."""
    checkpoints: int = 10
    """Checkpoints, evenly spread; each replaces the last."""
    num_env_runners: int = 2
    """Processes that play, or 0 to play in the driver; on a cluster, as many as it has CPUs to spare."""
    num_envs: int = 32
    """Lanes of each env runner."""
    num_learners: int = 0
    """Processes that learn; 0 learns in the driver."""
    address: str | None = None
    """Of a Ray cluster, "auto" or HOST:PORT (which needs RAY_AUTH_MODE=token set); none starts Ray on this machine."""
    threads: int = 1
    """CPU threads of the driver; more than there are idle cores make it far slower."""
    train_batch_size: int = 6144
    """Steps of an update, of all env runners together."""
    minibatch_size: int = 1024
    """Steps in a gradient."""
    num_epochs: int = 3
    """How often an update goes over its steps."""
    lr: float = 1e-3
    """Learning rate, falling in a line to a tenth over the second half."""
    entropy_coeff: float = 0.01
    """Weight of the entropy, falling likewise."""
    hidden: int = 128
    """Width of the two hidden layers of actor and critic."""


@dataclass(frozen=True)
class Run:
    """What a run's folder says of it, beside RLlib's checkpoint."""

    version: str  # of metric_tracker_env
    fingerprint: str  # of the actions and the observation
    options: Options
    task: Task  # as it was when the run began, whatever has become of a preset since
    steps: int = 0  # when the checkpoint was made
    seeds: int = 0  # of the run's own that are spent: lanes never play the episodes of an earlier session again


class MaskedVectorEnv(VectorEnv[dict[str, np.ndarray], np.ndarray, np.ndarray]):
    """Lanes whose observation holds the action mask, as RLlib's module for action masks takes it.

    Args:
        config: ``options`` of ``MetricTrackerVectorEnv``; ``num_envs``; and ``first_seed``, which RLlib is told as its
            seed. RLlib seeds runner k with k more; with lane i at i more again, runners would share episodes. Here
            lane i of runner k has the seed ``first_seed`` + k x ``num_envs`` + i.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        # RLlib expects an episode's last observation in the step that ends it, and the next one's first a step later.
        self.lanes = MetricTrackerVectorEnv(config["num_envs"], AutoresetMode.NEXT_STEP, **config["options"])
        self._first_seed = config["first_seed"]
        self.num_envs, self.metadata = self.lanes.num_envs, self.lanes.metadata
        self.single_action_space, self.action_space = self.lanes.single_action_space, self.lanes.action_space
        mask = spaces.Box(0.0, 1.0, (len(self.lanes.actions),), np.float32)
        self.single_observation_space = spaces.Dict(action_mask=mask, observations=self.lanes.single_observation_space)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode on every lane; see the class for what becomes of a seed.

        Raises:
            ValueError: for a seed that cannot be one of the run's runners.
        """
        if seed is not None:
            if not isinstance(seed, int) or not self._first_seed <= seed < self._first_seed + SEEDS_PER_RUN:
                raise ValueError(f"seed {seed!r} is not an integer from {self._first_seed}, runner k having k more")
            seed = self._first_seed + (seed - self._first_seed) * self.num_envs
        observations, info = self.lanes.reset(seed=seed, options=options)
        return self._masked(observations, info), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Do one action on every lane."""
        observations, rewards, terminated, truncated, info = self.lanes.step(np.asarray(actions))
        return self._masked(observations, info), rewards, terminated, truncated, {}

    def _masked(self, observations: np.ndarray, info: dict[str, Any]) -> dict[str, np.ndarray]:
        return {"action_mask": info["action_mask"].astype(np.float32), "observations": observations}


def build_algorithm_config(options: Options, task: Task, first_seed: int) -> Any:
    """RLlib's configuration of a session of a run, whose lanes are seeded from ``first_seed``."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
    from ray.tune.registry import register_env

    register_env(ENV_NAME, MaskedVectorEnv)
    network = DefaultModelConfig(
        fcnet_hiddens=[options.hidden, options.hidden], fcnet_activation="tanh", vf_share_layers=False
    )
    env_config = {"options": {"config": training_config(options, task)}, "first_seed": first_seed}
    return (
        PPOConfig()
        # Discrete actions have no range; RLlib would look for one in each of them.
        .environment(ENV_NAME, env_config=env_config, normalize_actions=False)
        .env_runners(
            num_env_runners=options.num_env_runners,
            num_envs_per_env_runner=options.num_envs,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .learners(num_learners=options.num_learners)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=ActionMaskingTorchRLModule, model_config=network))
        .training(
            train_batch_size_per_learner=options.train_batch_size // max(1, options.num_learners),
            minibatch_size=options.minibatch_size,
            num_epochs=options.num_epochs,
            lr=falling(options.lr, options),
            # RLlib's annotation leaves schedules out; its documentation and its learner have them.
            entropy_coeff=falling(options.entropy_coeff, options),  # pyright: ignore[reportArgumentType]
            gamma=1.0,  # an episode ends after 48 steps at most
            lambda_=0.95,
            clip_param=0.2,
            vf_loss_coeff=0.5,
            vf_clip_param=100.0,  # returns are between -0.1 and 1, so that nothing is clipped
            grad_clip=0.5,
            use_kl_loss=False,
        )
        # On one machine an env runner that fails ends the run; on a cluster, where machines go away, it is replaced.
        .fault_tolerance(restart_failed_env_runners=options.address is not None)
        .reporting(metrics_num_episodes_for_smoothing=500)
        .debugging(seed=first_seed, log_level="ERROR")
    )


def falling(start: float, options: Options) -> list[list[float]]:
    """RLlib's schedule, (steps, value) each, of a number that falls in a line to a tenth over the second half."""
    return [[0, start], [options.total_steps // 2, start], [options.total_steps, start / 10]]


def train(options: Options) -> Path:
    """Train, save RLlib's checkpoints and the actor as plain arrays, and return the folder.

    Raises:
        ValueError: for an option out of range or one that a run that goes on cannot change, a folder that holds a run
            already or none to go on with, or an address without a cluster.
    """
    run = begin(options)
    seed = first_seed(options, run)
    run = replace(run, options=options, seeds=run.seeds + lanes(options))
    folder = folder_of(options)
    folder.mkdir(parents=True, exist_ok=True)
    with ray_started(options):
        import torch

        torch.set_num_threads(options.threads)
        algorithm = build_algorithm_config(options, run.task, seed).build_algo()
        try:
            if options.resume_from is not None:
                algorithm.restore_from_path(str((options.resume_from / CHECKPOINT).resolve()))
            write_run(folder, run)
            run = learn(algorithm, folder, run)
            layers = actor_layers(algorithm.get_module())
        finally:
            algorithm.stop()
    save_mlp(
        folder,
        layers,
        "tanh",
        name=folder.resolve().name,
        library="rllib",
        algorithm="ppo_masked",
        masked=True,
        config=training_config(options, run.task),
        steps=run.steps,
        seed=options.seed,
    )
    return folder


def learn(algorithm: Any, folder: Path, run: Run) -> Run:
    """Learn to the end of the run, with checkpoints on the way and at the end."""
    total, start, updates = run.options.total_steps, time.perf_counter(), 0
    kept = run.steps
    while True:
        result = algorithm.train()
        updates += 1
        steps = int(result["num_env_steps_sampled_lifetime"])
        ended = steps >= total
        if ended or updates % 20 == 0:
            gained = result["env_runners"].get("episode_return_mean", float("nan"))
            spent = time.perf_counter() - start
            print(f"{steps:>11,} steps {spent:>6.0f} s   return of the last training episodes {gained:.3f}", flush=True)
        if ended or (steps - kept) * run.options.checkpoints >= total:
            run = replace(run, steps=steps)
            kept = steps
            write_checkpoint(algorithm, folder, run)
        if ended:
            return run


def write_checkpoint(algorithm: Any, folder: Path, run: Run) -> None:
    """Put a new checkpoint in the place of the last one, once it is whole."""
    fresh, old = folder / f"{CHECKPOINT}.new", folder / CHECKPOINT
    shutil.rmtree(fresh, ignore_errors=True)
    algorithm.save_to_path(str(fresh.resolve()))
    shutil.rmtree(old, ignore_errors=True)
    fresh.rename(old)
    write_run(folder, run)


@contextmanager
def ray_started(options: Options) -> Iterator[None]:
    """Ray on this machine, or a connection to a cluster.

    Raises:
        ValueError: if there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray would tell its makers of each run
    import ray

    for name in ("ray", "ray.rllib"):  # they warn of what RLlib's own code does
        logging.getLogger(name).setLevel(logging.ERROR)
    needed = options.num_env_runners + options.num_learners + 1
    # Env runners wait for each other and for the driver, so that there may be more of them than cores.
    local: dict[str, Any] = {"num_cpus": needed, "include_dashboard": False, "object_store_memory": 500_000_000}
    try:
        if place := host_and_port(options.address):
            socket.create_connection(place, timeout=10).close()  # Ray itself would try for many minutes
        ray.init(
            address=options.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if options.address else local),
        )
    except OSError as error:
        if options.address is None:
            raise
        raise ValueError(f"address {options.address!r} leads to no Ray cluster: {error}") from error
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if cpus < needed - 1:
            print(f"the cluster has {cpus} CPUs; training begins when it has {needed - 1}", file=sys.stderr, flush=True)
        yield
    finally:
        ray.shutdown()


def host_and_port(address: str | None) -> tuple[str, int] | None:
    """Where a cluster's head listens, or None if Ray finds it or starts by itself.

    Raises:
        ValueError: for an address of another kind.
    """
    if address in (None, "auto"):
        return None
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ValueError(f"address {address!r} is neither 'auto' nor HOST:PORT")
    return host, int(port)


def actor_layers(module: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """(in, out) weight and (out,) bias of each layer of the actor of RLlib's PPO module.

    Raises:
        RuntimeError: if the module is built otherwise than RLlib 2.60 does.
    """
    from torch import nn

    networks = module.encoder.actor_encoder, module.pi
    linear = [layer for network in networks for layer in network.modules() if isinstance(layer, nn.Linear)]
    if len(linear) != 3:
        raise RuntimeError(f"the actor has {len(linear)} layers; 3 are known of RLlib 2.60")
    arrays = [(layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy()) for layer in linear]
    return [(weight.copy(), bias.copy()) for weight, bias in arrays]


def training_config(options: Options, task: Task) -> EnvConfig:
    """What is played in training."""
    return build_config(config=task.config, options={"reward": options.reward})


def first_seed(options: Options, run: Run) -> int:
    """Where the seeds of a session begin: those of a run that are not spent."""
    return training_seed(run.task, options.seed, run.seeds + lanes(options)) + run.seeds


def lanes(options: Options) -> int:
    """Seeds that a session takes; those of the driver, whose number is 0, count although it plays only by itself."""
    return (options.num_env_runners + 1) * options.num_envs


def folder_of(options: Options) -> Path:
    """Where the run is kept."""
    return (
        options.output or options.resume_from or Path("runs") / f"{task_of(options.task).name}-rllib-seed{options.seed}"
    )


def begin(options: Options) -> Run:
    """The run as it stands before this session.

    Raises:
        ValueError: see ``train``.
    """
    kept = None if options.resume_from is None else read_run(options.resume_from)
    task = task_of(options.task) if kept is None else kept.task
    check(options, task)
    folder = folder_of(options)
    run = Run(metric_tracker_env.__version__, fingerprint(training_config(options, task)), options, task)
    if options.resume_from is None or folder.resolve() != options.resume_from.resolve():
        held = [name for name in (RUN_FILE, CARD_FILE) if (folder / name).exists()]
        if held:
            raise ValueError(
                f"output {str(folder)!r} holds a run already ({held[0]}); resume it, remove it, or name another"
            )
    if kept is not None:
        for name in (field.name for field in fields(Options)):
            value, before = getattr(options, name), getattr(kept.options, name)
            if name not in FREE_ON_RESUME and value != before:
                raise ValueError(
                    f"{name} {value!r} is not the {before!r} of the run in {str(options.resume_from)!r}; "
                    f"only {', '.join(sorted(FREE_ON_RESUME))} may change"
                )
        if (kept.version, kept.fingerprint) != (run.version, run.fingerprint):
            raise ValueError(
                f"resume_from {str(options.resume_from)!r} was made by metric_tracker_env {kept.version} and this is "
                f"{run.version}, whose episodes or actions may be others; start the run again"
            )
        if kept.steps >= options.total_steps:
            raise ValueError(f"total_steps {options.total_steps} is not above the {kept.steps} that the run has taken")
        run = kept
    if run.seeds + lanes(options) > SEEDS_PER_RUN:
        raise ValueError(
            f"num_env_runners {options.num_env_runners} with num_envs {options.num_envs} takes {lanes(options)} "
            f"training seeds; the run has {SEEDS_PER_RUN - run.seeds} left"
        )
    return run


def check(options: Options, task: Task) -> None:
    """Refuse numbers out of range.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    held_out_seeds(task, options.episodes)
    for name in ("total_steps", "num_envs", "train_batch_size", "num_epochs", "hidden", "threads"):
        check_whole(name, getattr(options, name), 1, 10**12)
    check_whole("checkpoints", options.checkpoints, 1, 1000)
    check_whole("num_env_runners", options.num_env_runners, 0, SEEDS_PER_RUN)
    check_whole("num_learners", options.num_learners, 0, 1024)
    batch = options.train_batch_size // max(1, options.num_learners)
    check_whole("minibatch_size", options.minibatch_size, 1, batch)
    training_seed(task, options.seed, 0)
    check_number("lr", options.lr, 0, 1)
    check_number("entropy_coeff", options.entropy_coeff, 0, 1)
    host_and_port(options.address)


def write_run(folder: Path, run: Run) -> None:
    """Write what the folder says of the run."""
    (folder / RUN_FILE).write_bytes(TypeAdapter(Run).dump_json(run, indent=2) + b"\n")


def read_run(folder: Path) -> Run:
    """What a folder says of its run.

    Raises:
        ValueError: if it holds no run, no checkpoint, or a file that cannot be read.
    """
    if not (folder / RUN_FILE).is_file():
        raise ValueError(f"resume_from {str(folder)!r} holds no run: it has no {RUN_FILE}")
    if not (folder / CHECKPOINT).is_dir():
        raise ValueError(f"resume_from {str(folder)!r} has no {CHECKPOINT!r}; the run must be started again")
    return TypeAdapter(Run).validate_json((folder / RUN_FILE).read_bytes())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with options from the command line, then play held-out episodes."""
    need({"tyro": "rllib", "ray": "rllib", "torch": "rllib"}, "train_rllib")
    import tyro

    with told_in_one_line():
        told: dict[str, Any] = {"prog": command("train_rllib"), "description": described(__doc__), "args": arguments}
        options = tyro.cli(Options, **told)
        if options.resume_from is not None:
            # Read again, so that an option that is not given is the run's own.
            kept = replace(read_run(options.resume_from).options, output=None)
            options = tyro.cli(Options, **told, default=kept)
        folder = train(options)
        task = read_run(folder).task
        played = evaluate(folder, held_out_seeds(task, options.episodes), task)
        print(f"score on {options.episodes} held-out episodes: {played.interval()}; the model is in {folder}")


if __name__ == "__main__":
    main()
