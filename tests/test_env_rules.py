"""The rules of play: rewards, budget, the end, evidence, and when the truth is told."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from helpers_env import ENV_ID, REWARDS, VIEWS, assert_same, bare, follow, pick, play

from metric_tracker_env import MetricTrackerEnv, score_submission
from metric_tracker_env.config import Reward, View
from metric_tracker_env.schema import DIFFICULTIES


def collect(env: MetricTrackerEnv, seed: int, rng: np.random.Generator) -> list[int]:
    """Actions of an episode that opens many dates and reports whatever it can, right or wrong."""
    env.reset(seed=seed)
    actions: list[int] = []
    while env.action_masks()[:-1].any() and len(actions) < env.config.step_limit - 1:
        legal = np.flatnonzero(env.action_masks())[:-1].tolist()
        reports = [i for i in legal if env.actions.decode(i).tool == "report"]
        actions.append(int(rng.choice(reports or legal)))
        env.step(actions[-1])
    return [*actions, len(env.actions) - 1]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_dense_rewards_telescope_to_the_terminal_return(view: View, difficulty: str) -> None:
    """The same actions earn the same return with both rewards: the score less the cost of the tools."""
    terminal = bare(view=view, difficulty=difficulty, anomaly_count=(1, 5), budget=28)
    dense = bare(view=view, difficulty=difficulty, anomaly_count=(1, 5), budget=28, reward="dense")
    rng = np.random.default_rng(0)
    informative = 0
    for seed in range(6):
        actions = collect(terminal, seed, rng)
        terminal.reset(seed=seed)
        dense.reset(seed=seed)
        late, early = follow(terminal, actions), follow(dense, actions)
        end = late[-1][4]
        expected = end["score"] - terminal.config.step_cost * end["cost"]
        assert sum(step[1] for step in late) == pytest.approx(expected, abs=1e-9)
        assert sum(step[1] for step in early) == pytest.approx(expected, abs=1e-9)
        assert_same([(s[0], *s[2:]) for s in late], [(s[0], *s[2:]) for s in early])  # only the rewards differ
        assert all(step[1] <= 0.0 for step in late[:-1])
        informative += sum(step[1] > 0.0 for step in early)
        assert early[-1][1] == 0.0
    assert informative > 0


@pytest.mark.parametrize("reward", ["terminal", "dense"])
def test_the_step_cost_can_be_changed(reward: Reward) -> None:
    """A step cost set on the way, through wrappers too, is that of the steps to come and changes nothing else."""
    env, fixed = gym.make(ENV_ID, reward=reward), gym.make(ENV_ID, reward=reward, step_cost=0.02)
    seed, reports = 3, 0
    first, *rest = collect(bare(), seed, np.random.default_rng(seed))
    for each in (env, fixed):
        each.reset(seed=seed)
    assert env.step(first)[1] == pytest.approx(-0.005)
    assert fixed.step(first)[1] == pytest.approx(-0.02)
    env.set_wrapper_attr("step_cost", 0.02)
    assert env.get_wrapper_attr("config") == fixed.get_wrapper_attr("config")
    for action in rest:
        assert_same(env.step(action), fixed.step(action))
        reports += bare().actions.decode(action).tool == "report"
    assert reports
    assert_same(env.reset(), fixed.reset())
    assert_same(env.step(first), fixed.step(first))
    for bad in (-0.1, 1.5, float("nan"), "dear", None):
        with pytest.raises(ValueError, match="step_cost"):
            env.set_wrapper_attr("step_cost", bad)
    assert env.get_wrapper_attr("step_cost") == 0.02


@pytest.mark.parametrize("view", VIEWS)
def test_each_unit_costs_budget_and_reward(view: View) -> None:
    """A tool call takes its cost from the budget and the reward; report and submit are free."""
    env = bare(view=view, costs={"open": 2, "survey": 5}, budget=10, step_cost=0.01)
    env.reset(seed=0)
    assert env.step(env.actions.encode("list_suspicious_dates"))[1] == pytest.approx(-0.05)
    date = env.config.generator.date_names[0]
    assert env.step(env.actions.encode("rows_for_date", date=date))[1] == pytest.approx(-0.02)
    assert env.step(env.actions.encode("get_funnel_break_rows", threshold_multiplier=1.5))[1] == pytest.approx(-0.01)
    _, reward, terminated, _, info = env.step(env.actions.encode("submit"))
    assert terminated
    assert reward == 0.0
    assert (info["cost"], info["tool_calls"], info["score"]) == (8, 3, 0.0)


@pytest.mark.parametrize("view", VIEWS)
def test_the_budget_is_never_overdrawn(view: View) -> None:
    """Whatever is tried, an episode spends no more than its budget."""
    env = bare(view=view, budget=5, costs={"survey": 3, "scan": 2})
    for seed in range(10):
        end = play(env, seed, np.random.default_rng(seed), legal=0.8)[-1].info
        assert end["cost"] <= 5


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reward", REWARDS)
def test_the_step_limit_submits_the_draft(view: View, reward: Reward) -> None:
    """At the step limit the draft is graded as it stands: terminated, not truncated."""
    env = bare(view=view, reward=reward, budget=28, step_limit=60, difficulty="easy")
    actions = collect(env, 3, np.random.default_rng(3))[:-1]
    limited = bare(view=view, reward=reward, budget=28, step_limit=len(actions), difficulty="easy")
    limited.reset(seed=3)
    *before, last = follow(limited, actions)
    assert not any(step[2] or step[3] for step in before)
    assert (last[2], last[3]) == (True, False)
    assert last[4]["score"] == limited.grade().score
    assert limited.grade().submitted == sum(limited.actions.decode(i).tool == "report" for i in actions) > 0
    assert limited.observation_space.contains(last[0])


@pytest.mark.parametrize("view", VIEWS)
def test_illegal_steps_run_into_the_limit_too(view: View) -> None:
    """An agent that does nothing but illegal things comes to the end at the step limit, with the score of nothing."""
    env = bare(view=view, step_limit=5)
    env.reset(seed=0)
    steps = follow(env, [int(np.flatnonzero(~env.action_masks())[0])] * 5)
    assert [step[2] for step in steps] == [False] * 4 + [True]
    assert (steps[-1][4]["score"], steps[-1][4]["submitted"], steps[-1][4]["cost"]) == (0.0, 0, 0)


@pytest.mark.parametrize("view", VIEWS)
def test_an_illegal_action_changes_nothing_but_the_steps_left(view: View) -> None:
    """An illegal action is told in info, earns nothing, and leaves all but the number of steps left as it was."""
    env = bare(view=view)
    observation, info = env.reset(seed=2)
    rng = np.random.default_rng(2)
    steps_left = env.observation_layout.parts["globals"].start + 2
    tried = 0
    while not (info["action_mask"].sum() == 1 or tried > 25):
        action = int(rng.choice(np.flatnonzero(info["action_mask"] == 0)))
        after, reward, terminated, truncated, told = env.step(action)
        assert (reward, terminated, truncated, told["illegal_action"]) == (0.0, False, False, True)
        assert np.flatnonzero(after != observation).tolist() == [steps_left]
        assert np.array_equal(told["action_mask"], info["action_mask"])
        observation, *_, info = env.step(pick(rng, info["action_mask"], submit=0.0))
        assert info["illegal_action"] is False
        tried += 1
        if tried == 20:
            break
    assert tried >= 10


@pytest.mark.parametrize("view", VIEWS)
def test_report_needs_evidence(view: View) -> None:
    """No cell may be reported until a tool has revealed it and its detection method confirms it; then once."""
    env = bare(view=view, difficulty="easy", scenario_family="rate_drop_from_median", budget=40, step_limit=99)
    env.reset(seed=0)

    def reports() -> list[int]:
        return [i for i in np.flatnonzero(env.action_masks()).tolist() if env.actions.decode(i).tool == "report"]

    assert reports() == []
    told: dict[str, set[tuple[str, str]]] = {}
    for date in env.config.generator.date_names:
        env.step(env.actions.encode("rows_for_date", date=date))
        calls = [env.resolve(i).arguments for i in reports()]
        told[date] = {(str(c["entity_type"]), str(c["entity_name"])) for c in calls if c["date"] == date}
    if view == "focus":  # the last date is in focus: go back to one with something to report
        date = next(date for date, cells in told.items() if cells)
        env.step(env.actions.encode("rows_for_date", date=date))
    action = reports()[0]
    env.step(action)
    assert action not in reports()
    env.step(env.actions.encode("submit"))
    assert env.grade().submitted == 1
    view_of_data = env.episode().view
    for day, date in enumerate(env.config.generator.date_names):
        entities = view_of_data.catalogue.entities
        opened = {"event_count", "conversion_rate"}
        flagged = [e for e in entities if view_of_data.flagged[e.index, day] and e.entity_type in opened]
        assert told[date] == {(e.entity_type, e.entity_name) for e in flagged}
    assert sum(map(len, told.values())) >= 3


@pytest.mark.parametrize("view", VIEWS)
def test_grade_is_the_score_of_info(view: View) -> None:
    """grade() says in full what info tells in numbers, and a perfect grade of the truth is 1."""
    env = bare(view=view, budget=28, anomaly_count=(1, 5))
    rng = np.random.default_rng(1)
    for seed in range(8):
        actions = collect(env, seed, rng)
        env.reset(seed=seed)
        info = follow(env, actions)[-1][4]
        grade = env.grade()
        for name in ("score", "precision", "recall", "f1", "submitted", "expected", "matched", "missing", "extra"):
            assert info[name] == pytest.approx(getattr(grade, name), abs=1e-12), name
        assert grade.duplicate == grade.invalid == 0
        for name in ("anomaly_type_accuracy", "detection_method_accuracy", "values_accuracy", "severity_accuracy"):
            assert getattr(grade, name) == pytest.approx(grade.recall), name
        assert score_submission(env.episode().expected_rows, env.episode()).score == 1.0
        assert info["expected"] == len(env.episode().expected_rows)


@pytest.mark.parametrize("method", ["episode", "grade"])
def test_the_truth_is_told_at_the_end_only(method: str) -> None:
    """Before the first reset and during an episode there is no truth; after the end there is, until the next reset."""
    env = bare()
    ask = getattr(env, method)
    with pytest.raises(gym.error.ResetNeeded):
        ask()
    env.reset(seed=0)
    with pytest.raises(gym.error.ResetNeeded):
        ask()
    env.step(0)
    with pytest.raises(gym.error.ResetNeeded):
        ask()
    env.step(env.actions.encode("submit"))
    assert ask() is not None
    env.reset()
    with pytest.raises(gym.error.ResetNeeded):
        ask()
