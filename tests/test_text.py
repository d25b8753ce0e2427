"""From a text to a store of characters to a model of it."""

from __future__ import annotations

import json
import math
import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from conftest import Command, assert_refused
from seqaudio.errors import InputFileError
from seqaudio.ledger import Reason, Status, read_ledger
from seqaudio.prepare.text import Parts, TextPreparation, character_vocabulary, read_text
from seqaudio.store import Store
from seqaudio.text_units import CharacterUnit

RECIPE = "recipes/language_modelling"


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of a small grammar, with letters beyond ASCII."""
    draw = random.Random(1)
    words = [["der", "ein", "kein"], ["Hügel", "Käse", "Öltank", "Fluß"], ["rollt", "schläft", "singt"]]
    text = "".join(" ".join(map(draw.choice, words)) + draw.choice([".\n", "! "]) for _ in range(1500))
    path = tmp_path_factory.mktemp("text") / "book.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def store(command: Command, book: Path) -> Path:
    out = book.parent / "store"
    done = command("data_prep/text_file.py", "--source", book, "--out", out, "--name", "grammar")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def run(command: Command, store: Path) -> Path:
    folder = store.parent / "run"
    done = command(
        f"{RECIPE}/train.py", "--store", store, "--run", folder, "--hidden-size", "32", "--epochs", "4",
        "--advance", "16", "--batch-size", "8", "--learning-rate", "1e-2", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_parts_in_their_order_are_the_text(store: Path, book: Path) -> None:
    opened = Store(store)
    parts = ["".join(opened.names[i] for i in opened[split].sequence(0)) for split in ("train", "valid", "test")]
    text = book.read_text(encoding="utf-8")
    assert "".join(parts) == text
    assert [len(part) for part in parts] == pytest.approx([0.9 * len(text), 0.05 * len(text), 0.05 * len(text)], abs=1)
    assert opened.names.names == ("<pad>", "<bos>", "<eos>", *sorted(set(text)))


def test_a_byte_order_mark_line_ends_and_composed_letters_are_made_alike(tmp_path: Path) -> None:
    text = "Grüße an Käthe.\n" * 20
    plain, odd = tmp_path / "plain.txt", tmp_path / "odd.txt"
    plain.write_text(text, encoding="utf-8")
    odd.write_bytes(unicodedata.normalize("NFD", text).replace("\n", "\r\n").encode("utf-8-sig"))
    assert read_text(plain) == read_text(odd) == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\xff\xfe" + 200 * b"a", Reason.NOT_TEXT), (b"short", Reason.TOO_SHORT), (b"", Reason.TOO_SHORT)],
)
def test_what_is_no_text_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(InputFileError) as caught:
        read_text(path)
    assert caught.value.reason == reason


def test_one_bad_text_of_a_folder_stops_nothing(command: Command, book: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("abc " * 100)
    (folder / "deep" / "b.txt").write_bytes(b"\xff" * 300)
    (folder / "deep" / "c.txt").write_bytes(book.read_bytes())
    done = command("data_prep/text_file.py", "--source", folder, "--out", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    entries = {entry.path: (entry.status, entry.reason) for entry in read_ledger(tmp_path / "store" / "ledger.tsv")}
    assert entries == {
        "a.txt": (Status.KEPT, Reason.NONE),
        "deep/b.txt": (Status.REFUSED, Reason.NOT_TEXT),
        "deep/c.txt": (Status.KEPT, Reason.NONE),
    }
    assert len(Store(tmp_path / "store")["test"]) == 2


def test_nothing_readable_is_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff" * 300)
    done = command("data_prep/text_file.py", "--source", tmp_path, "--out", tmp_path / "store")
    assert_refused(done, "not UTF-8")
    done = command("data_prep/text_file.py", "--source", tmp_path / "none", "--out", tmp_path / "store")
    assert_refused(done, "no such file or folder")


def test_no_part_is_made_where_its_share_is_nothing(book: Path) -> None:
    from seqaudio.prepare.engine import Item

    vocabulary = character_vocabulary([book])
    rows = TextPreparation(vocabulary, CharacterUnit(), Parts(10, 0))(Item("book.txt", book, "book"))
    assert [row.split for row in rows] == ["train", "valid"]
    assert np.concatenate([row.sequence for row in rows]).min() >= 3


def test_a_text_is_learnt_as_well_as_by_counting_and_the_test_is_read_once_told(command: Command, run: Path) -> None:
    done = command(f"{RECIPE}/evaluate.py", "--run", run, "--split", "test")
    assert done.returncode == 0, done.stderr
    data = json.loads((run / "results.json").read_text())
    nats = data["test"]["nats_per_character"]
    assert nats < data["baselines"]["kneser-ney"]["test"]["nats_per_character"]
    assert f"{nats:.4f} nats a character ({nats / math.log(2):.3f} bits)" in done.stdout
    assert data["test_reads"] == 1


def test_text_and_notes_are_told_apart(command: Command, store: Path, run: Path, tmp_path: Path) -> None:
    done = command("recipes/music_generation/train.py", "--store", store, "--run", tmp_path / "run")
    assert_refused(done, "a store of kind 'text', music generation needs 'tokens'")
    done = command("seqaudio", "generate", run, "--out", tmp_path / "x.mid")
    assert_refused(done, "x.mid is for music")


def test_lanes_of_a_text_are_drawn(command: Command, store: Path) -> None:
    done = command("seqaudio", "info", store, "--lanes", "3", "--window", "8")
    assert done.returncode == 0, done.stderr
    assert "lane" in done.stdout
