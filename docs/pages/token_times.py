"""The time of each token in a stream, for tables and pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.tokens.bars import BarsRepresentation
from seqaudio.tokens.chorale import ChoraleRepresentation
from seqaudio.tokens.chorale_grid import ChoraleGridRepresentation
from seqaudio.tokens.four_voices import VOICES
from seqaudio.tokens.melody import MelodyRepresentation
from seqaudio.tokens.miditok.representation import MidiTokRepresentation
from seqaudio.tokens.performance import PerformanceRepresentation
from seqaudio.tokens.representation import TokenRepresentation
from seqaudio.tokens.tonicnet import TonicNetNotesRepresentation, TonicNetRepresentation

Quarters = npt.NDArray[np.float64]


def token_times(representation: TokenRepresentation, ids: npt.NDArray[np.int64]) -> Quarters:
    """[N] quarters from the beginning; a shift is placed at its start.

    Raises OptionError for representations that are not supported: MidiTok's other than REMI and TSD, the clock of
    seconds, and a user's own.
    """
    names = [representation.tokens[token] for token in ids.tolist()]
    if isinstance(representation, MelodyRepresentation):
        return np.arange(len(ids)) / representation.steps_per_quarter
    if isinstance(representation, ChoraleGridRepresentation):
        return np.arange(len(ids)) // len(VOICES) / representation.steps_per_quarter
    if isinstance(representation, TonicNetRepresentation | TonicNetNotesRepresentation):
        return np.arange(len(ids)) // representation.step_tokens / representation.steps_per_quarter
    if isinstance(representation, PerformanceRepresentation) and representation.clock == "beat":
        steps = _passing(names, "shift", int)
        return steps / representation.steps_per_quarter
    if isinstance(representation, ChoraleRepresentation):
        bar = representation.ids.bar_steps[ids[0] - representation.ids.time_signature] if len(ids) else 0
        return _in_bars(names, "bar", "step", bar) / representation.steps_per_quarter
    if isinstance(representation, BarsRepresentation):
        return _of_bars(names, dict(zip(representation.ids.metres, representation.ids.bar_steps, strict=True))) / (
            representation.steps_per_quarter
        )
    if isinstance(representation, MidiTokRepresentation) and representation.tokeniser == "TSD":
        return _passing(names, "TimeShift", lambda value: _steps(value)) / representation.grid
    if isinstance(representation, MidiTokRepresentation) and representation.tokeniser == "REMI":
        return _of_remi(names, representation.grid) / representation.grid
    raise OptionError(
        f"token times of {representation.name} with {representation.settings()} are not supported; add them to "
        f"docs/pages/token_times.py"
    )


def _passing(names: list[str], kind: str, steps: Callable[[str], int]) -> Quarters:
    """Steps, in a representation with one kind of token that lets time pass."""
    waits = [steps(name.partition("_")[2]) if name.startswith(f"{kind}_") else 0 for name in names]
    return np.cumsum([0, *waits])[:-1].astype(np.float64)


def _in_bars(names: list[str], bar: str, step: str, length: int) -> Quarters:
    """Steps, in a representation where one kind of token begins a bar and another one gives the step in it."""
    times, begin, now = [], -length, 0
    for name in names:
        if name == bar:
            begin = now = begin + length
        elif name.startswith(f"{step}_"):
            now = begin + int(name.partition("_")[2])
        times.append(now)
    return np.array(times, dtype=np.float64)


def _of_bars(names: list[str], bar_steps: dict[str, int]) -> Quarters:
    times, line, bar, now = [], 0, 0, 0
    length = 0
    for name in names:
        kind, _, value = name.partition("_")
        if kind == "metre":
            length, now = bar_steps[value], line
        elif kind == "bar":
            bar = now = line
            line += length
        elif kind == "step":
            now = bar + int(value)
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
    """Steps of a duration in MidiTok's form: quarters, further steps, steps per quarter."""
    quarters, more, steps = map(int, duration.split("."))
    return quarters * steps + more
