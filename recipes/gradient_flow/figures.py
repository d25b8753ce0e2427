"""Figures of the gradient study: curves against theory, heat maps, clipping, the adding problem at growing length.

Each takes the JSON of its part of `recipes/gradient_flow/study.py`, a path and a language, "en" or "tr".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from seqaudio.pictures import GRID, INK, INKS, new_figure, save_figure

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "linear": "linear, radius {value:g}",
        "tanh": "tanh, radius {value:g}",
        "relu": "ReLU, radius {value:g}",
        "irnn": "ReLU, identity (IRNN)",
        "lstm": "LSTM, forget bias {value:g}",
        "lstm_chrono": "LSTM, chrono {value:g}",
        "gru": "GRU",
        "gru_chrono": "GRU, chrono {value:g}",
        "min_gru": "minGRU",
        "min_gru_chrono": "minGRU, chrono {value:g}",
        "group linear": "linear nets: radius to the power k",
        "group simple": "simple recurrent nets",
        "group gated": "gated nets",
        "theory": "theory",
        "lag": "lag k (steps back)",
        "gradient": "gradient at lag k / at lag 0",
        "step": "step t",
        "unit": "unit",
        "by step": "{net}: by step",
        "by unit": "{net}: by unit",
        "update": "update",
        "norm": "gradient norm before clipping",
        "loss": "loss, mean of 25 updates",
        "without": "rate {value:g}, not clipped",
        "clipped": "rate {value:g}, clipped at {norm:g}",
        "threshold": "where it is clipped",
        "guess": "constant guess",
        "broke": "no number any more",
        "length": "T, steps of the sequence",
        "error": "test error / error of the constant guess",
        "solved": "solved",
    },
    "tr": {
        "linear": "doğrusal, yarıçap {value:g}",
        "tanh": "tanh, yarıçap {value:g}",
        "relu": "ReLU, yarıçap {value:g}",
        "irnn": "ReLU, birim matris (IRNN)",
        "lstm": "LSTM, unutma yanlılığı {value:g}",
        "lstm_chrono": "LSTM, chrono {value:g}",
        "gru": "GRU",
        "gru_chrono": "GRU, chrono {value:g}",
        "min_gru": "minGRU",
        "min_gru_chrono": "minGRU, chrono {value:g}",
        "group linear": "doğrusal ağlar: yarıçapın k. kuvveti",
        "group simple": "yalın yinelemeli ağlar",
        "group gated": "kapılı ağlar",
        "theory": "kuram",
        "lag": "gecikme k (geriye doğru adım)",
        "gradient": "gradyan: k gecikmesinde / 0 gecikmesinde",
        "step": "adım t",
        "unit": "birim",
        "by step": "{net}: adımlara göre",
        "by unit": "{net}: birimlere göre",
        "update": "güncelleme",
        "norm": "kırpmadan önce gradyan normu",
        "loss": "kayıp, 25 güncellemenin ortalaması",
        "without": "öğrenme oranı {value:g}, kırpmasız",
        "clipped": "öğrenme oranı {value:g}, {norm:g} eşiğinde kırpılmış",
        "threshold": "kırpma eşiği",
        "guess": "sabit tahmin",
        "broke": "artık sayı değil",
        "length": "T, dizinin adım sayısı",
        "error": "sınama hatası / sabit tahminin hatası",
        "solved": "çözüldü",
    },
}

SCALE = (1e-6, 1e3)  # of the heat maps; what lies beyond is drawn as its end
GROUPS = ("linear", "simple", "gated")  # panels of the curves
LINES = ("-", "--", ":", "-.")
MARKERS = "os^vDXP"
COLOURS = "magma"  # even in grey: dark for nothing, light for much
DARK = INKS[:4]  # the fifth is too light for a line


def draw_flow(flow: Mapping[str, Any], path: Path | str, language: str = "en", groups: Sequence[str] = GROUPS) -> None:
    """Write `flow_figure` as a picture (PNG, PDF or SVG)."""
    save_figure(flow_figure(flow, language, groups), path, language)


def flow_figure(flow: Mapping[str, Any], language: str = "en", groups: Sequence[str] = GROUPS) -> Figure:
    """Gradient against lag: a panel a group of nets, theory as circles on the linear ones."""
    words = WORDS[language]
    figure = new_figure(3.4 * len(groups) + 0.3, 4.3)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        members = [curve for curve in flow["curves"] if curve["group"] == group]
        for place, curve in enumerate(members):
            shares = np.array(curve["curve"]) / curve["curve"][0]
            lags = np.arange(len(shares))
            ink, line = DARK[place % 4], LINES[(place + place // 4) % 4]
            axes.plot(
                lags, shares, line, color=ink, linewidth=1.6, label=_label(words, curve), marker=MARKERS[place % 7],
                markersize=4.5, markevery=(3 + 4 * place, 25), clip_on=True,
            )  # fmt: skip
            if curve["theory"] is not None:
                every = lags[::10]
                axes.plot(every, curve["theory"] ** every, "o", mfc="none", mec=INK, markersize=7, linewidth=0)
        if any(curve["theory"] is not None for curve in members):
            axes.plot([], [], "o", mfc="none", mec=INK, markersize=7, label=words["theory"])
        axes.set_yscale("log")
        axes.set_ylim(1e-10, 1e8)
        axes.set_xlim(0, flow["lags"])
        axes.yaxis.set_major_locator(LogLocator(base=10_000, numticks=6))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(words[f"group {group}"], fontsize=9, color=INK, loc="left", weight="bold")
        axes.set_xlabel(words["lag"], fontsize=9.5, color=INK)
        axes.legend(fontsize=7, frameon=False, ncols=2, loc="upper left", bbox_to_anchor=(-0.06, -0.17))
        _plain(axes)
    panels[0].set_ylabel(words["gradient"], fontsize=9.5, color=INK)
    figure.tight_layout()
    return figure


def draw_maps(flow: Mapping[str, Any], path: Path | str, language: str = "en") -> None:
    """Write `maps_figure` as a picture (PNG, PDF or SVG)."""
    save_figure(maps_figure(flow, language), path, language)


def maps_figure(flow: Mapping[str, Any], language: str = "en") -> Figure:
    """Heat maps: step against lag above, unit against lag beneath, all on one scale."""
    words = WORDS[language]
    columns = max(len(flow["maps"]), len(flow["units"]))
    figure = new_figure(2.9 * columns + 0.7, 4.4)
    panels = figure.subplots(2, columns, squeeze=False, gridspec_kw={"hspace": 0.6, "wspace": 0.3})
    figure.subplots_adjust(left=0.065, right=0.91, top=0.93, bottom=0.1)
    image = None
    for place in range(columns):
        if place < len(flow["maps"]):
            of_net = flow["maps"][place]
            image = _heat(panels[0][place], of_net["heat"], (of_net["steps"][0], of_net["steps"][-1]))
            _name(panels[0][place], words["by step"].format(net=_label(words, of_net)), words["step"], words["lag"])
        else:
            panels[0][place].set_axis_off()
        if place < len(flow["units"]):
            of_net = flow["units"][place]
            reach = np.array(of_net["reach"])
            image = _heat(panels[1][place], reach[:, 1:] / reach.max(), (1, len(reach)), first=1)
            _name(panels[1][place], words["by unit"].format(net=_label(words, of_net)), words["unit"], words["lag"])
        else:
            panels[1][place].set_axis_off()
    if image is not None:
        bar = figure.add_axes((0.94, 0.1, 0.012, 0.83))
        figure.colorbar(image, cax=bar)
        bar.yaxis.set_minor_locator(NullLocator())
        bar.tick_params(labelsize=8, labelcolor=INK)
    return figure


def draw_clipping(result: Mapping[str, Any], path: Path | str, language: str = "en") -> None:
    """Write `clipping_figure` as a picture (PNG, PDF or SVG)."""
    save_figure(clipping_figure(result, language), path, language)


def clipping_figure(result: Mapping[str, Any], language: str = "en") -> Figure:
    """Gradient norm and loss against updates: a training that breaks off, one at a small rate, one that is clipped."""
    words, settings = WORDS[language], result["settings"]
    rates = {
        "without": settings["learning_rate"],
        "small": settings["small_rate"],
        "clipped": settings["learning_rate"],
    }
    figure = new_figure(9.6, 3.5)
    panels = figure.subplots(1, 2)
    for axes, what, width in zip(panels, ("norm", "loss"), (1, 25), strict=True):
        for name, ink, line in (("small", INKS[3], "-"), ("clipped", INKS[0], "-"), ("without", INKS[1], "o-")):
            values = _smoothed(_numbers(result[name][what]), width)
            key = "clipped" if name == "clipped" else "without"
            label = words[key].format(value=rates[name], norm=settings["clip_norm"])
            axes.plot(np.arange(1, len(values) + 1), values, line, color=ink, linewidth=1.0, markersize=6, label=label)
            if len(values) < len(result[name][what]):
                place = {"xytext": (9, 4), "textcoords": "offset points"}
                axes.annotate(words["broke"], (len(values), values[-1]), fontsize=8.5, color=INKS[1], **place)
        axes.set_yscale("log")
        axes.set_xlabel(words["update"], fontsize=9.5, color=INK)
        axes.set_ylabel(words[what], fontsize=9.5, color=INK)
        _plain(axes)
    panels[0].axhline(settings["clip_norm"], color=INK, linestyle="--", linewidth=1.2, label=words["threshold"])
    panels[1].axhline(result["constant_guess"], color=INK, linestyle="--", linewidth=1.2, label=words["guess"])
    for axes in panels:
        axes.legend(fontsize=8, framealpha=0.92, edgecolor="none", loc="upper right")
    figure.tight_layout()
    return figure


def draw_adding(result: Mapping[str, Any], names: Mapping[str, str], path: Path | str, language: str = "en") -> None:
    """Write `adding_figure` as a picture (PNG, PDF or SVG)."""
    save_figure(adding_figure(result, names, language), path, language)


def adding_figure(result: Mapping[str, Any], names: Mapping[str, str], language: str = "en") -> Figure:
    """Test error, as a share of the constant guess's, against length: a line a cell.

    names: what to call the cells of the result in the legend.
    """
    words = WORDS[language]
    figure = new_figure(7.6, 4.2)
    axes = figure.subplots()
    for place, (cell, rows) in enumerate(result["cells"].items()):
        tried = [(int(length), row["test"] / result["guess"][length]) for length, row in rows.items() if row]
        axes.plot(
            *zip(*tried, strict=True), LINES[(place + place // 4) % 4], color=DARK[place % 4], linewidth=1.7,
            marker=MARKERS[place % 7], markersize=6, label=names[cell],
        )  # fmt: skip
    axes.axhline(1, color=INK, linewidth=1)
    axes.axhspan(axes.get_ylim()[0] / 100, result["solved"], color=INKS[4], alpha=0.6, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(2e-4, 2.2)
    axes.set_xticks(result["lengths"], [str(length) for length in result["lengths"]])
    axes.xaxis.set_minor_locator(NullLocator())
    at = result["lengths"][-1]
    axes.text(at, 1.08, words["guess"], fontsize=8.5, color=INK, va="bottom", ha="right")
    axes.text(at, result["solved"] * 0.9, words["solved"], fontsize=8.5, color=INK, va="top", ha="right")
    axes.set_xlabel(words["length"], fontsize=9.5, color=INK)
    axes.set_ylabel(words["error"], fontsize=9.5, color=INK)
    axes.legend(fontsize=8.5, framealpha=0.92, edgecolor="none", loc="center left", bbox_to_anchor=(1.0, 0.5))
    _plain(axes)
    figure.tight_layout()
    return figure


def _label(words: Mapping[str, str], net: Mapping[str, Any]) -> str:
    return words[net["label"]].format(value=net["value"])


def _heat(axes: Axes, heat: npt.ArrayLike, rows: tuple[float, float], first: int = 0) -> AxesImage:
    """Rows over lags; `rows`: what the first and the last row stand for. first: the lag of the first column."""
    low, high = SCALE
    shown = np.clip(np.array(heat), low, high)
    half = (rows[1] - rows[0]) / max(len(shown) - 1, 1) / 2
    return axes.imshow(
        shown, cmap=COLOURS, norm=LogNorm(low, high), aspect="auto", interpolation="nearest", origin="lower",
        extent=(first - 0.5, first + shown.shape[1] - 0.5, rows[0] - half, rows[1] + half),
    )  # fmt: skip


def _name(axes: Axes, title: str, rows: str, columns: str) -> None:
    axes.set_title(title, fontsize=9, color=INK, loc="left", pad=4)
    axes.set_ylabel(rows, fontsize=8.5, color=INK, labelpad=1)
    axes.set_xlabel(columns, fontsize=8.5, color=INK, labelpad=1)
    axes.tick_params(labelsize=8, labelcolor=INK)


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Without the last one where it was no number."""
    return np.array([value for value in values if value is not None])


def _smoothed(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """The mean of each value and those before it, `width` of them where there are as many."""
    sums = np.cumsum(np.insert(values, 0, 0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    smoothed: npt.NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return smoothed


def _plain(axes: Axes) -> None:
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=8.5, labelcolor=INK)
