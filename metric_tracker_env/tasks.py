"""Named tasks: a configuration, disjoint training and held-out seeds, and an instruction; all data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metric_tracker_env.config import EnvConfig, GeneratorConfig, WorldConfig, load_config
from metric_tracker_env.schema import Difficulty, StrictModel

TRAINING_SEEDS = range(1_000_000_000)
HELD_OUT_SEEDS = range(2_000_000_000, 2_000_100_000)


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
FIND_UNEXPLAINED = (
    "Four weeks of funnel metrics hold a few incidents or none; an incident lasts one to three dates. Most of what "
    "moves was announced as an event, which may have come true or not, or follows from hours that were lost. Spend the "
    "budget on analysis tools, find what nothing known explains, and submit one row a date of each root cause; a row "
    "that is explained, follows from an incident or only looks like one costs score."
)


def _realistic(name: str, difficulty: Difficulty, anomaly_count: tuple[int, int] = (0, 4)) -> Task:
    generator = GeneratorConfig(world=WorldConfig())
    config = EnvConfig(difficulty=difficulty, anomaly_count=anomaly_count, budget=14, generator=generator)
    return Task(name=name, config=config, instruction=FIND_UNEXPLAINED)


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
    _realistic("realistic_easy", "easy"),
    _realistic("realistic_medium", "medium"),
    _realistic("realistic_hard", "hard"),
    _realistic("quiet_weeks", "medium", (0, 1)),
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


__all__ = ["HELD_OUT_SEEDS", "TASKS", "TRAINING_SEEDS", "Task", "build_config", "get_task"]
