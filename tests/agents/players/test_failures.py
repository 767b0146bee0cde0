"""How episodes fail: each class on a small episode made by hand, and one primary class for whatever was played."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from helpers_session import SEED, show, told, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.evaluation.evaluate import evaluate
from agents.evaluation.rates import Rates
from agents.players.agent import play_agent
from agents.players.failures import FAILURES, WORDS, Course, End, Failure, failures
from agents.players.outcome import Fate, InWords
from metric_tracker_env import EnvConfig, EpisodeConfig, EpisodeData, GeneratorConfig, MetricDataGenerator, Session
from metric_tracker_env.config import WorldConfig
from metric_tracker_env.session.evidence import Evidence
from metric_tracker_env.world.labels import CellClass

CONFIG = EnvConfig(difficulty="hard", anomaly_count=2)
EPISODE = truth(CONFIG)
WORLD = GeneratorConfig(world=WorldConfig())
IN_WORLD = EnvConfig(difficulty="medium", anomaly_count=(1, 4), generator=WORLD)
NOTHING = np.zeros(EPISODE.classes.shape, bool)
ALL = ~NOTHING

Cell = tuple[int, int]


def cells(episode: EpisodeData, kind: CellClass) -> list[Cell]:
    """(day, entity) of the cells of a class."""
    return [(int(day), int(entity)) for day, entity in np.argwhere(episode.classes == kind)]


ROOTS = cells(EPISODE, CellClass.EXPECTED)
DAYS = {day for day, _ in ROOTS}
CONSEQUENCES = cells(EPISODE, CellClass.CONSEQUENCE)
ELSEWHERE = [cell for cell in cells(EPISODE, CellClass.NATURAL) if cell[0] not in DAYS]
HIDDEN = ALL.copy()
HIDDEN[ROOTS[0]] = False
BESIDE = next(cell for cell in CONSEQUENCES if cell[0] == ROOTS[0][0])
EXPLAINED = MetricDataGenerator(WORLD).generate_episode(EpisodeConfig(seed=4, difficulty="medium", anomaly_count=2))


def course(reported: list[Cell], shown: np.ndarray = ALL, spent: int = 16, **more: Any) -> Course:
    """An episode of ``EPISODE`` with 16 units."""
    return Course(EPISODE, CONFIG, reported, shown, spent, **more)


CASES: list[tuple[Failure, Course]] = [
    ("solved", course(ROOTS)),
    ("protocol_error", course([], NOTHING, 3, end="refused")),
    ("protocol_error", course([*ROOTS, ROOTS[0]])),
    ("gave_up", course([], NOTHING, 4)),
    ("gave_up", course([], NOTHING, 16, end="left")),
    ("wrong_root", course([BESIDE, *ROOTS[1:]])),
    ("missed_detection", course(ROOTS[1:])),
    ("unread_data", course(ROOTS[1:], HIDDEN, 4)),
    ("unread_data", course(ROOTS, HIDDEN, 4)),  # a right guess is no answer
    ("budget_exhausted", course(ROOTS[1:], HIDDEN)),
    ("budget_exhausted", course([], NOTHING, 3, end="spent")),
    ("consequence_reported", course([*ROOTS, BESIDE])),
    ("natural_reported", course([*ROOTS, ELSEWHERE[0]])),
]


@pytest.mark.parametrize(("failure", "played"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_each_class_on_a_small_episode(failure: Failure, played: Course) -> None:
    """What was expected, reported and paid for gives the class that the words say."""
    assert failures(played)[0] == failure


def test_an_explained_cell_that_is_reported() -> None:
    """A row that a known event explains, beside all roots, is named so."""
    roots, moved = cells(EXPLAINED, CellClass.EXPECTED), cells(EXPLAINED, CellClass.EXPLAINED)
    other = next(cell for cell in moved if cell[0] not in {day for day, _ in roots})
    played = Course(EXPLAINED, IN_WORLD, [*roots, other], ALL, 14)
    assert failures(played) == ("explained_reported",)


def test_what_was_missed_comes_before_what_was_too_much() -> None:
    """An episode with several faults has all their classes, in the order of the rule."""
    played = course([ELSEWHERE[0], BESIDE], HIDDEN, 16)
    assert failures(played) == ("wrong_root", "missed_detection", "natural_reported")
    assert set(WORDS) == set(FAILURES)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_episode_has_one_primary_class(data: st.DataObject) -> None:
    """Whatever was reported, shown and spent, there is a class; it is "solved" for exactly the right rows alone."""
    draw = data.draw
    kinds = [*ROOTS, *CONSEQUENCES[:3], *ELSEWHERE[:2], (0, 0)]
    reported = draw(st.lists(st.sampled_from(kinds), max_size=6))
    shown = NOTHING.copy()
    for cell in draw(st.sets(st.sampled_from(kinds))):
        shown[cell] = True
    ends: list[End] = ["handed_in", "refused", "spent", "left"]
    played = course(reported, shown, draw(st.integers(0, 16)), end=draw(st.sampled_from(ends)))
    found = failures(played)
    assert len(set(found)) == len(found) >= 1
    assert set(found) <= set(FAILURES)
    exact = sorted(reported) == ROOTS and all(shown[cell] for cell in ROOTS) and played.end == "handed_in"
    assert (found == ("solved",)) == exact == ("solved" in found)


@pytest.mark.parametrize("task", ["hard_mixed", "realistic_medium"])
@pytest.mark.parametrize("name", ["analyst", "random", "threshold", "nothing"])
def test_scripts_have_one_class_an_episode(name: str, task: str) -> None:
    """Of any agent each episode has a class; it solved those whose F1 is 1; and all its rows rest on evidence."""
    evaluation = evaluate(name, range(SEED, SEED + 12), task=task)
    episodes, rates = evaluation.episodes, Rates.of(evaluation)
    assert [name == "solved" for name in episodes.failure] == [f1 == 1.0 for f1 in episodes.f1]
    assert episodes.grounded == episodes.submitted
    assert sum(rates.failures.values()) == 12
    assert rates.exact_set.mean == pytest.approx(episodes.failure.count("solved") / 12)


class Doubter:
    """Surveys all families, then scans two of them again, and submits nothing."""

    def __init__(self, env: Any) -> None:
        scans = ("get_funnel_break_rows", "get_rate_drop_from_median_rows")
        again = [env.actions.encode(scan, threshold_multiplier=1.0) for scan in scans]
        self._script = [env.actions.encode("list_suspicious_dates"), *again, env.actions.encode("submit")]
        self._next = iter(self._script)

    def begin(self, seed: int) -> None:
        del seed
        self._next = iter(self._script)

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        del observation, info
        return next(self._next)


def test_units_for_what_was_known_are_wasted() -> None:
    """A scan at the threshold after the survey tells nothing new, so that its unit is wasted."""
    line = play_agent(Doubter, CONFIG, [SEED]).lines[0]
    assert (line.cost, line.wasted, line.failure) == (6, 2, "gave_up")


def test_evidence_knows_what_was_answered() -> None:
    """A survey answers the scans at the threshold; another multiplier, date or metric is another question."""
    generator = CONFIG.generator
    evidence = Evidence(generator)
    first, second = generator.date_names[3:5]
    calls: list[tuple[str, dict[str, Any], int, int]] = [
        ("get_funnel_break_rows", {}, 1, 0),
        ("list_suspicious_dates", {}, 4, 0),
        ("get_funnel_break_rows", {"threshold_multiplier": 1}, 1, 1),
        ("get_rate_drop_from_median_rows", {"metric_name": "menu_open_to_cart_add"}, 1, 2),
        ("get_rate_drop_from_median_rows", {"threshold_multiplier": 0.7}, 1, 2),
        ("get_metric_median", {"metric_name": "app_opens"}, 1, 2),
        ("get_metric_median", {}, 1, 2),
        ("get_metric_median", {"metric_names": ["app_opens", "orders_placed"]}, 1, 3),
        ("rows_for_date", {"date": first}, 1, 3),
        ("compare_count_to_median", {"date": first, "entity_name": "app_opens"}, 1, 4),
        ("compare_count_to_median", {"date": second, "entity_name": "app_opens"}, 1, 4),
        ("rows_for_date", {"date": second}, 1, 4),
        ("show_raw_data", {"limit": 28}, 28, 4),
        ("show_raw_data", {}, 7, 11),
    ]
    for tool, arguments, units, wasted in calls:
        evidence.take(tool, arguments, units)
        assert evidence.wasted == wasted, (tool, arguments)


def test_a_session_says_which_rows_are_grounded() -> None:
    """The grade says of each row whether a paid call had shown its cell; a right guess is missing, and an extra row."""
    session = Session(config=CONFIG)
    session.begin(SEED)
    rows = [row.model_dump() for row in EPISODE.expected_rows]
    show(session, rows[:1])
    show(session, rows[:1])
    assert session.standing.wasted == 1
    grade = told(session, "submit", rows=rows)["grade"]
    assert grade["grounded"] == [True, False]
    assert (grade["matched"], grade["missing"], grade["extra"], grade["extra_guess"]) == (1, 1, 1, 1)
    assert grade["f1"] == pytest.approx(0.5)
    assert [fault["type"] for fault in grade["faults"]] == ["missing", "extra_guess"]
    assert "guessed in row 2" in grade["issues"][0]


def test_the_rows_of_an_evaluation_count_no_guess() -> None:
    """Recall by family counts what the grade counts: the root that a guess named is missed, and the guess is extra."""
    session = Session(config=CONFIG)
    session.begin(SEED)
    rows = [row.model_dump() for row in EPISODE.expected_rows]
    show(session, rows[:1])
    session.call("submit", {"rows": rows})
    line, found = InWords(ROOTS, 0, "handed_in", Counter()).ended(session, SEED)
    fates = Counter(row.fate for row in found)
    assert (line.recall, line.precision) == (0.5, 0.5)
    assert fates == {Fate.MATCHED: 1, Fate.MISSED: 1, Fate.EXTRA: 1}
    guessed = [(row.day, row.entity) for row in found if row.fate != Fate.MATCHED]
    assert guessed[0] == guessed[1]
