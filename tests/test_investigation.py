"""The text door: the same engine, budget, evidence and grade as the discrete environment, in words."""

from __future__ import annotations

import gc
import inspect
import itertools
import json
import re
import tracemalloc
from functools import partial
from typing import Any, get_type_hints

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import Investigation, MetricTrackerEnv
from metric_tracker_env.config import EnvConfig, FunnelStep, GeneratorConfig
from metric_tracker_env.investigation import (
    CALLS,
    REFUSAL_COST,
    Standing,
    brief,
    call_by_name,
    call_schemas,
    config_of,
    episode_of,
    plain_type,
    standing_of,
)
from metric_tracker_env.play.actions import FOCUSED, REPORT, SUBMIT
from metric_tracker_env.schema import MetricSubmissionRow
from metric_tracker_env.tasks import HELD_OUT_SEEDS
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit

SEED = HELD_OUT_SEEDS.start
DATE = EnvConfig().generator.date_names[9]
NAMED_TASKS = ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")


def told(answer: str) -> dict[str, Any]:
    """An answer, decoded."""
    return json.loads(answer)


def begun(seed: int = SEED, **options: Any) -> Investigation:
    """An investigation with an episode under way."""
    investigation = Investigation(**options)
    investigation.reset(seed=seed)
    return investigation


# The class


def test_public_names_are_reset_the_tools_submit_and_get_reward() -> None:
    """A library that offers public methods as tools offers exactly the tools; instances add no public name."""
    names = {name for name in dir(begun()) if not name.startswith("_")}
    assert names == {"reset", "get_reward", *TOOLS, SUBMIT}
    assert len(TOOLS) == 24
    assert list(CALLS) == [*TOOLS, SUBMIT]


@pytest.mark.parametrize("name", list(CALLS))
def test_methods_are_typed_and_documented_as_their_tools(name: str) -> None:
    """A method has its tool's docstring, parameters and defaults; its types are built-in ones and it returns text."""
    method = getattr(Investigation, name)
    hints = get_type_hints(method)
    assert hints.pop("return") is str
    signature = inspect.signature(method)
    assert tuple(signature.parameters)[1:] == CALLS[name].parameters == tuple(hints)
    assert "Returns:" in (method.__doc__ or "")
    if name in TOOLS:
        source = inspect.signature(getattr(SharedAnalysisToolkit, name))
        assert method.__doc__ == getattr(SharedAnalysisToolkit, name).__doc__
        assert [p.default for p in signature.parameters.values()] == [p.default for p in source.parameters.values()]
    text = str(signature)
    assert "Annotated" not in text
    assert "metric_tracker_env" not in text


def test_plain_types_refuse_what_no_schema_knows() -> None:
    """A hint that has no plain form is an error, not a guess."""
    with pytest.raises(TypeError, match=r"complex.*no plain form"):
        plain_type(complex)


def test_answers_are_compact_json() -> None:
    """An answer is one line of JSON without spaces between its parts, and says what the call cost and what is left."""
    answer = begun().rows_for_date(date=DATE)
    assert "\n" not in answer
    assert '": ' not in answer
    found = told(answer)
    assert list(found) == ["ok", "cost", "result", "budget_left", "calls_left"]
    assert (found["ok"], found["cost"], found["budget_left"], found["calls_left"]) == (True, 1, 15, 47)


@pytest.mark.parametrize("weeks", [4, 12])
def test_no_answer_is_larger_than_a_context_window_takes(weeks: int) -> None:
    """After everything has been shown, each tool's default answer stays under 16,000 characters."""
    generator = GeneratorConfig(num_weeks=weeks)
    investigation = begun(config=EnvConfig(generator=generator, budget=10_000, step_limit=10_000, difficulty="hard"))
    for date in generator.date_names:
        for tool in ("rows_for_date", "hourly_rows_for_date", "detect_funnel_break", "check_impossible_counts"):
            assert told(call_by_name(investigation, tool, {"date": date}))["ok"]
    arguments: dict[str, dict[str, Any]] = {
        "compare_rate_to_median": {"date": DATE, "entity_name": "app_open_to_menu_open"},
        "compare_count_to_median": {"date": DATE, "entity_name": "app_opens"},
        "get_rows_with_abs_diff_from_median_gt": {"threshold": 0.001},
        "preview_submission": {"rows": []},
        "payload_generator": {"generator_methods": [name for name, spec in TOOLS.items() if spec.family]},
    }
    for name, spec in TOOLS.items():
        given_date = {"date": DATE} if "date" in spec.parameters else {}
        low = {"threshold_multiplier": 0.01} if "threshold_multiplier" in spec.parameters else {}
        answer = call_by_name(investigation, name, arguments.get(name, given_date | low))
        assert told(answer)["ok"], answer
        assert len(answer) < 16_000, name


def test_pages_of_a_list_are_paid_once() -> None:
    """The first page costs; going on with the same question is free and gives each row once; another question costs."""
    investigation = begun(budget=100, step_limit=100)
    for day in range(5, 12):
        investigation.rows_for_date(date=EnvConfig().generator.date_names[day])
    offset, costs, rows, total = 0, [], [], 0
    while offset is not None:
        answer = told(investigation.get_median_filter_rows(threshold_multiplier=0.01, limit=10, offset=offset))
        costs.append(answer["cost"])
        rows += answer["result"]["rows"]
        offset, total = answer["result"]["next_offset"], answer["result"]["total"]
    assert costs == [1, *[0] * (len(costs) - 1)]
    assert len(costs) > 3
    keys = [(row["date"], row["entity_type"], row["entity_name"]) for row in rows]
    assert len(set(keys)) == len(keys) == total
    assert told(investigation.get_median_filter_rows(threshold_multiplier=0.02, limit=10, offset=10))["cost"] == 1


def test_repr_tells_nothing_of_the_episode() -> None:
    """What an investigation prints as is the same for every seed."""
    assert repr(begun(1)) == repr(begun(2))


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
    ("submit", {"rows": "[]"}, "rows"),
    ("submit", {"rows": [{"date": DATE}]}, "row 1: entity_type is missing"),
    ("submit", {"rows": [3]}, "row 1: 3"),
]


@pytest.mark.parametrize(("tool", "arguments", "message"), BAD_CALLS)
def test_a_bad_call_is_told_and_costs_a_unit(tool: Any, arguments: Any, message: str) -> None:
    """A bad call changes nothing but a unit and a call, and says what is wrong; it is no tool call and no end."""
    investigation = begun()
    answer = told(call_by_name(investigation, tool, arguments))
    assert (answer["ok"], answer["cost"]) == (False, REFUSAL_COST)
    assert message in answer["error"]
    assert "Traceback" not in answer["error"]
    assert (answer["budget_left"], answer["calls_left"]) == (15, 47)
    standing = standing_of(investigation)
    assert (standing.done, standing.tool_calls, standing.steps, standing.cost) == (False, 0, 1, 1)
    assert investigation.get_reward() == pytest.approx(-0.005)


def test_bad_arguments_of_a_method_are_told_too() -> None:
    """Surplus, repeated and unknown arguments of the Python methods are answers, not exceptions."""
    investigation = begun()
    for answer in (
        investigation.rows_for_date(DATE, DATE),
        investigation.rows_for_date(DATE, date=DATE),
        investigation.rows_for_date(day=DATE),
        investigation.submit(rows=[], more=1),
    ):
        assert not told(answer)["ok"]


def test_what_cannot_be_paid_is_refused() -> None:
    """A call dearer than the budget is refused without a price; with no unit left a bad call costs a call alone."""
    investigation = begun(budget=3)
    answer = told(investigation.list_suspicious_dates())
    assert (answer["ok"], answer["cost"], answer["budget_left"]) == (False, 0, 3)
    assert "costs 4 units and 3 are left" in answer["error"]
    for _ in range(3):
        investigation.rows_for_date(date=DATE)
    answer = told(investigation.rows_for_date(date="x"))
    assert (answer["ok"], answer["cost"], answer["budget_left"]) == (False, 0, 0)
    assert told(investigation.list_dates())["ok"]


def test_calls_without_an_episode() -> None:
    """Before the first reset and after the end a call is an answer that says so, and changes nothing."""
    investigation = Investigation()
    for answer in (investigation.list_dates(), call_by_name(investigation, "nonsense", {})):
        assert told(answer) == {"ok": False, "error": "no episode is under way; reset begins one"}
    assert standing_of(investigation) == Standing(False, False, 0.0, 16, 0, 0, 0, 48, None)
    with pytest.raises(ResetNeeded):
        episode_of(investigation)
    investigation.reset(seed=SEED)
    with pytest.raises(ResetNeeded):
        episode_of(investigation)
    investigation.submit(rows=[])
    before = standing_of(investigation)
    for answer in (investigation.submit(rows=[]), call_by_name(investigation, "nonsense", {})):
        assert told(answer) == {"ok": False, "error": "the episode is over", "done": True}
    assert standing_of(investigation) == before
    assert len(episode_of(investigation).expected_rows) == 3


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        ({"seed": -1}, "seed -1"),
        ({"seed": True}, "seed True"),
        ({"seed": "7"}, "seed '7'"),
        ({"task": "hardest"}, "task 'hardest'"),
        ({"budget": 99}, "unknown option 'budget'"),
        ({"difficulty": "extreme"}, "difficulty"),
        ({"anomaly_count": 99}, "anomaly_count"),
    ],
)
def test_a_bad_reset_is_refused_and_changes_nothing(given_options: dict[str, Any], message: str) -> None:
    """Bad seeds, tasks and options of a reset raise, and the episode that is under way goes on."""
    investigation = begun()
    investigation.rows_for_date(date=DATE)
    before, answer = standing_of(investigation), investigation.list_dates()
    with pytest.raises(ValueError, match=re.escape(message)):
        investigation.reset(**given_options)
    assert standing_of(investigation)._replace(steps=1, calls_left=47) == before
    assert told(investigation.list_dates())["result"] == told(answer)["result"]


# The same as the discrete environment


def play_both(view: str, difficulty: str, seed: int) -> None:
    """Random legal actions in the discrete environment, and the tool calls that are equal to them."""
    config = EnvConfig.model_validate({"view": view, "difficulty": difficulty, "anomaly_count": (1, 5)})
    env, investigation = MetricTrackerEnv(config=config), Investigation(config=config)
    _, info = env.reset(seed=seed)
    investigation.reset(seed=seed)
    draws = np.random.default_rng(seed)
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    over, episode_return = False, 0.0
    while not over:
        legal = np.flatnonzero(info["action_mask"])
        reports = [a for a in legal if env.actions.decode(int(a)).tool == REPORT]
        action = int(draws.choice(reports if reports and draws.random() < 0.5 else legal))
        call = env.resolve(action)
        assert FOCUSED not in call.arguments.values()
        _, reward, over, _, info = env.step(action)
        episode_return += float(reward)
        if call.tool == REPORT:
            row = found[call.arguments["date"], call.arguments["entity_type"], call.arguments["entity_name"]]  # pyright: ignore[reportArgumentType]
            rows.append(row)
        elif call.tool != SUBMIT:
            answer = told(call_by_name(investigation, call.tool, call.arguments))
            assert answer["ok"], answer
            for cell in cells_of(answer["result"]):
                found[cell["date"], cell["entity_type"], cell["entity_name"]] = cell
    revealed = env._engine.progress(0).revealed  # pyright: ignore[reportPrivateUsage]
    assert np.array_equal(investigation._engine.progress(0).revealed, revealed)  # pyright: ignore
    assert len(found) == revealed.sum()
    answer = told(investigation.submit(rows=rows))
    standing = standing_of(investigation)
    assert answer["grade"]["score"] == info["score"]
    assert standing.grade == env.grade()
    assert investigation.get_reward() == pytest.approx(episode_return, abs=1e-12)
    assert (standing.cost, standing.tool_calls) == (info["cost"], info["tool_calls"])
    assert episode_of(investigation).expected_rows == env.episode().expected_rows


def cells_of(result: Any) -> list[dict[str, Any]]:
    """The rows that a result shows, cut down to the fields of a row."""
    if isinstance(result, list):
        return [cell for item in result for cell in cells_of(item)]
    if not isinstance(result, dict):
        return []
    if "observed_value" in result and "detection_method" in result:
        return [{name: result[name] for name in MetricSubmissionRow.model_fields}]
    return [cell for item in result.values() for cell in cells_of(item)]


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_actions_and_tool_calls_agree(view: str, difficulty: str) -> None:
    """Any sequence of actions has an equal sequence of calls: equal budget, evidence, rows, grade and reward."""
    for seed in range(12):
        play_both(view, difficulty, seed)


def test_reset_plays_the_episode_of_the_environment() -> None:
    """A seed, a task, options and the stream of later episodes give what the environment gives."""
    env = MetricTrackerEnv(task="hard_mixed")
    investigation = Investigation()
    steps: list[dict[str, Any]] = [{"seed": 5}, {}, {"options": {"scenario_family": "funnel_break"}}, {}]
    for number, arguments in enumerate(steps):
        env.reset(**arguments)
        env.step(len(env.actions) - 1)
        options = arguments.get("options", {})
        task = {"task": "hard_mixed"} if number == 0 else {}
        investigation.reset(seed=arguments.get("seed"), **task, **options)
        investigation.submit(rows=[])
        assert episode_of(investigation).expected_rows == env.episode().expected_rows
    assert config_of(investigation) == env.config


def test_reset_without_a_seed_draws_one() -> None:
    """Two investigations that are given no seed play different episodes."""
    found = [Investigation(), Investigation()]
    for investigation in found:
        investigation.reset()
        investigation.submit(rows=[])
    first, second = (episode_of(investigation) for investigation in found)
    assert not np.array_equal(first.daily, second.daily)


@pytest.mark.parametrize("task", NAMED_TASKS)
def test_a_scripted_model_solves_the_named_tasks(task: str) -> None:
    """The analyst in words, which sees nothing but answers, scores 0.99 and more on held-out seeds."""
    investigation = Investigation(task)
    scores: list[float] = []
    for seed in range(SEED, SEED + 20):
        investigation.reset(seed=seed)
        answers = converse(investigate(config_of(investigation).generator), partial(call_by_name, investigation))
        assert all(answer["ok"] for answer in answers)
        scores.append(answers[-1]["grade"]["score"])
    assert np.mean(scores) >= 0.99


# What a budget shows


def test_scans_show_dates_and_no_values() -> None:
    """Before a date is opened no tool over all dates tells a value or an entity there; afterwards it tells its rows."""
    investigation = begun(budget=200, step_limit=200, difficulty="hard")
    toolkit = SharedAnalysisToolkit(investigation._engine.episode(0).view)  # pyright: ignore[reportPrivateUsage]
    for name, spec in TOOLS.items():
        if spec.family is None:
            continue
        found = told(call_by_name(investigation, name, {}))["result"]
        assert found["rows"] == []
        assert found["total"] == 0
        assert found["dates"] == list(getattr(toolkit, name)().dates)
    survey = told(investigation.list_suspicious_dates())["result"]["dates"]
    assert {item["strength"] for item in survey} == {None}
    assert [item["date"] for item in survey] == sorted(item["date"] for item in survey)
    assert told(investigation.payload_generator(["get_rate_drop_from_median_rows"]))["result"]["rows"] == []
    date = next(item["date"] for item in survey if "rate_drop_from_median" in item["anomaly_types"])
    investigation.rows_for_date(date=date)
    rows = told(investigation.get_rate_drop_from_median_rows())["result"]["rows"]
    assert rows
    assert {row["date"] for row in rows} == {date}
    assert told(investigation.payload_generator(["get_rate_drop_from_median_rows"]))["result"]["rows"] == rows


def test_hours_show_the_first_step_alone() -> None:
    """The hours of a date tell the daytime share and not the counts and pairs that other tools are paid for."""
    records = told(begun().hourly_rows_for_date(date=DATE))["result"]["records"]
    assert {name for record in records for name in record} == {"date", "hour", "app_opens"}


def test_preview_judges_shown_cells_alone() -> None:
    """Right values of a cell that no tool has shown are not confirmed; once shown they are."""
    investigation = begun()
    episode = investigation._engine.episode(0)  # pyright: ignore[reportPrivateUsage]
    row = next(row for row in episode.expected_rows if row.entity_type in ("event_count", "conversion_rate"))
    rows = [row.model_dump()]
    assert told(investigation.preview_submission(rows=rows))["result"]["rows"][0]["status"] == "not_shown"
    investigation.rows_for_date(date=row.date)
    assert told(investigation.preview_submission(rows=rows))["result"]["rows"][0]["status"] == "confirmed"


def test_raw_data_cost_as_much_as_opening_their_dates() -> None:
    """Raw data of n dates cost n units and reveal their counts and rates, no more."""
    investigation = begun()
    assert told(investigation.show_raw_data(limit=3))["cost"] == 3
    catalogue = config_of(investigation).generator.catalogue
    revealed = investigation._engine.progress(0).revealed  # pyright: ignore[reportPrivateUsage]
    assert revealed.sum() == 3 * 11
    assert revealed[-3:, : catalogue.slices["conversion_rate"].stop].all()


def test_the_limit_of_calls_ends_the_episode() -> None:
    """The last call is answered and ends the episode with nothing submitted; free calls count as well."""
    investigation = begun(step_limit=5)
    answers = [told(investigation.list_dates()) for _ in range(5)]
    assert [answer.get("done", False) for answer in answers] == [False] * 4 + [True]
    assert answers[-1]["result"]["dates"]
    assert (answers[-1]["grade"]["score"], answers[-1]["grade"]["submitted"]) == (0.0, 0)


# Leaks and tricks


def test_the_brief_is_the_same_for_every_episode() -> None:
    """The brief names data, budget, tools and form of a row, and depends on the configuration alone."""
    investigation = Investigation("hard_mixed")
    texts = {investigation.reset(seed=seed) for seed in range(5)}
    texts |= {investigation.reset(seed=1, scenario_family="funnel_break", anomaly_count=1)}
    assert len(texts) == 1
    text = texts.pop()
    assert len(text) < 6000
    for word in (*TOOLS, SUBMIT, "16 units", "48 calls", *MetricSubmissionRow.model_fields, "2026-03-04"):
        assert word in text
    assert not re.search(r"\bseed|\btwin|\d{5,}", text)


def test_the_brief_of_another_funnel_names_its_own_tools() -> None:
    """A funnel without conversion rates is not offered the tool that compares them."""
    steps = (FunnelStep(name="leads", rate=0.4), FunnelStep(name="deals", rate=0.3))
    generator = GeneratorConfig(entry_step="visits", steps=steps, conversion_definitions=())
    text = brief(EnvConfig(generator=generator))
    assert "visits > leads > deals" in text
    assert "compare_rate_to_median" not in text
    names = [schema["function"]["name"] for schema in call_schemas(generator)]
    assert "compare_rate_to_median" not in names
    assert names[-1] == SUBMIT


TELLTALE = re.compile(r"seed|expected|twin|consequence|natural|incident_of|anomaly_schedule", re.IGNORECASE)


def test_no_answer_before_the_end_tells_the_truth() -> None:
    """Whatever is called, good or bad, answers hold no word of the truth."""
    investigation = begun(budget=1000, step_limit=1000)
    answers = [call_by_name(investigation, tool, arguments) for tool, arguments, _ in BAD_CALLS]
    for name, spec in TOOLS.items():
        for date in EnvConfig().generator.date_names if "date" in spec.parameters else ("",):
            arguments = {"date": date} if date else {}
            answers.append(call_by_name(investigation, name, arguments))
    assert not standing_of(investigation).done
    assert standing_of(investigation).grade is None
    for answer in answers:
        assert not TELLTALE.search(answer), answer


def test_the_reward_before_the_end_tells_the_cost_alone() -> None:
    """Until the end the reward is what the units cost, whatever has been found."""
    investigation = begun()
    investigation.list_suspicious_dates()
    investigation.rows_for_date(date=DATE)
    assert investigation.get_reward() == pytest.approx(-5 * 0.005)


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
    for task in NAMED_TASKS:
        investigation = Investigation(task)
        for rows in ([], everything, one_day, one_entity, everything[:1]):
            scores: list[float] = []
            for seed in range(SEED, SEED + 15):
                investigation.reset(seed=seed)
                scores.append(told(investigation.submit(rows=rows))["grade"]["score"])
            assert np.mean(scores) < 0.05, (task, len(rows))


def test_a_submission_is_judged_once() -> None:
    """Tricks of the original: an empty submission tells nothing that a second one could use, and earns nothing."""
    investigation = begun()
    first = told(investigation.submit(rows=[]))
    assert first["done"]
    truth = [row.model_dump() for row in episode_of(investigation).expected_rows]
    assert not told(investigation.submit(rows=truth))["ok"]
    assert standing_of(investigation).grade.score == 0.0  # pyright: ignore[reportOptionalMemberAccess]
    assert investigation.get_reward() == 0.0


def test_rows_cannot_be_pruned_by_feedback() -> None:
    """A refused submission and a preview tell of form and shown data; true and false rows read the same."""
    investigation = begun()
    episode = investigation._engine.episode(0)  # pyright: ignore[reportPrivateUsage]
    true = episode.expected_rows[0]
    day = (episode.generator_config.day_index(true.date) + 1) % 28
    entity = episode.generator_config.catalogue.index[true.entity_type, true.entity_name]
    false = episode.row(day, entity)
    for row in (true, false):
        previewed = told(investigation.preview_submission(rows=[row.model_dump()]))["result"]["rows"][0]
        assert previewed["status"] == "not_shown"
        refused = told(investigation.submit(rows=[row.model_dump(), {"date": row.date}]))["error"]
        assert true.entity_name not in refused.split("row 2:")[0]
        assert "row 1" not in refused


def test_constants_as_values_do_not_pass() -> None:
    """Rows of the right cells with values 5.9 % off lose the weight of all three values."""
    investigation = begun()
    episode = investigation._engine.episode(0)  # pyright: ignore[reportPrivateUsage]
    rows = [row.model_dump() for row in episode.expected_rows]
    for row in rows:
        for name in ("baseline_value", "observed_value", "delta_value"):
            row[name] = row[name] * 1.059 + 0.01
    assert told(investigation.submit(rows=rows))["grade"]["score"] == pytest.approx(0.88)


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
    for answer in (call_by_name(begun(), tool, {"rows": rows}), getattr(begun(), tool)(rows=rows)):
        found = told(answer)
        assert found["ok"] is (tool == "preview_submission" and found["cost"] == 0)
        assert len(answer) < 100_000


@pytest.mark.parametrize("name", ["\ud800", "self", "", "date\x00"])
def test_names_of_arguments_are_judged(name: str) -> None:
    """Whatever a model calls an argument, the call is answered, and costs a unit."""
    for door in (partial(call_by_name, begun(), "list_dates"), lambda given: begun().list_dates(**given)):  # pyright: ignore[reportAttributeAccessIssue]
        answer = told(door({name: 1}))
        assert (answer["ok"], answer["cost"]) == (False, 1)
        assert "list_dates: " in answer["error"]


def test_free_calls_leave_nothing_behind() -> None:
    """However much is previewed, an investigation keeps nothing of it."""
    investigation = begun()
    call_by_name(investigation, "preview_submission", {"rows": [{}]})
    tracemalloc.start()
    try:
        for number in range(20):
            call_by_name(investigation, "preview_submission", {"rows": [{"date": f"{number:06}" * 10_000}]})
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


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from([*CALLS, "reset", ""]) | JSON, JSON), max_size=6))
def test_no_call_raises(calls: list[tuple[Any, Any]]) -> None:
    """Whatever JSON a model sends, the answer is JSON, the budget never grows nor falls below 0."""
    investigation = Investigation()
    investigation.reset(seed=1)
    left = 16
    for tool, arguments in calls:
        answer = told(call_by_name(investigation, tool, arguments))
        assert isinstance(answer["ok"], bool)
        standing = standing_of(investigation)
        assert 0 <= standing.budget_left <= left
        left = standing.budget_left
