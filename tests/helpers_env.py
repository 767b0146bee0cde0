"""What the tests of the environments share: making them, random play, and the rules of a step written a second time."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple, get_args

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import VectorEnv
from helpers_announced import expected_ratios, family_of, usual_shares
from hypothesis import strategies as st

from metric_tracker_env import MetricTrackerEnv, MetricTrackerVectorEnv
from metric_tracker_env.config import EnvConfig, FunnelStep, GeneratorConfig, Reward, ToolCosts, View
from metric_tracker_env.play.actions import Action, ActionTable
from metric_tracker_env.play.layout import Layout
from metric_tracker_env.schema import ANOMALY_TYPES, ConversionMetricDefinition
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.view import MetricView

VIEWS: tuple[View, ...] = get_args(View)
REWARDS: tuple[Reward, ...] = get_args(Reward)
# Tasks of the clean and of the realistic world, and how many incidents their episodes have in tests that vary them.
WORLDS = {"medium_mixed": (1, 5), "realistic_hard": (0, 4), "realistic_medium": (0, 4)}
in_both_worlds = pytest.mark.parametrize("world", ["medium_mixed", "realistic_hard"])
# Every environment that the package registers.
ENV_IDS = sorted(
    spec.id for spec in gym.registry.values() if str(spec.entry_point).startswith(f"{MetricTrackerEnv.__module__}:")
)
ENV_ID = f"metric_tracker_env:{ENV_IDS[0]}"
SUBMIT = len(ActionTable(GeneratorConfig(), ToolCosts(), "focus")) - 1  # the last action of the default environment


Env = gym.Env[np.ndarray, np.int64]


def make(**kwargs: Any) -> Env:
    """The environment with Gymnasium's wrappers."""
    return gym.make(ENV_ID, **kwargs)


def bare(**kwargs: Any) -> MetricTrackerEnv:
    """The environment without Gymnasium's wrappers."""
    env = gym.make(ENV_ID, **kwargs).unwrapped
    assert isinstance(env, MetricTrackerEnv)
    return env


def make_lanes(num_envs: int, **kwargs: Any) -> MetricTrackerVectorEnv:
    """The native vector environment."""
    envs = gym.make_vec(ENV_ID, num_envs=num_envs, **kwargs)
    assert isinstance(envs, MetricTrackerVectorEnv)
    return envs


def make_sync(num_envs: int, autoreset_mode: str, **kwargs: Any) -> VectorEnv[Any, Any, Any]:
    """Gymnasium's own vector environment over single environments."""
    vector_kwargs = {"autoreset_mode": autoreset_mode}
    return gym.make_vec(
        ENV_ID,
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs=vector_kwargs,
        disable_env_checker=True,
        **kwargs,
    )


def assert_same(first: Any, second: Any, where: str = "result") -> None:
    """Two results of an environment are equal in keys, types, dtypes, shapes and every bit."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_same(first[key], second[key], f"{where}[{key!r}]")
    elif isinstance(first, tuple | list):
        assert len(first) == len(second), where
        for i, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_same(one, other, f"{where}[{i}]")
    elif isinstance(first, np.ndarray):
        assert (first.dtype, first.shape) == (second.dtype, second.shape), where
        if first.dtype == object:
            assert_same(first.tolist(), second.tolist(), where)
        else:
            assert np.array_equal(first, second), where
    else:
        assert first == second, where


def follow(env: Env, actions: list[int]) -> list[Any]:
    """What an environment returns for some actions."""
    return [env.step(np.int64(action)) for action in actions]


def pick(rng: np.random.Generator, mask: np.ndarray, legal: float = 1.0, submit: float = 0.05) -> int:
    """A random action: legal with that probability, and of the legal ones ``submit`` with that probability."""
    if rng.random() >= legal and not mask.all():
        return int(rng.choice(np.flatnonzero(mask == 0)))
    allowed = np.flatnonzero(mask)
    if len(allowed) == 1 or rng.random() < submit:
        return len(mask) - 1
    return int(rng.choice(allowed[:-1]))


def pick_lanes(rng: np.random.Generator, masks: np.ndarray, legal: float = 1.0, submit: float = 0.05) -> np.ndarray:
    """``pick`` for the masks of many lanes."""
    drawn = rng.random(masks.shape)
    drawn[:, -1] = rng.random(len(masks)) < submit
    wanted = masks == (rng.random(len(masks)) < legal)[:, None]
    return np.where(wanted, 1.0 + drawn, 0.0).argmax(axis=1)


class Step(NamedTuple):
    """One step of a recorded episode; the first one is the reset, with action -1."""

    action: int
    observation: np.ndarray
    mask: np.ndarray
    reward: float
    terminated: bool
    info: dict[str, Any]


def play(env: MetricTrackerEnv, seed: int | None, rng: np.random.Generator, legal: float = 1.0) -> list[Step]:
    """One episode of random play, to its end."""
    observation, info = env.reset(seed=seed)
    steps = [Step(-1, observation, env.action_masks(), 0.0, False, info)]
    while not steps[-1].terminated:
        action = pick(rng, steps[-1].mask, legal)
        observation, reward, terminated, truncated, info = env.step(action)
        assert not truncated
        steps.append(Step(action, observation, env.action_masks(), reward, terminated, info))
    return steps


@st.composite
def generator_configs(draw: st.DrawFn) -> GeneratorConfig:
    """Funnels of two to five steps with any conversions, one to eight weeks, ending on any date."""
    rates = draw(st.lists(st.floats(0.2, 0.85), min_size=1, max_size=4))
    names = [f"s{i}" for i in range(len(rates) + 1)]
    pairs = [(i, j) for j in range(len(names)) for i in range(j)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True))
    return GeneratorConfig(
        entry_step=names[0],
        steps=tuple(FunnelStep(name=name, rate=rate) for name, rate in zip(names[1:], rates, strict=True)),
        conversion_definitions=tuple(
            ConversionMetricDefinition(name=f"{names[i]}_to_{names[j]}", numerator=names[j], denominator=names[i])
            for i, j in chosen
        ),
        num_weeks=draw(st.integers(1, 8)),
        end_date=draw(st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1))),
        base_daily_count=2000.0 / float(np.prod(rates)),
    )


# What the tools on one date tell.
TYPES_TOLD = {
    "rows_for_date": ("event_count", "conversion_rate"),
    "hourly_rows_for_date": ("hourly_mix",),
    "detect_funnel_break": ("funnel_step",),
    "check_impossible_counts": ("data_quality",),
    "compare_count_to_median": ("event_count",),
    "compare_rate_to_median": ("conversion_rate",),
}
# What of a world is told of the date in focus, by its name in the board view.
FOCUSED_PARTS = {"announced": "announced", "announced_flags": "focus_announced", "missing": "missing"}
FAMILY_OF_SCAN = {f"get_{family}_rows": i for i, family in enumerate(ANOMALY_TYPES)}


class SlowModel:
    """The rules of an episode, written a second time and slowly: from the actions and the label-free view alone."""

    def __init__(self, config: EnvConfig, table: ActionTable, view: MetricView) -> None:
        self.config, self.view = config, view
        self.actions = [table.decode(i) for i in range(len(table))]
        self.dates = config.generator.date_names
        self.entities = config.generator.catalogue.entities
        self.budget, self.steps = config.budget, 0
        self.focus: int | None = None
        self.opened: set[int] = set()
        self.revealed: set[tuple[int, int]] = set()
        self.reported: set[tuple[int, int]] = set()
        self.scanned: set[int] = set()
        self.known: dict[tuple[int, int], float] = {}  # (family, day) -> largest multiplier told
        self.informed = False

    def cost(self, action: Action) -> int:
        """Budget units of a tool call."""
        return 0 if action.tool in {"report", "submit"} else getattr(self.config.costs, TOOLS[action.tool].cost)

    @property
    def waiting(self) -> list[int]:
        """Flagged days that were not opened."""
        return sorted({day for _, day in self.known} - self.opened)

    def day(self, action: Action) -> int | None:
        """The day that a call is about; None where there is none to stand for."""
        date = action.arguments["date"]
        if date == "focused":
            return self.focus
        if date == "next_flagged":
            return self.waiting[0] if self.waiting else None
        return self.dates.index(str(date))

    def told(self, action: Action) -> set[int]:
        """Entities that a tool on one date tells of."""
        name = action.arguments.get("entity_name")
        kinds = TYPES_TOLD[action.tool]
        return {e.index for e in self.entities if e.entity_type in kinds and name in {None, e.entity_name}}

    def is_legal(self, index: int) -> bool:
        """Affordable, with something new to tell; a report only of a revealed and confirmed cell, once."""
        action = self.actions[index]
        if action.tool == "submit":
            return True
        if self.cost(action) > self.budget:
            return False
        if "date" not in action.arguments:
            return index not in self.scanned
        day = self.day(action)
        if day is None:
            return False
        if action.tool == "report":
            cell = day, self.report_entity(action)
            return cell in self.revealed and bool(self.view.flagged[cell[1], day]) and cell not in self.reported
        if action.tool == "rows_for_date":  # the focus view may come back to a date that was opened before
            return day != self.focus if self.config.view == "focus" else day not in self.opened
        return any((day, entity) not in self.revealed for entity in self.told(action))

    def report_entity(self, action: Action) -> int:
        """Entity of a report."""
        wanted = action.arguments["entity_type"], action.arguments["entity_name"]
        return next(e.index for e in self.entities if (e.entity_type, e.entity_name) == wanted)

    def mask(self) -> np.ndarray:
        """(A,) bool legal actions."""
        return np.array([self.is_legal(index) for index in range(len(self.actions))])

    def act(self, index: int) -> bool:
        """Do an action; whether it was legal."""
        self.steps += 1
        if not self.is_legal(index):
            return False
        action = self.actions[index]
        self.budget -= self.cost(action)
        if action.tool in TYPES_TOLD:
            day = self.day(action)
            assert day is not None
            self.focus = day
            self.revealed |= {(day, entity) for entity in self.told(action)}
            if action.tool == "rows_for_date":
                self.opened.add(day)
        elif action.tool == "report":
            day = self.day(action)
            assert day is not None
            self.reported.add((day, self.report_entity(action)))
        elif action.tool == "list_known_events":
            self.scanned.add(index)
            self.informed = True
        elif action.tool != "submit":
            self.scanned.add(index)
            families = [FAMILY_OF_SCAN[action.tool]] if action.tool in FAMILY_OF_SCAN else range(len(ANOMALY_TYPES))
            multiplier = float(action.arguments.get("threshold_multiplier", 1.0))
            for family in families:
                for day in np.flatnonzero(self.view.strength[family] >= multiplier).tolist():
                    self.known[family, day] = max(multiplier, self.known.get((family, day), 0.0))
        return True

    def observation(self) -> dict[str, np.ndarray]:
        """The parts of the observation, worked out anew."""
        days, count = len(self.dates), len(self.entities)
        revealed, reported = np.zeros((days, count)), np.zeros((days, count))
        for cell in self.revealed:
            revealed[cell] = 1.0
        for cell in self.reported:
            reported[cell] = 1.0
        deviation = revealed * np.clip(self.view.ratios.T, -5.0, 5.0)
        off_season = (self.view.daily[:, 0] - self.view.seasonal_baseline) / self.view.thresholds[0]
        season = np.clip(off_season, -5.0, 5.0) * [day in self.opened for day in range(days)]
        flags = np.zeros((len(ANOMALY_TYPES), days))
        for place, multiplier in self.known.items():
            flags[place] = multiplier
        calendar = np.zeros((days, 8))
        for day, date in enumerate(self.dates):
            calendar[day, dt.date.fromisoformat(date).weekday()] = 1.0
            calendar[day, 7] = day / (days - 1)
        scans = [i for i, a in enumerate(self.actions) if a.tool in {*FAMILY_OF_SCAN, "list_suspicious_dates"}]
        made = [float(i in self.scanned) for i in scans]
        left = [self.budget / self.config.budget, 1.0 - self.steps / self.config.step_limit]
        of_world = self.announced() if self.config.generator.world is not None else {}
        told = [float(self.informed)] if of_world else []
        parts = {"globals": np.array([0.1 * len(self.reported), *left, *made, *told])}
        if self.config.view == "board":
            parts |= {"revealed": revealed, "deviation": deviation, "season": season, "reported": reported}
            return parts | {"flags": flags.T, **of_world, "calendar": calendar}
        reportable = revealed * self.view.flagged.T * (1.0 - reported)
        for name, part in {
            "revealed": revealed,
            "deviation": deviation,
            "reportable": reportable,
            "reported": reported,
            "season": season[:, None],
            "focus_flags": flags.T,
            "focus_calendar": calendar,
            **{FOCUSED_PARTS[name]: part.reshape(days, -1) for name, part in of_world.items()},
        }.items():
            parts[name] = np.zeros(part.shape[1]) if self.focus is None else part[self.focus]
        waiting = self.waiting
        of_next = {"next_flags": flags.T, "next_calendar": calendar}
        if of_world:
            of_next["next_announced"] = parts["announced_flags"] = of_world["announced_flags"]
        for name, part in of_next.items():
            parts[name] = part[waiting[0]] if waiting else np.zeros(part.shape[1])
        parts["waiting"] = np.array([len(waiting) / days])
        parts["flags"] = flags.T
        parts["opened"] = np.array([float(day in self.opened) for day in range(days)])
        return parts

    def announced(self) -> dict[str, np.ndarray]:
        """What of the world is known of each date: what was announced, once it was listed, and looked-at lost hours."""
        generator, days = self.config.generator, len(self.dates)
        expected, flags = np.zeros((days, len(self.entities))), np.zeros((days, len(ANOMALY_TYPES)))
        for event in self.view.known_events if self.informed else ():
            window = slice(self.dates.index(event.first_date), self.dates.index(event.last_date) + 1)
            expected[window] = np.clip(expected_ratios(generator, self.view.difficulty, event), -5.0, 5.0)
            flags[window, family_of(event)] = 1.0
        missing, shares = np.zeros(days), usual_shares(generator)
        (mix,) = (entity.index for entity in self.entities if entity.entity_type == "hourly_mix")
        for gap in self.view.gaps:
            day = self.dates.index(gap.date)
            if (day, mix) in self.revealed:
                missing[day] = sum(shares[gap.first_hour : gap.last_hour + 1])
        return {"announced": expected, "announced_flags": flags, "missing": missing}


def assert_shows(layout: Layout, observation: np.ndarray, parts: dict[str, np.ndarray]) -> None:
    """An observation holds exactly these parts, up to the resolution of the deviations."""
    assert layout.parts.keys() == parts.keys()
    for name, expected in parts.items():
        shown = layout.view(observation, name)
        tolerance = 2e-4 if name in {"deviation", "season", "announced", "missing"} else 1e-6
        np.testing.assert_allclose(shown, expected, rtol=0, atol=tolerance, err_msg=name)
