"""Recordings as recorders and other programs leave them: unfinished headers, odd units, channels that cancel, FLAC."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

import seqaudio.audio.reading
from cases import case_file
from conftest import RATE, Command, spoken
from made_up_speech import prepare, refused, script
from seqaudio.audio import read_audio
from seqaudio.errors import AudioError
from seqaudio.features import feature_settings
from seqaudio.ledger import Reason, read_ledger
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.recordings import ExtractFeatures

audio_folder = script("audio_folder")
WORD = spoken(1, 0, 0)


def unfinished(path: Path, *sizes: tuple[bytes, int, str, int]) -> Path:
    """A recording of WORD in which sizes are others: (mark, bytes behind it, format, value)."""
    soundfile.write(path, WORD, RATE)
    content = bytearray(path.read_bytes())
    for mark, behind, form, value in sizes:
        struct.pack_into(form, content, content.index(mark) + behind, value)
    path.write_bytes(content)
    return path


ALL_ONES = 2**64 - 1
HEADERS = [
    ("a.wav", [(b"RIFF", 4, "<I", 0), (b"data", 4, "<I", 0)]),
    ("a.wav", [(b"RIFF", 4, "<I", 36), (b"data", 4, "<I", 0)]),
    ("a.wav", [(b"data", 4, "<I", 0)]),
    ("a.wav", [(b"RIFF", 4, "<I", 0), (b"data", 4, "<I", 1000)]),  # one that is written every few seconds
    ("a.wav", [(b"RIFF", 4, "<I", 2**32 - 1), (b"data", 4, "<I", 2**32 - 1)]),
    ("a.aiff", [(b"FORM", 4, ">I", 46), (b"COMM", 10, ">I", 0), (b"SSND", 4, ">I", 8)]),
    ("a.aiff", [(b"FORM", 4, ">I", 0), (b"COMM", 10, ">I", 0), (b"SSND", 4, ">I", 0)]),
    ("a.au", [(b".snd", 8, ">I", 0)]),
    ("a.au", [(b".snd", 8, ">I", 2**32 - 1)]),
    ("a.rf64", [(b"ds64", 8, "<Q", 0), (b"ds64", 16, "<Q", 0)]),
    ("a.rf64", [(b"ds64", 8, "<Q", ALL_ONES), (b"ds64", 16, "<Q", ALL_ONES)]),
    ("a.caf", [(b"data", 4, ">Q", ALL_ONES)]),
    ("a.caf", [(b"data", 4, ">Q", 4)]),
    ("a.w64", [(b"riff", 16, "<Q", 0)]),
]


@pytest.mark.parametrize(("name", "sizes"), HEADERS)
def test_a_header_that_was_never_finished_loses_no_sample(
    tmp_path: Path, name: str, sizes: list[tuple[bytes, int, str, int]]
) -> None:
    whole = read_audio(unfinished(tmp_path / f"whole{Path(name).suffix}"))
    read = read_audio(unfinished(tmp_path / name, *sizes))
    assert whole.remark == ""
    np.testing.assert_array_equal(read.samples, whole.samples)


def test_a_flac_without_a_length_is_read_to_its_end(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", WORD, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    assert len(read_audio(tmp_path / "a.flac").samples) == len(WORD)


def test_chunks_behind_no_sound_are_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, WORD[:0], RATE)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert caught.value.reason is Reason.EMPTY


def test_the_ledger_tells_that_a_header_was_never_finished(tmp_path: Path) -> None:
    path = (
        unfinished(tmp_path / "words" / "one" / "a.wav", (b"data", 4, "<I", 0))
        if ((tmp_path / "words" / "one").mkdir(parents=True) is None)
        else None
    )
    assert path is not None
    store = prepare(audio_folder, tmp_path / "words", tmp_path / "store", valid_percent=0.0, test_percent=0.0)
    (entry,) = read_ledger(store.path / "ledger.tsv")
    assert "never finished" in entry.detail
    assert entry.seconds == pytest.approx(len(WORD) / RATE, abs=1e-3)


def test_info_reads_a_header_with_the_sizes_of_no_sound(command: Command) -> None:
    told = command("seqaudio", "info", case_file("audio", "not_closed_36_0.wav"))
    assert told.returncode == 0
    assert "0.500 s" in told.stdout
    assert "never finished" in told.stdout


def test_info_reads_a_header_with_sizes_of_nothing(command: Command) -> None:
    told = command("seqaudio", "info", case_file("audio", "not_closed_0_0.wav"))
    assert told.returncode == 0
    assert "0.500 s" in told.stdout
    assert "never finished" in told.stdout


# floats in another unit


def test_floats_in_16_bit_units_are_named_as_that(command: Command, tmp_path: Path) -> None:
    file = case_file("audio", "float_in_int16_units.wav")
    told = command("seqaudio", "info", file)
    assert "another unit" in told.stdout
    assert "clipped" not in told.stdout
    (tmp_path / "words" / "one").mkdir(parents=True)
    (tmp_path / "words" / "one" / "a.wav").write_bytes(file.read_bytes())
    soundfile.write(tmp_path / "words" / "one" / "b.wav", WORD, RATE)
    for keep in ("samples", "features"):
        options = {"valid_percent": 0.0, "test_percent": 0.0, "keep": keep}
        store = prepare(audio_folder, tmp_path / "words", tmp_path / keep, **options)
        assert refused(store)["one/a.wav"].reason is Reason.OTHER_UNIT


@pytest.mark.parametrize(
    ("peak", "fine"), [(0.5, True), (2.0, True), (300.0, False), (32767.0, False), (2.0**31, False)]
)
def test_samples_far_beyond_full_scale_are_refused(tmp_path: Path, peak: float, fine: bool) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, peak * WORD / np.abs(WORD).max(), RATE, subtype="DOUBLE")
    extract = ExtractFeatures(feature_settings("default", RATE), keep="samples")
    item = Item("a", path, "a", "train", "one")
    if fine:
        assert len(extract(item)) == 1
        return
    with pytest.raises(AudioError) as caught:
        extract(item)
    assert caught.value.reason is (Reason.OTHER_UNIT if peak < 1e6 else Reason.NOT_FINITE)


# channels


def test_info_tells_that_channels_cancel(command: Command) -> None:
    told = command("seqaudio", "info", case_file("audio", "channels_out_of_phase.wav"))
    assert told.returncode == 0
    assert "cancel" in told.stdout
    assert "silent" not in told.stdout


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a24.wav", "a.mp3"])
def test_of_channels_that_cancel_the_loudest_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    options = {"subtype": "PCM_24"} if name == "a24.wav" else {}
    soundfile.write(path, np.stack([0.9 * WORD, -WORD], axis=1), RATE, **options)
    recording = read_audio(path)
    assert "channel 2 is taken" in recording.remark
    level = np.sqrt(np.mean(recording.samples**2) / np.mean(WORD**2))
    assert 0.8 < level < 1.1


@pytest.mark.parametrize("other", [WORD, 0.1 * WORD, np.zeros_like(WORD), WORD[::-1], -0.3 * WORD])
def test_channels_that_do_not_cancel_are_averaged(tmp_path: Path, other: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([WORD, other], axis=1), RATE, subtype="FLOAT")
    recording = read_audio(tmp_path / "a.wav")
    assert recording.remark == ""
    np.testing.assert_allclose(recording.samples, (WORD + other) / 2, atol=1e-7)


# FLAC


def flac_with_junk(path: Path) -> np.ndarray:
    """A FLAC with bytes between two frames that are none; returns its samples."""
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 40_000)
    soundfile.write(path, samples, RATE)
    content = path.read_bytes()
    middle = next(place for place in range(30_000, len(content)) if content[place : place + 2] == b"\xff\xf8")
    path.write_bytes(content[:middle] + bytes(200) + content[middle:])
    return samples


def test_a_flac_in_which_libsndfile_loses_its_place_goes_to_the_other_decoder(tmp_path: Path) -> None:
    pytest.importorskip("av")
    samples = flac_with_junk(tmp_path / "a.flac")
    recording = read_audio(tmp_path / "a.flac")
    np.testing.assert_allclose(recording.samples, samples, atol=1e-4)
    assert "FFmpeg" in recording.remark


@pytest.mark.parametrize("place", [9000, 30_000, 50_000])
def test_a_flac_with_a_flipped_bit_is_refused_by_both(tmp_path: Path, place: int) -> None:
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(1).uniform(-0.5, 0.5, 40_000), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[place] ^= 1
    (tmp_path / "a.flac").write_bytes(content)
    with pytest.raises(AudioError, match=r"damaged|truncated"):
        read_audio(tmp_path / "a.flac")


def test_without_the_other_decoder_the_seconds_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seqaudio.audio.reading, "find_spec", lambda name: None)
    flac_with_junk(tmp_path / "a.flac")
    with pytest.raises(AudioError, match=r"lost sync; libsndfile reads \d\.\d\d s of the 5\.00 s .*\.\[media\]"):
        read_audio(tmp_path / "a.flac")


# rates and lengths


def test_usual_rates_and_presets_make_stores(tmp_path: Path) -> None:
    clips = case_file("audio", "clips")
    for rate, features in (
        (44100, "default"),
        (22050, "default"),
        (11025, "default"),
        (16000, "kaldi"),
        (11025, "kaldi"),
    ):
        store = prepare(audio_folder, clips, tmp_path / f"{rate}{features}", sample_rate=rate, features=features)
        assert sum(count.rows for count in store.counts.values()) == 36


def test_an_hour_is_no_limit_with_an_option(tmp_path: Path) -> None:
    (tmp_path / "words" / "one").mkdir(parents=True)
    soundfile.write(tmp_path / "words" / "one" / "a.wav", np.tile(WORD, 4), RATE)
    soundfile.write(tmp_path / "words" / "one" / "b.wav", WORD, RATE)
    options = {"valid_percent": 0.0, "test_percent": 0.0}
    short = prepare(audio_folder, tmp_path / "words", tmp_path / "short", max_seconds=1.0, **options)
    assert "--max-seconds" in refused(short)["one/a.wav"].detail
    long = prepare(audio_folder, tmp_path / "words", tmp_path / "long", max_seconds=7200.0, **options)
    assert not refused(long)


def test_info_and_recognize_take_longer_recordings_too(command: Command, word_run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.tile(WORD, 4), RATE)
    for words in (("info",), ("recognize", word_run)):
        assert "--max-seconds" in command("seqaudio", *words, tmp_path / "a.wav", "--max-seconds", "1").stderr
        assert command("seqaudio", *words, tmp_path / "a.wav", "--max-seconds", "7200").returncode == 0
