"""Sealed evaluation on the command line: make a secret, promise it by its hash, reveal it afterwards."""

from __future__ import annotations

import os
from pathlib import Path

from metric_tracker_env import Seal

from .evaluation.report import console

OWN_EYES = 0o600  # who made the file may read and write it, nobody else


def seal(file: Path) -> None:
    """Make a secret for sealed episodes, and print its hash, which is to be told before anything is played.

    Args:
        file: To write the secret to; there must be none of that name.
    """
    made = Seal.new()
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWN_EYES), "w", encoding="ascii") as opened:
            opened.write(made.secret + "\n")
    except OSError as error:
        raise ValueError(f"file {str(file)!r} cannot be made: {error.strerror}") from error
    screen = console()
    screen.print(f"wrote {file}: keep it to yourself until all has been played", markup=False, soft_wrap=True)
    screen.print(f"hash of the seal: {made.hash}", markup=False, soft_wrap=True)


def reveal(file: Path) -> None:
    """Print the secret of a seal and its hash, once all has been played.

    Args:
        file: Of the secret.
    """
    found, screen = Seal.read(file), console()
    screen.print(f"secret: {found.secret}", markup=False, soft_wrap=True)
    screen.print(f"hash:   {found.hash}", markup=False, soft_wrap=True)
    screen.print(
        "The hash is SHA-256 of the secret's digits (printf %s SECRET | sha256sum). Who puts the secret into a file "
        "makes the same episodes with --seal FILE, and grades again what was submitted.",
        soft_wrap=True,
    )


def told_seal(given: Seal | None) -> None:
    """Print what is promised of the episodes that are about to be played."""
    if given is not None:
        console().print(f"sealed episodes; hash of the seal: {given.hash}", markup=False, soft_wrap=True)
