"""A grammar learned from examples: which kinds of tokens follow each other in generated pieces."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.tokens.representation import FIRST_ID, Grammar, refuse_special
from seqaudio.vocabulary import EOS

PIECES = 60  # generated to learn from
BAR_NUMBERS = ("2:Bar", "1:BarPosEnc")  # kinds that number the bars of a piece, in Octuple and MuMIDI
SINGLE_TOKENS = ("Family", "Track", "0:Family")  # each token with such a name is a kind of its own

# the kinds of the tokens of one compound, or of one token without compounds. No row is a prefix of another
Row = tuple[int, ...]


@dataclass(frozen=True)
class Successions:
    """The successions of kinds in the examples."""

    kinds: npt.NDArray[np.int64]  # [V] the kind of each token
    names: tuple[str, ...]  # of the kinds
    numbers: slice  # ids of the tokens that number bars, in rising order; empty if there are none
    first: frozenset[Row]  # rows with which a stream may begin
    following: dict[Row, frozenset[Row]]  # the rows that may follow each row
    to_end: dict[Row, int]  # fewest tokens after each row before a stream may end

    def within(self, tokens: npt.NDArray[np.bool_]) -> Successions:
        """The successions of the rows of which each kind has a token in `tokens` [V]."""
        kinds = set(np.unique(self.kinds[tokens]).tolist())
        kept = {row for row in self.following if kinds.issuperset(row)}
        following = {row: after & kept for row, after in self.following.items() if row in kept}
        last = {row for row in kept if self.to_end.get(row) == 0}
        return replace(self, first=self.first & kept, following=following, to_end=_distances(following, last))


def learn(
    tokens: tuple[str, ...],
    heads: int,
    steps_per_quarter: int,
    encode: Callable[[NoteSequence], npt.NDArray[np.int64]],
) -> Successions:
    """Encode generated pieces, always the same ones, and collect which rows of kinds follow each other.

    Args:
        heads: a row begins with one of the first `heads` tokens after PAD, BOS and EOS.
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
            continue  # only drums, in a representation without drums
        begins = np.flatnonzero(ids < FIRST_ID + heads)
        rows = [tuple(row.tolist()) for row in np.split(kinds[ids], begins[1:])]
        first.add(rows[0])
        last.add(rows[-1])
        for row in rows:
            following.setdefault(row, set())
        for row, after in pairwise(rows):
            following[row].add(after)
    frozen = {row: frozenset(after) for row, after in following.items()}
    numbers = [token for token, name in enumerate(names) if name in BAR_NUMBERS]
    span = slice(numbers[0], numbers[-1] + 1) if numbers else slice(0, 0)
    return Successions(kinds, listed, span, frozenset(first), frozen, _distances(frozen, last))


def _kind(token: str) -> str:
    name = token.partition("_")[0]
    return token if name in SINGLE_TOKENS else name


def _distances(following: dict[Row, frozenset[Row]], last: set[Row]) -> dict[Row, int]:
    """Fewest tokens from after each row to the end of a stream: the shortest path to a row of `last` (Dijkstra)."""
    distance = dict.fromkeys(last, 0)
    queue = [(0, row) for row in sorted(last)]
    before: dict[Row, list[Row]] = {row: [] for row in following}
    for row, afters in following.items():
        for after in afters:
            before[after].append(row)
    while queue:
        cost, row = heapq.heappop(queue)
        for previous in before[row]:
            further = cost + len(row)
            if further < distance.get(previous, further + 1):
                distance[previous] = further
                heapq.heappush(queue, (further, previous))
    return distance


def _piece(seed: int, steps_per_quarter: int) -> NoteSequence:
    """Single notes and chords, close and far apart, of one or several programs and drums; time signatures change."""
    draw = np.random.default_rng(seed)
    count = int(draw.integers(1, 30))
    # waits from none to several bars
    start = np.cumsum(draw.choice([0, 0, 1, steps_per_quarter, 3, 20 * steps_per_quarter], size=count))
    length = draw.integers(1, 6 * steps_per_quarter, size=count)
    # time signatures change never, after one bar or after many, and also after the last notes of a program
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
        time_signatures=[TimeSignature(tick, 1 + number, 4) for number, tick in enumerate(changes)],
    )


class LearnedGrammar(Grammar):
    """Permits streams whose rows follow each other as in the examples, and that end with a row that ended an example.

    Where bars are numbered, their numbers do not decrease.
    """

    def __init__(self, seen: Successions) -> None:
        self._seen = seen
        self._next: frozenset[Row] = seen.first  # the candidates for the current row
        self._row: Row = ()  # the kinds of the current row so far
        self._before: Row | None = None
        self._bar = seen.numbers.start  # the token that numbers the current bar, where bars are numbered
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
        candidates = frozenset(candidate for candidate in self._next if candidate[: len(row)] == row)
        if not candidates:
            raise ValueError(f"expected {self._expected()}")
        if seen.numbers.start <= token < seen.numbers.stop:
            if token < self._bar:
                raise ValueError("the number of a bar must not be below the previous one")
            self._bar = token
        self._row, self._next = row, candidates
        if row in candidates:
            self._before, self._row, self._next = row, (), seen.following[row]

    def _costs(self) -> dict[int, int]:
        """Fewest tokens to the end, the next one included, for each kind that may come next."""
        index, seen = len(self._row), self._seen
        costs: dict[int, int] = {}
        for row in self._next:
            if row in seen.to_end:
                cost = len(row) - index + seen.to_end[row]
                costs[row[index]] = min(cost, costs.get(row[index], cost))
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
