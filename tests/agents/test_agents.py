"""Scripted agents: their rules, their order, the evaluation that compares them, the presets and the command line."""

from __future__ import annotations

import ast
import importlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import agents
from agents import (
    AGENTS,
    NO_INCIDENT,
    Evaluation,
    Script,
    SignatureRule,
    cli,
    command_line,
    evaluate,
    get_agent,
    name_roots,
)
from agents.evaluation.evaluate import Episodes, held_out_seeds
from agents.evaluation.intervals import Interval, wilson
from agents.evaluation.outcome import Fate, Group, Rows
from agents.evaluation.report import Comparison, wrapped
from agents.players.scripts import script
from agents.players.scripts.signature import Moves
from metric_tracker_env import (
    ALL_SCENARIO_FAMILIES,
    DIFFICULTIES,
    EnvConfig,
    EpisodeConfig,
    GeneratorConfig,
    MetricDataGenerator,
    MetricTrackerEnv,
    get_task,
    load_config,
)
from metric_tracker_env.play.actions import SURVEY_TOOL
from metric_tracker_env.schema import ANOMALY_TYPES, Difficulty
from metric_tracker_env.world.labels import CellClass

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "configs").glob("*.toml"))
TASKS = ("easy_mixed", "medium_mixed", "hard_mixed")
FUNNEL = GeneratorConfig()
CATALOGUE = FUNNEL.catalogue


class ReportsOnce(Script):
    """A user's own agent, outside the registry: opens the first date that a survey flags and reports what it can."""

    def play(self) -> Any:
        """Survey, open, report."""
        yield self.desk.survey
        day = int(np.flatnonzero(self.desk.flags().any(axis=0))[0])
        yield self.desk.open(day)
        for entity in np.flatnonzero(self.desk.confirmed(day)).tolist():
            yield self.desk.report(day, entity)


class WrongSeed:
    """An agent that is told another seed than the one played."""

    def __init__(self, env: gym.Env[np.ndarray, Any], name: str) -> None:
        self.agent = get_agent(name)(env)

    def begin(self, seed: int) -> None:
        """Pass on another seed."""
        self.agent.begin(seed + 1)

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        """Act as the agent does."""
        return self.agent.act(observation, info)


# The signature rule


def signature_moves(difficulty: Difficulty, rates: list[float], entry: float, *confirmed: tuple[str, str]) -> Moves:
    """One date of the default funnel, written by hand."""
    flagged = np.zeros((CATALOGUE.num_entities, 1), bool)
    flagged[[CATALOGUE.entity(*cell).index for cell in confirmed]] = True
    limits = SignatureRule(FUNNEL, difficulty).rate_limits
    return Moves(np.array(rates)[:, None], limits, np.array([entry]), flagged, np.zeros((4, 1)))


COUNTS = [("event_count", name) for name in CATALOGUE.count_metrics]
RATES = [("conversion_rate", item.name) for item in CATALOGUE.conversions]


@pytest.mark.parametrize(
    ("rates", "entry", "confirmed", "root"),
    [
        ([1.0, 1.0, 1.0, 1.0], 1.0, [], None),
        ([1.001, 0.999, 1.002, 1.0], 1.02, COUNTS, None),  # a Saturday
        ([1.001, 0.999, 1.002, 1.0], 1.14, COUNTS, ("event_count", "app_opens")),
        ([1.15, 1 / 1.15, 1.0, 1.0], 1.0, [COUNTS[1], RATES[0], RATES[1]], ("event_count", "menu_opens")),
        ([1.15, 1 / 1.15, 1.0, 1.0], 1.0, [RATES[0], RATES[1]], RATES[0]),  # a count that stays is no root
        ([1.0, 0.93, 1.0, 1.0], 1.0, [RATES[1], RATES[4], RATES[5]], RATES[1]),
        ([0.967, 0.958, 0.958, 1.0], 1.0, [COUNTS[3], RATES[4], RATES[5]], RATES[4]),
        ([0.967, 0.958, 0.958, 0.977], 1.0, [COUNTS[4], RATES[4], RATES[5]], RATES[5]),
        (
            [1.0, 0.6, 1.0, 1.0],
            1.0,
            [COUNTS[2], RATES[1], RATES[4], ("funnel_step", "product_added_to_cart_from_menu_opens")],
            ("funnel_step", "product_added_to_cart_from_menu_opens"),
        ),
        (
            [1.0, 1.5, 1 / 1.5, 1.0],  # doubled by its tracking: the rate after it breaks, and is not the root
            1.0,
            [COUNTS[2], RATES[1], RATES[2], ("funnel_step", "orders_placed_from_product_added_to_cart")],
            ("event_count", "product_added_to_cart"),
        ),
        (
            [1.0, 1.0, 1.0, 1.0],
            1.0,
            [("hourly_mix", "app_opens:daytime_share")],
            ("hourly_mix", "app_opens:daytime_share"),
        ),
    ],
)
def test_signature_of_each_root(
    rates: list[float], entry: float, confirmed: list[tuple[str, str]], root: tuple[str, str] | None
) -> None:
    """Each line of the signature table, as numbers worked out on paper, names its root."""
    named = int(SignatureRule(FUNNEL, "hard").name(signature_moves("hard", rates, entry, *confirmed))[0])
    found = None if named == NO_INCIDENT else CATALOGUE.entities[named]
    assert (found and (found.entity_type, found.entity_name)) == root


def test_impossible_counts_are_the_root_whatever_else_moves() -> None:
    """An excess of a pair names that pair."""
    moves = signature_moves("medium", [1.0, 1.0, 1.6, 1 / 1.6], 1.0, COUNTS[3], RATES[2], RATES[3])
    moves.excess[2] = 80.0
    named = int(SignatureRule(FUNNEL, "medium").name(moves)[0])
    assert named == CATALOGUE.entity("data_quality", "orders_placed_lte_product_added_to_cart").index


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_roots_are_identifiable(difficulty: Difficulty) -> None:
    """With all the data and no label, the rule names the roots with F1 >= 0.995 and no entity's recall under 0.95."""
    batch = MetricDataGenerator().generate_batch(EpisodeConfig(difficulty=difficulty), list(range(3000)))
    expected = batch.expected
    truth = np.where(expected.any(axis=0), expected.argmax(axis=0), NO_INCIDENT)
    named = SignatureRule(FUNNEL, difficulty).name_all(batch.final)
    right = (named == truth) & (truth != NO_INCIDENT)
    f1 = 2 * right.sum() / ((named != NO_INCIDENT).sum() + (truth != NO_INCIDENT).sum())
    assert f1 >= 0.995
    for entity in np.unique(truth[truth != NO_INCIDENT]):
        assert right[truth == entity].mean() >= 0.95, CATALOGUE.entities[entity]


def test_rule_on_a_view_equals_the_batch() -> None:
    """An episode's roots do not depend on the batch that it is in, and need nothing but the view."""
    generator, rule = MetricDataGenerator(), SignatureRule(FUNNEL, "hard")
    request = EpisodeConfig(difficulty="hard", anomaly_count=5)
    named = rule.name_all(generator.generate_batch(request, list(range(20))).final)
    for seed in range(20):
        view = generator.generate_episode(request.model_copy(update={"seed": seed})).view
        days = np.flatnonzero(named[seed] != NO_INCIDENT).tolist()
        assert name_roots(view) == [(day, int(named[seed, day])) for day in days]


@pytest.mark.parametrize("weeks", [1, 2, 3, 8])
def test_rule_on_other_calendars(weeks: int) -> None:
    """Too few weeks for a seasonal fit, or many: roots stay identifiable."""
    config = GeneratorConfig(num_weeks=weeks)
    request = EpisodeConfig(difficulty="medium", anomaly_count=min(3, 2 * weeks - 1))
    batch = MetricDataGenerator(config).generate_batch(request, list(range(300)))
    named = SignatureRule(config, "medium").name_all(batch.final)
    truth = np.where(batch.expected.any(axis=0), batch.expected.argmax(axis=0), NO_INCIDENT)
    right = ((named == truth) & (truth != NO_INCIDENT)).sum()
    assert 2 * right / ((named != NO_INCIDENT).sum() + (truth != NO_INCIDENT).sum()) >= 0.98


# Agents


def test_registry_refuses_duplicates_and_unknown_names() -> None:
    """A name belongs to one agent, and a wrong one is answered with those there are."""
    assert set(AGENTS) >= {"nothing", "random", "threshold", "zscore", "fixed_order", "analyst", "oracle"}
    with pytest.raises(ValueError, match="'nothing' is registered twice"):
        script.register("nothing")(ReportsOnce)
    with pytest.raises(ValueError, match=r"agent 'nobody' is not one of \['analyst'"):
        get_agent("nobody")


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("name", sorted(AGENTS))
def test_agents_play_legally_and_repeat_themselves(name: str, view: str) -> None:
    """Every agent ends every episode in both views with legal actions only, and the same way each time."""
    env = MetricTrackerEnv(difficulty="hard", anomaly_count=(1, 5), view=view)
    agent = get_agent(name)(env)
    played: list[list[int]] = []
    for seed in (0, 1, 0):
        observation, info = env.reset(seed=seed)
        agent.begin(seed)
        actions: list[int] = []
        over = False
        while not over:
            action = agent.act(observation, info)
            assert info["action_mask"][action], env.actions.text(action)
            actions.append(action)
            observation, _, over, _, info = env.step(action)
        played.append(actions)
    assert played[0] == played[2]


def test_both_views_give_the_same_investigation() -> None:
    """The analyst finds the same in the focus and in the board view."""
    seeds = held_out_seeds("hard_mixed", 40)
    focus = evaluate("analyst", seeds, "hard_mixed")
    board = evaluate("analyst", seeds, "hard_mixed", options={"view": "board"})
    assert focus.episodes == board.episodes
    assert focus.tools == board.tools


def test_order_of_the_agents() -> None:
    """Nothing = 0 <= random < threshold < zscore < fixed_order < analyst <= oracle = 1, intervals apart."""
    many = {"zscore": 800, "fixed_order": 800}
    for task in TASKS:
        score = {
            name: evaluate(name, held_out_seeds(task, many.get(name, 150)), task).interval()
            for name in ("nothing", "random", "threshold", "zscore", "fixed_order", "analyst", "oracle")
        }
        assert score["nothing"].mean == 0.0
        ascending = ("random", "threshold", "zscore", "fixed_order", "analyst")
        for lower, higher in pairwise(ascending):
            assert score[lower].high < score[higher].low, (task, lower, score[lower], higher, score[higher])
        assert score["random"].mean <= 0.05
        assert score["threshold"].mean <= 0.50
        assert score["analyst"].mean >= 0.98
        assert score["analyst"].mean <= score["oracle"].mean
        assert score["oracle"].mean == 1.0


def test_scanning_beats_opening_one_by_one() -> None:
    """Under the budget, scan-then-inspect is worth at least 0.20 of score over opening dates in order."""
    for task in TASKS:
        scanning, opening = (evaluate(name, held_out_seeds(task, 150), task) for name in ("analyst", "one_by_one"))
        assert scanning.interval().low - opening.interval().high >= 0.20
        assert SURVEY_TOOL not in opening.tools


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("family", ALL_SCENARIO_FAMILIES)
def test_oracle_scores_one_on_every_family(family: str, difficulty: Difficulty) -> None:
    """Every episode can be solved within the default budget, at the cost of revealing just the roots."""
    options = {"scenario_family": family, "difficulty": difficulty, "anomaly_count": (1, 5)}
    result = evaluate("oracle", range(12), options=options)
    assert set(result.episodes.score) == {1.0}
    assert max(result.episodes.cost) <= 10


@pytest.mark.parametrize("name", ["analyst", "one_by_one", "fixed_order", "zscore", "threshold"])
def test_scripts_do_not_use_the_seed(name: str) -> None:
    """A script told a wrong seed plays the same: it knows nothing but the observation."""
    told = evaluate(name, range(15), "hard_mixed")

    def misled(env: gym.Env[np.ndarray, Any]) -> WrongSeed:
        return WrongSeed(env, name)

    assert evaluate(misled, range(15), "hard_mixed").episodes == told.episodes


def test_the_seed_matters_to_the_oracle() -> None:
    """The control of the test above: the oracle told a wrong seed fails."""
    result = evaluate(lambda env: WrongSeed(env, "oracle"), range(15), "hard_mixed")
    assert result.interval().mean < 0.2


def test_only_the_oracle_generates_episodes() -> None:
    """No other agent can look up the truth: none imports what makes episodes or names the classes of cells."""
    for file in sorted((ROOT / "agents").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and file.name != "oracle.py":
                names = {alias.name for alias in node.names}
                assert not names & {"MetricDataGenerator", "CellClass", "EpisodeSource"}, f"{file.name}: {names}"


def test_scripted_agents_refuse_another_environment() -> None:
    """The scripts say which environment they play."""
    env = gym.make("CartPole-v1")
    with pytest.raises(TypeError, match="CartPoleEnv; the scripted agents play MetricTrackerEnv"):
        get_agent("analyst")(env)


# Evaluation


def test_evaluate_equals_a_hand_loop() -> None:
    """The evaluation is what the plain Gymnasium loop gives, through wrappers too."""
    seeds = range(5)
    result = evaluate("fixed_order", seeds, "medium_mixed")
    env = gym.make("metric_tracker_env:MetricTracker-v0", task="medium_mixed")
    agent = get_agent("fixed_order")(env)
    for i, seed in enumerate(seeds):
        observation, info = env.reset(seed=seed)
        agent.begin(seed)
        total, steps, over = 0.0, 0, False
        while not over:
            observation, reward, over, _, info = env.step(agent.act(observation, info))
            total, steps = total + float(reward), steps + 1
        episodes = result.episodes
        assert (episodes.score[i], episodes.episode_return[i], episodes.steps[i]) == (info["score"], total, steps)
        assert (episodes.cost[i], episodes.expected[i]) == (info["cost"], info["expected"])
        assert episodes.net[i] == pytest.approx(total) == pytest.approx(info["score"] - 0.005 * info["cost"])


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("name", ["threshold", "random", "one_by_one"])
def test_rows_tell_what_the_figures_count(name: str, view: str) -> None:
    """Matched, missed and extra rows of each episode give its score again, and each is the truth's or the draft's."""
    config = get_task("hard_mixed").config
    result = evaluate(name, range(60), "hard_mixed", options={"view": view})
    episodes, rows = result.episodes, list(zip(*dict(result.rows).values(), strict=True))
    assert rows == sorted(rows)
    generator = MetricDataGenerator(config.generator)
    for number, seed in enumerate(episodes.seed):
        own = [row[1:] for row in rows if row[0] == number]
        missed, matched, extra = (sum(row[3] == fate for row in own) for fate in Fate)
        assert missed + matched == episodes.expected[number]
        assert matched + extra == episodes.submitted[number]
        assert episodes.score[number] == pytest.approx(2 * matched / (2 * matched + missed + extra))
        episode = generator.generate_episode(config.episode_config(seed=seed))
        truth = {
            (config.generator.day_index(row.date), row.entity_type, row.entity_name) for row in episode.expected_rows
        }
        for day, entity, family, fate in own:
            described = episode.row(day, entity)
            assert described.anomaly_type == ANOMALY_TYPES[family]
            assert ((day, described.entity_type, described.entity_name) in truth) == (fate != Fate.EXTRA)
            assert episode.view.flagged[entity, day]


def test_groups_add_up_to_the_whole() -> None:
    """Recall and precision by family and by entity are made of the same rows as those of all episodes together."""
    result = evaluate("zscore", range(80), "hard_mixed")
    families, entities = result.rows.by_family(), result.rows.by_entity(CATALOGUE)
    assert [group.name for group in families] == list(ANOMALY_TYPES)
    assert [group.name for group in entities] == [f"{e.entity_type} {e.entity_name}" for e in CATALOGUE.entities]
    for groups in (families, entities):
        assert sum(group.expected for group in groups) == sum(result.episodes.expected)
        assert sum(group.matched + group.extra for group in groups) == sum(result.episodes.submitted)
        for group in groups:
            assert group.recall is None or group.recall.mean == group.matched / group.expected
            assert group.precision is None or group.precision.mean == group.matched / (group.matched + group.extra)
    per_type = [
        sum(g.expected for g in entities if g.name.startswith(kind)) for kind in ("event_count", "data_quality")
    ]
    assert per_type == [families[2].expected + families[3].expected, families[6].expected]


def test_a_group_of_nothing_has_no_share() -> None:
    """Where nothing was expected there is no recall, and where nothing was submitted no precision."""
    none = Group.of("x", missed=0, matched=0, extra=0)
    assert (none.recall, none.precision) == (None, None)
    missed = Group.of("x", missed=4, matched=0, extra=0)
    assert missed.recall is not None
    assert (missed.recall.mean, missed.precision) == (0.0, None)


def test_wilson_interval() -> None:
    """The interval is that of the formula, worked out by hand; it stays within 0 and 1 and holds the share."""
    half = wilson(5, 10)
    assert half is not None
    assert (half.mean, half.low, half.high) == (0.5, pytest.approx(0.23659, abs=1e-5), pytest.approx(0.76341, abs=1e-5))
    whole = wilson(10, 10)
    assert whole is not None
    assert (whole.mean, whole.low, whole.high) == (1.0, pytest.approx(10 / (10 + 1.95996**2), abs=1e-5), 1.0)
    assert wilson(0, 0) is None
    wide, narrow = wilson(30, 40, level=0.99), wilson(30, 40, level=0.9)
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low < 0.75 < narrow.high < wide.high


def test_rows_refuse_columns_of_other_lengths() -> None:
    """Columns belong together."""
    with pytest.raises(ValueError, match="rows: the columns must be of one length"):
        Rows(episode=(0,), day=(1,), entity=(2,), family=(3,))


def test_workers_change_nothing() -> None:
    """Any number of processes gives the same evaluation, for the project's agents and for a user's own."""
    for agent in ("random", ReportsOnce):
        alone = evaluate(agent, range(110), "hard_mixed")
        assert evaluate(agent, range(110), "hard_mixed", workers=2) == alone
        assert len(alone.episodes.seed) == 110


def test_evaluation_survives_json(tmp_path: Path) -> None:
    """What is written is what is read, configuration included."""
    result = evaluate("threshold", range(4), config=ROOT / "configs" / "ecommerce.toml")
    result.to_json(tmp_path / "evaluation.json")
    assert Evaluation.from_json(tmp_path / "evaluation.json") == result
    assert json.loads((tmp_path / "evaluation.json").read_text())["episodes"]["seed"] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="does not exist"):
        Evaluation.from_json(tmp_path / "absent.json")


def test_bootstrap_interval() -> None:
    """The interval holds the mean, has the exact bound without spread, repeats, and agrees with the normal one."""
    scores = np.random.default_rng(0).uniform(size=400)
    columns = dict.fromkeys(Episodes.model_fields, (0,) * 400) | {"score": tuple(scores.tolist())}
    episodes = Episodes.model_validate(columns)
    result = Evaluation(agent="x", task=None, config=EnvConfig(), episodes=episodes, rows=Rows(), tools={})
    found = result.interval()
    assert found == result.interval()
    assert found.low < found.mean < found.high
    width = 2 * 1.96 * scores.std() / 20
    assert found.high - found.low == pytest.approx(width, rel=0.1)
    assert found.mean == pytest.approx(result.mean())
    flat = result.interval("recall")
    # If a share p of all episodes had recall 1, 400 without one would come up with probability (1 - p) ** 400.
    assert (flat.mean, flat.low) == (0.0, 0.0)
    assert (1 - flat.high) ** 400 == pytest.approx(0.025)
    perfect = result.model_copy(update={"episodes": episodes.model_copy(update={"recall": (1.0,) * 400})})
    assert perfect.interval("recall") == Interval(mean=1.0, low=1 - flat.high, high=1.0)
    steps = result.interval("steps")
    assert (steps.mean, steps.low, steps.high) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"level 1\.5 is not a number between 0 and 1"):
        result.interval(level=1.5)
    with pytest.raises(ValueError, match="resamples 0 is not an integer from 1"):
        result.interval(resamples=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": "nobody"}, "agent 'nobody' is not one of"),
        ({"agent": 3}, "agent 3 is neither one of"),
        ({"agent": Path("nobody")}, "agent 'nobody' is not one of"),
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": 7}, "seeds 7 is not a sequence of integers"),
        ({"seeds": [0, -1]}, "seeds: -1 is not an integer from 0"),
        ({"seeds": [0.5]}, "seeds: 0.5 is not an integer"),
        ({"seeds": [True]}, "seeds: True is not an integer"),
        ({"task": "no_task"}, "task 'no_task' is not one of"),
        ({"task": "easy_mixed", "config": EnvConfig()}, "are both given"),
        ({"config": "absent.toml"}, "config file 'absent.toml' does not exist"),
        ({"options": {"bugdet": 3}}, "unexpected keyword argument 'bugdet'"),
        ({"options": {"budget": -3}}, "budget"),
        ({"workers": 0}, "workers 0 is not an integer from 1 to 256"),
        ({"workers": 2.0}, "workers 2.0 is not an integer"),
    ],
)
def test_evaluate_refuses_bad_input(arguments: dict[str, Any], message: str) -> None:
    """Each error names what was given and what is allowed."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        evaluate(**({"agent": "nothing", "seeds": [0]} | arguments))


def test_held_out_seeds_are_held_out() -> None:
    """They never meet the training seeds, and there is an end to them."""
    first, end = get_task("hard_mixed").training_seeds
    assert not set(held_out_seeds("hard_mixed", 100)) & set(range(first, min(end, first + 10_000)))
    assert held_out_seeds("hard_mixed", 100).start >= end
    with pytest.raises(ValueError, match="episodes 1000000000 is not an integer from 1 to 100000"):
        held_out_seeds("hard_mixed", 1_000_000_000)


# Presets


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_load_and_are_solved(path: Path) -> None:
    """Every preset loads by its path, and the analyst finds what is in it."""
    assert len(PRESETS) >= 5
    assert evaluate("analyst", range(25), config=path).interval().mean >= 0.98


@pytest.mark.parametrize("name", ["easy", "medium", "hard"])
def test_presets_equal_the_tasks(name: str) -> None:
    """The presets of the difficulties are the named tasks."""
    assert load_config(ROOT / "configs" / f"{name}.toml") == get_task(f"{name}_mixed").config


def test_board_preset_is_the_medium_task_in_the_board_view() -> None:
    """Only the view differs."""
    board = load_config(ROOT / "configs" / "board.toml")
    assert board == get_task("medium_mixed").config.model_copy(update={"view": "board"})


def test_another_funnel_has_its_own_names() -> None:
    """The agents find the roots of a six-step shop: names, entities and actions follow from the preset."""
    config = load_config(ROOT / "configs" / "ecommerce.toml")
    assert config.generator.catalogue.num_steps == 6
    assert set(evaluate("oracle", range(25), config=config).episodes.score) == {1.0}
    episode = MetricDataGenerator(config.generator).generate_episode(config.episode_config(seed=3))
    day, entity = np.nonzero(episode.classes == CellClass.EXPECTED)
    assert name_roots(episode.view) == list(zip(day.tolist(), entity.tolist(), strict=True))


# The command line


def test_compare_writes_a_table_a_file_and_a_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``compare`` leaves figures that read back and a picture that is not blank."""
    matplotlib_image = importlib.import_module("matplotlib.image")
    arguments = ["compare", "--episodes", "3", "--workers", "1", "--output", str(tmp_path / "results")]
    cli.main([*arguments, "--agents", "nothing", "threshold", "oracle"])
    printed = capsys.readouterr().out
    assert "hard_mixed" in printed
    assert "threshold" in printed
    written = Comparison.model_validate_json((tmp_path / "results" / "compare.json").read_text())
    assert {(line.agent, line.task) for line in written.summary} == {
        (agent, task) for agent in ("nothing", "threshold", "oracle") for task in TASKS
    }
    assert all(line.figures["score"].mean == 1.0 for line in written.summary if line.agent == "oracle")
    assert written == Comparison.of(written.evaluations)
    assert written.chosen() == ["threshold", "nothing"]
    assert [line.agent for line in written.tasks["hard_mixed"]] == ["oracle", "threshold", "nothing"]
    assert printed.index("oracle") < printed.index("threshold") < printed.index("nothing")
    assert "product_added_to_cart_to_order_placed" in printed
    assert "F1" not in printed
    for name in ("compare.png", "recall.png"):
        picture = matplotlib_image.imread(tmp_path / "results" / name)
        assert picture.shape[0] > 300
        assert picture.shape[1] > 800
        assert picture[..., :3].std() > 0.05


def test_names_are_broken_where_they_may_be() -> None:
    """A long name is broken after hyphens and underscores only, and loses nothing."""
    name = "medium_mixed-focus-maskable_ppo-seed0"
    lines = wrapped(name, 11).split("\n")
    assert "".join(lines) == name
    assert max(map(len, lines)) <= 11
    assert wrapped("analyst", 11) == "analyst"
    assert wrapped("indivisibleness", 5) == "indivisibleness"


def test_an_agent_without_options_of_its_own_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lone ceiling and a task of one family are drawn and printed too."""
    arguments = ["--agents", "oracle", "--tasks", "easy_single_spike", "--episodes", "2", "--workers", "1"]
    cli.main(["compare", *arguments, "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "rate_spike_from_median" in printed
    assert "funnel_break" not in printed
    assert (tmp_path / "recall.png").stat().st_size > 10_000


def test_run_plays_an_agent_with_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``run`` takes a preset and options on top, and writes the evaluation."""
    output = tmp_path / "run.json"
    preset = str(ROOT / "configs" / "hard.toml")
    options = ["--scenario-family", "funnel_break", "--anomaly-count", "2", "--budget", "9"]
    cli.main(["run", "--agent", "oracle", "--config", preset, "--episodes", "4", *options, "--output", str(output)])
    result = Evaluation.from_json(output)
    assert "oracle" in capsys.readouterr().out
    assert (result.config.difficulty, result.config.anomaly_count, result.config.budget) == ("hard", 2, 9)
    assert set(result.episodes.score) == {1.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--agent", "nobody"], "agent 'nobody' is not one of"),
        (["run", "--agent", "nothing", "--task", "none"], "task 'none' is not one of"),
        (["run", "--agent", "nothing", "--budget", "0"], "budget: Input should be greater than or equal to 1"),
        (["run", "--agent", "nothing", "--config", "absent.toml"], "config file 'absent.toml' does not exist"),
        (["run", "--agent", "nothing", "--episodes", "0"], "episodes 0 is not an integer from 1"),
        (["compare", "--episodes", "-1"], "episodes -1 is not an integer from 1"),
        (["compare", "--workers", "0"], "workers 0 is not an integer from 1"),
        (["compare", "--tasks", "none"], "task 'none' is not one of"),
    ],
)
def test_command_line_refuses_bad_input(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bad value ends the command with code 2 and one line, and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["tyro", "rich", "matplotlib"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an optional package the command says what to install."""

    def absent(name: str) -> None:
        if name == package:
            raise ImportError(name)

    monkeypatch.setattr(command_line, "import_module", absent)
    with pytest.raises(SystemExit, match=rf"needs {package}; .*pip install -e '\.\[agents\]'"):
        cli.main(["run", "--agent", "nothing"])


def test_public_names_exist() -> None:
    """Everything in ``__all__`` is there."""
    assert all(hasattr(agents, name) for name in agents.__all__)
