"""Configuration: frozen, strict, with one place for every default; files that are read or refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_env import VIEWS, bare, generator_configs, make_lanes, play
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metric_tracker_env import EnvConfig, EpisodeConfig, FunnelStep, GeneratorConfig, ScoringConfig, ToolCosts
from metric_tracker_env.config import (
    COUNT_OF_DENSITY,
    RateNoise,
    SyntheticAnomalyGenerator,
    View,
    load_config,
)
from metric_tracker_env.config import generator as config_module
from metric_tracker_env.schema import DIFFICULTIES, StrictModel
from metric_tracker_env.tasks import HELD_OUT_SEEDS, TASKS, TRAINING_SEEDS, Task, build_config
from metric_tracker_env.world.episode import MetricDataGenerator

MODELS: list[StrictModel] = [
    EnvConfig(),
    EpisodeConfig(),
    GeneratorConfig(),
    RateNoise(),
    ScoringConfig(),
    ToolCosts(),
    FunnelStep(name="sales", rate=0.5),
    SyntheticAnomalyGenerator(stddev_factor=3.0),
    TASKS["hard_mixed"],
]
Models = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)


# Models


@Models
def test_configs_are_frozen(model: StrictModel) -> None:
    """No field of a configuration can be changed or added."""
    for name in type(model).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, name, getattr(model, name))
    with pytest.raises(ValueError, match="colour"):
        model.colour = 3  # pyright: ignore[reportAttributeAccessIssue]


@Models
def test_unknown_keys_are_refused(model: StrictModel) -> None:
    """A key that is no field is an error that names it."""
    with pytest.raises(ValidationError, match="colour"):
        type(model).model_validate({**dict(model), "colour": 3})


@Models
def test_configs_survive_json(model: StrictModel) -> None:
    """A configuration written as JSON and read back is the same one."""
    again = type(model).model_validate_json(model.model_dump_json())
    assert again.model_dump() == model.model_dump()
    assert again == model
    assert hash(again) == hash(model)


def test_equal_configs_stay_equal_in_use() -> None:
    """Two configurations of the same fields are equal and hash alike, also after they were used."""
    first, second = EnvConfig(difficulty="hard"), EnvConfig(difficulty="hard", generator=GeneratorConfig())
    for config in (first, second):
        assert len(config.generator.dates) == len(config.generator.weekdays) == 28
        assert config.generator.catalogue.num_entities == 20
        assert len(config.generator.catalogue.measure_of_entity) == 20
    assert first == second
    assert hash(first) == hash(second)
    assert first.generator == second.generator
    assert first.generator.catalogue == second.generator.catalogue
    assert first != EnvConfig()
    assert first.generator != GeneratorConfig(num_weeks=3)


def test_the_same_options_can_be_made_twice() -> None:
    """A second environment with the options of the first, another view beside it, plays the same episodes."""
    options: dict[str, Any] = {"generator": {"num_weeks": 2, "base_daily_count": 12_345.0}, "anomaly_count": 2}
    hourly = []
    for view in (*VIEWS, *VIEWS):
        env = bare(view=view, **options)
        env.reset(seed=2)
        env.step(len(env.actions) - 1)
        hourly.append(env.episode().hourly)
    assert all(np.array_equal(item, hourly[0]) for item in hourly)


# Defaults


def test_defaults_are_those_of_the_design() -> None:
    """The default environment is the one that the design describes."""
    config = EnvConfig()
    assert (config.view, config.reward, config.budget, config.step_limit) == ("focus", "terminal", 16, 48)
    assert (config.scenario_family, config.difficulty, config.anomaly_density) == ("mixed", "medium", "medium")
    assert config.costs.model_dump() == {"free": 0, "open": 1, "inspect": 1, "scan": 1, "survey": 4, "calendar": 2}
    assert config.step_cost == 0.005
    assert config.generator.num_days == 28
    assert config.generator.date_names[-1] == "2026-03-31"
    assert COUNT_OF_DENSITY == {"low": 3, "medium": 5, "high": 7}


def test_a_default_is_written_once() -> None:
    """An episode of an environment asks for the environment's fields, and both models have the same defaults."""
    assert EnvConfig().episode_config() == EpisodeConfig()
    for name in EpisodeConfig.model_fields.keys() - {"seed", "number"}:
        assert EnvConfig.model_fields[name].default == EpisodeConfig.model_fields[name].default
    assert bare().config == make_lanes(1).config == EnvConfig() == build_config()


def test_changes_of_an_episode_config() -> None:
    """episode_config puts changes on top of the environment's fields, checked like any other value."""
    config = EnvConfig(difficulty="hard", anomaly_count=(1, 5))
    changed = config.episode_config(difficulty="easy", seed=4)
    assert changed == EpisodeConfig(seed=4, difficulty="easy", anomaly_count=(1, 5))
    with pytest.raises(ValidationError, match="difficulty"):
        config.episode_config(difficulty="none")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"anomaly_count": 4}, (4, 4)),
        ({"anomaly_count": (2, 6)}, (2, 6)),
        ({"anomaly_count": [2, 6]}, (2, 6)),
        ({"anomaly_count": None}, (5, 5)),
        ({"anomaly_count": None, "anomaly_density": "low"}, (3, 3)),
        ({"anomaly_count": None, "anomaly_density": "high"}, (7, 7)),
    ],
)
def test_count_ranges(fields: dict[str, Any], expected: tuple[int, int]) -> None:
    """A number, a range, or None for that of the density."""
    assert EpisodeConfig.model_validate(fields).count_range == expected


@pytest.mark.parametrize("count", [4, 0, (2, 6)])
@pytest.mark.parametrize("density", ["low", "high"])
def test_a_density_beside_a_count_does_nothing_and_is_refused(density: str, count: object) -> None:
    """It counts where there is no count; at a reset as well."""
    fields = {"anomaly_count": count, "anomaly_density": density}
    with pytest.raises(ValueError, match=f"anomaly_density: '{density}' does nothing beside anomaly_count"):
        EpisodeConfig.model_validate(fields)
    with pytest.raises(ValueError, match="set anomaly_count to None, or leave it out"):
        bare(anomaly_count=count).reset(options={"anomaly_density": density})
    assert EpisodeConfig.model_validate(fields | {"anomaly_count": None}).count_range[0] in {3, 7}


@pytest.mark.parametrize("weeks", range(1, 13))
def test_the_most_that_fits(weeks: int) -> None:
    """As many incidents as fit make an environment, one more does not."""
    most = GeneratorConfig(num_weeks=weeks).max_incidents
    assert most == min(7 * weeks - 5, (7 * weeks - 1) // 2)
    EnvConfig(generator=GeneratorConfig(num_weeks=weeks), anomaly_count=most)
    with pytest.raises(ValidationError, match=rf"{most + 1} incidents.*at most {most}"):
        EnvConfig(generator=GeneratorConfig(num_weeks=weeks), anomaly_count=most + 1)


# How large and how noisy a funnel may be

GROWING = {"trend_per_day": 1 / 64, "day_noise": 0.25, "weekday_factors": (1, 1, 1, 2, 1, 1, 1)}
GROWN = 2 * 1.4375 * 1.25  # the largest of a weekday, of 28 days of growth, and of the noise of a day


@pytest.mark.parametrize(("changes", "most"), [(GROWING, GROWN), ({**GROWING, "trend_per_day": -1 / 128}, 2 * 1.25)])
def test_the_largest_day_is_bounded(changes: dict[str, Any], most: float) -> None:
    """Half a billion events is the most that a day may have with its weekday, growth and noise; a decline adds none."""
    allowed = int(500_000_000 / most)
    assert GeneratorConfig(base_daily_count=allowed, **changes).base_daily_count == allowed
    with pytest.raises(ValidationError, match=r"base_daily_count: .* a day reaches 5e\+08 events; at most 5e\+08"):
        GeneratorConfig(base_daily_count=allowed + 2, **changes)


def test_the_noisiest_rate_is_never_negative() -> None:
    """Noise of 1 takes an hour's rate from nothing to twice its mean; with more, counts would be below 0."""
    step = {"name": "orders", "rate": 0.4, "noise_scale": 2.5}
    config = GeneratorConfig.model_validate({"steps": [step], "rate_noise": {"hard": 0.4}})
    hourly = MetricDataGenerator(config).generate_episode(EpisodeConfig(difficulty="hard", anomaly_count=1)).hourly
    rates = hourly[..., 1] / hourly[..., 0]
    assert 0 <= rates.min() < 0.05
    assert 0.75 < rates[rates < 1].max() <= 0.81
    with pytest.raises(ValidationError, match=r"noise_scale 2.6 of 'orders' makes its hard noise 1.0400"):
        GeneratorConfig.model_validate({"steps": [step | {"noise_scale": 2.6}], "rate_noise": {"hard": 0.4}})


# The calendar


class Tomorrow(dt.date):
    """A clock that stands still on 2031-05-06."""

    @classmethod
    def today(cls) -> Tomorrow:
        return cls(2031, 5, 6)


def test_yesterday_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last day is yesterday with end_date=None and fixed otherwise, at every level of a configuration."""
    monkeypatch.setattr(config_module.dt, "date", Tomorrow)
    assert GeneratorConfig().date_names[-1] == "2026-03-31"
    assert EnvConfig().generator.date_names[-1] == "2026-03-31"
    assert GeneratorConfig(end_date=None).date_names[-1] == "2031-05-05"
    assert bare(generator={"end_date": None}).config.generator.date_names[-1] == "2031-05-05"
    assert bare(config={"generator": {"end_date": None}}).config.generator.date_names[-1] == "2031-05-05"
    asked = GeneratorConfig(end_date=None)
    assert asked.end_date == dt.date(2031, 5, 5)  # resolved once: tomorrow it is the same day
    assert GeneratorConfig.model_validate_json(asked.model_dump_json()).end_date == dt.date(2031, 5, 5)


@pytest.mark.parametrize("date", ["2020-01-01", "2026-3-10", "10.03.2026", "", "today", "2026-02-30", "2026-04-01"])
def test_dates_outside_the_range(date: str) -> None:
    """A date that is malformed or outside is refused with the range."""
    config = GeneratorConfig()
    with pytest.raises(ValueError, match=r"2026-03-04 to 2026-03-31") as caught:
        config.day_index(date)
    assert repr(date) in str(caught.value)


def test_dates_by_name_and_by_object() -> None:
    """A day is found by its ISO name and as a date."""
    config = GeneratorConfig()
    for day, name in enumerate(config.date_names):
        assert config.day_index(name) == config.day_index(dt.date.fromisoformat(name)) == day


# Files


def test_presets_of_both_kinds(tmp_path: Path) -> None:
    """TOML and JSON files of the same content give the same configuration, of any model."""
    toml, as_json = tmp_path / "preset.toml", tmp_path / "preset.json"
    text = 'difficulty = "hard"\nanomaly_count = [1, 5]\n[costs]\nsurvey = 6\n[generator]\nend_date = 2025-06-30\n'
    toml.write_text(text, encoding="utf-8")
    content = {"difficulty": "hard", "anomaly_count": [1, 5], "costs": {"survey": 6}}
    as_json.write_text(json.dumps({**content, "generator": {"end_date": "2025-06-30"}}), encoding="utf-8")
    expected = EnvConfig(
        difficulty="hard",
        anomaly_count=(1, 5),
        costs=ToolCosts(survey=6),
        generator=GeneratorConfig(end_date=dt.date(2025, 6, 30)),
    )
    assert load_config(toml) == load_config(str(as_json)) == expected
    only = tmp_path / "generator.toml"
    only.write_text("num_weeks = 2\n", encoding="utf-8")
    assert load_config(only, GeneratorConfig) == GeneratorConfig(num_weeks=2)
    empty = tmp_path / "empty.toml"
    empty.write_text("", encoding="utf-8")
    assert load_config(empty) == EnvConfig()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.toml", None, ["does not exist"]),
        ("none.json", None, ["does not exist"]),
        ("preset.yaml", b"budget: 3", [".toml or .json"]),
        ("preset", b"budget = 3", [".toml or .json"]),
        ("bad.toml", b"budget = ", ["malformed"]),
        ("twice.toml", b"budget = 3\nbudget = 4\n", ["malformed"]),
        ("bad.json", b"{budget: 3}", ["malformed", "line 1"]),
        ("cut.json", b'{"budget": 3', ["malformed"]),
        ("deep.json", b"[" * 100_000, ["malformed"]),
        ("latin.toml", b'difficulty = "\xe9asy"\n', ["malformed"]),
        ("list.json", b"[1, 2]", []),
        ("number.json", b"3", []),
        ("unknown.toml", b"colour = 3\n", ["colour", "step_limit"]),
        ("nested.json", b'{"generator": {"colour": 3}}', ["generator", "colour", "num_weeks"]),
        ("value.toml", b"budget = -3\n", ["budget", "-3"]),
        ("type.json", b'{"budget": "3"}', ["budget", "'3'"]),
        ("nan.json", b'{"step_cost": NaN}', ["step_cost", "nan"]),
        ("inf.toml", b"step_cost = inf\n", ["step_cost", "inf"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_are_refused(tmp_path: Path, name: str, content: bytes | None, words: list[str]) -> None:
    """A file that is missing, of another kind, malformed or wrong inside is refused by its name and its fault."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r".") as caught:
        load_config(path)
    message = str(caught.value)
    assert all(word in message for word in words)
    assert name in message


def test_a_folder_is_no_preset(tmp_path: Path) -> None:
    """A folder whose name ends like a preset is refused."""
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"folder\.toml"):
        load_config(folder)


# Tasks


def test_tasks_of_the_seed_are_there() -> None:
    """The three tasks of the original have the same families, difficulties and counts."""
    found = {name: TASKS[name].config for name in ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")}
    assert {
        name: (config.scenario_family, config.difficulty, config.anomaly_count) for name, config in found.items()
    } == {
        "easy_single_spike": ("rate_spike_from_median", "easy", 2),
        "medium_mixed_pair": ("mixed", "medium", 3),
        "hard_mixed_multi": ("mixed", "hard", 4),
    }


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_tasks_are_data(task: Task) -> None:
    """A task has its name, an instruction, and training seeds that no held-out seed is among."""
    assert TASKS[task.name] is task
    assert len(task.instruction) > 40
    training, held_out = range(*task.training_seeds), range(*task.held_out_seeds)
    assert len(training) >= 1_000_000
    assert len(held_out) >= 10_000
    assert training.stop <= held_out.start or held_out.stop <= training.start
    assert (training, held_out) == (TRAINING_SEEDS, HELD_OUT_SEEDS)


def test_build_config_leaves_what_it_is_given() -> None:
    """Options on top make a new configuration; the base and the dict stay as they were."""
    base, options = EnvConfig(budget=5), {"budget": 7}
    assert build_config(config=base, options=options).budget == 7
    assert base.budget == 5
    assert options == {"budget": 7}
    assert build_config(task="hard_mixed", options={"budget": 9}).anomaly_count == (1, 5)
    assert TASKS["hard_mixed"].config.budget == 16


# Any valid configuration


@st.composite
def env_options(draw: st.DrawFn) -> dict[str, Any]:
    """Options of an environment, all valid."""
    generator = draw(generator_configs())
    low = draw(st.integers(1, min(3, generator.max_incidents)))
    high = draw(st.integers(low, min(4, generator.max_incidents)))
    costs = {name: draw(st.integers(1, 6)) for name in ("open", "inspect", "scan", "survey")}
    return {
        "generator": generator,
        "difficulty": draw(st.sampled_from(DIFFICULTIES)),
        "anomaly_count": draw(st.sampled_from([low, (low, high)])),
        "reward": draw(st.sampled_from(["terminal", "dense"])),
        "budget": draw(st.integers(1, 40)),
        "costs": costs,
        "step_cost": draw(st.floats(0, 0.1)),
        "step_limit": draw(st.integers(1, 60)),
    }


@settings(max_examples=40, deadline=None, derandomize=True)
@given(env_options(), st.sampled_from(VIEWS), st.integers(0, 2**63 - 1))
def test_any_valid_configuration_plays(options: dict[str, Any], view: View, seed: int) -> None:
    """Whatever the funnel, calendar, budget and costs, an episode plays within its space and ends with its grade."""
    env = bare(view=view, **options)
    steps = play(env, seed, np.random.default_rng(0), legal=0.9)
    assert all(env.observation_space.contains(step.observation) for step in steps)
    assert all(step.mask[-1] for step in steps[:-1])
    info = steps[-1].info
    assert info["score"] == pytest.approx(env.grade().score)
    assert info["cost"] <= env.config.budget
    low, high = env.config.episode_config().count_range
    assert low <= info["expected"] <= high
    assert sum(step.reward for step in steps) == pytest.approx(info["score"] - env.config.step_cost * info["cost"])
