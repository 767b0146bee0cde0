"""The action table: every action is one tool call, found again from its name, its arguments and its text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from helpers_env import VIEWS, bare, generator_configs
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env.config import GeneratorConfig, ToolCosts, View
from metric_tracker_env.measure import SCAN_MULTIPLIERS
from metric_tracker_env.play.actions import FOCUSED, NEXT_FLAGGED, WITHOUT_TOOL, Action, ActionTable, Day
from metric_tracker_env.schema import ANOMALY_TYPES
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit

SCANS = [f"get_{family}_rows" for family in ANOMALY_TYPES for _ in SCAN_MULTIPLIERS]
INSPECTIONS = ["hourly_rows_for_date", "detect_funnel_break", "check_impossible_counts"]
END = [*SCANS, "list_suspicious_dates", "submit"]


def table(view: View, config: GeneratorConfig | None = None, costs: ToolCosts | None = None) -> ActionTable:
    return ActionTable(config or GeneratorConfig(), costs or ToolCosts(), view)


def assert_round_trip(actions: ActionTable) -> None:
    """Every index is found again from its call and from its text, and no two actions are alike."""
    texts: set[str] = set()
    for index in range(len(actions)):
        call, text = actions.decode(index), actions.text(index)
        assert actions.encode(call.tool, **call.arguments) == index
        assert actions.parse(text) == index
        assert actions.parse(f"  {text}\n") == index
        assert text == str(call)
        texts.add(text)
    assert len(texts) == len(actions)


@pytest.mark.parametrize("view", VIEWS)
def test_round_trip(view: View) -> None:
    """Over the default funnel, encode, decode, text and parse agree on every action."""
    assert_round_trip(table(view))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(generator_configs(), st.sampled_from(VIEWS))
def test_round_trip_of_any_funnel(config: GeneratorConfig, view: View) -> None:
    """Whatever the funnel and the weeks, the table is complete and its round trip holds."""
    actions = table(view, config)
    assert_round_trip(actions)
    days, entities = config.num_days, config.catalogue.num_entities
    compared = config.catalogue.num_steps + len(config.catalogue.conversions)
    per_date = 1 + len(INSPECTIONS) + compared + entities
    expected = days + 1 + len(INSPECTIONS) + entities if view == "focus" else days * per_date
    assert len(actions) == expected + len(END)


@pytest.mark.parametrize("view", VIEWS)
def test_the_environment_has_this_table(view: View) -> None:
    """The action space has one number for each action of env.unwrapped.actions."""
    env = bare(view=view)
    assert env.action_space.n == len(env.actions) == {"focus": 75, "board": 1003}[view]  # pyright: ignore[reportAttributeAccessIssue]
    fresh = table(view)
    assert [env.actions.text(i) for i in range(len(fresh))] == [fresh.text(i) for i in range(len(fresh))]


@pytest.mark.parametrize("view", VIEWS)
def test_the_day_of_an_action_is_that_of_its_date(view: View) -> None:
    """Its index, or the stand-in that its text names; an action about no date is about neither stand-in."""
    config = GeneratorConfig()
    actions = table(view, config)
    days = {date: day for day, date in enumerate(config.date_names)}
    days |= {FOCUSED: int(Day.FOCUSED), NEXT_FLAGGED: int(Day.NEXT_FLAGGED)}
    dates = [actions.decode(index).arguments.get("date") for index in range(len(actions))]
    assert actions.day.tolist() == [0 if date is None else days[str(date)] for date in dates]


def test_order_of_the_focus_view() -> None:
    """Dates to open, the next flagged one, inspections and reports of the date in focus, scans, survey, submit."""
    config = GeneratorConfig()
    actions = table("focus")
    calls = [actions.decode(i) for i in range(len(actions))]
    assert calls[:28] == [Action("rows_for_date", {"date": date}) for date in config.date_names]
    assert calls[28] == Action("rows_for_date", {"date": "next_flagged"})
    assert calls[29:32] == [Action(name, {"date": "focused"}) for name in INSPECTIONS]
    assert calls[32:52] == [
        Action("report", {"date": "focused", "entity_type": e.entity_type, "entity_name": e.entity_name})
        for e in config.catalogue.entities
    ]
    assert [call.tool for call in calls[52:]] == END


def test_order_of_the_board_view() -> None:
    """Date by date its tools, then its reports; then scans, survey, submit."""
    config = GeneratorConfig()
    actions = table("board")
    calls = [actions.decode(i) for i in range(len(actions))]
    counts = [Action("compare_count_to_median", {"entity_name": name}) for name in config.catalogue.count_metrics]
    rates = [Action("compare_rate_to_median", {"entity_name": c.name}) for c in config.catalogue.conversions]
    opening = [Action(name, {}) for name in ("rows_for_date", *INSPECTIONS)]
    reports = [
        Action("report", {"entity_type": e.entity_type, "entity_name": e.entity_name})
        for e in config.catalogue.entities
    ]
    block = [*opening, *counts, *rates, *reports]
    expected = [Action(c.tool, {"date": date, **c.arguments}) for date in config.date_names for c in block]
    assert calls[: len(expected)] == expected
    assert [call.tool for call in calls[len(expected) :]] == END


@pytest.mark.parametrize("view", VIEWS)
def test_multipliers_of_the_scans(view: View) -> None:
    """Each family is scanned at 0.7, 1.0 and 1.5 of the threshold, in this order."""
    actions = table(view)
    found = [
        actions.decode(i).arguments.get("threshold_multiplier") for i in range(len(actions) - len(END), len(actions))
    ]
    assert found == [*(0.7, 1.0, 1.5) * 7, None, None]


@pytest.mark.parametrize("view", VIEWS)
def test_names_and_arguments_are_those_of_the_tools(view: View) -> None:
    """An action other than report and submit names a registered tool and arguments that this tool has."""
    actions = table(view)
    for index in range(len(actions)):
        call = actions.decode(index)
        if call.tool not in {"report", "submit"}:
            assert set(call.arguments) <= set(TOOLS[call.tool].parameters)


@pytest.mark.parametrize("view", VIEWS)
def test_costs_are_those_of_the_tools_class(view: View) -> None:
    """A legal call costs what its tool's class costs; what is reported or submitted is free."""
    costs = {"open": 2, "inspect": 3, "scan": 5, "survey": 7}
    env = bare(view=view, costs=costs, budget=1000, step_limit=5000)
    for index in range(0, len(env.actions), 1 if view == "focus" else 17):
        env.reset(seed=0)
        call = env.actions.decode(index)
        if call.arguments.get("date") == "focused":
            env.step(0)
        if call.arguments.get("date") == "next_flagged":
            env.step(env.actions.encode("list_suspicious_dates"))
        _, reward, _, _, info = env.step(index)
        if call.tool in {"report", "submit"}:
            assert reward == 0.0
        else:
            assert not info["illegal_action"]
            assert reward == pytest.approx(-env.config.step_cost * costs[TOOLS[call.tool].cost])


def test_resolve_names_the_date() -> None:
    """A stand-in for a date becomes the date; without one to stand for it is an error that says so."""
    env = bare(anomaly_count=7, difficulty="easy")
    env.reset(seed=0)
    inspect = env.actions.encode("detect_funnel_break", date="focused")
    following = env.actions.encode("rows_for_date", date="next_flagged")
    for action in (inspect, following):
        with pytest.raises(ValueError, match=r"no date"):
            env.resolve(action)
    env.step(5)
    assert env.resolve(inspect) == Action("detect_funnel_break", {"date": env.config.generator.date_names[5]})
    observation, *_ = env.step(env.actions.encode("list_suspicious_dates"))
    flagged = np.flatnonzero(env.observation_layout.view(observation, "flags").any(axis=1))
    first = next(day for day in flagged if day != 5)
    assert env.resolve(following).arguments["date"] == env.config.generator.date_names[first]
    assert env.actions.decode(following).arguments["date"] == "next_flagged"


def test_a_decoded_action_is_the_callers_own() -> None:
    """Changing the arguments of a decoded action does not change the table."""
    actions = table("focus")
    actions.decode(3).arguments["date"] = "never"
    assert actions.decode(3).arguments["date"] == GeneratorConfig().date_names[3]


# Bad calls


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("index", [-1, 10**30, 1.0, True, "0", None, np.array([1]), float("nan"), np.bool_(True)])
def test_indices_that_are_none(view: View, index: Any) -> None:
    """What is not the index of an action is refused with the value and the range."""
    actions = table(view)
    for ask in (actions.decode, actions.text):
        with pytest.raises(ValueError, match=rf"{re.escape(repr(index))}.*0 to {len(actions) - 1}"):
            ask(index)
    with pytest.raises(ValueError, match=rf"{len(actions)} .*0 to {len(actions) - 1}"):
        actions.decode(len(actions))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("tool", ["rows_for_dates", "", "show_raw_data", "Submit"])
def test_unknown_tools(view: View, tool: str) -> None:
    """A tool that is no action is refused with its name and those that are."""
    actions = table(view)
    for ask in (lambda: actions.encode(tool), lambda: actions.parse(f"{tool or 'nil'}()")):
        with pytest.raises(ValueError, match=r"rows_for_date.*submit") as caught:
            ask()
        assert repr(tool or "nil") in str(caught.value) or repr(tool) in str(caught.value)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("rows_for_date", {}),
        ("rows_for_date", {"date": "2020-01-01"}),
        ("rows_for_date", {"date": "2026-03-10", "limit": 3.0}),
        ("rows_for_date", {"day": "2026-03-10"}),
        ("rows_for_date", {"date": 3.0}),
        ("get_funnel_break_rows", {"threshold_multiplier": 2.0}),
        ("get_funnel_break_rows", {"threshold_multiplier": float("nan")}),
        ("submit", {"rows": "all"}),
        ("report", {"date": "focused", "entity_type": "event_count", "entity_name": "nope"}),
    ],
)
def test_unknown_arguments(tool: str, arguments: dict[str, Any]) -> None:
    """Arguments that are no action are refused with what was given and an example of what is allowed."""
    actions = table("focus")
    with pytest.raises(ValueError, match=tool) as caught:
        actions.encode(tool, **arguments)
    message = str(caught.value)
    assert all(name in message and repr(value) in message for name, value in arguments.items())
    assert actions.decode(actions.parse(message[message.rindex(f"{tool}(") :])).tool == tool


@pytest.mark.parametrize("value", [["2026-03-10"], {"date": "2026-03-10"}, np.zeros(2)])
def test_arguments_of_another_type(value: Any) -> None:
    """An argument that is neither text nor a number is refused like any other, not a crash."""
    with pytest.raises(ValueError, match="rows_for_date"):
        table("focus").encode("rows_for_date", date=value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "submit",
        "submit(",
        "submit() submit()",
        "rows_for_date('2026-03-10')",
        "rows_for_date(date=)",
        "rows_for_date(date='2026-03-10'",
        "rows_for_date(date='2026-03-10') # the tenth",
        "rows_for_date(date='2026-03-10', date='2026-03-11')",
        "rows_for_date(date='2026-03-10' or 'x')",
        "__import__('os').getcwd()",
    ],
)
def test_texts_that_are_no_action(text: str) -> None:
    """A text that is not one whole tool call is refused with the text and an example."""
    with pytest.raises(ValueError, match=r"rows_for_date\(date='|submit\(\)"):
        table("focus").parse(text)


def test_a_text_may_leave_out_quotes_and_zeros() -> None:
    """Words without quotes are text, and a number may be written in any way."""
    actions = table("focus")
    for text, call in (
        ("detect_funnel_break(date=focused)", Action("detect_funnel_break", {"date": "focused"})),
        (
            "get_funnel_break_rows(threshold_multiplier=1)",
            Action("get_funnel_break_rows", {"threshold_multiplier": 1.0}),
        ),
        (
            "get_funnel_break_rows( threshold_multiplier=+.70 )",
            Action("get_funnel_break_rows", {"threshold_multiplier": 0.7}),
        ),
    ):
        assert actions.decode(actions.parse(text)) == call


@pytest.mark.parametrize("view", ["focus", "board"])
def test_each_action_is_described_by_its_tool(view: View) -> None:
    """The sentence of an action is the first of its tool's docstring; report and submit have their own."""
    actions = table(view)
    for index in range(len(actions)):
        tool = actions.decode(index).tool
        if tool in TOOLS:
            assert (getattr(SharedAnalysisToolkit, tool).__doc__ or "").startswith(actions.describe(index))
        else:
            assert actions.describe(index) == WITHOUT_TOOL[tool]
