"""How fast and how small: episodes, steps and resets a CPU second on one core, copies, bytes a lane; beside CartPole.

Every figure is process CPU time. Rounds of all rows alternate, and the median round counts, so that a noisy
machine slows all rows alike. Machines differ by 2 and more, so the goals are multiples of CartPole in the same run.

    python benchmarks/throughput.py [--seconds 1.0] [--rounds 5] [--json results/throughput.json]
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import pickle
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import metric_tracker_env
from metric_tracker_env import EpisodeConfig, GeneratorConfig
from metric_tracker_env.world import rng
from metric_tracker_env.world.source import EpisodeSource

ENV = f"metric_tracker_env:{metric_tracker_env.ENV_ID}"
LANES = 1024
BATCH = 256
VIEWS = ("focus", "board")
# At least as many times as fast as CartPole.
REACH: dict[str, float] = {
    "board steps, 1,024 lanes, in place": 12.0,
    "board steps, 1,024 lanes, copies": 7.0,
    "single steps, focus": 0.6,
    "single steps, board": 0.6,
}
# What a single environment takes at most: unit, how many of them are a second (or a byte), and the most.
LIMIT: dict[str, tuple[str, float, float]] = {
    "deepcopy": ("ms", 1e3, 0.2),
    "pickle": ("MB", 1e-6, 0.6),
    "snapshot": ("us", 1e6, 10.0),
    "restore": ("us", 1e6, 10.0),
}
Work = Callable[[], tuple[int, float]]  # units done, and CPU seconds of it that do not count


def episodes(difficulty: str) -> Work:
    """Generate batches with hourly data, clean twin and labels; the count of episodes."""
    source = EpisodeSource(GeneratorConfig(), EpisodeConfig.model_validate({"difficulty": difficulty}))
    draw = np.random.default_rng(0)

    def work() -> tuple[int, float]:
        source.generate(draw.integers(2**63, size=BATCH, dtype=np.uint64))
        return BATCH, 0.0

    return work


def philox() -> Work:
    """What NumPy's Philox, keyed per episode, would cost for an episode's 16-bit draws alone."""
    bits = np.random.Philox(0)
    state = bits.state
    config = GeneratorConfig()
    words = (len(config.steps) + 1) * 24 * config.num_days // 4
    out = np.empty((BATCH, words), np.uint64)

    def work() -> tuple[int, float]:
        for episode in range(BATCH):
            state["state"]["key"][0] = episode
            state["state"]["counter"][:] = 0
            bits.state = state
            out[episode] = bits.random_raw(words)
        return BATCH, 0.0

    return work


def splitmix() -> Work:
    """The same draws from the package's own streams."""
    config = GeneratorConfig()
    streams = [rng.Stream.HOURS + step for step in range(len(config.steps) + 1)]
    draws = rng.Draws16(streams, 24, config.num_days)
    draw = np.random.default_rng(0)

    def work() -> tuple[int, float]:
        keys = draw.integers(2**63, size=BATCH, dtype=np.uint64)
        states = draws.states(keys)
        for step in range(len(streams)):
            draws.draw(states, slice(step, step + 1))
        return BATCH, 0.0

    return work


def vector_steps(view: str, copies: bool, legal: bool = False) -> Work:
    """Steps of the native vector environment, autoreset included; uniform over all actions, or over legal ones."""
    mode = AutoresetMode.SAME_STEP
    envs = gym.make_vec(ENV, num_envs=LANES, view=view, copy=copies, autoreset_mode=mode, difficulty="medium")
    _, info = envs.reset(seed=0)
    draw = np.random.default_rng(0)
    actions = draw.integers(envs.single_action_space.n, size=(512, LANES))  # pyright: ignore[reportAttributeAccessIssue]
    state = {"info": info, "at": 0}

    def work() -> tuple[int, float]:
        for _ in range(16):
            state["at"] = (state["at"] + 1) % len(actions)
            state["info"] = envs.step(actions[state["at"]])[4]
        return 16 * LANES, 0.0

    def legal_work() -> tuple[int, float]:
        begin = time.process_time()
        mask = state["info"]["action_mask"]
        chosen = (draw.random(mask.shape, dtype=np.float32) * mask).argmax(axis=1)
        drawing = time.process_time() - begin
        state["info"] = envs.step(chosen)[4]
        return LANES, drawing

    return legal_work if legal else work


def cartpole_vector() -> Work:
    """Steps of Gymnasium's CartPole in a SyncVectorEnv of as many lanes."""
    envs = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * LANES, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(2, size=(64, LANES))
    state = {"at": 0}

    def work() -> tuple[int, float]:
        state["at"] = (state["at"] + 1) % len(actions)
        envs.step(actions[state["at"]])
        return LANES, 0.0

    return work


def single_steps(env_id: str, **options: object) -> Work:
    """Steps of one environment from ``gymnasium.make``, resets included, uniform over all actions."""
    env = gym.make(env_id, **options)  # pyright: ignore[reportArgumentType]
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(env.action_space.n, size=1000).tolist()  # pyright: ignore[reportAttributeAccessIssue]

    def work() -> tuple[int, float]:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return len(actions), 0.0

    return work


def single_legal_steps(view: str) -> Work:
    """Steps of one environment, resets included, uniform over legal actions, which a copy finds out before."""
    env = gym.make(ENV, view=view)
    _, info = env.reset(seed=0)
    scout, draw = copy.deepcopy(env), np.random.default_rng(0)
    state = {"mask": info["action_mask"]}

    def work() -> tuple[int, float]:
        begin = time.process_time()
        actions: list[int] = []
        for _ in range(1000):
            actions.append(int(draw.choice(np.flatnonzero(state["mask"]))))
            _, _, terminated, _, info = scout.step(actions[-1])
            state["mask"] = scout.reset()[1]["action_mask"] if terminated else info["action_mask"]
        scouting = time.process_time() - begin
        for action in actions:
            if env.step(action)[2]:
                env.reset()
        return len(actions), scouting

    return work


def played(view: str) -> gym.Env[Any, Any]:
    """An environment in the middle of an episode, after others of many kinds."""
    env = gym.make(ENV, view=view)
    env.reset(seed=0)
    for number in range(300):
        env.reset(options={"anomaly_count": 1 + number % 7} if number % 3 else None)
    for action in range(12):
        env.step(action)
    return env


def deepcopies(view: str) -> Work:
    """Deep copies of an environment, with Gymnasium's wrappers."""
    env = played(view)

    def work() -> tuple[int, float]:
        for _ in range(100):
            copy.deepcopy(env)
        return 100, 0.0

    return work


def snapshots(view: str, restore: bool) -> Work:
    """Snapshots of an episode, or returns to one."""
    env = played(view).unwrapped
    assert isinstance(env, metric_tracker_env.MetricTrackerEnv)
    here = env.snapshot()

    def take() -> tuple[int, float]:
        for _ in range(1000):
            env.snapshot()
        return 1000, 0.0

    def go_back() -> tuple[int, float]:
        for _ in range(1000):
            env.restore(here)
        return 1000, 0.0

    return go_back if restore else take


def single_resets(env_id: str, **options: object) -> Work:
    """Resets of one environment from ``gymnasium.make``."""
    env = gym.make(env_id, **options)  # pyright: ignore[reportArgumentType]
    env.reset(seed=0)

    def work() -> tuple[int, float]:
        for _ in range(64):
            env.reset()
        return 64, 0.0

    return work


def _peak_of_lanes(lanes: int) -> int:
    """Peak resident bytes of a process that plays that many lanes; 0 lanes: of one that only imports.

    In the default autoreset mode; SAME_STEP also copies the last observation of each lane that ends.
    """
    if lanes:
        envs = gym.make_vec(ENV, num_envs=lanes, view="board", copy=False)
        envs.reset(seed=0)
        draw = np.random.default_rng(0)
        for _ in range(64):
            envs.step(draw.integers(envs.single_action_space.n, size=lanes))  # pyright: ignore[reportAttributeAccessIssue]
    # Not ru_maxrss, which a new process takes over from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def memory() -> tuple[float, float]:
    """Bytes a lane, and bytes besides, over a process that has imported the package."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        idle, few, many = (pool.apply(_peak_of_lanes, (lanes,)) for lanes in (0, 1024, 8192))
    lane = (many - few) / (8192 - 1024)
    return lane, few - idle - 1024 * lane


def measure(rows: dict[str, Work], seconds: float, rounds: int) -> dict[str, list[float]]:
    """Units a CPU second of each row in each of the alternating rounds."""
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for work in rows.values():
        work()
    for _ in range(rounds):
        for name, work in rows.items():
            begin, done, unused = time.process_time(), 0, 0.0
            while time.process_time() - begin < seconds + unused:
                units, aside = work()
                done, unused = done + units, unused + aside
            rates[name].append(done / (time.process_time() - begin - unused))
    return rates


def table(header: list[str], rows: list[list[str]]) -> str:
    """Rows as a table, its first column to the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    lines = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measure, print two tables, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds of a row in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    options = parser.parse_args()
    speeds: dict[str, Work] = {
        "CartPole steps, SyncVectorEnv 1,024": cartpole_vector(),
        "board steps, 1,024 lanes, in place": vector_steps("board", copies=False),
        "board steps, 1,024 lanes, copies": vector_steps("board", copies=True),
        "focus steps, 1,024 lanes, in place": vector_steps("focus", copies=False),
        "board steps, legal actions only, in place": vector_steps("board", copies=False, legal=True),
        "focus steps, legal actions only, in place": vector_steps("focus", copies=False, legal=True),
        "CartPole single steps": single_steps("CartPole-v1"),
        **{f"single steps, {view}": single_steps(ENV, view=view) for view in VIEWS},
        **{f"single steps, legal actions only, {view}": single_legal_steps(view) for view in VIEWS},
        "single resets": single_resets(ENV),
        "episodes, batch 256": episodes("medium"),
        "episodes, batch 256, hard": episodes("hard"),
        "draws of an episode, SplitMix64": splitmix(),
        "draws of an episode, NumPy Philox": philox(),
    }
    moves: dict[str, Work] = {}
    for view in VIEWS:
        moves[f"deepcopy {view}"] = deepcopies(view)
        moves[f"snapshot {view}"] = snapshots(view, restore=False)
        moves[f"restore {view}"] = snapshots(view, restore=True)
    rounds = measure(speeds | moves, options.seconds, options.rounds)
    rates = {name: statistics.median(values) for name, values in rounds.items()}

    ratios: dict[str, float] = {}
    for name in speeds:
        if "steps" in name:
            peer = rounds["CartPole single steps" if "single" in name else "CartPole steps, SyncVectorEnv 1,024"]
            ratios[name] = statistics.median(mine / its for mine, its in zip(rounds[name], peer, strict=True))
    told = {name: f"{ratio:.2f}" for name, ratio in ratios.items()}
    reach = {name: f">= {ratio:g}" for name, ratio in REACH.items()}
    rows = [[name, f"{rates[name]:,.0f}", told.get(name, ""), reach.get(name, "")] for name in speeds]
    print(table(["what", "a CPU second", "x CartPole", "reach"], rows))

    taken = {f"pickle {view}": float(len(pickle.dumps(played(view)))) for view in VIEWS}
    taken |= {name: 1.0 / rates[name] for name in moves}
    figures = {what: [taken[f"{what} {view}"] * many for view in VIEWS] for what, (_, many, _) in LIMIT.items()}
    rows = [
        [f"{what}, {unit}", *(f"{value:.3g}" for value in figures[what]), f"<= {most:g}"]
        for what, (unit, _, most) in LIMIT.items()
    ]
    print("\n" + table(["of a single environment", *VIEWS, "reach"], rows))

    lane, besides = memory()
    print(f"\nmemory: {lane / 1024:.1f} KB a lane + {besides / 2**20:.1f} MB (reach: 16 KB a lane + 30 MB)")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        kept = {"rates": rates, "ratios": ratios, "single": figures, "bytes_a_lane": lane, "bytes_besides": besides}
        options.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
