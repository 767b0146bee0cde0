"""Players by name and by folder: one registry, which a kind of player enters by itself."""

from __future__ import annotations

import pickle
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers_models import saved
from pydantic import BaseModel

from agents import Evaluation, cli, evaluate, find_player, leaderboard, register_folder, register_player
from agents.evaluation.report import Comparison
from agents.players import registry
from agents.players.agent import play_agent
from agents.players.outcome import Played, Progress
from agents.players.player import Assignment, PlaysForNothing
from agents.players.registry import PLAYERS
from agents.players.scripts.simple import Nothing
from metric_tracker_env import EnvConfig
from metric_tracker_env.tasks import build_config

BOARD = EnvConfig(view="board", difficulty="easy")
PLUGIN = """
from functools import partial

from agents import AgentPlayer, register_player
from agents.players.scripts.simple import Nothing

register_player("brought", partial(AgentPlayer, "brought", Nothing))
"""


class ToyCard(BaseModel):
    """What a toy says of itself."""

    colour: str


@dataclass(frozen=True)
class Toy:
    """A player of a kind that nothing in the project knows: it plays the board view, at a price, and has a note."""

    name: str
    card: ToyCard
    held: int = 0  # episodes that have been paid for
    kind = "toy"
    trained_on = BOARD

    def check(self, config: EnvConfig) -> None:
        """It plays no week more than four."""
        if config.generator.num_weeks > 4:
            raise ValueError(f"toy {self.name!r} plays 4 weeks, not {config.generator.num_weeks}")

    def unpaid(self, asked: Assignment) -> int:
        """All but those that are held."""
        return max(0, len(asked.seeds) - self.held)

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Submit nothing, and say which task was told."""
        del pool
        played = play_agent(Nothing, asked.config, asked.seeds)
        if progress is not None:
            progress(len(asked.seeds))
        return played._replace(notes=(f"told of {'no task' if asked.task is None else asked.task.name}",))


@dataclass(frozen=True)
class Plain(PlaysForNothing):
    """A player that plays for nothing and was not trained."""

    name = "plain"
    kind = "toy"
    card = None
    trained_on = None

    def check(self, config: EnvConfig) -> None:
        """Any configuration will do."""

    def play(self, asked: Assignment, pool: Executor | None = None, progress: Progress | None = None) -> Played:
        """Submit nothing."""
        del pool, progress
        return play_agent(Nothing, asked.config, asked.seeds)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry with the two toys, for one test."""
    monkeypatch.setattr(registry, "PLAYERS", dict(PLAYERS))
    monkeypatch.setattr(registry, "FOLDERS", dict(registry.FOLDERS))
    register_player("plain", Plain)

    @register_folder("toy.txt")
    def open_toy(folder: Path) -> Toy:
        held = (folder / "toy.txt").read_text(encoding="utf-8")
        return Toy(folder.name, ToyCard(colour="red"), int(held))


def toy(folder: Path, held: int = 0) -> Path:
    """The folder of a toy."""
    folder.mkdir()
    (folder / "toy.txt").write_text(str(held), encoding="utf-8")
    return folder


@pytest.mark.usefixtures("toys")
def test_a_kind_of_its_own_is_evaluated(tmp_path: Path) -> None:
    """Its name or folder is enough: view, card, kind and notes are in the evaluation, which reads back."""
    folder = toy(tmp_path / "bear")
    played = evaluate(folder, range(3), "hard_mixed")
    assert (played.agent, played.kind, played.card) == ("bear", "toy", {"colour": "red"})
    assert played.config == build_config("hard_mixed", options={"view": "board"})
    assert played.notes == ("told of hard_mixed",)
    assert evaluate(folder, range(3), options={"view": "focus"}).notes == ("told of no task",)
    played.to_json(tmp_path / "played.json")
    assert Evaluation.from_json(tmp_path / "played.json") == played
    plain = evaluate("plain", range(3), "hard_mixed")
    assert (plain.kind, plain.card, plain.episodes) == ("toy", None, played.episodes)
    with pytest.raises(ValueError, match="toy 'bear' plays 4 weeks, not 5"):
        evaluate(folder, range(3), config=EnvConfig.model_validate({"generator": {"num_weeks": 5}}))


@pytest.mark.usefixtures("toys")
def test_a_kind_of_its_own_is_on_the_leaderboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stands beside scripts, bold if it has a card, is not paid for without leave, and its notes are told."""
    folder, out = toy(tmp_path / "bear", held=2), tmp_path / "out"
    command = ["compare", "--tasks", "easy_mixed", "--episodes", "3", "--workers", "1", "--output", str(out)]
    with pytest.raises(SystemExit):
        cli.main([*command, "--agents", str(folder), "plain", "nothing"])
    assert f"agent {str(folder)!r} holds 2 of the 3 episodes of ['easy_mixed']; give" in capsys.readouterr().err
    assert not out.exists()
    cli.main([*command, "--agents", str(folder), "plain", "nothing", "--play-missing"])
    assert "bear, easy_mixed: told of easy_mixed" in capsys.readouterr().out
    compared = Comparison.model_validate_json((out / "compare.json").read_text(encoding="utf-8"))
    assert {line.agent for line in compared.summary} == {"bear", "plain", "nothing"}
    assert compared.models == {"bear"}
    everyone = leaderboard([], "easy_mixed", 1, out, workers=1)
    assert {line.agent for line in everyone.summary} == {*PLAYERS, "plain"}
    cli.main(["run", "--agent", str(folder), "--episodes", "2", "--output", str(out / "run.json")])
    assert "bear: told of no task" in capsys.readouterr().out
    assert Evaluation.from_json(out / "run.json").config.view == "board"


def test_a_name_and_a_marker_belong_to_one_kind() -> None:
    """What is taken is refused."""
    with pytest.raises(ValueError, match="agent 'nothing' is registered twice"):
        register_player("nothing", Plain)
    with pytest.raises(ValueError, match=r"marker 'model\.json' of a player's folder is registered twice"):
        register_folder("model.json")(lambda _: Plain())


@pytest.mark.usefixtures("toys")
def test_a_folder_is_of_one_player(tmp_path: Path) -> None:
    """A folder that holds the marks of no kind, or of two, is refused with those there are; ``~`` is the home."""
    marks = r"chat_model\.json, llm\.json, books\.jsonl, model\.json, toy\.txt"
    with pytest.raises(ValueError, match=f"holds none of {marks}; that of a player holds one"):
        find_player(tmp_path)
    folder = toy(tmp_path / "bear")
    saved(folder)
    with pytest.raises(ValueError, match=r"bear' holds model\.json and toy\.txt; that of a player holds one of them"):
        find_player(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        toy(tmp_path / "cub")
        assert find_player("~/cub").name == "cub"


def test_scripts_are_players_that_can_be_pickled() -> None:
    """Each script, found by its name, can be sent to another process, and says that it was not trained."""
    for name in PLAYERS:
        player = find_player(name)
        assert pickle.loads(pickle.dumps(player)) == player
        assert (player.name, player.kind, player.card, player.trained_on) == (name, "script", None, None)
        assert player.unpaid(Assignment([1, 2], EnvConfig())) == 0
        assert find_player(player) is player


def test_installed_packages_bring_their_players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package names a module in its entry points, which registers its players once, when one is looked for."""
    monkeypatch.setattr(registry, "PLAYERS", dict(PLAYERS))
    info = tmp_path / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{registry.PLUGINS}]\ntoys = brought_toys\n", encoding="utf-8")
    (tmp_path / "brought_toys.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    registry.load_plugins.cache_clear()
    try:
        assert "brought" in registry.known_players()
        assert evaluate("brought", range(2)).tools == Counter(submit=2)
    finally:
        registry.load_plugins.cache_clear()
