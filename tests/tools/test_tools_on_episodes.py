"""The tools on generated episodes: against a plain recomputation from records; and what they must not know."""

from __future__ import annotations

import ast
import datetime as dt
import json
import math
import re
import statistics
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers_view import TINY_CONFIG

from metric_tracker_env import measure
from metric_tracker_env import tools as tools_package
from metric_tracker_env.config import EpisodeConfig, FunnelStep, GeneratorConfig
from metric_tracker_env.schema import ANOMALY_TYPES, Difficulty, MetricSubmissionRow
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit, call_tool
from metric_tracker_env.tools.results import Comparison
from metric_tracker_env.world.episode import EpisodeData, MetricDataGenerator

FAMILY_METHODS = tuple(f"get_{family}_rows" for family in ANOMALY_TYPES)
COUNT_SHARE = {"easy": 0.22, "medium": 0.15, "hard": 0.10}
RATE_POINTS = {"easy": 6.0, "medium": 4.5, "hard": 3.0}
RATE_SHARE = {"easy": 0.12, "medium": 0.09, "hard": 0.06}
MIX_LIMIT = {"easy": 0.05, "medium": 0.035, "hard": 0.025}


class Cell(NamedTuple):
    """One cell, worked out from the records in plain Python."""

    observed: float
    baseline: float
    threshold: float

    @property
    def delta(self) -> float:
        return self.observed - self.baseline

    @property
    def ratio(self) -> float:
        return self.delta / self.threshold


def plain_cells(episode: EpisodeData) -> dict[tuple[str, str, str], Cell]:
    """Every (date, entity type, entity name), from the hourly records alone."""
    config, difficulty = episode.generator_config, episode.config.difficulty
    steps = [config.entry_step, *(step.name for step in config.steps)]
    pairs = list(zip(steps[1:], steps[:-1], strict=True))
    hours: dict[str, list[dict[str, int]]] = {}
    for record in episode.hourly_metrics:
        hours.setdefault(record.date, []).append(record.counts)
    total = {date: {step: sum(row[step] for row in rows) for step in steps} for date, rows in hours.items()}
    rate = {
        (num, den): {date: 100.0 * day[num] / day[den] if day[den] else 0.0 for date, day in total.items()}
        for num, den in [*pairs, *((c.numerator, c.denominator) for c in config.conversion_definitions)]
    }
    found: dict[tuple[str, str, str], Cell] = {}

    def add(kind: str, name: str, series: dict[str, float], baseline: float, threshold: float) -> None:
        for date, value in series.items():
            found[date, kind, name] = Cell(value, baseline, threshold)

    for step in steps:
        series = {date: float(day[step]) for date, day in total.items()}
        median = statistics.median(series.values())
        add("event_count", step, series, median, max(50.0, COUNT_SHARE[difficulty] * median))
    for item in config.conversion_definitions:
        series = rate[item.numerator, item.denominator]
        median = statistics.median(series.values())
        limit = min(RATE_POINTS[difficulty], RATE_SHARE[difficulty] * median)
        add("conversion_rate", item.name, series, median, limit)
    for num, den in pairs:
        median = statistics.median(rate[num, den].values())
        add("funnel_step", f"{num}_from_{den}", rate[num, den], median, 0.3 * median)
    share = {
        date: sum(row[steps[0]] for row in rows[8:20]) / sum(row[steps[0]] for row in rows)
        for date, rows in hours.items()
    }
    add("hourly_mix", f"{steps[0]}:daytime_share", share, statistics.median(share.values()), MIX_LIMIT[difficulty])
    for num, den in pairs:
        excess = {date: float(sum(max(0, row[num] - row[den]) for row in rows)) for date, rows in hours.items()}
        add("data_quality", f"{num}_lte_{den}", excess, 0.0, 1.0)
    return found


def plain_flag(kind: str, ratio: float) -> bool:
    """Whether a detection method confirms a cell."""
    return ratio < -1.0 if kind == "funnel_step" else abs(ratio) >= 1.0


LONG_FUNNEL = GeneratorConfig(
    steps=tuple(FunnelStep(name=f"step_{i}", rate=0.8) for i in range(1, 9)),
    conversion_definitions=(),
    num_weeks=12,
)
SHORT_FUNNEL = GeneratorConfig(
    steps=(FunnelStep(name="orders", rate=0.5),), conversion_definitions=(), num_weeks=1, base_daily_count=900
)
CASES: list[tuple[str, GeneratorConfig, Difficulty, int, int]] = [
    ("easy", GeneratorConfig(), "easy", 5, 5),
    ("medium", GeneratorConfig(), "medium", 6, 5),
    ("hard", GeneratorConfig(), "hard", 7, 7),
    ("tiny", TINY_CONFIG, "hard", 8, 1),
    ("nine steps, twelve weeks", LONG_FUNNEL, "medium", 9, 7),
    ("two steps, one week", SHORT_FUNNEL, "medium", 10, 1),
]


class Known(NamedTuple):
    """A generated episode, its toolkit, and the plain recomputation."""

    episode: EpisodeData
    toolkit: SharedAnalysisToolkit
    cells: dict[tuple[str, str, str], Cell]


@pytest.fixture(scope="module", params=CASES, ids=[case[0] for case in CASES])
def known(request: pytest.FixtureRequest) -> Known:
    _, config, difficulty, seed, count = request.param
    asked = EpisodeConfig(seed=seed, difficulty=difficulty, anomaly_count=count)
    episode = MetricDataGenerator(config).generate_episode(asked)
    return Known(episode, SharedAnalysisToolkit(episode.view), plain_cells(episode))


def assert_row_is(row: MetricSubmissionRow | Comparison, known: Known) -> None:
    """A row equals the episode's description of its cell, and its values the plain ones."""
    catalogue = known.episode.generator_config.catalogue
    entity = catalogue.entity(row.entity_type, row.entity_name)
    described = known.episode.row(known.episode.dates.index(row.date), entity.index)
    expected = described.model_dump()
    if isinstance(row, Comparison) and not row.is_anomaly:
        expected["anomaly_type"] = "normal"
    assert {name: getattr(row, name) for name in MetricSubmissionRow.model_fields} == expected
    cell = known.cells[row.key]
    assert row.observed_value == pytest.approx(cell.observed, abs=5.1e-5)
    assert row.baseline_value == pytest.approx(cell.baseline, abs=5.1e-5)
    assert row.delta_value == pytest.approx(cell.delta, abs=5.1e-5)


def test_every_cell_of_the_date_tools_equals_the_plain_one(known: Known) -> None:
    """The five tools on a date show each cell once, with the plain values, threshold, ratio and verdict."""
    seen: list[tuple[str, str, str]] = []
    for date in known.episode.dates:
        opened = known.toolkit.rows_for_date(date)
        hourly = known.toolkit.hourly_rows_for_date(date)
        found = [
            *opened.counts,
            *opened.rates,
            *known.toolkit.detect_funnel_break(date).steps,
            hourly.daytime_share,
            *known.toolkit.check_impossible_counts(date).pairs,
        ]
        assert found[0] == known.toolkit.compare_count_to_median(date, found[0].entity_name)
        assert [known.toolkit.compare_rate_to_median(date, row.entity_name) for row in opened.rates] == list(
            opened.rates
        )
        assert list(hourly.records) == [item for item in known.episode.hourly_metrics if item.date == date]
        for row in found:
            assert_row_is(row, known)
            cell = known.cells[row.key]
            assert row.threshold == pytest.approx(cell.threshold, abs=5.1e-5)
            assert row.ratio == pytest.approx(cell.ratio, rel=1e-9, abs=5.1e-5)
            assert row.is_anomaly == plain_flag(row.entity_type, cell.ratio)
        for pair in known.toolkit.check_impossible_counts(date).pairs:
            assert sum(hour.excess for hour in pair.hours) == pair.observed_value
        seen += [row.key for row in found]
    assert len(seen) == len(set(seen))
    assert set(seen) == set(known.cells)


def every_row(toolkit: SharedAnalysisToolkit, method: str, **arguments: object) -> list[MetricSubmissionRow]:
    """The rows of a listing tool from all of its pages, each of which holds as many as it says."""
    rows: list[MetricSubmissionRow] = []
    offset: int | None = 0
    total = 0
    while offset is not None:
        page = getattr(toolkit, method)(**arguments, limit=100, offset=offset)
        assert len(page.rows) == min(100, page.total - offset)
        assert not hasattr(page, "dates") or {row.date for row in page.rows} <= set(page.dates)
        rows += page.rows
        offset, total = page.next_offset, page.total
    assert len(rows) == total
    return rows


def test_flagged_cells_of_a_date_are_the_flagged_cells_of_the_scans(known: Known) -> None:
    """All seven scans together find each flagged cell once, and the payload of all is their union."""
    expected = {key for key, cell in known.cells.items() if plain_flag(key[1], cell.ratio)}
    rows = [row for method in FAMILY_METHODS for row in every_row(known.toolkit, method)]
    assert len(rows) == len(expected)
    assert {row.key for row in rows} == expected
    for row in rows:
        assert_row_is(row, known)
    payload = every_row(known.toolkit, "payload_generator", generator_methods=list(FAMILY_METHODS))
    assert sorted(rows, key=lambda row: row.key) == sorted(payload, key=lambda row: row.key)
    assert {row.key for row in known.episode.expected_rows} <= expected


@pytest.mark.parametrize("multiplier", [0.3, 0.7, 1.0, 1.5])
def test_scans_at_a_multiplier(known: Known, multiplier: float) -> None:
    """A scan with multiplier m finds the cells whose deviation in its direction is at least m thresholds."""
    expected: dict[str, set[tuple[str, str, str]]] = {family: set() for family in ANOMALY_TYPES}
    for key, cell in known.cells.items():
        if key[1] == "funnel_step":
            hit, family = cell.ratio < -multiplier, "funnel_break"
        else:
            hit = abs(cell.ratio) >= multiplier
            family = {
                "event_count": f"absolute_{'spike' if cell.ratio > 0 else 'drop'}_in_event_count",
                "conversion_rate": f"rate_{'spike' if cell.ratio > 0 else 'drop'}_from_median",
                "hourly_mix": "hourly_traffic_mix_shift",
                "data_quality": "instrumentation_data_quality_issue",
            }[key[1]]
        if hit:
            expected[family].add(key)
    for family, method in zip(ANOMALY_TYPES, FAMILY_METHODS, strict=True):
        keys = [row.key for row in every_row(known.toolkit, method, threshold_multiplier=multiplier)]
        assert set(keys) == expected[family]
        assert [date for date, _, _ in keys] == sorted(date for date, _, _ in keys)


def test_list_suspicious_dates_equals_the_plain_search(known: Known) -> None:
    """Dates, types of anomaly and largest deviation, from the flagged cells one by one."""
    strength: dict[str, float] = {}
    for (date, kind, _), cell in known.cells.items():
        if plain_flag(kind, cell.ratio):
            strength[date] = max(strength.get(date, 0.0), abs(cell.ratio))
    found = known.toolkit.list_suspicious_dates(limit=366)
    assert found.total == len(found.dates) == len(strength)
    assert {day.date: day.strength for day in found.dates} == pytest.approx(strength, abs=5.1e-5)
    told = [day.strength for day in found.dates if day.strength is not None]
    assert len(told) == len(found.dates)
    assert told == sorted(told, reverse=True)
    rows = every_row(known.toolkit, "payload_generator", generator_methods=list(FAMILY_METHODS))
    for day in found.dates:
        assert set(day.anomaly_types) == {row.anomaly_type for row in rows if row.date == day.date}


def test_metric_statistics_equal_the_plain_ones(known: Known) -> None:
    """Median and spread about it of every count and rate."""
    medians = {item.metric_name: item.value for item in known.toolkit.get_metric_median().metrics}
    spreads = {item.metric_name: item.value for item in known.toolkit.get_metric_std_dev_from_median().metrics}
    series: dict[str, list[Cell]] = {}
    for (_, kind, name), cell in known.cells.items():
        if kind in ("event_count", "conversion_rate"):
            series.setdefault(name, []).append(cell)
    assert medians == pytest.approx({name: cells[0].baseline for name, cells in series.items()}, abs=5.1e-5)
    assert spreads == pytest.approx(
        {name: math.sqrt(statistics.fmean(cell.delta**2 for cell in cells)) for name, cells in series.items()},
        abs=5.1e-5,
    )


def test_filters_equal_the_plain_ones(known: Known) -> None:
    """Rows over a difference, and rows over a multiple of the threshold, of all metrics."""
    metrics = {key: cell for key, cell in known.cells.items() if key[1] in ("event_count", "conversion_rate")}
    over = every_row(known.toolkit, "get_rows_with_abs_diff_from_median_gt", threshold=2.5)
    assert {row.key for row in over} == {key for key, cell in metrics.items() if abs(cell.delta) > 2.5}
    near = every_row(known.toolkit, "get_median_filter_rows", threshold_multiplier=0.8)
    assert {row.key for row in near} == {key for key, cell in metrics.items() if abs(cell.ratio) >= 0.8}
    for row in (*over, *near):
        assert_row_is(row, known)


def test_preview_confirms_what_the_scans_found(known: Known) -> None:
    """A payload is confirmed row by row, true or not: the preview knows no truth."""
    rows = every_row(known.toolkit, "payload_generator", generator_methods=list(FAMILY_METHODS))
    preview = known.toolkit.preview_submission(json.loads(json.dumps([row.model_dump() for row in rows])))
    assert preview.submitted == preview.confirmed == len(rows)


def test_weekdays_are_those_of_the_calendar(known: Known) -> None:
    """Each date has its own weekday, whichever day the data begin with."""
    names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    for day in known.toolkit.list_dates().dates:
        assert day.weekday == names[dt.date.fromisoformat(day.date).weekday()]
        assert known.toolkit.rows_for_date(day.date).weekday == day.weekday


def test_raw_data_are_the_daily_records(known: Known) -> None:
    """The raw data are the episode's own daily records."""
    assert list(known.toolkit.show_raw_data(5).records) == known.episode.daily_metrics[-5:]


# Leaks and speed

TELLTALE = re.compile(r"seed|expected|label|twin|consequence|natural|\bclass|\bcell_class", re.IGNORECASE)


def calls_of(config: GeneratorConfig) -> list[tuple[str, dict[str, object]]]:
    """One legal call of each tool that a configuration has something for."""
    date, count = config.date_names[2], config.entry_step
    arguments: dict[str, dict[str, object]] = {name: {} for name, spec in TOOLS.items() if spec.offered(config)}
    arguments |= {name: {"date": date} for name, spec in TOOLS.items() if "date" in spec.parameters}
    arguments["compare_count_to_median"]["entity_name"] = count
    arguments["get_rows_with_abs_diff_from_median_gt"]["threshold"] = 1.0
    arguments["preview_submission"]["rows"] = [{"date": date}]
    arguments["payload_generator"]["generator_methods"] = list(FAMILY_METHODS)
    if config.conversion_definitions:
        arguments["compare_rate_to_median"]["entity_name"] = config.conversion_definitions[0].name
    else:
        del arguments["compare_rate_to_median"]
    return list(arguments.items())


def test_results_are_plain_json_and_mention_no_truth(known: Known) -> None:
    """Every result survives a JSON round trip and holds no word or number of the truth."""
    for name, arguments in calls_of(known.episode.generator_config):
        result = call_tool(known.toolkit, name, arguments)
        text = json.dumps(result, allow_nan=False)
        assert json.loads(text) == result, name
        assert not TELLTALE.search(text), name


def test_overview_is_the_same_whatever_happened() -> None:
    """The free overview says nothing about the episode itself: another seed, family and number read the same."""
    asked = [
        EpisodeConfig(seed=1, scenario_family="funnel_break", anomaly_count=1),
        EpisodeConfig(seed=2, scenario_family="hourly_traffic_mix_shift", anomaly_count=5),
    ]
    toolkits = [SharedAnalysisToolkit(MetricDataGenerator().generate_episode(config).view) for config in asked]
    for method in ("task_overview", "list_dates", "list_entities"):
        assert call_tool(toolkits[0], method, {}) == call_tool(toolkits[1], method, {})


def test_tools_import_no_module_that_knows_the_truth() -> None:
    """The tools package reads the view, the definitions and the schema, never generator, labels, episode or scoring."""
    files = sorted(Path(next(iter(tools_package.__path__))).glob("*.py"))
    assert len(files) > 5
    imported: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("metric_tracker_env"):
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    own = {name.split(".")[1] for name in imported if name.startswith("metric_tracker_env.")}
    assert own == {"config", "measure", "schema", "submission", "tools", "view"}


def test_tools_compute_no_statistic_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Medians and deviations are those of the view: no call of any tool computes them again."""
    episode = MetricDataGenerator().generate_episode(EpisodeConfig(seed=3))
    toolkit = SharedAnalysisToolkit(episode.view)
    assert len(episode.view.seasonal_baseline) == 28

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    for name in ("measures", "medians", "median_of_sorted", "thresholds", "deviations", "seasonal_baseline"):
        monkeypatch.setattr(measure, name, refuse)
    for name, arguments in calls_of(episode.generator_config):
        assert call_tool(toolkit, name, arguments), name
