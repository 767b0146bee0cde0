"""Fit a small language model of your own to demonstrations in words: ``python -m agents.train_chat`` (extra ``torch``).

It begins with random weights and learns to go on as the conversations of ``agents demonstrate --format chat`` do, from
nothing else: the loss is that of the expert's calls, token by token, without reward, mask or grammar. The brief is left
out, as it is the same in all of them. The folder that it leaves plays: ``python -m agents run --agent runs/chat``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .command_line import check_number, check_whole, command, described, need, told_in_one_line

if __name__ == "__main__":  # before the import that would fail
    need({"tyro": "torch", "torch": "torch"}, "train_chat")

import numpy as np
import torch
from torch import nn

from metric_tracker_env.tasks import Task

from .chat_model.fitting import Batch, batches, loss_of
from .chat_model.network import Network
from .chat_model.saved import CARD_FILE, ChatCard, save_chat_model
from .chat_model.shape import Shape
from .chat_model.shown import Shown
from .evaluation.evaluate import evaluate
from .tasks import held_out_seeds, task_of, validation_seeds
from .training.curve import Curve, Point

TOLD_EVERY = 50  # batches
WARM_UP = 0.05  # of a run, over which the learning rate rises
LIMIT = 2  # calls and episodes may be so many times as long as the longest that was shown


@dataclass
class Options:
    """Options of a run."""

    demonstrations: tuple[Path, ...]
    """Files of conversations, as ``demonstrate --format chat`` writes them."""
    output: Path = Path("runs/chat")
    """Folder for the model."""
    epochs: int = 2
    """How often each conversation is gone through."""
    seed: int = 0
    """Of the first weights and the order of the conversations."""
    tasks: tuple[str, ...] = ()
    """Named tasks, or presets' paths, that it is evaluated on; by default those that the demonstrations name."""
    episodes: int = 300
    """Held-out episodes of each task that the model plays at the end."""
    evaluations: int = 0
    """Evaluations during training, evenly spread, on seeds that the last one does not use; curve-TASK.csv has them."""
    evaluation_episodes: int = 100
    """Episodes of each task in such an evaluation."""
    width: int = 64
    """Numbers that a token is, a multiple of 2 x heads."""
    layers: int = 3
    """Layers of attention."""
    heads: int = 4
    """Of a layer."""
    merges: int = 768
    """Pairs of tokens that become one in the vocabulary, at most."""
    batch_tokens: int = 2000
    """Tokens of a batch."""
    learning_rate: float = 3e-3
    """Of AdamW: rises over the first twentieth, then falls along a cosine to nothing."""
    max_grad_norm: float = 1.0
    """Norm at which gradients are cut."""
    threads: int = 1
    """CPU threads."""


class Clock:
    """CPU seconds of training; what is done while it is stopped is left out."""

    def __init__(self) -> None:
        self._start = time.process_time()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.process_time() - self._start

    def leave_out(self, since: float) -> None:
        """Leave out what was spent since it told that many seconds."""
        self._start += self.seconds - since


def train(options: Options) -> Path:
    """Train, save, play held-out episodes, and return the folder of the model.

    Raises:
        ValueError: for a number out of range, demonstrations that cannot be read or are of no registered task, or a
            folder that is in use.
    """
    check(options)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    draw, clock = np.random.default_rng(options.seed), Clock()
    shown = Shown.of(options.demonstrations, options.merges)
    tasks = evaluated_on(options, shown)
    shape = Shape(width=options.width, layers=options.layers, heads=options.heads)
    network = Network(shown.vocabulary.size, shape)
    print(
        f"{len(shown.tapes):,} conversations of {np.mean([len(tape) for tape in shown.tapes]):.0f} tokens, "
        f"{np.mean([sum(tape.own) for tape in shown.tapes]):.0f} of them said; {shown.vocabulary.size:,} words, "
        f"{sum(each.numel() for each in network.parameters()):,} weights; {clock.seconds:.0f} CPU s",
        flush=True,
    )
    rate = options.learning_rate
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    parts = [part for _ in range(options.epochs) for part in batches(shown.tapes, options.batch_tokens, draw)]
    due = {math.ceil(len(parts) * (number + 1) / options.evaluations) for number in range(options.evaluations)}
    options.output.mkdir(parents=True, exist_ok=True)
    curves = [(task, Curve.fresh(options.output / f"curve-{task.name}.csv")) for task in tasks if due]
    episodes, losses = 0, list[float]()
    for number, part in enumerate(parts, 1):
        optimizer.param_groups[0]["lr"] = rate * schedule((number - 0.5) / len(parts))
        loss = loss_of(network, Batch.of(part))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), options.max_grad_norm)
        optimizer.step()
        episodes += len(part)
        losses.append(loss.item())
        if number % TOLD_EVERY == 0 or number == len(parts):
            print(
                f"{episodes:>9,} conversations {clock.seconds:>6.0f} CPU s   loss {np.mean(losses[-TOLD_EVERY:]):.4f}",
                flush=True,
            )
        if number in due:
            spent = clock.seconds
            save(options, shown, network, episodes)
            for task, curve in curves:
                curve.add(point(options, task, episodes, spent))
                print(f"{task.name}: {curve.points[-1]}", flush=True)
            clock.leave_out(spent)
    save(options, shown, network, episodes)
    for task in tasks if options.episodes else ():
        played = evaluate(options.output, held_out_seeds(task, options.episodes), task)
        print(f"{task.name}: score on {options.episodes:,} held-out episodes {played.interval()}")
    return options.output


def evaluated_on(options: Options, shown: Shown) -> list[Task]:
    """The tasks that the model plays.

    Raises:
        ValueError: if there is none of a name, or it holds out too few episodes.
    """
    if not (options.episodes or options.evaluations):
        return []
    tasks = [task_of(name) for name in options.tasks or shown.tasks]
    for task in tasks:
        held_out_seeds(task, max(options.episodes, 1))
    return tasks


def schedule(done: float) -> float:
    """The learning rate when a share of training is done, as a share of the highest."""
    return min(1.0, done / WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * done))


def save(options: Options, shown: Shown, network: Network, episodes: int) -> None:
    """Save the model as it is after so many conversations."""
    card = ChatCard(
        name=options.output.resolve().name,
        tasks=shown.tasks,
        agents=shown.agents,
        conversations=len(shown.tapes),
        fitted=episodes,
        seed=options.seed,
        longest_call=LIMIT * shown.longest_call,
        longest_episode=LIMIT * shown.longest_episode,
        shape=network.shape,
        vocabulary=shown.vocabulary,
    )
    save_chat_model(options.output, card, network)


def point(options: Options, task: Task, episodes: int, spent: float) -> Point:
    """How the model that was saved last plays a task."""
    played = evaluate(options.output, validation_seeds(task, options.evaluation_episodes), task)
    score = played.interval("score")
    return Point(
        steps=episodes,
        cpu_seconds=round(spent, 2),
        environment_seconds=0.0,  # it learns from a file
        score=score.mean,
        low=score.low,
        high=score.high,
        **{name: played.mean(name) for name in ("precision", "recall", "net", "cost")},
    )


def check(options: Options) -> None:
    """Refuse what cannot be trained, before anything is.

    Raises:
        ValueError: naming the option, its value and what is allowed.
    """
    least = {"epochs": 1, "seed": 0, "episodes": 0, "evaluations": 0, "evaluation_episodes": 1, "merges": 0}
    for name, lowest in (least | {"batch_tokens": 1, "threads": 1}).items():
        check_whole(name, getattr(options, name), lowest, 256 if name == "threads" else 10**9)
    for name in ("learning_rate", "max_grad_norm"):
        check_number(name, getattr(options, name), 0, 1e6)
    folder = options.output
    if (folder / CARD_FILE).exists() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"output {str(folder)!r} {'holds a model already' if folder.is_dir() else 'is a file'}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with options from the command line."""
    import tyro

    with told_in_one_line():
        options = tyro.cli(Options, prog=command("train_chat"), description=described(__doc__), args=arguments)
        print(f"the model is in {train(options)}")


if __name__ == "__main__":
    main()
