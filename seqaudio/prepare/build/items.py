"""What goes into a preparation and what comes out: items, rows, and the process between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from seqaudio.errors import InputFileError
from seqaudio.prepare.build.statistics import Moments


@dataclass(frozen=True)
class Item:
    """One input. `key` names it in the ledger: its path below the source, or `table.csv#17`.

    `path` is None for an input that no file holds, such as a word to be spoken by a synthesiser.
    """

    key: str
    path: Path | None
    id: str
    split: str = ""  # empty: the Process decides, in each Row
    label: str = ""
    text: str = ""
    speaker: str = ""
    condition: str = ""  # how it was recorded, such as clean or noisy; evaluation tells them apart
    content: bytes | None = None  # of a small file that was read already, for its checksum

    @property
    def file(self) -> Path:
        """The path of an input that is a file. Raises ValueError for one that is not."""
        if self.path is None:
            raise ValueError(f"{self.key} is not a file")
        return self.path


@dataclass(frozen=True, eq=False)
class Row:
    """One sequence for the store. An empty string falls back to that of the Item."""

    id: str
    sequence: np.ndarray  # [T, F] float32 frames, or [T] int64 ids or int16 samples
    duration: float  # seconds
    split: str = ""
    label: str = ""
    text: str = ""
    speaker: str = ""
    condition: str = ""
    remark: str = ""  # for the ledger: what had to be left out or put right
    identity: bytes = b""  # what the item is, for a SplitChoice; that of the item's first row counts
    moments: Moments | None = None  # for normalisation, where they are not those of the sequence itself


# the split of each item, from the splits that items have already (empty: none) and from their identities (empty: no row
# came of it); for splits that depend on the content of all inputs
SplitChoice = Callable[[Sequence[str], Sequence[bytes]], Sequence[str]]

# a picklable callable, usually a frozen dataclass; raises InputFileError for an input that cannot be used
Process = Callable[[Item], list[Row]]


@runtime_checkable
class BatchProcess(Protocol):
    """A Process that is quicker with several items at hand, because it reads ahead or works on them together.

    `many` gives the outcome of each item, in order, as it is asked for one: the rows that a single call returns, equal
    to the bit, or the error that it raises. How items were put together must not show.
    """

    def __call__(self, item: Item) -> list[Row]: ...

    def many(self, items: Sequence[Item]) -> Iterable[list[Row] | InputFileError]: ...


def outcomes(process: Process, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
    """What a process makes of each item, in order: by `many` where it has that, otherwise one call after the other."""
    if isinstance(process, BatchProcess):
        yield from process.many(items)
        return
    for item in items:
        try:
            yield process(item)
        except InputFileError as error:
            yield error
