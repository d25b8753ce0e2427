"""A folder from which recordings are drawn at random: noises, or impulse responses of rooms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqaudio.audio import is_audio_name, read_audio
from seqaudio.errors import AudioError, SourceError
from seqaudio.ledger import Reason
from seqaudio.progress import say

CACHED = 64  # decoded recordings kept in memory
MOSTLY = 0.5  # share of silence above which a warning names a recording of noise
PART = 256  # samples of which silence is counted: a part is silent where all are 0


def _silent_parts(samples: np.ndarray) -> np.ndarray:
    """Whether each part of samples [N] is silent, [ceil(N / PART)] bool."""
    return ~np.add.reduceat(samples != 0, np.arange(0, len(samples), PART)).astype(bool)


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
        self._warned: set[Path] = set()  # files that are mostly silent, each named once
        self._read = functools.lru_cache(maxsize=CACHED)(self._decode)

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """A whole recording, [N] float32, read-only. Raises AudioError for one that cannot be used."""
        return self._read(int(generator.integers(len(self.files))))

    def cut(self, count: int, generator: np.random.Generator, within: slice = slice(None)) -> np.ndarray:
        """A random part of a recording, [count] float32, that is not silent in its slice `within`.

        A shorter recording is repeated. Where the first part drawn is silent there, another of the same recording is
        drawn, or one of the next recording. Raises SourceError where all recordings of the folder are silent.
        """
        number = int(generator.integers(len(self.files)))
        for step in range(len(self.files)):
            sound = self._read((number + step) % len(self.files))
            if len(sound) < count:
                sound = np.resize(sound, count)
            start = int(generator.integers(len(sound) - count + 1))
            if np.any(sound[start : start + count][within]):
                return sound[start : start + count]
            first, end, _ = within.indices(count)
            # samples that are not 0, and that some part would have in its slice
            places = first + np.flatnonzero(sound[first : len(sound) - count + end])
            if len(places):
                place = int(generator.choice(places))
                lowest, highest = max(0, place - end + 1), min(len(sound) - count, place - first)
                start = int(generator.integers(lowest, highest + 1))
                return sound[start : start + count]
        raise SourceError(f"{self.folder}: all {len(self.files)} recordings are silent; give a folder of sounds")

    def _decode(self, number: int) -> np.ndarray:
        file = self.files[number]
        samples = read_audio(file, self.sample_rate).samples
        if self.prepare is not None:
            try:
                samples = self.prepare(samples)
            except ValueError as error:
                raise AudioError(file, Reason.EMPTY, f"{error}; remove it from {self.folder}") from None
        elif file not in self._warned and (share := float(np.mean(_silent_parts(samples)))) > MOSTLY:
            self._warned.add(file)
            say(f"warning: {file}: {100 * share:.0f} % of it is silence, from which no noise is taken")
        samples.setflags(write=False)
        return samples
