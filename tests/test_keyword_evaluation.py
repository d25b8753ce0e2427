"""Guesses keep the order of the split, and conditions are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from made_up import frame_store
from seqaudio.batching import LabelledSequences, PaddedBatches
from seqaudio.evaluation.keywords import Guesses, guess_labels
from seqaudio.evaluation.metrics import evaluate
from seqaudio.features import FeatureSettings
from seqaudio.models import KeywordModel


def test_guesses_are_those_of_each_row_alone(tmp_path: Path) -> None:
    store = frame_store(tmp_path)
    train = store["train"]
    torch.manual_seed(3)
    model = KeywordModel(4, 2, hidden_size=6, layers=1).eval()
    sequences = LabelledSequences(train, store.names.encode(train.labels))
    guesses = guess_labels(model, sequences, store.names, FeatureSettings())
    for row in range(len(train)):
        logits, _ = model(torch.tensor(train.sequence(row))[:, None], torch.tensor(train.lengths[row : row + 1]))
        assert guesses.guess[row] == logits.argmax()
    assert guesses.accuracy() == evaluate(model, PaddedBatches(sequences, 7))["accuracy"]


def test_conditions_are_told_apart() -> None:
    guesses = Guesses(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1]))
    assert guesses.by_condition(["clean", "clean", "noisy", "clean"]) == {"clean": (2 / 3, 3), "noisy": (0.0, 1)}
    assert guesses.by_condition(["clean"] * 4) == {}
