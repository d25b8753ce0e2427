"""Cell arrays of numeric matrices out of MATLAB files of version 5, which four published sets of piano rolls are in.

An element of the file is a tag (type and number of bytes, 32 bits each) and its data, padded to 8 bytes. Up to four
bytes of data fit into the tag itself, whose upper 16 bits then tell how many. A compressed element holds one matrix; a
matrix holds elements: flags with its class, dimensions, name, then values by columns, or the matrices of its cells.

Source: The MathWorks, "MAT-File Format" (level 5).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from seqaudio.errors import SourceError

HEADER_BYTES = 128  # text, version, and two letters that tell the order of bytes
INT8, INT32, UINT32, COMPRESSED, MATRIX = 1, 5, 6, 15, 14
CELL_CLASS = 1
NUMERIC_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
NUMERIC_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
COMPLEX = 0x0800
MAX_BYTES = 1 << 30  # of the whole, unpacked: the largest of the sets has 40 million

Matrix = np.ndarray[Any, np.dtype[Any]]


def read_cells(path: Path) -> dict[str, list[Matrix]]:
    """Every cell array of a file by its name, each with its matrices [rows, columns] in order.

    Variables that are no cell arrays are left out.

    Raises:
        SourceError: no such file, none of version 5, cut or damaged, of more than a gigabyte unpacked; a cell that is
            no matrix of real numbers.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); give a .mat file") from None
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER_BYTES - 2 : HEADER_BYTES])
    if order is None:
        raise SourceError(f"{path}: no MATLAB file of version 5 (it begins with {data[:16]!r})")
    try:
        return dict(_variables(memoryview(data)[HEADER_BYTES:], order))
    except (ValueError, struct.error, zlib.error) as error:
        raise SourceError(f"{path}: cut or damaged ({error}); fetch it again") from None


def _variables(data: memoryview, order: str) -> Iterator[tuple[str, list[Matrix]]]:
    room = MAX_BYTES
    for kind, content in _elements(data, order):
        if kind == COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(content, max(room, 1))  # 0 would be no limit
            if not unpacker.eof:
                raise ValueError(f"more than {MAX_BYTES:,} bytes unpacked, or packed data that end early")
            room -= len(unpacked)
            kind, content = next(_elements(memoryview(unpacked), order))
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} where a matrix was expected")
        matrix_class, _, name, parts = _matrix(content, order)
        if matrix_class == CELL_CLASS:
            yield name, [_numbers(cell, order) for kind, cell in parts if kind == MATRIX]


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and data of each element."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(order + "II", data, place)
        if kind >> 16:  # the data are in the tag
            kind, size, begin, following = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        else:
            begin = place + 8
            # compressed elements alone are not padded
            following = begin + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if begin + size > len(data):
            raise ValueError(f"an element of {size:,} bytes, {len(data) - begin:,} are there")
        yield kind, data[begin : begin + size]
        place = following


def _matrix(data: memoryview, order: str) -> tuple[int, tuple[int, ...], str, Iterator[tuple[int, memoryview]]]:
    """Class, dimensions and name of a matrix, and the elements of its values."""
    parts = _elements(data, order)
    (flags_type, flags), (dimensions_type, dimensions), (name_type, name) = (_next(parts) for _ in range(3))
    if (flags_type, dimensions_type, name_type) != (UINT32, INT32, INT8) or len(flags) != 8:
        raise ValueError("a matrix without flags, dimensions or name")
    flag = struct.unpack_from(order + "I", flags)[0]
    if flag & COMPLEX:
        raise ValueError("complex numbers, expected real ones")
    sizes = tuple(np.frombuffer(dimensions, order + "i4").tolist())
    return flag & 0xFF, sizes, bytes(name).decode("ascii"), parts


def _numbers(data: memoryview, order: str) -> Matrix:
    """The values of a matrix of numbers; they may be stored in a smaller type than that of their class."""
    if not data:
        return np.zeros((0, 0))  # how an empty cell is written
    matrix_class, sizes, _, parts = _matrix(data, order)
    if matrix_class not in NUMERIC_CLASSES:
        raise ValueError(f"a cell of class {matrix_class}, expected numbers")
    kind, values = _next(parts)
    if kind not in NUMERIC_TYPES:
        raise ValueError(f"values of type {kind}, expected numbers")
    numbers = np.frombuffer(values, order + NUMERIC_TYPES[kind]).astype(NUMERIC_CLASSES[matrix_class])
    if min(sizes, default=0) < 0 or len(numbers) != prod(sizes):
        raise ValueError(f"{len(numbers):,} values for a matrix of {sizes}")
    return numbers.reshape(sizes, order="F")


def _next(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    for part in parts:
        return part
    raise ValueError("a matrix that ends early")
