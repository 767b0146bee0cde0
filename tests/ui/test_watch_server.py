"""Watch without a browser: the index and its filters, what a browser may ask for, and Play without a library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import httpx
import pytest
from helpers_serve import listening

from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app
from metric_tracker_env.ui.choosing import Choice, Wanted
from metric_tracker_env.ui.library import Board, Entry, Opened, RowFate, Run, Said

MISSED = RowFate("missed", "funnel_break", "funnel_step b_from_a")
EXTRA = RowFate("extra", "rate_drop_from_median", "conversion_rate a_to_b")
RIGHT = RowFate("matched", "rate_drop_from_median", "conversion_rate a_to_b")
ONE = Run(
    "one.t",
    "one",
    "script",
    "t",
    "one.json",
    [
        Entry(7, 0, 1.0, 1.0, cost=5, calls=8, refused=0, rows=(RIGHT,), failure="none"),
        Entry(8, 0, 0.5, 0.5, cost=9, calls=8, refused=1, rows=(RIGHT, MISSED, EXTRA, EXTRA), failure="odd_root"),
    ],
)
TWO = Run(
    "two.t",
    "two",
    "language model",
    "t",
    "two",
    [
        Entry(7, 0, 0.0, 0.0, cost=3, calls=4, refused=0, rows=(MISSED,), end="turn_limit", failure="silent"),
        Entry(7, 1, None, None, cost=None, calls=2, refused=0, rows=(), end="still played"),
    ],
)


class Shelved:
    """A library that opens nothing but one episode, and counts how often."""

    runs: Sequence[Run] = (ONE, TWO)
    faults: Sequence[str] = ("bad.json: is not JSON",)
    failures: Mapping[str, str] = {"none": "is right", "odd_root": "has an odd root", "silent": "says no more"}
    opened = 0

    def open(self, run: str, seed: int, trial: int) -> Opened:
        """One episode."""
        if (run, seed, trial) != ("one.t", 7, 0):
            raise ValueError(f"run {run!r} has no seed {seed}")
        self.opened += 1
        return Opened({"agent": "one"}, [Said("user", "a brief", "", (), 0)], "a note")

    def boards(self) -> Sequence[Board]:
        """None."""
        raise ValueError("there is no finished episode to compare")


def keys(**wanted: object) -> list[tuple[str, int, int]]:
    """Run, seed and trial of the episodes that are asked for."""
    found = Choice(Shelved.runs).lines(Wanted.model_validate(wanted))
    return [(run.name, entry.seed, entry.trial) for run, entry in found]


def test_filters() -> None:
    """Agent, task, seed, what went wrong, family and entity; a fate is one of the rows of that family and entity."""
    first, second, third, fourth = ("one.t", 7, 0), ("two.t", 7, 0), ("two.t", 7, 1), ("one.t", 8, 0)
    assert keys() == [first, second, third, fourth]  # those of a seed together
    assert keys(agent="one") == [first, fourth]
    assert keys(task="u") == []
    assert keys(seed=7, agent="two") == [second, third]
    assert keys(fate="missed") == [second, fourth]
    assert keys(fate="extra") == [fourth]
    assert keys(fate="flawless") == [first]
    assert keys(fate="refused") == [fourth]
    assert keys(fate="unfinished") == [second, third]
    assert keys(family="rate_drop_from_median") == [first, fourth]
    assert keys(family="rate_drop_from_median", fate="missed") == []
    assert keys(entity="funnel_step b_from_a", fate="missed") == [second, fourth]
    assert keys(failure="odd_root") == [fourth]
    assert keys(failure="odd_root", seed=7) == []
    assert keys(failure="silent", fate="missed") == [second]
    assert keys(order="worst") == [third, second, fourth, first]
    assert keys(order="best")[0] == first
    assert keys(order="dearest")[0] == fourth


def test_counts_are_what_a_filter_would_leave() -> None:
    """Of each value: as many as are found if it is chosen and the other filters stay; its own value does not count."""
    choice = Choice(Shelved.runs)
    filters = ({}, {"seed": 7}, {"failure": "silent"}, {"fate": "missed", "agent": "one"}, {"entity": MISSED.entity})
    for given in filters:
        counts = choice.counts(Wanted.model_validate(given))
        assert set(counts) == {"fate", "failure", "family", "entity"}
        for name, numbers in counts.items():
            for value, number in numbers.items():
                assert number == len(keys(**{**given, name: value}))
    assert choice.counts(Wanted())["failure"] == {"none": 1, "odd_root": 1, "silent": 1}
    assert choice.counts(Wanted(failure="silent"))["failure"] == {"none": 1, "odd_root": 1, "silent": 1}
    assert choice.counts(Wanted(failure="silent"))["family"] == {"rate_drop_from_median": 0, "funnel_break": 1}
    assert choice.counts(Wanted())["fate"] == {"missed": 2, "extra": 1, "flawless": 1, "refused": 1, "unfinished": 2}
    assert Choice([]).counts(Wanted())["failure"] == {}


def test_what_went_wrong_in_words() -> None:
    """How it ended, then rows by family with their number, then refused calls; nothing for a flawless one."""
    assert ONE.entries[0].words == []
    assert ONE.entries[1].words == ["missed funnel break", "extra rate drop x2", "1 refused"]
    assert TWO.entries[0].words == ["turn limit", "missed funnel break"]


@pytest.fixture(scope="module")
def http() -> Iterator[tuple[httpx.Client, Shelved]]:
    """A client of a page with a library."""
    limits, library = ServeLimits(), Shelved()
    app = page_app("easy_single_spike", limits, library=library)
    with listening(app, limits) as address, httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
        yield client, library


def test_the_index_comes_in_parts(http: tuple[httpx.Client, Shelved]) -> None:
    """So many lines from an offset, with how many there are, how many of a seed and how far apart their scores."""
    client, library = http
    told = client.get("/api/index", params={"offset": 1, "limit": 2}).json()
    assert (told["total"], told["seeds"]) == (4, 2)
    assert [(line["run"], line["trial"]) for line in told["lines"]] == [("two.t", 0), ("two.t", 1)]
    assert (told["lines"][0]["alike"], told["lines"][0]["low"], told["lines"][0]["high"]) == (3, 0.0, 1.0)
    runs = client.get("/api/runs").json()
    assert runs["faults"] == ["bad.json: is not JSON"]
    assert [run["entries"] for run in runs["runs"]] == [2, 2]
    assert runs["failures"] == dict(Shelved.failures)
    assert told["counts"]["failure"] == {"none": 1, "odd_root": 1, "silent": 1}
    assert [line["failure"] for line in told["lines"]] == ["silent", ""]
    assert runs["entities"] == ["conversion_rate a_to_b", "funnel_step b_from_a"]
    assert library.opened == 0


def test_an_episode_is_opened_once(http: tuple[httpx.Client, Shelved]) -> None:
    """And comes with its neighbours, those of its seed, its words and its note."""
    client, library = http
    told, *again = [client.get("/api/episode", params={"run": "one.t", "seed": 7}).json() for _ in range(3)]
    assert again == [told, told]
    assert library.opened == 1
    assert (told["before"], told["after"], told["note"]) == (None, ["8", 0], "a note")
    assert [item["run"] for item in told["alike"]] == ["one.t", "two.t", "two.t"]
    assert told["transcript"][0]["text"] == "a brief"
    assert told["failure"] == ["none", "is right"]


def test_bad_requests_are_told_in_words(http: tuple[httpx.Client, Shelved]) -> None:
    """An unknown episode, a path instead of a run, a bad filter, a bad number, a field that there is not."""
    client, _ = http
    for path, words in (
        ("/api/episode?run=one.t&seed=9", "has no seed 9"),
        ("/api/episode?run=/etc/passwd&seed=7", "has no seed 7"),
        ("/api/episode?run=one.t", "seed: Field required"),
        ("/api/index?fate=odd", "fate"),
        ("/api/index?family=odd", "family"),
        ("/api/index?failure=odd", "failure 'odd' is not one of ['none', 'odd_root', 'silent']"),
        ("/api/index?limit=9999999", "limit"),
        ("/api/index?file=x", "file"),
        ("/api/leaderboard", "no finished episode"),
    ):
        answer = client.get(path)
        assert answer.status_code == 400
        assert words in answer.json()["error"]


def test_pages_have_the_policy_of_play(http: tuple[httpx.Client, Shelved]) -> None:
    """No view has an inline script or style, and each has the same strict policy."""
    client, _ = http
    views = client.get("/api/views").json()
    assert list(views) == ["Play", "Watch", "Compare", "Leaderboard"]
    policies = set()
    for path in views.values():
        page = client.get(path)
        assert page.status_code == 200
        assert "<style" not in page.text
        assert "style=" not in page.text
        assert page.text.count("<script") == page.text.count('<script type="module" src="/static/')
        policies.add(page.headers["content-security-policy"])
    assert len(policies) == 1
    assert "default-src 'none'" in policies.pop()


def test_without_a_library_there_is_play_alone() -> None:
    """No link to another view, and no route of one."""
    limits = ServeLimits()
    with (
        listening(page_app("easy_single_spike", limits), limits) as address,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as client,
    ):
        assert client.get("/api/views").json() == {"Play": "/"}
        for path in ("/watch", "/compare", "/leaderboard", "/api/runs", "/api/index"):
            assert client.get(path).status_code == 404
