"""One episode of a session: calls are checked, paid for, carried out and answered."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.scoring import Grade, score_submission
from metric_tracker_env.session.answers import OVER, Answer, PlayedEpisode, Standing
from metric_tracker_env.session.brief import REFUSAL_COST
from metric_tracker_env.session.evidence import Evidence, informs, revealed_by
from metric_tracker_env.session.schemas import CALLS
from metric_tracker_env.submission import InvalidRow, check_rows, shown
from metric_tracker_env.tools import SharedAnalysisToolkit, ToolError, ToolSpec
from metric_tracker_env.tools.tables import in_tables

TOLD_FAULTS = 5  # rows of a refused submission whose faults are told


class Round:
    """One episode, from its beginning to its end.

    Args:
        engine: With one lane, on which the episode has been dealt.
        named: Whether it is told at the end which episode it was.
    """

    def __init__(self, engine: Engine, named: bool = True) -> None:
        self._engine, episode = engine, engine.episode(0)
        self._identity = PlayedEpisode.of(episode.config, engine.seal) if named else None
        view = dataclasses.replace(episode.view, visible=engine.revealed(0).T)
        self._toolkit = SharedAnalysisToolkit(view)
        self._paid: set[str] = set()
        self._evidence = Evidence(engine.config.generator)
        self._reward = 0.0
        self._grade: Grade | None = None

    def call(self, tool: str, arguments: Mapping[str, object], positional: Sequence[object] = ()) -> Answer:
        """See ``Session.call``."""
        if self._grade is not None:
            return OVER
        before = self._reward
        told = self._called(tool, arguments, tuple(positional))
        return Answer.of(told, self._reward - before)

    @property
    def standing(self) -> Standing:
        """Where the play stands."""
        config, progress, over = self._engine.config, self._engine.counted(0), self._grade is not None
        return Standing(
            begun=True,
            done=over,
            reward=self._reward,
            budget_left=progress.budget,
            cost=config.budget - progress.budget,
            tool_calls=progress.tool_calls,
            steps=progress.steps,
            calls_left=config.step_limit - progress.steps,
            wasted=self._evidence.wasted,
            grade=self._grade,
            episode=self._identity if over else None,
        )

    def _called(self, tool: str, given: Mapping[str, object], args: tuple[object, ...]) -> dict[str, object]:
        """What there is to tell of a call."""
        spec = CALLS.get(tool) if isinstance(tool, str) else None
        generator = self._engine.config.generator
        if spec is None or not spec.offered(generator):
            offered = ", ".join(name for name, item in CALLS.items() if item.offered(generator))
            return self._refuse(f"tool {shown(tool)} is unknown; the tools are {offered}")
        if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
            return self._refuse(f"{spec.name}: arguments {shown(given)} must be an object with the arguments by name")
        try:
            arguments = spec.check(generator, args, given)
        except ToolError as error:
            return self._refuse(str(error))
        if spec.name == SUBMIT:
            return self._submit(cast("Sequence[Any]", arguments["rows"]))  # as the check has made sure of
        return self._use(spec, arguments)

    def _use(self, spec: ToolSpec, arguments: Mapping[str, Any]) -> dict[str, object]:
        """Use a tool, whose arguments have been checked."""
        config = self._engine.config
        units = spec.units(config.costs, arguments, config.generator)
        # Going on with a list that was paid for costs nothing.
        question = _question(spec.name, arguments) if units and "offset" in spec.parameters else None
        if question in self._paid and arguments.get("offset", 0):
            units = 0
        left = self._engine.counted(0).budget
        if units > left:
            return self._refuse(f"{spec.name} costs {units} units and {left} are left; free tools and submit go on", 0)
        try:
            result = getattr(self._toolkit, spec.name)(**arguments)
        except ToolError as error:  # of a rule that spans several arguments
            return self._refuse(str(error))
        if question is not None:
            self._paid.add(question)
        if units:
            self._evidence.take(spec.name, arguments, units)
        self._pay(units, revealed_by(spec.name, arguments, config.generator), informing=informs(spec.name))
        return self._told(units, {"result": in_tables(result)})

    def _submit(self, rows: Sequence[Any]) -> dict[str, object]:
        """Grade the rows and end the episode; rows of a bad form are refused."""
        bad = [row for row in check_rows(rows, self._engine.config.generator) if isinstance(row, InvalidRow)]
        if bad:
            told = bad[:TOLD_FAULTS]
            more = f"; and {len(bad) - len(told)} more" if len(bad) > len(told) else ""
            words = "; ".join(f"row {row.number}: {row.issue}" for row in told)
            faults = [fault.model_dump(mode="json") for row in told for fault in row.faults]
            return self._refuse(f"{SUBMIT}: {words}{more}", faults=faults)
        self._engine.call(0, 0)
        self._finish(rows)
        return self._told(0, {})

    def _refuse(self, error: str, units: int = REFUSAL_COST, **more: object) -> dict[str, object]:
        """What there is to tell of a bad call, which costs a unit while there is one."""
        units = min(units, self._engine.counted(0).budget)
        self._pay(units, refused=True)
        return self._told(units, {"error": error, **more})

    def _pay(self, units: int, cells: np.ndarray | None = None, refused: bool = False, informing: bool = False) -> None:
        reward, over = self._engine.call(0, units, cells, refused, informing)
        self._reward += reward
        if over:
            self._finish(())

    def _finish(self, rows: Sequence[Any]) -> None:
        self._engine.end(0)
        self._grade = score_submission(list(rows), self._engine.episode(0), shown=self._engine.revealed(0))
        self._reward += self._grade.score

    def _told(self, units: int, told: Mapping[str, object]) -> dict[str, object]:
        """What a call came to, and where the play stands after it."""
        answer: dict[str, object] = {"ok": "error" not in told, "cost": units, **told}
        standing = self.standing
        if standing.grade is None:
            return answer | {"budget_left": standing.budget_left, "calls_left": standing.calls_left}
        grade = standing.grade.model_dump(mode="json")
        answer |= {"done": True, "grade": grade, "reward": round(self._reward, 6)}
        if standing.episode is not None:
            answer["episode"] = standing.episode.told()
        return answer


def _question(tool: str, arguments: Mapping[str, object]) -> str:
    """A call without the arguments that choose a page of its answer."""
    asked = {name: value for name, value in arguments.items() if name not in ("limit", "offset")}
    return json.dumps([tool, asked], sort_keys=True, default=str)
