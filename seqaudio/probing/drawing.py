"""Draw gradient norm against lag: curves on a log scale, and under them heat maps by anchor and lag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from seqaudio.pictures import GRID, INK, INKS, LINE_STYLES, new_figure, plain, save_figure

COLUMN, CURVES, HEAT = 5.4, 2.9, 1.5  # inches: width of a report, height of its curves, of a heat map
DECADES = 9  # below the highest value; lower values have the same colour
MAX_HEATS = 6  # layers with a heat map, from the bottom up; all layers have a curve
COLOURS = "magma"  # from dark to light, in grey too
MARKERS = "os^v"


class DrawnLayer(Protocol):
    """The attributes of a `LayerReport` that are drawn."""

    @property
    def name(self) -> str: ...
    @property
    def cell(self) -> str: ...
    @property
    def curve(self) -> npt.NDArray[np.float64]: ...
    @property
    def heat(self) -> npt.NDArray[np.float64]: ...
    @property
    def vanished(self) -> int | None: ...


class DrawnReport(Protocol):
    """The attributes of a `Report` that are drawn."""

    @property
    def layers(self) -> Sequence[DrawnLayer]: ...
    @property
    def anchors(self) -> Sequence[float]: ...
    @property
    def verdict(self) -> str: ...


def draw_reports(reports: Mapping[str, DrawnReport], path: Path | str) -> None:
    """Write `reports_figure` as a picture (PNG, PDF or SVG). Raises OSError where the folder may not be written to."""
    save_figure(reports_figure(reports), path)


def pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    """The figure as an RGB image, [height, width, 3]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    drawn = canvas.buffer_rgba()  # type: ignore[no-untyped-call]  # as above
    return np.array(drawn, dtype=np.uint8)[..., :3]


def reports_figure(reports: Mapping[str, DrawnReport]) -> Figure:
    """One column for each report, titled by its key: curves g(k) of all layers, under them heat maps, on one scale.

    The last lag at which a curve is 1 % of its peak or more is marked, and named in the legend.
    """
    if not reports:
        raise ValueError("got no reports, expected at least one")
    maps = min(max(len(report.layers) for report in reports.values()), MAX_HEATS)
    width, height = COLUMN * len(reports) + 0.9, 0.75 + CURVES + 0.6 + maps * (HEAT + 0.32) + 0.3
    figure = new_figure(width, height)
    low, high = _limits(reports)
    for column, (title, report) in enumerate(reports.items()):
        left = (0.75 + column * COLUMN) / width
        axes = figure.add_axes((left, 1 - (0.75 + CURVES) / height, (COLUMN - 0.85) / width, CURVES / height))
        _draw_curves(axes, report, low, high)
        letters = int((COLUMN - 0.85) / 0.13)
        figure.text(left, 1 - 0.12 / height, plain(title, letters), fontsize=13, weight="bold", color=INK, va="top")
        summary = plain(report.verdict, int((COLUMN - 0.85) / 0.075))
        figure.text(left, 1 - 0.42 / height, summary, fontsize=9.5, color=INK, va="top")
        for place, layer in enumerate(report.layers[:maps]):
            top = 0.75 + CURVES + 0.72 + place * (HEAT + 0.32)
            below = figure.add_axes((left, 1 - (top + HEAT) / height, (COLUMN - 0.85) / width, HEAT / height))
            image = _draw_heat(below, layer, report, low, high)
            below.set_title(
                plain(f"{layer.name}, {layer.cell}: |dL/ds| by anchor", 50), fontsize=9, color=INK, loc="left", pad=3
            )
            if place < min(len(report.layers), maps) - 1:
                below.tick_params(labelbottom=False)
            else:
                below.set_xlabel("lag k (steps back)", fontsize=10, color=INK)
            if column == len(reports) - 1 and not place:
                bar = figure.add_axes(((width - 0.95) / width, 1 - (top + HEAT) / height, 0.12 / width, HEAT / height))
                figure.colorbar(image, cax=bar)
                bar.yaxis.set_major_locator(LogLocator(base=10, numticks=4))
                bar.yaxis.set_minor_locator(NullLocator())
                bar.tick_params(labelsize=8, labelcolor=INK)
    return figure


def _limits(reports: Mapping[str, DrawnReport]) -> tuple[float, float]:
    """Limits of the scale for all curves and heat maps: whole decades, at most DECADES below the highest value."""
    values = np.concatenate([layer.heat.ravel() for report in reports.values() for layer in report.layers])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 0.1, 10.0
    high = 10.0 ** np.ceil(np.log10(values.max()) + 0.05)
    return float(max(10.0 ** np.floor(np.log10(values.min())), high / 10.0**DECADES)), float(high)


def _draw_curves(axes: Axes, report: DrawnReport, low: float, high: float) -> None:
    longest = max(len(layer.curve) for layer in report.layers) - 1
    for place, layer in enumerate(report.layers):
        ink, style, marker = INKS[place % 3], LINE_STYLES[place % 4], MARKERS[place % 4]
        end = "" if layer.vanished is None else f": under 1 % after lag {layer.vanished}"
        drawn = np.where(np.isfinite(layer.curve) & (layer.curve > 0), layer.curve, np.nan)
        marked = [] if layer.vanished is None else [layer.vanished]
        axes.plot(
            np.arange(len(drawn)), drawn, style, color=ink, linewidth=1.8, marker=marker, markersize=7,
            markevery=marked, markeredgecolor=INK, label=f"{layer.name}, {layer.cell}{end}",
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_xlim(-0.5, longest + 0.5)  # as the heat maps beneath
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=8))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("g(k), mean gradient", fontsize=10, color=INK)
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    axes.legend(fontsize=8, frameon=True, framealpha=0.9, edgecolor="none", loc="best")


def _draw_heat(axes: Axes, layer: DrawnLayer, report: DrawnReport, low: float, high: float) -> AxesImage:
    shown = np.clip(np.nan_to_num(layer.heat, nan=np.nan, posinf=high), low, high)
    image = axes.imshow(
        shown, cmap=COLOURS, norm=LogNorm(low, high), aspect="auto", interpolation="nearest", origin="lower",
        extent=(-0.5, layer.heat.shape[1] - 0.5, -0.5, len(layer.heat) - 0.5),
    )  # fmt: skip
    places = sorted({0, len(report.anchors) - 1})
    axes.set_yticks(places, [f"{report.anchors[place]:.0f}" for place in places])
    axes.set_ylabel("step t", fontsize=9, color=INK, labelpad=-8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    return image
