"""Forecast origins of a split, and the baselines' forecasts at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqaudio.batching import (
    Batch,
    Series,
    SeriesLanes,
    SeriesWindows,
    WholeSeries,
    channels_of,
    series_of,
    statistics_of,
)
from seqaudio.evaluation.forecasts.baselines import Scaled, linear_baselines, simple_baselines
from seqaudio.evaluation.forecasts.forecasts import Forecasts
from seqaudio.store import Store

ROWS = 256  # windows, or whole series, that are evaluated at once
PAST = 1_000  # steps before the split that a net without a window reads first, to settle its state
PROBED = (8, 256)  # rows and steps that --probe-every looks at
LINEAR_WINDOW = 96  # context of the linear baseline where the net has no window, in steps, at most


def forecast_source(series: Sequence[Series], window: int, horizon: int) -> SeriesWindows | WholeSeries:
    """Every origin of a split in the order of time: windows, or whole series for a net without one (window 0)."""
    if window:
        return SeriesWindows(series, window, horizon, ROWS)
    return WholeSeries(series, horizon, ROWS, PAST)


def probed_series(valid: Sequence[Series], window: int, horizon: int) -> Batch:
    """Some rows of validation for a probe, without the past before the split."""
    rows, steps = PROBED
    if window:
        return next(SeriesWindows(valid, window, horizon, rows, seed=0).epoch(0))
    own = [one.since(one.first) for one in valid]
    return next(SeriesLanes(own, horizon, rows, steps).epoch(0))


def baselines_of(store: Store, split: str, window: int, horizon: int) -> dict[str, Forecasts]:
    """Forecasts of each baseline at every origin of a split; linear maps are fitted to the training split."""
    channels, statistics = channels_of(store), statistics_of(store)
    here = Scaled.of(series_of(store, split), channels, statistics, window, horizon)
    context = window or min(LINEAR_WINDOW, int(here.origins[:, 1].min()))
    train, valid = (
        Scaled.of(series_of(store, name), channels, statistics, context, horizon) for name in ("train", "valid")
    )
    maps = linear_baselines(train, valid, context)
    return simple_baselines(here) | {name: fitted(here) for name, fitted in maps.items()}


def steps_of(forecasts: dict[str, Forecasts]) -> dict[str, Any]:
    """Squared errors at each step ahead, for `results.json`: by name, None where no value is known."""
    return {
        name: [None if np.isnan(value) else round(value, 6) for value in one.by_step()]
        for name, one in forecasts.items()
    }
