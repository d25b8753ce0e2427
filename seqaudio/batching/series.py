"""Series of a store for forecasting: input channels, target channels, and the past before a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from seqaudio.errors import StoreError
from seqaudio.json_files import Count
from seqaudio.store import SPLITS, Store

Float = TypeVar("Float", np.float32, np.float64)

MIN_RELATIVE_DEVIATION = 1e-6  # of a channel, relative to its mean; below it the channel is constant but for rounding
MIN_DEVIATION = 2e-5  # of a channel; below it the channel is constant: twice what a store gives such a channel


@dataclass(frozen=True, eq=False)
class Series:
    """One series up to the end of its split, in the units of the store. Unknown target values are NaN."""

    id: str
    inputs: npt.NDArray[np.float32]  # [T, F] without gaps, see `filled`
    targets: npt.NDArray[np.float32]  # [T, K]
    first: int  # step at which the split begins; earlier steps are the past, which a model may read

    def __len__(self) -> int:
        return len(self.inputs)

    def since(self, step: int) -> Series:
        """The series from a step on, or from the beginning of its split where that is earlier."""
        start = min(max(step, 0), self.first)
        return Series(self.id, self.inputs[start:], self.targets[start:], self.first - start)

    def origins(self, window: int, horizon: int) -> npt.NDArray[np.int64]:
        """Steps t at which steps t .. t + horizon - 1 are forecast from the steps before t.

        All steps of the forecast lie inside the split, a whole window (at least one step) lies before t, and at least
        one target value is known.
        """
        steps = np.arange(max(self.first, window, 1), len(self) - horizon + 1)
        if not len(steps):
            return steps
        known = np.concatenate([[0], np.cumsum((~np.isnan(self.targets)).any(axis=1))])
        chosen: npt.NDArray[np.int64] = steps[known[steps + horizon] > known[steps]]
        return chosen


@dataclass(frozen=True)
class SeriesChannels:
    """The channels of a store of series, as its settings describe them."""

    names: tuple[str, ...]
    inputs: tuple[int, ...]  # indices into the names
    targets: tuple[int, ...]
    period: int  # steps of a season, such as 24 hours; 0 where there is none
    one_series: bool  # valid continues where train ends, and test where valid does

    @property
    def target_names(self) -> tuple[str, ...]:
        return tuple(self.names[place] for place in self.targets)

    @property
    def places(self) -> list[int] | None:
        """The index of each target among the inputs; None where one is not among them."""
        if not set(self.targets) <= set(self.inputs):
            return None
        return [self.inputs.index(target) for target in self.targets]


@dataclass(frozen=True)
class SeriesSettings:
    """The settings of a store of series about its channels."""

    channels: tuple[str, ...]
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    period: Count
    one_series: bool


def channels_of(store: Store) -> SeriesChannels:
    """The channels of a store of series. Raises StoreError for a store of another kind."""
    store.require("series", "forecasting")
    settings: SeriesSettings = store.setting("series", SeriesSettings)
    names = settings.channels
    try:
        inputs, targets = (tuple(map(names.index, chosen)) for chosen in (settings.inputs, settings.targets))
        if store.normalisation is not None and len(store.normalisation.mean) != len(names):
            raise ValueError(f"statistics of {len(store.normalisation.mean)} channels, expected {len(names)}")
    except ValueError as error:
        raise StoreError(f"{store.path / 'store.json'}: damaged ({error}); prepare the store again") from None
    return SeriesChannels(names, inputs, targets, settings.period, settings.one_series)


def series_of(store: Store, split: str, limit: int | None = None) -> list[Series]:
    """The series of a split, each with its whole past in the splits before.

    limit: read only the first N steps of the split, summed over its series.
    Raises StoreError where the split is empty or the store holds no series.
    """
    channels = channels_of(store)
    mean, _ = statistics_of(store)
    before = SPLITS[: SPLITS.index(split)] if channels.one_series else ()
    found: list[Series] = []
    left = limit
    for row, own in enumerate(store[split]):
        frames = own if left is None else own[:left]
        if not len(frames):
            break
        left = None if left is None else left - len(frames)
        past = [store[name].sequence(row) for name in before if name in store.counts]
        first = sum(map(len, past))
        whole = np.concatenate([*past, frames])
        inputs = filled(whole[:, channels.inputs], mean[list(channels.inputs)])
        found.append(Series(store[split].ids[row], inputs, whole[:, channels.targets], first))
    return found


def filled(frames: npt.NDArray[Float], start: npt.NDArray[np.float64]) -> npt.NDArray[Float]:
    """Fill gaps (NaN) in frames [T, F] with the last known value, and with `start` [F] before the first: causal."""
    known = ~np.isnan(frames)
    if known.all():
        return frames
    latest = np.maximum.accumulate(np.where(known, np.arange(len(frames))[:, None], -1), axis=0)
    values = np.take_along_axis(frames, np.maximum(latest, 0), axis=0)
    return np.where(latest < 0, start.astype(frames.dtype), values)


def statistics_of(store: Store) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation [C] of all channels over the training rows; deviation 1 for a constant channel.

    Raises StoreError for a store of another kind, or without statistics.
    """
    store.require("series", "forecasting")
    if store.normalisation is None:
        raise StoreError(f"{store.path}: no statistics of its channels; prepare it again with seqaudio prepare series")
    mean, std = np.asarray(store.normalisation.mean), np.asarray(store.normalisation.std)
    constant = std <= np.maximum(MIN_RELATIVE_DEVIATION * np.abs(mean), MIN_DEVIATION)
    return mean, np.where(constant, 1.0, std)


def scaling_of(store: Store) -> tuple[torch.Tensor, ...]:
    """Mean and standard deviation over the training rows, of the inputs [F] and of the targets [K]: a model's scaling.

    Raises StoreError as `statistics_of` does.
    """
    channels = channels_of(store)
    statistics = [torch.from_numpy(values).float() for values in statistics_of(store)]
    return tuple(values[list(which)] for which in (channels.inputs, channels.targets) for values in statistics)
