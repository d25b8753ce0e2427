"""Parse untrusted MIDI in a child process: whole files come in, columns go out.

The parser's C++ aborts the process on some damaged files, so it runs here, alone, within a memory limit. Files that are
known to crash it are refused before (`chunks.py`, `events.py`).

    request   count uint32, what to read besides notes uint32 (1 pedals, 2 controls), length uint32 of each file; the
              files
    reply     JSON {"files": [...]}, and columns

Each file is {"reason", "detail"} or {"songs": [...]}, each song {"error"} or the result of `_parse`. The columns are
those of all songs in order: start int32 [N], duration int32 [N], pitch int8 [N], velocity int8 [N] of the notes, track
after track; tick int32 [K], microseconds per quarter int32 [K] of the tempos; tick int32 [P], duration int32 [P] of the
pedals, track after track; track, tick, kind, value int32 [C, 4] of the controls, song after song, by tick.
"""

from __future__ import annotations

import re
import struct
import sys
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the same seqaudio as in the parent process

import numpy as np  # symusic needs it for columns: loaded before memory is limited
import symusic

from seqaudio.errors import MidiError
from seqaudio.guarded.child import serve
from seqaudio.ledger import Reason
from seqaudio.midi.channels import further_drums, shared_pedals
from seqaudio.midi.chunks import MAX_TRACKS, Song, songs_of, tracks_of
from seqaudio.midi.controls import controls_of
from seqaudio.midi.events import ticks_of
from seqaudio.midi.repairs import repaired

PEDALS, CONTROLS = 1, 2  # bits that say what to read
NOTE_COLUMNS = ("time", "duration", "pitch", "velocity")
TEMPO_COLUMNS = ("time", "mspq")
PEDAL_COLUMNS = ("time", "duration")
MAX_SIGNATURES = 10_000  # in a song; more than there are bars in an opera
MAX_TICKS = 2**31 - 1
LOST = "\ufffd"  # replaces bytes that are not UTF-8
TRACK_NAME = re.compile(rb"\xff\x03([\x00-\x7f])")  # the event, and the length of the name
TEMPO = re.compile(rb"\xff\x51\x03...", re.DOTALL)


class _Columns:
    """The events of all songs of a request, collected in the parser's own lists."""

    def __init__(self) -> None:
        empty: Any = symusic.Score(480)
        track: Any = symusic.Track()
        self.tempos, self.notes, self.pedals = empty.tempos, track.notes, track.pedals
        self.controls = list[tuple[int, int, int, int]]()

    def packed(self) -> bytes:
        events = ((self.notes, NOTE_COLUMNS), (self.tempos, TEMPO_COLUMNS), (self.pedals, PEDAL_COLUMNS))
        arrays = ((found.numpy(), names) for found, names in events)
        parts = [columns[name].tobytes() for columns, names in arrays for name in names]
        return b"".join((*parts, np.array(self.controls, dtype="<i4").tobytes()))


def work(request: bytes) -> tuple[dict[str, Any], bytes]:
    """The reply to a request, as the module's docstring describes it."""
    count, wanted = struct.unpack_from("<II", request)
    lengths = struct.unpack_from(f"<{count}I", request, 8)
    place = 8 + 4 * count
    found: list[tuple[Song, ...] | MidiError] = []
    for length in lengths:
        found.append(_songs(request[place : place + length]))
        place += length
    # of all files at once: that takes little longer than of one
    songs = iter(repaired([song for file in found if not isinstance(file, MidiError) for song in file]))
    columns, files = _Columns(), list[dict[str, Any]]()
    for file in found:
        if isinstance(file, MidiError):
            files.append({"reason": file.reason, "detail": file.detail})
        else:
            files.append({"songs": [_parse(song, columns, wanted) for song in islice(songs, len(file))]})
    return {"files": files}, columns.packed()


def _songs(data: bytes) -> tuple[Song, ...] | MidiError:
    try:
        songs = songs_of(data, "")
        for song in songs:
            check_ticks(song.data)
    except MidiError as error:
        return error
    return songs


def check_ticks(song: bytes) -> None:
    """Raise MidiError, TOO_LONG, where an event lies so late that the tick overflows in the parser (int32)."""
    # from the fastest check to the exact one; most files pass the first
    if _most_ticks(song) <= MAX_TICKS or _most_ticks(TEMPO.sub(b"", song)) <= MAX_TICKS:
        return
    for track in tracks_of(song):
        last = ticks_of(track)
        if last > MAX_TICKS:
            raise MidiError("", Reason.TOO_LONG, f"{last:,} ticks, expected at most {MAX_TICKS:,}")


def _most_ticks(data: bytes) -> int:
    """An upper bound of the ticks in a file, from its delta times of four bytes, each below 2^28."""
    high = np.frombuffer(data, np.uint8) >= 0x80
    return int(np.count_nonzero(high[2:] & high[1:-1] & high[:-2])) << 28


def _parse(song: Song, columns: _Columns, wanted: int) -> dict[str, Any]:
    """Resolution, maps, and of each track that has notes: name, program, drum, number of notes and of pedals."""
    try:
        score: Any = symusic.Score.from_midi(song.data)
    except (RuntimeError, ValueError, MemoryError) as error:
        return {"error": " ".join((str(error) or type(error).__name__).split())}
    if len(score.time_signatures) + len(score.key_signatures) > MAX_SIGNATURES:
        return {"error": f"more than {MAX_SIGNATURES:,} time signatures and keys"}
    struck = [track for track in score.tracks if len(track.notes)]
    if len(struck) > MAX_TRACKS:
        return {"error": f"{len(struck):,} tracks with notes, expected at most {MAX_TRACKS:,}"}
    remarks = list(song.remarks)
    pedals = _pedals(song, struck, remarks) if wanted & PEDALS else [()] * len(struck)
    controls = _controls(song, struck, remarks) if wanted & CONTROLS else []
    columns.controls += controls
    tracks = []
    for track, own, is_drum in zip(struck, pedals, _drums(song, struck, remarks), strict=True):
        notes = track.notes
        tracks.append((_name(track.name, song.data), track.program, is_drum, len(notes), len(own)))
        columns.notes.extend(notes)
        columns.pedals.extend(own)
    if song.tempo is None:
        columns.tempos.extend(score.tempos)
    return {
        "ticks_per_quarter": score.ticks_per_quarter,
        "tracks": tracks,
        "tempo": song.tempo,
        "tempos": 0 if song.tempo is not None else len(score.tempos),
        "controls": len(controls),
        "time_signatures": [(s.time, s.numerator, s.denominator) for s in score.time_signatures],
        "key_signatures": [(s.time, s.key, s.tonality) for s in score.key_signatures],
        "remarks": remarks,
    }


def _pedals(song: Song, struck: list[Any], remarks: list[str]) -> list[Any]:
    """The pedals of each track that has notes."""
    try:
        shared = shared_pedals(song.data, [(track.program, track.is_drum) for track in struck])
    except ValueError as error:
        remarks.append(f"pedals act only on the notes of their own track: {error}")
        shared = None
    if shared is None:
        return [track.pedals for track in struck]
    return [[symusic.Pedal(tick, duration) for tick, duration in spans] for spans in shared]


def _controls(song: Song, struck: list[Any], remarks: list[str]) -> list[tuple[int, int, int, int]]:
    """The controls of the tracks that have notes: track, tick, kind, value, by tick."""
    try:
        found = controls_of(song.data, [(track.program, track.is_drum) for track in struck])
    except ValueError as error:
        remarks.append(f"volume, pan, expression and bends left out: {error}")
        return []
    return sorted(((part, *control) for part, control in found), key=lambda row: row[1])


def _drums(song: Song, struck: list[Any], remarks: list[str]) -> list[bool]:
    """Whether each track that has notes is drums."""
    by_parser = [track.is_drum for track in struck]
    try:
        further = further_drums(song.data, [(track.program, track.is_drum) for track in struck])
    except ValueError as error:
        remarks.append(f"only channel 10 read as drums: {error}")
        further = None
    return by_parser if further is None else further


def _name(name: str, song: bytes) -> str:
    """The name of a track; one that is not UTF-8 is read as Latin-1, as pretty_midi reads all names."""
    if LOST not in name:
        return name
    for found in TRACK_NAME.finditer(song):
        raw = song[found.end() : found.end() + found[1][0]]
        if raw.decode("utf-8", "replace") == name:
            return raw.decode("latin-1")
    return name


if __name__ == "__main__":
    serve(work, int(sys.argv[1]))
