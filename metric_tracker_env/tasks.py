"""Named tasks: a configuration, disjoint training and held-out seeds, and an instruction; all data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, StrictInt, ValidationInfo, field_validator, model_validator

from metric_tracker_env.config import (
    MAX_SEED,
    ConfigModel,
    EnvConfig,
    GeneratorConfig,
    Name,
    WorldConfig,
    load_config,
    unknown_option,
)
from metric_tracker_env.schema import FAMILIES, Difficulty

TRAINING_SEEDS = range(1_000_000_000)
HELD_OUT_SEEDS = range(2_000_000_000, 2_000_100_000)
FILE_ENDINGS = (".toml", ".json")


class Task(ConfigModel):
    """A named task.

    Training draws its ``reset`` seeds from ``training_seeds`` (first and last + 1), evaluation from
    ``held_out_seeds``; the two never overlap. ``instruction`` is what the brief of its own episodes begins with; where
    none is given, it is derived from the configuration, see ``instruction_of``.
    """

    name: Name
    config: EnvConfig
    instruction: str = Field(default="", validate_default=True)
    training_seeds: tuple[StrictInt, StrictInt] = (TRAINING_SEEDS.start, TRAINING_SEEDS.stop)
    held_out_seeds: tuple[StrictInt, StrictInt] = (HELD_OUT_SEEDS.start, HELD_OUT_SEEDS.stop)

    @field_validator("instruction")
    @classmethod
    def _derive_instruction(cls, value: str, info: ValidationInfo) -> str:
        return value or (instruction_of(info.data["config"]) if "config" in info.data else value)

    @model_validator(mode="after")
    def _check_seeds(self) -> Self:
        for name in ("training_seeds", "held_out_seeds"):
            first, end = getattr(self, name)
            if not 0 <= first < end <= MAX_SEED + 1:
                raise ValueError(f"{name}: ({first}, {end}) must be (first, last + 1) of seeds from 0 to {MAX_SEED}")
        (first, end), (first_held, end_held) = self.training_seeds, self.held_out_seeds
        if max(first, first_held) < min(end, end_held):
            raise ValueError(
                f"training_seeds {self.training_seeds} and held_out_seeds {self.held_out_seeds} must not overlap"
            )
        return self

    def is_of(self, config: EnvConfig) -> bool:
        """Whether a configuration has the episodes of this task; budget, costs and view may be others."""
        own = self.config
        return (config.generator, config.episode_config()) == (own.generator, own.episode_config())


class TaskFile(Task):
    """A task as a file holds it: the keys of ``Task``, with or without a name, or those of an ``EnvConfig``."""

    name: Name = ""

    @model_validator(mode="before")
    @classmethod
    def _read_preset(cls, data: object) -> object:
        return {"config": data} if isinstance(data, Mapping) and not data.keys() & cls.model_fields.keys() else data


_WEEKS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")


def instruction_of(config: EnvConfig, task: Task | None = None) -> str:
    """What an analyst is asked to do: true of every episode of a configuration, and silent about each.

    It tells the family where the configuration asks for one, as a task's own instruction may, and never how many
    incidents there are.

    Args:
        config: What is played, with the options of a reset.
        task: Whose own instruction is used as long as the episodes are those of its configuration.
    """
    if task is not None and task.is_of(config):
        return task.instruction
    weeks, one, world = _WEEKS[config.generator.num_weeks - 1], config.generator.num_weeks == 1, config.generator.world
    # Explicit generators stand in the place of the family, and name their dates themselves.
    drawn, family = not config.anomaly_generators, config.scenario_family
    some = "incidents or none" if drawn and not config.count_range[0] else "one or more incidents"
    each = f" Each is {FAMILIES[family].words}." if drawn and family != "mixed" else ""
    moved = "" if world is None else _of_world(world, config.generator)
    lasting = drawn and world is not None and world.longest > 1
    row = "row a date of each root cause" if lasting else "row a root cause"
    explained = "" if world is None else "is explained, "
    return (
        f"{weeks} week{'' if one else 's'} of funnel metrics hold{'s' if one else ''} {some}"
        f"{', at most one a date' if drawn else ''}{', each on one date or a few in a row' if lasting else ''}."
        f"{each}{moved} Spend the budget on analysis tools, find the root cause of each incident, and submit one "
        f"{row}; a row that {explained}follows from an incident or only looks like one costs score."
    )


def _of_world(world: WorldConfig, generator: GeneratorConfig) -> str:
    """What of a world moves the data beside incidents."""
    announced = world.events[1] > 0 or generator.replay is not None
    told = [
        f"events {'were' if world.events[0] else 'may have been'} announced, which may have come true or not"
        if announced
        else "",
        f"hours {'were' if world.gaps[0] else 'may have been'} lost" if world.gaps[1] else "",
    ]
    both = ", and ".join(filter(None, told))
    return f" Much of what moves is none: {both}." if both else ""


def _realistic(name: str, difficulty: Difficulty, anomaly_count: tuple[int, int] = (0, 4)) -> Task:
    generator = GeneratorConfig(world=WorldConfig())
    config = EnvConfig(difficulty=difficulty, anomaly_count=anomaly_count, budget=14, generator=generator)
    return Task(name=name, config=config)


_TASKS = (
    Task(
        name="easy_single_spike",
        config=EnvConfig(scenario_family="rate_spike_from_median", difficulty="easy", anomaly_count=2),
        instruction="Conversion rates spike on a few dates. Find each date and the rate that spiked, and submit them.",
    ),
    Task(name="medium_mixed_pair", config=EnvConfig(difficulty="medium", anomaly_count=3)),
    Task(name="hard_mixed_multi", config=EnvConfig(difficulty="hard", anomaly_count=4)),
    Task(name="easy_mixed", config=EnvConfig(difficulty="easy", anomaly_count=3)),
    Task(name="medium_mixed", config=EnvConfig(difficulty="medium", anomaly_count=3)),
    Task(name="hard_mixed", config=EnvConfig(difficulty="hard", anomaly_count=(1, 5))),
    _realistic("realistic_easy", "easy"),
    _realistic("realistic_medium", "medium"),
    _realistic("realistic_hard", "hard"),
    _realistic("quiet_weeks", "medium", (0, 1)),
)
TASKS: dict[str, Task] = {task.name: task for task in _TASKS}


def get_task(name: str) -> Task:
    """The registered task of that name.

    Raises:
        ValueError: if there is none; names those there are.
    """
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(f"task {name!r} is not one of {list(TASKS)}")
    return TASKS[name]


def register_task(task: Task, replace: bool = False) -> None:
    """Make a task known by its name, in this process: worker processes must register it too, or take a file.

    Args:
        task: The task.
        replace: Whether it may take the place of another one of that name.

    Raises:
        ValueError: if it is no task, or the name is taken.
    """
    if not isinstance(task, Task):
        raise ValueError(f"task {task!r} must be a Task")
    if task.name in TASKS and not replace:
        raise ValueError(
            f"task name {task.name!r} is taken; the names {list(TASKS)} must be replaced with replace=True"
        )
    TASKS[task.name] = task


def find_task(name_or_path: str | Path) -> Task:
    """The task of a registered name, or of a file.

    Args:
        name_or_path: Name of a registered task; or a TOML or JSON file with the fields of an ``EnvConfig`` or of a
            ``Task``. A task without a name is named like its file.

    Raises:
        ValueError: if there is no such task or file, or the file holds an unknown key or a bad value.
    """
    if isinstance(name_or_path, str) and name_or_path in TASKS:
        return TASKS[name_or_path]
    if not isinstance(name_or_path, (str, Path)) or Path(name_or_path).suffix not in FILE_ENDINGS:
        raise ValueError(
            f"task {name_or_path!r} is not one of {list(TASKS)}, nor a file ending in {' or '.join(FILE_ENDINGS)}"
        )
    file = Path(name_or_path).expanduser()
    held = load_config(file, TaskFile)
    fields = {name: getattr(held, name) for name in Task.model_fields}
    return Task(**{**fields, "name": held.name or file.stem})


def build_config(
    task: str | Path | None = None,
    config: EnvConfig | Mapping[str, object] | str | Path | None = None,
    options: Mapping[str, object] | None = None,
) -> EnvConfig:
    """One configuration from a task or a config (object, dict, or path of a preset), with options on top.

    Args:
        task: See ``find_task``.
        config: Instead of a task.
        options: Fields of ``EnvConfig`` on top of either, as the keyword arguments of a constructor.

    Raises:
        UnknownOptionError: for an option that there is not; a TypeError and a ValueError.
        ValueError: for an unknown task, key or file, a bad value, or both a task and a config.
    """
    if task is not None and config is not None:
        raise ValueError(f"task {task!r} and config are both given; give one of them")
    if task is not None:
        base = find_task(task).config
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
    fields = {name: getattr(base, name) for name in EnvConfig.model_fields}
    if not options.keys() <= fields.keys():
        raise unknown_option(options.keys() - fields.keys(), [*fields, "task", "config"])
    return EnvConfig.model_validate({**fields, **options})


__all__ = [
    "HELD_OUT_SEEDS",
    "TASKS",
    "TRAINING_SEEDS",
    "Task",
    "build_config",
    "find_task",
    "get_task",
    "instruction_of",
    "register_task",
]
