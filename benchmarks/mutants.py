"""Mutation testing: change the core in one place at a time, and see whether a test fails.

Cosmic Ray makes the changes: another operator, comparison or number, a condition turned round, a decorator or a loop
left out. A sample is drawn over the places that can be changed, one change a place, so that an operator with many
replacements weighs no more than a number. Each is tried in a copy of the working tree, with the tests that reach its
function. What a cache keeps is reached by the first test that asks for it, and seen by others: with ``--all-tests``
they are run too before a change counts as survived. The same command goes on with an interrupted run.

    python -m pip install --group mutation
    python benchmarks/mutants.py [--sample 200] [--seed 0] [--all-tests] [--output runs/mutants]
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from difflib import unified_diff
from importlib.util import cache_from_source
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import mutant_order
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test, mutate_code, use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult
from coverage import CoverageData
from mutant_runs import forget, in_fork, load_tests, nearest_first, replaced_in_place, run_files

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "metric_tracker_env"
CODE = ("world/*.py", "play/*.py", "tools/*.py", "scoring.py", "measure.py")
TESTS = ("world/test_*.py", "play/test_*.py", "tools/test_*.py", "session/test_*.py", "test_*.py")
LEFT_OUT = {"test_torchrl.py"}  # it takes long to load its library, and shows nothing of ours that others do not
PYTEST = (sys.executable, "-m", "pytest", "--dist=no", "-n", "0", "-x", "-p", "no:cacheprovider", "-p", "mutant_limits")
FINISHED = re.compile(r"\b(passed|failed|errors?)\b.* in \d+\.\d+s\b")  # what pytest prints when it comes to its end
NOTHING = re.compile(r"^no tests ran\b", re.MULTILINE)
# An operator is replaced by one of its own kind: with another the types seldom fit, and any test would notice.
ALIKE = ("Add Sub Mul Div FloorDiv", "Mod FloorDiv", "Pow Mul", "BitOr BitAnd BitXor", "LShift RShift")
ALIKE += ("Eq NotEq Lt LtE Gt GtE", "Is IsNot", "USub UAdd", "Delete USub", "Delete Not", "Delete Invert")
OUTCOMES = ("caught", "stopped", "survived")


class Reach(NamedTuple):
    """Which tests run which lines."""

    contexts: dict[str, dict[int, list[str]]]  # by module and line: "test|phase", or "" for what an import runs
    lines: Counter[str]  # how many each test runs

    def tests_of(self, spec: MutationSpec) -> tuple[list[str], list[str]]:
        """The tests that run the function around a change, and the others; those that run least come first.

        A fixture may be shared by the tests of a file, though the first alone runs it.
        """
        by_line = self.contexts.get(str(spec.module_path), {})
        found = {context for line in function_body(spec) for context in by_line.get(line, ())}
        near = {test_of(context) for context in found if context}
        shared = {file_of(context) for context in found if context.endswith("|setup")}
        near |= {test for test in self.lines if file_of(test) in shared}
        return self._in_order(near), self._in_order(self.lines.keys() - near)

    def _in_order(self, tests: Collection[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self.lines[test], test))


def test_of(context: str) -> str:
    """``tests/a.py::test_b[case]|run`` -> ``tests/a.py::test_b``: a change may give the cases other names."""
    return context.rpartition("|")[0].partition("[")[0]


def file_of(context: str) -> str:
    """The file of a test or of a context."""
    return context.partition("::")[0]


def function_body(spec: MutationSpec) -> range:
    """The lines of the body of the innermost function around a change; none for what an import runs."""
    line, body = spec.start_pos[0], range(0)
    for node in ast.walk(ast.parse(spec.module_path.read_text("utf-8"))):  # from the outside in
        if isinstance(node, ast.FunctionDef) and node.body[0].lineno <= line <= (node.end_lineno or line):
            body = range(node.body[0].lineno, (node.end_lineno or line) + 1)
    return body


def makes_sense(operator: str) -> bool:
    """Whether a change, such as ``core/ReplaceComparisonOperator_Lt_LtE``, is of those to draw from."""
    kinds = operator.split("_")[1:]
    return not kinds or any(set(kinds) <= set(alike.split()) for alike in ALIKE)


def type_annotations(module: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """First place of each type annotation, and the place behind it, as (line, column)."""
    nodes = ast.walk(ast.parse(module.read_text("utf-8")))
    typed = [getattr(node, name, None) for node in nodes for name in ("annotation", "returns")]
    return [((a.lineno, a.col_offset), (a.end_lineno, a.end_col_offset)) for a in typed if a is not None]


def draw(sample: int, seed: int) -> list[WorkItem]:
    """One change at each of ``sample`` places, drawn over all places of the code but its type annotations."""
    modules = sorted(path for pattern in CODE for path in Path(PACKAGE).glob(pattern))
    typed = {module: type_annotations(module) for module in modules}
    places: dict[tuple[Path, tuple[int, int]], list[WorkItem]] = defaultdict(list)
    with use_db(":memory:") as everything:
        init(modules, everything, {})
        for item in everything.work_items:
            spec = item.mutations[0]
            in_type = any(first <= spec.start_pos < last for first, last in typed[spec.module_path])
            if makes_sense(spec.operator_name) and not in_type:
                places[spec.module_path, spec.start_pos].append(item)
    rng = random.Random(seed)
    order = sorted(places)
    rng.shuffle(order)
    chosen = (item for place in order if compiles(item := rng.choice(places[place])))
    return list(islice(chosen, sample))


def compiles(item: WorkItem) -> bool:
    """Whether the changed module is Python; the bare star of keyword arguments is no operator."""
    spec = item.mutations[0]
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    changed = mutate_code(spec.module_path.read_text("utf-8"), operator, spec.occurrence)
    with contextlib.suppress(SyntaxError):
        return changed is not None and bool(ast.parse(changed))
    return False


def copy_of_tree(target: Path) -> str:
    """Copy the files that belong to the project; a hash of them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256()
    for name in filter(None, sorted(listed.split("\0"))):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
            digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()


def files_of_tests() -> list[Path]:
    """The tests to try a change with."""
    return sorted(path for pattern in TESTS for path in Path("tests").glob(pattern) if path.name not in LEFT_OUT)


def measure_reach(data: Path) -> None:
    """Run the tests once on the code as it is, and note which lines each runs."""
    command = [*PYTEST, f"--cov={PACKAGE}", "--cov-context=test", "--cov-report=", *map(str, files_of_tests())]
    done = subprocess.run(command, env={**os.environ, "COVERAGE_FILE": str(data)}, capture_output=True, text=True)
    if done.returncode:
        data.unlink(missing_ok=True)
        raise SystemExit(f"a test fails on the code as it is:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def read_reach(data: Path) -> Reach:
    """What ``measure_reach`` noted."""
    coverage = CoverageData(str(data))
    coverage.read()
    by_file = {Path(name): coverage.contexts_by_lineno(name) for name in coverage.measured_files()}
    contexts = {str(path.relative_to(Path.cwd())): lines for path, lines in by_file.items()}
    sets = [{test_of(name) for name in names if name} for lines in contexts.values() for names in lines.values()]
    if not any(sets):
        raise SystemExit(f"{data} tells of no test which lines it runs")
    return Reach(contexts, Counter(test for tests in sets for test in tests))


def attempt(spec: MutationSpec, reach: Reach, listed: Path, all_tests: bool) -> WorkResult:
    """Try one change: the first test that fails ends it."""
    near, others = reach.tests_of(spec)
    result = run(spec, near or others, listed)
    go_on = all_tests and near and others and result.test_outcome == TestOutcome.SURVIVED
    return run(spec, others, listed) if go_on else result


def run(spec: MutationSpec, tests: list[str], listed: Path) -> WorkResult:
    """Try one change with some tests."""
    listed.write_text("\n".join(tests), "utf-8")
    result = mutate_and_test([spec], f"{' '.join(PYTEST)} @{listed}", None)
    if result.diff is None or result.test_outcome == TestOutcome.INCOMPETENT or NOTHING.search(result.output or ""):
        raise RuntimeError(f"{spec} cannot be tried: {result.output}")
    return result


def attempt_near(spec: MutationSpec, files: list[Path], log: Path) -> WorkResult:
    """Try one change with the files of tests that are nearest to its module."""
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    times = spec.module_path.stat()
    with use_mutation(spec.module_path, operator, spec.occurrence) as (before, after):
        Path(cache_from_source(str(spec.module_path))).unlink(missing_ok=True)
        groups = nearest_first(spec.module_path, files)

        def work() -> int:
            if os.environ[mutant_order.ROUND] == "all" or not replaced_in_place(spec.module_path, before, after):
                forget(Path.cwd())
            return run_files(groups)

        status = in_fork(work, log)
    os.utime(spec.module_path, ns=(times.st_atime_ns, times.st_mtime_ns))
    Path(cache_from_source(str(spec.module_path))).unlink(missing_ok=True)
    path = str(spec.module_path)
    diff = "\n".join(unified_diff(before.split("\n"), after.split("\n"), path, path, lineterm="", n=2))
    found = TestOutcome.KILLED if status else TestOutcome.SURVIVED
    return WorkResult(WorkerOutcome.NORMAL, log.read_text("utf-8", "replace"), found, diff)


def outcome(result: WorkResult) -> str:
    """``stopped`` stands for the limits of time and memory, and for a crash."""
    if result.test_outcome == TestOutcome.SURVIVED:
        return "survived"
    return "caught" if FINISHED.search(result.output or "") else "stopped"


def prepared(options: argparse.Namespace, data: Path) -> Callable[[MutationSpec], WorkResult]:
    """The way in which a change is tried."""
    if options.seconds:
        log, files = data.with_name("tests.log"), files_of_tests()
        sys.path[:0] = [str(Path.cwd())]
        os.environ |= {mutant_order.TIMES: str(data.with_name("tests.seconds")), mutant_order.ROUND: options.round}
        os.environ[mutant_order.SECONDS] = str(options.seconds)
        load_tests(files, log)
        return lambda spec: attempt_near(spec, files, log)
    if not data.exists():
        print("which tests run which lines ...", flush=True)
        measure_reach(data)
    reach, listed = read_reach(data), data.with_name("tests.txt")
    return lambda spec: attempt(spec, reach, listed, options.all_tests)


def report(items: list[WorkItem], results: dict[str, WorkResult]) -> None:
    """Print the changes that no test noticed, and the table by module."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        spec, result = item.mutations[0], results[item.job_id]
        table[str(spec.module_path)][outcome(result)] += 1
        if outcome(result) == "survived":
            print(f"\n{spec.module_path}:{spec.start_pos[0]} {spec.operator_name.partition('/')[2]}\n{result.diff}")
    total = sum(table.values(), Counter[str]())
    print(f"\n| {'module':40} | {' | '.join(OUTCOMES)} |\n|{'-' * 42}|{'---:|' * len(OUTCOMES)}")
    for name, counts in [*sorted(table.items()), ("all", total)]:
        print(f"| {name:40} | {' | '.join(f'{counts[kind]:{len(kind)}}' for kind in OUTCOMES)} |")


def main() -> None:
    """Draw a sample, try each change, and print what survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sample", type=int, default=200, help="number of changes")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--all-tests", action="store_true", help="try survivors with the tests that do not reach them")
    parser.add_argument(
        "--seconds", type=float, help="of CPU time a change, with the files of tests nearest to its module"
    )
    parser.add_argument("--round", choices=("first", "all"), default="first")
    parser.add_argument("--output", type=Path, default=Path("runs/mutants"), help="folder of the sessions")
    options = parser.parse_args()
    folder = options.output.resolve() / f"{options.sample}-{options.seed}"
    tree, data, stamp = folder / "tree", folder / "reach.coverage", folder / "files.sha256"
    made_from = copy_of_tree(tree)
    if stamp.exists() and stamp.read_text("utf-8") != made_from:
        raise SystemExit(f"{folder} was begun with other files: remove it, or choose another --output")
    stamp.write_text(made_from, "utf-8")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tree), str(Path(__file__).parent)])
    with contextlib.chdir(tree), use_db(str(folder / "session.sqlite")) as session:
        attempt_one = prepared(options, data)
        if not session.num_work_items:
            session.add_work_items(draw(options.sample, options.seed))
        for item in session.pending_work_items:
            spec = item.mutations[0]
            result = attempt_one(spec)
            session.set_result(item.job_id, result)
            done = f"{session.num_results} of {session.num_work_items}"
            print(f"{done}: {spec.module_path}:{spec.start_pos[0]} {outcome(result)}", flush=True)
        report(list(session.work_items), {str(job): result for job, result in session.results})


if __name__ == "__main__":
    main()
