"""MATLAB's cell arrays: matrices as they were written; damaged, hostile and other files are refused in one line."""

from __future__ import annotations

import importlib.util
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from seqaudio.errors import SourceError
from seqaudio.guarded.parent import Guard
from seqaudio.prepare.corpora import matlab
from seqaudio.prepare.corpora.matlab import read_cells

KINDS = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
CELL, DOUBLE = 1, 6  # classes of matrices
COMPRESSED, MATRIX = 15, 14  # types of elements


def cells(*matrices: Any) -> np.ndarray:
    array = np.empty((1, len(matrices)), dtype=object)
    for place, matrix in enumerate(matrices):
        array[0, place] = matrix
    return array


def write(path: Path, variables: dict[str, Any], compressed: bool = True) -> Path:
    savemat(path, variables, do_compression=compressed)
    return path


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, sizes: tuple[int, int], name: bytes, values: bytes, order: str = "<") -> bytes:
    """An element as a file has it: flags with the class, dimensions, name, then `values` as they are."""
    head = (6, struct.pack(order + "II", kind, 0)), (5, struct.pack(order + "ii", *sizes)), (1, name)
    return element(MATRIX, b"".join(element(kind, data, order) for kind, data in head) + values, order)


@pytest.fixture
def rolls(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    pieces = [draw.integers(0, 2, size=(length, 88), dtype=np.uint8) for length in (3, 40, 1)]
    return write(tmp_path / "rolls.mat", {"traindata": cells(*pieces), "testdata": cells(pieces[1])})


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A reader of its own with 100 megabytes, so that the test needs no gigabyte."""
    guard = Guard(matlab.CHILD, 100, "the reader", "scipy.io")
    monkeypatch.setattr(matlab, "the_guard", lambda *_: guard)
    yield
    guard.close()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_matrices_of_every_type_come_back(tmp_path: Path, kind: str, compressed: bool) -> None:
    made = [np.arange(rows * 3).reshape(rows, 3).astype(kind) for rows in (1, 2, 5)]
    path = write(tmp_path / "some.mat", {"cells": cells(*made)}, compressed)
    found = read_cells(path, ["cells"])["cells"]
    assert len(found) == 3
    for read, written in zip(found, made, strict=True):
        assert read.dtype == written.dtype
        np.testing.assert_array_equal(read, written)


def test_only_the_named_variables_are_read_and_empty_matrices_stay(tmp_path: Path) -> None:
    variables = {"words": "some text", "cells": cells(np.zeros((0, 0)), np.eye(2), np.zeros((0, 3)))}
    found = read_cells(write(tmp_path / "some.mat", variables), ["cells", "absent"])
    assert list(found) == ["cells"]
    assert [matrix.shape for matrix in found["cells"]] == [(0, 0), (2, 2), (0, 3)]


def test_bytes_in_the_other_order_are_read(tmp_path: Path) -> None:
    # a matrix of int16 by columns, its values in int8, few enough for their tag
    inner = matrix(10, (2, 2), b"", struct.pack(">HH4b", 4, 1, 1, -2, 3, -4), ">")
    header = HEADER[:124] + struct.pack(">H", 0x0100) + b"MI"
    (tmp_path / "big.mat").write_bytes(header + matrix(CELL, (1, 1), b"cells", inner, ">"))
    (found,) = read_cells(tmp_path / "big.mat", ["cells"])["cells"]
    assert found.tolist() == [[1, 3], [-2, -4]]


def test_every_cut_and_every_changed_byte_is_read_or_refused(rolls: Path, tmp_path: Path) -> None:
    data = rolls.read_bytes()
    draw = np.random.default_rng(1)
    damaged = [data[:length] for length in draw.integers(0, len(data), size=60)]
    for place in draw.integers(128, len(data), size=240):
        changed = bytearray(data)
        changed[place] ^= 1 << int(draw.integers(8))
        damaged.append(bytes(changed))
    refused = 0
    for number, content in enumerate(damaged):
        path = tmp_path / f"{number}.mat"
        path.write_bytes(content)
        try:
            read_cells(path, ["traindata", "testdata"])
        except SourceError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 200  # compressed data have a checksum of their own


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "appears to be truncated"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM", "matlab v7.3"),
        (b'{"train": []}'.ljust(400), "Unknown mat file type"),
        (HEADER + struct.pack("<II", COMPRESSED, 4) + b"zlib", "header check"),
        (HEADER + struct.pack("<II", MATRIX, 400), "could not read bytes"),
        (HEADER + struct.pack("<II", 9, 8) + bytes(8), "Expecting miMATRIX type here, got 9"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "other.mat").write_bytes(content)
    with pytest.raises(SourceError, match=f"other.mat: SciPy cannot read it.*{words}.*; fetch it again"):
        read_cells(tmp_path / "other.mat", ["cells"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces a limit of memory")
def test_sizes_beyond_the_file_take_no_memory(tmp_path: Path, little_memory: None) -> None:
    """Two thousand million cells, four thousand million bytes of numbers, zeros that pack well."""
    many = HEADER + matrix(CELL, (1, 2**31 - 1), b"cells", b"")
    numbers = struct.pack("<II", 9, 2**32 - 8)
    long = HEADER + matrix(CELL, (1, 1), b"cells", matrix(DOUBLE, (1, 2**29 - 1), b"", numbers))
    zeros = 2**28  # bytes, which pack into a thousandth
    inner = matrix(DOUBLE, (1, zeros // 8), b"", b"")[8:] + struct.pack("<II", 9, zeros)
    outer = matrix(CELL, (1, 1), b"cells", b"")[8:] + struct.pack("<II", MATRIX, len(inner) + zeros)
    packed = zlib.compress(struct.pack("<II", MATRIX, len(outer) + len(inner) + zeros) + outer + inner + bytes(zeros))
    bomb = HEADER + struct.pack("<II", COMPRESSED, len(packed)) + packed
    for number, content in enumerate((many, long, bomb)):
        path = tmp_path / f"{number}.mat"
        path.write_bytes(content)
        with pytest.raises(SourceError, match=rf"{number}\.mat: SciPy cannot read it \(.*Memory"):
            read_cells(path, ["cells"])


def test_cells_nested_until_the_reader_dies_are_refused(rolls: Path, tmp_path: Path) -> None:
    head = matrix(CELL, (1, 1), b"cells", b"")[8:]
    depth = 40_000
    nested = b"".join(struct.pack("<II", MATRIX, place * (8 + len(head)) - 8) + head for place in range(depth, 0, -1))
    (tmp_path / "nested.mat").write_bytes(HEADER + nested)
    with pytest.raises(SourceError, match=r"nested\.mat: SciPy cannot read it"):
        read_cells(tmp_path / "nested.mat", ["cells"])
    assert len(read_cells(rolls, ["traindata"])["traindata"]) == 3  # by the next reader


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.eye(2), "cells is no cell array"),
        ("some text", "cells is no cell array"),
        ({"field": np.eye(2)}, "cells is no cell array"),
        (cells(np.eye(2), np.array([[1j]])), "cell 1 of cells is complex128, expected a matrix of real numbers"),
        (cells(np.array(["word"])), "cell 0 of cells is <U4, expected a matrix of real numbers"),
        (cells(cells(np.eye(2))), "cell 0 of cells is object, expected a matrix of real numbers"),
    ],
)
def test_other_variables_are_refused(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_cells(write(tmp_path / "other.mat", {"cells": content}), ["cells"])


def test_a_missing_file_and_a_missing_scipy_are_told_in_one_line(
    rolls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match=r"gone\.mat: no such file"):
        read_cells(tmp_path / "gone.mat", ["cells"])
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(matlab, "find_spec", lambda name: None if name == "scipy" else find_spec(name))
    with pytest.raises(SourceError, match=r'rolls\.mat: SciPy.*run pip install .*"\.\[matlab\]"'):
        read_cells(rolls, ["traindata"])
