"""What a person types: a command or a tool with its arguments, by place or by name; and what could come next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

COMMANDS: dict[str, str] = {
    "report": "report DATE ENTITY: put a cell that was shown into the draft",
    "drop": "drop NUMBER: take a row out of the draft",
    "draft": "show the draft",
    "board": "show all that is known, by date",
    "brief": "show the brief again",
    "help": "help [TOOL]: what can be typed, or what a tool takes",
    "next": "begin the next episode",
    "quit": "stop playing",
}


class Line(NamedTuple):
    """A line that was typed."""

    word: str  # a command or the name of a tool
    arguments: dict[str, Any]  # of a tool, by name
    rest: tuple[str, ...]  # of a command, by place


class Tools:
    """The tools that may be typed, from the schemas of a session.

    Args:
        schemas: In OpenAI's function form.
        dates: All dates, in ISO format.
        entities: Names of the entities.
    """

    def __init__(self, schemas: Sequence[Mapping[str, Any]], dates: Sequence[str], entities: Sequence[str]) -> None:
        self.functions: dict[str, Mapping[str, Any]] = {item["function"]["name"]: item["function"] for item in schemas}
        self._dates, self._entities = list(dates), list(dict.fromkeys(entities))

    def parameters(self, tool: str) -> dict[str, Mapping[str, Any]]:
        """The arguments of a tool and their schemas."""
        return dict(self.functions[tool]["parameters"].get("properties", {}))

    def read(self, text: str) -> Line:
        """What was typed.

        Raises:
            ValueError: in words for who typed it.
        """
        try:
            word, *rest = shlex.split(text)
        except ValueError as error:
            raise ValueError(f"cannot be read: {error}; close every quote") from None
        if word in COMMANDS or word == "submit":
            return Line(word, {}, tuple(rest))
        if word not in self.functions:
            near = [name for name in (*self.functions, *COMMANDS) if word in name][:5]
            more = f"; do you mean {', '.join(near)}?" if near else "; help lists what there is"
            raise ValueError(f"{word!r} is no tool and no command{more}")
        names = list(self.parameters(word))
        arguments: dict[str, Any] = {}
        for place, item in enumerate(rest):
            name, equals, value = item.partition("=")
            if not equals:
                if place >= len(names):
                    raise ValueError(f"{word} takes {len(names)} arguments ({', '.join(names)}), not {len(rest)}")
                name, value = names[place], item
            if name not in names:
                raise ValueError(f"{word} has no argument {name!r}; it has {', '.join(names) or 'none'}")
            arguments[name] = value_of(value, self.parameters(word)[name])
        return Line(word, arguments, ())

    def next(self, text: str) -> list[str]:
        """What the last word of a line could be."""
        *before, last = text.lstrip().split(" ")
        if not before:
            found = [*COMMANDS, "submit", *self.functions]
        elif before[0] == "report":
            found = self._dates if len(before) == 1 else self._entities
        elif before[0] == "help":
            found = list(self.functions)
        elif before[0] in self.functions:
            parameters = self.parameters(before[0])
            name, equals, _ = last.partition("=")
            if equals and name in parameters:
                return [item for item in self._values(parameters[name], f"{name}=") if item.startswith(last)]
            given = {word.partition("=")[0] for word in before[1:] if "=" in word}
            places = list(parameters.values())[len(before) - 1 : len(before)]
            found = [item for schema in places for item in self._values(schema)]
            found += [f"{name}=" for name in parameters if name not in given]
        else:
            found = []
        return [item for item in found if item.startswith(last)]

    def _values(self, schema: Mapping[str, Any], before: str = "") -> list[str]:
        """What an argument could be, of those that can be listed."""
        kinds = [schema, *schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]
        kinds += [kind["items"] for kind in kinds if "items" in kind]
        found: list[str] = []
        for kind in kinds:
            found += (
                self._dates if kind.get("format") == "date" else [str(item) for item in kind.get("enum", ()) if item]
            )
        return [before + item for item in dict.fromkeys(found)]


def value_of(text: str, schema: Mapping[str, Any]) -> Any:
    """An argument as its schema wants it; what does not fit stays as it is, for the tool to refuse in its words."""
    kinds = [kind.get("type") for kind in (schema, *schema.get("anyOf", ()))]
    if "array" in kinds:
        return [part for part in text.split(",") if part] if not text.startswith("[") else _decoded(text)
    if "integer" in kinds or "number" in kinds:
        return _decoded(text)
    return text


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
