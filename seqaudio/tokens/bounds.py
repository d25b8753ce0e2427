"""Bounds within the grammar: the tokens, the longest note and the bar line at the end that a sampled piece keeps to.

    base grammar (what can be written at all) ─> BoundedGrammar (what the training pieces do) ─> sampling

A grammar says which streams can be decoded. What can be decoded need not be plausible: a note of sixty quarters, or an
end in the middle of a bar. A `BoundedGrammar` takes from the legal tokens those that lead beyond the `Bounds`; what it
leaves can always be continued to an end within them. It never permits what its base does not.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.grammar import Grammar
from seqaudio.vocabulary import EOS

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Bounds:
    """What a piece may hold. Times are in steps of the representation, from tick 0."""

    tokens: Mask  # [V] those that may be sampled; a mark, such as EOS, is never missing
    longest: int  # of a note
    end: int | None = (
        None  # the bar line at which the piece ends, beyond which nothing sounds; None: it may end anywhere
    )
    rest: int = 0  # the last note ends at most that long before `end`
    barred: Mask | None = None  # [V] tokens that are never sampled, not even where the base alone decides
    form: tuple[int, ...] | None = None  # for each bar that is written up to `end` the first that it equals, or itself

    def may_end(self, step: int) -> bool:
        """Whether a piece whose last note ends at that step may end there."""
        return self.end is None or self.end - self.rest <= step <= self.end


class BoundedGrammar(Grammar):
    """A grammar within bounds. A stream that begins outside them, such as a primer, is followed all the same.

    With a limit of tokens that is too small for the bounds the base alone decides how the piece is closed, by
    any tokens but those that are barred.
    """

    def __init__(self, base: Grammar, bounds: Bounds) -> None:
        self.base, self.bounds = base, bounds

    def legal(self, room: int | None = None) -> Mask:
        legal = self.base.legal(room)
        within = legal & self._within()
        if within.any() or not legal.any():
            return within
        if room is None:
            raise ValueError("no token that the training pieces have can lead to an end within their bounds")
        if self.bounds.barred is not None:
            legal &= ~self.bounds.barred
            if not legal.any():
                raise ValueError(
                    "no token of the key and the instruments can come next; raise the length, or ask for more"
                )
        return legal

    def push(self, token: int) -> None:
        self.base.push(token)
        if token != EOS:
            self._follow(token)

    def shortest_end(self) -> int:
        return self.base.shortest_end()

    @property
    def reached(self) -> int:
        """The step up to which the stream is written: nothing sounds or begins later. 0 where that is not known."""
        return 0

    @abstractmethod
    def _within(self) -> Mask:
        """[V] the tokens after which the piece can be ended within the bounds; of others the base decides."""

    @abstractmethod
    def _follow(self, token: int) -> None:
        """Take in a token that the base has accepted."""


class SeenTokens(BoundedGrammar):
    """Only the tokens that may be sampled; a piece may end anywhere. For representations that know no more."""

    def _within(self) -> Mask:
        return self.bounds.tokens

    def _follow(self, token: int) -> None:
        pass
