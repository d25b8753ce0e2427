"""Choose rows of a store for a probe."""

from __future__ import annotations

import numpy as np

from seqaudio.batching import Batch, Collate, TokenSequences, labelled_clips
from seqaudio.errors import OptionError
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary


def probe_rows(store: Store, labels: Vocabulary, split: str = "valid", sequences: int = 8, steps: int = 256) -> Batch:
    """A batch of `sequences` rows, spread evenly over a split and cut after `steps` steps, as recipes batch them.

    Args:
        labels: of the model, in its order. Not used where the store holds tokens or text.
    Raises:
        OptionError: the store holds neither tokens nor text nor labelled clips.
    """
    held = store[split]
    collate: Collate
    if store.kind in ("tokens", "text"):
        collate = TokenSequences(held)
    elif store.kind in ("features", "audio"):
        collate = labelled_clips(store, held, labels)
    else:
        raise OptionError(
            f"{store.path} holds {store.kind}, expected tokens, text or clips; call seqaudio.probe from Python"
        )
    chosen = np.unique(np.linspace(0, len(held) - 1, sequences).round().astype(np.int64)).tolist()
    batch = collate(chosen, 0)
    return batch.slice_time(0, min(steps, batch.steps))
