"""What evaluations say: figures summed up, tables, and a file that holds everything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from metric_tracker_env.schema import FAMILIES, StrictModel

from .evaluate import Evaluation, Figure
from .intervals import Interval
from .paired import CONFIGURED, Pair, compare_pair
from .quiet import Quiet
from .rates import Rates
from .rows import Group

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FIGURES: tuple[Figure, ...] = get_args(Figure)
PLAIN_WIDTH = 100  # columns of what is printed into a file
PLAIN: tuple[Figure, ...] = ("net", "illegal")  # figures whose intervals are in the file only
NAME_WIDTH = 11  # of an agent that heads a column
DETAILED = 4  # agents that the details show
CEILING = "oracle"  # told the truth, so that its details say nothing


class Line(StrictModel):
    """The figures of one agent on one task."""

    agent: str
    task: str | None
    episodes: int
    figures: dict[Figure, Interval]  # means over episodes
    families: tuple[Group, ...]
    entities: tuple[Group, ...]
    quiet: Quiet | None = None  # None if every episode had something to find
    rates: Rates
    seal: str | None = None  # hash of the seal that made the episodes; None for public ones

    @property
    def title(self) -> str:
        """Name of the task."""
        return self.task or CONFIGURED

    @property
    def held_out(self) -> str:
        """The episodes, in words."""
        which = "held-out" if self.seal is None else "sealed"
        return f"{self.episodes:,} {which} episodes"


class Comparison(StrictModel):
    """Several evaluations, summed up and in full."""

    summary: tuple[Line, ...]
    evaluations: tuple[Evaluation, ...]
    pairs: tuple[Pair, ...] = ()  # each agent against the best one of its task, by family, the ceiling left out

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation]) -> Comparison:
        """Sum up evaluations.

        Raises:
            ValueError: if some of a task are of public episodes and others of sealed ones, or of another seal's.
        """
        seals: dict[str, str | None] = {}
        for item in evaluations:
            title = item.task or CONFIGURED
            if seals.setdefault(title, item.seal) != item.seal:
                told = f"one has seal {seals[title]}, another {item.seal} (None: public episodes)"
                raise ValueError(f"evaluations of {title!r} are not of the same episodes: {told}")
        lines = [
            Line(
                agent=evaluation.agent,
                task=evaluation.task,
                episodes=len(evaluation.episodes.seed),
                figures={figure: evaluation.interval(figure) for figure in FIGURES},
                families=evaluation.rows.by_family(),
                entities=evaluation.rows.by_entity(evaluation.config.generator.catalogue),
                quiet=Quiet.of(evaluation),
                rates=Rates.of(evaluation),
                seal=evaluation.seal,
            )
            for evaluation in evaluations
        ]
        made = cls(summary=tuple(lines), evaluations=tuple(evaluations))
        pairs: list[Pair] = []
        for task, ranked in made.tasks.items():
            played = {item.agent: item for item in evaluations if (item.task or CONFIGURED) == task}
            first, *others = (line.agent for line in ranked if line.agent != CEILING or len(ranked) == 1)
            for name in others:
                if played[name].episodes.seed == played[first].episodes.seed:
                    pairs += compare_pair(played[name], played[first])
        return made.model_copy(update={"pairs": tuple(pairs)})

    @property
    def tasks(self) -> dict[str, list[Line]]:
        """The lines of each task, best score first."""
        found: dict[str, list[Line]] = {}
        for line in self.summary:
            found.setdefault(line.title, []).append(line)
        return {task: sorted(lines, key=_rank) for task, lines in found.items()}

    @property
    def models(self) -> set[str]:
        """Names of the agents that were trained, and so have a card."""
        return {item.agent for item in self.evaluations if item.card is not None}

    def chosen(self, number: int = DETAILED) -> list[str]:
        """Names of the agents that the details show, best score first: saved models, then the best others.

        The ceiling is left out if there are others.
        """
        total: dict[str, float] = {}
        for line in self.summary:
            total[line.agent] = total.get(line.agent, 0.0) + line.figures["score"].mean
        names = sorted(total, key=lambda name: (name not in self.models, -total[name]))
        found = [name for name in names if name != CEILING][:number] or names
        return sorted(found, key=lambda name: -total[name])

    def to_json(self, path: str | Path) -> None:
        """Write the comparison to a file."""
        Path(path).write_text(self.model_dump_json() + "\n", encoding="utf-8")


def console() -> Console:
    """Where tables are printed: the terminal, or a file of 100 columns."""
    from rich.console import Console

    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def score_table(lines: Sequence[Line], title: str) -> Table:
    """One task: a line an agent with its means over episodes.

    The 95 % interval of the score is written out, of others half its width. F1 is shown if it differs from the
    score for some agent, and the number of illegal actions if some agent chose any.
    """
    shown: list[tuple[str, Figure, int]] = [
        ("precision", "precision", 3),
        ("recall", "recall", 3),
        ("net", "net", 3),
        ("tools", "tool_calls", 1),
        ("units", "cost", 1),
    ]
    width = 2 * NAME_WIDTH
    if any(line.figures["f1"] != line.figures["score"] for line in lines):
        shown.insert(0, ("F1", "f1", 3))
        width -= NAME_WIDTH
    if any(line.figures["illegal"].high > 0 for line in lines):
        shown.append(("illegal", "illegal", 1))
        width -= NAME_WIDTH
    table = _table(title)
    table.add_column("agent", no_wrap=True)
    for header in ("score", "interval", *(header for header, _, _ in shown)):
        table.add_column(header, justify="right", no_wrap=True)
    for line in lines:
        score = line.figures["score"]
        values = [_with_half(line.figures[figure], digits, figure not in PLAIN) for _, figure, digits in shown]
        table.add_row(
            wrapped(line.agent, max(width, NAME_WIDTH)),
            f"{score.mean:.3f}",
            f"{score.low:.3f}-{score.high:.3f}",
            *values,
        )
    return table


def detail_table(lines: Sequence[Line], title: str) -> Table:
    """One task: expected rows, and recall and precision of each agent, by family and by entity.

    Families and entities without any row, expected or submitted, are left out.
    """
    table = _table(title)
    table.add_column("", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True, vertical="bottom")
    for line in lines:
        table.add_column(f"{wrapped(line.agent, NAME_WIDTH)}\nrec.  prec.", justify="right", no_wrap=True)
    by_family = [(group.name, [line.families[i] for line in lines]) for i, group in enumerate(lines[0].families)]
    by_entity = [(group.name, [line.entities[i] for line in lines]) for i, group in enumerate(lines[0].entities)]
    _add_section(table, "family", by_family)
    kinds = dict.fromkeys(name.split(" ")[0] for name, _ in by_entity)
    for kind in kinds:
        _add_section(table, kind, [(name.split(" ")[1], g) for name, g in by_entity if name.split(" ")[0] == kind])
    return table


def pair_table(pairs: Sequence[Pair], title: str) -> Table:
    """One task: F1 of each agent's rows less that of the best agent's, by family, with paired 95 % intervals.

    A difference whose interval leaves out 0 is marked with a star.
    """
    table = _table(title)
    table.add_column("family", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True, vertical="bottom")
    agents = list(dict.fromkeys(pair.agent for pair in pairs))
    for agent in agents:
        table.add_column(wrapped(agent, 2 * NAME_WIDTH), justify="right", no_wrap=True)
    for family in dict.fromkeys(pair.family for pair in pairs):
        of_family = {pair.agent: pair for pair in pairs if pair.family == family}
        if not any(pair.expected or pair.f1 != 1.0 or pair.other_f1 != 1.0 for pair in of_family.values()):
            continue
        cells = [_difference(of_family[agent]) for agent in agents]
        label = FAMILIES[family].label if family in FAMILIES else family
        table.add_row(label, f"{of_family[agents[0]].expected:,}", *cells)
    return table


def quiet_table(lines: Sequence[Line], title: str) -> Table:
    """One task: what agents do with quiet episodes, and precision and recall in the others."""
    table = _table(title)
    table.add_column("agent", no_wrap=True)
    for header in ("quiet", "left alone", "false alarms", "precision of others", "recall of others"):
        table.add_column(header, justify="right", no_wrap=True)
    for line in lines:
        quiet = line.quiet
        if quiet is not None:
            shares = [f"{quiet.left_alone.mean:.3f}", f"{quiet.false_alarms.mean:.2f}"]
            others = [_share(quiet.precision), _share(quiet.recall)]
            table.add_row(wrapped(line.agent, 2 * NAME_WIDTH), f"{quiet.episodes:,}", *shares, *others)
    return table


def rates_table(lines: Sequence[Line], title: str) -> Table:
    """One task: whole answers, evidence and waste, and the first fault of the episodes that were not solved."""
    table = _table(title)
    table.add_column("agent", no_wrap=True)
    for header in ("exact", "any root", "grounded", "false alarms", "wasted"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("first fault, of 100 episodes")
    for line in lines:
        rates = line.rates
        each = 100 / line.episodes
        faults = sorted(((-number, name) for name, number in rates.failures.items() if name != "solved"))
        table.add_row(
            wrapped(line.agent, 2 * NAME_WIDTH),
            *(_share(share) for share in (rates.exact_set, rates.any_root, rates.grounded)),
            f"{rates.false_alarms.mean:.2f}",
            f"{rates.units_wasted.mean:.1f}",
            ", ".join(f"{name.replace('_', ' ')} {_hundredth(-number * each)}" for number, name in faults),
        )
    return table


def _hundredth(number: float) -> str:
    """A number of a hundred, as short as it may be."""
    return f"{number:.0f}" if number >= 1 else f"{number:.1f}"


def _difference(pair: Pair) -> str:
    """A difference with its interval."""
    told = pair.difference
    return f"{told.mean:+.3f} [{told.low:+.2f}, {told.high:+.2f}]{'*' if pair.apart else ' '}"


def print_notes(evaluation: Evaluation) -> None:
    """Print what is to be told of an agent's episodes besides its figures."""
    where = evaluation.agent if evaluation.task is None else f"{evaluation.agent}, {evaluation.task}"
    for note in evaluation.notes:
        console().print(f"{where}: {note}", markup=False, soft_wrap=True)


def wrapped(name: str, width: int) -> str:
    """A name in lines of at most so many characters where possible, broken after hyphens and underscores."""
    lines = [""]
    for piece in re.findall(r"[^-_]*[-_]|[^-_]+", name):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _add_section(table: Table, heading: str, rows: Sequence[tuple[str, Sequence[Group]]]) -> None:
    """A heading and a line for each group that has rows."""
    some = [(name, groups) for name, groups in rows if any(g.expected or g.extra for g in groups)]
    if not some:
        return
    table.add_row(f"[bold]{heading}[/bold]")
    for name, groups in some:
        table.add_row(
            f" {name}", f"{groups[0].expected:,}", *(f"{_share(g.recall)} {_share(g.precision)}" for g in groups)
        )


def _with_half(interval: Interval, digits: int, wanted: bool) -> str:
    """A mean and, if wanted, half the width of its interval."""
    half = f"{(interval.high - interval.low) / 2:.{digits}f}"
    shown = f" ±{half.removeprefix('0') if digits > 1 else half}" if wanted else ""
    return f"{interval.mean:.{digits}f}{shown}"


def _share(interval: Interval | None) -> str:
    return f"{'-':>5}" if interval is None else f"{interval.mean:.3f}"


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    style = {"title_justify": "left", "title_style": "bold", "pad_edge": False, "show_edge": False}
    return Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0), **style)


def _rank(line: Line) -> tuple[float, float, str]:
    """Best score first, then best net score."""
    return -line.figures["score"].mean, -line.figures["net"].mean, line.agent
