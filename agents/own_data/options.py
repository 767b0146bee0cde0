"""How a history is read and fitted: the one description that the command's options and the page's form come from."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import Field, JsonValue

from metric_tracker_env.history import History, read_history
from metric_tracker_env.history.checks import Exceeding, Missing
from metric_tracker_env.history.counts import Decimal
from metric_tracker_env.history.grid import Duplicates
from metric_tracker_env.schema import Difficulty, StrictModel

COLUMN: dict[str, JsonValue] = {"of": "column"}  # a field that names a column of the source
DAY: dict[str, JsonValue] = {"of": "day"}  # one that is a date
Holidays = Literal["explained", "announced"]
Kind = Literal["text", "names", "number", "choice", "column", "columns", "day", "days"]


class Reading(StrictModel):
    """How a source is read, see ``read_history``."""

    steps: tuple[str, ...] | None = Field(
        default=None,
        description="Columns or events of the funnel, in its order; without it all that are nothing else.",
        json_schema_extra=COLUMN,
    )
    time: str | None = Field(
        default=None,
        description="Column of dates or times; without it a usual name is looked for, as for the next four.",
        json_schema_extra=COLUMN,
    )
    hour: str | None = Field(
        default=None,
        description="Column of hours from 0 to 23, beside a column of dates.",
        json_schema_extra=COLUMN,
    )
    event: str | None = Field(
        default=None,
        description="Column of step names, in the long form and in event logs.",
        json_schema_extra=COLUMN,
    )
    count: str | None = Field(default=None, description="Column of counts, in the long form.", json_schema_extra=COLUMN)
    unit: str | None = Field(
        default=None,
        description="Column that tells whose event it is, in event logs.",
        json_schema_extra=COLUMN,
    )
    timezone: str | None = Field(
        default=None, description="Time zone in which days are counted, such as Europe/Berlin."
    )
    time_format: str | None = Field(
        default=None, description="How times are written, as in strptime; or unix, or unix_ms."
    )
    decimal: Decimal | None = Field(
        default=None, description="Sign before fractions; the other one then parts thousands."
    )
    missing: Missing = Field(
        default="refuse",
        description="What to do about missing days and hours: refuse; zero counts them as 0; fill takes the median of "
        "the nearest same weekdays.",
    )
    duplicates: Duplicates = Field(
        default="refuse", description="What to do about a further count of one time and step."
    )
    exceeding: Exceeding = Field(
        default="refuse", description="What to do about a step with more events than the one before it."
    )
    visit_gap: float | None = Field(
        default=None,
        description="Hours without an event after which a unit begins a new visit, in event logs; inf for never.",
    )
    encoding: str | None = Field(default=None, description="Of a text file that is not UTF-8.")

    def read(self, source: Any, since: str | None = None, until: str | None = None) -> History:
        """Read a source; a history that was read already is taken as it is, from ``since`` to ``until``.

        Raises:
            HistoryError: if it cannot be read as it is.
        """
        if isinstance(source, History):
            return source.between(since, until)
        options: dict[str, Any] = {name: getattr(self, name) for name in Reading.model_fields}
        return read_history(source, since=since, until=until, **options)


class FitOptions(Reading):
    """How a history is read this time, and what is fitted."""

    since: str | None = Field(
        default=None, description="First day to read; says that it is whole.", json_schema_extra=DAY
    )
    until: str | None = Field(
        default=None, description="Last day to read; says that it is whole.", json_schema_extra=DAY
    )
    held_out_weeks: int = Field(default=12, description="Last weeks that are kept from the fit, to judge agents by.")
    weeks: int = Field(default=4, description="Weeks of an episode, 1 to 12.")
    difficulty: Difficulty = Field(
        default="medium", description="How large a change must be to be seen: 5, 4 or 3 times the usual noise."
    )
    country: str | None = Field(
        default=None, description="Whose public holidays are known, such as US or DE; needs the package holidays."
    )
    subdivision: str | None = Field(default=None, description="Part of the country, such as NY or BY.")
    holidays: Holidays = Field(
        default="explained",
        description="What becomes of them: explained in reports; or also announced to agents, as known events of the "
        "fitted world and of the history.",
    )
    ignore: tuple[str, ...] = Field(
        default=(),
        description="Days that must not be learnt from, such as 2026-03-14.",
        json_schema_extra=DAY,
    )

    @property
    def reading(self) -> Reading:
        """What another day's history is read by as well."""
        told = {name: getattr(self, name) for name in Reading.model_fields}
        return Reading(**{**told, "steps": self.steps or None})

    @classmethod
    def of_texts(cls, given: Mapping[str, str]) -> FitOptions:
        """Options as a form has them: texts, several names parted by commas; an empty one was not given.

        Raises:
            pydantic.ValidationError: for an unknown option, or a value that it cannot have.
        """
        several = {field.name for field in fields_of(cls) if field.kind in ("names", "columns", "days")}
        filled = {name: text.strip() for name, text in given.items() if text.strip()}
        return cls.model_validate(
            {
                name: tuple(filter(None, map(str.strip, text.split(",")))) if name in several else text
                for name, text in filled.items()
            }
        )


class FormField(NamedTuple):
    """A field of a form."""

    name: str
    kind: Kind
    choices: tuple[str, ...]  # of a choice
    default: str
    help: str


def fields_of(model: type[StrictModel]) -> list[FormField]:
    """The fields of a form for a model, in its order."""
    found: list[FormField] = []
    for name, field in model.model_fields.items():
        kinds = [kind for kind in alternatives(field.annotation) if kind is not NoneType]
        extra = field.json_schema_extra
        of = extra.get("of") if isinstance(extra, dict) else None
        several = any(get_origin(kind) is tuple for kind in kinds)
        choices = tuple(str(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind))
        kind: Kind = "choice" if choices else "number" if {int, float} & set(kinds) else "names" if several else "text"
        if of == "column":
            kind = "columns" if several else "column"
        elif of == "day":
            kind = "days" if several else "day"
        default = "" if field.default in (None, ()) else str(field.default)
        found.append(FormField(name, kind, choices, default, field.description or ""))
    return found


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types of a union; of another type, itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
