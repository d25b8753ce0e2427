"""Position of a training: counters, sums and metrics, all of which are saved in a checkpoint."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqaudio.errors import DivergedError
from seqaudio.json_files import Count, Metrics, Number, checked

# how the best epoch is chosen: a metric, "max" or "min", for equal values a metric that is better when it is less, and
# the value above which all count as equal
Selection = tuple[str, str] | tuple[str, str, str] | tuple[str, str, str, float]

NON_FINITE_LIMIT = 20  # updates skipped in a row, since their gradient is not finite, that stop the training


@dataclass
class Sums:
    """Sums over the windows since the last update; the gradients are summed in the parameters themselves."""

    total: Number = 0.0  # loss, such as nats
    count: Count = 0  # of the targets in the loss
    windows: Count = 0
    rate: float = 0.0  # of the windows' factors of the learning rate

    def add(self, total: float, count: int, rate: float) -> None:
        self.total += total
        self.count += count
        self.windows += 1
        self.rate += rate


@dataclass(frozen=True)
class Rest:
    """The length of the shorter last epoch, under the name that checkpoints have always used."""

    rest: Count


@dataclass
class Position:
    """Position of a training: what is finished, how long it is, and the best epoch so far."""

    epoch: Count = 0  # epochs that are finished
    batch: Count = 0  # batches of this epoch that are finished
    step: Count = 0  # optimiser steps since the start
    seconds: float = 0.0  # of training and validation, over all sessions
    total: float = 0.0  # summed loss of this epoch, such as nats
    count: Count = 0  # of the targets in that loss
    updates: Count = 0  # of this epoch
    clipped: Count = 0  # updates of this epoch with a clipped gradient
    skipped: Count = 0  # updates since the start that were skipped, since their gradient was not finite
    skipped_in_a_row: Count = 0
    trouble: str = ""  # place and parameter of the first one skipped in a row, for the error message
    best: float | None = None  # value of the metric that chooses the best epoch
    stale: Count = 0  # epochs since the best one
    halved: Count = 0  # times that schedule plateau halved the rate
    metrics_bytes: Count = 0  # length of metrics.jsonl
    epochs: Count = 0  # whole epochs of the training
    batches_in_epoch: Count = 0  # of a shorter last epoch, which follows the whole ones; 0 where there is none
    settled: bool = True  # the length is final; it is not while --minutes still measures the speed
    validation_seconds: float = 0.0  # measured for --minutes
    best_metrics: Metrics = field(default_factory=dict)
    pending: Sums = field(default_factory=Sums)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Position:
        """The inverse of `to_dict`. Raises ValueError for a value of another type, or out of its bounds."""
        length = checked(Rest, data).rest
        return checked(cls, data | {"batches_in_epoch": length})

    def to_dict(self) -> dict[str, Any]:
        """The position as JSON."""
        data = dataclasses.asdict(self)
        return data | {"rest": data.pop("batches_in_epoch")}

    @property
    def finished(self) -> bool:
        """Whether all epochs are finished, with a shorter last one."""
        return self.epoch >= self.epochs + bool(self.batches_in_epoch)

    @property
    def shorter_epoch_finished(self) -> bool:
        """Whether this is the shorter last epoch and all its batches are finished."""
        return self.epoch == self.epochs and 0 < self.batches_in_epoch <= self.batch

    def done(self, batches: int) -> float:
        """Finished share of the training, 0 to 1. batches: of a whole epoch."""
        # at most 1: the number of padded batches differs a little from epoch to epoch
        return min((self.epoch + self.batch / batches) / (self.epochs + self.batches_in_epoch / batches), 1.0)

    # --- events of the training ---

    def count_update(self, sums: Sums, clipped: bool) -> None:
        """Count an optimiser step that was made with the gradients of these sums."""
        self.skipped_in_a_row = 0
        self.clipped += clipped
        self.step += 1
        self.total += sums.total
        self.count += sums.count

    def count_skipped(self, sums: Sums, names: list[str]) -> None:
        """Count an update that was skipped, since the gradients of the parameters `names` were not finite.

        Raises DivergedError for the twentieth in a row, with the place of the first.
        """
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row == 1:
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self.trouble = (
                f"at step {self.step}, batch {self.batch + 1} of epoch {self.epoch + 1}, with a loss of "
                f"{sums.total / sums.count:.4g}, in {names[0] if names else 'the norm alone'}{others}"
            )
        if self.skipped_in_a_row >= NON_FINITE_LIMIT:
            raise DivergedError(
                f"the gradient was not finite in {NON_FINITE_LIMIT} updates in a row, the first {self.trouble}; "
                f"lower --learning-rate or --clip-norm"
            )

    def count_validation(self, metrics: Mapping[str, float], select: Selection) -> bool:
        """Count a validation; returns whether it is the best so far."""
        name, direction, ties, most = select[0], select[1], select[2:3], select[3] if len(select) > 3 else math.inf
        value = min(metrics[name], most) if math.isfinite(metrics[name]) else metrics[name]
        if not math.isfinite(value):
            better = False
        elif self.best is None:
            better = True
        else:
            better = value > self.best if direction == "max" else value < self.best
            if value == self.best:
                better = [metrics[name] for name in ties] < [self.best_metrics[name] for name in ties]
        if better:
            self.best, self.best_metrics, self.stale = value, dict(metrics), 0
        else:
            self.stale += 1
        return better

    def check_epoch(self) -> None:
        """Raise DivergedError at the end of an epoch in which no update counted: nothing was learned in it."""
        if self.count:
            return
        if not self.updates:
            raise DivergedError(
                f"epoch {self.epoch + 1} had no targets to learn from, expected at least one; train on longer sequences"
            )
        raise DivergedError(
            f"no update of epoch {self.epoch + 1} counted: the gradient was not finite in all {self.updates:,}, the "
            f"last ones from {self.trouble} on; lower --learning-rate or --clip-norm, or run `seqaudio check` on the "
            f"store"
        )

    def check_best(self, metric: str) -> None:
        """Raise DivergedError at the end of a training without a best epoch: the metric was NaN or infinite in all."""
        if self.best is None:
            raise DivergedError(
                f"{metric} on validation was NaN or infinite in all {self.epoch} epochs, so no epoch is best and no "
                f"weights are kept; lower --learning-rate, or run `seqaudio check` on the store"
            )

    def next_epoch(self, halve_after: int | None = None) -> None:
        """Finish an epoch. halve_after: halve the rate whenever this many more epochs brought no improvement."""
        if halve_after and self.stale and self.stale % halve_after == 0:
            self.halved += 1
        self.epoch += 1
        self.batch = self.count = self.updates = self.clipped = 0
        self.total = 0.0
