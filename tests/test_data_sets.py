"""Data sets of Hugging Face and torchaudio, and frames of librosa, give the rows that their recordings give."""

from __future__ import annotations

import io
import json
import pickle  # noqa: TID251  # workers get items so
import random
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from test_build_store import bytes_of

from conftest import RATE, Command, assert_refused, spoken
from seqaudio.audio import read_audio, read_audio_bytes
from seqaudio.errors import AudioError, OptionError, SourceError, StoreError
from seqaudio.features import FeatureExtractor, feature_settings
from seqaudio.interruption import Interrupted
from seqaudio.ledger import Reason, Status, read_ledger
from seqaudio.prepare.corpora.hub_tables import FileRows, HeldCell, choose_splits, find_tables
from seqaudio.prepare.speech import data_sets
from seqaudio.prepare.speech.data_sets import store_from_datasets, store_from_torchaudio
from seqaudio.prepare.speech.frames import Frames, store_from_frames
from seqaudio.store import LEDGER, SPLITS, Store

WORDS = ("one", "two")
FORMATS = ("wav", "flac", "ogg", "mp3")


def encoded(samples: np.ndarray, kind: str) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format=kind.upper())
    return content.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FOLDER/word/speaker_take: all kinds of files, damaged ones too, and one of more than a mebibyte."""
    folder = tmp_path_factory.mktemp("recordings") / "words"
    for word, label in enumerate(WORDS):
        (folder / label).mkdir(parents=True)
        for speaker in range(4):
            for take in range(4):
                kind = FORMATS[take] if speaker == 0 else "wav"
                content = encoded(spoken(word, speaker, take), kind)
                (folder / label / f"s{speaker}_{take}.{kind}").write_bytes(content)
    (folder / "one" / "cut.flac").write_bytes((folder / "one" / "s0_1.flac").read_bytes()[:300])
    (folder / "one" / "empty.wav").write_bytes(b"")
    (folder / "two" / "text.wav").write_bytes(b"no sound at all")
    (folder / "two" / "long.wav").write_bytes(encoded(np.tile(spoken(1, 1, 1), 200), "wav"))
    return folder


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the folder."""
    from in_process import run_in_process

    out = tmp_path_factory.mktemp("plain") / "store"
    arguments = ["prepare", "audio_folder", "--source", str(folder), "--out", str(out), "--sample-rate", str(RATE)]
    done = run_in_process(None, arguments, folder)
    assert done.returncode == 0, done.stderr
    return out


def table_of(folder: Path, held: bool = True) -> pa.Table:
    """The folder as Hugging Face keeps it, in order of paths."""
    files = sorted(path for path in folder.rglob("*.*"))
    cells = [
        {"bytes": path.read_bytes() if held else None, "path": path.relative_to(folder).as_posix()} for path in files
    ]
    columns = {
        "audio": pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "label": pa.array([WORDS.index(path.parent.name) for path in files], pa.int64()),
    }
    return pa.table(columns).replace_schema_metadata(described({"label": {"names": WORDS, "_type": "ClassLabel"}}))


def described(features: Mapping[str, Any]) -> dict[str, str]:
    return {"huggingface": json.dumps({"info": {"features": {"audio": {"_type": "Audio"}} | features}})}


def saved(table: pa.Table, folder: Path) -> Path:
    """A folder as `save_to_disk` writes it, with a cache that does not count."""
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    for name in ("data-00000-of-00001.arrow", "cache-1.arrow"):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    return folder


def in_parquet(table: pa.Table, folder: Path, name: str = "train-00000-of-00001") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=7)
    return folder


LAYOUTS: dict[str, Callable[[pa.Table, Path], Path]] = {"saved": saved, "parquet": in_parquet}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_data_set_gives_the_very_store_that_its_files_give(
    folder: Path, plain: Path, layout: str, command: Command, tmp_path: Path
) -> None:
    source = LAYOUTS[layout](table_of(folder), tmp_path / "data")
    options = ("--source", source, "--out", tmp_path / "store", "--sample-rate", str(RATE))
    done = command("seqaudio", "prepare", "huggingface", *options)
    assert done.returncode == 0, done.stderr
    assert "36 rows, columns audio → path, label" in done.stdout
    assert bytes_of(tmp_path / "store") == bytes_of(plain)
    refused = {entry.path: entry.reason for entry in Store(plain).ledger() if entry.status is Status.REFUSED}
    assert refused.keys() == {"one/cut.flac", "one/empty.wav", "two/text.wav"}


@pytest.mark.slow
def test_workers_read_their_own_rows(folder: Path, plain: Path, tmp_path: Path) -> None:
    source = in_parquet(table_of(folder), tmp_path / "data")
    store_from_datasets(source, tmp_path / "store", sample_rate=RATE, workers=2)
    assert bytes_of(tmp_path / "store") == bytes_of(plain)


def test_held_bytes_travel_to_workers(folder: Path, tmp_path: Path) -> None:
    source = in_parquet(table_of(folder), tmp_path / "data")
    items = data_sets.list_rows(find_tables(source), source, {}, {}).items
    there = pickle.loads(pickle.dumps(items))  # noqa: S301  # made here
    assert len(pickle.dumps(items)) < 30_000
    for item, again in reversed(list(zip(items, there, strict=True))):  # also from behind
        assert again.held.read() == item.held.read() == (folder / item.key).read_bytes()


def test_paths_without_bytes_are_the_files(folder: Path, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copytree(folder, tmp_path / "data", dirs_exist_ok=True)
    in_parquet(table_of(folder, held=False), tmp_path / "data")
    store_from_datasets(tmp_path / "data", tmp_path / "store", sample_rate=RATE)
    assert bytes_of(tmp_path / "store") == bytes_of(plain)


def test_an_update_redoes_what_changed_alone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(source: Path, out: str, **options: bool) -> list[str]:
        """The recordings that were read for their features."""
        read: list[str] = []
        original = data_sets.build_speech_store.__globals__["ExtractFeatures"].recording
        with monkeypatch.context() as patch:
            patch.setattr(
                "seqaudio.prepare.speech.recordings.ExtractFeatures.recording",
                lambda self, item: (read.append(item.key), original(self, item))[1],
            )
            store_from_datasets(source, tmp_path / out, sample_rate=RATE, **options)
        return read

    table = table_of(folder)
    source = in_parquet(table, tmp_path / "before")
    assert len(prepare(source, "store")) == 36
    assert prepare(source, "store", update=True) == []
    cells = table.column("audio").to_pylist()
    cells[-1] = {"bytes": encoded(spoken(0, 9, 9), "wav"), "path": cells[-1]["path"]}
    changed = in_parquet(table.set_column(0, "audio", pa.array(cells, table.schema.field(0).type)), tmp_path / "after")
    assert prepare(changed, "store", update=True) == [cells[-1]["path"]]
    prepare(changed, "anew")
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "anew")


def test_an_interrupted_preparation_goes_on_where_it_was(
    folder: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = in_parquet(table_of(folder), tmp_path / "data")
    read: list[str] = []
    original = HeldCell.read

    def stopping(cell: HeldCell) -> bytes:
        read.append(cell.stamp)
        if len(read) == 20:
            raise KeyboardInterrupt
        return original(cell)

    monkeypatch.setattr(HeldCell, "read", stopping)
    with pytest.raises(Interrupted, match="give the same command again"):
        store_from_datasets(source, tmp_path / "store", sample_rate=RATE)
    store_from_datasets(source, tmp_path / "store", sample_rate=RATE)
    rows = [int(stamp.split()[-1]) for stamp in read]
    assert rows[:20] == list(range(20))
    assert rows[20] == 16  # behind the chunk of 16 that was finished
    assert bytes_of(tmp_path / "store") == bytes_of(plain)


def test_splits_speakers_and_texts_are_those_of_the_data_set(folder: Path, tmp_path: Path) -> None:
    wav = encoded(spoken(0, 0, 0), "wav")
    for name, count in (("train.clean", 3), ("validation", 2), ("other", 1)):
        table = pa.table({
            "recording": pa.array([wav] * count),
            "sentence": [f"Çay {name} {row}" for row in range(count)],
            "client_id": pa.array([7] * count, pa.int32()),
            "accent": [["a", "b"]] * count,
        })  # fmt: skip
        in_parquet(table, tmp_path / "data" / "data", f"{name}-00000-of-00001")
    store = store_from_datasets(tmp_path / "data", tmp_path / "store", splits={"other": "test"}, sample_rate=RATE)
    assert {name: count.rows for name, count in store.counts.items()} == {"train": 3, "valid": 2, "test": 1}
    assert store["train"].column("text") == [f"Çay train.clean {row}" for row in range(3)]
    assert store["test"].column("speaker") == ["7"]
    assert store["valid"].ids == ["validation-0", "validation-1"]
    store = store_from_datasets(
        tmp_path / "data", tmp_path / "left", splits={"other": "none"}, sample_rate=RATE, source="Çay", licence="CC0"
    )
    assert "test" not in store.counts
    assert (store.sources, store.licence) == (("Çay",), "CC0")


@pytest.mark.parametrize(
    ("names", "given", "expected"),
    [
        (["train", "validation", "test"], {}, {"train": "train", "validation": "valid", "test": "test"}),
        (["train.100", "dev-other", "eval"], {}, {"train.100": "train", "dev-other": "valid", "eval": "test"}),
        (["train"], {}, {"train": ""}),
        (["all"], {}, {"all": ""}),
        (["train"], {"train": "train"}, {"train": "train"}),
        (["test"], {}, {"test": "test"}),
        (["train", "x"], {"x": "none"}, {"train": "train", "x": None}),
    ],
)
def test_names_of_splits_are_understood(names: list[str], given: dict[str, str], expected: dict[str, str]) -> None:
    assert choose_splits(names, given) == expected


def test_rows_of_one_name_keep_apart(tmp_path: Path) -> None:
    wavs = [encoded(spoken(0, 0, take), "wav") for take in range(3)]
    cells = [{"bytes": wav, "path": name} for wav, name in zip(wavs, ("a.wav", "a.wav", None), strict=True)]
    source = in_parquet(pa.table({"audio": cells, "label": ["x"] * 3}), tmp_path / "data")
    store = store_from_datasets(
        source, tmp_path / "store", splits={"train": "train"}, sample_rate=RATE, valid_percent=0
    )
    assert store["train"].ids == ["a.wav", "a.wav#train-1", "train-2"]


def test_categories_and_fields_without_a_value_are_understood(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for take in range(2):
        (tmp_path / "data" / f"{take}.wav").write_bytes(encoded(spoken(0, 0, take), "wav"))
    cells = [{"bytes": None, "path": f"{take}.wav"} for take in range(2)]  # their bytes are of the type null
    labels = pa.array(["yes", "no"]).dictionary_encode()
    source = in_parquet(pa.table({"audio": cells, "label": labels}), tmp_path / "data")
    store = store_from_datasets(
        source, tmp_path / "store", splits={"train": "train"}, sample_rate=RATE, valid_percent=0
    )
    assert store["train"].ids == ["0.wav", "1.wav"]
    assert store.names.names == ("no", "yes")


BAD: dict[str, tuple[dict[str, list[Any]], tuple[str, ...], str]] = {
    "no labels": ({"audio": [b"x"], "class": ["a"]}, (), "no column 'label' or 'text'"),
    "no recordings": (
        {"label": ["a"]},
        (),
        "has no column 'path' or 'audio'; give the right one of label as --audio-c",
    ),
    "paths that are numbers": ({"audio": [{"path": 1}], "label": ["a"]}, (), "expected recordings: bytes, paths, or"),
    "bytes that are texts": ({"audio": [{"bytes": "x"}], "label": ["a"]}, (), "expected recordings: bytes, paths, or"),
    "a NUL in a path": ({"audio": ["a\0b"], "label": ["a"]}, (), "none of the 1 inputs could be kept: 0 kept, 1 refus"),
    "a column of lists": ({"audio": [b"x"], "label": [["a"]]}, (), "the column 'label' is list<"),
    "numbers as recordings": (
        {"audio": [1.5], "label": ["a"]},
        (),
        "the column 'audio' is double, expected recordings",
    ),
    "an unknown column": ({"audio": [b"x"], "label": ["a"]}, ("--text-column", "words"), "has no column 'words'"),
    "an unknown split": (
        {"audio": [b"x"], "label": ["a"]},
        ("--split-map", "tset=test"),
        "no such split; did you mean",
    ),
    "half a split": ({"audio": [b"x"], "label": ["a"]}, ("--split-map", "test"), "expected NAME=SPLIT"),
    "a split of no kind": (
        {"audio": [b"x"], "label": ["a"]},
        ("--split-map", "test=tset"),
        "expected train, valid, te",
    ),
    "nothing that sounds": (
        {"audio": [b"x"], "label": ["a"]},
        (),
        "none of the 1 inputs could be kept: 0 kept, 1 refused (1 not_audio)",
    ),
    "two sources": ({"audio": [b"x"], "label": ["a"]}, ("--hub", "a/b"), "got both --source and --hub, expected one"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_what_cannot_be_prepared_is_one_line(command: Command, tmp_path: Path, name: str) -> None:
    columns, options, words = BAD[name]
    in_parquet(pa.table(columns), tmp_path / "data", "test-00000-of-00001")
    done = command(
        "seqaudio", "prepare", "huggingface", "--source", tmp_path / "data", "--out", tmp_path / "s", *options
    )
    assert_refused(done, words)
    assert not (tmp_path / "s").exists()


def test_columns_of_one_name_and_classes_without_a_list_are_one_line(command: Command, tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array([b"x"]), pa.array(["a"]), pa.array(["b"])], ["audio", "label", "label"])
    unnamed = b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 3}}}}'
    classes = pa.table({"audio": [b"x"], "label": [0]}).replace_schema_metadata({b"huggingface": unnamed})
    for name, table, words in (
        ("twice", twice, "several columns 'label'"),
        ("classes", classes, "1 refused (1 no_lab"),
    ):
        source = in_parquet(table, tmp_path / name)
        done = command("seqaudio", "prepare", "huggingface", "--source", source, "--out", tmp_path / "s")
        assert_refused(done, words)
        assert not (tmp_path / "s").exists()


def test_folders_that_hold_no_data_set_are_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("x")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.json").write_text('{"_data_files": [{"filename": "../../x.arrow"}]}')
    (tmp_path / "text.parquet").write_text("x")
    for source, words in (
        (tmp_path / "none", "no such file or folder"),
        (tmp_path / "state", "are not names of this folder"),
        (tmp_path / "text.parquet", "not a readable parquet file"),
        (tmp_path / "other.txt", "not a readable txt file"),
    ):
        assert_refused(command("data_prep/huggingface.py", "--source", source, "--out", tmp_path / "s"), words)
    assert_refused(
        command("data_prep/huggingface.py", "--out", tmp_path / "s"), "got neither --source nor --hub, expected one"
    )


def test_damaged_tables_are_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    files = (
        in_parquet(table_of(folder).slice(0, 12), tmp_path / "p") / "train-00000-of-00001.parquet",
        saved(table_of(folder).slice(0, 12), tmp_path / "s") / "data-00000-of-00001.arrow",
    )
    refused = 0
    for seed in range(60):
        draw, file = random.Random(seed), files[seed % 2]
        content = bytearray(file.read_bytes())
        for _ in range(draw.choice((1, 4))):
            content[draw.choice((draw.randrange(len(content)), -draw.randrange(1, 3000)))] = draw.randrange(256)
        damaged = tmp_path / f"damaged{seed}{file.suffix}"
        damaged.write_bytes(content)
        try:
            rows = FileRows.of(damaged)
            for row, cell in enumerate(rows.listed("audio", ["label"])):
                assert cell.size is None or isinstance(rows.content("audio", row), bytes)
        except (SourceError, AudioError) as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 5


def test_bytes_are_read_as_their_file_is(folder: Path, tmp_path: Path) -> None:
    for path in sorted(folder.rglob("*.*")):
        try:
            expected = read_audio(path, RATE)
        except AudioError as error:
            with pytest.raises(AudioError) as caught:
                read_audio_bytes(path.read_bytes(), "a/name.wav")
            assert (caught.value.reason, caught.value.detail) == (error.reason, error.detail)
            assert caught.value.path == Path("a/name.wav")
            continue
        found = read_audio_bytes(path.read_bytes(), path.name, RATE)
        assert np.array_equal(found.samples, expected.samples), path
    with pytest.raises(AudioError, match="without a header"):
        read_audio_bytes(b"xxxx", "x.raw")


# --- objects of the package datasets ---


def dataset_of(table: pa.Table) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset(table)


def content_of(store: Store) -> list[tuple[str, bytes]]:
    """Label and frames of every row, whatever its name and split."""
    splits = [store[split] for split in store.counts]
    return sorted((label, split.sequence(row).tobytes()) for split in splits for row, label in enumerate(split.labels))


def test_objects_of_datasets_give_the_same_store(folder: Path, plain: Path, tmp_path: Path) -> None:
    data = dataset_of(table_of(folder))
    assert type(data.features["audio"]).__name__ == "Audio"
    store_from_datasets(data, tmp_path / "memory", sample_rate=RATE)
    assert bytes_of(tmp_path / "memory") == bytes_of(plain)
    data.save_to_disk(tmp_path / "disk")
    # save_to_disk keeps the last part of paths alone, by which splits are drawn here
    rows = store_from_datasets(tmp_path / "disk", tmp_path / "saved", sample_rate=RATE)
    assert content_of(rows) == content_of(Store(plain))
    backwards = data.select(range(len(data) - 1, -1, -1))  # rows by an index, in another order
    store = store_from_datasets(backwards, tmp_path / "backwards", sample_rate=RATE)
    for split in SPLITS:
        assert store[split].ids == Store(plain)[split].ids[::-1]


def test_a_dictionary_of_datasets_has_its_splits_and_absolute_paths_leave_no_trace(
    folder: Path, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    files = sorted(folder.rglob("s*_*.*"))
    data = datasets.Dataset.from_dict({"audio": [str(file) for file in files], "word": [f.parent.name for f in files]})
    data = data.cast_column("audio", datasets.Audio(decode=False))
    parts = datasets.DatasetDict({"train": data.select(range(20)), "test": data.select(range(20, 32))})
    store = store_from_datasets(parts, tmp_path / "store", sample_rate=RATE, valid_percent=0, columns={"label": "word"})
    assert [store.counts[name].rows for name in ("train", "test")] == [20, 12]
    assert store["train"].ids[0] == "one/s0_0.wav"
    assert str(folder) not in (tmp_path / "store" / LEDGER).read_text()


def test_objects_that_cannot_be_used_are_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dataset_of(table_of(folder))
    with pytest.raises(OptionError, match="2 workers for a data set in memory, expected 1"):
        store_from_datasets(data, tmp_path / "s", workers=2)
    with pytest.raises(OptionError, match="got IterableDataset, expected a Dataset or DatasetDict"):
        store_from_datasets(data.to_iterable_dataset(), tmp_path / "s")
    with pytest.raises(OptionError, match="got a column of 'lable', expected audio"):
        store_from_datasets(data, tmp_path / "s", columns={"lable": "label"})


def test_the_hub_without_a_network_or_the_package_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    options = ("--hub", "a/b", "--out", tmp_path / "s")

    def offline(*args: Any, **more: Any) -> None:
        raise ConnectionError("Couldn't reach 'a/b' on the Hub\nmore")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    done = command("seqaudio", "prepare", "huggingface", *options)
    assert_refused(done, "Couldn't reach 'a/b' on the Hub); without a network, call save_to_disk on a machine")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert_refused(command("seqaudio", "prepare", "huggingface", *options), "pip install datasets")


def test_a_data_set_of_the_hub_is_prepared_as_an_object(
    folder: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    data = dataset_of(table_of(folder))
    monkeypatch.setattr(datasets, "load_dataset", lambda *names, revision: {"train": data, "test": data.select([0, 1])})
    options = ("--hub", "a/b", "--out", tmp_path / "s", "--sample-rate", str(RATE))
    done = command("seqaudio", "prepare", "huggingface", *options)
    assert done.returncode == 0, done.stderr
    assert "splits of the data set: train → train, test → test" in done.stdout
    assert Store(tmp_path / "s").sources == ("a/b",)


# --- torchaudio ---


class Waveforms(torch.utils.data.Dataset):
    """(waveform, rate, label, speaker), as data sets of torchaudio have them, in two channels."""

    def __init__(self, rows: Sequence[tuple[int, int, int]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int, str, int]:
        word, speaker, take = self.rows[row]
        samples = torch.from_numpy(spoken(word, speaker, take))
        return torch.stack([samples, samples]), RATE, WORDS[word], speaker


ROWS = [(word, speaker, take) for word in range(2) for speaker in range(6) for take in range(2)]
PLACES = {"label": 2, "speaker": lambda item: f"s{item[3]}"}


def test_waveforms_give_the_frames_of_their_samples(tmp_path: Path) -> None:
    data = Waveforms(ROWS)
    store = store_from_torchaudio(data, tmp_path / "store", fields=PLACES, sample_rate=RATE)
    assert sum(count.rows for count in store.counts.values()) == len(ROWS)
    assert not set(store["train"].column("speaker")) & set(store["valid"].column("speaker"))
    extract = FeatureExtractor(feature_settings("default", RATE))
    for place, name in enumerate(store["train"].ids):
        waveform, _, label, speaker = data[int(name[-6:])]
        assert torch.equal(torch.from_numpy(store["train"].sequence(place).copy()), extract(waveform[0]))
        assert (store["train"].labels[place], store["train"].column("speaker")[place]) == (label, f"s{speaker}")
    again = store_from_torchaudio(data, tmp_path / "again", fields=PLACES, sample_rate=RATE)
    assert again.fingerprint == store.fingerprint


def test_speech_commands_of_torchaudio_are_read_from_their_files(folder: Path, tmp_path: Path) -> None:
    torchaudio = pytest.importorskip("torchaudio")
    root = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    for word in WORDS:
        (root / word).mkdir(parents=True)
        for speaker in range(4):
            for take in range(3):
                content = encoded(spoken(WORDS.index(word), speaker, take), "wav")
                (root / word / f"{speaker:08x}_nohash_{take}.wav").write_bytes(content)
    (root / "validation_list.txt").write_text(
        "".join(f"{w}/00000000_nohash_{t}.wav\n" for w in WORDS for t in range(3))
    )
    (root / "testing_list.txt").write_text("".join(f"{w}/00000001_nohash_{t}.wav\n" for w in WORDS for t in range(3)))
    parts = {
        subset: torchaudio.datasets.SPEECHCOMMANDS(tmp_path, subset=subset)
        for subset in ("training", "validation", "testing")
    }
    store = store_from_torchaudio(parts, tmp_path / "store", sample_rate=RATE)
    assert {name: count.rows for name, count in store.counts.items()} == {"train": 12, "valid": 6, "test": 6}
    assert set(store["valid"].column("speaker")) == {"00000000"}
    extract = FeatureExtractor(feature_settings("default", RATE))
    path = root / "one" / "00000002_nohash_0.wav"
    place = next(place for place, name in enumerate(store["train"].ids) if name.endswith("one/00000002_nohash_0.wav"))
    expected = extract(torch.from_numpy(read_audio(path).samples))
    assert torch.equal(torch.from_numpy(store["train"].sequence(place).copy()), expected)


def test_yesno_of_torchaudio_gives_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torchaudio = pytest.importorskip("torchaudio")
    (tmp_path / "waves_yesno").mkdir()
    for number in range(8):
        name = "_".join(format(number, "03b"))
        soundfile.write(tmp_path / "waves_yesno" / f"{name}.wav", spoken(0, 0, number), RATE)
    data = torchaudio.datasets.YESNO(tmp_path)

    def without_decoder(path: str) -> Any:
        raise ImportError("TorchCodec is required for load.\nMore lines.")

    def load(path: str) -> tuple[torch.Tensor, int]:  # as torchaudio does where torchcodec is there
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T), rate

    monkeypatch.setattr(torchaudio, "load", without_decoder)
    with pytest.raises(SourceError, match=r"torchaudio cannot decode it \(TorchCodec is required for load.\); install"):
        store_from_torchaudio(data, tmp_path / "none", sample_rate=RATE)
    monkeypatch.setattr(torchaudio, "load", load)
    store = store_from_torchaudio(data, tmp_path / "store", sample_rate=RATE)
    texts = {text for split in store.counts for text in store[split].column("text")}
    assert len(texts) == 8
    assert "no yes yes" in texts


def test_a_waveform_that_fails_or_is_not_finite_is_in_the_ledger(tmp_path: Path) -> None:
    class Failing(Waveforms):
        taken = 0

        def __getitem__(self, row: int) -> tuple[torch.Tensor, int, str, int]:
            waveform, *rest = super().__getitem__(row)
            if row == 3:
                self.taken += 1
                if self.taken > 1:
                    raise RuntimeError("the disk is gone")
            return (waveform * float("nan") if row == 1 else waveform, *rest)

    store_from_torchaudio(Failing(ROWS), tmp_path / "store", fields=PLACES, sample_rate=RATE)
    refused = [entry for entry in read_ledger(tmp_path / "store" / LEDGER) if entry.status is Status.REFUSED]
    assert [(entry.path, entry.reason) for entry in refused] == [
        ("failing-000001", Reason.NOT_FINITE),
        ("failing-000003", Reason.UNREADABLE),
    ]
    assert refused[1].detail == "RuntimeError: the disk is gone"


@pytest.mark.parametrize(
    ("data", "fields", "error", "words"),
    [
        (Waveforms(ROWS), None, OptionError, "got Waveforms with fields None, expected where label or text"),
        (Waveforms(ROWS), {"word": 2}, OptionError, "expected where label or text"),
        ({"x": Waveforms(ROWS)}, PLACES, OptionError, "got a split 'x', expected train, valid or test"),
        ([(1, 2)], PLACES, SourceError, "item 0 of list is tuple, expected"),
        ([(np.zeros((2, 3), np.int16), 8000, "a", "b")], PLACES, SourceError, r"a waveform of shape \(2, 3\) int16"),
    ],
)
def test_what_is_no_data_set_of_waveforms_is_one_line(
    data: Any, fields: Any, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        store_from_torchaudio(data, tmp_path / "store", fields=fields)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# --- frames ---


def mfcc(word: int, speaker: int, take: int) -> np.ndarray:
    librosa = pytest.importorskip("librosa")
    return librosa.feature.mfcc(y=spoken(word, speaker, take), sr=RATE, n_mfcc=13, n_fft=512, hop_length=128)


SETTINGS = feature_settings(f"librosa+coefficients=13+frame_length={512 / RATE}+frame_shift={128 / RATE}", RATE)


def test_frames_of_librosa_give_the_store_that_its_preset_gives(tmp_path: Path) -> None:
    rows = [Frames(f"{WORDS[word]}/{speaker}-{take}", mfcc(word, speaker, take), WORDS[word], speaker=str(speaker))
            for word, speaker, take in ROWS]  # fmt: skip
    store = store_from_frames(rows, tmp_path / "store", SETTINGS, licence="CC0")
    extract = FeatureExtractor(SETTINGS)
    for place, name in enumerate(store["train"].ids):
        word, speaker, take = ROWS[[row.id for row in rows].index(name)]
        samples = spoken(word, speaker, take)
        stored = store["train"].sequence(place)
        assert np.array_equal(stored, mfcc(word, speaker, take).T.astype(np.float32))
        np.testing.assert_allclose(stored, extract(torch.from_numpy(samples)).numpy(), atol=2e-2)
        assert store["train"].column("duration")[place] == pytest.approx(len(samples) / RATE, abs=0.02)
    train = np.concatenate([store["train"].sequence(place) for place in range(len(store["train"].ids))])
    assert store.normalisation is not None
    np.testing.assert_allclose(store.normalisation.mean, train.mean(axis=0), rtol=1e-4, atol=1e-4)
    assert store.settings["features"] == SETTINGS.to_dict()
    assert not set(store["train"].column("speaker")) & set(store["test"].column("speaker"))
    with pytest.raises(StoreError, match="exists"):
        store_from_frames(rows, tmp_path / "store", SETTINGS)


def test_frames_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    good = [Frames(f"g{number}", np.full((13, 5), number, np.float32), "x") for number in range(6)]
    nan = good[0].values.copy()
    nan[3, 2] = np.nan
    bad = [Frames("nan", nan, "x"), Frames("none", nan[:, :0], "x"), Frames("nameless", good[0].values)]
    store_from_frames([*good, *bad], tmp_path / "store", SETTINGS)
    refused = {e.path: e.reason for e in read_ledger(tmp_path / "store" / LEDGER) if e.status is Status.REFUSED}
    assert refused == {"nan": Reason.NOT_FINITE, "none": Reason.TOO_SHORT, "nameless": Reason.NO_LABEL}
    with pytest.raises(SourceError, match=r"w: \[5, 13\] float32, expected \[13, T\] .*; transpose it"):
        store_from_frames([Frames("w", good[0].values.T, "x")], tmp_path / "other", SETTINGS)
    with pytest.raises(OptionError, match="16000 Hz, and settings for 8000 Hz"):
        store_from_frames(good, tmp_path / "other", SETTINGS, sample_rate=16000)


def test_an_update_of_frames_sees_changed_values(tmp_path: Path) -> None:
    rows = [Frames(f"g{number}", np.full((13, 5), number, np.float32), "x", split="train") for number in range(4)]
    store_from_frames(rows, tmp_path / "store", SETTINGS, valid_percent=0)
    rows[2].values[:] = 7
    updated = store_from_frames(rows, tmp_path / "store", SETTINGS, valid_percent=0, update=True)
    assert np.all(updated["train"].sequence(2) == 7)


def test_files_of_splits_are_found_by_their_names_and_folders(tmp_path: Path) -> None:
    table = pa.table({"audio": [b"x"], "label": ["a"]})
    for place in (
        "a/train-00000-of-00002",
        "a/train-00001-of-00002",
        "b/test/0000",
        "b/extra-00000-of-00001",
        "c/0001",
    ):
        in_parquet(table, tmp_path / Path(place).parent, Path(place).name)
    found = [(name, rows.path.relative_to(tmp_path).as_posix()) for name, rows in find_tables(tmp_path)]
    assert found == [
        ("train", "a/train-00000-of-00002.parquet"),
        ("train", "a/train-00001-of-00002.parquet"),
        ("extra", "b/extra-00000-of-00001.parquet"),
        ("test", "b/test/0000.parquet"),
        ("", "c/0001.parquet"),
    ]
