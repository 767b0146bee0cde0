"""Fit a small language model of your own to demonstrations in words: ``python -m agents.train_chat`` (extra ``torch``).

It begins with random weights and learns nothing but to go on as the conversations of ``agents demonstrate --format
chat`` do: the loss is that of the expert's calls, token by token; no reward, no mask, no grammar. The brief is left
out, as it is the same in all of them. What comes of it is a player: ``python -m agents run --agent runs/chat``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .command_line import check_number, check_whole, command, described, need, told_in_one_line

if __name__ == "__main__":  # before the import that would fail
    need({"tyro": "torch", "torch": "torch"}, "train_chat")

import numpy as np
import torch
from torch import nn

from .chat_model.network import Network
from .chat_model.player import call_text
from .chat_model.saved import CARD_FILE, ChatCard, save_chat_model
from .chat_model.shape import Shape
from .chat_model.tokens import PAD, Tape, Vocabulary
from .evaluation.evaluate import evaluate
from .tasks import held_out_seeds, task_of, validation_seeds

NOWHERE = -1  # what is no target
SORTED = 64  # batches of episodes that are sorted by length together


@dataclass
class Options:
    """Options of a run."""

    demonstrations: tuple[Path, ...]
    """Files of conversations, as ``agents demonstrate --format chat`` writes them."""
    output: Path
    """Folder for the model."""
    epochs: int = 2
    """How often each conversation is gone through."""
    episodes: int = 300
    """Held-out episodes of each task that the model plays at the end."""
    evaluations: int = 0
    """Evaluations during training, evenly spread, of 100 episodes of each task that the report does not use."""
    width: int = 96
    """Numbers that a token is."""
    layers: int = 3
    """Of attention."""
    heads: int = 4
    """Of each layer."""
    merges: int = 768
    """Pairs of tokens that become one, at most."""
    batch_tokens: int = 6000
    """Tokens of a batch."""
    learning_rate: float = 2e-3
    """Of AdamW: rises over the first 5 %, then falls along a cosine to nothing."""
    seed: int = 0
    """Of the weights and the order of the conversations."""
    threads: int = 1
    """CPU threads."""


class Batch(NamedTuple):
    """Conversations of about one length; B of them, T tokens, P of them said by the model."""

    tokens: torch.Tensor  # (B, T) int64
    ids: torch.Tensor  # (B, T) int64
    values: torch.Tensor  # (B, T) float64
    places: torch.Tensor  # (B, P) int64, after which the model speaks
    targets: torch.Tensor  # (B, P) int64 ids, NOWHERE where a conversation has fewer

    @classmethod
    def of(cls, tapes: Sequence[Tape]) -> Batch:
        """The conversations side by side."""
        own = [np.flatnonzero(tape.own) for tape in tapes]
        shape, spoken = (len(tapes), max(map(len, tapes))), (len(tapes), max(map(len, own)))
        tokens, ids, values = np.full(shape, PAD), np.full(shape, PAD), np.zeros(shape)
        places, targets = np.zeros(spoken, np.int64), np.full(spoken, NOWHERE)
        for row, (tape, at) in enumerate(zip(tapes, own, strict=True)):
            here = row, slice(len(tape))
            tokens[here], ids[here], values[here] = tape.tokens, tape.ids, tape.values
            said = row, slice(len(at))
            places[said], targets[said] = at - 1, np.array(tape.ids)[at]
        return cls(*map(torch.from_numpy, (tokens, ids, values, places, targets)))


def loss_of(network: Network, batch: Batch) -> torch.Tensor:
    """Mean of -log p of what the model is to say."""
    after, _ = network(batch.tokens, batch.values)
    here = after.gather(1, batch.places[..., None].expand(-1, -1, after.shape[-1]))
    spoken, pointed = network.scores(here, after)
    later = torch.arange(batch.ids.shape[1]) > batch.places[..., None]
    pointed = pointed.masked_fill(later, -torch.inf)
    every = torch.logsumexp(torch.cat([spoken, pointed], dim=-1), dim=-1)
    word = batch.targets.clamp(0, network.size - 1)
    in_words = spoken.gather(-1, word[..., None])[..., 0].masked_fill(batch.targets != word, -torch.inf)
    there = pointed.masked_fill(batch.ids[:, None] != batch.targets[..., None], -torch.inf)
    right = torch.logsumexp(torch.cat([in_words[..., None], there], dim=-1), dim=-1)
    wanted = batch.targets != NOWHERE
    return (every - right)[wanted].mean()


def conversations(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file.

    Raises:
        ValueError: if it cannot be read, or a line is no conversation.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    yield {name: row[name] for name in ("messages", "task", "agent")}
                except (ValueError, TypeError, LookupError):
                    raise ValueError(f"{str(path)!r}, line {number}, is no conversation of 'chat'") from None
    except OSError as error:
        raise ValueError(f"demonstrations {str(path)!r} cannot be read: {error.strerror}") from error


def turns_of(messages: Sequence[Any]) -> list[tuple[str, str]]:
    """The expert's calls, and what each was answered; nothing comes after the last."""
    calls = [call_text(*each["tool_calls"][0]["function"].values()) for each in messages if each["role"] == "assistant"]
    answers = [each["content"] for each in messages if each["role"] == "tool"]
    return list(zip(calls, [*answers[: len(calls) - 1], ""], strict=True))


def taped(vocabulary: Vocabulary, turns: Sequence[tuple[str, str]]) -> Tape:
    """A conversation as tokens."""
    tape = Tape(vocabulary)
    for call, answer in turns:
        tape.say(call)
        if answer:
            tape.hear(answer)
    return tape


def longest_call(tape: Tape) -> int:
    """Tokens of the longest call of a conversation."""
    others = np.flatnonzero(~np.array(tape.own + [False]))
    return int(np.diff(others, prepend=-1).max()) - 1


def batches(tapes: Sequence[Tape], most: int, draw: np.random.Generator) -> Iterator[list[Tape]]:
    """Each conversation once, those of about one length together, in random order."""
    order = draw.permutation(len(tapes))
    mean = max(1, most // max(1, sum(map(len, tapes)) // len(tapes)))
    found: list[list[Tape]] = []
    for first in range(0, len(order), SORTED * mean):
        part: list[Tape] = []
        for tape in sorted((tapes[i] for i in order[first : first + SORTED * mean]), key=len):
            if part and (len(part) + 1) * len(tape) > most:
                found.append(part)
                part = []
            part.append(tape)
        found.append(part)
    return (found[i] for i in draw.permutation(len(found)))


def train(options: Options) -> Path:
    """Train, save, and return the folder of the model."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    draw = np.random.default_rng(options.seed)
    start = time.process_time()
    rows = [row for path in options.demonstrations for row in conversations(path)]
    talks = [turns_of(row["messages"]) for row in rows]
    texts = (text for talk in talks[:1000] for turn in talk for text in turn)
    vocabulary = Vocabulary.of(texts, options.merges)
    tapes = [taped(vocabulary, talk) for talk in talks]
    network = Network(vocabulary.size, Shape(width=options.width, layers=options.layers, heads=options.heads))
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{len(tapes):,} conversations of {np.mean([len(t) for t in tapes]):.0f} tokens, "
          f"{np.mean([sum(t.own) for t in tapes]):.0f} of them said; {vocabulary.size} words, {parameters:,} weights, {time.process_time()-start:.0f} CPU s")
    total = sum(len(list(batches(tapes, options.batch_tokens, np.random.default_rng(0)))) for _ in range(1)) * options.epochs
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    step, shown = 0, 0
    mean = 0.0
    spent_eval = 0.0
    tasks = sorted({row["task"] for row in rows})
    def save():
        card = ChatCard(name=options.output.name, tasks=tuple(tasks), agents=tuple(sorted({row["agent"] for row in rows})),
            episodes=len(tapes), shown=shown, seed=options.seed, longest_call=2 * max(longest_call(t) for t in tapes), longest_episode=2*max(map(len, tapes)), shape=network.shape, vocabulary=vocabulary)
        save_chat_model(options.output, card, network)
    due = [round(total * (k + 1) / options.evaluations) for k in range(options.evaluations)]
    for epoch in range(options.epochs):
        for part in batches(tapes, options.batch_tokens, draw):
            done = min(1.0, step / total)
            optimizer.param_groups[0]["lr"] = options.learning_rate * min(1, done / 0.05 + 1e-3) * 0.5 * (1 + np.cos(np.pi * done))
            loss = loss_of(network, Batch.of(part))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            shown += len(part)
            mean += (loss.item() - mean) * max(0.02, 1 / step)
            if step % 20 == 0:
                print(f"step {step}/{total} {shown:,} episodes {time.process_time()-start-spent_eval:.0f} CPU s loss {mean:.4f}", flush=True)
            if step in due:
                b = time.process_time()
                save()
                for task in tasks:
                    print(f"AT {b-start-spent_eval:.0f} CPU s: {task} {evaluate(options.output, validation_seeds(task, 100), task).interval()}", flush=True)
                spent_eval += time.process_time() - b
    save()
    return options.output

def main(arguments: Sequence[str] | None = None) -> None:
    """Train with options from the command line, then play held-out episodes."""
    import tyro

    with told_in_one_line():
        options = tyro.cli(Options, prog=command("train_chat"), description=described(__doc__), args=arguments)
        folder = train(options)
        card_tasks = ChatCard.model_validate_json((folder / CARD_FILE).read_text()).tasks
        for task in card_tasks:
            played = evaluate(folder, held_out_seeds(task, options.episodes), task)
            print(f"{task}: score on {options.episodes} held-out episodes: {played.interval()}; the model is in {folder}")


if __name__ == "__main__":
    main()
