"""The documentation page of the configuration, made from the fields of the configs: ``docs/configuration.md``.

``python -m metric_tracker_env.config.page > docs/configuration.md`` writes it again.
"""

from __future__ import annotations

import datetime as dt
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from metric_tracker_env.config.environment import EnvConfig, ToolCosts
from metric_tracker_env.config.episode import EpisodeConfig, EpisodeOptions
from metric_tracker_env.config.explicit import METHODS, ExplicitAnomaly
from metric_tracker_env.config.generator import FunnelStep, GeneratorConfig, RateNoise
from metric_tracker_env.config.replay import Replay
from metric_tracker_env.config.world import WorldConfig
from metric_tracker_env.model import ConfigModel, Length, bounds_of
from metric_tracker_env.schema import DAYS_PER_WEEK, ConversionMetricDefinition

HEAD = """# Configuration

Everything that an environment or a generator is made with, and what each key may hold. This page is made from the
fields of the configs by `python -m metric_tracker_env.config.page`.

A config is an object (`EnvConfig(difficulty="hard")`), a dict with the same keys, or a TOML or JSON file of them
(`config="~/presets/shop.toml"`). It cannot be changed; `config.model_copy(update={"difficulty": "easy"})` is a changed
copy. Every value is checked when a config is made, copied or read: a key or a value that is not allowed is an error
that names it. NumPy's numbers and arrays are numbers and lists; True and False are no numbers. `model_dump_json()` and
`model_validate_json()` write a config and read it back, and `env.spec.to_json()` does so for an environment.
"""
EXPLICIT = """## Explicit anomalies

`anomaly_generators` asks for anomalies by name instead of drawing them. Each item has a `method_name`; without one it
is `metric_stddev_shift`. An item without a date gets one of its own for each thing that it moves, and one without a
direction gets one that the data can carry. What cannot be done as asked is an error that says why, and what can. Each
anomaly is an expected row: its detection method confirms it in the direction that was asked for, and its value has
moved there by at least half its threshold.

Several anomalies may share a date where each changes something else of the funnel: the number of first-step events, the
rate into a step, or the hours of the first step. A count in the middle of the funnel changes the rate into its step and
the rate out of it, and so do impossible counts; an end-to-end conversion changes every rate between its two steps.

```python
from metric_tracker_env import EpisodeConfig, MetricDataGenerator

anomalies = [
    {"metric_name": "app_opens", "date": "2026-03-12", "stddev_factor": 4, "direction": "down"},
    {"method_name": "funnel_break", "step_name": "orders_placed", "date": "2026-03-12", "keep": 0.5},
    {"method_name": "hourly_mix_shift", "date": "2026-03-20", "shift": 0.08, "direction": "up"},
    {"method_name": "impossible_counts", "step_name": "menu_opens", "excess": 0.1},
]
episode = MetricDataGenerator().generate_episode(EpisodeConfig(seed=7, anomaly_generators=anomalies))
assert len(episode.expected_rows) == 4
```
"""
MODELS: tuple[type[ConfigModel], ...] = (
    EnvConfig,
    EpisodeConfig,
    GeneratorConfig,
    FunnelStep,
    ConversionMetricDefinition,
    RateNoise,
    WorldConfig,
    Replay,
    ToolCosts,
)


WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", dt.date: "date"}


def configuration_page() -> str:
    """The page in Markdown: a table for each config, then the explicit anomalies."""
    shared = set(EpisodeOptions.model_fields)
    parts = [HEAD]
    for model in MODELS:
        own = model.model_fields.keys() - (shared if model is EpisodeConfig else set())
        parts += [f"## {model.__name__}", "", (model.__doc__ or "").partition("\n\n")[0].replace("``", "`")]
        if model is EpisodeConfig:
            parts += ["", f"{', '.join(f'`{name}`' for name in EpisodeOptions.model_fields)} as above, and:"]
        parts += ["", *_table(model, own), ""]
    parts.append(EXPLICIT)
    for name, method in METHODS.items():
        own = method.model_fields.keys() - ExplicitAnomaly.model_fields.keys() - {"method_name"}
        parts += [f"### {name}", "", f"{method.summary} (`{method.__name__}`)", "", *_table(method, own), ""]
    parts += ["All of them have:", "", *_table(ExplicitAnomaly, set(ExplicitAnomaly.model_fields))]
    return "\n".join(parts) + "\n"


def _table(model: type[ConfigModel], names: set[str]) -> list[str]:
    lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in names:
            allowed = _allowed(field.annotation, tuple(field.metadata))
            lines.append(f"| `{name}` | {allowed} | {_default(field)} | {field.description or ''} |")
    return lines


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, tuple) and (
        len(value) > DAYS_PER_WEEK or any(isinstance(item, ConfigModel) for item in value)
    ):
        return "those of the default app"
    if isinstance(value, ConfigModel):
        return f"`{type(value).__name__}()`"
    return f"`{value.isoformat() if isinstance(value, dt.date) else value!r}`"


def _allowed(kind: Any, metadata: tuple[Any, ...] = ()) -> str:
    """What a key of a type may hold, in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner = [item.metadata if isinstance(item, FieldInfo) else [item] for item in kind.__metadata__]
        return _allowed(arguments[0], (*(item for items in inner for item in items), *metadata))
    if origin in {Union, types.UnionType}:
        if all(_is_explicit(_model(item)) for item in arguments):
            return "[explicit anomalies](#explicit-anomalies)"
        return " or ".join("none" if item is type(None) else _allowed(item, metadata) for item in arguments)
    if origin is Literal:
        return "one of " + ", ".join(f"`{item}`" for item in arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"({', '.join(map(_allowed, arguments))})"
    if origin is tuple:
        number = next((f"of {item}: " for item in metadata if isinstance(item, Length)), "of: ")
        return f"list {number}{_allowed(arguments[0])}"
    if isinstance(kind, type) and issubclass(kind, ConfigModel):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return f"{WORDS[kind]}{_bounds(metadata)}"


def _is_explicit(kind: Any) -> bool:
    """Whether a type is that of an explicit anomaly; a list of something is no class at all."""
    return get_origin(kind) is None and isinstance(kind, type) and issubclass(kind, ExplicitAnomaly)


def _model(item: Any) -> Any:
    return get_args(item)[0] if get_origin(item) is Annotated else item


def _bounds(metadata: tuple[Any, ...]) -> str:
    """The limits of a number or a date, and what a text may be, in words."""
    found = bounds_of(metadata)
    if "pattern" in found and "max_length" not in found:
        return f" of the form `{found['pattern']}`"
    if "pattern" in found:
        return f" of letters, digits and _, a letter first, at most {found['max_length']} long"
    if "ge" in found and found["ge"] == found.get("le"):
        return f" {found['ge']}"
    words = {"gt": "over", "ge": "from", "lt": "below", "le": "to"}
    told = [
        f"{word} {found[name]:,}" if isinstance(found[name], int) else f"{word} {found[name]}"
        for name, word in words.items()
        if name in found
    ]
    return f" {' '.join(told)}" if told else ""


if __name__ == "__main__":
    print(configuration_page(), end="")
