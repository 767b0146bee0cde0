"""How the package is built: imports point one way, nothing optional is loaded, nothing is drawn from a global."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from helpers_env import ENV_ID
from helpers_imports import imports_of, own_modules, parsed, reached_into

import metric_tracker_env

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "metric_tracker_env"
NAME = PACKAGE.name
# The layers of the design, from the core to the border: a module imports none that stands further down.
ORDER = (
    *("model", "seal", "schema", "config", "measure", "tasks", "view", "submission"),  # the vocabulary and the rules
    *("history", "fitting"),  # a user's own data, and what is normal in them
    "world",  # from a key to a labelled episode
    *("scoring", "trials", "tools"),
    "play",  # from episodes to steps
    "render",
    "books",  # of what is played for score
    "session",  # an episode in words
    *("base_env", "env", "vector_env", "investigation"),  # the doors
    *("sb3", "serve"),
    "ui",  # the page
    "__init__",
    "inspect_task",  # a door that tells the id of the environment
)
# Inside the folders, likewise.
INSIDE = {
    "config": (
        "base",
        "world",
        "replay",
        "generator",
        "explicit",
        "episode",
        "environment",
        "load",
        "page",
        "__init__",
    ),
    "history": (
        *("errors", "columns", "zones", "counts", "times"),
        *("csv_file", "duckdb_query", "frames", "sources"),
        *("forms", "grid", "event_log", "laying", "checks", "record", "reading", "holiday_calendar", "__init__"),
    ),
    "fitting": ("seasons", "parameters", "funnel", "hours", "recent", "fit", "holiday_effects", "store", "__init__"),
    "world": (
        *("workspace", "rng", "traffic", "variants", "announced", "holidays", "replay"),  # what there is
        *("links", "proposals", "plan"),  # what it would do
        *("windows", "calendar", "injection", "layer", "planner", "spans", "labels"),  # where it falls
        *("reach", "bench", "advice", "explicit", "source", "episode"),
    ),
    "play": (
        *("actions", "items", "supply", "state", "layout", "observation", "outcome"),
        *("board", "focus", "engine", "single"),
    ),
    "render": ("sheet", "layout", "scene", "calendar", "frame", "text", "png", "__init__"),
    "ui": (
        *("options", "visitor", "visitors", "snapshot", "html", "library", "choosing", "watching", "own_data"),
        *("app", "__init__", "__main__"),
    ),
    "session": ("answers", "schemas", "evidence", "brief", "round", "session", "scored", "__init__"),
    "inspect_task": ("outcome", "play", "scores", "task", "__init__"),
}
OPTIONAL = {"matplotlib", "torch", "rich", "tyro", "pandas", "narwhals", "stable_baselines3", "sb3_contrib", "PIL"}
OPTIONAL |= {"duckdb", "holidays", "polars", "pyarrow", "tomli_w"}
OPTIONAL |= {"torchrl", "tensordict", "openai", "filelock"}
OPTIONAL |= {"openenv", "fastapi", "h11", "starlette", "uvicorn", "mcp", "inspect_ai"}
# A subpackage that is about a library imports it; nothing else of the package does.
ADAPTERS = {
    "sb3": {"stable_baselines3", "sb3_contrib", "torch"},
    "serve": {"anyio", "openenv", "fastapi", "h11", "starlette", "uvicorn", "mcp"},
    "ui": {"anyio", "starlette"},
    "inspect_task": {"inspect_ai"},
}
STANDS_ON = {"ui": {"serve"}}  # an adapter that another one may import
UNGUESSABLE = {"ui.visitors", "seal"}  # a visitor's cookie, a secret
CORE = {"gymnasium", "numpy", "pydantic", NAME}  # and pydantic_core, which pydantic is made of
CLOCK_PLACES = {("config.generator", "today")}  # end_date=None, the one place that looks at the calendar
RANDOM_ALLOWED = {"SeedSequence"}  # of numpy.random: a pure function of its argument


MODULES = parsed(PACKAGE)


class ModuleLevel(ast.NodeTransformer):
    """Leaves out what does not run at import: the bodies of functions, and what only type checkers read."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


GRAPH = {name: own_modules(tree, MODULES, NAME) - {name} for name, tree in MODULES.items()}


def layer(module: str) -> tuple[int, int]:
    """Position of a module in the order of the design, and in that of its folder where it has one."""
    first, _, inner = module.partition(".")
    inside = INSIDE.get(first, ())
    return ORDER.index(first), inside.index(inner) if inner in inside else -1


@pytest.mark.parametrize("module", MODULES)
def test_imports_are_absolute(module: str) -> None:
    """Each import names the module in full."""
    assert not [node for node in ast.walk(MODULES[module]) if isinstance(node, ast.ImportFrom) and node.level]


def test_imports_have_no_cycle() -> None:
    """The modules can be put in one order in which each imports earlier ones only, functions included."""
    assert set().union(*GRAPH.values()) <= GRAPH.keys()
    assert len(list(TopologicalSorter(GRAPH).static_order())) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_up_the_layers(module: str) -> None:
    """No module imports one that stands further down the order of the design."""
    assert not {name for name in GRAPH[module] if layer(name) > layer(module)}


def test_every_layer_exists() -> None:
    """Each layer of the design is a module or a folder of modules, and each folder holds just what it names."""
    assert {ORDER[layer(name)[0]] for name in MODULES} == set(ORDER)
    for folder, names in INSIDE.items():
        inner = {name.partition(".")[2] for name in MODULES if name.startswith(f"{folder}.")}
        assert inner - {"__init__"} == set(names) - {"__init__"}


@pytest.mark.parametrize("module", MODULES)
def test_module_level_imports_are_core_only(module: str) -> None:
    """At module level only the standard library, gymnasium, numpy, pydantic and the package itself are imported.

    An adapter imports its library too, and no other module imports an adapter.
    """
    own = module.split(".")[0]
    used = {name.split(".")[0] for name, _ in imports_of(ModuleLevel().visit(copy.deepcopy(MODULES[module])))}
    used -= ADAPTERS.get(own, set())
    assert used - CORE - {"pydantic_core"} <= sys.stdlib_module_names
    assert not used & OPTIONAL
    assert not {name.split(".")[0] for name in GRAPH[module]} & ADAPTERS.keys() - {own} - STANDS_ON.get(own, set())


@pytest.mark.parametrize("module", MODULES)
def test_no_private_name_crosses_a_module(module: str) -> None:
    """No module imports a private name of another one."""
    crossing = {name for source, name in imports_of(MODULES[module]) if source.startswith(NAME) and name}
    assert not {name for name in crossing if name.startswith("_") and name != "__version__"}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_reaches_into_anothers_attributes(module: str) -> None:
    """What a module needs of another's objects, those objects offer."""
    assert not reached_into(MODULES[module])


@pytest.mark.parametrize("module", MODULES)
def test_randomness_and_time_are_arguments(module: str) -> None:
    """No module uses the random module, numpy's global generator or the clock; one place asks for today's date."""
    tree = MODULES[module]
    sources = {source.split(".")[0] for source, _ in imports_of(tree)}
    assert not sources & {"random", "time", "secrets", "uuid"} - ({"secrets"} if module in UNGUESSABLE else set())
    drawn = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"np.random", "numpy.random"}
    }
    drawn |= {str(name) for source, name in imports_of(tree) if source.startswith("numpy.random")}
    assert drawn <= RANDOM_ALLOWED
    clocks = {
        (module, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"today", "now", "utcnow", "urandom"}
    }
    assert clocks <= CLOCK_PLACES


def test_today_is_asked_for_once() -> None:
    """The one look at the calendar is in config, written once."""
    text = "\n".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    assert text.count(".today(") == 1


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_docstrings(module: str) -> None:
    """Each module says in its docstring what it is."""
    assert ast.get_docstring(MODULES[module])


PROBE = f"""
import json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import {NAME}
print(json.dumps({{"modules": sorted({{name.split(".")[0] for name in sys.modules}}), "opened": opened}}))
"""


def test_import_is_quiet_and_light() -> None:
    """Importing the package prints nothing, loads nothing optional, and reads no file but code."""
    command = [sys.executable, "-W", "error", "-c", PROBE]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    lines = result.stdout.splitlines()
    assert result.stderr == ""
    assert len(lines) == 1
    found = json.loads(lines[0])
    assert NAME in found["modules"]
    assert not set(found["modules"]) & OPTIONAL
    ours = [Path(name) for name in found["opened"] if str(ROOT) in name and "site-packages" not in name]
    assert {path.suffix for path in ours} <= {".py", ".pyc"}
    assert not [path for path in ours if "configs" in path.parts]


def test_making_an_environment_loads_nothing_optional() -> None:
    """Playing without rendering works with the core dependencies alone."""
    program = (
        "import sys, gymnasium as gym\n"
        f"env = gym.make('{ENV_ID}')\n"
        "env.reset(seed=0); env.step(0)\n"
        f"envs = gym.make_vec('{ENV_ID}', num_envs=2)\n"
        "envs.reset(seed=0)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert not set(result.stdout.split()) & OPTIONAL
    assert result.stderr == ""


# The distribution


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_version_is_that_of_the_project() -> None:
    """The package and pyproject.toml name the same version."""
    assert metric_tracker_env.__version__ == project()["version"]


def test_the_package_is_typed() -> None:
    """The marker for type checkers is there."""
    assert (PACKAGE / "py.typed").is_file()


def test_core_dependencies_are_the_core() -> None:
    """What the package needs at module level is what its core dependencies are."""
    needed = project()["dependencies"]
    assert isinstance(needed, list)
    names = {str(item).split(">")[0].split("<")[0].split("=")[0].strip() for item in needed}
    assert names == CORE - {NAME}


def test_all_names_exist_and_are_sorted() -> None:
    """Everything in ``__all__`` can be imported, and it holds each name once, sorted as ruff sorts."""
    names = metric_tracker_env.__all__
    assert len(set(names)) == len(names)
    assert all(hasattr(metric_tracker_env, name) for name in names)
    assert not [name for name in names if name.startswith("_")]
