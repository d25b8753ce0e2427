"""Lanes for truncated BPTT: all sequences of a split end to end, cut into B lanes that are the rows of every batch.

    stream   BOS x1 x2 x3 | BOS y1 y2 | BOS z1 z2 z3 z4        inputs; targets are x1 x2 x3 EOS y1 ...
    lane 0   BOS x1 x2 x3   BOS y1                             window 0 = steps 0..W-1 of every lane, and so on
    lane 1   y2  BOS z1 z2  z3  z4                             a lane may begin inside a sequence

Every target occurs once an epoch, across lane borders too. `resets` marks the first step of each sequence and of
each lane. Steps after a lane's end are padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from seqaudio.batching.batch import Batch
from seqaudio.batching.conditions import SequenceConditions
from seqaudio.batching.padded import TokenRows
from seqaudio.vocabulary import BOS, EOS, PAD


class Piece(NamedTuple):
    """A part of one sequence in a lane."""

    row: int  # number of the sequence in the split
    offset: int  # its first step, counted in the sequence; 0 where the sequence begins here
    start: int  # its first step, counted in the lane
    steps: int


class Lanes:
    """Windows [W, B] of token ids over the lanes of a split; each window continues where the last one ended.

    Args:
        lanes: B, rows of a batch.
        window: W, steps a window: the `advance` of truncated BPTT.
        seed: the order of the sequences is drawn each epoch from (seed, epoch); None keeps that of the store.
        conditions: of the sequences; they change where the next one begins.
    """

    continues = True

    def __init__(
        self,
        split: TokenRows,
        lanes: int,
        window: int,
        seed: int | None = None,
        conditions: SequenceConditions | None = None,
    ) -> None:
        if lanes < 1 or window < 1:
            raise ValueError(f"lanes {lanes} and window {window} must be at least 1")
        self.split = split
        self.lanes = lanes
        self.window = window
        self.seed = seed
        self.conditions = conditions
        self.total = int((split.lengths + 1).sum())  # targets of an epoch, end marks included
        self.lane_length = -(-self.total // lanes)

    def __len__(self) -> int:
        return -(-self.lane_length // self.window)

    def order(self, epoch: int) -> np.ndarray:
        """Row numbers of the split in the order of the stream."""
        rows = len(self.split)
        if self.seed is None:
            return np.arange(rows)
        return np.random.default_rng((self.seed, epoch)).permutation(rows)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = self.order(epoch)
        ends = self._ends(order)
        for number in range(start, len(self)):
            yield self._window(order, ends, number, epoch)

    def pieces(self, epoch: int, lane: int, start: int, end: int) -> Iterator[Piece]:
        """The pieces in steps start..end (end excluded) of a lane, in order of time, up to the lane's end."""
        order = self.order(epoch)
        return self._pieces(order, self._ends(order), lane, start, end)

    def _ends(self, order: np.ndarray) -> np.ndarray:
        """The end of each sequence in the stream, in steps."""
        ends: np.ndarray = np.cumsum(self.split.lengths[order] + 1)
        return ends

    def _pieces(self, order: np.ndarray, ends: np.ndarray, lane: int, start: int, end: int) -> Iterator[Piece]:
        begin = lane * self.lane_length  # of the lane in the stream
        position, last = begin + start, min(begin + min(end, self.lane_length), self.total)
        while position < last:
            rank = int(np.searchsorted(ends, position, side="right"))
            row = int(order[rank])
            offset = position - (int(ends[rank]) - int(self.split.lengths[row]) - 1)
            steps = min(last, int(ends[rank])) - position
            yield Piece(row, offset, position - begin, steps)
            position += steps

    def _window(self, order: np.ndarray, ends: np.ndarray, number: int, epoch: int) -> Batch:
        shape = (self.window, self.lanes)
        inputs = np.full(shape, PAD, dtype=np.int64)
        targets = np.full(shape, PAD, dtype=np.int64)
        resets = np.zeros(shape, dtype=np.bool_)
        lengths = np.zeros(self.lanes, dtype=np.int64)
        told = None
        if self.conditions is not None:
            told = np.zeros((*shape, self.conditions.values.shape[1]), dtype=np.int64)
        first = number * self.window
        for lane in range(self.lanes):
            for row, offset, start, steps in self._pieces(order, ends, lane, first, first + self.window):
                ids = self.split.sequence(row)
                here = slice(start - first, start - first + steps)
                inputs[here, lane] = _with_mark_before(ids, offset, steps)
                targets[here, lane] = _with_mark_after(ids, offset, steps)
                resets[start - first, lane] = offset == 0
                if told is not None and self.conditions is not None:
                    told[here, lane] = self.conditions.of(row, epoch)
                lengths[lane] += steps
        if number == 0:
            resets[0] = True
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(lengths),
            targets=torch.from_numpy(targets),
            resets=torch.from_numpy(resets),
            conditions=None if told is None else torch.from_numpy(told),
            ids=tuple(f"lane {lane}" for lane in range(self.lanes)),
        )


def _with_mark_before(ids: np.ndarray, offset: int, steps: int) -> np.ndarray:
    """Elements offset .. offset + steps of BOS, x1 .. xn."""
    if offset:
        return ids[offset - 1 : offset - 1 + steps]
    return np.concatenate([[BOS], ids[: steps - 1]])


def _with_mark_after(ids: np.ndarray, offset: int, steps: int) -> np.ndarray:
    """Elements offset .. offset + steps of x1 .. xn, EOS."""
    if offset + steps <= len(ids):
        return ids[offset : offset + steps]
    return np.concatenate([ids[offset:], [EOS]])


LEGEND = "a column is {scale}; states are reset where a sequence begins, | (# more than one), or a lane inside one, :"


def draw_lanes(lanes: Lanes, epoch: int = 0, windows: int = 4, width: int = 96) -> Iterator[str]:
    """Lines that draw the first windows of every lane of an epoch.

        8 lanes of 11,287 steps in 89 windows of 128
        a column is 6 steps: ...
                0                     128                    256
        lane 0  |tune7--------|tune12---------------------|tune3-
        lane 1  :tune40---|tune2--------------------------------

    windows: at most so many are drawn. width: columns of the drawing, without the names of the lanes.
    """
    drawn = min(windows, len(lanes))
    shown = min(drawn * lanes.window, lanes.lane_length)
    each = -(-shown // width)  # steps a column
    name = "lane" if lanes.lanes == 1 else "lanes"
    yield f"{lanes.lanes:,} {name} of {lanes.lane_length:,} steps in {len(lanes):,} windows of {lanes.window:,}"
    yield LEGEND.format(scale="a step" if each == 1 else f"{each:,} steps")
    names = [f"lane {lane}" for lane in range(lanes.lanes)]
    margin = max(map(len, names)) + 2
    yield " " * margin + _ruler(range(0, shown, lanes.window), each, -(-shown // each))
    for lane, name in enumerate(names):
        yield (name.ljust(margin) + _lane(lanes, epoch, lane, shown, each)).rstrip()


def _ruler(borders: range, each: int, width: int) -> str:
    """The number of each window's first step above it, where it fits."""
    line = [" "] * width
    free = 0
    for border in borders:
        column, text = border // each, f"{border:,}"
        if column >= free and column + len(text) <= width:
            line[column : column + len(text)] = text
            free = column + len(text) + 1
    return "".join(line).rstrip()


def _lane(lanes: Lanes, epoch: int, lane: int, shown: int, each: int) -> str:
    line = [" "] * -(-shown // each)
    for piece in lanes.pieces(epoch, lane, 0, shown):
        first, last = piece.start // each, (piece.start + piece.steps - 1) // each
        text = lanes.split.ids[piece.row].ljust(last - first + 1, "-")
        mark = ":" if piece.offset else "#" if line[first] in "|#" else "|"
        # where one sequence ends and another begins in a column, the column belongs to the second
        line[first : last + 1] = mark + text[: last - first]
    return "".join(line)
