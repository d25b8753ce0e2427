"""Untrusted MIDI: every file is read or refused with a reason, and no file ends or hangs the program."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fragile_parser import fragile_guard

from seqaudio.errors import MidiError
from seqaudio.ledger import Reason
from seqaudio.midi import ReadingLimits, read_midi, read_songs
from seqaudio.midi.events import check_events
from seqaudio.midi.guard import LIMITS, parse
from seqaudio.midi.reading import read_many
from seqaudio.notes import KeySignature, NoteSequence, TimeSignature

END = "00 ff 2f 00"
NOTE = "00 90 3c 50  83 60 80 3c 00"  # one quarter of middle C at 480 ticks per quarter


def track(events: str, length: int | None = None) -> bytes:
    """A track chunk of events in hexadecimal; `length` is what it says of itself."""
    data = bytes.fromhex(events)
    return b"MTrk" + struct.pack(">I", len(data) if length is None else length) + data


def midi(*tracks: bytes, form: int = 1, promised: int | None = None, division: int = 480) -> bytes:
    """A whole file; `promised` is the number of tracks that the header tells."""
    count = len(tracks) if promised is None else promised
    return b"MThd" + struct.pack(">IHHH", 6, form, count, division) + b"".join(tracks)


PLAIN = midi(track(NOTE + END))


def rows(notes: NoteSequence) -> list[tuple[int, ...]]:
    """(start, end, pitch, velocity) of each note."""
    columns = (notes.start_tick, notes.end_tick, notes.pitch, notes.velocity)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def refusal(data: bytes | Path, limits: ReadingLimits = LIMITS) -> MidiError:
    with pytest.raises(MidiError) as caught:
        read_midi(data, limits)
    return caught.value


def test_a_plain_file_is_read() -> None:
    notes = read_midi(PLAIN)
    assert rows(notes) == [(0, 480, 60, 80)]
    assert notes.ticks_per_quarter == 480
    assert notes.duration == 0.5
    assert notes.remarks == ()


def test_names_programs_drums_and_maps_are_read(tmp_path: Path) -> None:
    conductor = track("00 ff 51 03 06 1a 80  00 ff 58 04 06 03 18 08  00 ff 59 02 fd 01  83 60 ff 51 03 0f 42 40" + END)
    flute = track("00 ff 03 05 46 6c 75 74 65  00 c0 49  00 90 3c 50  83 60 80 3c 00" + END)
    drums = track("00 99 24 64  83 60 89 24 00" + END)
    path = tmp_path / "piece.mid"
    path.write_bytes(midi(conductor, flute, drums))
    notes = read_midi(path)
    assert notes.track_names == ("Flute", "")
    assert notes.program.tolist() == [0, 0x49]  # pitch 36 of the drums comes first
    assert notes.is_drum.tolist() == [True, False]
    assert list(zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True)) == [(0, 400_000), (480, 1_000_000)]
    assert notes.time_signatures == (TimeSignature(0, 6, 8),)
    assert notes.key_signatures == (KeySignature(0, -3, minor=True),)


def test_pitch_zero_is_read() -> None:
    assert rows(read_midi(midi(track("00 90 00 50  83 60 80 00 00" + END)))) == [(0, 480, 0, 80)]


def test_a_strike_without_velocity_is_an_end() -> None:
    assert rows(read_midi(midi(track("00 90 3c 50  83 60 3c 00" + END)))) == [(0, 480, 60, 80)]


def test_the_oldest_note_of_a_pitch_ends_first() -> None:
    data = midi(track("00 90 3c 0a  0a 90 3c 14  0a 80 3c 00  0a 80 3c 00" + END))
    assert rows(read_midi(data)) == [(0, 20, 60, 10), (10, 30, 60, 20)]


def test_a_note_without_length_stays() -> None:
    assert rows(read_midi(midi(track("00 90 3c 50  00 80 3c 00" + END)))) == [(0, 0, 60, 80)]


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", Reason.EMPTY, "no bytes"),
        (b"a diary", Reason.NOT_MIDI, "begins with b'a di', expected b'MThd'"),
        (b"RIFF\x10\0\0\0WAVEfmt ", Reason.NOT_MIDI, "a RIFF file of kind b'WAVE'"),
        (PLAIN[:9], Reason.TRUNCATED, "9 bytes"),
        (PLAIN[:-5], Reason.TRUNCATED, "0 complete tracks, the header says 1"),
        (PLAIN[:14], Reason.TRUNCATED, "0 complete tracks, the header says 1"),
        (midi(track(NOTE + END), promised=2), Reason.TRUNCATED, "1 complete tracks, the header says 2"),
        (midi(track(NOTE + END), form=3), Reason.DAMAGED, "format 3"),
        (midi(track(NOTE + END), division=0), Reason.DAMAGED, "0 ticks per quarter"),
        (midi(track(NOTE + END), division=0xFFFF), Reason.DAMAGED, "SMPTE clock of 1 frames a second"),
        (midi(track(NOTE + END), division=0xE700), Reason.DAMAGED, "25 frames a second and 0 ticks"),
        (midi(track("00 3c 50" + END)), Reason.DAMAGED, "track 0, byte 1: data 0x3c before any status"),
        (midi(track("00 90 3c")), Reason.DAMAGED, "byte 1: message 0x90 is cut short"),
        (midi(track("80 80 80 80 00 90 3c 50" + END)), Reason.DAMAGED, "byte 0: a delta time of five bytes"),
        (midi(track("80 80 80 80 80 00 90 3c 50" + END)), Reason.DAMAGED, "byte 0: a delta time of more than four"),
        (midi(track("00 f0 81 01 43" + END)), Reason.DAMAGED, "event 0xf0 has 132 bytes, the track has only 8 more"),
        (midi(track("00 f4" + END)), Reason.DAMAGED, "unknown status 0xf4"),
        (midi(track("00 ff 51 03 00 00 00" + NOTE + END)), Reason.DAMAGED, "expected 1..16777215"),
        (midi(), Reason.NO_NOTES, "no note"),
        (midi(track(END)), Reason.NO_NOTES, "no note"),
        (midi(track("00 80 3c 50" + END)), Reason.NO_NOTES, "struck and released"),
        (midi(track(NOTE + END), track(NOTE + END), form=2), Reason.DAMAGED, "2 songs"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_reason(data: bytes, reason: Reason, detail: str) -> None:
    error = refusal(data)
    assert error.reason is reason
    assert detail in error.detail
    assert str(error).startswith("<bytes>: ")
    assert "\n" not in str(error)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.mid").reason is Reason.MISSING
    assert refusal(tmp_path).reason is Reason.UNREADABLE


def test_packets_of_a_system_exclusive_message_take_their_time_and_nothing_else() -> None:
    split = "0a f0 03 43 12 00  0a f7 03 43 12 f7  0a f7 01 f7  00 90 3c 50  83 60 80 3c 00"
    assert rows(read_midi(midi(track(split + END)))) == [(30, 510, 60, 80)]
    behind = "00 90 3c 50  0a f7 01 f7  83 56 80 3c 00  05 f7 01 41"
    assert rows(read_midi(midi(track(behind + END)))) == [(0, 480, 60, 80)]
    endless = refusal(midi(track("ff ff ff 7f f7 00  ff ff ff 7f 90 3c 50  01 80 3c 00" + END)))
    assert endless.reason is Reason.DAMAGED
    assert "536870910 ticks between two events" in endless.detail


def test_more_metres_than_any_piece_has_are_refused() -> None:
    assert (
        "more than 10,000 time signatures"
        in refusal(midi(track("01 ff 58 04 06 03 18 08" * 10_001 + NOTE + END))).detail
    )


def test_a_file_beyond_the_limit_is_refused_unparsed(tmp_path: Path) -> None:
    path = tmp_path / "large.mid"
    path.write_bytes(PLAIN + bytes(10**6))
    error = refusal(path, ReadingLimits(largest_file=1))
    assert error.reason is Reason.TOO_LONG
    assert "more than 1 megabytes" in error.detail


def test_limits_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="every limit must be above 0"):
        ReadingLimits(deadline=0.0)


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (b"RIFF" + struct.pack("<I", len(PLAIN) + 12) + b"RMIDdata" + struct.pack("<I", len(PLAIN)) + PLAIN, ""),
        (b"MThd" + struct.pack(">IHHHH", 8, 1, 1, 480, 0) + PLAIN[14:], ""),
        (PLAIN[:14] + b"ABCD\0\0\0\2xy" + PLAIN[14:], ""),
        (midi(track(NOTE + END) + b"ABCD\0\0\0\2xy", promised=2), ""),
        (midi(track(NOTE)), ""),
        (midi(track(NOTE + END + "00 90 3e 50 10 80 3e 00")), ""),
        (midi(track("00 f1 10" + NOTE + END)), ""),
        (midi(track(NOTE + END, length=500)), "track 0 has 13 bytes, its header says 500"),
        (midi(track(NOTE + "00 ff 2f", length=13)), "track 0 has 12 bytes, its header says 13"),
        (midi(track(NOTE + END)) + b"xyz", "3 bytes after the last track left out"),
        (midi(track("00 ff 58 04 00 ff 18 08" + NOTE + END)), "left out: time signature"),
        (midi(track("00 ff 59 02 0b 00" + NOTE + END)), "left out: key signature"),
        (midi(track("00 ff 59 02 00 07" + NOTE + END)), "left out: key signature of mode 7"),
    ],
)
def test_an_odd_file_gives_its_note_and_a_remark_on_what_was_lost(data: bytes, remark: str) -> None:
    notes = read_midi(data)
    assert rows(notes) == [(0, 480, 60, 80)]
    if remark:
        assert len(notes.remarks) == 1
        assert notes.remarks[0].startswith(remark)
    else:
        assert notes.remarks == ()


def test_running_status_goes_on_behind_a_meta_event() -> None:
    data = midi(track("00 90 3c 50  00 ff 01 01 41  83 60 3c 00" + END))
    assert rows(read_midi(data)) == [(0, 480, 60, 80)]


# a long and a short system exclusive message, and what some writers leave of the live stream
@pytest.mark.parametrize("between", ["f0 03 01 02 f7", "f0 02 43 f7", "f1 05", "f2 01 02", "f3 01", "f6", "f8", "fe"])
def test_running_status_goes_on_behind_a_system_message(between: str) -> None:
    data = midi(track(f"00 90 3c 50  0a {between}  83 56 3c 00  05 {between} 05 {between}  06 3e 50  10 3e 00" + END))
    assert rows(read_midi(data)) == [(0, 480, 60, 80), (496, 512, 62, 80)]


def test_system_messages_and_escapes_are_left_out_in_their_order() -> None:
    data = midi(
        track("00 90 3c 50  0a f0 02 43 12  0a f7 01 f7  0a 3c 00  00 f0 02 43 f7  00 90 3e 50  0a 3e 00" + END)
    )
    assert rows(read_midi(data)) == [(0, 30, 60, 80), (30, 40, 62, 80)]


@pytest.mark.data
def test_a_scale_between_system_messages_is_read_whole(data_folder: Path) -> None:
    path = data_folder / "music" / "midi_diverse" / "jazz_soft" / "test-running-status-sysex.mid"
    assert read_midi(path).pitch.tolist() == [60, 62, 64, 65, 67, 69, 71, 72]  # its text: "a C-Major scale"


def test_ticks_that_cannot_be_counted_are_refused() -> None:
    longest = "ff ff ff 7f ff 01 00"
    seven = read_midi(midi(track(longest * 7 + NOTE + END)))
    assert rows(seven) == [(7 * (2**28 - 1), 7 * (2**28 - 1) + 480, 60, 80)]
    for many in (8, 16, 17):
        error = refusal(midi(track(NOTE + END), track(longest * many + "ff ff ff 7f 90 3c 50  01 80 3c 00" + END)))
        assert error.reason is Reason.TOO_LONG
        assert f"{(many + 1) * (2**28 - 1) + 1:,} ticks, expected at most 2,147,483,647" in error.detail
    # high bytes in tempos and texts are no waits
    tempos = "81 70 ff 51 03 0a ab cd" * 100
    assert len(read_midi(midi(track(tempos + "00 ff 01 14" + "e3 83 94 e3" * 5 + NOTE + END)))) == 1


def test_more_tracks_than_can_be_numbered_are_refused_and_the_next_file_is_read() -> None:
    many = midi(*[track("00 90 3c 50  01 3c 00" + END)] * 33_000, promised=33_000)
    refused, read = read_many([many, PLAIN])
    assert isinstance(refused, MidiError)
    assert refused.reason is Reason.TOO_LONG
    assert "33,000 tracks, expected at most 32,767" in refused.detail
    assert not isinstance(read, MidiError)


def test_a_pedal_holds_its_channel_in_every_track() -> None:
    conductor = track("00 b0 40 7f  81 00 40 00  00 b1 40 40  10 40 3f" + END)
    left = track("00 90 3c 50  10 3c 00" + END)
    right = track("00 c1 05  00 91 40 50  10 40 00  00 c1 06  00 91 43 50  10 43 00  00 b0 40 7f  02 40 00" + END)
    notes = read_midi(midi(conductor, left, right))
    assert notes.pitch.tolist() == [60, 64, 67]
    # channel 0 goes up at 34, in a track that has none of its notes; channel 1 is in two programs
    assert notes.pedals.tolist() == [[0, 0, 34], [1, 128, 144], [2, 128, 144]]
    # another port is another set of channels
    elsewhere = track("00 ff 21 01 01  00 90 3c 50  10 3c 00" + END)
    assert read_midi(midi(conductor, left, elsewhere)).pedals.tolist() == [[0, 0, 128]]


def test_pedals_of_one_track_are_read_as_by_the_parser() -> None:
    alone = track("00 b0 40 7f  00 90 3c 50  10 3c 00  20 b0 40 00" + END)
    with_others = midi(
        track("00 ff 01 01 41" + END), alone, track(NOTE.replace("90", "91").replace("80 3c", "81 3c") + END)
    )
    assert read_midi(midi(alone)).pedals.tolist() == [[0, 0, 48]]
    assert read_midi(with_others).pedals.tolist() == [[0, 0, 48]]


def test_more_tracks_than_the_header_says_are_all_read() -> None:
    notes = read_midi(midi(track(NOTE + END), track(NOTE + END), promised=1))
    assert notes.track.tolist() == [0, 1]
    assert notes.remarks == ("2 tracks, the header says 1",)


@pytest.mark.parametrize(
    ("division", "ticks", "seconds"), [(0xE728, "87 68", 1.0), (0xE350, "92 60", 1.001), (0xE801, "18", 1.0)]
)
def test_an_smpte_clock_counts_seconds_and_ignores_tempos(division: int, ticks: str, seconds: float) -> None:
    # 25 x 40 = 1,000 ticks a second; 30 drop frame x 80 = 2,400 in 1.001 s; 24 x 1
    data = midi(track(f"00 ff 51 03 01 00 00  00 90 3c 50  {ticks} 80 3c 00" + END), division=division)
    assert read_midi(data).duration == pytest.approx(seconds, rel=1e-12)


def test_songs_of_format_2_never_share_a_clock() -> None:
    slow = track("00 ff 51 03 0f 42 40" + NOTE + END)
    songs = read_songs(midi(track(NOTE + END), track(END), slow, form=2))
    assert [song.duration for song in songs] == [0.5, 1.0]
    assert [len(song) for song in songs] == [1, 1]


def test_songs_of_an_ordinary_file_are_that_file() -> None:
    assert read_songs(PLAIN) == (read_midi(PLAIN),)


def test_format_2_without_any_notes_is_refused() -> None:
    with pytest.raises(MidiError, match="no notes in any of 2 songs"):
        read_songs(midi(track(END), track(END), form=2))


def test_names_that_are_no_utf8_are_latin_1() -> None:
    notes = read_midi(midi(track("00 ff 03 04 43 61 66 e9" + NOTE + END)))
    assert rows(notes) == [(0, 480, 60, 80)]
    assert notes.track_names == ("Café",)
    assert read_midi(midi(track("00 ff 03 05 43 61 66 c3 a9" + NOTE + END))).track_names == ("Café",)


def test_a_file_of_format_0_with_several_tracks_is_read_whole_and_says_so() -> None:
    notes = read_midi(midi(track(NOTE + END), track(NOTE + END), form=0))
    assert notes.track.tolist() == [0, 1]
    assert notes.remarks == ("format 0 with 2 tracks",)


def test_every_chain_of_messages_is_walked_to_its_end() -> None:
    """Running status of both widths, metas and system exclusive between them, in any order of a thousand draws."""
    draw = np.random.default_rng(1)
    pieces = ["00 90 3c 50", "00 c0 07", "00 b0 40 7f", "00 d0 33", "81 00 e0 01 02", "00 f0 02 43 f7", "00 f7 01 80"]
    pieces += [f"00 ff 01 {length:02x} " + "90 " * length for length in (0, 2, 15, 16, 60)]
    for _ in range(1000):
        chosen = [pieces[index] for index in draw.integers(len(pieces), size=12)]
        events = bytes.fromhex(" ".join(chosen) + END)
        check_events(events)
        with pytest.raises(ValueError, match="byte"):
            check_events(events[: -len(bytes.fromhex(END))] + b"\x00\x90\x3c")


@pytest.fixture
def fragile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reading through the fragile parser."""
    guard = fragile_guard(tmp_path)
    monkeypatch.setattr("seqaudio.midi.guard.the_parser", lambda megabytes: guard)
    yield
    guard.close()


@pytest.mark.usefixtures("fragile")
def test_a_file_that_kills_or_hangs_the_parser_is_refused_with_its_reason() -> None:
    assert refusal(b"what kills").reason is Reason.PARSER_CRASHED
    assert refusal(b"what never ends", ReadingLimits(deadline=1.0)).reason is Reason.PARSER_TIMEOUT
    assert rows(read_midi(PLAIN)) == [(0, 480, 60, 80)]


@pytest.mark.usefixtures("fragile")
def test_of_files_that_are_parsed_together_only_the_harmful_are_refused(tmp_path: Path) -> None:
    gone = tmp_path / "gone.mid"
    files = [PLAIN, b"what kills", PLAIN, gone, b"", b"what never ends", PLAIN]
    found = list(read_many(files, ReadingLimits(deadline=2.0)))
    assert [found[place] for place in (0, 2, 6)] == [(read_midi(PLAIN),)] * 3
    reasons = [songs.reason for songs in found if isinstance(songs, MidiError)]
    assert reasons == [Reason.PARSER_CRASHED, Reason.MISSING, Reason.EMPTY, Reason.PARSER_TIMEOUT]


@pytest.mark.usefixtures("fragile")
def test_a_file_that_hangs_the_parser_costs_little_more_than_its_deadline() -> None:
    begin = time.monotonic()
    found = list(read_many([PLAIN, b"what never ends", PLAIN], ReadingLimits(deadline=1.0)))
    # three fresh parsers are started on the way
    assert time.monotonic() - begin < 1.0 + 3 * 4
    assert [isinstance(songs, MidiError) for songs in found] == [False, True, False]


def test_many_files_are_read_as_each_alone(tmp_path: Path) -> None:
    slow = track("00 ff 51 03 0f 42 40  10 ff 51 03 06 1a 80" + NOTE + END)
    pedal = "00 b0 40 7f" + NOTE + "00 b0 40 00"
    files = [
        PLAIN,
        midi(slow, track(NOTE + NOTE + END)),
        midi(track(END)),
        b"a diary",
        midi(track(NOTE + END), track(END), slow, form=2),
        midi(track(pedal + END), division=0xE728),
        midi(track("00 ff 51 03 00 00 00" + NOTE + END)),
        *(midi(track(f"00 90 {pitch:02x} 50  83 60 80 {pitch:02x} 00" + END)) for pitch in range(100)),
    ]
    for source, found in zip(files, read_many(files), strict=True):
        try:
            expected = read_songs(source)
        except MidiError as error:
            assert isinstance(found, MidiError)
            assert (found.reason, found.detail) == (error.reason, error.detail)
        else:
            assert found == expected
            assert [song.remarks for song in found] == [song.remarks for song in expected]
            for song in found:
                dataclasses.replace(song)  # all checks of the constructor hold


def test_columns_that_do_not_fit_their_description_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parse([PLAIN])
    for columns in (whole[0].columns[:-1], whole[0].columns + b"x"):
        cut = [whole[0]._replace(columns=columns)]
        monkeypatch.setattr("seqaudio.midi.reading.parse", lambda *_, cut=cut: cut)
        assert refusal(PLAIN).reason is Reason.PARSER_CRASHED


def test_a_song_with_values_that_no_piece_has_is_refused_and_its_neighbours_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (whole,) = parse([PLAIN, PLAIN, PLAIN])
    # three starts, three durations, three pitches, three velocities
    columns = bytearray(whole.columns)
    columns[4 * 6 + 1] = 0xFF
    monkeypatch.setattr("seqaudio.midi.reading.parse", lambda *_: [whole._replace(columns=bytes(columns))])
    first, second, third = read_many([PLAIN, PLAIN, PLAIN])
    assert isinstance(second, MidiError)
    assert second.reason is Reason.DAMAGED
    assert "pitch has values in -1..-1" in second.detail
    assert not isinstance(first, MidiError)
    assert first == third
    assert rows(first[0]) == [(0, 480, 60, 80)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces a limit of address space")
def test_a_file_that_takes_too_much_memory_is_refused() -> None:
    many = PLAIN[:14] + track("00 90 3c 50" + " 01 3c 50" * 800_000 + " 01 80 3c 00" + END)
    error = refusal(many, ReadingLimits(memory=8))
    assert error.reason in (Reason.PARSER_CRASHED, Reason.DAMAGED)
    assert rows(read_midi(PLAIN, ReadingLimits(memory=8))) == [(0, 480, 60, 80)]


def run_python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# every pitch above 127 on every channel: symusic 0.5.9 writes outside its tables and dies
LETHAL = midi(
    track(" ".join(f"00 9{channel:x} {pitch:02x} 50" for pitch in range(128, 256) for channel in range(16)) + END)
)


def test_what_kills_the_parser_is_mended_before_it_gets_there() -> None:
    """All those strikes become strikes of the highest key, of which each channel ends but one."""
    notes = read_midi(LETHAL)
    assert set(notes.pitch.tolist()) == {127}
    assert "track 0: 2,048 data bytes above 127 taken as 127" in notes.remarks


def test_nothing_of_a_real_crash_is_seen_on_the_terminal(tmp_path: Path) -> None:
    fragile_guard(tmp_path)
    code = """
        import sys
        from pathlib import Path
        from seqaudio.errors import MidiError
        from seqaudio.guarded.parent import Guard
        from seqaudio.midi import guard, read_midi
        script = Path(sys.argv[1]) / "fragile.py"
        fragile = Guard(script, 400, "the MIDI parser", "numpy, symusic")
        guard.the_parser = lambda megabytes: fragile
        good, lethal = (bytes.fromhex(text) for text in sys.argv[2:])
        for _ in range(3):
            try:
                read_midi(lethal)
                print("the parser survived")
            except MidiError as error:
                assert error.reason == "parser_crashed", error
                assert len(read_midi(good)) == 1
    """
    done = run_python(code, tmp_path, PLAIN.hex(), b"what kills".hex())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_process_gets_a_parser_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "good.mid").write_bytes(PLAIN)
    code = """
        import os, sys, warnings
        from seqaudio.midi import read_midi
        from seqaudio.midi.guard import the_parser
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads is what is tried
        expected = read_midi(sys.argv[1])
        parser = the_parser(400)._child._process.pid
        children = [os.fork() for _ in range(2)]
        if 0 in children:
            same = read_midi(sys.argv[1]) == expected
            os._exit(0 if same and the_parser(400)._child._process.pid != parser else 1)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
        assert read_midi(sys.argv[1]) == expected
        assert the_parser(400)._child._process.pid == parser
    """
    done = run_python(code, tmp_path / "good.mid")
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_take_turns() -> None:
    from concurrent.futures import ThreadPoolExecutor

    files = [midi(track(f"00 90 {pitch:02x} 50  83 60 80 {pitch:02x} 00" + END)) for pitch in range(100)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read_midi, files))
    assert [notes.pitch.tolist() for notes in found] == [[pitch] for pitch in range(100)]


@pytest.mark.data
def test_every_tune_of_a_real_collection_is_read(data_folder: Path) -> None:
    files = sorted((data_folder / "music" / "nottingham" / "midi").glob("*.mid"))
    assert len(files) == 1034
    assert sum(len(read_midi(file)) for file in files) == 356_269
