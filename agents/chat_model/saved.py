"""The folder of a small language model: a card with its vocabulary, and its weights as plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, StrictInt, ValidationError

import metric_tracker_env
from metric_tracker_env import ENV_ID
from metric_tracker_env.model import in_one_line
from metric_tracker_env.schema import StrictModel

from ..command_line import how_to_install
from ..players.card_file import read_card_file
from ..players.models.arrays import read_arrays, write_arrays
from .shape import Shape
from .tokens import Vocabulary

if TYPE_CHECKING:
    from .network import Network

CARD_FILE, WEIGHTS_FILE = "chat_model.json", "weights.npz"
FORMAT = 1


class ChatCard(StrictModel):
    """What a small language model is."""

    name: str = Field(min_length=1, description="Shown on the leaderboard.")
    environment_id: str = ENV_ID
    version: str = Field(default=metric_tracker_env.__version__, description="Of metric_tracker_env, which saved it.")
    tasks: tuple[str, ...] = Field(description="That the demonstrations are of.")
    agents: tuple[str, ...] = Field(description="That demonstrated.")
    conversations: StrictInt = Field(ge=0, description="That it was shown.")
    fitted: StrictInt = Field(ge=0, description="Conversations that it has gone through, as often as it has.")
    seed: StrictInt = Field(ge=0, description="Of the training run.")
    longest_call: StrictInt = Field(ge=1, description="Tokens after which a call is cut off.")
    longest_episode: StrictInt = Field(ge=1, description="Tokens after which it makes no further call.")
    shape: Shape
    vocabulary: Vocabulary
    format: Literal[1] = FORMAT


def save_chat_model(folder: Path, card: ChatCard, network: Network) -> None:
    """Write a model into a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / WEIGHTS_FILE, {name: value.detach().numpy() for name, value in network.state_dict().items()})
    (folder / CARD_FILE).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_chat_card(folder: Path) -> ChatCard:
    """The card in a folder.

    Raises:
        ValueError: if it is missing, damaged, or of another environment.
    """
    path = folder / CARD_FILE
    try:
        card = ChatCard.model_validate(read_card_file(path, "card", FORMAT))
    except ValidationError as error:
        raise ValueError(f"card {str(path)!r} is not valid: {in_one_line(error)}") from error
    if card.environment_id != ENV_ID:
        raise ValueError(f"model {card.name!r} plays environment {card.environment_id!r}; this is {ENV_ID!r}")
    return card


def read_network(folder: Path, card: ChatCard) -> Network:
    """The network in a folder.

    Raises:
        ValueError: if its weights are missing, damaged, not finite or of another shape.
        ImportError: naming the extra, if torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"model {card.name!r} needs torch; {how_to_install('torch')}") from error
    from .network import Network

    network, path = Network(card.vocabulary.size, card.shape), folder / WEIGHTS_FILE
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    try:
        arrays = read_arrays(path)
        for name in wanted.keys() | arrays.keys():
            given = arrays[name].shape if name in arrays else None
            if given != wanted.get(name):
                raise ValueError(f"array {name!r} is {given}; {wanted.get(name)} is needed")
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
        if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
            raise ValueError("it holds numbers that are not finite")
    except (OSError, ValueError) as error:
        raise ValueError(f"weights {str(path)!r} cannot be read: {error}") from error
    return network.eval()
