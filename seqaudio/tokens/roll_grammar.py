"""Which keys may sound in the next frame of a piano roll."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

KEYS = 88
LOWEST = 21  # A0, the pitch of column 0; column 87 is C8, pitch 108


class RollGrammar:
    """The rolls of RollRepresentation, no others, frame by frame.

    With one frame a step all is legal. With two, a key begins in the first frame of a step only, and one that goes
    silent in the second begins again in the next frame. A roll ends with a whole step in which a key sounds.

    Args:
        frames_per_step: 1 or 2.
    """

    def __init__(self, frames_per_step: int) -> None:
        self._frames_per_step = frames_per_step
        self._place = 0  # of the next frame in its step
        self._sounding = np.zeros(KEYS, dtype=np.bool_)  # in the last frame
        self._again = np.zeros(KEYS, dtype=np.bool_)  # silent in the last frame to begin again in the next

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        """[2, 88] whether each key may be silent, and whether it may sound, in the next frame.

        Args:
            room: how many frames may still come, this one among them. Given that, a key goes silent to begin again
                only where another step follows, and nothing is legal where a step cannot be completed.
        """
        legal = np.ones((2, KEYS), dtype=np.bool_)
        if self._place == 1:
            legal[1] = self._sounding
            if room is not None and room < 1 + self._frames_per_step:
                legal[0] = ~self._sounding
        else:
            legal[0] = ~self._again
            if room is not None and room < self._frames_per_step:
                legal[:] = False
        if room is not None and room < 1:
            legal[:] = False
        return legal

    def push(self, frame: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> None:
        """Take one frame [88]. Raises ValueError with the pitch and the reason, and stays as it was, where illegal."""
        sounds = self._checked(frame)
        self._again = self._sounding & ~sounds if self._place == 1 else np.zeros(KEYS, dtype=np.bool_)
        self._sounding = sounds
        self._place = (self._place + 1) % self._frames_per_step

    def check(self, frames: npt.NDArray[np.uint8]) -> None:
        """Take a whole roll [T, 88] from its beginning to its end. Raises ValueError with frame, pitch and reason."""
        if self._is_whole(frames):
            return
        for place, frame in enumerate(frames):
            try:
                self.push(frame)
            except ValueError as error:
                raise ValueError(f"frame {place}: {error}") from None
        raise ValueError(f"the roll stops at frame {len(frames)}: {self._end_fault()}")

    def _is_whole(self, frames: npt.NDArray[np.uint8]) -> bool:
        """Whether a roll is legal from its beginning to its end; the same as pushing its frames, but all at once."""
        many = self._frames_per_step
        if not len(frames):
            return True
        if len(frames) % many or not frames[-1].any() or ((frames != 0) & (frames != 1)).any():
            return False
        first, last = frames[::many], frames[many - 1 :: many]  # of each step; with one frame a step the same
        again = first > last
        return not (last > first).any() and not again[-1].any() and not (again[:-1] & (first[1:] == 0)).any()

    def _checked(self, frame: npt.NDArray[np.uint8] | npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        strange = (frame != 0) & (frame != 1)
        if strange.any():
            raise ValueError(f"{_pitch(strange)} is {frame[strange][0]}, expected 0 or 1")
        sounds = np.asarray(frame, dtype=np.bool_)
        late = sounds & ~self._sounding
        if self._place == 1 and late.any():
            raise ValueError(f"{_pitch(late)} begins in the second frame of a step, where notes only go on")
        missing = self._again & ~sounds
        if missing.any():
            raise ValueError(f"{_pitch(missing)} went silent within a step, so it must begin again here")
        return sounds

    def _end_fault(self) -> str | None:
        if self._place:
            return "a step has two frames"
        if self._again.any():
            return f"{_pitch(self._again)} went silent within a step, so it must begin again"
        if not self._sounding.any():
            return "a roll does not end with a silent step"
        return None


def _pitch(keys: npt.NDArray[np.bool_]) -> str:
    return f"pitch {LOWEST + int(np.argmax(keys))}"
