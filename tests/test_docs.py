"""What the documents say is true: tables of the environment's docstring, pages that are made, code of the first steps.

Code and commands of all pages are run by ``tests/docs``; here is what needs no more than the core's extras.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from helpers_env import ENV_ID

from metric_tracker_env import TASKS, MetricTrackerEnv, tasks
from metric_tracker_env.config import EnvConfig, GeneratorConfig, ToolCosts, View
from metric_tracker_env.config.page import configuration_page
from metric_tracker_env.tools.page import tools_page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENT = MetricTrackerEnv.__doc__ or ""
HEADINGS = [
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Information",
    "Arguments",
    "Search",
    "Vectorized environment",
    "Version History",
]


def rows_of(heading: str) -> list[list[str]]:
    """Cells of the table below a heading of the class docstring, without its header."""
    section = DOCUMENT.split(f"## {heading}\n")[1].split("## ")[0]
    lines = [line.strip() for line in section.splitlines() if line.strip().startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def made(view: View) -> MetricTrackerEnv:
    env = gym.make(ENV_ID, view=view).unwrapped
    assert isinstance(env, MetricTrackerEnv)
    return env


def test_the_docstring_has_the_usual_headings() -> None:
    """The headings are those of Gymnasium's own environments, in order."""
    assert re.findall(r"^ *## (.+)$", DOCUMENT, flags=re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("view", ["focus", "board"])
def test_the_table_of_actions_covers_the_action_space(view: View) -> None:
    """Each line of the table names the tool and cost of its actions, and together they are all actions."""
    env = made(view)
    days, block = env.config.generator.num_days, env.actions.block
    covered = np.zeros(len(env.actions), int)
    for _, first, number, text, cost in (row for row in rows_of("Action Space") if row[0] == view):
        offsets = range(0, days * block, block) if first.startswith("35 d") else [0]
        start = int(first.replace("35 d + ", ""))
        for index in (offset + start + i for offset in offsets for i in range(int(number))):
            covered[index] += 1
            tool = env.actions.decode(index).tool
            assert tool in text or ("scan of each family" in text and tool.startswith("get_"))
            assert env.actions.cost[index] == getattr(env.config.costs, cost)
    assert (covered == 1).all()


@pytest.mark.parametrize("view", ["focus", "board"])
def test_the_table_of_observations_is_the_layout(view: View) -> None:
    """Names, shapes and first places of the parts are those of the layout."""
    parts = made(view).observation_layout.parts
    told = [(name, shape, int(first)) for kind, name, shape, first in rows_of("Observation Space") if kind == view]
    assert told == [(name, str(part.shape), part.start) for name, part in parts.items()]


def test_the_docstring_names_every_option_and_outcome() -> None:
    """Every field of the config and every key of info is told."""
    env = made("focus")
    env.reset(seed=0)
    *_, info = env.step(env.actions.encode("submit"))
    for name in [*type(env.config).model_fields, *info]:
        assert f"``{name}``" in DOCUMENT


def test_the_first_steps_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the README and of the first page runs from top to bottom."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tasks, "TASKS", dict(TASKS))  # it registers a task of its own
    first_page = (ROOT / "docs" / "getting_started.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", README + first_page, flags=re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["terminated"] is not None


def test_the_page_of_the_environment_is_up_to_date() -> None:
    """docs/environment.md is what its program makes of the docstring."""
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    command = [sys.executable, "docs/make_environment.py"]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, check=True).stdout == page
    assert re.findall(r"^## (.+)$", page, flags=re.MULTILINE) == HEADINGS


def test_the_page_of_the_tools_is_up_to_date() -> None:
    """docs/tools.md is what the tools' signatures and docstrings make of it, and what the command prints."""
    page = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    assert page == tools_page(EnvConfig())
    command = [sys.executable, "-m", "metric_tracker_env.tools.page"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == page


def test_the_page_of_the_configuration_is_up_to_date() -> None:
    """docs/configuration.md is what the configs' fields and docstrings make of it, and what the command prints."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == configuration_page()
    command = [sys.executable, "-m", "metric_tracker_env.config.page"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == page


def test_every_option_has_a_line_on_the_page_of_the_configuration() -> None:
    """Each field of an environment's, a funnel's and the costs' config stands in a table with its meaning."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for model in (EnvConfig, GeneratorConfig, ToolCosts):
        for name, field in model.model_fields.items():
            lines = re.findall(rf"^\| `{name}` \| .+ \|$", page, re.MULTILINE)  # a step has keys that a funnel has
            assert field.description
            assert any(line.endswith(f"| {field.description} |") for line in lines)


def test_the_readme_names_what_exists() -> None:
    """Files, images, programs, tasks and extras that the README names are there."""
    for path in re.findall(r"\]\(([\w/.]+)\)", README) + re.findall(r"python (benchmarks/\w+\.py)", README):
        assert (ROOT / path).is_file(), path
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {name for names in re.findall(r'-e "\.\[([\w,]+)\]"', README) for name in names.split(",")}
    assert len(named) >= 3
    assert named <= set(extras)
    assert set(re.findall(r'task="(\w+)"', README)) <= set(TASKS) | set(re.findall(r'Task\(name="(\w+)"', README))
    assert "<!--" not in README


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("CITATION.cff", "\nversion: {}\n"),
        ("Dockerfile", 'image.version="{}"'),
        ("CHANGELOG.md", "\n## {} ("),
    ],
)
def test_a_release_changes_every_version(path: str, line: str) -> None:
    """What states the version states that of the package."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert line.format(version) in (ROOT / path).read_text(encoding="utf-8")
