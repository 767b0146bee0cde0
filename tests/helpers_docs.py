"""What tests of the documents share: pages, their blocks of code, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md")))
    if path.name != "CHANGELOG.md"  # which tells of what was
)
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"(?:\S*/)?python3?")


class Command(NamedTuple):
    """A command of a page, in words as a shell would pass them on."""

    page: str
    words: tuple[str, ...]
    block: bool  # whether it stands in a block of its own

    @property
    def program(self) -> str:
        """``module`` of ``python -m module``, the path of ``python path``, or the first word."""
        if not PYTHON.fullmatch(self.words[0]) or self.words[1:2] in ((), ("-c",)):
            return self.words[0]
        return self.words[2] if self.words[1] == "-m" else self.words[1]

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the program."""
        if not PYTHON.fullmatch(self.words[0]):
            return self.words[1:]
        return self.words[3:] if self.words[1:2] == ("-m",) else self.words[2:]

    @property
    def options(self) -> set[str]:
        """Names of its options, without their values."""
        return {word.partition("=")[0] for word in self.arguments if word.startswith("--") and word != "--"}

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def text_of(page: str) -> str:
    """A page as it is written."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Blocks of code of a language, in order."""
    return [code for name, code in FENCE.findall(text_of(page)) if name == language]


def commands(page: str) -> list[Command]:
    """Every command of a page's blocks, in order, then those amid its text."""
    found: list[Command] = []
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            found += [Command(page, part, True) for part in split_chain(shlex.split(line, comments=True))]
    for inline in re.findall(r"`([^`]+)`", FENCE.sub("", text_of(page))):
        line = " ".join(inline.split())
        if re.match(r"python3? (-m )?[\w./]+", line):
            words = shlex.split(line.split(" > ")[0])
            found += [Command(page, part, False) for part in split_chain(words)]
    return found


def split_chain(words: list[str]) -> list[tuple[str, ...]]:
    """The commands of a line, which ``&&`` joins."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            parts.append([])
        elif parts[-1] or not re.match(r"[A-Z_]+=", word):  # a variable for the command is none of its words
            parts[-1].append(word)
    return [tuple(part) for part in parts if part]
