"""Named tasks: a configuration, disjoint training and held-out seeds, and an instruction; all data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metric_tracker_env.config import EnvConfig, load_config
from metric_tracker_env.schema import ScenarioFamily, StrictModel

TRAINING_SEEDS = range(1_000_000_000)
HELD_OUT_SEEDS = range(2_000_000_000, 2_000_100_000)


class Task(StrictModel):
    """A named task.

    Training draws its ``reset`` seeds from ``training_seeds`` (first and last + 1), evaluation from
    ``held_out_seeds``; the two never overlap. ``instruction`` is what the brief of its own episodes begins with.
    """

    name: str
    config: EnvConfig
    instruction: str
    training_seeds: tuple[int, int] = (TRAINING_SEEDS.start, TRAINING_SEEDS.stop)
    held_out_seeds: tuple[int, int] = (HELD_OUT_SEEDS.start, HELD_OUT_SEEDS.stop)

    def is_of(self, config: EnvConfig) -> bool:
        """Whether a configuration has the episodes of this task; budget, costs and view may be others."""
        own = self.config
        return (config.generator, config.episode_config()) == (own.generator, own.episode_config())


_WEEKS = ("One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
_EACH: dict[ScenarioFamily, str] = {
    "mixed": "",
    "rate_drop_from_median": " Each is a drop of a conversion rate.",
    "rate_spike_from_median": " Each is a spike of a conversion rate.",
    "absolute_drop_in_event_count": " Each is a drop of an event count.",
    "absolute_spike_in_event_count": " Each is a spike of an event count.",
    "funnel_break": " Each is a funnel step that loses much of its rate.",
    "hourly_traffic_mix_shift": " Each is a shift of traffic between the hours of the day.",
    "instrumentation_data_quality_issue": " Each is a funnel step that is logged above the step before it.",
}


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
    weeks, one = _WEEKS[config.generator.num_weeks - 1], config.generator.num_weeks == 1
    # Explicit generators stand in the place of the family, and name their dates themselves.
    drawn = not config.anomaly_generators
    return (
        f"{weeks} week{'' if one else 's'} of funnel metrics hold{'s' if one else ''} one or more incidents"
        f"{', at most one a date' if drawn else ''}.{_EACH[config.scenario_family] if drawn else ''} Spend the budget "
        "on analysis tools, find the root cause of each incident, and submit one row a root cause; a row that follows "
        "from an incident or only looks like one costs score."
    )


def _derived(name: str, config: EnvConfig) -> Task:
    return Task(name=name, config=config, instruction=instruction_of(config))


_TASKS = (
    Task(
        name="easy_single_spike",
        config=EnvConfig(
            scenario_family="rate_spike_from_median", difficulty="easy", anomaly_count=2, anomaly_density="low"
        ),
        instruction="Conversion rates spike on a few dates. Find each date and the rate that spiked, and submit them.",
    ),
    _derived("medium_mixed_pair", EnvConfig(difficulty="medium", anomaly_count=3)),
    _derived("hard_mixed_multi", EnvConfig(difficulty="hard", anomaly_count=4, anomaly_density="high")),
    _derived("easy_mixed", EnvConfig(difficulty="easy", anomaly_count=3)),
    _derived("medium_mixed", EnvConfig(difficulty="medium", anomaly_count=3)),
    _derived("hard_mixed", EnvConfig(difficulty="hard", anomaly_count=(1, 5))),
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


__all__ = ["HELD_OUT_SEEDS", "TASKS", "TRAINING_SEEDS", "Task", "build_config", "get_task", "instruction_of"]
