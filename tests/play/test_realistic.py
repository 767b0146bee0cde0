"""The realistic tasks are played by the same engine: rewards count rows, and quiet episodes are scored fairly."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_env import VIEWS, bare, make_lanes, pick_lanes, play

from metric_tracker_env import MetricDataGenerator, get_task, score_submission
from metric_tracker_env.config import View
from metric_tracker_env.world.labels import CellClass

TASKS = ("realistic_easy", "realistic_medium", "realistic_hard", "quiet_weeks")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("task", TASKS)
def test_realistic_tasks_are_played(task: str, view: View) -> None:
    """Random play ends with what the grade of its draft says, in the episode that its seed makes."""
    env = bare(task=task, view=view, step_cost=0.0)
    config = get_task(task).config
    generator, rng = MetricDataGenerator(config.generator), np.random.default_rng(0)
    expected, explained = 0, 0
    for seed in range(12):
        end = play(env, seed, rng)[-1]
        episode = generator.generate_episode(config.episode_config(seed=seed))
        grade = env.grade()
        assert (env.episode().classes == episode.classes).all()
        assert end.info["expected"] == grade.expected == len(episode.expected_rows)
        assert end.info["expected"] == np.count_nonzero(episode.classes == CellClass.EXPECTED)
        assert end.reward == end.info["score"] == pytest.approx(grade.score)
        for name in ("precision", "recall", "f1", "matched", "missing", "extra", "submitted"):
            assert end.info[name] == pytest.approx(getattr(grade, name)), name
        assert grade.extra == sum(
            getattr(grade, f"extra_{kind}") for kind in ("consequence", "natural", "explained", "other")
        )
        expected += grade.expected
        explained += grade.extra_explained
    assert expected > 0
    assert explained > 0


@pytest.mark.parametrize("view", VIEWS)
def test_lanes_play_what_the_single_environment_plays(view: View) -> None:
    """Lane i seeded s goes through the episodes of the single environment seeded s + i, in a world as well."""
    envs = make_lanes(3, task="realistic_hard", view=view)
    singles = [bare(task="realistic_hard", view=view) for _ in range(3)]
    observations, infos = envs.reset(seed=5)
    for lane, env in enumerate(singles):
        assert (env.reset(seed=5 + lane)[0] == observations[lane]).all()
    rng = np.random.default_rng(1)
    over = np.zeros(3, bool)
    ended = 0
    for _ in range(120):
        actions = pick_lanes(rng, infos["action_mask"])
        observations, rewards, terminated, _, infos = envs.step(actions)
        for lane, env in enumerate(singles):
            if over[lane]:
                observation, reward = env.reset()[0], 0.0
            else:
                observation, reward = env.step(int(actions[lane]))[:2]
            assert (observation == observations[lane]).all()
            assert reward == rewards[lane]
        over = terminated
        ended += int(terminated.sum())
    assert ended > 5


@pytest.mark.parametrize("config", [{}, {"task": "realistic_medium"}], ids=["clean", "world"])
@pytest.mark.parametrize("reward", ["terminal", "dense"])
def test_a_quiet_episode_is_scored_by_what_was_left_alone(config: dict[str, str], reward: str) -> None:
    """With nothing to find, an empty submission is perfect and any row is worth nothing, to engine and grade alike."""
    env = bare(**config, anomaly_count=0, step_cost=0.0, reward=reward, difficulty="hard", budget=40, view="board")
    submit = len(env.actions) - 1
    env.reset(seed=3)
    *_, info = env.step(submit)
    grade = env.grade()
    assert (info["score"], info["precision"], info["recall"], info["expected"]) == (1.0, 1.0, 1.0, 0)
    assert (grade.score, grade.precision, grade.recall, grade.f1) == (1.0, 1.0, 1.0, 1.0)

    reported = 0
    _, info = env.reset(seed=3)
    done = False
    while not done:
        reports = [
            index
            for index in np.flatnonzero(info["action_mask"]).tolist()
            if env.actions.decode(index).tool == "report"
        ]
        opens = [index for index in np.flatnonzero(info["action_mask"]).tolist() if index != submit]
        action = submit if reported else (reports or opens)[0]
        reported += action in reports
        _, _, done, _, info = env.step(action)
    assert reported == 1
    grade = env.grade()
    assert (info["score"], info["precision"], info["recall"], info["extra"]) == (0.0, 0.0, 0.0, 1)
    assert (grade.score, grade.precision, grade.recall, grade.extra) == (0.0, 0.0, 0.0, 1)


def test_explained_rows_are_told_with_their_cause() -> None:
    """A row of an explained cell is extra; the grade counts it as such and names the event or the lost hours."""
    config = get_task("realistic_hard").config
    generator = MetricDataGenerator(config.generator)
    causes = set()
    for seed in range(30):
        episode = generator.generate_episode(config.episode_config(seed=seed))
        cells = np.argwhere(episode.classes == CellClass.EXPLAINED).tolist()
        grade = score_submission(
            [*episode.expected_rows, *(episode.row(day, entity) for day, entity in cells)], episode
        )
        assert (grade.extra, grade.extra_explained) == (len(cells), len(cells))
        assert grade.missing == grade.invalid == grade.extra_natural == grade.extra_consequence == 0
        told = [issue for issue in grade.issues if "is explained: " in issue]
        assert len(told) == len(grade.issues) == len(cells)
        for event, effect in zip(episode.known_events, episode.event_effects, strict=True):
            named = [issue for issue in told if f"{event.kind.replace('_', ' ')} of {event.first_date}" in issue]
            assert effect or not named
            assert all(f"{event.entity_type} {event.entity_name}" in issue for issue in named)
            causes |= {event.kind} if named else set()
        for gap in episode.gaps:
            cause = f"on {gap.date} is explained: the hours from {gap.first_hour} to {gap.last_hour} of that date"
            causes |= {"gap"} if any(cause in issue for issue in told) else set()
    assert len(causes) == 9
