"""Containers that libsndfile does not know: read through PyAV where it is installed, named where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import Command
from mutated_audio import write_media
from seqaudio.audio import is_audio_name, read_audio
from seqaudio.audio.containers import media_name
from seqaudio.errors import AudioError, how_to_install
from seqaudio.ledger import Reason

av = pytest.importorskip("av", reason='the extra is not installed: pip install ".[media]"')

RATE = 48000
CONTAINERS = {
    "a.m4a": ("mp4", "aac"),
    "a.webm": ("webm", "libopus"),
    "a.mka": ("matroska", "libopus"),
    "a.aac": ("adts", "aac"),
    "a.wma": ("asf", "wmav2"),
    "a.ts": ("mpegts", "mp2"),
    "a.avi": ("avi", "pcm_s16le"),
    "a.wv": ("wv", "wavpack"),
    "a.ac3": ("ac3", "ac3"),
    "a.mov": ("mov", "pcm_s16le"),
    "a.eac3": ("eac3", "eac3"),
    "a.tta": ("tta", "tta"),
    "a.mpg": ("mpeg", "mp2"),
    "a.vob": ("vob", "mp2"),
    "a.flv": ("flv", "aac"),
    "a.asf": ("asf", "wmav2"),
}


def tone(hertz: float = 440.0, seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def write(path: Path) -> Path:
    write_media(path, tone(), *CONTAINERS[path.name], RATE)
    return path


def refusal(path: Path, **options: float) -> AudioError:
    with pytest.raises(AudioError) as caught:
        read_audio(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_tone_comes_back_from_every_container(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    assert is_audio_name(path)
    assert media_name(path.read_bytes()[:512])
    recording = read_audio(path)
    assert recording.sample_rate == RATE
    assert recording.samples.dtype == np.float32
    assert recording.seconds == pytest.approx(0.5, abs=0.08)
    middle = recording.samples[RATE // 8 : RATE * 3 // 8]
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.1)
    crossings = np.count_nonzero(np.diff(np.signbit(middle)))
    assert crossings == pytest.approx(440 * 2 * 0.25, abs=3)


def test_lossless_media_are_exact(tmp_path: Path) -> None:
    wanted = np.round(32767 * tone()) / 32768
    np.testing.assert_array_equal(read_audio(write(tmp_path / "a.mov")).samples, wanted.astype(np.float32))
    write_media(tmp_path / "b.mka", tone(), "matroska", "pcm_s16le", RATE)
    np.testing.assert_array_equal(read_audio(tmp_path / "b.mka").samples, wanted.astype(np.float32))


def test_media_are_resampled_as_all_recordings_are(tmp_path: Path) -> None:
    recording = read_audio(write(tmp_path / "a.webm"), 16000)
    assert recording.sample_rate == 16000
    assert recording.seconds == pytest.approx(0.5, abs=0.08)


def test_the_sound_of_a_video_is_read_and_a_silent_film_is_not_audio(tmp_path: Path) -> None:
    for name, with_sound in (("film.mp4", True), ("silent.mp4", False)):
        with av.open(str(tmp_path / name), "w") as file:
            video = file.add_stream("mpeg4", rate=25)
            video.width = video.height = 64
            sound = file.add_stream("aac", rate=RATE, layout="stereo") if with_sound else None
            for _ in range(5):
                file.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8), "rgb24")))
            file.mux(video.encode(None))
            if sound is not None:
                both = np.stack([tone(), np.zeros_like(tone())])
                for start in range(0, len(tone()), 1024):
                    frame = av.AudioFrame.from_ndarray(
                        np.ascontiguousarray(both[:, start : start + 1024]), "fltp", "stereo"
                    )
                    frame.sample_rate = RATE
                    file.mux(sound.encode(frame))
                file.mux(sound.encode(None))
    samples = read_audio(tmp_path / "film.mp4").samples
    assert np.abs(samples[RATE // 8 : RATE * 3 // 8]).max() == pytest.approx(
        0.25, abs=0.05
    )  # the mean of both channels
    error = refusal(tmp_path / "silent.mp4")
    assert (error.reason, error.detail) == (Reason.NOT_AUDIO, "has no sound; it holds video")


def test_half_a_file_is_truncated_or_damaged(tmp_path: Path) -> None:
    for name in ("a.m4a", "a.webm", "a.mov"):
        path = write(tmp_path / name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert refusal(path).reason in (Reason.TRUNCATED, Reason.DAMAGED), name


def test_longer_recordings_than_allowed_are_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "a.m4a"), max_seconds=0.2).reason is Reason.TOO_LONG
    assert refusal(write(tmp_path / "a.aac"), max_seconds=0.2).reason is Reason.TOO_LONG


def test_a_codec_that_libsndfile_does_not_know_is_left_to_pyav(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_media(path, tone(), "wav", "eac3", RATE)
    assert path.read_bytes()[:4] == b"RIFF"
    assert read_audio(path).seconds == pytest.approx(0.5, abs=0.1)


def test_without_the_extra_one_line_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.m4a")
    monkeypatch.setattr("seqaudio.audio.guard.find_spec", lambda name: None)
    error = refusal(path)
    assert error.reason is Reason.NEEDS_EXTRA
    assert error.detail == f"is MP4 (M4A); to read it: {how_to_install('media')}"


def test_media_are_listed_and_prepared_beside_recordings(tmp_path: Path, command: Command) -> None:
    from seqaudio.store import Store

    for word in ("yes", "no"):
        (tmp_path / "in" / word).mkdir(parents=True)
        for name in ("a.m4a", "a.webm", "a.mov"):
            assert is_audio_name(Path(name))
            write_media(tmp_path / "in" / word / name, tone(), *CONTAINERS[name], RATE)
    options = ("--valid-percent", "0", "--test-percent", "0")
    done = command("data_prep/audio_folder.py", "--source", tmp_path / "in", "--out", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    assert Store(tmp_path / "out").counts["train"].labels == {"no": 3, "yes": 3}
