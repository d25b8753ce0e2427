"""Notes as they are sampled: what begins and ends when, long before the piece is finished.

    tokens, one by one ──> events up to a time that no later token reaches back to ──> play, each when it is due

A prefix of a stream is completed in the shortest way and decoded. The completion may bring a note of its own, which is
the last; so whatever happens before the last onset but one is as in the finished piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from seqaudio.notes import NoteSequence
from seqaudio.tokens import TokenRepresentation
from seqaudio.units import Seconds
from seqaudio.vocabulary import EOS

LEAST = 16  # tokens between two looks at what is written
GROWTH = 16  # a look comes after a 16th more tokens, so that all looks together take time in proportion to the piece
AHEAD: Seconds = 2.0  # that events are known before they are due


class NoteEvent(NamedTuple):
    """The beginning or the end of a note."""

    time: Seconds  # from the beginning of the piece
    on: bool
    pitch: int
    velocity: int  # of the note, at its end too
    program: int
    is_drum: bool
    track: int


class Clock(Protocol):
    """A clock that rises; `time` is one."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


def completed(representation: TokenRepresentation, ids: list[int]) -> list[int]:
    """A legal beginning of a stream with the fewest tokens that complete it; EOS is left out."""
    grammar, whole = representation.grammar(), list(ids)
    for token in ids:
        grammar.push(token)
    while (left := grammar.shortest_end()) > 0:
        whole.append(int(np.argmax(grammar.legal(left))))
        grammar.push(whole[-1])
    return whole


def live_events(
    tokens: Iterable[int],
    representation: TokenRepresentation,
    played: Callable[[NoteSequence], NoteSequence] = lambda notes: notes,
    primer: Iterable[int] = (),
) -> Iterator[NoteEvent]:
    """The events of a piece in their order, each as soon as no later token can come before it.

    Where tokens do not come in the order of time, that is when all are drawn.

    Args:
        tokens: of a stream, as they are drawn, after the primer; they may end with EOS.
        played: gives decoded notes their tempo and program.
        primer: the tokens that the stream begins with.
    """
    ids = list(primer)
    done, looked = 0.0, len(ids)
    for token in tokens:
        if token == EOS:
            break
        ids.append(token)
        if representation.ends_on_bars and len(ids) - looked >= max(LEAST, looked // GROWTH):
            looked = len(ids)
            notes = played(representation.decode(completed(representation, ids)))
            onsets = np.unique(notes.start_tick)
            if len(onsets) > 1:
                until = float(notes.seconds(onsets[-2:-1])[0])
                yield from (event for event in events_of_notes(notes) if done <= event.time < until)
                done = max(done, until)
    last = played(representation.decode(ids))
    yield from (event for event in events_of_notes(last) if event.time >= done)


def events_of_notes(notes: NoteSequence) -> list[NoteEvent]:
    """The beginnings and ends of all notes; at one time ends come first, except of notes without length."""
    columns = (notes.pitch, notes.velocity, notes.program, notes.is_drum, notes.track)
    starts, ends = notes.seconds(notes.start_tick).tolist(), notes.seconds(notes.end_tick).tolist()
    found = []
    for start, end, *note in zip(starts, ends, *(column.tolist() for column in columns), strict=True):
        found.append((start, 1, NoteEvent(start, True, *note)))
        found.append((end, 0 if end > start else 2, NoteEvent(end, False, *note)))
    return [event for _, _, event in sorted(found, key=lambda one: one[:2])]


def play(events: Iterator[NoteEvent], send: Callable[[NoteEvent], None], clock: Clock) -> None:
    """Send each event when it is due by the clock, which starts when the first are known; end every note that began.

    Events are asked for ahead of their time, by AHEAD seconds. An interruption ends the sounding notes at once.
    """
    waiting, sounding = deque[NoteEvent](), dict[tuple[int, int, bool, int], NoteEvent]()
    start: float | None = None
    more = True
    try:
        while more or waiting:
            now = 0.0 if start is None else clock.monotonic() - start
            while more and (not waiting or waiting[-1].time < now + AHEAD):
                event = next(events, None)
                more = event is not None
                if event is not None:
                    waiting.append(event)
            if start is None:
                start = clock.monotonic()
            while waiting and waiting[0].time <= clock.monotonic() - start:
                event = waiting.popleft()
                key = (event.pitch, event.program, event.is_drum, event.track)
                if event.on:
                    sounding[key] = event
                else:
                    sounding.pop(key, None)
                send(event)
            if waiting:
                clock.sleep(max(0.0, waiting[0].time - (clock.monotonic() - start)))
    finally:
        for event in sounding.values():
            send(event._replace(time=0.0 if start is None else clock.monotonic() - start, on=False))
