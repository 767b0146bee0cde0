"""Demonstrations: a scripted agent plays on the lanes of a training run, and the policy is fitted to what it did."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch as th
from sb3_contrib import MaskablePPO

from metric_tracker_env import MetricTrackerEnv
from metric_tracker_env.play.actions import SUBMIT

from ..players.scripts.script import get_agent
from .recorder import TimedVecEnv
from .settings import CloningSettings

HELD_BACK = 20  # one demonstration of so many is not learned from, and tells how well the others were
READ_AT_ONCE = 4096


class Demonstrations(NamedTuple):
    """Steps of whole episodes, episode after episode; n steps, L numbers, A actions."""

    observations: np.ndarray  # (n, L) float16, which halves the room that they take
    masks: np.ndarray  # (n, A) bool
    actions: np.ndarray  # (n,) int64
    returns: np.ndarray  # (n,) float32, discounted reward from this step to the end
    episodes: np.ndarray  # (n,) int64, number of the episode

    def take(self, steps: np.ndarray) -> Demonstrations:
        """Some of the steps."""
        return Demonstrations(*(values[steps] for values in self))


class Fitted(NamedTuple):
    """How well a policy was fitted to demonstrations."""

    episodes: int
    steps: int
    agreement: float  # share of the steps held back at which its most likely action is the demonstrator's


def demonstrate(agent: str, envs: TimedVecEnv, episodes: int, gamma: float) -> Demonstrations:
    """Play a scripted agent on lanes; each lane plays as many whole episodes, so that none counts for being short.

    Args:
        agent: One of ``demonstrators``.
        envs: The lanes, seeded but not reset.
        episodes: At least so many in all.
        gamma: Discount of the returns.
    """
    rounds = math.ceil(episodes / envs.num_envs)
    game = MetricTrackerEnv(config=envs.config)
    submit = game.actions.encode(SUBMIT)
    players = [get_agent(agent)(game) for _ in range(envs.num_envs)]
    played: list[Demonstrations] = []
    lanes = [_Lane() for _ in players]
    done = [0] * len(players)
    observations = envs.reset()
    for lane, player in enumerate(players):
        player.begin(lane)
    while min(done) < rounds:
        masks = envs.action_masks()
        actions = np.zeros(len(players), np.int64)
        for lane, player in enumerate(players):
            if done[lane] < rounds:
                actions[lane] = player.act(observations[lane], {"action_mask": masks[lane]})
                lanes[lane].note(observations[lane], masks[lane], actions[lane])
            else:
                actions[lane] = submit
        told, rewards, ended, _ = envs.step(actions)
        observations = np.asarray(told)
        for lane in range(len(players)):
            if done[lane] == rounds:
                continue
            lanes[lane].rewards.append(float(rewards[lane]))
            if ended[lane]:
                played.append(lanes[lane].finish(gamma, len(played)))
                done[lane] += 1
                lanes[lane] = _Lane()
                players[lane].begin(lane + done[lane] * envs.num_envs)
    return Demonstrations(*(np.concatenate(values) for values in zip(*played, strict=True)))


class _Lane:
    """What was done so far in a lane's episode."""

    def __init__(self) -> None:
        self.observations: list[np.ndarray] = []
        self.masks: list[np.ndarray] = []
        self.actions: list[int] = []
        self.rewards: list[float] = []

    def note(self, observation: np.ndarray, mask: np.ndarray, action: int) -> None:
        """An action is about to be taken."""
        self.observations.append(observation.astype(np.float16))
        self.masks.append(mask.astype(bool))
        self.actions.append(action)

    def finish(self, gamma: float, episode: int) -> Demonstrations:
        """The episode as a demonstration."""
        left, returns = 0.0, np.zeros(len(self.rewards), np.float32)
        for step in reversed(range(len(returns))):
            left = returns[step] = self.rewards[step] + gamma * left
        return Demonstrations(
            np.array(self.observations),
            np.array(self.masks),
            np.array(self.actions, np.int64),
            returns,
            np.full(len(returns), episode),
        )


def clone(model: MaskablePPO, shown: Demonstrations, settings: CloningSettings, seed: int) -> Fitted:
    """Fit a policy to demonstrations: its actions by masked cross-entropy, its values by squared error to the returns.

    Args:
        model: Whose policy, and the state of whose optimizer, change.
        shown: The demonstrations.
        settings: Of the fit.
        seed: Of the order in which steps are learned.
    """
    policy, draws = model.policy, np.random.default_rng(seed)
    held = shown.episodes % HELD_BACK == HELD_BACK - 1
    learned = np.flatnonzero(~held)
    updates = settings.epochs * math.ceil(len(learned) / settings.batch_size)
    policy.set_training_mode(True)
    update = 0
    for _ in range(settings.epochs):
        order = draws.permutation(learned)
        for at in range(0, len(order), settings.batch_size):
            for group in policy.optimizer.param_groups:
                group["lr"] = settings.learning_rate(1.0 - update / updates)
            # In rising order, the rows lie closer together in memory.
            batch = shown.take(np.sort(order[at : at + settings.batch_size]))
            values, log_probs, _ = policy.evaluate_actions(
                th.from_numpy(batch.observations.astype(np.float32)),
                th.from_numpy(batch.actions),
                action_masks=th.from_numpy(batch.masks),
            )
            error = (values.flatten() - th.from_numpy(batch.returns)).square().mean()
            loss = settings.vf_coef * error - log_probs.mean()
            policy.optimizer.zero_grad()
            loss.backward()
            th.nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
            policy.optimizer.step()
            update += 1
    policy.set_training_mode(False)
    return Fitted(int(shown.episodes[-1]) + 1, len(shown.actions), agreement(model, shown.take(np.flatnonzero(held))))


def agreement(model: MaskablePPO, shown: Demonstrations) -> float:
    """Share of steps at which a model's most likely action is the demonstrator's; NaN for no steps."""
    same = [
        model.predict(part.observations.astype(np.float32), deterministic=True, action_masks=part.masks)[0]
        == part.actions
        for part in (
            shown.take(np.arange(at, min(at + READ_AT_ONCE, len(shown.actions))))
            for at in range(0, len(shown.actions), READ_AT_ONCE)
        )
    ]
    return float(np.concatenate(same).mean()) if same else math.nan
