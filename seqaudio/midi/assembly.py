"""Build NoteSequences from the replies of the guarded parser, many songs at once, by operations on whole columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.errors import MidiError
from seqaudio.ledger import Reason
from seqaudio.midi.guard import Parsed
from seqaudio.notes.columns import Columns, sorting_order
from seqaudio.notes.sequence import (
    DEFAULT_TEMPO,
    MAX_RESOLUTION,
    MAX_TEMPO,
    KeySignature,
    NoteSequence,
    TimeSignature,
)

Ints = npt.NDArray[np.int64]
Songs = tuple[NoteSequence, ...]
Spans = list[slice]  # where the events of each song lie


def assemble(parsed: Parsed, names: list[str]) -> Iterator[Songs | MidiError]:
    """The songs of each file, or the error of a file without any. `names`: of the files, for errors."""
    songs = [song for file in parsed.files for song in file.get("songs", ()) if "error" not in song]
    events = _events(songs, parsed.columns)
    made = iter(_sequences(songs, events)) if events is not None else None
    for file, name in zip(parsed.files, names, strict=True):
        if "reason" in file:
            yield MidiError(name, Reason(file["reason"]), file["detail"])
        elif made is None:
            detail = f"the parser's reply has {len(parsed.columns)} bytes of columns, which is not what it announced"
            yield MidiError(name, Reason.PARSER_CRASHED, detail)
        else:
            yield _songs([song.get("error") or next(made) for song in file["songs"]], name)


def _songs(found: list[NoteSequence | str], name: str) -> Songs | MidiError:
    """The songs that have notes. A string in `found` is the error of a song."""
    for song in found:
        if isinstance(song, str):
            return MidiError(name, Reason.DAMAGED, song)
    with_notes = tuple(song for song in found if isinstance(song, NoteSequence) and len(song))
    if with_notes:
        return with_notes
    detail = "no note that is struck and released" if len(found) == 1 else f"no notes in any of {len(found)} songs"
    return MidiError(name, Reason.NO_NOTES, detail)


class _Events(NamedTuple):
    """The columns of all songs."""

    notes: Columns
    note_spans: Spans
    note_song: Ints  # [N]
    tempo_tick: Ints  # [K]
    tempo: Ints
    tempo_spans: Spans
    pedals: Ints  # [P, 3]
    pedal_spans: Spans
    pedal_song: Ints
    controls: Ints  # [C, 4] sorted by tick within a song
    control_spans: Spans


def _events(songs: list[dict[str, Any]], columns: bytes) -> _Events | None:
    """The columns of a reply; None where their size is wrong."""
    tracks = [track for song in songs for track in song["tracks"]]
    sizes = [track[3] for track in tracks]
    downs = [track[4] for track in tracks]
    note_counts = [sum(track[3] for track in song["tracks"]) for song in songs]
    tempo_counts = [song["tempos"] for song in songs]
    pedal_counts = [sum(track[4] for track in song["tracks"]) for song in songs]
    control_counts = [song["controls"] for song in songs]
    N, K, P, C = sum(note_counts), sum(tempo_counts), sum(pedal_counts), sum(control_counts)
    if len(columns) != 10 * N + 8 * K + 8 * P + 16 * C:
        return None
    ticks = np.frombuffer(columns, "<i4", 2 * N).reshape(2, N).astype(np.int64)
    values = np.frombuffer(columns, np.int8, 2 * N, 8 * N).reshape(2, N).astype(np.int16)
    tempos = np.frombuffer(columns, "<i4", 2 * K, 10 * N).reshape(2, K).astype(np.int64)
    pedals = np.frombuffer(columns, "<i4", 2 * P, 10 * N + 8 * K).reshape(2, P).astype(np.int64)
    controls = np.frombuffer(columns, "<i4", 4 * C, 10 * N + 8 * K + 8 * P).reshape(C, 4).astype(np.int64)
    number = np.array([place for song in songs for place in range(len(song["tracks"]))], dtype=np.int16)
    notes = {
        "start_tick": ticks[0],
        "end_tick": ticks[0] + ticks[1],
        "pitch": values[0],
        "velocity": values[1],
        "program": np.repeat(np.array([track[1] for track in tracks], dtype=np.int16), sizes),
        "track": np.repeat(number, sizes),
        "is_drum": np.repeat(np.array([track[2] for track in tracks], dtype=np.bool_), sizes),
    }
    each = np.arange(len(songs))
    return _Events(
        notes,
        _spans(note_counts),
        np.repeat(each, note_counts),
        tempos[0],
        tempos[1],
        _spans(tempo_counts),
        np.stack([np.repeat(number, downs).astype(np.int64), pedals[0], pedals[0] + pedals[1]], axis=1),
        _spans(pedal_counts),
        np.repeat(each, pedal_counts),
        controls,
        _spans(control_counts),
    )


def _spans(counts: list[int]) -> Spans:
    ends = np.cumsum(counts, dtype=np.int64).tolist()
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _sequences(songs: list[dict[str, Any]], events: _Events) -> Iterator[NoteSequence | str]:
    """Each song, or its error as a string where it has invalid values, such as a tempo of 0."""
    if not _all_right(songs, events):
        yield from (_checked(song, events, number) for number, song in enumerate(songs))
        return
    notes = events.notes
    order = sorting_order(notes, events.note_song)
    if order is not None:
        notes = {name: column[order] for name, column in notes.items()}
    defaults = np.array([song["tempo"] or DEFAULT_TEMPO for song in songs], dtype=np.int64)
    tempo_tick, tempo, tempo_spans = _tempo_maps(events, defaults)
    pedals = events.pedals[np.lexsort((events.pedals[:, 0], events.pedals[:, 1], events.pedal_song))]
    for array in (*notes.values(), tempo_tick, tempo, pedals, events.controls):
        array.flags.writeable = False
    for number, song in enumerate(songs):
        span, tempos = events.note_spans[number], tempo_spans[number]
        yield NoteSequence.trusted(
            locked=True,
            **{name: column[span] for name, column in notes.items()},
            tempo_tick=tempo_tick[tempos],
            tempo=tempo[tempos],
            pedals=pedals[events.pedal_spans[number]],
            controls=events.controls[events.control_spans[number]],
            **_metadata(song),
        )


def _all_right(songs: list[dict[str, Any]], events: _Events) -> bool:
    """Whether every value of every song is within its bounds."""
    notes = events.notes
    parts = (
        (notes["start_tick"], 0, None),
        (notes["end_tick"] - notes["start_tick"], 0, None),
        (notes["pitch"], 0, None),  # int8 is at most 127
        (notes["velocity"], 1, None),
        (notes["program"], 0, 127),
        (events.tempo_tick, 0, None),
        (events.tempo, 1, MAX_TEMPO),
        (events.pedals[:, 1], 0, None),
        (events.pedals[:, 2] - events.pedals[:, 1], 0, None),
    )
    return all(1 <= song["ticks_per_quarter"] <= MAX_RESOLUTION for song in songs) and all(
        not len(values) or (values.min() >= low and (high is None or values.max() <= high))
        for values, low, high in parts
    )


def _checked(song: dict[str, Any], events: _Events, number: int) -> NoteSequence | str:
    """A song, or its error."""
    span, tempos = events.note_spans[number], events.tempo_spans[number]
    given = zip(events.tempo_tick[tempos].tolist(), events.tempo[tempos].tolist(), strict=True)
    parts: dict[str, Any] = {name: column[span] for name, column in events.notes.items()} | _metadata(song)
    try:
        return NoteSequence.from_columns(
            tempos=given if song["tempo"] is None else [(0, song["tempo"])],
            pedals=events.pedals[events.pedal_spans[number]],
            controls=events.controls[events.control_spans[number]],
            **parts,
        )
    except ValueError as error:
        return str(error)


def _metadata(song: dict[str, Any]) -> dict[str, Any]:
    """The fields of a NoteSequence that are not columns."""
    remarks = list(song["remarks"])
    return {
        "ticks_per_quarter": song["ticks_per_quarter"],
        "track_names": tuple(track[0] for track in song["tracks"]),
        "time_signatures": _signatures(TimeSignature, song["time_signatures"], remarks),
        "key_signatures": _signatures(KeySignature, song["key_signatures"], remarks),
        "remarks": tuple(remarks),
    }


def _signatures(kind: type[Any], found: list[tuple[int, int, int]], remarks: list[str]) -> tuple[Any, ...]:
    """The valid signatures, sorted, the others in `remarks`; of two at one tick the one given later."""
    latest = {}
    for tick, first, second in found:
        try:
            if kind is KeySignature and second not in (0, 1):
                raise ValueError(f"key signature of mode {second} at tick {tick}: expected 0 (major) or 1 (minor)")
            latest[tick] = kind(tick, first, bool(second) if kind is KeySignature else second)
        except ValueError as error:
            remarks.append(f"left out: {error}")
    return tuple(latest[tick] for tick in sorted(latest))


def _tempo_maps(events: _Events, defaults: Ints) -> tuple[Ints, Ints, Spans]:
    """The `tempo_map` of each song, concatenated. `defaults` [S]: the tempo of each song at tick 0."""
    count = len(defaults)
    given = [span.stop - span.start for span in events.tempo_spans]
    song = np.concatenate([np.arange(count), np.repeat(np.arange(count), given)])
    tick = np.concatenate([np.zeros(count, dtype=np.int64), events.tempo_tick])
    tempo = np.concatenate([defaults, events.tempo])
    place = (song << 32) + tick
    order = np.argsort(place, kind="stable")
    place, tempo = place[order], tempo[order]
    latest = np.append(place[1:] != place[:-1], np.ones(min(1, len(place)), dtype=np.bool_))
    place, tempo = place[latest], tempo[latest]
    song = place >> 32
    changes = np.ones(len(place), dtype=np.bool_)
    changes[1:] = (tempo[1:] != tempo[:-1]) | (song[1:] != song[:-1])
    spans = _spans(np.bincount(song[changes], minlength=count).tolist())
    return place[changes] & 0xFFFFFFFF, tempo[changes], spans
