"""The game behind the prompt: takes lines, plays them, and says what to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from metric_tracker_env import render
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.session import CALLS, ScoredSession, Session
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.ui.visitor import Visitor

from . import screen
from .lines import COMMANDS, Line, Tools

if TYPE_CHECKING:
    from rich.console import RenderableType

Shown = list["RenderableType"]


class Game:
    """One person's episodes.

    Args:
        session: That is played; of scored episodes, where they count.
        seed: Of the first episode, each further one adds 1; not where they are scored.

    Raises:
        ValueError: if no episode is left, or the seed is none.
    """

    def __init__(self, session: Session, seed: int) -> None:
        self._visitor = Visitor(session)
        if not self._visitor.scored:
            self._visitor.begin(None, seed, {})
        self._seed = seed
        config = session.config.generator
        names = [entity.entity_name for entity in config.catalogue.entities]
        self.tools = Tools(session.schemas, config.date_names, names)
        self.over = False  # the person has had enough
        self._with: dict[str, Callable[[tuple[str, ...]], Shown]] = {
            "report": self._report,
            "drop": self._drop,
            "help": self._help,
        }
        self._alone: dict[str, Callable[[], Shown]] = {
            "draft": lambda: [self._draft()],
            "board": lambda: [self._board()],
            "brief": lambda: [self.brief],
            "next": self._next,
            "quit": self._quit,
            SUBMIT: self._submit,
        }

    @property
    def brief(self) -> str:
        """What an analyst is told."""
        return self._visitor.session.brief

    @property
    def prompt(self) -> str:
        """Before each line: what is left."""
        standing = self._visitor.session.standing
        if standing.done:
            return "over> "
        rows = len(self._visitor.draft)
        return f"{standing.budget_left} units, {standing.calls_left} calls, {rows} in the draft> "

    def play(self, text: str) -> Shown:
        """Play a line; what is wrong with it is told, and costs what it costs an agent."""
        if not text.strip():
            return []
        try:
            line = self.tools.read(text)
            if line.word in self._with:
                return self._with[line.word](line.rest)
            if line.word not in self._alone:
                return self._call(line)
            if line.rest:
                raise ValueError(f"{line.word} takes nothing")
            return self._alone[line.word]()
        except ValueError as error:
            return [str(error)]

    def _call(self, line: Line) -> Shown:
        answer = self._visitor.call(line.word, line.arguments)
        cost = f"{answer.cost} unit{'' if answer.cost == 1 else 's'}"
        if not answer.ok:
            return [f"{answer.error} ({cost})", *self._end()]
        return [*screen.told(from_tables(answer.result or {})), f"({cost})", *self._end()]

    def _report(self, given: tuple[str, ...]) -> Shown:
        """Put a cell into the draft: by its date and name, or also its type where a name has several."""
        config = self._visitor.session.config.generator
        dates = config.date_names
        if len(given) not in (2, 3):
            raise ValueError("report takes a date and the name of an entity, and its type where several have the name")
        date, name, *kind = given
        if date not in dates:
            raise ValueError(f"{date!r} is no date of this episode; they are {dates[0]} to {dates[-1]}")
        revealed = self._visitor.session.revealed[config.day_index(date)]
        found = [
            entity
            for entity in config.catalogue.entities
            if entity.entity_name == name and (not kind or entity.entity_type == kind[0])
        ]
        if not found:
            names = ", ".join(dict.fromkeys(entity.entity_name for entity in config.catalogue.entities))
            raise ValueError(f"{' '.join([name, *kind])!r} is no entity; there are {names}")
        seen = [entity for entity in found if revealed[entity.index]] or found
        if len(seen) > 1:
            kinds = " or ".join(entity.entity_type for entity in seen)
            raise ValueError(f"{name} is several things on {date}; add its type: {kinds}")
        self._visitor.report(config.day_index(date), seen[0].index)
        return [self._draft()]

    def _drop(self, given: tuple[str, ...]) -> Shown:
        rows = self._visitor.draft
        if len(given) != 1 or not given[0].isdecimal() or not 1 <= int(given[0]) <= len(rows):
            raise ValueError(f"drop takes the number of a row of the draft, from 1 to {len(rows)}")
        self._visitor.drop(*rows[int(given[0]) - 1])
        return [self._draft()]

    def _draft(self) -> RenderableType:
        return screen.draft(self._visitor.rows())

    def _board(self) -> RenderableType:
        from rich.text import Text

        return Text.from_ansi(render.text(self._visitor.scene()))

    def _help(self, given: tuple[str, ...]) -> Shown:
        from rich.text import Text

        if not given:
            config = self._visitor.session.config
            tools = [
                {
                    "tool": name,
                    "costs": CALLS[name].price(config.costs),
                    "takes": ", ".join(self.tools.parameters(name)),
                }
                for name in self.tools.functions
                if name != SUBMIT
            ]
            commands = [{"command": name, "": words} for name, words in COMMANDS.items()]
            commands.append({"command": SUBMIT, "": "hand in the draft; ends the episode"})
            return [screen.table(tools, "tools"), "", screen.table(commands, "commands")]
        if given[0] not in self.tools.functions:
            raise ValueError(f"{given[0]!r} is no tool; help lists them")
        lines: Shown = [Text(str(self.tools.functions[given[0]]["description"]))]
        for name, schema in self.tools.parameters(given[0]).items():
            usual = f" (default {schema['default']})" if "default" in schema else ""
            lines.append(Text(f"  {name}: {schema.get('description', '')}{usual}"))
        return lines

    def _submit(self) -> Shown:
        answer = self._visitor.submit()
        return [str(answer.error)] if not answer.ok else self._end()

    def _end(self) -> Shown:
        """What is shown once, when the episode is over."""
        standing, session = self._visitor.session.standing, self._visitor.session
        if standing.grade is None:
            return []
        named = "" if standing.episode is None else f"seed {standing.episode.seed}. "
        return [
            self._board(),
            *screen.graded(standing.grade, standing.reward),
            f"{named}next begins another: {session.task}",
        ]

    def _next(self) -> Shown:
        if not self._visitor.session.standing.done:
            left = "counts 0" if self._visitor.scored else "is left"
            note = [f"the episode that was under way {left}"]
        else:
            note = []
        if self._visitor.scored:
            self._visitor.begin(None, None, {})
        else:
            self._seed += 1
            self._visitor.begin(None, self._seed, {})
        return [*note, self.brief]

    def _quit(self) -> Shown:
        self.over = True
        session = self._visitor.session
        if isinstance(session, ScoredSession):
            session.leave()
        return []
