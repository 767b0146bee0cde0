"""How a conversation is read and written: a piece of JSON that recurs is one token, and so is a date or a number.

The vocabulary is made from demonstrations: dates, words, and then the pairs of tokens that most often follow one
another between numbers and dates (byte pair encoding). What it does not know is spelled in bytes, so that it reads any
text.

A number has no place in the vocabulary. Each different one of a conversation is an id of its own, from the size of the
vocabulary on; the network is given its value, and writes it by pointing at where it stood. A number in a call that
stood nowhere before is spelled.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Self

from pydantic import Field, StrictInt, model_validator

from metric_tracker_env.schema import StrictModel

NUMBER = re.compile(r"(,?)(?<![\w.-])(-?\d{1,300}(?:\.\d{1,300})?)(?![\w.+-])")  # and the comma before it
DATE = re.compile(r'("\d{4}-\d\d-\d\d")')
ATOM = re.compile(r'"\d{4}-\d\d-\d\d"|[A-Za-z_]+|.', re.DOTALL)
PAD, BEGIN, CALL, END, ANSWER, FIRST_NUMBER, NEXT_NUMBER = range(7)  # a next number has a comma before it
BYTES = 7  # the token of byte b is BYTES + b
ATOMS = BYTES + 256  # then come the atoms, then what is merged


class Vocabulary(StrictModel):
    """What the tokens stand for."""

    atoms: tuple[str, ...] = Field(description="Dates and words of more than one byte, sorted.")
    merges: tuple[tuple[StrictInt, StrictInt], ...] = Field(description="Pairs of tokens that are one token.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.atoms)) < len(self.atoms) or not all(ATOM.fullmatch(atom) for atom in self.atoms):
            raise ValueError("atoms must be different words or dates")
        for number, pair in enumerate(self.merges):
            made = ATOMS + len(self.atoms) + number
            if not all(BYTES <= token < made for token in pair):
                raise ValueError(f"merge {number} is of tokens {pair}; those made before are {BYTES} to {made - 1}")
        return self

    @classmethod
    def of(cls, texts: Iterable[str], merges: int) -> Vocabulary:
        """Learn from texts, with at most so many merges."""
        counts = Counter(piece for text in texts for piece in _between_numbers(text))
        atoms = sorted({atom for piece in counts for atom in ATOM.findall(piece) if len(atom.encode()) > 1})
        plain = cls(atoms=tuple(atoms), merges=())
        words = [(plain.encoded(piece), number) for piece, number in sorted(counts.items())]
        return cls(atoms=plain.atoms, merges=tuple(_most_frequent(words, plain.size, merges)))

    @property
    def size(self) -> int:
        """Number of tokens; the ids from there on are numbers of a conversation."""
        return ATOMS + len(self.atoms) + len(self.merges)

    def encoded(self, piece: str) -> list[int]:
        """The tokens of a text without numbers."""
        known = self._pieces.get(piece)
        if known is None:
            known = []
            for atom in ATOM.findall(piece):
                token = self._tokens.get(atom)
                known += [BYTES + byte for byte in atom.encode()] if token is None else [token]
            while len(known) > 1:
                ranks = [self._ranks.get(pair, len(self._ranks)) for pair in itertools.pairwise(known)]
                best = min(ranks)
                if best == len(self._ranks):
                    break
                known = merged(known, self.merges[best], ATOMS + len(self.atoms) + best)
            if len(self._pieces) < 100_000:
                self._pieces[piece] = known
        return list(known)

    def spelled(self, token: int) -> bytes:
        """What a token stands for; nothing for one that marks a place."""
        return self._spelled[token]

    @cached_property
    def _pieces(self) -> dict[str, list[int]]:
        return {}  # those that were encoded before

    @cached_property
    def _tokens(self) -> dict[str, int]:
        return {atom: ATOMS + number for number, atom in enumerate(self.atoms)}

    @cached_property
    def _ranks(self) -> dict[tuple[int, int], int]:
        return {pair: number for number, pair in enumerate(self.merges)}

    @cached_property
    def _spelled(self) -> list[bytes]:
        known = [b""] * BYTES + [bytes([byte]) for byte in range(256)] + [atom.encode() for atom in self.atoms]
        for left, right in self.merges:
            known.append(known[left] + known[right])
        return known


class Tape:
    """A conversation as tokens, as it goes on.

    Attributes:
        ids: Token, or from the size of the vocabulary on a number of this conversation.
        tokens: The same, where numbers are FIRST_NUMBER or NEXT_NUMBER.
        values: The value of each number, 0 for what is none.
        own: Whether the model said it.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._place: dict[str, int] = {}
        self._numbers: list[str] = []
        self.ids, self.tokens, self.values, self.own = [BEGIN], [BEGIN], [0.0], [False]

    def __len__(self) -> int:
        return len(self.ids)

    def hear(self, answer: str) -> None:
        """An answer, or what else the model is told."""
        self._token(ANSWER)
        at = 0
        for found in NUMBER.finditer(answer):
            self._text(answer[at : found.start()])
            self._number(found[2], NEXT_NUMBER if found[1] else FIRST_NUMBER)
            at = found.end()
        self._text(answer[at:])

    def say(self, call: str) -> None:
        """A call of the model's, as it was shown: what is known is pointed at, and the rest spelled."""
        self._token(CALL)
        at = 0
        for found in NUMBER.finditer(call):
            if found[2] in self._place:
                self._text(call[at : found.start(2)], own=True)
                self._number(found[2], FIRST_NUMBER, own=True)
                at = found.end()
        self._text(call[at:], own=True)
        self._token(END, own=True)

    def open(self) -> None:
        """A call begins, which the model goes on with by ``add``."""
        self._token(CALL)

    def add(self, chosen: int) -> None:
        """The model's next token, or the id of a number."""
        if chosen < self._vocabulary.size:
            self._token(chosen, own=True)
        else:
            self._number(self._numbers[chosen - self._vocabulary.size], FIRST_NUMBER, own=True)

    def text(self, places: slice) -> str:
        """What stands in some places."""
        size = self._vocabulary.size
        parts = [
            self._vocabulary.spelled(item) if item < size else self._numbers[item - size].encode()
            for item in self.ids[places]
        ]
        return b"".join(parts).decode("utf-8", "replace")

    def _text(self, text: str, own: bool = False) -> None:
        for piece in DATE.split(text):
            for token in self._vocabulary.encoded(piece):
                self._token(token, own)

    def _number(self, text: str, token: int, own: bool = False) -> None:
        if text not in self._place:
            self._place[text] = len(self._numbers)
            self._numbers.append(text)
        self._token(token, own)
        self.ids[-1], self.values[-1] = self._vocabulary.size + self._place[text], float(text)

    def _token(self, token: int, own: bool = False) -> None:
        self.ids.append(token)
        self.tokens.append(token)
        self.values.append(0.0)
        self.own.append(own)


def merged(word: Sequence[int], pair: tuple[int, int], made: int) -> list[int]:
    """A word in which a pair of tokens has become one."""
    found: list[int] = []
    at = 0
    while at < len(word):
        if at + 1 < len(word) and (word[at], word[at + 1]) == pair:
            found.append(made)
            at += 2
        else:
            found.append(word[at])
            at += 1
    return found


def _between_numbers(text: str) -> list[str]:
    """The pieces of a text between its numbers, dates apart."""
    at, pieces = 0, list[str]()
    for found in NUMBER.finditer(text):
        pieces += DATE.split(text[at : found.start()])
        at = found.end()
    return [piece for piece in (*pieces, *DATE.split(text[at:])) if piece]


def _most_frequent(words: Sequence[tuple[list[int], int]], first: int, most: int) -> list[tuple[int, int]]:
    """The pairs to merge of words with their numbers, the most frequent first; what is made is ``first`` and on."""
    tokens = [word for word, _ in words]
    counts, places = Counter[tuple[int, int]](), defaultdict[tuple[int, int], set[int]](set)

    def count(place: int, sign: int) -> None:
        for pair in zip(tokens[place], tokens[place][1:], strict=False):
            counts[pair] += sign * words[place][1]
            places[pair].add(place)

    for place in range(len(words)):
        count(place, 1)
    found: list[tuple[int, int]] = []
    while len(found) < most:
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        for place in sorted(places.pop(best)):
            count(place, -1)
            tokens[place] = merged(tokens[place], best, first + len(found))
            count(place, 1)
        del counts[best]
        found.append(best)
    return found
