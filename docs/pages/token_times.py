"""At which time each token of a stream stands, for tables and pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.tokens.chorale import ChoraleRepresentation
from seqaudio.tokens.chorale_grid import ChoraleGridRepresentation
from seqaudio.tokens.four_voices import VOICES
from seqaudio.tokens.melody import MelodyRepresentation
from seqaudio.tokens.miditok.representation import MidiTokRepresentation
from seqaudio.tokens.performance import PerformanceRepresentation
from seqaudio.tokens.representation import TokenRepresentation

Quarters = npt.NDArray[np.float64]


def token_times(representation: TokenRepresentation, ids: npt.NDArray[np.int64]) -> Quarters:
    """[N] quarters from the beginning; a token that lets time pass stands where it begins to.

    Raises OptionError for a representation of whose times nothing is known here: those of MidiTok other than REMI and
    TSD, the clock of seconds, and a user's own.
    """
    names = [representation.tokens[token] for token in ids.tolist()]
    if isinstance(representation, MelodyRepresentation):
        return np.arange(len(ids)) / representation.steps_per_quarter
    if isinstance(representation, ChoraleGridRepresentation):
        return np.arange(len(ids)) // len(VOICES) / representation.steps_per_quarter
    if isinstance(representation, PerformanceRepresentation) and representation.clock == "beat":
        steps = _passing(names, "shift", int)
        return steps / representation.steps_per_quarter
    if isinstance(representation, ChoraleRepresentation):
        bar = representation.ids.bar_steps[ids[0] - representation.ids.metre] if len(ids) else 0
        return _in_bars(names, "bar", "step", bar) / representation.steps_per_quarter
    if isinstance(representation, MidiTokRepresentation) and representation.tokeniser == "TSD":
        return _passing(names, "TimeShift", lambda value: _steps(value)) / representation.grid
    if isinstance(representation, MidiTokRepresentation) and representation.tokeniser == "REMI":
        return _of_remi(names, representation.grid) / representation.grid
    raise OptionError(f"no times are known of the tokens of {representation.name} with {representation.settings()}")


def _passing(names: list[str], kind: str, steps: Callable[[str], int]) -> Quarters:
    """Steps, where tokens of one kind let time pass."""
    waits = [steps(name.partition("_")[2]) if name.startswith(f"{kind}_") else 0 for name in names]
    return np.cumsum([0, *waits])[:-1].astype(np.float64)


def _in_bars(names: list[str], bar: str, step: str, length: int) -> Quarters:
    """Steps, where a token begins a bar and another tells the step in it."""
    times, begin, now = [], -length, 0
    for name in names:
        if name == bar:
            begin = now = begin + length
        elif name.startswith(f"{step}_"):
            now = begin + int(name.partition("_")[2])
        times.append(now)
    return np.array(times, dtype=np.float64)


def _of_remi(names: list[str], steps_per_quarter: int) -> Quarters:
    times, begin, now, length = [], 0, 0, 0
    for name in names:
        kind, _, value = name.partition("_")
        if kind == "Bar":
            begin = now = begin + length
        elif kind == "TimeSig":
            length = int(value.partition("/")[0]) * steps_per_quarter
        elif kind == "Position":
            now = begin + int(value)
        times.append(now)
    return np.array(times, dtype=np.float64)


def _steps(duration: str) -> int:
    """Steps of a duration as MidiTok writes it: quarters, steps beyond them, steps of a quarter."""
    quarters, more, steps = map(int, duration.split("."))
    return quarters * steps + more
