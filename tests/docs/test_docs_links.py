"""Links of the documents lead somewhere: to files that are there, to headings of pages, and pictures have words."""

from __future__ import annotations

import re

import pytest
from helpers_docs import FENCE, PAGES, ROOT, text_of

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
LONGEST_README = 150  # lines
LARGEST_PICTURE = 1_500_000  # bytes
HTML = re.compile(r"https?://|mailto:")


def links(page: str) -> list[tuple[str, str, str]]:
    """Exclamation mark of a picture, words and target of each link."""
    return LINK.findall(FENCE.sub("", text_of(page)))


def anchors(page: str) -> set[str]:
    """Of a page's headings, as GitHub and the site make them; of a page that includes another, of that one's."""
    if (included := re.match(r"```{include} (\S+)", text_of(page))) is not None:
        return anchors(((ROOT / page).parent / included[1]).resolve().relative_to(ROOT).as_posix())
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    """Each link to a file of the repository finds it, and each anchor a heading."""
    for _, _, target in links(page):
        if HTML.match(target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), f"{page}: {target}"
        assert found.resolve().is_relative_to(ROOT), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(found.resolve().relative_to(ROOT).as_posix()), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_words_and_are_small(page: str) -> None:
    """Who cannot see a picture is told what is on it, and none is heavier than 1.5 MB."""
    for picture, words, target in links(page):
        if picture:
            assert len(words.split()) >= 3, f"{page}: {target}"
            assert ((ROOT / page).parent / target).stat().st_size <= LARGEST_PICTURE, f"{page}: {target}"


def test_no_picture_is_left_over() -> None:
    """Each picture of docs/ is shown by a page."""
    shown = {((ROOT / page).parent / target).resolve() for page in PAGES for mark, _, target in links(page) if mark}
    there = {path for ending in ("png", "gif", "svg") for path in (ROOT / "docs").glob(f"*.{ending}")}
    assert there <= shown


def test_the_readme_is_short() -> None:
    """It is read once, from top to bottom."""
    assert len(text_of("README.md").splitlines()) <= LONGEST_README


def test_the_leaderboard_of_the_readme_is_that_of_its_page() -> None:
    """Both have the same lines."""
    board = text_of("README.md").split("## Leaderboard\n")[1].split("\n## ")[0]
    lines = [line for line in board.splitlines() if line.startswith("|")]
    assert len(lines) > 8
    assert "\n".join(lines) in text_of("docs/evaluate.md")
