"""Batches and their sources. Letters: T steps, B rows, F features, U target symbols."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Time-major sequences, padded to the longest. Fields that a model does not need are None."""

    inputs: Tensor  # [T, B, F] float, or [T, B] int64 ids
    lengths: Tensor  # [B] int64 on the CPU; may be 0
    targets: Tensor | None = None  # [B] labels | [T, B] ids | [T, B, F] values | [U, B] with target_lengths
    target_lengths: Tensor | None = None  # [B] int64 on the CPU
    resets: Tensor | None = None  # [T, B] bool: the state is reset before step t
    weights: Tensor | None = None  # [T, B] float
    alignment: Tensor | None = None  # [T, B] int64: the unit that ended just before step t, where that is known; else 0
    conditions: Tensor | None = None  # [T, B, C] int64: the value of each condition of the sequence; 0 is unknown
    ids: tuple[str, ...] = ()  # of the rows

    @property
    def steps(self) -> int:
        return self.inputs.shape[0]

    @property
    def rows(self) -> int:
        return self.inputs.shape[1]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device; lengths stay on the CPU."""
        on_cpu = {"lengths", "target_lengths", "ids"}
        moved = {
            field.name: value.to(device)
            for field in dataclasses.fields(self)
            if field.name not in on_cpu and (value := getattr(self, field.name)) is not None
        }
        return dataclasses.replace(self, **moved)

    def slice_time(self, start: int, end: int) -> Batch:
        """Steps start..end (end excluded). Lengths are clamped; labels and [U, B] targets stay whole."""
        per_step = self.targets is not None and self.target_lengths is None and self.targets.dim() > 1
        return dataclasses.replace(
            self,
            inputs=self.inputs[start:end],
            lengths=(self.lengths - start).clamp(0, min(end, self.steps) - start),
            targets=self.targets[start:end] if per_step and self.targets is not None else self.targets,
            resets=None if self.resets is None else self.resets[start:end],
            weights=None if self.weights is None else self.weights[start:end],
            alignment=None if self.alignment is None else self.alignment[start:end],
            conditions=None if self.conditions is None else self.conditions[start:end],
        )

    def mask(self) -> Tensor:
        """[T, B] bool on the device of the inputs: true where a step is inside its row's length."""
        steps = torch.arange(self.steps, device=self.inputs.device)
        return steps[:, None] < self.lengths.to(self.inputs.device)[None, :]


class Source(Protocol):
    """Batches, epoch after epoch, in an order that depends on (seed, epoch) alone."""

    continues: bool  # each batch continues, row by row, where the one before it ended

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from batch number `start` on."""
        ...
