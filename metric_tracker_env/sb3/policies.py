"""A policy for the board view: one small network for every date, with what all dates have in common as its context."""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.sb3.shared import (
    GLOBAL_ACTIONS,
    GLOBALS,
    SharedNetwork,
    SharedPolicy,
    check_widths,
    flat_size,
    number_of_actions,
    policy_kwargs_of,
    refuse_stock_shape,
)


class BoardNetwork(SharedNetwork):
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
        world: Whether known events can be listed, which is one global and one action more.
    """

    def __init__(self, days: int, features: int, actions: int, hidden: int, world: bool = False) -> None:
        super().__init__()
        self.days, self.features, self.actions = days, features, actions
        of_globals, of_actions = GLOBALS + world, GLOBAL_ACTIONS + world
        self.latent_dim_pi, self.latent_dim_vf = days * actions + of_actions, hidden
        self.date_in = nn.Linear(features, hidden)
        self.globals_in = nn.Linear(of_globals, hidden, bias=False)
        self.date_code = nn.Linear(hidden, hidden)
        self.context = nn.Linear(2 * hidden + of_globals, hidden)
        self.code_out = nn.Linear(hidden, hidden)
        self.context_out = nn.Linear(hidden, hidden, bias=False)
        self.date_logits = nn.Linear(hidden, actions)
        self.global_hidden = nn.Linear(hidden, hidden)
        self.global_logits = nn.Linear(hidden, of_actions)
        self.value_hidden = nn.Linear(hidden, hidden)

    def encode(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """(n, L) observations -> (n, D, h) codes of the dates and the (n, h) context."""
        table = observations[:, : self.days * self.features].reshape(-1, self.days, self.features)
        rest = observations[:, self.days * self.features :]
        codes = self.date_in(table).add_(self.globals_in(rest)[:, None]).relu_()
        codes = self.date_code(codes).relu_()
        pooled = th.cat([codes.mean(dim=1), codes.amax(dim=1), rest], dim=1)
        return codes, th.relu(self.context(pooled))

    def logits(self, codes: th.Tensor, common: th.Tensor) -> th.Tensor:
        """(n, A) logits, in the order of the board view's actions."""
        mixed = self.code_out(codes).add_(self.context_out(common)[:, None]).relu_()
        of_dates = self.date_logits(mixed).flatten(start_dim=1)
        return th.cat([of_dates, self.global_logits(th.relu(self.global_hidden(common)))], dim=1)

    def last_layers(self) -> tuple[nn.Linear, ...]:
        """Those of the dates' actions and of the others."""
        return self.date_logits, self.global_logits


class BoardPolicy(SharedPolicy):
    """Actor and critic for the board view with weights shared over dates; for ``sb3_contrib.MaskablePPO``.

    ``MaskablePPO(BoardPolicy, MetricTrackerVecEnv(64, view="board"))`` works as it is; for another number of weeks or
    the realistic world give ``policy_kwargs=board_policy_kwargs(config)``.

    Args:
        observation_space: Box (L,) of the board view.
        action_space: Discrete(A) of the board view.
        lr_schedule: Learning rate by the share of training that is left.
        days: Dates of the board.
        hidden: Width of every hidden layer.
        world: Whether known events can be listed.
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
        world: bool = False,
        **kwargs: Any,
    ) -> None:
        refuse_stock_shape("BoardPolicy", kwargs)
        shape = check_widths({"days": days, "hidden": hidden})
        size, actions = flat_size(observation_space), number_of_actions(action_space)
        features, odd = divmod(size - GLOBALS - world, shape["days"])
        of_date, odd_actions = divmod(actions - GLOBAL_ACTIONS - world, shape["days"])
        if odd or odd_actions or features < 1 or of_date < 1:
            raise ValueError(
                f"observations of {size} numbers and {actions} actions are not those of a board view of "
                f"{shape['days']} days{' in a world' if world else ''}; make it with view='board' and give "
                "policy_kwargs=board_policy_kwargs(config) of its configuration"
            )
        self.days, self.hidden = shape["days"], shape["hidden"]
        self._features, self._actions, self._world = features, of_date, bool(world)
        super().__init__(observation_space, action_space, lr_schedule, {**shape, "world": bool(world)}, **kwargs)

    def make_network(self) -> BoardNetwork:
        """The network, freshly drawn."""
        return BoardNetwork(self.days, self._features, self._actions, self.hidden, self._world)


def board_policy_kwargs(config: EnvConfig) -> dict[str, int]:
    """``policy_kwargs`` of ``BoardPolicy`` for a configuration.

    Raises:
        ValueError: if its view is not the board.
    """
    return policy_kwargs_of(config, "board", "BoardPolicy")


__all__ = ["BoardNetwork", "BoardPolicy", "board_policy_kwargs"]
