"""The preparations of digits and of recordings of one's own as a user runs them; one corpus is the real one."""

from __future__ import annotations

import os
import shutil
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Command, assert_refused
from made_up_speech import RATE, pack, prepare, refused, rows, script, serving, write_word
from seqaudio.errors import OptionError, SourceError, StoreError
from seqaudio.prepare.corpora.expected import samples_digest
from seqaudio.prepare.corpora.folder import PublishedArchive
from seqaudio.store import Store

SPEAKERS = ("ada", "ben", "cleo")

fsdd = script("fsdd")
audio_folder = script("audio_folder")


def prepare_fsdd(source: Path, out: Path, **options: object) -> Store:
    return prepare(fsdd, source, out, **options)


def prepare_folder(source: Path, out: Path, **options: object) -> Store:
    return prepare(audio_folder, source, out, **options)


def write_digits(folder: Path, suffix: str = ".wav", takes: int = 12) -> Path:
    """Recordings of two digits by three speakers, named as the Free Spoken Digit Dataset names them."""
    for digit in range(2):
        for number, speaker in enumerate(SPEAKERS):
            for take in range(takes):
                write_word(folder / f"{digit}_{speaker}_{take}{suffix}", digit, number, take)
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder / "recordings")
    return folder


# Free Spoken Digit Dataset


def test_takes_decide_the_official_split(digits: Path, tmp_path: Path) -> None:
    store = prepare_fsdd(digits, tmp_path / "out")
    takes = {split: {int(name.split("_")[2]) for name in store[split].ids} for split in store.counts}
    assert takes == {"train": {10, 11}, "valid": {5, 6, 7, 8, 9}, "test": {0, 1, 2, 3, 4}}
    assert store["test"].labels == [name.split("_")[0] for name in store["test"].ids]
    assert store["test"].column("speaker") == [name.split("_")[1] for name in store["test"].ids]
    assert {split: count.rows for split, count in store.counts.items()} == {"train": 12, "valid": 30, "test": 30}


def test_strings_are_digits_of_one_speaker_with_gaps(digits: Path, tmp_path: Path) -> None:
    options = {"leave_out": "ben", "validate_on": "cleo", "strings": 20}
    store = prepare_fsdd(digits, tmp_path / "out", keep="samples", **options)
    speakers = {split: set(store[split].column("speaker")) for split in store.counts}
    assert speakers == {"train": {"ada"}, "valid": {"cleo"}, "test": {"ben"}}
    assert store.counts["train"].rows == 20
    said = Counter(word for text in store["test"].column("text") for word in text.split())
    assert said == {"0": 12, "1": 12}, "each recording of the test is in one string"
    single = prepare_fsdd(digits, tmp_path / "single", leave_out="ben")
    shortest, longest = min(single["test"].column("duration")), max(single["test"].column("duration"))
    for text, seconds in zip(store["train"].column("text"), store["train"].column("duration"), strict=True):
        count = len(text.split())
        assert 1 <= count <= 7
        assert shortest * count + 0.02 * (count + 1) - 0.01 <= seconds <= longest * count + 0.6 * (count + 1) + 0.01
    assert min(np.abs(row).max() for row in store["train"]) > 0, "no row is digital silence"


def test_strings_depend_on_the_seed_alone(digits: Path, tmp_path: Path) -> None:
    options = {"leave_out": "ben", "strings": 6}
    one, two, other = (
        prepare_fsdd(digits, tmp_path / name, workers=workers, seed=seed, **options)
        for name, workers, seed in (("one", 1, 0), ("two", 2, 0), ("other", 1, 1))
    )
    assert one.fingerprint == two.fingerprint
    assert one["train"].column("text") != other["train"].column("text")
    with pytest.raises(OptionError, match="--update does not see changes within --strings"):
        prepare_fsdd(digits, tmp_path / "one", update=True, **options)


def test_a_string_with_a_recording_that_cannot_be_read_is_refused_by_its_name(digits: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(digits, tmp_path / "in"))
    (source / "recordings" / "0_ada_11.wav").write_bytes(b"no sound")
    store = prepare_fsdd(source, tmp_path / "out", leave_out="ben", strings=10)
    gone = refused(store)
    assert gone
    assert store.counts["train"].rows == 10 - len([name for name in gone if "/train/" in name])


def test_a_speaker_is_left_out_for_the_test_and_another_for_validation(digits: Path, tmp_path: Path) -> None:
    options = {
        "next": {"leave_out": "ben"},
        "last": {"leave_out": "cleo"},
        "given": {"leave_out": "ben", "validate_on": "ada"},
    }
    stores = {name: prepare_fsdd(digits, tmp_path / name, **given) for name, given in options.items()}
    speakers = {
        name: {split: set(each[split].column("speaker")) for split in each.counts} for name, each in stores.items()
    }
    assert speakers == {
        "next": {"train": {"ada"}, "valid": {"cleo"}, "test": {"ben"}},
        "last": {"train": {"ben"}, "valid": {"ada"}, "test": {"cleo"}},
        "given": {"train": {"cleo"}, "valid": {"ada"}, "test": {"ben"}},
    }
    assert {count.rows for count in stores["next"].counts.values()} == {24}


def test_of_two_speakers_none_can_be_left_out(digits: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(digits, tmp_path / "in"))
    for path in (source / "recordings").glob("*_cleo_*"):
        path.unlink()
    with pytest.raises(OptionError, match=r"--leave-out ben: of ada and ben nobody .*expected three speakers"):
        prepare_fsdd(source, tmp_path / "out", leave_out="ben")


def test_the_store_tells_its_features(digits: Path, tmp_path: Path) -> None:
    store = prepare_fsdd(digits, tmp_path / "out", features="log_mel", sample_rate=16000)
    assert store.settings["features"]["kind"] == "log_mel"
    assert store.settings["features"]["sample_rate"] == 16000
    assert store["train"].sequence(0).shape[1] == 40
    frames = np.concatenate(list(store["train"]))
    assert store.normalisation
    np.testing.assert_allclose(store.normalisation.mean, frames.mean(axis=0), rtol=1e-4)
    assert store.licence == "CC BY-SA 4.0"


def test_flac_and_wav_copies_give_the_same_store(digits: Path, tmp_path: Path) -> None:
    flac = write_digits(tmp_path / "flac", ".flac")
    stores = [prepare_fsdd(digits, tmp_path / "a"), prepare_fsdd(flac, tmp_path / "b")]
    assert stores[0].fingerprint == stores[1].fingerprint


def test_odd_and_damaged_files_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    source = write_digits(tmp_path / "in")
    write_word(source / "hello.wav")
    write_word(source / "12_ada_1.wav")
    (source / "0_ada_99.wav").write_text("not a sound")
    (source / "1_ada_99.wav").write_bytes((source / "1_ada_1.wav").read_bytes()[:1000])
    (source / "._0_ada_1.wav").write_text("a shadow that some archives hold")
    (source / "README.md").write_text("about the corpus")
    store = prepare_fsdd(source, tmp_path / "out")
    reasons = {name: str(entry.reason) for name, entry in refused(store).items()}
    assert reasons == {
        "0_ada_99.wav": "not_audio",
        "1_ada_99.wav": "truncated",
        "12_ada_1.wav": "unexpected_name",
        "hello.wav": "unexpected_name",
    }
    assert sum(count.rows for count in store.counts.values()) == 72


def test_other_counts_than_expected_are_told(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_fsdd(digits, tmp_path / "out")
    told = "warning: train 12, valid 30, test 30; the whole corpus has train 2,400, valid 300, test 300"
    assert told in capsys.readouterr().err


def test_a_trial_takes_recordings_of_all_kinds(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = prepare_fsdd(digits, tmp_path / "out", limit=24)
    assert sum(count.rows for count in store.counts.values()) == 24
    assert store.names.names == ("0", "1")
    assert "warning" not in capsys.readouterr().err


def test_an_unknown_speaker_is_refused_with_those_there(digits: Path, tmp_path: Path, command: Command) -> None:
    done = command("data_prep/fsdd.py", "--source", digits, "--out", tmp_path / "out", "--leave-out", "theo")
    assert_refused(done, "--leave-out theo: no such speaker", "ada, ben, cleo")
    assert not (tmp_path / "out").exists()


def test_workers_change_nothing(digits: Path, tmp_path: Path, command: Command) -> None:
    arguments = ("data_prep/fsdd.py", "--source", digits, "--workers", "2", "--out", tmp_path / "two")
    assert command(*arguments).returncode == 0
    assert Store(tmp_path / "two").fingerprint == prepare_fsdd(digits, tmp_path / "one").fingerprint
    assert_refused(command(*arguments), "two exists; give --force")


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        prepare_fsdd(tmp_path / "nothing", tmp_path / "out")
    write_word(tmp_path / "in" / "hello.wav")
    with pytest.raises(SourceError, match=r"has no recordings, expected names such as 3_theo_12\.wav"):
        prepare_fsdd(tmp_path / "in", tmp_path / "out")


def test_an_unknown_preset_or_rate_is_refused(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no feature preset is called 'mel'"):
        prepare_fsdd(digits, tmp_path / "out", features="mel")
    with pytest.raises(OptionError, match=r"0\.99 samples at 99 Hz"):
        prepare_fsdd(digits, tmp_path / "out", sample_rate=99)


# its archive, given or from a server on this machine


@pytest.fixture
def server(digits: Path, tmp_path: Path) -> Path:
    """A folder with digits.zip, laid out as a tag of a repository."""
    folder = tmp_path / "server"
    pack(folder / "digits.zip", digits, "digits-1.0")
    with zipfile.ZipFile(folder / "digits.zip", "a") as file:
        file.writestr("digits-1.0/README.md", "about the corpus")
    return folder


def test_a_download_is_unpacked_checked_and_prepared(
    digits: Path, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsdd, "SAMPLES_SHA256", samples_digest(digits / "recordings"))
    with serving(server) as address:
        monkeypatch.setattr(fsdd, "PUBLISHED", PublishedArchive(f"{address}/digits.zip"))
        store = prepare_fsdd(tmp_path / "corpus", tmp_path / "out", download=True)
    assert sum(rows(store).values()) == 72
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == ["README.md", "recordings"]
    given = prepare_fsdd(tmp_path / "other", tmp_path / "again", archive=server / "digits.zip")
    assert given.fingerprint == store.fingerprint


def test_a_corpus_that_is_there_is_not_fetched_again(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsdd, "PUBLISHED", PublishedArchive("http://127.0.0.1:9/nothing"))
    assert prepare_fsdd(digits, tmp_path / "out", download=True).counts["train"].rows == 12


def test_a_download_of_other_samples_is_refused(server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(server) as address:
        monkeypatch.setattr(fsdd, "PUBLISHED", PublishedArchive(f"{address}/digits.zip"))
        with pytest.raises(SourceError, match=f"expected {fsdd.SAMPLES_SHA256}; to use this other version"):
            prepare_fsdd(tmp_path / "corpus", tmp_path / "out", download=True)
    assert not (tmp_path / "corpus").exists()


def test_one_changed_sample_changes_the_digest(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "in", takes=1)
    before = samples_digest(folder)
    samples, _ = soundfile.read(folder / "1_ben_0.wav", dtype="int16")
    samples[100] += 1
    soundfile.write(folder / "1_ben_0.wav", samples, RATE)
    assert samples_digest(folder) != before


# folders of one's own


def test_folders_are_labels_and_splits_are_drawn_by_name(word_folder: Path, tmp_path: Path) -> None:
    store = prepare_folder(word_folder, tmp_path / "out", valid_percent=20, test_percent=20)
    assert store.names.names == ("one", "three", "two")
    rows = {name: split for split in store.counts for name in store[split].ids}
    assert len(rows) == 72
    assert set(rows.values()) == {"train", "valid", "test"}
    assert all(rows[f"one/{take}"] == rows[f"two/{take}"] for take in {name.split("/")[1] for name in rows})


def test_a_speaker_in_the_file_name_keeps_to_one_split(word_folder: Path, tmp_path: Path) -> None:
    store = prepare_folder(
        word_folder, tmp_path / "out", speaker_pattern="^(s[0-9])_", valid_percent=30, test_percent=30
    )
    speakers = {split: set(store[split].column("speaker")) for split in store.counts}
    assert sum(map(len, speakers.values())) == 4
    assert set.union(*speakers.values()) == {"s0", "s1", "s2", "s3"}


def test_folders_of_splits_are_kept(tmp_path: Path) -> None:
    for split in ("training", "val", "test"):
        for label in ("yes", "no"):
            write_word(tmp_path / "in" / split / label / "deep" / f"{split}.wav")
    store = prepare_folder(tmp_path / "in", tmp_path / "out")
    assert {split: store[split].ids for split in store.counts} == {
        "train": ["training/no/deep/training.wav", "training/yes/deep/training.wav"],
        "valid": ["val/no/deep/val.wav", "val/yes/deep/val.wav"],
        "test": ["test/no/deep/test.wav", "test/yes/deep/test.wav"],
    }
    assert store["valid"].labels == ["no", "yes"]


def test_a_label_may_be_called_train(tmp_path: Path) -> None:
    for label in ("train", "bus", "tram"):
        write_word(tmp_path / "in" / label / "a.wav")
    store = prepare_folder(tmp_path / "in", tmp_path / "out", valid_percent=0, test_percent=0)
    assert store.names.names == ("bus", "train", "tram")


def test_training_recordings_fill_a_missing_validation_split(tmp_path: Path) -> None:
    for take in range(40):
        write_word(tmp_path / "in" / ("test" if take < 10 else "train") / "word" / f"{take}.wav", take=take)
    store = prepare_folder(tmp_path / "in", tmp_path / "out", valid_percent=30)
    assert store.counts["test"].rows == 10
    assert 3 <= store.counts["valid"].rows <= 16
    assert store.counts["train"].rows + store.counts["valid"].rows == 30


def test_every_format_and_rate_in_one_folder(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (48000, 2))
    for name, rate in (("a.wav", 48000), ("b.flac", 44100), ("c.ogg", 16000), ("d.mp3", 32000), ("E.WAV", 8000)):
        (tmp_path / "in" / "noise").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / "noise" / name, samples[:rate], rate)
    store = prepare_folder(tmp_path / "in", tmp_path / "out", valid_percent=0, test_percent=0)
    assert store["train"].ids == ["noise/E.WAV", "noise/a.wav", "noise/b.flac", "noise/c.ogg", "noise/d.mp3"]
    np.testing.assert_allclose(store["train"].lengths, 98, atol=1)
    np.testing.assert_allclose(store["train"].column("duration"), 1.0, atol=0.05)


def test_bad_files_among_good_ones_are_named(word_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for take in range(5):
        write_word(source / "word" / f"{take}.wav", take=take)
    write_word(source / "loose.wav")
    (source / "word" / "empty.wav").touch()
    (source / "word" / "folder.wav").mkdir()
    soundfile.write(source / "word" / "short.wav", np.zeros(199), RATE)
    soundfile.write(source / "word" / "odd.wav", np.array([np.nan] * 4000), RATE, subtype="FLOAT")
    (source / ".hidden").mkdir()
    write_word(source / ".hidden" / "a.wav")
    store = prepare_folder(source, tmp_path / "out", valid_percent=0, test_percent=0)
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {
        "loose.wav": "no_label",
        "word/empty.wav": "empty",
        "word/odd.wav": "not_finite",
        "word/short.wav": "too_short",
    }
    assert store.counts["train"].rows == 5


def test_names_that_are_no_utf8_are_encoded(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    label = tmp_path / "in" / os.fsdecode(b"gr\xfcn")
    write_word(label / "b.wav")
    write_word(label / os.fsdecode(b"\xff.wav"))
    store = prepare_folder(tmp_path / "in", tmp_path / "out", valid_percent=0, test_percent=0)
    assert store["train"].ids == ["gr%FCn/b.wav", "gr%FCn/%FF.wav"]
    assert store.names.names == ("gr%FCn",)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_labels_that_are_links_to_folders_are_followed(tmp_path: Path) -> None:
    write_word(tmp_path / "real" / "nein" / "a.wav")
    write_word(tmp_path / "in" / "ja" / "b.wav")
    (tmp_path / "in" / "nein").symlink_to(Path("..") / "real" / "nein")
    (tmp_path / "in" / "ja" / "again").symlink_to(tmp_path / "in" / "ja")  # loops end
    (tmp_path / "real" / "nein" / "back").symlink_to(tmp_path / "in" / "nein")
    store = prepare_folder(tmp_path / "in", tmp_path / "out", valid_percent=0, test_percent=0)
    assert store["train"].ids == ["ja/b.wav", "nein/a.wav"]
    assert store["train"].labels == ["ja", "nein"]


def test_a_folder_that_may_not_be_looked_into_is_refused_by_name(
    word_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(word_folder, tmp_path / "in")

    def closing(look: Callable[..., object]) -> Callable[..., object]:
        def closed(place: Path | str | int) -> object:
            if not isinstance(place, int) and Path(place).name == "two":
                raise PermissionError(13, "Permission denied", str(place))
            return look(place)

        return closed

    # a closed door is open to the superuser, who may run this
    monkeypatch.setattr(os, "scandir", closing(os.scandir))
    monkeypatch.setattr(os, "listdir", closing(os.listdir))
    store = prepare_folder(tmp_path / "in", tmp_path / "out")
    assert store.names.names == ("one", "three")
    (entry,) = refused(store).values()
    assert (entry.path, entry.reason, entry.detail) == ("two/", "unreadable", "Permission denied")
    (tmp_path / "in").rename(tmp_path / "two")
    with pytest.raises(SourceError, match=r"has no recordings \(.*two: Permission denied\); expected"):
        prepare_folder(tmp_path / "two", tmp_path / "nothing")


def test_files_that_are_skipped_are_counted(
    word_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(word_folder, tmp_path / "in")
    prepare_folder(tmp_path / "in", tmp_path / "clean")
    assert "files skipped" not in capsys.readouterr().out
    for name in ("a.txt", "one/b.TXT", "two/c.txt", "two/d.md", "README", ".hidden.md"):
        (tmp_path / "in" / name).write_text("words")
    prepare_folder(tmp_path / "in", tmp_path / "out")
    assert "5 files skipped: .txt 3, .md 1, without suffix 1" in capsys.readouterr().out.splitlines()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("words")
    with pytest.raises(SourceError, match=r"has no recordings \(1 file skipped: .txt 1\); expected"):
        prepare_folder(tmp_path / "texts", tmp_path / "nothing")


def test_an_unusable_folder_is_refused(tmp_path: Path, command: Command) -> None:
    done = command("data_prep/audio_folder.py", "--source", tmp_path / "nothing", "--out", tmp_path / "out")
    assert_refused(done, "no such file or folder")
    with pytest.raises(SourceError, match="has no recordings; expected FOLDER/label/"):
        prepare_folder(tmp_path, tmp_path / "out")
    write_word(tmp_path / "in" / "loose.wav")
    with pytest.raises(StoreError, match=r"none of the 1 inputs could be kept: 0 kept, 1 refused \(1 no_label\)"):
        prepare_folder(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speaker_pattern": "("}, "is not a regular expression"),
        ({"speaker_pattern": "s[0-9]"}, "has 0 groups, expected one"),
        ({"valid_percent": 60, "test_percent": 50}, "less than 100 together"),
        ({"limit": 0}, "--limit 0, expected at least 1"),
        ({"workers": 0}, "--workers 0, expected at least 1"),
        ({"label_column": "word"}, "--label-column word is for a table, but --source is a folder; give --table as"),
    ],
)
def test_senseless_options_are_refused(
    word_folder: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        prepare_folder(word_folder, tmp_path / "out", **options)
    assert message in str(caught.value)


# tables


def write_table(folder: Path, content: str, name: str = "table.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def test_a_table_names_files_labels_splits_and_speakers(tmp_path: Path) -> None:
    for take in range(4):
        write_word(tmp_path / "clips" / f"{take}.wav", take=take)
    table = write_table(
        tmp_path,
        "path,label,split,speaker\nclips/2.wav,yes,Train,ada\nclips/0.wav,no,dev,ben\nclips/1.wav,no,testing,cleo\n",
    )
    store = prepare_folder(table, tmp_path / "out", name="mine", licence="CC0")
    rows = {
        name: [store[name].ids[0], store[name].labels[0], store[name].column("speaker")[0]] for name in store.counts
    }
    assert rows == {
        "train": ["clips/2.wav", "yes", "ada"],
        "valid": ["clips/0.wav", "no", "ben"],
        "test": ["clips/1.wav", "no", "cleo"],
    }
    assert (store.sources, store.licence) == (("mine",), "CC0")


def test_speakers_of_a_table_keep_to_one_split(tmp_path: Path) -> None:
    lines = ["file,word,who"]
    for speaker in range(30):
        for take in range(2):
            write_word(tmp_path / f"{speaker}-{take}.wav", 0, speaker, take)
            lines.append(f"{speaker}-{take}.wav,hello,voice {speaker}")
    table = write_table(tmp_path, "\n".join(lines))
    columns = {"path_column": "file", "label_column": "word", "speaker_column": "who"}
    store = prepare_folder(table, tmp_path / "out", valid_percent=25, test_percent=25, **columns)
    speakers = {split: set(store[split].column("speaker")) for split in store.counts}
    assert set(speakers) == {"train", "valid", "test"}
    assert sum(map(len, speakers.values())) == 30


def test_rows_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    write_word(tmp_path / "a.wav")
    table = write_table(tmp_path, "path,label\na.wav,yes\nb.wav,yes\na.wav,\n,no\n")
    store = prepare_folder(table, tmp_path / "out", valid_percent=0, test_percent=0)
    assert {name: (str(entry.reason), entry.detail) for name, entry in refused(store).items()} == {
        "b.wav": ("missing", "no such file"),
        "a.wav#3": ("no_label", "has neither label nor text, so there is nothing to learn from it"),
        "table.csv#4": ("missing", "its row in the table has no path"),
    }
    assert store["train"].ids == ["a.wav"]


def test_one_recording_may_come_twice_in_a_table(tmp_path: Path) -> None:
    write_word(tmp_path / "a.wav")
    table = write_table(tmp_path, "path,label\na.wav,yes\na.wav,loud\n")
    store = prepare_folder(table, tmp_path / "out", valid_percent=0, test_percent=0)
    assert dict(zip(store["train"].ids, store["train"].labels, strict=True)) == {"a.wav": "yes", "a.wav#2": "loud"}


def test_a_column_that_is_not_there_is_refused_with_those_there(tmp_path: Path, command: Command) -> None:
    write_word(tmp_path / "a.wav")
    table = write_table(tmp_path, "clip,what\na.wav,yes\n")
    done = command("data_prep/audio_folder.py", "--source", table, "--out", tmp_path / "out")
    assert_refused(
        done, "has no column 'path' or 'audio' and none 'label' or 'text'",
        "clip, what as --path-column and --label-column or --text-column",
    )  # fmt: skip
    with pytest.raises(SourceError, match=r"no column 'label' or 'text'; .* clip, what as --label-column"):
        prepare_folder(table, tmp_path / "out", path_column="clip")
    columns = {"path_column": "clip", "label_column": "what"}
    with pytest.raises(SourceError, match="has no column 'part'; it has clip, what"):
        prepare_folder(table, tmp_path / "out", split_column="part", **columns)


def test_a_column_of_other_things_than_files_is_named_row_by_row(tmp_path: Path) -> None:
    write_word(tmp_path / "a.wav")
    table = write_table(tmp_path, f"path,label\na.wav,yes\n{300 * 'long '},yes\na.wav/b.wav,yes\n")
    store = prepare_folder(table, tmp_path / "out", valid_percent=0, test_percent=0)
    reasons = [str(entry.reason) for entry in refused(store).values()]
    assert reasons == ["unreadable", "unreadable"]
    assert store["train"].ids == ["a.wav"]


def test_an_unknown_split_is_refused_with_its_row(tmp_path: Path) -> None:
    write_word(tmp_path / "a.wav")
    table = write_table(tmp_path, "path,label,split\na.wav,yes,train\na.wav,yes,fold 3\n")
    with pytest.raises(SourceError, match="row 2: unknown split 'fold 3', expected train, valid, test"):
        prepare_folder(table, tmp_path / "out")


def test_a_table_may_lie_elsewhere_and_tell_texts(tmp_path: Path) -> None:
    for take in range(3):
        write_word(tmp_path / "clips" / f"{take}.wav", take=take)
    lists = write_table(
        tmp_path / "lists",
        "sound\tsaid\twho\thow\tpart\n0.wav\tgood morning\tada\tclean\ttrain\n1.wav\tgood night\tben\tnoisy\tdev\n"
        "2.wav\tfarewell\tcleo\tclean\ttest\n",
        "words.tsv",
    )
    columns = {"path": "sound", "text": "said", "speaker": "who", "condition": "how", "split": "part"}
    options = {f"{field}_column": name for field, name in columns.items()}
    store = prepare_folder(tmp_path / "clips", tmp_path / "out", table=lists, **options)
    assert {split: store[split].column("text") for split in store.counts} == {
        "train": ["good morning"],
        "valid": ["good night"],
        "test": ["farewell"],
    }
    assert store["valid"].column("condition") + store["valid"].column("speaker") == ["noisy", "ben"]
    assert store["train"].labels == [""]
    assert store.vocabulary is None


def test_two_tables_are_one_too_many(tmp_path: Path) -> None:
    table = write_table(tmp_path, "path,label\na.wav,yes\n")
    with pytest.raises(OptionError, match="are two tables; give --source a folder"):
        prepare_folder(table, tmp_path / "out", table=table)


def test_a_pattern_for_names_is_refused_beside_a_table(tmp_path: Path) -> None:
    table = write_table(tmp_path, "path,label\na.wav,yes\n")
    for options in ({"source": table}, {"source": tmp_path, "table": table}):
        with pytest.raises(OptionError, match=r"--speaker-pattern '\(\(' is for a folder without a table"):
            prepare_folder(out=tmp_path / "out", speaker_pattern="((", **options)


def test_accents_are_composed_however_disk_and_table_write_them(tmp_path: Path) -> None:
    composed = {name: unicodedata.normalize("NFC", name) for name in ("Zoë", "größe", "né.wav")}
    apart = {name: unicodedata.normalize("NFD", name) for name in composed}
    write_word(tmp_path / apart["né.wav"])
    table = write_table(
        tmp_path, f"path,label,text,speaker\n{composed['né.wav']},{apart['größe']},{apart['größe']},{apart['Zoë']}\n"
    )
    store = prepare_folder(table, tmp_path / "out", valid_percent=0, test_percent=0)
    split = store["train"]
    assert [split.labels, split.column("text"), split.column("speaker")] == [["größe"], ["größe"], ["Zoë"]]
    assert store.names.names == ("größe",)


# the options that all speech preparations share


def test_samples_can_be_kept_in_place_of_features(digits: Path, tmp_path: Path) -> None:
    kept, features = (prepare_fsdd(digits, tmp_path / keep, keep=keep) for keep in ("samples", "features"))
    assert (kept.kind, features.kind) == ("audio", "features")
    assert kept["test"].ids == features["test"].ids
    samples, _ = soundfile.read(digits / "recordings" / "1_ben_0.wav", dtype="int16")
    np.testing.assert_array_equal(kept["test"].sequence(kept["test"].ids.index("1_ben_0")), samples)
    assert kept.normalisation
    assert features.normalisation
    np.testing.assert_allclose(kept.normalisation.mean, features.normalisation.mean, rtol=1e-6)


def test_an_update_is_equal_to_preparing_anew(tmp_path: Path) -> None:
    source = write_digits(tmp_path / "in")
    prepare_fsdd(source, tmp_path / "out")
    write_word(source / "1_ada_10.wav", word=2)
    write_word(source / "0_dora_10.wav", speaker=3)
    with pytest.raises(StoreError, match="--update to redo what changed"):
        prepare_fsdd(source, tmp_path / "out")
    updated = prepare_fsdd(source, tmp_path / "out", update=True)
    assert updated.fingerprint == prepare_fsdd(source, tmp_path / "new").fingerprint
    assert rows(updated)["train"] == 13


def test_the_executor_of_a_cluster_does_the_work(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    @contextmanager
    def cluster(address: str) -> Iterator[Executor]:
        asked.append(address)
        with ThreadPoolExecutor(2) as threads:
            yield threads

    monkeypatch.setattr("seqaudio.prepare.speech.options.dask_executor", cluster)
    store = prepare_fsdd(digits, tmp_path / "dask", dask="tcp://10.0.0.1:8786")
    assert asked == ["tcp://10.0.0.1:8786"]
    assert store.fingerprint == prepare_fsdd(digits, tmp_path / "here").fingerprint


# real corpora


@pytest.mark.data
def test_the_digit_corpus_has_the_samples_and_counts_that_its_script_tells(data_folder: Path, tmp_path: Path) -> None:
    source = data_folder / "speech" / "fsdd"
    assert samples_digest(source / "recordings") == fsdd.SAMPLES_SHA256
    items = fsdd.list_items(source, "theo")
    assert Counter(item.split for item in items) == fsdd.EXPECTED_LEFT_OUT
    store = prepare_fsdd(source, tmp_path / "out")
    assert {split: count.rows for split, count in store.counts.items()} == fsdd.EXPECTED
    assert refused(store) == {}
    assert all(set(count.labels.values()) == {count.rows // 10} for count in store.counts.values())


@pytest.mark.data
def test_a_folder_of_odd_formats_is_prepared(data_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")  # for a FLAC in which libsndfile loses its place
    table = data_folder / "speech" / "odd_formats" / "index.tsv"
    columns = {"path_column": "file", "label_column": "note"}
    store = prepare_folder(table, tmp_path / "out", valid_percent=0, test_percent=0, **columns)
    assert not refused(store)
    assert store.counts["train"].rows == 22


@pytest.mark.data
def test_speech_commands_keep_their_official_splits(data_folder: Path) -> None:
    columns = {"path_column": "file", "label_column": "word"}
    table = data_folder / "speech" / "speech_commands" / "index.tsv"
    config = audio_folder.Config(source=table, out=Path("out"), **columns)
    items = audio_folder.list_table(table, table.parent, config).items
    assert Counter(item.split for item in items) == {"train": 2175, "valid": 505, "test": 497}
    speakers = [{item.speaker for item in items if item.split == split} for split in ("train", "valid", "test")]
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == 986
    assert audio_folder.fill_splits(items, 10, 10).items == items
