"""Configurations: a funnel of one's own, one error a fault, copies and NumPy's numbers."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from helpers_configs import CONFIGS, Configs, fault_of, funnel, used
from helpers_env import ENV_ID, bare
from pydantic import BaseModel, ValidationError

from metric_tracker_env import (
    EnvConfig,
    EpisodeConfig,
    FunnelStep,
    GeneratorConfig,
    MetricDataGenerator,
    ScoringConfig,
    Task,
)
from metric_tracker_env.config import ConfigModel, unknown_option
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import DIFFICULTIES, ConversionMetricDefinition

# A funnel of one's own


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("visits", "orders"), ["visits_to_orders"]),
        (("visits", "carts", "orders"), ["visits_to_carts", "carts_to_orders", "visits_to_orders"]),
        (("a", "b", "c", "d"), ["a_to_b", "b_to_c", "c_to_d", "a_to_d"]),
        (("app_opens", "menu_opens"), ["app_opens_to_menu_opens"]),
    ],
)
def test_conversions_follow_the_steps(names: tuple[str, ...], expected: list[str]) -> None:
    """A funnel with nothing but its steps has the rate of each step and, of two or more, that from end to end."""
    config = funnel(*names, num_weeks=2)
    assert [item.name for item in config.conversion_definitions] == expected
    for item in config.conversion_definitions:
        assert item.name == f"{item.denominator}_to_{item.numerator}"
        assert item.description == f"{item.numerator} / {item.denominator} * 100"
    assert config == funnel(*names, num_weeks=2, conversion_definitions=None)
    assert config == GeneratorConfig.model_validate_json(config.model_dump_json())
    for difficulty in DIFFICULTIES:
        request = EpisodeConfig(difficulty=difficulty, anomaly_count=2)
        assert len(MetricDataGenerator(config).generate_episode(request).expected_rows) == 2


def test_the_default_funnel_keeps_its_six() -> None:
    """The default app has the conversions it always had, by name and order, whatever the rates of its steps."""
    names = [
        "app_open_to_menu_open",
        "menu_open_to_product_added_to_cart",
        "product_added_to_cart_to_order_placed",
        "order_placed_to_payment_successful",
        "app_open_to_order_placed",
        "app_open_to_payment_successful",
    ]
    other = tuple(step.model_copy(update={"rate": 0.4}) for step in GeneratorConfig().steps)
    for config in (
        GeneratorConfig(),
        GeneratorConfig(steps=other),
        GeneratorConfig.model_validate({"conversion_definitions": None}),
    ):
        assert [item.name for item in config.conversion_definitions] == names


def test_no_conversion_is_asked_for() -> None:
    """An empty list stays one."""
    assert GeneratorConfig(conversion_definitions=()).conversion_definitions == ()
    assert funnel("a", "b", conversion_definitions=[]).conversion_definitions == ()


def test_the_longest_names_have_conversions() -> None:
    """Two steps with names of 40 letters have a conversion that is named for both."""
    config = funnel("a" * 40, "b" * 40)
    assert [item.name for item in config.conversion_definitions] == ["a" * 40 + "_to_" + "b" * 40]


def test_a_step_that_is_named_like_a_conversion_is_refused() -> None:
    """The clash is told with the name, and with what has names."""
    with pytest.raises(ValidationError, match=r"the name 'a_to_b' is used twice; each step, rate of a step and conv"):
        funnel("a", "b", "a_to_b")


# One error a fault


MISSPELT: list[tuple[type[BaseModel], Any, str, str]] = [
    (EnvConfig, {"dificulty": "hard"}, "", "difficulty"),
    (EnvConfig, {"generator": {"num_week": 2}}, "generator: ", "num_weeks"),
    (EnvConfig, {"generator": {"entry_stp": "a", "steps": [{"name": "b", "rate": 0.5}]}}, "generator: ", "entry_step"),
    (EnvConfig, {"generator": {"steps": [{"name": "b", "rat": 0.5}]}}, "generator.steps.0: ", "rate"),
    (EnvConfig, {"costs": {"surveys": 3}}, "costs: ", "survey"),
    (GeneratorConfig, {"rate_noise": {"meduim": 0.1}}, "rate_noise: ", "medium"),
    (
        GeneratorConfig,
        {"conversion_definitions": [{"name": "x", "numerater": "menu_opens", "denominator": "app_opens"}]},
        "conversion_definitions.0: ",
        "numerator",
    ),
    (ScoringConfig, {"severty": 0.06}, "", "severity"),
    (Task, {"nam": "mine", "config": {}}, "", "name"),
    (
        EpisodeConfig,
        {"anomaly_generators": [{"stdev_factor": 3}]},
        "anomaly_generators.0.metric_stddev_shift: ",
        "stddev_factor",
    ),
    (
        EpisodeConfig,
        {"anomaly_generators": [{"method_name": "funnel_break", "kep": 0.5}]},
        "anomaly_generators.0.funnel_break: ",
        "keep",
    ),
]


@pytest.mark.parametrize(("model", "data", "place", "meant"), MISSPELT, ids=[item[3] for item in MISSPELT])
def test_a_misspelt_key_is_one_error(model: type[BaseModel], data: Any, place: str, meant: str) -> None:
    """It names the key, where it stands, the nearest one that there is, and all that there are."""
    fault = fault_of(model, data)
    assert fault.startswith(f"{place}unknown key '")
    assert f"(did you mean {meant!r}?); allowed: [" in fault
    assert fault.count(repr(meant)) == 2


def test_a_key_that_is_near_to_none_has_no_suggestion() -> None:
    """A key that resembles none is refused with those that there are, alone."""
    assert "did you mean" not in fault_of(EnvConfig, {"colour": 3})
    assert "unknown key 'colour'; allowed: ['anomaly_count', " in fault_of(EnvConfig, {"colour": 3})
    assert "unknown key 3; allowed" in fault_of(EnvConfig, {3: "easy"})


def test_a_misspelt_keyword_is_told_with_the_nearest() -> None:
    """A constructor and a reset name the option that was meant."""
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'dificulty' \(did you mean 'difficulty'\?\)"):
        gym.make(ENV_ID, dificulty="hard")
    with pytest.raises(ValueError, match=r"unknown reset option 'scenario_famly' \(did you mean 'scenario_family'\?\)"):
        bare().reset(options={"scenario_famly": "mixed"})
    assert str(unknown_option(["x"], ["b", "a"])) == "got an unexpected keyword argument 'x'; allowed: ['a', 'b']"


TWELVE = [{"name": f"s{i}", "rate": 0.5} for i in range(12)]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"steps": TWELVE}, "steps: 12 items given; there must be 0 to 11"),
        ({"steps": [{"name": "b", "rate": 1.5}]}, "steps.0.rate: Input should be less than 1, given 1.5"),
        ({"steps": []}, "steps: a funnel of one step needs noise, from which its thresholds follow"),
        (
            {"steps": [{"name": f"s{i}", "rate": 0.5} for i in range(12)]},
            "steps: 12 items given; there must be 0 to 11",
        ),
        ({"weekday_factors": [1.0] * 6}, "weekday_factors: 6 items given; there must be 7"),
        ({"weekday_factors": [1.0] * 6 + [0.0]}, "weekday_factors.6: Input should be greater than 0, given 0.0"),
        ({"hourly_weights": [1.0] * 25}, "hourly_weights: 25 items given; there must be 24"),
        ({"hourly_weights": [1.0] * 23 + ["x"]}, "hourly_weights.23: Input should be a valid number, given 'x'"),
        ({"num_weeks": 13}, "num_weeks: Input should be less than or equal to 12, given 13"),
        ({"entry_step": "a b"}, "entry_step: String should match pattern '^[A-Za-z][A-Za-z0-9_]*$', given 'a b'"),
        ({"conversion_definitions": [{"name": "x"}]}, None),
    ],
    ids=str,
)
def test_a_bad_item_is_one_error(data: dict[str, Any], fault: str | None) -> None:
    """An item that is refused is not told a second time as one that is missing, and a wrong number is told as such."""
    if fault is None:
        with pytest.raises(ValidationError) as caught:
            GeneratorConfig.model_validate(data)
        assert in_one_line(caught.value) == (
            "conversion_definitions.0.numerator: Field required; conversion_definitions.0.denominator: Field required"
        )
    else:
        assert fault_of(GeneratorConfig, data) == fault


def test_more_conversions_than_fit() -> None:
    """The most is told."""
    names = [f"s{i}" for i in range(12)]
    pairs = [(b, a) for a, b in itertools.combinations(names, 2)][:41]
    given_pairs = [ConversionMetricDefinition.of(*pair).model_dump() for pair in pairs]
    steps = [{"name": name, "rate": 0.5} for name in names[1:]]
    assert len(GeneratorConfig.model_validate({"entry_step": "s0", "steps": steps}).conversion_definitions) == 12
    data = {"entry_step": "s0", "steps": steps, "conversion_definitions": given_pairs}
    assert fault_of(GeneratorConfig, data) == "conversion_definitions: 41 items given; there must be 0 to 40"


def test_a_direction_is_one_error() -> None:
    """A direction that there is none of is told once, with all three."""
    data = {"anomaly_generators": [{"stddev_factor": 3.0, "direction": "sideways"}]}
    assert fault_of(EpisodeConfig, data).endswith("Input should be 'down', 'up' or 'auto', given 'sideways'")


# Copies


@Configs
def test_copies_are_checked(config: ConfigModel) -> None:
    """A copy with an unknown key or a bad value is refused, and the config stays as it was."""
    before = config.model_dump()
    for field in type(config).model_fields:
        with pytest.raises(ValidationError, match=field):
            config.model_copy(update={field: object()})
    with pytest.raises(ValidationError, match="unknown key 'colour'"):
        config.model_copy(update={"colour": 3})
    assert config.model_dump() == before


@Configs
def test_a_copy_without_changes_is_equal(config: ConfigModel) -> None:
    """Whichever way a config is copied, it is the same one."""
    copies = [config.model_copy(), config.model_copy(deep=True), copy.copy(config), copy.deepcopy(config)]
    copies += [pickle.loads(pickle.dumps(config)), config.model_copy(update={})]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        copies.append(config.copy())
    for other in copies:
        assert other == config
        assert hash(other) == hash(config)
        assert other.model_dump_json() == config.model_dump_json()


def test_a_copy_keeps_nothing_of_the_old_one() -> None:
    """The catalogue and the dates of a copy are those of its own steps and weeks."""
    shop = [FunnelStep(name="carts", rate=0.2), FunnelStep(name="sales", rate=0.5)]
    changed = used(GeneratorConfig()).model_copy(update={"entry_step": "visits", "steps": shop, "num_weeks": 2})
    assert changed == GeneratorConfig(entry_step="visits", steps=tuple(shop), num_weeks=2)
    assert changed.catalogue.count_metrics == ("visits", "carts", "sales")
    assert len(changed.date_names) == 14
    env = EnvConfig(generator=used(GeneratorConfig())).model_copy(update={"generator": {"num_weeks": 3}})
    assert env.generator.date_names == GeneratorConfig(num_weeks=3).date_names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old_name = used(GeneratorConfig()).copy(update={"num_weeks": 2})
    assert old_name == GeneratorConfig(num_weeks=2)
    assert len(old_name.date_names) == 14


def test_conversions_of_the_steps_follow_changed_steps() -> None:
    """A copy with other steps has their conversions, unless conversions were given that are not those of the steps."""
    two = (FunnelStep(name="b", rate=0.5), FunnelStep(name="c", rate=0.5))
    for config in (funnel("a", "b"), GeneratorConfig.model_validate_json(funnel("a", "b").model_dump_json())):
        names = [item.name for item in config.model_copy(update={"steps": two}).conversion_definitions]
        assert names == ["a_to_b", "b_to_c", "a_to_c"]
    own = ConversionMetricDefinition(name="mine", numerator="b", denominator="a")
    kept = funnel("a", "b", conversion_definitions=(own,)).model_copy(update={"steps": two})
    assert kept.conversion_definitions == (own,)
    with pytest.raises(ValidationError, match="'mine' uses 'b', not one of"):
        funnel("a", "b", conversion_definitions=(own,)).model_copy(update={"steps": (FunnelStep(name="z", rate=0.5),)})
    given_with = funnel("a", "b").model_copy(update={"steps": two, "conversion_definitions": [own]})
    assert given_with.conversion_definitions == (own,)


# NumPy


def numbers() -> Iterator[tuple[ConfigModel, str, Any]]:
    """Every field of every config that holds a number or numbers."""
    for config in CONFIGS:
        for field in type(config).model_fields:
            value = getattr(config, field)
            first = value[0] if isinstance(value, tuple) and value else value
            if isinstance(first, int | float) and not isinstance(first, bool):
                yield config, field, value


NUMBERS = list(numbers())


@pytest.mark.parametrize(("config", "field", "value"), NUMBERS, ids=[f"{type(c).__name__}.{f}" for c, f, _ in NUMBERS])
def test_numbers_of_numpy_are_numbers(config: ConfigModel, field: str, value: Any) -> None:
    """A field takes NumPy's integers and floats, and arrays of them, as it takes Python's; no bool of either."""
    items = list(value) if isinstance(value, tuple) else [value]
    kinds = [np.int64, np.int32, np.uint16] if all(float(i).is_integer() and i < 2**15 for i in items) else []
    kinds += [np.float64] if any(isinstance(item, float) for item in items) else []
    kinds += [np.int64] if not kinds else []
    base = config.model_dump()
    for kind in kinds:
        given = [kind(item) for item in items]
        forms = [given, tuple(given), np.array(given)] if isinstance(value, tuple) else [given[0], np.array(given[0])]
        for form in forms:
            made = type(config).model_validate({**base, field: form})
            assert made == config
            assert made.model_dump_json() == config.model_dump_json()
            found = getattr(made, field)
            assert all(type(item) in {int, float} for item in (found if isinstance(found, tuple) else [found]))
    for wrong in (True, np.bool_(True)):
        with pytest.raises(ValidationError):
            type(config).model_validate({**base, field: [wrong, *items[1:]] if isinstance(value, tuple) else wrong})


def test_numpy_in_the_places_that_take_it_in_words() -> None:
    """Counts, ranges, dates and names of NumPy are those of Python; half a number is none."""
    assert EpisodeConfig(anomaly_count=np.int64(4)) == EpisodeConfig(anomaly_count=4)  # pyright: ignore[reportArgumentType]
    for pair in ((np.int32(1), np.uint8(5)), np.array([1, 5]), [np.int64(1), 5]):
        assert EpisodeConfig.model_validate({"anomaly_count": pair}).anomaly_count == (1, 5)
    assert GeneratorConfig.model_validate({"end_date": np.datetime64("2025-06-30")}).date_names[-1] == "2025-06-30"
    assert EnvConfig.model_validate({"difficulty": np.str_("hard")}) == EnvConfig(difficulty="hard")
    date = {"anomaly_generators": [{"stddev_factor": np.float32(3), "date": np.datetime64("2026-03-10")}]}
    assert EpisodeConfig.model_validate(date).anomaly_generators[0].all_dates == ("2026-03-10",)
    for wrong in (np.float64(4.0), np.float32(1.5), np.bool_(True), np.array([1, 2, 3]), np.array([1.0, 2.0])):
        with pytest.raises(ValidationError, match="anomaly_count"):
            EpisodeConfig.model_validate({"anomaly_count": wrong})
    env = bare(budget=np.int64(9), anomaly_count=np.int8(2), step_cost=np.float32(0.5))
    assert env.config == EnvConfig(budget=9, anomaly_count=2, step_cost=0.5)
    env.step_cost = np.float64(0.25)
    assert env.config.step_cost == 0.25
