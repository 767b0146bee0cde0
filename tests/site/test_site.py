"""The site builds without a warning, and every link and anchor of it is there; the notebooks run."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {
    "train_and_watch": {"total_steps": 30_000, "episodes": 10},
    "own_funnel": {"total_steps": 30_000, "episodes": 10},
}
LARGEST_NOTEBOOK = 800_000  # bytes, pictures and all


class Page(HTMLParser):
    """What a page links to, and what may be linked to on it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep links, pictures, scripts, styles and ids."""
        del tag
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.targets.add(value)
            if value and name == "id":
                self.anchors.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built by the command of CONTRIBUTING.md."""
    folder = tmp_path_factory.mktemp("site")
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"^\.venv/bin/python (-m sphinx .*) docs site$", told, re.MULTILINE)
    assert found is not None
    command = [sys.executable, *found[1].split(), "--fresh-env", "--quiet", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    """Each Markdown file and notebook of docs/ has been built."""
    sources = {
        path.relative_to(ROOT / "docs") for ending in ("md", "ipynb") for path in (ROOT / "docs").rglob(f"*.{ending}")
    }
    assert len(sources) > 20
    for source in sources:
        assert (site / source).with_suffix(".html").is_file(), source


def test_links_and_anchors_of_the_site_are_there(site: Path) -> None:
    """Each link within the site finds its file and the id that it names; scripts and styles come from the site too."""
    pages = {path: Page(path) for path in site.rglob("*.html") if "_modules" not in path.parts}
    checked = 0
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target == "#":
                continue
            found = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            assert found.is_file(), f"{path.name}: {target}"
            if parts.fragment and found in pages:
                assert unquote(parts.fragment) in pages[found].anchors, f"{path.name}: {target}"
            checked += 1
    assert checked > 500


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """Pictures, scripts and styles are its own, so that it is whole without a network."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]*rel=\"stylesheet\"[^>]*href=\"([^\"]+)\"", text)
        assert not [source for source in loaded if re.match(r"(?:https?:)?//", source)], path.name


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_run(name: str, tmp_path: Path) -> None:
    """From top to bottom, at a small size; each cell of the file has been run in order, and the file is small."""
    folder = ROOT / "docs" / "notebooks"
    path = folder / f"{name}.ipynb"
    done = runpy.run_path(str(folder / "run.py"))["executed"](path, tmp_path, NOTEBOOKS[name])
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert path.stat().st_size <= LARGEST_NOTEBOOK


def test_notebooks_show_what_they_made() -> None:
    """Each holds what its cells printed and drew when it was run as a whole, and no error."""
    import nbformat

    paths = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
    assert {path.stem for path in paths} == set(NOTEBOOKS)
    for path in paths:
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), path.name
        outputs = [output for cell in code for output in cell.outputs]
        assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}, path.name
        assert "stderr" not in {output.get("name") for output in outputs}, path.name
        assert any("image/png" in output.get("data", {}) for output in outputs)
