"""The card of a saved model: what it says, what it fits, and which folders are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_models import BOARD, FOCUS, TOLD, random_layers, saved

import metric_tracker_env
from agents import ModelAgent, fingerprint, is_model, load_model, save_mlp, write_card
from agents.players.models.card import CARD_FILE, WEIGHTS_OF, ModelCard
from agents.tasks import presets
from metric_tracker_env import EnvConfig, GeneratorConfig, MetricTrackerEnv, load_config


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
        load_config(presets() / "ecommerce.toml"),
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
            rf"saved by metric_tracker_env 0\.0\.1, .* this version, {re.escape(metric_tracker_env.__version__)}",
        ),
        ({"steps": "many"}, "is not valid: steps: Input should be a valid integer"),
        ({"wings": 2}, "is not valid: wings: Extra inputs are not permitted"),
        ({"policy": "table"}, "is not valid: policy: Input should be 'sb3', 'mlp', 'focus' or 'board'"),
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
    weights = (tmp_path / WEIGHTS_OF["mlp"]).read_bytes()
    for damage in (weights[: len(weights) // 2], b"", b"PK\x03\x04 no zip"):
        (tmp_path / WEIGHTS_OF["mlp"]).write_bytes(damage)
        with pytest.raises(ValueError, match=r"weights .*weights\.npz' cannot be read"):
            load_model(tmp_path)
    np.savez(tmp_path / WEIGHTS_OF["mlp"], activation=np.array("tanh"), weight_0=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"cannot be read: array 'weight_0\.npy' is of dtype object"):
        load_model(tmp_path)
    (tmp_path / WEIGHTS_OF["mlp"]).unlink()
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
            load_config(presets() / "ecommerce.toml"),
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
