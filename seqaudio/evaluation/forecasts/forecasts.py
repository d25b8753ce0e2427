"""Forecast a whole split: values of a model, errors at each step ahead, prediction intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from seqaudio.batching import Source
from seqaudio.errors import OptionError
from seqaudio.models import ForecastModel

INTERVAL_LEVELS = (0.80, 0.95)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts and observations, [M, H, K] each, in standard deviations of the training rows; NaN is unknown."""

    values: Values
    truth: Values

    @property
    def errors(self) -> Values:
        return self.values - self.truth

    def metrics(self) -> dict[str, float]:
        """Mean squared and absolute error over all known values, and their number.

        For several steps also the squared error at the first and at the last.
        """
        errors = self.errors[~np.isnan(self.truth)]
        found = {"mse": float(np.square(errors).mean()), "mae": float(np.abs(errors).mean())}
        steps = self.by_step()
        if len(steps) > 1 and not np.isnan([steps[0], steps[-1]]).any():
            found |= {"mse_first": steps[0], "mse_last": steps[-1]}
        return found | {"count": len(errors)}

    def whole_batches(self, size: int) -> Forecasts:
        """The first forecasts, as many as fill whole batches: what a loader scores that drops the last, smaller one.

        Published figures of ETTh1 are often such ones: Informer's loader reads batches of 32, 2,848 of 2,857 windows.
        Raises OptionError where not one batch is filled.
        """
        kept = len(self.values) // size * size
        if not kept:
            raise OptionError(f"--drop-last {size} with {len(self.values):,} forecasts: not one batch is whole; "
                              f"give {len(self.values)} at most, or leave --drop-last out")  # fmt: skip
        return Forecasts(self.values[:kept], self.truth[:kept])

    def by_step(self) -> list[float]:
        """Mean squared error at each step ahead, [H]; NaN where no value is known."""
        return self._means((0, 2))

    def by_channel(self) -> list[float]:
        """Mean squared error of each channel, [K]; NaN where no value is known."""
        return self._means((0, 1))

    def _means(self, axes: tuple[int, int]) -> list[float]:
        known = ~np.isnan(self.truth)
        sums = np.where(known, np.square(self.errors), 0.0).sum(axis=axes)
        counts = known.sum(axis=axes)
        means: list[float] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).tolist()
        return means


@torch.no_grad()
def predict(model: ForecastModel, source: Source, steps: int, device: torch.device | str = "cpu") -> Forecasts:
    """Forecasts of a model at every origin of a source without random draws, in the order of the origins.

    steps: steps ahead; beyond the model's horizon its own forecasts are fed back.
    """
    model.eval()
    values, truth = [], []
    for batch in source.epoch(0):
        on_device = batch.to(device)
        assert on_device.targets is not None
        if steps > model.horizon:
            forecast = model.forecast(on_device.inputs, steps)[None]
        else:
            forecast = model(on_device.inputs, None, on_device.lengths, on_device.resets)[0][:, :, :steps]
        wanted = ((on_device.targets - model.target_mean) / model.target_std)[:, :, :steps]
        # row by row in the order of time, which is that of the origins
        asked = ~wanted.isnan().all(dim=3).all(dim=2).T
        values.append(forecast.transpose(0, 1)[asked].double().cpu().numpy())
        truth.append(wanted.transpose(0, 1)[asked].double().cpu().numpy())
    return Forecasts(np.concatenate(values), np.concatenate(truth))


@dataclass(frozen=True, eq=False)
class Intervals:
    """Split conformal intervals: forecast -+ width, a width for each level, step ahead and channel.

        width = the ceil((n + 1) level)-th smallest |error| of the n calibration forecasts

    If future errors are exchangeable with those of the calibration, at least a share of `level` of the observations
    lies inside. Errors of a series are not quite exchangeable, so report the measured coverage as well. With fewer than
    level / (1 - level) calibration values the width is infinite.

    Source: Vovk et al. (2005); Lei et al. (2018).
    """

    levels: tuple[float, ...]
    widths: Values  # [L, H, K]

    @classmethod
    def from_errors(cls, errors: Values, levels: Sequence[float] = INTERVAL_LEVELS) -> Intervals:
        """Intervals from the errors [M, H, K] of a split that was not trained on; NaN is ignored.

        Raises OptionError for a level outside 0..1.
        """
        if not all(0 < level < 1 for level in levels):
            raise OptionError(f"levels {list(levels)}, expected each above 0 and below 1, such as 0.8")
        sizes = np.sort(np.abs(errors), axis=0)  # NaN goes last
        counts = (~np.isnan(errors)).sum(axis=0)
        widths = np.full((len(levels), *errors.shape[1:]), np.inf)
        for number, level in enumerate(levels):
            # round first: (n + 1) level is meant exactly, and 0.8 has no exact float
            ranks = np.vectorize(lambda n, level=level: math.ceil(round((n + 1) * level, 9)))(counts)
            picked = np.take_along_axis(sizes, np.clip(ranks - 1, 0, len(sizes) - 1)[None], axis=0)[0]
            widths[number] = np.where(ranks <= counts, picked, np.inf)
        return cls(tuple(levels), widths)

    def coverage(self, forecasts: Forecasts) -> dict[str, float]:
        """The share of known observations inside the intervals of each level, as `coverage_80`, and their mean width.

        Levels for which the calibration was too small are left out.
        """
        known = ~np.isnan(forecasts.truth)
        found: dict[str, float] = {}
        for level, widths in zip(self.levels, self.widths, strict=True):
            half = np.broadcast_to(widths, known.shape)[known]
            if not np.isfinite(half).all():
                continue
            name = f"{100 * level:g}"
            found[f"coverage_{name}"] = float((np.abs(forecasts.errors[known]) <= half).mean())
            found[f"width_{name}"] = float(2 * half.mean())
        return found
