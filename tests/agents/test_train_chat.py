"""A small language model learns from demonstrations alone, and what a run leaves plays, without pickles."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.chat_model.fitting import NOWHERE, Batch, batches, loss_of
from agents.chat_model.network import Network
from agents.chat_model.player import ChatModel
from agents.chat_model.reply import Speaker
from agents.chat_model.saved import CARD_FILE, WEIGHTS_FILE, read_chat_card
from agents.chat_model.shape import Shape
from agents.chat_model.shown import Shown, talks_of
from agents.chat_model.tokens import PAD
from agents.cli import main as cli
from agents.evaluation.evaluate import evaluate
from agents.players.models.arrays import write_arrays
from agents.players.registry import find_player
from agents.train_chat import Options, main, schedule, train
from agents.training.curve import Curve
from metric_tracker_env import find_task

TOY = """
training_seeds = [0, 5000]
held_out_seeds = [5000, 5400]
[config]
scenario_family = "rate_spike_from_median"
difficulty = "easy"
anomaly_count = 1
[config.generator]
num_weeks = 1
"""
TINY = Shape(width=16, layers=2, heads=2)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a task of a week with one incident."""
    path = tmp_path_factory.mktemp("task") / "toy.toml"
    path.write_text(TOY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def shown(toy: Path) -> Path:
    """Conversations of the analyst."""
    path = toy.parent / "shown.jsonl"
    cli(["demonstrate", "--task", str(toy), "--episodes", "250", "--output", str(path)])
    return path


@pytest.fixture(scope="module")
def model(toy: Path, shown: Path) -> Path:
    """A model of the conversations."""
    options = Options((shown,), toy.parent / "model", epochs=8, width=32, heads=2, layers=2, tasks=(str(toy),))
    options = replace(options, episodes=10, evaluations=2, evaluation_episodes=20)
    return train(replace(options, batch_tokens=800, learning_rate=6e-3))


def test_it_learns(toy: Path, model: Path) -> None:
    """From random weights and conversations alone it plays better than chance, by the ordinary evaluation."""
    task = find_task(toy)
    learnt, chance = (evaluate(agent, range(5000, 5040), task) for agent in (model, "random"))
    assert learnt.mean("score") > 0.5 > 0.25 > chance.mean("score")
    assert learnt.kind == "small language model"
    assert learnt.mean("cost") <= task.config.budget
    assert learnt.tools["submit"] > 20


def test_a_run_tells_what_it_is(model: Path) -> None:
    """The card says what it was shown; the curve says what it was worth, by CPU seconds of training."""
    card = read_chat_card(model)
    assert (card.name, card.tasks, card.agents) == ("model", ("toy",), ("analyst",))
    assert (card.conversations, card.fitted) == (250, 2000)
    curve = Curve.read(model / "curve-toy.csv", 10**9)
    assert [point.steps for point in curve.points][-1] == 2000
    assert len(curve.points) == 2
    assert 0 < curve.points[0].cpu_seconds < curve.points[1].cpu_seconds
    assert sorted(path.suffix for path in model.iterdir()) == [".csv", ".json", ".npz"]


def test_a_run_can_be_made_again(toy: Path, shown: Path, tmp_path: Path) -> None:
    """The same options leave the same bytes, and an evaluation does not depend on the number of processes."""
    few = tmp_path / "few.jsonl"
    few.write_text("".join(shown.read_text(encoding="utf-8").splitlines(keepends=True)[:40]), encoding="utf-8")
    small = Options((few,), tmp_path / "one", epochs=1, episodes=0, width=16, heads=2, layers=1)
    first, second = train(small), train(replace(small, output=tmp_path / "two" / "one"))
    for name in (CARD_FILE, WEIGHTS_FILE):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    other = train(replace(small, output=tmp_path / "three" / "one", seed=1))
    assert (other / WEIGHTS_FILE).read_bytes() != (first / WEIGHTS_FILE).read_bytes()
    task = find_task(toy)
    alone = evaluate(first, range(5000, 5026), task)
    assert evaluate(first, range(5000, 5026), task, workers=2).episodes == alone.episodes


def test_reading_bit_by_bit_is_reading_at_once(shown: Path) -> None:
    """What was kept of the tokens before gives what reading all of them again gives."""
    data = Shown.of([shown], 100)
    torch.manual_seed(0)
    network = Network(data.vocabulary.size, TINY).eval()
    tape = data.tapes[0]
    tokens, values = torch.tensor([tape.tokens]), torch.tensor([tape.values], dtype=torch.float64)
    with torch.inference_mode():
        whole, _ = network(tokens, values)
        parts, caches = [], None
        for first in range(0, len(tape), 7):
            part, caches = network(tokens[:, first : first + 7], values[:, first : first + 7], caches)
            parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_the_loss_is_that_of_speaking(shown: Path) -> None:
    """The loss of a batch is what the same network gives the expert's tokens one by one, padding or not."""
    data = Shown.of([shown], 100)
    torch.manual_seed(0)
    network = Network(data.vocabulary.size, TINY).eval()
    tapes = [data.tapes[0], max(data.tapes, key=len)]
    found = list[float]()
    with torch.inference_mode():
        for tape in tapes:
            after, _ = network(torch.tensor([tape.tokens]), torch.tensor([tape.values], dtype=torch.float64))
            for place in np.flatnonzero(tape.own):
                spoken, pointed = network.scores(after[:, place - 1 : place], after[:, :place])
                share = torch.softmax(torch.cat([spoken[0, 0], pointed[0, 0]]), dim=0)
                same = torch.tensor(tape.ids[:place]) == tape.ids[place]
                chance = share[network.size :][same].sum()
                if tape.ids[place] < network.size:
                    chance += share[tape.ids[place]]
                found.append(-float(chance.log()))
        loss = float(loss_of(network, Batch.of(tapes)))
    assert loss == pytest.approx(np.mean(found), rel=1e-4)


def test_batches_hold_each_conversation_once(shown: Path) -> None:
    """No conversation is left out or comes twice, and batches keep to their size; padding is no target."""
    data = Shown.of([shown], 100)
    found = batches(data.tapes, 700, np.random.default_rng(0))
    assert sorted(id(tape) for part in found for tape in part) == sorted(map(id, data.tapes))
    assert all(len(part) * max(map(len, part)) <= 700 for part in found)
    batch = Batch.of([data.tapes[0], max(data.tapes, key=len)])
    assert int((batch.tokens == PAD).sum()) == abs(len(data.tapes[0]) - max(map(len, data.tapes)))
    assert int((batch.targets != NOWHERE).sum()) == sum(data.tapes[0].own) + sum(max(data.tapes, key=len).own)
    (single,) = batches(data.tapes[:1], 1, np.random.default_rng(0))
    assert single == data.tapes[:1]


def test_random_weights_play_and_cost_themselves(toy: Path, model: Path, tmp_path: Path) -> None:
    """A model that knows nothing is refused call after call, hands nothing in, and never raises."""
    folder = tmp_path / "random"
    shutil.copytree(model, folder)
    card = read_chat_card(folder)
    torch.manual_seed(0)
    weights = Network(card.vocabulary.size, card.shape).state_dict()
    write_arrays(folder / WEIGHTS_FILE, {name: value.numpy() for name, value in weights.items()})
    task = find_task(toy)
    played = evaluate(find_player(folder), range(5000, 5003), task)
    assert played.mean("score") == 0.0
    assert min(played.episodes.illegal) > 0
    assert set(played.episodes.failure) <= {"protocol_error", "budget_exhausted", "gave_up"}


def test_a_call_is_cut_off(model: Path) -> None:
    """What has no end after so many tokens is what was said."""
    card = read_chat_card(model)
    torch.manual_seed(0)
    speaker = Speaker(Network(card.vocabulary.size, card.shape).eval(), card.vocabulary)
    speaker.reply(5)
    assert len(speaker.tape) <= 2 + 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 2}, "format 2"),
        ({"environment_id": "Other-v0"}, "plays environment"),
        ({"shape": {"width": 30, "layers": 2, "heads": 2}}, "no multiple"),
        ({"shape": {"width": 64, "layers": 2, "heads": 2}}, "is needed"),
        ({"longest_call": 0}, "longest_call"),
    ],
)
def test_a_bad_card_is_refused(model: Path, tmp_path: Path, change: dict[str, object], told: str) -> None:
    """A card that is of another version, or not of the weights beside it, says so."""
    folder = tmp_path / "bad"
    shutil.copytree(model, folder)
    card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    (folder / CARD_FILE).write_text(json.dumps(card | change), encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        ChatModel(folder)


def test_bad_weights_are_refused(model: Path, tmp_path: Path) -> None:
    """Weights that are missing, no arrays, of another shape or not finite are refused; nothing is unpickled."""
    folder = tmp_path / "bad"
    shutil.copytree(model, folder)
    path = folder / WEIGHTS_FILE
    state = {name: value.numpy() for name, value in _network(model).state_dict().items()}
    for damage in ("missing", "text", "object", "shape", "infinite"):
        path.unlink(missing_ok=True)
        if damage == "text":
            path.write_text("weights")
        elif damage == "object":
            np.savez(path, **{"words.weight": np.array([{}], dtype=object)})  # pyright: ignore[reportArgumentType]
        elif damage == "shape":
            write_arrays(path, state | {"speak.bias": np.zeros(3, np.float32)})
        elif damage == "infinite":
            write_arrays(path, state | {"speak.bias": np.full_like(state["speak.bias"], np.inf)})
        with pytest.raises(ValueError, match="cannot be read"):
            find_player(folder)


def _network(folder: Path) -> Network:
    card = read_chat_card(folder)
    return Network(card.vocabulary.size, card.shape)


def test_what_is_no_conversation_is_refused(
    shown: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of a file is named; options out of range and a folder in use too."""
    bad = tmp_path / "bad.jsonl"
    row = json.loads(shown.read_text(encoding="utf-8").splitlines()[0])
    for line in ("{", "[]", json.dumps(row | {"messages": row["messages"][:2]}), json.dumps(row | {"messages": []})):
        bad.write_text(f"{json.dumps(row)}\n{line}\n", encoding="utf-8")
        with pytest.raises(ValueError, match="line 2, is no conversation"):
            talks_of(bad)
    assert next(len(talk.turns) for talk in talks_of(shown)) == (len(row["messages"]) - 1) // 2
    bad.write_text("", encoding="utf-8")
    given = ["--demonstrations", str(shown), "--output", str(tmp_path / "out")]
    for options, told in (
        ([*given[:1], str(bad), *given[2:]], "hold no conversation"),
        ([*given[:1], str(tmp_path / "none"), *given[2:]], "cannot be read"),
        ([*given[:3], str(model)], "holds a model already"),
        (given, "'toy' is not one of"),
        ([*given, "--epochs", "0"], "epochs 0"),
        ([*given, "--learning-rate", "-1"], "learning_rate"),
        ([*given, "--episodes", "0", "--width", "30"], "no multiple"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(options)
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_learning_rate_rises_and_falls() -> None:
    """It begins and ends at nothing."""
    assert schedule(0.0) == 0.0
    assert schedule(0.05) == pytest.approx(1.0, abs=0.01)
    assert schedule(1.0) == pytest.approx(0.0)
