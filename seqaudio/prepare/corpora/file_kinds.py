"""Recognise a file that was given where a table, a text or a folder is expected."""

from __future__ import annotations

from pathlib import Path

from seqaudio.audio.containers import SAFE, TAG, media_name
from seqaudio.errors import SourceError
from seqaudio.files import open_plain

HEAD = 512  # bytes at the beginning that are read
UNPACK = "unpack it and give the folder"
SAVE = "save it as CSV with UTF-8"
# how a file begins, what it is, and what to do
MARKS = (
    (b"MThd", "a MIDI file", "give the folder that it is in"),
    (b"PK\x03\x04", "a ZIP archive", UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", UNPACK),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"\xd0\xcf\x11\xe0", "a file of Microsoft Office", SAVE),
    (b"PAR1", "a Parquet file", SAVE),
    (b"ARROW1", "an Arrow file", SAVE),
    (b"SQLite format 3", "an SQLite data base", SAVE),
    (b"%PDF", "a PDF", SAVE),
    (b"\x89PNG", "a picture", "give the recordings themselves"),
    (b"<!DOCTYPE html", "a web page", "download the file itself"),
    (b"<html", "a web page", "download the file itself"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with git lfs pull"),
)
WORKBOOKS = (".xlsx", ".xlsm", ".ods", ".numbers")  # ZIP archives by their content


def other_kind(path: Path) -> tuple[str, str]:
    """The kind of a file, and what to do with it; two empty texts where it may be a text, or cannot be read."""
    try:
        with open_plain(path) as file:
            start = file.read(HEAD)
            file.seek(257)
            if file.read(5) == b"ustar":
                return "a TAR archive", UNPACK
    except OSError:
        return "", ""
    for mark, what, remedy in MARKS:
        if start.startswith(mark):
            return ("a workbook", SAVE) if path.suffix.lower() in WORKBOOKS else (what, remedy)
    if SAFE.match(start) or start.startswith(TAG) or media_name(start):
        return "a recording", "give the folder that it is in, or a table that lists it"
    return "", ""


def refuse_other_kind(path: Path, expected: str) -> None:
    """Raise SourceError, which names the kind of file, for an archive, a recording, a workbook and the like."""
    what, remedy = other_kind(path)
    if what:
        raise SourceError(f"{path}: {what}, expected {expected}; {remedy}")
