"""Items, rows, and the Process between them: the inputs and outputs of a preparation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from seqaudio.errors import InputFileError
from seqaudio.prepare.engine.statistics import FrameStatistics


class Held(Protocol):
    """Bytes of an input that are not in a file of their own, such as a cell of a table. Picklable, for workers."""

    @property
    def size(self) -> int:
        """Bytes, as far as they are known without reading them; they decide where chunks end."""

    @property
    def stamp(self) -> str:
        """Another text where the bytes may have changed, as the size and time of a file are."""

    def read(self) -> bytes:
        """The bytes, equal at every call. Raises OSError or InputFileError where they cannot be read."""


@dataclass(frozen=True)
class Item:
    """One input. `key` names it in the ledger: its path below the source, or `table.csv#17`.

    `path` is None for an input without a file, such as a word to be spoken by a synthesiser. Where `held` has the
    bytes, there is no file at `path`: it is a name with its suffix.
    """

    key: str
    path: Path | None
    id: str
    split: str = ""  # empty: the Process sets the split of each Row
    label: str = ""
    text: str = ""
    speaker: str = ""
    condition: str = ""  # how it was recorded, such as clean or noisy; evaluation reports each
    content: bytes | None = None  # of a small file that was already read for its checksum
    start: float = 0.0  # seconds; of a segment of a recording
    end: float | None = None  # seconds; None: the end of the recording
    word_start: float | None = None  # seconds from `start`: when the label begins to sound; None: unknown
    word_end: float | None = None  # seconds from `start`
    held: Held | None = field(default=None, repr=False)  # processes are known by their repr, some of which have items

    def with_content(self, content: bytes) -> Item:
        """The same item with the bytes of its file: `replace` without calling the constructor, for every input."""
        item = object.__new__(Item)
        item.__dict__.update(self.__dict__, content=content)
        return item

    @property
    def file(self) -> Path:
        """The path of the input's file; its name where the bytes are held. Raises ValueError for an input without."""
        if self.path is None:
            raise ValueError(f"{self.key} is not a file")
        return self.path


@dataclass(frozen=True, eq=False)
class Row:
    """One sequence for the store. Where a string is empty, that of the Item is stored."""

    id: str
    sequence: np.ndarray  # [T, F] float32 frames, or [T] int64 ids or int16 samples
    duration: float  # seconds
    split: str = ""
    label: str = ""
    text: str = ""
    speaker: str = ""
    condition: str = ""
    word_start: float | None = None  # seconds from the start of the row; None for both: those of the Item
    word_end: float | None = None
    remark: str = ""  # for the ledger: what had to be left out or corrected
    identity: bytes = b""  # for a SplitChoice: what the item is; that of its first row counts
    statistics: FrameStatistics | None = None  # for normalisation; None: taken from the sequence itself


# chooses the split of each item from the splits given so far (empty: none) and the identities (empty: the item has no
# rows), for splits that depend on the content of all inputs
SplitChoice = Callable[[Sequence[str], Sequence[bytes]], Sequence[str]]

# a picklable callable, usually a frozen dataclass; raises InputFileError for an input that cannot be used
Process = Callable[[Item], list[Row]]


@runtime_checkable
class BatchProcess(Protocol):
    """A Process that is faster with several items at once, because it reads ahead or works on them in batches.

    `many` yields, for each item in order, the rows that a single call returns, bit for bit, or the error that it
    raises. The result for an item must not depend on the items beside it.
    """

    def __call__(self, item: Item) -> list[Row]: ...

    def many(self, items: Sequence[Item]) -> Iterable[list[Row] | InputFileError]: ...


def outcomes(process: Process, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
    """The rows or the error of each item, in order: by `many` where the process has it, otherwise call by call."""
    if isinstance(process, BatchProcess):
        yield from process.many(items)
        return
    for item in items:
        try:
            yield process(item)
        except InputFileError as error:
            yield error
