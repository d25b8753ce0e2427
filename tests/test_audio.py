"""Reading recordings: what is decoded, and the reason given for everything that is refused."""

from __future__ import annotations

import hashlib
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

import seqaudio.audio.sndfile
from seqaudio.audio import is_audio_name, read_audio
from seqaudio.audio.reading import LOUDEST
from seqaudio.errors import AudioError, OptionError
from seqaudio.ledger import Reason

RATE = 16000


def tone(hertz: float = 440.0, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    """A sine of half the full scale, [N] float32."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def refusal(path: Path, **options: float) -> AudioError:
    with pytest.raises(AudioError) as caught:
        read_audio(path, **options)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    return caught.value


def reason(path: Path, **options: float) -> Reason:
    return refusal(path, **options).reason


# what is read


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.au", "a.caf", "a.w64", "a.rf64"])
def test_lossless_formats_give_the_samples_that_were_written(tmp_path: Path, name: str) -> None:
    written = np.array([0, 1, -1, 32767, -32768, 12345], dtype=np.int16)
    recording = read_audio(write(tmp_path / name, written))
    assert recording.sample_rate == RATE
    assert recording.samples.dtype == np.float32
    np.testing.assert_array_equal(recording.samples * 32768, written)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.bwf", "WAV"),
        ("a.snd", "AU"),
        ("a.voc", "VOC"),
        ("a.svx", "SVX"),
        ("a.paf", "PAF"),
        ("a.pvf", "PVF"),
        ("a.sf", "IRCAM"),
        ("a.avr", "AVR"),
        ("a.nist", "NIST"),
    ],
)
def test_rare_formats_are_read_and_their_names_known(tmp_path: Path, name: str, kind: str) -> None:
    written = np.array([0, 1, -1, 32767, -32768, 12345], dtype=np.int16)
    path = write(tmp_path / name, written, format=kind, subtype="PCM_16")
    np.testing.assert_array_equal(read_audio(path).samples * 32768, written)
    assert is_audio_name(path)


def test_sphere_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sph", np.arange(-500, 500, dtype=np.int16), format="NIST")
    np.testing.assert_array_equal(read_audio(path).samples * 32768, np.arange(-500, 500))


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus"])
def test_lossy_formats_keep_a_tone_in_place(tmp_path: Path, name: str) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
    recording = read_audio(write(tmp_path / name, tone(), **options))
    assert recording.seconds == pytest.approx(0.5, abs=0.01)
    assert loudest_hertz(recording.samples, RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_sample_format_has_the_same_scale(tmp_path: Path, subtype: str) -> None:
    recording = read_audio(write(tmp_path / "a.wav", tone(), subtype=subtype))
    np.testing.assert_allclose(recording.samples, tone(), atol=0.02)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(300), np.zeros_like(tone(300))
    recording = read_audio(write(tmp_path / "a.wav", np.stack([left, right], axis=1), subtype="FLOAT"))
    np.testing.assert_array_equal(recording.samples, left / 2)


def test_eight_channels_are_averaged(tmp_path: Path) -> None:
    samples = noise(100, channels=8)
    recording = read_audio(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    np.testing.assert_allclose(recording.samples, samples.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_small_blocks_join_into_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = write(tmp_path / name, noise(30000, channels=2))
    whole = read_audio(path).samples
    monkeypatch.setattr(seqaudio.audio.sndfile, "BLOCK_VALUES", 7000)
    np.testing.assert_allclose(read_audio(path).samples, whole, atol=1e-6)


def test_a_name_that_is_no_utf8_is_read(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    write(tmp_path / "a.wav", tone()).rename(path)
    assert read_audio(path).seconds == 0.5


def test_a_wav_written_to_a_pipe_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone())
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFFFFFF)  # the writer could not know the length
    path.write_bytes(content)
    assert read_audio(path).seconds == 0.5


# resampling


def loudest_hertz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=16 * len(samples)))
    return float(np.argmax(spectrum) * rate / (16 * len(samples)))


@pytest.mark.parametrize(("source", "target"), [(8000, 16000), (16000, 8000), (44100, 16000), (48000, 22050)])
def test_resampling_keeps_pitch_level_and_duration(tmp_path: Path, source: int, target: int) -> None:
    path = write(tmp_path / "a.wav", tone(1000, rate=source), source, subtype="FLOAT")
    recording = read_audio(path, target)
    assert recording.sample_rate == target
    assert len(recording.samples) == pytest.approx(target / 2, abs=1)
    assert loudest_hertz(recording.samples, target) == pytest.approx(1000, abs=1)
    middle = recording.samples[target // 8 : target * 3 // 8]
    np.testing.assert_allclose(np.abs(middle).max(), 0.5, rtol=0.01)


def test_resampling_removes_what_the_new_rate_cannot_carry(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(6000), subtype="FLOAT")
    middle = read_audio(path, 8000).samples[500:3500]
    assert np.abs(middle).max() < 1e-3


def test_resampling_repeats_bit_for_bit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(5000))
    np.testing.assert_array_equal(read_audio(path, 11025).samples, read_audio(path, 11025).samples)


def test_the_own_rate_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(5000))
    np.testing.assert_array_equal(read_audio(path, RATE).samples, read_audio(path).samples)


@pytest.mark.parametrize("rate", [0, -8000, 99, 2_000_000])
def test_a_senseless_rate_is_refused(tmp_path: Path, rate: int) -> None:
    with pytest.raises(OptionError, match=f"sample rate {rate} Hz, expected 100 to 1000000 Hz"):
        read_audio(write(tmp_path / "a.wav", tone()), rate)


# what is refused


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.wav") is Reason.MISSING


def test_a_folder_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    error = refusal(tmp_path / "a.wav")
    assert error.reason is Reason.UNREADABLE
    assert "is a folder, expected a file" in error.detail


def test_a_forbidden_file_is_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert reason(path) is Reason.UNREADABLE


def test_a_file_of_no_bytes_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert reason(tmp_path / "a.wav") is Reason.EMPTY


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.ogg"])
def test_a_header_without_samples_is_empty(tmp_path: Path, name: str) -> None:
    assert reason(write(tmp_path / name, tone()[:0])) is Reason.EMPTY


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.raw", "a"])
def test_text_is_not_audio_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("all this is only text\n" * 100)
    assert reason(tmp_path / name) is Reason.NOT_AUDIO


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.au", "a.w64", "a.rf64", "a.ogg", "a.mp3"])
def test_half_a_file_is_truncated(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(40000))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert reason(path) is Reason.TRUNCATED


def test_half_a_sphere_file_is_truncated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sph", noise(4000), format="NIST")
    path.write_bytes(path.read_bytes()[:-2])
    assert "promises 4000 samples, but only 3999 are in" in refusal(path).detail


def test_one_missing_byte_is_truncation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone())
    path.write_bytes(path.read_bytes()[:-1])
    error = refusal(path)
    assert error.reason is Reason.TRUNCATED
    assert "promises 16000 bytes, but only 15999 are in" in error.detail


def test_overwritten_flac_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(40000))
    content = bytearray(path.read_bytes())
    content[30000:30200] = bytes(200)
    path.write_bytes(content)
    assert reason(path) is Reason.DAMAGED


def test_a_header_cut_short_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone())
    path.write_bytes(path.read_bytes()[:30])
    assert reason(path) is Reason.DAMAGED


@pytest.mark.parametrize("rate", [1, 2_000_000_000])
def test_a_header_with_an_impossible_rate_is_damaged(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", tone())
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", rate)
    path.write_bytes(content)
    assert reason(path) is Reason.DAMAGED


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_sample_that_is_not_finite_is_named(tmp_path: Path, value: float, channels: int) -> None:
    samples = noise(100, channels)
    samples[7, 0] = value
    error = refusal(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    assert error.reason is Reason.NOT_FINITE
    assert error.detail.startswith("sample 7 of 100")


@pytest.mark.parametrize("channels", [1, 2])
def test_a_sample_with_a_flipped_bit_is_named(tmp_path: Path, channels: int) -> None:
    samples = noise(100, channels)
    samples[7, 0] = -4e35
    error = refusal(write(tmp_path / "a.wav", samples, subtype="FLOAT"), sample_rate=8000)
    assert error.reason is Reason.NOT_FINITE
    assert re.match(r"sample 7 of 100 is -[24]e\+35, expected at most 1,000,000 times full scale", error.detail)


@pytest.mark.parametrize("rate", [100, 8000, 44100, 1_000_000])
def test_samples_as_large_as_allowed_stay_finite_at_any_rate(tmp_path: Path, rate: int) -> None:
    loudest = np.where(noise(3000) > 0, LOUDEST, -LOUDEST).astype(np.float32)
    samples = read_audio(write(tmp_path / "a.wav", loudest, subtype="FLOAT"), sample_rate=rate).samples
    assert np.isfinite(np.square(samples)).all()
    assert np.abs(samples).max() > LOUDEST / 100


def test_infinities_that_cancel_are_not_finite(tmp_path: Path) -> None:
    samples = noise(100, 2)
    samples[7] = np.inf, -np.inf
    assert reason(write(tmp_path / "a.wav", samples, subtype="FLOAT")) is Reason.NOT_FINITE


def test_a_recording_as_long_as_allowed_is_read_and_one_sample_more_refused(tmp_path: Path) -> None:
    assert read_audio(write(tmp_path / "a.wav", tone(seconds=0.25)), max_seconds=0.25).seconds == 0.25
    path = write(tmp_path / "b.wav", np.append(tone(seconds=0.25), np.float32(0)))
    assert reason(path, max_seconds=0.25) is Reason.TOO_LONG


def test_a_flac_header_that_promises_hours_is_refused_before_decoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone())
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the upper 4 of the 36 bits of STREAMINFO's sample count
    path.write_bytes(content)
    assert reason(path) is Reason.TOO_LONG


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_mutated_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    content = write(tmp_path / name, noise(3000)).read_bytes()
    draw = np.random.default_rng(5)
    outcomes = set()
    for _ in range(40):
        mutated = bytearray(content)
        for place in draw.integers(len(content), size=8):
            mutated[place] = draw.integers(256)
        path = tmp_path / f"mutated{name}"
        path.write_bytes(mutated[: draw.integers(1, len(content) + 1)])
        try:
            samples = read_audio(path).samples
        except AudioError as error:
            outcomes.add(error.reason)
        else:
            assert len(samples) and np.isfinite(samples).all()
    assert outcomes - {Reason.MISSING, Reason.UNREADABLE}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.wav", True), ("a.FLAC", True), ("a.Mp3", True), ("._a.wav", False), (".wav", False), ("a.txt", False)],
)
def test_names_that_promise_sound(name: str, expected: bool) -> None:
    assert is_audio_name(Path("folder") / name) is expected


# recordings of many makers


@pytest.mark.data
def test_odd_formats_are_read(data_folder: Path) -> None:
    pytest.importorskip("av")  # for a FLAC in which libsndfile loses its place
    folder = data_folder / "speech" / "odd_formats"
    lines = (folder / "index.tsv").read_text(encoding="utf-8").splitlines()[1:]
    for name, rate, _channels, _container, _subtype, seconds, *_ in (line.split("\t") for line in lines):
        recording = read_audio(folder / name)
        if name == "damaged.flac":  # its header has the checksum of what FFmpeg reads
            written = (folder / name).read_bytes()[26:42]
            assert hashlib.md5(np.rint(recording.samples * 32768).astype("<i2").tobytes()).digest() == written
            continue
        assert recording.sample_rate == int(rate)
        assert recording.seconds == pytest.approx(float(seconds), abs=0.006)  # MP3 drops part of a frame


@pytest.mark.data
def test_files_beside_recordings_are_not_audio(data_folder: Path) -> None:
    assert reason(data_folder / "speech" / "odd_formats" / "index.tsv") is Reason.NOT_AUDIO
