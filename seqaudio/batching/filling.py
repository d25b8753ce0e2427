"""Move a stretch of bars to the end of token sequences, so that a model learns to write it from both of its sides.

    in the store    x1 ..... xi | ..... | xj ..... xn             | before a bar
    in a batch      x1 ..... xi  <gap_k>  xj ..... xn  <fill>  the k bars between xi and xj

`<gap_k>` says how many bars are missing, so that the model can lead them to where the piece goes on. The marks are
behind the names of the store, and are no targets: a model never writes them.

Source: Bavarian et al. (2022), "Efficient training of language models to fill in the middle", of text cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seqaudio.batching.batch import Batch, Source
from seqaudio.batching.padded import TokenRows
from seqaudio.vocabulary import MOST_FILLED

CHOICE, STRETCH = 0, 1  # what is drawn


@dataclass(frozen=True)
class BarMarks:
    """How tokens write bars, and where the marks of missing bars are.

    Attributes:
        bar: the id that begins a bar.
        metres: the ids of time signatures; one stands before the bar from which on it holds.
        size: V of the representation; the ids of `FILL_MARKS` follow.
    """

    bar: int
    metres: range
    size: int

    def gap(self, bars: int) -> int:
        """The id that says that so many bars are missing, 1 to MOST_FILLED."""
        if not 1 <= bars <= MOST_FILLED:
            raise ValueError(f"{bars} missing bars, expected 1..{MOST_FILLED}")
        return self.size + bars - 1

    @property
    def fill(self) -> int:
        """The id after which the missing bars come."""
        return self.size + MOST_FILLED

    def starts(self, ids: np.ndarray) -> np.ndarray:
        """[bars] the places in ids [T] at which each bar begins, with its time signature where it has one."""
        lines = np.flatnonzero(ids == self.bar)
        before = ids[np.maximum(lines - 1, 0)]
        starts: np.ndarray = lines - ((lines > 0) & (before >= self.metres.start) & (before < self.metres.stop))
        return starts

    def moved(self, ids: np.ndarray, first: int, bars: int) -> tuple[np.ndarray, int]:
        """Ids [T + 2] with `bars` bars from bar `first`, counted from 0, at the end, and how many ids these are."""
        starts = np.append(self.starts(ids), len(ids))
        begin, end = int(starts[first]), int(starts[first + bars])
        whole = ids.astype(np.int64)
        parts = (whole[:begin], [self.gap(bars)], whole[end:], [self.fill], whole[begin:end])
        return np.concatenate(parts), end - begin


class FilledRows:
    """The token sequences of a split, of which a share has a stretch of bars moved to its end, others in each epoch.

    What is moved depends on (seed, epoch, row) alone; how many sequences, and so the number of all tokens, is the same
    in each epoch.

    Args:
        share: of the sequences of at least two bars, 0..1.
    """

    def __init__(self, split: TokenRows, marks: BarMarks, share: float, seed: int) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share {share}, expected 0..1")
        self.split, self.marks, self.seed = split, marks, seed
        self.bars = np.array([np.count_nonzero(split.sequence(row) == marks.bar) for row in range(len(split))])
        self.longer = np.flatnonzero(self.bars > 1)
        self.chosen = round(share * len(self.longer))

    def in_epoch(self, epoch: int) -> MovedRows:
        """The sequences as they are in an epoch."""
        draw = np.random.default_rng((self.seed, epoch, CHOICE))
        moved = np.zeros(len(self.split), dtype=np.bool_)
        moved[draw.permutation(self.longer)[: self.chosen]] = True
        return MovedRows(self, epoch, moved)

    def stretch(self, epoch: int, row: int) -> tuple[int, int]:
        """The first bar that is moved, counted from 0, and the number of bars: at least one is left."""
        draw = np.random.default_rng((self.seed, epoch, STRETCH, row))
        count = int(self.bars[row])
        bars = int(draw.integers(1, min(MOST_FILLED, count - 1), endpoint=True))
        return int(draw.integers(0, count - bars, endpoint=True)), bars


@dataclass(frozen=True, eq=False)
class MovedRows:
    """The sequences of `FilledRows` in one epoch."""

    rows: FilledRows
    epoch: int
    moved: np.ndarray  # [N] bool: whether a stretch of the row is at its end

    @property
    def ids(self) -> Sequence[str]:
        return self.rows.split.ids

    @property
    def lengths(self) -> np.ndarray:
        """[N] int64: two marks more where bars are moved."""
        lengths: np.ndarray = self.rows.split.lengths + 2 * self.moved
        return lengths

    def __len__(self) -> int:
        return len(self.rows.split)

    def sequence(self, row: int) -> np.ndarray:
        """The ids [T] of a row, marks included."""
        return self._moved(row)[0] if self.moved[row] else self.rows.split.sequence(row)

    def at_end(self, row: int) -> int:
        """How many ids are moved to the end of a row; 0 where none are."""
        return self._moved(row)[1] if self.moved[row] else 0

    def _moved(self, row: int) -> tuple[np.ndarray, int]:
        return self.rows.marks.moved(self.rows.split.sequence(row), *self.rows.stretch(self.epoch, row))


class FilledBatches:
    """Batches of `FilledRows`; marks of missing bars count for nothing as targets.

    Args:
        batches: makes the source of one epoch from its sequences, such as lanes or padded batches.
    """

    def __init__(self, rows: FilledRows, batches: Callable[[TokenRows], Source]) -> None:
        self.rows, self.batches = rows, batches
        self.continues = batches(rows.in_epoch(0)).continues

    def __len__(self) -> int:
        return len(self.batches(self.rows.in_epoch(0)))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from batch number `start` on."""
        for batch in self.batches(self.rows.in_epoch(epoch)).epoch(epoch, start):
            assert batch.targets is not None
            yield replace(batch, weights=(batch.targets < self.rows.marks.size).float())
