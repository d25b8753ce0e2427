"""Names of instruments to General MIDI programs: `piano`, `alto sax`, `73`, `drums`.

A name is that of a program or of one of the sixteen families, in any case, or any shortening of words by which one of
them alone is meant. Source of the names: the General MIDI level 1 sound set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from seqaudio.errors import OptionError
from seqaudio.midi.writing import instrument_name

DRUMS = 128  # the part of all drum kits, behind the programs
FAMILIES = (
    "Piano", "Chromatic Percussion", "Organ", "Guitar", "Bass", "Strings", "Ensemble", "Brass",
    "Reed", "Pipe", "Synth Lead", "Synth Pad", "Synth Effects", "Ethnic", "Percussive", "Sound Effects",
)  # fmt: skip
FAMILY = 8  # programs of each
NAMED = 6  # candidates that a message names


@dataclass(frozen=True)
class Instrument:
    """A named instrument, a family of them, or drums."""

    name: str  # as it is called in General MIDI, such as Acoustic Grand Piano, or Piano for the family
    parts: tuple[int, ...]  # programs, counted from 0, or DRUMS


def instruments_named(text: str) -> tuple[Instrument, ...]:
    """The instruments of a list with commas, each once. Raises OptionError for a name of none or of several."""
    return tuple(dict.fromkeys(_named(name) for name in text.split(",")))


def part_names(parts: Iterable[int]) -> str:
    """The names of parts, with commas."""
    return ", ".join(part_name(part) for part in parts)


def part_name(part: int) -> str:
    """The General MIDI name of a program, or `Drums`."""
    return instrument_name(0 if part == DRUMS else part, drum=part == DRUMS)


def _named(text: str) -> Instrument:
    if text.strip().isdecimal() and len(text.strip()) < 5:
        number = int(text)
        if number >= DRUMS:
            raise OptionError(f"--instruments: program {number}, expected 0 to 127")
        return Instrument(part_name(number), (number,))
    words = _words(text)
    if words:
        for meant in (_is, _begins, _holds):
            found = [one for one in _known() if meant(words, _words(one.name))]
            if len(found) == 1 or (found and meant is _is):  # an instrument before a family of that name
                return found[0]
            if found:
                names = ", ".join(one.name for one in found[:NAMED]) + (" ..." if len(found) > NAMED else "")
                raise OptionError(f"--instruments: {text.strip()!r} may be {names}; give more of the name, or a number")
    raise OptionError(
        f"--instruments: no instrument {text.strip()!r}; expected General MIDI names such as violin or church organ, "
        f"families such as {', '.join(FAMILIES[:5]).lower()}, numbers 0 to 127, or drums"
    )


def _known() -> list[Instrument]:
    """All instruments and families, and drums."""
    single = [Instrument(part_name(part), (part,)) for part in range(DRUMS)]
    families = [
        Instrument(name, tuple(range(number * FAMILY, (number + 1) * FAMILY))) for number, name in enumerate(FAMILIES)
    ]
    return [*single, *families, Instrument("Drums", (DRUMS,))]


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())


def _is(words: list[str], name: list[str]) -> bool:
    return words == name


def _begins(words: list[str], name: list[str]) -> bool:
    """Whether each word begins the word of the name at its place."""
    return len(words) <= len(name) and all(whole.startswith(part) for part, whole in zip(words, name, strict=False))


def _holds(words: list[str], name: list[str]) -> bool:
    """Whether the words begin words of the name, in the same order."""
    rest = iter(name)
    return all(any(whole.startswith(part) for whole in rest) for part in words)
