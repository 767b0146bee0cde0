"""The page as one file without a server: the replay of an episode, for issues and papers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parent / "static"
SCRIPTS = (
    "elements.js",
    "board.js",
    "plots.js",
    "selection.js",
    "result.js",
    "timeline.js",
    "page.js",
)  # each uses names of those before it
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
IMPORT, EXPORT = re.compile(r"^import .*?;$\n", re.MULTILINE), re.compile(r"^export ", re.MULTILINE)
LINKED = re.compile(r'<link rel="stylesheet"[^>]*>|<script[^>]*></script>')


def self_contained(state: Mapping[str, Any]) -> str:
    """The page with its style, its scripts and what it shows, in one text.

    Args:
        state: As ``snapshot`` gives it, of an episode that has ended.
    """
    script = "\n".join(EXPORT.sub("", IMPORT.sub("", _text(name))) for name in SCRIPTS)
    data = json.dumps(state, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = (
        f'<meta http-equiv="content-security-policy" content="{POLICY}">',
        f"<style>\n{_text('page.css')}</style>",
        f'<script type="application/json" id="replay">{data}</script>',
        f'<script type="module">\n{script}</script>',
    )
    page = LINKED.sub("", _text("page.html"))
    return page.replace("</head>", "\n".join(parts) + "\n</head>")


def _text(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
