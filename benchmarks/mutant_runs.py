"""Run the tests on a change of ``mutants.py``, in a fork of a process that has loaded them and the project.

A run of pytest spends most of its time on loading. A fork starts at once; what it loads anew is at most the project and
its tests.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from mutant_order import Limits, Order, cpu_time

PASSED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
TOLD = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)  # a test failed; the tests cannot be loaded
QUIET = ("-p", "no:cacheprovider", "-p", "mutant_limits", "-W", "ignore::pytest.PytestAssertRewriteWarning")
PYTEST = ("--dist=no", "-n", "0", "-x", "--tb=line", *QUIET)
BROKEN = 70  # how a fork ends in which something other than a test went wrong


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
        code = pytest.main([*PYTEST, "--collect-only", *map(str, files)])
    if code:
        raise SystemExit(f"the tests cannot be collected:\n{log.read_text('utf-8')[-4000:]}")
    gc.freeze()  # so that the collections of a fork leave its memory shared


def run_files(groups: Sequence[Sequence[Path]], limits: Limits) -> int:
    """Run groups of files of tests, one after the other, until a test fails; not 0 then."""
    for files in groups:
        print(f"after {cpu_time():.1f} s: {len(files)} files", flush=True)
        code = pytest.main([*PYTEST, *map(str, files)], plugins=[Order(limits)])
        if code not in PASSED:
            return code if code in TOLD else BROKEN
    return 0


def in_fork(work: Callable[[], int], log: Path) -> int:
    """What ``work`` gives when it is done in a child process that writes to ``log``; negative if a signal ended it.

    Raises:
        RuntimeError: if something other than a test went wrong.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        status = BROKEN
        try:
            with log.open("wb") as file, redirected(file.fileno()):
                status = work()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == BROKEN:
        raise RuntimeError(f"the change cannot be tried:\n{log.read_text('utf-8', 'replace')[-4000:]}")
    return status


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


def forget(tree: Path) -> None:
    """Let the project and its tests be loaded anew."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_relative_to(tree):
            del sys.modules[name]


def replaced_in_place(module: Path, before: str, after: str) -> bool:
    """Give loaded functions their changed code; whether that is all of the change, and each was found."""
    if outside_of_functions(before) != outside_of_functions(after):
        return False
    name = str(module.resolve())
    old, new = (codes_of(compile(source, name, "exec")) for source in (before, after))
    changed = [(one, other) for one, other in zip(old, new, strict=True) if one != other]
    loaded = every_function()
    for one, other in changed:
        found = [function for function in loaded if place_of(function.__code__) == place_of(one)]
        if not found:
            return False
        for function in found:
            function.__code__ = other
    return bool(changed)


def outside_of_functions(source: str) -> str:
    """What is run when a module is loaded: all of it but the bodies of its functions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    return ast.dump(tree)


def codes_of(code: CodeType) -> list[CodeType]:
    """The functions that the code of a module or class holds, each with those inside of it."""
    found: list[CodeType] = []
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_function = bool(inner.co_flags & inspect.CO_OPTIMIZED)
            found += [inner] if is_function else codes_of(inner)
    return found


def place_of(code: CodeType) -> tuple[str, str, int]:
    """Where a function was written."""
    return code.co_filename, code.co_qualname, code.co_firstlineno


def every_function() -> list[FunctionType]:
    """All functions that are loaded."""
    gc.unfreeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about names of theirs that are only looked at here
        return [found for found in gc.get_objects() if isinstance(found, FunctionType)]
