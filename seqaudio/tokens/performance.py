"""The representation `performance`: polyphony as note-on, note-off, time-shift and velocity events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.quantise import as_one_part, grid_steps
from seqaudio.notes.sequence import DEFAULT_TEMPO, MAX_RESOLUTION, MAX_TEMPO, NoteSequence
from seqaudio.tokens.performance_grammar import PerformanceGrammar, PerformanceIds
from seqaudio.tokens.representation import REPRESENTATIONS, Grammar, TokenRepresentation

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

    def grammar(self) -> Grammar:
        return PerformanceGrammar(self.ids)

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
