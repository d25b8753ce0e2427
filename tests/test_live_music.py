"""Music played while it is sampled: events are those of the finished piece, in time, and no note is left sounding."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from seqaudio.cli import generate
from seqaudio.decoding.live import AHEAD, NoteEvent, completed, events_of_notes, live_events, play
from seqaudio.errors import OptionError
from seqaudio.interruption import Interrupted
from seqaudio.midi.ports import MidiPort
from seqaudio.notes import NoteSequence
from seqaudio.run_folder import RunFolder
from seqaudio.tokens import TokenRepresentation, build_representation
from seqaudio.vocabulary import EOS

NAMES = ("melody", "bars", "performance", "chorale", "chorale_grid", "tonicnet", "miditok:REMI", "miditok:TSD")
NAMES += ("miditok:MIDILike", "miditok:MMM")


def stream(representation: TokenRepresentation, seed: int, most: int = 300) -> list[int]:
    """Random legal tokens of a piece, without EOS."""
    draw, grammar, ids = np.random.default_rng(seed), representation.grammar(), list[int]()
    while True:
        legal = grammar.legal(most - len(ids))
        if legal[EOS] and len(ids) < most // 2 and legal.sum() > 1:
            legal[EOS] = False
        token = int(draw.choice(np.flatnonzero(legal)))
        grammar.push(token)
        if token == EOS:
            return ids
        ids.append(token)


def representation_named(name: str) -> TokenRepresentation:
    made = build_representation(name)
    assert isinstance(made, TokenRepresentation)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_events_are_those_of_the_finished_piece(name: str) -> None:
    representation = representation_named(name)
    for seed in range(3):
        ids = stream(representation, seed)
        expected = events_of_notes(representation.decode(ids))
        assert list(live_events([*ids, EOS], representation)) == expected
        assert list(live_events(ids[40:], representation, primer=ids[:40])) == expected


@pytest.mark.parametrize("name", ["bars", "performance", "chorale"])
def test_events_come_long_before_the_last_token(name: str) -> None:
    representation = representation_named(name)
    ids = stream(representation, 1)
    drawn = list[int]()

    def tokens() -> Iterator[int]:
        for token in ids:
            drawn.append(token)
            yield token

    events = live_events(tokens(), representation)
    next(events)
    assert len(drawn) < 100 < len(ids)
    count = len(list(events)) + 1
    assert drawn == ids and count == 2 * len(representation.decode(ids))


@pytest.mark.parametrize("name", NAMES)
def test_a_completed_beginning_can_be_decoded(name: str) -> None:
    representation = representation_named(name)
    ids = stream(representation, 5)
    for length in (0, 1, 7, 100, len(ids)):
        whole = completed(representation, ids[:length])
        assert whole[:length] == ids[:length]
        representation.decode(whole)


def test_at_one_time_ends_come_before_beginnings() -> None:
    notes = NoteSequence.from_columns([0, 480, 480], [480, 960, 480], [60, 60, 72], tempos=[(0, 500_000)])
    found = [(event.time, event.on, event.pitch) for event in events_of_notes(notes)]
    assert found == [
        (0, True, 60),
        (0.5, False, 60),
        (0.5, True, 60),
        (0.5, True, 72),
        (0.5, False, 72),
        (1, False, 60),
    ]


class Clock:
    """Time passes while one sleeps, and while the next event is computed."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


def note(time: float, on: bool, pitch: int = 60) -> NoteEvent:
    return NoteEvent(time, on, pitch, 80, 0, False, 0)


def test_events_are_sent_when_they_are_due_and_computed_ahead() -> None:
    clock, sent, asked = Clock(), list[tuple[float, NoteEvent]](), list[tuple[float, float]]()
    events = [note(0.5 * number, number % 2 == 0, 60 + number // 2) for number in range(40)]

    def computed() -> Iterator[NoteEvent]:
        for event in events:
            clock.now += 0.01  # of work for each
            asked.append((clock.now, event.time))
            yield event

    play(computed(), lambda event: sent.append((clock.now, event)), clock)
    assert [event for _, event in sent] == events
    start = sent[0][0]
    for at, event in sent:
        assert event.time <= at - start < event.time + 0.02
    # long before they are due, but no longer than is needed
    for at, time in asked[8:]:
        assert AHEAD - 0.6 <= time - (at - start) <= AHEAD + 0.6
    assert max(clock.slept) <= 0.5


def test_an_interruption_ends_the_sounding_notes() -> None:
    clock, sent = Clock(), list[NoteEvent]()

    def computed() -> Iterator[NoteEvent]:
        yield from (note(0, True), note(0, True, 64), note(1, False), note(1, True, 67))
        while True:
            clock.now += 0.5
            if clock.now > 102:
                raise KeyboardInterrupt
            yield note(clock.now - 95, True, 70)

    with pytest.raises(KeyboardInterrupt):
        play(computed(), sent.append, clock)
    on = [event.pitch for event in sent if event.on]
    off = [event.pitch for event in sent if not event.on]
    assert 64 in on and sorted(on) == sorted(off)


def test_a_stream_without_notes_ends_at_once() -> None:
    clock, sent = Clock(), list[NoteEvent]()
    play(iter(()), sent.append, clock)
    assert not sent and not clock.slept


# --- ports ---


class FakeOut:
    """The output of python-rtmidi, with two ports."""

    names = ("Synth:Synth input 128:0", "Midi Through 14:0", "Midi Through 15:0")

    def __init__(self) -> None:
        self.opened, self.messages, self.closed = -1, list[list[int]](), False
        FakeOut.last = self

    def get_ports(self) -> list[str]:
        return list(self.names)

    def open_port(self, number: int) -> None:
        self.opened = number

    def send_message(self, message: list[int]) -> None:
        self.messages.append(message)

    def close_port(self) -> None:
        self.closed = True


@pytest.fixture
def rtmidi(monkeypatch: pytest.MonkeyPatch) -> type[FakeOut]:
    module: Any = ModuleType("rtmidi")
    module.MidiOut = FakeOut
    monkeypatch.setitem(sys.modules, "rtmidi", module)
    return FakeOut


def test_a_port_gets_programs_and_notes(rtmidi: type[FakeOut]) -> None:
    port = MidiPort("synth")
    port.note(True, 60, 80, program=40, is_drum=False, track=0)
    port.note(True, 36, 90, program=0, is_drum=True, track=1)
    port.note(True, 64, 70, program=0, is_drum=False, track=1)
    port.note(False, 60, 80, program=40, is_drum=False, track=0)
    port.close()
    out = rtmidi.last  # type: ignore[attr-defined]  # set by the constructor
    assert (port.name, out.opened, out.closed) == (FakeOut.names[0], 0, True)
    assert out.messages == [[0xC0, 40], [0x90, 60, 80], [0x99, 36, 90], [0xC1, 0], [0x91, 64, 70], [0x80, 60, 0]]


def test_more_parts_than_channels_share_them_without_the_drums(rtmidi: type[FakeOut]) -> None:
    port = MidiPort("Midi Through 14:0")
    for track in range(20):
        port.note(True, 60, 80, program=1, is_drum=False, track=track)
    channels = [message[0] & 15 for message in rtmidi.last.messages if message[0] >> 4 == 9]  # type: ignore[attr-defined]
    assert channels == [*range(9), *range(10, 16), *range(5)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "piano",
            r"--port piano: no port has that name: Synth:Synth input 128:0, Midi Through 14:0, Midi Through 15:0",
        ),
        ("through", "--port through: several ports have that name: Midi Through 14:0, Midi Through 15:0"),
    ],
)
def test_ports_of_other_names_are_listed(rtmidi: type[FakeOut], name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        MidiPort(name)


def test_no_port_and_no_package_are_told(rtmidi: type[FakeOut], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeOut, "names", ())
    with pytest.raises(OptionError, match="--port x: this machine has no MIDI port; give --live alone"):
        MidiPort("x")
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(OptionError, match="--port needs the package python-rtmidi: pip install python-rtmidi"):
        MidiPort("x")


# --- the command ---


def test_what_is_played_is_what_would_be_written(
    tune_run: Path, tmp_path: Path, rtmidi: type[FakeOut], capsys: pytest.CaptureFixture[str]
) -> None:
    run, options = RunFolder(tune_run), {"bars": 3, "seed": 4, "count": 2}
    generate.play_music(run, generate.Config(tune_run, port="synth", **options), Clock())  # type: ignore[arg-type]
    printed = capsys.readouterr().out.splitlines()
    written = list(generate.generate(run, generate.Config(tune_run, tmp_path / "x.mid", **options)))  # type: ignore[arg-type]
    expected = [event for notes in written for event in events_of_notes(notes)]
    assert printed == [
        f"{event.time:.3f}\t{'on' if event.on else 'off'}\t{event.pitch}\t{event.velocity}" for event in expected
    ]
    messages = [message for message in rtmidi.last.messages if message[0] >> 4 != 12]  # type: ignore[attr-defined]
    assert [(m[0] >> 4 == 9, m[1]) for m in messages] == [(event.on, event.pitch) for event in expected]
    assert rtmidi.last.closed  # type: ignore[attr-defined]


def test_ctrl_c_ends_sounding_notes_and_closes_the_port(tune_run: Path, rtmidi: type[FakeOut]) -> None:
    class Interrupting(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.now > 101:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"after [1-9][0-9]* notes"):
        generate.play_music(RunFolder(tune_run), generate.Config(tune_run, port="synth"), Interrupting())
    messages = [message for message in rtmidi.last.messages if message[0] >> 4 != 12]  # type: ignore[attr-defined]
    begun, ended = ([message[1] for message in messages if message[0] >> 4 == kind] for kind in (9, 8))
    assert begun and sorted(begun) == sorted(ended)
    assert rtmidi.last.closed  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--out is missing; name a file or a folder, such as --out tune.mid, or give --live"),
        ({"live": True, "out": "x.mid"}, "--out is for files, --live and --port play; leave one of them out"),
        ({"port": "x", "wav": True}, "--wav is for files, --live and --port play; leave one of them out"),
    ],
)
def test_a_piece_is_written_or_played(tune_run: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    if "out" in options:
        options["out"] = tmp_path / options["out"]
    with pytest.raises(OptionError, match=message):
        generate.main(generate.Config(tune_run, **options))
