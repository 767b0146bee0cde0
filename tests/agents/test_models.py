"""Saved models: what a card says, what is refused, and that they play as in single environments."""

from __future__ import annotations

import importlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import metric_tracker_env
from agents import ModelAgent, cli, evaluate, fingerprint, is_model, leaderboard, load_model, save_mlp, write_card
from agents.evaluation.evaluate import held_out_seeds
from agents.evaluation.report import Comparison
from agents.players.models import CARD_FILE, MODEL_FILE, WEIGHTS_FILE, Activation, ModelCard
from agents.players.scripts.desk import Desk
from metric_tracker_env import EnvConfig, GeneratorConfig, MetricTrackerEnv, load_config
from metric_tracker_env.config import View
from metric_tracker_env.tasks import build_config

ROOT = Path(__file__).parents[2]
FOCUS, BOARD = EnvConfig(), EnvConfig(view="board")
TOLD: dict[str, Any] = {"library": "torch", "algorithm": "ppo", "steps": 7, "seed": 3}
Layers = list[tuple[np.ndarray, np.ndarray]]


def sizes(config: EnvConfig) -> tuple[int, int]:
    """Numbers of an observation, and actions."""
    env = MetricTrackerEnv(config=config)
    return env.observation_layout.size, len(env.actions)


def random_layers(config: EnvConfig, hidden: int = 24, seed: int = 0) -> Layers:
    """A network with one hidden layer."""
    draws, (inputs, actions) = np.random.default_rng(seed), sizes(config)
    first = draws.normal(size=(inputs, hidden)) / np.sqrt(inputs), draws.normal(size=hidden)
    return [first, (draws.normal(size=(hidden, actions)), draws.normal(size=actions))]


def saved(folder: Path, config: EnvConfig = FOCUS, masked: bool = True, name: str = "net", seed: int = 0) -> Path:
    """A random network, saved."""
    layers = random_layers(config, seed=seed)
    save_mlp(folder, layers, "tanh", name=name, masked=masked, config=config, **TOLD)
    return folder


def threshold_layers(config: EnvConfig) -> Layers:
    """One layer, by hand: survey; then open the next flagged date, inspect what its flags ask for, report all; submit.

    An action's logit is its rank; inspections come up from below where their family's flag is set.
    """
    env = MetricTrackerEnv(config=config)
    desk, flags = Desk(env), env.observation_layout.parts["focus_flags"].places
    inputs, actions = sizes(config)
    weight, bias = np.zeros((inputs, actions)), np.full(actions, -1000.0)
    bias[desk.survey], bias[desk.submit] = 90.0, 0.0
    bias[[desk.report(0, entity) for entity in range(len(desk.entities))]] = 30.0
    bias[env.actions.encode("rows_for_date", date="next_flagged")] = 10.0
    order = (("check_impossible_counts", 6), ("hourly_rows_for_date", 5), ("detect_funnel_break", 4))
    for rank, (tool, family) in enumerate(order):
        action = desk.inspect(tool, 0)
        weight[flags[family], action], bias[action] = 1000.0, -1000.0 + 60.0 - rank
    return [(weight, bias)]


# Fingerprint and card


def test_fingerprint_is_of_what_the_network_sees_and_does() -> None:
    """View, funnel and weeks change it; difficulty, incidents, reward, costs, calendar and traffic do not."""
    same = [
        EnvConfig(difficulty="hard", anomaly_count=(1, 5), reward="dense", budget=9, step_cost=0.0, step_limit=20),
        EnvConfig(scenario_family="funnel_break", generator=GeneratorConfig(base_daily_count=900)),
        EnvConfig.model_validate({"generator": {"end_date": "2025-01-31"}}),
    ]
    other = [
        BOARD,
        EnvConfig(generator=GeneratorConfig(num_weeks=5)),
        EnvConfig.model_validate({"generator": {"entry_step": "visits", "conversion_definitions": []}}),
        load_config(ROOT / "configs" / "ecommerce.toml"),
    ]
    assert {fingerprint(config) for config in same} == {fingerprint(FOCUS)}
    assert len({fingerprint(config) for config in [FOCUS, *other]}) == len(other) + 1
    assert len(fingerprint(FOCUS)) == 64


def test_a_saved_model_reads_back(tmp_path: Path) -> None:
    """Card and weights are what was saved; the card names the environment and the version."""
    layers = random_layers(BOARD)
    card = save_mlp(tmp_path / "a", layers, "relu", name="mine", masked=True, config=BOARD, **TOLD)
    model = load_model(tmp_path / "a", BOARD.model_copy(update={"difficulty": "hard"}))
    assert model.card == card == ModelCard.model_validate_json((tmp_path / "a" / CARD_FILE).read_text())
    assert (card.environment_id, card.version) == (metric_tracker_env.ENV_ID, metric_tracker_env.__version__)
    assert (card.name, card.policy, card.steps, card.seed, card.config) == ("mine", "mlp", 7, 3, BOARD)
    assert is_model(tmp_path / "a")
    assert not is_model(tmp_path)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_network_is_what_its_layers_say(activation: Activation, tmp_path: Path) -> None:
    """Greedy actions equal a plain float64 evaluation of the layers, over all actions or over the legal ones."""
    layers, draws = random_layers(FOCUS), np.random.default_rng(1)
    observations = draws.normal(size=(50, sizes(FOCUS)[0])).astype(np.float32)
    masks = draws.random((50, sizes(FOCUS)[1])) < 0.2
    masks[:, -1] = True
    (weight, bias), (last, offset) = layers
    inner = observations @ weight + bias
    logits = (np.tanh(inner) if activation == "tanh" else np.maximum(inner, 0)) @ last + offset
    for masked in (False, True):
        save_mlp(tmp_path, layers, activation, name="net", masked=masked, config=FOCUS, **TOLD)
        actions = load_model(tmp_path).policy.actions(observations, masks)
        assert actions.dtype == np.int64
        assert (actions == np.where(masks | (not masked), logits, -np.inf).argmax(axis=1)).all()


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[2:], "layers is empty"),
        (lambda layers: layers[1:], "layer 0 takes 24 numbers; the observation has 361"),
        (lambda layers: layers[:1], "layer 0 gives 24 numbers; there are 75 actions"),
        (lambda layers: [layers[0], (layers[1][0][:-1], layers[1][1])], "layer 1 takes 23 numbers; layer 0 gives 24"),
        (lambda layers: [layers[0], (layers[1][0], layers[1][1][:-1])], r"layer 1 has a weight \(24, 75\) and a bias"),
        (lambda layers: [layers[0], (layers[1][0].T, layers[1][1])], r"layer 1 has a weight \(75, 24\)"),
        (
            lambda layers: [layers[0], (layers[1][0] * np.nan, layers[1][1])],
            "layer 1 holds numbers that are not finite",
        ),
        (lambda layers: [(layers[0][0], layers[0][1] + 1e300), layers[1]], "layer 0 holds numbers that are not finite"),
        (lambda layers: [(layers[0][0].astype(object), layers[0][1]), layers[1]], "dtype object"),
    ],
)
def test_save_refuses_other_layers(change: Any, message: str, tmp_path: Path) -> None:
    """Layers must lead from the observation to the actions with finite numbers; nothing is written otherwise."""
    with pytest.raises(ValueError, match=message):
        save_mlp(tmp_path / "a", change(random_layers(FOCUS)), "tanh", name="x", masked=True, config=FOCUS, **TOLD)
    assert not (tmp_path / "a").exists()


def test_save_refuses_another_activation_and_a_bad_card(tmp_path: Path) -> None:
    """Names that mean nothing are refused with those that do."""
    swish: Any = "swish"
    with pytest.raises(ValueError, match=r"activation 'swish' is not one of \['tanh', 'relu'\]"):
        save_mlp(tmp_path, random_layers(FOCUS), swish, name="x", masked=True, config=FOCUS, **TOLD)
    sb3: dict[str, Any] = {"name": "x", "policy": "sb3", "config": FOCUS, **TOLD}
    with pytest.raises(ValueError, match=r"algorithm 'a2c' is not one of .*, as policy 'sb3' needs"):
        write_card(tmp_path, **sb3 | {"algorithm": "a2c", "masked": False})
    with pytest.raises(ValueError, match="masked True is wrong for 'dqn'; only 'maskable_ppo' takes a mask"):
        write_card(tmp_path, **sb3 | {"algorithm": "dqn", "masked": True})
    with pytest.raises(ValueError, match="name"):
        write_card(tmp_path, **sb3 | {"name": "", "masked": False})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2; this version reads format 1"),
        ({"environment_id": "Other-v0"}, "plays environment 'Other-v0'; this is 'MetricTracker-v0'"),
        (
            {"fingerprint": "0" * 64, "version": "0.0.1"},
            r"saved by metric_tracker_env 0\.0\.1, .* this version, 0\.1\.0",
        ),
        ({"steps": "many"}, "is not valid: steps: Input should be a valid integer"),
        ({"wings": 2}, "is not valid: wings: Extra inputs are not permitted"),
        ({"policy": "table"}, "is not valid: policy: Input should be 'sb3' or 'mlp'"),
        (
            {"policy": "sb3", "algorithm": "ppo", "masked": False},
            "has no model.zip, the weights that its card speaks of",
        ),
    ],
)
def test_load_refuses_a_wrong_card(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Another format, environment, version or field is told in one sentence."""
    card = json.loads((saved(tmp_path) / CARD_FILE).read_text())
    (tmp_path / CARD_FILE).write_text(json.dumps(card | change))
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path)


def test_load_refuses_what_is_missing_or_damaged(tmp_path: Path) -> None:
    """No folder, no card, no weights, and files that hold something else."""
    with pytest.raises(ValueError, match="absent' does not exist"):
        load_model(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"has no model\.json"):
        load_model(tmp_path)
    card = (saved(tmp_path) / CARD_FILE).read_text()
    weights = (tmp_path / WEIGHTS_FILE).read_bytes()
    for damage in (weights[: len(weights) // 2], b"", b"PK\x03\x04 no zip"):
        (tmp_path / WEIGHTS_FILE).write_bytes(damage)
        with pytest.raises(ValueError, match=r"weights .*weights\.npz' cannot be read"):
            load_model(tmp_path)
    np.savez(tmp_path / WEIGHTS_FILE, activation=np.array("tanh"), weight_0=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read: Object arrays cannot be loaded"):
        load_model(tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(ValueError, match=r"has no weights\.npz"):
        load_model(tmp_path)
    for damage in (card[:50], "", "[" * 100_000):
        (tmp_path / CARD_FILE).write_text(damage)
        with pytest.raises(ValueError, match=r"model card .* is not JSON"):
            load_model(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BOARD, "does not fit the environment: its view is 'focus' and the environment's 'board'$"),
        (EnvConfig(generator=GeneratorConfig(num_weeks=5)), "its episodes have 28 days and the environment's 35$"),
        (
            load_config(ROOT / "configs" / "ecommerce.toml"),
            "its funnel has 20 entities and the environment's 24; only in its: event_count app_opens, .*; its episodes",
        ),
        (
            EnvConfig.model_validate(
                {"generator": {"conversion_definitions": FOCUS.generator.model_dump()["conversion_definitions"][::-1]}}
            ),
            "its funnel has 20 entities and the environment's 20; they are in another order$",
        ),
    ],
)
def test_load_refuses_an_environment_that_it_does_not_fit(config: EnvConfig, message: str, tmp_path: Path) -> None:
    """The error says which of view, funnel and weeks differ, and what each is."""
    saved(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path, config)
    with pytest.raises(ValueError, match=message):
        ModelAgent(MetricTrackerEnv(config=config), tmp_path)


def test_a_model_plays_this_environment_only() -> None:
    """An environment of another kind is refused by name."""
    with pytest.raises(TypeError, match="CartPoleEnv; saved models play MetricTrackerEnv"):
        ModelAgent(gym.make("CartPole-v1"), "nowhere")


# Playing


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("view", ["focus", "board"])
def test_many_lanes_play_as_single_environments(view: View, masked: bool, tmp_path: Path) -> None:
    """A model in a batch does what it does in single environments, to the last row, with illegal actions too."""
    saved(tmp_path, EnvConfig(view=view), masked)
    seeds = held_out_seeds("hard_mixed", 260)  # more than one batch
    together = evaluate(tmp_path, seeds, "hard_mixed")
    alone = evaluate(partial(ModelAgent, model=tmp_path), seeds, "hard_mixed", options={"view": view})
    assert together.episodes == alone.episodes
    assert together.rows == alone.rows
    assert together.tools == alone.tools
    assert together.model == load_model(tmp_path).card
    assert (max(together.episodes.illegal) > 0) != masked


def test_a_network_written_by_hand_plays_as_the_script(tmp_path: Path) -> None:
    """One linear layer that surveys, opens, inspects and reports gives the evaluation of the threshold script."""
    save_mlp(tmp_path, threshold_layers(FOCUS), "relu", name="by_hand", masked=True, config=FOCUS, **TOLD)
    for task in ("easy_mixed", "hard_mixed"):
        model, script = (evaluate(agent, range(40), task) for agent in (tmp_path, "threshold"))
        assert model.episodes == script.episodes
        assert model.rows == script.rows
        assert model.tools == script.tools
        assert model.interval().mean > 0.2


def test_a_model_plays_in_its_own_view(tmp_path: Path) -> None:
    """A board model plays a focus task in the board view, unless the options name a view that it does not fit."""
    saved(tmp_path, BOARD)
    result = evaluate(str(tmp_path), range(3), "medium_mixed")
    assert result.config == build_config("medium_mixed", options={"view": "board"})
    assert result.agent == "net"
    with pytest.raises(ValueError, match="its view is 'board' and the environment's 'focus'"):
        evaluate(tmp_path, range(3), "medium_mixed", options={"view": "focus"})


# The leaderboard


def test_leaderboard_of_models_and_agents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models of both views stand beside agents, in tables of at most 100 columns, a file and two pictures."""
    image = importlib.import_module("matplotlib.image")
    name = "medium_mixed-focus-maskable_ppo-seed0"
    save_mlp(tmp_path / "a", threshold_layers(FOCUS), "relu", name=name, masked=True, config=FOCUS, **TOLD)
    models = [tmp_path / "a", saved(tmp_path / "b", BOARD, False, name="board_net")]
    found = leaderboard(models, "medium_mixed", 5, tmp_path / "out", agents=("analyst", "nothing"), workers=1)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    for text in ("analyst", "ppo-seed0", "board_net", "illegal", "hourly_traffic_mix_shift", "daytime_share"):
        assert text in printed
    assert found.tasks["medium_mixed"][0].agent == "analyst"
    assert found.models == {name, "board_net"}
    assert found == Comparison.model_validate_json((tmp_path / "out" / "leaderboard.json").read_text())
    for file in ("leaderboard.png", "recall.png"):
        picture = image.imread(tmp_path / "out" / file)
        assert min(picture.shape[:2]) > 300
        assert picture[..., :3].std() > 0.05


def test_compare_takes_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``compare`` and ``run`` take the folder of a model where they take a name."""
    folder, output = str(saved(tmp_path / "a")), str(tmp_path / "out")
    arguments = ["compare", "--tasks", "easy_mixed", "--episodes", "2", "--workers", "1", "--output", output]
    cli.main([*arguments, "--agents", "nothing", folder])
    written = Comparison.model_validate_json((tmp_path / "out" / "compare.json").read_text())
    assert {line.agent for line in written.summary} == {"net", "nothing"}
    cli.main(["run", "--agent", folder, "--difficulty", "hard", "--episodes", "2"])
    assert "net: mean of 2 episodes" in capsys.readouterr().out


def test_leaderboard_refuses_before_it_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that does not fit, two of one name, nobody or no task end it before an episode is played."""
    shop = load_config(ROOT / "configs" / "ecommerce.toml")
    net, other = saved(tmp_path / "a"), saved(tmp_path / "b", seed=1)
    wrong = saved(tmp_path / "c", shop, name="shop")

    def never(*given: Any, **named: Any) -> None:
        raise AssertionError((given, named))

    monkeypatch.setattr(sys.modules["agents.evaluation.leaderboard"], "evaluate", never)
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"task 'easy_mixed': model 'shop' does not fit .* 24 entities"):
        leaderboard([net, wrong], ("easy_mixed",), 5, out)
    with pytest.raises(ValueError, match="two are named 'net'"):
        leaderboard([net, other], "easy_mixed", 5, out)
    with pytest.raises(ValueError, match="two are named 'nothing'"):
        leaderboard([], "easy_mixed", 5, out, agents=("nothing", "nothing"))
    with pytest.raises(ValueError, match="agents is empty"):
        leaderboard([], "easy_mixed", 5, out, agents=())
    with pytest.raises(ValueError, match="tasks is empty"):
        leaderboard([net], (), 5, out)
    with pytest.raises(ValueError, match=r"tasks .* names something twice"):
        leaderboard([net], ("easy_mixed", "easy_mixed"), 5, out)
    with pytest.raises(ValueError, match=r"agent 'nowhere' is not one of .* and not the folder of a model"):
        leaderboard(["nowhere"], "easy_mixed", 5, out)
    assert not out.exists()


# Models of stable-baselines3


class Spaces(gym.Env[np.ndarray, np.int64]):
    """The spaces of the environment, which are all that a model is built from."""

    def __init__(self, config: EnvConfig) -> None:
        made = MetricTrackerEnv(config=config)
        self.observation_space, self.action_space = made.observation_space, made.action_space


def untrained(algorithm: str, config: EnvConfig) -> Any:
    """A small model of stable-baselines3 or sb3-contrib."""
    from metric_tracker_env.sb3 import BoardPolicy, board_policy_kwargs

    made = getattr(
        importlib.import_module("sb3_contrib" if algorithm == "maskable_ppo" else "stable_baselines3"),
        {"maskable_ppo": "MaskablePPO", "ppo": "PPO", "dqn": "DQN"}[algorithm],
    )
    env: Any = Spaces(config)
    if config.view == "board":
        return made(BoardPolicy, env, policy_kwargs=board_policy_kwargs(config), device="cpu", seed=1)
    return made("MlpPolicy", env, policy_kwargs={"net_arch": [16]}, device="cpu", seed=1)


@pytest.mark.parametrize(
    ("algorithm", "view"), [("maskable_ppo", "focus"), ("maskable_ppo", "board"), ("ppo", "focus"), ("dqn", "focus")]
)
def test_models_of_stable_baselines3_play(algorithm: str, view: View, tmp_path: Path) -> None:
    """A model that was saved with its card plays as the model in memory does, masked where it takes a mask."""
    config = EnvConfig(view=view)
    model = untrained(algorithm, config)
    model.save(tmp_path / MODEL_FILE)
    masked = algorithm == "maskable_ppo"
    told = {"library": "stable-baselines3", "algorithm": algorithm, "steps": 0, "seed": 1}
    write_card(tmp_path, name=algorithm, policy="sb3", masked=masked, config=config, **told)
    loaded = load_model(tmp_path, config)
    draws = np.random.default_rng(0)
    observations = draws.random((30, sizes(config)[0]), np.float32)
    masks = draws.random((30, sizes(config)[1])) < 0.3
    masks[:, -1] = True
    found = loaded.policy.actions(observations, masks)
    expected, _ = model.predict(observations, deterministic=True, **({"action_masks": masks} if masked else {}))
    assert found.dtype == np.int64
    assert (found == expected).all()
    result = evaluate(tmp_path, range(3), "medium_mixed")
    assert (result.agent, len(result.episodes.score)) == (algorithm, 3)
    if masked:
        assert masks[np.arange(30), found].all()
        assert max(result.episodes.illegal) == 0


def test_a_zip_of_another_network_is_refused(tmp_path: Path) -> None:
    """Weights whose spaces are not those of the card, or that are damaged, are told as such."""
    untrained("ppo", EnvConfig(generator=GeneratorConfig(num_weeks=2))).save(tmp_path / MODEL_FILE)
    told = {"library": "stable-baselines3", "algorithm": "ppo", "steps": 0, "seed": 1}
    write_card(tmp_path, name="x", policy="sb3", masked=False, config=FOCUS, **told)
    assert isinstance(Spaces(FOCUS).action_space, spaces.Discrete)
    with pytest.raises(ValueError, match=r"are of a network with observation \(.*; its card says \(361,\) and 75"):
        load_model(tmp_path)
    for damage in (b"", b"not a zip"):
        (tmp_path / MODEL_FILE).write_bytes(damage)
        with pytest.raises(ValueError, match=r"weights .*model\.zip' cannot be read"):
            load_model(tmp_path)


def test_a_missing_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without sb3-contrib the error says what to install, and the command line ends with it."""
    (tmp_path / MODEL_FILE).write_bytes(b"")
    told = {"library": "stable-baselines3", "algorithm": "ppo", "steps": 0, "seed": 1}
    write_card(tmp_path, name="x", policy="sb3", masked=False, config=FOCUS, **told)
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(ImportError, match=r"model 'x' needs .* pip install 'metric_tracker_env\[sb3\]'"):
        load_model(tmp_path)
    with pytest.raises(SystemExit, match=r"error: model 'x' needs .*\[sb3\]"):
        cli.main(["run", "--agent", str(tmp_path)])
    assert capsys.readouterr().out == ""
