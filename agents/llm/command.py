"""Let a language model play: ``python -m agents.llm --model NAME`` (extra ``llm``).

Any OpenAI-compatible endpoint with tool calls will do: ``--base-url`` and ``--model``, or OPENAI_BASE_URL and
OPENAI_MODEL, say which, and OPENAI_API_KEY, or the variable that ``--api-key-env`` names, holds the key. The folder of
a run is a player of ``python -m agents run`` and ``compare``. The same command again goes on with an interrupted run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from metric_tracker_env import EnvConfig, Seal
from metric_tracker_env.tasks import HELD_OUT_SEEDS, Task, build_config
from metric_tracker_env.trials import SOLVED

from ..command_line import check_number, check_whole, command, described, need, told_in_one_line
from ..evaluation.evaluate import evaluate
from ..evaluation.report import Comparison, console, print_notes, score_table
from ..players.player import Assignment
from ..progress import progress_bar
from ..sealing import told_seal
from ..tasks import AnyTask, held_out_seeds, task_of
from .card import LlmCard, LlmSettings, Prices, TokensField, card_of, slug
from .faults import FAILED, EndpointError
from .run import TRANSCRIPTS_FILE, LlmRun
from .schemas import Mode
from .summary import Summary, family_table
from .transcript import Transcript

NEEDED = {"openai": "llm", "filelock": "llm", "rich": "llm", "tyro": "llm"}
KEPT = "what was played is kept, and the same command goes on"
MAX_REPEATS = 64
SHOWN = 5  # reasons of failed episodes that are printed

__all__ = ["EndpointError", "LlmCard", "LlmRun", "LlmSettings", "Prices", "Summary", "Transcript", "card_of"]


def run(
    model: str | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    task: str | None = None,
    config: Path | None = None,
    episodes: int = 50,
    repeats: int = 1,
    parallel: int = 8,
    output: Path | None = None,
    name: str | None = None,
    max_turns: int = 64,
    max_reply_tokens: int | None = 8192,
    max_episode_tokens: int | None = 1_000_000,
    request_seconds: float = 180.0,
    episode_seconds: float = 1800.0,
    wait_seconds: float = 600.0,
    retries: int = 5,
    reminders: int = 2,
    temperature: float | None = None,
    tokens_field: TokensField | None = None,
    stream: bool | None = None,
    schemas: Mode = "plain",
    extra: str = "{}",
    price_input: float | None = None,
    price_output: float | None = None,
    price_cached: float | None = None,
    solved: float = SOLVED,
    retry_failed: bool = False,
    seal: Path | None = None,
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
        repeats: Trials of each episode; from several come pass@1 and pass^k, the chance that k trials are all solved.
        parallel: Episodes at a time.
        output: Folder of the run; by default runs/llm-MODEL. One that holds a run goes on with it, if the settings are
            the same.
        name: Shown on the leaderboard; by default the model.
        max_turns: Replies of the model in an episode.
        max_reply_tokens: Tokens of a reply; None leaves it to the endpoint.
        max_episode_tokens: Tokens of prompts and replies of an episode, after which it ends; None for no limit.
        request_seconds: Of silence until a request is given up and repeated.
        episode_seconds: Of the model, until an episode ends; failed requests and the pauses after them are not its.
        wait_seconds: Longest pause that an endpoint may ask for; a longer one ends the episode.
        retries: Of a request that timed out, was refused for its rate or failed, with growing pauses.
        reminders: After replies without a tool call, one after another, until the episode ends.
        temperature: By default the endpoint's.
        tokens_field: What the endpoint calls the most tokens of a reply; by default max_completion_tokens for OpenAI's
            own and max_tokens for others, and the other one where an endpoint refuses that.
        stream: Whether replies come as streams; by default only where an endpoint serves nothing else.
        schemas: Of the tools: plain has nothing that some endpoints refuse, strict is OpenAI's strict mode, full says
            all that the tools check.
        extra: Further fields of each request, as a JSON object, for example '{"reasoning_effort": "low"}'.
        price_input: Of a million input tokens.
        price_output: Of a million output tokens.
        price_cached: Of a million input tokens that the endpoint had cached; by default as of input.
        solved: Score from which an episode counts as solved.
        retry_failed: Play on the episodes that a failure of the endpoint ended, from where they were.
        seal: Play sealed episodes: file of the secret, or "env" for the variable METRIC_TRACKER_SEAL.
    """
    label, found, built, once = _asked(task, config, episodes)
    check_whole("repeats", repeats, 1, MAX_REPEATS)
    check_number("solved", solved, 0, 1)
    sealed = Seal.of(seal)
    seeds = [*once] * repeats
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
        wait_seconds=wait_seconds,
        retries=retries,
        reminders=reminders,
        temperature=temperature,
        tokens_field=tokens_field,
        stream=stream,
        schemas=schemas,
        extra=_decoded(extra),
    )
    folder = output or Path("runs") / f"llm-{slug(card.settings.model)}"
    player = LlmRun.begin(folder, card, retry_failed=retry_failed)
    asked = Assignment(seeds, built, found, sealed)
    if retry_failed:
        failed = sum(item.finish in FAILED for item in player.transcripts(asked))
        console().print(f"{failed} failed episodes are played on")
    told_seal(sealed)
    with progress_bar(len(seeds)) as advance:
        advance.describe(card.name)
        evaluation = evaluate(player, seeds, found, built if found is None else None, progress=advance, seal=sealed)
    transcripts = player.transcripts(asked)
    summary = Summary.of(card, label, evaluation, transcripts, solved)
    screen = console()
    lines = Comparison.of([evaluation]).summary
    which = "held-out" if sealed is None else "sealed"
    trials = f" of {repeats:,} trials each" if repeats > 1 else ""
    screen.print(score_table(lines, f"{label}: mean of {len(once):,} {which} episodes{trials}, 95 % intervals"), "")
    screen.print(family_table(summary.families, "recall and precision of each family, 95 % intervals"), "")
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
    if all(item.finish in FAILED for item in transcripts):
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
