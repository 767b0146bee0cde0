"""What differs between results as a file has them and as they come of playing again, in words."""

from __future__ import annotations

from collections.abc import Iterator

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES

from ..evaluation.evaluate import Episodes, Evaluation, differing_fields
from ..evaluation.rows import Rows
from ..players.outcome import Fate

Cell = tuple[int, int, int, int]  # day, entity, family, fate


def differences(held: Evaluation, found: Evaluation) -> Iterator[str]:
    """Every difference, the most telling first.

    Args:
        held: As the file has it.
        found: As it comes of playing again.
    """
    for name in ("agent", "kind", "card", "task", "seal"):
        if getattr(held, name) != getattr(found, name):
            yield f"results: {name} is not that of the manifest"
    other = differing_fields(held.config, found.config)
    if other:
        yield f"results: the configuration is not that of the manifest; {', '.join(other)} differ"
    seeds, due = held.episodes.seed, found.episodes.seed
    if seeds != due:
        yield _of_seeds(seeds, due)
        return
    yield from _of_figures(held.episodes, found.episodes)
    yield from _of_rows(held.rows, found.rows, seeds, found.config.generator)
    for tool in sorted({*held.tools, *found.tools}):
        there, here = held.tools.get(tool, 0), found.tools.get(tool, 0)
        if there != here:
            yield f"calls of {tool!r}: {there:,} in the file, {here:,} when played again"
    if held.notes != found.notes:
        yield "results: the notes are not those that come of playing again"


def _of_seeds(seeds: tuple[int, ...], due: tuple[int, ...]) -> str:
    missing = sorted(set(due) - set(seeds))
    if missing:
        return f"results: {len(missing):,} of {len(due):,} episodes are missing; the first has seed {missing[0]}"
    if len(seeds) != len(due):
        return f"results: there are {len(seeds):,} episodes of {len(due):,}; each must be there once"
    number = next(i for i, (seed, other) in enumerate(zip(seeds, due, strict=True)) if seed != other)
    return f"results: episode {number} has seed {seeds[number]}, where {due[number]} is due"


def _of_figures(held: Episodes, found: Episodes) -> Iterator[str]:
    """Figures of the same seeds."""
    names = [name for name in Episodes.model_fields if getattr(held, name) != getattr(found, name)]
    for number, seed in enumerate(found.seed):
        for name in names:
            there, here = getattr(held, name)[number], getattr(found, name)[number]
            if there != here:
                yield f"seed {seed}: {name} is {there:g} in the file and {here:g} when played again"


def _of_rows(held: Rows, found: Rows, seeds: tuple[int, ...], generator: GeneratorConfig) -> Iterator[str]:
    """Rows of the same seeds."""
    if held == found:
        return
    there, here = _by_episode(held), _by_episode(found)
    for number in sorted({*there, *here}):
        extra, lacking = (
            sorted(one.get(number, set()) - other.get(number, set())) for one, other in ((there, here), (here, there))
        )
        where = f"seed {seeds[number]}" if 0 <= number < len(seeds) else f"episode {number}, which there is not"
        for cell in extra:
            yield f"{where}: row {_named(cell, generator)} is in the file and does not come of playing again"
        for cell in lacking:
            yield f"{where}: row {_named(cell, generator)} comes of playing again and is not in the file"
    if there == here:
        yield "results: rows are there in another order or more than once"


def _by_episode(rows: Rows) -> dict[int, set[Cell]]:
    found: dict[int, set[Cell]] = {}
    for episode, *cell in zip(rows.episode, rows.day, rows.entity, rows.family, rows.fate, strict=True):
        found.setdefault(episode, set()).add((cell[0], cell[1], cell[2], cell[3]))
    return found


def _named(cell: Cell, generator: GeneratorConfig) -> str:
    """A row in words; by its numbers, if they mean nothing."""
    day, entity, family, fate = cell
    entities = generator.catalogue.entities
    known = (0 <= day < generator.num_days, 0 <= entity < len(entities), 0 <= family < len(ANOMALY_TYPES))
    if not all(known) or fate not in {*Fate}:
        return str(cell)
    what = entities[entity]
    told = f"{generator.date_names[day]}, {what.entity_type} {what.entity_name}, {ANOMALY_TYPES[family]}"
    return f"({told}, {Fate(fate).name.lower()})"
