"""The rules of axe-core, on a page as it is drawn."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
# The debugger puts the script in, which the page's own policy would refuse.
RUN = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations.flatMap((found) =>
  found.nodes.map((node) =>
    `${found.id}: ${node.target.join(" ")}: ${node.failureSummary} ${node.html.slice(0, 200)}`))"""


def violations(page: Page) -> list[str]:
    """What axe-core's rules, those of best practice included, find wrong on a page: rule, place and reason."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE)
    return page.evaluate(RUN)
