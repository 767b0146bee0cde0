"""A session: one analyst's episodes, one after another, played by calling tools by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded

from metric_tracker_env.config import EnvConfig, check_seed, checked_seeds
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.render.scene import Scene
from metric_tracker_env.scoring import Grade
from metric_tracker_env.seal import Seal
from metric_tracker_env.session.answers import NOT_BEGUN, Answer, Standing
from metric_tracker_env.session.brief import brief
from metric_tracker_env.session.round import Round
from metric_tracker_env.session.schemas import call_schemas
from metric_tracker_env.tasks import build_config, find_task, get_task
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.rng import fresh_seed

LANE = np.zeros(1, np.int64)
MOST_TOLD = 100_000  # seeds that a session remembers, so that its memory has a bound


class Session:
    """What a server, an evaluation or a page plays an agent that calls tools with.

    It is the engine of the discrete environment behind another door: the same episodes, budget, costs, evidence and
    grade. Making one costs nothing; the engine is made by the first ``begin``. Sessions share nothing that changes, so
    that each may be played in a thread of its own.

    Args:
        task: Task to play unless ``begin`` names one: a registered name, or a file.
        config: Instead of a task, an ``EnvConfig``, a dict, or the path of a preset.
        names_episodes: Whether the player is told at the end which episode it was. Not where the next one must not be
            guessed from that.
        seal: Plays the sealed episodes instead of the public ones; a ``Seal``, or the path of its file.
        options: Fields of ``EnvConfig`` on top of either.

    Raises:
        ValueError: for an unknown task, key or file, a bad value, both a task and a config, or a seal that cannot be
            read.
    """

    def __init__(
        self,
        task: str | Path | None = None,
        config: EnvConfig | Mapping[str, object] | str | Path | None = None,
        *,
        names_episodes: bool = True,
        seal: Seal | str | Path | None = None,
        **options: Any,
    ) -> None:
        self._task = None if task is None else find_task(task)
        self._options, self._names_episodes, self._seal = options, names_episodes, Seal.of(seal)
        self._config = build_config(task, config, options)
        self._engine: Engine | None = None
        self._round: Round | None = None
        self._told: set[int] = set()  # seeds of episodes whose grade was told
        self._practice = False
        self._brief = ""

    def __repr__(self) -> str:
        return f"<Session, {self._config.difficulty}>"

    @property
    def task(self) -> str | None:
        """Name of the task that is played, if it is one."""
        return None if self._task is None else self._task.name

    @property
    def config(self) -> EnvConfig:
        """What is played, without the options of a ``begin``."""
        return self._config

    @property
    def brief(self) -> str:
        """What an analyst is told at the beginning of the episode; empty before the first."""
        return self._brief

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The tools and ``submit`` in OpenAI's function form, with the names and dates of the configuration."""
        return call_schemas(self._config.generator)

    @property
    def standing(self) -> Standing:
        """Where the play stands."""
        if self._round is not None:
            return self._round.standing
        budget, calls = self._config.budget, self._config.step_limit
        return Standing(False, False, 0.0, budget, cost=0, tool_calls=0, steps=0, calls_left=calls)

    def begin(self, seed: int | None = None, task: str | None = None, **options: Any) -> str:
        """Begin an episode, which ends one that is under way.

        Args:
            seed: The episode is the one that ``MetricTrackerEnv.reset(seed=seed)`` plays. None goes on with the stream
                of episodes, or starts one.
            task: Registered task to play from now on; whoever plays may choose one, but not open files.
            options: For this episode only: scenario_family, difficulty, anomaly_density, anomaly_count,
                anomaly_generators.

        Returns:
            The brief: what the data are, what to submit, the budget and the tools.

        Raises:
            ValueError: for a bad seed, task or option; nothing has changed then.
        """
        check_seed(seed)
        chosen, config, engine = self._task, self._config, self._engine
        if task is not None and task != self.task:
            chosen = get_task(task)
            config, engine = build_config(None, chosen.config, self._options), None
        anew = None if seed is None else int(seed)
        if engine is None or self._round is None:
            engine = Engine(config, 1, self._seal) if engine is None else engine
            anew = fresh_seed() if anew is None else anew
        source = engine.source(options)
        played = build_config(config=config, options=options)
        self._remember()
        engine.deal(LANE, source, [anew])

        self._practice = seed in self._told
        self._task, self._config, self._engine = chosen, config, engine
        self._brief = brief(played, chosen)
        self._round = Round(engine, self._names_episodes)
        return self._brief

    def prepare(self, seeds: Sequence[int]) -> None:
        """Make the first episodes of seeds together, for many ``begin`` to come; see ``MetricTrackerEnv.prepare``.

        Raises:
            ValueError: for a bad seed; nothing has changed then.
        """
        checked = checked_seeds(seeds)
        if self._engine is None:
            self._engine = Engine(self._config, 1, self._seal)
        self._engine.prepare(checked)

    def call(self, tool: str, arguments: Mapping[str, object], positional: Sequence[object] = ()) -> Answer:
        """Call a tool or ``submit`` by name, as a language model does.

        A bad call is an answer that says what is allowed, and costs a unit; it never raises. An episode ends with
        ``submit``, or when no call is left: then nothing counts as submitted. The answer to the call that ends it
        holds the grade, the reward of the episode, and which episode it was.

        Args:
            tool: Name of the tool. One that there is not, is a bad call.
            arguments: Arguments by name, as decoded from JSON. What is no object, is a bad call.
            positional: Arguments by position, before those by name.
        """
        return NOT_BEGUN if self._round is None else self._round.call(tool, arguments, positional)

    @property
    def practice(self) -> bool:
        """Whether the episode under way, or that has ended, has a seed that was played to its end here before."""
        return self._practice

    def _remember(self) -> None:
        """Note the seed of an episode that has ended; whoever played it may know its truth."""
        if self._engine is not None and self.standing.done:
            seed, number = self._engine.name(0)
            if number == 0 and len(self._told) < MOST_TOLD:
                self._told.add(seed)

    @property
    def revealed(self) -> np.ndarray:
        """(D, E) bool: cells whose values tools have shown in the episode under way, or that has ended.

        Raises:
            gymnasium.error.ResetNeeded: before the first episode.
        """
        return self._begun().progress(0).revealed

    def scene(self, reported: np.ndarray | None = None) -> Scene:
        """What may be drawn of the episode: before its end what was paid for, then the truth as well.

        Args:
            reported: (D, E) bool, cells of a draft that the player keeps; none unless given.

        Raises:
            gymnasium.error.ResetNeeded: before the first episode.
        """
        engine = self._begun()
        progress = engine.progress(0)
        if reported is not None:
            progress = progress._replace(reported=reported)
        return Scene(engine.config, engine.episode(0), progress, self.standing.done)

    def _begun(self) -> Engine:
        if self._engine is None or self._round is None:
            raise ResetNeeded("begin an episode first")
        return self._engine

    def grade(self) -> Grade:
        """The grade of the episode that has ended.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way, or before the first.
        """
        grade = self.standing.grade
        if grade is None:
            raise ResetNeeded("the grade is told when the episode has ended")
        return grade

    def episode(self) -> EpisodeData:
        """The episode that has ended, with its truth.

        Raises:
            gymnasium.error.ResetNeeded: while an episode is under way, or before the first.
        """
        if self._engine is None or not self.standing.done:
            raise ResetNeeded("the truth is told when the episode has ended")
        return self._engine.episode(0)
