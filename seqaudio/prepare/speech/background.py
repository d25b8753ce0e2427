"""Cut clips of the class `silence` from recordings of background noise; each split has a stretch of its own.

recording   [0 .............. 0.8) train   [0.8 .. 0.9) valid   [0.9 .. 1.0) test      by time
clips       evenly spaced within the stretch of their split; they overlap where more are wanted than fit side by side
loudness    each clip is multiplied by a factor in [0, 1), computed from the hash of its id
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqaudio.audio import Recording, read_audio, require_full_scale, resample
from seqaudio.errors import AudioError, InputFileError, LeftOutError
from seqaudio.ledger import Reason
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.speech.recordings import ExtractFeatures
from seqaudio.units import Seconds
from seqaudio.vocabulary import SILENCE

CLIP: Seconds = 1.0
STRETCHES = {"train": (0.0, 0.8), "valid": (0.8, 0.9), "test": (0.9, 1.0)}  # parts of a recording's time


@dataclass(frozen=True)
class CutBackground:
    """A `Process` for `build_store`: background recordings are cut into clips, all other items go to `extract`.

    Raises, when called:
        AudioError: as `ExtractFeatures` does; TOO_SHORT for a recording too short for a clip in any split.
        LeftOutError: no clip of the recording is needed.
    """

    extract: ExtractFeatures
    counts: Mapping[str, Mapping[str, int]]  # clips of each split, by the id of the recording
    seconds: Seconds = CLIP  # of a clip

    def __call__(self, item: Item) -> list[Row]:
        return self._cut(item) if is_background(item) else self.extract(item)

    def many(self, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
        """The rows or the error of each item, in order; recordings of words in batches."""
        for background, group in itertools.groupby(items, key=is_background):
            if not background:
                yield from self.extract.many(list(group))
                continue
            for item in group:
                try:
                    yield self._cut(item)
                except InputFileError as error:
                    yield error

    def _cut(self, item: Item) -> list[Row]:
        recording = read_audio(item.file, max_seconds=self.extract.max_seconds)
        require_full_scale(item.file, recording.samples)
        length = round(self.seconds * recording.sample_rate)
        rows = []
        for split, count in self.counts[item.id].items():
            for number, start in enumerate(clip_starts(len(recording.samples), length, split, count)):
                name = f"{item.id}/{split}/{number:04d}"
                # cut before resampling, so that the filter sees no samples of the next stretch
                clip = recording.samples[start : start + length] * np.float32(hash_fraction(name))
                clip = resample(clip, recording.sample_rate, self.extract.settings.sample_rate)
                rows += self.extract.rows([Item(name, item.path, name, split)], clip[None])
        if not rows and not _with_room(recording, self.seconds):
            detail = f"{recording.seconds:.2f} s, too short for a clip of {self.seconds} s in any split"
            raise AudioError(item.file, Reason.TOO_SHORT, detail)
        if not rows:
            raise LeftOutError(item.file, Reason.NOT_NEEDED, "other recordings give all the clips that are needed")
        return rows


def is_background(item: Item) -> bool:
    """True for a recording to be cut into clips: its label is `silence`, and it has no split, since its clips do."""
    return item.label == SILENCE and not item.split


def clip_starts(samples: int, length: int, split: str, count: int) -> list[int]:
    """Where `count` clips of `length` samples start in the stretch of a split; empty where the stretch is too short."""
    first, end = (round(part * samples) for part in STRETCHES[split])
    if end - first < length:
        return []
    return [first + round(index * (end - length - first) / max(1, count - 1)) for index in range(count)]


def splits_with_room(file: Path, seconds: Seconds = CLIP) -> list[str]:
    """The splits whose stretch of the recording is long enough for a clip; empty for a file that cannot be read."""
    try:
        return _with_room(read_audio(file), seconds) if file.is_file() else []  # reading a pipe would block
    except AudioError:
        return []  # the preparation refuses the file with the reason


def _with_room(recording: Recording, seconds: Seconds) -> list[str]:
    length = round(seconds * recording.sample_rate)
    return [split for split in STRETCHES if clip_starts(len(recording.samples), length, split, 1)]


def share_out(count: int, names: Sequence[str]) -> dict[str, int]:
    """Clips of each recording, `count` in all, as equal as possible: the first have one more where that is needed.

    Empty without recordings.
    """
    return {name: count // len(names) + (index < count % len(names)) for index, name in enumerate(names)}
