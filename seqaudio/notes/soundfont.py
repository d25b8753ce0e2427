"""Which instruments a SoundFont has, and how a piece makes do with them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.notes.sequence import NoteSequence

PERCUSSION_BANK = 128
_CHUNK = struct.Struct("<4sI")  # kind and length
_PRESET = struct.Struct("<20sHH14x")  # name, program, bank; source: SoundFont Technical Specification 2.04, 7.2


@dataclass(frozen=True)
class SoundFont:
    """The General MIDI programs that a SoundFont (SF2, or SF3 with compressed samples) can play."""

    path: Path
    melodic: frozenset[int]  # programs of bank 0
    percussion: frozenset[int]  # drum kits


def general_midi_soundfont() -> Path:
    """The small General MIDI SoundFont inside the package pretty_midi. Raises OptionError where it is missing."""
    spec = find_spec("pretty_midi")
    path = Path(spec.origin if spec and spec.origin else "pretty_midi").with_name("TimGM6mb.sf2")
    if not path.is_file():
        raise OptionError(f"{path}: no such file; install pretty_midi again, or give a SoundFont by --soundfont")
    return path


def read_soundfont(path: Path) -> SoundFont:
    """Read the list of instruments. Raises OptionError for a file that is missing, cut or no SoundFont."""
    try:
        with path.open("rb") as file:
            presets = list(_presets(file, path.stat().st_size))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or type(error).__name__}; expected a SoundFont (.sf2)") from None
    except (ValueError, struct.error) as error:
        raise OptionError(f"{path}: {error}; expected a SoundFont (.sf2), such as TimGM6mb.sf2") from None
    melodic = frozenset(program for program, bank in presets if bank == 0)
    percussion = frozenset(program for program, bank in presets if bank == PERCUSSION_BANK)
    if not melodic and not percussion:
        raise OptionError(f"{path}: has no instrument in bank 0 or {PERCUSSION_BANK}; try another SoundFont")
    return SoundFont(path, melodic, percussion)


def fit_programs(notes: NoteSequence, font: SoundFont) -> tuple[NoteSequence, list[str]]:
    """The piece with programs that the SoundFont has, and a line for each exchange; what nothing can play is left out.

    An instrument that is missing is played by the lowest program, a drum kit by the lowest kit.
    """
    program, keep, remarks = notes.program.copy(), np.ones(len(notes), np.bool_), []
    for drum, there, what in ((False, font.melodic, "program"), (True, font.percussion, "drum kit")):
        of_kind = notes.is_drum == drum
        for missing in sorted(set(notes.program[of_kind].tolist()) - there):
            which = of_kind & (notes.program == missing)
            if there:
                program[which] = min(there)
                remarks.append(f"{font.path.name} has no {what} {missing}; {what} {min(there)} plays it")
            else:
                keep &= ~which
                remarks.append(f"{font.path.name} has no {what} at all; {what} {missing} is left out")
    return notes.with_columns(program=program).select(keep) if keep.all() else _without(notes, program, keep), remarks


def _presets(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Program and bank of each preset. Raises ValueError for what is not of the format."""
    kind, length = _CHUNK.unpack(_exactly(file, _CHUNK.size))
    if kind != b"RIFF" or _exactly(file, 4) != b"sfbk":
        raise ValueError("is no SoundFont")
    if _CHUNK.size + length > size:
        raise ValueError(f"its header promises {_CHUNK.size + length} bytes, {size} are there")
    _seek_chunk(file, b"LIST", b"pdta")
    length = _seek_chunk(file, b"phdr")
    records = length // _PRESET.size - 1  # the last is an end mark
    for name, program, bank in _PRESET.iter_unpack(_exactly(file, records * _PRESET.size)):
        del name
        yield program, bank


def _seek_chunk(file: BinaryIO, kind: bytes, form: bytes = b"") -> int:
    """Go to the content of the next chunk of a kind, past its form; the length of the content."""
    while True:
        found, length = _CHUNK.unpack(_exactly(file, _CHUNK.size))
        if found == kind and (not form or _exactly(file, len(form)) == form):
            return int(length) - len(form)
        file.seek(length + length % 2 - (len(form) if found == kind else 0), 1)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(max(count, 0))
    if len(data) != count:
        raise ValueError("has no list of instruments where one is expected")
    return data
