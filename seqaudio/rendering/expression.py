"""Volume, pan and bend of each track over time, from the controllers of a piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.notes.controls import BEND, DEFAULTS, EXPRESSION, NOT_PLAYED, PAN, VOLUME
from seqaudio.notes.sequence import NoteSequence

RAMP = 0.01  # seconds in which a value is reached, since a jump is heard as a click

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Values that hold from their times on; times rise from 0 s. [K] each."""

    seconds: Floats
    values: Floats

    def over(self, start: float, count: int, rate: int) -> Floats | float:
        """The values at `count` samples from `start` (seconds) on: [count], or one number where they do not change.

        The value that holds at the start is there at once; later ones are reached in RAMP seconds.
        """
        first, last = np.searchsorted(self.seconds, [start + 1e-9, start + count / rate], side="right") - 1
        if first >= last:
            return float(self.values[first])
        begins, values = self.seconds[first + 1 : last + 1] - start, self.values[first : last + 1]
        reached = np.minimum(begins + RAMP, np.append(begins[1:], np.inf))
        corners = np.stack([begins, reached], axis=1).ravel()
        heights = np.stack([values[:-1], values[1:]], axis=1).ravel()
        return np.interp(np.arange(count) / rate, corners, heights)


@dataclass(frozen=True)
class Expression:
    """Expression of a track over time; None where no controller gives it."""

    gain: Curve | None = None  # amplitude
    pan: Curve | None = None  # -1 left .. 1 right
    bend: Curve | None = None  # cents


def expressions_of(notes: NoteSequence) -> list[Expression]:
    """The expression of each track.

    The gain is (volume / 127)^2 (expression / 127)^2, as General MIDI has it, with volume 100 where none is given.
    Where no track has volume or expression, no gain is applied.
    """
    made = []
    loud = bool(np.isin(notes.controls[:, 2], (VOLUME, EXPRESSION)).any())
    for track in range(len(notes.track_names)):
        own = notes.controls[notes.controls[:, 0] == track]
        gain = _product(_curve(notes, own, VOLUME), _curve(notes, own, EXPRESSION)) if loud else None
        pan, bend = ((own[:, 2] == kind).any() for kind in (PAN, BEND))
        made.append(
            Expression(
                gain,
                _mapped(_curve(notes, own, PAN)) if pan else None,
                _curve(notes, own, BEND) if bend else None,
            )
        )
    return made


def not_played(notes: NoteSequence) -> str:
    """The controllers of a piece that are not played, such as `modulation (controller 1)`; empty for none."""
    kinds = np.unique(notes.controls[:, 2]).tolist()
    return ", ".join(f"{name} (controller {kind})" for kind, name in NOT_PLAYED.items() if kind in kinds)


def _curve(notes: NoteSequence, controls: npt.NDArray[np.int64], kind: int) -> Curve:
    own = controls[controls[:, 2] == kind]
    seconds = np.append(0.0, notes.seconds(own[:, 1]))
    last = np.append(seconds[1:] > seconds[:-1], True)  # of several at the same time the last one holds
    return Curve(seconds[last], np.append(DEFAULTS[kind], own[:, 3])[last].astype(np.float64))


def _product(volume: Curve, expression: Curve) -> Curve:
    seconds = np.union1d(volume.seconds, expression.seconds)
    parts = (curve.values[np.searchsorted(curve.seconds, seconds, side="right") - 1] for curve in (volume, expression))
    return Curve(seconds, np.prod([(part / 127) ** 2 for part in parts], axis=0))


def _mapped(pan: Curve) -> Curve:
    return Curve(pan.seconds, np.clip((pan.values - 64) / 63, -1, 1))
