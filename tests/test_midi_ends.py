"""Notes whose end is missing: each costs itself alone, and whatever else a key plays keeps its length."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from test_midi_parity import ours, same, theirs
from test_midi_reading import END, midi, rows, track

from seqaudio.errors import MidiError
from seqaudio.midi import read_midi, read_songs
from seqaudio.midi.chunks import songs_of
from seqaudio.midi.ends import with_missing_ends
from seqaudio.midi.reading import read_many

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


MISSING = "{} without an end, ended with the next of the same key"
LEFT_OUT = "{} without an end left out"
CASES = {
    "a strike without an end, then notes": (
        "+0 +100 -200 +300 -400 +500 -600",
        [(0, 200), (100, 200), (300, 400), (500, 600)],
        [MISSING.format("1 note")],
    ),
    "in the middle": (
        "+0 -50 +100 +200 -300 +400 -500",
        [(0, 50), (100, 300), (200, 300), (400, 500)],
        [MISSING.format("1 note")],
    ),
    "two in a row": ("+0 +100 +200 -300 +400 -500", [(0, 300), (100, 300), (200, 300), (400, 500)], None),
    "two apart": (
        "+0 +100 -200 +300 +400 -500 +600 -700",
        [(0, 200), (100, 200), (300, 500), (400, 500), (600, 700)],
        [MISSING.format("2 notes")],
    ),
    "two overlapping strikes with two ends": ("+0 +10 -20 -30", [(0, 20), (10, 30)], []),
    "a chain that overlaps": ("+0 +10 -20 +30 -40 -50", [(0, 20), (10, 40), (30, 50)], []),
    "two that overlap behind a missing end": (
        "+0 +10 -20 +30 +40 -50 -60 +70 -80",
        [(0, 20), (10, 20), (30, 50), (40, 60), (70, 80)],
        [MISSING.format("1 note")],
    ),
    "a chain that overlaps before a missing end": (
        "+0 +10 -20 +30 -40 -50 +60 +70 -80",
        [(0, 20), (10, 40), (30, 50), (60, 80), (70, 80)],
        [MISSING.format("1 note")],
    ),
    "fewer ends than strikes that overlap": ("+0 +10 +20 -30 -40", [(0, 30), (10, 30), (20, 40)], None),
    "a note without length": ("+0 -0 +10 -20", [(0, 0), (10, 20)], []),
    "notes without length between others": ("+0 -10 +10 -10 +10 -20", [(0, 10), (10, 10), (10, 20)], []),
    "without length behind a missing end": ("+0 +10 -10 +20 -30", [(0, 10), (10, 10), (20, 30)], None),
    "the end before the strike": (
        "-0 +0 +10 -20 +30 -40",
        [(0, 20), (10, 20), (30, 40)],
        [MISSING.format("1 note")],
    ),
    "the end before the strike, again and again": (
        "-0 +0 +10 -20 +30 -40 -40 +40 +50 -60 -70 +70 +80 -90",
        [(0, 20), (10, 20), (30, 40), (40, 60), (50, 60), (70, 90), (80, 90)],
        [MISSING.format("3 notes")],
    ),
    "the end before the strike, then another": ("-0 +0 +0 -20 +30 -40", [(0, 20), (0, 20), (30, 40)], None),
    "the end some ticks before the strike, twice": (
        "-9 +10 +20 -30 +40 -50 -99 +100 +110 -120",
        [(10, 30), (20, 30), (40, 50), (100, 120), (110, 120)],
        [MISSING.format("2 notes")],
    ),
    "a last note without an end": ("+0 -10 +20", [(0, 10)], [LEFT_OUT.format("1 note")]),
    "the last note ends before its strike": ("+0 -10 -20 +20", [(0, 10)], [LEFT_OUT.format("1 note")]),
    "ends too many": ("-0 +10 -20 -30 +40 -50 -60", [(10, 20), (40, 50)], []),
    "long waits": (
        "+0 +100 -300 +20000 -40000 +3000000 -200000000",
        [(0, 300), (100, 300), (20000, 40000), (3000000, 200000000)],
        [MISSING.format("1 note")],
    ),
}


@pytest.mark.parametrize("running", [False, True], ids=["each with its status", "running status"])
@pytest.mark.parametrize(("events", "expected", "remarks"), CASES.values(), ids=CASES)
def test_a_missing_end_costs_one_note(
    events: str, expected: list[tuple[int, int]], remarks: list[str] | None, running: bool
) -> None:
    notes = read_midi(midi(track(events_of(one_key(events), running) + END)))
    assert [(start, end) for start, end, *_ in rows(notes)] == expected
    if remarks is not None:
        assert list(notes.remarks) == remarks


LOST = one_key("+0 +100 -200 +300 -400 +500 -600")
FOUND = [(0, 200), (100, 200), (300, 400), (500, 600)]


@pytest.mark.parametrize(
    "between", ["00ff0100", "00ff010141", "00c007", "00d033", "00f00243f7", "00b0407f", "00ff0a10" + "90" * 16]
)
def test_what_stands_between_notes_changes_nothing(between: str) -> None:
    assert spans(midi(track(events_of(LOST, running=False, between=between) + END))) == FOUND


@pytest.mark.parametrize("between", ["00ff010141", "00f00243f7", "00ff0a10" + "90" * 16])
def test_running_status_goes_on_behind_an_end_that_comes_twice(between: str) -> None:
    assert spans(midi(track(events_of(LOST, running=True, between=between) + END))) == FOUND


@pytest.mark.parametrize(("ticks", "expected"), [("00", [(0, 20), (10, 20)]), ("05", [(5, 25), (15, 35)])])
def test_an_end_belongs_to_a_strike_of_its_tick_alone(ticks: str, expected: list[tuple[int, int]]) -> None:
    """What stands between them takes its time: the first strike has its end before it, or one of the two after it."""
    events = f"00803c00 {ticks}ff0100 00903c50 0a903c50 0a803c00 0a803c00 00ff0100 00903c50"
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
    assert found.remarks == (MISSING.format("2 notes"),)


def test_a_hundred_tracks_are_each_looked_at() -> None:
    """More than are decoded at once."""
    whole, broken = events_of(one_key("+0 -100"), running=False), events_of(LOST, running=False)
    found = read_midi(midi(*(track((broken if n in (0, 30, 31, 99) else whole) + END) for n in range(100))))
    for number in range(100):
        ends = found.end_tick[found.track == number].tolist()
        assert ends == ([200, 200, 400, 600] if number in (0, 30, 31, 99) else [100])


def test_songs_of_format_2_are_told_apart() -> None:
    broken, whole = track(events_of(LOST, running=True) + END), track(events_of(one_key("+0 -9"), running=True) + END)
    songs = read_songs(midi(whole, broken, whole, form=2))
    assert [[(start, end) for start, end, *_ in rows(song)] for song in songs] == [[(0, 9)], FOUND, [(0, 9)]]
    assert [len(song.remarks) for song in songs] == [0, 1, 0]


def test_songs_without_missing_ends_are_the_same_bytes() -> None:
    overlapping = midi(track(events_of(one_key("+0 +10 -20 +30 -40 -50 -60"), running=True) + END))
    broken = midi(track(events_of(LOST, running=True) + END))
    first, second, third = with_missing_ends([*songs_of(overlapping, ""), *songs_of(broken, ""), *songs_of(PLAIN, "")])
    assert first.data == overlapping
    assert third.data == PLAIN
    assert len(second.data) == len(broken) + 3


PLAIN = midi(track("00 90 3c 50  83 60 80 3c 00" + END))


def broken_piece(draw: np.random.Generator) -> list[Event]:
    """Notes of five keys, in some of which ends are missing, in others some stand before their strike."""
    events: list[tuple[int, int, Event]] = []  # tick, order within it, event
    for pitch in range(60, 65):
        way, now = draw.integers(3), 0
        for _ in range(int(draw.integers(1, 12))):
            start = now + int(draw.integers(0, 300))
            now = start + int(draw.integers(1, 300))
            odd = way and draw.random() < 0.3
            events.append((start, 2, (start, "+", pitch)))
            if odd and way == 1:
                now = start + 1
            elif odd:
                events.append((start, 1, (start, "-", pitch)))
                now = start
            else:
                events.append((now, 0, (now, "-", pitch)))
    return [event for *_, event in sorted(events, key=lambda entry: entry[:2])]


def test_pretty_midi_finds_the_same_notes_in_broken_pieces() -> None:
    draw = np.random.default_rng(3)
    files = [midi(track(events_of(broken_piece(draw), running=bool(n % 2)) + END)) for n in range(300)]
    mended = 0
    for data, found in zip(files, read_many(files), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = theirs(pretty_midi.PrettyMIDI(io.BytesIO(data)))
        if not len(expected):
            continue
        assert not isinstance(found, MidiError)
        (notes,) = found
        assert same(ours(notes), expected), data.hex()
        mended += bool(notes.remarks)
    assert mended > 200


@pytest.mark.data
def test_grace_notes_of_music21_cost_nothing_but_themselves(data_folder: Path) -> None:
    """It writes the end of a grace note before its strike: in 52 of 147 tunes."""
    files = sorted((data_folder / "music" / "styles").rglob("*.mid"))
    assert len(files) == 147
    read = [songs[0] for songs in read_many(files) if not isinstance(songs, MidiError)]
    broken = [(path, notes) for path, notes in zip(files, read, strict=True) if notes.remarks]
    assert len(broken) == 52
    assert sum("ended with the next" in notes.remarks[0] for _, notes in broken) == 49
    for path, notes in broken[::5]:  # the parity tests compare all
        assert same(ours(notes), theirs(pretty_midi.PrettyMIDI(str(path)))), path
