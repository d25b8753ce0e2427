"""Wake words on made-up sets in the layout of the real ones, and on those themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from made_up_speech import RATE, prepare, refused, rows, script, write_word
from seqaudio.arrow_files import ArrowFile
from seqaudio.errors import OptionError, SourceError, StoreError
from seqaudio.files import sha256_of
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.store import Store, StoreDescription

wake_words = script("wake_words")

WORDS = ("computer", "view glass")
START, END = 0.1, 0.2  # seconds, of each word of the timed set


def write_set(folder: Path, lines: list[dict[str, str]]) -> Path:
    """A recording for each line of the table, and the table."""
    for number, line in enumerate(lines):
        write_word(folder / line["file"], len(line["word"]), number % 7, number)
    text = ["\t".join(lines[0]), *("\t".join(line.values()) for line in lines)]
    (folder / "index.tsv").write_text("\n".join(text) + "\n")
    return folder


def clips(count: int = 20) -> list[dict[str, str]]:
    return [{"file": f"{word}/{n}.flac".replace(" ", "_"), "word": word} for word in WORDS for n in range(count)]


def spoken_things() -> list[dict[str, str]]:
    """As in wake_precise: a word of two, named without a space, and things that are no wake word."""
    kinds = {"computer": "wake_word", "heycomputer": "wake_word", "not_wake_words": "not_wake_word"}
    return [{"file": f"{word}/{n}.flac", "word": word, "kind": kinds[word]} for word in kinds for n in range(10)]


def sentences(speakers: int = 10) -> list[dict[str, str]]:
    """As in wuw2: each speaker says each word alone and in a sentence; those of speaker 0 alone are not sure."""
    lines = []
    for speaker in range(speakers):
        for word in WORDS:
            for kind in ("alone", "in_sentence"):
                sure = not (speaker == 0 and kind == "alone")
                lines.append(
                    {
                        "file": f"{kind}/{speaker}_{word}.flac",
                        "word": word,
                        "kind": kind,
                        "speaker": f"s{speaker}",
                        "seconds": "0.25",
                        "word_start": str(START) if sure else "0",
                        "word_end": str(END) if sure else "0",
                        "word_in_text": "1",
                        "times_plausible": str(int(sure)),
                        "text": f"I say {word}",
                    }
                )
    return lines


def prepare_words(source: Path, out: Path, **options: object) -> Store:
    return prepare(wake_words, source, out, **options)


def labels(store: Store) -> Counter[str]:
    return Counter(label for split in store.counts for label in store[split].labels)


def test_clips_without_speakers_are_split_within_each_word_and_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = prepare_words(write_set(tmp_path / "wake_benchmark", clips()), tmp_path / "out")
    assert rows(store) == {"train": 28, "valid": 4, "test": 8}
    assert {split: Counter(store[split].labels) for split in store.counts} == {
        split: Counter(dict.fromkeys(WORDS, count)) for split, count in (("train", 14), ("valid", 2), ("test", 4))
    }
    told = capsys.readouterr()
    assert "speakers are unknown, so a voice may be in several" in told.out
    assert "warning: train 28, valid 4, test 8; the whole corpus has train 420, valid 60, test 120" in told.err
    assert store.sources == ("Picovoice wake word benchmark",)
    assert store.licence == "Apache-2.0"
    assert np.isnan(store["train"].word_times).all()


def test_things_that_are_no_wake_word_are_unknown(tmp_path: Path) -> None:
    source = write_set(tmp_path / "wake_precise", spoken_things())
    assert labels(prepare_words(source, tmp_path / "a")) == {"computer": 10, "hey computer": 10, "unknown": 10}
    one = prepare_words(source, tmp_path / "b", words=("hey computer",))
    assert labels(one) == {"hey computer": 10, "unknown": 20}
    alone = prepare_words(source, tmp_path / "c", words=("hey computer", "computer"), others=False)
    assert labels(alone) == {"hey computer": 10, "computer": 10}


@pytest.mark.parametrize("keep", ["features", "samples"])
def test_the_time_of_each_word_is_kept_and_no_speaker_is_in_two_splits(
    tmp_path: Path, keep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_set(tmp_path / "wuw2", sentences())
    store = prepare_words(source, tmp_path / "out", keep=keep)
    assert sum(rows(store).values()) == 38
    assert "2 recordings left out, since the word is not in them" in capsys.readouterr().out
    speakers = [set(store[split].column("speaker")) for split in store.counts]
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == 10
    for split in store.counts:
        held = store[split]
        assert held.word_times.tolist() == [[START, END]] * len(held)
        assert held.head(1).word_times.tolist() == [[START, END]]
        assert set(held.column("condition")) <= {"alone", "in_sentence"}
        assert all(text.startswith("I say ") for text in held.column("text"))


def test_one_part_can_be_chosen(tmp_path: Path) -> None:
    source = write_set(tmp_path / "wuw2", sentences())
    for part, count in (("alone", 18), ("in_sentence", 20)):
        store = prepare_words(source, tmp_path / part, part=part)
        assert {kind for split in store.counts for kind in store[split].column("condition")} == {part}
        assert sum(rows(store).values()) == count


def test_words_that_are_cut_out_keep_a_tenth_of_a_second_around_them(tmp_path: Path) -> None:
    source = write_set(tmp_path / "wuw2", sentences())
    whole, cut = (prepare_words(source, tmp_path / str(on), keep="samples", cut_words=on) for on in (False, True))
    for split in cut.counts:
        assert cut[split].ids == whole[split].ids
        # 0.3 s would end behind the 0.25 s that the table gives
        assert {len(samples) for samples in cut[split]} == {round(0.25 * RATE)}
        assert cut[split].word_times.tolist() == [[START, END]] * len(cut[split])
    late = [line | {"word_start": "0.15", "word_end": "0.24"} for line in sentences()]
    store = prepare_words(write_set(tmp_path / "late" / "wuw2", late), tmp_path / "out", keep="samples", cut_words=True)
    for split in store.counts:
        assert np.allclose(store[split].word_times, [0.1, 0.19])
        for name, samples in zip(store[split].ids, store[split], strict=True):
            same = whole[split].sequence(whole[split].ids.index(name)) if name in whole[split].ids else None
            assert same is None or np.array_equal(samples, same[round(0.05 * RATE) : round(0.25 * RATE)])


def test_an_update_equals_a_fresh_preparation(tmp_path: Path) -> None:
    lines = sentences()
    source = write_set(tmp_path / "wuw2", lines)
    prepare_words(source, tmp_path / "out")
    lines[5]["word_end"] = "0.21"
    write_set(source, lines)
    updated = prepare_words(source, tmp_path / "out", update=True)
    fresh = prepare_words(source, tmp_path / "fresh")
    assert updated.fingerprint == fresh.fingerprint
    assert sum(float(end) == 0.21 for split in fresh.counts for _, end in fresh[split].word_times) == 1


def test_a_split_that_the_table_gives_is_kept(tmp_path: Path) -> None:
    lines = [line | {"split": "test" if n % 5 == 0 else "train"} for n, line in enumerate(clips())]
    store = prepare_words(write_set(tmp_path / "wake_words", lines), tmp_path / "out")
    assert store["test"].ids == [line["file"] for line in lines if line["split"] == "test"]
    assert rows(store) == {"train": 29, "valid": 3, "test": 8}
    lines[3]["split"] = "blue"
    with pytest.raises(SourceError, match=r"index.tsv, line 5: unknown split 'blue'"):
        prepare_words(write_set(tmp_path / "wake_words", lines), tmp_path / "other")


def test_a_recording_that_is_missing_is_named(tmp_path: Path) -> None:
    source = write_set(tmp_path / "wake_benchmark", clips())
    (source / "computer" / "3.flac").unlink()
    store = prepare_words(source, tmp_path / "out")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {"computer/3.flac": "missing"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": ("jarvis",)}, r"the word 'jarvis' has no recordings"),
        ({"part": "alone"}, r"--part alone is for wuw2: wake_benchmark has no such part"),
        ({"cut_words": True}, r"--cut-words is for wuw2: wake_benchmark does not have the times of words"),
        ({"valid_percent": 60.0, "test_percent": 50.0}, r"valid 60.0 % and test 50.0 %, expected"),
    ],
)
def test_options_that_cannot_be_met_are_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    source = write_set(tmp_path / "wake_benchmark", clips(3))
    with pytest.raises(OptionError, match=message):
        prepare_words(source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_set_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wuw2").mkdir()
    with pytest.raises(SourceError, match=r"has no index.tsv, .* use seqaudio prepare audio_folder"):
        prepare_words(tmp_path / "wuw2", tmp_path / "out")
    with pytest.raises(SourceError, match="no such folder; give the folder of the set"):
        prepare_words(tmp_path / "none" / "wuw2", tmp_path / "out")
    with pytest.raises(OptionError, match="its name is that of no set; give --set, one of wake_benchmark"):
        prepare_words(tmp_path, tmp_path / "out")
    other = write_set(tmp_path / "mine", clips(5))
    assert sum(rows(prepare_words(other, tmp_path / "named", set="wake_benchmark")).values()) == 10


def test_times_that_are_none_are_refused(tmp_path: Path) -> None:
    lines = sentences(3)
    lines[6]["word_end"] = "0.05"
    with pytest.raises(SourceError, match=r"line 8: the word from '0.1' to '0.05', expected seconds"):
        prepare_words(write_set(tmp_path / "wuw2", lines), tmp_path / "out")


# the columns


@dataclass(frozen=True)
class Timed:
    """Frames with a word whose time the item's text gives."""

    def __call__(self, item: Item) -> list[Row]:
        start, end = map(float, item.text.split())
        return [Row(item.id, np.zeros((3, 2), np.float32), 0.3, word_start=start, word_end=end)]


def build(folder: Path, *texts: str, **settings: object) -> Store:
    items = [Item(f"{n}", None, f"{n}", "train", "word", text) for n, text in enumerate(texts)]
    return build_store(folder, items, Timed(), StoreDescription("features", {"features": {}, **settings}))


def test_times_of_rows_are_stored_where_the_settings_say_so(tmp_path: Path) -> None:
    assert build(tmp_path / "a", "0.1 0.2", "0 0.3", word_times=True)["train"].word_times.tolist() == [
        [0.1, 0.2],
        [0.0, 0.3],
    ]
    without = build(tmp_path / "b", "0.1 0.2")["train"]
    assert "word_start" not in without.fields(0)
    assert np.isnan(without.word_times).all()


@pytest.mark.parametrize("text", ["0.2 0.1", "-0.1 0.2", "0.1 nan", "0.1 inf"])
def test_a_word_that_ends_before_it_begins_is_not_stored(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="expected an end after the start"):
        build(tmp_path / "store", "0.1 0.2", text, word_times=True)


@pytest.mark.parametrize(("start", "end"), [(0.2, 0.1), (-1.0, 0.1), (0.1, np.nan), (0.1, np.inf), (np.nan, 0.1)])
def test_damaged_times_are_found_when_a_split_is_opened(tmp_path: Path, start: float, end: float) -> None:
    file = build(tmp_path / "store", "0.1 0.2", "0.1 0.2", word_times=True).path / "train.arrow"
    table = pa.ipc.open_file(pa.BufferReader(file.read_bytes())).read_all()
    for name, value in (("word_start", start), ("word_end", end)):
        table = table.set_column(
            table.schema.get_field_index(name), name, pa.array([0.1 if name == "word_start" else 0.2, value])
        )
    with pa.ipc.new_file(str(tmp_path / "other.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(StoreError, match=r"row 1: the word from .* expected an end after the start"):
        ArrowFile(tmp_path / "other.arrow", "features", 0, sha256_of(tmp_path / "other.arrow"), None).batches()


# the real sets


@pytest.mark.data
@pytest.mark.parametrize("name", [*wake_words.SETS])
def test_real_sets_have_the_splits_that_the_script_tells(data_folder: Path, name: str) -> None:
    source = data_folder / "speech" / name
    if not source.is_dir():
        pytest.skip(f"no {source}")
    table = wake_words.read_table(wake_words.listed_index(source))
    items, _ = wake_words.list_items(source, table)
    assert all(item.file.is_file() for item in items)
    filled = wake_words.fill_splits(items, 10.0, 20.0)
    assert Counter(item.split for item in filled.items) == wake_words.SETS[name].expected
    timed = [item for item in items if item.word_start is not None]
    assert len(timed) == (579 if name == "wuw2" else 0)


@pytest.mark.data
def test_real_words_inside_sentences_are_cut_out(data_folder: Path, tmp_path: Path) -> None:
    source = data_folder / "speech" / "wuw2"
    if not source.is_dir():
        pytest.skip(f"no {source}")
    store = prepare_words(source, tmp_path / "out", part="in_sentence", cut_words=True, limit=40, keep="samples")
    assert refused(store) == {}
    assert sum(rows(store).values()) == 40
    for split in store.counts:
        held = store[split]
        for samples, (start, end) in zip(held, held.word_times, strict=True):
            assert 0 <= start <= 0.1 + 1e-6
            assert len(samples) / RATE == pytest.approx(end + 0.1, abs=0.11)
            loud = np.abs(samples.astype(float))
            assert loud[round(start * RATE) : round(end * RATE)].mean() > 0.5 * loud.mean()
