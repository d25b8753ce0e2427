"""The representation `performance`: polyphony as note-on, note-off, time-shift and velocity events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.quantise import as_one_part, grid_steps
from seqaudio.notes.sequence import DEFAULT_TEMPO, MAX_RESOLUTION, MAX_TEMPO, NoteSequence
from seqaudio.tokens.bounded_performance import BoundedPerformance
from seqaudio.tokens.bounds import BoundedGrammar, Bounds
from seqaudio.tokens.loss import Onsets
from seqaudio.tokens.representation import FIRST_ID, REPRESENTATIONS, Grammar, TokenRepresentation, refuse_special
from seqaudio.vocabulary import EOS

Steps = npt.NDArray[np.int64]


@REPRESENTATIONS.register("performance")
@dataclass(frozen=True)
class PerformanceRepresentation(TokenRepresentation):
    """Events in a fixed order. M is the longest shift, B the number of velocity bins.

        id                  token         meaning
        0, 1, 2             PAD BOS EOS
        3 + p               on_p          pitch p begins, p in 0..127, both inclusive
        131 + p             off_p         pitch p ends
        258 + s             shift_s       time advances by s steps, s in 1..M, both inclusive
        259 + M + b         velocity_b    the next notes have a velocity in [128 b/B, 128 (b+1)/B), b in 0..B-1

    Within a step: ends by rising pitch, then beginnings by rising pitch, with a velocity token before a note whose
    velocity differs from that of the previous note. A long wait is written as shifts of M, then one of the remainder.
    All parts become one piano, drums are left out, tempo and signatures are not written. M is four quarters with the
    clock "beat" and one second with the clock "second".

    Source: Oore et al. (2018), "This time with feeling": 10 ms steps, shifts up to 1 s, 32 velocities.
    """

    name: ClassVar[str] = "performance"

    clock: Literal["beat", "second"] = "beat"  # whether steps are fractions of a quarter or of a second
    steps_per_quarter: int = 12  # with the clock "beat"; 12 fits sixteenths and triplets
    steps_per_second: int = 100  # with the clock "second"
    velocity_bins: int = 32  # a power of two, at most 64
    tempo: int = DEFAULT_TEMPO  # microseconds per quarter of decoded pieces

    def __post_init__(self) -> None:
        if self.clock not in ("beat", "second"):
            raise OptionError(f"clock {self.clock!r}, expected 'beat' or 'second'")
        if self.velocity_bins not in (1, 2, 4, 8, 16, 32, 64):
            raise OptionError(f"{self.velocity_bins} velocity bins, expected a power of two in 1..64")
        if not 1 <= self.steps_per_quarter <= 960 or not 1 <= self.steps_per_second <= 1000:
            raise OptionError(
                f"{self.steps_per_quarter} steps per quarter and {self.steps_per_second} per second, "
                "expected 1..960 and 1..1000"
            )
        if not 1 <= self.tempo <= MAX_TEMPO:
            raise OptionError(f"tempo {self.tempo}, expected 1..{MAX_TEMPO} microseconds per quarter")
        if self.clock == "second":
            steps, rest = divmod(self.tempo * self.steps_per_second, 10**6)
            if rest or not 1 <= steps <= MAX_RESOLUTION:
                raise OptionError(
                    f"{self.steps_per_second} steps per second at {self.tempo} microseconds per quarter do not give a "
                    "whole number of steps per quarter; try 100 at 500000"
                )

    @property
    def ticks_per_quarter(self) -> int:
        """Resolution of the results of `quantise` and `decode`: one tick is one step."""
        if self.clock == "beat":
            return self.steps_per_quarter
        return self.tempo * self.steps_per_second // 10**6

    @property
    def timing(self) -> Literal["beat", "second"]:
        return self.clock

    @property
    def ids(self) -> PerformanceIds:
        longest = 4 * self.steps_per_quarter if self.clock == "beat" else self.steps_per_second
        return PerformanceIds(longest, self.velocity_bins)

    @property
    def event_tokens(self) -> tuple[str, ...]:
        ids = self.ids
        return (
            *(f"on_{pitch}" for pitch in range(128)),
            *(f"off_{pitch}" for pitch in range(128)),
            *(f"shift_{steps}" for steps in range(1, ids.longest_shift + 1)),
            *(f"velocity_{index}" for index in range(ids.velocity_bins)),
        )

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        return self._sequence(*self._steps(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        start, end, pitch, bins = self._steps(notes)
        # each event packed into one integer, to sort by time, end before beginning, pitch, velocity
        begin = (start << 15) + (1 << 14) + (pitch << 7) + bins
        events = np.sort(np.concatenate([(end << 15) + (pitch << 7), begin]))
        time, pitch, bins = events >> 15, events >> 7 & 127, events & 127
        begins = (events >> 14 & 1).astype(np.bool_)
        return self._stream(time, begins, pitch, bins)

    def _stream(self, time: Steps, begins: npt.NDArray[np.bool_], pitch: Steps, bins: Steps) -> npt.NDArray[np.int64]:
        """The tokens of events [E] that are sorted."""
        ids = self.ids
        gaps = time.copy()
        gaps[1:] -= time[:-1]
        long_shifts = gaps // ids.longest_shift
        short_shift = gaps - long_shifts * ids.longest_shift
        shifted = short_shift > 0
        changed = np.zeros(len(time), dtype=np.bool_)  # whether a velocity token comes before the event
        velocities = bins[begins]
        changed[begins] = np.append(True, velocities[1:] != velocities[:-1])[: len(velocities)]
        # the position of each event's own token, after its shifts and its velocity
        position = np.cumsum(long_shifts + shifted + changed + 1) - 1
        stream = np.full(position[-1] + 1 if len(position) else 0, ids.shift(ids.longest_shift), dtype=np.int64)
        stream[position] = np.where(begins, ids.on, ids.off) + pitch
        stream[position[changed] - 1] = ids.velocity + bins[changed]
        stream[(position - changed - 1)[shifted]] = ids.shift(0) + short_shift[shifted]
        return stream

    def _steps(self, notes: NoteSequence) -> tuple[Steps, Steps, Steps, Steps]:
        """Start, end, pitch and velocity bin of the notes that can be written, [N] each, sorted by pitch and start."""
        notes = notes.select(~notes.is_drum)
        if self.clock == "beat":
            start, end = grid_steps(notes, self.steps_per_quarter)
        else:
            start = np.floor(notes.start * self.steps_per_second + 0.5).astype(np.int64)
            end = np.floor(notes.end * self.steps_per_second + 0.5).astype(np.int64)
            end = np.maximum(end, start + 1)
        pitch, bins = notes.pitch.astype(np.int64), self._bins(notes.velocity)
        start, end, pitch, bins = as_one_part(start, end, pitch, bins)
        return start, end, pitch, bins

    def onsets(self, encoded: npt.NDArray[np.int64]) -> Onsets:
        ids = self.ids
        shifts = (encoded >= ids.shift(1)) & (encoded < ids.velocity)
        step = np.cumsum(np.where(shifts, encoded - ids.shift(0), 0))
        places = np.flatnonzero((encoded >= ids.on) & (encoded < ids.off))
        steps = self.steps_per_quarter if self.clock == "beat" else self.steps_per_second
        return Onsets(step[places], encoded[places] - ids.on, steps)

    def grammar(self) -> Grammar:
        return PerformanceGrammar(self.ids)

    @property
    def ends_on_bars(self) -> bool:
        return True

    @property
    def tempo_ids(self) -> range:
        return range(self.ids.shift(1), self.ids.velocity) if self.clock == "second" else range(0)

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        return BoundedPerformance(self.grammar(), bounds, self.ids)

    def _notes(self, events: list[int]) -> NoteSequence:
        ids = self.ids
        time, velocity = 0, 0
        sounding: dict[int, tuple[int, int]] = {}
        rows = []
        for token in events:
            if token >= ids.velocity:
                velocity = token - ids.velocity
            elif token >= ids.shift(1):
                time += token - ids.shift(0)
            elif token >= ids.off:
                pitch = token - ids.off
                start, loudness = sounding.pop(pitch)
                rows.append((start, time, pitch, loudness))
            else:
                sounding[token - ids.on] = (time, velocity)
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        return self._sequence(*columns)

    def _bins(self, velocity: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
        return velocity.astype(np.int64) * self.velocity_bins // 128

    def _sequence(
        self,
        start: npt.NDArray[np.int64],
        end: npt.NDArray[np.int64],
        pitch: npt.NDArray[np.int64] | npt.NDArray[np.int16],
        bins: npt.NDArray[np.int64],
    ) -> NoteSequence:
        width = 128 // self.velocity_bins
        return NoteSequence.from_columns(
            start,
            end,
            pitch,
            bins * width + width // 2,  # the middle of the bin
            ticks_per_quarter=self.ticks_per_quarter,
            tempos=[(0, self.tempo)],
        )


@dataclass(frozen=True)
class PerformanceIds:
    """The first id of each kind of token. `shift(s) = shift(0) + s`, but `shift(0)` itself is not a shift."""

    longest_shift: int
    velocity_bins: int

    on = FIRST_ID
    off = FIRST_ID + 128

    def shift(self, steps: int) -> int:
        return self.off + 127 + steps

    @property
    def velocity(self) -> int:
        return self.shift(self.longest_shift + 1)

    @property
    def size(self) -> int:
        return self.velocity + self.velocity_bins


class _Last(Enum):
    """The kind of the last token."""

    BEGIN = auto()
    ON = auto()
    OFF = auto()
    LONGEST_SHIFT = auto()
    SHORTER_SHIFT = auto()
    VELOCITY = auto()
    EOS = auto()


_SHIFTS = (_Last.LONGEST_SHIFT, _Last.SHORTER_SHIFT)


class PerformanceGrammar(Grammar):
    """Permits exactly the streams that PerformanceRepresentation writes.

    Within a step ends come before beginnings, each by rising pitch. Only the longest shift may be followed by another
    shift, and a stream does not end with one. A velocity differs from the previous one and is followed by a note. At
    EOS no note sounds.
    """

    def __init__(self, ids: PerformanceIds) -> None:
        self._ids = ids
        self._sounding = np.zeros(128, dtype=np.bool_)
        self._velocity: int | None = None
        self._last = _Last.BEGIN
        # last pitches that began and ended in this step; -1 for none yet
        self._last_on = -1
        self._last_off = -1

    def push(self, token: int) -> None:
        ids = self._ids
        refuse_special(token, ids.size)
        if self._last is _Last.EOS:
            raise ValueError("nothing follows <eos>")
        if token == EOS:
            self._push_end()
        elif token < ids.off:
            self._push_on(token - ids.on)
        elif self._last is _Last.VELOCITY:
            raise ValueError("a note must follow a velocity")
        elif token < ids.shift(1):
            self._push_off(token - ids.off)
        elif token < ids.velocity:
            self._push_shift(token - ids.shift(0))
        else:
            self._push_velocity(token - ids.velocity)

    def _push_on(self, pitch: int) -> None:
        if self._velocity is None:
            raise ValueError("a velocity must come before the first note")
        if self._sounding[pitch]:
            raise ValueError(f"pitch {pitch} sounds already")
        if pitch <= self._last_on:
            raise ValueError(f"within a step notes begin by rising pitch, the previous one was {self._last_on}")
        self._sounding[pitch] = True
        self._last, self._last_on = _Last.ON, pitch

    def _push_off(self, pitch: int) -> None:
        if not self._sounding[pitch]:
            raise ValueError(f"pitch {pitch} does not sound")
        if self._last_on >= 0:
            raise ValueError("within a step notes end before others begin")
        if pitch <= self._last_off:
            raise ValueError(f"within a step notes end by rising pitch, the previous one was {self._last_off}")
        self._sounding[pitch] = False
        self._last, self._last_off = _Last.OFF, pitch

    def _push_shift(self, steps: int) -> None:
        if self._last is _Last.SHORTER_SHIFT:
            raise ValueError(f"only a shift of {self._ids.longest_shift}, the longest, may be followed by a shift")
        longest = steps == self._ids.longest_shift
        self._last = _Last.LONGEST_SHIFT if longest else _Last.SHORTER_SHIFT
        self._last_on = self._last_off = -1

    def _push_velocity(self, velocity: int) -> None:
        if velocity == self._velocity:
            raise ValueError(f"the velocity is {velocity} already")
        if not self._can_begin().any():
            raise ValueError("no note could follow it in this step")
        self._last, self._velocity = _Last.VELOCITY, velocity

    def _push_end(self) -> None:
        if self._last is _Last.VELOCITY:
            raise ValueError("a note must follow a velocity")
        if self._sounding.any():
            raise ValueError(f"{int(self._sounding.sum())} notes still sound")
        if self._last in _SHIFTS:
            raise ValueError("a piece must end with the end of a note")
        self._last = _Last.EOS

    def _can_begin(self) -> npt.NDArray[np.bool_]:
        """[128] pitches that may begin in this step."""
        free = ~self._sounding
        free[: self._last_on + 1] = False
        return free

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        ids = self._ids
        legal = np.zeros(ids.size, dtype=np.bool_)
        if self._last is _Last.EOS:
            return legal
        needed = np.zeros(ids.size, dtype=np.int64)  # fewest tokens to the end, each token itself included
        sounding = int(self._sounding.sum())
        can_begin = self._can_begin()
        ons, offs = slice(ids.on, ids.off), slice(ids.off, ids.shift(1))
        shifts, velocities = slice(ids.shift(1), ids.velocity), slice(ids.velocity, ids.size)
        if self._velocity is not None:
            legal[ons] = can_begin
            needed[ons] = sounding + 3  # itself, a shift, all ends
        if self._last is not _Last.VELOCITY:
            if self._last_on < 0:
                legal[offs] = self._sounding
                legal[offs][: self._last_off + 1] = False
                needed[offs] = self._needed_after_off(sounding)
            legal[shifts] = self._last is not _Last.SHORTER_SHIFT
            needed[shifts] = 1 + self._needed_after_shift(sounding)
            legal[velocities] = can_begin.any()
            needed[velocities] = sounding + 4  # itself, a note, a shift, all ends
            if self._velocity is not None:
                legal[ids.velocity + self._velocity] = False
            legal[EOS] = sounding == 0 and self._last not in _SHIFTS
        return legal if room is None else legal & (needed <= room)

    def _needed_after_shift(self, sounding: int) -> int:
        if sounding:
            return sounding
        # a pause needs a note after it, and the first note of a stream a velocity
        return 3 if self._velocity is not None else 4

    def _needed_after_off(self, sounding: int) -> npt.NDArray[np.int64]:
        """[128] fewest tokens to end a pitch and then all others: lower pitches can only end after a shift."""
        needed = np.full(128, sounding + 1, dtype=np.int64)
        lowest = int(np.argmax(self._sounding))
        needed[: lowest + 1] = sounding
        return needed

    def shortest_end(self) -> int:
        sounding = int(self._sounding.sum())
        if self._last is _Last.VELOCITY:
            return sounding + 3
        if self._last in _SHIFTS:
            return self._needed_after_shift(sounding)
        if sounding == 0:
            return 0
        waiting = self._last_on >= 0 or self._sounding[: self._last_off + 1].any()
        return sounding + bool(waiting)
