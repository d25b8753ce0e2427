"""Labelled clips of a store of features, or of samples that become features when their batch is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from seqaudio.arrow_files import Split
from seqaudio.audio.recording import from_int16
from seqaudio.batching.batch import Batch
from seqaudio.batching.padded import Augmenter, LabelledSequences, pad_frames
from seqaudio.errors import OptionError, StoreError
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import FeatureSettings
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary


@dataclass(frozen=True)
class LabelledRecordings:
    """Rows of a store of kind audio with one label each, as batches of frames [T, F].

    Without augmentation the batches are those that `LabelledSequences` makes of a store of the same features.
    """

    split: Split  # samples [N] int16 at the rate of the settings
    labels: np.ndarray  # [N] int64
    settings: FeatureSettings
    waveform_augment: Augmenter | None = None  # changes samples [N] float32, such as a WaveformAugmenter
    feature_augment: Augmenter | None = None  # changes frames, as in LabelledSequences

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each row before augmentation, [N] int64."""
        return np.array([self.settings.frames(samples) for samples in self.split.lengths.tolist()], dtype=np.int64)

    def __call__(self, rows: Sequence[int], epoch: int) -> Batch:
        ids = tuple(self.split.ids[row] for row in rows)
        sequences = [self._frames(row, epoch, name) for row, name in zip(rows, ids, strict=True)]
        inputs, lengths = pad_frames(sequences)
        return Batch(inputs, lengths, targets=torch.from_numpy(self.labels[list(rows)]), ids=ids)

    def frames(self, row: int) -> np.ndarray:
        """The frames [T, F] of a row, without augmentation."""
        return extract_frames(from_int16(self.split.sequence(row)), self.settings)

    def _frames(self, row: int, epoch: int, name: str) -> np.ndarray:
        samples = from_int16(self.split.sequence(row))
        if self.waveform_augment is not None:
            samples = self.waveform_augment(samples, epoch, name)
            # a change of speed may leave fewer samples than a frame needs
            samples = np.pad(samples, (0, max(0, self.settings.min_samples - len(samples))))
        frames = extract_frames(samples, self.settings)
        return frames if self.feature_augment is None else self.feature_augment(frames, epoch, name)


@dataclass(frozen=True)
class JoinedClips:
    """Labelled clips of several stores, one store after the other, for streams that are made of them."""

    parts: tuple[LabelledSequences | LabelledRecordings, ...]

    @cached_property
    def labels(self) -> np.ndarray:
        """[N] int64."""
        return np.concatenate([part.labels for part in self.parts])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each row, [N] int64."""
        return np.concatenate([part.lengths for part in self.parts])

    @cached_property
    def store(self) -> np.ndarray:
        """The number of the store of each row, [N] int64."""
        return np.repeat(np.arange(len(self.parts)), [len(part.labels) for part in self.parts])

    @cached_property
    def _firsts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum([len(part.labels) for part in self.parts])])

    def frames(self, row: int) -> np.ndarray:
        """The frames [T, F] of a row, without augmentation."""
        number = int(self.store[row])
        return self.parts[number].frames(row - int(self._firsts[number]))

    def name(self, row: int) -> str:
        """The id of a row, which no other row of its store has."""
        number = int(self.store[row])
        return self.parts[number].split.ids[row - int(self._firsts[number])]


Clips = LabelledSequences | LabelledRecordings


def check_frames(clips: Clips, most: int) -> None:
    """Raise OptionError where a row alone has more frames than a batch may have; the message names the longest."""
    lengths = clips.lengths
    too_long = np.flatnonzero(lengths > most)
    if len(too_long):
        row = int(lengths.argmax())
        others = f" and {len(too_long) - 1:,} more" if len(too_long) > 1 else ""
        seconds = clips.split.column("duration")[row]
        raise OptionError(
            f"{clips.split.ids[row]} ({seconds:,.0f} s){others} has {lengths[row]:,} frames, expected at most the "
            f"{most:,} of a batch; cut it or leave it out and prepare again, or give --batch-frames {lengths[row]}"
        )


def joined_clips(store: Store, clips: Clips, others: Sequence[Path], labels: Vocabulary) -> JoinedClips:
    """The training clips of a store and of others. Raises StoreError for a store with other features."""
    parts = [clips]
    for path in others:
        other = Store(path)
        check_features(other, store)
        parts.append(labelled_clips(other, other["train"], labels))
    return JoinedClips(tuple(parts))


def check_features(other: Store, store: Store) -> None:
    """Raise StoreError for a store without sound, or with other features than the one that is trained on."""
    other.require(("features", "audio"), "a set of labelled clips")
    if other.setting("features", dict) != store.setting("features", dict):
        raise StoreError(f"{other.path}: has other features than {store.path}; prepare it with the same --features")


MOST = 95.0  # percentile of the lengths that counts as the longest, since some recorders were left running


def clip_seconds(split: Split) -> dict[str, float]:
    """Seconds of the rows of a split, which the run of a model keeps: the usual length, and that of the longest."""
    seconds = np.array(split.column("duration"), dtype=np.float64)
    return {"usual": float(np.median(seconds)), "longest": float(np.percentile(seconds, MOST))}


def labelled_clips(
    store: Store,
    split: Split,
    labels: Vocabulary,
    waveform_augment: Augmenter | None = None,
    feature_augment: Augmenter | None = None,
) -> Clips:
    """The rows of a split of a store, with the ids of their labels.

    Args:
        labels: of the model; any other label counts as `unknown` where that is among them.
        waveform_augment: changes samples, such as a WaveformAugmenter. feature_augment: changes frames.
    Raises:
        StoreError: the store holds neither features nor samples.
        OptionError: a waveform augmentation for a store that does not keep samples.
        VocabularyError: labels that are not known.
    """
    store.require(("features", "audio"), "a set of labelled clips")
    return clips_of(store, split, labels.encode(split.labels), waveform_augment, feature_augment)


def clips_of(
    store: Store,
    split: Split,
    ids: np.ndarray,
    waveform_augment: Augmenter | None = None,
    feature_augment: Augmenter | None = None,
) -> Clips:
    """The rows of a split of a store of features or samples, with a label id each, [N] int64.

    Raises OptionError as `labelled_clips` does.
    """
    if store.kind == "audio":
        settings = FeatureSettings.from_dict(store.setting("features", dict))
        return LabelledRecordings(split, ids, settings, waveform_augment, feature_augment)
    if waveform_augment is not None:
        raise OptionError(
            f"{store.path} keeps features, augmentation of samples needs samples; prepare it with --keep samples"
        )
    return LabelledSequences(split, ids, feature_augment)
