"""The commands of every page: those of the blocks run as printed, long ones at a small size; all have valid options."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from helpers_docs import PAGES, ROOT, Command, commands

ALL = [command for page in PAGES for command in commands(page)]
# Options that make a long command short: put in the place of its own, or added.
SHORT: dict[str, tuple[str, ...]] = {
    "agents run": ("--episodes", "2"),
    "agents compare": ("--episodes", "2", "--workers", "1"),
    "agents demonstrate": ("--episodes", "2"),
    "agents submit": ("--episodes", "2", "--workers", "1"),
    "agents.train_chat": ("--epochs", "1", "--episodes", "0", "--evaluations", "0"),
    "agents.train_sb3": ("--total-steps", "256", "--episodes", "0"),
    "agents.train_ppo": ("--total-steps", "256", "--episodes", "0"),
    "agents.train_torchrl": ("--total-steps", "256", "--episodes", "0"),
}
# What makes the settings of a training small; its own settings come first.
SMALL_SETTINGS = ("lanes = 4", "evaluations = 0", "ppo.n_steps = 32", "ppo.batch_size = 64")
AS_PRINTED = {"agents fit", "agents watch", "agents export-html", "agents seal", "agents reveal", "docs/flights.py"} | {
    *("agents verify", "agents leaderboard", "agents export-model"),
}
SOMETHING_TO_LOOK_AT = 3  # exit code of ``agents watch``
# Programs of other virtual environments, and the tests that run them there.
ELSEWHERE = {
    "agents.train_rllib": "tests/rllib",
    "agents.train_trl": "tests/trl",
    "metric_tracker_agents": "tests/test_wheel.py",
    "metric_tracker_agents.train_sb3": "tests/test_wheel.py",
}
# Programs of others, and words of a shell. A new one belongs here once somebody has run its command by hand.
OTHERS = {
    "python",
    "python3",
    "inspect",
    "pip",
    "venv",
    "pytest",
    "build",
    "twine",
    "sphinx",
    "ruff",
    "pyright",
    "openenv",
    "bash",
    "export",
    "source",
}
# Folders of runs that no command here can leave: of a language model, of a server that keeps the books, of a person.
LEFT_BY_OTHERS = {"runs/llm", "runs/contest", "runs/ada"}
FOLDERS = ("agents", "benchmarks", "configs", "docs", "metric_tracker_env")


def kind(command: Command) -> str:
    """The program, and the subcommand where it has some."""
    words = [word for word in command.arguments[:1] if re.fullmatch(r"[a-z][a-z-]*", word)]
    with_subcommands = command.program in ("agents", "metric_tracker_env.serve")
    return " ".join([command.program, *words]) if with_subcommands else command.program


def environment() -> dict[str, str]:
    """This tree's packages, one thread, and no colours in what is printed."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A Python program in a folder."""
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=300
    )


def target(command: Command) -> list[str]:
    """How its program is called: a module, or a file."""
    return [command.program] if command.program.endswith(".py") else ["-m", command.program]


@functools.cache
def help_of(program: tuple[str, ...]) -> str:
    """What a program says to ``--help``."""
    done = run([*program, "--help"], ROOT)
    assert done.returncode == 0, f"{program}: {done.stderr}"
    return done.stdout


def is_ours(command: Command) -> bool:
    """Whether it is a program of this repository that can be asked here."""
    program = command.program
    ours = program.split(".")[0] in ("agents", "metric_tracker_env") or program.endswith(".py")
    return ours and program not in ELSEWHERE


def test_commands_are_found() -> None:
    """The pages have commands of all kinds."""
    kinds = {kind(command) for command in ALL}
    assert {"agents compare", "agents fit", "agents.llm", "agents.train_sb3", "metric_tracker_env.serve mcp"} <= kinds
    assert set(ELSEWHERE) <= kinds
    assert len(ALL) > 80


@pytest.mark.parametrize("program", sorted({command.program for command in ALL if is_ours(command)}))
def test_programs_have_the_options_that_pages_name(program: str) -> None:
    """Every option that a page gives to a program is one of it, and of the subcommand that it names."""
    for command in (item for item in ALL if item.program == program and item.options):
        name = kind(command).split(" ")
        told = help_of((*target(command), *name[1:]))
        known = set(re.findall(r"--[a-z][\w-]*", told)) | {"--help"}
        assert command.options <= known, str(command)


def test_other_programs_are_known() -> None:
    """What is not of this repository has tests of its own, or is a tool or a word of a shell that is listed here."""
    others = {command.program for command in ALL if not is_ours(command)} - set(ELSEWHERE)
    assert {Path(program).name for program in others} <= OTHERS
    assert all((ROOT / tests).exists() for tests in ELSEWHERE.values())


def test_what_is_installed_exists() -> None:
    """Extras, dependency groups and folders that an installation names are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras, groups = set(project["project"]["optional-dependencies"]), set(project["dependency-groups"])
    named: set[str] = set()
    for command in ALL:
        words = command.words
        for place, word in enumerate(words):
            if (found := re.fullmatch(r"(?:\.|metric_tracker_env)\[([\w,]+)\]", word)) is not None:
                named |= set(found[1].split(","))
            if word == "--group":
                assert words[place + 1] in groups, str(command)
            if word == "-e":
                assert (ROOT / words[place + 1].split("[")[0]).is_dir(), str(command)
    assert len(named) >= 5
    assert named <= extras


def test_files_that_tools_are_given_exist() -> None:
    """Tests, programs and presets that a command names are there."""
    for command in ALL:
        for word in command.words:
            if re.fullmatch(r"(?:tests|benchmarks|configs|docs)/[\w./-]+", word) and "*" not in word:
                assert (ROOT / word).exists(), str(command)


# Running them


def shortened(command: Command) -> list[str]:
    """The words of a command, made short where it is long."""
    words = list(command.arguments)
    if command.program == "agents.train_sb3":
        at = words.index("--settings") + 1 if "--settings" in words else len(words)
        demonstrated = ("--demonstration-episodes", "20") if "--warm-start" in words else ()
        words[at:at] = [*([] if "--settings" in words else ["--settings"]), *SMALL_SETTINGS]
        words = [*demonstrated, *words]
    options = SHORT.get(kind(command), ())
    for name, value in zip(options[::2], options[1::2], strict=True):
        if name in words:
            words[words.index(name) + 1] = value
        else:
            words = [*words[:1], name, value, *words[1:]] if " " in kind(command) else [name, value, *words]
    return [*target(command), *words]


def shop(path: Path) -> None:
    """A table like the one that the page on one's own funnel speaks of: 30 weeks, four steps."""
    rng = np.random.default_rng(0)
    days = np.datetime64("2026-01-05") + np.arange(210)
    visits = rng.poisson(3000, 210)
    carts = rng.binomial(visits, 0.3)
    orders = rng.binomial(carts, 0.5)
    paid = rng.binomial(orders, 0.9)
    lines = [",".join(map(str, row)) for row in zip(days, visits, carts, orders, paid, strict=True)]
    path.write_text("\n".join(["date,visits,carts,orders,paid", *lines]) + "\n", encoding="utf-8")


def runs(command: Command) -> bool:
    """Whether a command of a block is run here."""
    placeholder = any(re.fullmatch(r"[A-Z]{3,}", word) for word in command.words)
    possible = not placeholder and not LEFT_BY_OTHERS & set(command.words)
    return command.block and possible and (kind(command) in AS_PRINTED or kind(command) in SHORT)


def folder_of(tmp_path: Path) -> Path:
    """A folder that looks like a clone, with a table of numbers in it."""
    for name in FOLDERS:
        (tmp_path / name).symlink_to(ROOT / name)
    shop(tmp_path / "data.csv")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(runs, commands(page)))])
def test_the_commands_of_a_page_run(page: str, tmp_path: Path) -> None:
    """One after another in one folder, so that each finds what those before it left."""
    folder = folder_of(tmp_path)
    for command in filter(runs, commands(page)):
        done = run(shortened(command), folder)
        fine = {0, SOMETHING_TO_LOOK_AT} if kind(command) == "agents watch" else {0}
        assert done.returncode in fine, f"{command}\n{done.stderr}"
