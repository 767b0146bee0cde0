"""What is known of a world is told to who pays for it and to nobody else; and no world makes play go wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from helpers_env import VIEWS, bare, make_lanes, pick
from helpers_world import generator_configs, worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env import EnvConfig, EpisodeData, MetricTrackerEnv, Session, score_submission
from metric_tracker_env.config import GeneratorConfig, View, WorldConfig
from metric_tracker_env.play.actions import EVENTS_TOOL, FOCUSED, HOURLY_TOOL, REPORT
from metric_tracker_env.play.supply import CalendarData
from metric_tracker_env.schema import DIFFICULTIES, Difficulty
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.world.labels import CellClass

TASK = "realistic_medium"
STEPS = 30


def without_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing is known of episodes but their values, which stay as they are."""
    whole = CalendarData.of

    def nothing(*asked: Any) -> CalendarData:
        found = whole(*asked)
        return CalendarData.empty(len(found.family), found.expected.shape[1])

    monkeypatch.setattr(CalendarData, "of", nothing)


def played(view: View, tools: set[str], episodes: int = 6) -> list[bytes]:
    """What is shown, legal and paid in random play without some tools, in a single environment and in lanes."""
    env, envs, draws = bare(task=TASK, view=view), make_lanes(4, task=TASK, view=view), np.random.default_rng(0)
    left_out = [a for a in range(len(env.actions)) if env.actions.decode(a).tool in tools]
    told: list[bytes] = []
    for seed in range(episodes):
        observation, info = env.reset(seed=seed)
        observations, infos = envs.reset(seed=seed)
        for _ in range(STEPS):
            told += [observation.tobytes(), info["action_mask"].tobytes()]
            told += [observations.tobytes(), infos["action_mask"].tobytes()]
            mask, masks = info["action_mask"].copy(), infos["action_mask"].copy()
            mask[left_out], masks[:, left_out] = 0, 0
            observation, reward, over, _, info = env.step(pick(draws, mask))
            observations, rewards, *_, infos = envs.step(np.array([pick(draws, row) for row in masks]))
            told += [np.float64(reward).tobytes(), rewards.tobytes()]
            if over:
                break
    return told


@pytest.mark.parametrize("view", VIEWS)
def test_the_calendar_shows_nowhere_before_it_is_paid_for(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who neither lists the events nor looks at hours sees the same bytes in a world of which nothing is known."""
    unpaid = played(view, {EVENTS_TOOL, HOURLY_TOOL})
    paid = [bought(view, tool) for tool in (EVENTS_TOOL, HOURLY_TOOL)]
    without_calendar(monkeypatch)
    assert played(view, {EVENTS_TOOL, HOURLY_TOOL}) == unpaid
    for tool, before in zip((EVENTS_TOOL, HOURLY_TOOL), paid, strict=True):
        assert bought(view, tool) != before


def bought(view: View, tool: str) -> list[bytes]:
    """What is shown when the events are listed, or the hours of every date looked at."""
    env = bare(task=TASK, view=view, budget=100, step_limit=100)
    observation, _ = env.reset(seed=0)
    told: list[bytes] = []
    for date in env.config.generator.date_names if tool == HOURLY_TOOL else ("",):
        if not date:
            observation, *_ = env.step(env.actions.encode(tool))
        else:
            env.step(env.actions.encode("rows_for_date", date=date))
            observation, *_ = env.step(env.actions.encode(tool, date=FOCUSED if view == "focus" else date))
        told.append(observation.tobytes())
    return told


def test_tools_tell_nothing_of_the_calendar_but_the_one_that_lists_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """All other answers, good and bad, and what is told of the session are the same when nothing was announced."""

    def told() -> list[str]:
        session = Session(TASK, budget=400, step_limit=400)
        found: list[str] = []
        for seed in range(3):
            found.append(session.begin(seed))
            for date in session.config.generator.date_names:
                tools = ("rows_for_date", HOURLY_TOOL, "detect_funnel_break", "check_impossible_counts")
                found += [session.call(tool, {"date": date}).text for tool in tools]
            tools = ("task_overview", "list_entities", "list_suspicious_dates", "get_funnel_break_rows")
            found += [session.call(tool, {}).text for tool in tools]
            found += [session.call(EVENTS_TOOL, {"date": "x"}).text, session.call("nothing", {}).text, repr(session)]
        return found

    def listed() -> str:
        session = Session(TASK)
        session.begin(0)
        return session.call(EVENTS_TOOL, {}).text

    before, some = told(), listed()
    monkeypatch.setattr(EpisodeData, "known_events", property(lambda _: []))
    assert told() == before
    assert listed() != some


def test_listing_the_events_tells_nothing_of_what_came_true() -> None:
    """Every field of the answer is one of the announcement; a second listing says the same, for the same price."""
    session = Session(TASK)
    for seed in range(10):
        session.begin(seed)
        first, second = session.call(EVENTS_TOOL, {}), session.call(EVENTS_TOOL, {})
        assert (first.cost, second.cost, first.result) == (2, 2, second.result)
        session.call("submit", {"rows": []})
        episode = session.episode()
        assert first.result is not None
        assert from_tables(first.result)["events"] == [
            json.loads(event.model_dump_json()) for event in episode.known_events
        ]
        assert not {"effect", "came_true", "event_effects"} & set(json.dumps(first.result).split('"'))


@pytest.mark.parametrize("view", VIEWS)
def test_reports_of_explained_cells_never_pay(view: View) -> None:
    """With the dense reward a report of an explained cell lowers the draft's score or leaves it at nothing."""
    env = bare(task="realistic_hard", view=view, reward="dense", budget=400, step_limit=400, step_cost=0.0)
    draws, explained = np.random.default_rng(0), 0
    for seed in range(8):
        _, info = env.reset(seed=seed)
        classes, over = env._engine.episode(0).classes, False  # pyright: ignore[reportPrivateUsage]
        index = env.config.generator.catalogue.index
        while not over:
            action = pick(draws, info["action_mask"], submit=0.0)
            call = env.resolve(action)
            _, reward, over, _, info = env.step(action)
            if call.tool != REPORT:
                continue
            named = call.arguments
            day = env.config.generator.day_index(str(named["date"]))
            entity = index[named["entity_type"], named["entity_name"]]  # pyright: ignore[reportArgumentType]
            if classes[day, entity] == CellClass.EXPLAINED:
                explained += 1
                assert reward <= 0.0
    assert explained > 20


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    generator_configs(),
    worlds(),
    st.sampled_from(DIFFICULTIES),
    st.sampled_from(VIEWS),
    st.integers(0, 2),
    st.integers(1, 40),
)
def test_any_world_of_any_funnel_is_played(
    generator: GeneratorConfig, world: WorldConfig, difficulty: Difficulty, view: View, high: int, budget: int
) -> None:
    """Observations stay in their space, and rewards and the end are what the grade says."""
    config = generator.model_copy(update={"world": world})
    fields = {"generator": config, "difficulty": difficulty, "view": view, "anomaly_count": (0, high)}
    env = MetricTrackerEnv(config=EnvConfig.model_validate(fields | {"budget": budget, "step_limit": 60}))
    draws = np.random.default_rng(budget)
    for seed in range(2):
        observation, info = env.reset(seed=seed)
        over, paid = False, 0.0
        while not over:
            assert env.observation_space.contains(observation)
            assert not np.signbit(observation[observation == 0]).any()
            observation, reward, over, _, info = env.step(pick(draws, info["action_mask"]))
            paid += float(reward)
        grade = env.grade()
        assert info["score"] == pytest.approx(grade.score)
        assert paid == pytest.approx(grade.score - env.config.step_cost * info["cost"])
        assert info["cost"] <= budget
        episode = env.episode()
        assert (episode.view.flagged == (episode.classes > 0).T).all()
        assert score_submission(episode.expected_rows, episode).score == 1.0
