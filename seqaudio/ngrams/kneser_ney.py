"""N-grams over token ids: counts, modified Kneser-Ney smoothing, the order and discounts that validation chooses.

An event is a token or the end of a sequence: x1 .. xn has the events x1, .., xn, EOS. The context of an event is what
comes before it in its sequence, after one BOS, which is never predicted. So totals and counts are those of the lanes:
n + 1 events a sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seqaudio.ngrams.back_off import BackOff, Grams
from seqaudio.ngrams.trie import Floats, Ints
from seqaudio.vocabulary import BOS, EOS

MAX_ORDER = 8  # of the n-grams among which validation chooses; on music and text more brings nothing
MIN_DISCOUNT = 0.01  # positive in every class, so that every token keeps a probability
HALVINGS = 14  # of the interval of a discount: its place is found to a part in 16,000
MAX_ROUNDS = 100  # of tuning; some ten are usual


class Unigram:
    """Independent tokens with add-one smoothing (Laplace): p(w) = (c(w) + 1) / (N + V)."""

    def fit(self, sequences: Iterable[np.ndarray], vocabulary_size: int, bos: int, eos: int) -> Unigram:
        """Count the events of the sequences, each [T] integer ids in 0..vocabulary_size - 1."""
        self.vocabulary_size, self.bos, self.eos = vocabulary_size, bos, eos
        events = _Stream.of(sequences, vocabulary_size, bos, eos).events
        counts = np.bincount(events, minlength=vocabulary_size) + 1
        self.probabilities = counts / counts.sum()  # [V]
        return self

    def event_nats(self, sequences: Iterable[np.ndarray]) -> Floats:
        """[events] -log likelihood of each event."""
        nats: Floats = -np.log(
            self.probabilities[_Stream.of(sequences, self.vocabulary_size, self.bos, self.eos).events]
        )
        return nats

    def nats(self, sequences: Iterable[np.ndarray]) -> tuple[float, int]:
        """(-log likelihood of the events, number of events)."""
        nats = self.event_nats(sequences)
        return float(nats.sum()), len(nats)


@dataclass(frozen=True)
class _Counts:
    """The counts by which one order predicts, of G n-grams in C contexts; the last place is for what was not seen."""

    grams: npt.NDArray[np.int32]  # [G + 1]
    totals: npt.NDArray[np.int32]  # [C + 1] sums over the tokens that follow
    classes: npt.NDArray[np.int32]  # [C + 1, 3] number of tokens that follow with count 1, 2, and 3 or more

    @classmethod
    def of(cls, owner: Ints, grams: Ints, contexts: int) -> _Counts:
        """Sum up the counts [G] of n-grams by the contexts [G] that own them."""
        totals = np.bincount(owner, weights=grams, minlength=contexts + 1)
        classes = [np.bincount(owner[np.minimum(grams, 3) == number], minlength=contexts + 1) for number in (1, 2, 3)]
        return cls(
            np.append(grams, 0).astype(np.int32), totals.astype(np.int32), np.stack(classes, axis=1).astype(np.int32)
        )


@dataclass(frozen=True)
class _Level:
    """The distinct n-grams h w of one order k. The context h is an n-gram of order k - 1, named by its place there."""

    keys: Ints  # [G] place(h) V + w, ascending; of order 1 every token
    occurrences: Ints  # [G]
    continuations: Ints  # [G] distinct tokens before h w; occurrences where h begins with BOS, before which is nothing
    contexts: int  # C, the n-grams of order k - 1
    vocabulary_size: int

    @cached_property
    def lower(self) -> _Counts:
        """The counts of this order below a higher one."""
        return _Counts.of(self.keys // self.vocabulary_size, self.continuations, self.contexts)

    @cached_property
    def highest(self) -> _Counts:
        """The counts of this order as the highest one."""
        return _Counts.of(self.keys // self.vocabulary_size, self.occurrences, self.contexts)

    def place(self, context: Ints, token: Ints) -> Ints:
        """[N] places of the n-grams of contexts, -1 for one that was not seen, and tokens; -1 likewise."""
        if not len(self.keys):
            return np.full(len(context), -1)
        wanted = context * self.vocabulary_size + token  # negative, so not among the keys, after an unseen context
        position = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[position] == wanted, position, -1)


@dataclass(frozen=True)
class _Found:
    """Counts of one level for each of N events."""

    count: npt.NDArray[np.int32]  # [N] c(h w), 0 where it was not seen
    total: Floats  # [N] c(h), 1 where the context was not seen
    seen: npt.NDArray[np.bool_]  # [N] whether the context was
    classes: npt.NDArray[np.int32]  # [N, 3] 0 where the context was not seen

    @classmethod
    def of(cls, counts: _Counts, context: Ints, gram: Ints) -> _Found:
        """The counts of N events by the places of their contexts and n-grams, -1 where not seen."""
        total = counts.totals[context]
        return cls(counts.grams[gram], np.maximum(total, 1).astype(np.float64), total > 0, counts.classes[context])

    def back_off(self, discounts: Floats) -> Floats:
        """[N] the weight g(h) of the lower order."""
        return np.where(self.seen, self.classes @ discounts / self.total, 1.0)

    def probability(self, discounts: Floats, below: Floats) -> Floats:
        """[N] p_k, given p_{k-1} as `below`."""
        kept = (self.count - np.concatenate([[0.0], discounts])[np.minimum(self.count, 3)]) / self.total
        return np.where(self.seen, kept, 0.0) + self.back_off(discounts) * below


class KneserNey:
    """Interpolated n-grams with modified Kneser-Ney smoothing.

        p_k(w | h) = (c(h w) - D_k(c(h w))) / c(h) + g(h) p_{k-1}(w | h without its first token)
        g(h)       = (D_k(1) N_1(h) + D_k(2) N_2(h) + D_k(3) N_3+(h)) / c(h)
        p_0(w)     = 1 / V

    c counts occurrences at the highest order and, at lower orders, the distinct tokens that precede h w; occurrences
    there too where h begins with BOS, which nothing precedes. N_i(h) is the number of tokens that follow h with count
    i. For an unseen context, or one that is shorter because the sequence has just begun, the lower order is used alone.
    Every order has discounts for counts 1, 2, and 3 or more: `fit` estimates them from counts of counts, `tune` on
    validation data. A token that training never had keeps a share of p_0 at every order.

    An n-gram is kept as the place of its context among those of the order below and a token, 16 bytes at any order; so
    N events take at most 40 N bytes an order, and sorting them N log N steps.

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

        Raises ValueError for ids out of range.
        """
        self.vocabulary_size, self.bos, self.eos = vocabulary_size, bos, eos
        self._levels = _levels(_Stream.of(sequences, vocabulary_size, bos, eos), self.order, vocabulary_size)
        self.discounts = np.array([_estimated_discounts(counts.grams) for counts in self._counts()])  # [order, 3]
        return self

    def shortened(self, order: int) -> KneserNey:
        """The model of a lower order with the same counts; lower orders keep their discounts."""
        if order > self.order:
            raise ValueError(f"got order {order}, expected at most {self.order}")
        shorter = KneserNey(order)
        shorter.vocabulary_size, shorter.bos, shorter.eos = self.vocabulary_size, self.bos, self.eos
        shorter._levels = self._levels[:order]
        shorter.discounts = self.discounts[:order].copy()
        shorter.discounts[-1] = _estimated_discounts(shorter._counts()[-1].grams)
        return shorter

    def tune(self, sequences: Iterable[np.ndarray]) -> KneserNey:
        """Choose the discounts that maximise the likelihood of the sequences.

        The probability of an event is affine in each discount, so the loss is convex in each. Coordinate descent
        minimises one after the other until a round gains less than 1e-6 nats an event.
        """
        found = self._find(self._stream(sequences))
        loss = _loss(self._probability(found))
        for _ in range(MAX_ROUNDS):
            self._tune_once(found)
            tuned = _loss(self._probability(found))
            if loss - tuned <= 1e-6 * len(found[0].count):
                break
            loss = tuned
        return self

    def _tune_once(self, found: list[_Found]) -> None:
        """One round, from the highest order down, so that no probability below the order at hand has changed yet."""
        below = [np.full(len(found[0].count), 1 / self.vocabulary_size)]
        for level, discounts in zip(found, self.discounts, strict=True):
            below.append(level.probability(discounts, below[-1]))
        probability = below.pop()  # [N] of the highest order
        weight = np.ones_like(probability)  # [N] of this order in the highest one
        for level, discounts in zip(found[::-1], self.discounts[::-1], strict=True):  # rows, changed in place
            lower = below.pop()
            for number in range(3):
                taken = (np.minimum(level.count, 3) == number + 1).astype(np.float64)
                slope = np.where(level.seen, weight * (level.classes[:, number] * lower - taken) / level.total, 0.0)
                step = _best_step(
                    probability, slope, MIN_DISCOUNT - discounts[number], number + 1.0 - discounts[number]
                )
                discounts[number] += step
                probability = probability + step * slope
            weight = weight * level.back_off(discounts)

    def event_nats(self, sequences: Iterable[np.ndarray]) -> Floats:
        """[events] -log likelihood of each event."""
        nats: Floats = -np.log(self._probability(self._find(self._stream(sequences))))
        return nats

    def nats(self, sequences: Iterable[np.ndarray]) -> tuple[float, int]:
        """(-log likelihood of the events, number of events)."""
        nats = self.event_nats(sequences)
        return float(nats.sum()), len(nats)

    def probabilities(self, context: Iterable[int]) -> np.ndarray:
        """Probabilities [V] of the event after a context, oldest token first, which begins a sequence."""
        tokens = np.array([*context], dtype=np.int64)[-self.order :]
        streams = [np.append(tokens, token) for token in range(self.vocabulary_size)]
        stream = self._stream(streams)
        last = np.cumsum([len(tokens) + 2] * self.vocabulary_size) - 2  # the place of `token`; EOS follows it
        probabilities: np.ndarray = self._probability(self._find(stream))[last]
        return probabilities

    def back_off(self, words: Sequence[str]) -> BackOff:
        """The same probabilities as a back-off model, over the `words` [V] of the ids.

            p(w | h) = p_k(w | h) where h w was seen, otherwise g(h) p(w | h without its first token)

        Interpolation makes this exact: an unseen h w has nothing but the lower order's share.

        Raises ValueError for words of another number.
        """
        if len(words) != self.vocabulary_size:
            raise ValueError(f"got {len(words)} words for ids 0..{self.vocabulary_size - 1}")
        orders, below, suffix = [], np.full(1, 1 / self.vocabulary_size), np.zeros(0, dtype=np.int64)
        counts = self._counts()
        for k, level in enumerate(self._levels):
            context, token = np.divmod(level.keys, self.vocabulary_size)
            grams = np.arange(len(level.keys))
            if k == 0:
                suffix = np.zeros_like(grams)  # the empty context, for which p_0 stands
            else:
                suffix = token if k == 1 else self._levels[k - 1].place(suffix[context], token)
            found = _Found.of(counts[k], context, grams)
            probability = found.probability(self.discounts[k], below[suffix])
            weight = np.ones(len(grams))
            if k + 1 < self.order:
                weight = _Found.of(counts[k + 1], grams, np.full(len(grams), -1)).back_off(self.discounts[k + 1])
            orders.append(Grams(context, token, np.log(probability), np.log(weight)))
            below = probability
        return BackOff.of(words, orders)

    def _stream(self, sequences: Iterable[np.ndarray]) -> _Stream:
        return _Stream.of(sequences, self.vocabulary_size, self.bos, self.eos)

    def _counts(self) -> list[_Counts]:
        return [*(level.lower for level in self._levels[:-1]), self._levels[-1].highest]

    def _find(self, stream: _Stream) -> list[_Found]:
        """The counts of every order for each event of a stream."""
        events = np.flatnonzero(stream.depth)
        context = np.zeros(len(events), dtype=np.int64)
        found = []
        for order, (level, counts) in enumerate(zip(self._levels, self._counts(), strict=True), start=1):
            gram = level.place(context, stream.tokens[events])
            found.append(_Found.of(counts, context, gram))
            place = np.full(len(stream.tokens), -1)
            place[events] = gram
            if order == 1:  # BOS is a context of one token, and never the end of a longer one
                place[stream.depth == 0] = self.bos
            context = place[events - 1]
        return found

    def _probability(self, found: list[_Found]) -> Floats:
        probability = np.full(len(found[0].count), 1 / self.vocabulary_size)
        for level, discounts in zip(found, self.discounts, strict=True):
            probability = level.probability(discounts, probability)
        return probability


def best_kneser_ney(
    train: Iterable[np.ndarray],
    valid: Iterable[np.ndarray],
    vocabulary_size: int,
    bos: int = BOS,
    eos: int = EOS,
    max_order: int = MAX_ORDER,
) -> KneserNey:
    """The tuned Kneser-Ney model of the order, at most `max_order`, that predicts `valid` best; the lowest of equals.

    Args:
        train, valid: sequences [T] of integer ids in 0..vocabulary_size - 1.
    Raises:
        ValueError: ids out of range, or no sequences.
    """
    valid = list(valid)
    largest = KneserNey(max_order).fit(train, vocabulary_size, bos, eos)
    best, least = largest, np.inf
    for order in range(1, max_order + 1):
        model = largest.shortened(order).tune(valid)
        loss, _ = model.nats(valid)
        if loss < least:
            best, least = model, loss
        # a start that is nearly right for the next order, which shares these counts
        largest.discounts[: order - 1] = model.discounts[:-1]
    return best


# --- counting ---


@dataclass(frozen=True)
class _Stream:
    """Sequences one after the other, each as BOS x1 .. xn EOS."""

    tokens: Ints  # [S]
    depth: Ints  # [S] tokens before it in its sequence: 0 for BOS

    @classmethod
    def of(cls, sequences: Iterable[np.ndarray], vocabulary_size: int, bos: int, eos: int) -> _Stream:
        before, after = np.array([bos], dtype=np.int64), np.array([eos], dtype=np.int64)
        parts = [part for sequence in sequences for part in (before, np.asarray(sequence, dtype=np.int64), after)]
        if not parts:
            raise ValueError("got no sequences, expected at least one")
        tokens = np.concatenate(parts)
        if not 0 <= tokens.min() <= tokens.max() < vocabulary_size:
            raise ValueError(f"got token ids {tokens.min()}..{tokens.max()}, expected 0..{vocabulary_size - 1}")
        lengths = np.array([len(part) for part in parts[1::3]]) + 2
        return cls(tokens, np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths))

    @property
    def events(self) -> Ints:
        """All tokens but BOS, [events]."""
        return self.tokens[self.depth > 0]


def _levels(stream: _Stream, order: int, vocabulary_size: int) -> list[_Level]:
    """The n-grams of all orders up to `order`."""
    levels: list[_Level] = []
    place = stream.tokens  # [S] the n-gram of this order that ends here: its place among the keys
    keys, contexts = np.arange(vocabulary_size), 1
    occurrences = np.bincount(stream.events, minlength=vocabulary_size)
    begins = np.zeros(vocabulary_size, dtype=np.bool_)  # [G] whether BOS is its first token; BOS alone is no event
    for k in range(2, order + 2):
        here = np.flatnonzero(stream.depth >= k - 1)  # where an n-gram of order k ends
        longer = place[here - 1] * vocabulary_size + stream.tokens[here]
        next_keys, first, inverse, counts = np.unique(
            longer, return_index=True, return_inverse=True, return_counts=True
        )
        # each distinct longer n-gram is one distinct token before the shorter one
        before = np.bincount(place[here[first]], minlength=len(keys))
        levels.append(_Level(keys, occurrences, np.where(begins, occurrences, before), contexts, vocabulary_size))
        place = np.full(len(stream.tokens), -1)
        place[here] = inverse
        keys, contexts, occurrences, begins = next_keys, len(keys), counts, stream.depth[here[first]] == k - 1
    return levels


# --- discounts ---


def _estimated_discounts(counts: npt.NDArray[np.int32]) -> Floats:
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


def _loss(probability: Floats) -> float:
    return float(-np.log(probability).sum())


def _best_step(probability: Floats, slope: Floats, least: float, most: float) -> float:
    """The t in least..most that maximises the likelihood of probability + t slope, by bisection of its derivative."""
    moving = np.flatnonzero(slope)
    probability, slope = probability[moving], slope[moving]
    if not len(moving):
        return 0.0  # nothing to learn from, so the discount stays
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        if float((slope / (probability + middle * slope)).sum()) > 0:
            least = middle
        else:
            most = middle
    return (least + most) / 2
