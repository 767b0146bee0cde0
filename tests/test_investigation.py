"""The face that a model is shown: the tools of a session as methods, and nothing else that is public."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any, get_type_hints

import pytest
from helpers_session import DATE, SEED, told, truth

from metric_tracker_env import Investigation, Session
from metric_tracker_env.config import EnvConfig, GeneratorConfig, WorldConfig
from metric_tracker_env.investigation import WorldInvestigation, plain_type, session_of
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.session import CALLS
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit


def begun(seed: int = SEED, **options: Any) -> Investigation:
    """An investigation with an episode under way."""
    investigation = Investigation(**options)
    investigation.reset(seed=seed)
    return investigation


def test_public_names_are_reset_the_tools_submit_and_get_reward() -> None:
    """A library that offers public methods as tools offers exactly the tools; instances add no public name."""
    over = begun()
    over.submit(rows=[])
    for investigation in (Investigation(), begun(), over):
        names = {name for name in dir(investigation) if not name.startswith("_")}
        assert names == {"reset", "get_reward", *offered(None), SUBMIT}


def offered(world: WorldConfig | None) -> set[str]:
    """The tools that there are."""
    return {name for name, spec in TOOLS.items() if spec.offered(GeneratorConfig(world=world))}


def test_an_investigation_of_the_realistic_world_has_its_tool() -> None:
    """It has it as long as what is played has a world, on its class as well, where libraries look."""
    investigation = Investigation("realistic_easy")
    for task, has in ((None, True), ("easy_mixed", False), ("realistic_hard", True)):
        if task is not None:
            investigation.reset(seed=1, task=task)
        assert isinstance(investigation, Investigation)
        assert hasattr(investigation, "list_known_events") == has
        assert inspect.isfunction(getattr(type(investigation), "list_known_events", None)) == has
    names = {name for name in dir(investigation) if not name.startswith("_")}
    assert names == {"reset", "get_reward", *offered(WorldConfig()), SUBMIT}
    assert offered(WorldConfig()) - offered(None) == {"list_known_events"}


@pytest.mark.parametrize("name", list(CALLS))
def test_methods_are_typed_and_documented_as_their_tools(name: str) -> None:
    """A method has its tool's docstring, parameters and defaults; its types are built-in ones and it returns text."""
    method = getattr(WorldInvestigation, name)
    assert (method.__name__, method.__qualname__) == (name, f"Investigation.{name}")
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


def test_methods_answer_what_the_session_answers() -> None:
    """A method, with its arguments by name or by position, is the call of its tool, word for word."""
    session = Session()
    session.begin(SEED)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_suspicious_dates", {"limit": 3}),
        ("rows_for_date", {"date": DATE}),
        ("compare_count_to_median", {"date": DATE, "entity_name": "app_opens"}),
        ("get_rate_drop_from_median_rows", {}),
        ("rows_for_date", {"date": "x"}),
        ("payload_generator", {"generator_methods": ["get_funnel_break_rows"]}),
        (SUBMIT, {"rows": [truth(EnvConfig()).expected_rows[0].model_dump()]}),
        ("list_dates", {}),
    ]
    by_name, by_place = begun(), begun()
    for tool, arguments in calls:
        text = session.call(tool, arguments).text
        assert getattr(by_name, tool)(**arguments) == text
        assert getattr(by_place, tool)(*arguments.values()) == text
    assert session_of(by_name).standing == session_of(by_place).standing == session.standing
    assert by_name.get_reward() == session.standing.reward


def test_bad_arguments_of_a_method_are_told_too() -> None:
    """Surplus, repeated and unknown arguments of the Python methods are answers, not exceptions."""
    investigation = begun()
    for answer, message in (
        (investigation.rows_for_date(DATE, DATE), "2 arguments are too many"),
        (investigation.rows_for_date(DATE, date=DATE), "date is given twice"),
        (investigation.rows_for_date(day=DATE), "argument 'day' is unknown"),
        (investigation.submit(rows=[], more=1), "argument 'more' is unknown"),
        (investigation.list_dates(self=1), "argument 'self' is unknown"),
    ):
        found = json.loads(answer)
        assert (found["ok"], found["cost"]) == (False, 1)
        assert message in found["error"]


def test_reset_begins_an_episode_of_the_session() -> None:
    """Seed, task and options of a reset are those of the session; a data set's prompt is passed over."""
    investigation, session = Investigation(budget=9), Session(budget=9)
    plays: list[dict[str, Any]] = [
        {"seed": 3},
        {},
        {"task": "hard_mixed", "seed": 4},
        {"scenario_family": "funnel_break"},
    ]
    for options in plays:
        assert investigation.reset(**options, prompt=[{"role": "user"}]) == session.begin(**options)
        assert investigation.submit(rows=[]) == session.call(SUBMIT, {"rows": []}).text
    assert session_of(investigation).config == session.config


@pytest.mark.parametrize(
    ("options", "message"),
    [({"seed": -1}, "seed -1"), ({"budget": 3}, "unknown reset option 'budget'"), ({"task": 1}, "task 1")],
)
def test_a_bad_reset_is_refused(options: dict[str, Any], message: str) -> None:
    """What there is not raises, and the episode goes on."""
    investigation = begun()
    with pytest.raises(ValueError, match=re.escape(message)):
        investigation.reset(**options)
    assert told(session_of(investigation), SUBMIT, rows=[])["episode"]["seed"] == SEED


def test_repr_tells_nothing_of_the_episode() -> None:
    """What an investigation prints as is the same for every seed."""
    assert repr(begun(1)) == repr(begun(2)) == "<Investigation, medium>"
