"""`seqaudio recognize` with a model of streams: the right word whatever is around it, each word with its times."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, Command, assert_refused, spoken
from seqaudio.decoding import StreamRecognizer
from seqaudio.decoding.keywords import KeywordRecognizer
from seqaudio.decoding.recognition import Recognition
from seqaudio.decoding.spotting import SPOTTING_FILE
from seqaudio.errors import RunError
from seqaudio.run_folder import RunFolder

WORDS = ("one", "two", "three")


@pytest.fixture(scope="module")
def recognizer(spotting_run: Path) -> StreamRecognizer:
    return StreamRecognizer(RunFolder(spotting_run))


def noise(seconds: float, decibels: float, seed: int = 0) -> np.ndarray:
    """White noise at a level relative to full scale, [N]."""
    return 10 ** (decibels / 20) * np.random.default_rng(seed).standard_normal(int(seconds * RATE))


def heard(recognizer: StreamRecognizer, *parts: np.ndarray) -> Recognition:
    return recognizer.recognize_samples([np.concatenate(parts).astype(np.float32)])


@pytest.mark.parametrize("decibels", [-300.0, -80.0, -50.0, -35.0])
@pytest.mark.parametrize("seconds", [0.5, 2.0, 10.0])
def test_quiet_and_noise_around_a_word_do_not_hide_it(
    recognizer: StreamRecognizer, seconds: float, decibels: float
) -> None:
    right = 0
    for word, label in enumerate(WORDS):
        around, sound = noise(seconds, decibels, word), spoken(word, 1, word)
        for parts in ((around, sound), (sound, around), (around, sound, around)):
            found = heard(recognizer, *parts)
            place = 0.0 if parts[0] is sound else seconds
            right += found.label == label
            right -= not any(hit.keyword == label and abs(hit.start - place) < 0.2 for hit in found.hits)
            assert not found.is_clip
    assert right >= 8  # of 9


def test_other_words_around_a_word_do_not_hide_it(recognizer: StreamRecognizer) -> None:
    wrong = 0
    for order, speaker in product(((0, 1, 2), (2, 0, 1, 0), (1, 2, 1, 0, 2)), range(4)):
        parts = [part for word in order for part in (spoken(word, speaker, 1), noise(0.8, -60))]
        found = heard(recognizer, *parts)
        wrong += [hit.keyword for hit in found.hits] != [WORDS[word] for word in order]
        assert all(0 <= hit.start < hit.end <= found.seconds for hit in found.hits)
        surest = max(found.hits, key=lambda hit: hit.confidence)
        assert (found.label, found.probability) == (surest.keyword, surest.confidence)
    assert wrong <= 1  # of 12


def test_a_long_recording_without_a_word_is_silence(recognizer: StreamRecognizer) -> None:
    for decibels in (-300.0, -60.0):
        found = heard(recognizer, noise(5, decibels))
        assert (found.label, found.hits) == ("silence", ())
        assert found.probability > 0.5


def test_a_clip_is_one_of_the_words_as_its_store_has_no_silence(recognizer: StreamRecognizer) -> None:
    for word, label in enumerate(WORDS):
        found = heard(recognizer, spoken(word, 1, 3))
        assert (found.is_clip, found.label) == (True, label)
    assert heard(recognizer, noise(0.2, -60)).label in WORDS
    assert heard(recognizer, noise(0.001, -60)).is_clip, "shorter than a frame"


def test_speech_without_a_keyword_is_unknown_where_the_model_knows_it(spotting_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(spotting_run, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["vocabulary"] = ["unknown" if name == "two" else name for name in config["vocabulary"]]
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (run / SPOTTING_FILE).unlink()
    recognizer = StreamRecognizer(RunFolder(run))
    assert heard(recognizer, noise(2, -60), spoken(1, 1, 2), noise(2, -60)).label == "unknown"
    assert heard(recognizer, noise(2, -60)).label == "silence"
    assert heard(recognizer, noise(2, -60), spoken(1, 1, 2), noise(2, -60), spoken(0, 1, 2)).label == "one"


def test_whole_and_streamed_runs_have_a_class_each(spotting_run: Path) -> None:
    with pytest.raises(RunError, match="was trained on streams"):
        KeywordRecognizer(RunFolder(spotting_run))


# --- the command ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of `one`, three words with pauses, quiet."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "a_clip.wav", spoken(0, 1, 2), RATE)
    pause = noise(1, -60)
    words = [part for word in (2, 0, 1) for part in (pause, spoken(word, 1, 2))]
    soundfile.write(folder / "b_words.flac", np.concatenate([*words, pause]), RATE)
    soundfile.write(folder / "c_quiet.wav", noise(3, -70), RATE)
    return folder


def test_a_clip_is_a_label_and_a_longer_recording_every_word_with_its_times(
    command: Command, spotting_run: Path, folder: Path
) -> None:
    done = command("seqaudio", "recognize", spotting_run, folder)
    assert (done.returncode, done.stderr) == (0, "")
    clip, *words, quiet = [line.split("\t") for line in done.stdout.splitlines()]
    assert clip[:2] == [str(folder / "a_clip.wav"), "one"]
    assert len(clip) == 3
    assert [word[1] for word in words] == ["three", "one", "two"]
    starts, ends = ([float(word[place]) for word in words] for place in (3, 4))
    assert starts == pytest.approx([1, 2.3, 3.7], abs=0.25)
    assert all(0.2 < end - start < 0.5 for start, end in zip(starts, ends, strict=True))
    assert quiet[1:2] + quiet[3:] == ["silence", "0.00", "3.00"]


def test_json_and_csv_tell_the_same(command: Command, spotting_run: Path, folder: Path) -> None:
    done = command("seqaudio", "recognize", spotting_run, folder, "--json")
    clip, words, quiet = map(json.loads, done.stdout.splitlines())
    assert [list(told) for told in (clip, words, quiet)] == [["path", "label", "probability", "hits"]] * 3
    assert (clip["label"], [hit["keyword"] for hit in clip["hits"]]) == ("one", ["one"])
    assert (quiet["label"], quiet["hits"]) == ("silence", [])
    assert words["label"] in WORDS
    assert [list(hit) for hit in words["hits"]] == [["keyword", "start", "end", "confidence"]] * 3
    rows = list(csv.DictReader(command("seqaudio", "recognize", spotting_run, folder, "--csv").stdout.splitlines()))
    assert list(rows[0]) == ["path", "label", "probability", "start", "end"]
    assert (rows[0]["label"], float(rows[0]["start"])) == ("one", 0.0)
    assert [row["label"] for row in rows[1:]] == ["three", "one", "two", "silence"]
    for row, hit in zip(rows[1:], words["hits"], strict=False):
        assert float(row["start"]) == pytest.approx(hit["start"])
        assert float(row["probability"]) == pytest.approx(hit["confidence"])


def test_csv_of_a_run_of_whole_clips_has_the_same_columns(command: Command, word_run: Path, folder: Path) -> None:
    done = command("seqaudio", "recognize", word_run, folder / "a_clip.wav", "--csv")
    (row,) = csv.DictReader(done.stdout.splitlines())
    assert (row["label"], float(row["start"])) == ("one", 0.0)
    assert float(row["end"]) == pytest.approx(soundfile.info(folder / "a_clip.wav").duration, abs=1e-3)
    done = command("seqaudio", "recognize", word_run, folder / "a_clip.wav", "--json")
    assert list(json.loads(done.stdout)) == ["path", "label", "probability"]


def test_what_cannot_be_read_does_not_stop_the_others(
    command: Command, spotting_run: Path, folder: Path, tmp_path: Path
) -> None:
    whole = (folder / "b_words.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    done = command("seqaudio", "recognize", spotting_run, tmp_path / "cut.flac", folder / "a_clip.wav")
    assert done.stdout.startswith(f"{folder / 'a_clip.wav'}\tone\t"), "and nothing of the damaged one"
    assert_refused(done, "cut.flac: ")
    done = command("seqaudio", "recognize", spotting_run, folder / "b_words.flac", "--max-seconds", "2")
    assert_refused(done, "expected at most 2.0 s", "--max-seconds")
