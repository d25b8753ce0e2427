"""Clips of a store that keeps features or samples: a recipe sees the same, and changes samples where they are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Command, assert_refused
from made_up import token_store
from seqaudio.batching import PaddedBatches, labelled_clips
from seqaudio.errors import OptionError, StoreError
from seqaudio.evaluation.keywords import neighbour_accuracy
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

TRAIN = "recipes/keyword_recognition/train.py"
SMALL = ("--hidden-size", "16", "--layers", "1", "--epochs", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def stores(
    command: Command, word_folder: Path, word_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    samples = tmp_path_factory.mktemp("kept") / "samples"
    done = command(
        "data_prep/audio_folder.py", "--source", word_folder, "--out", samples, "--sample-rate", "8000",
        "--keep", "samples", "--valid-percent", "20", "--test-percent", "20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {"features": word_store, "samples": samples}


def test_batches_are_the_same_whatever_the_store_keeps(stores: dict[str, Path]) -> None:
    kept, heard = Store(stores["features"]), Store(stores["samples"])
    for split in ("train", "valid"):
        pair = [labelled_clips(store, store[split], kept.names) for store in (kept, heard)]
        for one, other in zip(*(PaddedBatches(clips, 8).epoch(0) for clips in pair), strict=True):
            assert one.ids == other.ids
            torch.testing.assert_close(one.inputs, other.inputs, rtol=0, atol=1e-5)
            assert torch.equal(one.lengths, other.lengths)
        np.testing.assert_allclose(pair[0].frames(1), pair[1].frames(1), rtol=0, atol=1e-5)
    assert kept.normalisation is not None and heard.normalisation is not None
    np.testing.assert_allclose(kept.normalisation.mean, heard.normalisation.mean, rtol=0, atol=1e-9)


def test_neighbours_hear_samples_as_features(stores: dict[str, Path]) -> None:
    opened = [Store(stores[kept]) for kept in ("features", "samples")]
    hits = [
        neighbour_accuracy(*(labelled_clips(store, store[split], store.names) for split in ("train", "valid")))
        for store in opened
    ]
    assert hits[0] == hits[1] > 1 / 3


def test_samples_are_augmented_and_the_model_serves_both_stores(
    command: Command, stores: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    changes = (
        "--speed",
        "0.1",
        "--noisy",
        "0.5",
        "--rooms",
        "0.3",
        "--telephone",
        "0.2",
        "--time-shift",
        "0.05",
        "--lowest-snr",
        "5",
    )
    done = command(TRAIN, "--store", stores["samples"], "--run", run, *SMALL, *changes)
    assert done.returncode == 0, done.stderr
    plain = command(TRAIN, "--store", stores["samples"], "--run", tmp_path / "plain", *SMALL)
    assert plain.returncode == 0, plain.stderr
    losses = [json.loads((path / "metrics.jsonl").read_text())["train_loss"] for path in (run, tmp_path / "plain")]
    assert losses[0] != losses[1]
    RunFolder(run).check_store(Store(stores["features"]))
    done = command("recipes/keyword_recognition/evaluate.py", "--run", run, "--store", stores["features"])
    assert done.returncode == 0, done.stderr


def test_changes_of_samples_need_samples(command: Command, stores: dict[str, Path], tmp_path: Path) -> None:
    done = command(TRAIN, "--store", stores["features"], "--run", tmp_path / "run", *SMALL, "--noisy", "0.5")
    assert_refused(done, "--keep samples")
    assert not (tmp_path / "run").exists()


def test_normalised_features_are_not_augmented(command: Command, word_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    done = command(
        "data_prep/audio_folder.py", "--source", word_folder, "--out", out, "--sample-rate", "8000",
        "--features", "default+normalise=sliding", "--valid-percent", "20", "--test-percent", "20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = command(TRAIN, "--store", out, "--run", tmp_path / "run", *SMALL)
    assert_refused(done, "normalise=sliding", "--no-augment")
    done = command(TRAIN, "--store", out, "--run", tmp_path / "run", *SMALL, "--no-augment")
    assert done.returncode == 0, done.stderr


def test_other_stores_have_no_clips(tmp_path: Path, stores: dict[str, Path]) -> None:
    names = Store(stores["features"]).names
    store = token_store(tmp_path)
    with pytest.raises(StoreError, match="kind 'tokens', a set of labelled clips needs 'features' or 'audio'"):
        labelled_clips(store, store["train"], names)
    kept = Store(stores["features"])
    with pytest.raises(OptionError, match="prepare it with --keep samples"):
        labelled_clips(kept, kept["train"], names, waveform_augment=lambda samples, epoch, name: samples)
