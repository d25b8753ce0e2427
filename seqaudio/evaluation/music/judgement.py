"""Compare generated pieces with held-out music: distributions by overlap and divergence, numbers with intervals.

    p, q                 shares of the bins, of the judged pieces and of those beside them
    overlap     =  sum_k min(p_k, q_k)                        1 for equal distributions, 0 for disjoint ones
    divergence  =  sum_k p'_k log(p'_k / q'_k)    nats        p' = (1 - MIXED) p + MIXED / K, and q' alike

Without smoothing one note outside of the held-out range would make the divergence infinite. A uniform distribution is
mixed into both sides, a hundredth of each, so equal distributions have divergence 0 whatever the number of notes, and
none exceeds log(K / MIXED).

Two samples of the same music do not overlap fully either. `at_this_size` says how far those go: as many held-out pieces
as are judged, or half of them where they are fewer, against the other held-out pieces, many times drawn at random. An
overlap below nearly all of those is a difference that chance does not explain.

Source: overlapping area and divergence as in Yang & Lerch (2020), "On the evaluation of generative models in music",
but of the distributions themselves, not of distances between pieces; Kullback & Leibler (1951).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import SourceError
from seqaudio.evaluation.intervals import ratio_of_sums
from seqaudio.evaluation.music.copies import FoundCopy, Piece, find_copies
from seqaudio.evaluation.music.measures import DISTRIBUTIONS, NUMBERS, VOICE_LEADING, Measures, Number, measure
from seqaudio.progress import progress

MIXED = 0.01  # share of the uniform distribution that is mixed in before the divergence
DRAWS = 200  # of held-out pieces
UNLIKELY = 0.025  # share of the draws below which an overlap is a difference
MIN_HELD_OUT = 4  # pieces, for drawing from them

Floats = npt.NDArray[np.float64]
Pair = tuple[float, float]  # numerator and denominator


@dataclass(frozen=True)
class AtThisSize:
    """Overlaps of held-out pieces with other held-out pieces."""

    mean: float
    low: float  # the quantile UNLIKELY
    pieces: int  # on the smaller side


@dataclass(frozen=True)
class Compared:
    """A distribution of two sets of pieces. Numbers are None where a set has nothing to count."""

    judged: Floats  # [K] shares; zeros where there is nothing
    beside: Floats
    overlap: float | None
    divergence: float | None  # nats, of the judged pieces from those beside them
    at_this_size: AtThisSize | None

    @property
    def differs(self) -> bool | None:
        """Whether the overlap is below nearly all of those among the held-out pieces; None where that is unknown."""
        if self.overlap is None or self.at_this_size is None:
            return None
        return self.overlap < self.at_this_size.low


@dataclass(frozen=True)
class Estimate:
    """A number of one set of pieces."""

    value: float
    interval: tuple[float, float] | None  # 95 %, over pieces; None for too few
    pieces: int  # that it comes from


@dataclass(frozen=True)
class Both:
    """A number of both sets; None where a set has no piece with it."""

    judged: Estimate | None
    beside: Estimate | None


@dataclass(frozen=True)
class Copies:
    """The longest copies of pieces of one set in another."""

    pieces: Sequence[FoundCopy]

    @property
    def beats(self) -> Estimate:
        """The mean length in quarters."""
        return _mean([float(found.copy.beats) for found in self.pieces])

    @property
    def share(self) -> Estimate:
        """The mean share of a piece."""
        return _mean([found.share for found in self.pieces])

    @property
    def longest(self) -> FoundCopy:
        """The longest of all, the first of equals."""
        return max(self.pieces, key=lambda found: found.copy.beats)


@dataclass(frozen=True)
class Corpus:
    """Pieces, and where they come from."""

    name: str  # for tables and titles
    pieces: Sequence[Piece]
    remarks: tuple[str, ...] = ()  # such as pieces that were left out


@dataclass(frozen=True)
class Judgement:
    """All that is told of two sets of pieces."""

    judged: Corpus
    beside: Corpus
    distributions: Mapping[str, Compared]
    numbers: Mapping[str, Both]
    voices: Mapping[str, Both]  # for each hundred changes of chords; empty unless both sets have pieces in four voices
    copies: Mapping[str, Copies]  # of judged pieces, of held-out pieces, and of one half of the originals in the other
    originals: str  # in what copies were searched
    remarks: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON: distributions as shares of named bins, numbers with intervals, every copy."""
        return {
            "judged": {"name": self.judged.name, "pieces": len(self.judged.pieces)},
            "beside": {"name": self.beside.name, "pieces": len(self.beside.pieces)},
            "distributions": {
                name: {
                    "label": DISTRIBUTIONS[name].label,
                    "bins": list(DISTRIBUTIONS[name].bins),
                    "judged": one.judged.tolist(),
                    "beside": one.beside.tolist(),
                    "overlap": one.overlap,
                    "divergence": one.divergence,
                    "overlap_among_beside": None if one.at_this_size is None else vars(one.at_this_size),
                    "differs": one.differs,
                }
                for name, one in self.distributions.items()
            },
            "numbers": {name: _number(NUMBERS[name], both) for name, both in self.numbers.items()},
            "voice_leading": {name: _number(VOICE_LEADING[name], both) for name, both in self.voices.items()},
            "copies": {"in": self.originals} | {name: _copies(found) for name, found in self.copies.items()},
            "remarks": list(self.remarks),
        }


def judge(judged: Corpus, beside: Corpus, originals: Corpus) -> Judgement:
    """Measure two sets of pieces, compare them, and search for copies of `originals`, such as the training split.

    Halves of the originals are their even and their odd places. Where `originals` are the pieces beside, theirs are the
    only copies to compare with.

    Raises SourceError for a set without pieces, or without a note.
    """
    for corpus in (judged, beside):
        if not any(len(piece.notes) for piece in corpus.pieces):
            raise SourceError(f"{corpus.name}: has no notes to judge; expected at least one piece with notes")
    ours, theirs = (_measured(corpus) for corpus in (judged, beside))
    searched = {"judged": find_copies(judged.pieces, originals.pieces, "searching for copies")}
    if originals.pieces is not beside.pieces:
        searched["beside"] = find_copies(beside.pieces, originals.pieces, "copies in held-out pieces")
    searched["halves"] = find_copies(originals.pieces[::2], originals.pieces[1::2], "copies among the originals")
    voices = VOICE_LEADING if all(any(one.voices for one in side) for side in (ours, theirs)) else {}
    return Judgement(
        judged,
        beside,
        {name: compared(*_counts(name, ours, theirs)) for name in DISTRIBUTIONS},
        {name: _both(number, *_of(name, "numbers", ours, theirs)) for name, number in NUMBERS.items()},
        {name: _both(number, *_of(name, "voices", ours, theirs)) for name, number in voices.items()},
        {name: Copies(found) for name, found in searched.items() if found},
        originals.name,
        (*judged.remarks, *beside.remarks, *(() if originals is beside else originals.remarks)),
    )


def compared(judged: Floats, beside: Floats) -> Compared:
    """Compare counts [P, K] of P pieces with counts [Q, K] of others, each summed over its pieces."""
    p, q = _shares(judged.sum(axis=0)), _shares(beside.sum(axis=0))
    if not p.any() or not q.any():
        return Compared(p, q, None, None, None)
    return Compared(p, q, overlap(p, q), divergence(p, q), _at_this_size(len(judged), beside))


def overlap(p: Floats, q: Floats) -> float:
    """The overlapping area of two distributions [K]."""
    return float(np.minimum(p, q).sum())


def divergence(p: Floats, q: Floats) -> float:
    """The Kullback-Leibler divergence of p from q, [K] each, in nats, smoothed as the module says."""
    p, q = ((1 - MIXED) * side + MIXED / len(side) for side in (p, q))
    return float((p * np.log(p / q)).sum())


def _at_this_size(judged: int, beside: Floats) -> AtThisSize | None:
    """Overlaps of as many of the pieces [Q, K] as are judged, half of them at most, with the others."""
    beside = beside[beside.any(axis=1)]
    if len(beside) < MIN_HELD_OUT:
        return None
    count = min(judged, len(beside) // 2)
    draw, everything = np.random.default_rng(0), beside.sum(axis=0)
    found = []
    for _ in range(DRAWS):
        part = beside[draw.permutation(len(beside))[:count]].sum(axis=0)
        found.append(overlap(_shares(part), _shares(everything - part)))
    return AtThisSize(float(np.mean(found)), float(np.quantile(found, UNLIKELY)), count)


def _shares(counts: Floats) -> Floats:
    return counts / counts.sum() if counts.sum() else np.zeros_like(counts)


def _measured(corpus: Corpus) -> list[Measures]:
    with progress(f"measuring {corpus.name}", len(corpus.pieces), "pieces") as advance:
        found = []
        for piece in corpus.pieces:
            found.append(measure(piece.notes))
            advance()
    return found


def _counts(name: str, *sides: Sequence[Measures]) -> list[Floats]:
    return [np.stack([one.counts[name] for one in side]) for side in sides]


def _both(number: Number, ours: Iterable[Pair | None], theirs: Iterable[Pair | None]) -> Both:
    one, other = (_estimate([pair for pair in side if pair is not None], number.share) for side in (ours, theirs))
    return Both(one, other)


def _of(name: str, what: Literal["numbers", "voices"], *sides: Sequence[Measures]) -> list[list[Pair | None]]:
    """A number of each piece of each side; None where it cannot be measured."""
    return [[getattr(one, what).get(name) for one in side] for side in sides]


def _estimate(pairs: Sequence[Pair], share: bool = False) -> Estimate | None:
    """The ratio of the sums of (numerator, denominator) of each piece; all numbers are 0 or more."""
    over, under = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    if not under.sum() > 0:
        return None
    interval = ratio_of_sums(over, under)
    if interval is not None:
        interval = max(0.0, interval[0]), min(interval[1], 1.0 if share else np.inf)
    return Estimate(float(over.sum() / under.sum()), interval, len(over))


def _mean(values: Sequence[float]) -> Estimate:
    found = _estimate([(value, 1.0) for value in values])
    if found is None:
        raise ValueError("got no values, expected at least one")
    return found


def _number(number: Number, both: Both) -> dict[str, Any]:
    about = {"label": number.label} | ({"unit": number.unit} if number.unit else {})
    return about | {"judged": _told(both.judged), "beside": _told(both.beside)}


def _told(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else vars(estimate)


def _copies(copies: Copies) -> dict[str, Any]:
    return {
        "quarters": _told(copies.beats),
        "share": _told(copies.share),
        "pieces": [
            {
                "piece": found.piece,
                "original": found.original,
                "quarters": found.copy.beats,
                "notes": found.notes,
                "share": found.share,
                "from_quarter": found.copy.start,
                "original_from_quarter": found.copy.original_start,
                "transposed_by": found.copy.transposition,
            }
            for found in copies.pieces
        ],
    }
