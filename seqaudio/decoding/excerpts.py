"""Keep the sound around each hit of a stream as a WAV: `hit0001_hey_computer.wav`, numbered on from those before."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import soundfile

from seqaudio.audio.recording import to_int16
from seqaudio.decoding.spotting import Hit
from seqaudio.errors import OptionError
from seqaudio.files import write_bytes
from seqaudio.units import Seconds

BEFORE: Seconds = 0.5  # of sound before a word
BEHIND: Seconds = 0.5
LATEST: Seconds = 2.0  # after its end, at most, a hit is reported
_NAME = re.compile(r"hit(\d+)_.*\.wav")
LONGEST_NAME = 40  # characters of a keyword in the name of a file


class Excerpts:
    """Writes the sound around hits; holds the last seconds of the stream alone.

    Args:
        folder: of the files, made where it is missing. rate: hertz. longest: seconds of a word, at most.
    Raises:
        OptionError: a file in place of the folder.
    """

    def __init__(self, folder: Path, rate: int, longest: Seconds) -> None:
        if folder.exists() and not folder.is_dir():
            raise OptionError(f"--save {folder} is a file, expected a new folder, or one of earlier hits")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.rate = rate
        self._held = round((BEFORE + longest + LATEST) * rate)
        self._samples = np.zeros(0, dtype=np.float32)
        self._before = 0  # samples of the stream before those
        self._waiting: list[tuple[Path, int, int]] = []  # file, first sample and end of excerpts that last on
        numbers = (int(found[1]) for file in folder.iterdir() if (found := _NAME.fullmatch(file.name)))
        self._next = max(numbers, default=0) + 1

    def push(self, block: np.ndarray) -> None:
        """Take the next samples [n] float32 of the stream, and write the excerpts that are complete."""
        self._samples = np.concatenate([self._samples, block])
        self._write(self._before + len(self._samples))
        first = min([self._before + len(self._samples) - self._held, *(first for _, first, _ in self._waiting)])
        if (drop := first - self._before) > self._held // 4:  # not with every block, as it copies
            self._samples = self._samples[drop:]
            self._before += drop

    def add(self, hit: Hit) -> Path:
        """Note a hit; returns the file that will hold it once what follows was heard."""
        word = re.sub(r"\W+", "_", hit.keyword)[:LONGEST_NAME]
        file = self.folder / f"hit{self._next:04d}_{word}.wav"
        self._next += 1
        first = max(self._before, round((hit.start - BEFORE) * self.rate))
        self._waiting.append((file, first, round((hit.end + BEHIND) * self.rate)))
        return file

    def finish(self) -> None:
        """Write what waits for sound that does not come."""
        self._write(None)

    def _write(self, heard: int | None) -> None:
        """Write the excerpts that end within so many samples of the stream; None: all."""
        ready = [part for part in self._waiting if heard is None or part[2] <= heard]
        self._waiting = [part for part in self._waiting if part not in ready]
        for file, first, end in ready:
            part = self._samples[first - self._before : max(first, end) - self._before]
            content = io.BytesIO()
            soundfile.write(content, to_int16(part), self.rate, subtype="PCM_16", format="WAV")
            write_bytes(file, content.getvalue())
