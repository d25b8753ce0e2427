"""Notes as columns: the form that every MIDI file, representation and figure of the toolkit shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

DEFAULT_TEMPO = 500_000  # microseconds per quarter: 120 quarters a minute, what a file without a tempo means
HIGHEST_TEMPO = 0xFFFFFF  # inclusive; a tempo event has three bytes
HIGHEST_RESOLUTION = 0x7FFF  # ticks per quarter, inclusive; the header has fifteen bits
HIGHEST_TICK = 2**38  # inclusive; ticks * microseconds then stay within int64
HIGHEST_VALUE = 127  # pitch, velocity and program, inclusive

_COLUMNS: dict[str, np.dtype[Any]] = {
    "start_tick": np.dtype(np.int64),
    "end_tick": np.dtype(np.int64),
    "pitch": np.dtype(np.int16),
    "velocity": np.dtype(np.int16),
    "program": np.dtype(np.int16),
    "track": np.dtype(np.int16),
    "is_drum": np.dtype(np.bool_),
}
_TICKS = _COLUMNS["start_tick"]
# inclusive bounds of the columns; the upper bound of `track` follows from the track names
_BOUNDS = {
    "start_tick": (0, HIGHEST_TICK),
    "end_tick": (0, HIGHEST_TICK),
    "pitch": (0, HIGHEST_VALUE),
    "velocity": (1, HIGHEST_VALUE),  # 0 would be a note-off
    "program": (0, HIGHEST_VALUE),
    "track": (0, 2**15 - 1),
}


@dataclass(frozen=True, order=True)
class TimeSignature:
    """`numerator`/`denominator` from `tick` on. Raises ValueError for what no bar can have."""

    tick: int
    numerator: int  # 1..255
    denominator: int  # a power of two, 1..128

    def __post_init__(self) -> None:
        if self.tick < 0 or not 1 <= self.numerator <= 255:
            raise ValueError(f"{self}: the tick must not be negative, the numerator in 1..255")
        if self.denominator not in (1, 2, 4, 8, 16, 32, 64, 128):
            raise ValueError(f"{self}: the denominator must be a power of two in 1..128")


@dataclass(frozen=True, order=True)
class KeySignature:
    """Key from `tick` on. Raises ValueError for a key outside the circle of fifths."""

    tick: int
    sharps: int  # -7..7, negative for flats
    minor: bool = False

    def __post_init__(self) -> None:
        if self.tick < 0 or not -7 <= self.sharps <= 7:
            raise ValueError(f"{self}: the tick must not be negative, the sharps in -7..7")


@dataclass(frozen=True, eq=False)
class NoteSequence:
    """A piece of music as N notes in columns, ordered by (start, pitch, end, track, program, drum, velocity).

    `NoteSequence.from_columns` makes one from lists and scalars in any order; the constructor itself only checks.
    The columns are read-only. Two sequences are equal when all but their remarks are.

    Raises:
        ValueError: a column of another type or length, a value outside its bounds, notes out of order, a tempo
            map that does not begin at tick 0 or does not rise.
    """

    start_tick: npt.NDArray[np.int64]  # [N]
    end_tick: npt.NDArray[np.int64]  # [N]; equal to the start for a note without length
    pitch: npt.NDArray[np.int16]  # [N] 0..127, 60 is middle C
    velocity: npt.NDArray[np.int16]  # [N] 1..127
    program: npt.NDArray[np.int16]  # [N] 0..127, General MIDI counted from 0
    track: npt.NDArray[np.int16]  # [N] index into track_names
    is_drum: npt.NDArray[np.bool_]  # [N]
    ticks_per_quarter: int  # 1..32767
    tempo_tick: npt.NDArray[np.int64]  # [K] where each tempo begins; the first is 0
    tempo: npt.NDArray[np.int64]  # [K] microseconds per quarter, 1..16777215
    time_signatures: tuple[TimeSignature, ...] = ()
    key_signatures: tuple[KeySignature, ...] = ()
    track_names: tuple[str, ...] = ("",)
    remarks: tuple[str, ...] = ()  # what a reader had to leave out or put right

    @classmethod
    def from_columns(
        cls,
        start_tick: npt.ArrayLike,
        end_tick: npt.ArrayLike,
        pitch: npt.ArrayLike,
        velocity: npt.ArrayLike = 64,
        program: npt.ArrayLike = 0,
        track: npt.ArrayLike = 0,
        is_drum: npt.ArrayLike = False,
        *,
        ticks_per_quarter: int = 480,
        tempos: Iterable[tuple[int, int]] = (),
        time_signatures: Iterable[TimeSignature] = (),
        key_signatures: Iterable[KeySignature] = (),
        track_names: Sequence[str] | None = None,
        remarks: Sequence[str] = (),
    ) -> NoteSequence:
        """Convert, broadcast and sort the columns.

        Args:
            tempos: (tick, microseconds per quarter), put in order by `tempo_map`; 120 quarters a minute hold before
                the first.
            track_names: without them every track is nameless.
        """
        given = (start_tick, end_tick, pitch, velocity, program, track, is_drum)
        columns = {name: _column(name, values) for name, values in zip(_COLUMNS, given, strict=True)}
        count = len(columns["start_tick"])
        for name, column in columns.items():
            if len(column) != count:
                if len(column) != 1:
                    raise ValueError(f"{name} has {len(column)} values, start_tick has {count}")
                columns[name] = np.repeat(column, count)
        if not _is_sorted(columns):
            order = np.lexsort(_sort_keys(columns))
            columns = {name: column[order] for name, column in columns.items()}
        if track_names is None:
            track_names = ("",) * (int(columns["track"].max(initial=0)) + 1)
        tempo_tick, tempo = tempo_map(tempos)
        return cls(
            **columns,
            ticks_per_quarter=ticks_per_quarter,
            tempo_tick=tempo_tick,
            tempo=tempo,
            time_signatures=tuple(sorted(time_signatures, key=lambda signature: signature.tick)),
            key_signatures=tuple(sorted(key_signatures, key=lambda signature: signature.tick)),
            track_names=tuple(track_names),
            remarks=tuple(remarks),
        )

    def __post_init__(self) -> None:
        for name, kind in _COLUMNS.items():
            _check_column(name, getattr(self, name), kind, len(self))
        if len(self):
            self._check_notes()
        if not 1 <= self.ticks_per_quarter <= HIGHEST_RESOLUTION:
            raise ValueError(f"{self.ticks_per_quarter} ticks per quarter, expected 1..{HIGHEST_RESOLUTION}")
        self._check_maps()
        for name in (*_COLUMNS, "tempo_tick", "tempo"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def _check_notes(self) -> None:
        bounds = _BOUNDS | {"track": (0, len(self.track_names) - 1)}
        for name, (low, high) in bounds.items():
            _check_bounds(name, getattr(self, name), low, high)
        if (self.end_tick < self.start_tick).any():
            raise ValueError("a note ends before it starts")
        if not _is_sorted({name: getattr(self, name) for name in _COLUMNS}):
            raise ValueError("the notes are not in order; NoteSequence.from_columns sorts them")

    def _check_maps(self) -> None:
        _check_column("tempo_tick", self.tempo_tick, _TICKS, len(self.tempo_tick))
        _check_column("tempo", self.tempo, _TICKS, len(self.tempo_tick))
        ticks = self.tempo_tick
        if len(ticks) == 0 or ticks[0] != 0 or (ticks[1:] <= ticks[:-1]).any():
            raise ValueError(f"the tempo map must begin at tick 0 and rise, got ticks {ticks[:5]}")
        _check_bounds("tempo_tick", ticks, 0, HIGHEST_TICK)
        _check_bounds("tempo (microseconds per quarter)", self.tempo, 1, HIGHEST_TEMPO)
        for signatures in (self.time_signatures, self.key_signatures):
            places = [signature.tick for signature in signatures]
            if places != sorted(places):
                raise ValueError(f"signatures must come in the order of their ticks, got {places[:5]}")

    def __len__(self) -> int:
        return len(self.start_tick)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NoteSequence):
            return NotImplemented
        columns = (*_COLUMNS, "tempo_tick", "tempo")
        plain = ("ticks_per_quarter", "time_signatures", "key_signatures", "track_names")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in columns
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def __repr__(self) -> str:
        return f"NoteSequence({len(self)} notes, {len(self.track_names)} tracks, {self.duration:.3f} s)"

    @cached_property
    def _elapsed(self) -> npt.NDArray[np.int64]:
        """[K] ticks times microseconds per quarter, summed up to the beginning of each tempo."""
        spans = np.diff(self.tempo_tick) * self.tempo[:-1]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(spans)])

    def seconds(self, ticks: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Time of ticks in seconds, through the tempo map.

            (sum over tempos k before t of (tick_{k+1} - tick_k) tempo_k  +  (t - tick_K) tempo_K) / (tpq * 10^6)

        The sum is taken in integers; the only rounding is that of one division. Shape as given.
        Raises ValueError for ticks that are not integers in 0..2^38.
        """
        ticks = np.asarray(ticks)
        if ticks.dtype.kind not in "iu" or (ticks.size and (ticks.min() < 0 or ticks.max() > HIGHEST_TICK)):
            raise ValueError(f"ticks must be integers in 0..{HIGHEST_TICK}, got {ticks.dtype} {ticks.flat[:3]}")
        ticks = ticks.astype(np.int64)
        index = np.searchsorted(self.tempo_tick, ticks, side="right") - 1
        elapsed = self._elapsed[index] + (ticks - self.tempo_tick[index]) * self.tempo[index]
        return np.asarray(elapsed / (self.ticks_per_quarter * 1e6))

    @cached_property
    def start(self) -> npt.NDArray[np.float64]:
        """[N] seconds."""
        return self.seconds(self.start_tick)

    @cached_property
    def end(self) -> npt.NDArray[np.float64]:
        """[N] seconds."""
        return self.seconds(self.end_tick)

    @cached_property
    def duration(self) -> float:
        """Seconds from tick 0 to the end of the last note; 0 without notes."""
        return float(self.seconds(self.end_tick.max(initial=0)))

    def select(self, which: npt.NDArray[np.bool_]) -> NoteSequence:
        """The notes for which `which` [N] is true; maps and names stay."""
        return replace(self, **{name: getattr(self, name)[which] for name in _COLUMNS})

    def with_columns(self, **columns: npt.ArrayLike) -> NoteSequence:
        """The same piece with some columns replaced, in order again."""
        return NoteSequence.from_columns(
            **{name: columns.get(name, getattr(self, name)) for name in _COLUMNS},
            ticks_per_quarter=self.ticks_per_quarter,
            tempos=zip(self.tempo_tick.tolist(), self.tempo.tolist(), strict=True),
            time_signatures=self.time_signatures,
            key_signatures=self.key_signatures,
            track_names=self.track_names,
            remarks=self.remarks,
        )

    def rescaled(self, ticks_per_quarter: int) -> NoteSequence:
        """The same piece at another resolution. Raises ValueError where a tick would not fall on a tick."""
        if ticks_per_quarter == self.ticks_per_quarter:
            return self

        def scale(ticks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            scaled, rest = np.divmod(ticks * ticks_per_quarter, self.ticks_per_quarter)
            if rest.any():
                raise ValueError(
                    f"tick {ticks[rest > 0][0]} at {self.ticks_per_quarter} ticks per quarter has no place at "
                    f"{ticks_per_quarter}; quantise first, or take a multiple"
                )
            return scaled

        def moved(tick: int) -> int:
            return int(scale(np.array([tick], dtype=np.int64))[0])

        return replace(
            self,
            start_tick=scale(self.start_tick),
            end_tick=scale(self.end_tick),
            ticks_per_quarter=ticks_per_quarter,
            tempo_tick=scale(self.tempo_tick),
            time_signatures=tuple(replace(s, tick=moved(s.tick)) for s in self.time_signatures),
            key_signatures=tuple(replace(s, tick=moved(s.tick)) for s in self.key_signatures),
        )


def tempo_map(tempos: Iterable[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ticks [K] and microseconds per quarter [K], rising from tick 0, of (tick, tempo) in any order.

    Of two tempos at one tick the later given holds; a tempo that repeats the one before it is left out.
    """
    latest = {0: DEFAULT_TEMPO}
    latest.update(tempos)
    changes: list[tuple[int, int]] = []
    for tick in sorted(latest):
        if not changes or latest[tick] != changes[-1][1]:
            changes.append((tick, latest[tick]))
    ticks, values = np.array(changes, dtype=np.int64).T
    return ticks.copy(), values.copy()


def _column(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """One column in its own type. Raises ValueError for fractions and for values that the type cannot hold."""
    column = np.atleast_1d(np.asarray(values))
    kind = _COLUMNS[name]
    if column.dtype == kind:
        return column
    if column.size == 0:
        return column.astype(kind)
    if kind.kind != column.dtype.kind and not (kind.kind == "i" and column.dtype.kind == "u"):
        raise ValueError(f"{name} is {column.dtype}, expected {kind}")
    # before the narrowing, or 65,596 would pass for pitch 60
    _check_bounds(name, column, *_BOUNDS[name])
    return column.astype(kind)


def _check_column(name: str, column: object, kind: np.dtype[Any], count: int) -> None:
    if not isinstance(column, np.ndarray) or column.dtype != kind or column.shape != (count,):
        found = f"{column.dtype} {list(column.shape)}" if isinstance(column, np.ndarray) else type(column).__name__
        raise ValueError(f"{name} is {found}, expected {kind} [{count}]")


def _check_bounds(name: str, values: npt.NDArray[Any], low: int, high: int) -> None:
    lowest, highest = values.min(), values.max()
    if lowest < low or highest > high:
        raise ValueError(f"{name} in {lowest}..{highest}, expected {low}..{high}")


def _sort_keys(columns: dict[str, npt.NDArray[Any]]) -> tuple[npt.NDArray[np.int64], ...]:
    """Keys for `np.lexsort`, the first in importance last."""
    track, pitch = columns["track"].astype(np.int64), columns["pitch"]
    rest = ((track * 128 + columns["program"]) * 2 + columns["is_drum"]) * 128 + columns["velocity"]
    return rest, columns["end_tick"], columns["start_tick"] * 128 + pitch


def _is_sorted(columns: dict[str, npt.NDArray[Any]]) -> bool:
    first = columns["start_tick"] * 128 + columns["pitch"]
    rising = first[1:] > first[:-1]
    if rising.all():
        return True  # the common case: no two notes of one pitch begin together
    keys = _sort_keys(columns)
    return bool((np.lexsort(keys) == np.arange(len(first))).all())
