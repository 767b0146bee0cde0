"""What lanes play is the episode of their seed and number, whatever is made ahead, passed over or begun anew."""

from __future__ import annotations

import numpy as np
import pytest

from metric_tracker_env.config import EnvConfig, GenerationError
from metric_tracker_env.play.supply import AHEAD, COMPANY, EpisodeSupply, LaneData
from metric_tracker_env.world.episode import MetricDataGenerator
from metric_tracker_env.world.rng import KeyStream
from metric_tracker_env.world.source import EpisodeBatch, EpisodeSource

WEEK = EnvConfig.model_validate({"generator": {"num_weeks": 1}, "anomaly_count": 1, "difficulty": "easy"})
WORLD = EnvConfig.model_validate({"generator": {"num_weeks": 3, "world": {}}, "anomaly_count": (0, 2)})
EASIER: dict[str, object] = {"scenario_family": "funnel_break"}


class Expected:
    """The playing data of the first episodes of some seeds, each made from its key alone."""

    def __init__(self, source: EpisodeSource, seeds: int, episodes: int) -> None:
        lanes, numbers = np.divmod(np.arange(seeds * episodes), episodes)
        self._episodes, self._generator = episodes, source.config
        self._all = LaneData.of(source, source.generate(KeyStream(list(range(seeds))).keys(lanes, numbers)))

    def of(self, seeds: np.ndarray, numbers: np.ndarray) -> LaneData:
        """Episodes ``numbers`` of some seeds."""
        chosen = LaneData.empty(len(seeds), self._generator)
        chosen.put(slice(None), self._all, seeds * self._episodes + numbers)
        return chosen


def assert_plays(supply: EpisodeSupply, expected: LaneData, lanes: np.ndarray) -> None:
    """The lanes play just these episodes."""
    for played, wanted in zip(supply.data.arrays, expected.arrays, strict=True):
        assert np.array_equal(played.reshape(supply.data.expected.size, -1)[lanes], wanted.reshape(len(lanes), -1))


@pytest.mark.parametrize(
    ("config", "lanes", "episodes"),
    [
        *((WEEK, lanes, episodes) for lanes, episodes in ((1, 1100), (2, 900), (30, 300), (600, 25), (4200, 5))),
        *((WORLD, lanes, episodes) for lanes, episodes in ((1, 600), (30, 60), (600, 9))),
    ],
    ids=lambda value: ("clean" if value.generator.world is None else "world") if isinstance(value, EnvConfig) else None,
)
def test_each_lane_plays_its_own_stream(config: EnvConfig, lanes: int, episodes: int) -> None:
    """Lanes at different paces, some of whose episodes have options, play the episodes of their keys to the end."""
    supply = EpisodeSupply(config, lanes)
    special = supply.source(EASIER)
    assert special is not None
    plain = Expected(EpisodeSource(config.generator, config.episode_config()), lanes, episodes)
    easier = Expected(EpisodeSource(config.generator, special.episode), lanes, episodes)
    rng, every = np.random.default_rng(lanes), np.arange(lanes)
    supply.deal(every, None, every.tolist())
    number, as_asked = np.zeros(lanes, np.int64), np.zeros(lanes, bool)
    pace = np.linspace(1.0, 0.3, lanes)
    while number[0] < episodes - 1:
        chosen = np.flatnonzero(rng.random(lanes) < pace)
        asked = rng.random() < 0.1
        supply.deal(chosen, special if asked else None)
        number[chosen] += 1
        as_asked[chosen] = asked
        for made, them in ((easier, np.flatnonzero(as_asked)), (plain, np.flatnonzero(~as_asked))):
            if len(them):
                assert_plays(supply, made.of(them, number[them]), them)
    supply.deal(every, None, every.tolist())
    assert_plays(supply, plain.of(every, np.zeros(lanes, np.int64)), every)


@pytest.mark.parametrize("asked", [False, True])
def test_a_deal_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch, asked: bool) -> None:
    """When episodes of new seeds cannot be made, after some were, all lanes go on with their old streams."""
    lanes, episodes = 600, 20
    period = AHEAD // lanes  # then the next episode of the old stream lies where the first of a new one comes to lie
    every = np.arange(lanes)
    supply = EpisodeSupply(WEEK, lanes)
    special = supply.source(EASIER) if asked else None
    plain = Expected(EpisodeSource(WEEK.generator, WEEK.episode_config()), lanes, episodes)
    generate, made = EpisodeSource.generate, []

    def failing(source: EpisodeSource, keys: np.ndarray, hourly: bool = True) -> EpisodeBatch:
        made.append(len(keys))
        if sum(made) == lanes:
            raise GenerationError("there is none")
        return generate(source, keys, hourly)

    supply.deal(every, None, every.tolist())
    for number in range(episodes):
        if number:
            supply.deal(every)
            assert_plays(supply, plain.of(every, np.full(lanes, number)), every)
        if number % period != period - 1:
            continue
        truth = supply.played(np.array([7])).episode(0).hourly.copy()
        made.clear()
        with monkeypatch.context() as patched:
            patched.setattr(EpisodeSource, "generate", failing)
            with pytest.raises(GenerationError, match="there is none"):
                supply.deal(every, special, (every + 10_000).tolist())
        assert_plays(supply, plain.of(every, np.full(lanes, number)), every)
        assert np.array_equal(supply.played(np.array([7])).episode(0).hourly, truth)


def test_an_episode_is_made_again_as_it_was_played() -> None:
    """The truth of a lane is that of the episode it plays: the same cells are flagged and expected."""
    supply = EpisodeSupply(WEEK, 3)
    special = supply.source(EASIER)
    every = np.arange(3)
    supply.deal(every, None, [5, 6, 7])
    for round_ in range(30):
        supply.deal(every[: 1 + round_ % 3], special if round_ % 4 == 1 else None)
        for lane in range(3):
            episode = supply.played(np.array([lane])).episode(0)
            days = WEEK.generator.num_days
            assert np.array_equal(supply.data.classes[lane * days : (lane + 1) * days], episode.classes)


SHIFTED = EnvConfig.model_validate({"anomaly_generators": [{"metric_name": "app_opens", "stddev_factor": 8.0}]})


def recorded(monkeypatch: pytest.MonkeyPatch, most: int = 10_000) -> list[int]:
    """How many episodes were generated together, from now on; more than ``most`` fail."""
    generate, made = EpisodeSource.generate, list[int]()

    def noting(source: EpisodeSource, keys: np.ndarray, hourly: bool = True) -> EpisodeBatch:
        made.append(len(keys))
        if len(keys) > most:
            raise GenerationError("one of them cannot be made")
        return generate(source, keys, hourly)

    monkeypatch.setattr(EpisodeSource, "generate", noting)
    return made


@pytest.mark.parametrize("config", [WEEK, WORLD], ids=["clean", "world"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_few_episodes_are_made_in_company(monkeypatch: pytest.MonkeyPatch, config: EnvConfig, lanes: int) -> None:
    """No episode is made alone, whose time would tell what is in it: begun, with options, or with its truth."""
    supply, every = EpisodeSupply(config, lanes), np.arange(lanes)
    made = recorded(monkeypatch)
    for seed in (5, 50):
        supply.deal(every, None, (every + seed).tolist())
        supply.deal(every, supply.source(EASIER))
        supply.played(every).episode(0)
    supply.deal(every, None, every.tolist())
    assert len(made) == 7
    assert min(made) >= COMPANY
    supply.deal(every)
    supply.deal(every)
    assert len(made) == 7  # the company is what the lanes play next


def test_refills_grow_with_what_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one makes twice as many as the one before, and never fills the ring at once: four lanes play few."""
    supply, every = EpisodeSupply(WEEK, 4), np.arange(4)
    made = recorded(monkeypatch)
    for _ in range(20):
        supply.deal(every)
    assert made == [8, 16, 32, 64]


def test_the_traffic_of_lost_hours_is_packed_in_steps_of_a_32_000th() -> None:
    """As a whole number a date, that of the hours' shares of a usual day."""
    source = EpisodeSource(WORLD.generator, WORLD.episode_config())
    batch = source.generate(np.arange(40, dtype=np.uint64))
    packed = LaneData.of(source, batch).calendar
    assert packed is not None
    assert batch.layer is not None
    gaps, shares = batch.layer.gaps, WORLD.generator.hour_shares
    lane, place = np.nonzero(gaps.active)
    lost = [shares[gaps.first[at] : gaps.last[at] + 1].sum() for at in zip(lane, place, strict=True)]
    found = packed.missing.reshape(40, -1)[lane, gaps.day[lane, place]]
    assert found.tolist() == [round(32_000 * share) for share in lost]
    assert np.count_nonzero(packed.missing) == len(lost) > 30


def test_company_that_cannot_be_made_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of the company cannot be made, the episode that is played is the same as ever."""
    supply, every = EpisodeSupply(WEEK, 2), np.arange(2)
    special = supply.source(EASIER)
    assert special is not None
    plain = Expected(EpisodeSource(WEEK.generator, WEEK.episode_config()), 2, 2)
    easier = Expected(EpisodeSource(WEEK.generator, special.episode), 2, 2)
    truth = MetricDataGenerator(WEEK.generator).generate_episode(special.episode.model_copy(update={"number": 1}))
    made = recorded(monkeypatch, most=2)
    supply.deal(every, None, every.tolist())
    assert_plays(supply, plain.of(every, every * 0), every)
    supply.deal(every, special)
    assert_plays(supply, easier.of(every, every * 0 + 1), every)
    assert np.array_equal(supply.played(every).episode(0).hourly, truth.hourly)
    assert made == [8, 2, 8, 2, 8, 1]


def test_explicit_generators_are_applied_to_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the configuration says is no secret, so that such an episode is made alone."""
    supply = EpisodeSupply(SHIFTED, 1)
    made = recorded(monkeypatch)
    supply.deal(np.zeros(1, np.int64), None, [3])
    supply.played(np.zeros(1, np.int64)).episode(0)
    assert made == [1]


@pytest.mark.parametrize("config", [WEEK, WORLD], ids=["clean", "world"])
def test_what_was_prepared_is_what_would_be_made(monkeypatch: pytest.MonkeyPatch, config: EnvConfig) -> None:
    """First episodes of prepared seeds are dealt in any order without making any; all others are as ever."""
    every, seeds = np.arange(2), [7, 3, 5, 3]
    plain, supply = EpisodeSupply(config, 2), EpisodeSupply(config, 2)
    made = recorded(monkeypatch)
    supply.prepare(seeds)
    assert made == [3]
    truth = MetricDataGenerator(config.generator)
    for given in ([3, 7], [5, 3], [7, 7]):
        before = len(made)
        supply.deal(every, None, given)
        assert len(made) == before
        played = supply.played(every)
        assert played.name(0) == config.episode_config(seed=given[0])
        assert np.array_equal(played.episode(0).hourly, truth.generate_episode(played.name(0)).hourly)
        assert played.episode(1).expected_rows == truth.generate_episode(played.name(1)).expected_rows
        assert made[before:] == [1, 1]  # those that it is compared with
        plain.deal(every, None, given)
        assert_plays(supply, plain.data, every)
    for lanes, source, given in (
        (every, None, None),  # the next ones of the streams
        (every, None, [3, 4]),  # not all prepared
        (every, supply.source(EASIER), [3, 5]),
        (every[:1], None, [7]),
        (every[1:], None, None),
    ):
        special = None if source is None else plain.source(EASIER)
        supply.deal(lanes, source, given)
        plain.deal(lanes, special, given)
        assert_plays(supply, plain.data, every)
        assert [supply.name(lane) for lane in (0, 1)] == [plain.name(lane) for lane in (0, 1)]
        both = supply.played(every).episode(0), plain.played(every).episode(0)
        assert np.array_equal(both[0].hourly, both[1].hourly)


def test_what_cannot_be_prepared_is_made_when_it_is_dealt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one episode cannot be made, or incidents are told, nothing is prepared and nothing is lost."""
    for config, most in ((WEEK, 8), (SHIFTED, 1000)):
        plain, supply, one = EpisodeSupply(config, 1), EpisodeSupply(config, 1), np.zeros(1, np.int64)
        with monkeypatch.context() as patch:
            made = recorded(patch, most=most)
            supply.prepare(range(20))
            supply.deal(one, None, [3])
            assert made == ([20, 8] if config is WEEK else [1])
        plain.deal(one, None, [3])
        assert_plays(supply, plain.data, one)


def test_what_is_prepared_is_forgotten() -> None:
    """Other options, and a copy, make their own episodes."""
    supply, plain, one = EpisodeSupply(WEEK, 1), EpisodeSupply(WEEK, 1), np.zeros(1, np.int64)
    supply.prepare([3])
    other = WEEK.model_copy(update=EASIER)
    for each in (supply, plain):
        each.configure(other)
        each.deal(one, None, [3])
    assert_plays(supply, plain.data, one)
    assert supply.fresh().played(one).prepared is None
