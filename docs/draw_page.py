"""Take the pictures of the page's document: an episode of Play in the middle and at its end, Watch, and Compare.

    python docs/draw_page.py [--out docs]

It needs Chromium, and the packages of the dependency group ``test``.
"""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, sync_playwright

from agents.page.collection import Asked, Collection
from metric_tracker_env import get_task
from metric_tracker_env.serve.command_line import LOOPBACK, settings
from metric_tracker_env.serve.limits import App, ServeLimits
from metric_tracker_env.ui.app import page_app

TASK, SEED = "realistic_medium", 12
SIZE = (1280, 800)
# What is reported is a cause, and a cell that an announced event explains.
OPENED, REPORTED = ("03-09", "03-11", "03-20"), {"03-09": "menu_opens", "03-20": "orders_placed"}
AGENTS, EPISODES = ("analyst", "analyst_blind"), 43
WATCHED = f"run=analyst.{TASK}&seed={2_000_000_000 + EPISODES - 1}"
# What is opened once both agents have played, and what shows that it is drawn.
VIEWS = {
    "watch": (f"watch?{WATCHED}&step=12&truth=on", "#cells rect.cell"),
    "compare": (f"compare?{WATCHED}&other=analyst_blind.{TASK}&step=13&truth=on", ".side rect.cell"),
}
LIMITS = ServeLimits()


@contextmanager
def served(app: App) -> Iterator[str]:
    """Where a page is."""
    server = uvicorn.Server(settings(app, LIMITS, LOOPBACK, 0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server of the page did not start")
        time.sleep(0.01)
    yield f"http://{LOOPBACK}:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def play(page: Page) -> Iterator[str]:
    """Play the episode, and tell when it is in the middle and when at its end."""
    generator = get_task(TASK).config.generator
    days = {name[5:]: day for day, name in enumerate(generator.date_names)}
    counts = {name: place for place, name in enumerate(generator.catalogue.count_metrics)}
    calls = 0
    for name in ("suspicious dates", "known events"):
        page.click(f"#scans >> text={name}")
        calls += 1
        page.wait_for_selector(f"#chips button >> nth={calls - 1}")
    for date in OPENED:
        entity = counts[REPORTED.get(date, "orders_placed")]
        page.click(f"rect.cell[data-day='{days[date]}'][data-entity='{entity}']")
        page.click("#actions >> text=open")
        calls += 1
        page.wait_for_selector(f"#chips button >> nth={calls - 1}")
        if date in REPORTED:
            page.click("#report")
            page.wait_for_selector(f"#draft td >> text={date}")
    page.mouse.move(0, 0)
    yield "play"
    page.click("#submit")
    page.wait_for_selector("#score")
    page.mouse.move(0, 0)
    yield "result"


def draw(folder: Path, size: tuple[int, int] = SIZE) -> list[Path]:
    """Write the pictures into a folder, and give their names."""
    found: list[Path] = []

    def take(page: Page, name: str) -> None:
        found.append(folder / f"page_{name}.png")
        page.screenshot(path=found[-1], full_page=size[0] < 900)

    played = Collection(AGENTS, Asked((get_task(TASK),), EPISODES))
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    watching = page_app(TASK, LIMITS, library=played)
    with served(page_app(TASK, LIMITS)) as address, served(watching) as other, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.goto(f"{address}/?task={TASK}&seed={SEED}")
        page.wait_for_selector("body[data-ready] rect.cell")
        for name in play(page):
            take(page, name)
        for name, (path, drawn) in VIEWS.items():
            page.goto(f"{other}/{path}")
            page.wait_for_selector(f"body[data-ready] {drawn}")
            take(page, name)
        browser.close()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    for path in draw(parser.parse_args(arguments).out):
        print(path)


if __name__ == "__main__":
    main()
