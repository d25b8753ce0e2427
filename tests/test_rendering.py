"""Notes as sound: heard at their time and pitch, never clipped, the same each time; and what happens without a font."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Command, assert_refused
from seqaudio.cli import render as render_command
from seqaudio.errors import OptionError
from seqaudio.notes import NoteSequence, TimeSignature, read_midi, write_midi
from seqaudio.notes import rendering as rendering_module
from seqaudio.notes import soundfont as soundfont_module
from seqaudio.notes.rendering import PEAK, RELEASE, Samples, render, write_wav
from seqaudio.notes.sine_tones import sine_tones
from seqaudio.notes.soundfont import fit_programs, general_midi_soundfont, read_soundfont

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
    assert tune().duration <= len(either) / RATE <= tune().duration + RELEASE


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


# --- the SoundFont's part ---


def test_a_note_has_its_pitch() -> None:
    assert strongest_frequency(render(one_note(69), RATE), RATE) == pytest.approx(440.0, rel=0.005)


def test_times_go_through_the_tempo_map() -> None:
    notes = NoteSequence.from_columns(
        [480, 960, 1440], [600, 1080, 1560], [60, 64, 67], 100, tempos=[(0, 1_000_000), (960, 250_000)]
    )
    levels = loudness(render(notes, RATE), 0.01)
    loud = levels > 0.1
    onsets = [0.01 * n for n in range(1, len(loud)) if loud[n] and not loud[max(0, n - 10) : n].any()]
    assert onsets == pytest.approx(notes.start.tolist(), abs=0.025)


def test_a_louder_velocity_sounds_louder() -> None:
    notes = NoteSequence.from_columns([0, 1920], [480, 2400], [60, 60], [40, 120])
    samples = render(notes, RATE)
    assert np.abs(samples[2 * RATE :]).max() > 2 * np.abs(samples[:RATE]).max()


def test_silence_before_the_first_note_is_kept() -> None:
    samples = render(NoteSequence.from_columns([960], [1440], [60], 100), RATE)
    assert np.abs(samples[: round(0.99 * RATE)]).max() == 0
    assert np.abs(samples[RATE : round(1.2 * RATE)]).max() > 0.1


def test_the_last_note_dies_away_behind_its_end() -> None:
    strings = one_note(seconds=0.5, program=48)
    samples = render(strings, RATE)
    assert len(samples) > 0.6 * RATE
    assert np.abs(samples[round(0.51 * RATE) : round(0.55 * RATE)]).max() > 0.02


def test_more_parts_than_channels_are_all_heard() -> None:
    starts = np.arange(20) * 480
    notes = NoteSequence.from_columns(starts, starts + 240, 60, 100, program=np.arange(20), track=np.arange(20))
    levels = loudness(render(notes, RATE), 0.25)
    assert (levels[:40:2] > 0.02).all()


def test_a_note_without_length_is_heard() -> None:
    assert len(render(NoteSequence.from_columns([0], [0], [60], 100), RATE)) > 0


def test_a_note_inside_an_equal_one_is_no_obstacle() -> None:
    nested = NoteSequence.from_columns([0, 240], [1920, 480], [60, 60], 100)
    assert len(render(nested, RATE)) >= nested.duration * RATE


def test_ticks_beyond_what_midi_holds_are_no_obstacle() -> None:
    notes = NoteSequence.from_columns([2**29], [2**29 + 2**27], [60], 100, tempos=[(0, 1)])
    assert len(render(notes, RATE)) >= notes.duration * RATE


@pytest.mark.parametrize("rate", [8000, 48000])
def test_any_usual_sample_rate_will_do(rate: int) -> None:
    samples = render(one_note(69), rate)
    assert len(samples) >= rate
    assert strongest_frequency(samples, rate) == pytest.approx(440.0, rel=0.005)


@pytest.mark.parametrize("rate", [0, 7999, 192_001])
def test_a_nonsensical_sample_rate_is_refused(rate: int) -> None:
    with pytest.raises(OptionError, match="8000 to 192000 Hz"):
        render(tune(), rate)


def test_no_notes_and_hours_of_notes_are_refused() -> None:
    with pytest.raises(OptionError, match="no notes"):
        render(NoteSequence.from_columns([], [], []))
    with pytest.raises(OptionError, match="lasts 3,601 s, expected at most 3,600 s"):
        render(one_note(seconds=3601))


# --- fonts that lack something ---


def tiny_soundfont(path: Path, presets: list[tuple[int, int]]) -> Path:
    """A SoundFont with one looped sine of 441 Hz as middle A, under each (program, bank)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack("<4sI", kind, len(content)) + content

    period = np.round(20000 * np.sin(2 * np.pi * np.arange(100) / 100)).astype("<i2")
    samples = np.concatenate([np.tile(period, 20), np.zeros(46, "<i2")])
    header = struct.Struct("<20sHHHIII")
    heads = b"".join(header.pack(b"sine", program, bank, n, 0, 0, 0) for n, (program, bank) in enumerate(presets))
    count = len(presets)
    pdta = {
        b"phdr": heads + header.pack(b"EOP", 0, 0, count, 0, 0, 0),
        b"pbag": b"".join(struct.pack("<HH", n, 0) for n in range(count + 1)),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HH", 41, 0) * count + bytes(4),  # instrument 0
        b"inst": struct.pack("<20sH", b"sine", 0) + struct.pack("<20sH", b"EOI", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<HHHH", 54, 1, 53, 0) + bytes(4),  # looped; sample 0
        b"shdr": struct.pack("<20sIIIIIBbHH", b"sine", 0, 2000, 100, 1900, 44100, 69, 0, 0, 1)
        + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    body = b"sfbk"
    body += chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"INAM", b"tiny"))
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", samples.tobytes()))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(kind, content) for kind, content in pdta.items()))
    path.write_bytes(chunk(b"RIFF", body))
    return path


def test_the_instruments_of_a_soundfont_are_known(tmp_path: Path) -> None:
    font = read_soundfont(tiny_soundfont(tmp_path / "tiny.sf2", [(3, 0), (19, 0), (25, 128), (7, 9)]))
    assert (font.melodic, font.percussion) == ({3, 19}, {25})
    whole = read_soundfont(general_midi_soundfont())
    assert whole.melodic == set(range(128))
    assert 0 in whole.percussion


def test_another_soundfont_is_heard(tmp_path: Path) -> None:
    font = tiny_soundfont(tmp_path / "tiny.sf2", [(0, 0)])
    samples = render(one_note(81), RATE, font)
    assert strongest_frequency(samples, RATE) == pytest.approx(882.0, rel=0.005)


def test_a_missing_program_is_played_by_the_lowest_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    font = tiny_soundfont(tmp_path / "tiny.sf2", [(19, 0), (5, 0)])
    samples = render(one_note(program=40), RATE, font)
    assert np.abs(samples).max() == pytest.approx(PEAK)
    assert capsys.readouterr().err == "warning: tiny.sf2 has no program 40; program 5 plays it\n"


def test_what_a_soundfont_cannot_play_at_all_is_left_out_with_a_warning(tmp_path: Path) -> None:
    font = read_soundfont(tiny_soundfont(tmp_path / "tiny.sf2", [(0, 0)]))
    notes = NoteSequence.from_columns([0, 0, 480], [9, 9, 489], [60, 38, 36], is_drum=[False, True, True])
    fitting, remarks = fit_programs(notes, font)
    assert fitting.pitch.tolist() == [60]
    assert remarks == ["tiny.sf2 has no drum kit at all; drum kit 0 is left out"]
    with pytest.raises(OptionError, match="has no instrument for any note"):
        render(notes.select(notes.is_drum), RATE, font.path)


def test_an_unknown_drum_kit_is_played_by_the_standard_kit(capsys: pytest.CaptureFixture[str]) -> None:
    samples = render(one_note(38, program=5, is_drum=True), RATE)
    assert len(samples)
    assert "has no drum kit 5; drum kit 0 plays it" in capsys.readouterr().err


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


DAMAGE = {
    "no such file": None,
    "has no list": lambda data: b"",
    "is no SoundFont": lambda data: b"RIFF\x04\x00\x00\x00WAVE",
    "promises": cut,
    "has no instrument in bank 0": lambda data: data.replace(
        b"sine".ljust(20, b"\0") + bytes(4), b"sine".ljust(24, b"\7")
    ),
    "no list of instruments": lambda data: data.replace(b"phdr", b"phdx"),
}


@pytest.mark.parametrize("words", DAMAGE)
def test_a_bad_soundfont_is_refused_in_one_line(words: str, tmp_path: Path) -> None:
    font = tmp_path / "bad.sf2"
    damage = DAMAGE[words]
    if damage is not None:
        data = tiny_soundfont(font, [(0, 0)]).read_bytes()
        font.write_bytes(damage(data))
    with pytest.raises(OptionError, match=words if damage else "(?i)no such file") as caught:
        render(tune(), RATE, font)
    assert str(font) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_soundfont_that_crashes_the_synthesiser_is_refused(tmp_path: Path) -> None:
    font = tiny_soundfont(tmp_path / "bad.sf2", [(0, 0)])
    data = bytearray(font.read_bytes())
    place = data.index(b"inst") + 8 + 20
    data[place : place + 2] = b"\xff\x7f"  # zones that are far outside the file
    font.write_bytes(data)
    with pytest.raises(OptionError, match="bad.sf2"):
        render(tune(), RATE, font)


@pytest.mark.parametrize("seed", range(8))
def test_no_damage_to_a_soundfont_ends_the_program(seed: int, tmp_path: Path) -> None:
    font = tiny_soundfont(tmp_path / "bad.sf2", [(0, 0)])
    data = bytearray(font.read_bytes())
    draw = np.random.default_rng(seed)
    first = data.index(b"pdta")
    for place in draw.integers(first, len(data), 4):
        data[place] = draw.choice([0, 1, 127, 255])
    font.write_bytes(data)
    try:
        assert np.abs(render(one_note(), RATE, font)).max() <= PEAK * 1.000001
    except OptionError as error:
        assert "bad.sf2" in str(error)


# --- without a SoundFont ---


def test_without_the_soundfont_sines_sound_and_a_line_says_so(
    no_soundfont: None, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = render(one_note(69), RATE)
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ")
    assert "sine tones are heard instead" in warning
    assert warning.count("\n") == 1
    assert strongest_frequency(samples, RATE) == pytest.approx(440.0, rel=0.001)


@pytest.mark.parametrize(
    "program", ["import os; os.abort()", "raise SystemExit('it broke')", "import time; time.sleep(60)"]
)
def test_where_the_synthesiser_fails_sines_sound(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    player = tmp_path / "player.py"
    player.write_text(program)
    monkeypatch.setattr(rendering_module, "PLAYER", player)
    monkeypatch.setattr(rendering_module, "DEADLINE", -0.5 if "sleep" in program else 60.0)
    samples = render(one_note(69), RATE)
    assert np.abs(samples).max() == pytest.approx(PEAK)
    assert "sine tones are heard instead" in capsys.readouterr().err


def test_notes_beyond_the_instruments_range_are_heard_as_sines(capsys: pytest.CaptureFixture[str]) -> None:
    samples = render(one_note(120), 44100)  # the piano of the font ends before that
    assert strongest_frequency(samples, 44100) == pytest.approx(440.0 * 2 ** (51 / 12), rel=0.001)
    assert "has no sound for any note" in capsys.readouterr().err


def test_notes_above_half_the_sample_rate_are_refused(no_soundfont: None) -> None:
    with pytest.raises(OptionError, match="below 4000 Hz"):
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
    crossings = [np.count_nonzero(np.diff(np.sign(noise[: RATE // 20]))) for noise in (kick, hat)]
    assert crossings[1] > crossings[0], "the hat is brighter than the drum"


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
    assert_refused(command("seqaudio", "render", midi_file, "--wav", wav, "--soundfont", bad), "is no SoundFont")
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


@pytest.mark.data
def test_a_real_soundfont_of_a_few_instruments_is_heard(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    font = data_folder / "music" / "soundfont" / "florestan-subset.sf2"
    samples = render(one_note(69), RATE, font)
    assert strongest_frequency(samples, RATE) == pytest.approx(440.0, rel=0.01)
    assert "has no program 0; program 2 plays it" in capsys.readouterr().err
