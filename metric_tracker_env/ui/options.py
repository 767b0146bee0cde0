"""The options of an episode as a form: what each may hold in a task, and at which field a refused one is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from metric_tracker_env.config import METHODS, EnvConfig, EpisodeOptions, ExplicitAnomaly
from metric_tracker_env.model import ConfigModel, as_json, faults_in, unknown_names
from metric_tracker_env.world.episode import MetricDataGenerator

ANOMALIES = "anomaly_generators"  # the option that is a list of rows


class Fault(NamedTuple):
    """What is wrong with an option, and where."""

    text: str
    option: str | None = None
    row: int | None = None  # of the anomalies
    key: str | None = None  # of the row


class RefusedError(ValueError):
    """An episode that cannot be begun; the faults have their places in the form."""

    def __init__(self, text: str, faults: Sequence[Fault]) -> None:
        super().__init__(text)
        self.faults = tuple(faults)


def options_form(config: EnvConfig) -> dict[str, Any]:
    """The options as JSON schemas with the task's values, and the methods of anomalies that its funnel can carry."""
    generator = config.generator
    dates = {name: list(generator.date_names) for name in ExplicitAnomaly.model_fields}
    methods: list[dict[str, Any]] = []
    for name, method in METHODS.items():
        possible = list(method.choices(generator.catalogue))
        if possible:
            names = dates | dict.fromkeys(method.named or (), possible)
            fields = {key: item for key, item in _schemas(method, names).items() if key != "method_name"}
            methods.append({"name": name, "about": method.summary, "fields": fields})
    fields = _schemas(EpisodeOptions, {})
    for name, schema in fields.items():
        schema["default"] = as_json(getattr(config, name))
    fields[ANOMALIES] = {**{key: fields[ANOMALIES][key] for key in ("description", "default")}, "methods": methods}
    return {"options": fields}


def _schemas(model: type[ConfigModel], names: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """The JSON schema of each field; of those that name something, with the names that there are."""
    schema = model.model_json_schema()
    found: dict[str, dict[str, Any]] = {}
    for name, item in schema["properties"].items():
        found[name] = {**item, "required": name in schema.get("required", ())}
        if name in names:
            left_out = "drawn" if name in ExplicitAnomaly.model_fields else "all"
            found[name] |= {"names": list(names[name]), "several": item.get("type") == "array", "left_out": left_out}
    return found


def check_names(options: Mapping[str, Any]) -> None:
    """Refuse options that there are not.

    Raises:
        ValueError: naming them and those that there are.
    """
    unknown = [name for name in options if name not in EpisodeOptions.model_fields]
    if unknown:
        raise ValueError(unknown_names("option", unknown, EpisodeOptions.model_fields))


def faults_of(error: ValueError, config: EnvConfig, seed: int, options: Mapping[str, Any]) -> list[Fault]:
    """Where in the form an error belongs.

    Args:
        error: That ``Session.begin`` raised.
        config: Of the task.
        seed: Of the episode.
        options: That it was begun with.
    """
    found: list[Fault] = []
    for place, text in faults_in(error) if isinstance(error, ValidationError) else [((), str(error))]:
        named, _, rest = text.partition(": ")
        option, told = (str(place[0]), text) if place else (named, rest)
        row = next((part for part in place[1:2] if isinstance(part, int)), None)
        if option not in EpisodeOptions.model_fields:
            found.append(Fault(text))
        elif option != ANOMALIES:
            found.append(Fault(told, option))
        elif row is None:
            found.append(Fault(told, option, _first_bad(config, seed, options)))
        else:
            keys = [part for part in place[2:] if isinstance(part, str) and part not in METHODS]
            found.append(Fault(told, option, row, keys[0] if keys else None))
    return found


def _first_bad(config: EnvConfig, seed: int, options: Mapping[str, Any]) -> int | None:
    """The row without which, and all after it, the episode could be made; None if no row is to blame."""
    rows = options.get(ANOMALIES)
    if not isinstance(rows, list) or not rows:
        return None
    low, high = 0, len(rows)  # so many rows from the first are fine, and so many are not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _possible(config, seed, {**options, ANOMALIES: rows[:middle]}) else (low, middle)
    return high - 1


def _possible(config: EnvConfig, seed: int, options: Mapping[str, Any]) -> bool:
    try:
        MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=seed, **options))
    except ValueError:
        return False
    return True
