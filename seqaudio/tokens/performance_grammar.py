"""The grammar of `performance`: which events may come next, and how many a complete performance still needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.representation import FIRST_ID, Grammar, refuse_special
from seqaudio.vocabulary import EOS


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
