"""An investigation in words: the analysis tools as methods, for agents that call tools, such as language models.

The class has ``reset``, the tools, ``submit`` and ``get_reward``, and no other public name, so that a library which
offers an object's public methods to a model offers exactly the tools. What a server or an evaluation needs besides has
the ``Session`` behind it: ``session_of`` gives it.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

from metric_tracker_env.config import EnvConfig
from metric_tracker_env.play.actions import SUBMIT
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.session import Session
from metric_tracker_env.session.schemas import Submission
from metric_tracker_env.tools import TOOLS, SharedAnalysisToolkit


class Investigation:
    """One analyst's investigation of weeks of funnel metrics, for agents that call tools.

    Every tool and ``submit`` answer with compact JSON: ``ok``; the ``result``, or the ``error`` with what is allowed;
    what the call ``cost``, and the units and calls that are left. A bad call costs a unit and never raises. An episode
    ends with ``submit``, or when no call is left: then nothing counts as submitted. The last answer holds the grade,
    and in ``episode`` what makes the same episode again.

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
        self._session = Session(task, config, **options)
        self._take_up()

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
        told = self._session.begin(seed, task, **options)
        self._take_up()
        return told

    def _take_up(self) -> None:
        """Have the tools of what is played, on the class as well."""
        in_world = self._session.config.generator.world is not None
        face = WorldInvestigation if in_world else Investigation
        self.__class__ = face  # pyright: ignore[reportAttributeAccessIssue] - the two differ in methods alone

    def get_reward(self) -> float:
        """What the episode has paid so far: at its end the score, less ``step_cost`` for each unit spent."""
        return self._session.standing.reward

    def __repr__(self) -> str:
        return f"<Investigation, {self._session.config.difficulty}>"


def session_of(investigation: Investigation) -> Session:
    """The session that an investigation plays."""
    return investigation._session


class WorldInvestigation(Investigation):
    """An investigation of the realistic world, with the tools that there are only there.

    ``Investigation`` is one as long as what it plays has a world: libraries look for tools on the class.
    """


def _method(name: str, documented: Callable[..., object]) -> Callable[..., str]:
    """A method of ``Investigation`` with the signature and docstring of a tool, in plain types."""

    def call(self: Investigation, /, *args: Any, **arguments: Any) -> str:
        return session_of(self).call(name, arguments, args).text

    hints = get_type_hints(documented, include_extras=True)
    first, *parameters = inspect.signature(documented).parameters.values()
    plain = [parameter.replace(annotation=plain_type(hints[parameter.name])) for parameter in parameters]
    call.__name__, call.__qualname__ = name, f"Investigation.{name}"
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


for _name, _spec in TOOLS.items():
    _owner = WorldInvestigation if _spec.of_world else Investigation
    setattr(_owner, _name, _method(_name, getattr(SharedAnalysisToolkit, _name)))
setattr(Investigation, SUBMIT, _method(SUBMIT, Submission.submit))

__all__ = ["Investigation", "WorldInvestigation", "plain_type", "session_of"]
