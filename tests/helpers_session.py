"""A session under way, what its calls tell, and the truth of its episode, made beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import EpisodeData, MetricDataGenerator, Seal, Session
from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import SINGLE_TOOLS
from metric_tracker_env.schema import MetricSubmissionRow
from metric_tracker_env.tasks import HELD_OUT_SEEDS
from metric_tracker_env.tools.tables import from_tables

SEED = HELD_OUT_SEEDS.start
DATES = EnvConfig().generator.date_names
DATE = DATES[9]
NAMED_TASKS = ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")
# Options of sessions of the clean and of the realistic world; in these tests each episode has an incident.
WORLDS: dict[str, dict[str, Any]] = {"clean": {}, "world": {"task": "realistic_hard", "anomaly_count": (1, 4)}}
in_both_worlds = pytest.mark.parametrize("options", WORLDS.values(), ids=WORLDS)


def begun(seed: int = SEED, **options: Any) -> Session:
    """A session with an episode under way."""
    session = Session(**options)
    session.begin(seed)
    return session


def by_the_analyst(task: str, seed: int, seal: Seal | None = None) -> tuple[Session, list[str]]:
    """A session that the analyst in words has played, and the answers."""
    session, answers = Session(task, seal=seal), []
    session.begin(seed)

    def made(tool: str, arguments: dict[str, Any]) -> str:
        answers.append(session.call(tool, arguments).text)
        return answers[-1]

    converse(investigate(session.config.generator), made)
    return session, answers


def told(session: Session, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a call tells, as a reader of its JSON has it who takes the tables apart."""
    answer = json.loads(session.call(tool, arguments).text)
    return answer | {"result": from_tables(answer["result"])} if "result" in answer else answer


def show(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Pay for the cells of rows, so that they count: each row's detection method shows its cell."""
    for row in rows:
        named = ("date", "entity_name") if row["detection_method"] in SINGLE_TOOLS.values() else ("date",)
        assert session.call(row["detection_method"], {name: row[name] for name in named}).ok


def door(session: Session) -> Callable[[str, dict[str, Any]], str]:
    """The session as scripts call it."""
    return lambda tool, arguments: session.call(tool, arguments).text


def truth(config: EnvConfig, seed: int = SEED) -> EpisodeData:
    """The episode that a session with this configuration plays first."""
    return MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=seed))


def cells_of(result: Any) -> list[dict[str, Any]]:
    """The rows that a result shows, cut down to the fields of a row."""
    if isinstance(result, list):
        return [cell for item in result for cell in cells_of(item)]
    if not isinstance(result, dict):
        return []
    if "observed_value" in result and "detection_method" in result:
        return [{name: result[name] for name in MetricSubmissionRow.model_fields}]
    return [cell for item in result.values() for cell in cells_of(item)]
