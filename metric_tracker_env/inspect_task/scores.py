"""The scorer: the parts of the session's grade; and what several epochs say of an episode."""

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
            episodes.setdefault(str(sample.sample_id), []).append(sample.score.as_float() == 1.0)
        most = min(map(len, episodes.values()), default=0)
        found = {f"pass@{k}": [any_solved(tried, k) for tried in episodes.values()] for k in range(1, most + 1)}
        found |= {f"pass^{k}": [all_solved(tried, k) for tried in episodes.values()] for k in range(2, most + 1)}
        return {name: sum(shares) / len(shares) for name, shares in found.items()}

    return of


@scorer(metrics={"*": [mean(), stderr()], "solved": [trials()]})
def grade(solved: float = SOLVED) -> Scorer:
    """The session's grade; all 0 for an episode that did not come to its end, as one that was abandoned.

    Args:
        solved: Score from which an episode counts as solved.
    """

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - the signature is Inspect's
        outcome = Outcome.read(state.store)
        told = outcome.grade
        parts = {name: 0.0 if told is None else getattr(told, name) for name in PARTS}
        parts["exact"] = float(told is not None and told.exact)
        parts["solved"] = float(told is not None and told.score >= solved)
        if told is None:
            why = f"nothing was submitted: {outcome.finish or 'a limit of Inspect'} ended the conversation"
        else:
            why = "\n".join((f"{told.matched} of {told.expected} rows found, {told.submitted} submitted", *told.issues))
        return Score(value={**parts, "cost": float(outcome.cost)}, explanation=why, metadata=outcome.model_dump(mode="json"))

    return score
