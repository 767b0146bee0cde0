"""The pictures of the page's document are taken by a program that plays as a person does."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest
from PIL import Image

PROGRAM = Path(__file__).parents[2] / "docs" / "draw_page.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def picture_of(path: Path) -> tuple[tuple[int, int], bytes]:
    """Size and pixels."""
    with Image.open(path) as picture:
        return picture.size, picture.tobytes()


@pytest.mark.skipif(
    CHROMIUM is None, reason="the page is tested in a browser, which is missing: apt-get install chromium"
)
def test_the_pictures_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All, in the size of those that stand in the docs, and of other moments."""
    program = runpy.run_path(str(PROGRAM))
    program["main"](["--out", str(tmp_path)])
    told = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in told] == [f"page_{name}.png" for name in ("play", "result", "watch", "compare")]
    taken, kept = ([picture_of(place / path.name) for path in told] for place in (tmp_path, PROGRAM.parent))
    assert [size for size, _ in taken] == [size for size, _ in kept]
    assert len(set(taken)) == len(taken)
