"""The analyst in words: the investigation of a script that calls tools by name and reads their JSON, through any door.

It is what a good language model would do: survey, open the flagged dates, inspect what asks for it, name the roots by
the signature rule, and submit their rows as the tools gave them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np

from metric_tracker_env.config import GeneratorConfig
from metric_tracker_env.play.actions import OPEN_TOOL, SUBMIT, SURVEY_TOOL
from metric_tracker_env.schema import ANOMALY_TYPES, MetricSubmissionRow

from .desk import COUNT_FAMILIES, FUNNEL_TOOL, HOURLY_TOOL, QUALITY_TOOL
from .signature import NO_INCIDENT, Moves, SignatureRule, nominal_season

Call = tuple[str, dict[str, Any]]
Answer = Mapping[str, Any]
ROW_FIELDS = tuple(MetricSubmissionRow.model_fields)
ALL_DATES = 366
QUALITY, MIX, FUNNEL = "instrumentation_data_quality_issue", "hourly_traffic_mix_shift", "funnel_break"


class Evidence:
    """What the tools have shown of one date."""

    def __init__(self, rule: SignatureRule) -> None:
        self._rule = rule
        self._cells: dict[int, Mapping[str, Any]] = {}
        self._entry = 1.0

    def take(self, result: Mapping[str, Any]) -> None:
        """Read the result of a tool on the date."""
        season = result.get("seasonal")
        if season is not None:
            self._entry = season["observed_value"] / max(season["seasonal_baseline"], 1.0)
        lists = (result.get(name, ()) for name in ("counts", "rates", "steps", "pairs"))
        single = [result["daytime_share"]] if "daytime_share" in result else []
        for cell in [*(cell for cells in lists for cell in cells), *single]:
            self._cells[self._rule.catalogue.index[cell["entity_type"], cell["entity_name"]]] = cell

    def root(self) -> Mapping[str, Any] | None:
        """The cell of the root that the signature rule names, if there is one."""
        rule, cells = self._rule, self._cells
        catalogue = rule.catalogue
        flagged = np.zeros((catalogue.num_entities, 1), bool)
        flagged[[index for index, cell in cells.items() if cell["is_anomaly"]]] = True
        if not flagged.any():
            return None
        relative = np.ones(catalogue.num_entities)
        for index, cell in cells.items():
            if cell["baseline_value"] > 0:
                relative[index] = cell["observed_value"] / cell["baseline_value"]
        counts = np.maximum(relative[: catalogue.num_steps], 1e-6)
        rates = counts[1:] / counts[:-1]
        for step in range(1, catalogue.num_steps):
            for entity in (rule.single.get(step), rule.funnel + step):
                if entity in cells:
                    rates[step - 1] = relative[entity]
        excess = np.zeros(catalogue.num_steps - 1)
        for pair in range(len(excess)):
            if rule.quality + pair in cells:
                excess[pair] = cells[rule.quality + pair]["ratio"]
        entry = np.array([self._entry])
        root = int(rule.name(Moves(rates[:, None], rule.rate_limits, entry, flagged, excess[:, None]))[0])
        return None if root == NO_INCIDENT else cells[root]


def investigate(config: GeneratorConfig) -> Generator[Call, Answer, None]:
    """The calls of one episode: yields (tool, arguments) and is sent each answer, decoded."""
    overview = yield "task_overview", {}
    rule = SignatureRule(config, overview["result"]["difficulty"])
    survey = yield SURVEY_TOOL, {"limit": ALL_DATES}
    flagged = {item["date"]: set(item["anomaly_types"]) for item in survey.get("result", {}).get("dates", ())}
    rows: list[dict[str, Any]] = []
    for date in ranked(flagged, rule):
        found = Evidence(rule)
        families = flagged[date]
        opened = yield OPEN_TOOL, {"date": date}
        if not opened["ok"]:
            break
        found.take(opened["result"])
        further = None
        if QUALITY in families:
            further = QUALITY_TOOL
        elif MIX in families:
            further = HOURLY_TOOL
        elif FUNNEL in families and not _is_inner_count(found.root(), rule):
            further = FUNNEL_TOOL
        if further is not None:
            looked = yield further, {"date": date}
            if looked["ok"]:
                found.take(looked["result"])
        root = found.root()
        if root is not None:
            rows.append({field: root[field] for field in ROW_FIELDS})
    yield SUBMIT, {"rows": rows}


def ranked(flagged: Mapping[str, set[str]], rule: SignatureRule) -> list[str]:
    """Flagged dates, those first whose flags the calendar explains least."""
    natural = (nominal_season(rule.config) - 1.0) / rule.shares[0]
    drop, spike = (ANOMALY_TYPES[family] for family in COUNT_FAMILIES)

    def explained(date: str) -> float:
        families = flagged[date]
        if families - {drop, spike}:
            return -np.inf
        towards = natural[rule.config.day_index(date)]
        return max(towards if spike in families else -np.inf, -towards if drop in families else -np.inf)

    return sorted(flagged, key=lambda date: (explained(date), date))


def converse(script: Generator[Call, Answer, None], call: Callable[[str, dict[str, Any]], str]) -> list[Answer]:
    """Play a script through a door that takes a tool's name and arguments and answers with JSON text.

    Returns:
        The answers, decoded; the last is the one to ``submit``.
    """
    answers: list[Answer] = []
    asked = next(script, None)
    while asked is not None:
        answers.append(json.loads(call(*asked)))
        try:
            asked = script.send(answers[-1])
        except StopIteration:
            asked = None
    return answers


def _is_inner_count(root: Mapping[str, Any] | None, rule: SignatureRule) -> bool:
    """Whether a root is a count between the first step and the last."""
    if root is None:
        return False
    return rule.catalogue.index[root["entity_type"], root["entity_name"]] in rule.inner_counts
