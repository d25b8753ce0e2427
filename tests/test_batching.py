"""Batches hold every row once, and lanes every target once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from made_up import frame_store, token_store
from seqaudio.batching import Batch, LabelledSequences, Lanes, PaddedBatches, TokenSequences
from seqaudio.store import Split
from seqaudio.vocabulary import BOS, EOS


class Sequences:
    """As much of a Split as lanes need."""

    def __init__(self, sequences: list[list[int]]) -> None:
        self.sequences = [np.array(ids, dtype=np.int64) for ids in sequences]
        self.lengths = np.array([len(ids) for ids in self.sequences], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.sequences)

    def sequence(self, row: int) -> np.ndarray:
        return self.sequences[row]


def lane_columns(lanes: Lanes, epoch: int = 0) -> list[list[tuple[int, int, bool]]]:
    """(input, target, reset) of each valid step of each lane, windows joined."""
    columns: list[list[tuple[int, int, bool]]] = [[] for _ in range(lanes.lanes)]
    for batch in lanes.epoch(epoch):
        assert batch.targets is not None
        assert batch.resets is not None
        for lane, steps in enumerate(batch.lengths.tolist()):
            values = zip(
                batch.inputs[:steps, lane].tolist(),
                batch.targets[:steps, lane].tolist(),
                batch.resets[:steps, lane].tolist(),
                strict=True,
            )
            columns[lane] += values
    return columns


def test_lanes_lay_sequences_end_to_end() -> None:
    lanes = Lanes(Sequences([[5, 6, 7], [8], []]), lanes=2, window=2)  # type: ignore[arg-type]
    first, second = lane_columns(lanes)
    assert first == [(BOS, 5, True), (5, 6, False), (6, 7, False), (7, EOS, False)]
    # the second lane begins with the state of nothing; the empty sequence is a mark followed by its end
    assert second == [(BOS, 8, True), (8, EOS, False), (BOS, EOS, True)]


@given(
    st.lists(st.lists(st.integers(3, 9), max_size=12), min_size=1, max_size=8),
    st.integers(1, 5),
    st.integers(1, 7),
    st.one_of(st.none(), st.integers(0, 3)),
    st.integers(0, 2),
)
def test_every_target_occurs_once_an_epoch(
    sequences: list[list[int]], lanes: int, window: int, seed: int | None, epoch: int
) -> None:
    source = Lanes(Sequences(sequences), lanes, window, seed)  # type: ignore[arg-type]
    steps = [step for column in lane_columns(source, epoch) for step in column]
    expected = []
    for row in source.order(epoch):
        ids = sequences[row]
        expected += list(zip([BOS, *ids], [*ids, EOS], strict=True))
    assert [(before, after) for before, after, _ in steps] == expected
    assert len(list(source.epoch(epoch))) == len(source)


@given(st.lists(st.lists(st.integers(3, 9), max_size=12), min_size=1, max_size=8), st.integers(1, 4))
def test_a_lane_resets_at_its_start_and_at_each_sequence(sequences: list[list[int]], lanes: int) -> None:
    for column in lane_columns(Lanes(Sequences(sequences), lanes, 3)):  # type: ignore[arg-type]
        for step, (before, _, reset) in enumerate(column):
            assert reset == (before == BOS or step == 0)


def test_lanes_go_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    lanes = Lanes(token_store(tmp_path)["train"], 3, 8, seed=1)
    for whole, rest in zip(list(lanes.epoch(2))[4:], lanes.epoch(2, 4), strict=True):
        torch.testing.assert_close(whole.inputs, rest.inputs)


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    train = token_store(tmp_path)["train"]
    orders = [Lanes(train, 2, 4, seed=1).order(epoch).tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    rows = [PaddedBatches(TokenSequences(train), 4, seed=1).rows(epoch) for epoch in (0, 1, 0)]
    assert rows[0] == rows[2] != rows[1]


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("max_steps", [None, 40])
def test_padded_batches_hold_every_row_once(tmp_path: Path, seed: int | None, max_steps: int | None) -> None:
    train = token_store(tmp_path)["train"]
    batches = PaddedBatches(TokenSequences(train), 6, seed=seed, max_steps=max_steps)
    rows = batches.rows(3)
    assert sorted(row for batch in rows for row in batch) == list(range(len(train)))
    assert max(map(len, rows)) <= 6
    if max_steps is None:
        assert len(rows) == len(batches)
    else:
        areas = [(int(train.lengths[batch].max()) + 1) * len(batch) for batch in rows if len(batch) > 1]
        assert max(areas) <= max_steps


def test_token_batches_pad_after_the_end_mark(tmp_path: Path) -> None:
    train = token_store(tmp_path)["train"]
    batch = TokenSequences(train)([0, 1, 2], epoch=0)
    assert batch.targets is not None
    for column, row in enumerate([0, 1, 2]):
        ids, length = train.sequence(row).tolist(), int(batch.lengths[column])
        assert batch.inputs[:length, column].tolist() == [BOS, *ids]
        assert batch.targets[:length, column].tolist() == [*ids, EOS]
        assert not batch.inputs[length:, column].any()


def test_a_transform_sees_epoch_and_id(tmp_path: Path) -> None:
    train = frame_store(tmp_path)["train"]
    seen: list[tuple[int, str]] = []

    def doubled(frames: np.ndarray, epoch: int, name: str) -> np.ndarray:
        seen.append((epoch, name))
        return np.concatenate([frames, frames])

    labels = np.arange(len(train), dtype=np.int64)
    batch = LabelledSequences(train, labels, doubled)([4, 1], epoch=7)
    assert seen == [(7, train.ids[4]), (7, train.ids[1])]
    assert batch.lengths.tolist() == [2 * train.lengths[4], 2 * train.lengths[1]]
    assert batch.targets is not None
    assert batch.targets.tolist() == [4, 1]


def test_a_slice_in_time_clamps_lengths_and_cuts_what_is_per_step() -> None:
    inputs = torch.arange(12).reshape(6, 2)
    batch = Batch(inputs, torch.tensor([6, 3]), targets=inputs + 1, resets=inputs > 3, weights=inputs.float())
    part = batch.slice_time(2, 5)
    assert part.lengths.tolist() == [3, 1]
    assert part.inputs.tolist() == inputs[2:5].tolist()
    assert part.targets is not None
    assert part.targets.tolist() == (inputs[2:5] + 1).tolist()
    assert part.mask().tolist() == [[True, True], [True, False], [True, False]]
    assert Batch(inputs, torch.tensor([6, 0]), targets=torch.tensor([1, 0])).slice_time(4, 6).lengths.tolist() == [2, 0]


def test_senseless_lanes_are_refused(tmp_path: Path) -> None:
    split: Split = token_store(tmp_path)["train"]
    with pytest.raises(ValueError, match="at least 1"):
        Lanes(split, 0, 4)
