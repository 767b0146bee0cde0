"""Whether some sessions can stall another: a server under four that send large previews, and one that asks a little.

Starts the server by its own command with its default limits. One session asks a small question every 20 ms, first alone
and then beside sessions that send previews of 100 rows without a pause, right rows or rows that are all invalid. The
latency of its calls, and the ratio of the two, which should stay under 5 at 99 %.

    python benchmarks/strain.py openenv|mcp [--rows 100] [--invalid] [--heavy 4]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from typing import Any

import httpx
import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from metric_tracker_env import EnvConfig, MetricDataGenerator

PORT = 8123
CALLS, PAUSE, START_SECONDS = 300, 0.02, 180.0
PERCENTILES = (50, 95, 99)
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "strain", "version": "1"}}


class McpSession:
    """A session over MCP's HTTP, in plain requests."""

    def __init__(self) -> None:
        self._http = httpx.Client(trust_env=False, base_url=f"http://127.0.0.1:{PORT}", timeout=60)
        self._headers = {"accept": "application/json, text/event-stream"}
        self._number = 0
        opened = self._send("initialize", HELLO)
        opened.raise_for_status()
        self._headers["mcp-session-id"] = opened.headers["mcp-session-id"]
        self.call("begin", seed=1)

    def _send(self, method: str, params: dict[str, Any]) -> httpx.Response:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        return self._http.post("/mcp", json=message, headers=self._headers)

    def call(self, tool: str, **arguments: Any) -> str:
        """The answer to a call of a tool."""
        return self._send("tools/call", {"name": tool, "arguments": arguments}).text


class OpenEnvSession:
    """A session over OpenEnv's WebSocket."""

    def __init__(self) -> None:
        self._socket = connect(f"ws://127.0.0.1:{PORT}/ws", proxy=None, max_size=2**24, legacy=True).__enter__()
        self._say("reset", {"seed": 1})

    def _say(self, kind: str, data: dict[str, Any]) -> str:
        self._socket.send(json.dumps({"type": kind, "data": data}))
        return str(self._socket.recv())

    def call(self, tool: str, **arguments: Any) -> str:
        """The answer to a call of a tool."""
        return self._say("step", {"tool": tool, "arguments": arguments})


DOORS = {"mcp": McpSession, "openenv": OpenEnvSession}


def measure(session: McpSession | OpenEnvSession) -> np.ndarray:
    """(3,) float64 milliseconds of a small call: median, 95 % and 99 %."""
    seconds: list[float] = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        session.call("list_dates")
        seconds.append(time.perf_counter() - begun)
        time.sleep(PAUSE)
    return np.percentile(np.array(seconds) * 1e3, PERCENTILES)


def work(door: str, rows: list[dict[str, Any]]) -> None:
    """Send previews until the process is ended."""
    session = DOORS[door]()
    while True:
        session.call("preview_submission", rows=rows)


def rows_of(number: int, invalid: bool) -> list[dict[str, Any]]:
    """The rows of a preview."""
    config = EnvConfig()
    episode = MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=1))
    return [{"x": 1} if invalid else episode.expected_rows[0].model_dump()] * number


def opened(door: str) -> McpSession | OpenEnvSession:
    """A session, once the server has started."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return DOORS[door]()
        except (OSError, httpx.HTTPError, WebSocketException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def main() -> None:
    """Print the latencies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("door", choices=list(DOORS))
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--invalid", action="store_true", help="rows that are none")
    parser.add_argument("--heavy", type=int, default=4, help="sessions that send previews")
    given = parser.parse_args()
    command = [sys.executable, "-m", "metric_tracker_env.serve", given.door, "--port", str(PORT)]
    server = subprocess.Popen([*command, "--http"] if given.door == "mcp" else command, stderr=subprocess.DEVNULL)
    rows = rows_of(given.rows, given.invalid)
    heavy = [multiprocessing.Process(target=work, args=(given.door, rows), daemon=True) for _ in range(given.heavy)]
    try:
        light = opened(given.door)
        quiet = measure(light)
        for process in heavy:
            process.start()
        strained = measure(light)
    finally:
        for process in heavy:
            if process.is_alive():
                process.terminate()
        server.terminate()
        server.wait()
    for name, values in (("quiet, ms", quiet), ("strained, ms", strained), ("ratio", strained / quiet)):
        told = "  ".join(f"{percent} %: {value:.2f}" for percent, value in zip(PERCENTILES, values, strict=True))
        print(f"{name:<14}{told}")


if __name__ == "__main__":
    main()
