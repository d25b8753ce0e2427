"""Labelled clips of a store of features or of samples."""

from __future__ import annotations

from seqaudio.batching.padded import Augmenter, LabelledSequences
from seqaudio.batching.recordings import LabelledRecordings
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.store import Split, Store
from seqaudio.vocabulary import Vocabulary

Clips = LabelledSequences | LabelledRecordings


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
    ids = labels.encode(split.labels)
    if store.kind == "audio":
        settings = FeatureSettings.from_dict(store.settings["features"])
        return LabelledRecordings(split, ids, settings, waveform_augment, feature_augment)
    if waveform_augment is not None:
        raise OptionError(
            f"{store.path} keeps features, augmentation of samples needs samples; prepare it with --keep samples"
        )
    return LabelledSequences(split, ids, feature_augment)
