"""The tools of the realistic world: the known events and the lost hours, on three weeks written by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers_view import TINY_CONFIG, make_view, tiny_view

from metric_tracker_env.config import GeneratorConfig, ToolCosts, WorldConfig
from metric_tracker_env.schema import Gap, KnownEvent
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit, ToolError, call_tool
from metric_tracker_env.view import MetricView

CONFIG = TINY_CONFIG.model_copy(update={"num_weeks": 3, "hourly_weights": (3.0,) * 8 + (1.0,) * 16})
WORLD = CONFIG.model_copy(update={"world": WorldConfig()})
DAYS = WORLD.date_names
SALE = KnownEvent(
    kind="campaign",
    first_date=DAYS[3],
    last_date=DAYS[4],
    entity_type="event_count",
    entity_name="visits",
    direction="up",
    expected_change=20.0,
    unit="percent",
)


def three_weeks(config: GeneratorConfig) -> MetricView:
    """Visits 100, signups 50, orders 10 an hour; nothing at all on the sixth date from 6 to 9 h; one known event."""
    hourly = np.full((21, 24, 3), (100, 50, 10), np.int32)
    hourly[5, 6:10] = 0
    view = make_view(config, hourly)
    if config.world is None:
        return view
    return dataclasses.replace(view, known_events=(SALE,), gaps=(Gap(date=DAYS[5], first_hour=6, last_hour=9),))


def test_the_known_events_are_told_as_announced() -> None:
    """The tool tells what was announced, field by field, and no word of what came of it."""
    told = call_tool(SharedAnalysisToolkit(three_weeks(WORLD)), "list_known_events", {})
    assert told == {"events": [SALE.model_dump()]}
    assert set(told["events"][0]) == {
        *("kind", "first_date", "last_date", "entity_type", "entity_name"),
        *("direction", "expected_change", "unit"),
    }


def test_the_lost_hours_of_a_date() -> None:
    """Of 40 parts of a usual day the hours 6 to 9 hold 3 + 3 + 1 + 1: a fifth; a whole date has lost nothing."""
    toolkit = SharedAnalysisToolkit(three_weeks(WORLD))
    report = call_tool(toolkit, "hourly_rows_for_date", {"date": DAYS[5]})
    assert (report["lost_hours"], report["lost_share"]) == ([6, 7, 8, 9], 0.2)
    assert [record["visits"] for record in report["records"]] == [100] * 6 + [0] * 4 + [100] * 14
    assert report["daytime_share"]["observed_value"] == 0.5  # 10 of the 20 hours that are left
    whole = call_tool(toolkit, "hourly_rows_for_date", {"date": DAYS[6]})
    assert (whole["lost_hours"], whole["lost_share"]) == ([], 0.0)


def test_without_a_world_nothing_is_lost_or_announced() -> None:
    """Without a world the hours are told as ever, even where there are none, and the known events are refused."""
    clean, world = (SharedAnalysisToolkit(three_weeks(config)) for config in (CONFIG, WORLD))
    for day in DAYS[4:7]:
        told, more = (call_tool(toolkit, "hourly_rows_for_date", {"date": day}) for toolkit in (clean, world))
        assert set(more) - set(told) == {"lost_hours", "lost_share"}
        assert {name: more[name] for name in told} == told
    for toolkit in (clean, SharedAnalysisToolkit(tiny_view())):
        for call in (toolkit.list_known_events, lambda toolkit=toolkit: call_tool(toolkit, "list_known_events", {})):
            with pytest.raises(ToolError, match=r"list_known_events: nothing was announced here, .* no world"):
                call()


def test_the_known_events_take_no_arguments() -> None:
    """A surplus argument is refused with its name, as with any tool."""
    with pytest.raises(ToolError, match="argument 'date' is unknown; it takes no arguments"):
        call_tool(SharedAnalysisToolkit(three_weeks(WORLD)), "list_known_events", {"date": DAYS[3]})


def test_the_calendar_has_a_price_of_its_own() -> None:
    """It costs 2 units unless configured, is offered in a world alone, and its price is told in words."""
    spec = TOOLS["list_known_events"]
    assert spec.units(ToolCosts(), {}, WORLD) == 2
    assert spec.price(ToolCosts(calendar=7)) == "7 units"
    assert (spec.offered(WORLD), spec.offered(CONFIG)) == (True, False)
