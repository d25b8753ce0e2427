"""The grammar of `roll`: which keys may sound in the next frame of a piano roll."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
