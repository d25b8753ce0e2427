"""Read MIDI files into NoteSequences, through a guarded child process: no file can crash or hang the program."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from seqaudio.errors import MidiError
from seqaudio.files import open_plain
from seqaudio.ledger import Reason
from seqaudio.midi.assembly import Songs, assemble
from seqaudio.midi.guard import LIMITS, MAX_TOGETHER, Parsed, ReadingLimits, parse
from seqaudio.notes.operations.timing import apply_pedals
from seqaudio.notes.sequence import NoteSequence

__all__ = ["LIMITS", "SUFFIXES", "Pedal", "ReadingLimits", "is_midi", "read_many", "read_midi", "read_songs"]

SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")  # of MIDI files, in any case; karaoke and RIFF files are MIDI too

VERSION = 2  # of the code that reads: raise it whenever a file gives other notes (tests/test_code_versions.py)

Source = Path | str | bytes
Pedal = Literal["kept", "applied"]  # the options of users
Pedals = Literal["kept", "applied", "unread"]
FIRST, TOGETHER = 4, 16  # files in the first batch, small so that the first result comes soon, and in the largest
AHEAD = 2  # batches that are parsed ahead


def read_midi(
    source: Source, limits: ReadingLimits = LIMITS, pedal: Pedals = "kept", controls: bool = False
) -> NoteSequence:
    """The notes of a MIDI file.

    A note ends at the first note-off of its pitch and channel that no earlier note took. Where a track has fewer
    note-offs of a pitch than note-ons, a note-off in another track ends the note, or else the next note-on of its
    pitch, as in players; a note that nothing ends is closed at the end of its track. Remarks count these notes
    (`midi/repairs.py`). Each channel and program of a track becomes a track; a sustain pedal belongs to every track of
    its channel, and so does a program that a track does not set itself. A file with an SMPTE clock gets quarters of one
    second (1.001 s at drop frame) and loses its tempos. Each with a remark, invalid signatures are left out, data bytes
    above 127 are read as 127, and bytes between tracks are skipped. Names that are not UTF-8 are read as Latin-1.

    Args:
        source: a path, or the bytes of a file.
        pedal: `kept` ends notes where their keys are released, as pretty_midi and scores do, and stores the sustain
            pedal separately (`NoteSequence.pedals`); `applied` prolongs notes by the pedal, as they sound. `unread` is
            `kept` without the pedals, which is faster.
        controls: read volume, pan, expression and bends as well, for `render` (`NoteSequence.controls`).

    Raises:
        MidiError: MISSING or UNREADABLE, EMPTY, NOT_MIDI, TRUNCATED, DAMAGED (also format 2 with several songs, which
            `read_songs` reads), NO_NOTES, TOO_LONG for a file above the size limit or with too many tracks or ticks,
            PARSER_CRASHED, PARSER_TIMEOUT.
        SeqAudioError: the parser cannot be started.
    """
    songs = read_songs(source, limits, pedal, controls)
    if len(songs) > 1:
        detail = (
            f"{len(songs)} songs in one file (format 2), expected one; save each as a file of its own "
            f"(`seqaudio info` describes all of them, `seqaudio prepare` makes each a piece)"
        )
        raise MidiError(_name(source), Reason.DAMAGED, detail)
    return songs[0]


def read_songs(source: Source, limits: ReadingLimits = LIMITS, pedal: Pedals = "kept", controls: bool = False) -> Songs:
    """As `read_midi`, but also for files of format 2: one NoteSequence for each song with notes."""
    batch = _Batch([_name(source)], [_load(source, limits)])
    (made,) = _made(batch, _parse(batch, limits, pedal, controls), pedal)
    if isinstance(made, MidiError):
        raise made
    return made


def read_many(
    sources: Iterable[Source], limits: ReadingLimits = LIMITS, pedal: Pedals = "kept"
) -> Iterator[Songs | MidiError]:
    """The result or the error of `read_songs` for each of many files, in order. Later files are parsed meanwhile.

    Raises SeqAudioError where the parser cannot be started.
    """
    with ThreadPoolExecutor(1, "midi") as parser:
        ahead = deque[tuple[_Batch, Future[list[Parsed]]]]()
        for batch in _batches(sources, limits):
            ahead.append((batch, parser.submit(_parse, batch, limits, pedal)))
            if len(ahead) > AHEAD:
                ready, parsed = ahead.popleft()
                yield from _made(ready, parsed.result(), pedal)
        for ready, parsed in ahead:
            yield from _made(ready, parsed.result(), pedal)


class _Batch(NamedTuple):
    """Files that are parsed together: their names, and their bytes or errors."""

    names: list[str]
    files: list[bytes | MidiError]


def _batches(sources: Iterable[Source], limits: ReadingLimits) -> Iterator[_Batch]:
    batch, size, most = _Batch([], []), 0, FIRST
    for source in sources:
        file = _load(source, limits)
        more = len(file) if isinstance(file, bytes) else 0
        if batch.files and (len(batch.files) == most or size + more > MAX_TOGETHER):
            yield batch
            batch, size, most = _Batch([], []), 0, min(2 * most, TOGETHER)
        batch.names.append(_name(source))
        batch.files.append(file)
        size += more
    if batch.files:
        yield batch


def is_midi(path: Path) -> bool:
    """Whether a file is MIDI by its suffix, or begins as MIDI files do. Raises OSError where it cannot be opened."""
    if path.suffix.lower() in SUFFIXES:
        return True
    if not path.is_file():
        return False
    with open_plain(path) as file:
        head = file.read(12)
    return head[:4] == b"MThd" or (head[:4] == b"RIFF" and head[8:] == b"RMID")


def _name(source: Source) -> str:
    return "<bytes>" if isinstance(source, bytes) else str(source)


def _load(source: Source, limits: ReadingLimits) -> bytes | MidiError:
    most = limits.largest_file * 10**6
    if isinstance(source, bytes):
        data = source
    else:
        try:
            path = source if isinstance(source, Path) else Path(source)
            with open_plain(path, buffering=0) as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            return MidiError(source, Reason.MISSING, "no such file")
        except OSError as error:
            return MidiError(source, Reason.UNREADABLE, error.strerror or type(error).__name__)
    if len(data) > most:
        return MidiError(_name(source), Reason.TOO_LONG, f"more than {limits.largest_file} megabytes")
    return data


def _parse(batch: _Batch, limits: ReadingLimits, pedal: Pedals, controls: bool = False) -> list[Parsed]:
    files = [file for file in batch.files if isinstance(file, bytes)]
    return parse(files, limits, pedal != "unread", controls) if files else []


def _made(batch: _Batch, parsed: list[Parsed], pedal: Pedals) -> Iterator[Songs | MidiError]:
    pairs = zip(batch.names, batch.files, strict=True)
    names = (name for name, file in pairs if isinstance(file, bytes))
    made = chain.from_iterable(assemble(part, [next(names) for _ in part.files]) for part in parsed)
    for file in batch.files:
        found = file if isinstance(file, MidiError) else next(made)
        if pedal == "applied" and not isinstance(found, MidiError):
            found = tuple(map(apply_pedals, found))
        yield found
