"""How the agents are built: imports are relative and point one way, and the evaluation knows no kind of player."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from helpers_imports import imports_of, own_modules, parsed, reached_into

FOLDER = Path(__file__).parents[2] / "agents"
NAME = FOLDER.name
MODULES = parsed(FOLDER)
# From what all use to the commands: a module imports none that stands further down.
ORDER = (
    *("command_line", "progress", "tasks", "archive"),
    "players",  # what plays: the protocol, the registry, scripts, saved models
    "evaluation",  # which knows players by their protocol
    "sealing",
    "audit",  # by agents that try to buy a score
    "terminal",  # where a person plays
    "pretrained",  # models that come with the package
    "llm",
    "chat_model",  # a small language model that learns from demonstrations alone
    "demonstrate",  # episodes of experts as data
    "board",  # results that others can verify
    "training",
    "own_data",  # a history of one's own
    *("train_chat", "train_ppo", "train_rllib", "train_sb3", "train_torchrl", "train_trl", "replay", "page", "cli"),
    *("__init__", "__main__"),
)
# Inside the folders, likewise.
INSIDE = {
    "players": (
        *("__init__", "card_file", "failures", "outcome", "player", "agent", "policy", "registry"),
        *("books", "models", "scripts"),
    ),
    "evaluation": (
        *("__init__", "intervals", "rows", "evaluate", "paired", "quiet", "rates", "report", "charts", "leaderboard"),
    ),
    "llm": (
        *("__init__", "faults", "stream", "reply", "messages", "schemas", "card", "adapt", "client"),  # one request
        *("transcript", "journal", "episode", "run", "summary", "command", "__main__"),
    ),
    "chat_model": ("__init__", "shape", "tokens", "shown", "network", "fitting", "saved", "reply", "player"),
    "audit": ("__init__", "door", "guesser", "exploit", "blind", "cheats", "owner", "command"),
    "terminal": ("__init__", "lines", "screen", "game", "command"),
    "demonstrate": ("__init__", "expert", "chat", "atif", "offline", "command"),
    "page": (
        *("__init__", "entries", "calls", "retelling", "transcripts", "scored", "boards", "collection"),
        *("plots", "my_data", "command"),
    ),
    "pretrained": ("__init__", "figures"),
    "board": ("__init__", "manifest", "words", "evidence", "differences", "submit", "verify", "command"),
    "own_data": ("__init__", "options", "files", "picture", "fit", "inject", "report", "watch", "command"),
    "training": (
        *("__init__", "settings", "curve", "held_out", "recorder", "demonstrations", "checkpoint"),
        *("sb3_run", "export"),
    ),
}
# What of players the evaluation imports: none of the scripts, models and language models.
PROTOCOL = {"players.failures", "players.outcome", "players.player", "players.registry"}


def package_of(module: str) -> str:
    """Dotted name of the package that a module is in."""
    return ".".join([NAME, *module.split(".")[:-1]])


GRAPH = {name: own_modules(tree, MODULES, NAME, package_of(name)) - {name} for name, tree in MODULES.items()}


def layer(module: str) -> tuple[int, int]:
    """Position of a module in the order, and in that of its folder."""
    first, _, inner = module.partition(".")
    return ORDER.index(first), INSIDE[first].index(inner.split(".")[0]) if inner else -1


@pytest.mark.parametrize("module", MODULES)
def test_imports_are_relative(module: str) -> None:
    """No module names the package, which is called otherwise where it is installed."""
    for node in ast.walk(MODULES[module]):
        named = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not {name.split(".")[0] for name in named} & {NAME, "metric_tracker_agents"}


def test_imports_point_up_the_layers() -> None:
    """No module imports one that stands further down, those of a folder likewise, and none imports itself by others."""
    assert list(TopologicalSorter(GRAPH).static_order())
    downwards = {(module, name) for module, names in GRAPH.items() for name in names if layer(name) > layer(module)}
    assert downwards == set()


def test_every_layer_exists() -> None:
    """Each layer is a module or a folder of modules, and each folder holds just what it names."""
    assert {ORDER[layer(name)[0]] for name in MODULES} == set(ORDER)
    for folder, names in INSIDE.items():
        inner = {name.split(".")[1] for name in MODULES if name.startswith(f"{folder}.")}
        assert inner == set(names)


def test_the_evaluation_knows_the_protocol_alone() -> None:
    """What the evaluation imports of players is what every kind of them has."""
    used = {name for module in MODULES if module.startswith("evaluation.") for name in GRAPH[module]}
    assert {name for name in used if name.startswith("players.")} == PROTOCOL
    assert not {name for name in used if name.startswith(("llm.", "training."))}
    # And the registry, in turn, knows no kind but that of agents, which any class can be.
    assert GRAPH["players.registry"] == {"players.agent", "players.player"}


@pytest.mark.parametrize("module", MODULES)
def test_agents_use_public_names_only(module: str) -> None:
    """Agents import public names and reach into nobody's private attributes."""
    tree = MODULES[module]
    ours = {NAME, "metric_tracker_env"}
    imported = {name for source, name in imports_of(tree, package_of(module)) if source.split(".")[0] in ours and name}
    assert not {name for name in imported if name.startswith("_")}
    assert not reached_into(tree)
