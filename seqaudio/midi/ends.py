"""Add missing note-offs to a song, so that a missing one costs one note and never those after it.

The parser gives a note-off to the oldest sounding note of its channel and pitch. That is right for notes that overlap,
but where a note-on has no note-off, each later note of its pitch gets the note-off of the next one. Some programs
(music21, for grace notes) write the note-off of a note without length before its note-on, with the same effect.

So a note without a note-off of its own ends where the next note of its pitch does, as in pretty_midi; where there is
none, it is left out. Songs in which every note-on has its note-off stay as they are. Below, a strike is a note-on, an
end is a note-off, and a key is a channel and a pitch.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.midi.chunks import Song, tracks_of, with_tracks
from seqaudio.midi.events import check_events, ticks_of

Numbers = npt.NDArray[Any]
Keys = list[int]  # of one track: 128 x channel + pitch

_KEYS = 16 * 128
_OTHER = 0xFFFF  # stands for the key of what is no note
_STRIKES, _ENDS, _ALTERNATING = (re.compile(pattern) for pattern in (b"\x01*+", b"\x00*+", b"(?:\x01\x00)*+"))
_TOGETHER = 31  # tracks whose keys are told apart by 16 bits, with that value left over


def with_missing_ends(songs: Sequence[Song]) -> list[Song]:
    """The songs with the ends that they lack, and a remark where they did."""
    lacking = _keys_without_ends([messages for song in songs for messages in song.messages])
    if not lacking:
        return list(songs)
    made, first = [], 0
    for song in songs:
        own = {track: lacking[first + track] for track in range(len(song.messages)) if first + track in lacking}
        made.append(_completed(song, own) if own else song)
        first += len(song.messages)
    return made


def missing_ends(ticks: Sequence[int], struck: bytes) -> tuple[list[int], int]:
    """The ends of one key that end a note more than the parser thinks, once for each; and how many notes have none.

    Notes that overlap each keep their own end as long as strikes and ends match. From there on they do where they come
    as a block, strikes and then as many ends; of more strikes than ends the oldest have none. An end that finds no note
    belongs to a strike of the same tick after it, which then lacks one.

    Args:
        ticks: [N] of the events of one channel and key, in order.
        struck: [N] 1 for a strike, 0 for an end.
    """
    ended: list[int] = []
    lacking: list[int] = []  # strikes without an end of their own
    done = 0  # how many of them are ended
    early, early_tick = 0, -1  # ends that found no note, and the last tick that had any
    place = _first_doubt(struck)
    while place < len(struck):
        if not early or ticks[place] != early_tick:
            early = 0
            if done == len(lacking):
                place = _behind(_ALTERNATING, struck, place)  # nothing to do, most of the time
        first, place = place, _behind(_STRIKES, struck, place)
        while early and first < place and ticks[first] == early_tick:
            lacking.append(first)
            first, early = first + 1, early - 1
        ends = range(place, _behind(_ENDS, struck, place))
        own = place - first
        lacking += range(first, place - min(own, len(ends)))
        for end in ends:
            while done < len(lacking) and ticks[lacking[done]] < ticks[end]:
                ended.append(end)
                done += 1
        for end in ends[own:]:
            early = early + 1 if ticks[end] == early_tick else 1
            early_tick = ticks[end]
        place = ends.stop
    return ended, len(lacking) - done


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


def _keys_without_ends(tracks: Sequence[bytes]) -> dict[int, Keys]:
    """Keys of which a strike is left without an end where the oldest note ends first, of each track that has any.

    Args:
        tracks: the messages of two data bytes of each.
    """
    lacking = defaultdict[int, Keys](list)
    for begin in range(0, len(tracks), _TOGETHER):
        for number in _numbers_without_ends(tracks[begin : begin + _TOGETHER]).tolist():
            lacking[begin + number // _KEYS].append(number % _KEYS)
    return lacking


def _numbers_without_ends(tracks: Sequence[bytes]) -> Numbers:
    """The same of a few tracks, each key told as 2048 x track + key."""
    found = _Messages.of(b"".join(tracks))
    behind = np.searchsorted(found.low[:, 2], np.cumsum([len(track) for track in tracks]))  # messages up to its end
    track = np.repeat(np.arange(len(tracks), dtype=np.uint16), np.diff(behind, prepend=0))
    notes = np.flatnonzero(found.key != _OTHER)
    number = (track * _KEYS + found.key)[notes]
    if not len(number):
        return number
    order = np.argsort(number, kind="stable")
    number = number[order]
    sounding = np.cumsum(np.where(found.struck[notes[order]], 1, -1))
    first = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    last = np.append(first[1:], len(number)) - 1
    # an end that finds no note changes nothing, yet takes the sum below where its key began
    idle = np.minimum(np.minimum.reduceat(sounding, first), np.append(0, sounding[last[:-1]]))
    unended: Numbers = number[last[sounding[last] > idle]]
    return unended


def _completed(song: Song, lacking: dict[int, Keys]) -> Song:
    """The song with the ends that these keys of its tracks lack."""
    tracks = list(tracks_of(song.data))
    ended = left_out = 0
    for track, keys in lacking.items():
        tracks[track], added, lost = _completed_track(tracks[track], keys)
        ended, left_out = ended + added, left_out + lost
    remarks = [f"{_notes(ended)} without an end, ended with the next of the same key"] if ended else []
    remarks += [f"{_notes(left_out)} without an end left out"] if left_out else []
    return replace(song, data=with_tracks(song.data, tracks), remarks=(*song.remarks, *remarks))


def _notes(count: int) -> str:
    return f"{count:,} note{'s' * (count != 1)}"


def _completed_track(track: bytes, keys: Keys) -> tuple[bytes, int, int]:
    """A track with the ends that these keys lack, how many they are, and how many notes are still without one."""
    runs = check_events(track).messages
    found = _Messages.of(b"".join(track[run] for run in runs))
    ticks, stop = _in_track(found, track, runs)
    again: list[int] = []  # behind which bytes of the track an end comes once more
    left_out = 0
    for key in keys:
        here = np.flatnonzero(found.key == key)
        ended, lost = missing_ends(ticks[here].tolist(), found.struck[here].tobytes())
        again += stop[here[ended]].tolist()
        left_out += lost
    parts, done = [], 0
    for place in sorted(again):
        # with no wait, and the status that it has
        parts += [track[done:place], b"\0", track[place - 2 : place]]
        done = place
    return b"".join((*parts, track[done:])), len(again), left_out


class _Messages(NamedTuple):
    """Messages of two data bytes."""

    data: Numbers  # their bytes
    low: Numbers  # [M, 3] where in them the last byte of the wait lies, and the two data bytes
    key: Numbers  # [M] uint16 of note-ons and note-offs
    struck: Numbers  # [M] bool; a note-on without velocity is an end

    @classmethod
    def of(cls, messages: bytes) -> _Messages:
        """Decode them: of a message only its status and the wait but for the last byte have the highest bit."""
        data = np.frombuffer(messages, np.uint8)
        low = np.flatnonzero(data < 0x80).reshape(-1, 3)
        own = data[low[:, 1] - 1]  # the end of the wait where the status before goes on
        given = np.flatnonzero(own >= 0x80)
        status = np.repeat(own[given], np.diff(given, append=len(own)))
        key = (status & 0x0F).astype(np.uint16) << 7 | data[low[:, 1]]
        key[status >= 0xA0] = _OTHER
        return cls(data, low, key, (status & 0xF0 == 0x90) & (data[low[:, 2]] > 0))


def _in_track(found: _Messages, track: bytes, runs: Sequence[slice]) -> tuple[Numbers, Numbers]:
    """The tick of each message [M], and where in the track it ends [M]; they are those of its `runs`."""
    low = found.low
    longer = low[:, 0] - np.append(0, low[:-1, 2] + 1)  # bytes of each wait before its last
    waits = found.data[low[:, 0]].astype(np.int64)
    for back in range(1, 4):
        there = np.flatnonzero(longer >= back)
        waits[there] += (found.data[low[there, 0] - back] & 0x7F).astype(np.int64) << 7 * back
    sizes = np.array([run.stop - run.start for run in runs])
    offset = np.cumsum(sizes) - sizes
    first = np.searchsorted(low[:, 2], offset)  # the first message of each run
    gaps = [track[before : run.start] for before, run in zip((0, *(run.stop for run in runs)), runs, strict=False)]
    waits[first] += [ticks_of(gap) if gap else 0 for gap in gaps]
    shift = np.array([run.start for run in runs]) - offset
    return np.cumsum(waits), low[:, 2] + 1 + np.repeat(shift, np.diff(first, append=len(low)))
