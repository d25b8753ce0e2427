"""Clips of silence, cut from recordings of background noise so that no two splits share a stretch of them.

recording   [0 .............. 0.8) train   [0.8 .. 0.9) valid   [0.9 .. 1.0) test      by time
clips       at even distances within their stretch; they overlap where more are wanted than it holds side by side
loudness    each clip is multiplied by a factor in [0, 1), the hash of its id
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqaudio.audio import Recording, read_audio, resample
from seqaudio.errors import AudioError, InputFileError, LeftOutError
from seqaudio.ledger import Reason
from seqaudio.prepare.build import Item, Row
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.prepare.speech.recordings import ExtractFeatures
from seqaudio.units import Seconds
from seqaudio.vocabulary import SILENCE

CLIP: Seconds = 1.0
STRETCHES = {"train": (0.0, 0.8), "valid": (0.8, 0.9), "test": (0.9, 1.0)}  # parts of a recording's time


@dataclass(frozen=True)
class CutBackground:
    """A `Process` for `build_store`: items labelled `silence` without a split are cut, all others go to `extract`.

    Raises, when called:
        AudioError: as `ExtractFeatures` does, and for a recording without room for a clip.
        LeftOutError: no clip of the recording is wanted.
    """

    extract: ExtractFeatures
    counts: Mapping[str, Mapping[str, int]]  # clips of each split, by the id of the recording
    seconds: Seconds = CLIP  # of a clip

    def __call__(self, item: Item) -> list[Row]:
        return self._cut(item) if is_background(item) else self.extract(item)

    def many(self, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
        """The outcome of each item, in order; recordings of words together."""
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
        recording = read_audio(item.file)
        length = round(self.seconds * recording.sample_rate)
        rows = []
        for split, count in self.counts[item.id].items():
            for number, start in enumerate(clip_starts(len(recording.samples), length, split, count)):
                name = f"{item.id}/{split}/{number:04d}"
                # cut before it is resampled, so that the filter sees nothing of the next stretch
                clip = recording.samples[start : start + length] * np.float32(hash_fraction(name))
                clip = resample(clip, recording.sample_rate, self.extract.settings.sample_rate)
                rows += self.extract.rows([Item(name, item.path, name, split)], clip[None])
        if not rows and not _with_room(recording, self.seconds):
            detail = f"{recording.seconds:.2f} s, too short for a clip of {self.seconds} s in a stretch of any split"
            raise AudioError(item.file, Reason.TOO_SHORT, detail)
        if not rows:
            raise LeftOutError(item.file, Reason.NOT_NEEDED, "none of the clips that are wanted is left for it")
        return rows


def is_background(item: Item) -> bool:
    """True for a recording to be cut: it is silence, and in no split because it is in all of them."""
    return item.label == SILENCE and not item.split


def clip_starts(samples: int, length: int, split: str, count: int) -> list[int]:
    """First samples of `count` clips of `length` samples in the stretch of a split; none where it is too short."""
    first, end = (round(part * samples) for part in STRETCHES[split])
    if end - first < length:
        return []
    return [first + round(index * (end - length - first) / max(1, count - 1)) for index in range(count)]


def splits_with_room(file: Path, seconds: Seconds = CLIP) -> list[str]:
    """The splits in whose stretch of a recording a clip has room; none where the file cannot be read."""
    try:
        return _with_room(read_audio(file), seconds) if file.is_file() else []  # a pipe would be waited for
    except AudioError:
        return []  # the preparation refuses it, and says why


def _with_room(recording: Recording, seconds: Seconds) -> list[str]:
    length = round(seconds * recording.sample_rate)
    return [split for split in STRETCHES if clip_starts(len(recording.samples), length, split, 1)]


def share_out(count: int, names: Sequence[str]) -> dict[str, int]:
    """`count` clips dealt to recordings as evenly as can be; the first get one more where it does not divide.

    Without recordings none is dealt.
    """
    return {name: count // len(names) + (index < count % len(names)) for index, name in enumerate(names)}
