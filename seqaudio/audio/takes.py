"""Takes: words cut out of sound that still comes in, checked, and kept by label and session.

    FOLDER/LABEL/session01_take01.wav      16 bits, at the rate at which it was recorded
    FOLDER/takes.tsv                       file, label, session, seconds, level, peak
    FOLDER/_background_noise_/...          what is heard between the words, a file a minute

A recording session is one call: whoever records again goes on with the next number, so nothing is replaced, and the
takes of a session, which sound alike, can be kept in one split.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from seqaudio.audio.reading import read_audio
from seqaudio.audio.recording import sound_fault, to_int16
from seqaudio.audio.segments import DIGITAL, SHORTEST, STEP, floor_of, sounding, step_levels, step_samples
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import read_plain_text, write_bytes
from seqaudio.units import Decibels, Seconds

PAUSE: Seconds = 0.5  # of quiet that ends a take; within "hey computer" there are 0.2
MARGIN: Seconds = 0.1  # before and after what sounds
SHORTEST_TAKE: Seconds = 0.15  # a word is longer
LONGEST_TAKE: Seconds = 10.0
STANDS_OUT: Decibels = 18.0  # above the quiet parts, at least; breath and rustling stay below it, words in noise do not
FAINTEST: Decibels = -65.0  # level of a step that may be a part of a word at all
LOWEST_PEAK: Decibels = -40.0  # of a take; of 16 bits nine are left
WAITED: Seconds = 3.0  # of sound kept while nothing stands out
PAST: Seconds = 10.0  # before those, whose levels still tell what is quiet
EVERY = 10  # steps between two looks

TABLE = "takes.tsv"
COLUMNS = ("file", "label", "session", "seconds", "level", "peak")
BACKGROUND = "_background_noise_"  # as Speech Commands calls it: preparations leave it out, and say how to use it
BACKGROUND_SECONDS: Seconds = 60.0  # of a file
SPEAKERS = r"(session\d+)_"  # --speaker-pattern of data_prep/audio_folder.py: sessions are kept in one split
_NAME = re.compile(r"session(\d+)_\D+\d+\.wav")


class Take(NamedTuple):
    """A part of a stream that sounds, with a margin of quiet."""

    samples: np.ndarray  # [N] float32
    rate: int
    start: Seconds  # of what sounds, from the beginning of the stream
    sounds: Seconds  # without the margins

    @property
    def level(self) -> Decibels:
        """Root mean square of the samples, of full scale."""
        return _decibels(float(np.sqrt(np.square(self.samples, dtype=np.float64).mean())))

    @property
    def peak(self) -> Decibels:
        """The largest sample, of full scale."""
        return _decibels(float(np.abs(self.samples).max(initial=0.0)))

    def fault(self) -> str:
        """Why the take is of no use, and what to do; empty where it is fine."""
        if self.sounds > LONGEST_TAKE:
            return f"too long: sounds for {LONGEST_TAKE:g} s without a pause; is there music or noise?"
        if fault := sound_fault(self.samples):
            return f"{fault}; speak less loudly, or further away" if fault.startswith("clipped") else fault
        if self.peak < LOWEST_PEAK:
            return f"too quiet: peak {self.peak:.0f} dB, expected at least {LOWEST_PEAK:.0f}; come closer"
        if self.sounds < SHORTEST_TAKE:
            return f"too short: sounds for {self.sounds:.2f} s, expected at least {SHORTEST_TAKE:g}"
        return ""


def _decibels(amplitude: float) -> Decibels:
    return max(DIGITAL, 20 * float(np.log10(max(amplitude, 1e-12))))


class TakeCutter:
    """Cuts takes out of a stream, whatever the size of its blocks.

    A take is what stands out from the quiet parts of the last seconds; `pause` seconds of quiet end it.
    """

    def __init__(self, rate: int, pause: Seconds = PAUSE) -> None:
        self.rate = rate
        self.pause = pause
        self._step = step_samples(rate)
        self._past = np.zeros(0)  # levels before the samples
        self._samples = np.zeros(0, dtype=np.float32)
        self._levels = np.zeros(0)  # of the samples' whole steps up to the last look
        self._before = 0  # samples before those

    @property
    def seconds(self) -> Seconds:
        """How much of the stream was pushed."""
        return (self._before + len(self._samples)) / self.rate

    def push(self, block: np.ndarray) -> Iterator[Take]:
        """Take the next samples [n] float32 and give the takes that have ended."""
        place = 0
        while place < len(block):
            looked = (len(self._levels) + EVERY) * self._step
            size = min(looked - len(self._samples), len(block) - place)
            self._samples = np.concatenate([self._samples, block[place : place + size]])
            place += size
            if len(self._samples) == looked:
                yield from self._look(ended=False)

    def finish(self) -> Iterator[Take]:
        """The takes in what is left, at the end of the stream."""
        yield from self._look(ended=True)

    def _look(self, ended: bool) -> Iterator[Take]:
        known = len(self._levels)
        self._levels = np.concatenate([self._levels, step_levels(self._samples[known * self._step :], self.rate)])
        count = len(self._levels)
        if not count:
            return
        floor = floor_of(np.concatenate([self._past, self._levels]))
        if self._levels.max() < max(floor + STANDS_OUT, FAINTEST):
            self._drop(count - round(WAITED / STEP))
            return
        dropped = 0
        for first, last in sounding(self._levels, floor, self.pause):
            over = ended or count - last >= self.pause / STEP
            too_long = last - first > LONGEST_TAKE / STEP
            if not over and not too_long:
                break
            if last - first >= SHORTEST / STEP:  # else a click
                yield self._take(first - dropped, last - dropped)
            self._drop(last - dropped)
            dropped = last
        self._drop(len(self._levels) - round((WAITED + LONGEST_TAKE) / STEP))

    def _take(self, first: int, last: int) -> Take:
        """The take of some steps of the samples."""
        margin = round(MARGIN * self.rate)
        begin, end = first * self._step, last * self._step
        samples = self._samples[max(0, begin - margin) : end + margin].copy()
        return Take(samples, self.rate, (self._before + begin) / self.rate, (last - first) * self._step / self.rate)

    def _drop(self, steps: int) -> None:
        """Forget the samples of the first steps; their levels stay for a while."""
        if steps <= 0:
            return
        self._past = np.concatenate([self._past, self._levels[:steps]])[-round(PAST / STEP) :]
        self._levels = self._levels[steps:]
        self._samples = self._samples[steps * self._step :]
        self._before += steps * self._step


class TakeFolder:
    """A folder of takes in which a new session begins.

    Raises:
        SourceError: its table has other columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = self._read_table()
        self.session = 1 + max(self._sessions(), default=0)
        self.kept = Counter[str]()  # takes of this session by label

    def keep(self, label: str, take: Take) -> Path:
        """Write a take and its row; returns the file. A kill leaves either both, or a file that is listed later."""
        number = self.kept[label] + 1
        file = self._file(label, f"take{number:02d}")
        self._write(file, take.samples, take.rate)
        self._add_rows([self._row(file, take.level, take.peak, len(take.samples) / take.rate)])
        self.kept[label] = number
        return file

    def keep_background(self, number: int, samples: np.ndarray, rate: int) -> Path:
        """Write background [N]; returns the file."""
        file = self._file(BACKGROUND, f"part{number:02d}")
        self._write(file, samples, rate)
        return file

    def list_unlisted(self) -> int:
        """Add the takes that a kill has left without a row to the table; returns their number."""
        listed = {row[0] for row in self._rows}
        rows = []
        for file in sorted(self.path.glob("*/session*_take*.wav")):
            if _NAME.fullmatch(file.name) and file.relative_to(self.path).as_posix() not in listed:
                recording = read_audio(file)
                take = Take(recording.samples, recording.sample_rate, 0.0, recording.seconds)
                rows.append(self._row(file, take.level, take.peak, recording.seconds))
        if rows:
            self._add_rows(rows)
        return len(rows)

    def sessions(self) -> int:
        """How many sessions the table lists."""
        return len({row[2] for row in self._rows})

    def _file(self, folder: str, name: str) -> Path:
        return self.path / folder / f"session{self.session:02d}_{name}.wav"

    def _write(self, file: Path, samples: np.ndarray, rate: int) -> None:
        content = io.BytesIO()
        soundfile.write(content, to_int16(samples), rate, subtype="PCM_16", format="WAV")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, content.getvalue())

    def _row(self, file: Path, level: Decibels, peak: Decibels, seconds: Seconds) -> tuple[str, ...]:
        name = file.relative_to(self.path).as_posix()
        session = _NAME.fullmatch(file.name)
        assert session is not None
        return name, file.parent.name, str(int(session[1])), f"{seconds:.3f}", f"{level:.1f}", f"{peak:.1f}"

    def _add_rows(self, rows: list[tuple[str, ...]]) -> None:
        """Write the table anew with more rows: a reader finds the former or the new one, whole."""
        self._rows += rows
        lines = ("\t".join(row) + "\n" for row in (COLUMNS, *self._rows))
        write_bytes(self.path / TABLE, "".join(lines).encode())

    def _read_table(self) -> list[tuple[str, ...]]:
        try:
            lines = read_plain_text(self.path / TABLE).splitlines()
        except FileNotFoundError:
            return []
        except UnicodeDecodeError:
            raise SourceError(f"{self.path / TABLE}: is not text in UTF-8, expected a table of takes") from None
        rows = [tuple(line.split("\t")) for line in lines]
        if any(len(row) != len(COLUMNS) for row in rows) or rows[:1] != [COLUMNS]:
            raise SourceError(f"{self.path / TABLE}: expected the columns {' '.join(COLUMNS)}; move it elsewhere")
        return rows[1:]

    def _sessions(self) -> Iterator[int]:
        """The numbers of sessions of which there are files or rows."""
        for name in (*(row[0] for row in self._rows), *(file.name for file in self.path.glob("*/session*.wav"))):
            if found := _NAME.fullmatch(name.rpartition("/")[2]):
                yield int(found[1])


def check_labels(labels: tuple[str, ...]) -> None:
    """Raise OptionError for labels that cannot be names of folders, or that are given twice."""
    for label in labels:
        if not label.strip() or not label.isprintable() or label[0] == "." or label in ("-", BACKGROUND):
            raise OptionError(f"--labels {label!r} cannot be the name of a folder; give the words that are spoken")
        if "/" in label or "\\" in label:
            raise OptionError(f"--labels {label} has a slash, expected the name of a folder, such as the spoken words")
        if labels.count(label) > 1:
            raise OptionError(f"--labels {label} is given twice; --count says how many takes of it are recorded")
