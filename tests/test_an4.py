"""CMU AN4 on a made-up corpus of its layout and on the real one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from made_up_speech import pack, prepare, refused, rows, script, serving, write_word
from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.folder import PublishedArchive
from seqaudio.store import Store

an4 = script("an4")

# speaker flrp is one of those that validate
TRAIN = {"an251-fash-b": "YES", "cen1-fash-b": "S A N D Y", "an253-flrp-b": "ENTER SIX"}
TEST = {"an406-fcaw-b": "RUBOUT G M"}


def write_corpus(folder: Path, suffix: str = ".sph", marks: bool = True) -> Path:
    """Four utterances; `marks` puts <s> and </s> around those of the training part, as the corpus does."""
    (folder / "etc").mkdir(parents=True)
    for part, texts in (("train", TRAIN), ("test", TEST)):
        lines = []
        for number, (name, text) in enumerate(texts.items()):
            write_word(folder / "wav" / an4.PARTS[part] / name.split("-")[1] / f"{name}{suffix}", number)
            lines.append(f"<s> {text} </s> ({name})" if marks and part == "train" else f"{text} ({name})")
        (folder / "etc" / f"an4_{part}.transcription").write_text("\n".join(lines) + "\n")
    return folder


def prepare_an4(source: Path, out: Path, **options: object) -> Store:
    return prepare(an4, source, out, **options)


def test_transcripts_give_texts_and_the_folders_splits(tmp_path: Path) -> None:
    store = prepare_an4(write_corpus(tmp_path / "in"), tmp_path / "out")
    told = {
        split: list(zip(store[split].ids, store[split].column("text"), store[split].column("speaker"), strict=True))
        for split in store.counts
    }
    assert told == {
        "train": [("an251-fash-b", "YES", "fash"), ("cen1-fash-b", "S A N D Y", "fash")],
        "valid": [("an253-flrp-b", "ENTER SIX", "flrp")],
        "test": [("an406-fcaw-b", "RUBOUT G M", "fcaw")],
    }
    assert store.vocabulary is None


def test_the_official_split_has_no_validation(tmp_path: Path) -> None:
    store = prepare_an4(write_corpus(tmp_path / "in"), tmp_path / "out", splits="official")
    assert rows(store) == {"train": 3, "test": 1}


def test_sphere_and_flac_with_and_without_marks_give_the_same_store(tmp_path: Path) -> None:
    stores = [
        prepare_an4(write_corpus(tmp_path / suffix[1:], suffix, marks), tmp_path / f"out {suffix[1:]}")
        for suffix, marks in ((".sph", True), (".flac", False))
    ]
    assert stores[0].fingerprint == stores[1].fingerprint


def test_an_utterance_without_a_recording_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_corpus(tmp_path / "in")
    (source / "wav" / "an4_clstk" / "fash" / "an251-fash-b.sph").unlink()
    store = prepare_an4(source, tmp_path / "out")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {
        "wav/an4_clstk/fash/an251-fash-b.sph": "missing"
    }
    told = "warning: train 1, valid 1, test 1; the whole corpus has train 844, valid 104, test 130"
    assert told in capsys.readouterr().err


def test_a_recording_without_a_transcript_is_named(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    write_word(source / "wav" / "an4_clstk" / "fash" / "an252-fash-b.sph")
    write_word(source / "wav" / "an4test_clstk" / "hello.wav")
    store = prepare_an4(source, tmp_path / "out")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {
        "wav/an4_clstk/fash/an252-fash-b.sph": "no_label",
        "wav/an4test_clstk/hello.wav": "no_label",
    }
    assert rows(store) == {"train": 2, "valid": 1, "test": 1}


def test_the_archive_of_raw_samples_is_refused_with_the_reason(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    for path in sorted(source.rglob("*.sph")):
        path.rename(path.with_suffix(".raw"))
    with pytest.raises(SourceError, match=r"has raw samples, .* use an4_sphere\.tar\.gz"):
        prepare_an4(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("YES an251-fash-b", r"expected a line such as YES \(an251-fash-b\)"),
        ("YES (an251)", r"expected a line such as YES \(an251-fash-b\)"),
        ("J\udcc3 (an251-fash-b)", "not UTF-8"),
    ],
)
def test_odd_transcripts_are_refused(tmp_path: Path, line: str, message: str) -> None:
    source = write_corpus(tmp_path / "in")
    (source / "etc" / "an4_test.transcription").write_bytes(line.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=message):
        prepare_an4(source, tmp_path / "out")


def test_a_folder_without_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="with etc and wav, or add --download"):
        prepare_an4(tmp_path, tmp_path / "out")


def test_a_download_is_unpacked_and_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = write_corpus(tmp_path / "tree")
    archive = pack(tmp_path / "server" / "an4_sphere.tar.gz", tree, "an4")
    with serving(archive.parent) as address:
        monkeypatch.setattr(an4, "PUBLISHED", PublishedArchive(f"{address}/an4_sphere.tar.gz"))
        store = prepare_an4(tmp_path / "corpus", tmp_path / "out", download=True)
    assert store.fingerprint == prepare_an4(tree, tmp_path / "here").fingerprint


@pytest.mark.data
def test_the_corpus_has_the_counts_and_words_that_its_script_tells(data_folder: Path) -> None:
    for splits, expected in an4.EXPECTED.items():
        items = an4.list_items(data_folder / "speech" / "an4", splits)
        assert Counter(item.split for item in items) == expected
        assert all(item.file.is_file() for item in items)
        speakers = [{item.speaker for item in items if item.split == split} for split in expected]
        assert len(set.union(*speakers)) == sum(map(len, speakers)) == 84
    assert len({word for item in items for word in item.text.split()}) == 101
    assert {letter for item in items for letter in item.text} == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ ")


@pytest.mark.data
def test_real_utterances_are_prepared(data_folder: Path, tmp_path: Path) -> None:
    store = prepare_an4(data_folder / "speech" / "an4", tmp_path / "out", sample_rate=16000, limit=40)
    assert sum(rows(store).values()) == 40
    assert refused(store) == {}
