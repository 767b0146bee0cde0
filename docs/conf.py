"""How Sphinx builds the site: ``python -m sphinx -W --keep-going docs site``.

It reads nothing from the network. A page that no list of ``index.md`` names, a link or an anchor that is not there, and
a heading that is out of order are warnings, which ``-W`` makes errors.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the pages tell of this tree, whatever is installed

project = "metric_tracker_env"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
author = copyright = "The metric_tracker_env contributors"  # noqa: A001 - Sphinx reads this name

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["recipes"]

myst_heading_anchors = 3
suppress_warnings = [
    "toc.empty_glob"
]  # of pages that are written elsewhere; a page in no list is an error all the same
nb_execution_mode = "off"  # docs/notebooks/run.py has run them; tests/site runs them again, shortly

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False


def as_it_is_meant(_app: Sphinx, kind: str, name: str, _item: object, _options: object, lines: list[str]) -> None:
    """Change docstrings that would be read otherwise than they are meant.

    The environment's is Markdown and has a page of its own, so that its first line is enough; and what stands before
    the colon of a property's first line is no type, for which Napoleon takes it.
    """
    if name.endswith(".MetricTrackerEnv"):
        lines[1:] = ["", "Its docstring is the page of :doc:`the environment <environment>`."]
    if kind in ("property", "attribute") and lines:
        lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)


def setup(app: Sphinx) -> None:
    """What Sphinx asks of a configuration with hooks."""
    app.connect("autodoc-process-docstring", as_it_is_meant, priority=100)  # before Napoleon's
