"""Padded batches of whole sequences of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seqaudio.arrow_files import Split
from seqaudio.batching.batch import Batch
from seqaudio.batching.conditions import SequenceConditions
from seqaudio.vocabulary import BOS, EOS, PAD

POOL = 16  # batches whose rows are sorted by length together: a larger pool pads less, a smaller one shuffles better

# (samples [N] or frames [T, F], epoch, id of the row) -> the same augmented, perhaps of another length
Augmenter = Callable[[np.ndarray, int, str], np.ndarray]


class TokenRows(Protocol):
    """Sequences of token ids: a split, or what was made of one."""

    @property
    def ids(self) -> Sequence[str]: ...  # of the rows
    @property
    def lengths(self) -> np.ndarray: ...  # [N] int64 tokens of each row

    def __len__(self) -> int: ...

    def sequence(self, row: int) -> np.ndarray:
        """The ids [T] of a row."""
        ...


class Collate(Protocol):
    """Turns rows of a split into a Batch."""

    @property
    def lengths(self) -> np.ndarray: ...  # [N] int64 steps of each row, before augmentation

    def __call__(self, rows: Sequence[int], epoch: int) -> Batch: ...


@dataclass(frozen=True)
class LabelledSequences:
    """Frames [T, F] with one label a row. `feature_augment` is keyed by epoch and id."""

    split: Split
    labels: np.ndarray  # [N] int64
    feature_augment: Augmenter | None = None

    @property
    def lengths(self) -> np.ndarray:
        return self.split.lengths

    def frames(self, row: int) -> np.ndarray:
        """The frames [T, F] of a row, without augmentation."""
        return self.split.sequence(row)

    def __call__(self, rows: Sequence[int], epoch: int) -> Batch:
        ids = tuple(self.split.ids[row] for row in rows)
        sequences = [self.frames(row) for row in rows]
        if self.feature_augment is not None:
            sequences = [self.feature_augment(frames, epoch, name) for frames, name in zip(sequences, ids, strict=True)]
        inputs, lengths = pad_frames(sequences)
        return Batch(inputs, lengths, targets=torch.from_numpy(self.labels[list(rows)]), ids=ids)


@dataclass(frozen=True)
class TokenSequences:
    """Token ids, each step predicting the next: inputs BOS, x1 .. xn; targets x1 .. xn, EOS."""

    split: TokenRows
    conditions: SequenceConditions | None = None

    @property
    def lengths(self) -> np.ndarray:
        return self.split.lengths + 1

    def __call__(self, rows: Sequence[int], epoch: int) -> Batch:
        lengths = self.lengths[list(rows)]
        inputs = np.full((int(lengths.max(initial=0)), len(rows)), PAD, dtype=np.int64)
        targets = inputs.copy()
        for column, row in enumerate(rows):
            ids = self.split.sequence(row)
            inputs[0, column] = BOS
            inputs[1 : len(ids) + 1, column] = ids
            targets[: len(ids), column] = ids
            targets[len(ids), column] = EOS
        told = None
        if self.conditions is not None:
            values = np.stack([self.conditions.of(row, epoch) for row in rows])
            told = torch.from_numpy(values).expand(len(inputs), -1, -1)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(lengths),
            targets=torch.from_numpy(targets),
            conditions=told,
            ids=tuple(self.split.ids[row] for row in rows),
        )


def pad_frames(sequences: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Pad frames [T_i, F] of several rows with zeros to [T, B, F] float32; also returns lengths [B] int64."""
    lengths = np.array([len(frames) for frames in sequences], dtype=np.int64)
    padded = np.zeros((int(lengths.max(initial=0)), len(sequences), sequences[0].shape[1]), dtype=np.float32)
    for column, frames in enumerate(sequences):
        padded[: len(frames), column] = frames
    return torch.from_numpy(padded), torch.from_numpy(lengths)


class PaddedBatches:
    """Batches of at most `batch_size` rows of similar length, and of at most `max_steps` steps, padding included.

    With a seed the order is drawn each epoch from (seed, epoch); without one, rows are sorted by length.
    """

    continues = False

    def __init__(
        self, collate: Collate, batch_size: int, seed: int | None = None, max_steps: int | None = None
    ) -> None:
        self.collate = collate
        self.batch_size = batch_size
        self.seed = seed
        self.max_steps = max_steps

    def __len__(self) -> int:
        if self.max_steps is None:
            return -(-len(self.collate.lengths) // self.batch_size)
        return len(self.rows(0))

    def rows(self, epoch: int) -> list[list[int]]:
        """Row numbers of each batch of an epoch."""
        lengths = self.collate.lengths
        if self.seed is None:
            return self._cut(np.argsort(lengths, kind="stable"))
        draw = np.random.default_rng((self.seed, epoch))
        order = draw.permutation(len(lengths))
        pool = POOL * self.batch_size  # rows
        order = np.concatenate(
            [
                part[np.argsort(lengths[part], kind="stable")]
                for part in (order[start : start + pool] for start in range(0, len(order), pool))
            ]
        )
        batches = self._cut(order)
        return [batches[index] for index in draw.permutation(len(batches))]

    def _cut(self, order: np.ndarray) -> list[list[int]]:
        """Cut rows in this order into batches, each as long as both limits allow, and at least one row."""
        batches: list[list[int]] = []
        batch: list[int] = []
        longest = 0  # steps of the longest row of the batch
        for row, length in zip(order.tolist(), self.collate.lengths[order].tolist(), strict=True):
            longest = max(longest, length)
            too_many_steps = self.max_steps is not None and longest * (len(batch) + 1) > self.max_steps
            if batch and (len(batch) == self.batch_size or too_many_steps):
                batches.append(batch)
                batch, longest = [], length
            batch.append(row)
        return [*batches, batch] if batch else batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for rows in self.rows(epoch)[start:]:
            yield self.collate(rows, epoch)
