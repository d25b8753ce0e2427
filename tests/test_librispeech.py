"""LibriSpeech on a made-up corpus of its layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import Command, assert_refused
from made_up_speech import pack, prepare, refused, rows, script, serving, write_word
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import sha256_of
from seqaudio.store import Store

librispeech = script("librispeech")

# subset, speaker, chapter: texts
CHAPTERS = {
    ("train-clean-100", "19", "198"): ["NORTHANGER ABBEY", "THIS LITTLE WORK"],
    ("train-clean-100", "26", "495"): ["IT'S A TALE"],
    ("dev-clean", "84", "121123"): ["GO DO YOU HEAR"],
    ("test-clean", "61", "70968"): ["HE BEGAN A CONFUSED COMPLAINT"],
    ("test-other", "367", "130732"): ["LOBSTERS AND LOBSTERS"],
}


def write_corpus(folder: Path) -> Path:
    speakers = ["; ID | SEX | SUBSET | MINUTES | NAME"]
    for number, ((subset, speaker, chapter), texts) in enumerate(CHAPTERS.items()):
        names = [f"{speaker}-{chapter}-{place:04d}" for place in range(len(texts))]
        place = folder / subset / speaker / chapter
        for name in names:
            write_word(place / f"{name}.flac", speaker=number)
        lines = [f"{name} {text}" for name, text in zip(names, texts, strict=True)]
        (place / f"{speaker}-{chapter}.trans.txt").write_text("\n".join(lines) + "\n")
        speakers.append(f"{speaker:<4} | F | {subset:<16} | 25.19 | Somebody | or two")
    (folder / "SPEAKERS.TXT").write_text("\n".join(speakers) + "\n")
    return folder


def prepare_librispeech(source: Path, out: Path, **options: object) -> Store:
    return prepare(librispeech, source, out, **options)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("librispeech") / "LibriSpeech")


def test_subsets_are_splits_and_chapters_tell_the_words(corpus: Path, tmp_path: Path) -> None:
    store = prepare_librispeech(corpus, tmp_path / "out")
    assert rows(store) == {"train": 3, "valid": 1, "test": 1}
    assert store["train"].ids == ["19-198-0000", "19-198-0001", "26-495-0000"]
    assert store["train"].column("text") == ["NORTHANGER ABBEY", "THIS LITTLE WORK", "IT'S A TALE"]
    assert store["train"].column("speaker") == ["19", "19", "26"]
    assert store.sources == ("LibriSpeech train-clean-100 dev-clean test-clean",)


def test_clean_and_other_are_conditions(corpus: Path, tmp_path: Path) -> None:
    subsets = ("train-clean-100", "test-clean", "test-other")
    store = prepare_librispeech(corpus, tmp_path / "out", subsets=subsets)
    assert dict(zip(store["test"].ids, store["test"].column("condition"), strict=True)) == {
        "61-70968-0000": "clean",
        "367-130732-0000": "other",
    }


def test_a_small_subset_can_be_trained_on(corpus: Path, tmp_path: Path) -> None:
    store = prepare_librispeech(corpus, tmp_path / "out", subsets=("dev-clean", "test-clean"), train_on="dev-clean")
    assert rows(store) == {"train": 1, "test": 1}


def test_counts_of_the_subsets_are_compared(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_librispeech(corpus, tmp_path / "out", subsets=("train-clean-100", "test-clean", "test-other"))
    assert "warning: train 3, test 2; the whole corpus has train 28,539, test 5,559" in capsys.readouterr().err


def test_the_subsets_are_as_large_as_the_whole() -> None:
    assert sum(subset.utterances for subset in librispeech.SUBSETS.values()) == 292_367
    kinds = {name.split("-")[0]: subset.split for name, subset in librispeech.SUBSETS.items()}
    assert kinds == {"train": "train", "dev": "valid", "test": "test"}


def test_a_recording_that_is_missing_is_named(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    (source / "train-clean-100" / "19" / "198" / "19-198-0001.flac").unlink()
    store = prepare_librispeech(source, tmp_path / "out")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {
        "train-clean-100/19/198/19-198-0001.flac": "missing"
    }


def test_recordings_without_a_text_are_named(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    chapter = source / "train-clean-100" / "19" / "198"
    write_word(chapter / "19-198-0002.flac")  # its chapter's text does not name it
    write_word(source / "train-clean-100" / "19" / "199" / "19-199-0000.flac")  # of a chapter without a text
    store = prepare_librispeech(source, tmp_path / "out")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {
        "train-clean-100/19/198/19-198-0002.flac": "no_label",
        "train-clean-100/19/199/19-199-0000.flac": "no_label",
    }
    assert rows(store) == {"train": 3, "valid": 1, "test": 1}


def test_a_speaker_of_another_subset_is_refused(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    (source / "dev-clean" / "84").rename(source / "train-clean-100" / "84")
    with pytest.raises(SourceError, match=r"SPEAKERS\.TXT has speaker 84 in dev-clean, not train-clean-100"):
        prepare_librispeech(source, tmp_path / "out", subsets=("train-clean-100",))
    (source / "SPEAKERS.TXT").unlink()
    assert rows(prepare_librispeech(source, tmp_path / "out", subsets=("train-clean-100",))) == {"train": 4}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subsets": ("train-clean",)}, "unknown subset 'train-clean'; did you mean train-clean-"),
        ({"subsets": ("dev-clean",)}, "--subsets dev-clean has none to train on"),
        ({"train_on": "dev-other"}, "--train-on dev-other is not among --subsets"),
        ({"archive": (Path("mine.tar.gz"),)}, "--archive mine.tar.gz: expected the published file name"),
    ],
)
def test_senseless_options_are_refused(corpus: Path, tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        prepare_librispeech(corpus, tmp_path / "out", **options)
    assert message in str(caught.value)


def test_odd_folders_are_refused(tmp_path: Path, command: Command) -> None:
    done = command("data_prep/librispeech.py", "--source", tmp_path, "--out", tmp_path / "out")
    assert_refused(done, "train-clean-100: no such folder; give the folder with the subsets, or add --download")
    source = write_corpus(tmp_path / "in")
    (source / "dev-clean" / "84" / "121123" / "84-121123.trans.txt").write_text("85-121123-0000 GO\n")
    with pytest.raises(SourceError, match="'85-121123-0000 GO', expected a name and words"):
        prepare_librispeech(source, tmp_path / "out")
    (source / "dev-clean" / "84" / "121123" / "84-121123.trans.txt").unlink()
    with pytest.raises(SourceError, match="has no texts, expected files such as"):
        prepare_librispeech(source, tmp_path / "out")


def test_archives_given_and_fetched_fill_one_folder(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "server"
    subsets = dict(librispeech.SUBSETS)
    for name in ("train-clean-100", "dev-clean", "test-clean"):
        tree = tmp_path / "tree" / name
        shutil.copytree(corpus / name, tree / name)
        shutil.copy(corpus / "SPEAKERS.TXT", tree)
        archive = pack(server / f"{name}.tar.gz", tree, "LibriSpeech")
        subsets[name] = subsets[name]._replace(sha256=sha256_of(archive))
    monkeypatch.setattr(librispeech, "SUBSETS", subsets)
    with serving(server) as address:
        monkeypatch.setattr(librispeech, "URL", f"{address}/{{}}.tar.gz")
        given = (server / "dev-clean.tar.gz",)
        store = prepare_librispeech(tmp_path / "in", tmp_path / "out", archive=given, download=True)
    assert store.fingerprint == prepare_librispeech(corpus, tmp_path / "here").fingerprint
