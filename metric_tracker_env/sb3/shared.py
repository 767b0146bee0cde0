"""What the policies with weights shared over dates have in common: their distribution, and how they are built."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.distributions import MaskableCategoricalDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from metric_tracker_env.config import EnvConfig, View
from metric_tracker_env.play.layout import SCANS

GLOBALS = 3 + SCANS  # numbers of an observation that belong to no date; in a world one more
GLOBAL_ACTIONS = SCANS + 1  # scans, the survey, submit; in a world one more
LOGIT_GAIN = 0.01  # orthogonal gain of the last layers of the actor, as for a stock policy


MASKED_LOGIT = -1e8  # as sb3-contrib masks


class MaskedCategorical:
    """A categorical distribution over many actions, normalised once; the stock one does so three times."""

    def __init__(self, logits: th.Tensor) -> None:
        self.logits = logits  # (n, A)
        self._log_probs: th.Tensor | None = None

    def apply_masking(self, masks: np.ndarray | th.Tensor | None) -> None:
        """Rule out the actions where (n, A) ``masks`` is False."""
        if masks is not None:
            legal = th.as_tensor(masks, dtype=th.bool, device=self.logits.device).reshape(self.logits.shape)
            self.logits = self.logits.masked_fill(~legal, MASKED_LOGIT)
            self._log_probs = None

    @property
    def log_probs(self) -> th.Tensor:
        """(n, A) log-probabilities."""
        if self._log_probs is None:
            self._log_probs = th.log_softmax(self.logits, dim=1)
        return self._log_probs

    @property
    def probs(self) -> th.Tensor:
        """(n, A) probabilities."""
        return self.log_probs.exp()

    def log_prob(self, actions: th.Tensor) -> th.Tensor:
        """(n,) actions -> (n,) log-probabilities."""
        return self.log_probs.gather(1, actions.long().reshape(-1, 1))[:, 0]

    def entropy(self) -> th.Tensor:
        """(n,) entropy in nats."""
        return -(self.log_probs.exp() * self.log_probs).sum(dim=1)

    def sample(self) -> th.Tensor:
        """(n,) drawn actions: the first whose cumulative probability reaches a uniform draw."""
        reached = self.probs.cumsum(dim=1)
        drawn = (1.0 - th.rand((len(reached), 1), device=reached.device)) * reached[:, -1:]
        return (reached < drawn).sum(dim=1)


class SharedDistribution(MaskableCategoricalDistribution):
    """What a policy of this package makes of its logits."""

    def proba_distribution(self, action_logits: th.Tensor) -> SharedDistribution:
        """Distribution over the actions of (n, A) logits."""
        self.distribution = MaskedCategorical(action_logits)  # pyright: ignore[reportAttributeAccessIssue]
        return self

    def mode(self) -> th.Tensor:
        """(n,) most likely actions."""
        return self.distribution.logits.argmax(dim=1)


class SharedNetwork(nn.Module):
    """Logits of all actions, and what the value is read from; n observations of L numbers, A actions, h units."""

    latent_dim_pi: int  # A
    latent_dim_vf: int  # h
    value_hidden: nn.Linear  # of the common code

    def encode(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """(n, L) observations -> (n, D, c) codes of the dates, and the (n, h) code of what they have in common."""
        raise NotImplementedError

    def logits(self, codes: th.Tensor, common: th.Tensor) -> th.Tensor:
        """(n, A) logits, in the order of the view's actions, of what ``encode`` gives."""
        raise NotImplementedError

    def forward(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """(n, L) observations -> (n, A) logits and the (n, h) input of the value layer."""
        codes, common = self.encode(observations)
        return self.logits(codes, common), self.value_hidden(common).relu_()

    def forward_actor(self, observations: th.Tensor) -> th.Tensor:
        """(n, L) observations -> (n, A) logits."""
        return self.logits(*self.encode(observations))

    def forward_critic(self, observations: th.Tensor) -> th.Tensor:
        """(n, L) observations -> the (n, h) input of the value layer."""
        return self.value_hidden(self.encode(observations)[1]).relu_()

    def last_layers(self) -> tuple[nn.Linear, ...]:
        """The layers whose output is logits."""
        raise NotImplementedError


class SharedPolicy(MaskableActorCriticPolicy):
    """Actor and critic that are one network, whose first output is the logits of all actions.

    Args:
        observation_space: Box (L,) of the view.
        action_space: Discrete(A) of the view.
        lr_schedule: Learning rate by the share of training that is left.
        network_shape: What the network is made of, named as the arguments of the policy.
        kwargs: Those of ``MaskableActorCriticPolicy``, but ``net_arch`` and ``features_extractor_class``.

    Raises:
        ValueError: for one of the two, or a shape that is not made of integers from 1.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        network_shape: dict[str, int],
        **kwargs: Any,
    ) -> None:
        self._shape = network_shape
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def make_network(self) -> SharedNetwork:
        """The network, freshly drawn."""
        raise NotImplementedError

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters = super()._get_constructor_parameters()
        for name in ("net_arch", "features_extractor_class"):
            del parameters[name]
        return parameters | self._shape

    def _build(self, lr_schedule: Schedule) -> None:
        network = self.make_network()
        self.mlp_extractor = network  # pyright: ignore[reportAttributeAccessIssue, reportIncompatibleVariableOverride]
        self.action_net = nn.Identity()  # the network's first output is logits already
        self.value_net = nn.Linear(network.latent_dim_vf, 1)
        self.action_dist = SharedDistribution(network.latent_dim_pi)
        if self.ortho_init:
            self.mlp_extractor.apply(lambda module: self.init_weights(module, gain=float(np.sqrt(2))))
            for layer in network.last_layers():
                self.init_weights(layer, gain=LOGIT_GAIN)
            self.init_weights(self.value_net, gain=1)
        # SB3 gives the learning rate by keyword to whatever optimizer class it was told.
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # pyright: ignore[reportCallIssue]


def refuse_stock_shape(policy: str, kwargs: dict[str, Any]) -> None:
    """Take the options of a stock policy's shape out of ``kwargs``.

    Raises:
        ValueError: if one of them was set.
    """
    for name in ("net_arch", "features_extractor_class"):
        if kwargs.pop(name, None) not in (None, FlattenExtractor):
            raise ValueError(f"{name} is not an option of {policy}; its shape is set by days and hidden")


def policy_kwargs_of(config: EnvConfig, view: View, policy: str) -> dict[str, int]:
    """``policy_kwargs`` of a policy of this package for a configuration.

    Raises:
        ValueError: if its view is not the policy's.
    """
    if config.view != view:
        raise ValueError(f"view {config.view!r} is not what {policy} reads; it needs view={view!r}")
    return {"days": config.generator.num_days, "world": config.generator.world is not None}


def check_widths(shape: dict[str, int]) -> dict[str, int]:
    """The shape of a network, as plain integers.

    Raises:
        ValueError: if one is not an integer from 1.
    """
    for name, value in shape.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} {value!r} is not an integer from 1")
    return {name: int(value) for name, value in shape.items()}


def flat_size(space: spaces.Space[Any]) -> int:
    """Numbers of an observation.

    Raises:
        ValueError: if the space is not a flat Box.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise ValueError(f"observation space {space} is not a flat Box")
    return space.shape[0]


def number_of_actions(space: spaces.Space[Any]) -> int:
    """Number of actions.

    Raises:
        ValueError: if the space is not Discrete.
    """
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"action space {space} is not Discrete")
    return int(space.n)
