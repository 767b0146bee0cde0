"""What the page shows, as plain data: only what the visitor has paid for, and at the end the truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from metric_tracker_env import measure
from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import (
    EVENTS_TOOL,
    INSPECT_TOOLS,
    OPEN_TOOL,
    REVEALED_TYPES,
    SCAN_TOOLS,
    SUBMIT,
    SURVEY_TOOL,
)
from metric_tracker_env.render import sheet
from metric_tracker_env.render.scene import Scene
from metric_tracker_env.schema import FAMILIES, WEEKDAYS, AnomalyType, EntityType
from metric_tracker_env.scoring import Grade
from metric_tracker_env.session import ScoredSession
from metric_tracker_env.tasks import TASKS
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.tools.cells import UNITS
from metric_tracker_env.ui.visitor import Step, Visitor
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.labels import CellClass

GROUPS: dict[EntityType, str] = {
    "event_count": "counts",
    "conversion_rate": "rates",
    "funnel_step": "funnel",
    "hourly_mix": "mix",
    "data_quality": "quality",
}
PALETTE = {
    name.lower(): getattr(sheet, name)
    for name in ("INK", "SOFT", "FAINT", "EMPTY", "PAPER", "BAND", "TWIN", "SPEND", "FOUND", "MISSED", "WRONG", "KNOWN")
} | {"scan": list(sheet.SCAN_COLOURS)}
SCANS = (SURVEY_TOOL, *SCAN_TOOLS)  # whose answers tell dates
DATE_TOOLS = (OPEN_TOOL, *INSPECT_TOOLS)


def snapshot(visitor: Visitor) -> dict[str, Any]:
    """All that the page draws of a visitor's episode."""
    session = visitor.session
    standing, config = session.standing, session.config
    episode = visitor.truth
    families, flagged_at = flags(visitor.steps, config.generator.date_names)
    return {
        "task": session.task,
        "tasks": list(TASKS),
        "seed": visitor.seed if standing.episode is None else standing.episode.seed,
        "options": visitor.options,
        "counted": visitor.counted,
        "left": session.left if isinstance(session, ScoredSession) else None,
        "brief": session.brief,
        "budget": {"left": standing.budget_left, "all": config.budget},
        "calls": {"left": standing.calls_left, "all": config.step_limit},
        "reward": round(standing.reward, 4),
        "tools": tools(config),  # pyright: ignore[reportArgumentType] - a frozen model can be hashed
        "grade": None if standing.grade is None else standing.grade.model_dump(mode="json"),
        "flags": families,
        "flagged_at": flagged_at,
        **drawn(session.scene(), visitor.steps, visitor.draft, visitor.shown_at, episode),
    }


class Replayed(NamedTuple):
    """An episode that an agent has played, to its end or as far as it has come; then without the truth."""

    agent: str
    task: str
    seed: int
    scene: Scene
    episode: EpisodeData | None  # None before the end
    steps: Sequence[Step]
    draft: Sequence[tuple[int, int]]  # (day, entity) in the order of the reports
    draft_at: Sequence[int]  # number of the call that reported each
    shown_at: np.ndarray  # (D, E) int64, see Visitor.shown_at
    flags: Sequence[Sequence[str]]  # labels of the families that scans told of each date
    flagged_at: Sequence[int]  # number of the call that first told of each date, 0 for none
    grade: Grade | None = None  # of what was submitted, where that is not the draft of the scene


def replay(played: Replayed) -> dict[str, Any]:
    """All that the page draws of an agent's episode: the same, without what can be done."""
    scene, truth_told = played.scene, played.scene.truth
    grade = played.grade if played.grade is not None or truth_told is None else truth_told.grade
    left = scene.progress.budget
    state = {
        "agent": played.agent,
        "task": played.task,
        "tasks": [played.task],
        "seed": played.seed,
        "options": {},
        "counted": True,
        "left": None,
        "brief": "",
        "budget": {"left": left, "all": scene.config.budget},
        "calls": {"left": scene.config.step_limit - len(played.steps), "all": scene.config.step_limit},
        "reward": round(played.steps[-1].total, 4) if played.steps else 0.0,
        "tools": [],
        "grade": None if grade is None else grade.model_dump(mode="json"),
        "flags": [list(families) for families in played.flags],
        "flagged_at": list(played.flagged_at),
        **drawn(scene, played.steps, played.draft, played.shown_at, played.episode),
    }
    for row, at in zip(state["draft"], played.draft_at, strict=True):
        row["k"] = at
    return state


def drawn(
    scene: Scene,
    steps: Sequence[Step],
    reported: Sequence[tuple[int, int]],
    shown_at: np.ndarray,
    episode: EpisodeData | None,
) -> dict[str, Any]:
    """The part of the state that is drawn: the board, the draft, the calls, and the truth where it is told."""
    generator = scene.generator
    listed = next((number for number, step in enumerate(steps, 1) if step.ok and step.tool == EVENTS_TOOL), 0)
    hours_at = shown_at[:, scene.catalogue.slices["hourly_mix"]].max(axis=1, initial=0)
    return {
        "difficulty": scene.difficulty,
        "dates": list(generator.date_names),
        "weekdays": [WEEKDAYS[day] for day in generator.weekdays.tolist()],
        "entities": entities(scene),
        "over": scene.over,
        "cells": cells(scene, shown_at),
        "seasonal": seasonal(generator.date_names, steps, episode),
        "events": [
            {**known.event.model_dump(mode="json"), "first": known.first, "last": known.last, "mark": known.mark}
            | {"k": listed}
            for known in scene.events
        ],
        "lost": [
            {"day": lost.day, **lost.gap.model_dump(mode="json"), "k": int(hours_at[lost.day])} for lost in scene.lost
        ],
        "draft": draft(scene, reported, episode),
        "steps": [step._asdict() for step in steps],
        "palette": PALETTE,
        "truth": None if episode is None else truth(episode),
    }


def entities(scene: Scene) -> list[dict[str, Any]]:
    """Name, group and unit of every entity, and its baseline and threshold once one of its cells is shown."""
    catalogue = scene.catalogue
    called = dict(zip(catalogue.count_metrics, short_names(catalogue.count_metrics), strict=True))
    made_of = {item.name: f"{called[item.denominator]} → {called[item.numerator]}" for item in catalogue.conversions}
    pairs = iter([*catalogue.funnel_steps, *catalogue.funnel_steps])
    found: list[dict[str, Any]] = []
    for entity in catalogue.entities:
        name, kind = entity.entity_name, entity.entity_type
        short = made_of.get(name, name)
        if kind in ("funnel_step", "data_quality"):
            numerator, denominator = next(pairs)
            sign = "÷" if kind == "funnel_step" else ">"
            short = f"{called[numerator]} {sign} {called[denominator]}"
        elif kind == "hourly_mix":
            short = f"{called[catalogue.count_metrics[0]]} in daytime"
        known = bool(np.isfinite(scene.baselines[entity.index]))
        found.append(
            {
                "type": kind,
                "name": name,
                "short": short,
                "group": GROUPS[kind],
                "unit": UNITS[kind],
                "method": entity.detection_method,
                "median": measure.rounded(scene.baselines[entity.index]) if known else None,
                "threshold": measure.rounded(scene.thresholds[entity.index]) if known else None,
                "tool": next(tool for tool, kinds in REVEALED_TYPES.items() if kind in kinds),
            }
        )
    return found


def short_names(steps: tuple[str, ...]) -> list[str]:
    """A word of each step's name that no other has; the whole name where there is none."""
    words = [step.split("_") for step in steps]
    return [
        next((word for word in own if sum(word in other for other in words) == 1), step)
        for step, own in zip(steps, words, strict=True)
    ]


def cells(scene: Scene, shown_at: np.ndarray) -> list[dict[str, Any]]:
    """The cells that were shown: day, entity, value, deviation in thresholds, colour, and which call showed it."""
    day, entity = np.nonzero(np.isfinite(scene.ratios))
    colour = (sheet.colours(scene.ratios[day, entity]) * 255).round().astype(int)
    kinds: list[EntityType] = [item.entity_type for item in scene.catalogue.entities]
    shown = zip(day.tolist(), entity.tolist(), colour.tolist(), strict=True)
    return [
        {
            "d": d,
            "e": e,
            "v": measure.rounded(scene.values[d, e]),
            "r": round(float(scene.ratios[d, e]), 3),
            "c": "#{:02x}{:02x}{:02x}".format(*rgb),
            "k": int(shown_at[d, e]),
            "f": scene.confirmed(d, e),
            "s": measure.severity(kinds[e], float(scene.values[d, e] - scene.baselines[e]), float(scene.baselines[e])),
        }
        for d, e, rgb in shown
    ]


def seasonal(names: Sequence[str], steps: Sequence[Step], episode: EpisodeData | None) -> list[dict[str, Any]]:
    """What weekday and trend lead one to expect of the first step, and which call told it (0: none, but the truth)."""
    found: dict[str, dict[str, Any]] = {}
    for number, step in enumerate(steps, 1):
        if step.ok and step.tool == OPEN_TOOL and step.result is not None:
            date = step.arguments["date"]
            told = step.result["seasonal"]["seasonal_baseline"]
            found.setdefault(date, {"d": names.index(date), "v": told, "k": number})
    for day, value in enumerate([] if episode is None else episode.view.seasonal_baseline.tolist()):
        found.setdefault(names[day], {"d": day, "v": measure.rounded(value), "k": 0})
    return sorted(found.values(), key=lambda item: item["d"])


def flags(steps: Sequence[Step], names: Sequence[str]) -> tuple[list[list[str]], list[int]]:
    """The families that scans have told of each date, by their names in a picture; and the call that was the first."""
    told: list[dict[str, None]] = [{} for _ in names]
    first = [0] * len(names)
    for number, step in enumerate(steps, 1):
        family = TOOLS[step.tool].family if step.tool in SCANS else None
        for item in (step.result or {}).get("dates", ()) if step.tool in SCANS else ():
            date, found = families_of(item, family)
            day = names.index(date)
            told[day].update(dict.fromkeys(FAMILIES[each].label for each in found))
            first[day] = first[day] or number
    return [list(families) for families in told], first


def families_of(item: Any, family: AnomalyType | None) -> tuple[str, Sequence[AnomalyType]]:
    """The date that a scan tells of, and its families: the scan's own, or those that the survey names."""
    if isinstance(item, str):
        return item, () if family is None else (family,)
    return item["date"], item["anomaly_types"]


def draft(scene: Scene, reported: Sequence[tuple[int, int]], episode: EpisodeData | None) -> list[dict[str, Any]]:
    """The rows of the draft with what their detection methods say; at the end with what they were."""
    found: list[dict[str, Any]] = []
    for day, entity in reported:
        row = scene.row(day, entity)
        found.append(
            {
                "d": day,
                "e": entity,
                "row": row.model_dump(mode="json"),
                "family": FAMILIES[row.anomaly_type].label,
                "confirmed": scene.confirmed(day, entity),
                "r": round(float(scene.ratios[day, entity]), 2),
                "was": None if episode is None or not scene.over else what_it_was(episode, day, entity),
            }
        )
    return found


def what_it_was(episode: EpisodeData, day: int, entity: int) -> dict[str, Any]:
    """What a reported cell turned out to be, in words."""
    catalogue, kind = episode.generator_config.catalogue, CellClass(int(episode.classes[day, entity]))
    if kind == CellClass.EXPECTED:
        return {"right": True, "why": "the cause of an incident"}
    if kind == CellClass.CONSEQUENCE:
        roots = ", ".join(catalogue.entities[root].entity_name for root in episode.causes(day, entity))
        return {"right": False, "why": f"follows from {roots}"}
    if kind == CellClass.EXPLAINED:
        told = episode.explanation(day, entity)
        return {"right": False, "why": f"explained by {getattr(told, 'kind', 'lost hours').replace('_', ' ')}"}
    if kind == CellClass.NATURAL:
        return {"right": False, "why": "far from its median because of weekday, trend or noise"}
    return {"right": False, "why": "its detection method does not confirm it"}


def truth(episode: EpisodeData) -> dict[str, Any]:
    """The expected rows, the class of every flagged cell, the values without incidents, and the usual hours."""
    config = episode.generator_config
    day, entity = np.nonzero(episode.classes)
    hours = episode.hourly[:, :, 0].astype(np.float64)
    return {
        "expected": [
            {
                "d": config.day_index(row.date),
                "e": config.catalogue.index[row.entity_type, row.entity_name],
                "row": row.model_dump(mode="json"),
                "family": FAMILIES[row.anomaly_type].label,
            }
            for row in episode.expected_rows
        ],
        "classes": [
            [d, e, CellClass(int(episode.classes[d, e])).name.lower()]
            for d, e in zip(day.tolist(), entity.tolist(), strict=True)
        ],
        "twin": twin(episode),
        "profile": np.median(measure.share(hours, hours.sum(axis=1, keepdims=True)), axis=0).round(5).tolist(),
    }


def twin(episode: EpisodeData) -> list[list[float] | None]:
    """Of each entity the values without incidents, by day; None for those that are not made of the counts of a day."""
    catalogue = episode.generator_config.catalogue
    daily = episode.twin_daily.T
    nothing = np.zeros((len(daily) - 1, daily.shape[1]))
    values = measure.measures(catalogue, daily, nothing[0], nothing)[catalogue.measure_of_entity]
    return [
        None if entity.entity_type in ("hourly_mix", "data_quality") else [measure.rounded(v) for v in row]
        for entity, row in zip(catalogue.entities, values.tolist(), strict=True)
    ]


@lru_cache(maxsize=32)
def tools(config: EnvConfig) -> list[dict[str, Any]]:
    """The tools with their prices and the schemas of their arguments, those for a date and for all dates marked."""
    found: list[dict[str, Any]] = []
    for name, spec in TOOLS.items():
        schema = spec.parameter_schema(config.generator)
        if schema is not None and name not in {SUBMIT, "preview_submission", "payload_generator"}:
            where = "date" if name in DATE_TOOLS else "all" if name in {SURVEY_TOOL, EVENTS_TOOL} else "more"
            units = spec.units(config.costs, {}, config.generator)
            found.append(
                {
                    "name": name,
                    "about": spec.description.split("\n\n")[0],
                    "units": units,
                    "price": spec.price(config.costs),
                    "where": where,
                    "parameters": schema,
                }
            )
    return found
