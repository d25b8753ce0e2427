"""The odd files made by hand, each with what its index says a reader should do."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqaudio.errors import MidiError
from seqaudio.ledger import Reason
from seqaudio.midi import read_songs
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.tokens import build_representation

# notes and seconds of each song, or why the file is refused
EXPECTED: dict[str, list[tuple[int, float]] | Reason] = {
    "type0_plain.mid": [(4, 2)],
    "type1_tempo_in_track2.mid": [(4, 1.5)],
    "type2_two_songs.mid": [(4, 2), (2, 2)],
    "tempo_1us.mid": [(4, 4e-06)],
    "tempo_zero.mid": Reason.DAMAGED,
    "tempo_max.mid": [(4, 67.10886)],
    "tempo_many.mid": [(500, 68.6875)],
    "division_zero.mid": Reason.DAMAGED,
    "division_max.mid": [(4, 2)],
    "division_1.mid": [(4, 2)],
    "smpte_25_40.mid": [(4, 2)],
    "smpte_30drop_80.mid": [(4, 4.000663)],
    "running_status.mid": [(3, 1.5)],
    "running_status_orphan.mid": Reason.DAMAGED,
    "no_note_off.mid": [(3, 1)],
    "note_off_only.mid": Reason.NO_NOTES,
    "overlap_same_pitch.mid": [(2, 0.75)],
    "zero_length.mid": [(2, 1)],
    "pitch_0_and_127.mid": [(4, 2)],
    "drums_ch10.mid": [(4, 2)],
    "sixteen_channels.mid": [(16, 0.5)],
    "tracks_40.mid": [(40, 0.5)],
    "header_says_more_tracks.mid": Reason.TRUNCATED,
    "header_says_fewer_tracks.mid": [(8, 2)],
    "track_len_too_big.mid": [(4, 2)],
    "track_len_too_small.mid": Reason.DAMAGED,
    "truncated_half.mid": Reason.TRUNCATED,
    "truncated_in_header.mid": Reason.TRUNCATED,
    "header_only.mid": Reason.NO_NOTES,
    "zero_bytes.mid": Reason.EMPTY,
    "not_midi.mid": Reason.NOT_MIDI,
    "no_end_of_track.mid": [(4, 2)],
    "events_after_eot.mid": [(4, 2)],
    "riff_rmid.mid": [(4, 2)],
    "unknown_chunk.mid": [(4, 2)],
    "header_len_8.mid": [(4, 2)],
    "huge_delta.mid": [(1, 279620.8)],
    "vlq_5_bytes.mid": Reason.DAMAGED,
    "sysex_split.mid": [(4, 2.010417)],
    "sysex_unterminated.mid": Reason.DAMAGED,
    "text_latin1.mid": [(4, 2)],
    "bad_key_signature.mid": [(4, 2)],
    "bad_time_signature.mid": [(4, 2)],
    "odd_meters.mid": [(4, 2)],
    "data_byte_high_bit.mid": [(1, 0.5)],
    "dense_20000.mid": [(20000, 20.83333)],
    "chord_128.mid": [(128, 0.5)],
    "sustain_pedal.mid": [(4, 2)],
}
# what is read with less than the file has says so
REMARKS = {
    "header_says_fewer_tracks.mid": "2 tracks, the header says 1",
    "track_len_too_big.mid": "track 0 has 40 bytes, its header says 100000",
    "no_note_off.mid": "3 notes without note-off, closed at the end of the track",
    "data_byte_high_bit.mid": "track 0: 1 data byte above 127 taken as 127",
    "bad_key_signature.mid": "left out: key signature of mode 7",
    "bad_time_signature.mid": "left out: time signature",
}


def index(folder: Path) -> dict[str, str]:
    """What a reader should do with each file."""
    lines = (folder / "index.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {name: expected for name, _, _, expected in (line.split("\t") for line in lines)}


@pytest.fixture
def folder(data_folder: Path) -> Path:
    return data_folder / "music" / "midi_diverse" / "handmade"


@pytest.mark.data
def test_each_file_is_read_or_refused_as_expected(folder: Path) -> None:
    assert index(folder).keys() == EXPECTED.keys()
    assert len(EXPECTED) == 48
    for name, expected in EXPECTED.items():
        if isinstance(expected, Reason):
            with pytest.raises(MidiError) as caught:
                read_songs(folder / name)
            assert caught.value.reason is expected, name
            continue
        songs = read_songs(folder / name)
        assert [len(song) for song in songs] == [notes for notes, _ in expected], name
        assert [song.duration for song in songs] == pytest.approx([seconds for _, seconds in expected], rel=1e-6), name
        remark = REMARKS.get(name, "")
        assert bool(songs[0].remarks) == bool(remark), name
        assert not remark or songs[0].remarks[0].startswith(remark), name
        assert len(songs[0].remarks) <= 1 + (name == "data_byte_high_bit.mid"), name


@pytest.mark.data
def test_what_is_expected_here_is_what_the_index_allows(folder: Path) -> None:
    for name, said in index(folder).items():
        expected = EXPECTED[name]
        count = 0 if isinstance(expected, Reason) else sum(notes for notes, _ in expected)
        number = said.split()[0]
        refusable = any(words in said for words in ("error", "dropped", "0 notes"))
        if isinstance(expected, Reason):
            assert refusable, name
        elif number.isdigit() and "note" in said:
            assert count == int(number), name
        if "total" in said and "microseconds" not in said:
            seconds = float(said.partition("total ")[2].split()[0])
            assert sum(part for _, part in expected) == pytest.approx(seconds), name


@pytest.mark.data
@pytest.mark.parametrize("representation", ["melody", "performance", "roll"])
def test_each_file_is_prepared_or_refused_and_none_eats_all_memory(folder: Path, representation: str) -> None:
    process = MidiPreparation(build_representation(representation))
    items = [Item(name, folder / name, name) for name in EXPECTED]
    made = dict(zip(EXPECTED, process.many(items), strict=True))
    for name, expected in EXPECTED.items():
        rows = made[name]
        if isinstance(expected, Reason):
            assert isinstance(rows, MidiError)
            assert rows.reason is expected, name
        elif isinstance(rows, MidiError):
            assert (name, rows.reason) in [
                ("huge_delta.mid", Reason.TOO_LONG),
                ("drums_ch10.mid", Reason.PERCUSSION_ONLY),
                ("pitch_0_and_127.mid", Reason.NO_NOTES),  # a roll has 88 keys
                ("data_byte_high_bit.mid", Reason.NO_NOTES),
            ]
        else:
            assert sum(row.sequence.nbytes for row in rows) < 10**7, name
