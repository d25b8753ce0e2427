"""Sound that comes in block by block: PCM of any width on stdin, files, microphones; resampled as a whole would be."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import RATE, spoken
from seqaudio.audio import read_audio, resample, stream_audio
from seqaudio.audio.live import STDIN, LiveOptions, open_live
from seqaudio.audio.pcm import PcmFormat, PcmStream
from seqaudio.audio.recording import StreamResampler
from seqaudio.errors import AudioError, OptionError

WORD = np.concatenate([np.zeros(800, np.float32), spoken(0, 0, 0)])
SUBTYPES = {"8": "PCM_U8", "16": "PCM_16", "24": "PCM_24", "32": "PCM_32", "float32": "FLOAT"}


def raw(samples: np.ndarray, width: str = "16", container: str = "RAW") -> bytes:
    """The bytes of samples, without a header or as a WAV."""
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, SUBTYPES[width], format=container, endian="LITTLE")
    return content.getvalue()


def on_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def heard(monkeypatch: pytest.MonkeyPatch, content: bytes, wanted: int | None = None, **options: Any) -> np.ndarray:
    """All samples of bytes on stdin; a remark on them fails the test."""
    on_stdin(monkeypatch, content)
    with open_live(STDIN, LiveOptions(**{"rate": RATE} | options), wanted) as sound:
        samples = np.concatenate(list(sound))
        assert sound.remarks == []
    assert samples.dtype == np.float32
    return samples


def in_pieces(content: bytes, sizes: list[int]) -> Callable[[int], bytes]:
    """A pipe that gives at most so many bytes at once, in turn."""
    file, turn = io.BytesIO(content), iter(range(10**9))
    return lambda most: file.read(min(most, sizes[next(turn) % len(sizes)]))


@pytest.mark.parametrize("container", ["RAW", "WAV", "WAVEX"])
@pytest.mark.parametrize("width", list(SUBTYPES))
def test_samples_of_every_width_are_those_of_libsndfile(
    monkeypatch: pytest.MonkeyPatch, width: str, container: str
) -> None:
    content = raw(WORD, width, container)
    kind = {"format": "RAW", "samplerate": RATE, "channels": 1, "subtype": SUBTYPES[width], "endian": "LITTLE"}
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32", **(kind if container == "RAW" else {}))
    stated = {"width": width} if container == "RAW" else {"width": "8", "rate": 44100, "channels": 2}
    assert np.array_equal(heard(monkeypatch, content, **stated), expected), "the header goes before"


def test_the_header_of_a_wav_that_is_still_recorded_has_no_length(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(raw(WORD, container="WAV"))
    content[4:8], content[40:44] = b"\xff\xff\xff\x7f", b"\xdb\xff\xff\x7f"  # as arecord writes it to a pipe
    assert len(heard(monkeypatch, bytes(content))) == len(WORD)


def test_channels_are_averaged_and_those_that_cancel_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    both = heard(monkeypatch, raw(np.stack([WORD, np.zeros_like(WORD)], axis=1)), channels=2)
    assert np.allclose(both, WORD / 2, atol=1e-4)
    on_stdin(monkeypatch, raw(np.stack([WORD, -WORD], axis=1)))
    with open_live(STDIN, LiveOptions(rate=RATE, channels=2)) as sound:
        list(sound)
    assert any("cancel" in remark for remark in sound.remarks)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    width=st.sampled_from(["16", "24", "float32"]),
    channels=st.integers(1, 3),
)
def test_a_pipe_may_give_its_bytes_in_any_pieces(sizes: list[int], width: Any, channels: int) -> None:
    content = raw(np.stack([WORD * (1 - 0.1 * channel) for channel in range(channels)], axis=1), width)
    given = PcmFormat(RATE, width, channels)
    whole, pieces = (
        np.concatenate(list(PcmStream(read, given, "stdin", 0.1)))
        for read in (in_pieces(content, [1 << 20]), in_pieces(content, sizes))
    )
    assert len(whole) == len(WORD)
    assert np.array_equal(whole, pieces)


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16000), (44100, 16000), (48000, 16000), (16000, 11025)])
@pytest.mark.parametrize("sizes", [(1, 7, 1000), (100_000,), (1600,)])
def test_a_resampled_stream_equals_the_whole(rate: int, wanted: int, sizes: tuple[int, ...]) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 20_011).astype(np.float32)
    stream, parts, place, turn = StreamResampler(rate, wanted), [], 0, 0
    while place < len(samples):
        parts.append(stream.push(samples[place : place + sizes[turn % len(sizes)]]))
        place, turn = place + sizes[turn % len(sizes)], turn + 1
    parts.append(stream.finish())
    assert np.array_equal(np.concatenate(parts), resample(samples, rate, wanted))


def test_a_file_and_the_same_sound_on_stdin_are_equal_at_any_rate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(raw(WORD, container="WAV"))
    for rate in (None, 16000):
        with open_live(tmp_path / "a.wav", LiveOptions(), rate) as sound:
            assert sound.rate == rate or rate is None
            from_file = np.concatenate(list(sound))
        assert np.array_equal(from_file, read_audio(tmp_path / "a.wav", rate).samples)
        assert np.array_equal(from_file, heard(monkeypatch, raw(WORD), rate))


# --- what is wrong with stdin ---


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (b"", {}, "no bytes came"),
        (b"fLaC" + bytes(100), {}, "begins as FLAC"),
        (raw(WORD, container="WAV")[:30], {}, "no samples follow its header"),
        (raw(0.3 * WORD), {"width": "float32"}, "is --width right?"),
    ],
)
def test_bytes_that_are_no_sound_are_one_line(
    monkeypatch: pytest.MonkeyPatch, content: bytes, options: dict[str, Any], words: str
) -> None:
    on_stdin(monkeypatch, content)
    with pytest.raises(AudioError) as raised, open_live(STDIN, LiveOptions(**options)) as sound:
        list(sound)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (raw(WORD)[:-1], {}, "the last 1 bytes are no whole sample of 8,000 Hz, 16 bits, 1 channel"),
        (raw(WORD), {"width": "8"}, "noise at full scale when read as 8,000 Hz, 8 bits"),
        (raw(np.random.default_rng(0).normal(0, 0.1, RATE), "24"), {"width": "16"}, "noise at full scale"),
        (raw(WORD, container="WAV")[:-10], {}, "10 bytes before the length that its header promises"),
    ],
)
def test_a_cut_off_sample_and_a_wrong_width_are_told_and_the_rest_is_heard(
    monkeypatch: pytest.MonkeyPatch, content: bytes, options: dict[str, Any], words: str
) -> None:
    on_stdin(monkeypatch, content)
    with open_live(STDIN, LiveOptions(**{"rate": RATE} | options)) as sound:
        samples = np.concatenate(list(sound))
    assert len(samples) >= len(WORD) - 10
    (remark,) = sound.remarks
    assert words in remark


def test_a_terminal_is_no_source_of_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(OptionError, match=r"a terminal; pipe PCM into it: arecord .* seqaudio listen \.\.\. -"):
        open_live(STDIN, LiveOptions(), command="listen")


# --- microphones ---


class PortAudioError(Exception):
    pass


def fake_sounddevice(known_rates: tuple[int, ...] = (48000,)) -> ModuleType:
    """A machine with a loudspeaker and two microphones, which hear a tone of a second and are then unplugged."""
    module: Any = ModuleType("sounddevice")

    class InputStream:
        def __init__(self, samplerate: int, callback: Callable[..., None], device: int, **options: Any) -> None:
            module.opened = (device, samplerate)
            self.active, self.callback, self.rate = True, callback, samplerate

        def start(self) -> None:
            tone = np.sin(np.arange(self.rate, dtype=np.float32) * 0.1)[:, None]
            for start in range(0, self.rate, 1000):
                self.callback(tone[start : start + 1000], 0, None, SimpleNamespace(input_overflow=start == 0))
            self.active = False

        def close(self) -> None:
            module.closed = True

    def check_input_settings(samplerate: int, **options: Any) -> None:
        if samplerate not in known_rates:
            raise PortAudioError("Invalid sample rate")

    names = [("Loudspeaker", 0), ("Built-in", 2), ("USB headset", 1)]
    module.query_devices = lambda: [
        {"name": name, "max_input_channels": inputs, "default_samplerate": 48000.0} for name, inputs in names
    ]
    module.default = SimpleNamespace(device=(1, 0))
    module.PortAudioError, module.InputStream = PortAudioError, InputStream
    module.check_input_settings = check_input_settings
    return module  # type: ignore[no-any-return]


@pytest.mark.parametrize("known", [(48000,), (16000, 48000)])
def test_a_microphone_gives_the_wanted_rate_and_says_what_was_lost(
    monkeypatch: pytest.MonkeyPatch, known: tuple[int, ...]
) -> None:
    module: Any = fake_sounddevice(known)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr("seqaudio.audio.live.WAITING", 0.01)
    blocks = []
    with (
        pytest.raises(AudioError, match="no longer records"),
        open_live(None, LiveOptions(microphone=("headset",)), 16000) as sound,
    ):
        assert sound.rate == 16000 and sound.waits
        blocks.extend(sound)
        raise AssertionError("the microphone was unplugged")
    assert module.opened == (2, min(known))
    assert module.closed
    assert sound.remarks == ["sound was lost 1 time, as this machine was too slow"]


def test_a_microphone_whose_samples_are_no_numbers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = fake_sounddevice()
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(np, "sin", lambda values: np.full_like(values, np.nan))
    with pytest.raises(AudioError, match="not_finite"), open_live(None, LiveOptions()) as sound:
        list(sound)


def test_an_unknown_microphone_is_told_which_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice())
    for name in ("7", "0", "radio"):  # 0 is the loudspeaker
        with pytest.raises(OptionError, match=rf"--microphone {name}: none has .* 1 'Built-in', 2 'USB headset'"):
            open_live(None, LiveOptions(microphone=(name,)))


@pytest.mark.parametrize("missing", [ImportError, OSError])
def test_without_sounddevice_or_portaudio_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, missing: type[Exception]
) -> None:
    class Missing:
        def find_spec(self, name: str, *rest: object) -> None:
            if name == "sounddevice":
                raise missing("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(OptionError) as raised:
        open_live(None, LiveOptions(), command="listen")
    install = "pip install sounddevice" if missing is ImportError else "apt install libportaudio2"
    assert install in str(raised.value)
    assert "arecord -f S16_LE -r 16000 -c 1 | seqaudio listen ... -" in str(raised.value)
    assert "\n" not in str(raised.value)


# --- files, block by block ---


@pytest.mark.parametrize(
    ("name", "channels"),
    [("a.wav", (1,)), ("a.flac", (1,)), ("a.flac", (1, 0.5)), ("a.flac", (1, -1)), ("a.ogg", (1, 1)), ("a.mp3", (1,))],
)
@pytest.mark.parametrize("wanted", [None, 16000])
def test_blocks_of_a_file_are_the_recording(
    tmp_path: Path, name: str, channels: tuple[float, ...], wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqaudio.audio.sndfile.BLOCK_VALUES", 1000)
    soundfile.write(tmp_path / name, np.stack([WORD * channel for channel in channels], axis=1), RATE)
    expected = read_audio(tmp_path / name, wanted)
    rate, remark, blocks = stream_audio(tmp_path / name, wanted)
    found = list(blocks)
    assert (rate, remark) == (expected.sample_rate, expected.remark)
    assert np.array_equal(np.concatenate(found), expected.samples)
    assert (len(found) > 2) == name.endswith((".flac", ".ogg")), "small WAV files and MP3 are decoded whole"


def test_a_large_wav_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqaudio.audio.reading.LARGEST", 1000)
    monkeypatch.setattr("seqaudio.audio.sndfile.BLOCK_VALUES", 1000)
    soundfile.write(tmp_path / "a.wav", WORD, RATE)
    _, _, blocks = stream_audio(tmp_path / "a.wav")
    found = list(blocks)
    assert max(map(len, found)) == 1000
    assert np.array_equal(np.concatenate(found), read_audio(tmp_path / "a.wav").samples)


def test_what_is_wrong_with_a_file_is_told_as_for_the_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.flac", np.tile(WORD, 9), RATE)
    content = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.flac").write_bytes(b"fLaC, no more")
    (tmp_path / "text.wav").write_bytes(b"no sound")
    samples = np.tile(WORD, 9)
    samples[20_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, "FLOAT")
    soundfile.write(tmp_path / "empty.flac", samples[:0], RATE)
    for name in ("cut.flac", "text.flac", "text.wav", "nan.wav", "empty.flac", "missing.flac"):
        with pytest.raises(AudioError) as whole:
            read_audio(tmp_path / name)
        with pytest.raises(AudioError) as blocks:
            list(stream_audio(tmp_path / name)[2])
        assert blocks.value.reason == whole.value.reason
    with pytest.raises(AudioError, match=r"expected at most 1\.0 s"):
        next(stream_audio(tmp_path / "whole.flac", max_seconds=1.0)[2])
    soundfile.write(tmp_path / "units.wav", WORD * 32768, RATE, "FLOAT")
    with pytest.raises(AudioError, match="times full scale, expected about 1"):
        list(stream_audio(tmp_path / "units.wav")[2])
