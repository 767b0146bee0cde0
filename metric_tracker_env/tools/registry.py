"""The registry of tools: a method's signature and docstring are the only source of its checks, schema and help."""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from metric_tracker_env.config import GeneratorConfig, ToolCosts
from metric_tracker_env.schema import AnomalyType, EntityType, MethodSpec, StrictModel
from metric_tracker_env.submission import shown
from metric_tracker_env.tools.arguments import FAMILY_OF_METHOD, fill_names, marks_in, names_of
from metric_tracker_env.view import MetricView

CostClass = Literal["free", "open", "inspect", "scan", "survey", "calendar"]

READ_FROM_TEXT: dict[str, type] = {"array": list, "object": dict}  # what models send as text, and what is read from it

_SECTION = re.compile(r"^(Args|Returns|Raises):$")
_ARGUMENT = re.compile(r"^    (\w+): (.*)$")


class ToolError(ValueError):
    """A call that a tool refuses; the message says which argument holds what and what is allowed."""


class ToolSpec(MethodSpec):
    """A registered tool: name, description, names of its parameters, cost class, and the model of its arguments."""

    cost: CostClass
    dates_argument: str | None = None
    of_world: bool = False
    about: EntityType | None = None
    result: type[StrictModel] | None = Field(default=None, exclude=True, repr=False)  # None of what gives no model
    arguments: type[BaseModel] = Field(exclude=True, repr=False)
    types: dict[str, frozenset[str]] = Field(exclude=True, repr=False)  # of JSON, that each argument may have

    @property
    def family(self) -> AnomalyType | None:
        """The family that the tool scans for, if it is one of the seven family scans."""
        return FAMILY_OF_METHOD.get(self.name)

    def offered(self, config: GeneratorConfig) -> bool:
        """Whether there is such a tool.

        One of the realistic world there is only where a ``world`` is configured, and one about a type of entity only
        where the funnel has some.
        """
        if self.about is not None:
            kind = config.catalogue.slices[self.about]
            return kind.stop > kind.start
        return config.world is not None or not self.of_world

    def units(self, costs: ToolCosts, arguments: Mapping[str, object], config: GeneratorConfig) -> int:
        """Budget units that a call costs; its arguments have been checked."""
        units: int = getattr(costs, self.cost)
        if self.dates_argument is None:
            return units
        given = arguments.get(self.dates_argument, self.arguments.model_fields[self.dates_argument].default)
        return units * min(given, config.num_days) if isinstance(given, int) else units

    def price(self, costs: ToolCosts) -> str:
        """What a call costs, in words."""
        units: int = getattr(costs, self.cost)
        if not units:
            return "free"
        return f"{units} unit{'' if units == 1 else 's'}{' a date' if self.dates_argument else ''}"

    def parameter_schema(self, config: GeneratorConfig) -> dict[str, Any] | None:
        """JSON schema of the arguments, with the names and dates of a configuration.

        Returns:
            The schema. An optional argument for which the configuration has no name is left out; None when
            that befalls a required one, as for a conversion rate of a funnel without any, and for a tool that is not
            offered.
        """
        if not self.offered(config):
            return None
        schema = self.arguments.model_json_schema()
        properties, required = schema["properties"], schema.get("required", [])
        for name in list(properties):
            marks = marks_in(properties[name])
            if not all(names_of(kind, config) for kind in marks):
                if name in required:
                    return None
                del properties[name]
            elif "date" in marks:
                properties[name]["description"] += f" From {config.date_names[0]} to {config.date_names[-1]}."
        return {**fill_names(schema, config), "required": required}

    def check(
        self, config: GeneratorConfig, args: tuple[object, ...], given: Mapping[str, object]
    ) -> dict[str, object]:
        """Check the arguments of a call.

        Returns:
            The arguments by name. Nothing is converted but what models most often send for the same thing: the JSON
            text of a list or an object that is asked for, and a whole number with a decimal point.

        Raises:
            ToolError: for a missing, unknown, surplus or repeated argument, or a value that is not allowed.
        """
        if not self.offered(config):
            raise ToolError(
                f"{self.name}: nothing was announced here, as the configuration has no world"
                if self.of_world
                else f"{self.name}: there is no {self.about} in these data"
            )
        if len(args) > len(self.parameters):
            raise ToolError(f"{self.name}: {len(args)} arguments are too many; {self._usage()}")
        positional = dict(zip(self.parameters, args, strict=False))
        twice = sorted(positional.keys() & given.keys())
        if twice:
            raise ToolError(f"{self.name}: argument {', '.join(twice)} is given twice; {self._usage()}")
        read = {name: as_asked(value, self.types.get(name)) for name, value in {**positional, **given}.items()}
        try:
            self.arguments.model_validate(read, context=config)
        except ValidationError as error:
            details = error.errors(include_url=False)
            raise ToolError(f"{self.name}: {'; '.join(self._complaint(dict(item)) for item in details)}") from error
        return read

    def _usage(self) -> str:
        return f"it takes {', '.join(self.parameters)}" if self.parameters else "it takes no arguments"

    def _complaint(self, detail: Mapping[str, Any]) -> str:
        """One fault in words: argument, value, what is allowed."""
        if not detail["loc"]:
            return f"the name of an argument is no text; {self._usage()}"
        first, *rest = detail["loc"]
        place = str(first) + "".join(f"[{item}]" for item in rest)
        if detail["type"] == "missing":
            return f"argument {place} is missing: {self.arguments.model_fields[str(first)].description}"
        if detail["type"] == "extra_forbidden":
            return f"argument {shown(place)} is unknown; {self._usage()}"
        message = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
        return f"argument {place} is {shown(detail['input'])}: {message}"


class ViewTools:
    """Base of the groups of tools: holds the view that they read."""

    def __init__(self, view: MetricView) -> None:
        self._view = view


TOOLS: dict[str, ToolSpec] = {}

P = ParamSpec("P")
ToolsT = TypeVar("ToolsT", bound=ViewTools)
ResultT = TypeVar("ResultT", bound=StrictModel)
Method = Callable[Concatenate[ToolsT, P], ResultT]


def tool(
    *, cost: CostClass, dates_argument: str | None = None, of_world: bool = False, about: EntityType | None = None
) -> Callable[[Method[ToolsT, P, ResultT]], Method[ToolsT, P, ResultT]]:
    """Register a method as a tool, and check the arguments of every call of it.

    Args:
        cost: Which field of ``ToolCosts`` a call costs.
        dates_argument: Name of an argument that is a number of dates, each of which costs as much.
        of_world: Whether it is offered only where the configuration has a ``world``.
        about: Type of entity that it needs; it is offered only where the funnel has some.

    Raises:
        ValueError: for an unknown cost class, a name that is taken, or a docstring that leaves out an argument.
    """
    if cost not in ToolCosts.model_fields:
        raise ValueError(f"cost {cost!r} is not one of {list(ToolCosts.model_fields)}")

    def register(method: Method[ToolsT, P, ResultT]) -> Method[ToolsT, P, ResultT]:
        spec = tool_spec(method, cost, dates_argument, of_world, about)
        if spec.name in TOOLS:
            raise ValueError(f"the tool {spec.name!r} is registered already")
        TOOLS[spec.name] = spec

        @functools.wraps(method)
        def checked(self: ToolsT, /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
            given: dict[str, Any] = spec.check(self._view.config, args, kwargs)
            return method(self, **given)  # pyright: ignore[reportCallIssue] - checked against the same signature

        return checked

    return register


def available_analysis_methods() -> list[MethodSpec]:
    """Name, description and parameters of every tool."""
    return [
        MethodSpec(name=spec.name, description=spec.description, parameters=spec.parameters) for spec in TOOLS.values()
    ]


def available_payload_generation_methods() -> list[MethodSpec]:
    """The tools that ``payload_generator`` collects the rows of."""
    return [method for method in available_analysis_methods() if method.name in FAMILY_OF_METHOD]


def tool_schemas(config: GeneratorConfig) -> list[dict[str, Any]]:
    """The tools in OpenAI's function form, with the names and dates of a configuration.

    A tool that is not offered, or that the configuration gives nothing to work on, see ``ToolSpec.parameter_schema``,
    is left out.
    """
    return [schema for spec in TOOLS.values() if (schema := function_schema(spec, config)) is not None]


def function_schema(spec: ToolSpec, config: GeneratorConfig) -> dict[str, Any] | None:
    """A tool in OpenAI's function form; None if the configuration gives it nothing to work on."""
    parameters = spec.parameter_schema(config)
    if parameters is None:
        return None
    function = {"name": spec.name, "description": spec.description, "parameters": parameters}
    return {"type": "function", "function": function}


def as_asked(value: object, types: frozenset[str] | None) -> object:
    """A value as one of the types of JSON that are asked for, if it is only written otherwise; else as it is."""
    if types is None:
        return value
    if isinstance(value, str) and "string" not in types and types & READ_FROM_TEXT.keys():
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return (
            found if any(isinstance(found, READ_FROM_TEXT[name]) for name in types & READ_FROM_TEXT.keys()) else value
        )
    if isinstance(value, float) and types & {"integer", "number"} == {"integer"} and value.is_integer():
        return int(value)
    return value


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Read a Google-style docstring.

    Args:
        text: The docstring as written.

    Returns:
        Summary, further paragraphs and the ``Returns`` section, as paragraphs; and the description of each
        argument, in order.
    """
    sections: dict[str, list[str]] = {"": []}
    lines = sections[""]
    for line in inspect.cleandoc(text).splitlines():
        heading = _SECTION.match(line)
        if heading:
            lines = sections.setdefault(heading[1], [])
        else:
            lines.append(line)
    described: dict[str, str] = {}
    name = ""
    for line in filter(str.strip, sections.get("Args", [])):
        start = _ARGUMENT.match(line)
        if start:
            name = start[1]
        described[name] = start[2] if start else f"{described.get(name, '')} {line.strip()}".strip()
    paragraphs = "\n".join(sections[""]).split("\n\n")
    if "Returns" in sections:
        paragraphs.append("Returns: " + "\n".join(sections["Returns"]).strip())
    return "\n\n".join(" ".join(part.split()) for part in paragraphs if part.strip()), described


def tool_spec(
    method: Callable[..., object],
    cost: CostClass,
    dates_argument: str | None = None,
    of_world: bool = False,
    about: EntityType | None = None,
) -> ToolSpec:
    """Read a method: its arguments from the signature, their descriptions from the docstring.

    Raises:
        ValueError: for a docstring that leaves out an argument.
    """
    name = method.__name__
    description, described = parse_docstring(method.__doc__ or "")
    parameters = list(inspect.signature(method).parameters.values())[1:]
    names = tuple(parameter.name for parameter in parameters)
    if not description or tuple(described) != names or not all(described.values()):
        raise ValueError(f"the docstring of {name} describes {list(described)}; its arguments are {list(names)}")
    hints = get_type_hints(method, include_extras=True)
    fields: dict[str, Any] = {
        parameter.name: (
            hints[parameter.name],
            Field(
                ... if parameter.default is inspect.Parameter.empty else parameter.default,
                description=described[parameter.name],
            ),
        )
        for parameter in parameters
    }
    arguments = create_model(name, __config__=ConfigDict(strict=True, extra="forbid"), **fields)
    properties: dict[str, dict[str, Any]] = arguments.model_json_schema()["properties"]
    result = hints.get("return")
    return ToolSpec(
        name=name,
        description=description,
        parameters=names,
        cost=cost,
        dates_argument=dates_argument,
        of_world=of_world,
        about=about,
        result=result if isinstance(result, type) and issubclass(result, StrictModel) else None,
        arguments=arguments,
        types={
            argument: frozenset(part["type"] for part in schema.get("anyOf", [schema]))
            for argument, schema in properties.items()
        },
    )
