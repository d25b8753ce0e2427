"""Scores of language models: nats of each character or word, perplexity of words, beside n-grams of the same units."""

from __future__ import annotations

import math

from seqaudio.arrow_files import Split
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.store import Store
from seqaudio.text_units import TextUnit, UnitSettings

MAX_NATS = 700.0  # above it the perplexity would overflow


class TextScores:
    """Names the scores of models of a store's texts by their unit: `nats_per_character` or `nats_per_word`.

        perplexity = exp(nats_per_word)

    The end of a text is a unit too, as in the batches that models are trained on. Words have no nats a character, since
    the spelling of an `<unk>` has no probability.

    Raises StoreError for a store without a unit of texts.
    """

    def __init__(self, store: Store) -> None:
        settings: UnitSettings = store.setting("text", UnitSettings)
        self.unit: TextUnit = settings.built
        self.metric = f"nats_per_{self.unit.name}"
        self._store = store

    def of(self, metrics: dict[str, float]) -> dict[str, float]:
        """Metrics of a model of events, named by the unit."""
        found = {}
        for name, value in metrics.items():
            found[name.replace("_per_event", f"_per_{self.unit.name}")] = value
            if name == "nats_per_event" and self.unit.by_perplexity:
                found["perplexity"] = math.exp(value) if not value > MAX_NATS else math.inf
        return found

    def baselines(self, train: Split, valid: Split, split: Split) -> dict[str, dict[str, float]]:
        """Scores on `split` of a unigram and of Kneser-Ney n-grams that count `train`, tuned on `valid`."""
        return {name: self.of(scores) for name, scores in ngram_baselines(self._store, train, valid, split).items()}

    def described(self, metrics: dict[str, float]) -> str:
        """The scores in words."""
        nats = metrics[self.metric]
        also = f", perplexity {metrics['perplexity']:.2f}" if "perplexity" in metrics else ""
        return f"{nats:.4f} nats a {self.unit.name} ({nats / math.log(2):.3f} bits){also}"
