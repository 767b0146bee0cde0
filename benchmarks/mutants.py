"""Mutation testing: change the core in one place at a time, and see whether a test fails.

Cosmic Ray makes the changes: another operator, comparison or number, a condition turned round, a decorator or a loop
left out. A sample is drawn over the places that can be changed, one change a place, so that an operator with many
replacements weighs no more than a number. Each is tried in a copy of the working tree, in two rounds: one case of each
quick test, those first that noticed most in little time, and where none fails every test, those nearest to the changed
module first; until one fails or the time of the round is up. What survives both is printed. The same command goes on
with an interrupted run, and with ``--again`` it tries what has survived once more: with tests that are new, or for
longer.

    python -m pip install --group mutation
    python benchmarks/mutants.py [--sample 200] [--seed 0] [--seconds 120] [--output runs/mutants] [--again]
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import unified_diff
from importlib.util import cache_from_source
from itertools import islice
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult
from mutant_equals import reason_of, stale
from mutant_order import FIRST, REST, Limits
from mutant_runs import forget, in_fork, load_tests, nearest_first, replaced_in_place, run_files

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "metric_tracker_env"
CODE = ("world/*.py", "play/*.py", "tools/*.py", "scoring.py", "measure.py")
TESTS = ("world/test_*.py", "play/test_*.py", "tools/test_*.py", "session/test_*.py", "test_*.py")
LEFT_OUT = {"test_torchrl.py"}  # it takes long to load its library, and shows nothing of ours that others do not
FIRST_SECONDS = 20.0  # CPU time of the first round: about what one case of each quick test takes
# An operator is replaced by one of its own kind: with another the types seldom fit, and any test would notice.
ALIKE = ("Add Sub Mul Div FloorDiv", "Mod FloorDiv", "Pow Mul", "BitOr BitAnd BitXor", "LShift RShift")
ALIKE += ("Eq NotEq Lt LtE Gt GtE", "Is IsNot", "USub UAdd", "Delete USub", "Delete Not", "Delete Invert")
OUTCOMES = ("caught", "stopped", "survived", "the same")


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


def copy_of_tree(target: Path) -> tuple[str, str]:
    """Copy the files that belong to the project; a hash of those that are changed, and one of the others."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    patterns = [f"{PACKAGE}/{pattern}" for pattern in CODE]
    code, others = hashlib.sha256(), hashlib.sha256()
    for name in filter(None, sorted(listed.split("\0"))):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
            digest = code if any(map(Path(name).match, patterns)) else others
            digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return code.hexdigest(), others.hexdigest()


def attempt(spec: MutationSpec, files: Sequence[Path], rounds: Sequence[Limits], log: Path) -> WorkResult:
    """Try one change, round by round: the first test that fails ends it.

    In the first round the change is made to what is loaded, if it lies inside of functions; later all is loaded anew,
    since what was worked out while loading may depend on it.
    """
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    module, groups, status = spec.module_path, nearest_first(spec.module_path, files), 0
    compiled = Path(cache_from_source(str(module)))
    compiled.unlink(missing_ok=True)
    with use_mutation(module, operator, spec.occurrence) as (before, after):
        if after is None:
            raise RuntimeError(f"{spec} changes nothing")

        def try_in_fork(limits: Limits) -> int:
            if limits is not rounds[0] or not replaced_in_place(module, before, after):
                forget(Path.cwd())
            return run_files([files] if limits is rounds[0] else groups, limits)

        diff = "\n".join(
            unified_diff(before.split("\n"), after.split("\n"), str(module), str(module), lineterm="", n=2)
        )
        for limits in rounds:
            status = status or in_fork(lambda limits=limits: try_in_fork(limits), log)
    compiled.unlink(missing_ok=True)  # times of files are too coarse to tell the two
    worker = WorkerOutcome.ABNORMAL if status < 0 else WorkerOutcome.NORMAL
    found = TestOutcome.KILLED if status else TestOutcome.SURVIVED
    return WorkResult(worker, log.read_text("utf-8", "replace"), found, diff)


def outcome(spec: MutationSpec, result: WorkResult) -> str:
    """``stopped`` stands for the limits of time and memory, and for a crash; ``the same`` for what changes nothing."""
    if result.test_outcome == TestOutcome.SURVIVED:
        return "survived" if reason_of(spec.module_path, str(result.diff)) is None else "the same"
    return "stopped" if result.worker_outcome == WorkerOutcome.ABNORMAL else "caught"


def report(items: list[WorkItem], results: dict[str, WorkResult]) -> None:
    """Print the changes that no test noticed, and the table by module."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        spec, result = item.mutations[0], results[item.job_id]
        found = outcome(spec, result)
        table[str(spec.module_path)][found] += 1
        if result.test_outcome == TestOutcome.SURVIVED:
            reason = reason_of(spec.module_path, str(result.diff)) or spec.operator_name.partition("/")[2]
            print(f"\n{spec.module_path}:{spec.start_pos[0]} {found}: {reason}\n{result.diff}")
    total = sum(table.values(), Counter[str]())
    print(f"\n| {'module':40} | {' | '.join(OUTCOMES)} |\n|{'-' * 42}|{'---:|' * len(OUTCOMES)}")
    for name, counts in [*sorted(table.items()), ("all", total)]:
        print(f"| {name:40} | {' | '.join(f'{counts[kind]:{len(kind)}}' for kind in OUTCOMES)} |")


def main() -> None:
    """Draw a sample, try each change, and print what survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sample", type=int, default=200, help="number of changes")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU time of the second round of a change")
    parser.add_argument("--output", type=Path, default=Path("runs/mutants"), help="folder of the sessions")
    parser.add_argument("--again", action="store_true", help="try anew what has survived, also with other tests")
    options = parser.parse_args()
    folder = options.output.resolve() / f"{options.sample}-{options.seed}"
    tree, log, stamp = folder / "tree", folder / "tests.log", folder / "files.sha256"
    made_from = copy_of_tree(tree)
    begun_with = tuple(stamp.read_text("utf-8").split()) if stamp.exists() else made_from
    if begun_with[0] != made_from[0] or (begun_with != made_from and not options.again):
        raise SystemExit(f"{folder} was begun with other files: remove it, or choose another --output")
    stamp.write_text("\n".join(made_from), "utf-8")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tree), str(Path(__file__).parent)])
    sys.path[:0] = [str(tree)]
    told = folder / "tests.told"
    rounds = (Limits(FIRST, FIRST_SECONDS, told), Limits(REST, options.seconds, told))
    with contextlib.chdir(tree), use_db(str(folder / "session.sqlite")) as session:
        if gone := stale():
            raise SystemExit(f"mutant_equals.py names lines that there are no longer: {gone}")
        files = sorted(p for pattern in TESTS for p in Path("tests").glob(pattern) if p.name not in LEFT_OUT)
        load_tests(files, log)
        if not session.num_work_items:
            session.add_work_items(draw(options.sample, options.seed))
        items = list(session.pending_work_items)
        if options.again:
            survived = TestOutcome.SURVIVED
            items += [item for item, result in session.completed_work_items if result.test_outcome == survived]
        for number, item in enumerate(items, start=1):
            spec = item.mutations[0]
            result = attempt(spec, files, rounds, log)
            session.set_result(item.job_id, result)
            place = f"{spec.module_path}:{spec.start_pos[0]}"
            print(f"{number} of {len(items)}: {place} {outcome(spec, result)}", flush=True)
        report(list(session.work_items), {str(job): result for job, result in session.results})


if __name__ == "__main__":
    main()
