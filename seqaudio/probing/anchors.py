"""Choose anchors: the steps t whose loss is followed back, the number of lags, and rows of a store to probe."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqaudio.batching import Batch, Collate, RollSequences, TokenSequences, labelled_clips
from seqaudio.errors import OptionError
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary


class Anchors(NamedTuple):
    steps: Tensor  # [A, B] int64: step t of each anchor in each row
    used: Tensor  # [A, B] bool: false where a row has fewer anchors than others
    lags: int  # K, the longest lag


def choose_anchors(counted: Tensor, starts: Tensor, count: int, lags: int | None) -> Anchors:
    """Choose anchors evenly among the steps of each row that have a loss and K steps before them.

    In a row without such a step the last step with a loss is the anchor, with fewer lags.

    counted: [T, B] bool, steps with a loss. starts: [T, B], the first step of the sequence that step t belongs to.
    count: A, anchors a row at most. lags: K; None takes the median number of earlier steps over all steps with a loss.
    Raises OptionError where no step has a loss, or where no step with a loss has K steps before it.
    """
    if count < 1 or (lags is not None and lags < 1):
        raise OptionError(f"got {count} anchors and {lags} lags, expected at least 1 of both")
    if not counted.any():
        raise OptionError("no step has a loss; give rows of at least 1 step")
    T, B = counted.shape
    history = torch.arange(T)[:, None] - starts
    longest = int(history[counted].max())
    lags = int(history[counted].median()) if lags is None else lags
    if lags > longest:
        raise OptionError(
            f"got {lags} lags, expected at most {longest}, the most steps before a step with a loss; lower the lags or "
            f"give longer rows"
        )
    chosen: list[Tensor] = []
    for row in range(B):
        steps = (counted[:, row] & (history[:, row] >= lags)).nonzero().flatten()
        if not len(steps):
            steps = counted[:, row].nonzero().flatten()[-1:]
        places = torch.linspace(0, len(steps) - 1, min(count, len(steps))).round().long()
        chosen.append(steps[places])
    most = max(len(steps) for steps in chosen)
    steps, used = torch.zeros(most, B, dtype=torch.int64), torch.zeros(most, B, dtype=torch.bool)
    for row, of_row in enumerate(chosen):
        # aligned at the end, so that the last entry of every row is its last anchor
        steps[most - len(of_row) :, row] = of_row
        used[most - len(of_row) :, row] = True
    return Anchors(steps, used, lags)


def spread_rows(collate: Collate, sequences: int = 8) -> Batch:
    """A batch of `sequences` rows, or all of fewer, spread evenly over those of a recipe."""
    chosen = np.unique(np.linspace(0, len(collate.lengths) - 1, sequences).round().astype(np.int64)).tolist()
    return collate(chosen, 0)


def probe_rows(store: Store, labels: Vocabulary, split: str = "valid", sequences: int = 8, steps: int = 256) -> Batch:
    """A batch of `sequences` rows, spread evenly over a split and cut after `steps` steps, as recipes batch them.

    Args:
        labels: of the model, in its order. Not used where the store holds tokens, text or rolls.
    Raises:
        OptionError: the store holds neither tokens nor text nor rolls nor labelled clips.
    """
    held = store[split]
    collate: Collate
    if store.kind in ("tokens", "text"):
        collate = TokenSequences(held)
    elif store.kind == "roll":
        collate = RollSequences(held)
    elif store.kind in ("features", "audio"):
        collate = labelled_clips(store, held, labels)
    else:
        raise OptionError(
            f"{store.path} holds {store.kind}, expected tokens, text, rolls or clips; call seqaudio.probe from Python"
        )
    batch = spread_rows(collate, sequences)
    return batch.slice_time(0, min(steps, batch.steps))
