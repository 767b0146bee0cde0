"""The command that serves the page: what it prints, what it serves, and what it refuses in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from helpers_models import saved

from agents import cli
from metric_tracker_env import get_task


def test_it_serves_what_is_named(tmp_path: Path) -> None:
    """A script and a saved model play some episodes, a broken file is told, and the page and its index are there."""
    saved(tmp_path / "net", get_task("easy_mixed").config)
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    command = [sys.executable, "-u", "-m", "agents", "page", "analyst", str(tmp_path / "net")]
    given = [str(tmp_path / "broken.json"), "--port", "0", "--tasks", "easy_mixed", "--episodes", "3"]
    with subprocess.Popen([*command, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        try:
            printed = [running.stdout.readline() for _ in range(3)]
            assert printed[0].startswith("not read: ")
            assert printed[1] == "2 runs with 6 episodes\n"
            found = next(filter(None, (re.search(r"running on (http://\S+)", line) for line in running.stderr)))
            with httpx.Client(base_url=found[1], trust_env=False) as client:
                assert client.get("/api/runs").json()["faults"][0].startswith(str(tmp_path / "broken.json"))
                told = client.get("/api/index", params={"order": "worst"}).json()
                assert told["total"] == 6
                for line in told["lines"]:
                    place = {name: line[name] for name in ("run", "seed", "trial")}
                    state = client.get("/api/episode", params=place).json()["state"]
                    assert state["grade"]["score"] == line["score"]
                assert "Metric tracker" in client.get("/watch").text
        finally:
            running.terminate()
            running.communicate()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "run 'nobody' is not one of"),
        (["analyst", "--port", "99999999"], "port 99999999 is not an integer from 0"),
        (["analyst", "--episodes", "0"], "episodes 0 is not"),
        (["analyst", "--tasks", "odd"], "task 'odd' is not one of"),
        (["--host", "0.0.0.0"], "needs the names"),
        (["--token-file", "/nowhere/token"], "/nowhere/token"),
    ],
)
def test_bad_values_are_told_in_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2, before anything is played or served."""
    with pytest.raises(SystemExit) as end:
        cli.main(["page", *arguments])
    assert end.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert words in told[-1]
