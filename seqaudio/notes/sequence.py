"""Notes as columns: the form that every MIDI file, representation and figure of the toolkit shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from seqaudio.notes.columns import (
    HIGHEST_TICK,
    HIGHEST_VALUE,
    TICK,
    TYPES,
    check_bounds,
    check_column,
    check_notes,
    converted,
    in_order,
    order_of,
)

__all__ = [
    "DEFAULT_TEMPO",
    "HIGHEST_RESOLUTION",
    "HIGHEST_TEMPO",
    "HIGHEST_TICK",
    "HIGHEST_VALUE",
    "KeySignature",
    "NoteSequence",
    "TimeSignature",
    "tempo_map",
]

DEFAULT_TEMPO = 500_000  # microseconds per quarter: 120 quarters a minute, what a file without a tempo means
HIGHEST_TEMPO = 0xFFFFFF  # inclusive; a tempo event has three bytes
HIGHEST_RESOLUTION = 0x7FFF  # ticks per quarter, inclusive; the header has fifteen bits

_PEDAL_COLUMNS = 3


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
    The columns are read-only. Two sequences are equal when all but their remarks are. Notes end where their keys are
    released; `pedals` tell when the sustain pedal of a track was down, and `apply_pedals` lets it hold the notes.

    Raises:
        ValueError: a column of another type or length, a value outside its bounds, notes out of order, a tempo
            map that does not begin at tick 0 or does not rise, a pedal of no track or that goes up before it is down.
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
    # [P, 3] track, tick from which the pedal is down, tick at which it goes up; by (down, track)
    pedals: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, _PEDAL_COLUMNS), np.int64))

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
        pedals: npt.ArrayLike = (),
    ) -> NoteSequence:
        """Convert, broadcast and sort the columns.

        Args:
            tempos: (tick, microseconds per quarter), put in order by `tempo_map`; 120 quarters a minute hold before
                the first.
            track_names: without them every track is nameless.
            pedals: [P, 3] as the field, in any order.
        """
        given = (start_tick, end_tick, pitch, velocity, program, track, is_drum)
        columns: dict[str, Any] = {name: converted(name, values) for name, values in zip(TYPES, given, strict=True)}
        count = len(columns["start_tick"])
        for name, column in columns.items():
            if len(column) != count:
                if len(column) != 1:
                    raise ValueError(f"{name} has {len(column)} values, start_tick has {count}")
                columns[name] = np.repeat(column, count)
        order = order_of(columns)
        if order is not None:
            columns = {name: column[order] for name, column in columns.items()}
        if track_names is None:
            track_names = ("",) * (int(columns["track"].max(initial=0)) + 1)
        tempo_tick, tempo = tempo_map(tempos)
        down = np.asarray(pedals, dtype=np.int64).reshape(-1, _PEDAL_COLUMNS)
        made = cls.trusted(
            **columns,
            ticks_per_quarter=ticks_per_quarter,
            tempo_tick=tempo_tick,
            tempo=tempo,
            time_signatures=tuple(sorted(time_signatures, key=lambda signature: signature.tick)),
            key_signatures=tuple(sorted(key_signatures, key=lambda signature: signature.tick)),
            track_names=tuple(track_names),
            remarks=tuple(remarks),
            pedals=down[np.lexsort((down[:, 0], down[:, 1]))] if len(down) else down,
        )
        made._check()
        return made

    @classmethod
    def trusted(cls, *, locked: bool = False, **parts: Any) -> NoteSequence:
        """A sequence of parts, all of them, that are known to be right, without a check.

        `locked` says that the arrays are read-only already; otherwise the sequence gets views that are.
        """
        made = object.__new__(cls)
        made.__dict__.update(parts)
        if not locked:
            made._lock()
        return made

    def __post_init__(self) -> None:
        for name, kind in TYPES.items():
            check_column(name, getattr(self, name), kind, len(self))
        check_column("tempo_tick", self.tempo_tick, TICK, len(self.tempo_tick))
        check_column("tempo", self.tempo, TICK, len(self.tempo_tick))
        self._check()
        if not in_order({name: getattr(self, name) for name in TYPES}):
            raise ValueError("the notes are not in order; NoteSequence.from_columns sorts them")
        self._lock()

    def _check(self) -> None:
        """What is neither a matter of types nor of order."""
        if len(self):
            check_notes({name: getattr(self, name) for name in TYPES}, len(self.track_names))
        if not 1 <= self.ticks_per_quarter <= HIGHEST_RESOLUTION:
            raise ValueError(f"{self.ticks_per_quarter} ticks per quarter, expected 1..{HIGHEST_RESOLUTION}")
        ticks = self.tempo_tick
        if len(ticks) == 0 or ticks[0] != 0 or (ticks[1:] <= ticks[:-1]).any():
            raise ValueError(f"the tempo map must begin at tick 0 and rise, got ticks {ticks[:5]}")
        check_bounds("tempo_tick", ticks, 0, HIGHEST_TICK)
        check_bounds("tempo (microseconds per quarter)", self.tempo, 1, HIGHEST_TEMPO)
        for signatures in (self.time_signatures, self.key_signatures):
            places = [signature.tick for signature in signatures]
            if places != sorted(places):
                raise ValueError(f"signatures must come in the order of their ticks, got {places[:5]}")
        self._check_pedals()

    def _check_pedals(self) -> None:
        if self.pedals.ndim != 2 or self.pedals.shape[1] != _PEDAL_COLUMNS or self.pedals.dtype != TICK:
            raise ValueError(f"pedals are {self.pedals.dtype} {list(self.pedals.shape)}, expected int64 [P, 3]")
        if not len(self.pedals):
            return
        track, down, up = self.pedals.T
        check_bounds("track of a pedal", track, 0, len(self.track_names) - 1)
        check_bounds("tick of a pedal", self.pedals[:, 1:], 0, HIGHEST_TICK)
        if (up < down).any() or (down[1:] < down[:-1]).any():
            raise ValueError("pedals must come in the order of their ticks, and go up behind where they go down")

    def _lock(self) -> None:
        for name in (*TYPES, "tempo_tick", "tempo", "pedals"):
            array = self.__dict__[name]
            if array.flags.writeable:
                self.__dict__[name] = array = array.view()
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.start_tick)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NoteSequence):
            return NotImplemented
        columns = (*TYPES, "tempo_tick", "tempo", "pedals")
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
        elapsed = np.zeros(len(self.tempo), dtype=np.int64)
        np.cumsum((self.tempo_tick[1:] - self.tempo_tick[:-1]) * self.tempo[:-1], out=elapsed[1:])
        return elapsed

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
    def last_tick(self) -> int:
        """The end of the last note; 0 without notes."""
        return int(self.end_tick.max(initial=0))

    @cached_property
    def duration(self) -> float:
        """Seconds from tick 0 to the end of the last note; 0 without notes."""
        # as `seconds` reckons, without its arrays
        last = self.last_tick
        if len(self.tempo) == 1:
            return last * int(self.tempo[0]) / (self.ticks_per_quarter * 1e6)
        index = int(self.tempo_tick.searchsorted(last, side="right")) - 1
        elapsed = int(self._elapsed[index]) + (last - int(self.tempo_tick[index])) * int(self.tempo[index])
        return elapsed / (self.ticks_per_quarter * 1e6)

    def select(self, which: npt.NDArray[np.bool_]) -> NoteSequence:
        """The notes for which `which` [N] is true; maps, names and pedals stay."""
        if which.all():
            return self
        return self._with(**{name: getattr(self, name)[which] for name in TYPES})

    def with_columns(self, **columns: npt.ArrayLike) -> NoteSequence:
        """The same piece with some columns replaced, in order again.

        Pedals stay where notes keep their ticks and tracks; where those change, nobody knows when the pedal was down.
        """
        kept = not columns.keys() & {"start_tick", "end_tick", "track"}
        made = NoteSequence.from_columns(
            **{name: columns.get(name, getattr(self, name)) for name in TYPES}, track_names=self.track_names
        )
        moved = {name: getattr(made, name) for name in TYPES}
        return self._with(**moved, pedals=self.pedals if kept else made.pedals)

    def at_ticks(
        self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], pedals: npt.NDArray[np.int64]
    ) -> NoteSequence:
        """The notes at other ticks [N], and the pedals there, all known to be right; in order again."""
        columns = {name: getattr(self, name) for name in TYPES} | {"start_tick": start, "end_tick": end}
        order = order_of(columns)
        if order is not None:
            columns = {name: column[order] for name, column in columns.items()}
        return self._with(**columns, pedals=pedals)

    def _with(self, **parts: Any) -> NoteSequence:
        """The same but for parts that are known to be right."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return NoteSequence.trusted(**(own | parts))

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
            pedals=np.column_stack([self.pedals[:, 0], scale(self.pedals[:, 1]), scale(self.pedals[:, 2])]),
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
    ticks, values = zip(*changes, strict=True)
    return np.array(ticks, dtype=np.int64), np.array(values, dtype=np.int64)
