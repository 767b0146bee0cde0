"""The network: a decoder that writes tokens of its vocabulary, or points at what stood before."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .shape import Shape
from .tokens import FIRST_NUMBER, NEXT_NUMBER

KNOTS = 128  # learned vectors of numbers, evenly spaced on the scale of ``asinh``
FINEST = 4.0  # numbers of less than a quarter are told apart evenly, larger ones by their ratio
LARGEST = 14.0  # of the scale: 300,000
LONGEST = 100_000.0  # tokens, of the slowest turn of a position


class Cache(NamedTuple):
    """What a layer has kept of the tokens before."""

    keys: torch.Tensor  # (B, heads, T, width / heads)
    values: torch.Tensor


class Block(nn.Module):
    """Attention to what stands before, then a layer of its own for each token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.before, self.between = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.attend = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.gather = nn.Linear(shape.width, shape.width, bias=False)
        self.widen, self.narrow = nn.Linear(shape.width, 4 * shape.width), nn.Linear(4 * shape.width, shape.width)

    def forward(self, x: torch.Tensor, turn: torch.Tensor, cache: Cache | None) -> tuple[torch.Tensor, Cache]:
        """(B, T, width) after ``cache``; (2, T, width / heads / 2) cosines and sines of the positions."""
        batch, length, width = x.shape
        parts = self.attend(self.before(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = turned(parts[0], turn), turned(parts[1], turn), parts[2]
        if cache is not None:
            key, value = torch.cat([cache.keys, key], dim=2), torch.cat([cache.values, value], dim=2)
        if length == key.shape[2]:
            seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            allowed = torch.ones(length, key.shape[2], dtype=torch.bool).tril(key.shape[2] - length)
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        x = x + self.gather(seen.transpose(1, 2).reshape(batch, length, width))
        x = x + self.narrow(functional.gelu(self.widen(self.between(x))))
        return x, Cache(key, value)


class Network(nn.Module):
    """Reads tokens and the values of numbers; says how likely each id is to follow."""

    def __init__(self, size: int, shape: Shape) -> None:
        super().__init__()
        self.size, self.shape = size, shape
        self.words, self.knots = nn.Embedding(size, shape.width), nn.Embedding(KNOTS, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.after = nn.LayerNorm(shape.width)
        self.speak = nn.Linear(shape.width, size)
        self.point, self.shown = (nn.Linear(shape.width, shape.width, bias=False) for _ in range(2))
        for table in (self.words, self.knots):
            nn.init.normal_(table.weight, std=0.3)

    def embedded(self, tokens: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """(B, T) tokens and values -> (B, T, width); a number is between two of the learned vectors."""
        scale = torch.asinh(values * FINEST).clamp(-LARGEST, LARGEST)
        place = (scale / LARGEST + 1.0) * ((KNOTS - 1) / 2.0)
        lower = place.floor().clamp(0, KNOTS - 2)
        share = (place - lower).unsqueeze(-1).to(torch.float32)
        lower = lower.long()
        number = self.knots(lower) * (1.0 - share) + self.knots(lower + 1) * share
        counted = (tokens == FIRST_NUMBER) | (tokens == NEXT_NUMBER)
        return self.words(tokens) + number * counted.unsqueeze(-1)

    def forward(
        self, tokens: torch.Tensor, values: torch.Tensor, caches: list[Cache] | None = None
    ) -> tuple[torch.Tensor, list[Cache]]:
        """(B, T) tokens and float64 values, after what is in the caches -> (B, T, width), and the caches after it."""
        x = self.embedded(tokens, values)
        first = 0 if caches is None else caches[0].keys.shape[2]
        turn = turns(first, tokens.shape[1], self.shape.width // self.shape.heads)
        kept: list[Cache] = []
        for number, block in enumerate(self.blocks):
            x, cache = block(x, turn, None if caches is None else caches[number])
            kept.append(cache)
        return self.after(x), kept

    def scores(self, here: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, P, width) places and (B, T, width) what may be pointed at -> scores (B, P, size) and (B, P, T)."""
        pointed = self.point(here) @ self.shown(before).transpose(1, 2) / math.sqrt(self.shape.width)
        return self.speak(here), pointed


def turned(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Rotary positions: (..., T, n) with each pair of numbers turned by the angle of its position."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * turn[0] - right * turn[1], left * turn[1] + right * turn[0]], dim=-1)


def turns(first: int, length: int, width: int) -> torch.Tensor:
    """(2, length, width / 2) cosines and sines of positions from ``first`` on."""
    speed = LONGEST ** (-torch.arange(width // 2, dtype=torch.float64) / (width // 2))
    angle = torch.arange(first, first + length, dtype=torch.float64)[:, None] * speed
    return torch.stack([angle.cos(), angle.sin()]).to(torch.float32)
