"""The representation `roll`: piano rolls, frames of zeros and ones for the 88 keys of a piano."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.quantise import as_one_part, pitches_on_grid
from seqaudio.notes.sequence import DEFAULT_TEMPO, MAX_TEMPO, NoteSequence
from seqaudio.tokens.loss import Onsets
from seqaudio.tokens.representation import REPRESENTATIONS, Representation

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
    keeps: ClassVar[str] = "one note of a pitch at a time, on the 88 keys of a piano"

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

    def onsets(self, encoded: Frames) -> Onsets:
        many = self.frames_per_step
        begins = encoded[::many].copy()  # a key begins in the first frame of a step
        begins[1:] &= encoded[many - 1 : -1 : many] ^ 1
        words = begins.reshape(-1).view(np.uint64)  # eight keys each; in most of them none begins
        some = np.flatnonzero(words)
        row, key = np.nonzero(words[some].view(np.uint8).reshape(-1, 8))
        place = 8 * some[row] + key
        return Onsets(place // KEYS, place % KEYS + LOWEST, self.steps_per_quarter)

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


KEYS = 88
LOWEST = 21  # A0, the pitch of column 0; column 87 is C8, pitch 108


class RollGrammar:
    """Permits exactly the rolls that RollRepresentation writes, frame by frame.

    With one frame a step every frame is legal. With two, a key may begin only in the first frame of a step, and one
    that goes silent in the second must begin again in the next frame. The last step must be complete, with a key that
    sounds.

    Args:
        frames_per_step: 1 or 2.
    """

    def __init__(self, frames_per_step: int) -> None:
        self._frames_per_step = frames_per_step
        self._frame = 0  # index of the next frame in its step
        self._sounding = np.zeros(KEYS, dtype=np.bool_)  # in the last frame
        self._repeats = np.zeros(KEYS, dtype=np.bool_)  # went silent in the last frame, must begin again in the next

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        """[2, 88] whether each key may be silent, and whether it may sound, in the next frame.

        Args:
            room: how many frames may still come, this one included. If given, a key may go silent to begin again only
                if another step fits, and nothing is legal if the current step cannot be completed.
        """
        legal = np.ones((2, KEYS), dtype=np.bool_)
        if self._frame == 1:
            legal[1] = self._sounding
            if room is not None and room < 1 + self._frames_per_step:
                legal[0] = ~self._sounding
        else:
            legal[0] = ~self._repeats
            if room is not None and room < self._frames_per_step:
                legal[:] = False
        if room is not None and room < 1:
            legal[:] = False
        return legal

    def push(self, frame: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> None:
        """Append one frame [88]. If it is illegal, raises ValueError with pitch and reason and changes nothing."""
        sounds = self._checked(frame)
        self._repeats = self._sounding & ~sounds if self._frame == 1 else np.zeros(KEYS, dtype=np.bool_)
        self._sounding = sounds
        self._frame = (self._frame + 1) % self._frames_per_step

    def check(self, frames: npt.NDArray[np.uint8]) -> None:
        """Append a complete roll [T, 88] to a new grammar. Raises ValueError with frame, pitch and reason."""
        if self._is_whole(frames):
            return
        for number, frame in enumerate(frames):
            try:
                self.push(frame)
            except ValueError as error:
                raise ValueError(f"frame {number}: {error}") from None
        raise ValueError(f"the roll stops at frame {len(frames)}: {self._end_fault()}")

    def _is_whole(self, frames: npt.NDArray[np.uint8]) -> bool:
        """Whether a roll is legal and complete; the same as pushing its frames one by one, but faster."""
        many = self._frames_per_step
        if not len(frames):
            return True
        if len(frames) % many or not frames[-1].any() or ((frames != 0) & (frames != 1)).any():
            return False
        first, last = frames[::many], frames[many - 1 :: many]  # of each step; the same frame where a step has one
        again = first > last
        return not (last > first).any() and not again[-1].any() and not (again[:-1] & (first[1:] == 0)).any()

    def _checked(self, frame: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        invalid = (frame != 0) & (frame != 1)
        if invalid.any():
            raise ValueError(f"{_pitch(invalid)} is {frame[invalid][0]}, expected 0 or 1")
        sounds = np.asarray(frame, dtype=np.bool_)
        late = sounds & ~self._sounding
        if self._frame == 1 and late.any():
            raise ValueError(f"{_pitch(late)} begins in the second frame of a step, expected the first")
        missing = self._repeats & ~sounds
        if missing.any():
            raise ValueError(f"{_pitch(missing)} went silent within a step, so it must begin again here")
        return sounds

    def _end_fault(self) -> str | None:
        if self._frame:
            return "the last step is incomplete, a step has two frames"
        if self._repeats.any():
            return f"{_pitch(self._repeats)} went silent within a step, so it must begin again"
        if not self._sounding.any():
            return "a roll must not end with a silent step"
        return None


def _pitch(keys: npt.NDArray[np.bool_]) -> str:
    return f"pitch {LOWEST + int(np.argmax(keys))}"
