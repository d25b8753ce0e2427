"""Draw the learning curves of a run, and its confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from seqaudio.errors import RunError
from seqaudio.evaluation.results import main_metric
from seqaudio.json_files import Count, Metrics, Number, checked, read_json_lines
from seqaudio.pictures import GRID, INK, INKS, add_title, display_width, new_figure, plain_names, save_figure

COLOURS = "Greys"  # of the shares: white is 0, black is 1
DARK = 0.5  # share from which text on the cell is white
CELL, SMALL_CELL = 0.6, 0.42  # inches of a cell of the confusion matrix, up to FEW_LABELS and beyond
FEW_LABELS = 14


@dataclass(frozen=True)
class EpochLine:
    """The fields of a line of `metrics.jsonl` that are drawn."""

    epoch: Count
    train_loss: Number
    valid: Metrics
    best: bool


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The epochs of a run's `metrics.jsonl`; NaN where it has null.

    Raises RunError where the file is missing or damaged.
    """
    try:
        lines = read_json_lines(path)
        epochs = [checked(EpochLine, line, f"line {number}") for number, line in enumerate(lines, start=1)]
        if any(epoch.valid.keys() != epochs[0].valid.keys() or not epoch.valid for epoch in epochs):
            raise ValueError("validation metrics differ between epochs, or are missing")
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; a training writes it with the first epoch") from None
    except ValueError as error:
        raise RunError(f"{path}: damaged ({error}); go on with --resume to write it again") from None
    if not lines:
        raise RunError(f"{path}: holds no epoch yet; go on with --resume")
    return [line | vars(epoch) for line, epoch in zip(lines, epochs, strict=True)]


def draw_curves(epochs: Sequence[Mapping[str, Any]], path: Path | str, title: str = "") -> None:
    """Write `curves_figure` as a picture (PNG, PDF or SVG).

    Raises:
        RunError: no epoch.
        OSError: the folder is missing or may not be written to.
    """
    save_figure(curves_figure(epochs, title), path)


def curves_figure(epochs: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Losses over the epochs, and below them the main metric where it is not a loss.

    Losses are in nats, or squared errors: of training, with dropout and augmentation, and of validation. The best
    epoch, whose weights the run keeps, is marked and named in both panels.

    Args:
        epochs: lines of `metrics.jsonl`, as `read_metrics` gives them.

    Raises RunError for no epoch.
    """
    if not epochs:
        raise RunError("got no epoch to draw, expected at least one; train first")
    numbers = [int(line["epoch"]) for line in epochs]
    best = max((place for place, line in enumerate(epochs) if line["best"]), default=None)
    losses = [name for name in epochs[0]["valid"] if name.startswith("nats_") or name == "mse"]
    metric = main_metric(epochs[0]["valid"])
    panels = 1 if metric in losses else 2
    figure = new_figure(8.0, 0.8 + 3.1 * panels)
    all_axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.095, right=0.975, hspace=0.09, bottom=0.5 / figure.get_figheight(), top=1 - 0.5 / figure.get_figheight()
    )
    add_title(figure, title)
    series = {"training": [line["train_loss"] for line in epochs]}
    for name in losses:
        what = "validation" if len(losses) == 1 else f"validation, {_words(name)}"
        series[what] = [line["valid"][name] for line in epochs]
    _draw_series(all_axes[0], numbers, series, _words(losses[0]) if len(losses) == 1 else "nats", best)
    if panels == 2:
        percent = metric.endswith("accuracy")
        values = [line["valid"][metric] * (100 if percent else 1) for line in epochs]
        label = f"{_words(metric)} (%)" if percent else _words(metric)
        _draw_series(all_axes[1], numbers, {"validation": values}, label, best, first_style=1)
    all_axes[-1].set_xlabel("epoch", fontsize=10, color=INK)
    all_axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    all_axes[-1].set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    return figure


def confusion_counts(truth: npt.ArrayLike, guess: npt.ArrayLike, labels: int) -> npt.NDArray[np.int64]:
    """Confusion matrix [labels, labels]: how often the label of the row was recognised as that of the column.

    Raises:
        ValueError: truth and guess [N] differ in length, or hold an id outside 0..labels-1; there are no labels.
    """
    truth, guess = np.asarray(truth, dtype=np.int64), np.asarray(guess, dtype=np.int64)
    if truth.ndim != 1 or truth.shape != guess.shape:
        raise ValueError(f"truth {list(truth.shape)} and guess {list(guess.shape)}, expected [N] each")
    if labels < 1:
        raise ValueError("no labels, expected at least 1")
    both = np.concatenate([truth, guess])
    if both.size and not (both.min() >= 0 and both.max() < labels):
        raise ValueError(f"ids in {both.min()}..{both.max()}, expected 0..{labels - 1} for {labels} labels")
    return np.bincount(truth * labels + guess, minlength=labels * labels).reshape(labels, labels)


def draw_confusion(
    truth: npt.ArrayLike, guess: npt.ArrayLike, labels: Sequence[str], path: Path | str, title: str = ""
) -> None:
    """Write `confusion_figure` as a picture (PNG, PDF or SVG).

    Raises:
        ValueError: see `confusion_counts`.
        OSError: the folder is missing or may not be written to.
    """
    save_figure(confusion_figure(truth, guess, labels, title), path)


def confusion_figure(truth: npt.ArrayLike, guess: npt.ArrayLike, labels: Sequence[str], title: str = "") -> Figure:
    """Confusion matrix: a row for each true label, a column for each guess, the diagonal framed.

    A cell shows its count and its percentage of the row, darker for larger shares; zero counts are left empty. The
    total of each row is at its right, the accuracy under the title.

    Args:
        truth, guess: [N] ids, indices into labels.

    Raises ValueError as `confusion_counts` does.
    """
    names = plain_names(labels, 18)
    counts = confusion_counts(truth, guess, len(names))
    few = len(names) <= FEW_LABELS
    side = len(names) * (CELL if few else SMALL_CELL)
    letters = 0.09 * max(map(display_width, names))
    left, bottom = letters + 0.65, letters + 0.65
    width, height = max(left + side + 0.85, 5.0), 0.75 + side + bottom
    figure = new_figure(width, height)
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    _draw_cells(axes, counts, fontsize=9 if few else 7)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="both", length=0, labelsize=10, labelcolor=INK)
    axes.set_xlabel("recognised as", fontsize=10, color=INK)
    axes.set_ylabel("true label", fontsize=10, color=INK)
    right, total = int(np.trace(counts)), int(counts.sum())
    summary = f"{right:,} of {total:,} right ({100 * right / max(total, 1):.2f} %)"
    add_title(figure, title)
    figure.text(0.15 / width, 1 - 0.42 / height, summary, fontsize=10, color=INK, va="top")
    return figure


def _draw_cells(axes: Axes, counts: npt.NDArray[np.int64], fontsize: int) -> None:
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    axes.imshow(shares, cmap=COLOURS, vmin=0.0, vmax=1.0, interpolation="nearest", aspect="equal")
    for row, column in np.argwhere(counts).tolist():
        text = f"{counts[row, column]:,}\n{_percent(shares[row, column])}"
        ink = "white" if shares[row, column] >= DARK else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=fontsize, color=ink, linespacing=1.05)
    for place, total in enumerate(totals.tolist()):
        axes.add_patch(Rectangle((place - 0.5, place - 0.5), 1, 1, fill=False, edgecolor=INKS[1], linewidth=1.2))
        axes.text(len(counts) - 0.3, place, f"n = {total:,}", va="center", fontsize=fontsize, color=INK)
    borders = np.arange(len(counts) + 1) - 0.5
    axes.set_xticks(borders, minor=True)
    axes.set_yticks(borders, minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.5)
    axes.tick_params(which="minor", length=0)


def _draw_series(
    axes: Axes,
    numbers: Sequence[int],
    series: Mapping[str, Sequence[float]],
    label: str,
    best: int | None,
    first_style: int = 0,
) -> None:
    """Curves over epochs; the last one has the mark of the best epoch."""
    styles = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "v"))
    every = max(1, len(numbers) // 20)
    for place, (name, values) in enumerate(series.items(), start=first_style):
        line, marker = styles[place % len(styles)]
        axes.plot(
            numbers, values, line, marker=marker, markersize=4, markevery=every, linewidth=1.6,
            color=INKS[place % 3], label=name,
        )  # fmt: skip
    values = list(series.values())[-1]
    if best is not None:
        axes.axvline(numbers[best], color="#7a7a7a", linewidth=1.0, linestyle=(0, (2, 2)), zorder=0.5)
        text = f"best: epoch {numbers[best]}, {values[best]:.4g} {'%' if '%' in label else ''}".strip()
        star: dict[str, Any] = {
            "marker": "*",
            "markersize": 13,
            "color": "white",
            "markeredgecolor": INK,
            "linestyle": "",
        }
        axes.plot([numbers[best]], [values[best]], zorder=5, label=text, **star)
    axes.set_ylabel(label, fontsize=10, color=INK)
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    axes.legend(fontsize=9, frameon=True, framealpha=0.9, edgecolor="none", loc="best")


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _percent(share: float) -> str:
    """Two digits, or `<1 %`, so that cells stay narrow; `100 %` for all of them only."""
    percent = 100 * share
    if 0 < percent < 1:
        return "<1 %"
    return f"{min(round(percent), 99) if share < 1 else 100} %"
