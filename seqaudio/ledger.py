"""The ledger of a preparation: one line for every input, kept, refused or skipped, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from seqaudio.files import open_plain_text

COLUMNS = ("path", "status", "reason", "detail", "seconds", "split", "rows", "sha256")
HEADER = "\t".join(COLUMNS) + "\n"


class Status(StrEnum):
    """`kept`: has rows in the store. `refused`: damaged or unfit. `skipped`: left out on purpose."""

    KEPT = "kept"
    REFUSED = "refused"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why an input was refused or skipped; one list for all kinds of input."""

    NONE = ""
    MISSING = "missing"  # named by a table, not on the disk
    UNREADABLE = "unreadable"  # the operating system gave an error, such as permission denied
    EMPTY = "empty"  # no bytes, or no samples
    NOT_AUDIO = "not_audio"
    NEEDS_EXTRA = "needs_extra"  # readable with an optional dependency, which the detail names
    NOT_MIDI = "not_midi"
    NOT_TEXT = "not_text"  # not valid UTF-8
    TRUNCATED = "truncated"  # shorter than its header says
    DAMAGED = "damaged"  # of the right format, but violates it
    NOT_FINITE = "not_finite"  # samples that are NaN, infinite, or so large that their features would be
    OTHER_UNIT = "other_unit"  # samples far beyond full scale, such as floats in 16-bit units
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_NOTES = "no_notes"
    PERCUSSION_ONLY = "percussion_only"
    OTHER_PARTS = "other_parts"  # other voices or instruments than the representation is made for
    PARSER_CRASHED = "parser_crashed"  # the parser or decoder died on it, in its child process
    PARSER_TIMEOUT = "parser_timeout"  # the parser or decoder took longer than its deadline, in its child process
    DUPLICATE = "duplicate"  # another input has the same content
    NO_LABEL = "no_label"
    UNEXPECTED_NAME = "unexpected_name"  # not a file name as the corpus has them
    NOT_NEEDED = "not_needed"  # there are more of its kind than were asked for


@dataclass(frozen=True)
class LedgerEntry:
    """One input, a file or a row of a table; `seconds` is its duration, its `rows` went to `split`."""

    path: str
    status: Status
    reason: Reason = Reason.NONE
    detail: str = ""
    seconds: float | None = None
    split: str = ""
    rows: int = 0
    sha256: str = ""


def encode_field(text: str) -> str:
    """Percent-encode control characters, `%` and bytes that are not UTF-8, so that each entry stays one line."""
    if text.isprintable() and "%" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")
    try:
        safe = raw.decode("utf-8")
    except UnicodeDecodeError:
        return quote(raw, safe="/ ._-~!@#$&'()*+,;=:?[]{}")
    return "".join(quote(c) if c == "%" or not c.isprintable() else c for c in safe)


def decode_field(text: str) -> str:
    """The inverse of `encode_field`."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape") if "%" in text else text


def ledger_line(entry: LedgerEntry) -> str:
    """An entry as a line of `ledger.tsv`, including the line feed."""
    seconds = "" if entry.seconds is None else f"{entry.seconds:.6f}"
    fields: Iterable[str]
    fields = (entry.path, entry.status, entry.reason, entry.detail, seconds, entry.split, str(entry.rows), entry.sha256)
    joined = "".join(fields)
    if not joined.isprintable() or "%" in joined:
        fields = map(encode_field, fields)
    return "\t".join(fields) + "\n"


def decode_line(line: str) -> LedgerEntry:
    """The inverse of `ledger_line`. Raises ValueError for a malformed line."""
    name, status, reason, detail, seconds, split, rows, sha256 = map(decode_field, line.rstrip("\n").split("\t"))
    return LedgerEntry(
        path=name,
        status=Status(status),
        reason=Reason(reason),
        detail=detail,
        seconds=float(seconds) if seconds else None,
        split=split,
        rows=int(rows),
        sha256=sha256,
    )


def read_ledger(path: Path) -> list[LedgerEntry]:
    """Read `ledger.tsv` back. Raises ValueError for a malformed line."""
    with open_plain_text(path, newline="\n") as file:
        header = file.readline()
        if header != HEADER:
            raise ValueError(f"{path}: columns {header.split()}, expected {list(COLUMNS)}")
        return [decode_line(line) for line in file]


def refused_most(entries: Iterable[LedgerEntry]) -> LedgerEntry | None:
    """The first of the inputs that were refused for the most frequent reason; None where none was refused."""
    refused = [entry for entry in entries if entry.status is Status.REFUSED]
    counts = Counter(entry.reason for entry in refused)
    return max(refused, key=lambda entry: counts[entry.reason], default=None)


def summarise(entries: Iterable[LedgerEntry]) -> str:
    """One line such as `2,990 kept, 8 refused (6 truncated, 2 not_audio), 2 skipped (2 too_long)`."""
    entries = list(entries)
    parts = []
    for status in Status:
        reasons = Counter(entry.reason for entry in entries if entry.status is status)
        total = sum(reasons.values())
        if not total and status is not Status.KEPT:
            continue
        named = ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common() if reason)
        parts.append(f"{total:,} {status}" + (f" ({named})" if named else ""))
    return ", ".join(parts)
