"""The picture of a scorecard: missed words against false alarms an hour, a panel a detector, a line a ratio."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter

from seqaudio.evaluation.alarms.card import Card, DetectorCard
from seqaudio.pictures import GRID, INK, INKS, LINE_STYLES, add_title, new_figure, plain, save_figure

COLUMNS = 2  # of panels
PANEL = (4.6, 3.5)  # inches


def draw_card(card: Card, path: Path | str) -> None:
    """Write `card_figure` as a picture (PNG, PDF or SVG). Raises OptionError, OSError as `save_figure`."""
    save_figure(card_figure(card), path)


def card_figure(card: Card) -> Figure:
    """Missed words against alarms an hour, of each detector, on the same axes.

    The bars are the 95 % intervals at the chosen or given threshold. Thresholds without any alarm are drawn at half an
    alarm in the whole time, left of the dotted line.
    """
    count = len(card.detectors)
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    width, height = PANEL[0] * columns + 0.3, PANEL[1] * rows + 0.5
    figure = new_figure(width, height)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.15 / width, bottom=0.6 / height, top=1 - 0.7 / height, hspace=0.25, wspace=0.08
    )
    add_title(figure, f'Scorecard of "{card.word}"')
    for place, axes in enumerate(panels.flat):
        if place >= count:
            axes.set_visible(False)
            continue
        _draw(axes, card.detectors[place])
        if place + columns >= count:
            axes.set_xlabel("false alarms an hour", fontsize=10, color=INK)
            axes.tick_params(labelbottom=True)
        if place % columns == 0:
            axes.set_ylabel("missed words, %", fontsize=10, color=INK)
    return figure


def _draw(axes: Axes, detector: DetectorCard) -> None:
    hours = detector.curve[0].alarms.hours
    least = 0.5 / hours
    axes.set_xscale("log")
    for place, snr in enumerate(detector.curve[0].missed):
        rates = [max(least, point.alarms.per_hour) for point in detector.curve]
        missed = [100 * point.missed[snr].share for point in detector.curve]
        ink, style = INKS[place % 4], LINE_STYLES[(place + place // 4) % len(LINE_STYLES)]
        axes.plot(rates, missed, style, color=ink, linewidth=1.5, drawstyle="steps-post", label=snr)
        for judged in detector.judged[:1]:
            share, rate = judged.words[place].missed, judged.alarms
            x, y = max(least, rate.per_hour), 100 * share.share
            axes.errorbar(
                [x], [y],
                xerr=[[x - min(x, max(least, rate.low))], [max(rate.high, x) - x]],
                yerr=[[y - min(y, 100 * share.low)], [max(y, 100 * share.high) - y]],
                color=ink, linewidth=0.9, marker="o", markersize=4, capsize=2,
            )  # fmt: skip
    axes.axvline(1 / hours, color=GRID, linewidth=0.9, linestyle=":")
    axes.set_ylim(-2, 102)
    axes.set_title(
        plain(f"{detector.name} {detector.version}: {detector.word}", 50), fontsize=10, color=INK, loc="left"
    )
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    axes.legend(fontsize=8, frameon=False, loc="upper right")
