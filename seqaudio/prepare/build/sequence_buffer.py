"""Sequences that wait to be written, one behind the other, and how they lie in the files of chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from seqaudio.store import flat_steps

KEPT_BYTES = 1 << 23  # 8 MiB: memory that took more, for one long sequence, is not kept


def chunk_type(kind: pa.DataType) -> pa.DataType:
    """The column of sequences in a chunk, where the store's is of `kind`.

    The zeros and ones of rolls are bits there: a chunk is written, summed and read once more than its store.
    """
    return _replaced(kind, pa.uint8(), pa.bool_())


def store_type(kind: pa.DataType) -> pa.DataType:
    """The inverse of `chunk_type`."""
    return _replaced(kind, pa.bool_(), pa.uint8())


def steps_between(sequences: pa.Array, first: int, last: int) -> np.ndarray:
    """Steps first .. last - 1 of a chunk's column, [last - first, F] or [last - first], as the store has them."""
    step = sequences.values.type
    if not _is_bits(step):
        part: np.ndarray = flat_steps(sequences)[first:last]
        return part
    row = step.list_size // 8  # bytes
    bits = np.frombuffer(sequences.values.flatten().buffers()[1], np.uint8, (last - first) * row, first * row)
    return np.unpackbits(bits, bitorder="little").reshape(-1, step.list_size)


class SequenceBuffer:
    """The frames, samples or ids of sequences, copied into memory that is kept when they have been written.

    A view would keep all that came with a sequence: the other recordings of its batch, the file of its chunk. And large
    blocks that come and go leave holes between small ones, so that memory grows for hours.

    Args:
        kind: of a store's or a chunk's column of sequences, see `sequence_type` and `chunk_type`.
        expected: bytes that will wait, or a few more.
    """

    def __init__(self, kind: pa.DataType, expected: int) -> None:
        step = kind.value_type
        framed = pa.types.is_fixed_size_list(step)
        self._kind = kind
        self._bits = _is_bits(step)
        self._shape = (step.list_size,) if framed else ()  # of a step
        if self._bits:
            self._room = np.empty((0, step.list_size // 8), np.uint8)
        else:
            self._room = np.empty((0, *self._shape), (step.value_type if framed else step).to_pandas_dtype())
        self._ends = [0]
        self._step_bytes = self._room.itemsize * (self._room.shape[1] if framed else 1)
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

        Raises ValueError for steps of another shape, and for a roll of other than zeros and ones.
        """
        if steps.shape[1:] != self._shape:
            expected = ", ".join(["T", *map(str, self._shape)])
            raise ValueError(f"a sequence of shape {list(steps.shape)}, expected [{expected}]")
        start, end = self._ends[-1], self._ends[-1] + len(steps)
        if end > len(self._room):
            room = np.empty((max(end, 2 * len(self._room), self._least), *self._room.shape[1:]), self._room.dtype)
            room[:start] = self._room[:start]
            self._room = room
        self._room[start:end] = self._packed(steps) if self._bits else steps
        for length in lengths:
            self._ends.append(self._ends[-1] + length)

    def column(self) -> pa.Array:
        """The sequences as an Arrow column. It is a view, to be written before the next sequence comes."""
        flat = self._room[: self._ends[-1]].reshape(-1)
        values = (
            pa.Array.from_buffers(pa.bool_(), 8 * len(flat), [None, pa.py_buffer(flat)])
            if self._bits
            else pa.array(flat)
        )
        if self._shape:
            values = pa.FixedSizeListArray.from_arrays(values, type=self._kind.value_type)
        return pa.LargeListArray.from_arrays(pa.array(self._ends, pa.int64()), values)

    def clear(self) -> None:
        """Let go of the sequences."""
        self._ends = [0]
        if self._room.nbytes > KEPT_BYTES:
            self._room = self._room[:0].copy()

    def _packed(self, roll: np.ndarray) -> np.ndarray:
        if roll.max(initial=0) > 1:
            raise ValueError(f"a roll with {roll.max()}, expected zeros and ones")
        return np.packbits(roll.reshape(-1), bitorder="little").reshape(-1, self._room.shape[1])


def _is_bits(step: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(step) and pa.types.is_boolean(step.value_type))


def _replaced(kind: pa.DataType, scalar: pa.DataType, other: pa.DataType) -> pa.DataType:
    step = kind.value_type
    # a step of whole bytes, so that every sequence begins with one
    if pa.types.is_fixed_size_list(step) and step.value_type == scalar and step.list_size % 8 == 0:
        return pa.large_list(pa.list_(other, step.list_size))
    return kind
