"""Pedals and drums by channel, which the parser cannot give.

The parser assigns a pedal to the track that holds it, but a pedal acts on its channel in all tracks; it takes channel
10 alone for drums, but a bank (GM2, XG) or a message (GS) can make another channel drums. Where all notes and pedals
of a file are in one track the parser is right; other files are read here, message by message.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from seqaudio.midi.chunks import tracks_of
from seqaudio.midi.events import DRUM_CHANNEL, PEDAL, PEDAL_DOWN, WAIT, runs

Part = tuple[int, bool]  # program, and whether it is percussion
Span = tuple[int, int]  # tick and duration of a pedal

_STRUCK = re.compile(rb"[\x90-\x9f][\x00-\x7f]")
# with a status byte of its own, or after other controllers under a running status
_PEDALLED = re.compile(
    rb"[\xb0-\xbf](?:\x40|[\x00-\x7f]{2}(?:%b[\x00-\x3f\x41-\x7f][\x00-\x7f])*+%b\x40)" % (WAIT, WAIT)
)
_BANK_CHOSEN = re.compile(
    rb"[\xb0-\xbf](?:\x00|[\x00-\x7f]{2}(?:%b[\x01-\x7f][\x00-\x7f])*+%b\x00)[\x78\x7f]" % (WAIT, WAIT)
)
BANK = 0  # controller of the bank's upper half
_GM2_DRUMS, _XG_DRUMS = 120, 127
_XG_ON = re.compile(rb"\x43[\x10-\x1f]\x4c\x00\x00\x7e\x00")  # after it bank 127 means drums
_GS_DRUMS = re.compile(rb"\x41[\x00-\x7f]\x42\x12\x40([\x10-\x1f])\x15[\x01\x02]")  # makes a part drums
_GS_CHANNELS = (9, *range(9), *range(10, 16))  # of its parts


def shared_pedals(song: bytes, parts: Sequence[Part]) -> list[list[Span]] | None:
    """The pedals of each part, which are those of its channel; None where the parser's pedals are right.

    Args:
        song: the bytes of a file that `check_events` has accepted.
        parts: the parts that the parser found, by track, and within a track by percussion, channel, program.
    Raises:
        ValueError: these are not the parts of the file.
    """
    if not _PEDALLED.search(song):
        return None
    tracks = list(tracks_of(song))
    pedalled = [place for place, track in enumerate(tracks) if _PEDALLED.search(track)]
    struck = [place for place, track in enumerate(tracks) if _STRUCK.search(track)]
    if len(struck) == 1 and pedalled == struck:
        return None
    found = [_Channels(tracks[place], whole=place in pedalled) for place in sorted({*pedalled, *struck})]
    if _parts_of(found) != list(parts):  # some note-ons have velocity 0, which only a reading of the whole track shows
        found = [_Channels(track, whole=True) for track in tracks]
    if _parts_of(found) != list(parts):
        raise ValueError(f"{len(_parts_of(found))} parts by channel, the parser has {len(parts)}")
    controls = defaultdict[tuple[int, int], list[tuple[int, bool]]](list)
    for track in found:
        for where, events in track.pedals.items():
            controls[where] += events
    spans = {where: pedal_spans(events) for where, events in controls.items()}
    return [spans.get(where, []) for track in found for _, where in track.parts()]


def channels_of(song: bytes, parts: Sequence[Part]) -> list[tuple[int, int]]:
    """The port and channel of each part; arguments and errors as of `shared_pedals`."""
    found = [own for track in tracks_of(song) for own in _Channels(track, whole=True).parts()]
    if [part for part, _ in found] != list(parts):
        raise ValueError(f"{len(found)} parts by channel, the parser has {len(parts)}")
    return [where for _, where in found]


def further_drums(song: bytes, parts: Sequence[Part]) -> list[bool] | None:
    """Whether each part, as of `shared_pedals`, is drums by its channel; None where only channel 10 can be drums.

    Raises:
        ValueError: these are not the parts of the file.
    """
    # searches for plain bytes come first: they take no time, and are enough for most files
    by_message = (
        {_GS_CHANNELS[part[0] & 0x0F] for part in _GS_DRUMS.findall(song)} if b"\x42\x12\x40" in song else set()
    )
    banked = b"\x00\x78" in song or (b"\x4c\x00\x00\x7e\x00" in song and b"\x00\x7f" in song)
    if not by_message and not (banked and _BANK_CHOSEN.search(song)):
        return None
    found = [_Channels(track, whole=True) for track in tracks_of(song)]
    if _parts_of(found) != list(parts):
        raise ValueError(f"{len(_parts_of(found))} parts by channel, the parser has {len(parts)}")
    banks = defaultdict[tuple[int, int], set[int]](set)
    for track in found:
        for where, chosen in track.banks.items():
            banks[where] |= chosen
    drums = [{_GM2_DRUMS}, {_XG_DRUMS}] if _XG_ON.search(song) else [{_GM2_DRUMS}]
    return [
        is_drum or where[1] in by_message or banks[where] in drums
        for track in found
        for (_, is_drum), where in track.parts()
    ]


def _parts_of(tracks: Sequence[_Channels]) -> list[Part]:
    return [part for track in tracks for part, _ in track.parts()]


class _Channels:
    """The pedals, banks and parts of one track, by port and channel."""

    def __init__(self, track: bytes, whole: bool) -> None:
        self.pedals = defaultdict[tuple[int, int], list[tuple[int, bool]]](list)  # tick, and whether it goes down
        self.banks = defaultdict[tuple[int, int], set[int]](set)  # that its messages choose
        self._parts = set[tuple[bool, int, int, int]]()  # percussion, channel, program, port; of parts with notes
        programs = defaultdict[int, int](int)
        for run in runs(track, whole):
            if run.data and len(run.data[0]) == 1:
                changes = zip(run.statuses, run.data, strict=True)
                programs.update((status & 0x0F, data[0]) for status, data in changes if status & 0xF0 == 0xC0)
                continue
            strikes = set(run.statuses)
            if whole:
                messages = list(zip(run.statuses, run.data, run.ticks, strict=True))
                strikes = {status for status, data, _ in messages if data[1:] > b"\0"}
                for status, data, tick in messages:
                    if status & 0xF0 == 0xB0 and data[0] == PEDAL:
                        self.pedals[run.port, status & 0x0F].append((tick, data[1] >= PEDAL_DOWN))
                    elif status & 0xF0 == 0xB0 and data[0] == BANK:
                        self.banks[run.port, status & 0x0F].add(data[1])
            for channel in {status & 0x0F for status in strikes if status & 0xF0 == 0x90}:
                self._parts.add((channel == DRUM_CHANNEL, channel, programs[channel], run.port))

    def parts(self) -> list[tuple[Part, tuple[int, int]]]:
        return [((program, drums), (port, channel)) for drums, channel, program, port in sorted(self._parts)]


def pedal_spans(events: Sequence[tuple[int, bool]]) -> list[Span]:
    """The spans from each time a pedal goes down until it goes up; a pedal that never goes up is left out.

    events: tick, and whether the pedal goes down.
    """
    spans, down = [], None
    for tick, pressed in sorted(events, key=lambda event: event[0]):
        if pressed and down is None:
            down = tick
        elif not pressed and down is not None:
            spans.append((down, tick - down))
            down = None
    return spans
