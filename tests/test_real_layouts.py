"""Folders as people make them: those of splits and of words are told apart, and what was understood is printed."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from cases import case_file
from conftest import Command
from made_up_speech import prepare, prepared, rows, script, write_word
from seqaudio.checking import check_store
from seqaudio.checking.report import Level
from seqaudio.prepare.corpora.layout import Layout, split_names

audio_folder = script("audio_folder")


def test_split_folders_in_capitals(command: Command, tmp_path: Path) -> None:
    store, told = prepared(command, case_file("audio", "capital_splits"), tmp_path / "out")
    assert store.names.names == ("one", "three", "two")
    assert rows(store) == {"train": 15, "valid": 3, "test": 18}
    assert "3 labels in 2 splits by folders: Train → train, Test → test" in told


def test_a_folder_called_eval_is_a_split(command: Command, tmp_path: Path) -> None:
    store, told = prepared(command, case_file("audio", "train_and_eval"), tmp_path / "out")
    assert store.names.names == ("one", "three", "two")
    assert "eval → test" in told


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Train", "TEST"), "train test"),
        (("training", "dev", "Testing"), "train valid test"),
        (("train", "eval"), "train test"),
        (("train", "eval", "test"), "train valid test"),
        (("train", "dev", "Evaluation"), "train valid test"),
        (("Training Set", "validation_set", "test-data"), "train valid test"),
        (("01_train", "02_val", "03_test"), "train valid test"),
    ],
)
def test_usual_names_of_splits(names: tuple[str, ...], expected: str) -> None:
    assert list(split_names(names).values()) == expected.split()


def test_words_are_no_names_of_splits() -> None:
    assert (
        split_names(["one", "contest", "devil", "evaluate this", "set", "data", "trains", "valley", "tested", ""]) == {}
    )


@pytest.mark.parametrize(
    ("folders", "labels", "splits"),
    [
        (["train/yes", "Test/no"], "no yes", "train test"),
        (["train/yes", "test/no", "extra/yes"], "no yes", "train test"),
        (["train/yes", "test/no", "extra"], "no yes", "train test"),
        (["yes/Train", "yes/Test", "no/train", "no/test"], "no yes", "train test"),
        (["corpus/train/yes", "corpus/test/no"], "no yes", "train test"),
        (["corpus/clips/yes", "corpus/clips/no"], "no yes", ""),
        (["test/yes", "test/no"], "no yes", "test"),
        (["train/yes", "train/no"], "no yes", "train"),
        (["train", "bus", "tram"], "bus train tram", ""),
        (["train", "test", "bus", "tram", "car"], "bus car test train tram", ""),
        (["train/ada", "bus/ada", "tram/ben"], "bus train tram", ""),
        (["yes", "no"], "no yes", ""),
    ],
)
def test_folders_name_splits_or_labels(folders: list[str], labels: str, splits: str) -> None:
    layout = Layout([folder.split("/") for folder in folders])
    assert sorted({place.label for place in layout.places} - {""}) == labels.split()
    assert {place.split for place in layout.places} - {""} == set(splits.split())


def test_a_stray_folder_beside_splits_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("Train/one", "Train/two", "dev/one", "dev/two", "test/one", "test/two", "old"):
        for take in range(2):
            write_word(tmp_path / "in" / folder / f"{take}.wav", take=take)
    store = prepare(audio_folder, tmp_path / "in", tmp_path / "out")
    assert rows(store) == {"train": 4, "valid": 4, "test": 4}
    told = capsys.readouterr().out
    assert "2 labels in 3 splits by folders: Train → train, dev → valid, test" in told
    assert "left out, as their folder names no split: old/ (2 recordings)" in told


def test_an_unpacked_archive_needs_no_other_source(tmp_path: Path) -> None:
    for label in ("one", "two"):
        for take in range(3):
            write_word(tmp_path / "clips" / label / f"{take}.wav", take=take)
    with zipfile.ZipFile(tmp_path / "words.zip", "w") as archive:
        for path in sorted((tmp_path / "clips").rglob("*.wav")):
            archive.write(path, path.relative_to(tmp_path))
    shutil.unpack_archive(tmp_path / "words.zip", tmp_path / "words")
    store = prepare(audio_folder, tmp_path / "words", tmp_path / "out")
    assert store.names.names == ("one", "two")


# labels


def test_labels_that_differ_in_case_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("Yes", "yes", "no"):
        for take in range(4):
            write_word(tmp_path / "in" / folder / f"{folder}{take}.wav", take=take)
    if len(list((tmp_path / "in").iterdir())) < 3:
        pytest.skip("this disk ignores case")
    store = prepare(audio_folder, tmp_path / "in", tmp_path / "out")
    assert "labels that differ in case or spaces alone: 'Yes', 'yes'; write them alike" in capsys.readouterr().out
    (finding,) = (finding for finding in check_store(store).findings if finding.subject == "labels")
    assert finding.examples == ("'Yes' = 'yes'",)
    assert finding.level is Level.WARNING
