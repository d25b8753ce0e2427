"""Notes as sound: heard at their time, never clipped, the same each time, with a SoundFont and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Command, assert_refused
from seqaudio.cli import render as render_command
from seqaudio.errors import OptionError
from seqaudio.midi import read_midi, write_midi
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.rendering import sound as rendering_module
from seqaudio.rendering import soundfont as soundfont_module
from seqaudio.rendering.sine_tones import sine_tones
from seqaudio.rendering.sound import PEAK, Samples, render, write_wav
from seqaudio.rendering.soundfont_player import MAX_RELEASE

RATE = 16000  # hertz, of most renderings here
BAR = 2.0  # seconds


def tune() -> NoteSequence:
    """Four bars: a melody of crotchets and a bass of minims."""
    melody = [60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 71, 67, 62, 60]
    bass = [48, 43, 45, 40, 41, 36, 43, 48]
    starts = [480 * n for n in range(16)] + [960 * n for n in range(8)]
    ends = [480 * n + 480 for n in range(16)] + [960 * n + 960 for n in range(8)]
    return NoteSequence.from_columns(
        starts,
        ends,
        melody + bass,
        [90] * 16 + [70] * 8,
        program=[0] * 16 + [32] * 8,
        track=[0] * 16 + [1] * 8,
        time_signatures=[TimeSignature(0, 4, 4)],
    )


def one_note(pitch: int = 60, seconds: float = 1.0, **more: object) -> NoteSequence:
    return NoteSequence.from_columns([0], [round(960 * seconds)], [pitch], 100, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sound() -> Samples:
    return render(tune(), RATE)


@pytest.fixture
def no_soundfont(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if pretty_midi were not installed."""
    monkeypatch.setattr(soundfont_module, "find_spec", lambda name: None)


def loudness(samples: Samples, window: float = 0.02, rate: int = RATE) -> np.ndarray:
    """Highest peak of successive windows of that many seconds."""
    size = round(window * rate)
    whole = np.abs(samples).max(axis=1)[: len(samples) // size * size]
    return whole.reshape(-1, size).max(axis=1)


def strongest_frequency(samples: Samples, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples.mean(axis=1) * np.hanning(len(samples)), n=1 << 18))
    return float(np.argmax(spectrum) * rate / (1 << 18))


# --- what any rendering must be, with a SoundFont and without ---


@pytest.fixture(scope="module", params=["soundfont", "sines"])
def either(request: pytest.FixtureRequest, sound: Samples) -> Samples:
    if request.param == "soundfont":
        return sound
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundfont_module, "find_spec", lambda name: None)
        return render(tune(), RATE)


def test_sound_is_stereo_and_peaks_at_minus_one_decibel(either: Samples) -> None:
    assert either.dtype == np.float32
    assert either.shape[1] == 2
    assert np.isfinite(either).all()
    assert np.abs(either).max() == pytest.approx(10 ** (-1 / 20), rel=1e-6)
    assert (np.abs(either).max(axis=0) > 0.1).all(), "both sides are heard"


def test_sound_lasts_as_long_as_the_notes_and_a_release(either: Samples) -> None:
    assert tune().duration <= len(either) / RATE <= tune().duration + MAX_RELEASE


def test_no_bar_is_silent(either: Samples) -> None:
    quiet = loudness(either[: round(tune().duration * RATE)]) < 1e-3
    longest = max(len(run) for run in "".join("q" if q else "s" for q in quiet).split("s"))
    assert longest * 0.02 < BAR


def test_sound_begins_and_ends_without_a_click(either: Samples) -> None:
    assert np.abs(either[0]).max() == 0
    assert np.abs(either[:8]).max() < 0.02
    assert np.abs(either[-1]).max() == 0
    assert np.abs(either[-8:]).max() < 1e-3
    assert np.abs(np.diff(either[-400:], axis=0)).max() < 0.01


def test_each_note_is_heard_when_it_begins(either: Samples) -> None:
    levels = loudness(either, 0.05)
    for beat in range(1, 16):
        at = round(beat * 0.5 / 0.05)
        assert levels[at : at + 2].max() > 1.3 * levels[at - 1], f"beat {beat} has no onset"


def test_equal_notes_give_equal_samples(sound: Samples) -> None:
    np.testing.assert_array_equal(render(tune(), RATE), sound)


@pytest.mark.parametrize("rate", [8000, 48000])
def test_any_usual_sample_rate_will_do(rate: int) -> None:
    samples = render(one_note(69), rate)
    assert len(samples) >= rate
    assert strongest_frequency(samples, rate) == pytest.approx(440.0, rel=0.005)
    assert np.abs(samples).max() == pytest.approx(PEAK)


@pytest.mark.parametrize("rate", [0, 7999, 192_001])
def test_a_nonsensical_sample_rate_is_refused(rate: int) -> None:
    with pytest.raises(OptionError, match="8000 to 192000 Hz"):
        render(tune(), rate)


def test_no_notes_and_hours_of_notes_are_refused() -> None:
    with pytest.raises(OptionError, match="no notes"):
        render(NoteSequence.from_columns([], [], []))
    with pytest.raises(OptionError, match="lasts 3,601 s, expected at most 3,600 s"):
        render(one_note(seconds=3601))


def test_times_go_through_the_tempo_map() -> None:
    notes = NoteSequence.from_columns(
        [480, 960, 1440], [600, 1080, 1560], [60, 64, 67], 100, tempos=[(0, 1_000_000), (960, 500_000)]
    )
    levels = loudness(render(notes, RATE), 0.01)
    loud = levels > 0.1
    onsets = [0.01 * n for n in range(1, len(loud)) if loud[n] and not loud[max(0, n - 10) : n].any()]
    assert onsets == pytest.approx(notes.start.tolist(), abs=0.025)


def test_silence_before_the_first_note_is_kept() -> None:
    samples = render(NoteSequence.from_columns([960], [1440], [60], 100), RATE)
    assert np.abs(samples[: round(0.99 * RATE)]).max() < 1e-3
    assert np.abs(samples[RATE : round(1.2 * RATE)]).max() > 0.1


def test_the_last_note_dies_away_behind_its_end() -> None:
    piano = render(one_note(seconds=0.5), RATE)
    assert len(piano) > 0.6 * RATE
    assert np.abs(piano[round(0.51 * RATE) : round(0.55 * RATE)]).max() > 0.02


def test_notes_of_more_than_a_minute_are_released_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    samples = render(one_note(seconds=70, program=19), 8000)  # an organ
    assert len(samples) >= 70 * 8000
    assert np.abs(samples[: 59 * 8000]).max() > 0.5
    assert np.abs(samples[66 * 8000 :]).max() < 0.001
    assert capsys.readouterr().err == "warning: 1 of 1 notes last longer than 60 s and are released then\n"


def test_a_note_without_length_is_heard() -> None:
    assert np.abs(render(NoteSequence.from_columns([0], [0], [60], 100), RATE)).max() == pytest.approx(PEAK)


def test_a_note_inside_an_equal_one_is_no_obstacle() -> None:
    nested = NoteSequence.from_columns([0, 240], [1920, 480], [60, 60], 100)
    assert len(render(nested, RATE)) >= nested.duration * RATE


def test_ticks_beyond_what_midi_holds_are_no_obstacle() -> None:
    notes = NoteSequence.from_columns([2**29], [2**29 + 2**27], [60], 100, tempos=[(0, 1)])
    assert len(render(notes, RATE)) >= notes.duration * RATE


def test_a_bad_soundfont_is_refused_rather_than_replaced(tmp_path: Path) -> None:
    font = tmp_path / "bad.sf2"
    font.write_bytes(b"RIFF\x04\x00\x00\x00WAVE")
    with pytest.raises(OptionError, match=r"bad\.sf2: begins with .* not a SoundFont"):
        render(tune(), RATE, font)


# --- without a SoundFont ---


def test_without_the_soundfont_sines_sound_and_a_line_says_so(
    no_soundfont: None, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = render(one_note(69), RATE)
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ")
    assert "rendering with sine tones instead" in warning
    assert warning.count("\n") == 1
    assert strongest_frequency(samples, RATE) == pytest.approx(440.0, rel=0.001)


def test_where_the_soundfont_is_damaged_sines_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    font = tmp_path / "TimGM6mb.sf2"
    font.write_bytes(soundfont_module.general_midi_soundfont().read_bytes()[:100_000])
    monkeypatch.setattr(rendering_module, "general_midi_soundfont", lambda: font)
    samples = render(one_note(69), RATE)
    assert np.abs(samples).max() == pytest.approx(PEAK)
    assert (
        "truncated: 100000 bytes, its header says 5994284; expected a SoundFont (.sf2); rendering with sine"
        in capsys.readouterr().err
    )


def test_notes_beyond_the_instruments_range_are_heard_as_sines(capsys: pytest.CaptureFixture[str]) -> None:
    samples = render(one_note(120), 44100)  # the piano of the font ends before that
    assert strongest_frequency(samples, 44100) == pytest.approx(440.0 * 2 ** (51 / 12), rel=0.001)
    assert "has no sound for any note" in capsys.readouterr().err


def test_notes_above_half_the_sample_rate_are_refused(no_soundfont: None) -> None:
    with pytest.raises(OptionError, match="every note lies above 4000 Hz"):
        render(one_note(125), 8000)


def test_sine_tones_have_no_partial_above_half_the_sample_rate() -> None:
    tone = sine_tones(one_note(100, 0.5), 8000).mean(axis=1)  # 2637 Hz; its octave would fold back to 2726 Hz
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    frequency = np.fft.rfftfreq(len(tone), 1 / 8000)
    fundamental = spectrum[np.abs(frequency - 2637) < 15].max()
    assert spectrum[np.abs(frequency - 2726) < 15].max() < 0.01 * fundamental


def test_sine_tones_lie_from_left_to_right() -> None:
    notes = NoteSequence.from_columns([0, 1920], [480, 2400], [60, 60], 100, track=[0, 1])
    tones = sine_tones(notes, RATE)
    first, second = np.abs(tones[:RATE]).max(axis=0), np.abs(tones[2 * RATE :]).max(axis=0)
    assert first[0] > 1.5 * first[1]
    assert second[1] > 1.5 * second[0]


def test_sine_drums_are_short_noise_and_equal_each_time() -> None:
    kick, hat = (sine_tones(one_note(pitch, 0.5, is_drum=True), RATE).mean(axis=1) for pitch in (36, 42))
    np.testing.assert_array_equal(kick, sine_tones(one_note(36, 0.5, is_drum=True), RATE).mean(axis=1))
    for noise in (kick, hat):
        assert np.abs(noise[: RATE // 20]).max() > 10 * np.abs(noise[RATE // 4 : RATE // 2]).max()
    spectra = [np.abs(np.fft.rfft(noise)) for noise in (kick, hat)]
    bright = [spectrum[len(spectrum) // 4 :].sum() / spectrum.sum() for spectrum in spectra]
    assert bright[1] > 2 * bright[0], "the hat is brighter than the drum"


# --- WAV ---


def test_a_wav_is_sixteen_bit_and_equal_each_time(sound: Samples, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, sound, RATE)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.format, info.subtype, info.channels, info.samplerate) == ("WAV", "PCM_16", 2, RATE)
    back, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_allclose(back, sound, rtol=0, atol=1 / 32768)
    assert 10 ** (-6 / 20) < np.abs(back).max() < 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("value", [1.01, -2.0, np.nan, np.inf])
def test_samples_that_would_clip_are_refused_and_the_file_before_stays(value: float, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write_wav(path, np.zeros((10, 2), np.float32), RATE)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="expected at most 1"):
        write_wav(path, np.full((10, 2), value, np.float32), RATE)
    assert path.read_bytes() == before


# --- seqaudio render ---


@pytest.fixture(scope="module")
def midi_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("midi") / "tune.mid"
    write_midi(tune(), path)
    return path


def test_the_command_writes_sound_and_picture(command: Command, midi_file: Path, tmp_path: Path) -> None:
    wav, png = tmp_path / "x.wav", tmp_path / "x.png"
    options = ("--wav", wav, "--png", png, "--sample-rate", "22050")
    done = command("seqaudio", "render", midi_file, *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert soundfile.info(wav).samplerate == 22050
    assert soundfile.info(wav).duration >= tune().duration
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [str(wav), str(png)]
    before = wav.read_bytes()
    assert_refused(command("seqaudio", "render", midi_file, *options), "exists", "--force")
    assert command("seqaudio", "render", midi_file, *options, "--force").returncode == 0
    assert wav.read_bytes() == before


def test_the_command_refuses_a_damaged_file_and_a_bad_soundfont(
    command: Command, midi_file: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mid"
    bad.write_bytes(midi_file.read_bytes()[:60])
    wav = tmp_path / "x.wav"
    assert_refused(command("seqaudio", "render", bad, "--wav", wav), "bad.mid", "truncated")
    assert_refused(command("seqaudio", "render", midi_file, "--wav", wav, "--soundfont", bad), "not a SoundFont")
    assert not wav.exists()


def test_the_command_refuses_options_that_cannot_work(midi_file: Path, tmp_path: Path) -> None:
    def refused(words: str, **options: Path | None) -> None:
        with pytest.raises(OptionError, match=words):
            render_command.main(render_command.Config(midi_file, **options))  # type: ignore[arg-type]

    refused("nothing to write; give --wav tune.wav")
    refused("ends in .wav", wav=tmp_path / "x.mp3")
    refused("ends in .png", png=tmp_path / "x.jpg")
    refused("no such folder", png=tmp_path / "nowhere" / "x.png")
    (tmp_path / "folder.png").mkdir()
    refused("is a folder", png=tmp_path / "folder.png")


# --- real music ---


@pytest.mark.data
def test_real_pieces_sound_from_beginning_to_end(data_folder: Path) -> None:
    path = sorted((data_folder / "music" / "nottingham" / "midi").glob("*.mid"))[7]
    notes = read_midi(path)
    samples = render(notes, RATE)
    assert len(samples) >= notes.duration * RATE
    levels = loudness(samples[: round(notes.duration * RATE)], 2.0)
    assert (levels > 0.02).all()
