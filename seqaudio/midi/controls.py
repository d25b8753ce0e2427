"""Read the controllers that change how notes sound, in the parser's child: volume, pan, expression and bends.

They act on their channel in all tracks, in whatever track they stand, and hold until the next value. Bends are in
cents, by the range that the file gives (registered parameter 0), otherwise a range of two semitones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from seqaudio.midi.channels import Part, channels_of
from seqaudio.midi.chunks import tracks_of
from seqaudio.midi.events import runs
from seqaudio.notes.controls import BEND, DEFAULTS, EXPRESSION, Control

MAX_CONTROLS = 1 << 19  # rows of a song: a slider moved thirty times a second for five hours

_DATA_COARSE, _DATA_FINE, _RESET = 6, 38, 121
_OTHER_PARAMETERS, _FINE, _COARSE = (98, 99), 100, 101  # what the data are for
_BEND_RANGE = (0, 0)  # the registered parameter, coarse and fine
_MIDDLE = 8192
_READ = {*DEFAULTS, _DATA_COARSE, _DATA_FINE, _RESET, *_OTHER_PARAMETERS, _FINE, _COARSE}

_Event = tuple[int, int, int]  # tick, controller or BEND, value


def controls_of(song: bytes, parts: Sequence[Part]) -> list[tuple[int, Control]]:
    """The controls of each part (its number), by tick within a part.

    Args:
        song: the bytes of a file that `check_events` has accepted.
        parts: the parts that the parser found, in its order.
    Raises:
        ValueError: these are not the parts of the file; more than MAX_CONTROLS.
    """
    events = defaultdict[tuple[int, int], list[_Event]](list)
    for track in tracks_of(song):
        for run in runs(track):
            if not run.data or len(run.data[0]) != 2:
                continue
            for status, data, tick in zip(run.statuses, run.data, run.ticks, strict=True):
                if status & 0xF0 == 0xE0:
                    events[run.port, status & 0x0F].append((tick, BEND, (data[1] << 7 | data[0]) - _MIDDLE))
                elif status & 0xF0 == 0xB0 and data[0] in _READ:
                    events[run.port, status & 0x0F].append((tick, data[0], data[1]))
    if not events:
        return []
    of_channel = {
        channel: list(_changes(sorted(found, key=lambda event: event[0]))) for channel, found in events.items()
    }
    rows = [
        (part, control)
        for part, channel in enumerate(channels_of(song, parts))
        for control in of_channel.get(channel, ())
    ]
    if len(rows) > MAX_CONTROLS:
        raise ValueError(f"{len(rows):,} controllers and bends, expected at most {MAX_CONTROLS:,}")
    return rows


def _changes(events: Sequence[_Event]) -> Iterator[Control]:
    """The changes that the events of one channel make, given sorted by tick; equal values in a row change nothing."""
    values = dict(DEFAULTS)
    parameter, cents, bend = (127, 127), 200, 0  # of the data; what a full bend is; the last bend, -8192..8191
    for tick, kind, value in events:
        new = {kind: value}
        if kind in (_COARSE, _FINE):
            parameter = (value, parameter[1]) if kind == _COARSE else (parameter[0], value)
        elif kind in _OTHER_PARAMETERS:
            parameter = (127, 127)
        elif kind in (_DATA_COARSE, _DATA_FINE):
            if parameter != _BEND_RANGE:
                continue
            cents = 100 * value + cents % 100 if kind == _DATA_COARSE else cents - cents % 100 + min(value, 99)
        elif kind == _RESET:
            bend, new = 0, {EXPRESSION: DEFAULTS[EXPRESSION]}
        if kind == BEND:
            bend = value
        new[BEND] = round(bend * cents / (_MIDDLE - (bend > 0)))
        for changed in new.keys() & values.keys():
            if values[changed] != new[changed]:
                values[changed] = new[changed]
                yield Control(tick, changed, new[changed])
