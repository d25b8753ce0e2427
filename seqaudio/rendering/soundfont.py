"""Read SoundFont 2 files: their instruments, and the samples that play for a key and velocity.

All sizes and indices in a file are checked, so that none points outside of it.
Source: E-mu Systems (2006), SoundFont Technical Specification 2.04; numbers in brackets are its sections.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.files import read_plain
from seqaudio.notes.sequence import NoteSequence

PERCUSSION_BANK = 128
OPEN_FILTER = 13_500  # absolute cents: a cutoff from there on lets everything pass
_COMPRESSED, _IN_ROM = 0x10, 0x8000  # flags of samples that are not plain PCM in the file

_RECORDS = {  # [7.2 to 7.10]
    b"phdr": np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")]),
    b"pbag": np.dtype([("generator", "<u2"), ("modulator", "<u2")]),
    b"pgen": np.dtype([("kind", "<u2"), ("amount", "<i2")]),
    b"inst": np.dtype([("name", "S20"), ("bag", "<u2")]),
    b"ibag": np.dtype([("generator", "<u2"), ("modulator", "<u2")]),
    b"igen": np.dtype([("kind", "<u2"), ("amount", "<i2")]),
    b"shdr": np.dtype(
        [
            ("name", "S20"),
            ("start", "<u4"),
            ("end", "<u4"),
            ("loop_start", "<u4"),
            ("loop_end", "<u4"),
            ("rate", "<u4"),
            ("pitch", "u1"),
            ("correction", "i1"),
            ("link", "<u2"),
            ("kind", "<u2"),
        ]
    ),
}
_Records = npt.NDArray[np.void]
_Generators = dict[int, int]

# generators by number [8.1.2], and their defaults
_START, _END, _LOOP_START, _LOOP_END = (0, 4), (1, 12), (2, 45), (3, 50)  # offsets in samples and in 32768 samples
_INSTRUMENT, _KEYS, _VELOCITIES, _SAMPLE = 41, 43, 44, 53
_DEFAULTS: _Generators = dict.fromkeys(range(59), 0) | {
    8: OPEN_FILTER,
    **dict.fromkeys((21, 23, 25, 26, 27, 28, 30, 33, 34, 35, 36, 38), -12_000),
    **dict.fromkeys((46, 47, 58), -1),
    56: 100,
}
# generators without meaning, or with another one, in a preset's zones [8.5]
_INSTRUMENT_ONLY = {0, 1, 2, 3, 4, 12, 41, 43, 44, 45, 46, 47, 50, 54, 57, 58}


@dataclass(frozen=True)
class Envelope:
    """A DAHDSR envelope: delay, attack, hold, decay, sustain until release. Times are in seconds, for key 60."""

    delay: float
    attack: float
    hold: float
    decay: float  # for a full fall: 100 dB of volume, 1 of modulation
    sustain: float  # of volume: decibels below the peak; of modulation: share of the peak
    release: float
    hold_cents: float  # timecents by which the hold gets longer for each key below 60
    decay_cents: float  # the same for the decay


@dataclass(frozen=True)
class Oscillator:
    """A low-frequency oscillator: a triangle from -1 to 1 that begins at 0, and what it adds at 1."""

    delay: float  # seconds
    frequency: float  # hertz
    pitch: float  # cents
    cutoff: float = 0.0  # cents
    volume: float = 0.0  # decibels


@dataclass(frozen=True)
class Zone:
    """One sample and how it is played over a range of keys and velocities (both inclusive)."""

    keys: tuple[int, int]
    velocities: tuple[int, int]
    samples: npt.NDArray[np.int16]  # [n]
    loop: tuple[int, int] | None  # index of its first sample, and of the first one after it
    rate: int  # hertz
    root: float  # key, possibly fractional, at which the sample is played as recorded
    scale: float  # cents from key to key
    tuning: float  # cents
    attenuation: float  # decibels
    pan: float  # -1 left .. 1 right
    cutoff: float  # of the low-pass filter, absolute cents: 0 is 8.176 Hz
    resonance: float  # decibels
    volume_envelope: Envelope
    modulation_envelope: Envelope
    envelope_pitch: float  # cents that the modulation envelope adds at its peak
    envelope_cutoff: float  # cents
    oscillators: tuple[Oscillator, Oscillator]
    exclusive: int  # exclusive class: only one note of it sounds at a time; 0: none
    fixed_key: int  # replaces the key of every note; -1: none
    fixed_velocity: int  # replaces the velocity of every note; -1: none


class SoundFont:
    """The instruments of a SoundFont file, by General MIDI program.

    Raises:
        OptionError: the file is missing, truncated, damaged, not a SoundFont, or has no instrument.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._chunks = _chunks(read_plain(self.path))
            self._check()
        except OSError as error:
            raise OptionError(
                f"{path}: {error.strerror or type(error).__name__}; expected a SoundFont (.sf2)"
            ) from None
        except (ValueError, struct.error) as error:
            raise OptionError(f"{path}: {error}; expected a SoundFont (.sf2)") from None
        heads = self._table(b"phdr")[:-1]
        self._presets = {(int(head["bank"]), int(head["program"])): n for n, head in enumerate(heads)}
        self.melodic = frozenset(program for bank, program in self._presets if bank == 0)
        self.percussion = frozenset(program for bank, program in self._presets if bank == PERCUSSION_BANK)
        if not self.melodic and not self.percussion:
            raise OptionError(f"{path}: no instrument in bank 0 or {PERCUSSION_BANK}; try another SoundFont")

    def zones(self, program: int, drum: bool) -> list[Zone]:
        """All zones of a program or drum kit. Raises OptionError where samples are compressed or not in the file."""
        preset = self._presets[PERCUSSION_BANK if drum else 0, program]
        found = []
        for of_preset in self._generators(b"phdr", b"pbag", b"pgen", preset, _INSTRUMENT):
            for of_instrument in self._generators(b"inst", b"ibag", b"igen", of_preset[_INSTRUMENT], _SAMPLE):
                zone = self._zone(of_preset, of_instrument)
                if zone is not None:
                    found.append(zone)
        return found

    @cached_property
    def _samples(self) -> npt.NDArray[np.int16]:
        data = self._chunks[b"smpl"]
        return np.frombuffer(data, "<i2", len(data) // 2)

    def _table(self, kind: bytes) -> _Records:
        return np.frombuffer(self._chunks[kind], _RECORDS[kind])

    def _check(self) -> None:
        """Raise ValueError where a chunk is missing or of an invalid size, or an index points outside its table."""
        for kind, records in _RECORDS.items():
            data = self._chunks.get(kind, b"")
            if len(data) < records.itemsize or len(data) % records.itemsize:
                raise ValueError(
                    f"chunk {kind.decode()} has {len(data)} bytes, expected a multiple of {records.itemsize}"
                )
        if b"smpl" not in self._chunks:
            raise ValueError("the chunk smpl, which holds the samples, is missing")
        for kind, field, target in (
            (b"phdr", "bag", b"pbag"),
            (b"inst", "bag", b"ibag"),
            (b"pbag", "generator", b"pgen"),
            (b"ibag", "generator", b"igen"),
        ):
            index = self._table(kind)[field].astype(np.int64)
            if (np.diff(index) < 0).any() or index[-1] >= len(self._table(target)):
                raise ValueError(f"an index in chunk {kind.decode()} points outside of {target.decode()}")
        for kind, generator, target in ((b"pgen", _INSTRUMENT, b"inst"), (b"igen", _SAMPLE, b"shdr")):
            table = self._table(kind)[:-1]
            index = table["amount"][table["kind"] == generator].astype(np.uint16)
            if (index >= len(self._table(target)) - 1).any():
                raise ValueError(f"an index in chunk {kind.decode()} points outside of {target.decode()}")

    def _generators(self, head: bytes, bag: bytes, table: bytes, number: int, last: int) -> Iterator[_Generators]:
        """The generators of each zone, those of the first, global zone included. A zone has the generator `last`."""
        first, end = self._table(head)["bag"][[number, number + 1]].tolist()
        borders = self._table(bag)["generator"][first : end + 1].tolist()
        shared: _Generators = {}
        for begin, until in pairwise(borders):
            records = self._table(table)[begin:until]
            own = dict(zip(records["kind"].tolist(), records["amount"].tolist(), strict=True))
            if last in own:
                yield shared | own
            elif begin == borders[0]:
                shared = own

    def _zone(self, of_preset: _Generators, of_instrument: _Generators) -> Zone | None:
        """A zone of a preset and of an instrument combined: their generators add up [9.4]. None for an empty range."""
        keys = _range(of_preset, of_instrument, _KEYS)
        velocities = _range(of_preset, of_instrument, _VELOCITIES)
        head = self._table(b"shdr")[of_instrument[_SAMPLE]]
        values = _DEFAULTS | of_instrument
        for kind, amount in of_preset.items():
            if kind in values and kind not in _INSTRUMENT_ONLY:
                values[kind] += amount
        if keys[0] > keys[1] or velocities[0] > velocities[1]:
            return None
        samples, loop = self._sample(head, values)
        root = values[58] if 0 <= values[58] <= 127 else int(head["pitch"])
        return Zone(
            keys=keys,
            velocities=velocities,
            samples=samples,
            loop=loop if values[54] in (1, 3) else None,
            rate=int(head["rate"]),
            root=(root if root <= 127 else 60) - int(head["correction"]) / 100,
            scale=values[56],
            tuning=100 * values[51] + values[52],
            # hardware and other players use 0.4 of the specified attenuation, and SoundFonts are made for them
            attenuation=float(np.clip(0.4 * values[48] / 10, 0, 144)),
            pan=float(np.clip(values[17] / 500, -1, 1)),
            cutoff=values[8],
            resonance=float(np.clip(values[9] / 10, 0, 96)),
            volume_envelope=_envelope(values, (33, 34, 35, 36, 38, 39, 40), float(np.clip(values[37] / 10, 0, 144))),
            modulation_envelope=_envelope(
                values, (25, 26, 27, 28, 30, 31, 32), float(np.clip(1 - values[29] / 1000, 0, 1))
            ),
            envelope_pitch=values[7],
            envelope_cutoff=values[11],
            oscillators=(
                Oscillator(_seconds(values[21]), _hertz(values[22]), values[5], values[10], values[13] / 10),
                Oscillator(_seconds(values[23]), _hertz(values[24]), values[6]),
            ),
            exclusive=values[57],
            fixed_key=values[46] if 0 <= values[46] <= 127 else -1,
            fixed_velocity=values[47] if 1 <= values[47] <= 127 else -1,
        )

    def _sample(self, head: np.void, values: _Generators) -> tuple[npt.NDArray[np.int16], tuple[int, int] | None]:
        """The sample of a zone, and its loop if that is valid. Raises OptionError where it cannot be played."""
        if int(head["kind"]) & (_COMPRESSED | _IN_ROM):
            raise OptionError(
                f"{self.path}: its samples are compressed (SF3) or not in the file; expected an uncompressed .sf2"
            )

        def place(field: str, generators: tuple[int, int]) -> int:
            fine, coarse = generators
            return int(head[field]) + values[fine] + 32_768 * values[coarse]

        start, end = place("start", _START), place("end", _END)
        if not 0 <= start < end - 1 < len(self._samples) or not 400 <= int(head["rate"]) <= 200_000:
            raise OptionError(
                f"{self.path}: damaged, a sample lies outside of the file or has an invalid rate; try another SoundFont"
            )
        loop = place("loop_start", _LOOP_START) - start, place("loop_end", _LOOP_END) - start
        return self._samples[start:end], loop if 0 <= loop[0] < loop[1] - 1 < end - start else None


def general_midi_soundfont() -> Path:
    """The small General MIDI SoundFont inside the package pretty_midi. Raises OptionError where it is missing."""
    spec = find_spec("pretty_midi")
    path = Path(spec.origin if spec and spec.origin else "pretty_midi").with_name("TimGM6mb.sf2")
    if not path.is_file():
        raise OptionError(f"{path}: no such file; install pretty_midi again, or give a SoundFont with --soundfont")
    return path


def fit_programs(notes: NoteSequence, font: SoundFont) -> tuple[NoteSequence, list[str]]:
    """The piece with only programs that the SoundFont has, and a sentence for each that was replaced or left out.

    A missing instrument is replaced by the lowest program, a missing drum kit by the lowest kit; where the SoundFont
    has no instruments, or no kits, the notes are left out.
    """
    program, keep, remarks = notes.program.copy(), np.ones(len(notes), np.bool_), []
    for drum, there, what in ((False, font.melodic, "program"), (True, font.percussion, "drum kit")):
        of_kind = notes.is_drum == drum
        for missing in sorted(set(notes.program[of_kind].tolist()) - there):
            which = of_kind & (notes.program == missing)
            if there:
                program[which] = min(there)
                remarks.append(f"{font.path.name} has no {what} {missing}; {what} {min(there)} plays instead")
            else:
                keep &= ~which
                remarks.append(f"{font.path.name} has no {what} at all; {what} {missing} is left out")
    return notes.select(keep).with_columns(program=program[keep]), remarks


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks inside the lists of a RIFF file [4]. Raises ValueError for a truncated file, or another format."""
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise ValueError(f"begins with {data[:12]!r}, not a SoundFont")
    (size,) = struct.unpack_from("<I", data, 4)
    if len(data) < 8 + size:
        raise ValueError(f"truncated: {len(data)} bytes, its header says {8 + size}")
    found: dict[bytes, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if kind == b"LIST":
            position += 4  # its chunks are read as if they were not in a list
            continue
        if position + length > len(data):
            raise ValueError(f"truncated: chunk {kind!r} has {len(data) - position} bytes, its header says {length}")
        found[kind] = data[position : position + length]
        position += length + length % 2
    return found


def _range(of_preset: _Generators, of_instrument: _Generators, kind: int) -> tuple[int, int]:
    """The lowest and the highest key or velocity in both ranges, each stored as two bytes: low, high."""
    low, high = 0, 127
    for generators in (of_preset, of_instrument):
        if kind in generators:
            first, last = struct.unpack("BB", struct.pack("<h", generators[kind]))
            low, high = max(low, first), min(high, last)
    return low, high


def _envelope(values: _Generators, kinds: tuple[int, int, int, int, int, int, int], sustain: float) -> Envelope:
    delay, attack, hold, decay, release, hold_cents, decay_cents = (values[kind] for kind in kinds)
    return Envelope(
        delay=_seconds(delay),
        attack=_seconds(attack),
        hold=_seconds(hold),
        decay=_seconds(decay),
        sustain=sustain,
        release=_seconds(release),
        hold_cents=hold_cents,
        decay_cents=decay_cents,
    )


def _seconds(timecents: int) -> float:
    """2^(timecents / 1200), clipped to 1 ms .. 100 s; 0 for -12000 and less."""
    return 0.0 if timecents <= -12_000 else float(np.clip(2.0 ** (timecents / 1200), 0.001, 100.0))


def _hertz(cents: int) -> float:
    return float(8.176 * 2.0 ** (np.clip(cents, -16_000, 4_500) / 1200))
