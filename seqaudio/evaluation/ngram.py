"""N-gram baselines over token ids: a model that does not beat them has learnt nothing beyond short contexts.

An event is a token or the end of a sequence: x1 .. xn has the events x1, .., xn, EOS. Before x1 the context is padded
with BOS, which is never predicted. So totals and counts are those of the lanes: n + 1 events a sequence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seqaudio.arrow_files import Split
from seqaudio.store import Store
from seqaudio.vocabulary import BOS, EOS

MIN_DISCOUNT = 0.01  # positive in every class, so that every token keeps a probability
GOLDEN = (5**0.5 - 1) / 2


class Unigram:
    """Independent tokens with add-one smoothing (Laplace): p(w) = (c(w) + 1) / (N + V)."""

    def fit(self, sequences: Iterable[np.ndarray], vocabulary_size: int, bos: int, eos: int) -> Unigram:
        """Count the events of the sequences, each [T] integer ids in 0..vocabulary_size - 1."""
        self.vocabulary_size, self.bos, self.eos = vocabulary_size, bos, eos
        events = _events(sequences, 1, vocabulary_size, bos, eos)
        counts = np.bincount(events, minlength=vocabulary_size) + 1
        self.probabilities = counts / counts.sum()  # [V]
        return self

    def nats(self, sequences: Iterable[np.ndarray]) -> tuple[float, int]:
        """(-log likelihood of the events, number of events)."""
        events = _events(sequences, 1, self.vocabulary_size, self.bos, self.eos)
        return float(-np.log(self.probabilities[events]).sum()), len(events)


@dataclass(frozen=True)
class _Level:
    """Counts of the n-grams of one order. An n-gram h w is packed into one integer, its ids as digits in base V."""

    grams: np.ndarray  # [G] int64, ascending
    counts: np.ndarray  # [G] occurrences at the highest order; at lower orders distinct preceding tokens
    contexts: np.ndarray  # [C] int64, ascending
    totals: np.ndarray  # [C] sum of counts over w
    classes: np.ndarray  # [C, 3] number of w with count 1, 2, and 3 or more


@dataclass(frozen=True)
class _Found:
    """Counts of one level for each of N events."""

    count: np.ndarray  # [N] c(h w), 0 where it was not seen
    total: np.ndarray  # [N] c(h), 0 where the context was not seen
    classes: np.ndarray  # [N, 3]


class KneserNey:
    """Interpolated n-grams with modified Kneser-Ney smoothing.

        p_k(w | h) = (c(h w) - D_k(c(h w))) / c(h) + g(h) p_{k-1}(w | h without its first token)
        g(h)       = (D_k(1) N_1(h) + D_k(2) N_2(h) + D_k(3) N_3+(h)) / c(h)
        p_0(w)     = 1 / V

    c counts occurrences at the highest order and, at lower orders, the distinct tokens that precede h w. N_i(h) is the
    number of tokens that follow h with count i. For an unseen context the lower order is used alone. Every order has
    discounts for counts 1, 2, and 3 or more: `fit` estimates them from counts of counts, `tune` on validation data.

    Source: Kneser & Ney (1995); Chen & Goodman (1999).

    Args:
        order: n, at least 1; 3 is a trigram.
    """

    def __init__(self, order: int = 3) -> None:
        if order < 1:
            raise ValueError(f"got order {order}, expected at least 1")
        self.order = order

    def fit(self, sequences: Iterable[np.ndarray], vocabulary_size: int, bos: int, eos: int) -> KneserNey:
        """Count the n-grams of the sequences, each [T] integer ids in 0..vocabulary_size - 1.

        Raises ValueError for ids out of range, and where vocabulary_size ** order exceeds 2^63.
        """
        if vocabulary_size**self.order >= 2**63:
            raise ValueError(f"{self.order}-grams of {vocabulary_size} tokens do not fit into 63 bits; lower the order")
        self.vocabulary_size, self.bos, self.eos = vocabulary_size, bos, eos
        grams, counts = np.unique(self._packed(sequences), return_counts=True)
        levels = [_level(grams, counts, vocabulary_size)]
        for order in range(self.order - 1, 0, -1):
            # each distinct longer n-gram adds one distinct token that precedes the shorter one
            grams, counts = np.unique(grams % vocabulary_size**order, return_counts=True)
            levels.append(_level(grams, counts, vocabulary_size))
        self._levels = levels[::-1]  # unigrams first
        self.discounts = np.array([_estimated_discounts(level.counts) for level in self._levels])  # [order, 3]
        return self

    def tune(self, sequences: Iterable[np.ndarray]) -> KneserNey:
        """Choose the discounts that maximise the likelihood of the sequences.

        The probability of an event is affine in each discount, so the loss is convex in each. Coordinate descent
        minimises one after the other until a round gains less than 1e-6 nats an event.
        """
        grams, weights = np.unique(self._packed(sequences), return_counts=True)
        found = self._find(grams)
        loss = _loss(self._probability(found, self.discounts), weights)
        gain = np.inf
        while gain > 1e-6 * weights.sum():
            for place in np.ndindex(self.discounts.shape):
                low, high = MIN_DISCOUNT, place[1] + 1.0
                ends = [self._probability(found, _replaced(self.discounts, place, end)) for end in (low, high)]
                self.discounts[place] = low + (high - low) * _best_mix(ends[0], ends[1], weights)
            tuned = _loss(self._probability(found, self.discounts), weights)
            gain, loss = loss - tuned, tuned
        return self

    def nats(self, sequences: Iterable[np.ndarray]) -> tuple[float, int]:
        """(-log likelihood of the events, number of events)."""
        grams, weights = np.unique(self._packed(sequences), return_counts=True)
        return _loss(self._probability(self._find(grams), self.discounts), weights), int(weights.sum())

    def probabilities(self, context: Iterable[int]) -> np.ndarray:
        """Probabilities [V] of the event after a context, oldest token first; a short context is padded with BOS."""
        tokens = np.array([*[self.bos] * (self.order - 1), *context], dtype=np.int64)
        _check_ids(tokens, self.vocabulary_size)
        packed = 0
        for token in tokens[len(tokens) - self.order + 1 :].tolist():
            packed = packed * self.vocabulary_size + token
        grams = packed * self.vocabulary_size + np.arange(self.vocabulary_size)
        return self._probability(self._find(grams), self.discounts)

    def _packed(self, sequences: Iterable[np.ndarray]) -> np.ndarray:
        return _events(sequences, self.order, self.vocabulary_size, self.bos, self.eos)

    def _find(self, grams: np.ndarray) -> list[_Found]:
        found = []
        for order, level in enumerate(self._levels, start=1):
            shorter = grams % self.vocabulary_size**order
            gram, seen = _position(level.grams, shorter)
            context, context_seen = _position(level.contexts, shorter // self.vocabulary_size)
            found.append(
                _Found(
                    np.where(seen, level.counts[gram], 0),
                    np.where(context_seen, level.totals[context], 0),
                    np.where(context_seen[:, None], level.classes[context], 0),
                )
            )
        return found

    def _probability(self, found: list[_Found], discounts: np.ndarray) -> np.ndarray:
        probability = np.full(len(found[0].count), 1 / self.vocabulary_size)
        for level, discount in zip(found, discounts, strict=True):
            kept = level.count - np.concatenate([[0.0], discount])[np.minimum(level.count, 3)]
            held_back = level.classes @ discount
            total = np.maximum(level.total, 1)
            probability = np.where(level.total > 0, (kept + held_back * probability) / total, probability)
        return probability


def ngram_baselines(store: Store, train: Split, valid: Split, split: Split) -> dict[str, dict[str, float]]:
    """Nats per event of a unigram and a tuned Kneser-Ney trigram on `split`, fitted on `train`, tuned on `valid`."""
    size = len(store.names)
    models: dict[str, Unigram | KneserNey] = {
        "unigram": Unigram().fit(train, size, BOS, EOS),
        "Kneser-Ney trigram": KneserNey(3).fit(train, size, BOS, EOS).tune(valid),
    }
    scores = {name: model.nats(split) for name, model in models.items()}
    return {name: {"nats_per_event": total / count, "count": count} for name, (total, count) in scores.items()}


# --- counting ---


def _events(sequences: Iterable[np.ndarray], order: int, vocabulary_size: int, bos: int, eos: int) -> np.ndarray:
    """Each event with the order - 1 tokens before it, packed in base V, [events] int64."""
    before, after = np.full(order - 1, bos, dtype=np.int64), np.array([eos], dtype=np.int64)
    padded = [part for sequence in sequences for part in (before, np.asarray(sequence, dtype=np.int64), after)]
    if not padded:
        raise ValueError("got no sequences, expected at least one")
    stream = np.concatenate(padded)
    _check_ids(stream, vocabulary_size)
    lengths = np.array([len(part) for part in padded[1::3]]) + 1
    first = np.cumsum(lengths + order - 1) - lengths  # place of the first event of each sequence
    events = np.arange(lengths.sum()) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
    packed = np.zeros(len(events), dtype=np.int64)
    for back in range(order - 1, -1, -1):
        packed = packed * vocabulary_size + stream[events - back]
    return packed


def _check_ids(tokens: np.ndarray, vocabulary_size: int) -> None:
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocabulary_size:
        raise ValueError(f"got token ids {tokens.min()}..{tokens.max()}, expected 0..{vocabulary_size - 1}")


def _level(grams: np.ndarray, counts: np.ndarray, vocabulary_size: int) -> _Level:
    contexts, owner = np.unique(grams // vocabulary_size, return_inverse=True)
    totals = np.bincount(owner, weights=counts)
    classes = [np.bincount(owner, weights=np.minimum(counts, 3) == number) for number in (1, 2, 3)]
    return _Level(grams, counts, contexts, totals, np.stack(classes, axis=1))


def _position(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of each wanted number among the ascending keys, and whether it is there."""
    position = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return position, keys[position] == wanted


# --- discounts ---


def _estimated_discounts(counts: np.ndarray) -> np.ndarray:
    """[3] discounts of counts 1, 2, 3 and more: i - (i + 1) Y n_{i+1} / n_i with Y = n_1 / (n_1 + 2 n_2).

    n_i is the number of n-grams with count i. Where one of n_1 .. n_4 is 0, as in very small sets and for unigrams of
    large ones, the formula is undefined and half of 1, 2 and 3 is used.
    """
    n = [int((counts == number).sum()) for number in (1, 2, 3, 4)]
    if 0 in n:
        return np.array([0.5, 1.0, 1.5])
    y = n[0] / (n[0] + 2 * n[1])
    discounts = [i - (i + 1) * y * n[i] / n[i - 1] for i in (1, 2, 3)]
    return np.clip(discounts, MIN_DISCOUNT, [1.0, 2.0, 3.0])


def _replaced(discounts: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    changed = discounts.copy()
    changed[place] = value
    return changed


def _loss(probability: np.ndarray, weights: np.ndarray) -> float:
    return float(-(weights * np.log(probability)).sum())


def _best_mix(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> float:
    """The t in 0..1, to a thousandth, that maximises the likelihood of (1 - t) one + t other, by golden section."""

    def loss(t: float) -> float:
        return _loss((1 - t) * one + t * other, weights)

    low, high = 0.0, 1.0
    left, right = 1 - GOLDEN, GOLDEN
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-3:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = loss(right)
    return (low + high) / 2
