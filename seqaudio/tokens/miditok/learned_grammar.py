"""A grammar learned from examples: which kinds of tokens follow each other in pieces made by rule."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.tokens.representation import FIRST_ID, Grammar, refuse_special
from seqaudio.vocabulary import EOS

PIECES = 60  # from which successions are learned
NEVER_FALLING = ("2:Bar", "1:BarPosEnc")  # kinds that number the bars of a piece, in Octuple and MuMIDI
SPELT_OUT = ("Family", "Track", "0:Family")  # kinds of which every token is a kind of its own

# the kinds of the tokens of one compound; of one token where there are no compounds. None begins with all of another
Row = tuple[int, ...]


@dataclass(frozen=True)
class Successions:
    """What was seen in the examples."""

    kinds: npt.NDArray[np.int64]  # [V] the kind of each token
    names: tuple[str, ...]  # of the kinds
    numbers: slice  # the tokens that number bars, in rising order; empty where there are none
    first: frozenset[Row]  # rows that a stream may begin with
    following: dict[Row, frozenset[Row]]
    to_end: dict[Row, int]  # how many tokens must come, at least, behind each before a stream may end


def learn(
    tokens: tuple[str, ...],
    heads: int,
    steps_per_quarter: int,
    encode: Callable[[NoteSequence], npt.NDArray[np.int64]],
) -> Successions:
    """Encode pieces made by rule, the same every time, and keep which rows of kinds follow each other.

    Args:
        heads: a row begins with one of the first `heads` tokens behind PAD, BOS and EOS.
    """
    names = [_kind(token) for token in tokens]
    listed = tuple(dict.fromkeys(names))
    kinds = np.array([listed.index(name) for name in names], dtype=np.int64)
    first: set[Row] = set()
    last: set[Row] = set()
    following: dict[Row, set[Row]] = {}
    for seed in range(PIECES):
        ids = encode(_piece(seed, steps_per_quarter))
        if not len(ids):
            continue  # drums alone, where those are not written
        begins = np.flatnonzero(ids < FIRST_ID + heads)
        rows = [tuple(row.tolist()) for row in np.split(kinds[ids], begins[1:])]
        first.add(rows[0])
        last.add(rows[-1])
        for row in rows:
            following.setdefault(row, set())
        for row, after in pairwise(rows):
            following[row].add(after)
    frozen = {row: frozenset(after) for row, after in following.items()}
    numbers = [token for token, name in enumerate(names) if name in NEVER_FALLING]
    span = slice(numbers[0], numbers[-1] + 1) if numbers else slice(0, 0)
    return Successions(kinds, listed, span, frozenset(first), frozen, _distances(frozen, last))


def _kind(token: str) -> str:
    name = token.partition("_")[0]
    return token if name in SPELT_OUT else name


def _distances(following: dict[Row, frozenset[Row]], last: set[Row]) -> dict[Row, int]:
    """Tokens behind each row, at least, up to an end: the shortest path to a row that was seen last."""
    distance = dict.fromkeys(last, 0)
    waiting = [(0, row) for row in sorted(last)]
    before: dict[Row, list[Row]] = {row: [] for row in following}
    for row, afters in following.items():
        for after in afters:
            before[after].append(row)
    while waiting:
        cost, row = heapq.heappop(waiting)
        for earlier in before[row]:
            further = cost + len(row)
            if further < distance.get(earlier, further + 1):
                distance[earlier] = further
                heapq.heappush(waiting, (further, earlier))
    return distance


def _piece(seed: int, steps_per_quarter: int) -> NoteSequence:
    """Notes alone and in chords, close and far apart, of one or several programs and drums, in changing metres."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(1, 30))
    # pauses from none to several bars
    start = np.cumsum(draw.choice([0, 0, 1, steps_per_quarter, 3, 20 * steps_per_quarter], size=count))
    length = draw.integers(1, 6 * steps_per_quarter, size=count)
    # metres change never, from one bar to the next or after many, behind the last notes of a program, too
    waits = draw.choice([1, 4, 8, 30], size=int(draw.integers(1, 12))) * steps_per_quarter
    changes = np.cumsum(waits).tolist() if seed % 3 else []
    programs = np.sort(draw.choice([0, 40, 73], size=count)) if seed % 4 == 1 else draw.choice([0, 40, 73], size=count)
    return NoteSequence.from_columns(
        start,
        start + length,
        draw.integers(30, 90, size=count),
        draw.integers(1, 128, size=count),
        programs if seed % 2 else 0,
        is_drum=draw.random(count) < 0.3 if seed % 2 else False,
        ticks_per_quarter=steps_per_quarter,
        time_signatures=[TimeSignature(tick, 1 + place, 4) for place, tick in enumerate(changes)],
    )


class LearnedGrammar(Grammar):
    """Streams whose rows follow each other as they did in the examples, and end as some example did.

    Where bars are numbered, their numbers do not fall.
    """

    def __init__(self, seen: Successions) -> None:
        self._seen = seen
        self._next: frozenset[Row] = seen.first  # the rows that may come next, or as one of which this one goes on
        self._row: Row = ()  # what has come of this row
        self._before: Row | None = None
        self._bar = seen.numbers.start  # the token of this bar, where bars are numbered
        self._ended = False

    @property
    def _can_end(self) -> bool:
        return not self._row and (self._before is None or self._seen.to_end[self._before] == 0)

    def push(self, token: int) -> None:
        seen = self._seen
        refuse_special(token, len(seen.kinds))
        if self._ended:
            raise ValueError("nothing follows <eos>")
        if token == EOS:
            if not self._can_end:
                raise ValueError(f"expected {self._expected()}")
            self._ended = True
            return
        row = (*self._row, int(seen.kinds[token]))
        going_on = frozenset(candidate for candidate in self._next if candidate[: len(row)] == row)
        if not going_on:
            raise ValueError(f"expected {self._expected()}")
        if seen.numbers.start <= token < seen.numbers.stop:
            if token < self._bar:
                raise ValueError("the number of a bar is not below that before it")
            self._bar = token
        self._row, self._next = row, going_on
        if row in going_on:
            self._before, self._row, self._next = row, (), seen.following[row]

    def _costs(self) -> dict[int, int]:
        """Tokens up to the end, counted from the next one, for each kind that may be next."""
        place, seen = len(self._row), self._seen
        costs: dict[int, int] = {}
        for row in self._next:
            if row in seen.to_end:
                cost = len(row) - place + seen.to_end[row]
                costs[row[place]] = min(cost, costs.get(row[place], cost))
        return costs

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        seen = self._seen
        legal = np.zeros(len(seen.kinds), dtype=np.bool_)
        if self._ended:
            return legal
        for kind, cost in self._costs().items():
            if room is None or cost <= room:
                legal |= seen.kinds == kind
        legal[seen.numbers.start : self._bar] = False
        legal[:FIRST_ID] = False
        legal[EOS] = self._can_end
        return legal

    def shortest_end(self) -> int:
        return 0 if self._ended or self._can_end else min(self._costs().values())

    def _expected(self) -> str:
        return " or ".join(sorted(self._seen.names[kind] for kind in self._costs()))
