"""What the commands have in common: how a bad value and a missing package are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from pydantic import ValidationError


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn a bad value into exit code 2, and an interrupt into 1, each with one line on stderr."""
    try:
        yield
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        print(f"error: {found}", file=sys.stderr)
        raise SystemExit(2) from None
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted") from None


def need(packages: dict[str, str], command: str) -> None:
    """Refuse to start without the packages of a command, each with the extra that brings it.

    Raises:
        SystemExit: naming the package and how to install it.
    """
    for package, extra in packages.items():
        try:
            import_module(package)
        except ImportError:
            install = f"install it, in a clone of the repository, with: pip install -e '.[{extra}]'"
            raise SystemExit(f"{command} needs {package}; {install}") from None
