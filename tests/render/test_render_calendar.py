"""Pictures of the realistic world: events, lost hours and explained cells in their places, none before its time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from helpers_env import ENV_ID
from helpers_scene import nothing_done

from metric_tracker_env import (
    EnvConfig,
    EpisodeData,
    FunnelStep,
    GeneratorConfig,
    MetricDataGenerator,
    MetricTrackerEnv,
    render,
)
from metric_tracker_env.config import WorldConfig
from metric_tracker_env.render.layout import Places, places
from metric_tracker_env.render.scene import Announced, Lost
from metric_tracker_env.render.sheet import KNOWN, LOST_FILL, Sheet, colours
from metric_tracker_env.schema import Gap, KnownEvent
from metric_tracker_env.world.labels import CellClass

ANSI = re.compile(r"\x1b\[[0-9;]*m")
PAPER: tuple[int, ...] = (255, 255, 255)
SEED = 2_000_000_000  # an episode with events of both fates and a gap


def config_of(generator: GeneratorConfig | None = None, **changes: Any) -> EnvConfig:
    generator = generator or GeneratorConfig(world=WorldConfig())
    options = {"anomaly_count": (0, 4), "budget": 14} | changes
    return EnvConfig.model_validate({"generator": generator, **options})


def episode(config: EnvConfig, seed: int = SEED) -> EpisodeData:
    """The same object for the same configuration and seed."""
    return _episode(config.model_dump_json(), seed)


@cache
def _episode(config_json: str, seed: int) -> EpisodeData:
    config = EnvConfig.model_validate_json(config_json)
    return MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=seed))


def scene_of(config: EnvConfig, over: bool, informed: bool = False, **parts: Any) -> render.Scene:
    return render.Scene(config, episode(config), nothing_done(config, informed)._replace(**parts), over=over)


def both(scene: render.Scene) -> tuple[bytes, str]:
    return render.frame(scene).tobytes(), render.text(scene)


def plain(scene: render.Scene) -> list[str]:
    return ANSI.sub("", render.text(scene)).splitlines()


def layout(config: EnvConfig) -> Places:
    return places(config.generator.catalogue, config.generator.num_days, True)


def pixel(frame: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    return tuple(frame[int(y), int(x)].tolist())


def colour(code: str) -> tuple[int, ...]:
    return tuple(int(code[place : place + 2], 16) for place in (1, 3, 5))


def reachable(thing: Any) -> Iterator[Any]:
    """A scene, what it holds, what that holds, and so on; not what the configuration holds."""
    yield thing
    if isinstance(thing, tuple | list):
        for part in thing:
            yield from reachable(part)
    elif isinstance(thing, dict):
        yield from reachable(list(thing.values()))
    elif isinstance(thing, render.Scene):
        yield from reachable(list(vars(thing).values()))


def test_a_scene_holds_no_event_and_no_gap_before_it_was_paid_for() -> None:
    """Events after they were listed, without their fate; a gap after the hours of its date were looked at."""
    config = config_of()
    data = episode(config)
    assert (len(data.known_events), len(data.gaps)) == (6, 1)
    mix = config.generator.catalogue.slices["hourly_mix"].start
    looked_at = np.zeros((config.generator.num_days, config.generator.catalogue.num_entities), bool)
    looked_at[:, :mix] = looked_at[:, mix + 1 :] = True
    looked_at[[day for day, name in enumerate(data.dates) if name != data.gaps[0].date], mix] = True
    for informed in (False, True):
        held = list(reachable(scene_of(config, False, informed, revealed=looked_at)))
        assert not any(isinstance(part, EpisodeData | Gap | Lost) for part in held)
        announced = [part for part in held if isinstance(part, Announced)]
        assert [part.event for part in announced] == (data.known_events if informed else [])
        assert all(part.came_true is None for part in announced)
        assert any(isinstance(part, KnownEvent) for part in held) == informed
    looked_at[data.dates.index(data.gaps[0].date), mix] = True
    held = list(reachable(scene_of(config, False, revealed=looked_at)))
    assert [part for part in held if isinstance(part, Gap)] == data.gaps
    assert not any(isinstance(part, KnownEvent) for part in held)


def test_other_calendars_look_the_same_while_nothing_is_paid_for() -> None:
    """No event, gap or fate changes a pixel or a character before the agent pays; a list paid for does."""
    config = config_of()
    pictures = {
        informed: {
            both(render.Scene(config, episode(config, seed), nothing_done(config, informed), over=False))
            for seed in (SEED, SEED + 1, SEED + 2)
        }
        for informed in (False, True)
    }
    assert (len(pictures[False]), len(pictures[True])) == (1, 3)


def test_whether_events_came_true_is_not_drawn_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other fates of the listed events change nothing in a running episode, and the picture of its end."""
    config = config_of()
    drawn = [both(scene_of(config, over, True)) for over in (False, True)]
    data = episode(config)
    monkeypatch.setattr(data, "event_effects", [not effect for effect in data.event_effects])
    again = [both(scene_of(config, over, True)) for over in (False, True)]
    assert again[0] == drawn[0]
    assert again[1][0] != drawn[1][0]
    assert again[1][1] != drawn[1][1]
    assert not re.search("came true|changed nothing|explain", render.text(scene_of(config, False, True)))


@pytest.mark.parametrize("over", [False, True])
def test_events_and_gaps_are_boxes_above_their_dates(over: bool) -> None:
    """Filled from the first to the last date; hollow at the end if nothing came of it; the other dates are empty."""
    config = config_of()
    data, at = episode(config), layout(config)
    revealed = np.ones((config.generator.num_days, config.generator.catalogue.num_entities), bool)
    frame = render.frame(scene_of(config, over, True, revealed=revealed))
    wanted = [PAPER] * config.generator.num_days
    for event, effect in zip(data.known_events, data.event_effects, strict=True):
        for day in range(data.dates.index(event.first_date), data.dates.index(event.last_date) + 1):
            wanted[day] = colour(KNOWN) if effect or not over else PAPER
    wanted[data.dates.index(data.gaps[0].date)] = colour(LOST_FILL)
    left, top, _, height = at.strip_box(0, 0)
    quarter = [pixel(frame, left + (day + 0.2) * at.column, top + height / 2) for day in range(len(wanted))]
    assert quarter == wanted
    assert set(data.event_effects) == {True, False}
    edges = [
        pixel(frame, left + data.dates.index(event.first_date) * at.column + 1, top + height / 2)
        for event in data.known_events
    ]
    assert np.abs(np.array(edges) - colour(KNOWN)).max() < 40  # also of hollow ones
    assert top > at.curves_top + at.curve * config.generator.catalogue.num_steps
    assert top + height < at.calendar_top < min(at.rows_top)


def test_explained_cells_have_a_mark_of_their_own_at_the_end() -> None:
    """A disc of paper lies on each explained cell, on no consequence and no incident, and on none before the end."""
    config = config_of()
    data, at = episode(config), layout(config)
    revealed = np.ones(data.classes.shape, bool)

    def on_disc(frame: np.ndarray, day: int, entity: int) -> bool:
        x, y = int(at.middle(day)), at.rows_top[entity] + at.row // 2
        return int((frame[y - 6 : y + 6, x - 6 : x + 6] >= 250).all(axis=-1).sum()) >= 20

    running, ended = (render.frame(scene_of(config, over, True, revealed=revealed)) for over in (False, True))
    for cell_class in (CellClass.EXPLAINED, CellClass.CONSEQUENCE, CellClass.EXPECTED):
        cells = [tuple(cell) for cell in np.argwhere(data.classes == cell_class).tolist()]
        assert len(cells) >= 4
        assert {on_disc(ended, *cell) for cell in cells} == {cell_class == CellClass.EXPLAINED}
        assert {on_disc(running, *cell) for cell in cells} == {False}
    day, entity = np.argwhere(data.classes == CellClass.EXPLAINED)[0].tolist()
    shade = np.rint(colours(data.deviations.ratios[entity, 0, day]) * 255)
    corner = pixel(ended, at.left + day * at.column + 2, at.rows_top[entity] + 2)
    assert np.abs(np.array(corner) - shade).max() <= 1  # the deviation is still seen around the mark


def test_the_truth_names_what_explains_each_cell() -> None:
    """Each explained cell has the letter of the event or gap of its own date, all other cells none."""
    config = config_of()
    data, scene = episode(config), scene_of(config, True)
    assert scene.truth is not None
    spans = {item.mark: range(item.first, item.last + 1) for item in scene.events}
    spans |= {item.mark: range(item.day, item.day + 1) for item in scene.lost}
    assert list(spans) == ["A", "B", "C", "D", "E", "F", "a"]
    assert np.array_equal(scene.truth.explained != "", data.classes == CellClass.EXPLAINED)
    for day, entity in np.argwhere(data.classes == CellClass.EXPLAINED).tolist():
        assert day in spans[str(scene.truth.explained[day, entity])]


def test_text_lists_the_calendar_and_at_the_end_what_came_of_it() -> None:
    """A line an event and a gap; the end says which came true and which reported cells were explained."""
    config = config_of()
    data = episode(config)
    lines = plain(scene_of(config, False))
    assert lines[lines.index("Calendar") + 1] == "  known events not listed"
    lines = plain(scene_of(config, False, True))
    first = lines.index("Calendar") + 1
    for line, mark, event in zip(lines[first:], "ABCDEF", data.known_events, strict=False):
        assert line.startswith(f"{mark} {event.first_date}")
        assert (f" to {event.last_date}" in line) == (event.last_date != event.first_date)
        assert event.entity_name[:38] in line
        assert event.kind.replace("_", " ") in line
        assert line.endswith(f"{event.expected_change:+g}{'%' if event.unit == 'percent' else ' points'}")
    assert lines[first + 6] == ""

    reported = np.zeros(data.classes.shape, bool)
    explained = np.argwhere(data.classes == CellClass.EXPLAINED)
    for cell in (explained[0], explained[-1], np.argwhere(data.classes == CellClass.EXPECTED)[0]):
        reported[tuple(cell)] = True
    scene = scene_of(config, True, reported=reported, revealed=reported)
    lines = plain(scene)
    first = lines.index("Calendar") + 1
    fates = ["came true" if effect else "changed nothing" for effect in data.event_effects]
    assert [line.endswith(fate) for line, fate in zip(lines[first:], fates, strict=False)] == [True] * 6
    gap = data.gaps[0]
    assert lines[first + 6] == f"a {gap.date}  hours {gap.first_hour} to {gap.last_hour} lost"
    assert lines[first + 7] == f"  {len(explained)} explained cells, 2 of them reported by mistake"
    assert scene.truth is not None
    assert scene.truth.grade.extra_explained == 2
    mistaken = [number for number, line in enumerate(lines) if line.startswith("  explained by ")]
    assert [lines[number - 1][:12] for number in mistaken] == [
        f"x {data.dates[day]}" for day in (explained[0][0], explained[-1][0])
    ]


GENERATORS = {
    "default": GeneratorConfig(world=WorldConfig()),
    "smallest": GeneratorConfig(
        steps=(FunnelStep(name="paid", rate=0.5),), conversion_definitions=(), num_weeks=3, world=WorldConfig()
    ),
    "crowded": GeneratorConfig(
        steps=(FunnelStep(name="paid", rate=0.5),),
        conversion_definitions=(),
        num_weeks=12,
        world=WorldConfig(events=(12, 12), gaps=(6, 6)),
    ),
    "largest": GeneratorConfig(
        entry_step="a" * 40,
        steps=tuple(FunnelStep(name=f"step_with_a_rather_long_name_{i}", rate=0.8) for i in range(11)),
        conversion_definitions=(),
        num_weeks=12,
        world=WorldConfig(events=(12, 12), gaps=(6, 6)),
    ),
    "empty": GeneratorConfig(world=WorldConfig(events=(0, 0), gaps=(0, 0), on_event_dates=0.0)),
}


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("generator", GENERATORS.values(), ids=GENERATORS)
def test_any_funnel_with_a_world_can_be_drawn(
    generator: GeneratorConfig, over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text keeps to 120 columns; in a frame the calendar's words keep to their panel and off each other."""
    config = config_of(generator, anomaly_count=1, budget=100_000, step_limit=1_000_000)
    drawn: list[tuple[str, Any]] = []
    pixels = Sheet.pixels

    def noted(sheet: Sheet, background: Any) -> np.ndarray:
        renderer = sheet._canvas.get_renderer()
        drawn.extend((text.get_text(), text.get_window_extent(renderer)) for text in sheet._axes.texts)
        return pixels(sheet, background)

    monkeypatch.setattr(Sheet, "pixels", noted)
    everything = np.ones((generator.num_days, generator.catalogue.num_entities), bool)
    scene = scene_of(config, over, True, revealed=everything, reported=everything)
    assert max(map(len, plain(scene))) <= 120
    frame = render.frame(scene)
    at = layout(config)
    assert frame.shape == (at.height, at.width, 3)
    words = [text for text, _ in drawn]
    assert words.count("Calendar") == 1
    heading = at.height - drawn[words.index("Calendar")][1].y1  # matplotlib counts from the bottom
    panel = [(text, box) for text, box in drawn if box.x0 >= at.panel - 1]
    calendar = [(text, box) for text, box in panel if at.height - box.y1 >= heading - 3]
    assert {text for text, _ in calendar} >= {event.kind.replace("_", " ") for _, event in _listed(scene, words)}
    for text, box in calendar:
        assert box.x1 <= at.width, text
        assert at.height - box.y0 <= at.legend_top - 10, text
    for (one, a), (other, b) in itertools.combinations(panel, 2):
        if (one, a) in calendar or (other, b) in calendar:
            apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 3 or b.y1 <= a.y0 + 3
            assert apart, (one, other)


def _listed(scene: render.Scene, words: list[str]) -> list[tuple[str, KnownEvent]]:
    """Events whose letter stands in the list, beside that in the strip."""
    explained = [] if scene.truth is None else scene.truth.explained[~scene.progress.reported].tolist()
    counts = {mark: words.count(mark) - explained.count(mark) for mark in {item.mark for item in scene.events}}
    return [(item.mark, item.event) for item in scene.events if counts[item.mark] > 1]


@pytest.mark.parametrize("scale", [0.1, 0.5, 2.0])
def test_marks_are_seen_at_any_size(scale: float) -> None:
    """The strip of a listed event is there at the smallest size as at the largest."""
    config = config_of()
    at, scene = layout(config), scene_of(config, False, True)
    frame = render.frame(scene, scale)
    for item in scene.events:
        left, top, width, height = (length * scale for length in at.strip_box(item.first, item.last))
        box = frame[int(top) : int(top + height) + 1, int(left) : int(left + width) + 1].reshape(-1, 3).astype(int)
        assert (box[:, 2] - box[:, 1]).max() > 40  # violet: much more blue than green


@pytest.mark.parametrize("view", ["focus", "board"])
def test_listing_the_events_shows_them(view: str) -> None:
    """The action that lists the known events brings them into both kinds of picture."""
    for mode in ("ansi", "rgb_array"):
        env = gym.make(ENV_ID, task="realistic_medium", view=view, render_mode=mode).unwrapped
        assert isinstance(env, MetricTrackerEnv)
        env.reset(seed=SEED)
        before = env.render()
        env.step(env.actions.parse("list_known_events()"))
        after = env.render()
        if mode == "ansi":
            assert "known events not listed" in str(before)
            assert "known events not listed" not in str(after)
        else:
            config = config_of()
            at = layout(config)
            event = episode(config).known_events[0]
            x, y, _, height = at.strip_box(config.generator.day_index(event.first_date), 0)
            spots = [pixel(np.asarray(frame), x + 3, y + height / 2) for frame in (before, after)]
            assert spots == [PAPER, colour(KNOWN)]
