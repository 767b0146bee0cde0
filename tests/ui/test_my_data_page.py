"""My data in a real browser, at both sizes: a good file from its upload to the morning report, and bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers_axe import violations
from helpers_own_data import csv_of, shop_history
from helpers_page import SIZES, Visit
from helpers_serve import listening, wait_for
from playwright.sync_api import Browser, Page
from test_page import CONTRAST, UNNAMED

from agents.page.my_data import Workshop
from metric_tracker_env.serve.limits import ServeLimits
from metric_tracker_env.ui.app import page_app

UNUSUAL_DAY = 100
MOST = 400_000  # bytes


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good file and bad ones; one of them is on the server alone."""
    folder = tmp_path_factory.mktemp("files")
    lines = csv_of(shop_history(incident=(UNUSUAL_DAY, 0, 0.6)), folder / "shop.csv").read_text("utf-8").splitlines()
    cells = lines[500].split(",")
    (folder / "word.csv").write_text("\n".join([*lines[:500], f"{cells[0]},{cells[1]},many,3", *lines[501:]]))
    (folder / "twice.csv").write_text("\n".join([*lines[:700], *lines[699:]]))
    (folder / "large.csv").write_text("x" * (MOST + 1))
    return folder


@pytest.fixture(scope="module")
def served(files: Path) -> Iterator[str]:
    """Where a page is that takes own data."""
    limits = ServeLimits()
    with listening(page_app("easy_single_spike", limits, own=Workshop(MOST, files)), limits) as found:
        yield f"http://{found}"


@pytest.fixture(params=SIZES)
def visit(request: pytest.FixtureRequest, browser: Browser, served: str) -> Iterator[Visit]:
    """A visit at each size; nothing goes wrong in it, nothing comes from another host, nothing is wider than it."""
    found = Visit(browser, served, SIZES[request.param])
    yield found
    assert found.faults == []
    assert found.elsewhere == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= SIZES[request.param][0]
    found.context.close()


def arrive(visit: Visit, path: str = "my-data") -> Page:
    """Open the view."""
    visit.page.goto(f"{visit.address}/{path}")
    visit.page.wait_for_selector("body[data-ready]")
    return visit.page


def upload(page: Page, file: Path) -> None:
    """Send a file, and wait until the server has it."""
    page.set_input_files("#file", str(file))
    wait_for(lambda: file.name in page.inner_text("#summary"))


def looks_well(page: Page) -> None:
    """Text stands out, what can be used has a name, and axe-core's rules find nothing."""
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(UNNAMED) == []
    assert violations(page) == []


def test_from_a_file_to_the_morning_report(visit: Visit, files: Path) -> None:
    """Upload, fit, what was unusual, an incident by hand that is named, one that is too small, and the report."""
    page = arrive(visit)
    upload(page, files / "shop.csv")
    page.click("#fit")
    page.wait_for_selector("#normal")
    assert "238 days" in page.inner_text("#summary")
    assert page.locator("#normal tr").count() == 8
    assert page.locator("#fitted svg").count() == 7
    assert page.locator("#fitted svg circle").count() >= 1
    date = str(shop_history().dates[UNUSUAL_DAY])
    assert date in page.inner_text("#unusual")
    looks_well(page)

    page.select_option("#measure", "visits_to_carts")
    page.fill("#change", "-25")
    page.click("#attempt")
    page.wait_for_selector("#verdict")
    assert "✓ named · visits_to_carts -25 %" in page.inner_text("#verdict")
    assert "rate drop in visits_to_carts" in page.inner_text("#try")
    assert "Without it, that morning had nothing to look at." in page.inner_text("#try")
    page.fill("#change", "-4")
    page.click("#attempt")
    wait_for(lambda: "! missed" in page.inner_text("#try"))
    assert "medium sees changes from ±" in page.inner_text("#verdict")
    page.fill("#change", "900")
    page.click("#attempt")
    wait_for(lambda: "is the most that this rate can have" in page.inner_text("#try"))
    looks_well(page)

    page.click(f"#unusual >> text={date}")
    page.wait_for_selector("#days")
    assert "1 day to look at" in page.inner_text("#days")
    assert f"{date}: count drop in visits" in page.inner_text("#morning")
    assert page.locator("#morning svg circle").count() >= 1
    page.click("#accept")
    wait_for(lambda: "nothing to look at" in page.inner_text("#days"))
    looks_well(page)

    wait_for(lambda: f"until={date}" in page.evaluate("location.search"))
    page.reload()
    page.wait_for_selector("body[data-ready] #days")
    assert page.input_value("#until") == date
    with page.expect_download() as download:
        page.click("text=fitted.toml")
    assert "base_daily_count" in Path(download.value.path()).read_text("utf-8")


def test_a_bad_file_is_told_at_its_row(visit: Visit, files: Path) -> None:
    """Row, column and value in words and in the table around it; another file takes it away."""
    page = arrive(visit)
    upload(page, files / "word.csv")
    page.click("#fit")
    page.wait_for_selector("#fault table")
    assert "Not read: row 501, column carts, value many" in page.inner_text("#fault")
    assert page.inner_text("#fault tr.here td.here") == "many"
    assert page.locator("#fault tr").count() == 6
    assert page.locator("#normal").count() == 0
    looks_well(page)
    upload(page, files / "shop.csv")
    assert page.inner_text("#fault") == ""


def test_what_decides_is_beside_the_fault(visit: Visit) -> None:
    """A row that stands twice: the option that decides is a control there, and the file is read with it."""
    page = arrive(visit)
    page.select_option("#server-file", "twice.csv")
    wait_for(lambda: "twice.csv" in page.inner_text("#summary"))
    page.click("#fit")
    page.wait_for_selector("#again")
    assert "row 701" in page.inner_text("#fault")
    looks_well(page)
    page.select_option("#decides-duplicates", "last")
    page.click("#again")
    page.wait_for_selector("#normal")
    assert page.inner_text("#fault") == ""
    page.click("#how summary")
    assert page.input_value("#option-duplicates") == "last"
    looks_well(page)


def test_a_bad_option_is_told(visit: Visit, files: Path) -> None:
    """In words, by its name, and it can be mended in place."""
    page = arrive(visit)
    upload(page, files / "shop.csv")
    page.click("#how summary")
    page.fill("#option-held_out_weeks", "40")
    page.press("#option-held_out_weeks", "Enter")
    page.wait_for_selector("#again")
    assert "held_out_weeks=40 leaves no day to fit" in page.inner_text("#fault")
    page.fill("#decides-held_out_weeks", "8")
    page.click("#again")
    page.wait_for_selector("#normal")


def test_too_large_a_file_is_not_sent(visit: Visit, files: Path) -> None:
    """It is told what can be."""
    page = arrive(visit)
    page.set_input_files("#file", str(files / "large.csv"))
    wait_for(lambda: "at most 0.4 MB can be uploaded" in page.inner_text("#status"))
    assert page.inner_text("#summary") == "no file yet"
