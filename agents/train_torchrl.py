"""Train masked PPO with TorchRL: ``python -m agents.train_torchrl`` (extra ``torchrl``).

The lanes of one engine are one batched TorchRL environment, whose action mask is an observation that the actor's
distribution takes; collector, replay buffer, advantages and loss are TorchRL's own. Training pays at each report
(``reward="dense"``, the same return), evaluation at the end. Copy it and change it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .command_line import command, described, need, told_in_one_line

if __name__ == "__main__":  # before the imports that would fail
    need(dict.fromkeys(("tyro", "torch", "tensordict", "torchrl"), "torchrl"), "train_torchrl")

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl import torchrl_logger
from torchrl.collectors import Collector
from torchrl.data import Binary, Categorical, Composite, LazyTensorStorage, ReplayBuffer, Unbounded
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement
from torchrl.envs import EnvBase
from torchrl.modules import MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from metric_tracker_env import EnvConfig, MetricTrackerVectorEnv

from .evaluation.evaluate import evaluate
from .players.models.mlp import save_mlp
from .tasks import held_out_seeds, task_of, training_seed
from .train_ppo import Options, check

ACTED = ("observation", "action_mask", "action", "action_log_prob", "advantage", "value_target", "state_value")


class MetricTrackerLanes(EnvBase):
    """Lanes of one engine as a batched TorchRL environment.

    Reads ``action``, (B,) int64. Writes ``observation``, (B, L) float32; ``action_mask``, (B, A) bool; ``reward``,
    ``terminated`` and ``done``, (B, 1); and ``score``, (B, 1), of the episode where one ends and 0 elsewhere.

    TorchRL itself resets the lanes that are done, so that the engine must not: what stands under ``next`` is then the
    last observation of the episode that ended, and the step after it begins at the first of another.
    """

    def __init__(self, num_envs: int, config: EnvConfig) -> None:
        super().__init__(batch_size=torch.Size([num_envs]))
        self.lanes = MetricTrackerVectorEnv(num_envs, AutoresetMode.DISABLED, config=config, reward="dense")
        size, actions = self.lanes.observation_layout.size, len(self.lanes.actions)
        number = Unbounded(torch.Size([num_envs, 1]))
        self.observation_spec = Composite(
            observation=Unbounded(torch.Size([num_envs, size])),
            action_mask=Binary(actions, torch.Size([num_envs, actions]), dtype=torch.bool),
            score=number,
            shape=self.batch_size,
        )
        self.action_spec, self.reward_spec = Categorical(actions, self.batch_size), number.clone()
        self._first_seed: int | None = None

    def _set_seed(self, seed: int | None) -> None:
        """Lane i is seeded i more, at the next reset."""
        self._first_seed = seed

    def _reset(self, tensordict: TensorDictBase | None = None, **_: Any) -> TensorDictBase:
        """Begin an episode on the lanes that TorchRL names, or on all."""
        chosen = None if tensordict is None else tensordict.get("_reset", None)
        options = None if chosen is None else {"reset_mask": chosen.reshape(self.lanes.num_envs).numpy()}
        observed, _ = self.lanes.reset(seed=self._first_seed, options=options)
        self._first_seed = None
        return self._told(observed, {})

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Do one action on every lane; no episode is cut off by time, so that whatever is done is terminated."""
        observed, rewards, terminated, _, info = self.lanes.step(tensordict.get("action").numpy())
        told = self._told(observed, info)
        told["reward"] = torch.from_numpy(rewards).float()[:, None]
        told["terminated"] = torch.from_numpy(terminated)[:, None]
        told["done"] = told["terminated"].clone()
        return told

    def _told(self, observed: np.ndarray, info: dict[str, Any]) -> TensorDictBase:
        scores = torch.from_numpy(info.get("score", np.zeros(self.lanes.num_envs)))
        told = {"observation": torch.from_numpy(observed), "action_mask": torch.from_numpy(self.lanes.action_masks())}
        return TensorDict({**told, "score": scores.float()[:, None]}, batch_size=self.batch_size)


def perceptron(inputs: int, hidden: int, outputs: int, last_gain: float) -> nn.Sequential:
    """Two hidden layers with tanh, orthogonal weights and no bias to begin with."""
    layers = [nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last_gain), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def train(options: Options) -> Path:
    """Train, save, and return the folder of the model.

    Raises:
        ValueError: for an unknown task, a number out of range, or a folder that is in use.
    """
    folder, task = check(options, "torchrl"), task_of(options.task)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    env = MetricTrackerLanes(options.num_envs, task.config)
    env.set_seed(training_seed(task, options.seed, options.num_envs), static_seed=True)
    size, actions = env.lanes.observation_layout.size, len(env.lanes.actions)

    network = perceptron(size, options.hidden, actions, 0.01)
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["logits"]),
        in_keys={"logits": "logits", "mask": "action_mask"},  # pyright: ignore[reportArgumentType]
        out_keys=["action"],
        spec=env.action_spec,
        distribution_class=MaskedCategorical,
        return_log_prob=True,
    )
    critic = ValueOperator(perceptron(size, options.hidden, 1, 1.0), in_keys=["observation"])
    advantage = GAE(gamma=options.gamma, lmbda=options.gae_lambda, value_network=critic)
    loss_module = ClipPPOLoss(
        actor,
        critic,
        clip_epsilon=options.clip_coef,
        entropy_coeff=options.ent_coef,
        critic_coeff=options.vf_coef,
        loss_critic_type="l2",
        normalize_advantage=True,
    )
    optimizer = torch.optim.Adam(loss_module.parameters(), lr=options.learning_rate, eps=1e-5)

    frames = options.num_envs * options.num_steps
    updates = -(-options.total_steps // frames)
    collector = Collector(
        env,
        actor,
        frames_per_batch=frames,
        total_frames=updates * frames,
        auto_register_policy_transforms=False,  # those that it would add are for recurrent networks
    )
    buffer = ReplayBuffer(
        storage=LazyTensorStorage(frames), sampler=SamplerWithoutReplacement(), batch_size=options.minibatch_size
    )
    scores: deque[float] = deque(maxlen=500)
    start = time.process_time()
    for update, batch in enumerate(collector):
        left = 1 - update / updates
        optimizer.param_groups[0]["lr"] = options.learning_rate * (0.1 + 0.9 * min(1.0, 2 * left))
        loss_module.entropy_coeff = options.ent_coef * left
        with torch.no_grad():
            advantage(batch)
        scores.extend(batch["next", "score"][batch["next", "done"]].tolist())
        buffer.extend(batch.select(*ACTED).reshape(-1))
        for _ in range(options.update_epochs):
            for part in buffer:
                losses = loss_module(part)
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(loss_module.parameters(), options.max_grad_norm)
                optimizer.step()
        if (update + 1) % 20 == 0 or update + 1 == updates:
            print(
                f"{(update + 1) * frames:>11,} steps {time.process_time() - start:>6.0f} CPU s   score of the last "
                f"{len(scores)} training episodes {sum(scores) / max(1, len(scores)):.3f}",
                flush=True,
            )
    collector.shutdown()

    linear = [module for module in network if isinstance(module, nn.Linear)]
    save_mlp(
        folder,
        [(module.weight.detach().numpy().T, module.bias.detach().numpy()) for module in linear],
        "tanh",
        name=folder.resolve().name,
        library="torchrl",
        algorithm="ppo_masked",
        masked=True,
        config=env.lanes.config,
        steps=updates * frames,
        seed=options.seed,
    )
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with options from the command line, then play held-out episodes."""
    import tyro

    torchrl_logger.setLevel("WARNING")  # it tells of each storage that it makes
    with told_in_one_line():
        options = tyro.cli(Options, prog=command("train_torchrl"), description=described(__doc__), args=arguments)
        folder = train(options)
        played = evaluate(folder, held_out_seeds(options.task, options.episodes), options.task)
        print(f"score on {options.episodes} held-out episodes: {played.interval()}; the model is in {folder}")


if __name__ == "__main__":
    main()
