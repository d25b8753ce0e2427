"""What an update takes over from the store that is there: rows and ledger entries of unchanged inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.errors import StoreError
from seqaudio.ledger import LedgerEntry, read_ledger
from seqaudio.prepare.items import Item, Row
from seqaudio.prepare.moments import Moments
from seqaudio.prepare.plan import input_fingerprint
from seqaudio.store import INPUTS, MOMENTS, SPLITS, Store


class Earlier(NamedTuple):
    """One input as it went into the store: its ledger entry, and (split, first row, rows) of what came of it."""

    entry: LedgerEntry
    places: tuple[tuple[str, int, int], ...]


def earlier_inputs(store: Path, items: Sequence[Item], process: str) -> list[Earlier | None]:
    """What a store knows of each item, where item and process (its fingerprint) are as they were; otherwise None.

    Whether the file is as it was, its checksum in the ledger has to tell. Raises StoreError for lists that disagree.
    """
    file = store / INPUTS
    if not file.is_file():
        return [None] * len(items)  # made by a version that kept no such list
    wanted = {input_fingerprint(item, process): index for index, item in enumerate(items)}
    found: list[Earlier | None] = [None] * len(items)
    next_rows = dict.fromkeys(SPLITS, 0)
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    entries = read_ledger(store / "ledger.tsv")
    if len(lines) != len(entries):
        raise StoreError(
            f"{store}: {INPUTS} has {len(lines):,} inputs and ledger.tsv {len(entries):,}; prepare it anew with --force"
        )
    for line, entry in zip(lines, entries, strict=True):
        fingerprint, *counts = line.split("\t")
        places = []
        for split, count in zip(SPLITS, map(int, counts), strict=True):
            if count:
                places.append((split, next_rows[split], count))
                next_rows[split] += count
        index = wanted.get(fingerprint)
        if index is not None:
            found[index] = Earlier(entry, tuple(places))
    return found


class EarlierStore:
    """The rows of the store that is there."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    def rows(self, known: Earlier) -> list[Row]:
        """The rows of one input; their order within a split is that of the store."""
        rows = []
        for split, first, count in known.places:
            held = self.store[split]
            for number in range(first, first + count):
                values = held.fields(number)
                values.pop("length")
                moments = values.pop(MOMENTS, None)
                if moments is not None:
                    values["moments"] = Moments.from_flat(np.array(moments))
                rows.append(Row(sequence=held.sequence(number), split=split, **values))
        return rows
