"""The learning curves of several groups of runs over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator

from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.results import main_metric
from seqaudio.pictures import GRID, INK, INKS, LINE_STYLES, add_title, new_figure, plain, save_figure

Epochs = Sequence[Mapping[str, Any]]  # lines of metrics.jsonl

LINE_INKS = INKS[:3]  # the lighter ones fill areas and are lost in a line
MAX_GROUPS = len(LINE_STYLES) * len(LINE_INKS)  # that ink and style tell apart: 3 and 4 have no common divisor
LEGEND_LINE = 0.185  # inches
WIDE_RANGE = 10.0  # largest loss over smallest from which the axis is logarithmic: the late epochs decide
FEW_DECADES = 300.0  # the same, up to which 1, 2 and 5 of each power of ten are labelled


def draw_comparison(groups: Mapping[str, Sequence[Epochs]], path: Path | str, title: str = "") -> None:
    """Write `comparison_figure` as a picture (PNG, PDF or SVG).

    Raises:
        OptionError, RunError: see `comparison_figure`.
        OSError: the folder is missing or may not be written to.
    """
    save_figure(comparison_figure(groups, title), path)


def comparison_figure(groups: Mapping[str, Sequence[Epochs]], title: str = "") -> Figure:
    """Losses of the validation, and beneath them those of the training, against the step of the optimiser.

    A line a run; those of a group share ink and style, and the legend names the group and how many runs it has. A dot
    stands on the epoch whose weights the run keeps. Losses that fall to a tenth and less are on a logarithmic axis.

    Args:
        groups: by name, the epochs of each run as `read_metrics` gives them.

    Raises OptionError for more groups than lines can tell apart, RunError for none or a run without epochs.
    """
    if not groups or not all(epochs for runs in groups.values() for epochs in runs):
        raise RunError("there is no epoch to draw; train first")
    if len(groups) > MAX_GROUPS:
        raise OptionError(f"{len(groups)} groups, a picture tells {MAX_GROUPS} apart; give fewer runs")
    loss = loss_name(next(runs[0] for runs in groups.values() if runs)[0]["valid"])
    height = 6.6 + LEGEND_LINE * len(groups)
    figure = new_figure(8.0, height)
    axes = figure.subplots(2, 1, sharex=True, squeeze=False)[:, 0]
    top = 0.52 + LEGEND_LINE * len(groups)
    figure.subplots_adjust(left=0.1, right=0.975, hspace=0.09, bottom=0.5 / height, top=1 - top / height)
    add_title(figure, title)
    for place, (name, runs) in enumerate(groups.items()):
        ink, style = LINE_INKS[place % len(LINE_INKS)], LINE_STYLES[place % len(LINE_STYLES)]
        for number, epochs in enumerate(runs):
            steps = [line["step"] for line in epochs]
            kept = [epoch for epoch, line in enumerate(epochs) if line["best"]][-1:]
            label = f"{plain(name, 80)} ({len(runs)} run{'s' * (len(runs) > 1)})"
            axes[0].plot(
                steps, [line["valid"][loss] for line in epochs], style, marker="o", markersize=5, markevery=kept,
                linewidth=1.4, color=ink, label="_" if number else label,
            )  # fmt: skip
            axes[1].plot(steps, [line["train_loss"] for line in epochs], style, linewidth=1.4, color=ink)
    _finish(axes[0], f"validation, {loss.replace('_', ' ')}")
    _finish(axes[1], "training loss")
    axes[1].set_xlabel("step (a dot: the epoch that a run keeps)", fontsize=10, color=INK)
    axes[1].xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    figure.legend(
        loc="upper left", bbox_to_anchor=(0.09, 1 - 0.4 / height), fontsize=9, frameon=False, handlelength=4,
        labelspacing=0.3, borderpad=0,
    )  # fmt: skip
    return figure


def loss_name(metrics: Mapping[str, float]) -> str:
    """The metric of a validation that is the loss of the training: in nats or a squared error, else the main one."""
    return next((name for name in metrics if name.startswith("nats_") or name == "mse"), main_metric(dict(metrics)))


def _finish(axes: Axes, label: str) -> None:
    values = [value for line in axes.lines for value in np.asarray(line.get_ydata(), dtype=np.float64).tolist()]
    if min(values) > 0 and max(values) > WIDE_RANGE * min(values):
        axes.set_yscale("log")
        narrow = max(values) < FEW_DECADES * min(values)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel(label, fontsize=10, color=INK)
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
