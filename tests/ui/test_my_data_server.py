"""The server behind My data, without a browser: which files are read, by whom, how large, and how long they stay."""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any

import httpx
import polars
import pytest
from helpers_own_data import csv_of, shop_history
from helpers_serve import PATIENCE, listening, wait_for

from agents.page import my_data
from agents.page.my_data import MOST_VISITORS, Workshop
from metric_tracker_env.serve.limits import Message, Receive, Send, ServeLimits
from metric_tracker_env.ui.app import POLICY, page_app
from metric_tracker_env.ui.visitors import KEPT_SECONDS, Visitors

MOST = 300_000  # bytes


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the server keeps what visitors send."""
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder that the server lets be read, beside a secret and a link to it."""
    folder = tmp_path / "data"
    folder.mkdir()
    csv_of(shop_history(), folder / "shop.csv")
    csv_of(shop_history(), tmp_path / "secret.csv")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "notes.pdf").write_text("no table")
    (folder / ".hidden.csv").write_text("token,1\n")
    (folder / ".git").mkdir()
    (folder / ".git" / "log.csv").write_text("token,1\n")
    (folder / "secret.toml").write_text("token=1\n")
    return folder


@pytest.fixture
def address(kept: Path, data: Path) -> Iterator[str]:
    """Where the page is."""
    assert kept.exists()
    limits = ServeLimits()
    with listening(page_app("easy_single_spike", limits, own=Workshop(MOST, data)), limits) as found:
        yield f"http://{found}"


def visitor(address: str) -> httpx.Client:
    """Somebody with cookies of his own."""
    return httpx.Client(base_url=address, trust_env=False, timeout=60)


def fault(response: httpx.Response) -> dict[str, Any]:
    """What a state says is wrong."""
    assert response.status_code == 200
    return response.json()["fault"]


def send(client: httpx.Client, name: str, content: bytes) -> httpx.Response:
    """Upload a file."""
    return client.post("/api/own/upload", params={"name": name}, content=content)


def test_only_files_of_the_folder_are_read(address: str, tmp_path: Path) -> None:
    """By no way up, by no link, by no absolute path, and no SQL."""
    with visitor(address) as client:
        assert client.get("/api/own/state").json()["files"] == ["shop.csv"]
        ways = ["../secret.csv", "link.csv", str(tmp_path / "secret.csv"), "/etc/passwd", "absent.csv", "a\0b", "."]
        ways += [".hidden.csv", ".git/log.csv", "secret.toml", "notes.pdf"]
        ways += ["select * from 'shop.csv'", f"select * from read_csv('{tmp_path}/secret.csv')"]
        for way in ways:
            told = client.post("/api/own/open", json={"path": way})
            assert "is no file of the folder" in fault(told)["message"], way
            assert told.json()["source"] is None
        opened = client.post("/api/own/open", json={"path": "shop.csv"}).json()
        assert opened["fault"] is None
        assert opened["source"]["columns"] == ["time", "visits", "carts", "orders"]


def test_without_a_folder_no_path_is_read(kept: Path) -> None:
    """Uploads alone."""
    limits = ServeLimits()
    assert kept.exists()
    app = page_app("easy_single_spike", limits, own=Workshop(MOST))
    with listening(app, limits) as found, visitor(f"http://{found}") as client:
        assert client.get("/api/own/state").json()["files"] == []
        told = fault(client.post("/api/own/open", json={"path": "shop.csv"}))["message"]
        assert "lets no file of its own be read" in told


def test_uploads_have_a_limit(address: str, kept: Path) -> None:
    """Beyond it nothing is kept; other requests keep the limit that they have, and a small gzip cannot hold much."""
    with visitor(address) as client:
        assert send(client, "a.csv", b"x" * (MOST + 1)).status_code == 413
        assert client.post("/api/own/open", content=b"x" * 290_000).status_code == 413
        assert [*kept.rglob("*")] == []
        told = fault(send(client, "a.csv.gz", gzip.compress(b"0" * (17 * MOST))))["message"]
        assert told == f"a.csv.gz: the packed file holds more than {16 * MOST:,} bytes"
        told = fault(send(client, "a.parquet", wide_parquet(3 * MOST)))["message"]
        assert told == f"a.parquet: the packed file holds more than {16 * MOST:,} bytes"
        told = fault(send(client, "a.csv.gz", gzip.compress(b"0" * 1_000_001)))["message"]
        assert told == "a.csv.gz: its first line is longer than 1,000,000 bytes"
        assert client.get("/api/own/state").json()["source"] is None


def wide_parquet(rows: int) -> bytes:
    """Few bytes that hold many rows of one number."""
    packed = io.BytesIO()
    polars.DataFrame({"visits": polars.zeros(rows, dtype=polars.Int64, eager=True)}).write_parquet(packed)
    assert len(packed.getvalue()) < MOST
    return packed.getvalue()


def test_a_look_makes_nobody_a_visitor(address: str) -> None:
    """However many look, the data of who has sent some stay."""
    with visitor(address) as mine:
        send(mine, "mine.csv", b"date,visits\n2026-01-01,3\n")
        for _ in range(MOST_VISITORS + 2):
            looked = httpx.get(f"{address}/api/own/state")
            assert looked.json()["source"] is None
            assert "set-cookie" not in looked.headers
            assert httpx.get(f"{address}/api/own/file/fit.png").status_code == 404
        assert mine.get("/api/own/state").json()["source"]["name"] == "mine.csv"


@pytest.mark.parametrize("name", ["", "a/b.csv", "..\\b.csv", "x" * 121, "a\nb"])
def test_a_name_is_one_of_a_file(address: str, name: str) -> None:
    """And is never part of a path."""
    with visitor(address) as client:
        response = send(client, name, b"a,b\n")
        assert response.status_code == 400
        assert "is no name of a file" in response.json()["error"]


def test_each_visitor_has_his_own(address: str, kept: Path) -> None:
    """One sees nothing of the other's, and all of it goes with the server."""
    with visitor(address) as mine, visitor(address) as other:
        send(mine, "mine.csv", b"date,visits\n2026-01-01,3\n")
        assert mine.get("/api/own/state").json()["source"]["name"] == "mine.csv"
        assert other.get("/api/own/state").json()["source"] is None
        assert len([*kept.iterdir()]) == 1
        page = mine.get("/my-data")
        assert page.headers["content-security-policy"] == POLICY
        assert "<script>" not in page.text
        assert "style=" not in page.text


def test_what_is_kept_goes_with_the_server(kept: Path) -> None:
    """And with whoever was silent for longest, when there are too many."""
    limits = ServeLimits()
    with listening(page_app("easy_single_spike", limits, own=Workshop(MOST)), limits) as found:
        for number in range(my_data.MOST_VISITORS + 2):
            with visitor(f"http://{found}") as client:
                send(client, f"{number}.csv", b"a,b\n")
        assert len([*kept.iterdir()]) == my_data.MOST_VISITORS
    assert [*kept.iterdir()] == []


def test_faults_do_not_tell_where_the_server_keeps_files(address: str, kept: Path) -> None:
    """A message calls the file as its visitor does."""
    with visitor(address) as client:
        send(client, "mine.csv", b"date,visits\n2026-01-01,many\n")
        told = client.post("/api/own/fit", json={"options": {}})
        assert str(kept) not in told.text
        assert fault(told)["message"].startswith("mine.csv, row 2, column 'visits': 'many' is no")
        assert fault(told)["near"] == [[1, ["date", "visits"]], [2, ["2026-01-01", "many"]]]


@pytest.mark.parametrize(
    ("route", "asked", "words"),
    [
        ("fit", {"options": {}}, "choose a file first"),
        ("try", {"date": "2026-08-01", "measure": "visits", "change": -0.3, "agent": "analyst"}, "read and fit a file"),
        ("report", {"until": "2026-08-01", "agent": "analyst"}, "read and fit a file first"),
    ],
)
def test_one_thing_after_the_other(address: str, route: str, asked: dict[str, Any], words: str) -> None:
    """What comes too early is told."""
    with visitor(address) as client:
        assert words in fault(client.post(f"/api/own/{route}", json=asked))["message"]


def test_bad_requests_are_refused(address: str) -> None:
    """A body that is none, an unknown field, a file that there is not."""
    with visitor(address) as client:
        assert client.post("/api/own/fit", content=b"{").status_code == 400
        assert client.post("/api/own/fit", json={"options": {"missing": 3}}).status_code == 400
        assert client.post("/api/own/open", json={"path": "shop.csv", "more": 1}).status_code == 400
        assert client.get("/api/own/file/fitted.toml").status_code == 404
        assert client.get("/api/own/file/..%2fupload").status_code == 404


def test_answers_are_those_of_the_commands(address: str) -> None:
    """Bad dates, agents and options are faults in the words of ``fit`` and ``watch``; good ones are answered."""
    with visitor(address) as client:
        client.post("/api/own/open", json={"path": "shop.csv"})
        told = client.post("/api/own/fit", json={"options": {"weeks": "13"}})
        assert "weeks=13 is not a whole number from 1 to 12" in fault(told)["message"]
        assert fault(told)["option"] == "weeks"
        assert "missing" in fault(client.post("/api/own/fit", json={"options": {"missing": "guess"}}))["message"]
        fitted = client.post("/api/own/fit", json={"options": {"held_out_weeks": "8"}}).json()
        assert fitted["fault"] is None
        assert fitted["fit"]["held_out_from"] == str(shop_history().dates[-56])
        last = fitted["fit"]["last_date"]
        incident = {"date": last, "measure": "visits", "change": -0.4, "agent": "analyst"}
        assert client.post("/api/own/try", json=incident).json()["tried"]["verdict"] == "named"
        bad = client.post("/api/own/try", json={**incident, "agent": "/etc"})
        assert "agent '/etc' is not one of ['analyst']" in fault(bad)["message"]
        assert bad.json()["tried"]["verdict"] == "named"
        report = client.post("/api/own/report", json={"until": last, "agent": "analyst"}).json()
        assert (report["fault"], report["report"]["rows"]) == (None, [])
        early = client.post("/api/own/report", json={"until": "2026-01-20", "agent": "analyst"})
        assert "weeks are the least" in fault(early)["message"]
        assert client.get("/api/own/file/fitted.toml").headers["content-disposition"].startswith("attachment")
        client.post("/api/own/open", json={"path": "shop.csv"})
        assert client.get("/api/own/file/fitted.toml").status_code == 404  # of the file before


def test_no_folder_is_told() -> None:
    """Before anything is served."""
    with pytest.raises(ValueError, match="data '/nowhere' is no folder"):
        Workshop(MOST, Path("/nowhere"))


def test_visitors_are_forgotten_after_a_time() -> None:
    """With what they had, which is told."""
    gone: list[object] = []
    visitors: Visitors[object] = Visitors(object, 3, gone.append)
    first = visitors.of(None, 0.0)
    assert visitors.of(first[0], KEPT_SECONDS)[:2] == first[:2]
    second = visitors.of(None, 2.5 * KEPT_SECONDS)
    assert gone == [first[1]]
    assert visitors.of("made up", 2.5 * KEPT_SECONDS)[0] != "made up"
    visitors.close()
    assert len(gone) == 3
    assert second[1] in gone


def test_a_broken_gzip_is_a_fault_and_no_crash(address: str) -> None:
    """Cut off, or with bytes that are no packed data: told by the reader, with 200 and a fault."""
    whole = gzip.compress(b"date,visits\n" + b"".join(f"2026-01-{day:02},{day}\n".encode() for day in range(1, 29)))
    spoilt = whole[:20] + bytes(255 - byte for byte in whole[20:-8]) + whole[-8:]
    with visitor(address) as client:
        for content in (whole[:-12], spoilt, whole[:12]):
            sent = send(client, "a.csv.gz", content)
            assert sent.status_code == 200
            asked = client.post("/api/own/fit", json={"options": {}})
            assert asked.status_code == 200
            assert asked.json()["fault"] is not None


def test_four_fits_at_once_hold_up_no_other_view(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fifth and sixth wait for one of them to end; what Play and My data themselves need is served meanwhile."""
    assert kept.exists()
    most, inside, reached, lock, go_on = 0, 0, 0, Lock(), Event()

    def slow(_: object, __: object) -> None:
        nonlocal most, inside
        with lock:
            inside += 1
            most = max(most, inside)
        assert go_on.wait(PATIENCE)
        with lock:
            inside -= 1

    async def counting(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal reached
        reached += scope.get("path") == "/api/own/fit"
        await app(scope, receive, send)

    monkeypatch.setattr(my_data.OwnDesk, "fit", slow)
    limits = ServeLimits()
    app = page_app("easy_single_spike", limits, own=Workshop(MOST))
    with listening(counting, limits) as found, ThreadPoolExecutor(6) as threads:

        def fit() -> int:
            with visitor(f"http://{found}") as client:
                return client.post("/api/own/fit", json={"options": {}}).status_code

        waiting = [threads.submit(fit) for _ in range(6)]
        try:
            wait_for(lambda: inside >= 4 and reached == 6)
            with visitor(f"http://{found}") as client:
                for _ in range(5):
                    assert client.get("/my-data").status_code == client.get("/").status_code == 200
                assert client.get("/api/state").status_code == 200
            assert inside == 4
            assert not any(answer.done() for answer in waiting)
        finally:
            go_on.set()
        assert [answer.result(PATIENCE) for answer in waiting] == [200] * 6
    assert most == 4
