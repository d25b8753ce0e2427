"""Back-off n-grams: a trie of all n-grams, in which a state of the model is the place of its longest known context."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from seqaudio.ngrams.trie import Floats, Ints, Trie
from seqaudio.vocabulary import BOS, EOS

UNKNOWN = 0  # id of the word for all words that the model does not know
RESERVED = ("<unk>", "<s>", "</s>")  # the names of ids 0, 1 and 2 in ARPA files
ROOT = 0  # the empty context


class Grams(NamedTuple):
    """The n-grams h w of one order, in ascending order of (h, w)."""

    context: Ints  # [G] place of h among the n-grams of the order below; 0 at order 1
    token: Ints  # [G] id of w
    log_probability: Floats  # [G] ln p(w | h)
    back_off: Floats  # [G] ln of the weight with which h w hands on to the order below, as a context


@dataclass(frozen=True)
class BackOff:
    """An n-gram model with back-off.

        ln p(w | h) = log_probability(h w)                       where h w is known
                    = back_off(h) + ln p(w | h without its first token)   otherwise

    A state is a node of the trie; a sequence begins at that of `<s>`. Source: Katz (1987); the form of ARPA files.

    Args:
        words: [V] names of the ids. Those of `RESERVED` are ids 0, 1 and 2; the first stands for unknown words.
        order: the longest n-gram, at least 1.
    """

    words: tuple[str, ...]
    order: int
    trie: Trie

    @classmethod
    def of(cls, words: Sequence[str], orders: Sequence[Grams]) -> BackOff:
        """The model of n-grams by order, the first of which has every word once.

        Raises ValueError for words that are not unique or n-grams that are not in order.
        """
        if len(set(words)) != len(words):
            raise ValueError("got a word twice, expected unique words")
        if not orders or not np.array_equal(orders[0].token, np.arange(len(words))):
            raise ValueError(f"expected the {len(words)} words as n-grams of order 1, in the order of their ids")
        starts = 1 + np.cumsum([0, *(len(grams.token) for grams in orders)])  # first node of each order, and the end
        below = [0, *starts[:-1]]  # first node of the contexts of each order
        parent = np.concatenate([[-1], *(grams.context + first for grams, first in zip(orders, below, strict=False))])
        token = np.concatenate([[0], *(grams.token for grams in orders)])
        keys = parent * len(words) + token
        if (np.diff(keys[1:]) <= 0).any():
            raise ValueError("n-grams are not in ascending order, or one is there twice")
        suffix = np.zeros(len(token), dtype=np.int64)
        for first, end in itertools.pairwise(starts[1:]):
            here = np.arange(first, end)
            suffix[here] = _longest(keys, len(words), suffix, suffix[parent[here]], token[here])
        trie = Trie(
            first=np.searchsorted(parent, np.arange(len(token) + 1)).astype(np.int32),
            token=token.astype(np.int32),
            suffix=suffix.astype(np.int32),
            log_probability=np.concatenate([[0.0], *(grams.log_probability for grams in orders)]),
            back_off=np.concatenate([[0.0], *(grams.back_off for grams in orders)]),
            highest=int(starts[-2]),
        )
        return cls(tuple(words), len(orders), trie)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def index(self, word: str) -> int:
        """The id of a word, that of unknown words for one that the model does not have."""
        return self._ids.get(word, UNKNOWN)

    @property
    def start(self) -> int:
        """The state at the beginning of a sequence."""
        return ROOT if self.order == 1 else 1 + BOS

    def counts(self) -> list[int]:
        """The number of n-grams of each order."""
        counts: list[int] = np.diff(self.starts()).tolist()
        return counts

    def starts(self) -> list[int]:
        """The first node of each order, and the number of nodes."""
        starts = [1, 1 + len(self.words)]
        while len(starts) <= self.order:
            starts.append(int(self.trie.first[starts[-1]]))
        return starts

    def steps(self, states: Ints, tokens: Ints) -> tuple[Floats, Ints]:
        """ln p [N] of tokens [N] after states [N], and the states [N] after them."""
        from seqaudio.ngrams import kernels

        scores, following = np.empty(len(states)), np.empty(len(states), dtype=np.int64)
        kernels.pairs(self.trie, states, tokens, scores, following)
        return scores, following

    def rows(self, states: Ints, columns: Ints) -> tuple[Floats, Ints]:
        """ln p [N, K] of K ids after each of the states [N], and the states [N, K] after them.

        columns: [V] where the score of each id goes, 0..K - 1, each once; -1 for an id that is left out.
        """
        from seqaudio.ngrams import kernels

        size = (len(states), int(columns.max()) + 1)
        scores, following = np.empty(size), np.empty(size, dtype=np.int64)
        kernels.rows(self.trie, states, columns, scores, following)
        return scores, following

    def log_probabilities(self, tokens: Iterable[int]) -> Floats:
        """ln p [T + 1] of each of the ids [T] of a sequence, and of its end.

        Raises ValueError for ids out of range.
        """
        from seqaudio.ngrams import kernels

        ids = np.array([*tokens, EOS], dtype=np.int64)
        if not 0 <= ids.min() <= ids.max() < len(self.words):
            raise ValueError(f"got token ids {ids.min()}..{ids.max()}, expected 0..{len(self.words) - 1}")
        scores = np.empty(len(ids))
        kernels.sequence(self.trie, self.start, ids, scores)
        return scores


def _longest(keys: Ints, size: int, suffix: Ints, contexts: Ints, tokens: Ints) -> Ints:
    """[N] the nodes of contexts [N] and tokens [N], with as many tokens as are known."""
    found = np.full(len(contexts), -1)
    waiting = np.arange(len(contexts))
    while len(waiting):
        wanted = contexts[waiting] * size + tokens[waiting]
        place = np.searchsorted(keys[1:], wanted) + 1
        place = np.minimum(place, len(keys) - 1)
        found[waiting] = np.where(keys[place] == wanted, place, -1)
        waiting = waiting[found[waiting] < 0]
        contexts[waiting] = suffix[contexts[waiting]]
    return found
