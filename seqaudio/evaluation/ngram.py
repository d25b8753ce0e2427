"""N-gram baselines: a model that does not beat them has learnt nothing beyond short contexts."""

from __future__ import annotations

import numpy as np

from seqaudio.arrow_files import Split
from seqaudio.ngrams import Unigram, best_kneser_ney
from seqaudio.ngrams.trie import Floats, Ints
from seqaudio.store import Store
from seqaudio.vocabulary import BOS, EOS


def ngram_baselines(
    store: Store, train: Split, valid: Split, split: Split, steps: tuple[int, int] | None = None
) -> dict[str, dict[str, float]]:
    """Nats per event of a unigram and of the best Kneser-Ney on `split`, by the counts of `train`, tuned on `valid`.

    Returns {name: {"nats_per_event": .., "count": events}}, for `kneser-ney` with its order; where sequences consist of
    `steps`, (tokens of each, leading ones that are given), also with `nats_per_note`, as `VoicesModel` defines it.
    """
    size = len(store.names)
    unigram, kneser_ney = Unigram().fit(train, size, BOS, EOS), best_kneser_ney(train, valid, size)
    found = {}
    for name, nats in (("unigram", unigram.event_nats(split)), ("kneser-ney", kneser_ney.event_nats(split))):
        found[name] = {"nats_per_event": float(nats.mean()), "count": len(nats)}
        if steps is not None:
            found[name]["nats_per_note"] = nats_per_note(nats, split.lengths, *steps)
    found["kneser-ney"]["order"] = kneser_ney.order
    return found


def nats_per_note(nats: Floats, lengths: Ints, step_tokens: int, given: int) -> float:
    """The mean over the tokens of a piece that are not given, without its end, then over pieces that have any.

    Args:
        nats: [events] of all pieces one after the other, each with its end.
        lengths: [pieces] tokens of each.
        step_tokens: tokens of a step; the first `given` of them are left out.
    """
    pieces = np.split(nats, np.cumsum(lengths + 1)[:-1])
    means = [piece[:-1].reshape(-1, step_tokens)[:, given:].mean() for piece in pieces if len(piece) > 1]
    return float(np.mean(means))
