"""docs/adding_a_dataset.md keeps its word: its script prepares a made-up corpus, and its commands work."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from conftest import ROOT, Command, assert_refused
from made_up_speech import write_word
from seqaudio.store import Store

PAGE = (ROOT / "docs" / "adding_a_dataset.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CODE, WAKE, TUNES = SCRIPTS
BLOCKS = [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)]
NO_SCRIPT = [line for block in BLOCKS if block[0].startswith("seqaudio ") for line in block]
COMMANDS, OF_WAKE, OF_TUNES = (block for block in BLOCKS if block[0].startswith("python "))
SPEAKERS = ("ada", "ben", "cleo", "dora", "emil", "fay", "gus", "hana", "ivo", "june", "kim", "lea", "max", "nora")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody works: colours.py of the page, and the corpus in COLOURS."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "colours.py").write_text(CODE, encoding="utf-8")
    lines = ["who\tsince"]
    for number, speaker in enumerate(SPEAKERS):
        lines.append(f"{speaker}\t{2021 if number >= 11 else 2019}")
        for word, colour in enumerate(("red", "green", "blue")):
            for take in range(4):
                write_word(folder / "COLOURS" / speaker / f"{colour}_{take}.flac", word, number, take)
    (folder / "COLOURS" / "speakers.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("code", SCRIPTS, ids=["colours", "wake", "tunes"])
def test_a_script_fits_forty_lines(code: str) -> None:
    assert len([line for line in code.splitlines() if line.strip()]) <= 40


def test_a_folder_of_labels_or_a_table_needs_no_script(command: Command, word_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "FOLDER").symlink_to(word_folder)
    files = sorted(word_folder.rglob("*.wav"))
    rows = ["file\tword", *(f"{file}\t{file.parent.name}" for file in files)]
    (tmp_path / "wake_words").mkdir()
    (tmp_path / "wake_words" / "index.tsv").write_text("\n".join(rows))
    (tmp_path / "table.csv").write_text("\n".join(rows).replace("\t", ","))
    for line in NO_SCRIPT:
        first, *rest = shlex.split(line)
        rest[rest.index("--out") + 1] = str(tmp_path / "store")
        done = command(first, *rest, "--limit", "30", "--sample-rate", "8000", "--force", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(Store(tmp_path / "store").names) == 3


def test_the_commands_of_the_page_do_what_it_says(command: Command, folder: Path) -> None:
    first, update, samples, check, train = (shlex.split(line) for line in COMMANDS)
    script = [arguments[1:] for arguments in (first, update, samples)]
    path = str(folder / script[0][0])

    done = command(path, *script[0][1:], folder=folder)
    assert done.returncode == 0, done.stderr
    store = Store(folder / "stores" / "colours")
    speakers = {split: set(store[split].column("speaker")) for split in store.counts}
    assert speakers["test"] == {"lea", "max", "nora"}
    assert len(set.union(*speakers.values())) == sum(map(len, speakers.values())) == len(SPEAKERS)
    assert all(Counter(store[split].labels).keys() == {"red", "green", "blue"} for split in store.counts)
    assert set(store.counts) == {"train", "valid", "test"}

    (folder / "COLOURS" / "ada" / "red_4.flac").write_bytes(b"cut off")
    (folder / "COLOURS" / "ada" / "Red.flac").write_bytes(b"odd name")
    done = command(path, *script[1][1:], folder=folder)
    assert done.returncode == 0, done.stderr
    assert "168 kept, 2 refused (1 unexpected_name, 1 not_audio)" in done.stdout
    assert_refused(command(path, *script[0][1:], folder=folder), "--update to redo what changed")

    done = command(path, *script[2][1:], folder=folder)
    assert done.returncode == 0, done.stderr
    assert Store(folder / "stores" / "samples").kind == "audio"

    done = command(*check, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "stores/colours" in done.stdout

    small = ("--epochs", "1", "--hidden-size", "8", "--device", "cpu", "--quiet")
    done = command(*train, *small, folder=folder)
    assert done.returncode == 0, done.stderr


def run_lines(command: Command, lines: list[str], folder: Path, *of_training: str) -> list[str]:
    """What the commands of a block print; the training gets these options too."""
    printed = []
    for line in lines:
        first, *rest = shlex.split(line)
        if first == "python":
            first, *rest = str(folder / rest[0]), *rest[1:]
        done = command(first, *rest, *(of_training if "train" in rest else ()), folder=folder)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    return printed


def test_a_folder_of_midi_becomes_a_store_and_a_tune(command: Command, tune_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tunes.py").write_text(TUNES, encoding="utf-8")
    (tmp_path / "NOTTINGHAM").symlink_to(tune_folder)
    small = ("--epochs", "1", "--hidden-size", "8", "--device", "cpu", "--quiet")
    prepared, _, _ = run_lines(command, OF_TUNES, tmp_path, *small)
    assert "Nottingham (GPL-3.0)" in prepared
    assert set(Store(tmp_path / "stores" / "tunes").counts) == {"train", "valid", "test"}
    assert (tmp_path / "tune.mid").stat().st_size > 50


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(1800)
def test_a_real_corpus_becomes_a_recogniser(command: Command, data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wake.py").write_text(WAKE, encoding="utf-8")
    (tmp_path / "wake_benchmark").symlink_to(data_folder / "speech" / "wake_benchmark")
    prepared, _, _, evaluated = run_lines(command, OF_WAKE, tmp_path, "--epochs", "12", "--device", "cpu", "--quiet")
    assert "inputs: 600 kept" in prepared
    found = re.search(r"test accuracy ([\d.]+) % of 60 clips", evaluated)
    assert found
    assert float(found[1]) > 80
