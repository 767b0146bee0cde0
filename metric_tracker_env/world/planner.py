"""Where incidents fall: plans for a batch of episodes, drawn and drawn again, each episode from its own stream."""

from __future__ import annotations

import numpy as np

from metric_tracker_env.config import EpisodeConfig, GenerationError, GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES
from metric_tracker_env.world import rng
from metric_tracker_env.world.layer import Twin
from metric_tracker_env.world.plan import Plan
from metric_tracker_env.world.proposals import Proposer, Targets
from metric_tracker_env.world.rng import Stream
from metric_tracker_env.world.variants import FAMILY_INDEX
from metric_tracker_env.world.windows import drawn_numbers

MAX_ATTEMPTS = 400
STRETCH_AFTER = 100  # draws after which sizes grow, for calendars whose free dates are all too busy for a drop
STRETCH = 0.01  # growth of the size a further draw

RETRIES = 8  # draws of a failed incident that are looked at together: one round of calls nearly always suffices
WORDS_PER_DRAW = 3  # date, variant, size


def wanted_families(proposer: Proposer, episode: EpisodeConfig) -> np.ndarray:
    """The families that incidents are drawn from, as positions in ``ANOMALY_TYPES``.

    Raises:
        GenerationError: if the one that is asked for has no entity that the funnel can carry.
    """
    table = proposer.table
    if episode.scenario_family == "mixed":
        return table.families
    wanted = np.array([FAMILY_INDEX[episode.scenario_family]])
    if not table.count[wanted].all():
        raise GenerationError(
            f"scenario_family: {episode.scenario_family!r} has no entity that this funnel can carry at "
            f"difficulty {episode.difficulty!r}; possible: {[ANOMALY_TYPES[i] for i in table.families]}"
        )
    return wanted


class Planner:
    """Draws plans for a batch and draws single incidents again, each episode from its own stream."""

    def __init__(self, config: GeneratorConfig, episode: EpisodeConfig, proposer: Proposer) -> None:
        self.config, self.episode = config, episode
        self._proposer = proposer
        self._wanted = wanted_families(proposer, episode)
        self.low, self.high = episode.count_range
        self.candidates = np.array(config.candidate_days)

    def draw(self, keys: np.ndarray, twin: Twin) -> tuple[Plan, np.ndarray]:
        """Plan a batch: (B,) keys and their clean twin -> plan, and (B, K) redraws used."""
        episodes, places = len(keys), self.high
        plan = Plan.empty(episodes, places, self.config.catalogue.num_steps)
        draws = rng.uniforms(keys, Stream.PLAN, 1 + 4 * places)
        number = drawn_numbers((self.low, self.high), draws[0])
        np.less(np.arange(places), number[:, None], out=plan.active)
        plan.day[:] = np.where(plan.active, self._distinct_days(draws[1 : 1 + places]), -1)
        spot = np.flatnonzero(plan.active)
        draws = draws[1 + places :].reshape(3, places, episodes).transpose(0, 2, 1).reshape(3, -1)[:, spot]
        family = self._wanted[(draws[0] * len(self._wanted)).astype(np.int64)]
        variant, size = self._proposer.draw(family, draws[1], draws[2])
        targets = self._proposer.targets(twin.values, spot // places, variant, size)
        day = plan.day.reshape(-1)[spot]
        proposed = self._proposer.propose(twin.values, targets, day[:, None])
        factors = self._proposer.factors(targets, proposed)[:, 0]
        self._accept(keys, plan, spot, np.zeros_like(spot), day, targets, factors)
        attempts = np.zeros((episodes, places), np.int64)
        self._retry(keys, twin.values, plan, attempts, spot[~proposed.fits[:, 0]])
        return plan, attempts

    def _distinct_days(self, draws: np.ndarray) -> np.ndarray:
        """(K, B) draws in [0, 1) -> (B, K) candidate days without replacement: the first places of a shuffle."""
        places, episodes = draws.shape
        size = len(self.candidates)
        days = np.tile(self.candidates, episodes)
        first = np.arange(0, episodes * size, size)
        chosen = np.empty((episodes, places), np.int64)
        for place in range(places):
            pick = first + (draws[place] * (size - place)).astype(np.int64)
            chosen[:, place] = days[pick]
            days[pick] = days[first]
            first += 1
        return chosen

    def redraw(self, keys: np.ndarray, twin: Twin, plan: Plan, attempts: np.ndarray, failed: np.ndarray) -> None:
        """Draw entity, date and size of the ``failed`` (B, K) incidents again; their families stay."""
        self._retry(keys, twin.values, plan, attempts, np.flatnonzero(failed))

    def _retry(self, keys: np.ndarray, values: np.ndarray, plan: Plan, attempts: np.ndarray, spot: np.ndarray) -> None:
        """Draw the incidents at ``spot``, (n,) places in the flat (B, K) plan, until they fit on dates of their own.

        Draws come in rounds of ``RETRIES`` for each incident that is left; the first that fits is taken. Rounds are
        looked at several together, ever more: the few incidents that need many are not worth the calls for each.
        """
        places, days, rounds = self.high, self.config.num_days, 1
        table = self._proposer.table
        while len(spot):
            lane, attempt = spot // places, attempts.reshape(-1)[spot]
            family = plan.family.reshape(-1)[spot]
            if attempt.max() >= MAX_ATTEMPTS:
                raise GenerationError(
                    f"scenario_family {ANOMALY_TYPES[family[attempt.argmax()]]!r} with anomaly_count "
                    f"{self.episode.anomaly_count}: no date and entity passed in {MAX_ATTEMPTS} draws; "
                    "ask for fewer anomalies or less noise"
                )
            plan.day.reshape(-1)[spot] = -1
            rounds = min(rounds, -(-(MAX_ATTEMPTS - int(attempt.max())) // RETRIES))
            looked = rounds * RETRIES
            turn = np.repeat(attempt, looked) + np.tile(np.arange(looked), len(spot))
            lanes = np.repeat(lane, looked)
            start = (turn * places + np.repeat(spot - lane * places, looked)) * WORDS_PER_DRAW
            unit = rng.unit(rng.words_at(keys[lanes], Stream.REDRAW, start, WORDS_PER_DRAW))
            day = self.candidates[(unit[0] * len(self.candidates)).astype(np.int64)]
            variant, size = self._proposer.draw(np.repeat(family, looked), unit[1], unit[2])
            size *= np.where(table.elastic.take(variant), 1.0 + STRETCH * np.maximum(turn - STRETCH_AFTER, 0), 1.0)
            targets = self._proposer.targets(values, lanes, variant, size)
            proposed = self._proposer.propose(values, targets, day[:, None])
            free = (plan.day[lanes] != day[:, None]).all(axis=1)
            fits = (proposed.fits[:, 0] & free).reshape(-1, looked)
            first = fits.argmax(axis=1)
            # An episode's first round with a fit is its last here: what is taken there is free no longer.
            its_round = np.where(fits.any(axis=1), first // RETRIES, rounds)
            last = np.full(len(keys), rounds - 1)
            np.minimum.at(last, lane, its_round)
            attempts.reshape(-1)[spot] = attempt + (last[lane] + 1) * RETRIES
            chosen = np.arange(len(spot)) * looked + first
            # Two incidents of an episode may choose one date: the first keeps it.
            cell = np.where(its_round == last[lane], lane * days + day[chosen], -1 - np.arange(len(spot)))
            done = np.zeros(len(spot), bool)
            done[np.unique(cell, return_index=True)[1]] = True
            done &= cell >= 0
            chosen = chosen[done]
            factors = self._proposer.factors(targets, proposed)[chosen, 0]
            self._accept(keys, plan, spot[done], 1 + turn[chosen], day[chosen], targets.take(chosen), factors)
            spot = spot[~done]
            rounds *= 2

    def _accept(
        self,
        keys: np.ndarray,
        plan: Plan,
        spot: np.ndarray,
        attempt: np.ndarray,
        day: np.ndarray,
        targets: Targets,
        factors: np.ndarray,
    ) -> None:
        """Write moves on (n,) days into the flat places ``spot`` of the plan."""
        plan.write(self._proposer.table, spot, day, targets, factors)
        plan.draw_hours(keys, Stream.RANKS, spot, attempt)
