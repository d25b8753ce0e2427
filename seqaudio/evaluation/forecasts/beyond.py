"""Forecast beyond the end of a series: values in its units, at times that continue its own, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from seqaudio.batching import Series, channels_of, series_of, statistics_of
from seqaudio.errors import OptionError
from seqaudio.evaluation.forecasts.figure import CONTEXT, PANELS, Panel, forecasts_figure
from seqaudio.evaluation.forecasts.forecasts import INTERVAL_LEVELS, Intervals, Values, predict
from seqaudio.evaluation.forecasts.splits import PAST, forecast_source
from seqaudio.models import ForecastModel
from seqaudio.pictures import save_figure
from seqaudio.prepare.series.times import Times
from seqaudio.store import SPLITS, Store


@dataclass(frozen=True, eq=False)
class Continuation:
    """Forecasts of the steps after the end of a series, in its units."""

    series: Series  # what is known
    names: tuple[str, ...]  # of the K channels
    values: Values  # [S, K]
    levels: tuple[float, ...]
    widths: Values  # [L, S, K] half widths of the intervals; infinite where validation is too small
    times: Times | None
    decimal: str = "."  # before the decimals of a number

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Steps of the forecasts, counted from the first step of the series."""
        return len(self.series) + np.arange(len(self.values))

    def table(self, intervals: bool = False) -> list[list[str]]:
        """Rows of a table, the first with the names of the columns: time or step, then the channels.

        intervals: behind each channel also the bounds of its intervals, such as NAME_low_80 and NAME_high_80.
        """
        head = ["step" if self.times is None else "time"]
        columns = [[str(place) if self.times is None else self.times.text(int(place)) for place in self.places]]
        for channel, name in enumerate(self.names):
            head.append(name)
            columns.append(_written(self.values[:, channel]))
            for level, widths in zip(self.levels, self.widths[:, :, channel], strict=True):
                if intervals and np.isfinite(widths).all():
                    for word, sign in (("low", -1), ("high", 1)):
                        head.append(f"{name}_{word}_{100 * level:g}")
                        columns.append(_written(self.values[:, channel] + sign * widths))
        columns[1:] = [[text.replace(".", self.decimal) for text in column] for column in columns[1:]]
        return [head, *map(list, zip(*columns, strict=True))]

    def draw(self, path: Path, title: str = "") -> None:
        """Write a picture: the end of the series, the forecast, its intervals. Raises OSError as `save_figure` does."""
        known, steps = len(self.series), len(self.values)
        context = np.arange(max(0, known - CONTEXT * steps), known)
        panels = [
            Panel(
                self.names[channel],
                context,
                self.series.targets[context, channel].astype(np.float64),
                self.places,
                self.values[:, channel],
                np.zeros(0),
                self.widths[:, :, channel],
            )
            for channel in range(min(PANELS, len(self.names)))
        ]
        save_figure(forecasts_figure(panels, self.levels, title, self.times), path)


def continue_series(
    model: ForecastModel, store: Store, window: int, steps: int, split: str = "test", name: str | None = None
) -> Continuation:
    """Forecasts of the steps after the end of a split; beyond the model's horizon its forecasts are fed back.

    window: of the run, 0 for a net without one. name: of the series, where the store holds several.
    Raises OptionError for less than one step, a series that is shorter than the window or not known, and more steps
    than the horizon where forecasts cannot be fed back; StoreError where the store holds no series.
    """
    if steps < 1:
        raise OptionError(f"{steps} steps, expected at least 1")
    channels = channels_of(store)
    one = _series(store, split, name)
    if len(one) < max(window, 1):
        raise OptionError(
            f"the series has {len(one):,} steps up to the end of {split}, expected at least a window of {window:,}"
        )
    inputs = one.inputs[-window:] if window else one.since(one.first - PAST).inputs
    model.eval()
    scaled = model.forecast(torch.from_numpy(np.ascontiguousarray(inputs))[:, None], steps)[0].double().numpy()
    mean, std = statistics_of(store)
    targets = list(channels.targets)
    widths = _interval_widths(model, store, window, steps)
    times = Times.of(store.settings["series"]) if channels.one_series else None
    return Continuation(
        one,
        channels.target_names,
        scaled * std[targets] + mean[targets],
        INTERVAL_LEVELS,
        widths * std[targets],
        times,
        store.settings["series"].get("decimal", "."),
    )


def _series(store: Store, split: str, name: str | None) -> Series:
    with_rows = [part for part in SPLITS[: SPLITS.index(split) + 1] if store.counts.get(part)]
    if not with_rows:
        raise OptionError(f"{store.path}: no series up to the end of {split}; give a later --until")
    found = series_of(store, with_rows[-1])
    if name is None and len(found) > 1:
        raise OptionError(f"{store.path}: {len(found):,} series; name one, as in --series {found[0].id}")
    for one in found:
        if name in (None, one.id):
            return one
    raise OptionError(f"{store.path}: no series {name!r} in {with_rows[-1]}, such as {found[0].id!r}")


def _interval_widths(model: ForecastModel, store: Store, window: int, steps: int) -> Values:
    """[L, S, K] from the errors on validation; infinite where it has no forecast of so many steps."""
    unknown = np.full((len(INTERVAL_LEVELS), steps, model.output_size), np.inf)
    if steps > model.horizon and not window:  # validation has forecasts up to the horizon only
        known = min(steps, model.horizon)
        unknown[:, :known] = _interval_widths(model, store, window, known)
        return unknown
    try:
        source = forecast_source(series_of(store, "valid"), window, steps)
    except OptionError:  # validation is shorter than the forecast
        return unknown
    return Intervals.from_errors(predict(model, source, steps).errors).widths


def _written(values: Values) -> list[str]:
    return [f"{value:.7g}" for value in values]
