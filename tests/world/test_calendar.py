"""Parts of the calendar on small cases that can be checked on paper: links, windows, lost hours, records."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_world import WORLD, batch_of, generated, keys_of, layer_of

from metric_tracker_env.config import EpisodeConfig, GeneratorConfig, WorldConfig
from metric_tracker_env.schema import Gap, KnownEvent
from metric_tracker_env.world.calendar import GAP_KEEPS, CalendarPlanner, event_kind, lost_hours
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.links import ALL_LINKS, TAKEN, links_of_entities, links_of_gap
from metric_tracker_env.world.proposals import Proposer
from metric_tracker_env.world.windows import Tries, drawn_lengths, drawn_numbers

DEFAULT = GeneratorConfig()


@pytest.mark.parametrize(
    ("entity", "positions"),
    [
        ("app_opens", [0]),
        ("menu_opens", [1, 2]),
        ("orders_placed", [3, 4]),
        ("menu_open_to_product_added_to_cart", [2]),
        ("orders_placed_from_product_added_to_cart", [3]),
        ("app_open_to_order_placed", [1, 2, 3, 4]),  # a rate beside those that it moves would hide its pattern
        ("app_opens:daytime_share", [5]),
        ("payment_successful_lte_orders_placed", range(TAKEN)),
    ],
)
def test_links_of_the_default_funnel(entity: str, positions: list[int]) -> None:
    """Bit 0 is traffic, 1 to 4 the step rates, 5 the mix; data quality touches everything."""
    (index,) = (e.index for e in DEFAULT.catalogue.entities if e.entity_name == entity)
    assert links_of_entities(DEFAULT)[index] == sum(2**position for position in positions)


def test_links_of_a_gap() -> None:
    """Lost hours take traffic, mix and quality, and leave the rates."""
    assert links_of_gap(DEFAULT) == 2**0 + 2**5 + 2**6
    assert links_of_gap(DEFAULT) & ALL_LINKS == links_of_gap(DEFAULT)


def test_windows_are_settled_in_order() -> None:
    """Of an episode's windows the first in rank takes its date; the next one takes its first try that keeps clear."""
    taken = np.zeros((2, 10), np.uint16)
    taken[0, 2] = 0b01
    start = np.array([[1, 5], [5, 6], [0, 8], [3, 3]])
    length = np.array([[2, 2], [1, 1], [3, 1], [1, 1]])
    fits = np.array([[True, True], [True, True], [True, True], [False, False]])
    lane, rank = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0])
    barred = np.array([[0b11, 0b11], [0b10, 0b10], [0b10, 0b10], [0b11, 0b11]], np.uint16)
    mark = np.array([0b10, 0b10, 0b10, 0b10], np.uint16)
    chosen = Tries(start, length, fits).settle(taken, lane, rank, barred, mark)
    # Rank 0: days 1-2 hold a barred bit, so days 5-6. Rank 1: both are taken now. Rank 2: days 0-2 hold nothing barred.
    assert chosen.tolist() == [1, -1, 0, -1]
    assert taken[0].tolist() == [0b10, 0b10, 0b11, 0, 0, 0b10, 0b10, 0, 0, 0]
    assert not taken[1].any()


def test_lengths_and_numbers_use_the_whole_range() -> None:
    """Draws from 0 to just under 1 give each length and number its share, and none beyond the last possible."""
    world = WorldConfig(lengths=(0.5, 0.25, 0.25, 0.0))
    assert world.longest == 3
    draws = np.array([0.0, 0.49, 0.5, 0.74, 0.75, 1.0 - 2.0**-53])
    assert drawn_lengths(world, draws).tolist() == [1, 1, 2, 2, 3, 3]
    assert drawn_lengths(WorldConfig(lengths=(1.0,)), draws).tolist() == [1] * 6
    assert drawn_lengths(WorldConfig(lengths=(0.0, 0.0, 1.0)), draws).tolist() == [3] * 6
    assert drawn_numbers((2, 4), np.array([0.0, 0.33, 0.34, 0.67, 0.99])).tolist() == [2, 2, 3, 4, 4]


def test_gaps_fall_on_dates_that_have_the_traffic_to_lose() -> None:
    """Of an episode that has it on one date alone every gap falls there, however much others have."""
    world = WorldConfig(gaps=(1, 1), gap_loss=(1.0, 1.0))
    planner = CalendarPlanner(DEFAULT, world, Proposer(DEFAULT, "medium"), np.arange(7))
    episodes, days, only = 400, DEFAULT.num_days, 11
    rich, poor = slice(0, None, 2), slice(1, None, 2)
    bare = np.full((1, episodes, days), 1000.0)
    bare[:, poor] = 40.0  # a threshold is 50 events
    bare[:, poor, only] = 50.0 / (1.0 - GAP_KEEPS)
    taken = np.zeros((episodes, days), np.uint16)
    gaps = planner.draw_gaps(keys_of(list(range(episodes))), bare, np.repeat(bare / 24, 24, axis=0), taken)
    assert gaps.active[rich].all()
    assert len(np.unique(gaps.day[rich])) == len(DEFAULT.candidate_days)
    assert set(gaps.day[poor][gaps.active[poor]].tolist()) == {only}
    assert 0 < gaps.active[poor].sum() < episodes / 2


def test_lost_hours_hold_what_they_should() -> None:
    """The window begins at a drawn hour from which enough traffic is left, and ends as soon as it holds enough."""
    entry = np.tile(np.array([10.0] * 20 + [100.0] * 4)[:, None], 4)
    first, last = lost_hours(entry, np.array([25.0, 25.0, 200.0, 600.0]), np.array([0.0, 1 - 2.0**-53, 0.5, 0.9]))
    assert first.tolist() == [0, 23, 11, 0]  # 200 events are left from hour 0 to 22; all 600 only from hour 0 on
    assert last.tolist() == [2, 23, 21, 23]


@pytest.mark.parametrize(
    ("entity", "sign", "kind"),
    [
        ("app_opens", 1, "campaign"),
        ("app_opens", -1, "holiday"),
        ("menu_opens", 1, "tracking_change"),
        ("menu_opens", -1, "tracking_change"),
        ("app_open_to_menu_open", 1, "price_promotion"),
        ("app_open_to_menu_open", -1, "release"),
        ("menu_opens_from_app_opens", -1, "planned_maintenance"),
        ("app_opens:daytime_share", 1, "changed_hours"),
        ("menu_opens_lte_app_opens", 1, "logging_migration"),
    ],
)
def test_kinds_of_events(entity: str, sign: int, kind: str) -> None:
    """An event is called by what it moves and in which direction."""
    (index,) = (e.index for e in DEFAULT.catalogue.entities if e.entity_name == entity)
    assert event_kind(DEFAULT.catalogue, index, sign) == kind


def test_no_drop_of_everything_is_announced() -> None:
    """What is announced may be far more than what happens, but never a drop of more than 95 percent."""
    far = GeneratorConfig(world=WorldConfig(announced_within=0.5))
    events = layer_of(generated(far, "easy", "mixed", 0, 200)).events
    told = events.announced[events.active]
    assert told.min() == -95.0
    assert (told == -95.0).sum() > 2


def test_records_say_what_the_arrays_hold() -> None:
    """Known events and gaps are told by date, with names; effects stand apart; explained cells have one cause each."""
    batch = batch_of("hard")
    layer, generator = layer_of(batch), MetricDataGenerator(WORLD)
    kinds, units = set(), set()
    for seed in range(40):
        episode = generator.generate_episode(EpisodeConfig(seed=seed, difficulty="hard", anomaly_count=(0, 4)))
        events = episode.known_events
        assert [event.first_date for event in events] == sorted(event.first_date for event in events)
        for event, effect in zip(events, episode.event_effects, strict=True):
            first = episode.dates.index(event.first_date)
            place = int(layer.event_of_day[seed, first])
            assert episode.dates.index(event.last_date) == first + layer.events.length[seed, place] - 1
            entity = WORLD.catalogue.entity(event.entity_type, event.entity_name)
            assert entity.index == layer.events.entity[seed, place]
            assert event.expected_change == pytest.approx(layer.events.announced[seed, place])
            assert event.direction == ("up" if event.expected_change > 0 else "down")
            assert effect == layer.events.effect[seed, place]
            assert "effect" not in event.model_dump()
            if event.unit == "percent":
                assert event.expected_change == round(event.expected_change) != 0
            else:
                assert event.expected_change == round(event.expected_change, 1) != 0
            kinds.add(event.kind)
            units.add((event.entity_type == "hourly_mix", event.unit))
        lost = {(gap.date, gap.first_hour, gap.last_hour) for gap in episode.gaps}
        hours = {
            (date, hour)
            for day, date in enumerate(episode.dates)
            for hour in range(24)
            if not episode.hourly[day, hour].any()
        }
        assert hours == {(date, hour) for date, first, last in lost for hour in range(first, last + 1)}
        for day, entity in np.argwhere(episode.classes == CellClass.EXPLAINED).tolist():
            cause = episode.explanation(day, entity)
            if isinstance(cause, Gap):
                assert cause.date == episode.dates[day]
            else:
                assert isinstance(cause, KnownEvent)
                assert cause.first_date <= episode.dates[day] <= cause.last_date
                assert episode.event_effects[events.index(cause)]
        for day, entity in np.argwhere(episode.classes != CellClass.EXPLAINED).tolist():
            assert episode.explanation(day, entity) is None
    assert len(kinds) == 8
    assert units == {(True, "points"), (False, "percent")}


def test_the_schedule_tells_spans() -> None:
    """An incident of several dates is one item with its last date; its rows lie on those dates, one a date."""
    lasting = 0
    for seed in range(60):
        episode = MetricDataGenerator(WORLD).generate_episode(
            EpisodeConfig(seed=seed, difficulty="hard", anomaly_count=(1, 4))
        )
        covered = {}
        for item in episode.anomaly_schedule:
            first = episode.dates.index(item.date)
            last = episode.dates.index(item.last_date or item.date)
            assert item.last_date is None or last > first
            lasting += last > first
            for day in range(first, last + 1):
                covered[episode.dates[day]] = item
                assert episode.incidents_of_day[day] == (WORLD.catalogue.index[item.entity_type, item.entity_name],)
        assert len(covered) == len(episode.incidents_of_day)
        for row in episode.expected_rows:
            item = covered[row.date]
            assert (row.entity_type, row.entity_name) == (item.entity_type, item.entity_name)
            assert ("up" if row.delta_value > 0 else "down") == item.direction
        rows = {row.date for row in episode.expected_rows}
        assert {item.last_date or item.date for item in episode.anomaly_schedule} <= rows
    assert lasting > 30


def test_a_clean_episode_has_no_calendar() -> None:
    """Without a world nothing is announced, lost or explained, and incidents last one date."""
    episode = MetricDataGenerator().generate_episode(EpisodeConfig(difficulty="hard"))
    assert episode.known_events == episode.event_effects == episode.gaps == []
    assert not (episode.classes == CellClass.EXPLAINED).any()
    assert [item.last_date for item in episode.anomaly_schedule] == [None] * 3
