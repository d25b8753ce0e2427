"""A short training of each recipe still gives the digits written here, so that published figures stay repeatable.

A change that alters them on purpose writes the new ones in, from the message of the failed test, and says in its commit
which published figures no longer repeat. Two epochs of a few updates on one thread, with the recipes' own defaults
where speed allows, dropout and augmentation included.
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from conftest import RATE, Command, spoken
from made_up import roll_store

pytestmark = [
    pytest.mark.slow,
    # without Intel's library torch draws the masks of dropout from another generator
    pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="the digits are those of torch with MKL"),
]

# relative; other processors round otherwise, and so few updates do not amplify it. Adam divides a gradient that is
# rounding alone by itself, so a few weights may be elsewhere after an update: validation needs more
TRAINING, VALIDATION = 1e-4, 1e-3

Digits = list[tuple[float, float]]  # of each epoch: the loss of training, and what validation measures

# recipe and store, options, the metric of validation, digits of both epochs
RUNS: dict[str, tuple[str, str, tuple[str, ...], str, Digits]] = {
    "keywords-clips": (
        "keyword_recognition",
        "clips",
        ("--epochs", "2", "--hidden-size", "24"),
        "nats_per_clip",
        [(1.0601, 0.41359), (0.819558, 0.405002)],
    ),
    "keywords-streams": (
        "keyword_recognition",
        "streams",
        ("--epochs", "2", "--hidden-size", "24", "--batch-size", "4", "--learning-rate", "1e-3"),
        "nats_per_clip",
        [(0.857418, 1.16443), (0.804815, 1.15527)],
    ),
    "speech": (
        "speech_recognition",
        "sentences",
        ("--epochs", "2", "--hidden-size", "24", "--layers", "1", "--filters", "8", "--learning-rate", "1e-3"),
        "nats_per_character",
        [(3.43401, 3.00212), (3.20508, 2.97232)],
    ),
    "text-characters": (
        "language_modelling",
        "characters",
        ("--epochs", "2", "--hidden-size", "24", "--advance", "64", "--dropout", "0.1"),
        "nats_per_character",
        [(3.04877, 2.90868), (2.89427, 2.87176)],
    ),
    "text-words": (
        "language_modelling",
        "words",
        ("--epochs", "2", "--hidden-size", "24", "--advance", "16"),
        "nats_per_word",
        [(2.84945, 2.74343), (2.75382, 2.71787)],
    ),
    "music": (
        "music_generation",
        "tunes",
        ("--epochs", "2", "--hidden-size", "24", "--batch-size", "4", "--advance", "32"),
        "nats_per_event",
        [(4.65052, 3.91515), (3.91905, 3.67556)],
    ),
    "rolls-sigmoid": (
        "polyphonic_music",
        "rolls",
        ("--epochs", "2", "--hidden-size", "24"),
        "nats_per_frame",
        [(8.12625, 7.67073), (7.79166, 7.50934)],
    ),
    "rolls-nade": (
        "polyphonic_music",
        "rolls",
        ("--head", "nade", "--epochs", "2", "--hidden-size", "24", "--nade-size", "8"),
        "nats_per_frame",
        [(8.29156, 7.85794), (7.82158, 7.68085)],
    ),
    "series-windows": (
        "forecasting",
        "sines",
        ("--epochs", "2", "--model", "window_mlp", "--window", "48", "--horizon", "12", "--thin", "8"),
        "mse",
        [(1.28758, 1.01484), (0.91552, 0.988784)],
    ),
    "series-whole": (
        "forecasting",
        "sines",
        (
            "--epochs",
            "2",
            "--window",
            "0",
            "--bptt",
            "truncated",
            "--advance",
            "50",
            "--horizon",
            "1",
            "--batch-size",
            "4",
        ),
        "mse",
        [(0.983355, 0.87926), (0.826833, 0.833999)],
    ),
    "adding": (
        "memory_tasks",
        "",
        ("--length", "40", "--steps", "20", "--check-every", "10"),
        "mse",
        [(0.328895, 0.168911), (0.17098, 0.157782)],
    ),
    "copy": (
        "memory_tasks",
        "",
        ("--task", "copy", "--length", "20", "--steps", "20", "--check-every", "10"),
        "nats_per_symbol",
        [(2.18146, 2.11392), (2.10285, 2.09938)],
    ),
}


@pytest.fixture(scope="module")
def stores(
    command: Command, word_folder: Path, word_store: Path, tune_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A tiny store for each recipe, by name."""
    folder = tmp_path_factory.mktemp("same")
    write_sentences(folder / "sentences")
    draw = random.Random(1)
    words = [["the", "a", "no"], ["old", "big", "red"], ["dog", "cat", "owl"], ["sleeps", "sings", "runs"]]
    text = "".join(" ".join(map(draw.choice, words)) + draw.choice([".\n", "! "]) for _ in range(400))
    (folder / "book.txt").write_text(text)

    def prepared(name: str, script: str, *options: str | Path) -> Path:
        done = command(f"data_prep/{script}.py", *options, "--out", folder / name)
        assert done.returncode == 0, done.stderr
        return folder / name

    percent = ("--valid-percent", "20", "--test-percent", "20")
    rate = ("--sample-rate", str(RATE))
    features = ("--features", "log_mel+mels=20")
    return {
        "clips": word_store,
        "streams": prepared(
            "streams", "audio_folder", "--source", word_folder, "--features", "spotting", *rate, *percent
        ),
        "sentences": prepared(
            "speech", "audio_folder", "--source", folder / "sentences" / "table.csv", *features, *rate
        ),
        "characters": prepared("characters", "text_file", "--source", folder / "book.txt"),
        "words": prepared("words", "text_file", "--source", folder / "book.txt", "--units", "words"),
        "tunes": tune_store,
        "rolls": roll_store(folder / "rolls").path,
        "sines": prepared("sines", "series", "--series", "sines", "--length", "1500"),
    }


def write_sentences(folder: Path) -> None:
    """Thirty recordings of one to three made-up words, with a table of their texts."""
    folder.mkdir()
    rows = [("path", "text", "split")]
    for number in range(30):
        words = [number % 3, number // 3 % 3, number // 9 % 3][: 1 + number % 3]
        samples = np.concatenate([spoken(word, number % 4, 10 * number + at) for at, word in enumerate(words)])
        soundfile.write(folder / f"{number}.wav", samples, RATE)
        text = " ".join(("one", "two", "three")[word] for word in words)
        rows.append((f"{number}.wav", text, "valid" if number % 5 == 0 else "test" if number % 5 == 1 else "train"))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize("name", RUNS)
def test_a_short_training_gives_the_digits_it_gave(
    command: Command, stores: dict[str, Path], name: str, tmp_path: Path
) -> None:
    recipe, store, options, metric, digits = RUNS[name]
    run = tmp_path / "run"
    where = ("--store", stores[store]) if store else ()
    done = command(f"recipes/{recipe}/train.py", *where, "--run", run, "--seed", "1", "--device", "cpu", *options)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [(line["train_loss"], line["valid"][metric]) for line in lines]
    expected = [(pytest.approx(loss, rel=TRAINING), pytest.approx(value, rel=VALIDATION)) for loss, value in digits]
    assert found == expected, (
        f"{name}: a training now gives other digits, so published figures of recipes/{recipe} no longer repeat. "
        f"If that is meant, RUNS[{name!r}] gets\n        "
        f"{[tuple(float(f'{value:.6g}') for value in pair) for pair in found]}\n"
        f"and the commit says what changed; otherwise find the change: git bisect run python -m pytest -n0 -m slow "
        f"tests/test_same_figures.py -k {name}"
    )
