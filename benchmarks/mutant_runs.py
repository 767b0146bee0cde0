"""Try a change of ``mutants.py`` with files of tests, the nearest first, in a fork of a process that has all libraries.

A run of pytest spends most of its time on loading libraries. The forks have them: what each loads is the project alone.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType

import pytest

PASSED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
QUIET = ("-p", "no:cacheprovider", "-p", "mutant_limits", "-W", "ignore::pytest.PytestAssertRewriteWarning")
FORKED = ("--dist=no", "-n", "0", "-x", "--tb=line", *QUIET)


def nearest_first(module: Path, files: Sequence[Path]) -> list[list[Path]]:
    """Files of tests in groups: of the module's folder, named like it or importing it; then the others."""
    name = ".".join(module.with_suffix("").parts)

    def is_near(file: Path) -> bool:
        return file.parent.name == module.parent.name or module.stem in file.stem or name in imported(file)

    return [[file for file in files if is_near(file) is near] for near in (True, False)]


def imported(file: Path) -> set[str]:
    """The modules that a file of tests imports something from."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def load_tests(files: Sequence[Path], log: Path) -> None:
    """Load the tests and the project, so that no fork needs to; nothing is run."""
    with log.open("wb") as file, redirected(file.fileno()):
        code = pytest.main([*FORKED, "--collect-only", "-q", *map(str, files)])
    if code:
        raise SystemExit(f"the tests cannot be collected:\n{log.read_text('utf-8')[-4000:]}")
    gc.freeze()  # so that a fork's collections leave its memory shared


@contextlib.contextmanager
def redirected(target: int) -> Iterator[None]:
    """What is written to the standard outputs goes elsewhere."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)


def codes_of(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """The functions that a piece of code holds, but for those inside of functions, by name and first line."""
    found: dict[tuple[str, int], CodeType] = {}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_class = "__qualname__" in inner.co_names and not inner.co_flags & inspect.CO_OPTIMIZED
            found |= codes_of(inner) if is_class else {(inner.co_qualname, inner.co_firstlineno): inner}
    return found


def outside_of_functions(source: str) -> str:
    """What is run when a module is loaded: all of it but the bodies of its functions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    return ast.dump(tree)


def replaced_in_place(module: Path, before: str, after: str) -> bool:
    """Give loaded functions their changed code; whether that is all of the change, and each was found."""
    if outside_of_functions(before) != outside_of_functions(after):
        return False
    name = str(module.resolve())
    old, new = (codes_of(compile(source, name, "exec")) for source in (before, after))
    changed = [(one, other) for one, other in zip(old.values(), new.values(), strict=True) if one != other]
    for one, other in changed:
        place = place_of(one)
        found = [function for function in every_function() if place_of(function.__code__) == place]
        if not found:
            return False
        for function in found:
            function.__code__ = other
    return bool(changed)


def place_of(code: CodeType) -> tuple[str, str, int]:
    """Where a function was written."""
    return code.co_filename, code.co_qualname, code.co_firstlineno


def every_function() -> list[FunctionType]:
    """All functions that are loaded."""
    gc.unfreeze()
    return [found for found in gc.get_objects() if isinstance(found, FunctionType)]


def forget(tree: Path) -> None:
    """Let the project and its tests be loaded anew."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_relative_to(tree):
            del sys.modules[name]


def run_files(groups: Sequence[Sequence[Path]]) -> int:
    """Run groups of files of tests, one after the other, until a test fails."""
    for files in groups:
        print(f"after {time.process_time():.1f} s: {len(files)} files", flush=True)
        if (code := pytest.main([*FORKED, "-p", "mutant_order", *map(str, files)])) not in PASSED:
            return code
    return 0


def in_fork(work: Callable[[], int], log: Path) -> int:
    """What ``work`` gives when it is done in a child process that writes to ``log``; negative if a signal ended it."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 70
    try:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        status = work()
        sys.stdout.flush()
    finally:
        os._exit(status)
