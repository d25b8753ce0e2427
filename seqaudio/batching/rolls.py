"""Piano rolls, each frame predicting the next, and their transposition in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from seqaudio.arrow_files import Split
from seqaudio.augmentation.draws import keyed_generator
from seqaudio.batching.batch import Batch
from seqaudio.batching.padded import pad_frames


@dataclass(frozen=True)
class Transposition:
    """Moves a whole roll by a number of semitones, drawn evenly from (seed, epoch, row id).

    No note leaves the roll: the draw is among the shifts by at most `most` semitones that keep all notes.
    """

    most: int  # semitones up or down, 0 or more
    seed: int = 0

    def __call__(self, frames: np.ndarray, epoch: int, name: str) -> np.ndarray:
        """Frames [T, N] of zeros and ones -> the same moved, [T, N]. epoch, name: of the row."""
        used = np.flatnonzero(frames.any(axis=0))
        if not len(used):
            return frames
        down, up = min(self.most, int(used[0])), min(self.most, frames.shape[1] - 1 - int(used[-1]))
        shift = int(keyed_generator((self.seed, epoch, name)).integers(-down, up, endpoint=True))
        return np.roll(frames, shift, axis=1)  # only empty columns go around


@dataclass(frozen=True)
class RollSequences:
    """Rolls [T, N], each frame from all frames before it: inputs are silence, v1 .. v(T-1); targets v1 .. vT.

    `transposition` changes rolls in training.
    """

    split: Split
    transposition: Transposition | None = None

    @property
    def lengths(self) -> np.ndarray:
        return self.split.lengths

    def __call__(self, rows: Sequence[int], epoch: int) -> Batch:
        ids = tuple(self.split.ids[row] for row in rows)
        rolls = [self.split.sequence(row) for row in rows]
        if self.transposition is not None:
            rolls = [self.transposition(roll, epoch, name) for roll, name in zip(rolls, ids, strict=True)]
        targets, lengths = pad_frames(rolls)
        inputs = torch.zeros_like(targets)
        inputs[1:] = targets[:-1]
        return Batch(inputs, lengths, targets=targets, ids=ids)
