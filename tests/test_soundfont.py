"""SoundFonts: in tune, as loud as struck, shaped by their envelopes; and no damaged file ends the program."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seqaudio.errors import OptionError
from seqaudio.notes import NoteSequence
from seqaudio.rendering.sound import PEAK, render
from seqaudio.rendering.soundfont import SoundFont, fit_programs, general_midi_soundfont
from seqaudio.rendering.soundfont_player import PLAYING_RATE as RATE
from seqaudio.rendering.soundfont_player import play

ATTACK, DECAY, SUSTAIN, RELEASE = 34, 36, 37, 38  # generators of the volume envelope
MODULATION_DECAY, MODULATION_SUSTAIN, TO_PITCH, TO_CUTOFF = 28, 29, 7, 11
CUTOFF, PAN, ATTENUATION, COARSE, FINE, SCALE, EXCLUSIVE, ROOT = 8, 17, 48, 51, 52, 56, 57, 58
KEYS, VELOCITIES = 43, 44
SECOND = 0  # timecents


def span(low: int, high: int) -> int:
    """The amount of a generator that is a range."""
    return int(struct.unpack("<h", struct.pack("BB", low, high))[0])


def tiny_soundfont(
    path: Path,
    presets: list[tuple[int, int]],
    zones: tuple[dict[int, int], ...] = ({},),
    preset_zone: dict[int, int] | None = None,
    shared: dict[int, int] | None = None,
    wave: np.ndarray | None = None,
    looped: bool = True,
) -> Path:
    """One instrument under each (program, bank): a sine that is middle A at key 69, once for each zone.

    zones, shared: generators of the instrument's zones, and of its global zone; preset_zone: of the preset's.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack("<4sI", kind, len(content)) + content

    def generators(*lists: dict[int, int]) -> bytes:
        # a zone ends with the generator that leads on, which is the highest number here but for a few
        return b"".join(struct.pack("<Hh", kind, amount) for of_zone in lists for kind, amount in of_zone.items())

    if wave is None:
        wave = np.sin(2 * np.pi * np.arange(2000) / 100)
    samples = np.concatenate([np.round(20_000 * wave).astype("<i2"), np.zeros(46, "<i2")])
    of_preset = (preset_zone or {}) | {41: 0}
    of_instrument = [zone | {54: int(looped), 53: 0} for zone in zones]
    if shared is not None:
        of_instrument.insert(0, shared)
    sizes = np.cumsum([0, *map(len, of_instrument)])
    head = struct.Struct("<20sHHHIII")
    count = len(presets)
    heads = b"".join(head.pack(b"sine", program, bank, n, 0, 0, 0) for n, (program, bank) in enumerate(presets))
    sample = struct.Struct("<20sIIIIIBbHH")
    pdta = {
        b"phdr": heads + head.pack(b"EOP", 0, 0, count, 0, 0, 0),
        b"pbag": b"".join(struct.pack("<HH", n * len(of_preset), 0) for n in range(count + 1)),
        b"pmod": bytes(10),
        b"pgen": generators(*[of_preset] * count) + bytes(4),
        b"inst": struct.pack("<20sH", b"sine", 0) + struct.pack("<20sH", b"EOI", len(of_instrument)),
        b"ibag": b"".join(struct.pack("<HH", size, 0) for size in sizes.tolist()),
        b"imod": bytes(10),
        b"igen": generators(*of_instrument) + bytes(4),
        b"shdr": sample.pack(b"sine", 0, len(wave), 100, len(wave) - 100, 44_000, 69, 0, 0, 1)
        + sample.pack(b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    body = b"sfbk"
    body += chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"INAM", b"tiny"))
    body += chunk(b"LIST", b"sdta" + chunk(b"smpl", samples.tobytes()))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(kind, content) for kind, content in pdta.items()))
    path.write_bytes(chunk(b"RIFF", body))
    return path


Sound = Callable[..., np.ndarray]


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    """The samples [N, 2] of one note on a tiny font: sound({generator: amount}, pitch=69, velocity=127, seconds=1)."""

    def of(
        *zones: dict[int, int], pitch: int = 69, velocity: int = 127, seconds: float = 1.0, **font: object
    ) -> np.ndarray:
        path = tiny_soundfont(tmp_path / "tiny.sf2", [(0, 0)], zones or ({},), **font)  # type: ignore[arg-type]
        return play(NoteSequence.from_columns([0], [round(960 * seconds)], [pitch], velocity), SoundFont(path))

    return of


def frequency(samples: np.ndarray, first: float = 0.1, last: float = 0.9) -> float:
    """The strongest, between two times in seconds."""
    part = samples[round(first * RATE) : round(last * RATE)].sum(axis=1)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), n=1 << 19))
    return float(np.argmax(spectrum) * RATE / (1 << 19))


def level(samples: np.ndarray, time: float) -> float:
    """The peak of the left side in 20 ms around a time, in decibels below full scale."""
    part = samples[max(0, round((time - 0.01) * RATE)) : round((time + 0.01) * RATE), 0]
    return float(20 * np.log10(np.abs(part).max() + 1e-12))


FULL = 20 * np.log10(20_000 / 32_768 * np.sqrt(0.5))  # of the tiny font's sine on either side


# --- pitch ---


@pytest.mark.parametrize("pitch", [21, 57, 69, 81, 108])
def test_a_key_sounds_at_its_pitch(pitch: int, sound: Sound) -> None:
    assert frequency(sound(pitch=pitch)) == pytest.approx(440 * 2 ** ((pitch - 69) / 12), rel=1e-3)


@pytest.mark.parametrize(
    ("zone", "semitones"),
    [({COARSE: -12}, -12), ({FINE: 50}, 0.5), ({ROOT: 60}, 9), ({SCALE: 50}, 6), ({SCALE: 0, FINE: -25}, -0.25)],
)
def test_tuning_root_and_scale_move_the_pitch(zone: dict[int, int], semitones: float, sound: Sound) -> None:
    pitch = 81 if SCALE in zone else 69
    assert frequency(sound(zone, pitch=pitch)) == pytest.approx(440 * 2 ** (semitones / 12), rel=1e-3)


def test_the_modulation_envelope_bends_the_pitch(sound: Sound) -> None:
    samples = sound({TO_PITCH: 1200, MODULATION_DECAY: SECOND, MODULATION_SUSTAIN: 1000}, seconds=2)
    assert frequency(samples, 0.0, 0.05) == pytest.approx(870, rel=0.03)
    assert frequency(samples, 0.48, 0.52) == pytest.approx(440 * 2**0.5, rel=0.03)
    assert frequency(samples, 1.2, 1.9) == pytest.approx(440, rel=1e-3)


@pytest.mark.parametrize("program", [0, 19, 24, 40, 52, 56, 73])
def test_the_general_midi_font_is_in_tune(program: int) -> None:
    font = SoundFont(general_midi_soundfont())
    for pitch in (48, 60, 72, 84):
        samples = play(NoteSequence.from_columns([0], [960], [pitch], 100, program), font)
        part = samples[4410:39690].sum(axis=1)
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), n=1 << 19))
        expected = 440 * 2 ** ((pitch - 69) / 12)
        nearest = []
        for partial in (1, 2, 3):  # some instruments have a weak fundamental
            low, high = (round(partial * expected * 2 ** (side / 12) * (1 << 19) / RATE) for side in (-1, 1))
            place = low + int(np.argmax(spectrum[low:high]))
            nearest.append((spectrum[place], place * RATE / (1 << 19) / partial))
        found = max(nearest)
        assert 1200 * abs(np.log2(found[1] / expected)) < 30, (pitch, found)
        assert found[0] > 0.15 * spectrum.max(), "the note's own partials are among the strongest"


# --- loudness and envelope ---


def test_volume_goes_with_the_square_of_velocity(sound: Sound) -> None:
    loud, soft = (level(sound(velocity=velocity), 0.5) for velocity in (127, 64))
    assert loud == pytest.approx(FULL, abs=0.1)
    assert loud - soft == pytest.approx(40 * np.log10(127 / 64), abs=0.1)


def test_attenuation_is_four_tenths_of_what_it_says(sound: Sound) -> None:
    assert level(sound({ATTENUATION: 100}), 0.5) == pytest.approx(FULL - 4, abs=0.1)


@pytest.mark.parametrize(("pan", "sides"), [(-500, (1, 0)), (0, (0.7071, 0.7071)), (500, (0, 1))])
def test_pan_goes_from_left_to_right_at_constant_power(pan: int, sides: tuple[float, float], sound: Sound) -> None:
    peaks = np.abs(sound({PAN: pan})).max(axis=0)
    np.testing.assert_allclose(peaks, np.array(sides) * 20_000 / 32_768, atol=2e-3)


def test_the_attack_is_a_straight_line(sound: Sound) -> None:
    samples = sound({ATTACK: SECOND}, seconds=2)
    assert level(samples, 0.5) == pytest.approx(FULL - 6, abs=0.3)
    assert level(samples, 1.5) == pytest.approx(FULL, abs=0.1)


def test_the_decay_falls_in_decibels_to_the_sustain(sound: Sound) -> None:
    samples = sound({DECAY: SECOND, SUSTAIN: 400}, seconds=2)  # 100 dB a second, down to -40 dB
    assert level(samples, 0.2) == pytest.approx(FULL - 20, abs=1.1)
    assert level(samples, 1.0) == pytest.approx(FULL - 40, abs=0.2)


def test_the_release_falls_from_where_the_note_was(sound: Sound) -> None:
    samples = sound({DECAY: SECOND, SUSTAIN: 100, RELEASE: SECOND}, seconds=0.5)
    assert level(samples, 0.45) == pytest.approx(FULL - 10, abs=0.2)
    assert level(samples, 0.7) == pytest.approx(FULL - 30, abs=1.1)
    assert np.abs(samples[round(1.35 * RATE) :]).max() == 0


def test_without_a_loop_the_sample_ends(sound: Sound) -> None:
    samples = sound(looped=False)
    assert np.abs(samples[:1000]).max() > 0.3
    assert np.abs(samples[2010:]).max() == 0


def test_a_loop_goes_on_without_a_seam(sound: Sound) -> None:
    samples = sound(seconds=1)[1000:40_000, 0].astype(np.float64)
    time = np.arange(len(samples))
    basis = np.stack([np.sin(2 * np.pi * 440 / RATE * time), np.cos(2 * np.pi * 440 / RATE * time)], axis=1)
    rest = samples - basis @ np.linalg.lstsq(basis, samples, rcond=None)[0]
    assert np.abs(rest).max() < 1e-3


# --- filter ---


def noise() -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, 40_000)


def octave(samples: np.ndarray, middle: float, first: float = 0.1, last: float = 0.8) -> float:
    """The energy of an octave, in decibels."""
    part = samples[round(first * RATE) : round(last * RATE), 0]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    hertz = np.fft.rfftfreq(len(part), 1 / RATE)
    return float(10 * np.log10(spectrum[(hertz > middle / 2**0.5) & (hertz < middle * 2**0.5)].mean()))


def test_the_filter_falls_by_twelve_decibels_an_octave(sound: Sound) -> None:
    cents = round(1200 * np.log2(1000 / 8.176))
    filtered, whole = sound({CUTOFF: cents}, wave=noise()), sound(wave=noise())
    change = {middle: octave(filtered, middle) - octave(whole, middle) for middle in (125, 250, 4000, 8000)}
    assert change[125] == pytest.approx(0, abs=0.5)
    assert change[250] == pytest.approx(0, abs=0.5)
    assert change[4000] - change[8000] == pytest.approx(12, abs=1.5)
    assert change[4000] == pytest.approx(-24, abs=2)


def test_the_modulation_envelope_closes_the_filter(sound: Sound) -> None:
    zone = {CUTOFF: 7000, TO_CUTOFF: 6000, MODULATION_DECAY: -1200, MODULATION_SUSTAIN: 1000}  # half a second
    samples = sound(zone, wave=noise())
    assert octave(samples, 8000, 0.0, 0.1) > octave(samples, 8000, 0.6, 0.8) + 20
    assert octave(samples, 125, 0.0, 0.1) == pytest.approx(octave(samples, 125, 0.6, 0.8), abs=6)


def test_an_open_filter_changes_no_sample(sound: Sound) -> None:
    np.testing.assert_array_equal(sound({CUTOFF: 13_500}, wave=noise()), sound(wave=noise()))


# --- zones ---


def test_zones_sound_over_their_keys_and_velocities_and_add_up(sound: Sound) -> None:
    low, high = {KEYS: span(0, 68), PAN: -500}, {KEYS: span(60, 127), VELOCITIES: span(100, 127), PAN: 500}
    for pitch, velocity, sides in ((50, 127, (1, 0)), (65, 127, (1, 1)), (65, 50, (1, 0)), (80, 100, (0, 1))):
        heard = np.abs(sound(low, high, pitch=pitch, velocity=velocity)).max(axis=0) > 0.01
        assert tuple(heard) == tuple(map(bool, sides)), (pitch, velocity)


def test_a_global_zone_holds_where_a_zone_says_nothing(sound: Sound) -> None:
    assert frequency(sound({}, shared={COARSE: 12})) == pytest.approx(880, rel=1e-3)
    assert frequency(sound({COARSE: 0}, shared={COARSE: 12})) == pytest.approx(440, rel=1e-3)


def test_what_a_preset_says_adds_to_the_instrument(sound: Sound) -> None:
    assert frequency(sound({COARSE: 12}, preset_zone={COARSE: -24})) == pytest.approx(220, rel=1e-3)
    assert np.abs(sound({KEYS: span(0, 60)}, preset_zone={KEYS: span(61, 127)})).max() == 0


def test_of_an_exclusive_class_one_note_sounds_at_a_time(tmp_path: Path) -> None:
    zones = ({KEYS: span(46, 46), EXCLUSIVE: 1}, {KEYS: span(42, 42), EXCLUSIVE: 1, ATTENUATION: 1440, SCALE: 0})
    font = SoundFont(tiny_soundfont(tmp_path / "hats.sf2", [(0, 128)], zones))
    open_hat = NoteSequence.from_columns([0], [1920], [46], 127, is_drum=True)
    both = NoteSequence.from_columns([0, 480], [1920, 960], [46, 42], 127, is_drum=True)
    assert level(play(open_hat, font), 1.0) > FULL - 1
    assert level(play(both, font), 0.4) > FULL - 1
    assert level(play(both, font), 1.0) < FULL - 50


# --- fonts that lack something ---


def test_the_instruments_of_a_font_are_known(tmp_path: Path) -> None:
    font = SoundFont(tiny_soundfont(tmp_path / "tiny.sf2", [(3, 0), (19, 0), (25, 128), (7, 9)]))
    assert (font.melodic, font.percussion) == ({3, 19}, {25})
    whole = SoundFont(general_midi_soundfont())
    assert whole.melodic == set(range(128))
    assert 0 in whole.percussion


def test_a_missing_program_is_played_by_the_lowest_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    font = tiny_soundfont(tmp_path / "tiny.sf2", [(19, 0), (5, 0)])
    samples = render(NoteSequence.from_columns([0], [960], [69], program=40), RATE, font)
    assert np.abs(samples).max() == pytest.approx(PEAK)
    assert capsys.readouterr().err == "warning: tiny.sf2 has no program 40; program 5 plays instead\n"


def test_an_unknown_drum_kit_is_played_by_the_standard_kit(capsys: pytest.CaptureFixture[str]) -> None:
    samples = render(NoteSequence.from_columns([0], [240], [38], program=5, is_drum=True), RATE)
    assert np.abs(samples).max() == pytest.approx(PEAK)
    assert "has no drum kit 5; drum kit 0 plays instead" in capsys.readouterr().err


def test_what_a_font_cannot_play_at_all_is_left_out_with_a_warning(tmp_path: Path) -> None:
    font = SoundFont(tiny_soundfont(tmp_path / "tiny.sf2", [(0, 0)]))
    notes = NoteSequence.from_columns([0, 0, 480], [9, 9, 489], [60, 38, 36], is_drum=[False, True, True])
    fitting, remarks = fit_programs(notes, font)
    assert fitting.pitch.tolist() == [60]
    assert remarks == ["tiny.sf2 has no drum kit at all; drum kit 0 is left out"]
    with pytest.raises(OptionError, match="has no instrument for any note"):
        render(notes.select(notes.is_drum), RATE, font.path)


def test_a_font_that_is_silent_for_all_notes_is_refused(tmp_path: Path) -> None:
    font = tiny_soundfont(tmp_path / "tiny.sf2", [(0, 0)], ({KEYS: span(0, 60)},))
    with pytest.raises(OptionError, match="has no sound for any note"):
        render(NoteSequence.from_columns([0], [960], [69]), RATE, font)


# --- damaged fonts ---


def patched(kind: bytes, offset: int, new: bytes) -> Callable[[bytes], bytes]:
    """Write `new` into the content of a chunk."""

    def damage(data: bytes) -> bytes:
        place = data.index(kind) + 8 + offset
        return data[:place] + new + data[place + len(new) :]

    return damage


DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "empty": ("not a SoundFont", lambda data: b""),
    "a WAV": ("not a SoundFont", lambda data: b"RIFF\x04\x00\x00\x00WAVE"),
    "cut": ("truncated: .* its header says", lambda data: data[: len(data) // 2]),
    "a chunk too long": ("truncated: chunk", patched(b"shdr", -4, b"\xff\xff\xff\x00")),
    "a table missing": ("chunk igen has 0 bytes", lambda data: data.replace(b"igen", b"igex")),
    "no samples": ("the chunk smpl, which holds the samples, is missing", lambda data: data.replace(b"smpl", b"smpx")),
    "a bag beyond": ("an index in chunk inst points outside of ibag", patched(b"inst", 42, b"\xff\x7f")),
    "a generator beyond": ("an index in chunk pbag points outside of pgen", patched(b"pbag", 4, b"\xff\x7f")),
    "an instrument beyond": ("an index in chunk pgen points outside of inst", patched(b"pgen", 2, b"\x07\x00")),
    "a sample header beyond": ("an index in chunk igen points outside of shdr", patched(b"igen", 6, b"\x07\x00")),
    "a sample beyond": ("a sample lies outside of the file", patched(b"shdr", 24, b"\xff\xff\xff\x00")),
    "a sample rate of 0": ("a sample lies outside of the file", patched(b"shdr", 36, bytes(4))),
    "another bank": ("no instrument in bank 0 or 128", patched(b"phdr", 22, b"\x07\x00")),
    "compressed": ("expected an uncompressed", patched(b"shdr", 44, b"\x11\x00")),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_font_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    words, damage = DAMAGE[name]
    font = tiny_soundfont(tmp_path / "bad.sf2", [(0, 0)])
    font.write_bytes(damage(font.read_bytes()))
    with pytest.raises(OptionError, match=words) as caught:
        render(NoteSequence.from_columns([0], [960], [69]), RATE, font)
    assert str(caught.value).startswith(f"{font}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["nowhere.sf2", "."])
def test_what_is_no_file_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"expected a SoundFont \(\.sf2\)"):
        SoundFont(tmp_path / path)


def test_no_damage_to_a_font_gives_anything_but_sound_or_a_line(tmp_path: Path) -> None:
    notes = NoteSequence.from_columns([0, 100], [240, 340], [69, 30], [127, 20])
    whole = tiny_soundfont(tmp_path / "bad.sf2", [(0, 0)], ({PAN: 100, TO_CUTOFF: 100, DECAY: 0}, {})).read_bytes()
    heard = refused = 0
    for seed in range(150):
        draw = np.random.default_rng(seed)
        data = bytearray(whole)
        for place in draw.integers(whole.index(b"pdta"), len(whole), draw.integers(1, 6)):
            data[place] = draw.choice([0, 1, 127, 128, 255, draw.integers(256)])
        (tmp_path / "bad.sf2").write_bytes(data)
        try:
            samples = render(notes, 8000, tmp_path / "bad.sf2")
        except OptionError:
            refused += 1
            continue
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= PEAK * 1.000001
        heard += 1
    assert heard > 20
    assert refused > 20


@pytest.mark.data
def test_a_real_font_of_a_few_instruments_is_in_tune(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    font = data_folder / "music" / "soundfont" / "florestan-subset.sf2"
    samples = render(NoteSequence.from_columns([0], [960], [69], 100), RATE, font)
    assert frequency(samples) == pytest.approx(440.0, rel=0.003)
    assert "has no program 0; program 2 plays instead" in capsys.readouterr().err
