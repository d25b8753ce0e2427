"""What the pieces of a training set have in common: lengths in bars, metres, tempo, program, longest note, tokens.

Shape.of(piece), of each piece ─> Repertoire.of(shapes, tokens) ─> store.json, config.json ─> bounds of a sample
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil
from statistics import median_low
from typing import Any

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.sequence import MAX_TEMPO, NoteSequence, TimeSignature
from seqaudio.tokens.bounds import Bounds
from seqaudio.tokens.representation import FIRST_ID, Representation, TokenRepresentation
from seqaudio.vocabulary import EOS

UNKNOWN = -1  # a tempo or a program that no source gives
MAX_BARS = 1_000_000
ANY_LENGTH = 1 << 40  # steps of the longest note, where nothing bounds it


@dataclass(frozen=True)
class Shape:
    """The outline of a piece, of the notes that its representation keeps."""

    metre: str  # such as 6/8: the time signature of most bars
    bars: int  # up to the one in which the last note ends
    rest: int  # steps from the end of the last note to the end of its bar
    longest: int  # steps of the longest note
    lowest: int  # pitch
    highest: int  # pitch
    tempo: int  # microseconds per quarter, for most of the piece; UNKNOWN where its source has none
    program: int  # of most notes; UNKNOWN where its source has none, or only drums

    @classmethod
    def of(cls, notes: NoteSequence, representation: Representation, played: bool = True) -> Shape | None:
        """The shape of a piece; None where the representation keeps none of its notes.

        played: whether tempo and programs come from the source; a score need not have any.
        """
        kept = representation.quantise(notes)
        if not len(kept):
            return None
        aligned = representation.aligned(notes)
        steps = Fraction(kept.ticks_per_quarter, aligned.ticks_per_quarter)  # in a tick
        last = kept.last_tick / steps
        if representation.timing == "second":  # bars are counted where the source has them
            last = Fraction(aligned.select(~aligned.is_drum).last_tick)
        bars, line = Counter[str](), Fraction(0)
        signatures = {0: COMMON_TIME} | {signature.tick: signature for signature in aligned.time_signatures}
        ticks = sorted(tick for tick in signatures if tick < last)
        ends = [*map(Fraction, ticks[1:]), last]
        for begin, until in zip(ticks, ends, strict=True):
            length = bar_quarters(signatures[begin]) * aligned.ticks_per_quarter
            count = ceil((until - begin) / length)
            bars[signatures[begin].name] += count
            line = begin + count * length
        programs = notes.program[~notes.is_drum]
        held = np.diff(np.append(notes.tempo_tick, max(notes.last_tick, int(notes.tempo_tick[-1]) + 1)))
        rest = (line - last) * steps if representation.timing == "beat" else Fraction(0)
        return cls(
            metre=max(bars, key=lambda name: bars[name]),
            bars=sum(bars.values()),
            rest=max(0, int(rest)),
            longest=int((kept.end_tick - kept.start_tick).max()),
            lowest=int(kept.pitch.min()),
            highest=int(kept.pitch.max()),
            tempo=int(notes.tempo[np.argmax(held)]) if played else UNKNOWN,
            program=int(np.bincount(programs).argmax()) if played and len(programs) else UNKNOWN,
        )


@dataclass(frozen=True)
class Lengths:
    """The pieces of one metre: how many have each number of bars, the least rest at the end of any, in steps, tempo."""

    bars: dict[str, int]
    rest: int
    tempo: int = UNKNOWN  # microseconds per quarter: the median; UNKNOWN where no piece has one, or in older stores


@dataclass(frozen=True)
class Repertoire:
    """What the training pieces of a store have in common. Raises ValueError for values that no store can have."""

    longest: int  # steps of the longest note
    lowest: int  # pitch
    highest: int  # pitch
    tempo: int  # microseconds per quarter: the median; UNKNOWN where no piece has one
    program: int  # that of most pieces; UNKNOWN where none has one
    metres: dict[str, Lengths]  # by metre, that of most pieces first
    tokens: tuple[int, ...]  # the ids that occur, rising

    def __post_init__(self) -> None:
        for tempo in (self.tempo, *(lengths.tempo for lengths in self.metres.values())):
            if self.longest < 1 or not (tempo == UNKNOWN or 1 <= tempo <= MAX_TEMPO):
                raise ValueError(f"repertoire: longest note {self.longest}, tempo {tempo}")
        if not UNKNOWN <= self.program <= 127 or not 0 <= self.lowest <= self.highest <= 127:
            raise ValueError(f"repertoire: program {self.program}, pitches {self.lowest}..{self.highest}")
        if not self.metres or min(self.tokens, default=0) < 0:
            raise ValueError("repertoire: no metre, or a token below 0")
        for name, lengths in self.metres.items():
            metre_named(name)
            counts = [int(bars) for bars in lengths.bars if bars.isdecimal() and 1 <= int(bars) <= MAX_BARS]
            if lengths.rest < 0 or not counts or len(counts) != len(lengths.bars) or min(lengths.bars.values()) < 1:
                raise ValueError(f"repertoire: metre {name} has lengths that no piece has")

    @classmethod
    def of(cls, shapes: Sequence[Shape], tokens: Iterable[int]) -> Repertoire | None:
        """The sum of the shapes of training pieces; None without any. tokens: the ids that occur in them."""
        if not shapes:
            return None
        metres = {}
        for name, _ in sorted(
            Counter(shape.metre for shape in shapes).most_common(), key=lambda one: (-one[1], one[0])
        ):
            own = [shape for shape in shapes if shape.metre == name]
            bars = Counter(shape.bars for shape in own)
            counts = {str(number): bars[number] for number in sorted(bars)}
            metres[name] = Lengths(counts, min(shape.rest for shape in own), _median_tempo(own))
        programs = Counter(shape.program for shape in shapes if shape.program != UNKNOWN)
        return cls(
            longest=max(shape.longest for shape in shapes),
            lowest=min(shape.lowest for shape in shapes),
            highest=max(shape.highest for shape in shapes),
            tempo=_median_tempo(shapes),
            program=min(programs, key=lambda program: (-programs[program], program)) if programs else UNKNOWN,
            metres=metres,
            tokens=tuple(sorted(tokens)),
        )

    def to_json(self) -> dict[str, Any]:
        """As settings of a store hold it."""
        return asdict(self) | {"tokens": list(self.tokens)}

    def bars(self, metre: str) -> dict[int, int]:
        """How many pieces have each number of bars: those of a metre, or all where it has none."""
        chosen = [self.metres[metre]] if metre in self.metres else list(self.metres.values())
        found = Counter[int]()
        for lengths in chosen:
            found.update({int(bars): count for bars, count in lengths.bars.items()})
        return dict(sorted(found.items()))

    def rest(self, metre: str) -> int:
        """Steps that a piece of a metre may end before its last bar line."""
        chosen = [self.metres[metre]] if metre in self.metres else list(self.metres.values())
        return min(lengths.rest for lengths in chosen)

    def tempo_of(self, metre: str) -> int:
        """Microseconds per quarter of the pieces of a metre: their median, or that of all where they have none."""
        own = self.metres[metre].tempo if metre in self.metres else UNKNOWN
        return self.tempo if own == UNKNOWN else own

    def describe(self, representation: Representation) -> str:
        """The figures in one line."""
        empty = representation.quantise(NoteSequence.from_columns([], [], []))
        longest, unit = self.longest / empty.ticks_per_quarter, "quarters"
        if representation.timing == "second":
            longest, unit = longest * int(empty.tempo[0]) / 1e6, "s"
        bars = [number for number, count in self.bars("").items() for _ in range(count)]
        metres = ", ".join(
            f"{name} ({sum(lengths.bars.values()):,})" for name, lengths in list(self.metres.items())[:4]
        )
        more = f" and {len(self.metres) - 4} more" if len(self.metres) > 4 else ""
        tempo = "none" if self.tempo == UNKNOWN else f"{60e6 / self.tempo:.4g} quarters a minute"
        return (
            f"training pieces: longest note {longest:.4g} {unit}, pitches {self.lowest}..{self.highest}, "
            f"{len(self.tokens):,} different tokens, {bars[0]:,} to {bars[-1]:,} bars (median {median_low(bars):,}), "
            f"metre {metres}{more}, tempo {tempo}, program {'none' if self.program == UNKNOWN else self.program}"
        )


def _median_tempo(shapes: Iterable[Shape]) -> int:
    tempos = [shape.tempo for shape in shapes if shape.tempo != UNKNOWN]
    return median_low(tempos) if tempos else UNKNOWN


def bounds_of(
    representation: TokenRepresentation,
    repertoire: Repertoire | None,
    metre: TimeSignature | None = None,
    end: int | None = None,
    rest: int = 0,
) -> Bounds:
    """The bounds of a sample.

    Args:
        repertoire: whose tokens and longest note bound it; None for any.
        metre: of the whole piece, where the representation writes one; None leaves it to the model.
        end, rest: as in `Bounds`.
    """
    size = len(representation.tokens)
    tokens = np.ones(size, dtype=np.bool_)
    if repertoire is not None:
        tokens[:] = False
        tokens[[token for token in repertoire.tokens if FIRST_ID <= token < size]] = True
        tokens[EOS] = True
    if metre is not None and repertoire is not None and metre.name not in repertoire.metres:
        _add_places(representation, tokens)
    written = None if metre is None else representation.written_metre(metre)
    if written is not None:
        tokens[list(representation.metre_ids)] = False
        tokens[written[1]] = True
    return Bounds(tokens, ANY_LENGTH if repertoire is None else repertoire.longest, end, rest)


def _add_places(representation: TokenRepresentation, tokens: npt.NDArray[np.bool_]) -> None:
    """Add the steps of a bar of another metre: those that lie in a quarter where any step that occurs does."""
    if representation.bar_places is None:
        return
    steps = representation.bar_places[1]
    quarter = representation.decode([]).ticks_per_quarter
    seen = {place % quarter for place, token in enumerate(steps) if tokens[token]}
    tokens[[token for place, token in enumerate(steps) if place % quarter in seen]] = True


def bar_quarters(metre: TimeSignature) -> Fraction:
    """Quarters in a bar."""
    return Fraction(4 * metre.numerator, metre.denominator)


def metre_named(name: str, what: str = "metre") -> TimeSignature:
    """The time signature of a name such as 6/8. Raises OptionError, which begins with `what`, for any other text."""
    numerator, slash, denominator = name.partition("/")
    if slash and all(part.isascii() and part.isdecimal() and len(part) < 4 for part in (numerator, denominator)):
        try:
            return TimeSignature(0, int(numerator), int(denominator))
        except ValueError:
            pass
    raise OptionError(f"{what} {name!r}, expected a time signature such as 3/4 or 6/8")
