"""What comes of playing agents: the figures of a plain loop, and the rows that they count."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents import Script, evaluate, get_agent
from agents.players.outcome import Fate
from metric_tracker_env import MetricDataGenerator, get_task
from metric_tracker_env.schema import ANOMALY_TYPES


class ReportsOnce(Script):
    """A user's own agent, outside the registry: opens the first date that a survey flags and reports what it can."""

    def play(self) -> Any:
        """Survey, open, report."""
        yield self.desk.survey
        day = int(np.flatnonzero(self.desk.flags().any(axis=0))[0])
        yield self.desk.open(day)
        for entity in np.flatnonzero(self.desk.confirmed(day)).tolist():
            yield self.desk.report(day, entity)


def test_evaluate_equals_a_hand_loop() -> None:
    """The evaluation is what the plain Gymnasium loop gives, through wrappers too."""
    seeds = range(5)
    result = evaluate("fixed_order", seeds, "medium_mixed")
    env = gym.make("metric_tracker_env:MetricTracker-v0", task="medium_mixed")
    agent = get_agent("fixed_order")(env)
    for i, seed in enumerate(seeds):
        observation, info = env.reset(seed=seed)
        agent.begin(seed)
        total, steps, over = 0.0, 0, False
        while not over:
            observation, reward, over, _, info = env.step(agent.act(observation, info))
            total, steps = total + float(reward), steps + 1
        episodes = result.episodes
        assert (episodes.score[i], episodes.episode_return[i], episodes.steps[i]) == (info["score"], total, steps)
        assert (episodes.cost[i], episodes.expected[i]) == (info["cost"], info["expected"])
        assert episodes.net[i] == pytest.approx(total) == pytest.approx(info["score"] - 0.005 * info["cost"])


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("name", ["threshold", "random", "one_by_one"])
def test_rows_tell_what_the_figures_count(name: str, view: str) -> None:
    """Matched, missed and extra rows of each episode give its score again, and each is the truth's or the draft's."""
    config = get_task("hard_mixed").config
    result = evaluate(name, range(60), "hard_mixed", options={"view": view})
    episodes, rows = result.episodes, list(zip(*dict(result.rows).values(), strict=True))
    assert rows == sorted(rows)
    generator = MetricDataGenerator(config.generator)
    for number, seed in enumerate(episodes.seed):
        own = [row[1:] for row in rows if row[0] == number]
        missed, matched, extra = (sum(row[3] == fate for row in own) for fate in Fate)
        assert missed + matched == episodes.expected[number]
        assert matched + extra == episodes.submitted[number]
        assert episodes.score[number] == pytest.approx(2 * matched / (2 * matched + missed + extra))
        episode = generator.generate_episode(config.episode_config(seed=seed))
        truth = {
            (config.generator.day_index(row.date), row.entity_type, row.entity_name) for row in episode.expected_rows
        }
        for day, entity, family, fate in own:
            described = episode.row(day, entity)
            assert described.anomaly_type == ANOMALY_TYPES[family]
            assert ((day, described.entity_type, described.entity_name) in truth) == (fate != Fate.EXTRA)
            assert episode.view.flagged[entity, day]


def test_workers_change_nothing() -> None:
    """Any number of processes gives the same evaluation, for the project's agents and for a user's own."""
    for agent in ("random", ReportsOnce):
        alone = evaluate(agent, range(110), "hard_mixed")
        assert evaluate(agent, range(110), "hard_mixed", workers=2) == alone
        assert len(alone.episodes.seed) == 110
