"""Where a training stands. All of it is numbers, and all of it goes into the checkpoint."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqaudio.errors import RunError

NON_FINITE_LIMIT = 20  # updates in a row without a finite gradient before the training gives up


@dataclass
class Sums:
    """What was added up since the last update; the gradients themselves stand in the parameters."""

    total: float = 0.0  # loss, in nats
    count: int = 0  # of what it counts
    windows: int = 0
    rate: float = 0.0  # sum of the windows' factors of the learning rate

    def add(self, total: float, count: int, rate: float) -> None:
        self.total += total
        self.count += count
        self.windows += 1
        self.rate += rate


@dataclass
class Position:
    """Where a training stands."""

    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done
    step: int = 0  # optimiser steps since the start
    seconds: float = 0.0  # of training, validation included, over all sessions
    total: float = 0.0  # loss of this epoch so far, in nats
    count: int = 0
    updates: int = 0  # of this epoch
    clipped: int = 0
    skipped: int = 0  # updates without a finite gradient, since the start
    skipped_in_a_row: int = 0
    trouble: str = ""  # where the first of those in a row was, and in what
    best: float | None = None
    stale: int = 0  # epochs since the best one
    halved: int = 0  # times that schedule plateau halved the rate
    metrics_bytes: int = 0  # length of metrics.jsonl
    epochs: int = 0  # whole epochs of the training
    rest: int = 0  # batches of the last epoch, where it is not a whole one
    settled: bool = True  # epochs and rest are final; before that --minutes still measures the speed
    validation_seconds: float = 0.0  # measured for --minutes
    best_metrics: dict[str, float] = field(default_factory=dict)
    pending: Sums = field(default_factory=Sums)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Position:
        """The inverse of `to_dict`."""
        return cls(**{**data, "pending": Sums(**data["pending"])})

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)

    @property
    def finished(self) -> bool:
        """All epochs are done, the last, shorter one too."""
        return self.epoch >= self.epochs + bool(self.rest)

    @property
    def rest_done(self) -> bool:
        """The last epoch is a shorter one and has all its batches."""
        return self.epoch == self.epochs and 0 < self.rest <= self.batch

    def done(self, batches: int) -> float:
        """Share of the training; `batches` an epoch."""
        # epochs of padded batches differ a little in their number
        return min((self.epoch + self.batch / batches) / (self.epochs + self.rest / batches), 1.0)

    # --- what happens to it ---

    def count_update(self, sums: Sums, clipped: bool) -> None:
        """An optimiser step was made with the gradients of these sums."""
        self.skipped_in_a_row = 0
        self.clipped += clipped
        self.step += 1
        self.total += sums.total
        self.count += sums.count

    def count_skipped(self, sums: Sums, names: list[str]) -> None:
        """An update was left out, since the gradients of the parameters `names` were not finite.

        Raises RunError for the twentieth in a row; it tells where the first was.
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
            raise RunError(
                f"the gradient was not finite in {NON_FINITE_LIMIT} updates in a row, the first {self.trouble}; "
                f"lower --learning-rate or --clip-norm"
            )

    def count_validation(self, metrics: Mapping[str, float], select: tuple[str, str]) -> bool:
        """Whether this epoch is the best so far; `select`: in which metric, and whether its max or min is best."""
        name, direction = select
        value = metrics[name]
        if self.best is None or math.isnan(self.best):
            better = True
        else:
            better = value > self.best if direction == "max" else value < self.best
        if better:
            self.best, self.best_metrics, self.stale = value, dict(metrics), 0
        else:
            self.stale += 1
        return better

    def next_epoch(self, halve_after: int | None = None) -> None:
        """An epoch is done. halve_after: epochs without a better one after which the rate is halved, and so on."""
        if halve_after and self.stale and self.stale % halve_after == 0:
            self.halved += 1
        self.epoch += 1
        self.batch = self.count = self.updates = self.clipped = 0
        self.total = 0.0
