"""Learning curves and confusions: the right numbers, the best epoch marked, legible for few labels and many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from legibility import assert_legible, words
from seqaudio.errors import RunError
from seqaudio.evaluation.figures import (
    confusion_counts,
    confusion_figure,
    curves_figure,
    draw_confusion,
    draw_curves,
    read_metrics,
)

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "unknown", "silence")


def epochs(count: int, *, accuracy: bool) -> list[dict[str, Any]]:
    """Lines as a training writes them; the best epoch is the one before the last."""
    lines = []
    for epoch in range(1, count + 1):
        valid = {"nats_per_clip" if accuracy else "nats_per_event": 2.0 / epoch + (0.5 if epoch == count > 1 else 0.0)}
        if accuracy:
            valid = {"accuracy": 1 - 0.5 / epoch} | valid
        lines.append(
            {
                "epoch": epoch,
                "train_loss": 3.0 / epoch,
                "valid": valid | {"count": 300},
                "best": epoch < count or count == 1,
            }
        )
    return lines


# --- curves ---


@pytest.mark.parametrize("count", [1, 2, 30, 400])
@pytest.mark.parametrize("accuracy", [True, False])
def test_curves_are_legible_for_any_number_of_epochs(count: int, accuracy: bool) -> None:
    assert_legible(curves_figure(epochs(count, accuracy=accuracy), title="A run of the recipe"))


def test_curves_show_training_and_validation_and_the_best_epoch() -> None:
    figure = curves_figure(epochs(10, accuracy=True))
    losses, metric = figure.axes
    training, validation = losses.lines[:2]
    np.testing.assert_allclose(training.get_ydata(), [3.0 / n for n in range(1, 11)])
    assert list(training.get_xdata()) == list(range(1, 11))
    np.testing.assert_allclose(validation.get_ydata()[:9], [2.0 / n for n in range(1, 10)])
    np.testing.assert_allclose(metric.lines[0].get_ydata(), [100 - 50 / n for n in range(1, 11)])
    assert {"best: epoch 9, 0.2222", "best: epoch 9, 94.44 %"} <= set(words(figure))
    assert {"nats per clip", "accuracy (%)", "epoch", "training", "validation"} <= set(words(figure))


def test_a_metric_that_is_a_loss_needs_one_panel() -> None:
    figure = curves_figure(epochs(5, accuracy=False))
    assert len(figure.axes) == 1
    assert "nats per event" in words(figure)


def test_training_and_validation_differ_without_colour() -> None:
    training, validation = curves_figure(epochs(5, accuracy=False)).axes[0].lines[:2]
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_metrics_of_a_run_are_read_and_drawn(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in epochs(3, accuracy=True)))
    assert read_metrics(file) == epochs(3, accuracy=True)
    for name in ("a.png", "b.png"):
        draw_curves(read_metrics(file), tmp_path / name, title="run")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == 1200


@pytest.mark.parametrize(("content", "expected"), [(None, "no such file"), ("", "no epoch"), ("{cut", "damaged")])
def test_metrics_that_are_not_there_are_refused(content: str | None, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RunError, match=expected):
        read_metrics(file)
    with pytest.raises(RunError, match="no epoch to draw"):
        curves_figure([])


# --- confusion ---


def test_counts_have_the_truth_in_rows_and_the_guess_in_columns() -> None:
    counts = confusion_counts([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 0, 2], 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 1]]
    assert confusion_counts([], [], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("truth", "guess", "labels", "expected"),
    [
        ([0], [0, 1], 2, r"truth \[1\] and guess \[2\]"),
        ([0], [2], 2, r"0\.\.2, expected 0\.\.1"),
        ([-1], [0], 2, r"-1\.\.0, expected 0\.\.1"),
        ([], [], 0, "no labels"),
    ],
)
def test_ids_that_fit_no_label_are_refused(truth: list[int], guess: list[int], labels: int, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        confusion_counts(truth, guess, labels)


def guesses(labels: int, clips: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(labels)
    truth = np.repeat(np.arange(labels), clips)
    return truth, np.where(draw.random(len(truth)) < 0.8, truth, draw.integers(0, labels, len(truth)))


@pytest.mark.parametrize(
    ("labels", "clips"), [(1, 4000), (2, 40), (12, 4000), (14, 40), (14, 4000), (15, 40), (15, 4000), (35, 4000)]
)
def test_confusions_are_legible_for_few_labels_and_many(labels: int, clips: int) -> None:
    names = [*WORDS, *(f"word {n}" for n in range(40))][:labels]
    assert_legible(confusion_figure(*guesses(labels, clips), names, title="Keywords on unseen voices"))


def test_long_labels_are_legible() -> None:
    names = ["a label of many words that goes on", "HAYIR", "günaydın", "$x$", "早上好"]
    assert_legible(confusion_figure(*guesses(5, 30), names, title="x" * 200))


def test_cells_tell_count_and_share_of_their_row() -> None:
    truth, guess = [0] * 200 + [1] * 4, [0] * 199 + [1] + [1, 1, 1, 0]
    said = words(confusion_figure(truth, guess, ["yes", "no"]))
    assert {"199\n99 %", "1\n<1 %", "3\n75 %", "1\n25 %", "n = 200", "n = 4"} <= set(said)
    assert "202 of 204 right (99.02 %)" in said
    assert "4\n100 %" in words(confusion_figure([1] * 4, [1] * 4, ["yes", "no"]))


def test_a_label_that_never_occurs_has_an_empty_row() -> None:
    said = words(confusion_figure([0, 0], [0, 0], ["yes", "no"]))
    assert "n = 0" in said
    assert sum("%" in text and "\n" in text for text in said) == 1


def test_darker_cells_hold_larger_shares_and_their_text_stands_out() -> None:
    truth, guess = [0] * 10 + [1] * 10, [0] * 9 + [1] + [1] * 4 + [0] * 6
    axes = confusion_figure(truth, guess, ["yes", "no"]).axes[0]
    shade = axes.images[0].cmap(axes.images[0].norm(axes.images[0].get_array()))[..., 0]
    assert shade[0, 0] < shade[1, 0] < shade[1, 1] < shade[0, 1]
    for text in axes.texts[:4]:
        column, row = (round(place) for place in text.get_position())
        ink = 1.0 if text.get_color() == "white" else 0.0
        assert abs(shade[row, column] - ink) > 0.4


def test_a_confusion_is_written_equal_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_confusion(*guesses(12, 20), WORDS, tmp_path / name, title="Keywords")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
