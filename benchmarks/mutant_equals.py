"""Changes that ``mutants.py`` draws and that change nothing: each was read, and says why no test can notice it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PACKAGE = Path("metric_tracker_env")


class Equal(NamedTuple):
    """A line, what it is changed to, and why that is the same."""

    module: str
    before: str
    after: str
    reason: str


EQUALS = (
    Equal(
        "play/focus.py",
        "self._waiting = np.arange(days + 1, dtype=np.float32) * np.float32(1.0 / days)",
        "self._waiting = np.arange(days + 2, dtype=np.float32) * np.float32(1.0 / days)",
        "an entry more of a table of which at most number ``days`` is read",
    ),
    Equal(
        "play/focus.py",
        "self._further = list(zip(inspections, self._inspected.tolist(), "
        "self._costs_on_focus[1:].tolist(), strict=True))",
        "self._further = list(zip(inspections, self._inspected.tolist(), "
        "self._costs_on_focus[1:].tolist(), strict=False))",
        "the three are as long; ``strict`` is a guard for who changes them",
    ),
    Equal(
        "world/calendar.py",
        "for whole, part in zip((gaps.active, gaps.day, gaps.first, gaps.last), (True, day, *hours), strict=True):",
        "for whole, part in zip((gaps.active, gaps.day, gaps.first, gaps.last), (True, day, *hours), strict=False):",
        "both have four; ``strict`` is a guard for who changes them",
    ),
)


def reason_of(module: Path, diff: str) -> str | None:
    """Why a change is the same, if it is listed."""
    lines = [line for line in diff.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    if len(lines) != 2 or lines[0][0] != "-":
        return None
    found = {(PACKAGE / e.module, e.before, e.after.replace(" ", "")): e.reason for e in EQUALS}
    return found.get((module, lines[0][1:].strip(), lines[1][1:].replace(" ", "")))


def stale() -> list[str]:
    """Lines of the list that the code no longer has; it is read from the working directory."""
    return [e.before for e in EQUALS if e.before not in (PACKAGE / e.module).read_text("utf-8")]
