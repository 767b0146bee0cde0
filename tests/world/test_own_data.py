"""Data of known noise: thresholds that follow from it, few events, one step, days without hours, counts in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metric_tracker_env import (
    EnvConfig,
    EpisodeConfig,
    GeneratorConfig,
    Investigation,
    MetricDataGenerator,
    MetricTrackerEnv,
    MetricTrackerVectorEnv,
)
from metric_tracker_env.config import View, WorldConfig
from metric_tracker_env.config.generator import most_noise, tail_scale
from metric_tracker_env.measure import excess, thresholds
from metric_tracker_env.schema import DIFFICULTIES, Difficulty
from metric_tracker_env.world.labels import CellClass

NAMES = ("visits", "carts", "orders", "paid")


def own(
    rates: tuple[float, ...] = (0.4, 0.5),
    noise: float = 0.03,
    rate_noise: float = 0.05,
    hours: bool = True,
    **fields: Any,
) -> GeneratorConfig:
    """A funnel whose noise is known, the same for all counts and for all rates."""
    steps = [
        {"name": name, "rate": rate, "day_noise": 3**0.5 * rate_noise}
        for name, rate in zip(NAMES[1:], rates, strict=False)
    ]
    several = 1 if len(rates) > 1 else 0
    measures = [noise] * (1 + len(rates)) + [rate_noise] * len(rates) + [noise] * several + [0.02] * hours
    data = {
        "entry_step": NAMES[0],
        "steps": steps,
        "noise": measures,
        "adjusted": True,
        "hours": hours,
        "weekday_factors": [1.0] * 7,
        "trend_per_day": 0.0,
        "day_noise": 3**0.5 * noise,
        "base_daily_count": 2000,
        **fields,
    }
    return GeneratorConfig.model_validate(data)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_thresholds_follow_from_noise(difficulty: Difficulty) -> None:
    """A threshold is the fixed one, or 5, 4 or 3 noises where these are more; a count needs three events at least."""
    config = own(noise=0.1, rate_noise=0.001)
    catalogue = config.catalogue
    medians = np.array([2000.0, 800.0, 400.0, 40.0, 50.0, 20.0, 0.6, 0.0, 0.0])
    found = thresholds(catalogue, difficulty, medians)
    plain = thresholds(GeneratorConfig.model_validate({**config.model_dump(), **FIXED}).catalogue, difficulty, medians)
    multiple = {"easy": 5.0, "medium": 4.0, "hard": 3.0}[difficulty]
    assert found[:3] == pytest.approx(multiple * 0.1 * medians[:3])
    at = catalogue.slices
    assert found[at["conversion_rate"]][:2] == pytest.approx(plain[at["conversion_rate"]][:2])  # the noise is less
    assert found[at["conversion_rate"]][2] == pytest.approx(multiple * 0.1 * 20.0)
    assert found[at["hourly_mix"]] == pytest.approx(max(multiple * 0.02 * 0.6, plain[at["hourly_mix"]].item()))
    assert found[at["data_quality"]].tolist() == [1.0, 1.0]
    few = own(noise=0.001, base_daily_count=20)
    assert thresholds(few.catalogue, difficulty, np.full(9, 10.0))[0] == 3.0


FIXED = {"noise": None, "adjusted": False, "base_daily_count": 18000}


def test_none_of_it_without_noise() -> None:
    """Without noise the thresholds are those that always were, and what needs it is refused by its name."""
    plain = GeneratorConfig()
    assert (plain.noise, plain.adjusted, plain.hours, plain.replay) == (None, False, True, None)
    needing: list[tuple[dict[str, Any], str]] = [
        ({"steps": []}, "steps: a funnel of one step"),
        ({"base_daily_count": 499}, "base_daily_count: 499"),
        ({"hourly_weights": [0.0] * 5 + [1.0] * 19}, "hourly_weights: hours without traffic"),
        ({"adjusted": True}, "adjusted"),
        ({"hours": False}, "hours: False"),
        ({"replay": {"path": "x.npz", "sha256": "0" * 64}}, "replay"),
    ]
    for given_fields, told in needing:
        with pytest.raises(ValidationError, match=told) as caught:
            GeneratorConfig.model_validate(given_fields)
        assert "needs noise" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"noise": [0.1]}, "noise: 1 numbers given; this funnel has 7 measures"),
        ({"noise": [-0.1] * 7}, "noise"),
        ({"weekday_factors": [1, 1, 1, 1, 1, 2, 2]}, "adjusted: weekdays and level are divided out"),
        ({"trend_per_day": 0.01}, "adjusted: weekdays and level are divided out"),
        ({"world": {}, "hours": False, "noise": [0.1] * 6}, r"world: gaps \(1, 2\) are lost hours"),
        ({"hourly_weights": [0.0] * 24}, "hourly_weights: all are 0"),
        ({"day_noise": 0.49, "day_tail": 20.0}, "day_noise: 0.49 with day_tail 20.0 reaches"),
        ({"base_daily_count": 19}, "base_daily_count"),
        ({"adjusted": False, "replay": {"path": "x", "sha256": "0" * 64}}, "replay: a history is played without"),
    ],
)
def test_what_known_noise_cannot_have(changes: dict[str, Any], told: str) -> None:
    """Refused at the border, by name and with what is allowed."""
    with pytest.raises(ValidationError, match=told):
        own(**{"adjusted": True, **changes}) if "noise" not in changes else GeneratorConfig.model_validate(
            {**own().model_dump(), **changes}
        )


@pytest.mark.parametrize("tail", [0.0, 0.5, 1.0, 4.0, 20.0])
def test_tails_keep_the_variance(tail: float) -> None:
    """The draw u (1 + tail u^8), scaled: the variance of a uniform draw, and longer tails the larger the weight."""
    u = np.linspace(-1, 1, 200_001)
    x = u * (1 + tail * u**8) * tail_scale(tail)
    assert x.var() == pytest.approx(1 / 3, rel=1e-3)
    assert np.abs(x).max() == pytest.approx(most_noise(1.0, tail))
    config = own(day_noise=0.1, day_tail=tail, noise=0.1 / 3**0.5)
    days = MetricDataGenerator(config).generate_batch(EpisodeConfig(anomaly_count=0), list(range(300))).twin_daily[0]
    spread = np.abs(days / 2000.0 - 1.0) / (0.1 / 3**0.5)
    assert np.quantile(spread, 0.99) == pytest.approx(3**0.5 * 0.99 * (1 + tail * 0.99**8) * tail_scale(tail), rel=0.05)
    assert spread.std() > 0


def a_world(config: GeneratorConfig) -> WorldConfig:
    """Events, and where there are hours lost ones."""
    return WorldConfig(events=(1, 4), gaps=(0, 2) if config.hours else (0, 0))


funnels = st.builds(
    own,
    rates=st.lists(st.sampled_from([0.02, 0.3, 0.5, 0.9, 0.995]), max_size=3).map(tuple),
    noise=st.sampled_from([0.005, 0.03, 0.1]),
    rate_noise=st.sampled_from([0.005, 0.05, 0.2]),
    hours=st.booleans(),
    base_daily_count=st.sampled_from([20, 300, 50_000]),
    hourly_weights=st.sampled_from([[1.0] * 24, [0.0] * 6 + [1.0] * 18, [0.0] * 23 + [1.0]]),
)


@settings(max_examples=80, deadline=None)
@given(funnels, st.booleans(), st.sampled_from(DIFFICULTIES), st.integers(0, 2**32))
def test_any_funnel_is_played_or_refused(
    config: GeneratorConfig, in_world: bool, difficulty: Difficulty, seed: int
) -> None:
    """Whatever the funnel: whole counts in order but for data quality, and every incident is confirmed where it is."""
    if in_world:
        config = config.model_copy(update={"world": a_world(config)})
    batch, told = None, ""
    try:
        source = MetricDataGenerator(config)
        batch = source.generate_batch(EpisodeConfig(difficulty=difficulty, anomaly_count=2), [seed, seed + 1])
    except ValueError as error:
        told = str(error)
    if batch is None:
        assert told
        assert "\n" not in told
        return
    assert (batch.planes >= 0).all()
    assert (batch.planes == np.rint(batch.planes)).all()
    above = excess(batch.planes)
    quality = config.catalogue.slices["data_quality"]
    wrong = (batch.classes[quality] > 0).any(axis=0) if config.hours else np.zeros(above.shape[1:], bool)
    assert not above[:, ~wrong].any()
    lane, place = np.nonzero(batch.plan.active & batch.plan.last)  # in a world the last date of each is confirmed
    roots = batch.classes[batch.plan.entity[lane, place], lane, batch.plan.day[lane, place]]
    assert (roots == CellClass.EXPECTED).all()
    expected, planned = (batch.classes == CellClass.EXPECTED).sum(), batch.plan.active.sum()
    assert expected <= planned if in_world else expected == planned
    assert batch.planes.shape[1] == config.hours_per_day


FUNNELS = [
    own(rates=()),
    own(rates=(), hours=False),
    own(rates=(0.5,), hours=False),
    own(rates=(0.4, 0.5, 0.9), hours=False),
    own(base_daily_count=20, noise=0.2, rate_noise=0.1),
]
FUNNELS += [config.model_copy(update={"world": a_world(config)}) for config in FUNNELS]


def name_of(config: GeneratorConfig) -> str:
    """The funnel in short."""
    return f"{len(config.steps) + 1} steps, hours {config.hours}, world {config.world is not None}"


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("config", FUNNELS, ids=name_of)
def test_odd_funnels_are_played(config: GeneratorConfig, view: View) -> None:
    """Random legal play in both views, alone and in lanes; a tool that has nothing to tell is never legal."""
    options = EnvConfig(generator=config, view=view, anomaly_count=1)
    env = MetricTrackerEnv(config=options, render_mode="rgb_array")
    text = MetricTrackerEnv(config=options, render_mode="ansi")
    lanes = MetricTrackerVectorEnv(num_envs=2, config=options)
    rng = np.random.default_rng(1)
    used: set[str] = set()
    for seed in range(4):
        observation, info = env.reset(seed=seed)
        together, told = lanes.reset(seed=[seed, seed])
        over = False
        while not over:
            np.testing.assert_array_equal(together[0], observation)
            np.testing.assert_array_equal(told["action_mask"][1], info["action_mask"])
            action = int(rng.choice(np.flatnonzero(info["action_mask"])))
            used.add(env.actions.decode(action).tool)
            observation, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            if not over:
                together, _, _, _, told = lanes.step(np.array([action, action]))
        picture = env.render()
        assert isinstance(picture, np.ndarray)
        assert picture.std() > 0
    text.reset(seed=1)
    assert config.date_names[0][5:] in str(text.render()) or "budget" in str(text.render())
    if not config.hours:
        assert not used & {"hourly_rows_for_date", "check_impossible_counts", "get_hourly_traffic_mix_shift_rows"}
    if not config.steps:
        assert not used & {"detect_funnel_break", "get_funnel_break_rows"}
    assert {"rows_for_date", "submit"} <= used


@pytest.mark.parametrize("config", FUNNELS, ids=name_of)
def test_odd_funnels_in_words(config: GeneratorConfig) -> None:
    """The brief and the overview are true of the data; a tool that is not offered is refused in words."""
    play = Investigation(config=EnvConfig(generator=config, anomaly_count=1))
    brief = play.reset(seed=1)
    assert f"by {'hour' if config.hours else 'day'}," in brief
    assert "divided out" in brief
    assert ("hourly_rows_for_date" in brief) == config.hours
    assert ("detect_funnel_break" in brief) == bool(config.steps)
    overview = play.task_overview()
    assert "times the usual noise" in str(overview)
    date = config.date_names[5]
    assert '"ok":true' in str(play.rows_for_date(date=date)).replace(" ", "").replace("'", '"').replace("True", "true")
    if not config.hours:
        assert "there is no hourly_mix" in str(play.hourly_rows_for_date(date=date)) or "unknown" in str(
            play.hourly_rows_for_date(date=date)
        )
