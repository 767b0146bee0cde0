"""Configs as users write and copy them: defaults that follow their own funnel, one error a fault, checked copies."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from helpers_env import ENV_ID, bare, generator_configs, make_lanes
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from metric_tracker_env import (
    EnvConfig,
    EpisodeConfig,
    FunnelStep,
    GeneratorConfig,
    MetricDataGenerator,
    ScoringConfig,
    Task,
    ToolCosts,
    load_config,
)
from metric_tracker_env.config import METHODS, ConfigModel, RateNoise, unknown_option
from metric_tracker_env.model import bounds_of, in_one_line, limits_of, shown
from metric_tracker_env.schema import DIFFICULTIES, ConversionMetricDefinition

AMOUNTS = {"metric_stddev_shift": 3.0, "funnel_break": 0.5, "hourly_mix_shift": 0.05, "impossible_counts": 0.1}
EXPLICIT = [METHODS[name].model_validate({METHODS[name].parameter: amount}) for name, amount in AMOUNTS.items()]
CONFIGS: list[ConfigModel] = [
    EnvConfig(),
    EpisodeConfig(),
    GeneratorConfig(),
    FunnelStep(name="sales", rate=0.5),
    ConversionMetricDefinition(name="x_to_y", numerator="y", denominator="x"),
    RateNoise(),
    ToolCosts(),
    ScoringConfig(),
    Task(name="mine", config=EnvConfig()),
    *EXPLICIT,
]
Configs = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)


def fault_of(model: type[BaseModel], data: Any) -> str:
    """The one fault of data that is refused, in one line."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    assert caught.value.error_count() == 1, caught.value
    return in_one_line(caught.value)


# A funnel of one's own


def funnel(*names: str, **fields: Any) -> GeneratorConfig:
    steps = tuple(FunnelStep(name=name, rate=0.5) for name in names[1:])
    return GeneratorConfig(entry_step=names[0], steps=steps, **fields)


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


def used(config: GeneratorConfig) -> GeneratorConfig:
    """A config whose cached values have been worked out."""
    assert config.catalogue.num_entities > 0
    assert len(config.date_names) == config.num_days
    return config


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


# Files


def test_a_home_directory_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` is the home directory, for files that are loaded and for those that an environment is made with."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.toml").write_text("budget = 9\n", encoding="utf-8")
    assert load_config("~/mine.toml").budget == load_config(Path("~/mine.toml")).budget == 9
    assert bare(config="~/mine.toml").config.budget == make_lanes(2, config=Path("~/mine.toml")).config.budget == 9
    assert bare(task="~/mine.toml").config.budget == 9
    with pytest.raises(ValueError, match=rf"config file '{tmp_path}/none\.toml' does not exist"):
        load_config("~/none.toml")
    with pytest.raises(ValueError, match=r"config file '~nobody-of-that-name/mine\.toml' is in no home directory"):
        load_config("~nobody-of-that-name/mine.toml")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("budget = -3", "budget: Input should be greater than or equal to 1, given -3"),
        ('[generator]\nnum_weeks = "4"', "generator.num_weeks: Input should be a valid integer, given '4'"),
        ("[[generator.steps]]\nname = 'a'\nrate = 7", "generator.steps.0.rate: Input should be less than 1, given 7"),
        ("[costs]\nscn = 3", "costs: unknown key 'scn' (did you mean 'scan'?); allowed: ['calendar', "),
        ("anomaly_count = 14", "anomaly_count: 14 incidents do not fit in 28 days; at most 13 do"),
        ("[[anomaly_generators]]\nstddev_factor = 0", "anomaly_generators.0.metric_stddev_shift.stddev_factor: Input"),
        ("view = 'a\\nb'", "view: "),
        ("budget = 0\nstep_limit = 0", "budget: Input should be greater than or equal to 1, given 0; step_limit: "),
    ],
    ids=lambda item: item[:20],
)
def test_a_fault_of_a_preset_is_one_line(tmp_path: Path, content: str, fault: str) -> None:
    """File, key and value are named once, in one line without what is for programmers only."""
    path = tmp_path / "mine.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r".") as caught:
        bare(config=path)
    message = str(caught.value)
    assert message.startswith(f"config file {str(path)!r}: {fault}")
    assert "\n" not in message
    assert message.count("mine.toml") == 1
    assert "pydantic" not in message
    assert "Value error" not in message


def test_dates_of_a_toml_file(tmp_path: Path) -> None:
    """A date of an explicit anomaly may be written as TOML writes dates, and as text."""
    path = tmp_path / "mine.toml"
    path.write_text(
        "[[anomaly_generators]]\nstddev_factor = 4\nmetric_name = 'app_opens'\ndates = [2026-03-10, '2026-03-11']\n"
        "[[anomaly_generators]]\nmethod_name = 'funnel_break'\nkeep = 0.5\nstep_name = 'menu_opens'\n"
        "date = 2026-03-12\n",
        encoding="utf-8",
    )
    shift, broken = load_config(path).anomaly_generators
    assert shift.all_dates == ("2026-03-10", "2026-03-11")
    assert (broken.method(), broken.all_dates) == ("funnel_break", ("2026-03-12",))


# JSON


@st.composite
def explicit_anomalies(draw: st.DrawFn, generator: GeneratorConfig) -> tuple[dict[str, Any], ...]:
    """At most one of each method, with or without a date and a name."""
    chosen = draw(st.lists(st.sampled_from(sorted(AMOUNTS)), unique=True, max_size=2))
    dates = draw(st.lists(st.sampled_from(generator.date_names), unique=True, min_size=2, max_size=2))
    items = [{"method_name": name, METHODS[name].parameter: AMOUNTS[name]} for name in chosen]
    items = [item | {"date": date} if draw(st.booleans()) else item for item, date in zip(items, dates, strict=False)]
    named = {"metric_stddev_shift": "metric_name", "funnel_break": "step_name", "impossible_counts": "step_name"}
    step = generator.steps[0].name
    return tuple(
        item | ({named[name]: step} if name in named else {}) for item, name in zip(items, chosen, strict=True)
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_config_survives_json(data: st.DataObject) -> None:
    """A config written as JSON, or pickled, and read back is equal and hashes alike, also after it was used."""
    generator = data.draw(generator_configs().filter(lambda config: config.num_weeks > 1))
    config = EnvConfig.model_validate(
        {"generator": used(generator), "anomaly_generators": data.draw(explicit_anomalies(generator))}
    )
    again = EnvConfig.model_validate_json(config.model_dump_json())
    from_dict = EnvConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    for other in (again, from_dict, pickle.loads(pickle.dumps(config)), copy.deepcopy(config)):
        assert other == config
        assert hash(other) == hash(config)
        assert other.generator.catalogue == config.generator.catalogue
        assert [type(item) for item in other.anomaly_generators] == [type(item) for item in config.anomaly_generators]


ECOMMERCE = Path(__file__).parents[1] / "configs" / "ecommerce.toml"
MADE_WITH: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a task": {"task": "hard_mixed", "budget": np.int64(20), "anomaly_count": (1, np.int32(3))},
    "a config": {"config": EnvConfig(difficulty="hard", generator=GeneratorConfig(num_weeks=3))},
    "a dict": {"config": {"generator": {"num_weeks": 2}}, "anomaly_count": 2},
    "a path": {"config": ECOMMERCE, "view": "board"},
    "the path of a task": {"task": str(ECOMMERCE), "step_cost": 0.25},
    "parts": {"generator": funnel("visits", "orders"), "costs": ToolCosts(open=2)},
    "explicit anomalies": {"anomaly_generators": (EXPLICIT[1], {"metric_name": "app_opens", "stddev_factor": 4})},
    "a picture": {"config": EnvConfig(budget=3), "render_mode": "ansi"},
}


@pytest.mark.parametrize("options", MADE_WITH.values(), ids=MADE_WITH)
def test_a_spec_makes_the_same_environment(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spec survives JSON, pickle and copies, whatever the environment was made with, and makes it again anywhere."""
    env = gym.make(ENV_ID, **options)
    lanes = gym.make_vec(ENV_ID, num_envs=2, autoreset_mode=AutoresetMode.SAME_STEP, **options)
    assert env.spec is not None
    assert lanes.spec is not None
    monkeypatch.chdir(tmp_path)
    for spec in (env.spec, lanes.spec):
        for again in (pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec), EnvSpec.from_json(spec.to_json())):
            assert again == spec
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.spec == env.spec
    assert again.unwrapped.config == env.unwrapped.config  # pyright: ignore[reportAttributeAccessIssue]
    assert again.render_mode == env.render_mode
    assert np.array_equal(again.reset(seed=3)[0], env.reset(seed=3)[0])
    more = gym.make_vec(EnvSpec.from_json(lanes.spec.to_json()))
    assert more.unwrapped.config == lanes.unwrapped.config == env.unwrapped.config  # pyright: ignore[reportAttributeAccessIssue]
    assert more.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert np.array_equal(more.reset(seed=3)[0], lanes.reset(seed=3)[0])


def test_a_spec_says_what_it_was_made_with() -> None:
    """Arguments that JSON can hold stay as they were written, and what it cannot hold stays for Gymnasium to refuse."""
    options = {"task": "hard_mixed", "budget": 9, "anomaly_count": [1, 3]}
    env = gym.make(ENV_ID, **options)
    assert env.spec is not None
    assert env.spec.kwargs == options
    kept = copy.copy(env.unwrapped.spec)
    assert kept is not None
    kept.kwargs = {"odd": len}
    env.unwrapped.spec = kept
    assert env.unwrapped.spec.kwargs == {"odd": len}
    assert kept.kwargs == {"odd": len}
    env.unwrapped.spec = None
    assert env.unwrapped.spec is None


# Limits


@Configs
def test_every_key_says_what_it_means(config: ConfigModel) -> None:
    """Each field has a description, but the name of a method, which is the heading of its table."""
    if isinstance(config, ScoringConfig | Task):
        return
    for name, field in type(config).model_fields.items():
        assert field.description or name == "method_name", name


def test_limits_are_read_from_the_fields() -> None:
    """The narrowest limit at each end, itself allowed or not."""
    assert limits_of(GeneratorConfig, "num_weeks") == (1, 12)
    assert limits_of(GeneratorConfig, "base_daily_count") == (20, float("inf"))
    assert limits_of(METHODS["funnel_break"], "keep") == (0, 0.7)
    assert bounds_of(GeneratorConfig.model_fields["trend_per_day"].metadata) == {"gt": -0.01, "lt": 0.05}
    assert bounds_of(GeneratorConfig.model_fields["base_daily_count"].metadata) == {"ge": 20}
    assert get_args(EpisodeConfig.model_fields["difficulty"].annotation) == DIFFICULTIES


def test_values_in_messages_are_short() -> None:
    """A value of any length is cut."""
    assert len(shown("x" * 10_000)) < 100
    assert shown(10**5000).startswith(("(int", "1000"))
