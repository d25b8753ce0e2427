"""Common Voice on a made-up language in its layout."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from conftest import Command, assert_refused
from made_up_speech import pack, prepare, refused, rows, script, write_word
from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.splits import hash_split
from seqaudio.store import Store

common_voice = script("common_voice")

COLUMNS = ["client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes", "age", "gender"]
COLUMNS += ["accents", "variant", "locale", "segment"]
# table: speaker, sentence
ROWS = {
    "train.tsv": [("ada" * 20, "Günaydın, nasılsın?"), ("ben" * 20, 'O "evet" dedi.')],
    "dev.tsv": [("cleo" * 20, "Evet")],
    "test.tsv": [("dora" * 20, "hayır.")],
}


def write_table(path: Path, rows: list[dict[str, str]], columns: list[str] = COLUMNS) -> None:
    lines = [columns, *([row.get(name, "") for name in columns] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def write_corpus(folder: Path, suffix: str = ".mp3") -> Path:
    """Four clips; the tables name them with `suffix`, which the first releases left out."""
    everything, number = [], 0
    for name, recordings in ROWS.items():
        table = []
        for speaker, sentence in recordings:
            number += 1
            write_word(folder / "clips" / f"common_voice_tr_{number}.mp3", speaker=number)
            row = {
                "client_id": speaker,
                "path": f"common_voice_tr_{number}{suffix}",
                "sentence": sentence,
                "locale": "tr",
            }
            table.append(row)
        write_table(folder / name, table)
        everything += table
    write_table(folder / "validated.tsv", everything)
    return folder


def prepare_language(source: Path, out: Path, **options: object) -> Store:
    return prepare(common_voice, source, out, **options)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("common_voice") / "tr")


def test_the_official_tables_are_the_splits(corpus: Path, tmp_path: Path) -> None:
    store = prepare_language(corpus, tmp_path / "out")
    assert {split: store[split].column("text") for split in store.counts} == {
        "train": ["Günaydın, nasılsın?", 'O "evet" dedi.'],
        "valid": ["Evet"],
        "test": ["hayır."],
    }
    assert store["test"].column("speaker") == ["dora" * 20]
    assert store["train"].ids[0] == "clips/common_voice_tr_1.mp3"
    assert (store.sources, store.licence) == (("Common Voice tr",), "CC0 1.0")
    assert refused(store) == {}


def test_validated_clips_are_split_by_speaker(tmp_path: Path) -> None:
    many = tmp_path / "tr"
    many.mkdir()
    speakers = [f"speaker {number}" for number in range(100)]
    table = [
        {"client_id": name, "path": f"common_voice_tr_{n}.mp3", "sentence": "Evet"} for n, name in enumerate(speakers)
    ]
    write_table(many / "validated.tsv", table, ["client_id", "path", "sentence"])
    items = common_voice.list_items(many, "validated")
    assert {item.speaker: item.split for item in items} == {name: hash_split(name, 10, 10) for name in speakers}
    assert {item.split for item in items} == {"train", "valid", "test"}


def test_names_without_suffix_are_found(tmp_path: Path, corpus: Path) -> None:
    old = write_corpus(tmp_path / "tr", suffix="")
    stores = [prepare_language(source, tmp_path / f"out {n}") for n, source in enumerate((old, corpus))]
    assert stores[0].fingerprint == stores[1].fingerprint


def test_words_of_a_release_with_single_words_become_labels(corpus: Path, tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "hayır")
    items = common_voice.keep_words(common_voice.list_items(corpus), ("evet", apart))
    assert [(item.label, item.text, item.split) for item in items] == [
        ("evet", "Evet", "valid"),
        ("hayır", "hayır.", "test"),
    ]
    with pytest.raises(OptionError, match="no sentence is just belki, dur"):
        prepare_language(corpus, tmp_path / "out", words=("evet", "dur", "belki"))


def test_a_speaker_in_two_tables_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_corpus(tmp_path / "tr")
    row = {"client_id": "ada" * 20, "path": "common_voice_tr_4.mp3", "sentence": "Evet", "locale": "tr"}
    write_table(source / "test.tsv", [row])
    prepare_language(source, tmp_path / "out")
    assert "warning: speakers in two splits: 1; are the tables from the same release?" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["train.tsv", "test.tsv"])
def test_a_clip_in_two_tables_is_refused_with_their_names(tmp_path: Path, place: str) -> None:
    source = write_corpus(tmp_path / "tr")
    row = {"client_id": "ada" * 20, "path": "common_voice_tr_1.mp3", "sentence": "Evet", "locale": "tr"}
    write_table(source / place, [row, row] if place == "train.tsv" else [row])
    with pytest.raises(
        SourceError, match=rf"_1\.mp3 is listed in train\.tsv and again in {place}; delete one of the rows"
    ):
        prepare_language(source, tmp_path / "out")


def test_missing_clips_are_named(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "tr")
    (source / "clips" / "common_voice_tr_2.mp3").unlink()
    store = prepare_language(source, tmp_path / "out")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {
        "clips/common_voice_tr_2.mp3": "missing"
    }


def test_an_archive_with_two_folders_around_it_is_unpacked(corpus: Path, tmp_path: Path) -> None:
    archive = pack(tmp_path / "cv-corpus-17.0-tr.tar.gz", corpus, "cv-corpus-17.0/tr")
    store = prepare_language(tmp_path / "in", tmp_path / "out", archive=archive)
    assert store.fingerprint == prepare_language(corpus, tmp_path / "here").fingerprint
    assert rows(store) == {"train": 2, "valid": 1, "test": 1}


def test_folders_and_tables_of_another_kind_are_refused(corpus: Path, tmp_path: Path, command: Command) -> None:
    done = command("data_prep/common_voice.py", "--source", tmp_path, "--out", tmp_path / "out")
    assert_refused(done, "train.tsv", "give a CSV or TSV table")
    source = write_corpus(tmp_path / "tr")
    write_table(source / "train.tsv", [{"path": "a.mp3"}], ["path", "text"])
    with pytest.raises(SourceError, match="has no column 'client_id'; it has path, text"):
        prepare_language(source, tmp_path / "out")
    done = command("data_prep/common_voice.py", "--source", corpus, "--out", tmp_path / "out", "--download")
    assert done.returncode == 2  # its makers want a form filled in
