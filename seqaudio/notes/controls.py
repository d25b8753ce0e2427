"""Controllers of a NoteSequence: their numbers, and their values where a file gives none."""

from __future__ import annotations

from typing import NamedTuple

VOLUME, PAN, EXPRESSION = 7, 10, 11  # numbers of MIDI's controllers, values 0..127
BEND = 128  # not a controller in MIDI; its values are cents
NOT_PLAYED = {1: "modulation", 65: "portamento", 66: "sostenuto pedal", 67: "soft pedal"}  # only for a warning
DEFAULTS = {VOLUME: 100, PAN: 64, EXPRESSION: 127, BEND: 0, **dict.fromkeys(NOT_PLAYED, 0)}


class Control(NamedTuple):
    """From `tick` on, the controller `kind` of a part has a value."""

    tick: int
    kind: int
    value: int
