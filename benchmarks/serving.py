"""What the OpenEnv server bears: many sessions at once on the loopback address, beside the same play in process.

Starts the server by its own command, with its default limits. Each session plays episodes of a named task with the
analyst in words (``agents.players.scripts.words``), one call after the other without a pause, for a fixed time; every
score is compared with that of the same episode in process. Calls and episodes a second, latency of a call, errors, CPU
time of the server a call, and its resident memory before, after a warm-up, at the end, and when all sessions are
closed.

python benchmarks/serving.py [--sessions 64] [--seconds 60] [--json results/serving.json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import TASKS, GeneratorConfig, Session
from metric_tracker_env.serve.openenv_client import InvestigationAction, InvestigationClient
from metric_tracker_env.tasks import HELD_OUT_SEEDS

ROOT = Path(__file__).parents[1]
NAMES = ("easy_single_spike", "medium_mixed_pair", "hard_mixed_multi")
EPISODES = 30  # of each task, which are played again and again
WARM_UP = 1 / 6  # of the time, after which memory should not grow
ALONE = 10  # episodes of a session that has the server to itself: fewer calls than its burst
MAX_SESSIONS, MAX_SECONDS = 1000, 600
START_SECONDS = 180  # openenv takes 5 to 30 s to load
Key = tuple[str, int]


class Server(NamedTuple):
    """A server of its own process."""

    url: str
    pid: int

    @property
    def memory(self) -> float:
        """Resident memory in MB."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", text)[0]) / 1024

    @property
    def cpu(self) -> float:
        """Seconds of CPU time spent."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def files(self) -> int:
        """Open files, connections among them."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@contextmanager
def served(sessions: int) -> Iterator[Server]:
    """A running server, which is stopped at the end whatever happens."""
    options = ["--port", "0", "--max-sessions", str(sessions), "--max-connections", str(sessions + 16)]
    command = [sys.executable, "-m", "metric_tracker_env.serve", "openenv", *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        deadline = time.monotonic() + START_SECONDS
        for line in process.stderr:
            found = re.search(r"running on (http://127\.0\.0\.1:\d+)", line)
            if found:
                yield Server(found[1], process.pid)
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server did not start within {START_SECONDS} s")
        else:
            raise RuntimeError("the server ended before it listened")
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


class Tally:
    """What sessions did."""

    def __init__(self) -> None:
        self.calls = self.episodes = 0
        self.errors: list[str] = []
        self.latencies: list[float] = []  # seconds, of calls
        self.resets: list[float] = []

    def row(self, seconds: float) -> dict[str, float]:
        """The figures of some seconds."""
        p50, p99 = (np.percentile(self.latencies, [50, 99]) * 1e3).tolist()
        reset50, reset99 = (np.percentile(self.resets, [50, 99]) * 1e3).tolist()
        rates = {"calls_per_s": self.calls / seconds, "episodes_per_s": self.episodes / seconds}
        times = {"call_p50_ms": p50, "call_p99_ms": p99, "reset_p50_ms": reset50, "reset_p99_ms": reset99}
        return {"calls": self.calls, "episodes": self.episodes, **rates, **times, "errors": len(self.errors)}


def in_process() -> tuple[dict[Key, float], dict[str, float]]:
    """Score of each episode, and the figures of playing them in this process."""
    scores: dict[Key, float] = {}
    tally = Tally()
    begin, cpu = time.perf_counter(), time.process_time()
    for name in NAMES:
        session = Session(task=name)

        def timed(tool: str, arguments: dict[str, Any], session: Session = session) -> str:
            started = time.perf_counter()
            answer = session.call(tool, arguments).text
            tally.latencies.append(time.perf_counter() - started)
            return answer

        for seed in range(HELD_OUT_SEEDS.start, HELD_OUT_SEEDS.start + EPISODES):
            started = time.perf_counter()
            session.begin(seed)
            tally.resets.append(time.perf_counter() - started)
            tally.calls += len(converse(investigate(TASKS[name].config.generator), timed))
            tally.episodes += 1
            scores[name, seed] = session.grade().score
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    own = sum(tally.latencies) + sum(tally.resets)
    return scores, {
        **tally.row(seconds),
        "share_of_script": 1 - own / seconds,
        "cpu_ms_per_call": cpu / tally.calls * 1e3,
    }


async def play(client: InvestigationClient, key: Key, generator: GeneratorConfig, tally: Tally) -> float:
    """Play one episode; the score that the server gave."""
    started = time.perf_counter()
    await client.reset(task=key[0], seed=key[1])
    tally.resets.append(time.perf_counter() - started)
    script = investigate(generator)
    tool, arguments = next(script)
    while True:
        started = time.perf_counter()
        result = await client.step(InvestigationAction(tool=tool, arguments=arguments))
        tally.latencies.append(time.perf_counter() - started)
        tally.calls += 1
        try:
            tool, arguments = script.send(result.observation.told)
        except StopIteration:
            tally.episodes += 1
            return result.observation.told["grade"]["score"]


async def session(url: str, number: int, scores: dict[Key, float], tally: Tally, until: float, episodes: int) -> None:
    """Play episodes of one task until a time is over or as many as asked are played."""
    keys = [key for key in scores if key[0] == NAMES[number % len(NAMES)]]
    generator = TASKS[keys[0][0]].config.generator
    try:
        async with InvestigationClient(base_url=url) as client:
            for episode in range(episodes):
                key = keys[(number + episode) % len(keys)]
                if time.perf_counter() >= until:
                    break
                score = await play(client, key, generator, tally)
                if score != scores[key]:
                    tally.errors.append(f"{key}: score {score}, in process {scores[key]}")
    except (OSError, RuntimeError, TimeoutError) as error:
        tally.errors.append(f"session {number}: {error!r}")


async def load(server: Server, scores: dict[Key, float], sessions: int, seconds: float) -> dict[str, float]:
    """All sessions at once for some seconds."""
    tally, memory = Tally(), {"start_mb": server.memory}
    files, begin, cpu = server.files, time.perf_counter(), server.cpu

    async def watch() -> None:
        await asyncio.sleep(seconds * WARM_UP)
        memory["warm_mb"] = server.memory
        await asyncio.sleep(max(0.0, begin + seconds - 0.1 - time.perf_counter()))
        memory["end_mb"] = server.memory

    players = [session(server.url, number, scores, tally, begin + seconds, 10**9) for number in range(sessions)]
    await asyncio.gather(watch(), *players)
    took, cpu = time.perf_counter() - begin, server.cpu - cpu
    await asyncio.sleep(1.0)  # for the server to see that all have gone
    memory["closed_mb"] = server.memory
    for error in tally.errors[:5]:
        print(error, file=sys.stderr)
    per_session = (memory["warm_mb"] - memory["start_mb"]) / sessions
    work = {"server_cpu_ms_per_call": cpu / tally.calls * 1e3, "server_cpu_share": cpu / took}
    left = {"mb_per_session": per_session, "files_left": server.files - files}
    return {"sessions": sessions, "seconds": took, **tally.row(took), **work, **memory, **left}


async def alone(server: Server, scores: dict[Key, float]) -> dict[str, float]:
    """One session that has the server to itself."""
    tally, begin = Tally(), time.perf_counter()
    await session(server.url, 1, scores, tally, begin + MAX_SECONDS, ALONE)
    return tally.row(time.perf_counter() - begin)


def main() -> None:
    """Run and print the figures; the exit code is 1 if there was an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not (1 <= given.sessions <= MAX_SESSIONS and 1 <= given.seconds <= MAX_SECONDS):
        parser.error(f"--sessions is from 1 to {MAX_SESSIONS}, --seconds from 1 to {MAX_SECONDS}")
    scores, own = in_process()
    with served(given.sessions) as server:
        rows = {
            "in process": own,
            "one session": asyncio.run(alone(server, scores)),
            "all sessions": asyncio.run(load(server, scores, given.sessions, given.seconds)),
        }
    for name, row in rows.items():
        print(name)
        print(*(f"    {what:24} {value:12,.2f}" for what, value in row.items()), sep="\n")
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(row["errors"] for row in rows.values()))


if __name__ == "__main__":
    main()
