"""The interface of grammars: which tokens may come next in a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from seqaudio.vocabulary import BOS, PAD, SPECIAL_TOKENS


class Grammar(ABC):
    """Which tokens may come next in a stream. Only streams that `encode` can give are legal.

    A grammar starts after BOS. PAD and BOS are never legal, nor is anything after EOS.
    """

    @abstractmethod
    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        """[V] which tokens may come next.

        Args:
            room: how many tokens may still come before EOS. If given, only tokens are legal after which the stream
                can still be completed within that limit.
        """

    @abstractmethod
    def push(self, token: int) -> None:
        """Append one token. For an illegal one raises ValueError with the reason and leaves the grammar unchanged."""

    @abstractmethod
    def shortest_end(self) -> int:
        """The fewest tokens that must come before EOS is legal; 0 where it is legal now."""


def refuse_special(token: int, size: int) -> None:
    """Raise ValueError, in every grammar, for PAD, BOS, and ids outside a vocabulary of `size` tokens."""
    if not 0 <= token < size:
        raise ValueError(f"expected ids in 0..{size - 1}")
    if token in (PAD, BOS):
        raise ValueError(f"{SPECIAL_TOKENS[token]} must not be inside a stream")
