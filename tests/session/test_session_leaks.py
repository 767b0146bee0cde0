"""Leaks and tricks: what can be had of an episode without investigating it is worth nothing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from helpers_session import DATE, DATES, NAMED_TASKS, SEED, WORLDS, begun, in_both_worlds, show, told, truth

from metric_tracker_env import Session
from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.world.labels import CellClass

TELLTALE = re.compile(
    r"seed|expected(?!_change)|twin|consequence|natural|explained|effect|incident_of|anomaly_schedule",
    re.IGNORECASE,
)
BAD_ROWS = [{"date": DATE}, 3, {"seed": 1}]


@in_both_worlds
def test_no_answer_before_the_end_tells_the_truth(options: dict[str, Any]) -> None:
    """Whatever is called, good or bad, answers hold no word of the truth."""
    session = begun(**options | {"budget": 1000, "step_limit": 1000})
    answers = [session.call(tool, {}) for tool in ("truth", "reset", "rows_for_date", SUBMIT)]
    answers += [session.call(tool, {"rows": [row]}) for row in BAD_ROWS[:2] for tool in ("preview_submission", SUBMIT)]
    for name, spec in TOOLS.items():
        for date in DATES if "date" in spec.parameters else ("",):
            answers.append(session.call(name, {"date": date} if date else {}))
    assert not session.standing.done
    assert session.standing.grade is None
    for answer in answers:
        assert not TELLTALE.search(answer.text), answer
        assert str(SEED) not in answer.text
        assert {"grade", "episode", "reward"}.isdisjoint(answer.told)


@in_both_worlds
def test_the_reward_before_the_end_tells_the_cost_alone(options: dict[str, Any]) -> None:
    """Until the end the reward is what the units cost, whatever has been found."""
    session = begun(**options)
    rewards = [
        session.call(*call).reward for call in (("list_suspicious_dates", {}), ("rows_for_date", {"date": DATE}))
    ]
    assert rewards == pytest.approx([-4 * 0.005, -0.005])
    assert session.standing.reward == pytest.approx(-5 * 0.005)


def test_who_knows_the_brief_alone_scores_nothing() -> None:
    """Canary: without a call of a tool the best that can be submitted stays under 0.05 on average."""
    generator = EnvConfig().generator
    everything = [
        {
            "date": date,
            "entity_type": entity.entity_type,
            "entity_name": entity.entity_name,
            "anomaly_type": "rate_drop_from_median",
            "detection_method": entity.detection_method,
            "baseline_value": 0.0,
            "observed_value": 0.0,
            "delta_value": 0.0,
            "severity": "high",
        }
        for date in generator.date_names
        for entity in generator.catalogue.entities
    ]
    one_day = [row for row in everything if row["date"] == DATE]
    one_entity = [row for row in everything if row["entity_name"] == "app_opens:daytime_share"]
    played: list[dict[str, Any]] = [*({"task": task} for task in NAMED_TASKS), WORLDS["world"]]
    for options in played:
        session = Session(**options)
        for rows in ([], everything, one_day, one_entity, everything[:1]):
            scores: list[float] = []
            for seed in range(SEED, SEED + 15):
                session.begin(seed)
                scores.append(told(session, SUBMIT, rows=rows)["grade"]["score"])
            assert np.mean(scores) < 0.05, (options, len(rows))


@in_both_worlds
def test_a_submission_is_judged_once(options: dict[str, Any]) -> None:
    """Tricks of the original: an empty submission tells nothing that a second one could use, and earns nothing."""
    session = begun(**options)
    assert told(session, SUBMIT, rows=[])["done"]
    true = [row.model_dump() for row in session.episode().expected_rows]
    assert not session.call(SUBMIT, {"rows": true}).ok
    assert session.grade().score == 0.0
    assert session.standing.reward == 0.0


@in_both_worlds
def test_rows_cannot_be_pruned_by_feedback(options: dict[str, Any]) -> None:
    """A refused submission and a preview tell of form and shown data; true and false rows read the same."""
    session = begun(**options)
    episode = truth(session.config)
    true = episode.expected_rows[0]
    day = (episode.generator_config.day_index(true.date) + 1) % 28
    entity = episode.generator_config.catalogue.index[true.entity_type, true.entity_name]
    explained = np.argwhere(episode.classes == CellClass.EXPLAINED).tolist()
    assert bool(explained) == (episode.generator_config.world is not None)
    for row in (true, episode.row(day, entity), *(episode.row(*cell) for cell in explained[:2])):
        previewed = told(session, "preview_submission", rows=[row.model_dump()])["result"]["rows"][0]
        assert previewed["status"] == "not_shown"
        assert "faults" not in previewed
        refused = told(session, SUBMIT, rows=[row.model_dump(), {"date": row.date}])
        assert true.entity_name not in refused["error"].split("row 2:")[0]
        assert "row 1" not in refused["error"]
        assert {fault["row"] for fault in refused["faults"]} == {2}


@in_both_worlds
def test_constants_as_values_do_not_pass(options: dict[str, Any]) -> None:
    """Rows of the right cells with values 5.9 % off lose the weight of all three values."""
    session = begun(**options)
    rows = [row.model_dump() for row in truth(session.config).expected_rows]
    show(session, rows)
    for row in rows:
        for name in ("baseline_value", "observed_value", "delta_value"):
            row[name] = row[name] * 1.059 + 0.01
    assert told(session, SUBMIT, rows=rows)["grade"]["score"] == pytest.approx(0.88)
