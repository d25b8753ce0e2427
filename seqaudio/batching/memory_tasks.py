"""Synthetic tasks that only a long memory solves: adding two marked numbers, copying symbols after a delay.

Batch n of epoch e of a split is drawn by a generator keyed by (seed, split, e, n). Nothing is stored, training can
resume at any batch, and splits share no draws.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from seqaudio.batching.batch import Batch, Source
from seqaudio.errors import OptionError
from seqaudio.registry import Registry
from seqaudio.vocabulary import Vocabulary

SPLITS = {"train": 0, "valid": 1, "test": 2}  # part of the generator's key

SYMBOLS = 8  # alphabet of the copy problem: ids 0..7
RECALLED = 10  # symbols to recall in each sequence
BLANK, GO = 8, 9

HELD_OUT_BATCHES = {"valid": 5, "test": 20}
HELD_OUT_ROWS = 100  # sequences a batch


class MemoryTask(ABC):
    """Generated sequences of one length. It has kind, names, settings and fingerprint, as a store has for a run.

    Raises OptionError for a length that is too short for the task.
    """

    kind: ClassVar[str] = "memory_task"
    name: ClassVar[str]
    metric: ClassVar[str]  # the validation metric that chooses the best weights; lower is better
    names: ClassVar[Vocabulary] = Vocabulary(())
    length: int

    @abstractmethod
    def batch(self, draw: np.random.Generator, rows: int) -> Batch:
        """`rows` sequences, with weights that are 1 at the steps that count and 0 elsewhere."""

    @abstractmethod
    def constant_guess(self, source: Source) -> dict[str, float]:
        """Metrics, on the sequences of a source, of the best answer that ignores the inputs."""

    @property
    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "length": self.length}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the settings that determine the sequences, without seed and split."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


MEMORY_TASKS: Registry[type[MemoryTask]] = Registry("memory task")


@MEMORY_TASKS.register("adding")
@dataclass(frozen=True)
class AddingProblem(MemoryTask):
    """Add two marked numbers, one in each half of the sequence.

    Inputs [T, B, 2]: a number, uniform in 0..1, and a mark, 1 at one step of the first half and at one of the second,
    0 elsewhere. Targets [T, B, 1]: the sum of the marked numbers at the last step, which alone counts. The best
    constant is 1, with a mean squared error of 1/6, the variance of the sum.

    Source: Hochreiter & Schmidhuber (1997), here with one length T for all.
    """

    name = "adding"
    metric = "mse"
    length: int = 600  # T

    def __post_init__(self) -> None:
        if self.length < 2:
            raise OptionError(f"adding over {self.length} steps, expected at least 2: a mark in each half")

    def batch(self, draw: np.random.Generator, rows: int) -> Batch:
        T, half, row = self.length, self.length // 2, np.arange(rows)
        first, second = draw.integers(0, half, rows), draw.integers(half, T, rows)
        inputs = np.zeros((T, rows, 2), dtype=np.float32)
        inputs[..., 0] = draw.random((T, rows))
        inputs[first, row, 1] = inputs[second, row, 1] = 1
        targets = np.zeros((T, rows, 1), dtype=np.float32)
        targets[-1, :, 0] = inputs[first, row, 0] + inputs[second, row, 0]
        weights = torch.zeros(T, rows)
        weights[-1] = 1
        return Batch(
            torch.from_numpy(inputs), torch.full((rows,), T), targets=torch.from_numpy(targets), weights=weights
        )

    def constant_guess(self, source: Source) -> dict[str, float]:
        sums = torch.cat([batch.targets[-1, :, 0] for batch in source.epoch(0) if batch.targets is not None])
        return {"mse": float((sums - 1).square().mean())}


@MEMORY_TASKS.register("copy")
@dataclass(frozen=True)
class CopyProblem(MemoryTask):
    """Recall ten symbols in order, after a delay of blanks that ends with a GO symbol.

        inputs   s1 .. s10  _ .. _  GO  _ .. _        ids [S + T + S, B], S = 10, T - 1 blanks before GO
        targets                         s1 .. s10     at the last S steps, which alone count

    Symbols are uniform over eight. Any constant answer needs at least log 8 nats a symbol.

    Source: Hochreiter & Schmidhuber (1997), in the form of Arjovsky et al. (2016).
    """

    name = "copy"
    metric = "nats_per_symbol"
    vocabulary_size: ClassVar[int] = SYMBOLS + 2
    length: int = 200  # T, steps from the last symbol to the first that is recalled

    def __post_init__(self) -> None:
        if self.length < 1:
            raise OptionError(f"copy over {self.length} steps, expected at least 1: the GO symbol")

    def batch(self, draw: np.random.Generator, rows: int) -> Batch:
        steps = self.length + 2 * RECALLED
        symbols = draw.integers(0, SYMBOLS, (RECALLED, rows))
        inputs = np.full((steps, rows), BLANK)
        inputs[:RECALLED] = symbols
        inputs[-RECALLED - 1] = GO
        targets = np.full((steps, rows), BLANK)
        targets[-RECALLED:] = symbols
        weights = torch.zeros(steps, rows)
        weights[-RECALLED:] = 1
        return Batch(
            torch.from_numpy(inputs), torch.full((rows,), steps), targets=torch.from_numpy(targets), weights=weights
        )

    def constant_guess(self, source: Source) -> dict[str, float]:
        symbols = torch.cat([batch.targets[-RECALLED:] for batch in source.epoch(0) if batch.targets is not None], 1)
        hits = max(float((symbols == symbol).double().mean()) for symbol in range(SYMBOLS))
        return {"accuracy": hits, "nats_per_symbol": math.log(SYMBOLS)}


class GeneratedBatches:
    """A `Source` of a task's sequences: `batches` an epoch, each of `rows`.

    Args:
        split: train, valid or test.
        seed: of the draws. Two sources of equal arguments give equal batches.
    """

    continues = False

    def __init__(self, task: MemoryTask, split: str, batches: int, rows: int, seed: int = 0) -> None:
        if batches < 1 or rows < 1:
            raise OptionError(f"{batches} batches of {rows} rows, expected at least 1 of each")
        self.task = task
        self.split = SPLITS[split]
        self.batches = batches
        self.rows = rows
        self.seed = seed

    def __len__(self) -> int:
        return self.batches

    @property
    def sequences(self) -> int:
        """The number of sequences in an epoch."""
        return self.batches * self.rows

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for number in range(start, self.batches):
            draw = np.random.default_rng((self.seed, self.split, epoch, number))
            yield self.task.batch(draw, self.rows)


def held_out(task: MemoryTask, split: str) -> GeneratedBatches:
    """The sequences of `valid` (500) or `test` (2,000): the same for every seed, so that models can be compared."""
    return GeneratedBatches(task, split, HELD_OUT_BATCHES[split], HELD_OUT_ROWS)
