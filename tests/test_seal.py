"""Sealed episodes: a secret makes them, and the seed alone does not."""

from __future__ import annotations

import copy
import hashlib
import hmac
import os
import pickle
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from metric_tracker_env import (
    TASKS,
    EnvConfig,
    EpisodeConfig,
    GeneratorConfig,
    Investigation,
    MetricDataGenerator,
    MetricTrackerEnv,
    MetricTrackerVectorEnv,
    Seal,
    Session,
    SyntheticAnomalyGenerator,
)
from metric_tracker_env.world import rng
from metric_tracker_env.world.rng import Stream

SECRET = "00112233445566778899aabbccddeeff" * 2
SEAL = Seal(SECRET)


def test_key_is_the_hmac_of_seed_and_number() -> None:
    """A key is HMAC-SHA256 of the secret over seed and number, as anyone can work out."""
    wanted = hmac.new(bytes.fromhex(SECRET), (7).to_bytes(8, "big") + (2).to_bytes(8, "big"), hashlib.sha256).digest()
    assert SEAL.keys([7], [2])[0].astype("<u8").tobytes() == wanted
    assert SEAL.hash == hashlib.sha256(SECRET.encode()).hexdigest()


def test_streams_are_shake_256_of_the_key() -> None:
    """Every way to draw from a stream reads the same words, those of SHAKE-256 of key and stream."""
    keys = SEAL.keys([1, 2, 3], [0, 0, 5])
    wanted = np.array(
        [
            np.frombuffer(hashlib.shake_256(key.tobytes() + (32).to_bytes(8, "little")).digest(80), "<u8")
            for key in keys.astype("<u8")
        ]
    )
    assert np.array_equal(wanted, rng.words(keys, Stream.PLAN, 10).T)
    assert np.array_equal(wanted[:, 3:7], rng.words(keys, Stream.PLAN, 4, first=3).T)
    at = rng.words_at(keys, Stream.PLAN, np.array([0, 5, 2]), 3)
    assert [at[:, i].tolist() for i in range(3)] == [wanted[i, f : f + 3].tolist() for i, f in enumerate((0, 5, 2))]
    assert (rng.draws32(keys, Stream.PLAN, 7) == wanted.view("<u4")[:, :7]).all()
    assert np.array_equal(wanted[:, :4], rng.derived(keys, Stream.PLAN, 0))
    assert np.array_equal(wanted[:, 4:8], rng.derived(keys, Stream.PLAN, 1))
    draws = rng.Draws16([30, 32], rows=2, columns=17)
    drawn = draws.draw(draws.states(keys), slice(1, 2))
    assert drawn.shape == (1, 2, 3, 17)
    assert (drawn[0].transpose(1, 0, 2) == wanted.view("<u2").reshape(3, 2, 20)[..., :17]).all()
    assert rng.derived(keys, Stream.DATA, 3).shape == keys.shape
    assert not (rng.derived(keys, Stream.DATA, 3) == rng.derived(keys, Stream.DATA, 4)).any()


@pytest.mark.parametrize("task", ["hard_mixed", "realistic_hard"])
def test_doors_play_the_same_sealed_episode(task: str) -> None:
    """Single environment, lanes, session and generator make the same episode of a seal and a seed; copies do too."""
    env, lanes = MetricTrackerEnv(task=task, seal=SEAL), MetricTrackerVectorEnv(3, task=task, seal=SEAL)
    session = Session(task, seal=SEAL)
    env.reset(seed=9)
    lanes.reset(seed=7)
    session.begin(9)
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    submit = len(env.actions) - 1
    for each in (env, *copies):
        each.step(submit)
    lanes.step(np.full(3, submit))
    session.call("submit", {"rows": []})
    config = TASKS[task].config
    made = MetricDataGenerator(config.generator, SEAL).generate_episode(env.episode().config)
    found = [*(each.episode() for each in (env, *copies)), lanes.episode(2), session.episode()]
    assert all((episode.hourly == made.hourly).all() for episode in found)
    assert all(episode.expected_rows == made.expected_rows for episode in found)


def test_seed_alone_makes_another_episode() -> None:
    """What a seed makes without the seal, or with another one, has nothing of the sealed episode."""
    other = Seal(SECRET[:-1] + "e")
    public, sealed, second = (
        MetricDataGenerator(seal=seal).generate_batch(EpisodeConfig(), list(range(64))) for seal in (None, SEAL, other)
    )
    for a, b in ((public, sealed), (sealed, second)):
        assert abs((a.expected & b.expected).sum() / a.expected.sum()) < 0.05
        first, then = ((x.daily[..., 0] / x.daily[..., 0].mean(axis=0) - 1).ravel() for x in (a, b))
        assert abs(np.corrcoef(first, then)[0, 1]) < 0.1


def test_labels_hold_in_sealed_episodes() -> None:
    """Sealed episodes are as good as public ones: as many incidents as asked for, each measured."""
    batch = MetricDataGenerator(seal=SEAL).generate_batch(EpisodeConfig(anomaly_count=3), list(range(300)))
    assert (batch.expected.sum(axis=(0, 2)) == 3).all()


def test_explicit_generators_are_sealed() -> None:
    """An explicit anomaly lies in sealed data, whatever date it draws."""
    asked = EpisodeConfig(
        seed=3,
        anomaly_generators=(SyntheticAnomalyGenerator(metric_name="app_opens", direction="up", stddev_factor=4.0),),
    )
    first, again, public = (MetricDataGenerator(seal=seal).generate_episode(asked) for seal in (SEAL, SEAL, None))
    assert (first.hourly == again.hourly).all()
    assert (first.hourly != public.hourly).any()
    assert len(first.expected_rows) == 1


@pytest.mark.parametrize("secret", ["", "ab" * 15, "AB" * 16, "0" * 33, "zz" * 16, "ab" * 129, "ab" * 16 + "\n"])
def test_bad_secret_is_refused_and_not_repeated(secret: str) -> None:
    """A secret that is short, long, or no hexadecimal digits is refused in words that do not hold it."""
    with pytest.raises(ValueError, match="hexadecimal digits") as told:
        Seal(secret)
    assert not secret or secret not in str(told.value)


def test_seal_is_read_from_a_file_or_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and the variable hold the secret and nothing else; what is wrong is told."""
    file = tmp_path / "seal"
    file.write_text(SECRET + "\n")
    assert Seal.read(file) == Seal.of(str(file)) == SEAL
    monkeypatch.setenv("METRIC_TRACKER_SEAL", SECRET)
    assert Seal.of("env") == SEAL
    monkeypatch.delenv("METRIC_TRACKER_SEAL")
    with pytest.raises(ValueError, match="METRIC_TRACKER_SEAL is not set"):
        Seal.of("env")
    with pytest.raises(ValueError, match="No such file"):
        Seal.read(tmp_path / "none")
    file.write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="ASCII"):
        Seal.read(file)
    with pytest.raises(ValueError, match="not a Seal"):
        Seal.of(3)  # pyright: ignore[reportArgumentType] - what a user may write


def test_secret_is_told_by_nothing() -> None:
    """No repr, spec, config or error of a sealed environment holds the secret, and its attribute cannot be set."""
    env = gym.make("metric_tracker_env:MetricTracker-v0", seal=SEAL)
    spec = env.unwrapped.spec
    assert spec is not None
    told = [repr(SEAL), repr(env), repr(env.unwrapped), spec.to_json(), repr(spec), Session(seal=SEAL).__repr__()]
    inner = env.unwrapped
    assert isinstance(inner, MetricTrackerEnv)
    told += [repr(inner.config), inner.config.model_dump_json(), Investigation(seal=SEAL).reset(1)]
    assert not any(SECRET in text for text in told)
    assert SEAL.hash in spec.to_json()
    with pytest.raises(AttributeError, match="seal"):
        inner.set_wrapper_attr("seal", None)


def test_new_seals_differ() -> None:
    """A new seal has 256 bits and is no other's."""
    made = {Seal.new().secret for _ in range(8)}
    assert len(made) == 8
    assert {len(secret) for secret in made} == {64}
    assert Seal.new() != SEAL
    assert os.environ.get("METRIC_TRACKER_SEAL") is None


def test_session_names_the_seal_at_the_end() -> None:
    """The name of a sealed episode holds the seal's hash; that of a public one says nothing of seals."""
    for seal, wanted in ((SEAL, SEAL.hash), (None, None)):
        session = Session(config=EnvConfig(generator=GeneratorConfig(num_weeks=2), anomaly_count=1), seal=seal)
        session.begin(4)
        assert session.call("submit", {"rows": []}).told["episode"].get("seal") == wanted
