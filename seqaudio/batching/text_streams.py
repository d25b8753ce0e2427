"""Made-up streams with their texts, for a recogniser of words: new strings of a store's words in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.batching.batch import Batch
from seqaudio.batching.clips import check_features, joined_clips, labelled_clips
from seqaudio.batching.mixing import Mixed, MixedStreams, MixingOptions
from seqaudio.batching.sounds import read_sounds
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.store import Store
from seqaudio.transcripts import BLANK, Spelling
from seqaudio.units import Seconds
from seqaudio.vocabulary import SILENCE, UNKNOWN, Vocabulary


@dataclass(frozen=True, kw_only=True)
class TextStreamOptions(MixingOptions):
    """With --words: training recordings are made up of these words, anew in each epoch."""

    words: Path | None = None  # store of words with labels and the features of --store, in place of its training split
    stream_seconds: Seconds = 3.0  # of a stream
    pause: Seconds = 0.4  # mean pause between two words
    cut_off: float = 0.0  # share of streams that begin or end in digital silence, as a recording does
    in_rooms: float = 0.1  # share of streams in a room
    without_noise: float = 0.05  # share of streams without audible noise
    more_share: float = 0.5  # share of the words that are taken from --more-stores


class TextStreams(MixedStreams):
    """A source of batches of made-up streams with their texts.

    The alignment has the unit of a word in the frames just after the word, where the net may write it.

    Args:
        units: [C] int64, the unit of each label; 0 where it has none, as `silence` and `unknown`.
        given, more: as `MixedStreams` takes them.
    Raises OptionError as it does.
    """

    continues = False
    cut_words = 0.0  # a word that is cut off would not be in the text

    def __init__(self, *given: Any, units: np.ndarray, **more: Any) -> None:
        super().__init__(*given, **more)
        self.units = units

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for number in range(start, len(self)):
            rows = range(number * self.batch_size, (number + 1) * self.batch_size)
            streams = [self._with_text(mixed) for mixed in self.mixed_streams(epoch, rows)]
            lengths = [len(text) for _, text, _ in streams]
            targets = np.zeros((max(lengths), len(streams)), dtype=np.int64)
            for column, (_, text, _) in enumerate(streams):
                targets[: len(text), column] = text
            yield Batch(
                torch.from_numpy(np.stack([frames for frames, _, _ in streams], axis=1)),
                torch.full((self.batch_size,), self.frames, dtype=torch.int64),
                targets=torch.from_numpy(targets),
                target_lengths=torch.tensor(lengths),
                alignment=torch.from_numpy(np.stack([alignment for _, _, alignment in streams], axis=1)),
            )

    def stream(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames [T, M] float32, the units of the text [U] int64, and the alignment [T] int64 of one stream."""
        return self._with_text(self.mixed(epoch, number))

    def _with_text(self, mixed: Mixed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        units = self.units[[word.label for word in mixed.words]] if mixed.words else np.zeros(0, dtype=np.int64)
        alignment = np.zeros(self.frames, dtype=np.int64)
        for unit, (first, end) in zip(units.tolist(), self.spans(mixed.words), strict=True):
            alignment[first:end] = unit
        return mixed.frames, units[units > 0], alignment


def text_streams(
    store: Store,
    options: TextStreamOptions,
    spelling: Spelling,
    changes: AugmentationOptions,
    batch_size: int,
    seed: int,
    limit: int | None = None,
) -> TextStreams:
    """The streams of `--words` for a recogniser that is validated on a store; of the first `limit` words alone.

    Raises:
        OptionError: units that are not words, or features that cannot be mixed.
        StoreError: a store of words with other features. VocabularyError: a label that is not among the units.
    """
    if options.words is None or spelling.settings.units != "words":
        raise OptionError("--words STORE needs --units words: its labels are the units of the net")
    settings = FeatureSettings.from_dict(store.setting("features", dict))
    words = Store(options.words)
    check_features(words, store)
    rest = {SILENCE, UNKNOWN} if UNKNOWN in words.names or options.speech_folder else {SILENCE}
    labels = Vocabulary.from_labels({*spelling.vocabulary, *rest} - {BLANK})
    units = [0 if name in rest else spelling.vocabulary.index(name) for name in labels]
    clips = labelled_clips(words, words["train"].head(limit), labels)
    return TextStreams(
        joined_clips(words, clips, options.more_stores, labels),
        labels,
        settings,
        options,
        batch_size=batch_size,
        seed=seed,
        sounds=read_sounds(settings, options.speech_folder, changes.noise_folder, changes.room_folder),
        augment=changes.of_features(settings, seed),
        snr=(changes.lowest_snr, changes.highest_snr),
        units=np.array(units, dtype=np.int64),
    )
