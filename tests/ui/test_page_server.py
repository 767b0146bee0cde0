"""The server behind the page, without a browser: what it tells, to whom, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx
import numpy as np
import pytest
from helpers_serve import listening

from metric_tracker_env import MetricDataGenerator, get_task
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import COOKIE, page_app
from metric_tracker_env.ui.snapshot import short_names, snapshot
from metric_tracker_env.ui.visitor import Visitor


@pytest.mark.parametrize("task", ["easy_single_spike", "realistic_hard"])
def test_nothing_is_told_before_the_end(task: str) -> None:
    """Two episodes of one seed with and without their incidents look alike but for what was paid for."""
    visitor = Visitor(task)
    visitor.begin(None, 5, {})
    before = snapshot(visitor)
    assert before["truth"] is None
    assert before["grade"] is None
    assert before["cells"] == []
    assert before["events"] == []
    assert before["lost"] == []
    assert {item["median"] for item in before["entities"]} == {None}
    other = Visitor(task)
    other.begin(None, 6, {})
    plain = {**snapshot(other), "seed": 5}
    assert plain == before  # nothing of the episode but its seed
    visitor.call("rows_for_date", {"date": before["dates"][9]})
    shown = snapshot(visitor)
    assert {cell["d"] for cell in shown["cells"]} == {9}
    assert len(shown["cells"]) == 11


def test_the_truth_of_the_switch_is_that_of_the_end() -> None:
    """And it makes the episode count no more, also after the end."""
    visitor = Visitor("realistic_medium")
    visitor.begin(None, 8, {"difficulty": "hard"})
    visitor.look_at_truth()
    assert not visitor.counted
    early = snapshot(visitor)
    visitor.submit()
    late = snapshot(visitor)
    assert early["truth"] == late["truth"]
    assert late["counted"] is False
    assert late["difficulty"] == "hard"
    config = get_task("realistic_medium").config.model_copy(update={"difficulty": "hard"})
    episode = MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=8))
    assert [row["row"]["date"] for row in late["truth"]["expected"]] == [row.date for row in episode.expected_rows]


def test_rows_are_told_for_what_they_were() -> None:
    """A cause is right; consequences and natural cells are named with their reason."""
    visitor = Visitor("medium_mixed")
    visitor.begin(None, 3, {})
    episode = visitor.episode()
    days = np.flatnonzero(episode.classes.any(axis=1))[:6]
    for day in days.tolist():
        visitor.call("rows_for_date", {"date": episode.dates[day]})
        for entity in np.flatnonzero(episode.classes[day, :11]).tolist():
            visitor.report(day, entity)
    visitor.submit()
    told = snapshot(visitor)["draft"]
    assert len(told) >= 3
    for row in told:
        kind = int(episode.classes[row["d"], row["e"]])
        assert row["was"]["right"] == (kind == 1)
        assert row["was"]["why"]


def test_the_draft_refuses_what_was_not_shown() -> None:
    """A hidden cell, one that is none, one twice, one that is not in it."""
    visitor = Visitor("easy_single_spike")
    with pytest.raises(ValueError, match="not shown yet"):
        visitor.report(3, 0)
    with pytest.raises(ValueError, match=r"cell \(99, 0\) is none"):
        visitor.report(99, 0)
    visitor.call("rows_for_date", {"date": visitor.session.config.generator.date_names[3]})
    visitor.report(3, 0)
    with pytest.raises(ValueError, match="in the draft already"):
        visitor.report(3, 0)
    with pytest.raises(ValueError, match="not in the draft"):
        visitor.drop(3, 1)
    visitor.drop(3, 0)
    visitor.submit()
    with pytest.raises(ValueError, match="the episode is over"):
        visitor.report(3, 0)


def test_short_names() -> None:
    """A word that no other step has, or the whole name."""
    names = ("app_opens", "menu_opens", "product_added_to_cart", "orders_placed", "payment_successful")
    assert short_names(names) == ["app", "menu", "product", "orders", "payment"]
    assert short_names(("visits", "visits_b")) == ["visits", "b"]


def test_requests() -> None:
    """Bad ones are refused in words, other hosts and pages at the gate, and each cookie has its own episode."""
    limits = ServeLimits(max_sessions=2)
    with listening(page_app("easy_single_spike", limits), limits) as address, httpx.Client(trust_env=False) as http:
        url = f"http://{address}"
        page = http.get(url)
        assert "Metric tracker" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        told = http.get(f"{url}/api/state")
        assert told.json()["task"] == "easy_single_spike"
        assert "HttpOnly" in told.headers["set-cookie"]
        bad: list[tuple[str, Any, str]] = [
            ("begin", {"task": "none", "seed": 1}, "task 'none' is not one of"),
            ("begin", {"seed": -1}, "seed"),
            ("begin", {"seed": 1, "options": {"world": 1}}, "world"),
            ("begin", {"seed": 1, "options": {"difficulty": "odd"}}, "difficulty"),
            ("call", {"tool": 3}, "tool"),
            ("draft", {"day": 0, "entity": 0, "report": True}, "was not shown yet"),
            ("truth", {"all": 1}, "all"),
        ]
        for route, body, words in bad:
            answer = http.post(f"{url}/api/{route}", json=body)
            assert answer.status_code == 400
            assert words in answer.json()["error"]
        assert http.post(f"{url}/api/begin", content=b"{").status_code == 400
        assert http.get(f"{url}/static/../app.py").status_code == 404
        assert http.get(url, headers={"host": "evil.example"}).status_code == 421
        assert http.post(f"{url}/api/submit", json={}, headers={"origin": "http://evil.example"}).status_code == 403
        refused = http.post(f"{url}/api/call", json={"tool": "nonsense", "arguments": {}}).json()
        assert refused["steps"][-1]["ok"] is False
        mine = http.cookies[COOKIE]
        http.cookies.clear()
        for _ in range(2):
            http.get(f"{url}/api/state")
            http.cookies.clear()
        again = http.get(f"{url}/api/state", headers={"cookie": f"{COOKIE}={mine}"})
        assert again.json()["steps"] == []  # forgotten for the two that came later
        assert "error" not in again.json()


def test_the_command_says_what_is_wrong() -> None:
    """A bad task and a host without names, in one line each."""
    for arguments, words in ((["--task", "none"], "none"), (["--host", "0.0.0.0"], "--allow-host")):
        done = subprocess.run(
            [sys.executable, "-m", "metric_tracker_env.ui", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert words in done.stderr


def test_a_snapshot_is_json() -> None:
    """Without a number that JSON has not, at the end as well."""
    visitor = Visitor("realistic_easy")
    visitor.call("list_suspicious_dates", {})
    visitor.call("list_known_events", {})
    told = snapshot(visitor)
    assert any(told["flags"])
    assert told["events"]
    visitor.submit()
    text = json.dumps(snapshot(visitor), allow_nan=False)
    assert len(text) < 400_000
