"""What a network says in a conversation: the likeliest token each time, until the call is at its end."""

from __future__ import annotations

import torch

from .network import Cache, Network
from .tokens import END, Tape, Vocabulary


class Speaker:
    """A network in one conversation.

    Args:
        network: That speaks.
        vocabulary: Of its tokens.
    """

    def __init__(self, network: Network, vocabulary: Vocabulary) -> None:
        self._network, self._size = network, vocabulary.size
        self.tape = Tape(vocabulary)
        self._read = 0
        self._caches: list[Cache] | None = None
        self._before = torch.zeros(1, 0, network.shape.width)  # of all tokens that were read
        self._ids = torch.zeros(0, dtype=torch.int64)

    @torch.inference_mode()
    def reply(self, most: int) -> str:
        """The next call; what is there of one that has no end after so many tokens."""
        tape = self.tape
        tape.open()
        first = len(tape)
        while len(tape) - first < most:
            self._take_in()
            spoken, pointed = self._network.scores(self._before[:, -1:], self._before)
            share = torch.softmax(torch.cat([spoken[0, 0], pointed[0, 0]]), dim=0)
            mass = torch.zeros(max(self._size, int(self._ids.max()) + 1))
            mass[: self._size] = share[: self._size]
            mass.scatter_add_(0, self._ids, share[self._size :])
            tape.add(int(mass.argmax()))
            if tape.ids[-1] == END:
                break
        return tape.text(slice(first, None))

    def _take_in(self) -> None:
        """Read what was said since."""
        tape = self.tape
        new = slice(self._read, len(tape))
        tokens = torch.tensor([tape.tokens[new]])
        values = torch.tensor([tape.values[new]], dtype=torch.float64)
        after, self._caches = self._network(tokens, values, self._caches)
        self._before = torch.cat([self._before, after], dim=1)
        self._ids = torch.cat([self._ids, torch.tensor(tape.ids[new])])
        self._read = len(tape)
