"""Reuse the previous store in an update: rows and ledger entries of unchanged inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.arrow_files import STATISTICS
from seqaudio.errors import StoreError
from seqaudio.files import read_plain_text
from seqaudio.ledger import LedgerEntry
from seqaudio.prepare.engine.items import Item, Row
from seqaudio.prepare.engine.plan import input_fingerprint
from seqaudio.prepare.engine.statistics import FrameStatistics
from seqaudio.store import INPUTS, SPLITS, Store

_ANEW = "prepare it again with --force"


class PreviousInput(NamedTuple):
    """One input of the previous store: its ledger entry, and its rows as (split, first row, number of rows)."""

    entry: LedgerEntry
    places: tuple[tuple[str, int, int], ...]


def previous_inputs(store: Path, items: Sequence[Item], process: str) -> list[PreviousInput | None]:
    """Each item's input in a store; None where the item is new, or it or the process (a fingerprint) has changed.

    The caller has to check whether the content of the file has changed, by the checksum in the ledger entry.
    Raises StoreError where inputs.tsv or ledger.tsv is damaged, or they disagree.
    """
    file = store / INPUTS
    if not file.is_file():
        return [None] * len(items)  # made by a version that did not write this file
    wanted = {input_fingerprint(item, process): index for index, item in enumerate(items)}
    found: list[PreviousInput | None] = [None] * len(items)
    next_rows = dict.fromkeys(SPLITS, 0)
    previous = Store(store)
    lines = _read_inputs(file)
    entries = previous.ledger()
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
            found[index] = PreviousInput(entry, tuple(places))
    for split, rows in next_rows.items():
        held = previous.counts[split].rows if split in previous.counts else 0
        if rows != held:
            raise StoreError(f"{file}: counts {rows:,} rows in {split}, the store has {held:,}; {_ANEW}")
    return found


def _read_inputs(file: Path) -> list[tuple[str, list[int]]]:
    """The fingerprint of each input and its number of rows in each split. Raises StoreError for any other line."""
    inputs = []
    for number, line in enumerate(read_plain_text(file, errors="replace").splitlines()[1:], start=2):
        fingerprint, *counts = line.split("\t")
        if len(counts) != len(SPLITS) or not all(count.isdecimal() for count in counts):
            raise StoreError(
                f"{file}, line {number}: {line!r}, expected a fingerprint and {len(SPLITS)} counts; {_ANEW}"
            )
        inputs.append((fingerprint, list(map(int, counts))))
    return inputs


class PreviousStore:
    """Reads rows of the previous store."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    def rows(self, known: PreviousInput) -> list[Row]:
        """The rows of one input, split by split, in the order of the store."""
        rows = []
        for split, first, count in known.places:
            held = self.store[split]
            for number in range(first, first + count):
                values = held.fields(number)
                values.pop("length")
                statistics = values.pop(STATISTICS, None)
                if statistics is not None:
                    values["statistics"] = FrameStatistics.from_flat(np.array(statistics))
                rows.append(Row(sequence=held.sequence(number), split=split, **values))
        return rows
