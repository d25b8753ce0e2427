"""Measure pedals, bends, volume and pan of MIDI files in the rendered samples."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pytest

from cases import case_file
from conftest import Command
from seqaudio.midi import read_midi
from seqaudio.notes import NoteSequence, apply_pedals, quantise
from seqaudio.notes.controls import BEND, PAN, VOLUME
from seqaudio.rendering import soundfont as soundfont_module
from seqaudio.rendering.expression import RAMP, Curve
from seqaudio.rendering.sound import Samples, render

RATE = 16000  # hertz
QUARTER = 480  # ticks, half a second

Message = tuple[int, str, dict[str, int]]


def song(*tracks: list[Message]) -> bytes:
    """A file with one track of messages (tick, kind, values) each, controllers before notes of their tick."""
    file = mido.MidiFile(ticks_per_beat=QUARTER)
    for messages in tracks:
        track, now = mido.MidiTrack(), 0
        for tick, kind, values in sorted(messages, key=lambda message: (message[0], message[1].startswith("note"))):
            track.append(mido.Message(kind, time=tick - now, **values))
            now = tick
        file.tracks.append(track)
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def struck(beats: int = 8, length: int = QUARTER - 10, channel: int = 0) -> list[Message]:
    """A note on each beat."""
    found: list[Message] = []
    for beat in range(beats):
        values = {"note": 69, "velocity": 90, "channel": channel}
        found += [(beat * QUARTER, "note_on", values), (beat * QUARTER + length, "note_off", values)]
    return found


def control(tick: int, number: int, value: int, channel: int = 0) -> Message:
    return tick, "control_change", {"control": number, "value": value, "channel": channel}


def bend(tick: int, value: int) -> Message:
    return tick, "pitchwheel", {"pitch": value}


def heard(data: bytes | Path) -> Samples:
    return render(read_midi(data, controls=True), RATE)


def levels(samples: Samples, window: float = 0.5) -> np.ndarray:
    """RMS of successive windows of that many seconds."""
    size = round(window * RATE)
    whole = samples[: len(samples) // size * size].reshape(-1, size, 2)
    return np.sqrt(np.square(whole, dtype=np.float64).mean(axis=(1, 2)))


def pitch(samples: Samples, start: float, low: float, high: float) -> float:
    """The frequency in hertz with most energy between two others, in the quarter of a second from `start` on."""
    part = samples[round(start * RATE) : round((start + 0.25) * RATE)].mean(axis=1)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17))
    frequency = np.fft.rfftfreq(1 << 17, 1 / RATE)
    inside = (frequency > low) & (frequency < high)
    return float(frequency[inside][spectrum[inside].argmax()])


def semitones(above: float, frequency: float) -> float:
    return float(12 * np.log2(frequency / above))


@pytest.fixture(params=["SoundFont", "sine tones"])
def player(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two players; sine tones as if pretty_midi were not installed."""
    if request.param == "sine tones":
        monkeypatch.setattr(soundfont_module, "find_spec", lambda name: None)
    return str(request.param)


# rows of the index of cases


def test_notes_ring_until_the_pedal_goes_up() -> None:
    level = levels(heard(case_file("midi", "pedal_hold.mid")))
    assert (level[1:8] > 0.002).all()  # keys are up from 0.12 s on, the pedal until 4.0 s
    assert (np.diff(level[:8]) < 0).all()
    assert level[8] < level[7] / 2 and level[9] > 0.05  # then a note without the pedal


def test_a_bent_note_glides_up_two_semitones() -> None:
    samples = heard(case_file("midi", "pitch_bend.mid"))
    heights = [semitones(220.0, pitch(samples, time, 150, 320)) for time in (0.0, 0.5, 1.0, 1.5, 2.5, 3.5)]
    assert heights[:4] == sorted(heights[:4])
    assert heights[0] == pytest.approx(0.12, abs=0.15) and heights[2] == pytest.approx(1.1, abs=0.15)
    assert heights[4:] == pytest.approx([2, 2], abs=0.1)


def test_tempos_after_the_last_note_make_no_sound(tmp_path: Path, command: Command) -> None:
    file = case_file("midi", "tempo_after_last_note.mid")
    done = command("seqaudio", "render", file, "--wav", tmp_path / "o.wav", "--sample-rate", str(RATE))
    assert done.returncode == 0, done.stderr
    assert 4 <= float(done.stdout.split(": ")[1].split(" s,")[0]) < 6


def test_drums_with_program_40_are_heard() -> None:
    notes = read_midi(case_file("midi", "drum_kit_program_40.mid"), controls=True)
    level = levels(render(notes.select(notes.is_drum), RATE), 0.25)
    assert (level[:31] > 0.005).all()


# of the same kind, made here


def test_volume_is_heard_in_whatever_track_it_stands(player: str) -> None:
    values = [127, 100, 80, 64, 50, 40, 30, 20]
    ramp = [control(beat * QUARTER, VOLUME, value) for beat, value in enumerate(values)]
    alone, plain = heard(song(struck() + ramp)), heard(song(struck()))
    assert np.array_equal(alone, heard(song(ramp, struck())))  # another track of the same channel
    expected = 40 * np.log10(np.array(values) / 127)
    gained = 20 * np.log10(levels(alone)[:8] / levels(plain)[:8])
    assert gained - gained[0] == pytest.approx(expected, abs=1.5)  # a release reaches into the next note


def test_expression_multiplies_volume_and_a_reset_takes_it_back() -> None:
    data = song(
        [*struck(), control(2 * QUARTER, 11, 64), control(4 * QUARTER, VOLUME, 50), control(6 * QUARTER, 121, 0)]
    )
    gained = 20 * np.log10(levels(heard(data))[:8] / levels(heard(song(struck())))[:8])
    soft, soft_and_low, low = (40 * np.log10(share) for share in (64 / 127, 64 / 127 / 2, 1 / 2))
    assert gained[[3, 5, 7]] - gained[1] == pytest.approx([soft, soft_and_low, low], abs=0.5)


def test_channels_are_balanced_by_their_volumes(player: str) -> None:
    loud, quiet = struck(1), [(tick + 4 * QUARTER, kind, values) for tick, kind, values in struck(1, channel=1)]
    level = levels(heard(song(loud, [*quiet, control(0, VOLUME, 50, channel=1)])))
    assert 20 * np.log10(level[4] / level[0]) == pytest.approx(
        40 * np.log10(50 / 100), abs=1.0
    )  # 100 where none is given


def test_pan_moves_a_channel_to_its_side(player: str) -> None:
    samples = heard(
        song([*struck(), control(0, PAN, 0), control(4 * QUARTER, PAN, 127), control(6 * QUARTER, PAN, 64)])
    )
    left, right = np.abs(samples[: 8 * RATE // 2]).reshape(8, -1, 2).mean(axis=1).T
    assert (
        (left[:4] > 10 * right[:4]).all() and (right[5] > 5 * left[5]) and right[7] == pytest.approx(left[7], rel=0.3)
    )


def test_bends_go_as_far_as_their_range(player: str) -> None:
    octave = [control(0, 101, 0), control(0, 100, 0), control(0, 6, 12), bend(QUARTER, 8191), bend(2 * QUARTER, -4096)]
    samples = heard(song(struck(1, 4 * QUARTER) + octave))
    heights = [semitones(440, pitch(samples, time, 250, 1000)) for time in (0.1, 0.65, 1.3)]
    assert heights == pytest.approx([0, 12, -6], abs=0.1)


def test_a_bend_before_a_note_holds_from_its_start_and_other_notes_stay(player: str) -> None:
    high = [(tick, kind, {**values, "channel": 1, "note": 88}) for tick, kind, values in struck(1, 2 * QUARTER)]
    samples = heard(song([*struck(1, 2 * QUARTER), bend(0, 4096), *high]))
    assert semitones(440, pitch(samples, 0.1, 300, 600)) == pytest.approx(1, abs=0.1)
    assert pitch(samples, 0.1, 1200, 1450) == pytest.approx(1318.5, rel=0.005)


def test_what_is_not_played_is_told_once_and_only_where_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    heard(song([*struck(2), control(0, 1, 90), control(100, 1, 20), control(0, 67, 127), control(0, 91, 40)]))
    assert capsys.readouterr().err == "warning: not played: modulation (controller 1), soft pedal (controller 67)\n"
    heard(song([*struck(2), control(0, 1, 0), control(0, VOLUME, 90)]))
    assert capsys.readouterr().err == ""


def test_a_piece_without_controllers_sounds_as_ever_and_defaults_change_nothing() -> None:
    plain = heard(song(struck(2)))
    assert np.array_equal(plain, heard(song([*struck(2), control(0, VOLUME, 100), control(0, 11, 127), bend(0, 0)])))
    assert np.array_equal(plain, render(read_midi(song(struck(2))), RATE))


def test_controls_stay_with_the_notes_only_while_their_ticks_hold() -> None:
    notes = read_midi(song([*struck(2), control(0, VOLUME, 50), bend(QUARTER, 8191)]), controls=True)
    assert notes.controls.tolist() == [[0, 0, VOLUME, 50], [0, QUARTER, BEND, 200]]
    assert notes == read_midi(song(struck(2)))
    assert apply_pedals(notes).controls.tolist() == notes.controls.tolist()
    assert notes.rescaled(2 * QUARTER).controls.tolist() == [[0, 0, VOLUME, 50], [0, 2 * QUARTER, BEND, 200]]
    assert not len(quantise(notes, 4).controls)
    assert not len(notes.with_columns(start_tick=notes.start_tick + 1, end_tick=notes.end_tick + 1).controls)
    with pytest.raises(ValueError, match=r"controlled track has values in 1\.\.1"):
        NoteSequence.from_columns([0], [1], [60], controls=[(1, 0, VOLUME, 50)])


def test_a_curve_holds_and_is_reached_in_a_short_time() -> None:
    curve = Curve(np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 4.0]))
    assert curve.over(0.0, 500, 1000) == 0.0 and curve.over(1.0, 900, 1000) == 10.0
    values = curve.over(0.5, 2000, 1000)
    assert isinstance(values, np.ndarray)
    ramp = round(RAMP * 1000)
    assert (values[:501] == 0).all() and (values[500 + ramp : 1501] == 10).all() and (values[1500 + ramp :] == 4).all()
    assert 0 < values[500 + ramp // 2] < 10
