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
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
BLOCKS = [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)]
(COMMANDS,) = (block for block in BLOCKS if block[0].startswith("python colours.py"))
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


def test_the_script_fits_forty_lines() -> None:
    assert len([line for line in CODE.splitlines() if line.strip()]) <= 40


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
