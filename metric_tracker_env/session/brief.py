"""The brief: what an analyst is told at the beginning of an episode, each sentence true of its configuration."""

from __future__ import annotations

from typing import get_args

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.schema import ENTITY_TYPES, METHOD_OF_ENTITY_TYPE, MetricSubmissionRow
from metric_tracker_env.session.schemas import call_names
from metric_tracker_env.tasks import Task, instruction_of
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.tools.cells import UNITS
from metric_tracker_env.tools.overview import SCORING

ADJUSTED = "Weekdays and the level of the weeks have been divided out of the counts. "
REFUSAL_COST = 1  # units that a bad call costs
REMINDER = (  # to a model that has replied without a call
    f"There was no tool call in your reply, so nothing has happened. Go on by calling a tool; {SUBMIT} hands in your "
    "rows and ends the episode."
)


def brief(config: EnvConfig, task: Task | None = None) -> str:
    """What an analyst is told at the beginning; the same for every episode of a configuration.

    Args:
        config: What is played, with the options of a reset.
        task: See ``instruction_of``.
    """
    generator = config.generator
    catalogue = generator.catalogue
    made_of = {item.name: f" = {item.numerator} / {item.denominator}" for item in catalogue.conversions}
    entities: list[str] = []
    for kind in ENTITY_TYPES:
        names = [item.entity_name for item in catalogue.entities[catalogue.slices[kind]]]
        if names:
            named = ", ".join(name + made_of[name] if kind == "conversion_rate" else name for name in names)
            entities.append(f"- {kind} ({UNITS[kind]}; {METHOD_OF_ENTITY_TYPE[kind]}): {named}")
    prices: dict[str, list[str]] = {}
    for name in call_names(generator):
        if name != SUBMIT:
            prices.setdefault(TOOLS[name].price(config.costs), []).append(name)
    fields = [f"- {name}: {allowed}" for name, allowed in _row_fields().items()]
    parts = [
        instruction_of(config, task),
        f"Data: events of the funnel {' > '.join(catalogue.count_metrics)}, by "
        f"{'hour' if generator.hours else 'day'}, from {generator.date_names[0]} to {generator.date_names[-1]} "
        f"({generator.num_days} days). The baseline of a cell is the median over these "
        f"dates{', and 0 for data_quality' if generator.hours else ''}. {ADJUSTED if generator.adjusted else ''}"
        "What can be anomalous on a date, its unit and its detection method:\n" + "\n".join(entities),
        f"Budget: {config.budget} units and {config.step_limit} calls. What a tool costs:\n"
        + "\n".join(f"- {price}: {', '.join(names)}" for price, names in prices.items())
        + f"\nA bad call costs {REFUSAL_COST} unit; one that the budget cannot pay is refused and costs none. Tools "
        "over all dates tell on which dates there is something; the tools on one date show its values.",
        f"Call {SUBMIT} once, with the rows of all anomalies; it ends the episode. Without it nothing counts. A row "
        "counts only if a paid call has shown its cell, as the cell's detection method does; any other is a guess. The "
        "fields of a row, as the tools on one date give them:\n" + "\n".join(fields) + "\nTools give rows as lists, in "
        "the order of their columns; what all rows of a table share stands beside them. A normal cell ends early.",
        SCORING,
    ]
    return "\n\n".join(parts)


def _row_fields() -> dict[str, str]:
    """What each field of a row may hold, in words."""
    allowed: dict[str, str] = {}
    for name, field in MetricSubmissionRow.model_fields.items():
        choices = get_args(field.annotation)
        allowed[name] = ", ".join(choices) if choices else "a number"
    above = dict.fromkeys(("entity_type", "entity_name", "detection_method"), "see above")
    return allowed | above | {"date": "an ISO date"}
