"""The scorers: the parts of the session's grade, and whether an episode was solved; and what epochs say of that."""

# pyright: reportMissingImports=false

from __future__ import annotations

from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, mean, metric, scorer, stderr
from inspect_ai.solver import TaskState

from metric_tracker_env.inspect_task.outcome import Outcome
from metric_tracker_env.trials import SOLVED, all_solved, any_solved

PARTS = ("score", "f1", "precision", "recall")  # of the grade


@metric(scores="unreduced")
def trials() -> Metric:
    """pass@k and pass^k for each k up to the number of epochs, as means over episodes; pass^1 is pass@1."""

    def of(scores: list[SampleScore]) -> dict[str, float]:
        episodes: dict[str, list[bool]] = {}
        for sample in scores:
            episodes.setdefault(str(sample.sample_id), []).append(sample.score.as_bool())
        most = min(map(len, episodes.values()), default=0)
        found = {f"pass@{k}": [any_solved(tried, k) for tried in episodes.values()] for k in range(1, most + 1)}
        found |= {f"pass^{k}": [all_solved(tried, k) for tried in episodes.values()] for k in range(2, most + 1)}
        return {name: sum(shares) / len(shares) for name, shares in found.items()}

    return of


@scorer(metrics={"*": [mean(), stderr()]})
def grade() -> Scorer:
    """The parts of the session's grade, and the units spent.

    An episode that has not come to its end has no grade, and counts 0 in each part, as one that was abandoned.
    """

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - the signature is Inspect's
        outcome = Outcome.read(state.store)
        told = outcome.grade
        parts = {name: 0.0 if told is None else getattr(told, name) for name in PARTS}
        parts |= {"exact": float(told is not None and told.exact), "cost": float(outcome.cost)}
        return Score(value=parts, explanation=_in_words(outcome), metadata=outcome.model_dump(mode="json"))

    return score


@scorer(metrics=[mean(), stderr(), trials()])
def solved(threshold: float = SOLVED) -> Scorer:
    """Whether the score reaches a threshold: 1 or 0, so that reducers of epochs such as ``pass_k_4`` mean something.

    Args:
        threshold: Score from which an episode counts as solved.
    """

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - the signature is Inspect's
        told = Outcome.read(state.store).grade
        return Score(value=float(told is not None and told.score >= threshold))

    return score


def _in_words(outcome: Outcome) -> str:
    """How an episode ended, and each fault of what was submitted."""
    told = outcome.grade
    if told is None:
        return f"no grade, as the conversation was ended by {outcome.finish or 'a limit of Inspect'}"
    found = f"{told.matched} of {told.expected} rows found, {told.submitted} submitted, {outcome.cost} units spent"
    return "\n".join((found, *told.issues))
