"""Filters without their zeros."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Bands(NamedTuple):
    """Filters without their zeros: filter m has the weights of the bins first[m] .. last[m] - 1, one after another."""

    first: np.ndarray  # [M] int64
    last: np.ndarray  # [M] int64
    weights: np.ndarray  # float

    @classmethod
    def of(cls, filters: np.ndarray) -> Bands:
        """Filters [K, M] as bands; one that sees nothing has no bins."""
        seen = filters != 0
        first = seen.argmax(axis=0)
        last = np.where(seen.any(axis=0), len(filters) - seen[::-1].argmax(axis=0), first)
        parts = [filters[start:stop, m] for m, (start, stop) in enumerate(zip(first, last, strict=True))]
        return cls(first, last, np.concatenate(parts))
