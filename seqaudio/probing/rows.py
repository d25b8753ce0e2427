"""The rows of a store that a probe looks at."""

from __future__ import annotations

import numpy as np

from seqaudio.batching import Batch, Collate, TokenSequences, labelled_clips
from seqaudio.errors import OptionError
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary


def probe_rows(store: Store, labels: Vocabulary, split: str = "valid", sequences: int = 8, steps: int = 256) -> Batch:
    """A batch of `sequences` rows spread evenly over a split, cut after `steps` steps, as a recipe makes it.

    Args:
        labels: of the model; what it has learned, in its order. Of no effect where the store holds tokens or text.
    Raises:
        OptionError: the store has neither tokens nor text nor labelled clips.
    """
    held = store[split]
    collate: Collate
    if store.kind in ("tokens", "text"):
        collate = TokenSequences(held)
    elif store.kind in ("features", "audio"):
        collate = labelled_clips(store, held, labels)
    else:
        raise OptionError(f"{store.path} holds {store.kind}, expected tokens, text or clips; use seqaudio.probe")
    chosen = np.unique(np.linspace(0, len(held) - 1, sequences).round().astype(np.int64)).tolist()
    batch = collate(chosen, 0)
    return batch.slice_time(0, min(steps, batch.steps))
