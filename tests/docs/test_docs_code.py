"""The Python of every page runs, from top to bottom, as it is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers_docs import PAGES, ROOT, blocks

# Pages whose Python is not a program, and why.
NO_PROGRAM = {
    "CONTRIBUTING.md": "a method that is to stand in a class",
    "docs/demonstrations.md": "it trains with TRL, as tests/trl/test_demonstrations.py does",
    "docs/servers.md": "its clients need servers, which test_docs_servers.py starts",
}
WITH_PYTHON = [page for page in PAGES if blocks(page, "python") and page not in NO_PROGRAM]


def test_pages_have_python() -> None:
    """The blocks are found: the pages on first steps, training and tool callers have some, as has the README."""
    assert {"README.md", "docs/getting_started.md", "docs/training.md", "docs/tool_calling.md"} <= set(WITH_PYTHON)
    assert len(blocks("docs/getting_started.md", "python")) >= 4
    assert all(blocks(page, "python") for page in NO_PROGRAM)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path) -> None:
    """All blocks of a page, one after another in one process, in a folder with the presets beside it."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    program = "\n".join(blocks(page, "python"))
    given = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert '"ok":false' not in done.stdout, "a tool refused a call of the page"
