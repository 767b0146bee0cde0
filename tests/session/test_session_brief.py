"""What an analyst is told at the beginning: true of every episode of the configuration, and silent about each."""

from __future__ import annotations

import re
from typing import Any

import pytest

from metric_tracker_env import Investigation, Session, Task
from metric_tracker_env.config import EnvConfig, FunnelStep, GeneratorConfig, ToolCosts, WorldConfig
from metric_tracker_env.play.actions import EVENTS_TOOL, SUBMIT
from metric_tracker_env.schema import ALL_SCENARIO_FAMILIES, MetricSubmissionRow
from metric_tracker_env.session import brief, call_schemas
from metric_tracker_env.tasks import TASKS, instruction_of
from metric_tracker_env.tools import TOOLS

OWN = TASKS["easy_single_spike"]


def begins(text: str) -> str:
    """The instruction, which is the first paragraph."""
    return text.split("\n\n")[0]


def test_the_brief_is_the_same_for_every_episode() -> None:
    """The brief names data, budget, tools and form of a row, and neither the seed nor how many incidents there are."""
    session = Session("hard_mixed")
    texts = {session.begin(seed) for seed in range(5)}
    texts |= {session.begin(1, anomaly_count=count) for count in (1, (2, 3), None)}
    texts |= {session.begin(1, anomaly_density="low", anomaly_count=None), session.begin(1, difficulty="easy")}
    assert len(texts) == 1
    text = texts.pop()
    assert text == session.brief
    assert len(text) < 6000
    offered = [name for name, spec in TOOLS.items() if spec.offered(session.config.generator)]
    assert EVENTS_TOOL not in text
    for word in (*offered, SUBMIT, "16 units", "48 calls", *MetricSubmissionRow.model_fields, "2026-03-04"):
        assert word in text
    assert not re.search(r"\bseed|\btwin|\d{5,}", text)


def test_there_is_no_brief_before_the_first_episode() -> None:
    """A session has nothing to tell until an episode has begun."""
    assert Session().brief == ""


WEEKS: list[tuple[int, str]] = [
    (1, "One week of funnel metrics holds one or more incidents, at most one a date. "),
    (2, "Two weeks of funnel metrics hold one or more incidents, at most one a date. "),
    (4, "Four weeks of funnel metrics hold one or more incidents, at most one a date. "),
    (12, "Twelve weeks of funnel metrics hold one or more incidents, at most one a date. "),
]


@pytest.mark.parametrize(("weeks", "words"), WEEKS)
def test_weeks_and_dates_are_those_of_the_data(weeks: int, words: str) -> None:
    """Another number of weeks is told, with a task as without, and so are its dates."""
    generator = GeneratorConfig(num_weeks=weeks)
    config = EnvConfig(generator=generator, anomaly_count=1)
    for told in (Session(config=config).begin(1), brief(config)):
        assert told.startswith(words)
        assert f"from {generator.date_names[0]} to 2026-03-31 ({7 * weeks} days)" in told
    task = Session("easy_single_spike", generator=generator, anomaly_count=1).begin(1)
    assert task.startswith(words)


FAMILIES: list[tuple[str, str]] = [
    ("mixed", ""),
    ("rate_drop_from_median", "Each is a drop of a conversion rate. "),
    ("rate_spike_from_median", "Each is a spike of a conversion rate. "),
    ("absolute_drop_in_event_count", "Each is a drop of an event count. "),
    ("absolute_spike_in_event_count", "Each is a spike of an event count. "),
    ("funnel_break", "Each is a funnel step that loses much of its rate. "),
    ("hourly_traffic_mix_shift", "Each is a shift of traffic between the hours of the day. "),
    ("instrumentation_data_quality_issue", "Each is a funnel step that is logged above the step before it. "),
]


@pytest.mark.parametrize(("family", "words"), FAMILIES)
def test_the_family_is_that_of_the_episode(family: Any, words: str) -> None:
    """A family that is asked for, by a configuration or for one episode, is told; "mixed" tells none."""
    expected = f"{WEEKS[2][1]}{words}Spend the budget on"
    session = Session("medium_mixed")
    for text in (session.begin(1, scenario_family=family), Session(scenario_family=family).begin(1)):
        assert text.startswith(expected)
    assert session.begin() == Session("medium_mixed").begin(1)  # for that episode only
    assert {name for name, _ in FAMILIES} == set(ALL_SCENARIO_FAMILIES)


NONE = (0, 0)
WORLDS: list[tuple[dict[str, Any], str]] = [
    ({}, " Much of what moves is none: events were announced, which may have come true or not, and hours were lost."),
    ({"gaps": NONE}, " Much of what moves is none: events were announced, which may have come true or not."),
    (
        {"events": (0, 3), "gaps": (0, 1)},
        " Much of what moves is none: events may have been announced, which may have come true or not, and hours may "
        "have been lost.",
    ),
    ({"events": NONE}, " Much of what moves is none: hours were lost."),
    ({"events": NONE, "gaps": NONE}, ""),
]


@pytest.mark.parametrize(("world", "words"), WORLDS)
def test_what_a_world_moves_is_told_as_it_is(world: dict[str, Any], words: str) -> None:
    """Nothing is said of events or lost hours that episodes never have, and what they may lack is only possible."""
    config = EnvConfig(generator=GeneratorConfig(world=WorldConfig(**world)), anomaly_count=1)
    assert f"each on one date or a few in a row.{words} Spend the budget" in instruction_of(config)


def test_explicit_generators_are_no_family() -> None:
    """Where dates and metrics are asked for one by one, nothing is told of a family or of the dates."""
    explicit = {"metric_name": "app_opens", "date": "2026-03-10", "stddev_factor": 8.0, "direction": "down"}
    text = Session("easy_single_spike").begin(1, anomaly_generators=[explicit])
    assert text.startswith("Four weeks of funnel metrics hold one or more incidents. Spend the budget on")
    assert "spike" not in begins(text)


def test_a_task_speaks_for_its_own_episodes() -> None:
    """A task's own words stand as long as the episodes are its own, whatever the budget; else they are derived."""
    session = Session(OWN.name)
    assert begins(session.begin(1)) == OWN.instruction
    assert begins(Session(OWN.name, budget=30, view="board").begin(1)) == OWN.instruction
    assert begins(session.begin(1, scenario_family="rate_spike_from_median", difficulty="easy")) == OWN.instruction
    changes: list[dict[str, Any]] = [{"scenario_family": "funnel_break"}, {"anomaly_count": 5}, {"difficulty": "hard"}]
    for options in changes:
        text = begins(session.begin(1, **options))
        assert text != OWN.instruction
        assert text == instruction_of(
            EnvConfig(**{**OWN.config.episode_config().model_dump(exclude={"seed", "number"}), **options})
        )
    assert begins(session.begin(1)) == OWN.instruction
    assert begins(session.begin(1, task="hard_mixed")) == instruction_of(TASKS["hard_mixed"].config)


def test_anybodys_task_may_have_words_of_its_own() -> None:
    """The words of a task are used for its configuration and for no other."""
    task = Task(name="mine", config=EnvConfig(anomaly_count=1), instruction="One thing went wrong.")
    assert begins(brief(task.config, task)) == "One thing went wrong."
    assert begins(brief(EnvConfig(), task)) == instruction_of(EnvConfig())
    assert begins(brief(EnvConfig(anomaly_count=1, generator=GeneratorConfig(num_weeks=3)), task)).startswith("Three")


@pytest.mark.parametrize("task", [task for task in TASKS.values() if task is not OWN], ids=lambda task: task.name)
def test_the_other_tasks_derive_their_words(task: Task) -> None:
    """Their instruction is that of their configuration."""
    assert task.instruction == instruction_of(task.config)


def test_every_door_tells_the_same_brief() -> None:
    """The methods' door and the session tell the same of an episode with options."""
    session, investigation = Session("easy_single_spike"), Investigation("easy_single_spike")
    plays: list[dict[str, Any]] = [
        {},
        {"scenario_family": "funnel_break"},
        {"task": "hard_mixed"},
        {"anomaly_count": 1},
    ]
    for options in plays:
        assert investigation.reset(seed=3, **options) == session.begin(3, **options)


def test_prices_and_limits_are_those_of_the_configuration() -> None:
    """Units, calls and what each tool costs follow the configuration."""
    text = brief(EnvConfig(budget=30, step_limit=99, costs=ToolCosts(open=2, survey=7, scan=3)))
    assert "Budget: 30 units and 99 calls." in text
    assert "\n- 2 units: rows_for_date\n" in text
    assert "\n- 2 units a date: show_raw_data\n" in text
    assert "\n- 7 units: list_suspicious_dates\n" in text
    assert "A bad call costs 1 unit; one that the budget cannot pay is refused and costs none." in text


def test_the_brief_of_another_funnel_names_its_own_tools() -> None:
    """A funnel without conversion rates is not offered the tool that compares them."""
    steps = (FunnelStep(name="leads", rate=0.4), FunnelStep(name="deals", rate=0.3))
    generator = GeneratorConfig(entry_step="visits", steps=steps, conversion_definitions=())
    text = brief(EnvConfig(generator=generator))
    assert "visits > leads > deals" in text
    assert "compare_rate_to_median" not in text
    assert "conversion_rate" not in text.split("What a tool costs")[0]
    names = [schema["function"]["name"] for schema in call_schemas(generator)]
    assert "compare_rate_to_median" not in names
    assert names[-1] == SUBMIT


def test_schemas_are_the_callers_to_change() -> None:
    """What one caller does to the schemas, the next does not see."""
    first = Session().schemas
    first[0]["function"].clear()
    first.clear()
    assert Session().schemas == call_schemas(GeneratorConfig())
    assert len(Session().schemas) == len(TOOLS)  # with submit, and without the tool of the realistic world
