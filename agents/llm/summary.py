"""A run with a language model on one task, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from metric_tracker_env.schema import StrictModel
from metric_tracker_env.trials import SOLVED, all_solved

from ..evaluation.evaluate import Evaluation, Figure
from ..evaluation.intervals import Interval, bootstrap
from ..evaluation.rates import Rates
from ..evaluation.report import FIGURES
from ..evaluation.rows import Group
from .card import LlmCard
from .faults import Finish
from .transcript import Tokens, Transcript

if TYPE_CHECKING:
    from rich.table import Table


class Summary(StrictModel):
    """A run on one task, summed up."""

    name: str
    model: str
    task: str
    seeds: int
    repeats: int  # trials of each seed
    episodes: int
    figures: dict[Figure, Interval]  # means over episodes; the intervals are over seeds
    solved_score: float  # from which an episode counts as solved
    solved: int  # episodes
    pass_hat: dict[int, Interval]  # k: the chance that k trials of an episode are all solved
    families: tuple[Group, ...]
    rates: Rates
    finishes: dict[Finish, int]  # how many episodes finished how
    attempts: int  # at the episodes, those included that a failure of the endpoint ended
    interruptions: int  # amid attempts, which then went on
    adapted: tuple[str, ...]  # what of the requests the endpoint had refused
    turns: int
    retries: int
    tokens: Tokens
    unmetered: int  # replies whose tokens the endpoint did not tell
    token_cost: float | None  # None without prices, or if some tokens were not told
    seconds: float  # of the model over all episodes, which are played several at a time
    waited: float  # seconds of failed requests, and until they were repeated

    @classmethod
    def of(
        cls,
        card: LlmCard,
        task: str,
        evaluation: Evaluation,
        transcripts: Sequence[Transcript],
        solved_score: float = SOLVED,
    ) -> Summary:
        """Sum up an evaluation and its transcripts."""
        tokens = sum((item.tokens for item in transcripts), Tokens())
        unmetered = sum(item.unmetered for item in transcripts)
        finishes: Counter[Finish] = Counter(item.finish for item in transcripts)
        cost = None
        if card.prices is not None and not unmetered:
            cost = card.prices.of(tokens.prompt, tokens.cached, tokens.completion)
        episodes = evaluation.episodes
        solved: dict[int, list[bool]] = {}
        for seed, score in zip(episodes.seed, episodes.score, strict=True):
            solved.setdefault(seed, []).append(score >= solved_score)
        repeats = min(map(len, solved.values()))
        return cls(
            name=card.name,
            model=card.settings.model,
            task=task,
            seeds=len(solved),
            repeats=repeats,
            episodes=len(transcripts),
            figures={figure: evaluation.interval(figure) for figure in FIGURES},
            solved_score=solved_score,
            solved=sum(map(sum, solved.values())),
            pass_hat={k: pass_hat(list(solved.values()), k) for k in range(1, repeats + 1)},
            families=evaluation.rows.by_family(),
            rates=Rates.of(evaluation),
            finishes=dict(finishes.most_common()),
            attempts=sum(item.attempt for item in transcripts),
            interruptions=sum(item.interruptions for item in transcripts),
            adapted=tuple(sorted({change for item in transcripts for change in item.adapted})),
            turns=sum(item.turns for item in transcripts),
            retries=sum(item.retries for item in transcripts),
            tokens=tokens,
            unmetered=unmetered,
            token_cost=cost,
            seconds=round(sum(item.seconds for item in transcripts), 3),
            waited=round(sum(item.waited for item in transcripts), 3),
        )

    @property
    def tokens_total(self) -> int:
        """Tokens of all episodes, in and out."""
        return self.tokens.prompt + self.tokens.completion

    def lines(self) -> list[str]:
        """What the tables do not say."""
        each, tokens = 1 / self.episodes, self.tokens
        finishes = ", ".join(f"{name} {number:,}" for name, number in self.finishes.items())
        used = (
            f"tokens: {tokens.prompt:,} in ({tokens.cached:,} cached), {tokens.completion:,} out "
            f"({tokens.reasoning:,} of reasoning); {self.tokens_total * each:,.0f} an episode"
            f"{self._a_solved(self.tokens_total, 0)}"
        )
        if self.token_cost is not None:
            cost = self.token_cost
            used += f"; cost {cost:,.4f}, {cost * each:,.4f} an episode{self._a_solved(cost, 4)}"
        if self.unmetered:
            used += f"; those of {self.unmetered:,} replies are not known"
        found = [
            f"solved (score of at least {self.solved_score:g}): {self.solved:,} of {self.episodes:,}; "
            + ", ".join(f"{'pass@1' if k == 1 else f'pass^{k}'} {share}" for k, share in self.pass_hat.items()),
            f"episodes ended: {finishes}",
            f"first fault: {self._faults()}",
            f"exact set {self.rates.exact_set}; any root {self.rates.any_root or '-'}; grounded rows "
            f"{self.rates.grounded or '-'}; false alarms {self.rates.false_alarms.mean:.2f} and units wasted "
            f"{self.rates.units_wasted.mean:.2f} an episode",
            f"{self.turns * each:.1f} replies and {self.seconds * each:.1f} s an episode; {self.retries:,} requests "
            f"failed and were repeated, in {self.waited:,.1f} s",
            used,
        ]
        if self.adapted:
            found.append(f"adapted to what the endpoint refused: {'; '.join(self.adapted)}")
        return found

    def _faults(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in self.rates.failures.items())

    def _a_solved(self, amount: float, digits: int) -> str:
        return f", {amount / self.solved:,.{digits}f} a solved one" if self.solved else ""


def pass_hat(solved: Sequence[Sequence[bool]], k: int) -> Interval:
    """The chance that k trials of an episode are all solved, without bias from n of each, over episodes.

    k = 1 is pass@1.
    """
    shares = np.array([all_solved(trials, k) for trials in solved])
    return bootstrap(shares, bounds=(0.0, 1.0))


def family_table(families: Sequence[Group], title: str) -> Table:
    """Recall and precision of each family that has rows, with 95 % intervals."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, pad_edge=False)
    for header in ("family", "rows", "recall", "precision"):
        table.add_column(header, justify="left" if header == "family" else "right", no_wrap=True)
    for group in families:
        if group.expected or group.extra:
            table.add_row(group.name, f"{group.expected:,}", str(group.recall or "-"), str(group.precision or "-"))
    return table
