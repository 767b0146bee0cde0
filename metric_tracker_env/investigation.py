"""An investigation in words: the analysis tools as methods, for agents that call tools, such as language models.

It is the engine of the discrete environment behind another door: the same episodes, budget, costs, evidence and grade.
The class has ``reset``, the tools, ``submit`` and ``get_reward``, and no other public name, so that a library which
offers an object's public methods to a model offers exactly the tools. What a server or an evaluation needs besides
are the functions of this module.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NamedTuple,
    Protocol,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
from gymnasium.error import ResetNeeded

from metric_tracker_env.config import MAX_SEED, EnvConfig, EpisodeOptions, GeneratorConfig
from metric_tracker_env.play.actions import OPEN_TOOL, REVEALED_TYPES, SINGLE_TOOLS, SUBMIT
from metric_tracker_env.play.engine import Engine
from metric_tracker_env.schema import ENTITY_TYPES, EntityType, MetricSubmissionRow, StrictModel
from metric_tracker_env.scoring import Grade, score_submission
from metric_tracker_env.submission import check_rows, shown
from metric_tracker_env.tasks import build_config, find_task, get_task
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit, ToolError, ToolSpec
from metric_tracker_env.tools.arguments import SubmittedRows
from metric_tracker_env.tools.overview import SCORING, TASK
from metric_tracker_env.tools.registry import function_schema, tool_schemas, tool_spec
from metric_tracker_env.world.episode import EpisodeData
from metric_tracker_env.world.rng import fresh_seed

REFUSAL_COST = 1  # units that a bad call costs
TOLD_FAULTS = 5  # faults of a refused submission that are told
LANE = np.zeros(1, np.int64)


class Standing(NamedTuple):
    """Where an investigation stands."""

    begun: bool
    done: bool
    reward: float  # see ``Investigation.get_reward``
    budget_left: int  # units
    cost: int  # units spent
    tool_calls: int  # that cost something, refused ones left out, as the discrete environment counts them
    steps: int  # calls of any kind
    calls_left: int
    grade: Grade | None  # once the episode is over


class Investigation:
    """One analyst's investigation of weeks of funnel metrics, for agents that call tools.

    Every tool and ``submit`` answer with compact JSON: ``ok``; the ``result``, or the ``error`` with what is allowed;
    what the call ``cost``, and the units and calls that are left. A bad call costs a unit and never raises. An episode
    ends with ``submit``, or when no call is left: then nothing counts as submitted.

    Args:
        task: Task to play unless ``reset`` names one: a registered name, or a file.
        config: Instead of a task, an ``EnvConfig``, a dict, or the path of a preset.
        options: Fields of ``EnvConfig`` on top of either.

    Raises:
        ValueError: for an unknown task, key or file, a bad value, or both a task and a config.
    """

    if TYPE_CHECKING:  # the tools, which are made from their registry

        def __getattr__(self, name: str) -> Callable[..., str]: ...

    def __init__(
        self,
        task: str | Path | None = None,
        config: EnvConfig | Mapping[str, object] | str | Path | None = None,
        **options: Any,
    ) -> None:
        self._task, self._options = task, options
        self._engine = Engine(build_config(task, config, options), 1)
        self._brief = brief(self._engine.config, TASK if task is None else find_task(task).instruction)
        self._begun = False
        self._toolkit: SharedAnalysisToolkit | None = None
        self._paid: set[str] = set()
        self._reward = 0.0
        self._grade: Grade | None = None

    def reset(self, seed: int | None = None, task: str | None = None, prompt: object = None, **options: Any) -> str:
        """Begin an episode.

        Args:
            seed: The episode is the one that ``MetricTrackerEnv.reset(seed=seed)`` plays. None goes on with the stream
                of episodes, or starts one.
            task: Named task to play from now on.
            prompt: Not used; a training library gives a data set's whole row.
            options: For this episode only: scenario_family, difficulty, anomaly_density, anomaly_count,
                anomaly_generators.

        Returns:
            The brief: what the data are, what to submit, the budget and the tools.

        Raises:
            ValueError: for a bad seed, task or option; nothing has changed then.
        """
        del prompt
        if isinstance(seed, bool) or not (seed is None or (isinstance(seed, int) and 0 <= seed <= MAX_SEED)):
            raise ValueError(f"seed {seed!r} is not an integer from 0 to {MAX_SEED}")
        unknown = sorted(set(options) - set(EpisodeOptions.model_fields))
        if unknown:
            allowed = sorted(EpisodeOptions.model_fields)
            raise ValueError(f"unknown option {', '.join(map(repr, unknown))} of reset; allowed: {allowed}")
        engine, told, begun = self._engine, self._brief, self._begun
        if task is not None and task != self._task:
            named = get_task(task)  # a registered name: whoever plays may choose a task, but not open files
            engine, begun = Engine(build_config(None, named.config, self._options), 1), False
            told = brief(engine.config, named.instruction)
        if seed is None and not begun:
            seed = fresh_seed()
        engine.deal(LANE, engine.source(options), [seed])
        self._task = self._task if task is None else task
        self._engine, self._brief, self._begun = engine, told, True
        view = dataclasses.replace(engine.episode(0).view, visible=engine.revealed(0).T)
        self._toolkit = SharedAnalysisToolkit(view)
        self._paid, self._reward, self._grade = set(), 0.0, None
        return told

    def get_reward(self) -> float:
        """What the episode has paid so far: at its end the score, less ``step_cost`` for each unit spent."""
        return self._reward

    def __repr__(self) -> str:
        return f"<Investigation, {self._engine.config.difficulty}>"

    def _call(self, spec: ToolSpec, args: tuple[object, ...], given: Mapping[str, object]) -> str:
        """One call of a tool or of ``submit``, and its answer."""
        toolkit = self._toolkit
        if toolkit is None or self._grade is not None:
            return self._idle()
        config = self._engine.config
        try:
            spec.check(config.generator, args, given)
        except ToolError as error:
            return self._refuse(str(error))
        arguments = {**dict(zip(spec.parameters, args, strict=False)), **given}
        if spec.name == SUBMIT:
            return self._submit(cast("Sequence[Any]", arguments["rows"]))  # as the check has made sure of
        units = spec.units(config.costs, arguments, config.generator)
        # Going on with a list that was paid for costs nothing.
        question = _question(spec.name, arguments) if units and "offset" in spec.parameters else None
        if question in self._paid and arguments.get("offset", 0):
            units = 0
        left = self._engine.progress(0).budget
        if units > left:
            return self._refuse(f"{spec.name} costs {units} units and {left} are left; free tools and submit go on", 0)
        try:
            result = getattr(toolkit, spec.name)(**arguments)
        except ToolError as error:  # of a rule that spans several arguments
            return self._refuse(str(error))
        if question is not None:
            self._paid.add(question)
        self._pay(units, revealed_by(spec.name, arguments, config.generator))
        return self._told(units, {"result": result.model_dump(mode="json")})

    def _idle(self) -> str:
        """The answer to a call while no episode is under way; it costs nothing."""
        if self._grade is None:
            return _answer({"ok": False, "error": "no episode is under way; reset begins one"})
        return _answer({"ok": False, "error": "the episode is over", "done": True})

    def _bad_call(self, error: str) -> str:
        """The answer to a call of what is no tool."""
        return self._idle() if self._toolkit is None or self._grade is not None else self._refuse(error)

    def _standing(self) -> Standing:
        config, begun = self._engine.config, self._toolkit is not None
        progress = self._engine.progress(0)
        return Standing(
            begun=begun,
            done=self._grade is not None,
            reward=self._reward,
            budget_left=progress.budget if begun else config.budget,
            cost=config.budget - progress.budget if begun else 0,
            tool_calls=progress.tool_calls,
            steps=progress.steps if begun else 0,
            calls_left=config.step_limit - progress.steps if begun else config.step_limit,
            grade=self._grade,
        )

    def _submit(self, rows: Sequence[Any]) -> str:
        """Grade the rows and end the episode; rows of a bad form are refused."""
        config = self._engine.config.generator
        faults = [f"row {i}: {row}" for i, row in enumerate(check_rows(rows, config), 1) if isinstance(row, str)]
        if faults:
            more = f"; and {len(faults) - TOLD_FAULTS} more" if len(faults) > TOLD_FAULTS else ""
            return self._refuse(f"{SUBMIT}: {'; '.join(faults[:TOLD_FAULTS])}{more}")
        self._engine.call(0, 0)
        self._finish(rows)
        return self._told(0, {})

    def _refuse(self, error: str, units: int = REFUSAL_COST) -> str:
        """The answer to a bad call, which costs a unit while there is one."""
        units = min(units, self._engine.progress(0).budget)
        self._pay(units, refused=True)
        return self._told(units, {"error": error})

    def _pay(self, units: int, cells: np.ndarray | None = None, refused: bool = False) -> None:
        reward, over = self._engine.call(0, units, cells, refused)
        self._reward += reward
        if over:
            self._finish(())

    def _finish(self, rows: Sequence[Any]) -> None:
        self._engine.end(0)
        self._grade = score_submission(list(rows), self._engine.episode(0))
        self._reward += self._grade.score

    def _told(self, units: int, told: Mapping[str, object]) -> str:
        """The answer to a call."""
        answer: dict[str, object] = {"ok": "error" not in told, "cost": units, **told}
        if self._grade is not None:
            end = {"done": True, "grade": self._grade.model_dump(mode="json"), "reward": round(self._reward, 6)}
            return _answer(answer | end)
        standing = standing_of(self)
        return _answer(answer | {"budget_left": standing.budget_left, "calls_left": standing.calls_left})


class Submission(Protocol):
    """What ``submit`` takes; the methods of the tools are made from their signatures, and so is this."""

    def submit(self, rows: SubmittedRows) -> str:
        """Submit the anomaly rows; the one submission of the episode, which ends it.

        Args:
            rows: One row for each anomaly that you found, and no others.

        Returns:
            The grade: score, precision, recall, accuracy of the fields, counts of rows, and each fault in words.
        """
        ...


SUBMIT_TOOL = tool_spec(Submission.submit, "free")
# Everything that an agent may call, by name.
CALLS: dict[str, ToolSpec] = {**TOOLS, SUBMIT: SUBMIT_TOOL}


def _method(spec: ToolSpec, documented: Callable[..., object]) -> Callable[..., str]:
    """A method of ``Investigation`` with the signature and docstring of a tool, in plain types."""

    def call(self: Investigation, /, *args: Any, **arguments: Any) -> str:
        return self._call(spec, args, arguments)  # pyright: ignore[reportPrivateUsage]

    hints = get_type_hints(documented, include_extras=True)
    first, *parameters = inspect.signature(documented).parameters.values()
    plain = [parameter.replace(annotation=plain_type(hints[parameter.name])) for parameter in parameters]
    call.__name__, call.__qualname__ = spec.name, f"Investigation.{spec.name}"
    call.__doc__ = documented.__doc__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in plain} | {"return": str}
    signature = inspect.Signature([first.replace(annotation=inspect.Parameter.empty), *plain], return_annotation=str)
    call.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    return call


def plain_type(hint: Any) -> Any:
    """A type hint as built-in types alone, as schema makers of other libraries take them.

    Raises:
        TypeError: for a hint that no tool has.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return plain_type(arguments[0])
    if origin in (Union, types.UnionType):
        found = list(dict.fromkeys(plain_type(item) for item in arguments))
        return found[0] if len(found) == 1 else Union[tuple(found)]  # noqa: UP007 - made of a list
    if origin is not None and issubclass(origin, Mapping):
        return dict
    if origin is not None and issubclass(origin, Sequence):
        return list[plain_type(arguments[0])]
    if isinstance(hint, type) and issubclass(hint, StrictModel):
        return dict
    if hint in (str, int, float, bool, type(None)):
        return hint
    raise TypeError(f"the type {hint!r} of a tool's argument has no plain form")


for _spec in TOOLS.values():
    setattr(Investigation, _spec.name, _method(_spec, getattr(SharedAnalysisToolkit, _spec.name)))
setattr(Investigation, SUBMIT, _method(SUBMIT_TOOL, Submission.submit))


def call_by_name(investigation: Investigation, tool: str, arguments: Mapping[str, object]) -> str:
    """Call a tool or ``submit`` by name, as a language model does.

    Args:
        investigation: Whose.
        tool: Name of the tool. One that there is not, is a bad call.
        arguments: Arguments by name, as decoded from JSON. What is no object, is a bad call.

    Returns:
        The answer as JSON text.
    """
    spec = CALLS.get(tool) if isinstance(tool, str) else None
    if spec is None:
        fault = f"tool {shown(tool)} is unknown; the tools are {', '.join(CALLS)}"
        return investigation._bad_call(fault)  # pyright: ignore[reportPrivateUsage]
    if not isinstance(arguments, Mapping) or not all(isinstance(key, str) for key in arguments):
        fault = f"{spec.name}: arguments {shown(arguments)} must be an object with the arguments by name"
        return investigation._bad_call(fault)  # pyright: ignore[reportPrivateUsage]
    return investigation._call(spec, (), arguments)  # pyright: ignore[reportPrivateUsage]


def call_schemas(config: GeneratorConfig) -> list[dict[str, Any]]:
    """The tools and ``submit`` in OpenAI's function form, with the names and dates of a configuration."""
    submit = function_schema(SUBMIT_TOOL, config)
    return tool_schemas(config) if submit is None else [*tool_schemas(config), submit]


def config_of(investigation: Investigation) -> EnvConfig:
    """What an investigation plays."""
    return investigation._engine.config  # pyright: ignore[reportPrivateUsage]


def standing_of(investigation: Investigation) -> Standing:
    """Where an investigation stands."""
    return investigation._standing()  # pyright: ignore[reportPrivateUsage]


def episode_of(investigation: Investigation) -> EpisodeData:
    """The episode that has ended, with its truth.

    Raises:
        gymnasium.error.ResetNeeded: while an episode is under way, or before the first.
    """
    if not standing_of(investigation).done:
        raise ResetNeeded("the truth is told when the episode has ended")
    return investigation._engine.episode(0)  # pyright: ignore[reportPrivateUsage]


def brief(config: EnvConfig, instruction: str = TASK) -> str:
    """What an analyst is told at the beginning; the same for every episode of a configuration."""
    generator = config.generator
    catalogue = generator.catalogue
    of_kind = {kind: catalogue.entities[catalogue.slices[kind]] for kind in ENTITY_TYPES}
    entities = [f"- {kind}: {', '.join(e.entity_name for e in items)}" for kind, items in of_kind.items() if items]
    prices: dict[str, list[str]] = {}
    for spec in TOOLS.values():
        if spec.parameter_schema(generator) is not None:
            prices.setdefault(spec.price(config.costs), []).append(spec.name)
    fields = [f"- {name}: {allowed}" for name, allowed in _row_fields(generator).items()]
    parts = [
        instruction,
        f"Data: events of the funnel {' > '.join(catalogue.count_metrics)}, by hour, from {generator.date_names[0]} "
        f"to {generator.date_names[-1]} ({generator.num_days} days). The baseline of a cell is the median over these "
        "dates. What can be anomalous on a date:\n" + "\n".join(entities),
        f"Budget: {config.budget} units and {config.step_limit} calls. What a tool costs:\n"
        + "\n".join(f"- {price}: {', '.join(names)}" for price, names in prices.items())
        + f"\nA call that is refused costs {REFUSAL_COST} unit. Tools over all dates tell on which dates there is "
        "something; the tools on one date show its values.",
        f"Call {SUBMIT} once, with the rows of all anomalies; it ends the episode. Without it nothing counts. The "
        "fields of a row, as the tools on one date give them:\n" + "\n".join(fields),
        SCORING,
    ]
    return "\n\n".join(parts)


def revealed_by(tool: str, arguments: Mapping[str, Any], config: GeneratorConfig) -> np.ndarray | None:
    """(D, E) bool: the cells that a call reveals; None for a tool that shows no cell's value."""
    entities, days = config.catalogue.entities, config.num_days
    cells = np.zeros((days, len(entities)), bool)
    if tool in REVEALED_TYPES:
        cells[config.day_index(arguments["date"])] = _of_types(REVEALED_TYPES[tool], config)
    elif tool in SINGLE_TOOLS.values():
        kind = next(kind for kind, name in SINGLE_TOOLS.items() if name == tool)
        entity = config.catalogue.entity(kind, arguments["entity_name"])
        cells[config.day_index(arguments["date"]), entity.index] = True
    elif (dates := TOOLS[tool].dates_argument) is not None:
        number = arguments.get(dates, TOOLS[tool].arguments.model_fields[dates].default)
        cells[max(days - number, 0) :] = _of_types(REVEALED_TYPES[OPEN_TOOL], config)
    else:
        return None
    return cells


def _of_types(kinds: Sequence[EntityType], config: GeneratorConfig) -> np.ndarray:
    """(E,) bool: the entities of some types."""
    return np.array([entity.entity_type in kinds for entity in config.catalogue.entities])


def _row_fields(config: GeneratorConfig) -> dict[str, str]:
    """What each field of a row may hold, in words."""
    entities = config.catalogue.entities
    allowed: dict[str, str] = {}
    for name, field in MetricSubmissionRow.model_fields.items():
        choices = get_args(field.annotation)
        allowed[name] = ", ".join(choices) if choices else "a number"
    allowed["entity_type"] = ", ".join(dict.fromkeys(entity.entity_type for entity in entities))
    allowed["detection_method"] = ", ".join(dict.fromkeys(entity.detection_method for entity in entities))
    return allowed | {"date": "an ISO date", "entity_name": "see above"}


def _question(tool: str, arguments: Mapping[str, object]) -> str:
    """A call without the arguments that choose a page of its answer."""
    asked = {name: value for name, value in arguments.items() if name not in ("limit", "offset")}
    return json.dumps([tool, asked], sort_keys=True, default=str)


def _answer(told: Mapping[str, object]) -> str:
    """Compact JSON."""
    return json.dumps(told, separators=(",", ":"), allow_nan=False)
