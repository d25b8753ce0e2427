"""A folder from which recordings are drawn at random: noises, or impulse responses of rooms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqaudio.audio import is_audio_name, read_audio
from seqaudio.errors import AudioError, SourceError
from seqaudio.ledger import Reason

CACHED = 64  # decoded recordings kept in memory


class SoundFolder:
    """The sound files of a folder and all folders below it, sorted by name.

    A file is decoded when it is first drawn. Equal folders and generators give equal sounds.

    Args:
        folder: where to look.
        sample_rate: hertz; recordings are resampled to it.
        prepare: applied to the samples [N] of each recording; raises ValueError for those that it cannot use.
    Raises:
        SourceError: no such folder, or no sound files in it.
    """

    def __init__(
        self, folder: Path | str, sample_rate: int, prepare: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SourceError(f"{self.folder}: no such folder; give one with sound files")
        found = (path for path in self.folder.rglob("*") if is_audio_name(path) and path.is_file())
        self.files = sorted(found, key=lambda path: path.relative_to(self.folder).as_posix())
        if not self.files:
            raise SourceError(f"{self.folder}: has no sound files, expected WAV, FLAC, Ogg, MP3 or others")
        self.sample_rate = sample_rate
        self.prepare = prepare
        self._read = functools.lru_cache(maxsize=CACHED)(self._decode)

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """A whole recording, [N] float32, read-only. Raises AudioError for one that cannot be used."""
        return self._read(int(generator.integers(len(self.files))))

    def cut(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """A random part of a recording, [count] float32; a shorter recording is repeated."""
        sound = self.draw(generator)
        start = int(generator.integers(max(1, len(sound) - count + 1)))
        return sound[start : start + count] if len(sound) >= count else np.resize(sound, count)

    def _decode(self, number: int) -> np.ndarray:
        file = self.files[number]
        samples = read_audio(file, self.sample_rate).samples
        if self.prepare is not None:
            try:
                samples = self.prepare(samples)
            except ValueError as error:
                raise AudioError(file, Reason.EMPTY, f"{error}; remove it from {self.folder}") from None
        samples.setflags(write=False)
        return samples
