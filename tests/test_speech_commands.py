"""Speech Commands on a made-up corpus of its layout and on a part of the real one."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT, Command, assert_refused
from made_up_speech import RATE, pack, prepare, refused, rows, script, serving, write_word
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import sha256_of
from seqaudio.ledger import Reason, Status, read_ledger
from seqaudio.prepare.corpora.folder import PublishedArchive
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.background import STRETCHES, clip_starts, share_out
from seqaudio.store import Store

commands = script("speech_commands")

WORDS = ("bed", "cat", "dog", "go", "stop")
# by the published rule, SHA-1 in percent of its range: 3.0, 8.8 validate; 13.5, 16.0 test; the others train
SPEAKERS: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
for number in range(60):
    name = f"{number:08x}"
    SPEAKERS[commands.split_by_rule(name)].append(name)
SPEAKERS = {split: names[:3] for split, names in SPEAKERS.items()}


def write_corpus(folder: Path, suffix: str = ".wav", lists: str | None = "") -> Path:
    """Five words by nine speakers, two takes each, and two recordings of noise; `lists` is behind the lists' names."""
    for word, label in enumerate(WORDS):
        for split, speakers in SPEAKERS.items():
            for number, speaker in enumerate(speakers):
                for take in range(2):
                    voice = 10 * list(SPEAKERS).index(split) + number
                    write_word(folder / label / f"{speaker}_nohash_{take}{suffix}", word, voice, take)
    (folder / "_background_noise_").mkdir()
    for number, seconds in enumerate((20, 12)):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, seconds * RATE)
        soundfile.write(folder / "_background_noise_" / f"noise_{number}{suffix}", noise, RATE, subtype="PCM_16")
    (folder / "_background_noise_" / "README.md").write_text("about the noise")
    if lists is not None:
        for stem, split in (("validation_list", "valid"), ("testing_list", "test")):
            names = [f"{speaker}_nohash_{take}.wav" for speaker in SPEAKERS[split] for take in range(2)]
            listed = [f"{word}/{name}" for word in WORDS for name in names]
            (folder / f"{stem}{lists}.txt").write_text("\n".join(listed) + "\n")
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("commands") / "corpus")


def prepare_commands(source: Path, out: Path, **options: object) -> Store:
    return prepare(commands, source, out, **options)


def labels(store: Store) -> dict[str, Counter[str]]:
    return {split: Counter(store[split].labels) for split in store.counts}


# splits


def test_the_lists_decide_the_splits_and_no_speaker_is_in_two(corpus: Path, tmp_path: Path) -> None:
    store = prepare_commands(corpus, tmp_path / "out", classes="all")
    assert rows(store) == {"train": 30, "valid": 30, "test": 30}
    assert store.names.names == WORDS
    assert {split: sorted(set(store[split].column("speaker"))) for split in store.counts} == SPEAKERS
    assert store["test"].ids[0] == f"bed/{SPEAKERS['test'][0]}_nohash_0"


def test_without_lists_the_published_rule_gives_the_same(corpus: Path, tmp_path: Path) -> None:
    by_rule = write_corpus(tmp_path / "rule", lists=None)
    stores = [
        prepare_commands(source, tmp_path / f"store of {source.name}", words=("cat",)) for source in (corpus, by_rule)
    ]
    assert stores[0].fingerprint == stores[1].fingerprint


def test_a_list_wins_over_the_rule(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    speaker = SPEAKERS["train"][0]
    with (source / "testing_list.txt").open("a") as file:
        file.write(f"cat/{speaker}_nohash_1.wav\n")
    store = prepare_commands(source, tmp_path / "out", classes="all")
    assert f"cat/{speaker}_nohash_1" in store["test"].ids
    assert f"cat/{speaker}_nohash_0" in store["train"].ids


@pytest.mark.parametrize(
    ("speaker", "split"),
    # the last 27 bits of the SHA-1 of the name, as a share of 2**27 - 1, worked out by hand from `sha1sum`
    [("bed", "train"), ("0c40e715", "test"), ("0ea0e2f4", "test"), ("026290a7", "valid"), ("060cd039", "valid")],
)
def test_the_rule_gives_published_splits(speaker: str, split: str) -> None:
    assert commands.split_by_rule(speaker) == split


def test_lists_of_another_version_are_refused(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in", lists="_v0.01")
    with pytest.raises(OptionError, match=r"--version 0.02, but .* has validation_list_v0.01.txt"):
        prepare_commands(source, tmp_path / "out")
    assert sum(rows(prepare_commands(source, tmp_path / "out", version="0.01", classes="all")).values()) == 90


# classes


def test_chosen_words_get_as_much_unknown_and_silence_as_a_word_has(corpus: Path, tmp_path: Path) -> None:
    store = prepare_commands(corpus, tmp_path / "out", words=("cat", "dog"))
    one = Counter(cat=6, dog=6, unknown=6, silence=6)
    assert labels(store) == {"train": one, "valid": one, "test": one}
    assert store.names.names == ("cat", "dog", "unknown", "silence")
    split = store["train"]
    unknown = [name for name, label in zip(split.ids, split.labels, strict=True) if label == "unknown"]
    assert {name.split("/")[0] for name in unknown} <= {"bed", "go", "stop"}


def test_the_twelve_classes_are_ten_commands_and_two_more(tmp_path: Path) -> None:
    for word in (*commands.COMMANDS, "bed"):
        for split, speakers in SPEAKERS.items():
            write_word(tmp_path / "in" / word / f"{speakers[0]}_nohash_0.wav", len(split))
    (tmp_path / "in" / "_background_noise_").mkdir()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 12 * RATE)
    soundfile.write(tmp_path / "in" / "_background_noise_" / "noise.wav", noise, RATE)
    store = prepare_commands(tmp_path / "in", tmp_path / "out")
    assert store.names.names == (*sorted(commands.COMMANDS), "unknown", "silence")
    assert rows(store) == {"train": 12, "valid": 12, "test": 12}


def test_the_published_sizes_of_twelve_classes_follow_from_the_commands() -> None:
    """Ten commands of v0.02 have 30,769 / 3,703 / 4,074 recordings, of v0.01 18,538 / 2,577 / 2,567."""
    sizes = {"0.02": (30_769, 3_703, 4_074), "0.01": (18_538, 2_577, 2_567)}
    for version, of_commands in sizes.items():
        expected = commands.EXPECTED[version, "12"]
        assert list(expected.values()) == [count + 2 * -(-count // 10) for count in of_commands]


def test_shares_of_unknown_and_silence_can_be_chosen(corpus: Path, tmp_path: Path) -> None:
    store = prepare_commands(corpus, tmp_path / "out", words=("cat", "dog"), unknown=0.4, silence=0)
    assert labels(store)["train"] == Counter(cat=6, dog=6, unknown=3)
    assert store.names.names == ("cat", "dog", "unknown")


def test_unknown_is_drawn_by_name_whatever_else_is_there(corpus: Path) -> None:
    recordings = commands.list_recordings(corpus, "0.02")
    drawn = {item.id for item in commands.choose(recordings, ("cat",), 1.0) if item.label == "unknown"}
    hashes = {item.id: hashlib.sha256(item.id.encode()).digest() for item in recordings if item.label != "cat"}
    for split in ("train", "valid", "test"):
        others = [item.id for item in recordings if item.split == split and item.id in hashes]
        assert {name for name in drawn if name in others} == set(sorted(others, key=hashes.__getitem__)[:6])


def test_equal_lists_have_equal_hashes_and_others_differ(corpus: Path, tmp_path: Path) -> None:
    def list_hash(name: str, source: Path, **options: object) -> str:
        digest: str = prepare_commands(source, tmp_path / name, **options).settings["list"]["sha256"]
        return digest

    flac = write_corpus(tmp_path / "flac", ".flac")
    digests = {
        "wav": list_hash("a", corpus, words=("cat", "dog")),
        "flac": list_hash("b", flac, words=("cat", "dog"), features="log_mel"),
        "words": list_hash("c", corpus, words=("cat", "bed")),
        "silence": list_hash("d", corpus, words=("cat", "dog"), silence=2),
        "all": list_hash("e", corpus, classes="all"),
    }
    assert digests.pop("wav") == digests["flac"]
    assert len(set(digests.values())) == 4


# silence


def silent_samples(store: Store) -> dict[str, np.ndarray]:
    return {
        name: store[split].sequence(row)
        for split in store.counts
        for row, name in enumerate(store[split].ids)
        if name.startswith("silence/")
    }


def correlation(signal: np.ndarray, part: np.ndarray) -> np.ndarray:
    """At each place where `part` fits, the sum of products; by the Fourier transform, which is quick for long parts."""
    size = len(signal)
    spectrum = np.fft.rfft(signal) * np.conj(np.fft.rfft(part, size))
    return np.fft.irfft(spectrum, size)[: size - len(part) + 1]


def test_each_silent_clip_lies_in_the_stretch_of_its_split(corpus: Path, tmp_path: Path) -> None:
    """The noise never repeats, so correlation with the recording tells where a clip was cut."""
    store = prepare_commands(corpus, tmp_path / "out", words=("cat", "dog"), silence=2, keep="samples")
    for name, clip in silent_samples(store).items():
        _, recording, split, _ = name.split("/")
        noise, _ = soundfile.read(corpus / "_background_noise_" / f"{recording}.wav")
        assert len(clip) == RATE
        start = int(np.argmax(correlation(noise, clip.astype(float))))
        first, end = (part * len(noise) for part in STRETCHES[split])
        assert first <= start <= end - RATE
        stretch = noise[start : start + RATE]
        loudness = clip @ stretch / (stretch @ stretch) / 32768
        np.testing.assert_allclose(clip / 32768, loudness * stretch, atol=1e-4)
        assert 0 <= loudness < 1


@given(st.integers(1, 200_000), st.integers(1, 20_000), st.integers(0, 50))
def test_clips_of_different_splits_never_overlap(samples: int, length: int, count: int) -> None:
    ends = 0
    for split in ("train", "valid", "test"):
        starts = clip_starts(samples, length, split, count)
        assert starts == sorted(starts)
        assert len(starts) in (0, count)
        if starts:
            assert starts[0] >= ends
            ends = starts[-1] + length
            assert ends <= samples


def test_clips_are_dealt_evenly() -> None:
    assert share_out(7, ["a", "b", "c"]) == {"a": 3, "b": 2, "c": 2}
    assert share_out(1, ["a", "b"]) == {"a": 1, "b": 0}


def test_a_recording_too_short_for_any_stretch_is_refused(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    soundfile.write(source / "_background_noise_" / "short.wav", np.zeros(RATE), RATE)
    store = prepare_commands(source, tmp_path / "out", words=("cat",))
    assert [str(entry.reason) for entry in refused(store).values()] == ["too_short"]
    assert "silence" in store.names.names


def test_a_recording_that_nothing_is_cut_from_is_skipped(corpus: Path, tmp_path: Path) -> None:
    store = prepare_commands(corpus, tmp_path / "out", words=("cat",), silence=0.1)
    entries = {entry.path: entry for entry in read_ledger(store.path / "ledger.tsv")}
    left_out = entries["_background_noise_/noise_1.wav"]
    assert (left_out.status, left_out.reason) == (Status.SKIPPED, Reason.NOT_NEEDED)
    assert entries["_background_noise_/noise_0.wav"].rows == 3
    assert refused(store) == {}


def test_clips_are_dealt_to_recordings_that_are_long_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_corpus(tmp_path / "in")
    short = source / "_background_noise_" / "noise_1.wav"
    soundfile.write(short, np.zeros(5 * RATE), RATE)
    store = prepare_commands(source, tmp_path / "out", words=("cat",))
    assert {split: each["silence"] for split, each in labels(store).items()} == {"train": 6, "valid": 6, "test": 6}
    assert sum(name.startswith("silence/noise_1") for name in store["train"].ids) == 3
    (source / "_background_noise_" / "noise_0.wav").unlink()
    capsys.readouterr()
    alone = prepare_commands(source, tmp_path / "alone", words=("cat",))
    assert {split: each["silence"] for split, each in labels(alone).items()} == {"train": 6, "valid": 0, "test": 0}
    told = capsys.readouterr().err
    assert "warning: valid has no silence: no recording in _background_noise_ is long enough" in told
    assert "warning: test has no silence" in told
    assert "train has no silence" not in told


def test_silence_is_resampled_after_it_was_cut(corpus: Path, tmp_path: Path) -> None:
    options = {"words": ("cat",), "keep": "samples"}
    store = prepare_commands(corpus, tmp_path / "out", sample_rate=16000, **options)
    assert {len(clip) for clip in silent_samples(store).values()} == {16000}


def test_without_noise_there_is_no_silence_to_cut(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "in")
    for path in (source / "_background_noise_").iterdir():
        path.unlink()
    with pytest.raises(SourceError, match="no recordings to cut silence from; add them, or give --silence 0"):
        prepare_commands(source, tmp_path / "out", words=("cat",))


# the commands that the recipe names

GUIDE = (ROOT / "recipes" / "keyword_recognition" / "README.md").read_text(encoding="utf-8")
DOCUMENTED = [
    block.splitlines()
    for block in re.search(r"## Speech Commands.*?```sh\n(.*?)```", GUIDE, re.DOTALL)[1].split("\n\n")  # type: ignore[index]
]
OTHER_WORDS = tuple(f"other{number}" for number in range(25))


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 35 words, ten of them the commands, with the lists of v0.02."""
    folder = tmp_path_factory.mktemp("tree") / "FOLDER"
    for number, word in enumerate((*commands.COMMANDS, *OTHER_WORDS)):
        for split, speakers in SPEAKERS.items():
            write_word(folder / word / f"{speakers[0]}_nohash_0.wav", number % 8, len(split))
    for split, name in commands.LISTS.items():
        lines = [f"{word}/{SPEAKERS[split][0]}_nohash_0.wav" for word in (*commands.COMMANDS, *OTHER_WORDS)]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "_background_noise_").mkdir()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 12 * RATE)
    soundfile.write(folder / "_background_noise_" / "noise.wav", noise, RATE)
    return folder


@pytest.mark.parametrize(("block", "classes"), [(0, 12), (1, 35)])
def test_the_documented_commands_train_and_evaluate(
    whole_tree: Path, tmp_path: Path, command: Command, block: int, classes: int
) -> None:
    place = tmp_path / "here"
    place.mkdir()
    for line in DOCUMENTED[block]:
        words = [str(whole_tree) if word == "SPEECH_COMMANDS" else word for word in line.split()]
        quick = ["--epochs", "1"] if words[1] == "train" else []
        done = command(*words, *quick, folder=place)
        assert done.returncode == 0, done.stderr
    assert len(Store(place / "stores" / f"commands{classes}").names.names) == classes
    results = json.loads((place / "runs" / f"commands{classes}" / "results.json").read_text())
    assert results["test"]["count"] == classes


# the rest


def test_workers_change_nothing(corpus: Path, tmp_path: Path, command: Command) -> None:
    options = ("--sample-rate", "8000", "--words", "cat", "dog", "--workers", "2", "--keep", "samples")
    done = command("data_prep/speech_commands.py", "--source", corpus, "--out", tmp_path / "two", *options)
    assert done.returncode == 0, done.stderr
    one = prepare_commands(corpus, tmp_path / "one", words=("cat", "dog"), keep="samples")
    assert Store(tmp_path / "two").fingerprint == one.fingerprint


def test_a_trial_keeps_silence_in_its_share(corpus: Path, tmp_path: Path) -> None:
    store = prepare_commands(corpus, tmp_path / "out", words=("cat", "dog"), limit=45)
    counts = sum(labels(store).values(), Counter())
    assert counts["silence"] >= 1
    assert sum(counts.values()) - counts["silence"] <= 45


def test_odd_names_are_refused_and_other_counts_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_corpus(tmp_path / "in")
    write_word(source / "cat" / "hello.wav")
    (source / ".git").mkdir()
    write_word(source / ".git" / "a.wav")
    store = prepare_commands(source, tmp_path / "out", classes="all")
    assert {name: str(entry.reason) for name, entry in refused(store).items()} == {"cat/hello.wav": "unexpected_name"}
    told = "warning: train 30, valid 30, test 30; the whole corpus has train 84,843, valid 9,981, test 11,005"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"silence": float("nan")}, "--silence nan, expected 0"),
        ({"silence": -1.0}, "--silence -1, expected 0"),
        ({"unknown": -1.0}, "--unknown -1, expected 0"),
        ({"unknown": float("inf")}, "--unknown inf, expected 0"),
        ({"words": ("cat",), "classes": "all"}, "--classes all and --words cat exclude each other"),
    ],
)
def test_senseless_options_are_refused(corpus: Path, tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        prepare_commands(corpus, tmp_path / "out", **options)


def test_unknown_words_are_refused_with_those_there(corpus: Path, tmp_path: Path, command: Command) -> None:
    arguments = ("data_prep/speech_commands.py", "--source", corpus, "--out", tmp_path / "out")
    assert_refused(command(*arguments, "--words", "cat", "doc"), "the word 'doc' has no recordings", "dog")
    with pytest.raises(OptionError, match="--words cat cat: a word is given twice"):
        prepare_commands(corpus, tmp_path / "out", words=("cat", "cat"))


def test_folders_without_a_corpus_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder; give the folder of the corpus, or add --download"):
        prepare_commands(tmp_path / "none", tmp_path / "out")
    with pytest.raises(SourceError, match=r"has no recordings, expected files such as bed/00176480_nohash_0\.wav"):
        prepare_commands(tmp_path, tmp_path / "out")


def test_a_download_is_checked_unpacked_and_prepared(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(tmp_path / "server" / "speech_commands_v0.02.tar.gz", corpus)
    with serving(archive.parent) as address:
        published = PublishedArchive(f"{address}/{archive.name}", sha256_of(archive), archive.stat().st_size)
        monkeypatch.setitem(commands.PUBLISHED, "0.02", published)
        store = prepare_commands(tmp_path / "in", tmp_path / "out", download=True, classes="all")
    assert store.fingerprint == prepare_commands(corpus, tmp_path / "here", classes="all").fingerprint


def test_another_archive_than_the_published_one_is_refused(corpus: Path, tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar.gz", corpus)
    with pytest.raises(SourceError, match=r"expected 2,428,923,189; download it again, or unpack it yourself"):
        prepare_commands(tmp_path / "in", tmp_path / "out", archive=archive)


# the real corpus


@pytest.mark.data
def test_the_rule_gives_every_split_of_the_official_lists(data_folder: Path) -> None:
    source = data_folder / "speech" / "speech_commands"
    for split, name in commands.LISTS.items():
        listed = commands.read_list(source, name, "0.01")
        assert len(listed) == commands.EXPECTED["0.01", "all"][split]
        assert {commands.split_by_rule(name.split("/")[1].split("_nohash_")[0]) for name in listed} == {split}


@pytest.mark.data
def test_the_part_that_is_here_has_its_counts_and_lists(data_folder: Path, tmp_path: Path) -> None:
    source = data_folder / "speech" / "speech_commands"
    recordings: list[Item] = commands.list_recordings(source, "0.01")
    assert Counter(item.split for item in recordings) == {"train": 2175, "valid": 505, "test": 497}
    store = prepare_commands(source, tmp_path / "out", version="0.01", words=("bed", "cat", "happy"), limit=150)
    assert refused(store) == {}
    assert set(store.names.names) == {"bed", "cat", "happy", "unknown", "silence"}


@pytest.mark.data
def test_the_list_of_three_keywords_is_the_one_that_it_was(data_folder: Path) -> None:
    source = data_folder / "speech" / "speech_commands"
    items = commands.choose(commands.list_recordings(source, "0.01"), ("bed", "cat", "happy"), 1.0)
    counts = commands.silence_counts(items, commands.list_backgrounds(source), 1.0)
    assert commands.list_digest(items, counts) == "bed8c8f9443aad9dc4c850a030ebf695983eab4a55c8bf6a2efc268456684805"
