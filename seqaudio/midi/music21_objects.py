"""Convert NoteSequences to streams of music21 and back, for its analyses and notations. Needs the extra `chorales`."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from seqaudio.errors import OptionError, SourceError, how_to_install
from seqaudio.midi.events import DRUM_CHANNEL
from seqaudio.midi.writing import RESOLUTION, parts_of
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature

VELOCITY = 64  # of notes that have none


def to_music21(notes: NoteSequence) -> Any:
    """A `music21.stream.Score` with a part for each (track, program, drum), in that order, at sounding pitch.

    Notes have their times in quarters, exactly, and their velocities; the first part has tempos, time and key
    signatures. Parts have no measures; `score.makeNotation()` gives them. Left out: pedals.

    Raises SourceError where music21 is not installed.
    """
    music21 = load_music21()
    score = music21.stream.Score()
    for number, part in enumerate(parts_of(notes)):
        stream = music21.stream.Part()
        stream.partName = notes.track_names[part.track]
        stream.atSoundingPitch = True  # else a clarinet's notes would be taken for written ones
        if part.is_drum:
            instrument = music21.instrument.UnpitchedPercussion()
            instrument.midiChannel = DRUM_CHANNEL
        else:
            instrument = music21.instrument.instrumentFromMidiProgram(part.program)
            if instrument.midiChannel == DRUM_CHANNEL:  # music21 plays woodblocks and others as drums
                instrument = music21.instrument.Instrument(instrument.instrumentName)
        instrument.midiProgram, instrument.partName = part.program, stream.partName
        stream.insert(0, instrument)
        if not number:
            _insert_maps(music21, stream, notes)
        here = notes.select(part.of(notes))
        columns = (here.start_tick, here.end_tick, here.pitch, here.velocity)
        for start, end, pitch, velocity in zip(*(column.tolist() for column in columns), strict=True):
            note = music21.note.Note(music21.pitch.Pitch(midi=pitch))
            note.quarterLength = Fraction(end - start, notes.ticks_per_quarter)  # as an argument 0 counts as none
            note.volume.velocity = velocity
            stream.insert(Fraction(start, notes.ticks_per_quarter), note)
        score.insert(0, stream)
    if not len(notes):
        _insert_maps(music21, score, notes)
    return score


def from_music21(stream: Any, ticks_per_quarter: int = RESOLUTION) -> NoteSequence:
    """The notes of a `music21` Score, Part or other Stream: each part becomes a track, at sounding pitch.

    Times are rounded to the nearest tick; those of `to_music21` are exact at the same resolution. Tied notes become
    one, an upbeat is preceded by silence, so that tick 0 begins a full bar. Notes without a velocity have 64. Left out:
    grace notes, dynamics, repeats (`expandRepeats` plays them), chord symbols.

    Raises:
        OptionError: no stream, or an Opus, which holds several pieces.
        ValueError: values that a NoteSequence cannot have, such as 3/5.
    """
    if not hasattr(stream, "flatten") or not hasattr(stream, "recurse") or "Opus" in stream.classes:
        raise OptionError(f"got {type(stream).__name__}, expected a Score, Part or other Stream of one piece")
    if any(instrument.transposition for instrument in stream.recurse().getElementsByClass("Instrument")):
        stream = stream.toSoundingPitch()
    parts = list(stream.parts) if hasattr(stream, "parts") and stream.parts else [stream]
    upbeat = missing_before(parts[0], ticks_per_quarter)
    rows, programs, drums = [], [], []
    for track, part in enumerate(parts):
        shift = 0 if part is stream else part.getOffsetBySite(stream)
        program, is_drum = _instrument(part)
        notes = (note for note in part.flatten().notes if "ChordSymbol" not in note.classes)
        found = joined_notes(((shift + note.offset, note) for note in notes), ticks_per_quarter)
        rows += [(start + upbeat, end + upbeat, pitch, velocity, track) for start, end, pitch, velocity in found]
        programs += [program] * len(found)
        drums += [is_drum] * len(found)
    start, end, pitch, velocity, track_of = zip(*rows, strict=True) if rows else [()] * 5
    maps = parts[0].flatten()
    directly = (
        [] if parts[0] is stream else stream.getElementsByClass(["MetronomeMark", "TimeSignature", "KeySignature"])
    )

    def timed(name: str) -> list[tuple[int, Any]]:
        every = [*maps.getElementsByClass(name), *(one for one in directly if name in one.classes)]
        ticks = (_ticks(one.offset, ticks_per_quarter) for one in every)
        # the first one holds from the beginning of the bar that the upbeat completes
        return [(tick + upbeat if tick else 0, one) for tick, one in zip(ticks, every, strict=True)]

    return NoteSequence.from_columns(
        start,
        end,
        pitch,
        velocity,
        programs,
        track_of,
        drums,
        ticks_per_quarter=ticks_per_quarter,
        tempos=[
            (tick, round(6e7 / quarters))
            for tick, mark in timed("MetronomeMark")
            if (quarters := mark.getQuarterBPM()) is not None
        ],
        time_signatures=[TimeSignature(tick, one.numerator, one.denominator) for tick, one in timed("TimeSignature")],
        key_signatures=[
            KeySignature(tick, one.sharps, getattr(one, "mode", None) == "minor") for tick, one in timed("KeySignature")
        ],
        track_names=[str(getattr(part, "partName", None) or "") for part in parts],
    )


def load_music21() -> ModuleType:
    """The package, imported when needed, which takes half a second, and by name, so that mypy does not check it.

    Raises SourceError where it is not installed.
    """
    if find_spec("music21") is None:
        raise SourceError(f"music21 is not installed; run {how_to_install('chorales')}")
    return import_module("music21")


def joined_notes(timed: Iterable[tuple[Any, Any]], ticks_per_quarter: int) -> list[list[int]]:
    """[start, end, pitch, velocity] of the notes and chords of one part, tied ones joined; grace notes are left out.

    timed: the offset in quarters and the note, in order of time.
    """
    rows: list[list[int]] = []
    tied: dict[int, list[int]] = {}  # pitch -> the row that a tie continues
    for offset, note in timed:
        if note.duration.isGrace:
            continue
        start = _ticks(offset, ticks_per_quarter)
        end = start + _ticks(note.quarterLength, ticks_per_quarter)
        tie = note.tie.type if note.tie else ""
        for pitch, velocity in _sounds(note):
            row = tied.pop(pitch, None)
            if row is not None and row[1] == start and tie in ("continue", "stop"):
                row[1] = end
            else:
                row = [start, end, pitch, velocity]
                rows.append(row)
            if tie in ("start", "continue"):
                tied[pitch] = row
    return rows


def missing_before(part: Any, ticks_per_quarter: int) -> int:
    """Ticks by which the first measure is shorter than a full bar."""
    measures = list(part.getElementsByClass("Measure"))
    if len(measures) < 2:
        return 0
    whole, until = measures[0].barDuration.quarterLength, measures[1].offset
    return max(0, _ticks(whole, ticks_per_quarter) - _ticks(until, ticks_per_quarter))


def _sounds(note: Any) -> list[tuple[int, int]]:
    """Pitch and velocity of each note of a note or chord; drums without a pitch sound at that of their line."""
    velocity = _velocity(note.volume, VELOCITY)
    if hasattr(note, "pitches") and note.pitches:
        each = getattr(note, "notes", None) or [note] * len(note.pitches)
        volumes = [_velocity(one.volume, velocity) for one in each]
        return [(pitch.midi, volume) for pitch, volume in zip(note.pitches, volumes, strict=True)]
    return [(note.displayPitch().midi, velocity)] if hasattr(note, "displayPitch") else []


def _velocity(volume: Any, otherwise: int) -> int:
    return otherwise if volume is None or volume.velocity is None else min(127, max(1, round(volume.velocity)))


def _instrument(part: Any) -> tuple[int, bool]:
    """The program of a part, piano where it has none, and whether it is drums."""
    for instrument in part.recurse().getElementsByClass("Instrument"):
        unpitched = "UnpitchedPercussion" in instrument.classes and instrument.midiProgram is None
        return instrument.midiProgram or 0, instrument.midiChannel == DRUM_CHANNEL or unpitched
    return 0, False


def _insert_maps(music21: ModuleType, stream: Any, notes: NoteSequence) -> None:
    """Insert tempos, time signatures and key signatures at their times."""
    timed: list[tuple[int, Any]] = [
        (tick, music21.tempo.MetronomeMark(number=6e7 / tempo, referent=1.0))
        for tick, tempo in zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True)
    ]
    timed += [(one.tick, music21.meter.TimeSignature(one.name)) for one in notes.time_signatures]
    for key in notes.key_signatures:
        signs = music21.key.KeySignature(key.sharps)
        timed.append((key.tick, signs.asKey("minor") if key.minor else signs.asKey("major")))
    for tick, one in timed:
        stream.insert(Fraction(tick, notes.ticks_per_quarter), one)


def _ticks(quarters: float | Fraction, ticks_per_quarter: int) -> int:
    """The nearest tick; at 480 exact for note values such as 32nds and triplets."""
    return round(quarters * ticks_per_quarter)
