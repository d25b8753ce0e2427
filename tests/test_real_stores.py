"""Damaged stores: whatever the damage, one line tells file and row, and nothing dies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cases import case_file
from conftest import Command, assert_refused
from seqaudio.errors import StoreError
from seqaudio.files import sha256_of, write_json
from seqaudio.json_files import read_json
from seqaudio.store import Store

MUTATOR = Path(__file__).with_name("mutated_arrow.py")

Change = Callable[[dict[str, pa.Array]], dict[str, pa.Array]]


def copy_of(store: Path, folder: Path) -> Path:
    shutil.copytree(store, folder / "store")
    return folder / "store"


def rewrite(store: Path, change: Change, split: str = "train") -> Path:
    """Write a split anew with other columns, with sizes and hashes that fit: only what is in it is wrong."""
    file = store / f"{split}.arrow"
    with pa.ipc.open_file(file.read_bytes()) as reader:
        batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    tables = [pa.record_batch(change(dict(zip(b.schema.names, b.columns, strict=True)))) for b in batches]
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, tables[0].schema) as writer:
        for table in tables:
            writer.write_batch(table)
    data = read_json(store / "store.json")
    data["files"][file.name], data["sizes"][file.name] = sha256_of(file), file.stat().st_size
    write_json(store / "store.json", data)
    return file


def with_values(column: pa.Array, place: int, value: float) -> pa.Array:
    """The sequences of a column with one value changed."""
    steps = column.values
    if not pa.types.is_fixed_size_list(steps.type):
        values = steps.to_numpy().copy()
        values[place] = value
        return pa.LargeListArray.from_arrays(column.offsets, pa.array(values))
    values = steps.flatten().to_numpy().copy()
    values[place] = value
    frames = pa.FixedSizeListArray.from_arrays(pa.array(values), steps.type.list_size)
    return pa.LargeListArray.from_arrays(column.offsets, frames)


@pytest.mark.parametrize("command_of", [("check",), ("info",), ("train", "keyword_recognition", "--store")])
def test_a_flipped_bit_that_kills_arrow_is_one_line(
    command: Command, tmp_path: Path, command_of: tuple[str, ...]
) -> None:
    store = case_file("adversary", "store-sigsegv")
    more = ("--run", tmp_path / "run", "--epochs", "1") if command_of[0] == "train" else ()
    assert_refused(command("seqaudio", *command_of, store, *more), "valid.arrow, row 10")
    assert not (tmp_path / "run").exists()


def test_a_token_beyond_the_vocabulary_is_named_with_its_row(command: Command, tmp_path: Path) -> None:
    store = case_file("adversary", "store-token-out-of-range")
    for words in (
        ("check", store),
        ("train", "music_generation", "--store", store, "--run", tmp_path / "run", "--epochs", "1"),
    ):
        done = command("seqaudio", *words)
        assert_refused(done, "valid.arrow, row 0 ('bwv288.mxl')", "256", "expected ids from 0 to 160")


def test_features_that_are_not_finite_are_told_when_training_starts(
    command: Command, word_store: Path, tmp_path: Path
) -> None:
    store = copy_of(word_store, tmp_path)
    steps = int(Store(store)["train"].lengths[:3].sum())  # row 3 begins there
    rewrite(store, lambda columns: columns | {"sequence": with_values(columns["sequence"], 13 * steps + 5, np.nan)})
    done = command("seqaudio", "train", "keyword_recognition", "--store", store, "--run", tmp_path / "run")
    assert_refused(done, "train.arrow, row 3 (", "nan in its sequence, expected finite numbers")
    assert not (tmp_path / "run").exists()
    found = command("seqaudio", "check", store)  # a finding there, beside all others
    assert found.returncode == 1
    assert "1 row has NaN or infinite values" in found.stdout


def _without(name: str) -> Change:
    return lambda columns: {key: value for key, value in columns.items() if key != name}


def _as(name: str, make: Callable[[pa.Array], pa.Array]) -> Change:
    return lambda columns: columns | {name: make(columns[name])}


def _negative_offset(column: pa.Array) -> pa.Array:
    offsets = column.offsets.to_numpy().copy()
    offsets[4] = -1
    return pa.Array.from_buffers(column.type, len(column), [None, pa.py_buffer(offsets)], children=[column.values])


def _no_utf8(column: pa.Array) -> pa.Array:
    text = column.buffers()[2].to_pybytes()
    return pa.Array.from_buffers(
        column.type, len(column), [None, column.buffers()[1], pa.py_buffer(b"\xff" + text[1:])]
    )


def _null_at(column: pa.Array, row: int) -> pa.Array:
    return pa.array([None if place == row else value for place, value in enumerate(column.to_pylist())], column.type)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("label"), ("no column 'label', or several, expected one",)),
        (_as("length", lambda column: column.cast(pa.int32())), ("the column 'length' is int32, expected int64",)),
        (_as("length", lambda column: pa.array(column.to_numpy() + 1)), ("row 0: length", "steps of its sequence")),
        (_as("duration", lambda column: pa.array(-column.to_numpy())), ("row 0: duration -", "0 or more seconds")),
        (_as("sequence", _negative_offset), ("damaged (column 'sequence'",)),
        (_as("id", _no_utf8), ("row 0: damaged (column 'id'", "UTF8")),
        (_as("sequence", lambda column: column.cast(pa.large_list(pa.list_(pa.float64(), 13)))), ("of features",)),
        (_as("sequence", lambda column: pa.array([[1]] * len(column), pa.large_list(pa.int16()))), ("of features",)),
        (_as("id", lambda column: _null_at(column, 2)), ("row 2: no value in the column 'id'",)),
        (_as("sequence", lambda column: _null_at(column, 3)), ("row 3: no value in the column 'sequence'",)),
    ],
)  # fmt: skip
def test_a_split_of_another_form_is_refused(
    word_store: Path, tmp_path: Path, change: Change, words: tuple[str, ...]
) -> None:
    store = copy_of(word_store, tmp_path)
    file = rewrite(store, change)
    with pytest.raises(StoreError) as caught:
        Store(store)["train"]
    for word in (str(file), *words):
        assert word in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_label_outside_the_vocabulary_is_named_with_its_row(word_store: Path, tmp_path: Path) -> None:
    store = copy_of(word_store, tmp_path)
    rewrite(
        store,
        _as("label", lambda column: pa.array(["four" if n == 7 else v for n, v in enumerate(column.to_pylist())])),
    )
    with pytest.raises(StoreError, match=r"row 7 of train has the label 'four', expected one of the 3"):
        Store(store).check_rows("train")


def test_rows_that_are_missing_are_told(word_store: Path, tmp_path: Path) -> None:
    store = copy_of(word_store, tmp_path)
    rows = len(Store(store)["train"])
    rewrite(store, lambda columns: {name: column.slice(1) for name, column in columns.items()})
    with pytest.raises(StoreError, match=rf"{rows - 1} rows in train, expected {rows}"):
        Store(store)["train"]


def test_a_changed_value_is_found_by_its_hash_and_a_store_without_sizes_still_opens(
    command: Command, word_store: Path, tmp_path: Path
) -> None:
    done = command("seqaudio", "info", word_store, "--verify")
    assert done.returncode == 0
    assert "verified: 3 files" in done.stdout
    store = copy_of(word_store, tmp_path)
    data = read_json(store / "store.json")
    del data["sizes"]  # as stores made before are
    write_json(store / "store.json", data)
    assert command("seqaudio", "check", store, "--verify").returncode in (0, 1)
    content = bytearray((store / "test.arrow").read_bytes())
    content[len(content) // 2] ^= 1  # of a feature: nothing but the hash tells
    (store / "test.arrow").write_bytes(content)
    assert_refused(command("seqaudio", "info", store), "test.arrow", "SHA-256")
    write_json(store / "store.json", data | {"licence": "none"})
    assert_refused(command("seqaudio", "info", word_store.parent / "words", "--lanes", "2"), "kind")
    with pytest.raises(StoreError, match="changed since it was written"):
        Store(store).verify()


def test_sizes_are_no_part_of_the_fingerprint(word_store: Path) -> None:
    data = read_json(word_store / "store.json")
    assert data["sizes"] == {name: (word_store / name).stat().st_size for name in data["files"]}
    assert Store(word_store).verify().startswith("verified")


def damaged(store: Path, seed: int, count: int) -> str:
    done = subprocess.run(
        [sys.executable, str(MUTATOR), str(store), str(seed), str(count)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_no_damaged_place_kills(word_store: Path, record_property: Callable[[str, object], None]) -> None:
    counts = damaged(word_store, 1, 200)
    record_property("damaged places", counts)
    refused, read = (
        int(part.split()[0]) for part in sorted(counts.split(", "), key=lambda part: part.split()[1])[::-1]
    )
    assert refused > read


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_no_damaged_place_of_thousands_kills(word_store: Path, tune_store: Path, kind: str) -> None:
    print(kind, damaged(word_store if kind == "features" else tune_store, 2, 3000))


def test_a_store_of_other_settings_is_told_by_what_differs(
    command: Command, word_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    done = command(
        "data_prep/audio_folder.py", "--source", word_folder, "--out", tmp_path / "deltas", "--sample-rate", "8000",
        "--features", "default+deltas=1", "--valid-percent", "20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refused = command("seqaudio", "evaluate", word_run, "--store", tmp_path / "deltas")
    assert_refused(refused, "the run has deltas: 0 against 1; prepare it with the same settings")


def test_clips_with_and_without_deltas_are_told_apart(command: Command, tmp_path: Path) -> None:
    clips = case_file("audio", "clips")
    for name, features in (("a", "default"), ("b", "default+deltas=1")):
        done = command(
            "seqaudio", "prepare", "audio_folder", "--source", clips, "--out", tmp_path / name, "--features", features,
            "--valid-percent", "30",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    options = ("--epochs", "1", "--hidden-size", "4", "--device", "cpu")
    done = command("seqaudio", "train", "keyword_recognition", "--store", tmp_path / "a", "--run", run, *options)
    assert done.returncode == 0, done.stderr
    assert_refused(command("seqaudio", "evaluate", run, "--store", tmp_path / "b"), "deltas: 0 against 1")
