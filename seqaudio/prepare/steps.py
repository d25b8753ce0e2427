"""Sequences that wait to be written, one behind the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

KEPT_BYTES = 1 << 23  # 8 MiB: memory that took more, for one long sequence, is not kept


class WaitingSteps:
    """The frames, samples or ids of sequences, copied into memory that is kept when they have been written.

    A view would keep all that came with a sequence: the other recordings of its batch, the file of its chunk. And large
    blocks that come and go leave holes between small ones, so that memory grows for hours.

    Args:
        kind: of a store's column of sequences, see `sequence_type`.
        expected: bytes that will wait, or a few more.
    """

    def __init__(self, kind: pa.DataType, expected: int) -> None:
        step = kind.value_type
        framed = pa.types.is_fixed_size_list(step)
        shape = (0, step.list_size) if framed else (0,)
        self._kind = kind
        self._room = np.empty(shape, (step.value_type if framed else step).to_pandas_dtype())
        self._ends = [0]
        self._step_bytes = self._room.itemsize * (step.list_size if framed else 1)
        self._least = expected // self._step_bytes  # memory that nothing was written into costs nothing

    def __len__(self) -> int:
        """How many sequences wait."""
        return len(self._ends) - 1

    @property
    def bytes(self) -> int:
        """Of the sequences."""
        return self._ends[-1] * self._step_bytes

    def add(self, steps: np.ndarray, lengths: Sequence[int]) -> None:
        """Add sequences of such lengths, [sum of lengths, F] or [sum of lengths]. ids may be of any integer type.

        Raises ValueError for steps of another shape.
        """
        if steps.shape[1:] != self._room.shape[1:]:
            expected = ", ".join(["T", *map(str, self._room.shape[1:])])
            raise ValueError(f"a sequence of shape {list(steps.shape)}, expected [{expected}]")
        start, end = self._ends[-1], self._ends[-1] + len(steps)
        if end > len(self._room):
            room = np.empty((max(end, 2 * len(self._room), self._least), *steps.shape[1:]), self._room.dtype)
            room[:start] = self._room[:start]
            self._room = room
        self._room[start:end] = steps
        for length in lengths:
            self._ends.append(self._ends[-1] + length)

    def column(self) -> pa.Array:
        """The sequences as an Arrow column. It is a view, to be written before the next sequence comes."""
        values = pa.array(self._room[: self._ends[-1]].reshape(-1))
        if self._room.ndim == 2:
            values = pa.FixedSizeListArray.from_arrays(values, type=self._kind.value_type)
        return pa.LargeListArray.from_arrays(pa.array(self._ends, pa.int64()), values)

    def clear(self) -> None:
        """Let go of the sequences."""
        self._ends = [0]
        if self._room.nbytes > KEPT_BYTES:
            self._room = self._room[:0].copy()
