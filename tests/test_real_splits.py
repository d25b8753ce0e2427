"""Splits that are drawn can be trained on, however files are called and whoever speaks."""

from __future__ import annotations

import itertools
import random
import shutil
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import case_file
from conftest import SMALL, Command, assert_refused
from made_up_speech import RATE, rows, write_word
from seqaudio.errors import OptionError
from seqaudio.prepare.corpora.drawn_splits import fill_splits
from seqaudio.prepare.engine import Item
from seqaudio.store import SPLITS, Store

SCRIPT = "data_prep/audio_folder.py"
WORDS = ("one", "two", "three")
NAMES: tuple[Callable[[str, int], str], ...] = (
    lambda word, take: f"{word}/Recording.m4a" if take == 0 else f"{word}/Recording ({take + 1}).m4a",
    lambda word, take: f"{word}/New Recording {take}.m4a",
    lambda word, take: f"{word}/Aufnahme{take:04d}.wav",
    lambda word, take: f"{word}/REC{take:03d}.wav",
    lambda word, take: f"{word}/{take}.wav",
    lambda word, take: f"{word}/{take:02d}.wav",
    lambda word, take: f"{word}/{word}_{take}.wav",
    lambda word, take: f"{word}/{word}-{take:02d}.flac",
    lambda word, take: f"{word}/20240131_{120000 + 7 * take}.wav",
    lambda word, take: f"{word}/take{take}/audio.wav",
    lambda word, take: f"{word}/PTT-20240131-WA{take:04d}.opus",
    lambda word, take: f"{word}/voice_{chr(97 + take)}.wav",
)


def item(name: str, label: str, speaker: str = "", split: str = "") -> Item:
    return Item(name, Path(name), name, split, label, speaker=speaker)


def takes(name: Callable[[str, int], str], count: int) -> list[Item]:
    return [item(name(word, take), word) for word in WORDS for take in range(count)]


def splits_of(items: Sequence[Item], valid: float = 10.0, test: float = 10.0) -> dict[str, str]:
    return {item.id: item.split for item in fill_splits(items, valid, test).items}


@pytest.mark.parametrize("name", NAMES)
def test_every_word_is_in_every_split_however_the_files_are_called(name: Callable[[str, int], str]) -> None:
    for count in range(3, 16):
        items = fill_splits(takes(name, count), 10, 10).items
        found = Counter((item.split, item.label) for item in items)
        assert set(found) == set(itertools.product(SPLITS, WORDS)), count
        for split in ("valid", "test"):
            # of each word the share to within a recording, or the one that the split needs
            assert all(found[split, word] == 1 or abs(found[split, word] - count / 10) < 1 for word in WORDS)
            if count >= 10:
                assert abs(sum(found[split, word] for word in WORDS) - 3 * count / 10) <= 0.5


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.sampled_from([0.0, 1.0, 5.0, 10.0, 20.0, 33.0, 45.0]),
    st.sampled_from([0.0, 5.0, 10.0, 25.0, 50.0]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150)
def test_no_split_is_empty_and_no_label_is_missing_where_there_are_enough(
    counts: list[int], valid: float, test: float, draw: random.Random
) -> None:
    items = [item(f"{label}/{take}.wav", f"word {label}") for label, n in enumerate(counts) for take in range(n)]
    wanted = ["train", *(["valid"] if valid else []), *(["test"] if test else [])]
    filled = fill_splits(items, valid, test).items
    assert [item.id for item in filled] == [item.id for item in items]
    found = Counter((item.split, item.label) for item in filled)
    if len(items) >= len(wanted):
        assert {split for split, _ in found} == set(wanted)
    for label, n in enumerate(counts):
        if n >= len(wanted):
            assert all(found[split, f"word {label}"] for split in wanted)
        if n > 1:
            assert found["train", f"word {label}"]
        assert found["valid", f"word {label}"] < max(2, n * valid / 100 + 1)
        assert found["test", f"word {label}"] < max(2, n * test / 100 + 1)
    shuffled = draw.sample(items, len(items))
    assert splits_of(shuffled, valid, test) == {item.id: item.split for item in filled}


def corpus(draw: random.Random, speakers: int) -> list[Item]:
    """Some words by some speakers, who may say a word often, or never."""
    names = [f"voice {number} {draw.random()}" for number in range(speakers)]  # no two alike
    return [
        item(f"{word}/{name}_{take}.wav", str(word), name)
        for name, word in itertools.product(names, range(draw.randint(2, 5)))
        for take in range(draw.randint(0 if draw.random() < 0.2 else 1, 6))
    ]


@given(st.integers(2, 8), st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_few_speakers_leave_no_split_empty(speakers: int, draw: random.Random) -> None:
    items = corpus(draw, speakers)
    filled, how = fill_splits(items, 10, 10)
    if len(items) >= 3:
        assert {item.split for item in filled} == set(SPLITS)
    places = defaultdict(set)
    for one in filled:
        places[one.speaker].add(one.split)
    saying = {label: {item.speaker for item in items if item.label == label} for label in {i.label for i in items}}
    found = Counter((item.split, item.label) for item in filled)
    counts = Counter(item.label for item in items)
    if "by speaker" in how:
        assert all(len(splits) == 1 for splits in places.values())
        enough = {label for label in counts if len(saying[label]) >= 3}
    else:
        enough = {label for label, count in counts.items() if count >= 3}
    assert all(found[split, label] for split in SPLITS for label in enough)
    assert splits_of(draw.sample(items, len(items))) == {item.id: item.split for item in filled}


def test_five_speakers_give_one_to_validation_and_one_to_the_test() -> None:
    for trial in range(50):
        items = [
            item(f"{word}/{speaker}_{take}.wav", word, f"{speaker} of {trial}")
            for word in WORDS
            for speaker in "abcde"
            for take in range(4)
        ]
        filled, how = fill_splits(items, 10, 10)
        assert Counter(split for split, _ in {(one.split, one.speaker) for one in filled}) == {
            "train": 3, "valid": 1, "test": 1
        }  # fmt: skip
        assert "by speaker, 3 for train, 1 for valid, 1 for test" in how


def test_both_ways_to_write_an_accent_are_one_voice() -> None:
    names = [f"Zoë {number}" for number in range(9)]
    items = [
        item(f"{name}/{form}{n}.wav", WORDS[n % 3], unicodedata.normalize(form, name))
        for name in names
        for form in ("NFC", "NFD")
        for n in range(3)
    ]
    assert len({(one.speaker, one.split) for one in fill_splits(items, 10, 10).items}) == 9


def test_many_speakers_get_the_shares_that_were_asked_for() -> None:
    draw = random.Random(1)
    items = [
        item(f"{speaker}/{take}.wav", draw.choice(WORDS), f"voice {speaker}")
        for speaker in range(300)
        for take in range(draw.randint(1, 20))
    ]
    counts = Counter(item.split for item in fill_splits(items, 10, 20).items)
    assert counts["valid"] == pytest.approx(0.1 * len(items), abs=10)
    assert counts["test"] == pytest.approx(0.2 * len(items), abs=10)


def test_who_says_one_word_alone_stays_in_training() -> None:
    items = [item(f"{who}/{n}.wav", WORDS[n % 3], who) for who in "abcdefgh" for n in range(6)]
    items += [item(f"rare/{n}.wav", "rare", "a") for n in range(3)]
    filled, how = fill_splits(items, 10, 10)
    assert {one.split for one in filled if one.speaker == "a"} == {"train"}
    assert "said by too few speakers for every split: rare" in how


def test_speakers_with_words_of_their_own_are_not_kept_apart() -> None:
    items = [item(f"{who}/{n}.wav", f"word of {who}", who) for who in "abcdef" for n in range(6)]
    filled, how = fill_splits(items, 10, 10)
    assert len({(one.split, one.label) for one in filled}) == 18
    assert "share too few labels; so voices are in several" in how


@given(st.integers(4, 40), st.integers(0, 1000))
@settings(max_examples=60)
def test_one_more_recording_moves_few_others_and_none_between_validation_and_test(count: int, new: int) -> None:
    before = splits_of(takes(NAMES[4], count))
    after = splits_of([*takes(NAMES[4], count), item(f"two/another {new}.wav", "two")])
    moved = [(before[name], after[name]) for name in before if before[name] != after[name]]
    assert len(moved) <= 4
    assert not {("valid", "test"), ("test", "valid")} & set(moved)


def test_parts_of_one_recording_stay_together_where_there_are_enough() -> None:
    def part(session: int, number: int) -> Item:
        path = Path(f"session {session}.wav")
        return Item(
            f"{path}#{number}", path, f"{session}-{number}", label=WORDS[number % 3], start=number, end=number + 1
        )

    filled = fill_splits([part(session, number) for session in range(10) for number in range(9)], 10, 10).items
    assert len({(one.path, one.split) for one in filled}) == 10
    assert {one.split for one in filled} == set(SPLITS)
    alone = fill_splits([part(0, number) for number in range(12)], 10, 10)
    assert len({(one.split, one.label) for one in alone.items}) == 9
    assert "segments of one recording too" in alone.how


def test_given_splits_stay() -> None:
    items = [item(f"{n}.wav", WORDS[n % 3], split=SPLITS[n % 3]) for n in range(9)]
    assert fill_splits(items, 10, 10) == (items, "splits: train 3, valid 3, test 3; as given")
    tested = [item(f"{n}.wav", WORDS[n % 3], split="test") for n in range(9)]
    filled, how = fill_splits(tested, 10, 10)
    assert filled == tested
    assert "nothing to train on" in how
    both = [item(f"{n}.wav", WORDS[n % 3], split="test" if n < 9 else "train") for n in range(30)]
    counts = Counter((one.split, one.label) for one in fill_splits(both, 10, 10).items)
    assert [counts["valid", word] for word in WORDS] == [1, 1, 1]
    assert sum(counts["test", word] for word in WORDS) == 9


def test_senseless_shares_are_refused() -> None:
    with pytest.raises(OptionError, match="less than 100 together"):
        fill_splits([item("a.wav", "a")], 50, 50)


# as a user runs them


def test_recordings_of_a_phone_are_prepared_and_learned(command: Command, tmp_path: Path) -> None:
    for word, label in enumerate(WORDS):
        for take in range(8):
            write_word(tmp_path / "in" / NAMES[0](label, take).replace(".m4a", ".wav"), word, take % 2, take)
    done = command(SCRIPT, "--source", tmp_path / "in", "--out", tmp_path / "out", "--sample-rate", str(RATE))
    assert done.returncode == 0, done.stderr
    assert "3 labels by folders" in done.stdout
    assert "splits: train 18, valid 3, test 3; drawn by file, alike for each label" in done.stdout
    train = ("recipes/keyword_recognition/train.py", "--store", tmp_path / "out", "--run", tmp_path / "run")
    done = command(*train, "--epochs", "1", *SMALL)
    assert done.returncode == 0, done.stderr


def test_five_speakers_can_be_trained_on(command: Command, tmp_path: Path) -> None:
    table = case_file("audio", "five_speakers.csv")
    done = command(SCRIPT, "--source", table, "--out", tmp_path / "out", "--sample-rate", str(RATE))
    assert done.returncode == 0, done.stderr
    assert "drawn by speaker, 3 for train, 1 for valid, 1 for test" in done.stdout
    train = ("recipes/keyword_recognition/train.py", "--store", tmp_path / "out", "--run", tmp_path / "run")
    done = command(*train, "--epochs", "1", *SMALL)
    assert done.returncode == 0, done.stderr


def test_a_test_set_alone_is_a_store_on_which_a_run_is_evaluated(
    command: Command, word_run: Path, word_folder: Path, tmp_path: Path
) -> None:
    lines = [f"{path.relative_to(word_folder)},{path.parent.name},test" for path in sorted(word_folder.rglob("*.wav"))]
    table = tmp_path / "test_alone.csv"
    table.write_text("\n".join(["path,label,split", *lines]), encoding="utf-8")
    prepared = ("--table", table, "--out", tmp_path / "out", "--sample-rate", str(RATE))
    done = command(SCRIPT, "--source", word_folder, *prepared)
    assert done.returncode == 0, done.stderr
    assert "nothing to train on" in done.stdout
    store = Store(tmp_path / "out")
    assert rows(store) == {"test": 72}
    assert store.normalisation is None
    run = tmp_path / "run"
    shutil.copytree(word_run, run)
    done = command("seqaudio", "evaluate", run, "--store", store.path, "--split", "test")
    assert done.returncode == 0, done.stderr
    assert "of 72 clips" in done.stdout
    assert "5-nearest-neighbours" in done.stdout
    done = command("recipes/keyword_recognition/train.py", "--store", store.path, "--run", tmp_path / "other", *SMALL)
    assert_refused(done, "the split 'train' is empty; it has test")


def test_the_case_of_a_test_set_alone(command: Command, tmp_path: Path) -> None:
    table = case_file("audio", "test_only.csv")
    done = command(SCRIPT, "--source", table, "--out", tmp_path / "out", "--sample-rate", str(RATE))
    assert done.returncode == 0, done.stderr
    assert rows(Store(tmp_path / "out")) == {"test": 36}
