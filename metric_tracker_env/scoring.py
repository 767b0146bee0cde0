"""The score of a submission: one soft F1, and the grade that explains it in words.

``score = 2 * sum(q) / (rows + expected)``. ``rows`` counts every submitted row, duplicates and invalid ones too;
``q`` is the quality of a row that names an expected cell: 1, less the weights of its wrong fields. Where it is known
which cells an analyst was shown, a row of another cell is a guess, and an extra one whatever it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from metric_tracker_env.config import ConfigModel, Real
from metric_tracker_env.schema import NAME_FIELDS, VALUE_FIELDS, Gap, KnownEvent, MetricSubmissionRow, StrictModel
from metric_tracker_env.submission import Fault, FaultType, InvalidRow, Key, Submission, check_rows
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.labels import CellClass

EXTRA_TYPES: dict[CellClass, FaultType] = {
    CellClass.CONSEQUENCE: "extra_consequence",
    CellClass.NATURAL: "extra_natural",
    CellClass.EXPLAINED: "extra_explained",
    CellClass.NONE: "extra_other",
}


class ScoringConfig(ConfigModel):
    """Weights of a matched row's fields, and how close a value must be.

    Naming the cell weighs at least half, so that adding a true row raises any score however wrong its fields are.
    """

    matched: Real = Field(default=0.60, ge=0.5, le=1, description="Weight of naming an expected cell.")
    anomaly_type: Real = Field(default=0.12, ge=0, le=1)
    detection_method: Real = Field(default=0.10, ge=0, le=1)
    values: Real = Field(default=0.12, ge=0, le=1, description="A third each for baseline, observed and delta.")
    severity: Real = Field(default=0.06, ge=0, le=1)
    value_tolerance: Real = Field(default=0.01, ge=0, lt=1, description="Allowed relative error of a value.")
    value_tolerance_abs: Real = Field(
        default=1e-4, ge=0, description="Allowed absolute error of a value; the larger of the two counts."
    )

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = self.matched + self.anomaly_type + self.detection_method + self.values + self.severity
        if abs(total - 1.0) > 1e-9:
            raise ValueError(
                f"the weights matched, anomaly_type, detection_method, values and severity sum to {total}; "
                "they must sum to 1"
            )
        return self

    def weight(self, field: str) -> float:
        """Weight of one field of a row."""
        return self.values / len(VALUE_FIELDS) if field in VALUE_FIELDS else getattr(self, field)


DEFAULT_SCORING = ScoringConfig()


class Grade(StrictModel):
    """What a submission is worth, and why.

    A row is *matched* when it is valid, the first of its key, and its key (date, entity_type, entity_name) is that of
    an expected row; and, where it is known which cells were shown, its cell was. Every submitted row is exactly one of
    matched, extra, duplicate and invalid. A ratio over nothing is 1 when there was nothing to find and nothing was
    submitted, else 0.
    """

    score: float = Field(description="2 * sum of the matched rows' quality / (submitted + expected).")
    precision: float = Field(description="matched / submitted; duplicates and invalid rows count as submitted.")
    recall: float = Field(description="matched / expected.")
    f1: float = Field(description="2 * matched / (submitted + expected): the score if every field were right.")
    anomaly_type_accuracy: float = Field(description="Expected rows that were matched with the right anomaly_type.")
    detection_method_accuracy: float = Field(description="As above, the detection_method.")
    values_accuracy: float = Field(description="As above, a third each for baseline, observed and delta.")
    severity_accuracy: float = Field(description="As above, the severity.")
    submitted: int
    expected: int
    matched: int
    missing: int = Field(description="Expected rows that no submitted row matched.")
    extra: int = Field(description="Valid rows, first of their key, that are not expected, or guesses.")
    extra_consequence: int = Field(description="Extra rows of cells that an incident moved.")
    extra_natural: int = Field(description="Extra rows of flagged cells that nothing moved.")
    extra_explained: int = Field(description="Extra rows of cells that a known event or lost hours moved.")
    extra_other: int = Field(description="Extra rows of cells that are not flagged.")
    extra_guess: int = Field(
        default=0, description="Extra rows of cells that no paid call had shown, whatever they are."
    )
    duplicate: int = Field(description="Valid rows of a key that an earlier valid row has.")
    invalid: int
    grounded: tuple[bool, ...] | None = Field(
        default=None, description="Of each submitted row, whether a paid call had shown its cell; null if not known."
    )
    issues: tuple[str, ...] = Field(description="Each fault as a sentence; rows are numbered from 1.")
    faults: tuple[Fault, ...] = Field(description="The same as data, in the same order.")

    @property
    def exact(self) -> bool:
        """Whether each expected cell was submitted, once, and nothing else; its fields may be wrong."""
        return self.matched == self.submitted == self.expected


class _Issue(NamedTuple):
    """A sentence, and what it says as data: one fault, or one for each bad field of an invalid row."""

    sentence: str
    faults: tuple[Fault, ...]


def soft_f1(quality: np.ndarray | float, submitted: np.ndarray | float, expected: np.ndarray | float) -> np.ndarray:
    """The formula of the score, element by element.

    Args:
        quality: Sum of the matched rows' quality; their number where each is right in every field.
        submitted: Number of submitted rows.
        expected: Number of expected rows.

    Returns:
        2 * quality / (submitted + expected), and 1 where both are 0; float64.
    """
    total = np.add(submitted, expected)
    return np.where(total > 0, 2.0 * np.asarray(quality) / np.maximum(total, 1), 1.0)


def score_submission(
    rows: Submission,
    episode: EpisodeData,
    config: ScoringConfig = DEFAULT_SCORING,
    shown: np.ndarray | None = None,
) -> Grade:
    """Grade a submission against the truth of an episode.

    Args:
        rows: Rows, dicts or JSON texts of one row, mixed as one likes; or one JSON text of all of them.
        episode: The episode that the rows are about.
        config: Weights and tolerances.
        shown: (D, E) bool, cells that paid calls had shown; a row of another one is a guess. None: no row is.

    Raises:
        ValueError: if the submission as a whole is not a list or is too long; a bad row does not raise.
    """
    if not isinstance(episode, EpisodeData):
        raise ValueError(f"episode is {type(episode).__name__}; it must be an EpisodeData")
    checked = check_rows(rows, episode.generator_config)
    first: dict[Key, tuple[int, MetricSubmissionRow]] = {}
    extras: list[tuple[int, MetricSubmissionRow]] = []
    guesses: list[tuple[int, MetricSubmissionRow]] = []
    repeated: list[_Issue] = []
    refused: list[_Issue] = []
    expected = {row.key: row for row in episode.expected_rows}
    for number, row in enumerate(checked, start=1):
        if isinstance(row, InvalidRow):
            refused.append(_Issue(f"row {number} is invalid: {row.issue}", row.faults))
        elif row.key in first:
            told = f"duplicate: row {number} names {_cell(row.key)} again after row {first[row.key][0]}"
            repeated.append(_Issue(told, (Fault(type="duplicate", row=number, key=row.key),)))
        else:
            first[row.key] = number, row
            if shown is not None and not shown[_place(row, episode)]:
                guesses.append((number, row))
            elif row.key not in expected:
                extras.append((number, row))

    rested = first.keys() - {row.key for _, row in guesses}
    grounded = [isinstance(row, MetricSubmissionRow) and row.key in rested for row in checked]
    missing: list[_Issue] = []
    wrong_fields: list[_Issue] = []
    quality, right = 0.0, dict.fromkeys((*NAME_FIELDS, *VALUE_FIELDS), 0)
    for key, truth in expected.items():  # in the order of the truth, so that no sum depends on the order of rows
        if key not in rested:
            how = "not submitted" if key not in first else f"guessed in row {first[key][0]}, and shown by no paid call"
            told = f"missing: {_cell(key)} is an incident that was {how}"
            missing.append(_Issue(told, (Fault(type="missing", key=key),)))
            continue
        number, row = first[key]
        wrong = [field for field in right if not _is_right(row, truth, field, config)]
        wrong_fields += [_wrong(number, row, truth, field, config) for field in wrong]
        quality += 1.0 - sum(config.weight(field) for field in wrong)
        for field in right:
            right[field] += field not in wrong

    found = dict.fromkeys(CellClass, 0)
    surplus: list[_Issue] = []
    for number, row in sorted(extras, key=lambda item: item[1].key):
        cell_class, issue = _extra(number, row, episode)
        found[cell_class] += 1
        surplus.append(issue)
    for number, row in sorted(guesses, key=lambda item: item[1].key):
        told = f"guess: {_cell(row.key)} had been shown by no call that was paid for, so that the row does not count"
        surplus.append(_Issue(told, (Fault(type="extra_guess", row=number, key=row.key),)))

    matched = len(expected) - len(missing)
    accuracy = {field: _ratio(count, len(expected), not checked) for field, count in right.items()}
    issues = (*missing, *surplus, *wrong_fields, *repeated, *refused)
    return Grade(
        score=float(soft_f1(quality, len(checked), len(expected))),
        precision=_ratio(matched, len(checked), not expected),
        recall=_ratio(matched, len(expected), not checked),
        f1=float(soft_f1(matched, len(checked), len(expected))),
        anomaly_type_accuracy=accuracy["anomaly_type"],
        detection_method_accuracy=accuracy["detection_method"],
        values_accuracy=sum(accuracy[field] for field in VALUE_FIELDS) / len(VALUE_FIELDS),
        severity_accuracy=accuracy["severity"],
        submitted=len(checked),
        expected=len(expected),
        matched=matched,
        missing=len(missing),
        extra=len(extras) + len(guesses),
        extra_consequence=found[CellClass.CONSEQUENCE],
        extra_natural=found[CellClass.NATURAL],
        extra_explained=found[CellClass.EXPLAINED],
        extra_other=found[CellClass.NONE],
        extra_guess=len(guesses),
        duplicate=len(repeated),
        invalid=len(refused),
        grounded=None if shown is None else tuple(grounded),
        issues=tuple(issue.sentence for issue in issues),
        faults=tuple(fault for issue in issues for fault in issue.faults),
    )


def score_draft(draft: Sequence[tuple[int, int]], episode: EpisodeData) -> Grade:
    """Grade (day, entity) of the cells that were reported, which no discrete action does before they are shown."""
    rows = [episode.row(day, entity) for day, entity in draft]
    return score_submission(rows, episode, shown=np.ones(episode.classes.shape, bool))


def _is_right(row: MetricSubmissionRow, truth: MetricSubmissionRow, field: str, config: ScoringConfig) -> bool:
    given, expected = getattr(row, field), getattr(truth, field)
    if field in NAME_FIELDS:
        return given == expected
    return abs(given - expected) <= max(config.value_tolerance * abs(expected), config.value_tolerance_abs)


def _wrong(
    number: int, row: MetricSubmissionRow, truth: MetricSubmissionRow, field: str, config: ScoringConfig
) -> _Issue:
    close = f" within {config.value_tolerance:.4g} of it or {config.value_tolerance_abs:.4g}"
    given, expected = getattr(row, field), getattr(truth, field)
    within = "" if field in NAME_FIELDS else close
    told = f"wrong: {field} of {_cell(row.key)} is given as {given}, expected {expected}{within}"
    return _Issue(told, (Fault(type="wrong", row=number, key=row.key, field=field, given=given, expected=expected),))


def _extra(number: int, row: MetricSubmissionRow, episode: EpisodeData) -> tuple[CellClass, _Issue]:
    """Class of the cell that an extra row names, and what says it."""
    config, (day, entity) = episode.generator_config, _place(row, episode)
    cell_class, roots = CellClass(episode.classes[day, entity]), None
    if cell_class == CellClass.CONSEQUENCE:
        found = [config.catalogue.entities[index] for index in episode.causes(day, entity)]
        roots = tuple((row.date, incident.entity_type, incident.entity_name) for incident in found)
        why = (
            f"is a consequence: it follows from the incident{'s' * (len(roots) > 1)} {' and '.join(map(_cell, roots))}"
        )
    elif (cause := episode.explanation(day, entity)) is not None:
        why = f"is explained: {_told(cause)}"
    elif cell_class == CellClass.NATURAL:
        why = "is natural: over its threshold, but no incident moved it"
    else:
        why = "is not anomalous: its detection method does not confirm it"
    fault = Fault(type=EXTRA_TYPES[cell_class], row=number, key=row.key, roots=roots)
    return cell_class, _Issue(f"extra: {_cell(row.key)} {why}", (fault,))


def _place(row: MetricSubmissionRow, episode: EpisodeData) -> tuple[int, int]:
    """(day, entity) of the cell that a valid row names."""
    config = episode.generator_config
    return config.day_index(row.date), config.catalogue.index[row.entity_type, row.entity_name]


def _told(cause: KnownEvent | Gap) -> str:
    """What explains a cell, as the end of a sentence."""
    if isinstance(cause, Gap):
        return f"the hours from {cause.first_hour} to {cause.last_hour} of that date were lost"
    until = "" if cause.first_date == cause.last_date else f" to {cause.last_date}"
    return (
        f"it was moved by the {cause.kind.replace('_', ' ')} of {cause.first_date}{until}, "
        f"announced for {cause.entity_type} {cause.entity_name} with {cause.expected_change:+g} {cause.unit}"
    )


def _cell(key: Key) -> str:
    date, entity_type, entity_name = key
    return f"{entity_type} {entity_name} on {date}"


def _ratio(part: float, whole: int, nothing_else: bool) -> float:
    """Share of a whole; over nothing it is 1 if the other side is nothing too, else 0."""
    return part / whole if whole else float(nothing_else)
