"""A policy for the focus view: the date in focus has a network of its own, all dates share one small network."""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import INSPECT_TOOLS
from metric_tracker_env.play.layout import FAMILIES
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
from metric_tracker_env.schema import DAYS_PER_WEEK

FLAGS = FAMILIES + 1  # numbers a date in the table of flags


class FocusNetwork(SharedNetwork):
    """Encodes each date's flags with the same weights, and reads the date in focus beside all dates' codes.

    With n observations, D dates, h hidden units and c a date: a date's code is an MLP of its flags, what was announced
    for it, its place in the range and the globals. The trunk is an MLP of the date in focus and the next flagged one,
    the globals, and the mean and the maximum of the codes. The logit that opens a date is an MLP of its code and the
    trunk; the other logits and the value are read off the trunk.

    Args:
        days: Dates of an episode, D.
        focus: Numbers about the date in focus and the next flagged one, which come first in an observation.
        actions: Actions that open no date by its name.
        hidden: Width of the trunk, h.
        date_hidden: Width of a date's code, c.
        world: Whether known events can be listed.
    """

    def __init__(self, days: int, focus: int, actions: int, hidden: int, date_hidden: int, world: bool) -> None:
        super().__init__()
        self.days, self.focus = days, focus
        self.announced = FAMILIES * world  # numbers a date
        of_globals = GLOBALS + world
        self.latent_dim_pi, self.latent_dim_vf = days + actions, hidden
        self.date_in = nn.Linear(FLAGS + self.announced, date_hidden)
        self.date_place = nn.Parameter(th.zeros(days, date_hidden))
        self.globals_in = nn.Linear(of_globals, date_hidden, bias=False)
        self.date_code = nn.Linear(date_hidden, date_hidden)
        self.trunk_in = nn.Linear(focus + of_globals + 2 * date_hidden, hidden)
        self.trunk = nn.Linear(hidden, hidden)
        self.code_out = nn.Linear(date_hidden, date_hidden)
        self.trunk_out = nn.Linear(hidden, date_hidden, bias=False)
        self.open_logits = nn.Linear(date_hidden, 1)
        self.other_logits = nn.Linear(hidden, actions)
        self.value_hidden = nn.Linear(hidden, hidden)

    def encode(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """(n, L) observations -> (n, D, c) codes of the dates and the (n, h) trunk."""
        sizes = [self.focus, self.days * FLAGS, self.days * self.announced]
        focus, flags, announced, rest = observations.split([*sizes, observations.shape[1] - sum(sizes)], dim=1)
        by_date = [part.unflatten(1, (self.days, -1)) for part in (flags, announced) if part.shape[1]]
        table = th.cat(by_date, dim=2)
        codes = self.date_in(table).add_(self.globals_in(rest)[:, None] + self.date_place).relu_()
        codes = self.date_code(codes).relu_()
        seen = th.cat([focus, rest, codes.mean(dim=1), codes.amax(dim=1)], dim=1)
        return codes, self.trunk(self.trunk_in(seen).relu_()).relu_()

    def logits(self, codes: th.Tensor, common: th.Tensor) -> th.Tensor:
        """(n, A) logits, in the order of the focus view's actions."""
        mixed = self.code_out(codes).add_(self.trunk_out(common)[:, None]).relu_()
        return th.cat([self.open_logits(mixed)[:, :, 0], self.other_logits(common)], dim=1)

    def last_layers(self) -> tuple[nn.Linear, ...]:
        """Those that open dates and of the other actions."""
        return self.open_logits, self.other_logits


class FocusPolicy(SharedPolicy):
    """Actor and critic for the focus view with weights shared over dates; for ``sb3_contrib.MaskablePPO``.

    ``MaskablePPO(FocusPolicy, MetricTrackerVecEnv(64))`` works as it is; for another number of weeks or the realistic
    world give ``policy_kwargs=focus_policy_kwargs(config)``.

    Args:
        observation_space: Box (L,) of the focus view.
        action_space: Discrete(A) of the focus view.
        lr_schedule: Learning rate by the share of training that is left.
        days: Dates of an episode.
        hidden: Width of the network of the date in focus.
        date_hidden: Width of the network that all dates share.
        world: Whether known events can be listed.
        kwargs: Those of ``MaskableActorCriticPolicy``, but ``net_arch`` and ``features_extractor_class``.

    Raises:
        ValueError: if the spaces are not those of a focus view of so many days.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        days: int = EnvConfig().generator.num_days,
        hidden: int = 256,
        date_hidden: int = 32,
        world: bool = False,
        **kwargs: Any,
    ) -> None:
        refuse_stock_shape("FocusPolicy", kwargs)
        shape = check_widths({"days": days, "hidden": hidden, "date_hidden": date_hidden})
        size, actions = flat_size(observation_space), number_of_actions(action_space)
        self._actions, self._world = actions - shape["days"], bool(world)
        entities = self._actions - 1 - len(INSPECT_TOOLS) - GLOBAL_ACTIONS - world
        # Four marks a cell, the season, flags and calendar of two dates, how many wait; then what was announced.
        self._focus = 4 * entities + 2 * (FAMILIES + DAYS_PER_WEEK + 1) + 2 + world * (entities + 1 + 2 * FAMILIES)
        if entities < 1 or size != self._focus + shape["days"] * (FLAGS + FAMILIES * world) + GLOBALS + world:
            raise ValueError(
                f"observations of {size} numbers and {actions} actions are not those of a focus view of "
                f"{shape['days']} days{' in a world' if world else ''}; make it with view='focus' and give "
                "policy_kwargs=focus_policy_kwargs(config) of its configuration"
            )
        super().__init__(observation_space, action_space, lr_schedule, {**shape, "world": bool(world)}, **kwargs)

    def make_network(self) -> FocusNetwork:
        """The network, freshly drawn."""
        days, hidden, date_hidden = (self._shape[name] for name in ("days", "hidden", "date_hidden"))
        return FocusNetwork(days, self._focus, self._actions, hidden, date_hidden, self._world)


def focus_policy_kwargs(config: EnvConfig) -> dict[str, int]:
    """``policy_kwargs`` of ``FocusPolicy`` for a configuration.

    Raises:
        ValueError: if its view is not the focus.
    """
    return policy_kwargs_of(config, "focus", "FocusPolicy")
