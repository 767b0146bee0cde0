"""The picture of My data: ``python docs/draw_my_data.py flights.csv docs/page_my_data.png``.

The file is that of ``docs/flights.py``; it needs playwright and a Chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZE = {"width": 1280, "height": 800}
OPTIONS = {"timezone": "America/New_York", "until": "2013-12-31", "country": "US"}
DATE, MEASURE, CHANGE = "2013-10-23", "departed_on_time_to_arrived_on_time", "-35"
MORNING = "2013-12-12"
PATIENCE = 60_000  # ms


def main(source: str, output: str) -> None:
    """Serve the page, go through the view, and keep what it looks like."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    command = [sys.executable, "-u", "-m", "agents", "page", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            url = next(filter(None, (re.search(r"running on (http://\S+)", line) for line in server.stderr)))[1]
            with sync_playwright() as playwright:
                page = playwright.chromium.launch(executable_path=browser).new_page(viewport=SIZE)
                page.set_default_timeout(PATIENCE)
                page.goto(f"{url}/my-data")
                page.set_input_files("#file", str(Path(source).resolve()))
                page.wait_for_selector("#fit:enabled")
                page.click("#how summary")
                page.select_option("#option-missing", "zero")
                page.fill("#option-steps", "scheduled, departed, departed_on_time, arrived_on_time")
                for name, value in OPTIONS.items():
                    page.fill(f"#option-{name}", value)
                page.click("#how summary")
                page.click("#fit")
                page.wait_for_selector("#normal")
                page.fill("#date", DATE)
                page.select_option("#measure", MEASURE)
                page.fill("#change", CHANGE)
                page.click("#attempt")
                page.wait_for_selector("#verdict")
                page.fill("#until", MORNING)
                page.click("#report")
                page.wait_for_selector("#days")
                page.locator("#left").evaluate("element => { element.scrollTop = 0; }")
                page.screenshot(path=output)
        finally:
            server.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
