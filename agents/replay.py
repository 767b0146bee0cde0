"""The replay of an episode that an agent plays, as one file: ``python -m agents export-html``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_tracker_env import EnvConfig, MetricTrackerEnv, Seal, Session
from metric_tracker_env.play.actions import FOCUSED, NEXT_FLAGGED, SCAN_TOOLS, SUBMIT, SURVEY_TOOL, Op
from metric_tracker_env.play.state import Progress
from metric_tracker_env.render.scene import Scene
from metric_tracker_env.schema import ANOMALY_TYPES, FAMILIES
from metric_tracker_env.session import CALLS
from metric_tracker_env.tools.tables import from_tables
from metric_tracker_env.ui.html import self_contained
from metric_tracker_env.ui.snapshot import Replayed, replay
from metric_tracker_env.ui.visitor import Step
from metric_tracker_env.view import MetricView

from .evaluation.evaluate import config_of
from .evaluation.leaderboard import check_writable
from .evaluation.report import console
from .players.agent import Agent
from .players.models.saved import ModelAgent
from .players.outcome import Reports
from .players.registry import find_player
from .players.scripts.script import AGENTS, get_agent
from .tasks import task_of


def export_html(
    agent: str, task: str = "realistic_medium", seed: int | None = None, output: Path = Path("replay.html")
) -> None:
    """Write the replay of an episode as one HTML file, which needs no server and nothing else.

    Args:
        agent: Name of a script, or the folder of a saved model.
        task: Named task, or a preset's path.
        seed: Of the episode; by default the task's first held-out one.
        output: File to write.
    """
    found = task_of(task)
    number = found.held_out_seeds[0] if seed is None else seed
    config = config_of(find_player(agent), found)
    check_writable(output)
    state = replay(played(agent, config, number, found.name))
    output.write_text(self_contained(state), encoding="utf-8")
    told = f"score {state['grade']['score']:.3f}, {len(state['steps'])} calls"
    console().print(f"wrote {output}: {agent} on {found.name}, seed {number}, {told}", markup=False)


def played(
    name: str, config: EnvConfig, seed: int, task: str, model: str | Path | None = None, seal: Seal | None = None
) -> Replayed:
    """An agent's episode, call by call.

    Args:
        name: Of a script; or the folder of a saved model, if it is not given apart from its name.
        config: To play.
        seed: Of the episode.
        task: What the configuration is called.
        model: Folder of a saved model.
        seal: Of the episode; None for a public one.

    Raises:
        ValueError: for a bad seed, or an agent that is neither a script nor a saved model.
    """
    env = MetricTrackerEnv(config=config, seal=seal)
    agent: Agent = get_agent(name)(env) if model is None and name in AGENTS else ModelAgent(env, model or name)
    reports, table = Reports(env), env.actions
    observation, info = env.reset(seed=seed)
    agent.begin(seed)
    steps: list[Step] = []
    draft: list[tuple[int, int]] = []
    draft_at: list[int] = []
    generator = config.generator
    shown_at = np.zeros((generator.num_days, generator.catalogue.num_entities), np.int64)
    focus, total, over = -1, 0.0, False
    while not over:
        action = int(agent.act(observation, info))
        before = observation
        observation, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        total += float(reward)
        tool, arguments = table.decode(action)
        refused = bool(info["illegal_action"])
        if not refused and int(table.op[action]) == Op.DATE:
            focus = day_of(env, action, observation, focus)
            row = shown_at[focus]
            row[(row == 0) & table.reveals[table.argument[action]]] = len(steps) + 1
        if not refused and (cell := reports.cell(action, before)) is not None:
            draft.append(cell)
            draft_at.append(len(steps) + 1)
        if arguments.get("date") in (FOCUSED, NEXT_FLAGGED) and focus >= 0:
            arguments["date"] = generator.date_names[focus]
        error, cost = ("not legal", 0) if refused else (None, int(table.cost[action]))
        steps.append(Step(tool, dict(arguments), cost, not refused, error, None, total))
    episode = env.episode()
    reported = np.zeros(shown_at.shape, bool)
    for cell in draft:
        reported[cell] = True
    progress = Progress(
        revealed=shown_at > 0,
        reported=reported,
        opened=shown_at.max(axis=1) > 0,
        known=np.zeros((len(ANOMALY_TYPES), generator.num_days), np.int8),
        informed=True,
        focus=-1,
        budget=config.budget - info["cost"],
        steps=len(steps),
        tool_calls=info["tool_calls"],
    )
    scene = Scene(config, episode, progress, over=True)
    flags, flagged_at = flags_of(steps, episode.view)
    told = answered(steps, Session(config=config, seal=seal), seed)
    return Replayed(name, task, seed, scene, episode, told, draft, draft_at, shown_at, flags, flagged_at)


def answered(steps: list[Step], session: Session, seed: int) -> list[Step]:
    """The calls with what the same ones are answered in words."""
    session.begin(seed)
    found: list[Step] = []
    for step in steps:
        asked = step.ok and step.tool in CALLS and step.tool != SUBMIT
        answer = session.call(step.tool, step.arguments) if asked else None
        result = None if answer is None or answer.result is None else from_tables(answer.result)
        found.append(step._replace(result=result))
    return found


def day_of(env: MetricTrackerEnv, action: int, after: np.ndarray, focus: int) -> int:
    """The day that a tool on one date was used on: its own, or in the focus view that of the date now in focus."""
    day = int(env.actions.day[action])
    if day >= 0:
        return day
    place = int(env.observation_layout.parts["focus_calendar"].places[-1])
    return round(float(after[place]) * (env.config.generator.num_days - 1)) if place >= 0 else focus


def flags_of(steps: list[Step], view: MetricView) -> tuple[list[list[str]], list[int]]:
    """The families that the scans of an episode told of each date, and the number of the call that was the first."""
    told = np.zeros(view.strength.shape, bool)
    first = np.zeros(view.strength.shape[1], np.int64)
    for number, step in enumerate(steps, 1):
        if step.ok and step.tool == SURVEY_TOOL:
            told |= view.strength >= 1.0
        elif step.ok and step.tool in SCAN_TOOLS:
            family = SCAN_TOOLS.index(step.tool)
            told[family] |= view.strength[family] >= float(step.arguments["threshold_multiplier"])
        first[(first == 0) & told.any(axis=0)] = number
    names = [[FAMILIES[ANOMALY_TYPES[family]].label for family in np.flatnonzero(day)] for day in told.T]
    return names, first.tolist()
