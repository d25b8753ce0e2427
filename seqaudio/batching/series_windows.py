"""Sliding windows of series: N frames, and the H values after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from seqaudio.batching.batch import Batch
from seqaudio.batching.series import Series
from seqaudio.errors import OptionError


class SeriesWindows:
    """A `Source` of windows [N, B, F] with targets [1, B, H, K], one at each origin of the series.

    Args:
        window, horizon: N and H.
        seed: the order is drawn each epoch from (seed, epoch); None keeps the order of time.
        stride: an epoch uses one window in `stride`, drawn at random each epoch; more than 1 needs a seed.
        passes: passes over the windows in an epoch, each with draws of its own.
    Raises:
        OptionError: no window fits into the series.
    """

    continues = False

    def __init__(
        self,
        series: Sequence[Series],
        window: int,
        horizon: int,
        batch_size: int,
        seed: int | None = None,
        stride: int = 1,
        passes: int = 1,
    ) -> None:
        if min(window, batch_size, stride, passes) < 1 or (stride > 1 and seed is None):
            raise OptionError(
                f"got windows of {window} steps, {batch_size} a batch, one in {stride}, {passes} passes, seed {seed}; "
                f"expected at least 1 of each, and a seed to use one window in several"
            )
        self.window, self.horizon = window, horizon
        self.batch_size, self.seed, self.passes = batch_size, seed, passes
        self._inputs = torch.from_numpy(np.concatenate([one.inputs for one in series]))
        self._targets = torch.from_numpy(np.concatenate([one.targets for one in series]))
        self._starts = np.cumsum([0, *(len(one) for one in series[:-1])])
        self.origins = origins_of(series, window, horizon)
        self._used = -(-len(self.origins) // stride)

    def __len__(self) -> int:
        return -(-self._used * self.passes // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = np.tile(np.arange(len(self.origins)), self.passes)
        if self.seed is not None:
            draw = np.random.default_rng((self.seed, epoch))
            order = np.concatenate([draw.permutation(len(self.origins))[: self._used] for _ in range(self.passes)])
        for number in range(start, len(self)):
            yield self._batch(self.origins[order[number * self.batch_size : (number + 1) * self.batch_size]])

    def _batch(self, origins: np.ndarray) -> Batch:
        steps = torch.from_numpy(self._starts[origins[:, 0]] + origins[:, 1])
        inputs = self._inputs[steps + torch.arange(-self.window, 0)[:, None]]
        targets = self._targets[steps[:, None] + torch.arange(self.horizon)][None]
        return Batch(inputs, torch.full((len(origins),), self.window), targets=targets)


def origins_of(series: Sequence[Series], window: int, horizon: int) -> np.ndarray:
    """[M, 2] int64: for each forecast, in order, the number of its series and its first step.

    Raises OptionError where there is none.
    """
    each = [one.origins(window, horizon) for one in series]
    parts = [np.stack([np.full(len(steps), number), steps], axis=1) for number, steps in enumerate(each)]
    origins = np.concatenate([np.zeros((0, 2), dtype=np.int64), *parts])
    if not len(origins):
        longest = max((len(one) for one in series), default=0)
        raise OptionError(
            f"no window of {window} steps followed by {horizon} known steps fits into {len(series):,} series of up to "
            f"{longest:,} steps; take a smaller --window or --horizon"
        )
    return origins
