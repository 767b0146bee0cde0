"""A policy for the board view: one small network for every date, with what all dates have in common as its context."""

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

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.layout import SCANS

GLOBALS = 3 + SCANS  # numbers of an observation that belong to no date
GLOBAL_ACTIONS = SCANS + 1  # scans, the survey, submit
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


class BoardDistribution(MaskableCategoricalDistribution):
    """What ``BoardPolicy`` makes of its logits."""

    def proba_distribution(self, action_logits: th.Tensor) -> BoardDistribution:
        """Distribution over the actions of (n, A) logits."""
        self.distribution = MaskedCategorical(action_logits)  # pyright: ignore[reportAttributeAccessIssue]
        return self

    def mode(self) -> th.Tensor:
        """(n,) most likely actions."""
        return self.distribution.logits.argmax(dim=1)


class BoardNetwork(nn.Module):
    """Encodes each date with the same weights, pools the dates into a context, and reads logits off both.

    With n observations, D dates, F features a date and h hidden units: a date's code is an MLP of its features and the
    globals; the context is an MLP of the mean and the maximum of the codes and the globals; the logits of a date's
    actions are an MLP of its code and the context, those of the scans and ``submit`` one of the context alone.
    A permutation of dates permutes the logits.

    Args:
        days: Dates of the board, D.
        features: Numbers a date, F.
        actions: Actions a date.
        hidden: Width of every hidden layer, h.
    """

    def __init__(self, days: int, features: int, actions: int, hidden: int) -> None:
        super().__init__()
        self.days, self.features, self.actions = days, features, actions
        self.latent_dim_pi, self.latent_dim_vf = days * actions + GLOBAL_ACTIONS, hidden
        self.date_in = nn.Linear(features, hidden)
        self.globals_in = nn.Linear(GLOBALS, hidden, bias=False)
        self.date_code = nn.Linear(hidden, hidden)
        self.context = nn.Linear(2 * hidden + GLOBALS, hidden)
        self.code_out = nn.Linear(hidden, hidden)
        self.context_out = nn.Linear(hidden, hidden, bias=False)
        self.date_logits = nn.Linear(hidden, actions)
        self.global_hidden = nn.Linear(hidden, hidden)
        self.global_logits = nn.Linear(hidden, GLOBAL_ACTIONS)
        self.value_hidden = nn.Linear(hidden, hidden)

    def encode(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """(n, L) observations -> (n, D, h) codes of the dates and the (n, h) context."""
        table = observations[:, : self.days * self.features].reshape(-1, self.days, self.features)
        rest = observations[:, self.days * self.features :]
        codes = self.date_in(table).add_(self.globals_in(rest)[:, None]).relu_()
        codes = self.date_code(codes).relu_()
        pooled = th.cat([codes.mean(dim=1), codes.amax(dim=1), rest], dim=1)
        return codes, th.relu(self.context(pooled))

    def logits(self, codes: th.Tensor, context: th.Tensor) -> th.Tensor:
        """(n, A) logits, in the order of the board view's actions."""
        mixed = self.code_out(codes).add_(self.context_out(context)[:, None]).relu_()
        of_dates = self.date_logits(mixed).flatten(start_dim=1)
        return th.cat([of_dates, self.global_logits(th.relu(self.global_hidden(context)))], dim=1)

    def forward(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """(n, L) observations -> (n, A) logits and the (n, h) input of the value layer."""
        codes, context = self.encode(observations)
        return self.logits(codes, context), th.relu(self.value_hidden(context))

    def forward_actor(self, observations: th.Tensor) -> th.Tensor:
        """(n, L) observations -> (n, A) logits."""
        return self.logits(*self.encode(observations))

    def forward_critic(self, observations: th.Tensor) -> th.Tensor:
        """(n, L) observations -> the (n, h) input of the value layer."""
        return th.relu(self.value_hidden(self.encode(observations)[1]))


class BoardPolicy(MaskableActorCriticPolicy):
    """Actor and critic for the board view with weights shared over dates; for ``sb3_contrib.MaskablePPO``.

    ``MaskablePPO(BoardPolicy, MetricTrackerVecEnv(64, view="board"))`` works as it is; for another number of weeks give
    ``policy_kwargs={"days": ...}``.

    Args:
        observation_space: Box (L,) of the board view.
        action_space: Discrete(A) of the board view.
        lr_schedule: Learning rate by the share of training that is left.
        days: Dates of the board.
        hidden: Width of every hidden layer.
        kwargs: Those of ``MaskableActorCriticPolicy``, but ``net_arch`` and ``features_extractor_class``.

    Raises:
        ValueError: if the spaces are not those of a board of so many days.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        days: int = EnvConfig().generator.num_days,
        hidden: int = 64,
        **kwargs: Any,
    ) -> None:
        for name in ("net_arch", "features_extractor_class"):
            if kwargs.pop(name, None) not in (None, FlattenExtractor):
                raise ValueError(f"{name} is not an option of BoardPolicy; its shape is set by days and hidden")
        for name, value in (("days", days), ("hidden", hidden)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} {value!r} is not an integer from 1")
        self.days, self.hidden = int(days), int(hidden)
        size, actions = _flat(observation_space), _number(action_space)
        self._features, odd = divmod(size - GLOBALS, self.days)
        self._actions, odd_actions = divmod(actions - GLOBAL_ACTIONS, self.days)
        if odd or odd_actions or self._features < 1 or self._actions < 1:
            raise ValueError(
                f"observations of {size} numbers and {actions} actions are not those of a board view of {days} days; "
                "make the environment with view='board' and give policy_kwargs={'days': ...} of its dates"
            )
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters = super()._get_constructor_parameters()
        for name in ("net_arch", "features_extractor_class"):
            del parameters[name]
        return parameters | {"days": self.days, "hidden": self.hidden}

    def _build(self, lr_schedule: Schedule) -> None:
        network = BoardNetwork(self.days, self._features, self._actions, self.hidden)
        self.mlp_extractor = network  # pyright: ignore[reportAttributeAccessIssue, reportIncompatibleVariableOverride]
        self.action_net = nn.Identity()  # the network's first output is logits already
        self.value_net = nn.Linear(network.latent_dim_vf, 1)
        self.action_dist = BoardDistribution(network.latent_dim_pi)
        if self.ortho_init:
            self.mlp_extractor.apply(lambda module: self.init_weights(module, gain=float(np.sqrt(2))))
            for layer in (network.date_logits, network.global_logits):
                self.init_weights(layer, gain=LOGIT_GAIN)
            self.init_weights(self.value_net, gain=1)
        # SB3 gives the learning rate by keyword to whatever optimizer class it was told.
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # pyright: ignore[reportCallIssue]


def board_policy_kwargs(config: EnvConfig) -> dict[str, int]:
    """``policy_kwargs`` of ``BoardPolicy`` for a configuration.

    Raises:
        ValueError: if its view is not the board.
    """
    if config.view != "board":
        raise ValueError(f"view {config.view!r} has no board; BoardPolicy needs view='board'")
    return {"days": config.generator.num_days}


def _flat(space: spaces.Space[Any]) -> int:
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        raise ValueError(f"observation space {space} is not a flat Box")
    return space.shape[0]


def _number(space: spaces.Space[Any]) -> int:
    if not isinstance(space, spaces.Discrete):
        raise ValueError(f"action space {space} is not Discrete")
    return int(space.n)


__all__ = ["BoardNetwork", "BoardPolicy", "board_policy_kwargs"]
