"""Read scores (MusicXML, Humdrum, ABC) into NoteSequences, through music21."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from seqaudio.errors import InputFileError, SourceError, how_to_install
from seqaudio.ledger import Reason
from seqaudio.midi.music21_objects import joined_notes, load_music21, missing_before
from seqaudio.midi.writing import RESOLUTION
from seqaudio.notes.sequence import NoteSequence, TimeSignature


def music21_corpus() -> Path:
    """The folder of scores inside the package music21. Raises SourceError where that is not installed."""
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        raise SourceError(f"music21, which brings the scores, is not installed; run {how_to_install('chorales')}")
    return Path(spec.origin).parent / "corpus"


def read_score(path: Path, repeats: bool = False) -> NoteSequence:
    """A score as notes, each part as a track of its name. Grace notes are left out.

    Tied notes become one. An upbeat is preceded by silence, so that tick 0 begins a full bar.

    repeats: whether they are played, with first and second endings; otherwise the score is read as it is written.

    Raises:
        InputFileError: DAMAGED where music21 cannot read the file, NO_NOTES where it has no notes.
    """
    music21_corpus()  # says what it brings where it is not installed
    music21 = load_music21()
    with _scratch_folder(music21):
        try:
            # without forceSource music21 would read a cached pickle, or write one
            score = music21.converter.parse(path, forceSource=True)
            score = score.expandRepeats() if repeats else score
        except Exception as error:
            # music21 does not wrap the errors of its parsers, so any kind may come
            raise InputFileError(path, Reason.DAMAGED, f"{type(error).__name__}: {error}") from error
    parts = list(score.parts)
    rows = [row for track, part in enumerate(parts) for row in _rows(part, track)]
    if not rows:
        raise InputFileError(path, Reason.NO_NOTES, f"{len(parts)} parts without a note")
    upbeat = missing_before(parts[0], RESOLUTION)
    start, end, pitch, track = zip(*rows, strict=True)
    return NoteSequence.from_columns(
        [tick + upbeat for tick in start],
        [tick + upbeat for tick in end],
        pitch,
        track=track,
        ticks_per_quarter=RESOLUTION,
        time_signatures=_time_signatures(parts[0], upbeat),
        track_names=[part.partName or "" for part in parts],
    )


@contextmanager
def _scratch_folder(music21: ModuleType) -> Iterator[None]:
    """Give music21 a temporary folder for the files that it leaves behind, and delete it afterwards."""
    environment = music21.environment.Environment()
    before = environment["directoryScratch"]
    with tempfile.TemporaryDirectory() as folder:
        environment["directoryScratch"] = folder
        try:
            yield
        finally:
            environment["directoryScratch"] = before


def _rows(part: Any, track: int) -> list[list[int]]:
    """[start, end, pitch, track] of the notes of one part, tied ones joined."""
    timed = (
        (measure.offset + note.getOffsetInHierarchy(measure), note)
        for measure in part.getElementsByClass("Measure")
        # by time, as a tie may lead from one voice to another
        for note in sorted(measure.recurse().notes, key=lambda one: one.getOffsetInHierarchy(measure))
    )
    return [[start, end, pitch, track] for start, end, pitch, _ in joined_notes(timed, RESOLUTION)]


def _time_signatures(part: Any, upbeat: int) -> list[TimeSignature]:
    signatures = []
    for measure in part.getElementsByClass("Measure"):
        for found in measure.getElementsByClass("TimeSignature"):
            tick = round((measure.offset + found.offset) * RESOLUTION)
            # the first one holds from the beginning of the bar that the upbeat completes
            signatures.append(TimeSignature(tick + upbeat if tick else 0, found.numerator, found.denominator))
    return signatures
