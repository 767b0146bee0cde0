"""Explicit anomalies: each method does what it is asked to, several share a date, and what is not possible is told."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from helpers_env import bare, make_lanes

from metric_tracker_env import EpisodeConfig, EpisodeData, GeneratorConfig, MetricDataGenerator, score_submission
from metric_tracker_env.config import FunnelStep, GenerationError
from metric_tracker_env.measure import SHARE_THRESHOLD, measures
from metric_tracker_env.schema import DIFFICULTIES, Difficulty
from metric_tracker_env.world.labels import CellClass
from metric_tracker_env.world.variants import IMPOSSIBLE_HOURS

DATE = "2026-03-18"
GENERATOR = MetricDataGenerator()
CATALOGUE = GENERATOR.config.catalogue
COUNTS = CATALOGUE.count_metrics
DAY = GENERATOR.config.day_index(DATE)


def shift(metric: str, direction: str, factor: float = 6.0, date: str | None = DATE) -> dict[str, Any]:
    return {"metric_name": metric, "stddev_factor": factor, "direction": direction, "date": date}


def broken(step: str, keep: float = 0.5, date: str | None = DATE) -> dict[str, Any]:
    return {"method_name": "funnel_break", "step_name": step, "keep": keep, "date": date}


def mixed(direction: str, by: float = 0.08, date: str | None = DATE) -> dict[str, Any]:
    return {"method_name": "hourly_mix_shift", "shift": by, "direction": direction, "date": date}


def impossible(step: str, excess: float = 0.1, date: str | None = DATE) -> dict[str, Any]:
    return {"method_name": "impossible_counts", "step_name": step, "excess": excess, "date": date}


def made(
    *anomalies: dict[str, Any],
    seed: int = 3,
    difficulty: Difficulty = "medium",
    generator: MetricDataGenerator = GENERATOR,
) -> EpisodeData:
    request = {"seed": seed, "difficulty": difficulty, "anomaly_generators": anomalies}
    return generator.generate_episode(EpisodeConfig.model_validate(request))


def assert_true(episode: EpisodeData) -> None:
    """Each record has its expected row, flagged in its direction and moved from the twin by at least half a threshold.

    Worked out from the counts, without what the labels were made of.
    """
    records, catalogue = episode.applied_synthetic_generators, episode.generator_config.catalogue
    assert {(r.date, r.metric_type, r.metric_name) for r in records} == {row.key for row in episode.expected_rows}
    assert len(records) == len(episode.expected_rows) == len(episode.anomaly_schedule)
    nothing = np.zeros((catalogue.num_steps - 1, len(episode.dates)))
    twin = measures(catalogue, episode.twin_daily.T, nothing[0], nothing)
    deviations = episode.deviations
    for record in records:
        entity, day = catalogue.index[record.metric_type, record.metric_name], episode.dates.index(record.date)
        row = catalogue.measure_of_entity[entity]
        value = float(deviations.values[row, 0, day])
        sign = 1 if record.direction == "up" else -1
        threshold = float(deviations.thresholds[entity, 0])
        assert sign * (value - float(deviations.medians[row, 0])) >= threshold
        assert record.actual_value == pytest.approx(value, abs=1e-4)
        before = record.pre_applied_value if row >= catalogue.share_row else float(twin[row, day])
        assert sign * (value - before) >= 0.5 * threshold


# One method at a time


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("step", COUNTS[1:])
@pytest.mark.parametrize("keep", [0.2, 0.5, 0.68])
def test_a_funnel_break_keeps_what_was_asked(difficulty: Difficulty, step: str, keep: float) -> None:
    """The step has the asked share of its median rate, and the steps after it follow at their own rates."""
    episode = made(broken(step, keep), difficulty=difficulty)
    assert_true(episode)
    (row,) = episode.expected_rows
    assert row.entity_type == "funnel_step"
    assert row.entity_name.startswith(f"{step}_from_")
    assert row.observed_value / row.baseline_value == pytest.approx(keep, rel=5e-3)
    clean, final = episode.twin_daily[DAY], episode.daily[DAY]
    place = COUNTS.index(step)
    assert (final[:place] == clean[:place]).all()
    np.testing.assert_allclose(final[place + 1 :] / final[place:-1], clean[place + 1 :] / clean[place:-1], rtol=0.02)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_targets_are_relative_to_the_medians_of_the_final_data(seed: int) -> None:
    """Incidents on six days of fourteen move the median; they go to their share of the new one, and so say the rows."""
    short = MetricDataGenerator(GeneratorConfig(num_weeks=2))
    days = [1, 3, 5, 8, 10, 12]
    episode = made(*(broken(COUNTS[3], 0.6, short.config.date_names[day]) for day in days), seed=seed, generator=short)
    twin, rate = (100.0 * daily[:, 3] / daily[:, 2] for daily in (episode.twin_daily, episode.daily))
    before, median = np.median(twin), np.median(rate)
    assert before - median > 0.1  # so that a target of the old median would be off by 0.06 and more
    for row, record, day in zip(episode.expected_rows, episode.applied_synthetic_generators, days, strict=True):
        assert row.date == record.date == episode.dates[day]
        assert row.baseline_value == pytest.approx(median, abs=1e-4)
        assert row.observed_value == record.actual_value == pytest.approx(rate[day], abs=1e-4)
        assert row.delta_value == pytest.approx(rate[day] - median, abs=1e-4)
        assert record.target_value == pytest.approx(0.6 * median, abs=0.005)
        assert rate[day] == pytest.approx(0.6 * median, abs=0.03)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize(("direction", "sign"), [("up", 1), ("down", -1)])
def test_a_mix_shift_goes_where_it_was_asked(difficulty: Difficulty, direction: str, sign: int) -> None:
    """The daytime share is off its median by the asked shift, and the first step's total stays."""
    episode = made(mixed(direction, 0.08), difficulty=difficulty)
    assert_true(episode)
    (row,) = episode.expected_rows
    assert row.entity_type == "hourly_mix"
    assert row.delta_value == pytest.approx(sign * 0.08, abs=5e-4)
    assert episode.daily[DAY, 0] == episode.twin_daily[DAY, 0]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("step", COUNTS[1:])
@pytest.mark.parametrize("excess", [1e-6, 0.1, 1.0])
def test_impossible_counts_pass_the_step_before(difficulty: Difficulty, step: str, excess: float) -> None:
    """A few hours pass their upstream count by the asked share, at least by one event; nothing else changes."""
    episode = made(impossible(step, excess), difficulty=difficulty)
    assert_true(episode)
    place = COUNTS.index(step)
    hourly = episode.hourly[DAY].astype(np.float64)
    above = np.flatnonzero(hourly[:, place] > hourly[:, place - 1])
    assert len(above) == IMPOSSIBLE_HOURS[difficulty]
    upstream = hourly[above, place - 1]
    extra = np.maximum(np.rint(excess * upstream), 1)
    assert (hourly[above, place] == upstream + extra).all()
    (row,) = episode.expected_rows
    assert row.entity_name == f"{step}_lte_{COUNTS[place - 1]}"
    assert row.observed_value == extra.sum()
    others = [i for i in range(len(COUNTS)) if i != place]
    assert (episode.daily[:, others] == episode.twin_daily[:, others]).all()


def test_no_method_stays_below_the_threshold() -> None:
    """A break that keeps nearly enough and a tiny shift go 1.05 detection thresholds, so that they are confirmed."""
    (row,) = made(broken("menu_opens", 0.6999)).expected_rows
    assert row.observed_value / row.baseline_value == pytest.approx(1 - 1.05 * 0.3, rel=1e-3)
    (row,) = made(mixed("down", 1e-9)).expected_rows
    assert row.delta_value == pytest.approx(-1.05 * SHARE_THRESHOLD["medium"], abs=2e-4)


@pytest.mark.parametrize("method", [broken("", 0.6), impossible("", 0.1)], ids=lambda item: item["method_name"])
def test_what_is_left_open_is_drawn(method: dict[str, Any]) -> None:
    """No step means all steps after the first, and no date one each, which two seeds draw differently."""
    open_method = {name: value for name, value in method.items() if name not in {"step_name", "date"}}
    drawn = [made(open_method, seed=seed) for seed in (0, 1, 0)]
    for episode in drawn:
        assert_true(episode)
        assert len({row.date for row in episode.expected_rows}) == len(episode.expected_rows) == 4
    first, second, again = ([row.key for row in episode.expected_rows] for episode in drawn)
    assert first == again
    assert first != second
    assert (drawn[0].hourly == drawn[2].hourly).all()


def test_a_direction_is_drawn_for_a_mix_shift() -> None:
    """With direction "auto" both are drawn, of those that the data can carry."""
    open_shift = {"method_name": "hourly_mix_shift", "shift": 0.06}
    found = {made(open_shift, seed=seed).expected_rows[0].delta_value > 0 for seed in range(12)}
    assert found == {True, False}
    too_much_for_up = {"method_name": "hourly_mix_shift", "shift": 0.3, "date": DATE}
    for seed in range(12):
        shifted, quiet = made(too_much_for_up, seed=seed), made(seed=seed)
        assert shifted.expected_rows[0].delta_value < 0
        assert (shifted.twin_daily == quiet.twin_daily).all()  # no other data are drawn because one way is too far


def test_records_say_how_a_value_came_about() -> None:
    """The record of each method has its formula; what a method does not have is None."""
    episode = made(broken("menu_opens", date="2026-03-10"), mixed("up", date="2026-03-12"), impossible("orders_placed"))
    found = {record.method_name: record for record in episode.applied_synthetic_generators}
    assert {name: record.formula for name, record in found.items()} == {
        "funnel_break": "menu_opens_from_app_opens = median - max((1 - keep) * median, 1.05 * detection threshold)",
        "hourly_mix_shift": "app_opens:daytime_share = median + max(shift, 1.05 * detection threshold)",
        "impossible_counts": "orders_placed_lte_product_added_to_cart = "
        "sum over the drawn hours of excess * upstream count",
    }
    assert all(record.stddev_factor is None for record in found.values())
    assert found["impossible_counts"].target_value is None
    for name in ("funnel_break", "hourly_mix_shift"):
        assert found[name].target_value == pytest.approx(found[name].actual_value, rel=2e-3)


# Several on a date

ALL = [
    *(shift(metric, way) for metric in (*COUNTS, *(c.name for c in CATALOGUE.conversions)) for way in ("up", "down")),
    *map(broken, COUNTS[1:]),
    *map(mixed, ("up", "down")),
    *map(impossible, COUNTS[1:]),
]
REASONS = ("both change", "cannot go to", "does not confirm that beside")


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_any_two_on_a_date_are_true_or_refused(difficulty: Difficulty) -> None:
    """Two anomalies of one date are both expected, or the reason is told; half of all pairs are possible."""
    possible, refused = 0, []
    pairs = list(itertools.combinations(ALL, 2))
    for pair in pairs[DIFFICULTIES.index(difficulty) :: 3]:
        try:
            episode = made(*pair, difficulty=difficulty)
        except GenerationError as error:
            refused.append(str(error))
            continue
        assert_true(episode)
        assert [len(roots) for roots in episode.incidents_of_day.values()] == [2]
        possible += 1
    assert all(any(reason in message for reason in REASONS) for message in refused)
    assert possible >= 0.4 * len(pairs) / 3


def test_anomalies_of_a_date_multiply() -> None:
    """Together they do to the counts what each does alone, one after the other."""
    together = (shift("app_opens", "down"), broken("product_added_to_cart", 0.5), shift(CONVERSION, "down"))
    clean = made(together[0]).twin_daily[DAY]
    expected = clean.astype(np.float64)
    for one in together:
        expected *= made(one).daily[DAY] / clean
    episode = made(*together)
    assert_true(episode)
    np.testing.assert_allclose(episode.daily[DAY], expected, rtol=0.01)


CONVERSION = "order_placed_to_payment_successful"


@pytest.mark.parametrize(
    "together",
    [
        (impossible("menu_opens"), impossible("orders_placed"), mixed("up"), shift("app_opens", "down")),
        (mixed("down"), shift("app_opens", "up"), broken("menu_opens"), impossible("orders_placed")),
        (shift("menu_opens", "down"), shift("orders_placed", "up"), mixed("up")),
    ],
    ids=["two impossible", "a break above", "lone counts"],
)
def test_the_order_of_the_list_does_not_matter(together: tuple[dict[str, Any], ...]) -> None:
    """However they are listed, anomalies of a date give the same data, in which all are true."""
    episodes = [made(*order) for order in itertools.permutations(together)]
    assert_true(episodes[0])
    assert all((episode.hourly == episodes[0].hourly).all() for episode in episodes)
    assert all(episode.expected_rows == episodes[0].expected_rows for episode in episodes)


def test_impossible_counts_stay_beside_others() -> None:
    """Two pairs of steps on one date each pass their upstream count by the asked share of what is left of it."""
    episode = made(impossible("menu_opens", 0.1), impossible("orders_placed", 0.2), shift("app_opens", "down"))
    hourly = episode.hourly[DAY].astype(np.float64)
    for step, excess in ((1, 0.1), (3, 0.2)):
        above = np.flatnonzero(hourly[:, step] > hourly[:, step - 1])
        assert len(above) == IMPOSSIBLE_HOURS["medium"]
        upstream = hourly[above, step - 1]
        assert (hourly[above, step] == upstream + np.rint(excess * upstream)).all()


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (shift("app_opens", "up"), shift("app_opens", "down"), "the number of app_opens"),
        (shift("menu_opens", "up"), shift("app_open_to_menu_open", "up"), "the rate of menu_opens"),
        (shift("menu_opens", "up"), broken("product_added_to_cart"), "the rate of product_added_to_cart"),
        (shift("app_open_to_order_placed", "up"), broken("orders_placed"), "the rate of orders_placed"),
        (impossible("menu_opens"), shift("product_added_to_cart", "up"), "the rate of product_added_to_cart"),
        (mixed("up"), mixed("down"), "the hours of app_opens"),
    ],
)
def test_two_that_change_one_thing_are_refused_when_made(
    first: dict[str, Any], second: dict[str, Any], what: str
) -> None:
    """Anomalies of one link of the chain on a date are refused before any episode, with the link and the date."""
    with pytest.raises(ValueError, match=f"both change {what} on {DATE}"):
        bare(anomaly_generators=[first, second])
    bare(anomaly_generators=[first, second | {"date": "2026-03-10"}])


def test_one_that_hides_the_other_is_refused() -> None:
    """A drop of all traffic and a spike of one count are no truth if the count shows nothing; the error says so."""
    with pytest.raises(GenerationError, match=r"'menu_opens' on 2026-03-18 goes up.*beside 'app_opens'"):
        made(shift("app_opens", "down"), shift("menu_opens", "up"))


def test_dates_are_counted_not_anomalies() -> None:
    """As many anomalies as one likes fit in as many dates as stay clean enough."""
    dates = list(GENERATOR.config.date_names[5:18])
    both = [shift("app_opens", "down", 8.0, None), shift(CONVERSION, "down", 8.0, None)]
    episode = made(*({**one, "dates": dates} for one in both))
    assert len(episode.expected_rows) == 26


# What a cell follows from


def issues_of(episode: EpisodeData, *entities: tuple[str, str]) -> list[str]:
    """What the grade says of rows of the date."""
    rows = [episode.row(DAY, CATALOGUE.index[entity]) for entity in entities]
    return [issue for issue in score_submission(rows, episode).issues if issue.startswith("extra")]


def test_a_consequence_names_the_incidents_that_pull_it() -> None:
    """Of two incidents of a date a consequence follows from those that move it the way it went, whichever those are."""
    episode = made(shift("app_opens", "down", 9.0), shift(CONVERSION, "down", 40.0))
    (carts,) = issues_of(episode, ("event_count", "product_added_to_cart"))
    assert carts.endswith("it follows from the incident event_count app_opens on 2026-03-18")
    (payments,) = issues_of(episode, ("event_count", "payment_successful"))
    assert "it follows from the incidents event_count app_opens on 2026-03-18 and conversion_rate" in payments
    (rate,) = issues_of(episode, ("conversion_rate", "app_open_to_payment_successful"))
    assert rate.endswith(f"it follows from the incident conversion_rate {CONVERSION} on 2026-03-18")
    against = made(shift("app_opens", "down", 12.0), shift(CONVERSION, "up", 15.0))
    (payments,) = issues_of(against, ("event_count", "payment_successful"))
    assert payments.endswith("it follows from the incident event_count app_opens on 2026-03-18")


def test_what_impossible_counts_pull() -> None:
    """Beside a drop of the traffic, the rates into and out of a step follow from its impossible counts alone."""
    episode = made(impossible("product_added_to_cart", 1.0), shift("app_opens", "down", 9.0))
    wrong = "the incident data_quality product_added_to_cart_lte_menu_opens on 2026-03-18"
    for entity in ("menu_open_to_product_added_to_cart", "product_added_to_cart_to_order_placed"):
        (issue,) = issues_of(episode, ("conversion_rate", entity))
        assert issue.endswith(wrong)
    (orders,) = issues_of(episode, ("event_count", "orders_placed"))
    assert orders.endswith("the incident event_count app_opens on 2026-03-18")


# Through an environment


def test_an_environment_plays_two_on_a_date() -> None:
    """Both roots of a date can be found and reported, score 1, and are drawn at the end; lanes play the same."""
    options: dict[str, Any] = {"anomaly_generators": [shift("app_opens", "down"), broken("orders_placed")]}
    env = bare(render_mode="ansi", **options)
    env.reset(seed=5)
    env.step(env.actions.encode("rows_for_date", date=DATE))
    env.step(env.actions.encode("detect_funnel_break", date="focused"))
    roots = [("event_count", "app_opens"), ("funnel_step", "orders_placed_from_product_added_to_cart")]
    for kind, name in roots:
        index = env.actions.encode("report", date="focused", entity_type=kind, entity_name=name)
        assert env.action_masks()[index]
        env.step(index)
    *_, info = env.step(env.actions.encode("submit"))
    assert (info["score"], info["expected"], info["matched"]) == (1.0, 2, 2)
    picture = env.render()
    assert isinstance(picture, str)
    assert picture.count("✓") >= 4  # on the board and in the list
    lanes = make_lanes(3, **options)
    lanes.reset(seed=4)
    lanes.step(np.full(3, lanes.actions.encode("submit")))
    assert (lanes.episode(1).hourly == env.episode().hourly).all()
    assert lanes.episode(1).expected_rows == env.episode().expected_rows


def test_every_flagged_cell_has_one_class() -> None:
    """On a date with several incidents as on any other: roots, what follows from them, and what is natural."""
    episode = made(shift("app_opens", "down", 9.0), broken("orders_placed"), mixed("up"), difficulty="hard")
    flagged = episode.deviations.flagged[:, 0].T
    assert ((episode.classes != CellClass.NONE) == flagged).all()
    assert (episode.classes[DAY] == CellClass.EXPECTED).sum() == 3
    assert (episode.classes[DAY] == CellClass.CONSEQUENCE).sum() >= 4


# What is possible instead


def refusal(*anomalies: dict[str, Any], generator: MetricDataGenerator = GENERATOR, **options: Any) -> str:
    with pytest.raises(GenerationError) as caught:
        made(*anomalies, generator=generator, **options)
    return str(caught.value)


ENDS = r"( from ([\d.e-]+))?( up to ([\d.e-]+))?"
MONDAY = "2026-03-16"  # at hard nearly as low as a drop of app_opens goes
TOO_MUCH = [
    (shift("app_open_to_menu_open", "up", 900.0), "stddev_factor"),
    (shift("app_open_to_menu_open", "down", 900.0), "stddev_factor"),
    (shift("menu_opens", "up", 900.0), "stddev_factor"),
    (shift("app_opens", "down", 900.0), "stddev_factor"),
    (shift("app_open_to_payment_successful", "up", 900.0), "stddev_factor"),
    (shift("app_open_to_payment_successful", "down", 900.0), "stddev_factor"),
    (shift("app_open_to_payment_successful", "auto", 900.0), "stddev_factor"),
    (shift("app_open_to_payment_successful", "auto", 900.0, None), "stddev_factor"),
    (shift("app_opens", "down", 0.1, MONDAY), "stddev_factor"),
    (broken("menu_opens", 0.01), "keep"),
    (mixed("up", 0.9), "shift"),
    (mixed("down", 0.9), "shift"),
    (mixed("auto", 0.9, None), "shift"),
]


@pytest.mark.parametrize(("anomaly", "parameter"), TOO_MUCH, ids=lambda item: str(item)[:60])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_size_that_is_advised_works(anomaly: dict[str, Any], parameter: str, difficulty: Difficulty) -> None:
    """Where a smaller or larger one is possible, the error tells the range, and both of its ends work."""
    if anomaly["date"] == MONDAY:
        difficulty = "hard"
    message = refusal(anomaly, difficulty=difficulty)
    found = re.search(
        rf"possible is a {parameter}( from ([\d.e-]+))?( up to ([\d.e-]+))?, going (\w+) on (\S+)", message
    )
    assert found, message
    ends = [float(end) for end in (found[2], found[4]) if end]
    assert ends
    for end in ends:
        fixed = anomaly | {parameter: end}
        if anomaly["date"] is None:
            fixed["date"] = found[6]
        if "direction" in anomaly:
            fixed["direction"] = found[5]
        assert_true(made(fixed, difficulty=difficulty))


def test_an_advised_size_works_for_all_that_is_named() -> None:
    """Where one item names several dates and metrics, the range is one that all of them can carry."""
    several = {
        "metric_names": ["app_opens", "menu_open_to_product_added_to_cart"],
        "dates": ["2026-03-09", "2026-03-10", "2026-03-11"],
        "direction": "down",
    }
    message = refusal(several | {"stddev_factor": 900.0})
    found = re.search(rf"possible is a stddev_factor{ENDS}, for all that it names", message)
    assert found, message
    for end in (found[2], found[4]):
        assert_true(made(several | {"stddev_factor": float(end)}))


def test_what_is_possible_instead_works() -> None:
    """Where no size is, the error names the direction, the metrics and the dates for which it is."""
    message = refusal(shift("orders_placed", "down"))
    assert "no stddev_factor is possible there, as an anomaly is at least 1.05 detection thresholds large" in message
    advised = message.partition("what is: ")[2]
    assert "direction 'up'; metric app_opens, menu_opens, product_added_to_cart, payment_successful, " in advised
    assert "orders_placed," not in advised.replace("_order_placed", "")
    assert_true(made(shift("orders_placed", "up")))
    for metric in advised.partition("metric ")[2].split(", "):
        assert_true(made(shift(metric, "down")))


def test_another_date_is_advised() -> None:
    """A date that is too busy for a drop has others beside it that are not."""
    quiet = GeneratorConfig(weekday_factors=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.5))
    message = refusal(shift("product_added_to_cart", "down", 0.01, "2026-03-15"), generator=MetricDataGenerator(quiet))
    found = re.search(r"date (\S+) or \d+ others", message)
    assert found, message
    assert quiet.weekdays[quiet.day_index(found[1])] != 6
    fixed = shift("product_added_to_cart", "down", 0.01, found[1])
    assert_true(made(fixed, generator=MetricDataGenerator(quiet)))


def test_another_difficulty_is_advised() -> None:
    """A spike that the funnel cannot carry at the thresholds of medium is advised for hard, and works there."""
    steep = MetricDataGenerator(
        GeneratorConfig(entry_step="visits", steps=(FunnelStep(name="orders", rate=0.87),), base_daily_count=20_000)
    )
    message = refusal(shift("orders", "up", 0.1), generator=steep)
    assert "difficulty 'hard'" in message
    assert "'easy'" not in message
    assert_true(made(shift("orders", "up", 0.1), generator=steep, difficulty="hard"))


def test_where_nothing_is_possible_that_is_said() -> None:
    """Traffic of which neither the day nor the night hours hold enough has no shift in any direction or on any date."""
    weights = [1.0 if hour in {5, 6, 7, 8, 19, 20} else 1e-4 for hour in range(24)]
    generator = MetricDataGenerator(GeneratorConfig(hourly_weights=tuple(weights)))
    message = refusal(mixed("auto", date=None), generator=generator)
    assert "'app_opens:daytime_share' cannot go to" in message
    assert message.endswith("detection thresholds large, nor in another direction or on another date")
