"""Check the events of a track byte by byte: symusic does not, and invalid ones can silently corrupt its memory.

Runs of channel messages, nearly all of a file, are matched by one regular expression at a time; possessive quantifiers
keep that linear. Events between the runs (long metas, system exclusive) are skipped by their lengths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import NamedTuple

Bytes = bytes | bytearray
WAIT = rb"[\x80-\xff]{0,3}+[\x00-\x7f]"  # a delta time: at most four bytes of seven bits
_DATA = rb"[\x00-\x7f]"
_LENGTH = re.compile(WAIT)
# by number of data bytes: messages that continue the previous ("running") status, and messages with their own
_CONTINUED = {2: rb"(?:%b%b%b)*+" % (WAIT, _DATA, _DATA), 1: rb"(?:%b%b)*+" % (WAIT, _DATA)}
_RUNNING = {data: re.compile(pattern) for data, pattern in _CONTINUED.items()}
_MESSAGES = {
    2: re.compile(rb"(?:%b[\x80-\xbf\xe0-\xef]%b%b%b)*+" % (WAIT, _DATA, _DATA, _CONTINUED[2])),
    1: re.compile(rb"(?:%b[\xc0-\xdf]%b%b)*+" % (WAIT, _DATA, _CONTINUED[1])),
}
_MESSAGE = {
    2: re.compile(rb"(%b)([\x80-\xbf\xe0-\xef]?)(%b%b)" % (WAIT, _DATA, _DATA)),
    1: re.compile(rb"(%b)([\xc0-\xdf]?)(%b)" % (WAIT, _DATA)),
}
_STATUS = re.compile(rb"%b([\x80-\xbf\xe0-\xef]?)%b%b" % (WAIT, _DATA, _DATA))
# metas of up to 15 bytes except end marks; a file may have a million of them
_SHORT = rb"\xff[\x00-\x2e\x30-\x7f](?:%b)" % b"|".join(rb"\x%02x.{%d}" % (n, n) for n in range(16))
_SHORT_METAS = re.compile(rb"(?:%b%b)*+" % (WAIT, _SHORT), re.DOTALL)
_SHORT_META = re.compile(rb"(%b)%b" % (WAIT, _SHORT), re.DOTALL)
_META, _SYSEX, _ESCAPE = 0xFF, 0xF0, 0xF7
_END_OF_TRACK, _PORT = b"\x2f", b"\xff\x21\x01"
_LONG_WAIT = 5  # bytes; valid delta times have at most four
MAX_WAIT = 0x0FFFFFFF  # ticks between two events, inclusive; four bytes of seven bits
DRUM_CHANNEL = 9  # channel 10, counted from 0
PEDAL, PEDAL_DOWN = 64, 64  # controller of the sustain pedal, and its lowest value for a pedal that is down
# system messages are not allowed in a file, but some programs write these; number of data bytes of each
_SYSTEM = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}


class Checked(NamedTuple):
    """A checked track, and positions in it."""

    track: bytes  # as given, but with data bytes of at most 127 and a first delta time of at least 0
    misleading: list[slice]  # events that the parser would misread, and that must be removed
    messages: list[slice]  # runs of messages with two data bytes, notes among them
    programs: list[slice]  # runs of messages with one data byte, changes of program among them
    end: int  # where the end mark begins with its delta time; the track's length where it has none
    remarks: tuple[str, ...]  # what was corrected


def check_events(given: bytes) -> Checked:
    """Check one track up to its end mark, or to its last byte where it has none.

    Misleading are escapes (0xF7), which continue system exclusive messages; and system messages followed by a message
    under the earlier running status. Data bytes above 127 are clipped to 127, as mido and symusic do; a negative delta
    time before the first event, which Live writes in five bytes, becomes 0.

    Raises:
        ValueError: a delta time of more than four bytes, data without a status, an unknown status, or an event that
            runs past the end; the message names the byte.
    """
    track: Bytes = given
    remarks, clipped = list[str](), 0
    before_zero = _before_zero(given)
    if before_zero:
        track = track[_LONG_WAIT - 1 :]
        remarks.append(f"begins {before_zero:,} ticks before 0, read as at 0")
    misleading: list[slice] = []
    messages: list[slice] = []
    programs: list[slice] = []
    system: list[slice] = []  # system messages since the last channel message
    place, running = 0, 0  # running: number of data bytes under the running status; 0 where there is none
    while place < len(track):
        begin = place
        if running:
            place = _end(_RUNNING[running], track, place)
            if place > begin:
                misleading += system
                system = []
                (messages if running == 2 else programs).append(slice(begin, place))
        for data, pattern in _MESSAGES.items():
            end = _end(pattern, track, place)
            if end > place:
                (messages if data == 2 else programs).append(slice(place, end))
                place, running, system = end, data, []
        place = _end(_SHORT_METAS, track, place)
        if place > begin:
            continue
        event = wait_at(track, place)[1]
        if event == len(track):
            raise ValueError(f"byte {place}: a delta time without an event")
        status = track[event]
        if status == _META and track[event + 1 : event + 2] == _END_OF_TRACK:
            break
        high = _high_data(track, event, running)
        if high:
            # changed in place, since a track may have many of them
            track = track if isinstance(track, bytearray) else bytearray(track)
            for byte in high:
                track[byte] = 0x7F
            clipped += len(high)
            continue
        end = event_end(track, event, status, running)
        if status == _ESCAPE:
            misleading.append(slice(place, end))
        elif status != _META:
            system.append(slice(place, end))
        place = end
    if clipped:
        remarks.append(f"{clipped:,} data byte{'s' * (clipped != 1)} above 127 taken as 127")
    checked = bytes(track) if remarks else given
    return Checked(
        checked, sorted(misleading, key=lambda event: event.start), messages, programs, place, tuple(remarks)
    )


def _before_zero(track: bytes) -> int:
    """Ticks by which the first event lies before tick 0: a delta time of five bytes that is negative as an int32."""
    if len(track) < _LONG_WAIT or min(track[: _LONG_WAIT - 1]) < 0x80 or track[_LONG_WAIT - 1] >= 0x80:
        return 0
    value = number_of(track[:_LONG_WAIT])
    return 2**32 - value if 2**31 <= value < 2**32 else 0


def _high_data(track: Bytes, event: int, running: int) -> list[int]:
    """Places of data bytes above 127 in the channel message at `event`; none where it is another event, or cut off."""
    status = track[event]
    if status >= 0xF0 or (status < 0x80 and not running):
        return []
    first = event + (status >= 0x80)
    count = running if status < 0x80 else 1 if 0xC0 <= status < 0xE0 else 2
    if first + count > len(track):
        return []
    return [place for place in range(first, first + count) if track[place] >= 0x80]


class Run(NamedTuple):
    """Successive events: channel messages of one length; or metas, or a system message, both without their data."""

    port: int
    ticks: list[int]
    statuses: list[int]
    data: tuple[bytes, ...]


def runs(track: bytes, whole: bool = True) -> Iterator[Run]:
    """The events up to the end mark of a track that `check_events` has accepted.

    Unless `whole`, a run of messages of two data bytes holds only its different statuses, without ticks and data.
    """
    place = tick = port = status = running = 0
    while place < len(track):
        begin = place
        for data, pattern in ((running, _RUNNING.get(running)), *_MESSAGES.items()):
            end = place if pattern is None else _end(pattern, track, place)
            if end == place:
                continue
            # by columns, because a file has thousands of messages
            if data == 2 and not whole:
                given = _STATUS.findall(track, place, end)
                before = [] if given[0] else [status]
                yield Run(port, [], [*before, *(own[0] for own in set(given) if own)], ())
                status = next((own[0] for own in reversed(given) if own), status)
                place, running = end, data
                continue
            waits, own, values = zip(*_MESSAGE[data].findall(track, place, end), strict=True)
            ticks = list(accumulate(map(number_of, waits), initial=tick))[1:]
            statuses = [status := given[0] if given else status for given in own]
            tick = ticks[-1]
            yield Run(port, ticks, statuses, values)
            place, running = end, data
        end = _end(_SHORT_METAS, track, place)
        if end > place and _PORT not in track[place:end]:
            tick += sum(map(number_of, _SHORT_META.findall(track, place, end)))
            yield Run(port, [tick], [_META], (b"",))
            place = end
        if place > begin:
            continue
        wait, event = wait_at(track, place)
        tick += wait
        kind = track[event]
        if kind == _META and track[event + 1 : event + 2] == _END_OF_TRACK:
            return
        if track[event : event + 3] == _PORT:
            port = track[event + 3]
        yield Run(port, [tick], [kind], (b"",))
        place = event_end(track, event, kind, running)


def ticks_of(events: bytes) -> int:
    """The tick of the last of some checked events."""
    if _end(_SHORT_METAS, events, 0) == len(events):  # most of what stands between notes
        return sum(map(number_of, _SHORT_META.findall(events)))
    return max((run.ticks[-1] for run in runs(events)), default=0)


def without(track: bytes, events: list[slice]) -> bytes:
    """The track without some of its events; the delta time of the event after each gets longer.

    Raises:
        ValueError: a delta time longer than a file can store.
    """
    parts, place, wait = [], 0, 0
    for event in events:
        if event.start > place:
            parts.append(_delayed(track[place : event.start], wait))
            wait = 0
        place = event.stop
        wait += wait_at(track, event.start)[0]
    return b"".join((*parts, _delayed(track[place:], wait)))


def _delayed(events: bytes, wait: int) -> bytes:
    """The events, the delta time of the first one longer by `wait` ticks."""
    if not wait or not events:
        return events
    own, end = wait_at(events, 0)
    total = own + wait
    if total > MAX_WAIT:
        raise ValueError(f"{total} ticks between two events, expected at most {MAX_WAIT}")
    return wait_of(total) + events[end:]


def wait_of(ticks: int) -> bytes:
    """A delta time in bytes; the inverse of `wait_at`."""
    septets = [ticks >> shift & 0x7F for shift in (21, 14, 7, 0) if ticks >> shift or not shift]
    return bytes([*(septet | 0x80 for septet in septets[:-1]), septets[-1]])


def wait_at(events: Bytes, place: int) -> tuple[int, int]:
    """The delta time at `place`, and the place after it."""
    wait = _LENGTH.match(events, place)
    if wait is None:
        five = events[place + _LONG_WAIT - 1 : place + _LONG_WAIT]
        found = "five bytes, expected at most four" if five and five[0] < 0x80 else "more than four bytes, or cut short"
        raise ValueError(f"byte {place}: a delta time of {found}")
    return number_of(bytes(wait[0])), wait.end()


def _end(pattern: re.Pattern[bytes], track: Bytes, place: int) -> int:
    match = pattern.match(track, place)
    return place if match is None else match.end()


def event_end(track: Bytes, place: int, status: int, running: int) -> int:
    """The place after the event at `place`, which is not a valid channel message."""
    if status in _SYSTEM:
        end = place + 1 + _SYSTEM[status]
    elif status in (_META, _SYSEX, _ESCAPE):
        length = _LENGTH.match(track, place + 1 + (status == _META))
        if length is None:
            raise ValueError(f"byte {place}: event {status:#x} with a length of more than four bytes")
        end = length.end() + number_of(bytes(length[0]))
    elif status < 0x80 and not running:
        raise ValueError(f"byte {place}: data {status:#x} before any status")
    elif status < 0xF0:
        raise ValueError(f"byte {place}: message {status:#x} is cut short")
    else:
        raise ValueError(f"byte {place}: unknown status {status:#x}")
    if end > len(track):
        raise ValueError(
            f"byte {place}: event {status:#x} has {end - place} bytes, the track has only {len(track) - place} more"
        )
    return end


@cache
def number_of(septets: bytes) -> int:
    value = 0
    for septet in septets:
        value = value << 7 | septet & 0x7F
    return value
