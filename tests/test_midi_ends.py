"""Notes whose end is missing: each costs itself alone, and whatever else a key plays keeps its length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_midi_reading import END, midi, rows, track

from seqaudio.errors import MidiError
from seqaudio.midi import read_midi, read_songs
from seqaudio.midi.chunks import songs_of
from seqaudio.midi.reading import read_many
from seqaudio.midi.repairs import AGAIN, CLOSED, NO_LENGTH, repaired

Event = tuple[int, str, int]  # tick, "+" for a strike and "-" for an end, pitch


def wait(ticks: int) -> str:
    """A delta time in hexadecimal."""
    septets = [ticks >> shift & 0x7F for shift in (21, 14, 7, 0) if ticks >> shift or not shift]
    return "".join(f"{septet | 0x80:02x}" for septet in septets[:-1]) + f"{septets[-1]:02x}"


def events_of(events: Sequence[Event], running: bool, between: str = "") -> str:
    """A track in hexadecimal. Running: one status for all, ends are strikes without velocity."""
    parts, now = [], 0
    for number, (tick, kind, pitch) in enumerate(events):
        strike = kind == "+"
        status = ("90" if number == 0 else "") if running else "90" if strike else "80"
        parts.append(f"{wait(tick - now)}{status}{pitch:02x}{'50' if strike else '00' if running else '40'}{between}")
        now = tick
    return "".join(parts)


def one_key(text: str, pitch: int = 60) -> list[Event]:
    """Events of one key from "+0 +100 -200"."""
    return [(int(word[1:]), word[0], pitch) for word in text.split()]


def spans(data: bytes) -> list[tuple[int, int]]:
    return [(start, end) for start, end, *_ in rows(read_midi(data))]


AFTER = 100  # ticks from the last event to the end of the track
CASES = {
    "a strike without an end, then notes": (
        "+0 +100 -200 +300 -400 +500 -600",
        [(0, 100), (100, 200), (300, 400), (500, 600)],
        [AGAIN.format("1 note")],
    ),
    "in the middle": (
        "+0 -50 +100 +200 -300 +400 -500",
        [(0, 50), (100, 200), (200, 300), (400, 500)],
        [AGAIN.format("1 note")],
    ),
    "two in a row": ("+0 +100 +200 -300 +400 -500", [(0, 100), (100, 200), (200, 300), (400, 500)], None),
    "two apart": (
        "+0 +100 -200 +300 +400 -500 +600 -700",
        [(0, 100), (100, 200), (300, 400), (400, 500), (600, 700)],
        [AGAIN.format("2 notes")],
    ),
    "two overlapping strikes with two ends": ("+0 +10 -20 -30", [(0, 20), (10, 30)], []),
    "a chain that overlaps": ("+0 +10 -20 +30 -40 -50", [(0, 20), (10, 40), (30, 50)], []),
    "two that overlap behind a missing end": (
        "+0 +10 -20 +30 +40 -50 -60 +70 -80",
        [(0, 10), (10, 20), (30, 50), (40, 60), (70, 80)],
        [AGAIN.format("1 note")],
    ),
    "a chain that overlaps before a missing end": (
        "+0 +10 -20 +30 -40 -50 +60 +70 -80",
        [(0, 20), (10, 40), (30, 50), (60, 70), (70, 80)],
        [AGAIN.format("1 note")],
    ),
    "fewer ends than strikes that overlap": ("+0 +10 +20 -30 -40", [(0, 10), (10, 30), (20, 40)], None),
    "two strikes at once with one end": ("+0 +0 -20 +30 -40", [(0, 20), (0, 20), (30, 40)], [AGAIN.format("1 note")]),
    "a note without length": ("+0 -0 +10 -20", [(0, 0), (10, 20)], []),
    "notes without length between others": ("+0 -10 +10 -10 +10 -20", [(0, 10), (10, 10), (10, 20)], []),
    "without length behind a missing end": ("+0 +10 -10 +20 -30", [(0, 10), (10, 20), (20, 30)], None),
    "each ends where the next begins, written after it": (
        "+0 +10 -10 +20 -20 +30",
        [(0, 10), (10, 20), (20, 30), (30, 130)],
        [AGAIN.format("1 note"), CLOSED.format("1 note")],
    ),
    "the end before the strike": (
        "-0 +0 +10 -20 +30 -40",
        [(0, 0), (10, 20), (30, 40)],
        [NO_LENGTH.format("1 note")],
    ),
    "the end before the strike, again and again": (
        "-0 +0 +10 -20 +30 -40 -40 +40 +50 -60 -70 +70 +80 -90",
        [(0, 0), (10, 20), (30, 40), (40, 40), (50, 60), (70, 70), (80, 90)],
        [NO_LENGTH.format("3 notes")],
    ),
    "the end before the strike, nothing else between": (
        "-0 +0 -5000 +5000 -9000 +9000 +9900 -9950",
        [(0, 0), (5000, 5000), (9000, 9000), (9900, 9950)],
        [NO_LENGTH.format("3 notes")],
    ),
    "the end before the strike, then another": ("-0 +0 +0 -20 +30 -40", [(0, 0), (0, 20), (30, 40)], None),
    "the end before the strike by chance": (
        "+0 -10 -20 +20 -30 +40",
        [(0, 10), (20, 30), (40, 140)],
        [CLOSED.format("1 note")],
    ),
    "the end some ticks before the strike, twice": (
        "-9 +10 +20 -30 +40 -50 -99 +100 +110 -120",
        [(10, 20), (20, 30), (40, 50), (100, 110), (110, 120)],
        [AGAIN.format("2 notes")],
    ),
    "a last note without an end": ("+0 -10 +20", [(0, 10), (20, 120)], [CLOSED.format("1 note")]),
    "the last note ends before its strike": ("+0 -10 -20 +20", [(0, 10), (20, 20)], [NO_LENGTH.format("1 note")]),
    "no ends at all": (
        "+0 +10 +20",
        [(0, 10), (10, 20), (20, 120)],
        [AGAIN.format("2 notes"), CLOSED.format("1 note")],
    ),
    "ends too many": ("-0 +10 -20 -30 +40 -50 -60", [(10, 20), (40, 50)], []),
    "long waits": (
        "+0 +100 -300 +20000 -40000 +3000000 -200000000",
        [(0, 100), (100, 300), (20000, 40000), (3000000, 200000000)],
        [AGAIN.format("1 note")],
    ),
}
LATE_END = wait(AFTER) + END[2:]  # of the track


@pytest.mark.parametrize("running", [False, True], ids=["each with its status", "running status"])
@pytest.mark.parametrize(("events", "expected", "remarks"), CASES.values(), ids=CASES)
def test_a_missing_end_costs_one_note(
    events: str, expected: list[tuple[int, int]], remarks: list[str] | None, running: bool
) -> None:
    notes = read_midi(midi(track(events_of(one_key(events), running) + LATE_END)))
    assert [(start, end) for start, end, *_ in rows(notes)] == expected
    if remarks is not None:
        assert list(notes.remarks) == remarks


LOST = one_key("+0 +100 -200 +300 -400 +500 -600")
FOUND = [(0, 100), (100, 200), (300, 400), (500, 600)]


@pytest.mark.parametrize(
    "between", ["00ff0100", "00ff010141", "00c007", "00d033", "00f00243f7", "00b0407f", "00ff0a10" + "90" * 16]
)
def test_what_stands_between_notes_changes_nothing(between: str) -> None:
    assert spans(midi(track(events_of(LOST, running=False, between=between) + END))) == FOUND


@pytest.mark.parametrize("between", ["00ff010141", "00f00243f7", "00ff0a10" + "90" * 16])
def test_running_status_goes_on_behind_an_end_that_comes_twice(between: str) -> None:
    assert spans(midi(track(events_of(LOST, running=True, between=between) + END))) == FOUND


@pytest.mark.parametrize(("ticks", "expected"), [("00", [(0, 0), (10, 20)]), ("05", [(5, 15), (15, 25)])])
def test_an_end_belongs_to_a_strike_of_its_tick_alone(ticks: str, expected: list[tuple[int, int]]) -> None:
    """A note-off that comes first ends the note-on of its own tick only; any other ends at the next note-on."""
    events = f"00803c00 {ticks}ff0100 00903c50 0a903c50 0a803c00 0aff0100"
    assert spans(midi(track(events + END))) == expected


def test_other_keys_channels_and_tracks_keep_their_notes() -> None:
    lost = [*LOST, *((tick, kind, 64) for tick, kind, _ in one_key("+0 +50 -150 -250"))]
    first = events_of(sorted(lost), running=True)
    other_channel = (
        events_of(one_key("+0 +50 -150 -250"), running=False).replace("903c", "913c").replace("803c", "813c")
    )
    found = read_midi(midi(track(END), track(first + END), track(other_channel + END), track(first + END)))
    overlapping = [(0, 150), (50, 250)]
    for number, pitch, expected in ((0, 60, FOUND), (0, 64, overlapping), (1, 60, overlapping), (2, 60, FOUND)):
        chosen = found.select((found.track == number) & (found.pitch == pitch))
        assert list(zip(chosen.start_tick.tolist(), chosen.end_tick.tolist(), strict=True)) == expected
    assert found.remarks == (AGAIN.format("2 notes"),)


def test_a_hundred_tracks_are_each_looked_at() -> None:
    """More than are decoded at once."""
    whole, broken = events_of(one_key("+0 -100"), running=False), events_of(LOST, running=False)
    found = read_midi(midi(*(track((broken if n in (0, 30, 31, 99) else whole) + END) for n in range(100))))
    for number in range(100):
        ends = found.end_tick[found.track == number].tolist()
        assert ends == ([100, 200, 400, 600] if number in (0, 30, 31, 99) else [100])


def test_songs_of_format_2_are_told_apart() -> None:
    broken, whole = track(events_of(LOST, running=True) + END), track(events_of(one_key("+0 -9"), running=True) + END)
    songs = read_songs(midi(whole, broken, whole, form=2))
    assert [[(start, end) for start, end, *_ in rows(song)] for song in songs] == [[(0, 9)], FOUND, [(0, 9)]]
    assert [len(song.remarks) for song in songs] == [0, 1, 0]


def test_songs_without_missing_ends_are_the_same_bytes() -> None:
    overlapping = midi(track(events_of(one_key("+0 +10 -20 +30 -40 -50 -60"), running=True) + END))
    broken = midi(track(events_of(LOST, running=True) + END))
    first, second, third = repaired([*songs_of(overlapping, ""), *songs_of(broken, ""), *songs_of(PLAIN, "")])
    assert first.data == overlapping
    assert third.data == PLAIN
    assert second.data != broken


PLAIN = midi(track("00 90 3c 50  83 60 80 3c 00" + END))


Span = tuple[int, int, int]  # start, end, pitch


def broken_piece(draw: np.random.Generator) -> tuple[list[Event], list[Span]]:
    """Notes of five keys, in some of which ends are missing, in others some stand before their strike."""
    events: list[tuple[int, int, Event]] = []  # tick, order within it, event
    notes: list[Span] = []
    for pitch in range(60, 65):
        way, now, cut = draw.integers(3), 0, None
        for _ in range(int(draw.integers(1, 12))):
            start = now + int(draw.integers(1, 300))
            if cut is not None:
                notes.append((cut, start, pitch))
                cut = None
            now = start + int(draw.integers(1, 300))
            odd = way and draw.random() < 0.3
            events.append((start, 2, (start, "+", pitch)))
            if odd and way == 1:
                cut, now = start, start + 1
            elif odd:
                events.append((start, 1, (start, "-", pitch)))
                notes.append((start, start, pitch))
                now = start
            else:
                events.append((now, 0, (now, "-", pitch)))
                notes.append((start, now, pitch))
        if cut is not None:
            notes.append((cut, END_TICK, pitch))
    return [event for *_, event in sorted(events, key=lambda entry: entry[:2])], sorted(notes)


END_TICK = 100_000


def test_broken_pieces_are_read_as_they_were_meant() -> None:
    draw = np.random.default_rng(3)
    pieces = [broken_piece(draw) for _ in range(300)]
    files = []
    for number, (events, _) in enumerate(pieces):
        last = wait(END_TICK - events[-1][0]) + END[2:]
        files.append(midi(track(events_of(events, running=bool(number % 2)) + last)))
    mended = 0
    for (_, expected), found in zip(pieces, read_many(files), strict=True):
        assert not isinstance(found, MidiError)
        (notes,) = found
        assert sorted((start, end, pitch) for start, end, pitch, _ in rows(notes)) == expected
        mended += bool(notes.remarks)
    assert mended > 200


@pytest.mark.data
def test_grace_notes_of_music21_have_no_length_and_change_no_other(data_folder: Path) -> None:
    """It writes the end of a grace note before its strike: in 52 of 147 tunes."""
    files = sorted((data_folder / "music" / "styles").rglob("*.mid"))
    assert len(files) == 147
    read = [songs[0] for songs in read_many(files) if not isinstance(songs, MidiError)]
    broken = [notes for notes in read if notes.remarks]
    assert len(broken) == 52
    for notes in broken:
        (remark,) = notes.remarks
        assert remark == NO_LENGTH.format(remark.partition(" whose")[0])
        # the lengths that notes have elsewhere in these tunes: a grace note once took those of up to 21 s
        assert (notes.end - notes.start).max() < 7
