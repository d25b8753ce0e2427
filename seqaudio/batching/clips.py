"""Labelled clips of a store, whether it keeps their features or their samples."""

from __future__ import annotations

from seqaudio.batching.padded import LabelledSequences, Transform
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
    change: Transform | None = None,
    transform: Transform | None = None,
) -> Clips:
    """The rows of a split of a store, with the ids of their labels.

    Args:
        labels: of the model; a label that is not among them counts as `unknown` where that is one.
        change: of samples, such as a WaveformAugmenter; transform: of frames.
    Raises:
        StoreError: the store holds neither features nor samples.
        OptionError: a change of samples, and the store does not keep them.
        VocabularyError: labels that are not known.
    """
    store.require(("features", "audio"), "a set of labelled clips")
    ids = labels.encode(split.labels)
    if store.kind == "audio":
        settings = FeatureSettings.from_dict(store.settings["features"])
        return LabelledRecordings(split, ids, settings, change, transform)
    if change is not None:
        raise OptionError(
            f"{store.path} keeps features, changes of the samples need these; prepare it with --keep samples"
        )
    return LabelledSequences(split, ids, transform)
