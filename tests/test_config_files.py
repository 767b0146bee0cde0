"""Configurations as files, JSON and specs, and what is said of their fields."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from helpers_configs import AMOUNTS, EXPLICIT, Configs, funnel, used
from helpers_env import ENV_ID, bare, generator_configs, make_lanes
from hypothesis import given, settings
from hypothesis import strategies as st

from metric_tracker_env import EnvConfig, EpisodeConfig, GeneratorConfig, ScoringConfig, Task, ToolCosts, load_config
from metric_tracker_env.config import METHODS, ConfigModel
from metric_tracker_env.model import bounds_of, limits_of, shown
from metric_tracker_env.schema import DIFFICULTIES

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
