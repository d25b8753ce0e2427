"""The representation `roll`: piano rolls, frames of zeros and ones for the 88 keys of a piano."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.quantise import as_one_part, pitches_on_grid
from seqaudio.notes.sequence import DEFAULT_TEMPO, MAX_TEMPO, NoteSequence
from seqaudio.tokens.representation import REPRESENTATIONS, Representation
from seqaudio.tokens.roll_grammar import KEYS, LOWEST, RollGrammar

Frames = npt.NDArray[np.uint8]
Steps = npt.NDArray[np.int64]


@REPRESENTATIONS.register("roll")
@dataclass(frozen=True)
class RollRepresentation(Representation):
    """Frames [T, 88] uint8: 1 where key k, pitch 21 + k, sounds, otherwise 0. There are no ids.

    A plain roll cannot distinguish a repeated note from a long one. With repeats "apart" (the default) a step has two
    frames, and in the second one a key is 0 if its note ends and begins again at the next step, so nothing is lost:

        one long note       1 1 1 1          two notes           1 0 1 1          a note and a rest   1 1 0 0

    With repeats "joined" a step has one frame, and a note that is repeated without a rest becomes one long note. That
    is the roll of the published sets of Boulanger-Lewandowski et al. (2012).

    Frames begin at tick 0; a roll ends with the last step in which a key sounds. Pitches outside 21..108 and drums
    are left out, all parts become one piano. Velocities and tempo are not written; `quantise` sets them.
    """

    name: ClassVar[str] = "roll"
    kind: ClassVar[Literal["tokens", "roll"]] = "roll"

    steps_per_quarter: int = 4  # 4: sixteenths
    repeats: Literal["apart", "joined"] = "apart"
    velocity: int = 80  # of all decoded notes, 1..127
    tempo: int = DEFAULT_TEMPO  # microseconds per quarter of decoded pieces

    def __post_init__(self) -> None:
        if not 1 <= self.steps_per_quarter <= 960:
            raise OptionError(f"{self.steps_per_quarter} steps per quarter, expected 1..960")
        if self.repeats not in ("apart", "joined"):
            raise OptionError(f"repeats {self.repeats!r}, expected 'apart' or 'joined'")
        if not 1 <= self.velocity <= 127 or not 1 <= self.tempo <= MAX_TEMPO:
            raise OptionError(f"velocity {self.velocity} and tempo {self.tempo}, expected 1..127 and 1..{MAX_TEMPO}")

    @property
    def vocabulary(self) -> None:
        return None

    @property
    def frames_per_step(self) -> int:
        return 2 if self.repeats == "apart" else 1

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        steps = self._steps(notes)
        return self._sequence(*steps) if self.repeats == "apart" else self._notes(self._frames(*steps))

    def encode(self, notes: NoteSequence) -> Frames:
        return self._frames(*self._steps(notes))

    def decode(self, encoded: npt.ArrayLike) -> NoteSequence:
        """The notes of a roll.

        Raises:
            ValueError: not [T, 88] zeros and ones; with repeats "apart" a key that begins in the second frame of a
                step, or that goes silent there and does not begin again; a silent end. The message names frame and
                pitch.
        """
        frames = np.asarray(encoded)
        if frames.ndim != 2 or frames.shape[1] != KEYS or frames.dtype.kind not in "biu":
            raise ValueError(f"got a roll of {frames.dtype} {list(frames.shape)}, expected [T, {KEYS}] zeros and ones")
        self.grammar().check(frames)
        return self._notes(frames)

    def grammar(self) -> RollGrammar:
        """A new grammar, at the beginning of a roll: which keys may sound in the next frame."""
        return RollGrammar(self.frames_per_step)

    def _notes(self, frames: Frames) -> NoteSequence:
        """The notes of a legal roll."""
        sounding = np.zeros((len(frames) + 2, KEYS), dtype=np.int8)
        sounding[1:-1] = frames
        change = np.diff(sounding, axis=0).T  # [88, T + 1] by key, so that the n-th end belongs to the n-th beginning
        key, start = np.nonzero(change == 1)
        end = np.nonzero(change == -1)[1]
        # a note that goes silent in the middle of a step, to begin again, lasts to the end of the step
        return self._sequence(start // self.frames_per_step, -(-end // self.frames_per_step), key + LOWEST)

    def _steps(self, notes: NoteSequence) -> tuple[Steps, Steps, Steps]:
        """Start, end and pitch of the notes that can be written, [N] each, sorted by pitch and start."""
        in_range = ~notes.is_drum & (notes.pitch >= LOWEST) & (notes.pitch < LOWEST + KEYS)
        start, end, pitch = pitches_on_grid(notes, self.steps_per_quarter, in_range)
        start, end, pitch = as_one_part(start, end, pitch)
        return start, end, pitch

    def _frames(self, start: Steps, end: Steps, pitch: Steps) -> Frames:
        """The roll of notes [N] that do not overlap within a pitch."""
        row = KEYS * self.frames_per_step
        key = pitch - LOWEST
        first, after = start * row + key, end * row + key  # indices in the flat roll: of the note, and after it
        frames = np.zeros((int(end.max(initial=0)) * self.frames_per_step + 1, KEYS), dtype=np.uint8)
        flat = frames.reshape(-1)
        # mark where a key changes: where a note begins or ends, but not where both happen; then integrate by XOR
        flat[first] = 1
        changes = flat[after] ^ 1
        flat[after] = changes
        words = frames.view(np.uint64)  # eight keys each
        np.bitwise_xor.accumulate(words, axis=0, out=words)
        if self.repeats == "apart":
            flat[after[changes == 0] - KEYS] = 0
        return frames[:-1]

    def _sequence(
        self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], pitch: npt.NDArray[np.int64 | np.int16]
    ) -> NoteSequence:
        return NoteSequence.from_columns(
            start,
            end,
            pitch,
            velocity=self.velocity,
            ticks_per_quarter=self.steps_per_quarter,
            tempos=[(0, self.tempo)],
        )
