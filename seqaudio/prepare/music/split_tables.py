"""Tables of splits beside the scripts of corpora that have none of their own: a file keeps the split it has elsewhere.

Tab-separated, with a header: the name of a MIDI file in lower case, its split, and the versions of it in a published
set of piano rolls, as split/number counted from 0.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from seqaudio.errors import SourceError
from seqaudio.files import write_bytes
from seqaudio.prepare.build import Item
from seqaudio.prepare.corpora.tables import read_table
from seqaudio.prepare.music.near_duplicates import STRICTEST, PieceIdentity, SplitsByContent, splits_of_pieces

COLUMNS = ("file", "split", "rolls")


@dataclass(frozen=True)
class SplitLine:
    """What a table knows of one file."""

    split: str
    rolls: tuple[str, ...] = ()  # split/number


def read_split_table(path: Path) -> dict[str, SplitLine]:
    """The lines of a table by file name. Raises SourceError for what is no such table."""
    table = {}
    for row in read_table(path, COLUMNS):
        if row["split"] not in STRICTEST:
            raise SourceError(f"{path}: {row['file']} has the split {row['split']!r}, expected one of {STRICTEST}")
        table[row["file"]] = SplitLine(row["split"], tuple(row["rolls"].split()))
    return table


def write_split_table(path: Path, table: Mapping[str, SplitLine]) -> None:
    """Write a line a file, in the order of names; whole or not at all."""
    rows = ((name, line.split, " ".join(line.rolls)) for name, line in sorted(table.items()))
    write_bytes(path, "".join("\t".join(row) + "\n" for row in (COLUMNS, *rows)).encode())


def make_split_table(
    identities: Mapping[str, PieceIdentity], versions: Mapping[str, Sequence[str]]
) -> dict[str, SplitLine]:
    """The table of files, from what tells their pieces and from their versions in a published set.

    Versions decide, the strictest first; whoever has none goes with its family, or by the hash of its content.

    Args:
        identities: by item key; names of files must differ.
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
        raise SourceError("two files of one name; a table of splits cannot tell them apart")
    return table


def with_splits_of_table(
    items: Sequence[Item], table: Mapping[str, SplitLine]
) -> tuple[list[Item], SplitsByContent | None]:
    """The items with the splits of the table, found by the names of files, and how the others find theirs.

    Those that are not in the table go by their content, together with their versions; a line on stderr says so.
    """
    known = {item.key: table[name].split for item in items if (name := table_name(item.key)) in table}
    placed = [replace(item, split=known.get(item.key, "")) for item in items]
    strangers = len(items) - len(known)
    if not strangers:
        return placed, None
    print(
        f"warning: {strangers:,} of {len(items):,} files are not in the table of splits and go by their content; "
        f"whether the published rolls have them is not known",
        file=sys.stderr,
    )
    return placed, SplitsByContent()


def table_name(key: str) -> str:
    """The name under which a table has an item: that of its file, in lower case."""
    return PurePosixPath(key).name.lower()
