"""The contents of a store, read once for all checks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqaudio.arrow_files import Split
from seqaudio.audio import sound_fault
from seqaudio.audio.recording import from_int16
from seqaudio.ledger import LedgerEntry
from seqaudio.store import INPUTS, SPLITS, Store


@dataclass(frozen=True)
class Rows:
    """The rows of one split, column by column."""

    ids: list[str]
    labels: list[str]
    texts: list[str]
    speakers: list[str]
    seconds: np.ndarray  # [N] float64
    steps: np.ndarray  # [N] int64
    contents: list[bytes]  # a hash of each sequence: equal for rows with the same content
    finite: list[bool]  # whether all values of each sequence are finite
    faults: list[str]  # of the sound, see `sound_fault`; empty strings in a store without samples

    def __len__(self) -> int:
        return len(self.ids)


class Contents:
    """A store, and the rows of each of its splits that is not empty."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.splits = {
            split: _read(store[split], store.kind)
            for split in SPLITS
            if split in store.counts and store.counts[split].rows
        }

    @property
    def has_samples(self) -> bool:
        return self.store.kind == "audio"

    @property
    def is_labelled(self) -> bool:
        return any(label for rows in self.splits.values() for label in rows.labels)

    @property
    def records_faults(self) -> bool:
        """Whether the ledger lists silent and clipped recordings: in stores of versions that also keep inputs.tsv."""
        return (self.store.path / INPUTS).is_file()

    @cached_property
    def ledger(self) -> list[LedgerEntry]:
        return self.store.ledger()

    def rows(self) -> Iterator[tuple[str, int, Rows]]:
        """(split, index within the split, rows of the split) for every row."""
        for split, rows in self.splits.items():
            for number in range(len(rows)):
                yield split, number, rows


def _read(split: Split, kind: str) -> Rows:
    has_samples, counts_numbers = kind == "audio", kind == "features"  # of features `check_numbers` counts the NaN
    contents, finite, faults = [], [], []
    for row in range(len(split)):
        sequence = split.stored(row) if counts_numbers else split.sequence(row)
        contents.append(hashlib.blake2b(np.ascontiguousarray(sequence).data, digest_size=16).digest())
        finite.append(bool(np.isfinite(sequence).all()))
        faults.append(sound_fault(from_int16(sequence)) if has_samples else "")
    return Rows(
        split.ids,
        split.labels,
        split.column("text"),
        split.column("speaker"),
        np.array(split.column("duration"), dtype=np.float64),
        split.lengths,
        contents,
        finite,
        faults,
    )
