"""The single environment: the engine with one lane."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from metric_tracker_env.base_env import (
    METADATA,
    OnEngine,
    check_action,
    check_render_mode,
    check_render_scale,
    episode_source,
    first_seed,
    observation_space,
    refuse_fixed,
    render_lane,
)
from metric_tracker_env.config import EnvConfig, check_seed
from metric_tracker_env.play.actions import Action
from metric_tracker_env.play.single import SingleEngine, Snapshot
from metric_tracker_env.scoring import Grade, score_draft
from metric_tracker_env.seal import Seal
from metric_tracker_env.tasks import build_config
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.rng import fresh_seed

ONE_LANE = np.zeros(1, np.int64)


class MetricTrackerEnv(OnEngine[SingleEngine], gym.Env[np.ndarray, np.int64]):
    """An analyst's work: find the incidents in weeks of funnel metrics with a budget of analysis tools.

    ## Description
    An episode is ``num_weeks`` (4) of daily and hourly counts of a funnel (app opens, menu opens, cart, orders,
    payments) with a few incidents, at most one a date. The agent spends a budget on tools that reveal cells (a date and
    an entity: a count, a conversion rate, a funnel step, the hourly mix, or data quality), reports the cells that it
    holds for root causes, and submits. Cells that follow from an incident, and cells that only weekday and trend carry
    past a threshold, look like incidents and are not.

    ## Action Space
    ``Discrete(A)``; ``env.unwrapped.actions`` encodes, decodes and spells actions. There are two views of the same
    game: ``view="focus"``, the default, looks at one date at a time, and ``view="board"`` has all dates side by side. A
    *family* is a kind of incident, such as a rate drop; a *scan* tells on which dates one shows. With the default
    ``costs`` a call of the class open, inspect or scan costs 1 unit and a survey 4, of a ``budget`` of 16. With 28
    dates d and 20 entities:

    | view | first | number | tool | cost |
    |---|---|---|---|---|
    | focus | 0 | 28 | rows_for_date of each date: focus it, reveal its counts and rates | open |
    | focus | 28 | 1 | rows_for_date of the earliest date that a scan flagged and that was not opened | open |
    | focus | 29 | 1 | hourly_rows_for_date of the date in focus | inspect |
    | focus | 30 | 1 | detect_funnel_break of the date in focus | inspect |
    | focus | 31 | 1 | check_impossible_counts of the date in focus | inspect |
    | focus | 32 | 20 | report of each entity of the date in focus | free |
    | focus | 52 | 21 | the scan of each family at 0.7, 1.0 and 1.5 thresholds | scan |
    | focus | 73 | 1 | list_suspicious_dates: all families at once | survey |
    | focus | 74 | 1 | submit | free |
    | board | 35 d + 0 | 1 | rows_for_date of date d | open |
    | board | 35 d + 1 | 1 | hourly_rows_for_date | inspect |
    | board | 35 d + 2 | 1 | detect_funnel_break | inspect |
    | board | 35 d + 3 | 1 | check_impossible_counts | inspect |
    | board | 35 d + 4 | 5 | compare_count_to_median of each count | inspect |
    | board | 35 d + 9 | 6 | compare_rate_to_median of each conversion | inspect |
    | board | 35 d + 15 | 20 | report of each entity | free |
    | board | 980 | 21 | the scan of each family at 0.7, 1.0 and 1.5 thresholds | scan |
    | board | 1001 | 1 | list_suspicious_dates | survey |
    | board | 1002 | 1 | submit | free |

    The mask ``info["action_mask"]`` (int8) and ``action_masks()`` (bool) tell which actions are legal. A tool is legal
    while the budget can pay it and it can tell something new (in the focus view every date but the one in focus may be
    opened again). ``report`` needs evidence: a tool has revealed the cell and its detection method confirms it.
    ``submit`` is always legal. An illegal action changes nothing and costs a step.

    ## Observation Space
    ``Box(L,)`` float32; ``env.unwrapped.observation_layout`` names the parts. Deviations are signed and in detection
    thresholds, clipped to +-5, and 0 until revealed. Flags hold the largest multiplier at which a scan flagged a date.
    *First* is where a part begins. Parts of 28 rows lie date after date: first all of the first date (76 numbers on the
    board; in the focus view 7 of ``flags`` and 1 of ``opened``), then all of the second.
    ``observation_layout.view(observation, "flags")`` cuts a part out.

    | view | part | shape | first |
    |---|---|---|---|
    | focus | revealed | (20,) | 0 |
    | focus | deviation | (20,) | 20 |
    | focus | reportable | (20,) | 40 |
    | focus | reported | (20,) | 60 |
    | focus | season | (1,) | 80 |
    | focus | focus_flags | (7,) | 81 |
    | focus | focus_calendar | (8,) | 88 |
    | focus | next_flags | (7,) | 96 |
    | focus | next_calendar | (8,) | 103 |
    | focus | waiting | (1,) | 111 |
    | focus | flags | (28, 7) | 112 |
    | focus | opened | (28,) | 119 |
    | focus | globals | (25,) | 336 |
    | board | revealed | (28, 20) | 0 |
    | board | deviation | (28, 20) | 20 |
    | board | season | (28,) | 40 |
    | board | reported | (28, 20) | 41 |
    | board | flags | (28, 7) | 61 |
    | board | calendar | (28, 8) | 68 |
    | board | globals | (25,) | 2128 |

    ## Rewards
    ``reward="terminal"``: at the end the score of the draft, minus ``step_cost`` (0.005) for each unit spent. It may be
    set at any time: ``env.unwrapped.step_cost = 0.01``.
    ``reward="dense"``: the change of the draft's score at each report instead, with the same return; it tells whether
    a report was right, so it is for training only. The score is 2 x right rows / (rows + expected rows), see
    ``scoring``.

    ## Starting State
    Nothing is revealed, no date is in focus, the whole budget is left. ``reset(seed=s)`` plays the episode that
    ``MetricDataGenerator.generate_episode`` makes of seed s; ``reset()`` goes on with the stream of that seed, episode
    after episode. Without any seed one is drawn, which ``np_random_seed`` tells, as in every environment of Gymnasium.

    ## Episode End
    Terminated after ``submit`` or at step ``step_limit`` (48), where the draft is submitted as it stands. Never
    truncated by itself. Where Gymnasium's ``TimeLimit`` truncates, ``env.unwrapped.end_episode()`` ends the episode and
    tells the score of its draft.

    ## Information
    ``action_mask`` (A,) int8, as ``action_space.sample`` takes it, and ``illegal_action`` (whether the last action was)
    at every step; at the end also ``score``, ``precision``, ``recall``, ``f1``, ``matched``, ``missing``, ``extra``,
    ``submitted``, ``expected``, ``cost`` and ``tool_calls``, and the episode's name: ``episode_seed`` and
    ``episode_number``, which episode of the seed's stream it was. ``env.unwrapped.grade()`` and ``.episode()`` tell the
    truth then, and only then; ``generate_episode(env.unwrapped.episode().config)`` makes the episode again.

    ## Arguments
    ``task``: name of a task, or a file, see ``find_task``; or ``config``: an ``EnvConfig``, a dict, or the path of a
    preset. On top of either, any field of ``EnvConfig`` by name: the episode's ``difficulty``, ``scenario_family``,
    ``anomaly_count``, ``anomaly_density`` and ``anomaly_generators``; and ``view``, ``reward``, ``budget``, ``costs``,
    ``step_cost``, ``step_limit``, ``generator``.
    ``render_mode``: "ansi" or "rgb_array"; ``render_scale``: size of a frame as a multiple of its own, 0.1 to 4.
    ``seal``: a ``Seal`` or its file, for scores that nobody can buy: the episodes of a seed are then others, which only
    who has the secret can make.
    ``reset`` takes those of the episode as ``options`` for one episode; the next, autoreset included, is as configured.
    ``env.unwrapped.set_episode_options(difficulty="hard")`` changes them for all episodes to come.

    ## Search
    ``env.unwrapped.snapshot()`` keeps where an episode stands, and ``restore`` goes back to it, as often as one likes
    and from after the end too; from there the same actions earn the same again, bit for bit. Each takes a few
    microseconds. The stream of episodes to come, ``step_cost`` and what wrappers count stay as they are: search on
    ``env.unwrapped``, and play what was found on ``env``:

    ```python
    import gymnasium as gym
    import numpy as np

    env = gym.make("metric_tracker_env:MetricTracker-v0", difficulty="easy")
    env.reset(seed=7)
    inner, draw, best = env.unwrapped, np.random.default_rng(0), (0.0, [])
    here = inner.snapshot()
    for _ in range(500):  # play on at random, and keep the actions that earned most
        inner.restore(here)
        earned, actions, over = 0.0, [], False
        while not over:
            actions.append(draw.choice(np.flatnonzero(inner.action_masks())))
            _, reward, over, _, _ = inner.step(actions[-1])
            earned += reward
        best = max(best, (earned, actions))
    inner.restore(here)
    results = [env.step(action) for action in best[1]]
    ```

    A snapshot tells nothing of the episode, nor does its repr. But a search finds out what an agent may not know: who
    goes back after ``submit`` knows the score. It is for planning, teaching and debugging with the environment at
    hand; an agent that is judged gets observations and masks alone.

    ## Vectorized environment
    ``gymnasium.make_vec`` builds ``MetricTrackerVectorEnv``: the same engine with many lanes, in all three autoreset
    modes.

    ## Version History
    * v0: first version.
    """

    metadata = METADATA
    _made_with = ("render_mode", "render_scale")

    def __init__(
        self,
        task: str | Path | None = None,
        config: EnvConfig | Mapping[str, object] | str | Path | None = None,
        render_mode: str | None = None,
        render_scale: float = 1.0,
        seal: Seal | str | Path | None = None,
        **options: Any,
    ) -> None:
        check_render_mode(render_mode)
        self.render_mode = render_mode
        self.render_scale = check_render_scale(render_scale)
        self._engine = SingleEngine(build_config(task, config, options), Seal.of(seal))
        self.observation_space = observation_space(self._engine)
        self.action_space = spaces.Discrete(len(self._engine.table))
        self._started = False
        super().reset(seed=fresh_seed())  # so that np_random_seed is a seed of ours when a reset is given none

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Starts the environment's stream of episodes anew; the first episode of seed s is the one that
                ``MetricDataGenerator.generate_episode`` makes of it. None goes on with the stream.
            options: For this episode only: any of scenario_family, difficulty, anomaly_density, anomaly_count,
                anomaly_generators; see ``set_episode_options`` for all episodes to come.

        Returns:
            Observation (L,) float32 and info.

        Raises:
            ValueError: for a bad seed or option; nothing has changed then.
        """
        check_seed(seed)
        special = episode_source(self._engine, options)
        anew = None if seed is None else int(seed)
        if seed is None and not self._started:
            anew = first_seed(self)
        self._engine.deal(ONE_LANE, special, [anew])
        super().reset(seed=None if seed is None else int(seed))
        self._started = True
        return self._engine.observation.copy(), self._info()

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do one action.

        Args:
            action: Index of an action, see ``actions``. An illegal one changes nothing, costs a step, and is told in
                ``info["illegal_action"]``.

        Returns:
            Observation (L,) float32, reward, terminated, truncated (always False) and info; at the end info holds
            the score and its parts.

        Raises:
            ValueError: if the action is not an index of an action.
            gymnasium.error.ResetNeeded: before the first reset and after the end of an episode.
        """
        engine = self._engine
        index = check_action(action, engine.size)
        if not engine.playing[0]:
            raise self._reset_needed("step")
        reward, done, illegal = engine.step_one(index)
        info: dict[str, Any] = {"action_mask": engine.legal.copy(), "illegal_action": illegal}
        if done:
            info |= engine.outcome_one()
        return engine.observation.copy(), reward, done, False, info

    def action_masks(self) -> np.ndarray:
        """(A,) bool: legal actions, as sb3-contrib asks for them."""
        return self._engine.mask[0].copy()

    def snapshot(self) -> Snapshot:
        """Where the episode stands, for ``restore``.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset and after the end of an episode.
        """
        if not self._engine.playing[0]:
            raise self._reset_needed("snapshot")
        return self._engine.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to where the episode stood, from any later or earlier step of it, or from after its end.

        Args:
            snapshot: What ``snapshot`` returned in this episode of this environment; it may be used again.

        Raises:
            ValueError: for a snapshot of another episode or another environment, or what is none; nothing has changed
                then.
        """
        if not isinstance(snapshot, Snapshot):
            raise ValueError(f"{snapshot!r} is not what snapshot() returned")
        self._engine.restore(snapshot)

    def resolve(self, action: int) -> Action:
        """The concrete tool call of an action now, with the date that it stands for.

        Raises:
            ValueError: if the action is no action, or there is no date that it stands for.
        """
        return self._engine.resolve(0, check_action(action, len(self._engine.table)))

    def grade(self) -> Grade:
        """The full grade of the episode that has ended.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way, or before the first.
        """
        episode = self.episode()
        return score_draft(self._engine.draft(0), episode)

    def episode(self) -> EpisodeData:
        """The episode that has ended, with its truth.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way, or before the first.
        """
        if not self._started or self._engine.playing[0]:
            raise gym.error.ResetNeeded("the truth is told when the episode has ended")
        return self._engine.episode(0)

    def render(self) -> str | np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Draw the episode as the agent has seen it; at the end with the truth.

        Returns:
            Text for "ansi", (H, W, 3) uint8 for "rgb_array", None without a render mode.
        """
        if self.render_mode is None:
            gym.logger.warn("render was called without a render_mode; give one to gymnasium.make")
            return None
        if not self._started:
            raise gym.error.ResetNeeded("render was called before the first reset; call reset")
        return render_lane(self._engine, 0, self.render_mode, self.render_scale)

    def end_episode(self) -> dict[str, Any]:
        """End the episode as it stands: for one that a time limit has cut off, whose draft nobody has submitted.

        Returns:
            Info as at the end of an episode, with the score of the draft. Also after an episode's own end.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if not self._started:
            raise gym.error.ResetNeeded("end_episode was called before the first reset; call reset")
        self._engine.end(0)
        return self._info() | self._engine.outcome_one()

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute through Gymnasium's wrappers, which else keep for themselves what is not known here.

        Raises:
            AttributeError: for what cannot be set; names what can be changed instead.
        """
        refuse_fixed(name, self._made_with)
        return super().set_wrapper_attr(name, value, force=force)

    def _info(self) -> dict[str, Any]:
        """What info tells where no action was illegal."""
        return {"action_mask": self._engine.legal.copy(), "illegal_action": False}

    def _reset_needed(self, asked: str) -> gym.error.ResetNeeded:
        when = "after the end of the episode" if self._started else "before the first reset"
        return gym.error.ResetNeeded(f"{asked} was called {when}; call reset")

    def __repr__(self) -> str:
        return f"<MetricTrackerEnv {self.config.view} view, {self.config.difficulty}>"
