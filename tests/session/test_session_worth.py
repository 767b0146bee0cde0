"""What the doors sell: words no more than discrete actions, and neither anything to who opens no date."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers_session import DATES, SEED, begun, told, truth

from agents.audit.guesser import Guesser
from metric_tracker_env import MetricTrackerEnv, Session, score_submission
from metric_tracker_env.config import EnvConfig
from metric_tracker_env.measure import SCAN_MULTIPLIERS, flagged
from metric_tracker_env.play.actions import SCAN_TOOLS
from metric_tracker_env.tasks import TASKS
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit, call_tool
from metric_tracker_env.view import MetricView

EPISODES = 40
ALLOWED = 0.5  # mean F1 of who opens no date
REAL = 0.3  # mean F1 that the same guesses would have, if they counted: the player is no straw man


@pytest.mark.parametrize("task", TASKS)
def test_who_opens_no_date_scores_nothing(task: str) -> None:
    """The strongest player that opens no date gets 0 wherever there is something to find, and so 0.5 on no task."""
    guesser = Guesser(TASKS[task])
    session = Session(task)
    scored: list[float] = []
    counted: list[float] = []
    quiet = 0
    for seed in range(SEED, SEED + EPISODES):
        session.begin(seed)
        rows = guesser.play(lambda tool, **arguments: told(session, tool, **arguments)["result"])
        assert session.standing.cost > guesser.config.budget - 2
        assert not session.revealed.any()
        grade = told(session, "submit", rows=rows)["grade"]
        episode = session.episode()
        quiet += not episode.expected_rows
        if episode.expected_rows:
            assert grade["score"] == grade["f1"] == 0.0
        assert grade["extra_guess"] == len(rows)
        scored.append(grade["f1"])
        counted.append(score_submission(rows, episode).f1)
    assert np.mean(scored) <= quiet / EPISODES  # what submitting nothing gets
    assert np.mean(scored) <= ALLOWED + 0.1 * (task == "quiet_weeks")  # half of whose episodes are quiet, by chance
    if TASKS[task].config.generator.world is None:
        assert np.mean(counted) >= REAL, np.mean(counted)


def test_who_opens_no_date_cannot_report_by_actions() -> None:
    """In the discrete environment no report is legal until a tool on a date has shown a cell."""
    for task in TASKS:
        env = MetricTrackerEnv(task=task)
        _, info = env.reset(seed=SEED)
        over, reports = False, [a for a in range(len(env.actions)) if env.actions.decode(a).tool == "report"]
        blind = [a for a in range(len(env.actions)) if "date" not in env.actions.decode(a).arguments]
        while not over:
            assert not info["action_mask"][reports].any()
            legal = [a for a in blind if info["action_mask"][a]]
            _, _, over, _, info = env.step(legal[0])
        assert info["score"] == float(not info["expected"])


# Tools over all dates


def calls_over_all_dates(config: EnvConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Calls of every tool that is about no date, with every metric and several multipliers and thresholds."""
    catalogue = config.generator.catalogue
    counts, rates = catalogue.count_metrics, tuple(item.name for item in catalogue.conversions)
    for name, spec in TOOLS.items():
        if "date" in spec.parameters or spec.dates_argument or name == "preview_submission":
            continue
        if not spec.offered(config.generator):
            continue
        allowed = spec.arguments.model_json_schema()["properties"].get("metric_name", {})
        kind = str(allowed)
        metrics = counts * ("count_metric" in kind or "'metric'" in kind)
        metrics += rates * ("rate_metric" in kind or "'metric'" in kind)
        named: list[dict[str, Any]] = [{}, *({"metric_name": metric} for metric in metrics)]
        if len(metrics) > 1:
            named.append({"metric_names": list(metrics[:2])})
        sizes: list[dict[str, Any]] = [{}]
        if "threshold_multiplier" in spec.parameters:
            sizes = [{"threshold_multiplier": m} for m in (0.3, *SCAN_MULTIPLIERS, 1.2, 3.0)]
        if "threshold" in spec.parameters:
            sizes = [{"threshold": t} for t in (0.5, 3.0, 40.0, 700.0)]
        if name == "payload_generator":
            sizes = [{"generator_methods": list(SCAN_TOOLS)}]
        for metric in named:
            for size in sizes:
                yield name, metric | size


def answers(view: MetricView, config: EnvConfig) -> list[str]:
    """What the calls answer, errors as they are."""
    toolkit = SharedAnalysisToolkit(view)
    found: list[str] = []
    for name, arguments in calls_over_all_dates(config):
        try:
            found.append(str(call_tool(toolkit, name, arguments)))
        except ValueError as error:
            found.append(str(error))
    return found


def otherwise(view: MetricView, draws: np.random.Generator) -> MetricView:
    """Data of which the discrete scans tell the same: other metrics deviate, by other sizes between the levels."""
    ratios = view.deviations.ratios.copy()
    for kind, of_kind in view.catalogue.slices.items():
        if kind != "hourly_mix":
            ratios[of_kind] = draws.permuted(ratios[of_kind], axis=0)
    size = np.abs(ratios)
    level = np.select([size >= m for m in SCAN_MULTIPLIERS[::-1]], SCAN_MULTIPLIERS[::-1], 0.0)
    ratios = np.sign(ratios) * (level + (size - level) * draws.uniform(0.2, 0.8, size.shape))
    values = view.deviations.values + draws.normal(size=view.deviations.values.shape)
    deviations = view.deviations._replace(ratios=ratios, values=values, flagged=flagged(view.catalogue, ratios))
    return dataclasses.replace(view, deviations=deviations)


@pytest.mark.parametrize("task", ["easy_mixed", "hard_mixed", "realistic_hard"])
def test_tools_over_all_dates_tell_what_discrete_scans_tell(task: str) -> None:
    """Where no date was opened, every answer is the same for all data whose families reach the same levels."""
    config = TASKS[task].config
    draws = np.random.default_rng(0)
    differ = 0
    for seed in range(SEED, SEED + 4):
        view = truth(config, seed).view
        hidden = dataclasses.replace(view, visible=np.zeros(view.flagged.shape, bool))
        other = otherwise(hidden, draws)
        assert answers(hidden, config) == answers(other, config)
        bare, free = (dataclasses.replace(each, visible=None) for each in (hidden, other))
        differ += answers(bare, config) != answers(free, config)
    assert differ == 4  # without a budget the tools tell the two apart


def test_a_named_metric_chooses_rows_and_no_dates() -> None:
    """Under a budget a scan tells the dates of its family whichever metric is named, and the shown rows of that one."""
    session = begun(difficulty="hard", budget=60)
    episode = truth(session.config)
    scan = "get_absolute_drop_in_event_count_rows"
    every = told(session, scan)["result"]["dates"]
    for metric in episode.generator_config.catalogue.count_metrics:
        result = told(session, scan, metric_name=metric)["result"]
        assert (result["dates"], result["rows"]) == (every, [])
    session.call("rows_for_date", {"date": every[0]})
    rows = told(session, scan, metric_name="app_opens")["result"]["rows"]
    assert {row["entity_name"] for row in rows} <= {"app_opens"}
    assert {row["date"] for row in rows} <= {every[0]}


@pytest.mark.parametrize("multiplier", [0.01, 0.9, 1.2, 2.0, 100.0])
def test_other_multipliers_are_refused_under_a_budget(multiplier: float) -> None:
    """A multiplier that no discrete action has tells which ones there are, in a session alone."""
    answer = begun().call("get_funnel_break_rows", {"threshold_multiplier": multiplier})
    assert not answer.ok
    assert answer.error is not None
    assert answer.error.endswith("under a budget it must be one of 0.7, 1, 1.5")
    view = truth(EnvConfig()).view
    assert SharedAnalysisToolkit(view).get_funnel_break_rows(threshold_multiplier=multiplier).dates is not None


def test_statistics_of_shown_cells_are_free() -> None:
    """What is worked out from shown cells costs nothing, and knows the dates that were paid for alone."""
    session = begun()
    free = ("get_median_filter_rows", "get_rows_with_abs_diff_from_median_gt", "get_metric_std_dev_from_median")
    asked: dict[str, dict[str, Any]] = {
        free[0]: {"threshold_multiplier": 0.01},
        free[1]: {"threshold": 0.001},
        free[2]: {},
    }
    for tool in free:
        answer = told(session, tool, **asked[tool])
        assert answer["cost"] == 0
        assert not answer["result"].get("dates")
        assert not answer["result"].get("metrics")
    cell = told(session, "compare_count_to_median", date=DATES[4], entity_name="app_opens")["result"]
    assert told(session, free[0], **asked[free[0]])["result"]["dates"] == [DATES[4]]
    assert told(session, free[1], **asked[free[1]])["result"]["total"] == 1
    [found] = told(session, free[2])["result"]["metrics"]
    assert found["metric_name"] == "app_opens"
    assert found["value"] == pytest.approx(abs(cell["observed_value"] - cell["baseline_value"]), abs=1e-3)
