"""How far gradients reach: truncated equals full where nothing is cut, and never crosses a border."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.bptt import FullBPTT, Strategy, TruncatedBPTT
from seqaudio.errors import OptionError
from seqaudio.models import EventModel, KeywordModel, Model

T, B, V = 12, 3, 8
LENGTHS = torch.tensor([12, 9, 4])


def model(cell: str = "lstm") -> EventModel:
    torch.manual_seed(1)
    return EventModel(V, 5, cell, hidden_size=6, layers=2).double()


def batch(resets: bool = False) -> Batch:
    draw = torch.Generator().manual_seed(2)
    ids = torch.randint(3, V, (T + 1, B), generator=draw)
    mask = torch.rand(T, B, generator=draw) < 0.2 if resets else None
    return Batch(ids[:-1], LENGTHS, targets=ids[1:], resets=mask)


def gradients(strategy: Strategy, net: Model, data: Batch) -> tuple[list[Tensor], float, int]:
    """Summed gradients over all windows with the weights held fixed, the loss and its count."""
    net.zero_grad()
    carried: Any = None
    total, count = 0.0, 0
    for window in strategy.windows(data):
        loss, n, carried = strategy.backward(net, window, carried)
        total, count = total + loss, count + n
    return [p.grad.clone() for p in net.parameters() if p.grad is not None], total, count


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_one_window_over_everything_equals_full(cell: str, resets: bool) -> None:
    net = model(cell)
    full, total, count = gradients(FullBPTT(), net, batch(resets))
    whole, other_total, other_count = gradients(TruncatedBPTT(T), net, batch(resets))
    assert (count, total) == (other_count, pytest.approx(other_total, rel=1e-12))
    for one, other in zip(full, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("advance", [1, 4, 5])
@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
def test_truncated_equals_an_oracle_that_detaches_at_each_border(cell: str, advance: int) -> None:
    net, data = model(cell), batch(resets=True)
    truncated, total, count = gradients(TruncatedBPTT(advance), net, data)

    # the oracle: one graph over all steps in single calls, cut by hand where a window begins
    net.zero_grad()
    state, losses = net.initial_state(B), []
    for t in range(T):
        if t % advance == 0:
            state = _detached(state)
        loss, _, state = net.loss(data.slice_time(t, t + 1), state)
        losses.append(loss)
    torch.stack(losses).sum().backward()
    assert count == int(LENGTHS.sum())
    assert total == pytest.approx(torch.stack(losses).sum().item(), rel=1e-12)
    for one, parameter in zip(truncated, net.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, rtol=0, atol=1e-10)


def _detached(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach()
    parts = [_detached(part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def test_truncation_loses_gradient_but_no_loss() -> None:
    net = model("elman")
    full, total, count = gradients(FullBPTT(), net, batch())
    cut, other, other_count = gradients(TruncatedBPTT(3), net, batch())
    assert (count, total) == (other_count, pytest.approx(other, rel=1e-12))
    assert any(not torch.allclose(one, two) for one, two in zip(full, cut, strict=True))


def test_the_carried_state_holds_no_graph() -> None:
    _, _, carried = TruncatedBPTT(4).backward(model("gru"), batch().slice_time(0, 4), None)
    while not isinstance(carried, Tensor):
        carried = carried[0]
    assert not carried.requires_grad


def test_models_with_one_loss_a_sequence_refuse_truncation_with_the_reason() -> None:
    with pytest.raises(OptionError, match=r"one loss for a whole sequence.*--bptt full"):
        TruncatedBPTT(4).check(KeywordModel(3, 2))
    FullBPTT().check(KeywordModel(3, 2))
    TruncatedBPTT(4).check(model())


def test_a_window_has_at_least_one_step() -> None:
    with pytest.raises(OptionError, match="--advance 0"):
        TruncatedBPTT(0)
