"""Draw forecasts: context, forecast with prediction intervals, observations, over steps or over their times."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from seqaudio.batching import Series, channels_of, statistics_of
from seqaudio.evaluation.forecasts.forecasts import Forecasts, Intervals, Values
from seqaudio.pictures import GRID, INK, INKS, add_title, new_figure, plain, save_figure
from seqaudio.prepare.series.times import Times
from seqaudio.store import Store

BANDS = ("#bcc7e0", "#e4e9f4")  # of the inner and of the outer interval: grey values 198 and 233
PANELS = 4  # at most
CONTEXT = 3  # steps drawn before a forecast, for each step ahead
MARKS = 6  # times at an axis, at most
NO_CLOCK = re.compile(r"[ T]00:00(:00)?$")
NO_SECONDS = re.compile(r"(?<=\d\d:\d\d):00$")
RUN = 120  # one-step forecasts that are drawn in a row


class Panel(NamedTuple):
    """A part of one channel, in the units of the series; steps count from the beginning of the split."""

    name: str
    context_steps: npt.NDArray[np.int64]
    context: Values
    steps: npt.NDArray[np.int64]
    forecast: Values
    observed: Values
    widths: Values  # [L, steps] half widths of the intervals
    first: int = 0  # step of the series at which the split begins


def draw_forecasts(
    forecasts: Forecasts,
    intervals: Intervals,
    series: Sequence[Series],
    origins: npt.NDArray[np.int64],
    store: Store,
    path: Path,
    title: str = "",
) -> None:
    """Draw some forecasts as a PNG, PDF or SVG.

    series, origins: those of the source that the forecasts [M, H, K] were made for.
    Raises OSError where the folder is missing or may not be written to.
    """
    panels = choose_panels(forecasts, intervals, series, origins, store)
    save_figure(forecasts_figure(panels, intervals.levels, title, Times.of(store.settings["series"])), path)


def choose_panels(
    forecasts: Forecasts,
    intervals: Intervals,
    series: Sequence[Series],
    origins: npt.NDArray[np.int64],
    store: Store,
) -> list[Panel]:
    """Forecasts from the middle of the split: several places of one channel, or one place of several channels.

    One-step forecasts are drawn as a run.
    """
    channels = channels_of(store)
    mean, std = statistics_of(store)
    horizon, targets = forecasts.values.shape[1:]
    several = min(PANELS, targets)
    shown = np.unique(np.linspace(0, targets - 1, several).round().astype(int)).tolist()
    places = [len(origins) // 2] if several > 1 or horizon == 1 else _spread(len(origins))
    panels = []
    for channel in shown:
        scale, shift = std[channels.targets[channel]], mean[channels.targets[channel]]
        for place in places:
            number, origin = origins[place].tolist()
            one = series[number]
            if horizon == 1:
                rows = np.flatnonzero(origins[:, 0] == number)
                begin = max(rows[0], min(place - RUN // 2, rows[-1] - RUN + 1))
                rows = rows[rows >= begin][:RUN]
                steps = origins[rows, 1]
                forecast, observed = forecasts.values[rows, 0, channel], forecasts.truth[rows, 0, channel]
                context_steps = np.arange(0)
            else:
                steps = origin + np.arange(horizon)
                forecast, observed = forecasts.values[place, :, channel], forecasts.truth[place, :, channel]
                context_steps = np.arange(max(0, origin - CONTEXT * horizon), origin)
            widths = intervals.widths[:, :, channel] * scale
            panels.append(
                Panel(
                    channels.target_names[channel],
                    context_steps - one.first,
                    one.targets[context_steps, channel].astype(np.float64),
                    steps - one.first,
                    forecast * scale + shift,
                    observed * scale + shift,
                    np.broadcast_to(widths, (len(widths), len(steps))),
                    one.first,
                )
            )
    return panels


def _spread(count: int) -> list[int]:
    """Three places: at a sixth, a half and five sixths."""
    return sorted({count // 6, count // 2, 5 * count // 6})


def forecasts_figure(
    panels: Sequence[Panel], levels: Sequence[float], title: str = "", times: Times | None = None
) -> Figure:
    """A panel for each part: context and observations as a line, the forecast dashed, its intervals as bands.

    times: of the series; without them the axes count the steps of the split.
    """
    height = 0.95 + 1.75 * len(panels)
    figure = new_figure(8.0, height)
    all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.11, right=0.975, hspace=0.32, bottom=0.48 / height, top=1 - 0.72 / height)
    add_title(figure, title)
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw(axes, panel, levels)
        if times is not None:
            shown = panel.first + np.concatenate([panel.context_steps, panel.steps])
            marks = times.marks(int(shown.min()), int(shown.max()), MARKS)
            axes.xaxis.set_major_formatter(FuncFormatter(_times_at(times, panel.first, marks)))
            axes.xaxis.set_major_locator(
                FixedLocator([mark - panel.first for mark in marks])
                if marks
                else MaxNLocator(nbins=MARKS, integer=True, min_n_ticks=1)
            )
    all_axes[-1].set_xlabel("step of the split" if times is None else "time", fontsize=10, color=INK)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.1, 1 - 0.38 / height), ncols=len(labels), fontsize=9,
        frameon=False, borderpad=0, columnspacing=1.4,
    )  # fmt: skip
    return figure


def _times_at(times: Times, first: int, marks: Sequence[int]) -> Callable[[float, int | None], str]:
    """The text of a mark: without its clock where all marks are midnights, and without seconds that are none."""
    midnights = bool(marks) and all(NO_CLOCK.search(times.text(mark)) for mark in marks)
    unneeded = NO_CLOCK if midnights else NO_SECONDS
    return lambda step, _: unneeded.sub("", times.text(first + round(step)))


def _draw(axes: Axes, panel: Panel, levels: Sequence[float]) -> None:
    inner_first = sorted(range(len(levels)), key=lambda number: levels[number])
    for place, number in reversed(list(enumerate(inner_first))):
        if not np.isfinite(panel.widths[number]).all():
            continue  # validation was too small for this level
        axes.fill_between(
            panel.steps, panel.forecast - panel.widths[number], panel.forecast + panel.widths[number],
            color=BANDS[min(place, len(BANDS) - 1)], linewidth=0, label=f"{100 * levels[number]:g} % interval",
        )  # fmt: skip
    steps = np.concatenate([panel.context_steps, panel.steps])
    observed = np.concatenate([panel.context, panel.observed])
    axes.plot(steps[: len(observed)], observed, color=INK, linewidth=1.1, label="observed")  # nothing beyond the end
    axes.plot(
        panel.steps, panel.forecast, "--", color=INKS[1], linewidth=1.5, marker="o", markersize=2.4, label="forecast"
    )
    if len(panel.context_steps):
        axes.axvline(panel.steps[0] - 0.5, color="#7a7a7a", linewidth=0.9, linestyle=(0, (2, 2)))
    axes.set_ylabel(plain(panel.name, 16), fontsize=10, color=INK)
    axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
    axes.tick_params(axis="both", labelsize=9, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.margins(x=0.01)
