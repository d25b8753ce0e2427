"""MIDI as programs write it: each case of the shared list that is about reading, and the kind it stands for."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from test_midi_reading import END, NOTE, midi, rows, track

from cases import case_file
from conftest import Command, assert_refused
from seqaudio.cli.info import describe
from seqaudio.errors import MidiError
from seqaudio.ledger import Reason
from seqaudio.midi import read_midi, read_songs
from seqaudio.midi.reading import SUFFIXES, is_midi
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.prepare.music.midi_rows import check_length
from seqaudio.prepare.music.options import listed_midi


def spans(notes: NoteSequence) -> list[tuple[int, int, int]]:
    """(start, end, pitch) of each note, in quarters."""
    return [(start // 480, end // 480, pitch) for start, end, pitch, _ in rows(notes)]


def programs(notes: NoteSequence) -> dict[int, list[int]]:
    """The programs of each track, as its notes have them in turn."""
    return {
        number: list(dict.fromkeys(notes.program[notes.track == number].tolist()))
        for number in range(len(notes.track_names))
    }


# cases


def test_a_setup_track_sets_the_programs_of_the_others() -> None:
    notes = read_midi(case_file("midi", "program_in_setup_track.mid"))
    assert programs(notes) == {0: [40], 1: [32]}
    assert notes.remarks == ()


def test_a_last_chord_that_nothing_ends_is_closed() -> None:
    path = case_file("midi", "unreleased_last_chord.mid")
    notes = read_midi(path)
    assert len(notes) == 11
    assert spans(notes)[-3:] == [(8, 12, 60), (8, 12, 64), (8, 12, 67)]
    assert "  3 notes without note-off, closed at the end of the track" in list(describe(path))


def test_every_suffix_of_midi_is_taken_and_the_rest_is_counted(command: Command, tmp_path: Path) -> None:
    folder = case_file("midi", "odd_suffix/")
    items, others = listed_midi(folder, "a folder")
    assert [item.key for item in items] == ["song.kar", "song.rmi", "song.smf", "tune_a.MID", "tune_b.Midi"]
    assert others == "2 files skipped: .musicxml 1, .txt 1"
    done = command("seqaudio", "prepare", "midi_folder", "--source", folder, "--out", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == others


def test_smf_is_told_as_midi() -> None:
    lines = list(describe(case_file("midi", "odd_suffix/song.smf")))
    assert ": MIDI, 8 notes, 4.0 s" in lines[0]


def test_both_songs_of_format_2_are_told(command: Command, tmp_path: Path) -> None:
    path = case_file("midi", "type2_two_songs.mid")
    lines = [line for line in describe(path) if line.startswith(str(path))]
    assert [line.partition(", song ")[2] for line in lines] == [
        f"{number} of 2: MIDI, 8 notes, 4.0 s, 480 ticks per quarter" for number in (1, 2)
    ]
    refused = command("seqaudio", "render", path, "--png", tmp_path / "x.png")
    assert_refused(refused, "2 songs in one file (format 2), expected one")
    assert "read_songs" not in refused.stderr


@pytest.mark.parametrize(("name", "count"), [("cc_value_255.mid", 8), ("velocity_200.mid", 9)])
def test_data_above_127_is_clipped_with_a_remark(name: str, count: int) -> None:
    paths = {
        "cc_value_255.mid": case_file("midi", "cc_value_255.mid"),
        "velocity_200.mid": case_file("midi", "velocity_200.mid"),
    }
    notes = read_midi(paths[name])
    assert len(notes) == count
    assert notes.remarks == ("track 0: 1 data byte above 127 taken as 127",)
    assert notes.velocity.max() == (127 if count == 9 else 80)


def test_a_negative_first_delta_of_live_is_taken_as_0() -> None:
    notes = read_midi(case_file("midi", "ableton_negative_first_delta.mid"))
    assert [(start, end, pitch) for start, end, pitch, _ in rows(notes)] == [(0, 96, 60), (96, 192, 62)]
    assert notes.remarks == ("track 0: begins 128 ticks before 0, read as at 0",)


def test_running_status_over_tracks_is_refused() -> None:
    with pytest.raises(MidiError, match=r"damaged: track 1, byte 1: data 0x40 before any status"):
        read_midi(case_file("midi", "running_status_over_tracks.mid"))


def test_junk_between_tracks_is_passed_over() -> None:
    notes = read_midi(case_file("midi", "junk_between_tracks.mid"))
    assert spans(notes) == [(0, 1, 60), (0, 1, 64)]
    assert notes.remarks == ("3 bytes between tracks left out",)


def test_ends_in_another_track_end_the_notes() -> None:
    notes = read_midi(case_file("midi", "on_off_in_other_track.mid"))
    assert [(start, end) for start, end, _ in spans(notes)] == [(n, n + 1) for n in range(8)]
    assert notes.remarks == ("8 notes ended in another track of the same channel",)


def test_a_clip_file_of_midi_2_is_named() -> None:
    with pytest.raises(MidiError, match=r"not_midi: a clip file of MIDI 2\.0"):
        read_midi(case_file("midi", "midi_clip_2.mid"))


def test_a_note_after_years_is_too_long() -> None:
    path = case_file("midi", "note_at_tick_2e31.mid")
    with pytest.raises(MidiError, match=r"too_long: .* at most 240 are taken"):
        check_length(path, read_midi(path))


def test_drums_chosen_by_a_bank_are_drums() -> None:
    notes = read_midi(case_file("midi", "bank_drums_ch11.mid"))
    assert len(notes) == 40
    assert notes.is_drum.tolist().count(True) == 32
    assert set(notes.pitch[notes.is_drum].tolist()) == {36, 38, 42}


@pytest.mark.parametrize(
    ("path", "count", "remark"),
    [
        (lambda: case_file("midi", "running_status_after_sysex.mid"), 3, ""),
        (lambda: case_file("midi", "sysex_with_ff.mid"), 8, ""),
        (lambda: case_file("midi", "key_18_flats.mid"), 8, "left out: key signature of -18 sharps"),
        (lambda: case_file("midi", "key_8_sharps.mid"), 8, "left out: key signature of 8 sharps"),
        (lambda: case_file("midi", "key_mode_255.mid"), 8, "left out: key signature of mode -1"),
        (lambda: case_file("midi", "last_byte_missing.mid"), 1, "track 0 has 11 bytes, its header says 12"),
        (lambda: case_file("midi", "sequence_number_empty.mid"), 8, ""),
        (lambda: case_file("midi", "tpq_24.mid"), 24, ""),
        (lambda: case_file("midi", "grace_notes.mid"), 16, ""),
        (lambda: case_file("midi", "one_note.mid"), 1, ""),
    ],
    ids=lambda value: "" if callable(value) else None,
)
def test_odd_files_that_were_read_right_stay_so(path, count: int, remark: str) -> None:  # type: ignore[no-untyped-def]
    notes = read_midi(path())
    assert len(notes) == count
    assert [found[: len(remark)] for found in notes.remarks] == ([remark] if remark else [])


def test_notes_without_length_leave_their_neighbours() -> None:
    notes = read_midi(case_file("midi", "zero_length_among_others.mid"))
    assert sorted((notes.end_tick - notes.start_tick).tolist()) == [0, 0, 480, 480, 480]


def test_a_key_struck_again_at_its_end_keeps_both_notes() -> None:
    notes = read_midi(case_file("midi", "double_note_on.mid"))
    assert spans(notes) == [(0, 1, 36), (1, 2, 36), (3, 4, 40)]
    assert notes.remarks == ()


def test_nested_notes_end_oldest_first() -> None:
    notes = read_midi(case_file("midi", "nested_same_pitch.mid"))
    assert spans(notes) == [(0, 2, 60), (1, 4, 60), (5, 6, 62)]
    assert notes.remarks == ()


def test_a_program_change_during_a_note_keeps_it() -> None:
    notes = read_midi(case_file("midi", "program_change_mid_note.mid"))
    assert len(notes) == 13
    assert (4, 6, 67) in spans(notes)


def test_two_tracks_of_one_channel_keep_their_programs() -> None:
    notes = read_midi(case_file("midi", "same_channel_two_tracks.mid"))
    assert programs(notes) == {0: [0], 1: [48]}


def test_sixteen_channels_of_one_track_are_sixteen_parts() -> None:
    notes = read_midi(case_file("midi", "many_channels_one_track.mid"))
    assert len(notes) == len(notes.track_names) == 16
    assert notes.is_drum.tolist().count(True) == 1


def test_tempos_and_metres_are_as_they_were() -> None:
    late = read_midi(case_file("midi", "first_tempo_late.mid"))
    assert (60e6 / late.tempo).tolist() == [120, 240]
    assert read_midi(case_file("midi", "metre_zero_clocks.mid")).time_signatures == (TimeSignature(0, 6, 8),)
    rest = read_midi(case_file("midi", "hour_of_rest.mid"))
    assert (len(rest), round(rest.start[1])) == (2, 3600)
    many = read_midi(case_file("midi", "many_tempos_6_8.mid"))
    assert (len(many), len(many.tempo), many.time_signatures) == (128, 64, (TimeSignature(0, 6, 8),))
    frames = read_midi(case_file("midi", "smpte_25.mid"))
    assert (frames.end - frames.start).tolist() == pytest.approx([0.5] * 8)


# kinds


PLAYED = "00 90 3c 50  83 60 80 3c 40  00 90 3e 50  83 60 80 3e 40" + END


@pytest.mark.parametrize(
    ("setup", "own", "expected"),
    [
        ("00 c0 28", "", [40, 40]),
        ("00 c1 28", "", [0, 0]),
        ("83 60 c0 28", "", [0, 40]),
        ("81 00 c0 28", "", [0, 40]),
        ("00 c0 28 83 60 29", "", [40, 41]),
        ("00 c0 28", "00 c0 07", [7, 7]),
        ("83 60 c0 28", "00 c0 07", [7, 40]),
        ("00 c0 00", "", [0, 0]),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_a_program_holds_in_all_tracks_of_its_channel(setup: str, own: str, expected: list[int], first: bool) -> None:
    tracks = [track(setup + END), track(own + PLAYED)]
    notes = read_midi(midi(*(tracks if first else tracks[::-1])))
    assert notes.program.tolist() == expected
    assert spans(notes) == [(0, 1, 60), (1, 2, 62)]


def test_a_program_of_a_playing_track_holds_where_another_has_none() -> None:
    low = PLAYED.replace("3c", "30").replace("3e", "32")
    notes = read_midi(midi(track("00 c0 28" + PLAYED), track(low)))
    assert programs(notes) == {0: [40], 1: [40]}
    other_port = read_midi(midi(track("00 c0 28" + PLAYED), track("00 ff 21 01 01" + low)))
    assert programs(other_port) == {0: [40], 1: [0]}


def test_running_status_goes_on_behind_an_inserted_program() -> None:
    running = "00 90 3c 50  83 60 3c 00  00 3e 50  83 60 3e 00" + END
    notes = read_midi(midi(track("83 60 c0 28" + END), track(running)))
    assert (spans(notes), notes.program.tolist()) == ([(0, 1, 60), (1, 2, 62)], [0, 40])


@pytest.mark.parametrize("between", ["", "00 ff 01 01 41", "81 00 ff 01 01 41", "00 c0 07 00 08 90", "00 f0 02 43 f7 "])
@pytest.mark.parametrize("status", ["90", ""])
def test_an_end_of_another_track_finds_its_place(between: str, status: str) -> None:
    """Whatever stands between the notes: metas, changes of program, running status."""
    own = f"00 90 3c 50 {between} 83 60 {status or ''} 3e 50 {between} 8f 00 ff 01 00" + END
    if between.endswith("90"):  # a change of program ends the running status
        own = own.replace("08 90", "08").replace("83 60  3e", "83 60 90 3e")
    ends = "81 70 80 3c 40  85 50 80 3e 40" + END
    notes = read_midi(midi(track(own), track(ends)))
    assert notes.end_tick.tolist() == [240, 960]
    assert notes.pitch.tolist() == [60, 62]


def test_as_many_ends_elsewhere_as_strikes_end_the_oldest_first() -> None:
    notes = read_midi(midi(track("00 90 3c 50  0a 90 3c 51" + END), track("14 80 3c 00  0a 80 3c 00" + END)))
    assert [(start, end) for start, end, *_ in rows(notes)] == [(0, 20), (10, 30)]


def test_ends_of_another_channel_port_or_track_with_notes_of_its_own_end_nothing() -> None:
    struck = track("00 90 3c 50  83 60 ff 01 00" + END)
    for other in ("0a 81 3c 00", "00 ff 21 01 01 0a 80 3c 00", "00 90 3c 40 0a 80 3c 00"):
        notes = read_midi(midi(struck, track(other + END)))
        assert (0, 480, 60, 80) in rows(notes), other


@pytest.mark.parametrize(
    ("chosen", "drums"),
    [
        ("00 b0 00 78", True),
        ("00 b0 07 40 00 00 78", True),
        ("00 b0 00 7f", False),
        ("00 f0 08 43 10 4c 00 00 7e 00 f7 00 b0 00 7f", True),
        ("00 f0 0a 41 10 42 12 40 11 15 01 19 f7", True),
        ("00 f0 0a 41 10 42 12 40 12 15 01 18 f7", False),
        ("00 b0 00 78 00 b0 00 00", False),
        ("00 b1 00 78", False),
        ("00 b0 01 78", False),
    ],
)
def test_channels_of_drums_by_bank_and_message(chosen: str, drums: bool) -> None:
    notes = read_midi(midi(track(chosen + END), track(PLAYED)))
    assert notes.is_drum.tolist() == [drums, drums]
    assert notes.remarks == ()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("00 90 3c c8", (60, 127)),
        ("00 90 c8 50", (127, 80)),
        ("00 b0 07 ff 00 90 3c 50", (60, 80)),
        ("00 c0 ff 00 90 3c 50", (60, 80)),
        ("00 e0 80 80 00 90 3c 50", (60, 80)),
        ("00 90 30 50 00 3c c8", (60, 127)),
    ],
)
def test_any_data_byte_above_127_is_clipped(message: str, expected: tuple[int, int]) -> None:
    notes = read_midi(midi(track(message + "83 60 ff 01 00" + END)))
    assert expected in [(pitch, velocity) for *_, pitch, velocity in rows(notes)]
    assert "above 127 taken as 127" in notes.remarks[0]


def test_many_high_bytes_are_clipped_in_time() -> None:
    notes = read_midi(midi(track("00 90 3c c8 01 3c 00" * 20_000 + END)))
    assert len(notes) == 20_000
    assert notes.remarks == ("track 0: 20,000 data bytes above 127 taken as 127",)


@pytest.mark.parametrize("start", ["88 80 80 80 00", "8f ff ff ff 7f"])
def test_negative_delta_times_are_taken_as_0_at_the_beginning_only(start: str) -> None:
    assert spans(read_midi(midi(track(start + NOTE[2:] + END)))) == [(0, 1, 60)]
    with pytest.raises(MidiError, match="a delta time of five bytes, expected at most four"):
        read_midi(midi(track(NOTE + start + NOTE[2:] + END)))


@pytest.mark.parametrize(
    "junk", [b"\0", b"\0\0\7", b"\r\n", b"junk that is longer", b"\xff" * 40, b"\0\0\0\0\0\0\0\2xy"]
)
def test_the_next_track_is_found_behind_any_junk(junk: bytes) -> None:
    data = midi(track(NOTE + END), promised=2) + junk + track(NOTE.replace("3c", "40") + END)
    notes = read_midi(data)
    assert spans(notes) == [(0, 1, 60), (0, 1, 64)]
    assert notes.remarks == (f"{len(junk)} bytes between tracks left out",)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".MID", ".Kar"])
def test_suffixes_of_midi_in_any_case(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tune{suffix}"
    path.write_bytes(midi(track(NOTE + END)))
    (tmp_path / "notes.txt").write_text("no music")
    assert is_midi(path)
    items, others = listed_midi(tmp_path, "a folder")
    assert [item.file for item in items] == [path]
    assert others == "1 file skipped: .txt 1"


def test_midi_of_any_name_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    data = midi(track(NOTE + END))
    wrapped = b"RIFF" + struct.pack("<I", len(data) + 12) + b"RMIDdata" + struct.pack("<I", len(data)) + data
    for content in (data, wrapped):
        path = tmp_path / "tune"
        path.write_bytes(content)
        assert ": MIDI, 1 notes" in next(iter(describe(path)))
    (tmp_path / "sound").write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    assert not is_midi(tmp_path / "sound")


def test_a_folder_without_midi_says_what_it_has(tmp_path: Path, command: Command) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "score.pdf").write_bytes(b"%PDF")
    refused = command("seqaudio", "prepare", "midi_folder", "--source", tmp_path / "in", "--out", tmp_path / "out")
    assert_refused(refused, "has no MIDI files (*.mid, *.midi, *.kar, *.rmi, *.smf), 1 file skipped: .pdf 1")


def test_a_file_in_need_of_all_repairs_tells_each_in_order() -> None:
    events = "00 90 3c c8  83 60 3c 50  83 60 80 3c 40  00 40 00 00 90 40 50 83 60 90 43 50 83 60 ff 01 00"
    setup = track("00 c0 28" + END)
    data = midi(setup, promised=2) + b"\0" + track(events + END)
    (notes,) = read_songs(data)
    assert spans(notes) == [(0, 1, 60), (1, 2, 60), (2, 2, 64), (3, 4, 67)]
    assert notes.program.tolist() == [40] * 4
    assert notes.remarks == (
        "1 bytes between tracks left out",
        "track 1: 1 data byte above 127 taken as 127",
        "1 note without note-off, ended at the next note-on of the pitch",
        "1 note without note-off, closed at the end of the track",
        "1 note whose note-off comes before the note-on, read without length",
    )


def test_songs_that_need_nothing_are_refused_nothing() -> None:
    with pytest.raises(MidiError) as caught:
        read_midi(midi(track("00 80 3c 00" + END)))
    assert caught.value.reason is Reason.NO_NOTES
