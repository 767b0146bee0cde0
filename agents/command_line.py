"""What the commands have in common: how they are called, and how a bad value and a missing package are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import numpy as np

from metric_tracker_env.model import in_one_line

SOURCE = "agents"  # what this package is called in a clone, and in docstrings; installed, it has another name


def command(module: str = "") -> str:
    """How a command is called where this package has the name that it has."""
    return f"python -m {'.'.join(filter(None, (__package__, module)))}"


def described(docstring: str | None) -> str:
    """A module's docstring as the help of its command, which calls commands as they are called here."""
    return (docstring or "").replace(f"python -m {SOURCE}", command())


def how_to_install(extra: str) -> str:
    """What to do where the packages of an extra are missing."""
    return (
        f"install what is missing with: pip install 'metric_tracker_env[{extra}]' "
        f"(in a clone of the repository: pip install -e '.[{extra}]')"
    )


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn a bad value into exit code 2, and an interrupt into 1, each with one line on stderr."""
    try:
        yield
    except ValueError as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted") from None


def need(packages: dict[str, str], module: str = "") -> None:
    """Refuse to start without the packages of a command, each with the extra that brings it.

    Raises:
        SystemExit: naming the package and how to install it.
    """
    for package, extra in packages.items():
        try:
            import_module(package)
        except ImportError:
            raise SystemExit(f"{command(module)} needs {package}; {how_to_install(extra)}") from None


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is not a whole number from ``least`` to ``most``.

    Raises:
        ValueError: naming the argument, the value and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise ValueError(f"{name} {value!r} is not an integer from {least} to {most}")


def check_number(name: str, value: float, least: float, most: float) -> None:
    """Refuse what is not a number from ``least`` to ``most``.

    Raises:
        ValueError: naming the argument, the value and what is allowed.
    """
    if not least <= value <= most:
        raise ValueError(f"{name} {value!r} is not a number from {least:g} to {most:g}")
