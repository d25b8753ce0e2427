"""Add to a song what its parser, which reads each track alone, would miss: ends of notes, programs of channels.

- A note without a note-off ends with an unused note-off of its channel in another track; or else at the next note-on of
  its pitch; or else at the end of its track. If its note-off stands before it at the same tick (music21's grace notes),
  it has no length. Each is a remark.
- A program that is set in another track holds, from its tick on, for the notes of its channel; a change that the track
  itself makes later replaces it. Where two tracks play on one channel and each sets its own program, each keeps it.

Songs that lack nothing stay as they are, byte for byte; in others each track is rewritten once. As in `ends.py`, a
strike is a note-on, an end is a note-off, and a key is a channel and a pitch.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seqaudio.midi.chunks import Song, tracks_of, with_tracks
from seqaudio.midi.ends import Keyed, idle_ends, keyed, missing_ends
from seqaudio.midi.messages import Numbers, Track

_NOTE_OFF, _PROGRAM = 0x80, 0xC0
_RELEASED = 64  # velocity of the ends that are added
_CHANGE = re.compile(rb"[\x80-\xff]{0,3}+[\x00-\x7f]([\xc0-\xdf]?)[\x00-\x7f]")  # a message of one data byte
# remarks, in their order; {} is a number of notes
AGAIN = "{} without note-off, ended at the next note-on of the pitch"
CLOSED = "{} without note-off, closed at the end of the track"
NO_LENGTH = "{} whose note-off comes before the note-on, read without length"
ELSEWHERE = "{} ended in another track of the same channel"


def repaired(songs: Sequence[Song]) -> list[Song]:
    """The songs with what they lack, and remarks about it. Many songs together are faster than each alone."""
    found = keyed([messages for song in songs for messages in song.messages])
    made, first = [], 0
    for song in songs:
        own = found[first : first + len(song.messages)]
        first += len(own)
        unended = any(track.unended for track in own)
        others = _programs_in_other_tracks(song, own)
        made.append(_Repair(song, own, others).song() if unended or others else song)
    return made


def _programs_in_other_tracks(song: Song, found: Sequence[Keyed]) -> bool:
    """Whether a program may hold in another track than the one that sets it; rarely true where none does."""
    if len(found) < 2 or not any(song.programs):
        return False
    programmed = [_channels_set(programs) for programs in song.programs]
    everywhere = setup = noted = 0
    for track, channels in zip(found, programmed, strict=True):
        everywhere |= channels
        setup |= channels & ~track.channels
        noted |= track.channels
    lone = (track.channels & ~own for track, own in zip(found, programmed, strict=True))
    return bool(setup & noted) or any(channels & everywhere for channels in lone)


def _channels_set(messages: bytes) -> int:
    """A bit for each channel whose program these messages of one data byte change."""
    status = channels = 0
    for own in _CHANGE.findall(messages):
        status = own[0] if own else status
        if status & 0xF0 == _PROGRAM:
            channels |= 1 << (status & 0x0F)
    return channels


class _Repair:
    """The repair of one song; its tracks are decoded when they are first needed."""

    def __init__(self, song: Song, found: Sequence[Keyed], programs: bool) -> None:
        self._song, self._found, self._programs = song, found, programs
        self._given = list(tracks_of(song.data))
        self._tracks = dict[int, Track]()
        self._idle = dict[tuple[int, int], dict[int, list[int]]]()  # by port and key: ticks, by track
        self._counts = Counter[str]()

    def _track(self, number: int) -> Track:
        if number not in self._tracks:
            self._tracks[number] = Track(self._given[number])
        return self._tracks[number]

    def song(self) -> Song:
        for number, track in enumerate(self._found):
            for key in track.unended:
                self._end_notes(number, key)
        if self._programs:
            self._set_programs()
        tracks = [
            self._tracks[number].rewritten() if number in self._tracks else given
            for number, given in enumerate(self._given)
        ]
        remarks = [
            text.format(f"{count:,} note{'s' * (count != 1)}")
            for text in (AGAIN, CLOSED, NO_LENGTH, ELSEWHERE)
            if (count := self._counts[text])
        ]
        return replace(self._song, data=with_tracks(self._song.data, tracks), remarks=(*self._song.remarks, *remarks))

    def _end_notes(self, number: int, key: int) -> None:
        """Insert the ends that a key of a track lacks."""
        track = self._track(number)
        here = np.flatnonzero(track.key == key)
        ticks = track.tick[here]
        missing = missing_ends(ticks.tolist(), track.struck[here].tobytes())
        elsewhere = self._ends_elsewhere(number, key)
        given = sorted(tick for ends in elsewhere for tick in ends)
        struck = [int(ticks[strike]) for strike, ended_before in missing if not ended_before]
        # with as many ends as strikes the oldest note ends first, as in one track
        paired = len(given) == len(struck) and all(end >= strike for strike, end in zip(struck, given, strict=True))
        end = bytes([_NOTE_OFF | key >> 7, key & 0x7F, _RELEASED])
        for strike, ended_before in missing:
            tick = int(ticks[strike])
            following = int(np.searchsorted(ticks, tick, side="right"))  # the next event of the key at a later tick
            last = following == len(here)
            if ended_before:
                kind = NO_LENGTH
                track.insert(int(here[strike]), tick, end)
            elif (found := _taken(elsewhere, tick, None if paired or last else int(ticks[following]))) is not None:
                kind = ELSEWHERE
                track.insert(max(int(np.searchsorted(track.tick, found)), int(here[strike]) + 1) - 1, found, end)
            elif last:
                kind = CLOSED
                track.close(track.end_tick, end)
            else:
                kind = AGAIN
                track.insert(int(here[following]) - 1, int(ticks[following]), end)
            self._counts[kind] += 1

    def _ends_elsewhere(self, number: int, key: int) -> list[list[int]]:
        """Ticks of the ends of a key that find no note in their own tracks, a list for each; takers remove them."""
        others = [other for other, track in enumerate(self._found) if other != number and key in track.idle]
        if not others:
            return []
        port = self._track(number).port
        found = []
        for other in others:
            track = self._track(other)
            if track.port != port:
                continue
            ends = self._idle.setdefault((port, key), {})
            if other not in ends:
                here = np.flatnonzero(track.key == key)
                ends[other] = idle_ends(track.tick[here].tolist(), track.struck[here].tobytes())
            found.append(ends[other])
        return found

    def _set_programs(self) -> None:
        """Insert the programs that hold in a track because another one sets them."""
        changes = defaultdict[tuple[int, int], dict[int, list[tuple[int, int, int]]]](dict)  # by port and channel
        for number, programs in enumerate(self._song.programs):
            if _channels_set(programs):
                track = self._track(number)
                for tick, channel, program, before in track.programs():
                    changes[track.port, channel].setdefault(number, []).append((tick, program, before))
        changed = {channel for _, channel in changes}
        for number, found in enumerate(self._found):
            for channel in changed:
                if not found.channels >> channel & 1:
                    continue
                there = changes.get((self._track(number).port, channel), {})
                own = there.get(number, [])
                others = {other: found for other, found in there.items() if other != number}
                setup = {o: found for o, found in others.items() if not self._found[o].channels >> channel & 1}
                chosen = setup if setup or own else others
                if chosen:
                    given = sorted((tick, program) for found in chosen.values() for tick, program, _ in found)
                    self._set_program(self._track(number), channel, own, given)

    def _set_program(
        self, track: Track, channel: int, own: list[tuple[int, int, int]], given: list[tuple[int, int]]
    ) -> None:
        """Insert the programs of one channel of a track, each before the first strike for which it holds.

        Args:
            own: tick, program, and the index of the message that follows, of the changes in the track itself.
            given: tick and program of the changes in other tracks.
        """
        strikes = np.flatnonzero(track.struck & (track.key >> 7 == channel))
        ticks = track.tick[strikes]
        at_own = np.searchsorted(np.array([before for *_, before in own], dtype=np.int64), strikes, side="right")
        at_given = np.searchsorted(np.array([tick for tick, _ in given], dtype=np.int64), ticks, side="right")
        own_tick = np.array([-1, *(tick for tick, *_ in own)])[at_own]
        given_tick = np.array([-1, *(tick for tick, _ in given)])[at_given]
        own_program: Numbers = np.array([0, *(program for _, program, _ in own)])[at_own]
        given_program = np.array([0, *(program for _, program in given)])[at_given]
        holds = np.where(given_tick > own_tick, given_program, own_program)
        read = np.append(own_program[:1], np.where(at_own[1:] != at_own[:-1], own_program[1:], holds[:-1]))
        for place in np.flatnonzero(holds != read).tolist():
            change = bytes([_PROGRAM | channel, int(holds[place])])
            track.insert(int(strikes[place]) - 1, int(ticks[place]), change)


def _taken(elsewhere: list[list[int]], tick: int, latest: int | None) -> int | None:
    """The first tick of the lists from `tick` to `latest`, removed from its list; None where there is none."""
    fitting = [(end, ends) for ends in elsewhere for end in ends if end >= tick and (latest is None or end <= latest)]
    if not fitting:
        return None
    end, ends = min(fitting, key=lambda pair: pair[0])
    ends.remove(end)
    return end
