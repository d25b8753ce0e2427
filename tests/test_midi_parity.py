"""Parity with pretty_midi: notes, tempos and times of all shared files, to a microsecond.

Where pretty_midi errs, the file is listed with the reason, and a third reader stands by us: mido's events, put together
by the code below, or symusic's own reading of the whole file.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter, defaultdict, deque
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
import symusic

from seqaudio.errors import MidiError
from seqaudio.midi import read_songs
from seqaudio.midi.reading import read_many
from seqaudio.notes import NoteSequence

TIME = 1e-6  # seconds
QUICK = 40  # every so many files in the quick test

OVERLAP = "ends two overlapping notes of one pitch, both, at the first end"
ZERO = "loses a note without length"
UNENDED = "loses notes without an end"
# what it has from mido, which reads its files
OF_MIDO = ("goes on behind the end of the track", "stops at the number of tracks in the header")
# files whose notes pretty_midi gives otherwise, and how
OTHER_NOTES = {
    "midi_diverse/handmade/no_note_off.mid": UNENDED,
    "midi_diverse/handmade/events_after_eot.mid": OF_MIDO[0],
    "midi_diverse/handmade/header_says_fewer_tracks.mid": OF_MIDO[1],
    "midi_diverse/handmade/type1_tempo_in_track2.mid": "takes no tempo from a later track",
    "midi_diverse/handmade/zero_length.mid": ZERO,
    "piano_midi/muss/muss_6.mid": ZERO,
    "midi_diverse/handmade/overlap_same_pitch.mid": OVERLAP,
    "nottingham/midi/jigs311.mid": OVERLAP,
    "piano_midi/balakir/islamei.mid": OVERLAP,
    "piano_midi/borodin/bor_ps1.mid": OVERLAP,
    "piano_midi/borodin/bor_ps2.mid": OVERLAP,
    "piano_midi/borodin/bor_ps4.mid": OVERLAP,
    "piano_midi/borodin/bor_ps5.mid": OVERLAP,
    "piano_midi/borodin/bor_ps6.mid": OVERLAP,
    "piano_midi/borodin/bor_ps7.mid": OVERLAP,
    "piano_midi/brahms/BR_IM6.MID": OVERLAP,
    "piano_midi/debussy/DEB_CLAI.MID": OVERLAP,
    "piano_midi/debussy/DEB_PASS.MID": OVERLAP,
    "piano_midi/haydn/hay_40_1.mid": OVERLAP,
    "piano_midi/haydn/hay_40_2.mid": OVERLAP,
    "piano_midi/haydn/haydn_43_1.mid": OVERLAP,
    "piano_midi/mendelssohn/mendel_op19_5.mid": OVERLAP,
    "piano_midi/mendelssohn/mendel_op30_2.mid": OVERLAP,
    "piano_midi/muss/muss_1.mid": OVERLAP,
    "piano_midi/muss/muss_2.mid": OVERLAP,
    "piano_midi/muss/muss_7.mid": OVERLAP,
    "piano_midi/muss/muss_8.mid": OVERLAP,
}
OTHER_TEMPOS = {"midi_diverse/handmade/type1_tempo_in_track2.mid"}
# time signatures of later tracks are ours too
OTHER_METRES = {
    "midi_diverse/note_seq/english3.mid",
    "nottingham/midi/jigs168.mid",
    "nottingham/midi/morris20.mid",
    "nottingham/midi/reelsr-t67.mid",
}
# files that pretty_midi refuses, and we read
UNREAD = {
    "midi_diverse/handmade/data_byte_high_bit.mid": "a data byte above 127",
    "midi_diverse/handmade/bad_key_signature.mid": "a key signature with 11 sharps",
    "midi_diverse/handmade/bad_time_signature.mid": "a metre of 0 beats",
    "midi_diverse/handmade/huge_delta.mid": "more ticks than it takes for likely",
    "midi_diverse/handmade/riff_rmid.mid": "a RIFF wrapper",
    "midi_diverse/handmade/smpte_25_40.mid": "an SMPTE clock",
    "midi_diverse/handmade/smpte_30drop_80.mid": "an SMPTE clock",
    "midi_diverse/handmade/track_len_too_big.mid": "a track that promises too many bytes",
    "midi_diverse/handmade/unknown_chunk.mid": "a chunk of another kind",
    "midi_diverse/jazz_soft/test-corrupt-file-missing-byte.mid": "an end mark without its last byte",
    "midi_diverse/jazz_soft/test-non-midi-track.mid": "a chunk of another kind",
    "midi_diverse/jazz_soft/test-running-status-sysex.mid": "running status behind a system exclusive message",
}
# a remark on notes that pretty_midi ends with the next end of their key, or loses; music21's grace notes
WITHOUT_END = " whose note-off comes before the note-on"
# files of format 2, whose songs pretty_midi puts on one clock
SONGS = {"midi_diverse/handmade/type2_two_songs.mid", "midi_diverse/jazz_soft/test-2-tracks-type-2.mid"}

Table = np.ndarray  # [N, 6] pitch, program, drum, velocity, start and end in seconds; in that order


def table(rows: list[tuple[float, ...]]) -> Table:
    return np.array(sorted(rows), dtype=np.float64).reshape(-1, 6)


def ours(notes: NoteSequence) -> Table:
    columns = (notes.pitch, notes.program, notes.is_drum, notes.velocity, notes.start, notes.end)
    return table(list(zip(*(column.tolist() for column in columns), strict=True)))


def theirs(midi: pretty_midi.PrettyMIDI) -> Table:
    notes = ((note, part) for part in midi.instruments for note in part.notes)
    return table([(n.pitch, part.program, part.is_drum, n.velocity, n.start, n.end) for n, part in notes])


def mido_notes(path: Path) -> Table:
    """Notes from mido's events: the oldest note of a pitch and channel ends first, tempos of all tracks hold."""
    file = mido.MidiFile(path, charset="latin1")
    tempos = {0: 500_000}
    played = []
    for track in file.tracks:
        now = 0
        programs: dict[int, int] = defaultdict(int)
        sounding: dict[tuple[int, int], deque[tuple[int, int, int]]] = defaultdict(deque)
        for message in track:
            now += message.time
            if message.type == "set_tempo":
                tempos[now] = message.tempo
            elif message.type == "program_change":
                programs[message.channel] = message.program
            elif message.type == "note_on" and message.velocity:
                place = (message.channel, message.note)
                sounding[place].append((now, message.velocity, programs[message.channel]))
            elif message.type in ("note_on", "note_off") and sounding[message.channel, message.note]:
                start, velocity, program = sounding[message.channel, message.note].popleft()
                played.append((message.note, program, message.channel == 9, velocity, start, now))
    ticks = sorted(tempos)
    values = np.array([tempos[tick] for tick in ticks])
    elapsed = np.concatenate([[0], np.cumsum(np.diff(ticks) * values[:-1])])

    def seconds(tick: int) -> float:
        index = np.searchsorted(ticks, tick, side="right") - 1
        return float((elapsed[index] + (tick - ticks[index]) * values[index]) / (file.ticks_per_beat * 1e6))

    return table([(*note, seconds(start), seconds(end)) for *note, start, end in played])


def same(one: Table, other: Table) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=TIME)


def differing(one: Table, other: Table) -> int:
    """How many notes of each, at most, the other has not."""
    first, second = (Counter(map(tuple, np.round(part, 5).tolist())) for part in (one, other))
    return max((first - second).total(), (second - first).total())


def tempo_changes(midi: pretty_midi.PrettyMIDI) -> tuple[np.ndarray, np.ndarray]:
    """pretty_midi's, without those that last no time and those that change nothing."""
    times, tempos = midi.get_tempo_changes()
    lasting = np.append(np.diff(times) > 0, [True])
    times, tempos = times[lasting], tempos[lasting]
    changing = np.append([True], tempos[1:] != tempos[:-1])
    return times[changing], tempos[changing]


def metres(notes: NoteSequence) -> list[tuple[float, int, int]]:
    return [(float(notes.seconds(m.tick)), m.numerator, m.denominator) for m in notes.time_signatures]


def check_file(path: Path, name: str, found: tuple[NoteSequence, ...] | MidiError) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            midi = pretty_midi.PrettyMIDI(str(path))
    except Exception:  # noqa: BLE001  # it raises what it happens to stumble over
        assert isinstance(found, MidiError) or name in UNREAD, name
        return
    assert name not in UNREAD, name
    if isinstance(found, MidiError):
        assert not any(part.notes for part in midi.instruments), f"{found}, and pretty_midi finds notes"
        return
    if name in SONGS:
        assert len(found) > 1
        return
    (notes,) = found
    unended = sum(int(remark.split()[0].replace(",", "")) for remark in notes.remarks if WITHOUT_END in remark)
    if unended:
        assert differing(ours(notes), theirs(midi)) <= unended, name
    else:
        assert same(ours(notes), theirs(midi)) == (name not in OTHER_NOTES), name
    times, tempos = tempo_changes(midi)
    equal = len(times) == len(notes.tempo) and np.allclose(times, notes.seconds(notes.tempo_tick), rtol=0, atol=TIME)
    assert (equal and np.allclose(tempos, 6e7 / notes.tempo, rtol=1e-9)) == (name not in OTHER_TEMPOS), name
    theirs_metres = [(m.time, m.numerator, m.denominator) for m in midi.time_signature_changes]
    mine = metres(notes)
    equal = len(mine) == len(theirs_metres) and (not mine or np.allclose(mine, theirs_metres, rtol=0, atol=TIME))
    assert equal == (name not in OTHER_METRES), name


def shared_files(folder: Path) -> dict[str, Path]:
    """Every MIDI file of the corpora by its path below the folder."""
    paths = sorted(path for path in (folder / "music").rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    files = {path.relative_to(folder / "music").as_posix(): path for path in paths}
    assert len(files) > 1900
    return files


def check_files(files: dict[str, Path]) -> None:
    for (name, path), found in zip(files.items(), read_many(files.values()), strict=True):
        check_file(path, name, found)


@pytest.mark.data
def test_a_sample_of_files_and_all_odd_ones_read_as_pretty_midi_reads_them(data_folder: Path) -> None:
    files = shared_files(data_folder)
    chosen = set(list(files)[::QUICK]) | OTHER_NOTES.keys() | UNREAD.keys() | SONGS | OTHER_METRES
    check_files({name: path for name, path in files.items() if name in chosen})


@pytest.mark.data
@pytest.mark.slow
def test_every_file_reads_as_pretty_midi_reads_it(data_folder: Path) -> None:
    check_files(shared_files(data_folder))


@pytest.mark.data
@pytest.mark.parametrize("name", [name for name, why in OTHER_NOTES.items() if why not in (*OF_MIDO, UNENDED)])
def test_mido_stands_by_us_where_pretty_midi_errs(data_folder: Path, name: str) -> None:
    path = data_folder / "music" / name
    (notes,) = read_songs(path)
    assert same(ours(notes), mido_notes(path))


@pytest.mark.data
def test_symusic_ends_a_track_at_its_end_mark_as_we_do(data_folder: Path) -> None:
    path = data_folder / "music" / "midi_diverse" / "handmade" / "events_after_eot.mid"
    (notes,) = read_songs(path)
    score = symusic.Score(str(path))
    found = sorted((note.time, note.end, note.pitch) for part in score.tracks for note in part.notes)
    mine = zip(notes.start_tick.tolist(), notes.end_tick.tolist(), notes.pitch.tolist(), strict=True)
    assert found == sorted(mine)


@pytest.mark.data
def test_pretty_midi_finds_our_notes_once_the_header_tells_all_tracks(data_folder: Path) -> None:
    data = bytearray(
        (data_folder / "music" / "midi_diverse" / "handmade" / "header_says_fewer_tracks.mid").read_bytes()
    )
    (notes,) = read_songs(bytes(data))
    data[10:12] = bytes([0, data.count(b"MTrk")])
    assert same(ours(notes), theirs(pretty_midi.PrettyMIDI(io.BytesIO(data))))


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(SONGS))
def test_songs_of_format_2_have_a_clock_each(data_folder: Path, name: str) -> None:
    path = data_folder / "music" / name
    file = mido.MidiFile(path)
    assert file.type == 2
    expected = []
    for track in file.tracks:
        (tempo,) = [message.tempo for message in track if message.type == "set_tempo"] or [500_000]
        ticks = sum(message.time for message in track)
        expected.append(ticks * tempo / (file.ticks_per_beat * 1e6))
    assert [song.duration for song in read_songs(path)] == pytest.approx(expected, abs=TIME)


@pytest.mark.data
@pytest.mark.slow
def test_mido_reads_every_file_that_it_can_as_we_do(data_folder: Path) -> None:
    files = shared_files(data_folder)
    skipped = OTHER_NOTES.keys() | UNREAD.keys() | SONGS
    compared = 0
    for (name, path), found in zip(files.items(), read_many(files.values()), strict=True):
        if isinstance(found, MidiError) or name in skipped or any(WITHOUT_END in r for r in found[0].remarks):
            continue
        assert same(ours(found[0]), mido_notes(path)), name
        compared += 1
    assert compared > 1950
