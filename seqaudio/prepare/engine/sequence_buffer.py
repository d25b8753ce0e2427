"""A buffer of sequences until they are written, and their column types in chunk files and in stores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from seqaudio.arrow_files import flat_steps

KEPT_BYTES = 1 << 23  # 8 MiB: a buffer that grew larger, for one long sequence, is freed


def chunk_type(kind: pa.DataType) -> pa.DataType:
    """Type of the column of sequences in a chunk, given its type in the store, `kind`.

    Chunks hold the zeros and ones of rolls as bits: they are written, checksummed and read in addition to the store.
    """
    return _replaced(kind, pa.uint8(), pa.bool_())


def store_type(kind: pa.DataType) -> pa.DataType:
    """The inverse of `chunk_type`."""
    return _replaced(kind, pa.bool_(), pa.uint8())


def steps_between(sequences: pa.Array, first: int, last: int) -> np.ndarray:
    """Steps first .. last - 1 of a chunk's column, [last - first, F] or [last - first], in the store's type."""
    step = sequences.values.type
    if not _is_bits(step):
        part: np.ndarray = flat_steps(sequences)[first:last]
        return part
    row = step.list_size // 8  # bytes
    bits = np.frombuffer(sequences.values.flatten().buffers()[1], np.uint8, (last - first) * row, first * row)
    return np.unpackbits(bits, bitorder="little").reshape(-1, step.list_size)


class SequenceBuffer:
    """The frames, samples or ids of sequences, copied into memory that is reused after they have been written.

    A view would keep everything that a sequence is part of in memory: its batch, or the file of its chunk. And large
    blocks that are allocated and freed fragment the memory, so that it grows for hours.

    Args:
        kind: type of a store's or a chunk's column of sequences, see `sequence_type` and `chunk_type`.
        expected: bytes that will be buffered, or slightly more.
    """

    def __init__(self, kind: pa.DataType, expected: int) -> None:
        step = kind.value_type
        framed = pa.types.is_fixed_size_list(step)
        self._kind = kind
        self._bits = _is_bits(step)
        self._shape = (step.list_size,) if framed else ()  # of a step
        if self._bits:
            self._memory = np.empty((0, step.list_size // 8), np.uint8)
        else:
            self._memory = np.empty((0, *self._shape), (step.value_type if framed else step).to_pandas_dtype())
        self._ends = [0]
        self._step_bytes = self._memory.itemsize * (self._memory.shape[1] if framed else 1)
        self._min_steps = expected // self._step_bytes  # allocated at once: pages that stay untouched cost nothing

    def __len__(self) -> int:
        """How many sequences are buffered."""
        return len(self._ends) - 1

    @property
    def bytes(self) -> int:
        """Bytes of the buffered sequences."""
        return self._ends[-1] * self._step_bytes

    def add(self, steps: np.ndarray, lengths: Sequence[int]) -> None:
        """Add sequences of the given lengths, [sum of lengths, F] or [sum of lengths]; ids of any integer type.

        Raises ValueError for steps of another shape, and for a roll with values other than 0 and 1.
        """
        if steps.shape[1:] != self._shape:
            expected = ", ".join(["T", *map(str, self._shape)])
            raise ValueError(f"a sequence of shape {list(steps.shape)}, expected [{expected}]")
        start, end = self._ends[-1], self._ends[-1] + len(steps)
        if end > len(self._memory):
            steps_held = max(end, 2 * len(self._memory), self._min_steps)
            memory = np.empty((steps_held, *self._memory.shape[1:]), self._memory.dtype)
            memory[:start] = self._memory[:start]
            self._memory = memory
        self._memory[start:end] = self._packed(steps) if self._bits else steps
        for length in lengths:
            self._ends.append(self._ends[-1] + length)

    def column(self) -> pa.Array:
        """The sequences as an Arrow column: a view, to be written before the next sequence is added."""
        flat = self._memory[: self._ends[-1]].reshape(-1)
        values = (
            pa.Array.from_buffers(pa.bool_(), 8 * len(flat), [None, pa.py_buffer(flat)])
            if self._bits
            else pa.array(flat)
        )
        if self._shape:
            values = pa.FixedSizeListArray.from_arrays(values, type=self._kind.value_type)
        return pa.LargeListArray.from_arrays(pa.array(self._ends, pa.int64()), values)

    def clear(self) -> None:
        """Empty the buffer."""
        self._ends = [0]
        if self._memory.nbytes > KEPT_BYTES:
            self._memory = self._memory[:0].copy()

    def _packed(self, roll: np.ndarray) -> np.ndarray:
        if roll.max(initial=0) > 1:
            raise ValueError(f"a roll with the value {roll.max()}, expected zeros and ones")
        return np.packbits(roll.reshape(-1), bitorder="little").reshape(-1, self._memory.shape[1])


def _is_bits(step: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(step) and pa.types.is_boolean(step.value_type))


def _replaced(kind: pa.DataType, scalar: pa.DataType, other: pa.DataType) -> pa.DataType:
    step = kind.value_type
    # only steps of whole bytes, so that every sequence begins at a byte
    if pa.types.is_fixed_size_list(step) and step.value_type == scalar and step.list_size % 8 == 0:
        return pa.large_list(pa.list_(other, step.list_size))
    return kind
