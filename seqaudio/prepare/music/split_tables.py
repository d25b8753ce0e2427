"""Tables of splits for corpora that have none of their own, so that a piece has the same split in related sets.

A table lies beside the script of its corpus. It is tab-separated, with a header: the name of a MIDI file in lower case,
its split, and its versions in a published set of piano rolls, as split/number counted from 0.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from seqaudio.errors import SourceError
from seqaudio.files import write_bytes
from seqaudio.prepare.corpora.tables import read_table
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.near_duplicates import STRICTEST, PieceIdentity, SplitsByContent, splits_of_pieces

COLUMNS = ("file", "split", "rolls")


@dataclass(frozen=True)
class SplitLine:
    """The entry of one file in a table."""

    split: str
    rolls: tuple[str, ...] = ()  # versions in the set of piano rolls: split/number


def read_split_table(path: Path) -> dict[str, SplitLine]:
    """The lines of a table by file name. Raises SourceError for any other file."""
    table = {}
    for row in read_table(path, COLUMNS):
        if row["split"] not in STRICTEST:
            raise SourceError(f"{path}: {row['file']} has the split {row['split']!r}, expected one of {STRICTEST}")
        table[row["file"]] = SplitLine(row["split"], tuple(row["rolls"].split()))
    return table


def write_split_table(path: Path, table: Mapping[str, SplitLine]) -> None:
    """Write one line for each file, sorted by name; atomically, so that the table is complete or unchanged."""
    rows = ((name, line.split, " ".join(line.rolls)) for name, line in sorted(table.items()))
    write_bytes(path, "".join("\t".join(row) + "\n" for row in (COLUMNS, *rows)).encode())


def make_split_table(
    identities: Mapping[str, PieceIdentity], versions: Mapping[str, Sequence[str]]
) -> dict[str, SplitLine]:
    """The table of files, from the identities of their pieces and their versions in a published set.

    A file with versions gets their strictest split. Another gets that of its cluster of versions, or one by the hash of
    its content.

    Args:
        identities: by item key; file names must be unique.
        versions: split/number of rolls, by item key.
    """
    known = {
        key: next(split for split in STRICTEST if any(roll.startswith(f"{split}/") for roll in rolls))
        for key, rolls in versions.items()
        if rolls
    }
    splits = splits_of_pieces(identities, known=known)
    table = {table_name(key): SplitLine(split, tuple(versions.get(key, ()))) for key, split in splits.items()}
    if len(table) != len(splits):
        raise SourceError("two files have the same name, so a table of splits cannot distinguish them; rename one")
    return table


def with_splits_of_table(
    items: Sequence[Item], table: Mapping[str, SplitLine]
) -> tuple[list[Item], SplitsByContent | None]:
    """The items with the splits of the table, found by file name, and a choice of splits for those that are missing.

    The content of missing files decides, so that they go with their versions; a warning on stderr says so.
    """
    known = {item.key: table[name].split for item in items if (name := table_name(item.key)) in table}
    placed = [replace(item, split=known.get(item.key, "")) for item in items]
    missing = len(items) - len(known)
    if not missing:
        return placed, None
    print(
        f"warning: {missing:,} of {len(items):,} files are not in the table of splits, so their content decides; "
        f"versions of them in the published rolls may be in another split",
        file=sys.stderr,
    )
    return placed, SplitsByContent()


def table_name(key: str) -> str:
    """The name of an item in a table: its file name in lower case."""
    return PurePosixPath(key).name.lower()
