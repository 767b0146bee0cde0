"""The rules of a step, for B lanes at once: the single and the vector environment both are this engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np

from metric_tracker_env.config import EnvConfig, EpisodeConfig, EpisodeOptions, View
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.model import unknown_names
from metric_tracker_env.play.actions import SURVEY_MULTIPLIER, Action, ActionTable, Day, Op
from metric_tracker_env.play.board import BoardView
from metric_tracker_env.play.focus import FocusView
from metric_tracker_env.play.layout import Layout
from metric_tracker_env.play.observation import Evidence, Reported, Scanned
from metric_tracker_env.play.outcome import Outcome, outcome_of
from metric_tracker_env.play.state import Counted, Play, Progress
from metric_tracker_env.play.supply import LEVEL_COLUMNS, EpisodeSupply, Played, SupplyState
from metric_tracker_env.schema import ANOMALY_TYPES
from metric_tracker_env.scoring import soft_f1
from metric_tracker_env.seal import Seal
from metric_tracker_env.tasks import build_config
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.source import EpisodeSource

NEVER = 127  # a level that no family reaches
# As plain numbers: the members of an enum are looked up a hundred times slower in Python 3.11.
DATE, REPORT, SUBMIT, EVENTS = int(Op.DATE), int(Op.REPORT), int(Op.SUBMIT), int(Op.EVENTS)
FOCUSED, NEXT_FLAGGED = int(Day.FOCUSED), int(Day.NEXT_FLAGGED)


def scan_levels() -> np.ndarray:
    """(scans, 8) int8: the number of SCAN_MULTIPLIERS that a date must reach for each scan to flag it."""
    families = len(ANOMALY_TYPES)
    levels = np.arange(1, len(SCAN_MULTIPLIERS) + 1)
    one_family = np.where(np.eye(families, dtype=bool)[:, None], levels[:, None], NEVER).reshape(-1, families)
    survey = np.full((1, families), 1 + SCAN_MULTIPLIERS.index(SURVEY_MULTIPLIER))
    padding = np.full((len(one_family) + 1, LEVEL_COLUMNS - families), NEVER)
    return np.concatenate([np.concatenate([one_family, survey]), padding], axis=1).astype(np.int8)


class Kept(NamedTuple):
    """Episodes that have ended on n lanes, which play others by now."""

    lanes: np.ndarray  # (n,) int64
    played: Played
    reported: np.ndarray  # (n, D, E) bool


def cells(chosen: np.ndarray) -> list[tuple[int, int]]:
    """(D, E) bool -> (day, entity) of each, by date."""
    day, entity = np.nonzero(chosen)
    return list(zip(day.tolist(), entity.tolist(), strict=True))


class EngineState(NamedTuple):
    """What a pickle holds of an engine."""

    config: EnvConfig
    lanes: int
    supply: SupplyState
    arrays: tuple[np.ndarray, ...]
    kept: tuple[np.ndarray, list[EpisodeConfig], np.ndarray]  # lanes, names of their episodes, reported, see Kept
    seal: Seal | None


class Engine:
    """Plays B lanes: seeds, deals episodes, applies actions, keeps observations and masks.

    Attributes:
        observations: (B, L) float32, changed in place by every step.
        mask: (B, A) bool, legal actions, changed in place by every step.
        table: The actions.
        layout: The parts of the observation.
        size: Number of actions.
    """

    views: ClassVar[Mapping[View, type[BoardView | FocusView]]] = {"focus": FocusView, "board": BoardView}

    def __init__(self, config: EnvConfig, lanes: int, seal: Seal | None = None) -> None:
        self.config, self.lanes = config, lanes
        self.table = ActionTable(config.generator, config.costs, config.view)
        self.size = len(self.table)
        self._in_world = config.generator.world is not None
        self._wanted = np.repeat(scan_levels()[:, None], config.generator.num_days, axis=1)  # (scans, D, 8) int8
        self._attach(EpisodeSupply(config, lanes, seal), self.views[config.view](config, self.table))
        nothing = np.zeros(0, np.int64)
        self._kept = Kept(nothing, self._supply.played(nothing), np.zeros((0, 0, 0), bool))

    def _attach(self, supply: EpisodeSupply, view: BoardView | FocusView) -> None:
        """Make the arrays of lanes that were never dealt an episode."""
        self._supply = supply
        self._play = Play(self.config, self.lanes, supply.data)
        self._view = view.of(self._play)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All arrays that say what has happened in the episodes under way, and what is shown of it."""
        return (*self._play.arrays, *self._view.arrays)

    def _put(self, supply: SupplyState, arrays: tuple[np.ndarray, ...]) -> None:
        """Go on from where another engine of the same configuration and as many lanes is."""
        self._supply.put(supply)
        write(self.arrays, arrays)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """An engine that plays on by itself; it shares what depends on the configuration alone."""
        other = object.__new__(type(self))
        memo[id(self)] = other
        vars(other).update(vars(self))
        other._attach(self._supply.fresh(), self._view)
        other._put(self._supply.state(), self.arrays)
        return other

    def __getstate__(self) -> EngineState:
        """What cannot be made again from the configuration, and the configuration."""
        lanes, played, reported = self._kept
        names = [played.name(place) for place in range(len(lanes))]
        kept = lanes, names, reported
        return EngineState(self.config, self.lanes, self._supply.state(), self.arrays, kept, self._supply.seal)

    def __setstate__(self, state: EngineState) -> None:
        Engine.__init__(self, state.config, state.lanes, state.seal)
        self._put(state.supply, state.arrays)
        lanes, names, reported = state.kept
        self._kept = Kept(lanes, self._supply.played_again(names), reported)

    @property
    def observations(self) -> np.ndarray:
        """(B, L) float32."""
        return self._view.observations

    @property
    def mask(self) -> np.ndarray:
        """(B, A) bool."""
        return self._view.mask

    @property
    def layout(self) -> Layout:
        """The parts of the observation."""
        return self._view.layout

    @property
    def step_cost(self) -> float:
        """Reward lost per unit spent; setting it changes ``config`` for all steps to come, and nothing else.

        Raises:
            ValueError: on setting, for a bad value; nothing has changed then.
        """
        return self.config.step_cost

    @step_cost.setter
    def step_cost(self, value: float) -> None:
        self.config = self._play.config = build_config(config=self.config, options={"step_cost": value})

    def set_episode_options(self, changes: Mapping[str, object]) -> None:
        """Change what all episodes to come hold, and ``config`` with it; those under way stay as they are.

        Args:
            changes: Fields of ``EpisodeOptions``.

        Raises:
            ValueError: for a bad value, or incidents that do not fit; nothing has changed then.
        """
        config = build_config(config=self.config, options=changes)
        if config == self.config:
            return  # what was made ahead is as it should be
        self._supply.configure(config)
        self.config = self._play.config = config

    def prepare(self, seeds: Sequence[int]) -> None:
        """See ``EpisodeSupply.prepare``; what is played is the same."""
        self._supply.prepare(seeds)

    @property
    def seal(self) -> Seal | None:
        """Of the episodes; None for public ones."""
        return self._supply.seal

    def name(self, lane: int) -> tuple[int, int]:
        """Seed and number of the episode that a lane plays."""
        return self._supply.name(lane)

    @property
    def playing(self) -> np.ndarray:
        """(B,) bool: an episode is under way."""
        return self._play.playing

    @property
    def steps(self) -> np.ndarray:
        """(B,) int64: steps of each lane's episode, played or ended."""
        return self.config.step_limit - self._play.steps_left

    def source(self, options: Mapping[str, object]) -> EpisodeSource | None:
        """The source of episodes with the options of a reset; None when there are none.

        Raises:
            ValueError: for an unknown option, a bad value, or incidents that do not fit.
        """
        unknown = [name for name in options if name not in EpisodeOptions.model_fields]
        if unknown:
            raise ValueError(unknown_names("reset option", unknown, EpisodeOptions.model_fields))
        return self._supply.source(dict(options))

    def deal(
        self, lanes: np.ndarray, special: EpisodeSource | None = None, seeds: Sequence[int | None] | None = None
    ) -> None:
        """Begin the next episode on lanes, see ``EpisodeSupply.deal``; an error changes nothing."""
        self._supply.deal(lanes, special, seeds)
        self._begin(lanes)

    def _begin(self, lanes: np.ndarray) -> None:
        """Episodes begin on lanes; their data are in place."""
        self._play.clear(lanes)
        self._view.load(lanes)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Apply one action on each lane that plays; the others stay as they are.

        Args:
            actions: (B,) int64, each within the table.

        Returns:
            reward (B,) float64, terminated (B,) bool, illegal (B,) bool.
        """
        play, table = self._play, self.table
        allowed = self._view.legal(actions)
        allowed &= play.playing
        illegal = play.playing & ~allowed
        op = table.op.take(actions)
        op *= allowed
        cost = table.cost.take(actions)
        cost *= allowed
        play.steps_left -= play.playing
        play.budget -= cost
        paid = np.flatnonzero(cost)
        play.tool_calls += cost > 0

        reward = 0.0 - cost * self.config.step_cost
        if len(paid):
            kinds = op.take(paid)
            on_date = kinds == DATE
            others = paid[~on_date]
            listing = others[kinds[~on_date] == EVENTS] if self._in_world else others[:0]
            scanning = others[kinds[~on_date] != EVENTS] if len(listing) else others
            uses = (self._use_date_tools, paid[on_date]), (self._list_events, listing), (self._scan, scanning)
            for use, lanes in uses:
                if len(lanes):
                    use(lanes, actions.take(lanes))
            self._view.on_pay(paid)
        reporting = np.flatnonzero(op == REPORT)
        if len(reporting):
            reward[reporting] += self._report(reporting, actions[reporting])
        done = (op == SUBMIT) | (play.steps_left == 0)
        done &= play.playing
        ended = np.flatnonzero(done)
        if len(ended):
            play.playing[ended] = False
            if self.config.reward == "terminal":
                reward[ended] += self._score(ended)
        self._view.on_step()
        return reward, done, illegal

    def call(
        self, lane: int, units: int, shown: np.ndarray | None = None, refused: bool = False, informs: bool = False
    ) -> tuple[float, bool]:
        """A tool call in words, on a lane that plays: reward and terminated.

        It takes a step, spends units and reveals cells, as an action does; but it need not be one of the table's, and
        the draft is not told. Observation and mask are not kept up: who calls tools in words does not see them.

        Args:
            lane: Which.
            units: Budget units to spend, at most what is left.
            shown: (D, E) bool, cells to reveal.
            refused: Whether this is the price of a call that was refused, which is no tool call.
            informs: Whether it lists the known events.
        """
        play = self._play
        play.steps_left[lane] -= 1
        play.budget[lane] -= units
        play.tool_calls[lane] += units > 0 and not refused
        if shown is not None:
            self._of_lane(play.revealed, lane)[:] |= shown
        play.informed[lane] |= informs
        done = not play.steps_left[lane]
        play.playing[lane] = not done
        return 0.0 - units * self.config.step_cost, done

    def end(self, lanes: int | np.ndarray) -> None:
        """End the episodes of lanes as they stand, without the reward of ``submit``."""
        self._play.playing[lanes] = False

    def revealed(self, lane: int) -> np.ndarray:
        """(D, E) bool: the cells that tools have revealed on a lane; a view, which changes as it plays."""
        return self._of_lane(self._play.revealed, lane)

    def _use_date_tools(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Tools on one date: reveal cells there."""
        play, table = self._play, self.table
        tools = table.argument.take(actions)
        days = self._days(lanes, actions)
        row = lanes * play.days + days
        before, shown = play.revealed.take(row, axis=0), table.reveals.take(tools, axis=0)
        seen, fresh = before | shown, shown > before
        play.reveal(row, seen)
        opened = play.opened.take(row)
        first = (tools == 0) > opened
        opened |= first
        play.opened[row] = opened
        self._view.on_date(Evidence(lanes, days, row, tools, seen, fresh, opened, first))
        play.focus[lanes] = days

    def _scan(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """Scans and surveys: tell which dates show which families."""
        play, table = self._play, self.table
        scans = table.argument.take(actions)
        wanted = self._wanted.take(scans, axis=0)
        known = play.data.levels.take(lanes, axis=0) >= wanted
        known = np.maximum(play.known.take(lanes, axis=0), known * wanted)
        play.known[lanes] = known
        play.flagged_dates.reshape(play.lanes, -1)[lanes] = known.view(np.int64)[:, :, 0] != 0
        self._view.on_scan(Scanned(lanes, actions, scans, known))

    def _list_events(self, lanes: np.ndarray, actions: np.ndarray) -> None:
        """The known events: tell what was announced for which dates."""
        self._play.informed[lanes] = True
        self._view.on_events(lanes, actions)

    def _days(self, lanes: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Day index that each action is about."""
        days = self.table.day.take(actions)
        if self.config.view == "board":
            return days
        days = np.where(days == FOCUSED, self._play.focus.take(lanes), days)
        return np.where(days == NEXT_FLAGGED, self._play.next_flagged.take(lanes), days)

    def _report(self, lanes: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Add cells to the drafts; (n,) reward for it: with "dense", the change of the drafts' scores."""
        play = self._play
        days, entities = self._days(lanes, actions), self.table.argument[actions]
        dense = self.config.reward == "dense"
        before = self._score(lanes) if dense else 0.0
        cell = (lanes * play.days + days) * play.entities + entities
        play.reported.reshape(-1)[cell] = True
        play.reports[lanes] += 1
        play.correct[lanes] += play.data.classes.reshape(-1)[cell] == CellClass.EXPECTED
        self._view.on_report(Reported(lanes, days, entities, actions))
        return self._score(lanes) - before if dense else np.zeros(len(lanes))

    def _score(self, lanes: np.ndarray) -> np.ndarray:
        """(n,) float64 score of the drafts; rows from evidence are right in every field, so quality is their number."""
        play = self._play
        return soft_f1(play.correct[lanes], play.reports[lanes], play.data.expected[lanes])

    def outcome(self, lanes: np.ndarray) -> Outcome:
        """How the episodes of lanes that are over ended."""
        play = self._play
        spent, expected = self.config.budget - play.budget[lanes], play.data.expected[lanes]
        played = self._supply.played(lanes)
        drafts = play.correct[lanes], play.reports[lanes], expected, spent, play.tool_calls[lanes]
        return outcome_of(*drafts, played.seed, played.number)

    def resolve(self, lane: int, action: int) -> Action:
        """The concrete tool call of an action: stand-ins for dates are replaced by the date they stand for.

        Raises:
            ValueError: if the action is out of range, or stands for a date that there is none of.
        """
        call = self.table.decode(action)
        day = int(self._days(np.array([lane]), np.array([int(action)]))[0])
        if "date" in call.arguments:
            if day < 0:
                raise ValueError(f"action {call} has no date to stand for yet")
            call.arguments["date"] = self.config.generator.date_names[day]
        return call

    def draft(self, lane: int) -> list[tuple[int, int]]:
        """(day, entity) of the reported cells of a lane, by date."""
        return cells(self._of_lane(self._play.reported, lane))

    def counted(self, lane: int) -> Counted:
        """What a lane's agent has left and used."""
        play = self._play
        steps = self.config.step_limit - play.steps_left.item(lane)
        return Counted(play.budget.item(lane), steps, play.tool_calls.item(lane))

    def progress(self, lane: int) -> Progress:
        """What a lane's agent has seen and done, for rendering."""
        play = self._play
        return Progress(
            revealed=self._of_lane(play.revealed, lane).copy(),
            reported=self._of_lane(play.reported, lane).copy(),
            opened=self._of_lane(play.opened, lane).copy(),
            known=play.known[lane, :, : len(ANOMALY_TYPES)].T.copy(),
            informed=bool(play.informed[lane]),
            focus=int(play.focus[lane]),
            **self.counted(lane)._asdict(),
        )

    def _of_lane(self, rows: np.ndarray, lane: int) -> np.ndarray:
        """The (D, ...) rows of a lane."""
        return rows[lane * self._play.days : (lane + 1) * self._play.days]

    def episode(self, lane: int) -> EpisodeData:
        """The episode of a lane with its truth; for the end of it, and for rendering what was revealed."""
        return self._supply.played(np.array([lane])).episode(0)

    def keep(self, lanes: np.ndarray) -> None:
        """Keep the ended episodes of these lanes, and of no others, for when the lanes play the next ones already."""
        if not len(lanes) and not len(self._kept.lanes):
            return
        reported = self._play.reported.reshape(self.lanes, self._play.days, -1)
        self._kept = Kept(lanes, self._supply.played(lanes), reported.take(lanes, axis=0))

    def kept(self, lane: int) -> tuple[EpisodeData, list[tuple[int, int]]] | None:
        """The episode of a lane that was kept, with its truth, and its draft; None if there is none."""
        place = np.flatnonzero(self._kept.lanes == lane)
        if not len(place):
            return None
        return self._kept.played.episode(place[0]), cells(self._kept.reported[place[0]])


def write(into: tuple[np.ndarray, ...], arrays: tuple[np.ndarray, ...]) -> None:
    """Copy arrays into others of the same shapes."""
    for mine, other in zip(into, arrays, strict=True):
        mine[...] = other
