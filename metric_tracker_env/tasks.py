"""Named tasks: a configuration, disjoint training and held-out seeds, and an instruction; all data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import model_validator

from metric_tracker_env.config import EnvConfig, load_config
from metric_tracker_env.schema import StrictModel

TRAINING_SEEDS = range(1_000_000_000)
HELD_OUT_SEEDS = range(2_000_000_000, 2_000_100_000)
FILE_ENDINGS = (".toml", ".json")


class Task(StrictModel):
    """A named task.

    Training draws its ``reset`` seeds from ``training_seeds`` (first and last + 1), evaluation from
    ``held_out_seeds``; the two never overlap.
    """

    name: str
    config: EnvConfig
    instruction: str
    training_seeds: tuple[int, int] = (TRAINING_SEEDS.start, TRAINING_SEEDS.stop)
    held_out_seeds: tuple[int, int] = (HELD_OUT_SEEDS.start, HELD_OUT_SEEDS.stop)


FIND_ALL = (
    "Four weeks of funnel metrics hold a few incidents, at most one a date. Spend the budget on analysis tools, "
    "find the root cause of each incident, and submit one row a root cause; a row that follows from an incident "
    "or only looks like one costs score."
)


class TaskFile(Task):
    """A task as a file holds it: the fields of ``Task``, or those of an ``EnvConfig``."""

    name: str = ""
    instruction: str = FIND_ALL

    @model_validator(mode="before")
    @classmethod
    def _wrap_config(cls, data: object) -> object:
        return {"config": data} if isinstance(data, Mapping) and not data.keys() & cls.model_fields.keys() else data


_TASKS = (
    Task(
        name="easy_single_spike",
        config=EnvConfig(
            scenario_family="rate_spike_from_median", difficulty="easy", anomaly_count=2, anomaly_density="low"
        ),
        instruction="Conversion rates spike on a few dates. Find each date and the rate that spiked, and submit them.",
    ),
    Task(name="medium_mixed_pair", config=EnvConfig(difficulty="medium", anomaly_count=3), instruction=FIND_ALL),
    Task(
        name="hard_mixed_multi",
        config=EnvConfig(difficulty="hard", anomaly_count=4, anomaly_density="high"),
        instruction=FIND_ALL,
    ),
    Task(name="easy_mixed", config=EnvConfig(difficulty="easy", anomaly_count=3), instruction=FIND_ALL),
    Task(name="medium_mixed", config=EnvConfig(difficulty="medium", anomaly_count=3), instruction=FIND_ALL),
    Task(name="hard_mixed", config=EnvConfig(difficulty="hard", anomaly_count=(1, 5)), instruction=FIND_ALL),
)
TASKS: dict[str, Task] = {task.name: task for task in _TASKS}


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: if there is none; names those there are.
    """
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(f"task {name!r} is not one of {list(TASKS)}")
    return TASKS[name]


def register_task(task: Task, replace: bool = False) -> None:
    """Make a task known by its name, in this process.

    Args:
        task: The task.
        replace: Whether it may take the place of another one of that name.

    Raises:
        ValueError: if the name is taken.
    """
    if task.name in TASKS and not replace:
        raise ValueError(f"task {task.name!r} is registered already, as are {list(TASKS)}; replace=True replaces it")
    TASKS[task.name] = task


def find_task(name_or_path: str | Path) -> Task:
    """The task of a registered name, or of a file.

    Args:
        name_or_path: Name of a registered task; or a TOML or JSON file with the fields of an ``EnvConfig``, or with
            those of a ``Task``. A task without a name is named like its file.

    Raises:
        ValueError: if there is no such task or file, or the file holds an unknown key or a bad value.
    """
    if name_or_path in TASKS:
        return TASKS[str(name_or_path)]
    file = Path(name_or_path).expanduser()
    if file.suffix not in FILE_ENDINGS:
        raise ValueError(
            f"task {str(name_or_path)!r} is not one of {list(TASKS)}, nor a file ending in {' or '.join(FILE_ENDINGS)}"
        )
    held = load_config(file, TaskFile)
    fields = {name: getattr(held, name) for name in Task.model_fields}
    return Task(**{**fields, "name": held.name or file.stem})


def build_config(
    task: str | None = None,
    config: EnvConfig | Mapping[str, object] | str | Path | None = None,
    options: Mapping[str, object] | None = None,
) -> EnvConfig:
    """One configuration from a task or a config (object, dict, or path of a preset), with options on top.

    Raises:
        ValueError: for an unknown task, key or file, a bad value, or both a task and a config.
    """
    if task is not None and config is not None:
        raise ValueError(f"task {task!r} and config are both given; give one of them")
    if task is not None:
        base = get_task(task).config
    elif config is None:
        base = EnvConfig()
    elif isinstance(config, EnvConfig):
        base = config
    elif isinstance(config, Mapping):
        base = EnvConfig.model_validate(dict(config))
    elif isinstance(config, (str, Path)):
        base = load_config(config)
    else:
        raise ValueError(f"config {config!r} must be an EnvConfig, a dict, or the path of a .toml or .json file")
    if not options:
        return base
    unknown = sorted(set(options) - set(EnvConfig.model_fields))
    if unknown:
        raise ValueError(f"unknown option {', '.join(map(repr, unknown))}; allowed: {sorted(EnvConfig.model_fields)}")
    fields = {name: getattr(base, name) for name in EnvConfig.model_fields}
    return EnvConfig.model_validate({**fields, **options})


__all__ = [
    "HELD_OUT_SEEDS",
    "TASKS",
    "TRAINING_SEEDS",
    "Task",
    "build_config",
    "find_task",
    "get_task",
    "register_task",
]
