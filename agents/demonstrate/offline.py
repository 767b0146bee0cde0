"""Demonstrations as a Minari dataset: observations, actions, rewards and masks, for offline reinforcement learning."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import gymnasium as gym

from metric_tracker_env import ENV_ID

from ..command_line import how_to_install
from .expert import Demonstration, Expert

PACKAGE = "metric_tracker_env"
FOLDER_VARIABLE = "MINARI_DATASETS_PATH"
ID = "metric_tracker/{task}-{agent}-v0"


def dataset_id(task: str, agent: str) -> str:
    """What ``minari.load_dataset`` finds the dataset by, in the folder that it was written to."""
    return ID.format(task=_word(task), agent=_word(agent))


def write_minari(shown: Iterable[Demonstration], expert: Expert, agent: str, folder: Path) -> str:
    """Write a dataset.

    ``infos`` hold ``action_mask``, (n + 1, A) int8. An episode has the ``seed`` of its reset.

    Args:
        shown: The episodes.
        expert: Who played them.
        agent: Its name.
        folder: That Minari finds datasets in, as with ``MINARI_DATASETS_PATH``; made if it is missing.

    Returns:
        The id of the dataset.

    Raises:
        ImportError: naming the extra, if Minari is not installed.
        ValueError: if the folder holds the dataset already.
    """
    try:
        import minari
        from minari.data_collector import EpisodeBuffer
    except ImportError as error:
        raise ImportError(f"the format minari needs the library; {how_to_install('minari')}") from error
    name = dataset_id(expert.task.name, agent)
    if (folder / name).exists():
        raise ValueError(f"output {str(folder / name)!r} is there already; choose another folder, or remove it")
    buffers = [
        EpisodeBuffer(
            id=number,
            seed=each.seed,
            observations=each.steps.observations,  # pyright: ignore[reportArgumentType] - arrays are taken as they are
            actions=each.steps.actions,  # pyright: ignore[reportArgumentType]
            rewards=each.steps.rewards.tolist(),
            terminations=[*[False] * (len(each.steps.actions) - 1), True],
            truncations=[False] * len(each.steps.actions),
            infos={"action_mask": each.steps.masks},
        )
        for number, each in enumerate(shown)
    ]
    spec = copy.copy(gym.spec(ENV_ID))
    spec.kwargs = {"config": json.loads(expert.env.config.model_dump_json())}
    folder.mkdir(parents=True, exist_ok=True)
    with _found_in(folder.resolve()):  # Minari joins a relative one to itself
        minari.create_dataset_from_buffers(
            name,
            buffers,
            env=spec,
            eval_env=spec,
            algorithm_name=agent,
            description=f"{len(buffers):,} episodes of {expert.task.name} by {agent}",
            requirements=[f"{PACKAGE}=={version(PACKAGE)}"],
        )
    return name


@contextmanager
def _found_in(folder: Path) -> Iterator[None]:
    """Have Minari look for datasets in a folder, as its users do."""
    before = os.environ.get(FOLDER_VARIABLE)
    os.environ[FOLDER_VARIABLE] = str(folder)
    try:
        with warnings.catch_warnings():
            # Of an author and a link that a data set of one's own need not have.
            warnings.filterwarnings("ignore", category=UserWarning, module=r"minari\.utils")
            yield
    finally:
        if before is None:
            del os.environ[FOLDER_VARIABLE]
        else:
            os.environ[FOLDER_VARIABLE] = before


def _word(name: str) -> str:
    """A name as ids of datasets may hold it."""
    return "".join(letter if letter.isalnum() or letter in "_." else "_" for letter in Path(name).name)
