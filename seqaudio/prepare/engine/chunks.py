"""Prepare one chunk of inputs, as a worker does: from files to the chunk's rows, ledger lines and journal."""

from __future__ import annotations

import functools
import hashlib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqaudio.errors import InputFileError, LeftOutError
from seqaudio.files import read_small, sha256_of
from seqaudio.ledger import LedgerEntry, Reason, Status, ledger_line
from seqaudio.prepare.engine.items import Item, Process, Row, outcomes
from seqaudio.prepare.engine.partial import IDENTITIES, INPUT_LINES, LEDGER_LINES, chunk_file, put, write_journal
from seqaudio.prepare.engine.plan import input_fingerprint, process_fingerprint
from seqaudio.prepare.engine.previous_store import PreviousInput, PreviousStore
from seqaudio.prepare.engine.rows import RowWriter
from seqaudio.store import SPLITS, StoreDescription

SMALL = 1 << 20  # bytes; a file up to this size is read once, for checksum and process; larger ones are read twice


@dataclass(frozen=True)
class Chunk:
    """Inputs that one worker prepares.

    In an update, `previous` holds what the existing store has of each input; None where it has nothing to reuse.
    """

    index: int
    items: Sequence[Item]
    previous: Sequence[PreviousInput | None]
    store: Path | None = None  # the existing store, in an update


def prepare_chunk(
    folder: Path, chunk: Chunk, process: Process, description: StoreDescription, late: bool = False
) -> int:
    """Write the files of a chunk into `folder`, its journal last. Returns the number of the chunk.

    late: splits are chosen once all chunks are done: rows, ledger and inputs have none yet, and the identities of the
    items are written too.
    """
    fingerprint = process_fingerprint(process, description)
    writer = RowWriter(chunk_file(folder, chunk.index, ".arrow"), description, late)
    ledger, inputs, identities = [], [], []
    splits = ("",) if late else SPLITS
    for place, (item, entry, rows) in enumerate(_prepared(chunk, process)):
        chosen = [writer.add(row, item, place) for row in rows]
        if rows:
            split = chosen[0] if len(rows) == 1 else ",".join(name for name in splits if name in chosen)
            entry = LedgerEntry(
                item.key, Status.KEPT, Reason.NONE, entry.detail, entry.seconds, split, len(rows), entry.sha256
            )
        ledger.append(ledger_line(entry))
        counts = [str(chosen.count(name)) for name in splits]
        inputs.append("\t".join((input_fingerprint(item, fingerprint), *counts)) + "\n")
        if late:
            identities.append((rows[0].identity if rows else b"").hex() + "\n")
    files = writer.close()
    kept = {LEDGER_LINES: ledger, INPUT_LINES: inputs} | ({IDENTITIES: identities} if late else {})
    for suffix, lines in kept.items():
        file = chunk_file(folder, chunk.index, suffix)
        put(file, "".join(lines).encode("utf-8"))
        files.append(file)
    write_journal(folder, chunk.index, files)
    return chunk.index


def _prepared(chunk: Chunk, process: Process) -> Iterator[tuple[Item, LedgerEntry, Sequence[Row]]]:
    """Each input in order, with its ledger entry and rows; from the previous store where nothing has changed."""
    digests, contents = [], []
    for item in chunk.items:
        digest, content = _digest(item)
        digests.append(digest)
        contents.append(content)
    unchanged = [
        known is not None and known.entry.sha256 == digest
        for digest, known in zip(digests, chunk.previous, strict=True)
    ]
    fresh = [
        item if content is None else item.with_content(content)
        for item, digest, content, same in zip(chunk.items, digests, contents, unchanged, strict=True)
        if isinstance(digest, str) and not same
    ]
    made = iter(outcomes(process, fresh))
    store = PreviousStore(chunk.store) if chunk.store and any(unchanged) else None
    for item, digest, known, same in zip(chunk.items, digests, chunk.previous, unchanged, strict=True):
        if isinstance(digest, LedgerEntry):
            yield item, digest, []
        elif known and store and same:
            yield item, known.entry, store.rows(known)
        else:
            yield item, *_entered(item, next(made), digest)


def _digest(item: Item) -> tuple[str | LedgerEntry, bytes | None]:
    """SHA-256 of an input's bytes, and where they are few the bytes too.

    The digest is empty for an input without a file. For a file that cannot be read a ledger entry takes its place.
    """
    try:
        if item.held is not None:
            held = item.held.read()
            return hashlib.sha256(held).hexdigest(), held if len(held) <= SMALL else None
        if item.path is None:
            return "", None
        content = read_small(item.path, SMALL)
        if content is not None:
            return hashlib.sha256(content).hexdigest(), content
        status = item.path.stat()
        return _digest_of_large(item.path, status.st_size, status.st_mtime_ns), None
    except FileNotFoundError:
        return LedgerEntry(item.key, Status.REFUSED, Reason.MISSING, "no such file", split=item.split), None
    except OSError as error:
        detail = (item.path and _not_a_file(item.path)) or error.strerror or type(error).__name__
        return LedgerEntry(item.key, Status.REFUSED, Reason.UNREADABLE, detail, split=item.split), None
    except InputFileError as error:
        return LedgerEntry(item.key, Status.REFUSED, error.reason, error.detail, split=item.split), None


def _not_a_file(path: Path) -> str:
    """For a ledger: that a path is something else, or the system's reason why a folder cannot be read; else empty."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return ""
        if stat.S_ISDIR(mode):
            next(path.iterdir(), None)
    except OSError as error:
        return error.strerror or ""
    except ValueError:
        return ""  # a NUL character, of which the first error tells
    return "is a folder, a pipe or a device, expected a file"


@functools.lru_cache(maxsize=1)
def _digest_of_large(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; that of the last one is kept, as the segments of a long recording follow each other."""
    return sha256_of(path)


def _entered(item: Item, made: list[Row] | InputFileError, digest: str) -> tuple[LedgerEntry, list[Row]]:
    if isinstance(made, InputFileError):
        status = Status.SKIPPED if isinstance(made, LeftOutError) else Status.REFUSED
        return LedgerEntry(item.key, status, made.reason, made.detail, split=item.split, sha256=digest), []
    remarks = "; ".join(dict.fromkeys(row.remark for row in made if row.remark))
    seconds = sum(row.duration for row in made)
    return LedgerEntry(item.key, Status.KEPT, detail=remarks, seconds=seconds, sha256=digest), made
