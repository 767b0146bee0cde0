"""The card of a saved model: what it is, what it was trained on, and what it fits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, StrictBool, StrictInt, ValidationError, model_validator

import metric_tracker_env
from metric_tracker_env import ENV_ID, EnvConfig, MetricTrackerEnv
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel

from ..card_file import read_card_file

CARD_FILE = "model.json"
FORMAT = 1
SB3_ALGORITHMS = ("maskable_ppo", "ppo", "dqn")

PolicyKind = Literal["sb3", "mlp", "focus", "board"]  # the last two share their weights over dates
WEIGHTS_OF: dict[PolicyKind, str] = {
    "sb3": "model.zip",
    "mlp": "weights.npz",
    "focus": "weights.npz",
    "board": "weights.npz",
}


class ModelCard(StrictModel):
    """What a saved model is."""

    name: str = Field(min_length=1, description="Shown on the leaderboard.")
    library: str = Field(min_length=1, description="That trained it: stable-baselines3, torch, torchrl, rllib.")
    algorithm: str = Field(min_length=1, description="maskable_ppo, ppo, dqn, ...")
    policy: PolicyKind = Field(description="How the weights are read.")
    masked: StrictBool = Field(description="Whether it plays legal actions only.")
    environment_id: str
    version: str = Field(description="Of metric_tracker_env, which saved it.")
    config: EnvConfig = Field(description="What it was trained on, as training began.")
    fingerprint: str = Field(description="Of the actions and the observation, see ``fingerprint``.")
    steps: StrictInt = Field(ge=0, description="Environment steps of training.")
    seed: StrictInt = Field(ge=0)
    demonstrator: str | None = Field(default=None, description="Agent whose play it was fitted to first, if any.")
    demonstration_episodes: StrictInt = Field(default=0, ge=0, description="That the agent played, beside the steps.")
    format: Literal[1] = FORMAT

    @model_validator(mode="after")
    def _check_algorithm(self) -> Self:
        if self.policy == "sb3" and self.algorithm not in SB3_ALGORITHMS:
            raise ValueError(
                f"algorithm {self.algorithm!r} is not one of {list(SB3_ALGORITHMS)}, as policy 'sb3' needs"
            )
        if self.policy == "sb3" and self.masked != (self.algorithm == "maskable_ppo"):
            raise ValueError(f"masked {self.masked} is wrong for {self.algorithm!r}; only 'maskable_ppo' takes a mask")
        if self.policy in ("focus", "board") and not self.masked:
            raise ValueError(f"masked {self.masked} is wrong for {self.policy!r}, which plays legal actions only")
        return self


def fingerprint(config: EnvConfig) -> str:
    """What the inputs and outputs of a network mean in an environment, as a SHA-256 in hex.

    It covers the view, every action (dates as day indices) and the parts of the observation, so that another view,
    funnel or number of weeks has another fingerprint. Difficulty, incidents, reward, costs and budget do not matter.
    """
    env = MetricTrackerEnv(config=config)
    day = {date: f"day {index}" for index, date in enumerate(config.generator.date_names)}
    actions: list[list[str]] = []
    for index in range(len(env.actions)):
        tool, arguments = env.actions.decode(index)
        actions.append([tool, *(f"{name}={day.get(str(value), value)}" for name, value in arguments.items())])
    parts = [[name, part.start, list(part.shape), part.stride] for name, part in env.observation_layout.parts.items()]
    meaning = json.dumps([config.view, actions, parts])
    return hashlib.sha256(meaning.encode()).hexdigest()


def check_fits(card: ModelCard, config: EnvConfig) -> None:
    """Refuse a model whose observation or actions are not those of a configuration.

    Raises:
        ValueError: saying what differs.
    """
    if fingerprint(config) == card.fingerprint:
        return
    ours, its = config.generator, card.config.generator
    differing: list[str] = []
    if config.view != card.config.view:
        differing.append(f"its view is {card.config.view!r} and the environment's {config.view!r}")
    if ours.catalogue.entities != its.catalogue.entities:
        names, others = (
            [f"{e.entity_type} {e.entity_name}" for e in generator.catalogue.entities] for generator in (its, ours)
        )
        only, missing = [n for n in names if n not in others], [n for n in others if n not in names]
        order = "" if only or missing else "; they are in another order"
        differing.append(
            f"its funnel has {len(names)} entities and the environment's {len(others)}"
            f"{_some('only in its', only)}{_some('only in the environment', missing)}{order}"
        )
    if ours.num_days != its.num_days:
        differing.append(f"its episodes have {its.num_days} days and the environment's {ours.num_days}")
    told = "; ".join(differing) or "the actions or the observation differ"
    raise ValueError(f"model {card.name!r} does not fit the environment: {told}")


def sizes(config: EnvConfig) -> tuple[int, int]:
    """Numbers of an observation, and actions."""
    env = MetricTrackerEnv(config=config)
    return env.observation_layout.size, len(env.actions)


def is_model(path: str | Path) -> bool:
    """Whether a path is the folder of a saved model."""
    return (Path(path) / CARD_FILE).is_file()


def write_card(
    folder: str | Path,
    *,
    name: str,
    library: str,
    algorithm: str,
    policy: PolicyKind,
    masked: bool,
    config: EnvConfig,
    steps: int,
    seed: int,
    demonstrator: str | None = None,
    demonstration_episodes: int = 0,
) -> ModelCard:
    """Write the card of a model into its folder, beside the weights.

    Raises:
        ValueError: for a bad field.
    """
    card = ModelCard(
        name=name,
        library=library,
        algorithm=algorithm,
        policy=policy,
        masked=masked,
        environment_id=ENV_ID,
        version=metric_tracker_env.__version__,
        config=config,
        fingerprint=fingerprint(config),
        steps=steps,
        seed=seed,
        demonstrator=demonstrator,
        demonstration_episodes=demonstration_episodes,
    )
    save_card(folder, card)
    return card


def save_card(folder: str | Path, card: ModelCard) -> None:
    """Write a card that there is into a folder, which is made if it is missing."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_card(folder: str | Path) -> ModelCard:
    """The card of a saved model, checked against this version of the environment.

    Raises:
        ValueError: see ``load_model``.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ValueError(f"model folder {str(folder)!r} does not exist")
    path = place / CARD_FILE
    if not path.is_file():
        raise ValueError(f"model folder {str(folder)!r} has no {CARD_FILE}")
    data = read_card_file(path, "model card", FORMAT)
    try:
        card = ModelCard.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"model card {str(path)!r} is not valid: {in_one_line(error)}") from error
    if card.environment_id != ENV_ID:
        raise ValueError(f"model {card.name!r} plays environment {card.environment_id!r}; this is {ENV_ID!r}")
    if fingerprint(card.config) != card.fingerprint:
        raise ValueError(
            f"model {card.name!r} was saved by metric_tracker_env {card.version}, whose actions or observation are not "
            f"those of this version, {metric_tracker_env.__version__}; train it again"
        )
    return card


def _some(what: str, names: list[str]) -> str:
    """The first few of the names, for a message."""
    if not names:
        return ""
    return f"; {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
