"""Both problems of a window in one figure, and the net that has them: a forecasting MLP over a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from seqaudio.errors import OptionError
from seqaudio.pictures import GRID, INK, INKS, add_title, new_figure, save_figure

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "study": "How long should the window be?",
        "error": "error on test\n(1: best constant)",
        "parameters": "weights",
        "examples": "examples needed",
        "window": "length of the window (steps)",
        "mlp": "feed-forward net over a window",
        "recurrent": "recurrent net, gates begin open (up to {steps:g} steps)",
        "recurrent_default": "recurrent net, default gates",
        "noise": "noise",
        "short": "too short: what is\nneeded lies outside",
        "long": "longer than needed: more inputs,\nmore weights, more examples",
        "never": "not even all {count} are enough",
        "net": "A forecasting MLP over a window of N steps",
        "inputs": "window: N inputs",
        "hidden": "hidden units",
        "forecast": "forecast",
        "outside": "older values:\nnever seen",
        "weights": "N · H weights: they grow with the window",
    },
    "tr": {
        "study": "Pencere ne kadar uzun olmalı?",
        "error": "sınama hatası\n(1: en iyi sabit)",
        "parameters": "ağırlık sayısı",
        "examples": "gereken örnek sayısı",
        "window": "pencere uzunluğu (adım)",
        "mlp": "pencere üzerinde ileri beslemeli ağ",
        "recurrent": "yinelemeli ağ, kapılar açık başlar ({steps:g} adıma dek)",
        "recurrent_default": "yinelemeli ağ, varsayılan kapılarla",
        "noise": "gürültü",
        "short": "çok kısa: gereken\ndeğer dışarıda kalır",
        "long": "gereğinden uzun: daha çok girdi,\ndaha çok ağırlık, daha çok örnek",
        "never": "{count} örneğin tümü bile yetmez",
        "net": "N adımlık pencere üzerinde öngörü yapan çok katmanlı ağ",
        "inputs": "pencere: N girdi",
        "hidden": "gizli birimler",
        "forecast": "öngörü",
        "outside": "daha eski değerler:\nhiç görülmez",
        "weights": "N · H ağırlık: pencereyle birlikte artar",
    },
}

SHADE = "#ececec"  # where the window is too short
NODE = 0.26  # radius of a unit
RECURRENT = {"recurrent": (INKS[1], "--"), "recurrent_default": (INKS[2], "-.")}  # ink and line


def words_of(language: str) -> dict[str, str]:
    """Labels in a language. Raises OptionError for one that is not there."""
    if language not in WORDS:
        raise OptionError(f"language {language!r}, expected one of {', '.join(WORDS)}")
    return WORDS[language]


def draw_window_study(study: Mapping[str, Any], path: Path, language: str = "en") -> None:
    """Write `window_study_figure` as a picture (PNG, PDF or SVG). Raises OSError where the folder is missing."""
    save_figure(window_study_figure(study, words_of(language)), path, language)


def window_study_figure(study: Mapping[str, Any], words: Mapping[str, str]) -> Figure:
    """Error, weights and examples needed against the length of the window; the two recurrent nets are lines across.

    Left of the delay the window is shaded: there the inputs tell nothing about the target, however much there is to
    train on.
    Crosses, and a line at their height, stand for nets that do not learn from all examples either.

    Args:
        study: as recipes/forecasting/window_study.py writes it.
    """
    figure = new_figure(8.0, 8.2)
    panels = figure.subplots(3, 1, sharex=True)
    figure.subplots_adjust(left=0.125, right=0.97, top=0.862, bottom=0.065, hspace=0.09)
    add_title(figure, words["study"])
    rows, delay = study["windows"], study["delay"]
    windows = [row["window"] for row in rows]
    low, high = min(windows) / 1.15, max(windows) * 1.15
    for axes, name in zip(panels, ("error", "parameters", "examples"), strict=True):
        axes.axvspan(low, delay - 0.5, color=SHADE, linewidth=0, zorder=0)
        known = [row for row in rows if row[name] is not None]
        known_at, values = [row["window"] for row in known], [row[name] for row in known]
        axes.plot(known_at, values, "-o", color=INKS[0], linewidth=1.7, markersize=5, label=words["mlp"])
        for net, (ink, line) in RECURRENT.items():
            label = words[net].format(steps=study["chrono"])
            if study[net][name] is not None:
                axes.axhline(study[net][name], color=ink, linestyle=line, linewidth=1.9, label=label)
        axes.set_ylabel(words[name], fontsize=10, color=INK)
        axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
        axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    _finish_error(panels[0], study, words, low, high)
    _finish_numbers(panels[1])
    _finish_numbers(panels[2])
    _mark_failures(panels[2], study, words)
    panels[-1].set_xscale("log")
    panels[-1].set_xlim(low, high)
    panels[-1].xaxis.set_major_locator(FixedLocator(_ticks(windows, delay)))
    panels[-1].xaxis.set_minor_locator(NullLocator())
    panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panels[-1].set_xlabel(words["window"], fontsize=10, color=INK)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.115, 0.948), ncols=2, fontsize=9, frameon=False,
        handlelength=3, borderpad=0,
    )  # fmt: skip
    return figure


def _ticks(windows: Sequence[int], delay: int) -> list[int]:
    """Windows that are labelled: the delay, and those that leave room on the axis."""
    chosen = [delay]
    for window in windows:
        if all(abs(np.log(window / other)) > 0.16 for other in chosen):
            chosen.append(window)
    return sorted(chosen)


def _finish_error(axes: Axes, study: Mapping[str, Any], words: Mapping[str, str], low: float, high: float) -> None:
    axes.axhline(study["noise"], color="#7a7a7a", linestyle=":", linewidth=1.5, label=words["noise"])
    axes.set_ylim(0, 1.25)
    delay = study["delay"]
    middle = float(np.sqrt(low * delay)), float(np.sqrt(delay * high))
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2.0}
    axes.text(middle[0], 0.55, words["short"], ha="center", va="center", fontsize=9.5, color=INK, bbox=box)
    axes.text(middle[1], 0.8, words["long"], ha="center", va="center", fontsize=9.5, color=INK, bbox=box)


def _finish_numbers(axes: Axes) -> None:
    values = [float(value) for line in axes.lines for value in np.asarray(line.get_ydata())]
    axes.set_ylim(bottom=0, top=1.12 * max(values, default=1.0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _mark_failures(axes: Axes, study: Mapping[str, Any], words: Mapping[str, str]) -> None:
    """Crosses at the top for windows whose error stays high on all training data, lines for such recurrent nets."""
    rows, top = study["windows"], axes.get_ylim()[1]
    for net, (ink, line) in RECURRENT.items():
        if study[net]["examples"] is None:
            axes.axhline(0.92 * top, color=ink, linestyle=line, linewidth=1.9)
    failed = [row["window"] for row in rows if row["examples"] is None]
    if not failed:
        return
    axes.plot(failed, [0.92 * top] * len(failed), "x", color=INKS[0], markersize=7, markeredgewidth=1.8)
    text = words["never"].format(count=f"{max(row['all_examples'] for row in rows):,}")
    axes.text(failed[0], 0.8 * top, text, ha="left", va="center", fontsize=9.5, color=INK)


def draw_window_net(path: Path, language: str = "en", window: int = 5, hidden: int = 4, horizon: int = 2) -> None:
    """Write `window_net_figure` as a picture (PNG, PDF or SVG). Raises OSError where the folder is missing."""
    save_figure(window_net_figure(words_of(language), window, hidden, horizon), path, language)


def window_net_figure(words: Mapping[str, str], window: int = 5, hidden: int = 4, horizon: int = 2) -> Figure:
    """The picture of a forecasting MLP: inputs x_{t-N+1} .. x_t of a window, hidden units, the next values.

    window, hidden, horizon: how many units are drawn; the text says N.
    """
    figure = new_figure(8.0, 4.6)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.89))
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-3.9, 8.6)
    axes.set_ylim(-1.6, 5.0)
    add_title(figure, words["net"])
    # time runs upwards in the column of inputs: the oldest lies lowest
    inputs = [(0.0, 4.2 * place / max(window - 1, 1)) for place in range(window)]
    units = [(3.6, 2.1 + (place - (hidden - 1) / 2) * 1.05) for place in range(hidden)]
    outputs = [(6.4, 2.1 + (place - (horizon - 1) / 2) * 1.3) for place in range(horizon)]
    for left, right in ((inputs, units), (units, outputs)):
        for a in left:
            for b in right:
                axes.plot([a[0] + NODE, b[0] - NODE], [a[1], b[1]], color="#8a8a8a", linewidth=0.8, zorder=1)
    for places, ink in ((inputs, INKS[4]), (units, INKS[2]), (outputs, INKS[3])):
        for place in places:
            axes.add_patch(Circle(place, NODE, facecolor=ink, edgecolor=INK, linewidth=1.2, zorder=2))
    names = [_lag(window - 1 - place, window) for place in range(window)]
    for (x, y), name in zip(inputs, names, strict=True):
        axes.text(x - 0.42, y, name, ha="right", va="center", fontsize=11, color=INK)
    for number, (x, y) in enumerate(outputs, start=1):
        axes.text(x + 0.42, y, rf"$\hat{{x}}_{{t+{number}}}$", ha="left", va="center", fontsize=12, color=INK)
    axes.text(0.0, 4.72, words["inputs"], ha="center", va="center", fontsize=10, color=INK)
    axes.text(3.6, 4.72, words["hidden"], ha="center", va="center", fontsize=10, color=INK)
    axes.text(6.4, 4.72, words["forecast"], ha="center", va="center", fontsize=10, color=INK)
    for y in (-0.62, -0.92, -1.22):
        axes.plot([0.0], [y], "o", markersize=3.5, color="#8a8a8a")
    axes.text(-0.42, -0.92, words["outside"], ha="right", va="center", fontsize=9.5, color=INK)
    axes.text(3.6, -0.92, words["weights"], ha="left", va="center", fontsize=9.5, color=INK)
    return figure


def _lag(back: int, window: int) -> str:
    """x_t, x_{t-1} .. and at the end of the window x_{t-N+1}."""
    if back == window - 1 and back > 0:
        return "$x_{t-N+1}$"
    if back == window - 2 and back > 1:
        return r"$\vdots$"
    return "$x_t$" if back == 0 else rf"$x_{{t-{back}}}$"
