"""Words and background from folders and tables, and background split by file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.audio import is_audio_name, read_audio
from seqaudio.audio.segments import segments
from seqaudio.augmentation.acoustics import band_limit
from seqaudio.errors import AudioError, OptionError, SourceError
from seqaudio.ledger import Reason
from seqaudio.prepare.corpora.columns import segment_of
from seqaudio.prepare.corpora.tables import listed_file, read_table
from seqaudio.units import Hertz, Seconds

RATE = 16000  # hertz, of everything that is streamed
TIMES = (("start", "end"), ("word_start", "word_end"))  # columns of a table, the first pair that it has
LOWEST: Hertz = 10.0  # passed by the low-pass, which is a band limit
PIECE: Seconds = 60.0  # filtered at a time
MARGIN: Seconds = 0.5  # filtered on both sides of a piece and cut off again


@dataclass(frozen=True)
class Clip:
    """A recording of a word, and where the word is in it; None: where it sounds."""

    file: Path
    start: Seconds | None = None
    end: Seconds | None = None


class Word(NamedTuple):
    """A clip in memory: samples [N] float32, and the word's first sample and the one behind its last."""

    samples: np.ndarray
    first: int
    end: int


class Reader:
    """Reads recordings at RATE, all with the same low-pass, so that none is known by its bandwidth.

    low_pass: hertz; None for none.
    """

    def __init__(self, low_pass: Hertz | None = None) -> None:
        if low_pass is not None and low_pass >= RATE / 2:
            raise OptionError(f"--low-pass {low_pass:g}, expected less than {RATE // 2} Hz, half the sample rate")
        self.low_pass = low_pass

    def read(self, file: Path) -> np.ndarray:
        """Samples [N] float32. Raises AudioError."""
        samples = read_audio(file, RATE).samples
        return samples if self.low_pass is None else low_passed(samples, self.low_pass)

    def word(self, clip: Clip) -> Word:
        """A clip in memory. Raises AudioError for one that cannot be read, is silent, or ends before the word."""
        samples = self.read(clip.file)
        if clip.start is None or clip.end is None:
            places = segments(samples, RATE)
            first, end = places[0][0], places[-1][1]
        else:
            first, end = round(clip.start * RATE), min(len(samples), round(clip.end * RATE))
        if end <= first:
            detail = f"{len(samples) / RATE:.2f} s, but the word begins at {clip.start:g} s"
            raise AudioError(clip.file, Reason.TOO_SHORT, detail)
        if not np.any(samples[first:end]):
            raise AudioError(clip.file, Reason.EMPTY, "the word is silent")
        return Word(samples, first, end)


def low_passed(samples: np.ndarray, high: Hertz) -> np.ndarray:
    """Samples [N] at RATE without what lies above `high`, [N] float32, filtered in pieces, so in bounded memory."""
    piece, margin = round(PIECE * RATE), round(MARGIN * RATE)
    parts = []
    for first in range(0, len(samples), piece):
        before = min(margin, first)
        part = samples[first - before : first + piece + margin]
        parts.append(band_limit(part, LOWEST, high, RATE)[before : before + piece])
    return np.concatenate(parts) if parts else samples


def clips_of(source: Path, where: Mapping[str, str]) -> list[Clip]:
    """The clips of a folder and those below it, sorted by path, or of a table.

    A table has a column `file`, and may have `start` and `end`, or `word_start` and `word_end`, in seconds.

    where: value by column; other rows of the table are left out.
    Raises:
        SourceError: nothing there, or no row that fits.
        OptionError: `where` for a folder.
    """
    if source.is_dir():
        if where:
            raise OptionError(
                f"--where chooses rows of a table, and {source} is a folder; give its table, or no --where"
            )
        files = sorted(path for path in source.rglob("*") if is_audio_name(path) and path.is_file())
        if not files:
            raise SourceError(f"{source}: has no recordings; expected a folder with WAV, FLAC, OGG or MP3 files")
        return [Clip(file) for file in files]
    rows = read_table(source, ("file", *where))
    times = next((pair for pair in TIMES if all(name in rows[0] for name in pair)), None)
    found = []
    for number, row in enumerate(rows, start=2):
        if any(row[name] != value for name, value in where.items()):
            continue
        start = end = None
        if times is not None and row[times[1]]:
            start, end = segment_of(f"{source}, row {number}", {"start": row[times[0]], "end": row[times[1]]})
        found.append(Clip(listed_file(source.parent, row["file"]), start, end))
    if not found:
        wanted = ", ".join(f"{name}={value}" for name, value in where.items())
        raise SourceError(f"{source}: none of its {len(rows):,} rows has {wanted}; give another --where")
    return found


def parsed_where(text: str) -> dict[str, str]:
    """`COLUMN=VALUE,...` as a dictionary. Raises OptionError for a part without an equals sign."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise OptionError(f"--where {part!r}, expected COLUMN=VALUE, such as split=test")
        found[name.strip()] = value.strip()
    return found


def split_background(files: Sequence[Path], share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """The files on which thresholds are chosen, a share of them, and those on which they are judged.

    Both in a random order, which depends on the seed, and on the name of each file and of its folder.
    Raises OptionError where one of both would be empty.
    """
    ordered = sorted(files, key=lambda file: hashlib.sha256(f"{seed} {file.parent.name}/{file.name}".encode()).digest())
    count = round(share * len(files)) if not share else max(1, round(share * len(files)))
    if count >= len(files):
        raise OptionError(
            f"{len(files)} file{'s' * (len(files) != 1)} of background, expected one at least for choosing thresholds "
            f"and another for judging them; give more files, or --threshold"
        )
    return ordered[:count], ordered[count:]
