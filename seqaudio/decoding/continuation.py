"""Give a continued piece what its tokens do not keep of the primer: tempo, time signatures, instrument; cut it off."""

from __future__ import annotations

from dataclasses import replace
from math import floor

import numpy as np
import numpy.typing as npt

from seqaudio.notes.bars import bars
from seqaudio.notes.operations.excerpt import excerpt
from seqaudio.notes.quantise import nearest_step
from seqaudio.notes.sequence import NoteSequence, TimeSignature, tempo_map
from seqaudio.tokens.representation import Representation

RESOLUTION = 480  # ticks per quarter of pieces whose representation keeps seconds


def like_primer(notes: NoteSequence, primer: NoteSequence, representation: Representation) -> NoteSequence:
    """A decoded piece that begins with the notes of a primer, played as the primer is.

    Tempos are those of the primer, and its last one holds to the end. So do its time signatures: they replace those
    that the representation wrote for them (3/4 for 6/8); changes that the model writes later stay. Where the
    representation writes no programs, all notes get the one that most notes of the primer have.
    """
    primer = representation.aligned(primer)
    if representation.timing == "second":
        notes = in_quarters(notes, primer)
    until = _until(notes, primer, representation)
    ticks = _ticks_in(notes, primer, primer.tempo_tick)
    tempos = zip(ticks, primer.tempo.tolist(), strict=True)
    tempo_tick, tempo = tempo_map(pair for pair in tempos if pair[0] < until)
    made = replace(notes, tempo_tick=tempo_tick, tempo=tempo, time_signatures=_metres(notes, primer, until))
    pitched = primer.program[~primer.is_drum]
    if not representation.writes_programs and len(pitched):
        made = made.with_columns(program=np.full(len(made), np.bincount(pitched).argmax(), dtype=np.int16))
    return made


def in_quarters(notes: NoteSequence, primer: NoteSequence) -> NoteSequence:
    """The notes at the same seconds, their ticks counted in the tempos of another piece, such as a primer."""
    elapsed = primer.seconds(primer.tempo_tick)

    def ticks(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        index = np.searchsorted(elapsed, seconds, side="right") - 1
        quarters = primer.tempo_tick[index] / primer.ticks_per_quarter
        quarters += (seconds - elapsed[index]) * 1e6 / primer.tempo[index]
        return np.rint(quarters * RESOLUTION).astype(np.int64)

    start = ticks(notes.start)
    moved = notes.with_columns(start_tick=start, end_tick=np.maximum(ticks(notes.end), start + 1))
    return replace(moved, ticks_per_quarter=RESOLUTION)


def _until(notes: NoteSequence, primer: NoteSequence, representation: Representation) -> int:
    """The tick of `notes`, at least 1, of the first note that is not the primer's; the end where all are."""
    own = representation.quantise(primer)
    if representation.timing == "second":
        own = in_quarters(own, primer)
    count = min(len(own), len(notes))
    same = (own.start_tick[:count] == notes.start_tick[:count]) & (own.pitch[:count] == notes.pitch[:count])
    first = count if same.all() else int(np.argmin(same))
    return max(1, int(notes.start_tick[first]) if first < len(notes) else notes.last_tick)


def without_primer(notes: NoteSequence, own: npt.NDArray[np.bool_], on_bar: bool) -> NoteSequence:
    """A continued piece without the notes of its primer; tempo, time signature and key that hold there stay.

    It begins at the bar line where the primer ended: the first one that lies behind all of the primer's notes, or an
    earlier one where a new note begins before that. So bars stay bars. Where `on_bar` is False it begins at the tick
    at which the primer ended, or an earlier one at which a new note begins.

    Args:
        own: [N] whether a note is the primer's.
    Raises ValueError where there is no other note.
    """
    if own.all():
        raise ValueError("no note comes after the primer")
    ended = int(notes.end_tick[own].max(initial=0))
    first = int(notes.start_tick[~own].min())
    begin = min(ended, first)
    if on_bar:
        lines = [floor(bar.start) for bar in bars(notes)]
        behind = next((line for line in lines if line >= ended), first)
        begin = min(behind, max(line for line in lines if line <= first))
    return excerpt(notes.select(~own), begin, notes.last_tick + 1)


def played_as(notes: NoteSequence, other: NoteSequence) -> NoteSequence:
    """Notes with the tempos and, where it has any, the time signatures of another piece of the same quarters."""
    tempos = zip(_ticks_in(notes, other, other.tempo_tick), other.tempo.tolist(), strict=True)
    tempo_tick, tempo = tempo_map(tempos)
    given = other.time_signatures
    places = _ticks_in(notes, other, np.array([signature.tick for signature in given], dtype=np.int64))
    metres = tuple(replace(one, tick=tick) for one, tick in zip(given, places, strict=True)) or notes.time_signatures
    return replace(notes, tempo_tick=tempo_tick, tempo=tempo, time_signatures=metres)


def _metres(notes: NoteSequence, primer: NoteSequence, until: int) -> tuple[TimeSignature, ...]:
    """The primer's time signatures before the tick `until`, then those of the notes."""
    given = primer.time_signatures
    if not given:
        return notes.time_signatures
    ticks = _ticks_in(notes, primer, np.array([signature.tick for signature in given], dtype=np.int64))
    kept = {tick: replace(one, tick=tick) for one, tick in zip(given, ticks, strict=True) if tick < until}
    return (*kept.values(), *(later for later in notes.time_signatures if later.tick >= until))


def _ticks_in(notes: NoteSequence, primer: NoteSequence, ticks: npt.NDArray[np.int64]) -> list[int]:
    """Ticks of the primer at the resolution of the notes."""
    scaled: list[int] = nearest_step(ticks, primer.ticks_per_quarter, notes.ticks_per_quarter).tolist()
    return scaled
