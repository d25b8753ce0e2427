"""Series without windows: read from the first frame to the last, with a forecast after every frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from seqaudio.batching.batch import Batch
from seqaudio.batching.series import Series
from seqaudio.batching.series_windows import origins_of
from seqaudio.errors import OptionError


class WholeSeries:
    """A `Source` of whole series with all their past, padded: inputs [T, B, F], targets [T, B, H, K].

    Targets are NaN where no forecast is scored, so past and padding do not count. The order is that of the series.

    Args:
        past: steps before the split that are read to warm up the state; None for all of them.
    """

    continues = False

    def __init__(self, series: Sequence[Series], horizon: int, batch_size: int, past: int | None = None) -> None:
        self.origins = origins_of(series, 1, horizon)
        self.series = [one if past is None else one.since(one.first - past) for one in series]
        self.horizon, self.batch_size = horizon, batch_size

    def __len__(self) -> int:
        return -(-len(self.series) // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        del epoch  # nothing is drawn
        for number in range(start, len(self)):
            yield self._batch(self.series[number * self.batch_size : (number + 1) * self.batch_size])

    def _batch(self, series: Sequence[Series]) -> Batch:
        longest = max(map(len, series))
        inputs = np.zeros((longest, len(series), series[0].inputs.shape[1]), dtype=np.float32)
        targets = np.full((longest, len(series), self.horizon, series[0].targets.shape[1]), np.nan, dtype=np.float32)
        for row, one in enumerate(series):
            inputs[: len(one), row] = one.inputs
            steps, values = forecast_targets(one, self.horizon)
            targets[steps, row] = values
        lengths = torch.tensor([len(one) for one in series])
        ids = tuple(one.id for one in series)
        return Batch(torch.from_numpy(inputs), lengths, targets=torch.from_numpy(targets), ids=ids)


class SeriesLanes:
    """A `Source` for truncated BPTT: all series end to end, cut into B lanes that are the rows of every batch.

    Batch n holds steps n W .. (n + 1) W of every lane, so the state is carried from batch to batch. It is reset where
    a series or a lane begins. Every forecast is scored once a pass.

    Args:
        lanes: B. window: W, steps a batch: the `advance` of truncated BPTT.
        passes: passes through the lanes in an epoch.
    """

    continues = True

    def __init__(self, series: Sequence[Series], horizon: int, lanes: int, window: int, passes: int = 1) -> None:
        if min(lanes, window, passes) < 1:
            raise OptionError(
                f"got {lanes} lanes, windows of {window} steps, {passes} passes, expected at least 1 of each"
            )
        origins_of(series, 1, horizon)
        self.lanes, self.window, self.passes = lanes, window, passes
        lengths = [len(one) for one in series]
        self.lane_length = -(-sum(lengths) // lanes)
        padding = self.lane_length * lanes - sum(lengths)  # steps at the end of the last lanes
        starts = np.cumsum([0, *lengths[:-1]])
        scored, resets = np.zeros((2, self.lane_length * lanes), dtype=np.bool_)
        resets[starts] = True
        resets[:: self.lane_length] = True
        for start, one in zip(starts, series, strict=True):
            scored[start + one.origins(1, horizon) - 1] = True
        self._inputs = np.concatenate([*(one.inputs for one in series), _blank(series[0].inputs, padding, 0.0)])
        self._targets = np.concatenate(
            [*(one.targets for one in series), _blank(series[0].targets, padding + horizon, np.nan)]
        )
        self._scored, self._resets = scored, resets
        self._ahead = 1 + np.arange(horizon)

    def __len__(self) -> int:
        return self.passes * self._windows

    @property
    def _windows(self) -> int:
        return -(-self.lane_length // self.window)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        del epoch  # the order is that of time in every epoch
        lanes = self.lane_length * np.arange(self.lanes)
        for number in range(start, len(self)):
            first = number % self._windows * self.window
            steps = (
                np.arange(first, min(first + self.window, self.lane_length))[:, None] + lanes
            )  # [W, B] of the stream
            targets = self._targets[steps[..., None] + self._ahead]
            targets[~self._scored[steps]] = np.nan
            yield Batch(
                torch.from_numpy(self._inputs[steps]),
                torch.full((self.lanes,), len(steps)),
                targets=torch.from_numpy(targets),
                resets=torch.from_numpy(self._resets[steps]),
            )


def _blank(like: np.ndarray, steps: int, value: float) -> np.ndarray:
    return np.full((steps, like.shape[1]), value, dtype=like.dtype)


def forecast_targets(series: Series, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps [M] after which a forecast is scored, and its targets [M, H, K]."""
    origins = series.origins(1, horizon)
    return origins - 1, series.targets[origins[:, None] + np.arange(horizon)]
