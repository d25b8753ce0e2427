"""Draw a report: rows per label, durations, and the findings in words."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seqaudio.checking.contents import Contents, Rows
from seqaudio.checking.music_drawing import draw_music
from seqaudio.checking.report import Level, Report
from seqaudio.pictures import GRID, INK, SPLIT_STYLES, add_title, new_figure, plain, plain_names, save_figure

WIDTH = 10.0  # inches
PANELS = 3.4  # inches, the height of the upper part
LINE = 0.19  # inches, of a line of words
LETTERS = 130  # in a line of words
MAX_LETTERS = 1000  # in a finding
LABELS = 24  # that fit; of more the rarest are drawn
BINS = 40
MARKS = {Level.GOOD: "+", Level.NOTE: "i", Level.WARNING: "!", Level.FAULT: "X"}  # told apart without colour


def draw_report(report: Report, path: Path | str) -> None:
    """Write `report_figure` as a picture (PNG, PDF or SVG). Equal reports give equal bytes.

    Raises OSError where the folder is missing or may not be written to.
    """
    save_figure(report_figure(report), path)


def report_figure(report: Report) -> Figure:
    """Histograms of the store's contents, and below them the findings, the worst first."""
    words = _words(report)
    height = PANELS + 0.75 + LINE * len(words)
    figure = new_figure(WIDTH, height)
    add_title(figure, f"{report.name}: {report.verdict}")
    bottom, top = (height - PANELS) / height, (height - 0.75) / height
    if report.contents.store.kind in ("tokens", "roll"):
        draw_music(figure, report.contents, bottom, top)
    else:
        _draw_speech(figure, report.contents, bottom, top)
    figure.legend(
        *figure.axes[-1].get_legend_handles_labels(),
        loc="upper right",
        bbox_to_anchor=(0.975, (height - 0.4) / height),
        ncols=3,
        fontsize=9,
        frameon=False,
        labelcolor=INK,
    )
    for number, (mark, line) in enumerate(words):
        place = (height - PANELS - 0.65 - LINE * number) / height
        figure.text(0.03, place, mark, fontsize=9, weight="bold", color=INK, va="top", family="DejaVu Sans Mono")
        figure.text(0.05, place, line, fontsize=9, color=INK, va="top")
    return figure


def _draw_speech(figure: Figure, contents: Contents, bottom: float, top: float) -> None:
    """Draw the rows per label on the left, if there are labels, and the durations on the right."""
    if contents.is_labelled:
        _draw_labels(figure.add_axes((0.13, bottom, 0.35, top - bottom)), contents.splits)
    left = 0.57 if contents.is_labelled else 0.08
    _draw_durations(figure.add_axes((left, bottom, 0.97 - left, top - bottom)), contents.splits)


def _words(report: Report) -> list[tuple[str, str]]:
    """(mark, text) of each line of the findings; only the first line of a finding has a mark."""
    lines = []
    for finding in sorted(report.findings, key=lambda finding: -finding.level):
        wrapped = textwrap.wrap(plain(f"{finding.subject}: {finding.verdict}", MAX_LETTERS), LETTERS)
        lines += [(MARKS[finding.level] if first == 0 else "", text) for first, text in enumerate(wrapped)]
    return lines


def _draw_labels(axes: Axes, splits: dict[str, Rows]) -> None:
    """Draw bars of the rows per label, splits stacked."""
    counts = {split: Counter(rows.labels) for split, rows in splits.items()}
    labels = sorted({label for count in counts.values() for label in count})
    everything = len(labels)
    if everything > LABELS:
        totals = Counter[str]()
        for count in counts.values():
            totals.update(count)
        labels = sorted(sorted(labels, key=lambda label: (totals[label], label))[:LABELS])
    places = np.arange(len(labels))
    start = np.zeros(len(labels))
    for split, count in counts.items():
        colour, hatch = SPLIT_STYLES[split]
        widths = np.array([count[label] for label in labels], dtype=np.float64)
        axes.barh(places, widths, left=start, height=0.75, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.5)
        start += widths
    axes.set_yticks(places, plain_names([label or "(none)" for label in labels], 14))
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    which = f"rows of the {LABELS} rarest of {everything:,} labels" if everything > LABELS else "rows per label"
    axes.set_xlabel(which, fontsize=9, color=INK)
    small = 7 if len(labels) > 14 else 9
    axes.tick_params(axis="y", labelsize=small, labelcolor=INK, length=0)
    axes.tick_params(axis="x", labelsize=9, labelcolor=INK)
    _plain_axes(axes, "x")


def _draw_durations(axes: Axes, splits: dict[str, Rows]) -> None:
    seconds = {split: rows.seconds for split, rows in splits.items()}
    longest = max(float(values.max()) for values in seconds.values())
    shortest = min(float(values.min()) for values in seconds.values())
    margin = max((longest - shortest) * 0.02, 0.05)
    edges = np.linspace(max(0.0, shortest - margin), longest + margin, BINS + 1)
    below = np.zeros(BINS)
    for split, values in seconds.items():
        colour, hatch = SPLIT_STYLES[split]
        heights = np.histogram(values, edges)[0].astype(np.float64)
        bars: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.4, "label": split}
        axes.bar(edges[:-1], heights, np.diff(edges), bottom=below, align="edge", **bars)
        below += heights
    axes.set_xlabel("duration (seconds)", fontsize=9, color=INK)
    axes.set_ylabel("rows", fontsize=9, color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    _plain_axes(axes, "y")


def _plain_axes(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, color=GRID, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
