"""Series of a store, ready to be forecast: what is seen, what is to be told, and the past before a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from seqaudio.errors import StoreError
from seqaudio.store import SPLITS, Store

Float = TypeVar("Float", np.float32, np.float64)

MIN_SPREAD = 1e-6  # of a channel beside its mean; less is a channel that stands still, and rounding
STILL = 2e-5  # deviation, and twice what a store gives to a channel that never changes


@dataclass(frozen=True, eq=False)
class Series:
    """One series up to the end of its split, in the units of the store. What is unknown in a target is NaN."""

    id: str
    inputs: npt.NDArray[np.float32]  # [T, F] without gaps, see `filled`
    targets: npt.NDArray[np.float32]  # [T, K]
    first: int  # step at which the split begins; what lies before it is the past, which may be looked at

    def __len__(self) -> int:
        return len(self.inputs)

    def since(self, step: int) -> Series:
        """The same series without what lies before a step."""
        start = min(max(step, 0), self.first)
        return Series(self.id, self.inputs[start:], self.targets[start:], self.first - start)

    def origins(self, window: int, horizon: int) -> npt.NDArray[np.int64]:
        """Steps t at which a forecast of t .. t + horizon - 1 is asked, from what came before t.

        Each is inside the split with all its steps, has a whole window before it (at least one step), and at least one
        value that is known.
        """
        steps = np.arange(max(self.first, window, 1), len(self) - horizon + 1)
        if not len(steps):
            return steps
        known = np.concatenate([[0], np.cumsum((~np.isnan(self.targets)).any(axis=1))])
        chosen: npt.NDArray[np.int64] = steps[known[steps + horizon] > known[steps]]
        return chosen


@dataclass(frozen=True)
class SeriesChannels:
    """What a store of series says of its channels."""

    names: tuple[str, ...]
    inputs: tuple[int, ...]  # places among the names
    targets: tuple[int, ...]
    period: int  # steps of a season, such as 24 hours; 0 where there is none
    one_series: bool  # valid goes on where train ends, and test where valid does

    @property
    def target_names(self) -> tuple[str, ...]:
        return tuple(self.names[place] for place in self.targets)

    @property
    def places(self) -> list[int] | None:
        """The place of each target among the inputs; None where one is not among them."""
        if not set(self.targets) <= set(self.inputs):
            return None
        return [self.inputs.index(target) for target in self.targets]


def channels_of(store: Store) -> SeriesChannels:
    """The channels of a store of series. Raises StoreError for a store of another kind."""
    store.require("series", "forecasting")
    told = store.settings["series"]
    names = tuple(told["channels"])
    places = {name: place for place, name in enumerate(names)}
    return SeriesChannels(
        names,
        tuple(places[name] for name in told["inputs"]),
        tuple(places[name] for name in told["targets"]),
        told["period"],
        told["one_series"],
    )


def series_of(store: Store, split: str, limit: int | None = None) -> list[Series]:
    """The series of a split, each with all its past in the splits before it.

    limit: of the split only the first N steps, all series together.
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
    """Frames [T, F] with the last known value in each gap, and `start` [F] before the first one: nothing from later."""
    known = ~np.isnan(frames)
    if known.all():
        return frames
    latest = np.maximum.accumulate(np.where(known, np.arange(len(frames))[:, None], -1), axis=0)
    values = np.take_along_axis(frames, np.maximum(latest, 0), axis=0)
    return np.where(latest < 0, start.astype(frames.dtype), values)


def statistics_of(store: Store) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation [C] of all channels over the training rows; 1 for a channel that stands still.

    Raises StoreError for a store of another kind, or without statistics.
    """
    store.require("series", "forecasting")
    if store.normalisation is None:
        raise StoreError(f"{store.path}: has no statistics of its channels; prepare it with data_prep/series.py")
    mean, std = np.asarray(store.normalisation.mean), np.asarray(store.normalisation.std)
    still = std <= np.maximum(MIN_SPREAD * np.abs(mean), STILL)
    return mean, np.where(still, 1.0, std)


def scaling_of(store: Store) -> tuple[torch.Tensor, ...]:
    """Mean and deviation [F] of the inputs, and [K] of the targets, over the training rows: what a model scales by.

    Raises StoreError as `statistics_of` does.
    """
    channels = channels_of(store)
    statistics = [torch.from_numpy(values).float() for values in statistics_of(store)]
    return tuple(values[list(which)] for which in (channels.inputs, channels.targets) for values in statistics)
