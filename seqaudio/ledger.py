"""What became of every input of a preparation: one line each, kept, refused or skipped, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

COLUMNS = ("path", "status", "reason", "detail", "seconds", "split", "rows", "sha256")
HEADER = "\t".join(COLUMNS) + "\n"


class Status(StrEnum):
    """`kept`: has rows in the store. `refused`: damaged or unfit. `skipped`: left out on purpose."""

    KEPT = "kept"
    REFUSED = "refused"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why an input was refused or skipped; one list for recordings and MIDI."""

    NONE = ""
    MISSING = "missing"  # named by a table, not on the disk
    UNREADABLE = "unreadable"  # the operating system would not let it be read
    EMPTY = "empty"  # no bytes, or no samples
    NOT_AUDIO = "not_audio"
    NEEDS_EXTRA = "needs_extra"  # read where an extra is installed; the detail names it
    NOT_MIDI = "not_midi"
    NOT_TEXT = "not_text"  # bytes that are no UTF-8
    TRUNCATED = "truncated"  # ends before its header says it should
    DAMAGED = "damaged"  # of the right kind, but breaks its own format
    NOT_FINITE = "not_finite"  # NaN or infinite samples, or some so large that features of them would be
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_NOTES = "no_notes"
    PERCUSSION_ONLY = "percussion_only"
    OTHER_PARTS = "other_parts"  # not the voices or instruments that the representation is made for
    PARSER_CRASHED = "parser_crashed"  # the guarded parser died on it
    PARSER_TIMEOUT = "parser_timeout"  # the guarded parser passed its deadline
    DUPLICATE = "duplicate"  # the same content came before under another name
    NO_LABEL = "no_label"
    UNEXPECTED_NAME = "unexpected_name"  # the corpus names its files otherwise
    NOT_NEEDED = "not_needed"  # there is more of its kind than was asked for


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
    """Percent-encode control characters, `%` and bytes that are no UTF-8, so that a line is one line."""
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
    """An entry as a line of `ledger.tsv`, its line feed included."""
    seconds = "" if entry.seconds is None else f"{entry.seconds:.6f}"
    fields: Iterable[str]
    fields = (entry.path, entry.status, entry.reason, entry.detail, seconds, entry.split, str(entry.rows), entry.sha256)
    together = "".join(fields)
    if not together.isprintable() or "%" in together:
        fields = map(encode_field, fields)
    return "\t".join(fields) + "\n"


def decode_line(line: str) -> LedgerEntry:
    """The inverse of `ledger_line`. Raises ValueError for a line that is not of the format."""
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
    """Read `ledger.tsv` back. Raises ValueError where a line is not of the format."""
    with path.open(encoding="utf-8", newline="\n") as file:
        header = file.readline()
        if header != HEADER:
            raise ValueError(f"{path}: columns {header.split()}, expected {list(COLUMNS)}")
        return [decode_line(line) for line in file]


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
