"""Find the notes of a track that have no note-off.

The parser gives a note-off to the oldest sounding note of its channel and pitch. That is right for notes that overlap,
but where a note-on has no note-off, each later note of its pitch would get the note-off of the next one. Some programs
(music21, for grace notes) write the note-off of a note without length before its note-on, with the same effect.

Below, a strike is a note-on, an end is a note-off, and a key is a channel and a pitch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqaudio.midi.messages import KEYS, NO_KEY, Messages

Keys = list[int]  # of one track: 128 x channel + pitch

_STRIKES, _ENDS, _ALTERNATING = (re.compile(pattern) for pattern in (b"\x01*+", b"\x00*+", b"(?:\x01\x00)*+"))
_TOGETHER = 31  # tracks whose keys are told apart by 16 bits, with that value left over


class Keyed(NamedTuple):
    """The keys of a track that have strikes without ends or ends without strikes, if the oldest note ends first."""

    unended: Keys  # keys of which a strike is left without an end
    idle: Keys  # keys of which an end finds no note
    channels: int  # a bit for each channel that has strikes or ends


def keyed(tracks: Sequence[bytes]) -> list[Keyed]:
    """The keys of each track. `tracks`: the messages of two data bytes of each; many together are faster."""
    found: list[Keyed] = []
    for begin in range(0, len(tracks), _TOGETHER):
        found += _keyed(tracks[begin : begin + _TOGETHER])
    return found


def _keyed(tracks: Sequence[bytes]) -> list[Keyed]:
    """The same for a few tracks, each key as the number 2048 x track + key."""
    messages = Messages.of(b"".join(tracks))
    behind = np.searchsorted(messages.low[:, 2], np.cumsum([len(track) for track in tracks]))  # messages up to its end
    track = np.repeat(np.arange(len(tracks), dtype=np.uint16), np.diff(behind, prepend=0))
    notes = np.flatnonzero(messages.key != NO_KEY)
    number = (track * KEYS + messages.key)[notes]
    if not len(number):
        return [Keyed([], [], 0) for _ in tracks]
    order = np.argsort(number, kind="stable")
    number = number[order]
    sounding = np.cumsum(np.where(messages.struck[notes[order]], 1, -1))
    first = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    last = np.append(first[1:], len(number)) - 1
    least, before = np.minimum.reduceat(sounding, first), np.append(0, sounding[last[:-1]])
    # an end that finds no note changes nothing, yet takes the sum below where its key began
    unended = [Keys() for _ in tracks]
    idle = [Keys() for _ in tracks]
    channels = [0] * len(tracks)
    for here, numbers in (
        (unended, number[last[sounding[last] > np.minimum(least, before)]]),
        (idle, number[first[least < before]]),
    ):
        for value in numbers.tolist():
            here[value // KEYS].append(value % KEYS)
    for value in np.flatnonzero(np.bincount(number[first] >> 7)).tolist():  # 16 x track + channel
        channels[value >> 4] |= 1 << (value & 15)
    return [Keyed(*each) for each in zip(unended, idle, channels, strict=True)]


class Missing(NamedTuple):
    """A strike without an end of its own, among the events of its key."""

    strike: int
    ended_before: bool  # its end stands before it, at the same tick


def missing_ends(ticks: Sequence[int], struck: bytes) -> list[Missing]:
    """The strikes of one key that have no end, in order.

    Notes that overlap each keep their own end as long as strikes and ends match. From there on they do where they come
    as a block, strikes and then as many ends; of more strikes than ends the oldest have none. An end that finds no note
    belongs to a later strike of its tick, if fewer strikes lack an end then.

    Args:
        ticks: [N] of the events of one channel and key, in order.
        struck: [N] 1 for a strike, 0 for an end.
    """
    order = _ends_first(ticks, struck)
    lacking = [Missing(strike, ended_before=False) for strike in _unended(order, struck)]
    ended, rest = _ended_before(order, ticks, struck)
    if ended and len(without := _unended(rest, struck)) < len(lacking):
        lacking = [Missing(strike, ended_before=False) for strike in without]
        lacking += (Missing(strike, ended_before=True) for strike in ended)
    return sorted(lacking)


def _unended(order: Sequence[int], struck: bytes) -> list[int]:
    """The strikes without an end, by blocks from the first doubt on. `order`: the events, in their order."""
    kinds = bytes(struck[event] for event in order)
    lacking: list[int] = []
    place = _first_doubt(kinds)
    while place < len(kinds):
        first, place = place, _behind(_STRIKES, kinds, place)
        stop = _behind(_ENDS, kinds, place)
        lacking += order[first : max(first, place - (stop - place))]
        place = stop
    return lacking


def _ended_before(order: Sequence[int], ticks: Sequence[int], struck: bytes) -> tuple[list[int], list[int]]:
    """Strikes whose end may stand before them at the same tick; and all events but those strikes and ends."""
    ended: list[int] = []
    rest: list[int] = []
    early: list[int] = []  # places in `rest` of ends of one tick that found no note
    sounding = 0
    for event in order:
        if early and ticks[event] != ticks[rest[early[-1]]]:
            early = []
        if struck[event] and early:
            del rest[early.pop()]
            ended.append(event)
            continue
        if not struck[event] and not sounding:
            early.append(len(rest))
        sounding = max(0, sounding + (1 if struck[event] else -1))
        rest.append(event)
    return ended, rest


def idle_ends(ticks: Sequence[int], struck: bytes) -> list[int]:
    """Ticks of the ends of one key that find no note, but those that belong to a strike of the same tick."""
    found, sounding = [], 0
    for tick, strike in zip(ticks, struck, strict=True):
        if not strike and not sounding:
            found.append(tick)
        sounding = max(0, sounding + (1 if strike else -1))
    at_strikes = {tick for tick, strike in zip(ticks, struck, strict=True) if strike}
    return [tick for tick in found if tick not in at_strikes]


def _ends_first(ticks: Sequence[int], struck: bytes) -> Sequence[int]:
    """The events in the order in which, at the same tick, older notes end before others begin."""
    given = np.array(ticks)
    kinds = np.frombuffer(struck, np.uint8)
    if not ((given[1:] == given[:-1]) & (kinds[:-1] > kinds[1:])).any():
        return range(len(ticks))
    order: list[int] = []
    sounding = place = 0
    while place < len(ticks):
        first = place
        while place < len(ticks) and ticks[place] == ticks[first]:
            place += 1
        old = [event for event in range(first, place) if not struck[event]][:sounding]
        rest = [event for event in range(first, place) if event not in old]
        order += old + rest
        sounding -= len(old)
        for event in rest:
            sounding = max(0, sounding + (1 if struck[event] else -1))
    return order


def _first_doubt(struck: bytes) -> int:
    """The first end that finds no note, or the strike from which on one note of the key always sounds."""
    begin, sounding = _behind(_ALTERNATING, struck, 0), 0
    for place, strike in enumerate(struck[begin:], begin):
        if not sounding:
            begin = place
            if not strike:
                return place
        sounding += 1 if strike else -1
    return begin if sounding else len(struck)


def _behind(pattern: re.Pattern[bytes], struck: bytes, place: int) -> int:
    match = pattern.match(struck, place)
    return place if match is None else match.end()
