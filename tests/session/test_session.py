"""A session: the same episodes, budget, evidence and grade as the discrete environment, in words."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from helpers_announced import family_of
from helpers_session import DATE, NAMED_TASKS, SEED, begun, cells_of, door, told, truth

from agents.players.scripts.words import converse, investigate
from metric_tracker_env import MetricDataGenerator, MetricTrackerEnv, Session
from metric_tracker_env.config import MAX_SEED, EnvConfig, EpisodeConfig
from metric_tracker_env.play.actions import EVENTS_TOOL, FOCUSED, HOURLY_TOOL, REPORT, SUBMIT, Action
from metric_tracker_env.schema import ANOMALY_TYPES, KnownEvent
from metric_tracker_env.session import PlayedEpisode, Standing
from metric_tracker_env.tasks import TASKS
from metric_tracker_env.tools import TOOLS
from metric_tracker_env.tools.tables import from_tables

# Beginning


def played_again(session: Session, seed: int) -> list[Any]:
    """The answers to a scripted model."""
    session.begin(seed)
    return converse(investigate(session.config.generator), lambda tool, arguments: session.call(tool, arguments).text)


def test_what_was_prepared_is_played_the_same() -> None:
    """Seeds that were prepared are answered and graded word for word as ever, in any order; other seeds too."""
    asked = NAMED_TASKS[0]
    plain, ahead = Session(asked), Session(asked)
    ahead.prepare([])
    ahead.prepare([3, 1, 2])
    for bad in ([1, None], [-1], [1.5], [True]):
        with pytest.raises(ValueError, match="is not an integer from 0"):
            ahead.prepare(bad)  # pyright: ignore[reportArgumentType] - and what was prepared stays
    for seed in (2, 1, 8, 1, 3):
        assert played_again(plain, seed) == played_again(ahead, seed)
        assert plain.grade() == ahead.grade()
        assert np.array_equal(plain.episode().hourly, ahead.episode().hourly)
    for seed in (-1, True, MAX_SEED + 1):
        with pytest.raises(ValueError, match="seed"):
            ahead.prepare([1, seed])


def test_preparing_begins_no_stream() -> None:
    """A session that was prepared and never begun draws its first seed as ever, and not the same each time."""
    first = set[int]()
    for _ in range(3):
        session = Session()
        session.prepare([0])
        assert not session.standing.begun
        session.begin()
        session.call(SUBMIT, {"rows": []})
        first.add(session.episode().config.seed)
    assert len(first) == 3


def test_calls_without_an_episode() -> None:
    """Before the first begin and after the end a call is an answer that says so, and changes nothing."""
    session = Session()
    for tool in ("list_dates", "nonsense"):
        assert told(session, tool) == {"ok": False, "error": "no episode is under way; reset begins one"}
    assert session.standing == Standing(False, False, 0.0, 16, 0, 0, 0, 48)
    session.begin(SEED)
    assert session.standing == Standing(True, False, 0.0, 16, 0, 0, 0, 48)
    session.call(SUBMIT, {"rows": []})
    before = session.standing
    for tool in (SUBMIT, "nonsense"):
        assert told(session, tool, rows=[]) == {"ok": False, "error": "the episode is over", "done": True}
    assert session.standing == before
    assert len(session.episode().expected_rows) == 3


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        ({"seed": -1}, "seed -1"),
        ({"seed": True}, "seed True"),
        ({"seed": "7"}, "seed '7'"),
        ({"seed": MAX_SEED + 1}, f"is not an integer from 0 to {MAX_SEED}"),
        ({"task": "hardest"}, "task 'hardest'"),
        ({"budget": 99}, "unknown reset option 'budget'"),
        ({"difficulty": "extreme"}, "difficulty"),
        ({"anomaly_count": 99}, "anomaly_count"),
        ({"task": "hard_mixed", "anomaly_count": 99}, "anomaly_count"),
    ],
)
def test_a_bad_beginning_is_refused_and_changes_nothing(given_options: dict[str, Any], message: str) -> None:
    """Bad seeds, tasks and options raise, and the episode that is under way goes on."""
    session = begun()
    session.call("rows_for_date", {"date": DATE})
    before, answer, brief = session.standing, told(session, "list_dates"), session.brief
    with pytest.raises(ValueError, match=re.escape(message)):
        session.begin(**given_options)
    assert session.standing._replace(steps=1, calls_left=47) == before
    assert told(session, "list_dates")["result"] == answer["result"]
    assert (session.brief, session.task, session.config) == (brief, None, EnvConfig())
    assert session.call(SUBMIT, {"rows": []}).told["episode"]["seed"] == SEED


@pytest.mark.parametrize("given_options", [{"task": "hardest"}, {"config": "none.toml"}, {"budgets": 1}, {"budget": 0}])
def test_a_bad_session_is_refused(given_options: dict[str, Any]) -> None:
    """What there is not is refused when the session is made, not when it begins."""
    with pytest.raises(ValueError, match=r"hardest|none\.toml|budget"):
        Session(**given_options)


def test_numpy_integers_are_seeds() -> None:
    """A NumPy integer is the seed that a plain one is."""
    session = begun(np.int64(5))  # pyright: ignore[reportArgumentType]
    session.call(SUBMIT, {"rows": []})
    assert session.episode().expected_rows == truth(EnvConfig(), 5).expected_rows


def test_begin_plays_the_episode_of_the_environment() -> None:
    """A seed, a task, options and the stream of later episodes give what the environment gives."""
    env = MetricTrackerEnv(task="hard_mixed")
    session = Session()
    steps: list[dict[str, Any]] = [{"seed": 5}, {}, {"options": {"scenario_family": "funnel_break"}}, {}]
    for number, arguments in enumerate(steps):
        env.reset(**arguments)
        env.step(len(env.actions) - 1)
        task = "hard_mixed" if number == 0 else None
        session.begin(arguments.get("seed"), task, **arguments.get("options", {}))
        session.call(SUBMIT, {"rows": []})
        assert session.episode().expected_rows == env.episode().expected_rows
    assert (session.config, session.task) == (env.config, "hard_mixed")


def test_a_beginning_ends_what_was_under_way() -> None:
    """A new episode starts with the whole budget, nothing shown and nothing paid, whatever was done before."""
    session = begun(budget=30)
    session.call("rows_for_date", {"date": DATE})
    session.call("list_suspicious_dates", {})
    session.begin(SEED)
    assert session.standing == Standing(True, False, 0.0, 30, 0, 0, 0, 48)
    assert told(session, "list_suspicious_dates", offset=1)["cost"] == 4
    assert told(session, "get_median_filter_rows")["result"]["rows"] == []


def test_the_task_of_a_begin_stays_with_the_options_of_the_session() -> None:
    """A task is played from then on, under the budget of the session; naming it again changes nothing."""
    session = Session("easy_mixed", budget=9)
    session.begin(3)
    session.begin(4, "hard_mixed")
    assert (session.task, session.config.difficulty, session.config.budget) == ("hard_mixed", "hard", 9)
    session.begin(task="hard_mixed")  # goes on with the stream
    session.call(SUBMIT, {"rows": []})
    assert session.standing.episode is not None
    assert (session.standing.episode.seed, session.standing.episode.number) == (4, 1)


# The same as the discrete environment


def play_both(view: str, difficulty: str, seed: int, **options: Any) -> list[str]:
    """Random legal actions in the discrete environment, and the tool calls that are equal to them; which tools."""
    config = EnvConfig.model_validate({"view": view, "difficulty": difficulty, "anomaly_count": (1, 5), **options})
    env, session = MetricTrackerEnv(config=config), Session(config=config)
    _, info = env.reset(seed=seed)
    session.begin(seed)
    draws = np.random.default_rng(seed)
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    used: list[str] = []
    preferred = {REPORT} if config.generator.world is None else {REPORT, EVENTS_TOOL, HOURLY_TOOL}
    over, episode_return, rewards = False, 0.0, 0.0
    while not over:
        legal = np.flatnonzero(info["action_mask"])
        reports = [a for a in legal if env.actions.decode(int(a)).tool in preferred]
        action = int(draws.choice(reports if reports and draws.random() < 0.5 else legal))
        call = env.resolve(action)
        assert FOCUSED not in call.arguments.values()
        observation, reward, over, _, info = env.step(action)
        used.append(call.tool)
        episode_return += float(reward)
        if call.tool == REPORT:
            row = found[call.arguments["date"], call.arguments["entity_type"], call.arguments["entity_name"]]  # pyright: ignore[reportArgumentType]
            rows.append(row)
        elif call.tool != SUBMIT:
            answer = session.call(call.tool, call.arguments)
            assert answer.ok, answer.text
            rewards += answer.reward
            assert answer.reward == pytest.approx(reward, abs=1e-12) or over
            result = from_tables(answer.told["result"])
            assert_told_alike(env, observation, call, result)
            for cell in cells_of(result):
                found[cell["date"], cell["entity_type"], cell["entity_name"]] = cell
    assert len(found) == env._engine.progress(0).revealed.sum()  # pyright: ignore[reportPrivateUsage]
    index = config.generator.catalogue.index
    rows.sort(key=lambda row: (row["date"], index[row["entity_type"], row["entity_name"]]))  # as a draft is numbered
    answer = session.call(SUBMIT, {"rows": rows})
    standing = session.standing
    assert answer.told["grade"]["score"] == info["score"]
    assert standing.grade == session.grade() == env.grade()
    assert standing.reward == pytest.approx(episode_return, abs=1e-12)
    assert rewards + answer.reward == pytest.approx(episode_return, abs=1e-12)
    assert (standing.cost, standing.tool_calls) == (info["cost"], info["tool_calls"])
    assert session.episode().expected_rows == env.episode().expected_rows
    return used


def assert_told_alike(env: MetricTrackerEnv, observation: np.ndarray, call: Action, result: dict[str, Any]) -> None:
    """What a tool of the world tells in words is what the observation shows after the same action."""
    generator, layout = env.config.generator, env.observation_layout
    if call.tool == EVENTS_TOOL:
        flags = np.zeros((generator.num_days, len(ANOMALY_TYPES)))
        for told_event in result["events"]:
            event = KnownEvent.model_validate(told_event)
            window = slice(generator.day_index(event.first_date), generator.day_index(event.last_date) + 1)
            flags[window, family_of(event)] = 1.0
        assert np.array_equal(layout.view(observation, "announced_flags"), flags)
        assert layout.view(observation, "globals")[-1] == 1.0
    elif call.tool == HOURLY_TOOL and generator.world is not None:
        day = generator.day_index(str(call.arguments["date"]))
        shown = layout.view(observation, "missing")[0 if env.config.view == "focus" else day]
        assert shown == pytest.approx(result["lost_share"], abs=1e-4)
        entry = generator.catalogue.count_metrics[0]  # the only step that hours tell under a budget
        assert [record["hour"] for record in result["records"] if not record[entry]] == result["lost_hours"]


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_actions_and_tool_calls_agree(view: str, difficulty: str) -> None:
    """Any sequence of actions has an equal sequence of calls: equal budget, evidence, rows, grade and reward."""
    for seed in range(12):
        play_both(view, difficulty, seed)


@pytest.mark.parametrize("view", ["focus", "board"])
@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_actions_and_tool_calls_agree_in_a_world(view: str, difficulty: str) -> None:
    """So they do in the realistic world: what was announced and which hours were lost are the same at both doors."""
    used: list[str] = []
    world: dict[str, Any] = {"generator": {"world": {"gaps": (4, 6)}}, "budget": 40}
    for seed in range(12):
        used += play_both(view, difficulty, seed, anomaly_count=(0, 4), **world)
    assert min(used.count(EVENTS_TOOL), used.count(HOURLY_TOOL)) > 5


@pytest.mark.parametrize("task", NAMED_TASKS)
def test_a_scripted_model_solves_the_named_tasks(task: str) -> None:
    """The analyst in words, which sees nothing but answers, scores 0.99 and more on held-out seeds."""
    session = Session(task)
    scores: list[float] = []
    for seed in range(SEED, SEED + 20):
        session.begin(seed)
        answers = converse(investigate(session.config.generator), door(session))
        assert all(answer["ok"] for answer in answers)
        scores.append(answers[-1]["grade"]["score"])
    assert np.mean(scores) >= 0.99


# Which episode it was


def ended(session: Session) -> dict[str, Any]:
    """The identity that the last answer tells, as a reader of its JSON has it."""
    return told(session, SUBMIT, rows=[])["episode"]


PLAYS: list[dict[str, Any]] = [
    {},
    {"scenario_family": "funnel_break", "difficulty": "hard"},
    {"anomaly_count": (2, 4)},
    {"anomaly_count": None, "anomaly_density": "high"},
    {"anomaly_generators": [{"metric_name": "app_opens", "stddev_factor": 8.0, "direction": "down"}]},
]


@pytest.mark.parametrize("options", PLAYS)
def test_an_episode_is_made_again_from_its_identity(options: dict[str, Any]) -> None:
    """The seed and the options of the last answer give the same episode, by a session and by the generator."""
    session = begun(17, task="easy_mixed")
    session.begin(**options)
    second = ended(session)
    session.begin(18, **options)
    first = ended(session)
    assert (second["seed"], second["number"]) == (17, 1)
    assert (first["seed"], first["number"]) == (18, 0)
    data = session.episode()

    again = begun(18, task="medium_mixed", **first["options"])
    again.call(SUBMIT, {"rows": []})
    assert np.array_equal(again.episode().hourly, data.hourly)
    assert again.episode().expected_rows == data.expected_rows
    generated = MetricDataGenerator().generate_episode(EpisodeConfig(seed=18, **first["options"]))
    assert np.array_equal(generated.hourly, data.hourly)
    assert session.standing.episode == PlayedEpisode.model_validate(first)

    stream = begun(second["seed"])
    stream.begin(**second["options"])
    stream.call(SUBMIT, {"rows": []})
    session = begun(17, task="easy_mixed")
    session.begin(**options)
    session.call(SUBMIT, {"rows": []})
    assert np.array_equal(stream.episode().hourly, session.episode().hourly)


def test_an_episode_without_a_seed_can_be_named_too() -> None:
    """Sessions that are given no seed draw different ones, which they tell and which can be given."""
    sessions = [Session(), Session()]
    for session in sessions:
        session.begin()
    first, second = (ended(session) for session in sessions)
    assert first["seed"] != second["seed"]
    assert max(first["seed"], second["seed"]) > 2**40  # of all seeds that there are
    again = begun(first["seed"])
    again.call(SUBMIT, {"rows": []})
    assert np.array_equal(again.episode().daily, sessions[0].episode().daily)
    sessions[0].begin()
    assert ended(sessions[0])["number"] == 1


def test_a_session_may_keep_its_episodes_to_itself() -> None:
    """Without ``names_episodes`` the end tells the grade and not which episode it was."""
    session = Session(names_episodes=False)
    session.begin(SEED)
    last = told(session, SUBMIT, rows=[])
    assert list(last) == ["ok", "cost", "done", "grade", "reward"]
    assert str(SEED) not in json.dumps(last)
    assert (session.standing.done, session.standing.episode) == (True, None)
    assert session.episode().expected_rows == truth(session.config).expected_rows  # whose process it is may look


def test_a_seed_that_was_played_to_its_end_is_practice() -> None:
    """A seed is practice once its grade was told in the session, not after it was left, and not another seed."""
    session, found = Session("easy_mixed"), []
    for seed, submits in ((1, False), (1, True), (1, True), (2, True), (None, True), (2, True)):
        session.begin(seed)
        found.append(session.practice)
        if submits:
            session.call(SUBMIT, {"rows": []})
    assert found == [False, False, True, False, False, True]
    assert not Session("easy_mixed").practice


# What is told when


def test_no_truth_before_the_end() -> None:
    """While an episode is under way grade, episode and identity are not told, and neither is the seed by the repr."""
    for session in (Session(), begun(), begun(step_limit=1)):
        for ask in (session.episode, session.grade):
            with pytest.raises(ResetNeeded, match="is told when the episode has ended"):
                ask()
        assert (session.standing.grade, session.standing.episode) == (None, None)
    assert repr(begun(1)) == repr(begun(2)) == "<Session, medium>"
    session = begun()
    session.call(SUBMIT, {"rows": []})
    session.begin()
    for ask in (session.episode, session.grade):
        with pytest.raises(ResetNeeded):
            ask()
    assert (session.standing.grade, session.standing.episode) == (None, None)


def test_the_public_surface_is_small() -> None:
    """A session has these names and no others; none of its attributes is public."""
    session = begun()
    names = {name for name in dir(session) if not name.startswith("_")}
    assert names == {
        "begin",
        "brief",
        "call",
        "config",
        "episode",
        "grade",
        "practice",
        "prepare",
        "revealed",
        "scene",
        "schemas",
        "standing",
        "task",
    }
    assert all(name.startswith("_") for name in vars(session))


def test_making_a_session_makes_no_engine() -> None:
    """A session costs nothing until it begins, so that a server may make one for whoever connects."""
    session = Session("hard_mixed")
    assert not [
        value for value in vars(session).values() if type(value).__module__.startswith("metric_tracker_env.play")
    ]
    assert session.schemas[-1]["function"]["name"] == SUBMIT


# Threads


def play_through(task: str) -> list[str]:
    """All that a session is told over some episodes."""
    session, texts = Session(task), []
    for seed in range(8):
        texts.append(session.begin(seed))
        calls = door(session)
        converse(
            investigate(session.config.generator), lambda *asked, calls=calls: texts.append(calls(*asked)) or texts[-1]
        )
    return texts


def test_sessions_in_threads_do_not_interfere() -> None:
    """Sessions that are played at the same time, each in a thread, are told word for word what each is told alone."""
    tasks = [*NAMED_TASKS, "hard_mixed_multi", "easy_mixed", "hard_mixed"]
    alone = {task: play_through(task) for task in set(tasks)}
    with ThreadPoolExecutor(len(tasks)) as threads:
        together = list(threads.map(play_through, tasks))
    assert together == [alone[task] for task in tasks]
    assert all(json.loads(texts[-1])["done"] for texts in together)


def test_every_tool_can_be_called_of_every_task() -> None:
    """The calls of a task are its schemas' names."""
    for task in TASKS:
        names = [schema["function"]["name"] for schema in Session(task).schemas]
        offered = [name for name, spec in TOOLS.items() if spec.offered(TASKS[task].config.generator)]
        assert names == [*offered, SUBMIT]
        assert (EVENTS_TOOL in names) == (TASKS[task].config.generator.world is not None)
