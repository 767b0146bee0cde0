"""Keyed random streams: an episode is a 64-bit key, and a draw is a pure function of (key, stream, index).

The generator is SplitMix64 (G. Steele, D. Lea, C. Flood: Fast splittable pseudorandom number generators,
OOPSLA 2014): integer arithmetic only, so a stream has the same bits on every machine. NumPy's Philox, set
to a key per episode, costs 2.5 to 3 times as much here (`benchmarks/throughput.py` times both), which would alone
use more than half of the time that an episode may take. Keys come from NumPy's ``SeedSequence``.

SplitMix64 is fast and no secret: it can be turned round. The busiest hour of four neighbouring dates tells about 31 of
the 64 bits of a word, which leaves 2^33 keys to try: a minute. So sealed episodes have keys of 256 bits, and the words
of a stream are SHAKE-256 (FIPS 202) of key and stream, at twice the time. Wherever ``keys`` are taken they are (B,)
uint64, or (B, 4) of sealed episodes.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

import numpy as np

from metric_tracker_env.config import MAX_SEED
from metric_tracker_env.seal import KEY_WORDS, Seal
from metric_tracker_env.world.workspace import Workspace

GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S27, S30, S31 = np.uint64(27), np.uint64(30), np.uint64(31)
DRAWS_PER_WORD = 4  # 16-bit draws in a 64-bit word
DRAW_LEVELS = 1 << 16
STREAM_SHIFT = 40


class Stream(IntEnum):
    """One stream per purpose, so that a new draw in one cannot move another."""

    DAYS = 0
    HOURS = 1  # one stream a funnel step, HOURS + s
    PLAN = 32
    REDRAW = 33
    GENERATORS = 34
    DATA = 36
    RANKS = 35
    EVENTS = 37
    EVENT_RANKS = 38
    GAPS = 39
    SPANS = 40
    WINDOWS = 41  # of a replayed history
    RATE_DAYS = 48  # one stream a funnel step, RATE_DAYS + s


def mix(state: np.ndarray, scratch: np.ndarray | None = None) -> np.ndarray:
    """SplitMix64's output function, in place on uint64 ``state``; ``scratch`` has its shape."""
    shifted = np.right_shift(state, S30, out=scratch)
    state ^= shifted
    state *= MIX_1
    np.right_shift(state, S27, out=shifted)
    state ^= shifted
    state *= MIX_2
    np.right_shift(state, S31, out=shifted)
    state ^= shifted
    return state


def words(keys: np.ndarray, stream: int, count: int, first: int = 0) -> np.ndarray:
    """Words ``first`` to ``first + count`` of a stream: (B,) uint64 keys -> (count, B) uint64."""
    if keys.ndim > 1:
        return sealed_words(keys, stream, first + count)[:, first:].T
    index = np.arange(first + 1, first + count + 1, dtype=np.uint64)
    index += np.uint64(stream << STREAM_SHIFT)
    return mix((index * GAMMA)[:, None] + keys)


def words_at(keys: np.ndarray, stream: int, first: np.ndarray, count: int) -> np.ndarray:
    """``count`` words of a stream from a position of each key's own on: (n,) keys and int64 ``first`` -> (count, n)."""
    if keys.ndim > 1:
        found = sealed_words(keys, stream, int(first.max(initial=0)) + count)
        return found[np.arange(len(keys)), first + np.arange(count)[:, None]]
    index = first.astype(np.uint64) + np.arange(1, count + 1, dtype=np.uint64)[:, None]
    index += np.uint64(stream << STREAM_SHIFT)
    index *= GAMMA
    index += keys
    return mix(index)


def unit(drawn: np.ndarray) -> np.ndarray:
    """uint64 words -> float64 in [0, 1), 53 bits."""
    return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniforms(keys: np.ndarray, stream: int, count: int, first: int = 0) -> np.ndarray:
    """Uniform draws in [0, 1): (B,) keys -> (count, B) float64 with 53 bits."""
    return unit(words(keys, stream, count, first))


def units16(drawn: np.ndarray) -> np.ndarray:
    """(w, n) uint64 words -> (n, 4 w) float64 in [0, 1), 16 bits each."""
    return drawn.T.copy().astype("<u8", copy=False).view("<u2") * 2.0**-16


def draws32(keys: np.ndarray, stream: int, count: int) -> np.ndarray:
    """32-bit draws: (B,) keys -> (B, count) uint32."""
    number = count // 2 + count % 2
    if keys.ndim > 1:
        drawn = sealed_words(keys, stream, number)
    else:
        index = np.arange(1, number + 1, dtype=np.uint64) + np.uint64(stream << STREAM_SHIFT)
        drawn = mix(index * GAMMA + keys[:, None])
    return drawn.astype("<u8", copy=False).view("<u4")[:, :count]


def derived(keys: np.ndarray, stream: int, number: int) -> np.ndarray:
    """Further keys, from those of (B,) episodes: the ``number``-th of a stream, of the same form."""
    if keys.ndim > 1:
        return sealed_words(keys, stream, (number + 1) * KEY_WORDS)[:, -KEY_WORDS:]
    return words(keys, stream, 1, number)[0]


def sealed_words(keys: np.ndarray, stream: int, count: int) -> np.ndarray:
    """The first words of a stream: (B, 4) uint64 keys of sealed episodes -> (B, count) uint64."""
    label = stream.to_bytes(8, "little")
    rows = keys.astype("<u8", copy=False)
    drawn = b"".join(hashlib.shake_256(row.tobytes() + label).digest(8 * count) for row in rows)
    return np.frombuffer(drawn, "<u8").reshape(len(keys), count)


class Draws16:
    """16-bit draws for blocks of episodes; keeps its buffers, which costs less than fresh memory."""

    def __init__(self, streams: list[int], rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._words = -(-columns // DRAWS_PER_WORD)  # words of an episode in a row
        self._streams = streams
        first = np.array(streams, np.uint64)[:, None] << np.uint64(STREAM_SHIFT)
        self._start = (first + np.arange(rows, dtype=np.uint64) * np.uint64(self._words)) * GAMMA
        self._step = np.arange(1, self._words + 1, dtype=np.uint64) * GAMMA
        self._state, self._scratch = Workspace(), Workspace()

    def states(self, keys: np.ndarray) -> np.ndarray:
        """(b,) keys -> (b x words,) uint64: what all rows of the episodes are drawn from, see ``draw``."""
        if keys.ndim > 1:
            return keys
        return np.add.outer(keys, self._step).reshape(-1)

    def draw(self, states: np.ndarray, streams: slice) -> np.ndarray:
        """The ``states`` of b episodes -> (streams, rows, b, columns) uint16, a view that the next call overwrites."""
        if states.ndim > 1:
            return np.stack([self._sealed(states, stream) for stream in self._streams[streams]])
        start = self._start[streams]
        shape = start.size, len(states)
        state, scratch = (memory.array(shape, np.uint64) for memory in (self._state, self._scratch))
        np.add(start.reshape(-1, 1), states, out=state)
        drawn = mix(state, scratch).astype("<u8", copy=False).view("<u2")
        return drawn.reshape(*start.shape, -1, self._words * DRAWS_PER_WORD)[..., : self._columns]

    def _sealed(self, keys: np.ndarray, stream: int) -> np.ndarray:
        """(b, 4) keys of sealed episodes -> (rows, b, columns) uint16 of a stream."""
        drawn = sealed_words(keys, stream, self._rows * self._words).view("<u2")
        return drawn.reshape(len(keys), self._rows, -1)[..., : self._columns].transpose(1, 0, 2)


class KeyStream:
    """The episode keys of lanes: key n of a lane is a function of the lane's seed and n, and of a seal.

    A key tells nothing of the next one: both halves of the 128-bit state stay hidden.

    Attributes:
        seeds: (B,) int64, of each lane.
        seal: Of the episodes; None for public ones.
    """

    def __init__(self, seeds: list[int], seal: Seal | None = None) -> None:
        self.seeds, self.seal = np.array(seeds, np.int64), seal
        state = [np.random.SeedSequence(seed).generate_state(2, np.uint64) for seed in seeds]
        self._state = np.array(state, dtype=np.uint64).reshape(len(seeds), 2)

    def keys(self, lanes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """(n,) uint64, or (n, 4) with a seal: the key of episode ``numbers[i]`` of lane ``lanes[i]``."""
        if self.seal is not None:
            return self.seal.keys(self.seeds[lanes].tolist(), numbers.tolist())
        state = self._state[lanes]
        inner = mix(state[:, 1] + numbers.astype(np.uint64) * GAMMA)
        return mix(state[:, 0] + inner)

    def reseed(self, lanes: np.ndarray, seeds: list[int]) -> None:
        """Start the streams of some lanes anew."""
        anew = KeyStream(seeds)
        self.seeds[lanes], self._state[lanes] = anew.seeds, anew._state

    def copy(self) -> KeyStream:
        """The same streams, to go back to."""
        other = KeyStream([], self.seal)
        other.seeds, other._state = self.seeds.copy(), self._state.copy()
        return other


def episode_key(seed: int, number: int = 0) -> int:
    """Key of episode ``number`` of a seed; the first, 0, is what ``reset(seed=seed)`` plays."""
    return int(KeyStream([seed]).keys(np.zeros(1, np.int64), np.full(1, number, np.int64))[0])


def episode_keys(seeds: list[int], number: int = 0, seal: Seal | None = None) -> np.ndarray:
    """The keys of episode ``number`` of each seed: (n,) uint64, or (n, 4) with a seal."""
    return KeyStream(seeds, seal).keys(np.arange(len(seeds)), np.full(len(seeds), number, np.int64))


def fresh_seed(count: int = 1) -> int:
    """A seed that nobody has chosen, from the operating system's entropy; so are the ``count - 1`` that follow it."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) % (MAX_SEED + 2 - count)
