"""MATLAB's cell arrays are read as SciPy reads them, and damaged files are refused in one line."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from seqaudio.errors import SourceError
from seqaudio.prepare.corpora import mat_cells
from seqaudio.prepare.corpora.mat_cells import read_cells

KINDS = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def cells(*matrices: np.ndarray) -> np.ndarray:
    array = np.empty((1, len(matrices)), dtype=object)
    for place, matrix in enumerate(matrices):
        array[0, place] = matrix
    return array


def write(path: Path, variables: dict[str, Any], compressed: bool = True) -> Path:
    savemat(path, variables, do_compression=compressed)
    return path


@pytest.fixture
def rolls(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    pieces = [draw.integers(0, 2, size=(length, 88), dtype=np.uint8) for length in (3, 40, 1)]
    return write(tmp_path / "rolls.mat", {"traindata": cells(*pieces), "testdata": cells(pieces[1])})


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_matrices_of_every_type_are_what_scipy_reads(tmp_path: Path, kind: str, compressed: bool) -> None:
    matrices = [np.arange(rows * 3).reshape(rows, 3).astype(kind) for rows in (1, 2, 5)]
    path = write(tmp_path / "some.mat", {"cells": cells(*matrices)}, compressed)
    found = read_cells(path)["cells"]
    expected = loadmat(path)["cells"][0]
    assert len(found) == len(expected) == 3
    for ours, theirs, made in zip(found, expected, matrices, strict=True):
        assert ours.dtype == made.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_variables_that_are_no_cells_are_left_out_and_empty_cells_stay(tmp_path: Path) -> None:
    variables = {"number": np.eye(2), "words": "some text", "cells": cells(np.zeros((0, 0)), np.eye(2))}
    found = read_cells(write(tmp_path / "some.mat", variables))
    assert list(found) == ["cells"]
    assert [matrix.shape for matrix in found["cells"]] == [(0, 0), (2, 2)]


def test_bytes_in_the_other_order_are_read(tmp_path: Path) -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(kind: int, sizes: tuple[int, int], name: bytes, values: bytes) -> bytes:
        flags, dimensions = struct.pack(">II", kind, 0), struct.pack(">ii", *sizes)
        return element(14, element(6, flags) + element(5, dimensions) + element(1, name) + values)

    # a matrix of int16 by columns, its values in int8, few enough for their tag
    inner = matrix(10, (2, 2), b"", struct.pack(">HH4b", 4, 1, 1, -2, 3, -4))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    (tmp_path / "big.mat").write_bytes(header + matrix(1, (1, 1), b"cells", inner))
    (found,) = read_cells(tmp_path / "big.mat")["cells"]
    assert found.dtype == np.int16
    assert found.tolist() == loadmat(tmp_path / "big.mat")["cells"][0, 0].tolist() == [[1, 3], [-2, -4]]


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
            read_cells(path)
        except SourceError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 200  # compressed data have a checksum of their own


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no MATLAB file of version 5"),
        (b"MATLAB 7.3 MAT-file".ljust(126) + b"HD", "no MATLAB file of version 5"),
        (b"x".ljust(126) + b"IM" + struct.pack("<II", 15, 4) + b"zlib", "cut or damaged"),
        (b"x".ljust(126) + b"IM" + struct.pack("<II", 14, 400), "an element of 400 bytes, 0 are there"),
        (b"x".ljust(126) + b"IM" + struct.pack("<II", 9, 8) + bytes(8), "an element of type 9"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "other.mat").write_bytes(content)
    with pytest.raises(SourceError, match=words):
        read_cells(tmp_path / "other.mat")


def test_what_unpacks_without_end_is_stopped(rolls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat_cells, "MAX_BYTES", 1000)
    with pytest.raises(SourceError, match="more than 1,000 bytes unpacked"):
        read_cells(rolls)


def test_complex_numbers_and_text_in_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="complex numbers"):
        read_cells(write(tmp_path / "complex.mat", {"cells": cells(np.array([[1j]]))}))
    with pytest.raises(SourceError, match="class 4, expected numbers"):
        read_cells(write(tmp_path / "text.mat", {"cells": cells(np.array(["word"]))}))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.mat: cannot be read"):
        read_cells(tmp_path / "gone.mat")


@pytest.mark.data
@pytest.mark.parametrize("name", ["JSB_Chorales", "Nottingham", "MuseData", "Piano_midi"])
def test_the_four_sets_are_what_scipy_reads(data_folder: Path, name: str) -> None:
    path = data_folder / "music" / "polyphonic" / f"{name}.mat"
    expected = loadmat(path)
    found = read_cells(path)
    assert set(found) == {"traindata", "validdata", "testdata"}
    for variable, matrices in found.items():
        for ours, theirs in zip(matrices, expected[variable][0], strict=True):
            np.testing.assert_array_equal(ours, theirs)
