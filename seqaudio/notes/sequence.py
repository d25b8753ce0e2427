"""NoteSequence: a piece of music as columns of notes, shared by MIDI files, representations and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from seqaudio.notes.columns import (
    MAX_TICK,
    MAX_VALUE,
    TICK,
    TYPES,
    check_bounds,
    check_column,
    check_notes,
    converted,
    is_sorted,
    sorting_order,
)

__all__ = [
    "DEFAULT_TEMPO",
    "MAX_RESOLUTION",
    "MAX_TEMPO",
    "MAX_TICK",
    "MAX_VALUE",
    "KeySignature",
    "NoteSequence",
    "TimeSignature",
    "tempo_map",
]

DEFAULT_TEMPO = 500_000  # microseconds per quarter: 120 quarters a minute, the tempo of a file that gives none
MAX_TEMPO = 0xFFFFFF  # inclusive; a tempo event has three bytes
MAX_RESOLUTION = 0x7FFF  # ticks per quarter, inclusive; the header has fifteen bits

_PEDAL_COLUMNS, _CONTROL_COLUMNS = 3, 4


@dataclass(frozen=True, order=True)
class TimeSignature:
    """`numerator`/`denominator` from `tick` on. Raises ValueError for values that MIDI does not allow."""

    tick: int
    numerator: int  # 1..255
    denominator: int  # a power of two, 1..128

    def __post_init__(self) -> None:
        if self.tick < 0 or not 1 <= self.numerator <= 255:
            raise ValueError(
                f"time signature {self.name} at tick {self.tick}: expected a numerator in 1..255, a tick from 0 on"
            )
        if self.denominator not in (1, 2, 4, 8, 16, 32, 64, 128):
            raise ValueError(
                f"time signature {self.name} at tick {self.tick}: expected a power of two in 1..128 as denominator"
            )

    @property
    def name(self) -> str:
        """Such as `6/8`."""
        return f"{self.numerator}/{self.denominator}"


@dataclass(frozen=True, order=True)
class KeySignature:
    """Key from `tick` on. Raises ValueError for a key outside the circle of fifths."""

    tick: int
    sharps: int  # -7..7, negative for flats
    minor: bool = False

    def __post_init__(self) -> None:
        if self.tick < 0 or not -7 <= self.sharps <= 7:
            raise ValueError(
                f"key signature of {self.sharps} sharps at tick {self.tick}: expected sharps in -7..7, a tick from 0 on"
            )


@dataclass(frozen=True, eq=False)
class NoteSequence:
    """A piece of music as N notes in columns, ordered by (start, pitch, end, track, program, drum, velocity).

    `NoteSequence.from_columns` makes one from lists and scalars in any order; the constructor itself only checks.
    The columns are read-only. Two sequences are equal if everything but remarks and controls is. Notes end where their
    keys are released; `pedals` holds when the sustain pedal of a track was down, and `apply_pedals` prolongs notes by
    it. `controls` are for `render` alone: operations that move notes drop them, and no file is written with them.

    Raises:
        ValueError: a column of a wrong type or length, a value out of bounds, notes that are not sorted, a tempo map
            that does not begin at tick 0 or does not rise, a pedal of an unknown track or that goes up before down.
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
    remarks: tuple[str, ...] = ()  # what the reader of a file left out or corrected
    # [P, 3] track, tick at which the pedal goes down, tick at which it goes up; sorted by (down, track)
    pedals: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, _PEDAL_COLUMNS), np.int64))
    # [C, 4] track, tick, kind and value as in `notes/controls.py`; sorted by tick; only where a reader was asked for it
    controls: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, _CONTROL_COLUMNS), np.int64))

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
        controls: npt.ArrayLike = (),
    ) -> NoteSequence:
        """Convert, broadcast and sort the columns.

        Args:
            tempos: (tick, microseconds per quarter), sorted by `tempo_map`; before the first, 120 quarters a minute.
            track_names: by default every track has an empty name.
            pedals: [P, 3] as in the field `pedals`, in any order.
            controls: [C, 4] as in the field `controls`; of several at one tick the last one holds.
        """
        given = (start_tick, end_tick, pitch, velocity, program, track, is_drum)
        columns: dict[str, Any] = {name: converted(name, values) for name, values in zip(TYPES, given, strict=True)}
        count = len(columns["start_tick"])
        for name, column in columns.items():
            if len(column) != count:
                if len(column) != 1:
                    raise ValueError(f"{name} has {len(column)} values, start_tick has {count}")
                columns[name] = np.repeat(column, count)
        order = sorting_order(columns)
        if order is not None:
            columns = {name: column[order] for name, column in columns.items()}
        if track_names is None:
            track_names = ("",) * (int(columns["track"].max(initial=0)) + 1)
        tempo_tick, tempo = tempo_map(tempos)
        down = np.asarray(pedals, dtype=np.int64).reshape(-1, _PEDAL_COLUMNS)
        changes = np.asarray(controls, dtype=np.int64).reshape(-1, _CONTROL_COLUMNS)
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
            controls=changes[np.argsort(changes[:, 1], kind="stable")],
        )
        made._check()
        return made

    @classmethod
    def trusted(cls, *, locked: bool = False, **parts: Any) -> NoteSequence:
        """A sequence from values of all its fields that are known to be valid, without checking them.

        `locked`: the arrays are read-only already; otherwise the sequence gets read-only views of them.
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
        if not is_sorted({name: getattr(self, name) for name in TYPES}):
            raise ValueError("the notes are not sorted; NoteSequence.from_columns sorts them")
        self._lock()

    def _check(self) -> None:
        """Raise ValueError for invalid values; types and the order of notes are checked elsewhere."""
        if len(self):
            check_notes({name: getattr(self, name) for name in TYPES}, len(self.track_names))
        if not 1 <= self.ticks_per_quarter <= MAX_RESOLUTION:
            raise ValueError(f"{self.ticks_per_quarter} ticks per quarter, expected 1..{MAX_RESOLUTION}")
        ticks = self.tempo_tick
        if len(ticks) == 0 or ticks[0] != 0 or (ticks[1:] <= ticks[:-1]).any():
            raise ValueError(f"the tempo map must begin at tick 0 and rise, got ticks {ticks[:5]}")
        check_bounds("tempo_tick", ticks, 0, MAX_TICK)
        check_bounds("tempo (microseconds per quarter)", self.tempo, 1, MAX_TEMPO)
        for signatures in (self.time_signatures, self.key_signatures):
            ticks_of = [signature.tick for signature in signatures]
            if ticks_of != sorted(ticks_of):
                raise ValueError(f"signatures must be sorted by their ticks, got ticks {ticks_of[:5]}")
        self._check_pedals()

    def _check_pedals(self) -> None:
        if self.controls.ndim != 2 or self.controls.shape[1] != _CONTROL_COLUMNS or self.controls.dtype != TICK:
            raise ValueError(f"controls are {self.controls.dtype} {list(self.controls.shape)}, expected int64 [C, 4]")
        if len(self.controls):
            check_bounds("controlled track", self.controls[:, 0], 0, len(self.track_names) - 1)
            check_bounds("control tick", self.controls[:, 1], 0, MAX_TICK)
        if self.pedals.ndim != 2 or self.pedals.shape[1] != _PEDAL_COLUMNS or self.pedals.dtype != TICK:
            raise ValueError(f"pedals are {self.pedals.dtype} {list(self.pedals.shape)}, expected int64 [P, 3]")
        if not len(self.pedals):
            return
        track, down, up = self.pedals.T
        check_bounds("pedal track", track, 0, len(self.track_names) - 1)
        check_bounds("pedal tick", self.pedals[:, 1:], 0, MAX_TICK)
        if (up < down).any() or (down[1:] < down[:-1]).any():
            raise ValueError("pedals must be sorted by their ticks, and must not go up before they go down")

    def _lock(self) -> None:
        for name in (*TYPES, "tempo_tick", "tempo", "pedals", "controls"):
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
        """[K] ticks * microseconds per quarter, summed from tick 0 up to the beginning of each tempo."""
        elapsed = np.zeros(len(self.tempo), dtype=np.int64)
        np.cumsum((self.tempo_tick[1:] - self.tempo_tick[:-1]) * self.tempo[:-1], out=elapsed[1:])
        return elapsed

    def seconds(self, ticks: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Times of ticks in seconds, by the tempo map; the shape stays.

            (sum over tempos k before t of (tick_{k+1} - tick_k) tempo_k  +  (t - tick_K) tempo_K) / (tpq * 10^6)

        The sum is exact, in integers; only the division rounds.
        Raises ValueError for ticks that are not integers in 0..2^38.
        """
        ticks = np.asarray(ticks)
        if ticks.dtype.kind not in "iu" or (ticks.size and (ticks.min() < 0 or ticks.max() > MAX_TICK)):
            raise ValueError(f"ticks must be integers in 0..{MAX_TICK}, got {ticks.dtype} {ticks.flat[:3]}")
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
        # the same as `seconds` of the last tick, but faster: without its arrays
        last = self.last_tick
        if len(self.tempo) == 1:
            return last * int(self.tempo[0]) / (self.ticks_per_quarter * 1e6)
        index = int(self.tempo_tick.searchsorted(last, side="right")) - 1
        elapsed = int(self._elapsed[index]) + (last - int(self.tempo_tick[index])) * int(self.tempo[index])
        return elapsed / (self.ticks_per_quarter * 1e6)

    def select(self, which: npt.NDArray[np.bool_]) -> NoteSequence:
        """Only the notes for which `which` [N] is true; tempos, signatures, pedals and the like stay."""
        if which.all():
            return self
        return self._with(**{name: getattr(self, name)[which] for name in TYPES})

    def with_columns(self, **columns: npt.ArrayLike) -> NoteSequence:
        """The same piece with some columns replaced, sorted again.

        Pedals and controls are dropped where ticks or tracks are replaced: they would no longer belong to the notes.
        """
        kept = not columns.keys() & {"start_tick", "end_tick", "track"}
        made = NoteSequence.from_columns(
            **{name: columns.get(name, getattr(self, name)) for name in TYPES}, track_names=self.track_names
        )
        moved = {name: getattr(made, name) for name in TYPES}
        return self._with(**moved) if kept else self._with(**moved, pedals=made.pedals, controls=made.controls)

    def at_ticks(
        self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], pedals: npt.NDArray[np.int64]
    ) -> NoteSequence:
        """The notes at other ticks [N], with other pedals, all known to be valid; sorted again."""
        columns = {name: getattr(self, name) for name in TYPES} | {"start_tick": start, "end_tick": end}
        order = sorting_order(columns)
        if order is not None:
            columns = {name: column[order] for name, column in columns.items()}
        return self._with(**columns, pedals=pedals)

    def _with(self, **parts: Any) -> NoteSequence:
        """The same with some fields replaced by values that are known to be valid."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return NoteSequence.trusted(**(own | parts))

    def rescaled(self, ticks_per_quarter: int) -> NoteSequence:
        """The same piece at another resolution. Raises ValueError where a tick would become a fraction."""
        if ticks_per_quarter == self.ticks_per_quarter:
            return self

        def scale(ticks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            scaled, rest = np.divmod(ticks * ticks_per_quarter, self.ticks_per_quarter)
            if rest.any():
                raise ValueError(
                    f"tick {ticks[rest > 0][0]} at {self.ticks_per_quarter} ticks per quarter is not a whole tick at "
                    f"{ticks_per_quarter}; quantise first, or choose a multiple of {self.ticks_per_quarter}"
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
            controls=np.column_stack([self.controls[:, 0], scale(self.controls[:, 1]), self.controls[:, 2:]]),
            time_signatures=tuple(replace(s, tick=moved(s.tick)) for s in self.time_signatures),
            key_signatures=tuple(replace(s, tick=moved(s.tick)) for s in self.key_signatures),
        )


def tempo_map(tempos: Iterable[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ticks [K], rising from 0, and microseconds per quarter [K], from pairs (tick, tempo) in any order.

    Of two tempos at one tick the one given later holds; a tempo equal to the previous one is left out.
    """
    latest = {0: DEFAULT_TEMPO}
    latest.update(tempos)
    changes: list[tuple[int, int]] = []
    for tick in sorted(latest):
        if not changes or latest[tick] != changes[-1][1]:
            changes.append((tick, latest[tick]))
    ticks, values = zip(*changes, strict=True)
    return np.array(ticks, dtype=np.int64), np.array(values, dtype=np.int64)
