"""The yesno corpus on made-up recordings with its names and on the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_up_speech import pack, prepare, refused, rows, script, serving, write_word
from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.folder import PublishedArchive
from seqaudio.prepare.corpora.samples_digest import samples_digest
from seqaudio.store import Store

yesno = script("yesno")


def write_corpus(folder: Path) -> Path:
    """Sixteen recordings, 0_1_1_0_0_0_0_0.wav and so on: the numbers 0 to 15 in figures, then four times no."""
    for number in range(16):
        name = "_".join(f"{number:04b}0000")
        write_word(folder / "waves_yesno" / f"{name}.wav", take=number)
    return folder


def prepare_yesno(source: Path, out: Path, **options: object) -> Store:
    return prepare(yesno, source, out, **options)


def test_names_tell_words_and_splits(tmp_path: Path) -> None:
    store = prepare_yesno(write_corpus(tmp_path / "in"), tmp_path / "out")
    assert rows(store) == {"train": 7, "valid": 1, "test": 8}
    assert dict(zip(store["valid"].ids, store["valid"].column("text"), strict=True)) == {
        "0_1_0_1_0_0_0_0": "NO YES NO YES NO NO NO NO"
    }
    assert store["train"].ids + store["valid"].ids < store["test"].ids


def test_the_folder_of_the_recordings_will_do_and_odd_names_are_refused(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in") / "waves_yesno"
    write_word(source / "2_0_0_0_0_0_0_0.wav")
    (source / "README").write_text("about the corpus")
    store = prepare_yesno(source, tmp_path / "out")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {
        "2_0_0_0_0_0_0_0.wav": "unexpected_name"
    }
    assert sum(rows(store).values()) == 16


def test_a_download_is_checked_by_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = write_corpus(tmp_path / "tree")
    archive = pack(tmp_path / "server" / "waves_yesno.tar.gz", tree)
    with serving(archive.parent) as address:
        monkeypatch.setattr(yesno, "PUBLISHED", PublishedArchive(f"{address}/waves_yesno.tar.gz"))
        with pytest.raises(SourceError, match="to use this other version"):
            prepare_yesno(tmp_path / "corpus", tmp_path / "out", download=True)
        monkeypatch.setattr(yesno, "SAMPLES_SHA256", samples_digest(tree / "waves_yesno"))
        store = prepare_yesno(tmp_path / "corpus", tmp_path / "out", download=True)
    assert store.fingerprint == prepare_yesno(tree, tmp_path / "here").fingerprint


def test_folders_without_the_corpus_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder; give the folder of the corpus, or add --download"):
        prepare_yesno(tmp_path / "none", tmp_path / "out")
    with pytest.raises(SourceError, match="has no recordings, expected names such as"):
        prepare_yesno(tmp_path, tmp_path / "out")


@pytest.mark.data
def test_the_corpus_has_the_samples_and_counts_that_its_script_tells(data_folder: Path, tmp_path: Path) -> None:
    source = data_folder / "speech" / "waves_yesno"
    assert samples_digest(source) == yesno.SAMPLES_SHA256
    store = prepare_yesno(source, tmp_path / "out")
    assert rows(store) == yesno.EXPECTED
    assert refused(store) == {}
    assert sum(count.seconds for count in store.counts.values()) / 60 == pytest.approx(6.1, abs=0.05)
