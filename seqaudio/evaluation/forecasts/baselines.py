"""Forecasts without a net: the mean, the last value, the last season, a linear map of the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.batching import Series, SeriesChannels
from seqaudio.batching.series import filled
from seqaudio.batching.series_windows import origins_of
from seqaudio.evaluation.forecasts.forecasts import Forecasts, Values
from seqaudio.models.forecaster_base import ADDED_VARIANCE, WindowNormalisation

STRENGTHS = (1e-3, 1e-1, 1e1, 1e3)  # of the ridge; validation chooses
WIDEST = 4_096  # values of a window for which all channels are mapped together: normal equations grow with the square
BLOCK = 2_048  # windows at once


@dataclass(frozen=True, eq=False)
class Scaled:
    """Series of a split, standardised by the training rows, and the origins of its forecasts."""

    inputs: list[Values]  # [T, F] without gaps
    targets: list[Values]  # [T, K], NaN where unknown
    origins: npt.NDArray[np.int64]  # [M, 2]
    horizon: int
    channels: SeriesChannels

    @classmethod
    def of(
        cls,
        series: Sequence[Series],
        channels: SeriesChannels,
        statistics: tuple[Values, Values],
        window: int,
        horizon: int,
    ) -> Scaled:
        """Series as `series_of` gives them; statistics: mean and standard deviation [C] of all channels.

        Raises OptionError where no window fits.
        """
        mean, std = statistics
        inputs, targets = list(channels.inputs), list(channels.targets)
        return cls(
            [(one.inputs - mean[inputs]) / std[inputs] for one in series],
            [(one.targets - mean[targets]) / std[targets] for one in series],
            origins_of(series, window, horizon),
            horizon,
            channels,
        )

    def truth(self) -> Values:
        """The observations, [M, H, K]."""
        return self._at(self.targets, np.arange(self.horizon))

    def known_targets(self, offsets: npt.NDArray[np.int64]) -> Values:
        """The targets at offsets from each origin, [M, S, K]; a gap is filled with the value before it, or 0."""
        zeros = np.zeros(self.targets[0].shape[1])
        return self._at([filled(one, zeros) for one in self.targets], offsets)

    def windows(self, origins: npt.NDArray[np.int64], window: int) -> Values:
        """The inputs before origins [m, 2], [m, N, F]."""
        return _gather(self.inputs, origins, np.arange(-window, 0))

    def _at(self, values: list[Values], offsets: npt.NDArray[np.int64]) -> Values:
        return _gather(values, self.origins, offsets)


def _gather(values: list[Values], origins: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Values:
    """Values at offsets from each origin [m, 2], [m, S, C]; before the start of a series its first value stands."""
    starts = np.cumsum([0, *map(len, values[:-1])])[origins[:, :1]]
    gathered: Values = np.concatenate(values)[starts + np.maximum(origins[:, 1:] + offsets, 0)]
    return gathered


def simple_baselines(split: Scaled) -> dict[str, Forecasts]:
    """The training mean, persistence and, where the series has a period, the last season."""
    truth = split.truth()
    last = split.known_targets(np.array([-1]))
    found = {
        "training mean": Forecasts(np.zeros_like(truth), truth),
        "persistence": Forecasts(np.broadcast_to(last, truth.shape), truth),
    }
    period = split.channels.period
    if period:
        ahead = np.arange(split.horizon)
        found["seasonal naive"] = Forecasts(split.known_targets(ahead - period * (1 + ahead // period)), truth)
    return found


@dataclass(frozen=True, eq=False)
class LinearForecaster:
    """A linear map from the window to all steps ahead, by ridge regression in closed form, in float64.

        W = (X^T X + strength I)^{-1} X^T Y       X: windows, normalised, with a constant; undone in Y

    apart: one map for all channels, which sees each alone; otherwise all channels see all channels.
    """

    weights: Values  # [N C + 1, H K'], the constant last
    window: int
    normalisation: WindowNormalisation
    apart: bool
    strength: float

    def __call__(self, split: Scaled) -> Forecasts:
        """Forecasts at every origin of a split."""
        blocks = range(0, len(split.origins), BLOCK)
        values = [self._block(split, split.origins[start : start + BLOCK]) for start in blocks]
        return Forecasts(np.concatenate(values), split.truth())

    def _block(self, split: Scaled, origins: npt.NDArray[np.int64]) -> Values:
        rows, middle, spread = _rows(split, origins, self.window, self.normalisation, self.apart)
        products = rows @ self.weights
        if not self.apart:
            values = products.reshape(len(origins), split.horizon, -1)
        else:
            values = products.reshape(len(origins), -1, split.horizon).swapaxes(1, 2)[..., split.channels.places]
        return values * spread + middle


def fit_linear(
    train: Scaled,
    valid: Scaled,
    window: int,
    normalisation: WindowNormalisation,
    apart: bool,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearForecaster:
    """The ridge regression whose strength is best on validation."""
    width = window * (1 if apart else len(train.channels.inputs)) + 1
    gram = np.zeros((width, width))
    cross = np.zeros((width, train.horizon * (1 if apart else len(train.channels.targets))))
    truth = train.truth()
    for start in range(0, len(train.origins), BLOCK):
        origins = train.origins[start : start + BLOCK]
        rows, middle, spread = _rows(train, origins, window, normalisation, apart)
        wanted = (truth[start : start + BLOCK] - middle) / spread
        if apart:
            back = np.argsort(train.channels.places or [])
            wanted = wanted[..., back].swapaxes(1, 2).reshape(len(rows), train.horizon)
        else:
            wanted = wanted.reshape(len(rows), -1)
        whole = ~np.isnan(wanted).any(axis=1)  # rows with a gap in what is to come are left out
        gram += rows[whole].T @ rows[whole]
        cross += rows[whole].T @ wanted[whole]
    spectrum, basis = np.linalg.eigh(gram)
    found: list[tuple[float, LinearForecaster]] = []
    for strength in strengths:
        weights = basis @ ((basis.T @ cross) / (np.maximum(spectrum, 0.0) + strength)[:, None])
        fitted = LinearForecaster(weights, window, normalisation, apart, strength)
        found.append((fitted(valid).metrics()["mse"], fitted))
    return min(found, key=lambda pair: pair[0])[1]


def _rows(
    split: Scaled, origins: npt.NDArray[np.int64], window: int, normalisation: WindowNormalisation, apart: bool
) -> tuple[Values, Values, Values]:
    """Rows [R, N C + 1] of the regression, and the middle and spread of their targets, [m, 1, K] each."""
    windows = split.windows(origins, window)
    middle, spread = _window_statistics(windows, normalisation)
    centred = (windows - middle) / spread
    flat = centred.swapaxes(1, 2).reshape(-1, window) if apart else centred.reshape(len(origins), -1)
    rows = np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
    if normalisation == "none":
        return rows, np.zeros((1, 1, 1)), np.ones((1, 1, 1))
    return rows, middle[..., split.channels.places], spread[..., split.channels.places]


def _window_statistics(windows: Values, normalisation: WindowNormalisation) -> tuple[Values, Values]:
    """Offset and scale of each channel of a window, as in `ForecastModel`, [m, 1, F] each."""
    if normalisation == "last":
        middle = windows[:, -1:]
    else:
        middle = windows.mean(axis=1, keepdims=True) if normalisation != "none" else np.zeros_like(windows[:, :1])
    if normalisation == "standard":
        return middle, np.sqrt(windows.var(axis=1, keepdims=True) + ADDED_VARIANCE)
    return middle, np.ones_like(middle)


def linear_baselines(train: Scaled, valid: Scaled, window: int) -> dict[str, Callable[[Scaled], Forecasts]]:
    """The linear maps that the channels allow: each channel alone, all together."""
    centred: WindowNormalisation = "none" if train.channels.places is None else "last"
    found: dict[str, Callable[[Scaled], Forecasts]] = {}
    one_channel = len(train.channels.inputs) == 1
    if sorted(train.channels.places or []) == list(range(len(train.channels.inputs))):
        name = "linear" if one_channel else "linear, channels apart"
        found[name] = fit_linear(train, valid, window, centred, apart=True)
    if not one_channel and window * len(train.channels.inputs) <= WIDEST:
        found["linear"] = fit_linear(train, valid, window, centred, apart=False)
    if not found and one_channel:
        found["linear"] = fit_linear(train, valid, window, centred, apart=False)
    return found
