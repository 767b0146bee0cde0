"""Let a language model play: ``python -m agents.llm --model NAME`` (extra ``llm``).

Any OpenAI-compatible endpoint with tool calls will do: ``--base-url`` and ``--model``, or OPENAI_BASE_URL and
OPENAI_MODEL, say which, and OPENAI_API_KEY, or the variable that ``--api-key-env`` names, holds the key. The folder of
a run is a player of ``python -m agents run`` and ``compare``. The same command again goes on with an interrupted run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from metric_tracker_env import EnvConfig
from metric_tracker_env.schema import StrictModel
from metric_tracker_env.tasks import HELD_OUT_SEEDS, Task, build_config

from ..command_line import check_whole, command, described, need, told_in_one_line
from ..evaluation.evaluate import Evaluation, Figure, evaluate
from ..evaluation.intervals import Interval
from ..evaluation.report import FIGURES, Comparison, console, detail_table, print_notes, score_table
from ..players.player import Assignment
from ..progress import progress_bar
from ..tasks import AnyTask, held_out_seeds, task_of
from .card import LlmCard, LlmSettings, Prices, TokensField, card_of, slug
from .client import EndpointError
from .episode import Finish, Tokens, Transcript
from .run import TRANSCRIPTS_FILE, LlmRun

NEEDED = {"openai": "llm", "filelock": "llm", "rich": "llm", "tyro": "llm"}
KEPT = "what was played is kept, and the same command goes on"
SHOWN = 5  # reasons of failed episodes that are printed

__all__ = ["EndpointError", "LlmCard", "LlmRun", "LlmSettings", "Prices", "Summary", "Transcript", "card_of"]


class Summary(StrictModel):
    """A run on one task, summed up."""

    name: str
    model: str
    task: str
    episodes: int
    figures: dict[Figure, Interval]  # means over episodes
    finishes: dict[Finish, int]  # how many episodes finished how
    turns: int
    retries: int
    tokens: Tokens
    unmetered: int  # replies whose tokens the endpoint did not tell
    token_cost: float | None  # None without prices, or if some tokens were not told
    seconds: float  # over all episodes, which are played several at a time

    @classmethod
    def of(cls, card: LlmCard, task: str, evaluation: Evaluation, transcripts: Sequence[Transcript]) -> Summary:
        """Sum up an evaluation and its transcripts."""
        tokens = sum((item.tokens for item in transcripts), Tokens())
        unmetered = sum(item.unmetered for item in transcripts)
        finishes: Counter[Finish] = Counter(item.finish for item in transcripts)
        cost = None
        if card.prices is not None and not unmetered:
            cost = card.prices.of(tokens.prompt, tokens.cached, tokens.completion)
        return cls(
            name=card.name,
            model=card.settings.model,
            task=task,
            episodes=len(transcripts),
            figures={figure: evaluation.interval(figure) for figure in FIGURES},
            finishes=dict(finishes.most_common()),
            turns=sum(item.turns for item in transcripts),
            retries=sum(item.retries for item in transcripts),
            tokens=tokens,
            unmetered=unmetered,
            token_cost=cost,
            seconds=round(sum(item.seconds for item in transcripts), 3),
        )

    def lines(self) -> list[str]:
        """What the tables do not say."""
        each = 1 / self.episodes
        tokens = self.tokens
        used = (
            f"tokens: {tokens.prompt:,} in ({tokens.cached:,} cached), {tokens.completion:,} out "
            f"({tokens.reasoning:,} of reasoning); {(tokens.prompt + tokens.completion) * each:,.0f} an episode"
        )
        cost = (
            ""
            if self.token_cost is None
            else f"; cost {self.token_cost:,.4f}, {self.token_cost * each:,.4f} an episode"
        )
        if self.unmetered:
            used += f"; those of {self.unmetered:,} replies are not known"
        finishes = ", ".join(f"{name} {number:,}" for name, number in self.finishes.items())
        return [
            f"episodes ended: {finishes}",
            f"{self.turns * each:.1f} replies and {self.seconds * each:.1f} s an episode; "
            f"{self.retries:,} requests repeated",
            used + cost,
        ]


def run(
    model: str | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    task: str | None = None,
    config: Path | None = None,
    episodes: int = 50,
    parallel: int = 8,
    output: Path | None = None,
    name: str | None = None,
    max_turns: int = 64,
    max_reply_tokens: int | None = 8192,
    max_episode_tokens: int | None = 1_000_000,
    request_seconds: float = 180.0,
    episode_seconds: float = 1800.0,
    retries: int = 5,
    reminders: int = 2,
    temperature: float | None = None,
    tokens_field: TokensField | None = None,
    extra: str = "{}",
    price_input: float | None = None,
    price_output: float | None = None,
    price_cached: float | None = None,
    retry_failed: bool = False,
) -> None:
    """Play held-out seeds of a task with a language model; write transcripts and a summary, print a table.

    Args:
        model: As the endpoint names it; by default OPENAI_MODEL.
        base_url: Of the endpoint, up to and including /v1; by default OPENAI_BASE_URL, or else OpenAI's own.
        api_key_env: Environment variable that holds the key; by default OPENAI_API_KEY, which an endpoint other than
            OpenAI's own may do without.
        task: Named task, or a preset's path; by default hard_mixed.
        config: Instead of a task, a preset, a .toml or .json file.
        episodes: Held-out episodes; those that the folder holds already are not played again.
        parallel: Episodes at a time.
        output: Folder of the run; by default runs/llm-MODEL. One that holds a run goes on with it, if the settings are
            the same.
        name: Shown on the leaderboard; by default the model.
        max_turns: Replies of the model in an episode.
        max_reply_tokens: Tokens of a reply; None leaves it to the endpoint.
        max_episode_tokens: Tokens of prompts and replies of an episode, after which it ends; None for no limit.
        request_seconds: Of silence until a request is given up and repeated.
        episode_seconds: Until an episode ends.
        retries: Of a request that timed out, was refused for its rate or failed, with growing pauses.
        reminders: After replies without a tool call, one after another, until the episode ends.
        temperature: By default the endpoint's.
        tokens_field: What the endpoint calls the most tokens of a reply; by default max_completion_tokens for OpenAI's
            own and max_tokens for others.
        extra: Further fields of each request, as a JSON object, for example '{"reasoning_effort": "low"}'.
        price_input: Of a million input tokens.
        price_output: Of a million output tokens.
        price_cached: Of a million input tokens that the endpoint had cached; by default as of input.
        retry_failed: Play the episodes again that a failure of the endpoint ended.
    """
    label, found, built, seeds = _asked(task, config, episodes)
    prices = {"input": price_input, "output": price_output, "cached": price_cached}
    priced = any(price is not None for price in prices.values())
    if priced and None in (price_input, price_output):
        raise ValueError(f"price_input {price_input} and price_output {price_output}: give both, or no price")
    card = card_of(
        model=model,
        base_url=base_url,
        name=name,
        api_key_env=api_key_env,
        parallel=parallel,
        prices=prices if priced else None,
        max_turns=max_turns,
        max_reply_tokens=max_reply_tokens,
        max_episode_tokens=max_episode_tokens,
        request_seconds=request_seconds,
        episode_seconds=episode_seconds,
        retries=retries,
        reminders=reminders,
        temperature=temperature,
        tokens_field=tokens_field,
        extra=_decoded(extra),
    )
    folder = output or Path("runs") / f"llm-{slug(card.settings.model)}"
    player = LlmRun.begin(folder, card)
    if retry_failed:
        console().print(f"{player.forget_failed()} failed episodes are played again")
    with progress_bar(len(seeds)) as advance:
        advance.describe(card.name)
        evaluation = evaluate(player, seeds, found, built if found is None else None, progress=advance)
    transcripts = player.transcripts(Assignment(seeds, built, found))
    summary = Summary.of(card, label, evaluation, transcripts)
    screen = console()
    lines = Comparison.of([evaluation]).summary
    screen.print(score_table(lines, f"{label}: mean of {len(seeds):,} held-out episodes, 95 % intervals"), "")
    screen.print(detail_table(lines, "recall and precision"), "")
    for line in summary.lines():
        screen.print(line, markup=False, soft_wrap=True)
    failed = [item for item in transcripts if item.error is not None]
    for item in failed[:SHOWN]:
        screen.print(f"seed {item.seed}: {item.finish}, {item.error}", markup=False, soft_wrap=True)
    if len(failed) > SHOWN:
        screen.print(f"and {len(failed) - SHOWN} more; see error in {folder / TRANSCRIPTS_FILE}", soft_wrap=True)
    print_notes(evaluation)
    file = folder / f"summary_{label}.json"
    file.write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
    screen.print(f"wrote {file} and {folder / TRANSCRIPTS_FILE}", soft_wrap=True)
    if len(failed) == len(transcripts):
        raise SystemExit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a bad value ends it with exit code 2 and one line that says why, a bad endpoint with 1."""
    need(NEEDED, "llm")
    import tyro

    with told_in_one_line():
        try:
            tyro.cli(run, prog=command("llm"), description=described(__doc__), args=arguments)
        except EndpointError as error:
            raise SystemExit(f"error: {error}; {KEPT}") from None
        except KeyboardInterrupt:
            raise SystemExit(f"interrupted; {KEPT}") from None


def _asked(task: AnyTask | None, config: Path | None, episodes: int) -> tuple[str, Task | None, EnvConfig, range]:
    """What to play: how to call it, the task if it is one, the configuration, and the seeds.

    Raises:
        ValueError: for a bad task, preset or number, or both a task and a preset.
    """
    if config is None:
        found = task_of(task or "hard_mixed")
        return found.name, found, found.config, held_out_seeds(found, episodes)
    if task is not None:
        raise ValueError(f"task {str(task)!r} and config {str(config)!r} are both given; give one of them")
    check_whole("episodes", episodes, 1, len(HELD_OUT_SEEDS))
    return config.stem, None, build_config(None, config), HELD_OUT_SEEDS[:episodes]


def _decoded(extra: str) -> dict[str, object]:
    """The further fields of a request.

    Raises:
        ValueError: if they are no JSON object.
    """
    try:
        found = json.loads(extra)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"extra {extra!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"extra {extra!r} is not a JSON object of fields")
    return found
