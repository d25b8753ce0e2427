"""Messages of two data bytes as columns, and a track into which messages are inserted, all in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.midi.events import MAX_WAIT, check_events, event_end, number_of, ticks_of, wait_at, wait_of

Numbers = npt.NDArray[Any]

KEYS = 16 * 128  # numbers of channel and pitch, 128 x channel + pitch
NO_KEY = 0xFFFF  # of messages that are no notes
_PORT = re.compile(rb"\xff\x21\x01([\x00-\x7f])")


class Messages(NamedTuple):
    """Messages of two data bytes."""

    data: Numbers  # their bytes
    low: Numbers  # [M, 3] places in `data` of the last byte of the delta time and of the two data bytes
    status: Numbers  # [M] uint8
    key: Numbers  # [M] uint16 of note-ons and note-offs
    struck: Numbers  # [M] bool; a note-on without velocity is an end

    @classmethod
    def of(cls, messages: bytes) -> Messages:
        """Decode them: only the status and the bytes of the delta time before its last have the highest bit."""
        data = np.frombuffer(messages, np.uint8)
        low = np.flatnonzero(data < 0x80).reshape(-1, 3)
        own = data[low[:, 1] - 1]  # the status, or under running status the end of the delta time
        given = np.flatnonzero(own >= 0x80)
        status = np.repeat(own[given], np.diff(given, append=len(own)))
        key = (status & 0x0F).astype(np.uint16) << 7 | data[low[:, 1]]
        key[status >= 0xA0] = NO_KEY
        return cls(data, low, status, key, (status & 0xF0 == 0x90) & (data[low[:, 2]] > 0))


class Event(NamedTuple):
    """An event that is no message of two data bytes."""

    tick: int
    start: int  # place in the track of its delta time
    body: int  # place after its delta time
    status: int
    running: bool  # whether the status is not written, since it is that of the event before


@dataclass
class _Edit:
    """An event before which messages are inserted, or whose status is written out."""

    tick: int  # of the event
    wait: int  # its own delta time
    body: int  # place after its delta time
    status: bytes = b""  # to be written out, since the inserted messages change the running status
    added: list[tuple[int, bytes]] = field(default_factory=list)  # ticks, and messages with their status


class Track:
    """The messages of a track that `check_events` has accepted, and what is to be inserted among them."""

    def __init__(self, track: bytes) -> None:
        checked = check_events(track)
        runs = checked.messages
        self.data, self._end, self._ones = track, checked.end, checked.programs
        self.found = found = Messages.of(b"".join(track[run] for run in runs))
        self.tick, self.start, self.stop = self._places(runs)  # [M] each; where messages begin and end in the track
        self.key, self.struck, self.status = found.key, found.struck, found.status
        self.gaps.update({len(self.tick): slice(runs[-1].stop if runs else 0, self._end)})
        last = int(self.tick[-1]) if len(self.tick) else 0
        wait = wait_at(track, self._end)[0] if self._end < len(track) else 0
        self.end_tick = last + ticks_of(track[self.gaps[len(self.tick)]]) + wait
        self._edits = dict[int, _Edit]()  # by the place where the event begins

    def _places(self, runs: Sequence[slice]) -> tuple[Numbers, Numbers, Numbers]:
        found, track, low = self.found, self.data, self.found.low
        longer = low[:, 0] - np.append(0, low[:-1, 2] + 1)  # bytes of each delta time before its last
        waits = found.data[low[:, 0]].astype(np.int64)
        for back in range(1, 4):
            there = np.flatnonzero(longer >= back)
            waits[there] += (found.data[low[there, 0] - back] & 0x7F).astype(np.int64) << 7 * back
        sizes = np.array([run.stop - run.start for run in runs], dtype=np.int64)
        offset = np.cumsum(sizes) - sizes
        first = np.searchsorted(low[:, 2], offset)  # the first message of each run
        before = [0, *(run.stop for run in runs[:-1])][: len(runs)]
        gaps = [slice(stop, run.start) for stop, run in zip(before, runs, strict=True)]
        waits[first] += np.array([ticks_of(track[gap]) for gap in gaps], dtype=np.int64)
        # the other events before some messages, by the index of the message; after the last one too, to the end mark
        self.gaps = {at: gap for at, gap in zip(first.tolist(), gaps, strict=True) if gap.stop > gap.start}
        shift = np.array([run.start for run in runs], dtype=np.int64) - offset
        stop = low[:, 2] + 1 + np.repeat(shift, np.diff(first, append=len(low)))
        start = np.append(0, stop[:-1])[: len(stop)]
        start[first] = [run.start for run in runs]
        return np.cumsum(waits), start, stop

    @property
    def port(self) -> int:
        """The first port that the track names; 0 where it names none."""
        named = next(
            (port for gap in self.gaps.values() if (port := _PORT.search(self.data, gap.start, gap.stop))), None
        )
        return named[1][0] if named else 0

    def events(self, before: int) -> Iterator[Event]:
        """The events between the message of an index and the one before it."""
        gap = self.gaps.get(before, slice(0, 0))
        tick = int(self.tick[before - 1]) if before else 0
        place, status = gap.start, 0
        while place < gap.stop:
            wait, body = wait_at(self.data, place)
            tick += wait
            running = self.data[body] < 0x80
            status = kind = status if running else self.data[body]
            one = 0xC0 <= kind < 0xE0  # data byte
            end = body + 2 - running if one else event_end(self.data, body, kind, 0)
            yield Event(tick, place, body, kind, running)
            place = end

    def programs(self) -> list[tuple[int, int, int, int]]:
        """Changes of program, in order: tick, channel, program, and the index of the message that follows."""
        found = []
        for before, gap in self.gaps.items():
            if any(run.start < gap.stop and run.stop > gap.start for run in self._ones):
                found += [
                    (event.tick, event.status & 0x0F, self.data[event.body + (not event.running)], before)
                    for event in self.events(before)
                    if event.status & 0xF0 == 0xC0
                ]
        return found

    def insert(self, after: int, tick: int, message: bytes) -> None:
        """Insert a message, with its status, at a tick after the message of index `after` (-1: at the beginning).

        The tick is at least that of this message, and at most that of the next.
        """
        placed = False
        for event in self.events(after + 1):
            if not placed and event.tick >= tick:
                self._edit(event).added.append((tick, message))
                placed = True
            if placed and event.status < 0xF0:  # the first message after it needs a status of its own
                self._edit(event)
                return
        if after + 1 < len(self.tick):
            edit = self._edit(self._message(after + 1))
            if not placed:
                edit.added.append((tick, message))
        elif not placed:
            self.close(tick, message)

    def close(self, tick: int, message: bytes) -> None:
        """Insert a message before the end mark."""
        wait, body = wait_at(self.data, self._end) if self._end < len(self.data) else (0, self._end)
        self._edits.setdefault(self._end, _Edit(self.end_tick, wait, body)).added.append((tick, message))

    def _message(self, index: int) -> Event:
        stop = int(self.stop[index])
        running = self.data[stop - 3] < 0x80  # the last byte of its delta time
        body = stop - 2 if running else stop - 3
        return Event(int(self.tick[index]), int(self.start[index]), body, int(self.status[index]), running)

    def _edit(self, event: Event) -> _Edit:
        wait = number_of(self.data[event.start : event.body])
        status = bytes([event.status]) if event.running else b""
        return self._edits.setdefault(event.start, _Edit(event.tick, wait, event.body, status))

    def rewritten(self) -> bytes:
        """The track with the inserted messages; nothing else changes."""
        parts, done = [], 0
        for place, edit in sorted(self._edits.items()):
            parts.append(self.data[done:place])
            now = edit.tick - edit.wait
            for tick, message in sorted(edit.added, key=lambda pair: pair[0]):
                parts += [wait_of(min(tick - now, MAX_WAIT)), message]
                now = tick
            if place < len(self.data):  # otherwise this is the end of a track without an end mark
                parts += [wait_of(max(edit.tick - now, 0)), edit.status]
            done = edit.body
        return b"".join((*parts, self.data[done:]))
