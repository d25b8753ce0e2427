"""What an update takes over from the store that is there: rows and ledger entries of unchanged inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.errors import StoreError
from seqaudio.ledger import LedgerEntry
from seqaudio.prepare.build.items import Item, Row
from seqaudio.prepare.build.plan import input_fingerprint
from seqaudio.prepare.build.statistics import Moments
from seqaudio.store import INPUTS, MOMENTS, SPLITS, Store

_ANEW = "prepare it anew with --force"


class Earlier(NamedTuple):
    """One input as it went into the store: its ledger entry, and (split, first row, rows) of what came of it."""

    entry: LedgerEntry
    places: tuple[tuple[str, int, int], ...]


def earlier_inputs(store: Path, items: Sequence[Item], process: str) -> list[Earlier | None]:
    """What a store knows of each item, where item and process (its fingerprint) are as they were; otherwise None.

    Whether the file is as it was, its checksum in the ledger has to tell. Raises StoreError for lists that are damaged
    or disagree.
    """
    file = store / INPUTS
    if not file.is_file():
        return [None] * len(items)  # made by a version that kept no such list
    wanted = {input_fingerprint(item, process): index for index, item in enumerate(items)}
    found: list[Earlier | None] = [None] * len(items)
    next_rows = dict.fromkeys(SPLITS, 0)
    there = Store(store)
    lines = _read_inputs(file)
    entries = there.ledger()
    if len(lines) != len(entries):
        raise StoreError(f"{store}: {INPUTS} has {len(lines):,} inputs and ledger.tsv {len(entries):,}; {_ANEW}")
    for (fingerprint, counts), entry in zip(lines, entries, strict=True):
        places = []
        for split, count in zip(SPLITS, counts, strict=True):
            if count:
                places.append((split, next_rows[split], count))
                next_rows[split] += count
        index = wanted.get(fingerprint)
        if index is not None:
            found[index] = Earlier(entry, tuple(places))
    for split, rows in next_rows.items():
        held = there.counts[split].rows if split in there.counts else 0
        if rows != held:
            raise StoreError(f"{file}: counts {rows:,} rows of {split}, the store has {held:,}; {_ANEW}")
    return found


def _read_inputs(file: Path) -> list[tuple[str, list[int]]]:
    """The fingerprint of each input and its rows in each split. Raises StoreError for a line of another form."""
    inputs = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines()[1:], start=2):
        fingerprint, *counts = line.split("\t")
        if len(counts) != len(SPLITS) or not all(count.isdecimal() for count in counts):
            raise StoreError(f"{file}, line {number}: {line!r}, expected an input and {len(SPLITS)} counts; {_ANEW}")
        inputs.append((fingerprint, list(map(int, counts))))
    return inputs


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
