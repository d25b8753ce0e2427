"""Write NoteSequences as MusicXML scores for notation programs: bars, voices, ties, tuplets, beams, names of notes.

notes ─> parts ─> staves ─> voices of chords ─> bars of written notes, each of one note value ─> XML

Times are on a grid of 24 steps a quarter, which has 32nds and triplets of 16ths; a piece with other times, such as a
recorded performance, is moved to the nearest 12th of a quarter first. Drums are written without pitches.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.midi.programs import DRUMS, part_name
from seqaudio.notes.bars import Bar, bars
from seqaudio.notes.keys import with_key
from seqaudio.notes.quantise import nearest_step, resolve_overlaps
from seqaudio.notes.sequence import KeySignature, NoteSequence
from seqaudio.version import __version__

STEPS = 24  # of a quarter
COARSE = 12  # steps of a quarter for pieces that are on no grid
SHORTEST = 32  # denominator of a time signature, at most
HALF_BAR = 2 * STEPS  # of 4/4: a note value may cross the beat within it, not the middle of the bar
# steps -> type and dots, and the same in triplets, longest first
PLAIN = {
    144: ("whole", 1), 96: ("whole", 0), 72: ("half", 1), 48: ("half", 0), 36: ("quarter", 1), 24: ("quarter", 0),
    18: ("eighth", 1), 12: ("eighth", 0), 9: ("16th", 1), 6: ("16th", 0), 3: ("32nd", 0),
}  # fmt: skip
TRIPLETS = {16: ("quarter", 0), 8: ("eighth", 0), 4: ("16th", 0), 2: ("32nd", 0), 1: ("64th", 0)}
FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}
LETTERS = ("F", "C", "G", "D", "A", "E", "B")  # along the line of fifths, C at 0
SIGNS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
LOW, HIGH = 55, 65  # where staves may be divided: around middle C
WIDE = 24  # semitones; a part of more is written on two staves
MIDDLE = 60
# where drums are written on a staff: kicks, snares, hi-hats, toms, cymbals
DRUM_LINES = {
    35: "F4", 36: "F4", 38: "C5", 40: "C5", 42: "G5", 44: "D4", 46: "G5", 41: "A4", 43: "A4", 45: "B4", 47: "B4",
    48: "D5", 50: "E5", 49: "A5", 57: "A5", 51: "F5", 59: "F5",
}  # fmt: skip
OTHER_DRUM = "E5"

Pitches = tuple[int, ...]


class Chord(NamedTuple):
    """Notes that begin and end together, in steps."""

    start: int
    end: int
    pitches: Pitches  # rising


@dataclass
class Written:
    """A chord, or a rest, or a part of one, of one note value."""

    start: int
    length: int
    pitches: Pitches  # none for a rest
    kind: str = ""  # such as eighth; none for a rest of a whole bar
    dots: int = 0
    triplet: bool = False
    tied_from: bool = False  # a tie ends here
    tied_to: bool = False  # a tie begins here
    beams: tuple[str, ...] = ()
    bracket: str = ""  # start or stop of a tuplet


@dataclass(frozen=True)
class Part:
    """The notes of one track and instrument."""

    id: str
    name: str
    part: int  # program, or DRUMS
    staves: tuple[tuple[tuple[Chord, ...], ...], ...]  # voices of each staff


def musicxml(notes: NoteSequence, title: str = "", comments: Sequence[str] = ()) -> bytes:
    """A score in MusicXML 4.0, each track and instrument as a part. Equal notes give equal bytes.

    Key and tempo stand where they are; without a key signature the key is estimated, as the names of the notes depend
    on it. A part that ranges over more than two octaves around middle C gets two staves.

    Raises OptionError for a time signature of more than 32nds.
    """
    notes = with_key(on_grid(notes))
    measures = list(bars(notes))
    if wrong := next((bar for bar in measures if bar.time_signature.denominator > SHORTEST), None):
        raise OptionError(f"MusicXML of {wrong.time_signature.name}, expected time signatures of 1/{SHORTEST} or more")
    root = ElementTree.Element("score-partwise", version="4.0")
    if title:
        _add(_add(root, "work"), "work-title", title)
    identification = _add(root, "identification")
    _add(_add(identification, "encoding"), "software", f"seqaudio {__version__}")
    if comments:
        miscellaneous = _add(identification, "miscellaneous")
        for comment in comments:
            _add(miscellaneous, "miscellaneous-field", comment, name="source")
    found, listed = parts_of(notes), _add(root, "part-list")
    for part in found:
        _list_part(listed, part)
    for part in found:
        element = _add(root, "part", id=part.id)
        for place, bar in enumerate(measures):
            measure = _add(element, "measure", number=str(place + 1))
            _attributes(measure, notes, part, bar, measures[place - 1] if place else None)
            if part is found[0]:
                _tempos(measure, notes, bar)
            _bar_of_part(measure, part, bar, _key_at(notes, int(bar.start)))
        _add(_add(measure, "barline", location="right"), "bar-style", "light-heavy")
    ElementTree.indent(root)
    doctype = (
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">'
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}\n{ElementTree.tostring(root, "unicode")}\n'.encode()


def on_grid(notes: NoteSequence) -> NoteSequence:
    """The piece at STEPS ticks a quarter; where it has other times, they are moved to the nearest 12th of a quarter.

    No note is shorter than a step, or sounds into another of its part and pitch. Time and key signatures and tempos are
    moved as well. Pedals are left out.
    """
    times = np.concatenate([notes.start_tick, notes.end_tick])
    exact = not (times * STEPS % notes.ticks_per_quarter).any()
    coarse = STEPS if exact else COARSE

    def moved(ticks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return nearest_step(ticks, notes.ticks_per_quarter, coarse) * (STEPS // coarse)

    start = moved(notes.start_tick)
    end = np.maximum(moved(notes.end_tick), start + STEPS // coarse)
    signs = {sign.tick: sign for sign in notes.time_signatures}
    keys = {sign.tick: sign for sign in notes.key_signatures}
    moved_notes = NoteSequence.from_columns(
        start, end, notes.pitch, notes.velocity, notes.program, notes.track, notes.is_drum,
        ticks_per_quarter=STEPS,
        tempos=zip(moved(notes.tempo_tick).tolist(), notes.tempo.tolist(), strict=True),
        time_signatures=[replace(sign, tick=int(moved(np.array([tick]))[0])) for tick, sign in signs.items()],
        key_signatures=[replace(sign, tick=int(moved(np.array([tick]))[0])) for tick, sign in keys.items()],
        track_names=notes.track_names,
    )  # fmt: skip
    return resolve_overlaps(moved_notes)


def parts_of(notes: NoteSequence) -> list[Part]:
    """The parts of a piece on the grid, in the order of their tracks."""
    kinds = np.where(notes.is_drum, DRUMS, notes.program).tolist()
    found = sorted(set(zip(notes.track.tolist(), kinds, strict=True)))
    several = {track for track, _ in found if sum(other == track for other, _ in found) > 1}
    made = list[Part]()
    for track, kind in found:
        own = notes.select((notes.track == track) & (np.array(kinds) == kind))
        name = notes.track_names[track].strip()
        if not name or track in several:
            name = f"{name} ({part_name(kind)})" if name else part_name(kind)
        border = _border(own.pitch) if kind != DRUMS else None
        staves = [own] if border is None else [own.select(own.pitch >= border), own.select(own.pitch < border)]
        made.append(Part(f"P{len(made) + 1}", name, kind, tuple(tuple(voices_of(staff)) for staff in staves)))
    return made


def voices_of(notes: NoteSequence) -> Iterator[tuple[Chord, ...]]:
    """Chords that follow each other without overlaps, in as few voices as that takes, the highest voice first."""
    rows = sorted(set(zip(notes.start_tick.tolist(), notes.end_tick.tolist(), notes.pitch.tolist(), strict=True)))
    grouped = groupby(rows, key=lambda row: row[:2])
    chords = [Chord(start, end, tuple(pitch for *_, pitch in group)) for (start, end), group in grouped]
    voices: list[list[Chord]] = []
    for chord in sorted(chords, key=lambda chord: (chord.start, -chord.pitches[-1])):
        free = [voice for voice in voices if voice[-1].end <= chord.start]
        if free:
            free[0].append(chord)
        else:
            voices.append([chord])
    yield from (tuple(voice) for voice in voices)


def _border(pitches: npt.NDArray[np.int16]) -> int | None:
    """The lowest pitch of the upper staff: halfway between low and high pitches; None where one staff is enough."""
    if not len(pitches) or np.ptp(pitches) <= WIDE or not pitches.min() < LOW < HIGH < pitches.max():
        return None
    low, high = pitches[pitches < MIDDLE], pitches[pitches >= MIDDLE]
    return int(np.clip(round((float(low.mean()) + float(high.mean())) / 2), LOW, HIGH))


def _list_part(listed: ElementTree.Element, part: Part) -> None:
    name = part.id
    element = _add(listed, "score-part", id=name)
    _add(element, "part-name", part.name)
    if part.part != DRUMS:
        _add(_add(element, "score-instrument", id=f"{name}-I1"), "instrument-name", part_name(part.part))
        midi = _add(element, "midi-instrument", id=f"{name}-I1")
        _add(midi, "midi-program", str(part.part + 1))
        return
    from pretty_midi import note_number_to_drum_name

    pitches = sorted({pitch for staff in part.staves for voice in staff for chord in voice for pitch in chord.pitches})
    for pitch in pitches:
        _add(
            _add(element, "score-instrument", id=f"{name}-I{pitch}"), "instrument-name", note_number_to_drum_name(pitch)
        )
    for pitch in pitches:
        midi = _add(element, "midi-instrument", id=f"{name}-I{pitch}")
        _add(midi, "midi-channel", "10")
        _add(midi, "midi-unpitched", str(pitch + 1))


def _bar_of_part(measure: ElementTree.Element, part: Part, bar: Bar, key: KeySignature) -> None:
    """The voices of a part in a bar, one after the other, from its first staff on."""
    start, end = int(bar.start), int(bar.end)
    voice_number = 0
    for staff, voices in enumerate(part.staves, start=1):
        busy = [voice for voice in voices if any(chord.start < end and chord.end > start for chord in voice)]
        lanes = [list(_written(voice, bar)) for voice in busy or [()]]
        signs = _accidentals(lanes, key)
        for number, lane in enumerate(lanes):
            voice_number += 1
            if voice_number > 1:
                _add(_add(measure, "backup"), "duration", str(end - start))
            for one in lane:
                if number and not one.pitches:  # only the first voice of a staff shows its rests
                    _add(_add(measure, "forward"), "duration", str(one.length))
                else:
                    _note(measure, part, one, (str(voice_number), str(staff)), key, signs)


def _attributes(measure: ElementTree.Element, notes: NoteSequence, part: Part, bar: Bar, before: Bar | None) -> None:
    now = _key_at(notes, int(bar.start))
    keyed = before is None or now != _key_at(notes, int(before.start))
    metred = before is None or bar.time_signature.name != before.time_signature.name
    if not keyed and not metred:
        return
    attributes = _add(measure, "attributes")
    if before is None:
        _add(attributes, "divisions", str(STEPS))
    if keyed:
        key = _add(attributes, "key")
        _add(key, "fifths", str(now.sharps))
        _add(key, "mode", "minor" if now.minor else "major")
    if metred:
        time = _add(attributes, "time")
        _add(time, "beats", str(bar.time_signature.numerator))
        _add(time, "beat-type", str(bar.time_signature.denominator))
    if before is not None:
        return
    if len(part.staves) > 1:
        _add(attributes, "staves", str(len(part.staves)))
    for number, voices in enumerate(part.staves, start=1):
        clef = _add(attributes, "clef", **({"number": str(number)} if len(part.staves) > 1 else {}))
        sign, line = _clef(part, voices, number)
        _add(clef, "sign", sign)
        if line:
            _add(clef, "line", line)


def _clef(part: Part, voices: Sequence[Sequence[Chord]], number: int) -> tuple[str, str]:
    if part.part == DRUMS:
        return "percussion", ""
    if len(part.staves) > 1:
        return ("G", "2") if number == 1 else ("F", "4")
    pitches = [pitch for voice in voices for chord in voice for pitch in chord.pitches]
    return ("G", "2") if float(np.median(pitches)) >= MIDDLE - 1 else ("F", "4")


def _tempos(measure: ElementTree.Element, notes: NoteSequence, bar: Bar) -> None:
    start, end = int(bar.start), int(bar.end)
    for tick, tempo in zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True):
        if not start <= tick < end:
            continue
        quarters = f"{60e6 / tempo:.6g}"
        direction = _add(measure, "direction", placement="above")
        metronome = _add(_add(direction, "direction-type"), "metronome")
        _add(metronome, "beat-unit", "quarter")
        _add(metronome, "per-minute", f"{60e6 / tempo:.4g}")
        if tick > start:
            _add(direction, "offset", str(tick - start), sound="yes")
        _add(direction, "sound", tempo=quarters)


def _written(voice: Sequence[Chord], bar: Bar) -> Iterator[Written]:
    """The notes and rests of a voice in a bar, each of one value, with beams and brackets."""
    start, end = int(bar.start), int(bar.end)
    now, made = start, list[Written]()
    for chord in voice:
        if chord.end <= start or chord.start >= end:
            continue
        begin, until = max(chord.start, start), min(chord.end, end)
        made += _values(now, begin, (), bar)
        values = list(_values(begin, until, chord.pitches, bar))
        for number, value in enumerate(values):
            value.tied_from = number > 0 or chord.start < start
            value.tied_to = number + 1 < len(values) or chord.end > end
        made += values
        now = until
    if not made:
        yield Written(start, end - start, ())
        return
    made += _values(now, end, (), bar)
    _beam(made, bar)
    _bracket(made, bar)
    yield from made


def _values(begin: int, until: int, pitches: Pitches, bar: Bar) -> Iterator[Written]:
    """A time from step to step as note values that follow each other. Off the beat they end with it."""
    start, beat = int(bar.start), max(1, int(bar.beat))
    common = bar.time_signature.numerator == 4 and beat == STEPS
    while begin < until:
        at, left = begin - start, until - begin
        inside = beat - at % beat
        if common and at % (STEPS // 2) == 0 and at % STEPS and left in PLAIN and left <= HALF_BAR - at % HALF_BAR:
            limit = left  # a syncopation within half a bar
        elif at % beat or left < beat:
            limit = min(left, inside)
        elif left % 3 or (beat % 36 == 0 and left % beat):  # in compound time beats are not crossed
            limit = left // beat * beat
        else:
            limit = left
        binary = at % beat % 3 == 0 and limit % 3 == 0
        values = PLAIN if binary else TRIPLETS
        length = next(value for value in values if value <= limit)
        kind, dots = values[length]
        yield Written(begin, length, pitches, kind, dots, not binary)
        begin += length


def _groups(made: Sequence[Written], bar: Bar) -> Iterator[list[Written]]:
    """The notes and rests of each beat."""
    start, beat = int(bar.start), max(1, int(bar.beat))
    yield from (list(group) for _, group in groupby(made, key=lambda one: (one.start - start) // beat))


def _beam(made: Sequence[Written], bar: Bar) -> None:
    for group in _groups(made, bar):
        for short, run in groupby(group, key=lambda one: bool(one.pitches) and one.kind in FLAGS):
            notes = list(run)
            if short and len(notes) > 1:
                flags = [FLAGS[one.kind] for one in notes]
                for place, one in enumerate(notes):
                    one.beams = tuple(_beam_at(flags, place, level) for level in range(1, flags[place] + 1))


def _beam_at(flags: Sequence[int], place: int, level: int) -> str:
    """The value of a MusicXML beam of a level at a note: begin, continue, end, or a hook."""
    left = place > 0 and flags[place - 1] >= level
    right = place + 1 < len(flags) and flags[place + 1] >= level
    if left and right:
        return "continue"
    if right:
        return "begin"
    if left:
        return "end"
    return "backward hook" if place else "forward hook"


def _bracket(made: Sequence[Written], bar: Bar) -> None:
    for group in _groups(made, bar):
        for triplet, run in groupby(group, key=lambda one: one.triplet):
            notes = list(run)
            if triplet and len(notes) > 1:
                notes[0].bracket, notes[-1].bracket = "start", "stop"


def _key_at(notes: NoteSequence, tick: int) -> KeySignature:
    """The key in force, at tick 0, that of the first signature before it."""
    now = [key for key in notes.key_signatures if key.tick <= tick] or list(notes.key_signatures[:1])
    return replace(now[-1], tick=0) if now else KeySignature(0, 0, False)


def spelt(pitch: int, key: KeySignature) -> tuple[str, int, int]:
    """Letter, sharps (negative: flats) and octave of a pitch: the name nearest to the key on the line of fifths.

    From three fifths below the tonic of the major key of the same signature to eight above: in C major E flat to
    G sharp.
    """
    lowest = key.sharps - 3
    place = lowest + (pitch * 7 - lowest) % 12
    sharps, letter = divmod(place + 1, 7)
    return LETTERS[letter], sharps, (pitch - sharps) // 12 - 1


def _signs_of(key: KeySignature) -> dict[str, int]:
    """The sign of each letter in a key signature."""
    return {letter: (place < key.sharps) - (place >= len(LETTERS) + key.sharps) for place, letter in enumerate(LETTERS)}


def _accidentals(lanes: Sequence[Sequence[Written]], key: KeySignature) -> dict[tuple[int, int], str]:
    """The accidental that is written before a pitch at a step of a bar, in the voices of one staff together."""
    signature = _signs_of(key)
    shown: dict[tuple[str, int], int] = {}
    signs = {}
    for one in sorted((one for lane in lanes for one in lane), key=lambda one: one.start):
        for pitch in one.pitches:
            letter, sharps, octave = spelt(pitch, key)
            if sharps != shown.get((letter, octave), signature[letter]) and not one.tied_from:
                signs[one.start, pitch] = SIGNS[sharps]
            if not one.tied_from:
                shown[letter, octave] = sharps
    return signs


def _note(
    measure: ElementTree.Element,
    part: Part,
    one: Written,
    place: tuple[str, str],
    key: KeySignature,
    signs: dict[tuple[int, int], str],
) -> None:
    """The notes of a chord, or a rest, in a voice and a staff."""
    voice, staff = place
    for number, pitch in enumerate(one.pitches or (None,)):
        note = _add(measure, "note")
        if number:
            _add(note, "chord")
        if pitch is None:
            _add(note, "rest", **({} if one.kind else {"measure": "yes"}))
        elif part.part == DRUMS:
            unpitched = _add(note, "unpitched")
            line = DRUM_LINES.get(pitch, OTHER_DRUM)
            _add(unpitched, "display-step", line[0])
            _add(unpitched, "display-octave", line[1])
        else:
            letter, sharps, octave = spelt(pitch, key)
            written = _add(note, "pitch")
            _add(written, "step", letter)
            if sharps:
                _add(written, "alter", str(sharps))
            _add(written, "octave", str(octave))
        _add(note, "duration", str(one.length))
        ties = [kind for kind, tied in (("stop", one.tied_from), ("start", one.tied_to)) if tied and pitch is not None]
        for kind in ties:
            _add(note, "tie", type=kind)
        if part.part == DRUMS and pitch is not None:
            _add(note, "instrument", id=f"{part.id}-I{pitch}")
        _add(note, "voice", voice)
        if one.kind:
            _add(note, "type", one.kind)
        for _ in range(one.dots):
            _add(note, "dot")
        if pitch is not None and part.part != DRUMS and (sign := signs.get((one.start, pitch))):
            _add(note, "accidental", sign)
        if one.triplet:
            modification = _add(note, "time-modification")
            _add(modification, "actual-notes", "3")
            _add(modification, "normal-notes", "2")
        if len(part.staves) > 1:
            _add(note, "staff", staff)
        if not number:
            for level, beam in enumerate(one.beams, start=1):
                _add(note, "beam", beam, number=str(level))
        bracket = one.bracket if not number else ""
        if ties or bracket:
            notations = _add(note, "notations")
            for kind in ties:
                _add(notations, "tied", type=kind)
            if bracket:
                _add(notations, "tuplet", type=bracket)


def _add(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag, attributes)
    if text:
        element.text = _printable(text)
    return element


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
