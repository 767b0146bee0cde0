"""Who can play: players by their name, and kinds of players by the file that marks a folder as theirs.

A kind of player registers itself, and nothing else knows of it::

    register_player("mine", Mine)        # a class, or a function without arguments, that gives a ``Player``

    @register_folder("mine.json")        # a folder that holds a file of that name
    def open_mine(folder: Path) -> Player: ...

    register_shelf("mine", Path("/somewhere"))   # "mine/NAME" is then the folder of that name in there

The commands find the kinds of an installed package by its entry points, of the group ``metric_tracker_agents.players``,
each of which names a module that registers players when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

from .agent import AgentFactory, AgentPlayer
from .player import Player

PLAYERS: dict[str, Callable[[], Player]] = {}
FOLDERS: dict[str, Callable[[Path], Player]] = {}
SHELVES: dict[str, Path] = {}
PLUGINS = "metric_tracker_agents.players"

OpenerT = TypeVar("OpenerT", bound=Callable[[Path], Player])
Given = str | Path | Player | AgentFactory


def register_player(name: str, make: Callable[[], Player]) -> None:
    """Enter a player into ``PLAYERS``.

    Args:
        name: By which it is asked for.
        make: Makes it, each time that it is asked for.

    Raises:
        ValueError: if the name is taken.
    """
    if name in PLAYERS:
        raise ValueError(f"agent {name!r} is registered twice")
    PLAYERS[name] = make


def register_folder(marker: str) -> Callable[[OpenerT], OpenerT]:
    """Decorator that enters into ``FOLDERS`` what opens the folder of a kind of player.

    Args:
        marker: Name of a file that each such folder holds, and none of another kind.

    Raises:
        ValueError: if another kind has this marker.
    """

    def enter(open_folder: OpenerT) -> OpenerT:
        if marker in FOLDERS:
            raise ValueError(f"marker {marker!r} of a player's folder is registered twice")
        FOLDERS[marker] = open_folder
        return open_folder

    return enter


def register_shelf(name: str, folder: Path) -> None:
    """Enter into ``SHELVES`` a folder of players' folders, which are then found as ``name/THEIRS`` from anywhere.

    Args:
        name: Without a slash.
        folder: That holds them.

    Raises:
        ValueError: if the name is taken.
    """
    if name in SHELVES:
        raise ValueError(f"shelf {name!r} of players is registered twice")
    SHELVES[name] = folder


def on_shelf(name: str) -> tuple[str, ...]:
    """The names of the players of a shelf, sorted."""
    held = sorted(SHELVES[name].iterdir())
    return tuple(path.name for path in held if any((path / marker).is_file() for marker in FOLDERS))


def folder_of(given: str | Path) -> Path:
    """The folder that is meant: that of a shelf, or the path; ``~`` is the home.

    Raises:
        ValueError: if a shelf holds none of that name.
    """
    shelf, slash, name = given.partition("/") if isinstance(given, str) else ("", "", "")
    if not slash or shelf not in SHELVES:
        return Path(given).expanduser()
    held = on_shelf(shelf)
    if name not in held:
        told = [f"{shelf}/{each}" for each in held]
        raise ValueError(f"agent {given!r} is not one of {told}; a folder of your own is './{given}'")
    return SHELVES[shelf] / name


def known_players() -> tuple[str, ...]:
    """The names of ``PLAYERS``, those of other packages included."""
    load_plugins()
    return tuple(PLAYERS)


def find_player(given: Given) -> Player:
    """What a name, a folder, or a factory of agents stands for.

    Raises:
        ValueError: if there is no player of that name, or the folder is of none or of a damaged one.
    """
    if isinstance(given, Player):
        return given
    names = known_players()
    if isinstance(given, str) and given in names:
        return PLAYERS[given]()
    if isinstance(given, (str, Path)):
        folder = folder_of(given)
        if not folder.is_dir():
            shelves = " or ".join(f"{shelf}/NAME" for shelf in SHELVES)
            raise ValueError(
                f"agent {str(given)!r} is not one of {list(names)}, no model {shelves} and not the folder of a player"
            )
        found = [marker for marker in FOLDERS if (folder / marker).is_file()]
        if len(found) != 1:
            held = " and ".join(found) or f"none of {', '.join(FOLDERS)}"
            raise ValueError(f"agent folder {str(given)!r} holds {held}; that of a player holds one of them")
        return FOLDERS[found[0]](folder)
    if not callable(given):
        raise ValueError(f"agent {given!r} is neither one of {list(names)}, nor a player, its folder, nor a factory")
    return AgentPlayer(getattr(given, "__name__", type(given).__name__), given)


@cache
def load_plugins() -> None:
    """Import what other packages name as players of theirs."""
    for plugin in entry_points(group=PLUGINS):
        plugin.load()
