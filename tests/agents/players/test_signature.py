"""The signature rule: each line of its table, and that it names the roots from all the data."""

from __future__ import annotations

import numpy as np
import pytest

from agents import NO_INCIDENT, SignatureRule, name_roots
from agents.players.scripts.signature import Moves
from metric_tracker_env import DIFFICULTIES, EpisodeConfig, GeneratorConfig, MetricDataGenerator
from metric_tracker_env.schema import Difficulty

FUNNEL = GeneratorConfig()


CATALOGUE = FUNNEL.catalogue


def signature_moves(difficulty: Difficulty, rates: list[float], entry: float, *confirmed: tuple[str, str]) -> Moves:
    """One date of the default funnel, written by hand."""
    flagged = np.zeros((CATALOGUE.num_entities, 1), bool)
    flagged[[CATALOGUE.entity(*cell).index for cell in confirmed]] = True
    limits = SignatureRule(FUNNEL, difficulty).rate_limits
    return Moves(np.array(rates)[:, None], limits, np.array([entry]), flagged, np.zeros((4, 1)))


COUNTS = [("event_count", name) for name in CATALOGUE.count_metrics]


RATES = [("conversion_rate", item.name) for item in CATALOGUE.conversions]


@pytest.mark.parametrize(
    ("rates", "entry", "confirmed", "root"),
    [
        ([1.0, 1.0, 1.0, 1.0], 1.0, [], None),
        ([1.001, 0.999, 1.002, 1.0], 1.02, COUNTS, None),  # a Saturday
        ([1.001, 0.999, 1.002, 1.0], 1.14, COUNTS, ("event_count", "app_opens")),
        ([1.15, 1 / 1.15, 1.0, 1.0], 1.0, [COUNTS[1], RATES[0], RATES[1]], ("event_count", "menu_opens")),
        ([1.15, 1 / 1.15, 1.0, 1.0], 1.0, [RATES[0], RATES[1]], RATES[0]),  # a count that stays is no root
        ([1.0, 0.93, 1.0, 1.0], 1.0, [RATES[1], RATES[4], RATES[5]], RATES[1]),
        ([0.967, 0.958, 0.958, 1.0], 1.0, [COUNTS[3], RATES[4], RATES[5]], RATES[4]),
        ([0.967, 0.958, 0.958, 0.977], 1.0, [COUNTS[4], RATES[4], RATES[5]], RATES[5]),
        (
            [1.0, 0.6, 1.0, 1.0],
            1.0,
            [COUNTS[2], RATES[1], RATES[4], ("funnel_step", "product_added_to_cart_from_menu_opens")],
            ("funnel_step", "product_added_to_cart_from_menu_opens"),
        ),
        (
            [1.0, 1.5, 1 / 1.5, 1.0],  # doubled by its tracking: the rate after it breaks, and is not the root
            1.0,
            [COUNTS[2], RATES[1], RATES[2], ("funnel_step", "orders_placed_from_product_added_to_cart")],
            ("event_count", "product_added_to_cart"),
        ),
        (
            [1.0, 1.0, 1.0, 1.0],
            1.0,
            [("hourly_mix", "app_opens:daytime_share")],
            ("hourly_mix", "app_opens:daytime_share"),
        ),
    ],
)
def test_signature_of_each_root(
    rates: list[float], entry: float, confirmed: list[tuple[str, str]], root: tuple[str, str] | None
) -> None:
    """Each line of the signature table, as numbers worked out on paper, names its root."""
    named = int(SignatureRule(FUNNEL, "hard").name(signature_moves("hard", rates, entry, *confirmed))[0])
    found = None if named == NO_INCIDENT else CATALOGUE.entities[named]
    assert (found and (found.entity_type, found.entity_name)) == root


def test_impossible_counts_are_the_root_whatever_else_moves() -> None:
    """An excess of a pair names that pair."""
    moves = signature_moves("medium", [1.0, 1.0, 1.6, 1 / 1.6], 1.0, COUNTS[3], RATES[2], RATES[3])
    moves.excess[2] = 80.0
    named = int(SignatureRule(FUNNEL, "medium").name(moves)[0])
    assert named == CATALOGUE.entity("data_quality", "orders_placed_lte_product_added_to_cart").index


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_roots_are_identifiable(difficulty: Difficulty) -> None:
    """With all the data and no label, the rule names the roots with F1 >= 0.995 and no entity's recall under 0.95."""
    batch = MetricDataGenerator().generate_batch(EpisodeConfig(difficulty=difficulty), list(range(3000)))
    expected = batch.expected
    truth = np.where(expected.any(axis=0), expected.argmax(axis=0), NO_INCIDENT)
    named = SignatureRule(FUNNEL, difficulty).name_all(batch.final)
    right = (named == truth) & (truth != NO_INCIDENT)
    f1 = 2 * right.sum() / ((named != NO_INCIDENT).sum() + (truth != NO_INCIDENT).sum())
    assert f1 >= 0.995
    for entity in np.unique(truth[truth != NO_INCIDENT]):
        assert right[truth == entity].mean() >= 0.95, CATALOGUE.entities[entity]


def test_rule_on_a_view_equals_the_batch() -> None:
    """An episode's roots do not depend on the batch that it is in, and need nothing but the view."""
    generator, rule = MetricDataGenerator(), SignatureRule(FUNNEL, "hard")
    request = EpisodeConfig(difficulty="hard", anomaly_count=5)
    named = rule.name_all(generator.generate_batch(request, list(range(20))).final)
    for seed in range(20):
        view = generator.generate_episode(request.model_copy(update={"seed": seed})).view
        days = np.flatnonzero(named[seed] != NO_INCIDENT).tolist()
        assert name_roots(view) == [(day, int(named[seed, day])) for day in days]


@pytest.mark.parametrize("weeks", [1, 2, 3, 8])
def test_rule_on_other_calendars(weeks: int) -> None:
    """Too few weeks for a seasonal fit, or many: roots stay identifiable."""
    config = GeneratorConfig(num_weeks=weeks)
    request = EpisodeConfig(difficulty="medium", anomaly_count=min(3, 2 * weeks - 1))
    batch = MetricDataGenerator(config).generate_batch(request, list(range(300)))
    named = SignatureRule(config, "medium").name_all(batch.final)
    truth = np.where(batch.expected.any(axis=0), batch.expected.argmax(axis=0), NO_INCIDENT)
    right = ((named == truth) & (truth != NO_INCIDENT)).sum()
    assert 2 * right / ((named != NO_INCIDENT).sum() + (truth != NO_INCIDENT).sum()) >= 0.98
