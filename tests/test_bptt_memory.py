"""How much the graph of each strategy holds at its largest, counted tensor by tensor: no clock, no allocator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.bptt import CheckpointedBPTT, FullBPTT, Strategy, TruncatedBPTT
from seqaudio.bptt.strategies import Carried
from seqaudio.models import EventModel

torch.set_num_threads(1)
ROWS = 8  # so that the same kernel runs short windows and long ones


class Ledger:
    """Bytes that graphs hold now, and the most they held."""

    now = peak = 0

    def add(self, count: int) -> None:
        self.now += count
        self.peak = max(self.peak, self.now)


class Held:
    """A tensor that a graph keeps for backward, as long as the graph keeps it."""

    def __init__(self, tensor: Tensor, ledger: Ledger) -> None:
        self.tensor, self.ledger = tensor.detach(), ledger  # a result would hold its graph, which holds this
        ledger.add(tensor.nbytes)

    def __del__(self) -> None:
        self.ledger.add(-self.tensor.nbytes)


def peak_of_graphs(strategy: Strategy, steps: int, cell: str) -> int:
    """Bytes at the largest moment of one batch of `steps` steps."""
    torch.manual_seed(1)
    model, ledger = EventModel(5, 4, cell, hidden_size=4), Ledger()
    ids = torch.randint(0, 5, (steps, ROWS))
    carried: Carried | None = None
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: Held(tensor, ledger), lambda held: held.tensor):
        for window in strategy.windows(Batch(ids, torch.full((ROWS,), steps), targets=ids)):
            _, _, carried = strategy.backward(model, window, carried)
    assert ledger.now == 0
    return ledger.peak


CELLS = pytest.mark.parametrize("cell", ["elman", "lstm"])


@CELLS
def test_full_grows_with_the_sequence(cell: str) -> None:
    assert peak_of_graphs(FullBPTT(), 1600, cell) > 3.5 * peak_of_graphs(FullBPTT(), 400, cell)


@CELLS
@pytest.mark.parametrize("strategy", [TruncatedBPTT(20), TruncatedBPTT(20, 60)], ids=str)
def test_truncated_does_not_grow_with_the_sequence(strategy: Strategy, cell: str) -> None:
    assert peak_of_graphs(strategy, 1600, cell) == peak_of_graphs(strategy, 400, cell)


@CELLS
def test_a_longer_reach_holds_the_layers_of_all_its_windows_and_the_losses_of_one(cell: str) -> None:
    once, thrice = (peak_of_graphs(TruncatedBPTT(20, reach), 400, cell) for reach in (20, 60))
    assert 1.5 * once < thrice < 3 * once


@CELLS
def test_checkpointed_grows_with_the_square_root_of_the_sequence(cell: str) -> None:
    short, long = (peak_of_graphs(CheckpointedBPTT(), steps, cell) for steps in (400, 1600))
    assert 1.5 * short < long < 2.5 * short
    assert long < peak_of_graphs(FullBPTT(), 1600, cell) / 20
