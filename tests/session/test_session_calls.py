"""Calls of tools by name: what they are answered, what they cost, what they show."""

from __future__ import annotations

import gc
import itertools
import json
import tracemalloc
from typing import Any

import pytest
from helpers_session import DATE, DATES, begun, in_both_worlds, show, told, truth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metric_tracker_env import Session
from metric_tracker_env.config import EnvConfig, GeneratorConfig
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.session import CALLS, REFUSAL_COST
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit
from metric_tracker_env.tools.arguments import PREVIEW_ROWS

# Answers


def test_everything_that_may_be_called_is_a_tool_or_submit() -> None:
    """The calls are the tools and submit."""
    assert list(CALLS) == [*TOOLS, SUBMIT]


def test_answers_are_compact_json() -> None:
    """An answer is one line of JSON without spaces between its parts, and says what the call cost and what is left."""
    answer = begun().call("rows_for_date", {"date": DATE})
    assert "\n" not in answer.text
    assert '": ' not in answer.text
    found = json.loads(answer.text)
    assert list(found) == ["ok", "cost", "result", "budget_left", "calls_left"]
    assert (found["ok"], found["cost"], found["budget_left"], found["calls_left"]) == (True, 1, 15, 47)


def test_an_answer_says_as_an_object_what_its_text_says() -> None:
    """What was told, whether it went well, what it cost and paid, and whether the episode is over."""
    session = begun()
    good, bad = session.call("rows_for_date", {"date": DATE}), session.call("rows_for_date", {"date": "x"})
    free, last = session.call("list_dates", {}), session.call(SUBMIT, {"rows": []})
    for answer in (good, bad, free, last):
        assert json.loads(answer.text) == answer.told
    assert [answer.ok for answer in (good, bad, free, last)] == [True, False, True, True]
    assert [answer.cost for answer in (good, bad, free, last)] == [1, 1, 0, 0]
    assert [answer.reward for answer in (good, bad, free, last)] == [-0.005, -0.005, 0.0, 0.0]
    assert [answer.done for answer in (good, bad, free, last)] == [False, False, False, True]
    assert good.result == good.told["result"]
    assert (good.error, bad.result) == (None, None)
    assert "ISO date from" in str(bad.error)
    early, late = Session().call("list_dates", {}), session.call("list_dates", {})
    for answer, done in ((early, False), (late, True)):
        assert (answer.ok, answer.cost, answer.reward, answer.done) == (False, 0, 0.0, done)


def test_the_return_is_told_to_six_decimals() -> None:
    """The last answer rounds the return; the session has it in full."""
    session = begun(step_cost=0.0012345678)
    session.call("rows_for_date", {"date": DATE})
    assert session.call(SUBMIT, {"rows": []}).told["reward"] == -0.001235
    assert session.standing.reward == -0.0012345678


@pytest.mark.parametrize("weeks", [4, 12])
def test_no_answer_is_larger_than_a_context_window_takes(weeks: int) -> None:
    """After everything has been shown, each tool's default answer stays under 16,000 characters."""
    generator = GeneratorConfig(num_weeks=weeks)
    session = begun(config=EnvConfig(generator=generator, budget=10_000, step_limit=10_000, difficulty="hard"))
    for date in generator.date_names:
        for tool in ("rows_for_date", "hourly_rows_for_date", "detect_funnel_break", "check_impossible_counts"):
            assert session.call(tool, {"date": date}).ok
    arguments: dict[str, dict[str, Any]] = {
        "compare_rate_to_median": {"date": DATE, "entity_name": "app_open_to_menu_open"},
        "compare_count_to_median": {"date": DATE, "entity_name": "app_opens"},
        "get_rows_with_abs_diff_from_median_gt": {"threshold": 0.001},
        "preview_submission": {"rows": []},
        "payload_generator": {"generator_methods": [name for name, spec in TOOLS.items() if spec.family]},
    }
    for name, spec in TOOLS.items():
        if not spec.offered(generator):
            continue
        given_date = {"date": DATE} if "date" in spec.parameters else {}
        least = 0.7 if spec.family else 0.01  # that a tool takes under a budget
        low = {"threshold_multiplier": least} if "threshold_multiplier" in spec.parameters else {}
        answer = session.call(name, arguments.get(name, given_date | low))
        assert answer.ok, answer.text
        assert len(answer.text) < 16_000, name


def test_pages_of_a_list_are_paid_once() -> None:
    """The first page costs; going on with the same question is free and gives each row once; another question costs."""
    session = begun(budget=100, step_limit=100, difficulty="hard", anomaly_count=4)
    for date in DATES:
        session.call("rows_for_date", {"date": date})
    scan = "get_absolute_drop_in_event_count_rows"
    offset, costs, rows, total = 0, [], [], 0
    while offset is not None:
        answer = told(session, scan, threshold_multiplier=0.7, limit=4, offset=offset)
        costs.append(answer["cost"])
        rows += answer["result"]["rows"]
        offset, total = answer["result"]["next_offset"], answer["result"]["total"]
    assert costs == [1, *[0] * (len(costs) - 1)]
    assert len(costs) > 2
    keys = [(row["date"], row["entity_name"]) for row in rows]
    assert len(set(keys)) == len(keys) == total
    assert told(session, scan, threshold_multiplier=1.0, limit=4, offset=4)["cost"] == 1
    assert told(session, scan, threshold_multiplier=0.7, limit=4)["cost"] == 1  # a first page


def test_a_question_is_the_same_in_whatever_order_it_is_put() -> None:
    """The order of the arguments makes no other question of it, and neither does the size of a page."""
    session = begun(budget=100)
    scan = "get_absolute_drop_in_event_count_rows"
    asked = {"threshold_multiplier": 1.5, "metric_names": ["orders_placed"], "limit": 5}
    assert session.call(scan, asked).cost == 1
    other = {"offset": 5, "limit": 7, "metric_names": ["orders_placed"], "threshold_multiplier": 1.5}
    assert session.call(scan, other).cost == 0


# Bad calls

BAD_CALLS: list[tuple[Any, Any, str]] = [
    ("find_everything", {}, "unknown"),
    ("reset", {"seed": 1}, "unknown"),
    ("get_reward", {}, "unknown"),
    ("_submit", {"rows": []}, "unknown"),
    ("__init__", {}, "unknown"),
    (7, {}, "unknown"),
    ("rows_for_date", {}, "missing"),
    ("rows_for_date", {"date": "2020-01-01"}, "ISO date from"),
    ("rows_for_date", {"date": DATE, "hour": 3}, "unknown"),
    ("rows_for_date", [DATE], "must be an object"),
    ("rows_for_date", {1: DATE}, "must be an object"),
    ("compare_rate_to_median", {"date": DATE, "entity_name": "app_opens"}, "must be one of"),
    ("get_metric_median", {"metric_name": "app_opens", "metric_names": ["menu_opens"]}, "give one of the two"),
    ("get_funnel_break_rows", {"threshold_multiplier": float("nan")}, "finite"),
    ("submit", {}, "missing"),
    ("submit", {"rows": "{}"}, "rows"),
    ("submit", {"rows": [{"date": DATE}]}, "row 1: entity_type is missing"),
    ("submit", {"rows": [3]}, "row 1: 3"),
]


@pytest.mark.parametrize(("tool", "arguments", "message"), BAD_CALLS)
def test_a_bad_call_is_told_and_costs_a_unit(tool: Any, arguments: Any, message: str) -> None:
    """A bad call changes nothing but a unit and a call, and says what is wrong; it is no tool call and no end."""
    session = begun()
    answer = session.call(tool, arguments)
    assert (answer.ok, answer.cost) == (False, REFUSAL_COST)
    assert message in str(answer.error)
    assert "Traceback" not in answer.text
    assert (answer.told["budget_left"], answer.told["calls_left"]) == (15, 47)
    standing = session.standing
    assert (standing.done, standing.tool_calls, standing.steps, standing.cost) == (False, 0, 1, 1)
    assert standing.reward == answer.reward == pytest.approx(-0.005)


def test_a_refused_submission_tells_the_faults_of_its_first_five_bad_rows() -> None:
    """In words and as data: number of the row, field, what was given and what is allowed; the others are counted."""
    rows = [truth(EnvConfig()).expected_rows[0].model_dump(), *({"date": number} for number in range(7))]
    answer = begun().call(SUBMIT, {"rows": rows})
    assert list(answer.told) == ["ok", "cost", "error", "faults", "budget_left", "calls_left"]
    assert [f"row {number}:" in str(answer.error) for number in range(1, 9)] == [False, *[True] * 5, False, False]
    assert str(answer.error).endswith("; and 2 more")
    faults = answer.told["faults"]
    assert [fault["row"] for fault in faults] == [number for number in range(2, 7) for _ in range(9)]
    assert {fault["type"] for fault in faults} == {"invalid"}
    allowed = f"an ISO date from {DATES[0]} to {DATES[-1]}"
    assert faults[9] == {"type": "invalid", "row": 3, "field": "date", "given": 1, "allowed": allowed}
    five = begun().call(SUBMIT, {"rows": rows[1:6]})
    assert "more" not in str(five.error)


def test_what_cannot_be_paid_is_refused() -> None:
    """A call dearer than the budget is refused without a price; with no unit left a bad call costs a call alone."""
    session = begun(budget=3)
    answer = told(session, "list_suspicious_dates")
    assert (answer["ok"], answer["cost"], answer["budget_left"]) == (False, 0, 3)
    assert "costs 4 units and 3 are left" in answer["error"]
    for _ in range(3):
        session.call("rows_for_date", {"date": DATE})
    answer = told(session, "rows_for_date", date="x")
    assert (answer["ok"], answer["cost"], answer["budget_left"]) == (False, 0, 0)
    assert told(session, "list_dates")["ok"]


def test_the_last_units_can_be_spent() -> None:
    """A call that costs just what is left is carried out."""
    session = begun(budget=4)
    answer = told(session, "list_suspicious_dates")
    assert (answer["ok"], answer["cost"], answer["budget_left"]) == (True, 4, 0)


def nested(depth: int) -> list[Any]:
    """Lists in each other."""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize("tool", ["preview_submission", "submit"])
@pytest.mark.parametrize(
    "rows",
    [
        [{1: 2, "a": 3}],
        [{(1, 2): 3}],
        [{"baseline_value": 10**5000}],
        [{"\ud800": "\ud800"}],
        [{}] * 1001,
        *(nested(depth) for depth in (100, 500, 900, 940, 960, 975, 990, 2000)),
    ],
    ids=itertools.count(),
)
def test_rows_that_are_none_are_told_so(tool: str, rows: Any) -> None:
    """Rows that no JSON holds, too many, and nested ones are answers; a free tool stays free for a right call."""
    answer = begun().call(tool, {"rows": rows})
    assert answer.ok is (tool == "preview_submission" and answer.cost == 0)
    assert len(answer.text) < 100_000
    assert json.loads(answer.text) == answer.told


@pytest.mark.parametrize("name", ["\ud800", "self", "", "date\x00"])
def test_names_of_arguments_are_judged(name: str) -> None:
    """Whatever a model calls an argument, the call is answered, and costs a unit."""
    answer = begun().call("list_dates", {name: 1})
    assert (answer.ok, answer.cost) == (False, 1)
    assert "list_dates: " in str(answer.error)


def test_free_calls_leave_nothing_behind() -> None:
    """However much is previewed, a session keeps nothing of it."""
    session = begun()
    session.call("preview_submission", {"rows": [{}]})
    tracemalloc.start()
    try:
        for number in range(20):
            session.call("preview_submission", {"rows": [{"date": f"{number:06}" * 10_000}]})
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 200_000  # the calls were of 1,200,000 bytes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)


# What a tool may be called with: a model that half knows its arguments gets further than one that knows none.
NAMES = st.sampled_from(["date", "entity_name", "threshold_multiplier", "limit", "offset", "rows", "metric_names"])
VALUES = st.sampled_from([DATE, DATES[0], "app_opens", "app_open_to_menu_open", 1, 2.0, [], ["orders_placed"]])
CALLED = st.dictionaries(NAMES, VALUES | JSON, max_size=3)


@in_both_worlds
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(calls=st.lists(st.tuples(st.sampled_from([*CALLS, "reset", ""]) | JSON, JSON | CALLED), max_size=6))
def test_no_call_raises(calls: list[tuple[Any, Any]], options: dict[str, Any]) -> None:
    """Whatever JSON a model sends, the answer is JSON, the budget never grows nor falls below 0."""
    session = begun(1, **options)
    left = session.config.budget
    for tool, arguments in calls:
        answer = session.call(tool, arguments)
        assert json.loads(answer.text) == answer.told
        assert isinstance(answer.ok, bool)
        standing = session.standing
        assert 0 <= standing.budget_left <= left
        left = standing.budget_left


# What a budget shows


@in_both_worlds
def test_scans_show_dates_and_no_values(options: dict[str, Any]) -> None:
    """Before a date is opened no tool over all dates tells a value or an entity there; afterwards it tells its rows."""
    session = begun(**options | {"budget": 200, "step_limit": 200, "difficulty": "hard"})
    toolkit = SharedAnalysisToolkit(truth(session.config).view)
    for name, spec in TOOLS.items():
        if spec.family is None:
            continue
        found = told(session, name)["result"]
        assert found["rows"] == []
        assert found["total"] == 0
        assert found["dates"] == list(getattr(toolkit, name)().dates)
    survey = told(session, "list_suspicious_dates")["result"]["dates"]
    assert not any("strength" in item for item in survey)
    assert [item["date"] for item in survey] == sorted(item["date"] for item in survey)
    drops = ["get_rate_drop_from_median_rows"]
    assert told(session, "payload_generator", generator_methods=drops)["result"]["rows"] == []
    date = next(item["date"] for item in survey if "rate_drop_from_median" in item["anomaly_types"])
    session.call("rows_for_date", {"date": date})
    rows = told(session, "get_rate_drop_from_median_rows")["result"]["rows"]
    assert rows
    assert {row["date"] for row in rows} == {date}
    assert told(session, "payload_generator", generator_methods=drops)["result"]["rows"] == rows


@in_both_worlds
def test_hours_show_the_first_step_alone(options: dict[str, Any]) -> None:
    """The hours of a date tell the daytime share and not the counts and pairs that other tools are paid for."""
    records = told(begun(**options), "hourly_rows_for_date", date=DATE)["result"]["records"]
    assert {name for record in records for name in record} == {"date", "hour", "app_opens"}


@in_both_worlds
def test_preview_judges_shown_cells_alone(options: dict[str, Any]) -> None:
    """Right values of a cell that no tool has shown are not confirmed; once shown they are."""
    session = begun(**options)
    expected = truth(session.config).expected_rows
    rows = [expected[0].model_dump()]
    assert told(session, "preview_submission", rows=rows)["result"]["rows"][0]["status"] == "not_shown"
    show(session, rows)
    assert told(session, "preview_submission", rows=rows)["result"]["rows"][0]["status"] == "confirmed"


def shown(session: Session) -> set[tuple[str, str]]:
    """(date, entity_name) of the cells whose row the preview no longer calls not_shown."""
    generator, episode = session.config.generator, truth(session.config)
    cells = [(day, entity) for day in range(generator.num_days) for entity in generator.catalogue.entities]
    rows = [episode.row(day, entity.index).model_dump() for day, entity in cells]
    preview: list[dict[str, Any]] = []
    for first in range(0, len(rows), PREVIEW_ROWS):
        some = rows[first : first + PREVIEW_ROWS]
        preview += told(session, "preview_submission", rows=some, limit=366)["result"]["rows"]
    return {
        (row["date"], row["entity_name"])
        for row, item in zip(rows, preview, strict=True)
        if item["status"] != "not_shown"
    }


@pytest.mark.parametrize(("limit", "dates"), [(3, 3), (28, 28), (100, 28)])
def test_raw_data_cost_as_much_as_opening_their_dates(limit: int, dates: int) -> None:
    """Raw data of the last n dates cost n units and reveal their counts and rates, no more."""
    session = begun(budget=40)
    answer = told(session, "show_raw_data", limit=limit)
    assert answer["cost"] == dates
    assert [record["date"] for record in answer["result"]["records"]] == list(DATES[-dates:])
    assert all(len(record) == 1 + 5 for record in answer["result"]["records"])  # date and every step
    catalogue = session.config.generator.catalogue
    names = [entity.entity_name for entity in catalogue.entities[: catalogue.slices["conversion_rate"].stop]]
    assert len(names) == 11
    assert shown(session) == {(date, name) for date in DATES[-dates:] for name in names}


def test_raw_data_show_a_week_unless_told_otherwise() -> None:
    """Without a limit the raw data of seven dates are paid for and shown."""
    session = begun()
    assert told(session, "show_raw_data")["cost"] == 7
    assert {date for date, _ in shown(session)} == set(DATES[-7:])


def test_comparing_shows_one_cell() -> None:
    """The tools that compare one metric reveal its cell and no other."""
    session = begun()
    session.call("compare_count_to_median", {"date": DATE, "entity_name": "orders_placed"})
    session.call("compare_rate_to_median", {"date": DATES[0], "entity_name": "app_open_to_menu_open"})
    assert shown(session) == {(DATE, "orders_placed"), (DATES[0], "app_open_to_menu_open")}


def test_the_limit_of_calls_ends_the_episode() -> None:
    """The last call is answered and ends the episode with nothing submitted; free calls count as well."""
    session = begun(step_limit=5)
    answers = [session.call("list_dates", {}) for _ in range(5)]
    assert [answer.done for answer in answers] == [False] * 4 + [True]
    last = answers[-1].told
    assert last["result"]["dates"]
    assert (last["grade"]["score"], last["grade"]["submitted"]) == (0.0, 0)


WRITTEN_AS_TEXT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "get_metric_median",
        {"metric_names": ["app_opens", "menu_opens"]},
        {"metric_names": '["app_opens","menu_opens"]'},
    ),
    (
        "payload_generator",
        {"generator_methods": ["get_funnel_break_rows"], "limit": 3, "offset": 0},
        {"generator_methods": ' [ "get_funnel_break_rows" ]\n', "limit": 3.0, "offset": -0.0},
    ),
    ("list_suspicious_dates", {"limit": 5, "offset": 2}, {"limit": 5.0, "offset": 2.0}),
    ("show_raw_data", {"limit": 2}, {"limit": 2.0}),
    ("preview_submission", {"rows": [{"date": DATE}]}, {"rows": json.dumps([{"date": DATE}])}),
    ("submit", {"rows": []}, {"rows": "[]"}),
]


@pytest.mark.parametrize(("tool", "right", "written"), WRITTEN_AS_TEXT)
def test_lists_as_text_and_whole_numbers_with_a_point_are_read(
    tool: str, right: dict[str, Any], written: dict[str, Any]
) -> None:
    """The most frequent slips of models are understood: by name or position, answer, price and play are the same."""
    one, other, placed = begun(), begun(), begun()
    first = CALLS[tool].parameters[0]
    told = one.call(tool, right)
    assert told.ok
    assert other.call(tool, written) == told
    if first in written:
        rest = {name: value for name, value in written.items() if name != first}
        assert placed.call(tool, rest, [written[first]]) == told
        assert placed.standing == one.standing
    assert other.standing == one.standing


def test_going_on_with_a_list_is_free_however_its_page_is_written() -> None:
    """A list that was paid for is known again when its names came as text and its page with a point."""
    session = begun()
    first = session.call("get_absolute_drop_in_event_count_rows", {"metric_names": '["app_opens"]', "limit": 1.0})
    more = session.call("get_absolute_drop_in_event_count_rows", {"metric_names": ["app_opens"], "offset": 1.0})
    assert (first.ok, more.ok, more.cost) == (True, True, 0)
    assert first.cost > 0
