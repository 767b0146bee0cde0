"""PPO with action masks in one file, in the manner of CleanRL: ``python -m agents.train_ppo`` (extra ``torch``).

Written for the vector environment's own interface: masks come with ``info["action_mask"]``, an episode that ends is
followed by the next one in the same step, and its score stands in ``info["final_info"]``. Training pays at each report
(``reward="dense"``, the same return), evaluation at the end. Copy it and change it.
PPO: Schulman et al. 2017, arXiv:1707.06347; generalised advantages: arXiv:1506.02438; masks: arXiv:2006.14171.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .command_line import check_number, check_whole, command, described, need, told_in_one_line

if __name__ == "__main__":  # before the import that would fail
    need({"tyro": "torch", "torch": "torch"}, "train_ppo")

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import nn

from metric_tracker_env import MetricTrackerVectorEnv

from .evaluation.evaluate import evaluate
from .players.models.card import is_model
from .players.models.mlp import save_mlp
from .tasks import SEEDS_PER_RUN, held_out_seeds, task_of, training_seed

ILLEGAL = -1e8  # logit of an action that may not be taken


@dataclass
class Options:
    """Options of a run."""

    task: str = "medium_mixed"
    """Named task, or a preset's path; played in the focus view."""
    total_steps: int = 1_200_000
    """Environment steps."""
    seed: int = 0
    """Of weights, actions and episodes."""
    output: Path | None = None
    """Folder for the model; by default runs/TASK-LIBRARY-seedSEED."""
    episodes: int = 1000
    """Held-out episodes that the model plays at the end."""
    num_envs: int = 512
    """Lanes of the environment."""
    num_steps: int = 12
    """Steps of a lane between updates."""
    minibatch_size: int = 1024
    """Steps in a gradient."""
    update_epochs: int = 3
    """How often an update goes over its steps."""
    learning_rate: float = 1e-3
    """Of Adam, falling in a line to a tenth over the second half."""
    ent_coef: float = 0.5
    """Weight of the entropy, falling in a line to 0; much at first, so that no kind of report is given up early."""
    gamma: float = 1.0
    """Discount; an episode ends after 48 steps at most."""
    gae_lambda: float = 0.6
    """Decay of advantages; small, as each report is paid for at once in training."""
    clip_coef: float = 0.2
    """How far the ratio of probabilities may move."""
    vf_coef: float = 0.5
    """Weight of the value's error."""
    max_grad_norm: float = 0.5
    """Norm at which gradients are cut."""
    hidden: int = 128
    """Width of the two hidden layers of actor and critic."""
    threads: int = 1
    """CPU threads."""


def layer(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    """A layer with orthogonal weights and no bias to begin with."""
    made = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(made.weight, gain)
    nn.init.zeros_(made.bias)
    return made


class Agent(nn.Module):
    """Actor and critic, two networks."""

    def __init__(self, observation: int, actions: int, hidden: int) -> None:
        super().__init__()
        self.actor = nn.Sequential(
            layer(observation, hidden), nn.Tanh(), layer(hidden, hidden), nn.Tanh(), layer(hidden, actions, 0.01)
        )
        self.critic = nn.Sequential(
            layer(observation, hidden), nn.Tanh(), layer(hidden, hidden), nn.Tanh(), layer(hidden, 1, 1.0)
        )

    def log_probs(self, observations: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """(n, L) observations and (n, A) bool masks -> (n, A) log-probabilities of legal actions."""
        return torch.log_softmax(self.actor(observations).masked_fill(~masks, ILLEGAL), dim=-1)

    def value(self, observations: torch.Tensor) -> torch.Tensor:
        """(n, L) observations -> (n,) expected returns."""
        return self.critic(observations)[..., 0]


def generalised_advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    ended: torch.Tensor,
    following: torch.Tensor,
    gamma: float,
    gae_lambda: float,
) -> torch.Tensor:
    """(T, B) advantages; ``following`` (B,) are the values of what is observed after the last step.

    Where an action ended an episode, the next observation is another episode's and counts for nothing.
    """
    advantages, carried = torch.zeros_like(rewards), torch.zeros_like(following)
    for step in reversed(range(len(rewards))):
        goes_on = 1.0 - ended[step]
        error = rewards[step] + gamma * following * goes_on - values[step]
        carried = error + gamma * gae_lambda * goes_on * carried
        advantages[step], following = carried, values[step]
    return advantages


def train(options: Options) -> Path:
    """Train, save, and return the folder of the model.

    Raises:
        ValueError: for an unknown task, a number out of range, or a folder that is in use.
    """
    folder, task = check(options), task_of(options.task)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    shuffle = np.random.default_rng(options.seed)
    envs = MetricTrackerVectorEnv(options.num_envs, AutoresetMode.SAME_STEP, config=task.config, reward="dense")
    size, actions = envs.observation_layout.size, len(envs.actions)
    agent = Agent(size, actions, options.hidden)
    optimizer = torch.optim.Adam(agent.parameters(), lr=options.learning_rate, eps=1e-5)

    steps, lanes = options.num_steps, options.num_envs
    observations = torch.zeros((steps, lanes, size))
    masks = torch.zeros((steps, lanes, actions), dtype=torch.bool)
    chosen = torch.zeros((steps, lanes), dtype=torch.int64)
    log_probs, rewards, values = (torch.zeros((steps, lanes)) for _ in range(3))
    ended = torch.zeros((steps, lanes))  # 1 where the action ended an episode

    observed, info = envs.reset(seed=training_seed(task, options.seed, lanes))  # lane i is seeded i more
    scores: deque[float] = deque(maxlen=500)
    in_environment, start = 0.0, time.process_time()
    updates = -(-options.total_steps // (steps * lanes))
    for update in range(updates):
        left = 1 - update / updates
        optimizer.param_groups[0]["lr"] = options.learning_rate * (0.1 + 0.9 * min(1.0, 2 * left))
        ent_coef = options.ent_coef * left

        for step in range(steps):
            observations[step] = torch.from_numpy(observed)
            masks[step] = torch.from_numpy(info["action_mask"]).bool()
            with torch.no_grad():
                logs = agent.log_probs(observations[step], masks[step])
                values[step] = agent.value(observations[step])
            chosen[step] = torch.multinomial(logs.exp(), 1)[:, 0]
            log_probs[step] = logs.gather(1, chosen[step][:, None])[:, 0]
            before = time.process_time()
            observed, reward, terminated, truncated, info = envs.step(chosen[step].numpy())
            in_environment += time.process_time() - before
            rewards[step] = torch.from_numpy(reward).float()
            # What is observed now belongs to the next episode where one ended; no episode is cut off by time.
            ended[step] = torch.from_numpy(terminated | truncated).float()
            if "final_info" in info:
                scores.extend(info["final_info"]["score"][info["_final_info"]].tolist())

        with torch.no_grad():
            following = agent.value(torch.from_numpy(observed))
        advantages = generalised_advantages(rewards, values, ended, following, options.gamma, options.gae_lambda)
        returns = (advantages + values).flatten()

        seen, legal, taken = observations.flatten(0, 1), masks.flatten(0, 1), chosen.flatten()
        old_logs, gains = log_probs.flatten(), advantages.flatten()
        for _ in range(options.update_epochs):
            order = torch.from_numpy(shuffle.permutation(steps * lanes))
            for part in order.split(options.minibatch_size):
                logs = agent.log_probs(seen[part], legal[part])
                ratio = (logs.gather(1, taken[part][:, None])[:, 0] - old_logs[part]).exp()
                gain = (gains[part] - gains[part].mean()) / (gains[part].std() + 1e-8)
                clipped = ratio.clamp(1 - options.clip_coef, 1 + options.clip_coef)
                policy_loss = -torch.min(gain * ratio, gain * clipped).mean()
                value_loss = (agent.value(seen[part]) - returns[part]).square().mean()
                entropy = -(logs.exp() * logs).sum(dim=1).mean()
                loss = policy_loss + options.vf_coef * value_loss - ent_coef * entropy
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), options.max_grad_norm)
                optimizer.step()
        if (update + 1) % 20 == 0 or update + 1 == updates:
            spent, mean = time.process_time() - start, sum(scores) / max(1, len(scores))
            print(
                f"{(update + 1) * steps * lanes:>11,} steps {spent:>6.0f} CPU s   score of the last {len(scores)} "
                f"training episodes {mean:.3f}   in the environment {in_environment / spent:.1%}",
                flush=True,
            )
    envs.close()

    linear = [module for module in agent.actor if isinstance(module, nn.Linear)]
    save_mlp(
        folder,
        [(module.weight.detach().numpy().T, module.bias.detach().numpy()) for module in linear],
        "tanh",
        name=folder.resolve().name,
        library="torch",
        algorithm="ppo_masked",
        masked=True,
        config=envs.config,
        steps=updates * steps * lanes,
        seed=options.seed,
    )
    return folder


def check(options: Options, library: str = "torch") -> Path:
    """The folder of a run with a library; refuses what cannot be trained, before anything is.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    task = task_of(options.task)
    held_out_seeds(task, options.episodes)
    most = dict.fromkeys(("total_steps", "num_steps", "update_epochs", "hidden"), 10**12)
    for name, limit in (most | {"num_envs": SEEDS_PER_RUN, "threads": 256}).items():
        check_whole(name, getattr(options, name), 1, limit)
    check_whole("minibatch_size", options.minibatch_size, 2, 10**12)  # advantages are divided by their deviation in it
    training_seed(task, options.seed, options.num_envs)
    highest = dict.fromkeys(("gamma", "gae_lambda", "clip_coef", "learning_rate"), 1.0)
    for name, limit in (highest | dict.fromkeys(("ent_coef", "vf_coef", "max_grad_norm"), 1e6)).items():
        check_number(name, getattr(options, name), 0, limit)
    rollout = options.num_steps * options.num_envs
    if rollout % options.minibatch_size:
        raise ValueError(f"minibatch_size {options.minibatch_size} does not divide num_steps x num_envs = {rollout}")
    folder = options.output or Path("runs") / f"{task.name}-{library}-seed{options.seed}"
    if is_model(folder) or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"output {str(folder)!r} {'holds a model already' if folder.is_dir() else 'is a file'}")
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with options from the command line, then play held-out episodes."""
    import tyro

    with told_in_one_line():
        options = tyro.cli(Options, prog=command("train_ppo"), description=described(__doc__), args=arguments)
        folder = train(options)
        played = evaluate(folder, held_out_seeds(options.task, options.episodes), options.task)
        print(f"score on {options.episodes} held-out episodes: {played.interval()}; the model is in {folder}")


if __name__ == "__main__":
    main()
