"""How well a network goes on as the experts did: conversations side by side, and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from .network import Network
from .tokens import PAD, Tape

NOWHERE = -1  # what is no target
SORTED = 64  # batches whose conversations are sorted by length together


class Batch(NamedTuple):
    """Conversations of about one length: B of them, T tokens, P of them said by the expert."""

    tokens: torch.Tensor  # (B, T) int64
    ids: torch.Tensor  # (B, T) int64
    values: torch.Tensor  # (B, T) float64
    places: torch.Tensor  # (B, P) int64, after which the expert's tokens come
    targets: torch.Tensor  # (B, P) int64 ids, NOWHERE where a conversation has fewer

    @classmethod
    def of(cls, tapes: Sequence[Tape]) -> Batch:
        """Conversations side by side."""
        own = [np.flatnonzero(tape.own) for tape in tapes]
        shape, spoken = (len(tapes), max(map(len, tapes))), (len(tapes), max(map(len, own)))
        tokens, ids, values = np.full(shape, PAD, np.int64), np.full(shape, PAD, np.int64), np.zeros(shape)
        places, targets = np.zeros(spoken, np.int64), np.full(spoken, NOWHERE, np.int64)
        for row, (tape, at) in enumerate(zip(tapes, own, strict=True)):
            here, said = (row, slice(len(tape))), (row, slice(len(at)))
            tokens[here], ids[here], values[here] = tape.tokens, tape.ids, tape.values
            places[said], targets[said] = at - 1, np.array(tape.ids)[at]
        return cls(*map(torch.from_numpy, (tokens, ids, values, places, targets)))


def loss_of(network: Network, batch: Batch) -> torch.Tensor:
    """Mean of -log p of the expert's tokens, each spoken or pointed at where it stood before."""
    after, _ = network(batch.tokens, batch.values)
    here = after.gather(1, batch.places[..., None].expand(-1, -1, after.shape[-1]))
    spoken, pointed = network.scores(here, after)
    pointed = pointed.masked_fill(torch.arange(batch.ids.shape[1]) > batch.places[..., None], -torch.inf)
    every = torch.logsumexp(torch.cat([spoken, pointed], dim=-1), dim=-1)
    word = batch.targets.clamp(0, network.size - 1)
    as_word = spoken.gather(-1, word[..., None])[..., 0].masked_fill(batch.targets != word, -torch.inf)
    as_place = pointed.masked_fill(batch.ids[:, None] != batch.targets[..., None], -torch.inf)
    right = torch.logsumexp(torch.cat([as_word[..., None], as_place], dim=-1), dim=-1)
    return (every - right)[batch.targets != NOWHERE].mean()


def batches(tapes: Sequence[Tape], most: int, draw: np.random.Generator) -> list[list[Tape]]:
    """Each conversation once, those of about one length together, in random order.

    Args:
        tapes: The conversations.
        most: Tokens of a batch, if it is not of a single conversation.
        draw: The order.
    """
    order = draw.permutation(len(tapes))
    together = SORTED * max(1, most * len(tapes) // sum(map(len, tapes)))
    found: list[list[Tape]] = []
    for first in range(0, len(order), together):
        part: list[Tape] = []
        for tape in sorted((tapes[i] for i in order[first : first + together]), key=len):
            if part and (len(part) + 1) * len(tape) > most:
                found.append(part)
                part = []
            part.append(tape)
        found.append(part)
    return [found[i] for i in draw.permutation(len(found))]
