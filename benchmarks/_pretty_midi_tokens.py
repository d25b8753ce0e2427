"""Reference tokens of melody, performance and roll, made by loops over the notes that pretty_midi reads."""

from __future__ import annotations

import bisect
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pretty_midi

Step = Callable[[float], int]


def read(path: Path) -> pretty_midi.PrettyMIDI | None:
    """The file, or None where pretty_midi cannot read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pretty_midi.PrettyMIDI(str(path))
        except Exception:  # noqa: BLE001  # pretty_midi raises errors of many kinds
            return None


def steps(midi: pretty_midi.PrettyMIDI, per_quarter: int) -> Step:
    """A function from a time in seconds to the nearest step of the grid; halves are rounded up."""
    return lambda time: math.floor(midi.time_to_tick(time) * per_quarter / midi.resolution + 0.5)


def melody(midi: pretty_midi.PrettyMIDI) -> list[int]:
    """Tokens at sixteenths: rest 3, hold 4, pitch p 5 + p; the highest notes of the track of highest mean pitch."""
    step = steps(midi, 4)
    parts = [part for part in midi.instruments if part.notes and not part.is_drum]
    if not parts:
        return []
    part = max(parts, key=lambda part: sum(note.pitch for note in part.notes) / len(part.notes))
    tokens: list[int] = []
    begun = sounding = -1
    ended = 0
    notes = []
    for note in part.notes:
        start = step(note.start)
        notes.append((start, -note.pitch, -max(step(note.end), start + 1)))
    for start, negative_pitch, negative_end in sorted(notes):
        pitch, end = -negative_pitch, -negative_end
        if start == begun or (start < ended and pitch < sounding):
            continue
        del tokens[start:]
        tokens += [3] * (start - len(tokens))
        tokens += [5 + pitch, *[4] * (end - start - 1)]
        begun, ended, sounding = start, end, pitch
    return tokens


def performance(midi: pretty_midi.PrettyMIDI) -> list[int]:
    """Tokens: ons from 3, offs from 131, shifts of 1..48 twelfths of a quarter from 259, 32 velocities from 307."""
    step = steps(midi, 12)
    by_pitch: dict[int, dict[int, tuple[int, int]]] = {}
    for part in midi.instruments:
        if part.is_drum:
            continue
        for note in part.notes:
            start = step(note.start)
            end, velocity = max(step(note.end), start + 1), note.velocity * 32 // 128
            begun = by_pitch.setdefault(note.pitch, {})
            begun[start] = max(begun.get(start, (0, 0)), (end, velocity))
    events = []
    for pitch, begun in by_pitch.items():
        starts = sorted(begun)
        for start, following in zip(starts, [*starts[1:], None], strict=True):
            end, velocity = begun[start]
            if following is not None:
                end = min(end, following)
            events.append((start, 1, pitch, velocity))
            events.append((end, 0, pitch, 0))
    tokens = []
    now, loudness = 0, -1
    for time, begins, pitch, velocity in sorted(events):
        longest, rest = divmod(time - now, 48)
        tokens += [306] * longest
        if rest:
            tokens.append(258 + rest)
        now = time
        if begins and velocity != loudness:
            tokens.append(307 + velocity)
            loudness = velocity
        tokens.append((3 if begins else 131) + pitch)
    return tokens


def roll(midi: pretty_midi.PrettyMIDI) -> np.ndarray:
    """Frames [T, 88], two a sixteenth; a key that is struck again in the next sixteenth is silent in the second one."""
    step = steps(midi, 4)
    by_pitch: dict[int, dict[int, int]] = {}
    for part in midi.instruments:
        if part.is_drum:
            continue
        for note in part.notes:
            if 21 <= note.pitch <= 108:
                start = step(note.start)
                begun = by_pitch.setdefault(note.pitch, {})
                begun[start] = max(begun.get(start, 0), step(note.end), start + 1)
    frames = np.zeros((2 * max((max(begun.values()) for begun in by_pitch.values()), default=0), 88), dtype=np.uint8)
    for pitch, begun in by_pitch.items():
        starts = sorted(begun)
        for start in starts:
            end = begun[start]
            place = bisect.bisect_right(starts, start)
            again = place < len(starts) and starts[place] <= end
            if again:
                end = starts[place]
            frames[2 * start : 2 * end - again, pitch - 21] = 1
    return frames


MAKERS: dict[str, Callable[[pretty_midi.PrettyMIDI], list[int] | np.ndarray]] = {
    "melody": melody,
    "performance": performance,
    "roll": roll,
}
