"""Values of the conditions of sequences, such as the key of a piece, which are unknown at random in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNKNOWN_VALUE = 0
DROPPED = 0.3  # probability in training, so that a model also learns to do without
DRAW = 2  # what is drawn; 0 and 1 are in `filling.py`


@dataclass(frozen=True, eq=False)
class SequenceConditions:
    """The values of the conditions of each row of a split.

    What is unknown depends on (seed, epoch, row) alone, and on no other condition.

    Attributes:
        values: [N, C] int64, 0 where one is unknown.
        dropped: probability with which a value is made unknown, for each row and condition, anew in each epoch.
    """

    values: np.ndarray
    dropped: float = 0.0
    seed: int = 0

    def of(self, row: int, epoch: int) -> np.ndarray:
        """[C] the values of a row in an epoch."""
        values: np.ndarray = self.values[row]
        if not self.dropped:
            return values
        draw = np.random.default_rng((self.seed, epoch, DRAW, row))
        return np.where(draw.random(len(values)) < self.dropped, UNKNOWN_VALUE, values)
