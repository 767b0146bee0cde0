"""Draw what incidents, events and lost hours look like: ``docs/family_*.png`` and ``docs/world_*.png``.

Each family's picture has one incident of medium size; each of the world's shows one thing of an episode that is
searched for from seed 0 on. What is drawn is what the data show and, in grey, what they would show without.

    python docs/draw_world.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metric_tracker_env import EpisodeConfig, EpisodeData, GeneratorConfig, MetricDataGenerator
from metric_tracker_env.config import WorldConfig
from metric_tracker_env.schema import FAMILIES, AnomalyType, Entity
from metric_tracker_env.world.labels import CellClass

FOLDER = Path(__file__).parent
INK, SOFT, BAND = "#1f2937", "#9ca3af", "#e5e7eb"
ROOT, FOLLOWS, QUIET, EVENT = "#b4232f", "#e7a3a8", "#cbd5e1", "#4c3f91"
MOST = 3.0  # thresholds that a bar shows
# The entity whose incident is drawn: the one whose signature is plainest.
SHOWN: dict[AnomalyType, str] = {
    "rate_drop_from_median": "product_added_to_cart_to_order_placed",
    "rate_spike_from_median": "menu_open_to_product_added_to_cart",
    "absolute_drop_in_event_count": "app_opens",
    "absolute_spike_in_event_count": "menu_opens",
    "funnel_break": "orders_placed_from_product_added_to_cart",
    "hourly_traffic_mix_shift": "app_opens:daytime_share",
    "instrumentation_data_quality_issue": "orders_placed_lte_product_added_to_cart",
}
PER_DAY = "events a day"


class Found(NamedTuple):
    """An episode, and a cell of it."""

    episode: EpisodeData
    day: int
    entity: int

    @property
    def described(self) -> Entity:
        """The entity."""
        return self.episode.generator_config.catalogue.entities[self.entity]


def episodes(generator: GeneratorConfig, **options: object) -> Iterator[EpisodeData]:
    """Medium episodes of the seeds from 0 on."""
    maker = MetricDataGenerator(generator)
    for seed in range(5000):
        yield maker.generate_episode(EpisodeConfig.model_validate({"seed": seed, "difficulty": "medium", **options}))
    raise ValueError("no episode of 5,000 shows what is to be drawn")


def roots(episode: EpisodeData) -> list[tuple[int, int]]:
    """Day and entity of each expected row."""
    return [(int(day), int(entity)) for day, entity in np.argwhere(episode.classes == CellClass.EXPECTED)]


def incident_of(family: AnomalyType) -> Found:
    """An episode with one incident of a family, at the entity that is drawn."""
    for episode in episodes(GeneratorConfig(), scenario_family=family, anomaly_count=1):
        ((day, entity),) = roots(episode)
        if episode.generator_config.catalogue.entities[entity].entity_name == SHOWN[family]:
            return Found(episode, day, entity)
    raise AssertionError


def plain(axes: Axes) -> Axes:
    """Axes with two spines and small letters."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(labelsize=8, colors=INK, length=2)
    return axes


def month_days(axes: Axes, episode: EpisodeData) -> None:
    """Days of the month below, a label a week."""
    places = range(0, len(episode.dates), 7)
    axes.set_xticks(places, [episode.dates[place][5:] for place in places])


def draw_count(axes: Axes, episode: EpisodeData, step: int, marked: range, colour: str) -> None:
    """A count over the days, with and without what happened, and the band within which it is normal."""
    values, twin, seen = episode.daily[:, step], episode.twin_daily[:, step], episode.deviations
    band(axes, float(seen.medians[step, 0]), float(seen.thresholds[step, 0]))
    axes.plot(twin, color=SOFT, lw=1.2, ls="--")
    draw_values(axes, values, marked, colour)
    month_days(axes, episode)


def band(axes: Axes, median: float, threshold: float) -> None:
    """The median, and a threshold on either side of it."""
    axes.axhspan(median - threshold, median + threshold, color=BAND, zorder=0)
    axes.axhline(median, color="white", lw=1.2, zorder=0)


def draw_values(axes: Axes, values: np.ndarray, marked: range, colour: str) -> None:
    """A line, and a dot on each marked day."""
    axes.plot(values, color=INK, lw=1.3)
    axes.plot(list(marked), values[list(marked)], "o", ms=6, color=colour)


def draw_root(axes: Axes, found: Found) -> str:
    """The measure of an incident over days or hours; says what is drawn."""
    episode, day, entity = found
    described, seen = found.described, episode.deviations
    if described.entity_type == "event_count":
        draw_count(axes, episode, entity, range(day, day + 1), ROOT)
        return f"{described.entity_name}, {PER_DAY}"
    if described.entity_type in ("hourly_mix", "data_quality"):
        return draw_hours(axes, found)
    measure = int(episode.generator_config.catalogue.measure_of_entity[entity])
    median, threshold = float(seen.medians[measure, 0]), float(seen.thresholds[entity, 0])
    band(axes, median, threshold)
    draw_values(axes, seen.values[measure, 0], range(day, day + 1), ROOT)
    month_days(axes, episode)
    return f"{described.entity_name}, %"


def draw_hours(axes: Axes, found: Found) -> str:
    """The hours of the incident's day against those of a usual one; says what is drawn."""
    episode, day, _ = found
    steps = episode.generator_config.catalogue.count_metrics
    usual = np.median(np.delete(episode.hourly, day, axis=0), axis=0)
    axes.set_xticks(range(0, 24, 6), [f"{hour}:00" for hour in range(0, 24, 6)])
    if found.described.entity_type == "hourly_mix":
        axes.plot(usual[:, 0], color=SOFT, lw=1.2, ls="--")
        axes.plot(episode.hourly[day, :, 0], color=ROOT, lw=1.5)
        return f"{steps[0]} an hour on {episode.dates[day]}; dashes: a usual day"
    lower, upper = found.described.entity_name.split("_lte_")
    axes.plot(episode.hourly[day, :, steps.index(upper)], color=INK, lw=1.3)
    axes.plot(episode.hourly[day, :, steps.index(lower)], color=ROOT, lw=1.5)
    return f"an hour on {episode.dates[day]}; black: {upper}, red: {lower}"


def draw_signature(axes: Axes, found: Found) -> None:
    """How far every entity is from its median on the day, in thresholds: the root, what follows, and the rest."""
    episode, day, root = found
    ratios = episode.deviations.ratios[:, 0, day]
    entities = episode.generator_config.catalogue.entities
    flagged = episode.deviations.flagged[:, 0, day]
    colours = [ROOT if place == root else FOLLOWS if flagged[place] else QUIET for place in range(len(entities))]
    places = np.arange(len(entities))[::-1]
    axes.axvspan(-1, 1, color=BAND, zorder=0)
    axes.barh(places, np.clip(ratios, -MOST, MOST), color=colours, height=0.72)
    axes.set_yticks(places, [entity.entity_name for entity in entities], fontsize=6)
    axes.set(xlim=(-MOST, MOST), ylim=(-0.7, len(entities) - 0.3))
    axes.set_title("that day, every entity, in thresholds from its median", fontsize=9, color=INK, loc="left")


def draw_family(family: AnomalyType) -> Figure:
    """The measure on the left, the signature on the right."""
    found = incident_of(family)
    figure = Figure(figsize=(10, 3.0), layout="constrained")
    left, right = (plain(axes) for axes in figure.subplots(1, 2, width_ratios=(1.15, 1)))
    left.set_title(draw_root(left, found), fontsize=9, color=INK, loc="left")
    draw_signature(right, found)
    return figure


# The world


def event_day(episode: EpisodeData, effect: bool) -> tuple[int, int, int] | None:
    """First and last day, and step, of an announced change of a count, far from incidents; came true or did not."""
    steps = episode.generator_config.catalogue.count_metrics
    for event, came_true in zip(episode.known_events, episode.event_effects, strict=True):
        first, last = (episode.dates.index(date) for date in (event.first_date, event.last_date))
        near = {day for day, _ in roots(episode)} & set(range(first - 1, last + 2))
        if came_true == effect and event.entity_name in steps and last > first and not near:
            return first, last, steps.index(event.entity_name)
    return None


def draw_event(axes: Axes, effect: bool) -> str:
    """A count that somebody announced would change."""
    for episode in episodes(GeneratorConfig(world=WorldConfig()), anomaly_count=2):
        if (place := event_day(episode, effect)) is not None:
            first, last, step = place
            event = next(item for item in episode.known_events if item.first_date == episode.dates[first])
            axes.axvspan(first - 0.5, last + 0.5, color=EVENT, alpha=0.15, lw=0)
            seen = episode.deviations
            band(axes, float(seen.medians[step, 0]), float(seen.thresholds[step, 0]))
            draw_values(axes, episode.daily[:, step], range(first, last + 1), EVENT)
            month_days(axes, episode)
            told = f"{event.kind.replace('_', ' ')}: {event.entity_name} {event.expected_change:+.0f} % announced"
            return f"{told}, {'it came true' if effect else 'nothing changed'}"
    raise AssertionError


def draw_gap(axes: Axes) -> str:
    """The hours of a day of which some were lost."""
    for episode in episodes(GeneratorConfig(world=WorldConfig()), anomaly_count=2):
        for gap in episode.gaps:
            day = episode.dates.index(gap.date)
            if gap.first_hour >= 8 and day not in {other for other, _ in roots(episode)}:
                usual = np.median(np.delete(episode.hourly[:, :, 0], day, axis=0), axis=0)
                axes.axvspan(gap.first_hour - 0.5, gap.last_hour + 0.5, color=SOFT, alpha=0.3, lw=0)
                axes.plot(usual, color=SOFT, lw=1.2, ls="--")
                axes.plot(episode.hourly[day, :, 0], color=INK, lw=1.4)
                axes.set_xticks(range(0, 24, 6), [f"{hour}:00" for hour in range(0, 24, 6)])
                return f"lost hours on {gap.date}: app_opens an hour; dashes: a usual day"
    raise AssertionError


def draw_long(axes: Axes) -> str:
    """A count incident of three days."""
    family: AnomalyType = "absolute_drop_in_event_count"
    generator = GeneratorConfig(world=WorldConfig())
    for episode in episodes(generator, anomaly_count=1, scenario_family=family):
        cells = roots(episode)
        days = [day for day, _ in cells]
        step = cells[0][1] if cells else 0
        seen, middle = episode.deviations, slice(min(days, default=0), max(days, default=0) + 1)
        usual = np.abs(episode.twin_daily[middle, step] - seen.medians[step, 0]) < seen.thresholds[step, 0]
        if len(cells) == 3 and usual.all():
            draw_count(axes, episode, step, range(min(days), max(days) + 1), ROOT)
            return f"an incident of three days, a row each: {FAMILIES[family].words}"
    raise AssertionError


def draw_world(parts: tuple[Callable[[Axes], str], ...]) -> Figure:
    """Pictures side by side."""
    figure = Figure(figsize=(10, 2.5), layout="constrained")
    for axes, part in zip(figure.subplots(1, len(parts)), parts, strict=True):
        plain(axes).set_title(part(axes), fontsize=8, color=INK, loc="left")
    return figure


def write(figure: Figure, name: str) -> None:
    """A picture with a palette, which is a third as large."""
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(110)
    canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
    path = FOLDER / f"{name}.png"
    drawn.quantize(64, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE).save(path)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB")


def main() -> None:
    """Draw all."""
    for family in FAMILIES:
        write(draw_family(family), f"family_{family}")
    write(draw_world((lambda axes: draw_event(axes, True), lambda axes: draw_event(axes, False))), "world_events")
    write(draw_world((draw_gap, draw_long)), "world_gaps")


if __name__ == "__main__":
    main()
