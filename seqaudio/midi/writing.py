"""Write NoteSequences to MIDI files for DAWs: a conductor track, then a named track for each part."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import mido  # type: ignore[import-untyped]  # ships no type information
import numpy as np
import numpy.typing as npt

from seqaudio.files import write_bytes
from seqaudio.midi.events import DRUM_CHANNEL, MAX_WAIT, PEDAL
from seqaudio.notes.bars import end_of_last_bar
from seqaudio.notes.keys import tonic_name
from seqaudio.notes.sequence import NoteSequence

RESOLUTION = 480  # ticks per quarter: the default of DAWs, divisible by 2, 3 and 5
_MELODIC_CHANNELS = [channel for channel in range(16) if channel != DRUM_CHANNEL]


def write_midi(notes: NoteSequence, path: Path | str, comments: Sequence[str] = ()) -> None:
    """Write a format 1 file; no partial file is left behind. Equal notes give equal bytes.

    The resolution is 480 ticks per quarter if all ticks are whole there, otherwise that of the notes. The conductor
    track holds comments (text events), tempos, and the time and key signatures of the piece, if it has any; a file
    without a time signature is in 4/4 by definition. Each (track, program, drum) becomes a track with its own channel,
    drums on channel 10; from the sixteenth melodic part on, channels are reused on another port. A track without a
    name gets that of its instrument. Pedals are written for each part of their track. All tracks end together, at the
    end of the last bar.

    Args:
        comments: text events at tick 0, such as where the piece comes from.

    Raises:
        ValueError: a note inside another one of the same part and pitch: MIDI cannot say which ends first. Use
            `resolve_overlaps` before. Notes that merely overlap are written, and `read_midi` restores them;
            pretty_midi ends both at the first end.
        OSError: the folder is missing or may not be written to.
    """
    write_bytes(Path(path), midi_bytes(notes, comments))


def midi_bytes(notes: NoteSequence, comments: Sequence[str] = (), *, keep_resolution: bool = False) -> bytes:
    """The bytes of the file that `write_midi` writes; with `keep_resolution` at the resolution of the notes."""
    notes = notes if keep_resolution else _at_resolution(notes)
    file = mido.MidiFile(type=1, ticks_per_beat=notes.ticks_per_quarter, charset="utf-8")
    end = end_of_last_bar(notes)
    file.tracks.append(_track(_conductor(notes, comments), end))
    for part, channel, port in _channels(parts_of(notes)):
        file.tracks.append(_track(_events(notes, part, channel, port), end))
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def instrument_name(program: int, drum: bool) -> str:
    """The General MIDI name of a program, counted from 0, such as `Church Organ`; `Drums` for any drum kit."""
    from pretty_midi.constants import INSTRUMENT_MAP

    return "Drums" if drum else str(INSTRUMENT_MAP[program])


def _at_resolution(notes: NoteSequence) -> NoteSequence:
    signatures = [time.tick for time in notes.time_signatures] + [key.tick for key in notes.key_signatures]
    events = (notes.start_tick, notes.end_tick, notes.tempo_tick, notes.pedals[:, 1:].ravel())
    ticks = np.concatenate([*events, np.array(signatures, np.int64)])
    exact = not (ticks * RESOLUTION % notes.ticks_per_quarter).any()
    return notes.rescaled(RESOLUTION) if exact else notes


def _channels(parts: list[Part]) -> Iterator[tuple[Part, int, int]]:
    melodic = drums = 0
    for part in parts:
        if part.is_drum:
            yield part, DRUM_CHANNEL, drums
            drums += 1
        else:
            port, place = divmod(melodic, len(_MELODIC_CHANNELS))
            yield part, _MELODIC_CHANNELS[place], port
            melodic += 1


_Timed = tuple[int, int, mido.Message | mido.MetaMessage]  # tick, order within the tick, message


def _conductor(notes: NoteSequence, comments: Sequence[str]) -> list[_Timed]:
    timed: list[_Timed] = [(0, 0, mido.MetaMessage("text", text=comment)) for comment in comments]
    for tick, tempo in zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True):
        timed.append((tick, 1, mido.MetaMessage("set_tempo", tempo=tempo)))
    for time in notes.time_signatures:
        message = mido.MetaMessage("time_signature", numerator=time.numerator, denominator=time.denominator)
        timed.append((time.tick, 2, message))
    for key in notes.key_signatures:
        message = mido.MetaMessage("key_signature", key=tonic_name(key) + "m" * key.minor)
        timed.append((key.tick, 3, message))
    return timed


def _events(notes: NoteSequence, part: Part, channel: int, port: int) -> list[_Timed]:
    notes = notes.select(part.of(notes))
    given = notes.track_names[part.track]
    _refuse_nested(notes, given or f"track {part.track}")
    name = given or instrument_name(part.program, part.is_drum)
    timed: list[_Timed] = [(0, 0, mido.MetaMessage("track_name", name=name))]
    if port:
        timed.append((0, 0, mido.MetaMessage("midi_port", port=port)))
    timed.append((0, 0, mido.Message("program_change", channel=channel, program=part.program)))
    columns = (notes.start_tick, notes.end_tick, notes.pitch, notes.velocity)
    for start, end, pitch, velocity in zip(*(column.tolist() for column in columns), strict=True):
        on = mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)
        off = mido.Message("note_off", channel=channel, note=pitch, velocity=0)
        # ends come before beginnings, so that a repeated note is not ended at once; but a note without length ends last
        timed += [(start, 2, on), (end, 1 if end > start else 3, off)]
    for _, down, up in notes.pedals[notes.pedals[:, 0] == part.track].tolist():
        press, release = (mido.Message("control_change", channel=channel, control=PEDAL, value=v) for v in (127, 0))
        timed += [(down, 2, press), (up, 1 if up > down else 3, release)]
    return timed


def _refuse_nested(notes: NoteSequence, name: str) -> None:
    """Raise ValueError where notes of a pitch do not end in the order of their starts, in which MIDI pairs them."""
    order = np.lexsort((notes.end_tick, notes.start_tick, notes.pitch))
    pitch, start, end = notes.pitch[order], notes.start_tick[order], notes.end_tick[order]
    nested = (pitch[1:] == pitch[:-1]) & (end[1:] < end[:-1])
    if nested.any():
        outer = int(np.argmax(nested))
        raise ValueError(
            f"{name}: pitch {pitch[outer]} at ticks {start[outer]}..{end[outer]} and again at "
            f"{start[outer + 1]}..{end[outer + 1]} inside it, which MIDI cannot store; use resolve_overlaps first"
        )


def _track(timed: list[_Timed], end: int) -> mido.MidiTrack:
    track = mido.MidiTrack()
    now = 0
    for tick, _, message in sorted(timed, key=lambda event: event[:2]):
        if tick - now > MAX_WAIT:
            raise ValueError(f"{tick - now} ticks without an event, MIDI holds at most {MAX_WAIT}; quantise first")
        track.append(message.copy(time=tick - now))
        now = tick
    # the track ends early if the silence at its end is longer than the format can store
    track.append(mido.MetaMessage("end_of_track", time=min(end - now, MAX_WAIT)))
    return track


class Part(NamedTuple):
    """The notes of one track that are played by one program or one drum kit."""

    track: int
    program: int
    is_drum: bool

    def of(self, notes: NoteSequence) -> npt.NDArray[np.bool_]:
        """[N] which notes belong to it."""
        drum: npt.NDArray[np.bool_] = notes.is_drum == self.is_drum
        which: npt.NDArray[np.bool_] = drum & (notes.track == self.track) & (notes.program == self.program)
        return which


def parts_of(notes: NoteSequence) -> list[Part]:
    """The parts that have notes, sorted by track, program, and melodic before drums."""
    rows = set(zip(notes.track.tolist(), notes.program.tolist(), notes.is_drum.tolist(), strict=True))
    return [Part(*row) for row in sorted(rows)]
