"""Understand the columns of a table of recordings: which one holds what, and which make a row a segment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqaudio.errors import OptionError, SourceError
from seqaudio.terminal import few

# what a column holds, with the names that it usually has, in small letters
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "path": (
        "path",
        "audio",
        "audio_filepath",
        "audio_path",
        "filepath",
        "file_path",
        "file_name",
        "filename",
        "wav_filename",
        "file",
        "recording",
        "wav",
    ),
    "label": ("label", "command", "word", "keyword"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "split": ("split", "subset"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "condition": ("condition",),
    "start": ("start", "start_time", "start_seconds", "start_s", "begin", "begin_time", "onset", "offset"),
    "end": ("end", "end_time", "end_seconds", "end_s", "stop", "stop_time"),
    "duration": ("duration", "duration_seconds", "duration_s"),
}
SEGMENT = ("start", "end", "duration")
SHOWN = 8  # unused columns that a line names
NAMED = 20  # columns to choose from


@dataclass(frozen=True)
class Columns:
    """The column of each field, and those that nothing uses."""

    used: Mapping[str, str]
    unused: tuple[str, ...]

    def description(self, rows: int) -> str:
        """How the columns were understood, in one line."""
        fields = ", ".join(name if name == field else f"{name} → {field}" for field, name in self.used.items())
        if "start" in self.used:
            fields += ", each row a segment of its recording, in seconds"
        line = f"{rows:,} row{'s' if rows != 1 else ''}, columns {fields}"
        if self.unused:
            line += f"; not used: {few((name or '(without a name)' for name in self.unused), SHOWN)}"
        return line


def choose_columns(
    table: Path, rows: Sequence[Mapping[str, str]], given: Mapping[str, str | None], of_files: str = "path"
) -> Columns:
    """The column of each field: the one that an option names, or else one with a usual name, in any case.

    Start and end, or start and duration, make a row a segment of its recording. If one of them is
    missing or has no numbers, each row is a whole recording, and the other column is unused.

    Args:
        given: the columns that options name, by field.
        of_files: whose option names the column of files.
    Raises:
        SourceError: no column of files, or none of labels or texts.
        OptionError: a column of starts is named without one of ends or durations, or the other way round.
    """
    names = list(rows[0])
    chosen = {given.get(field) for field in SEGMENT}  # by an option; other fields are not looked for there
    by_plain = {name.casefold(): name for name in reversed(names) if name not in chosen}
    used = {
        field: given.get(field) or found[0]
        for field, usual in COLUMNS.items()
        if given.get(field) or (found := [by_plain[name] for name in usual if name in by_plain])
    }
    if "onset" in by_plain and "end" not in used and "offset" in by_plain:  # as in sound event detection
        used["end"] = by_plain["offset"]
    for field in SEGMENT:
        if field in used and not given.get(field) and not any(_is_number(row[used[field]]) for row in rows):
            del used[field]
    if "start" not in used or not used.keys() & {"end", "duration"}:
        if named := [field for field in SEGMENT if given.get(field)]:
            other = "end-column or --duration-column" if named == ["start"] else "start-column"
            raise OptionError(
                f"--{named[0]}-column {given[named[0]]} alone makes no segment of a recording; give --{other} too"
            )
        used = {field: name for field, name in used.items() if field not in SEGMENT}
    elif "end" in used:
        used.pop("duration", None)
    listed = few(names, NAMED)
    lacks = [] if "path" in used else [("'path' or 'audio'", f"--{of_files}-column")]
    lacks += [] if used.keys() & {"label", "text"} else [("'label' or 'text'", "--label-column or --text-column")]
    if lacks:  # both at once, so that one message is enough
        raise SourceError(
            f"{table}: has no column {' and none '.join(usual for usual, _ in lacks)}; give the right "
            f"{'one' if len(lacks) == 1 else 'ones'} of {listed} as {' and '.join(option for _, option in lacks)}"
        )
    return Columns(used, tuple(name for name in names if name not in used.values()))


def segment_of(place: str, fields: Mapping[str, str]) -> tuple[float, float | None]:
    """Start and end, in seconds, of the segment that a row names; 0 and None for the whole recording.

    place: table and row number, for messages. Raises SourceError for a value that is not a number of seconds, and for
    an end that is not after the start.
    """
    start = _seconds(place, fields.get("start", "")) or 0.0
    end = _seconds(place, fields.get("end", ""))
    duration = _seconds(place, fields.get("duration", ""))
    if end is None and duration is not None:
        end = round(start + duration, 6)
    if end is not None and end <= start:
        raise SourceError(f"{place}: the segment from {start:g} to {end:g} s is empty, expected an end after the start")
    return start, end


def _seconds(place: str, text: str) -> float | None:
    if not text:
        return None
    value = number(text)
    if value is None or value < 0:
        raise SourceError(f"{place}: {text!r}, expected seconds such as 1.25, for a segment of a recording")
    return value


def _is_number(text: str) -> bool:
    return number(text) is not None


def number(text: str) -> float | None:
    """A finite number, with a point or a comma before its decimals; None for anything else."""
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
