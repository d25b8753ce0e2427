"""Made-up streams for training a spotter: words among quiet, speech and noise, with one target a frame.

    |   pause   |   word   | hold |  other speech  | pause |  word  | hold |next word ...
       silence    unknown    word      unknown      silence

Clips of a store are placed anywhere in a longer sound, changed by `augmentation/frames.py`, put into rooms and mixed
with noise as log-mel energies (`augmentation/spectra.py`). Clips of the class `silence` are sounds whose target is
`silence`, and noise under words. A stream depends on (seed, epoch, number) alone.

The label of a word is the target of the frames just behind it, for `hold` seconds: by then the whole word was heard, so
that words which begin alike differ. Within a word the target is `unknown` (`silence` where there is no such label), so
that no other word is heard in its beginning; just before its end and just behind the target frames there is no loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from seqaudio.augmentation.spectra import active_frames, check_energies
from seqaudio.batching.batch import Batch
from seqaudio.batching.clips import JoinedClips
from seqaudio.batching.mixing import Mixed, MixedStreams, MixingOptions, Word
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.units import Seconds
from seqaudio.vocabulary import SILENCE, UNKNOWN, Vocabulary

DEAF: Seconds = 0.2  # behind the target frames of a word, which count for nothing
UNTOLD: Seconds = 0.06  # before the end of a word, where it may be known already, and which count for nothing
WORDS = 100  # of a keyword, from which its usual length is taken


@dataclass(frozen=True, kw_only=True)
class StreamOptions(MixingOptions):
    """Made-up streams, on which a spotter is trained."""

    GROUP: ClassVar[str] = "streams"

    background_weight: float = 0.4  # weight in the loss of a frame without a keyword; one with a keyword has 1
    inside_weight: float = 0.4  # the same of a frame within a word, which is not heard before its end
    negatives: tuple[Path, ...] = ()  # sounds that were taken for keywords, such as `seqaudio alarms --cut` writes

    @property
    def speech_folders(self) -> tuple[Path, ...]:
        """Folders of sounds without keywords."""
        return (*self.speech_folder, *self.negatives)

    def stream_labels(self, names: Vocabulary) -> Vocabulary:
        """The labels of a model for streams: `silence` is always among them, `unknown` where there is other speech."""
        added = {SILENCE, UNKNOWN} if self.speech_folders else {SILENCE}
        return Vocabulary.from_labels({*names, *added})


def for_streams(settings: FeatureSettings) -> bool:
    """Whether features can be mixed, so that streams can be made of clips."""
    try:
        check_energies(settings)
    except OptionError:
        return False
    return True


class Streams(MixedStreams):
    """A source of batches of made-up streams with a label a frame, for a spotter.

    Args:
        options: of the streams and of their weights.
        continues: each batch continues the streams of the one before, so that the state is carried.
        clips, labels, settings, more: as `MixedStreams` takes them.
    Raises OptionError as it does.
    """

    options: StreamOptions

    def __init__(
        self,
        clips: JoinedClips,
        labels: Vocabulary,
        settings: FeatureSettings,
        options: StreamOptions,
        *,
        continues: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(clips, labels, settings, options, **more)
        self.continues = continues

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for number in range(start, len(self)):
            rows = range(number * self.batch_size, (number + 1) * self.batch_size)
            streams = [self._with_targets(mixed) for mixed in self.mixed_streams(epoch, rows)]
            inputs, targets, weights = (np.stack(part, axis=1) for part in zip(*streams, strict=True))
            yield Batch(
                torch.from_numpy(inputs),
                torch.full((self.batch_size,), self.frames, dtype=torch.int64),
                targets=torch.from_numpy(targets),
                weights=torch.from_numpy(weights),
            )

    def stream(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames [T, M] float32, targets [T] int64 and weights [T] float32 of one stream."""
        return self._with_targets(self.mixed(epoch, number))

    def _with_targets(self, mixed: Mixed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        targets, weights = self._targets(mixed.words, mixed.background)
        outside = np.ones(self.frames, dtype=bool)
        outside[mixed.first : mixed.end] = False
        if mixed.talk:
            targets[targets == self.silence] = self.reject
        targets[outside & (targets == self.reject)] = self.silence
        return mixed.frames, targets, weights

    def _targets(self, words: list[Word], background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Targets [T] and weights [T] of a stream."""
        deaf, margin = (round(time / self.settings.frame_shift) for time in (DEAF, UNTOLD))
        targets, weights = background, np.full(self.frames, self.options.background_weight, dtype=np.float32)
        ends = [end for _, end in self.spans(words)]
        for word, end in zip(words, ends, strict=True):
            weights[word.first : end + deaf] = 0.0
            inside = slice(word.first, max(word.first, word.end - margin))
            targets[inside], weights[inside] = self.reject, self.options.inside_weight
        for word, end in zip(words, ends, strict=True):
            targets[word.end : end] = word.label
            weights[word.end : end] = self.options.background_weight if word.label == self.reject else 1.0
        return targets, weights


def word_seconds(clips: JoinedClips, labels: Vocabulary, settings: FeatureSettings) -> dict[str, float]:
    """The median length of the words of each keyword, from at most WORDS clips each."""
    found = {}
    for label, name in enumerate(labels):
        rows = np.flatnonzero(clips.labels == label)
        if name in (UNKNOWN, SILENCE) or not len(rows):
            continue
        places = (active_frames(clips.frames(row), settings) for row in rows[:: max(1, len(rows) // WORDS)].tolist())
        found[name] = float(np.median([end - first for first, end in places])) * settings.frame_shift
    return found
