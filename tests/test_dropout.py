"""Masks of dropout: the numbers of torch from torch's generator, which moves on as it does there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqaudio.layers.dropout import FEW, Dropout, draws_as_torch, mask

NOT_HERE = "torch draws masks in another way here, and draws them itself"


@pytest.mark.skipif(not draws_as_torch(), reason=NOT_HERE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("p", [0.05, 0.5, 0.93])
def test_masks_are_those_of_torch_and_so_is_the_generator_behind_them(p: float, dtype: torch.dtype) -> None:
    for before in range(3):  # numbers that were drawn before
        after = []
        for layer in (Dropout(p), nn.Dropout(p)):
            torch.manual_seed(before)
            torch.rand(before)
            inputs = torch.randn(3, FEW // 2 + before, dtype=dtype).requires_grad_()
            outputs = layer(inputs)
            outputs.sum().backward()
            after.append((outputs.detach(), inputs.grad, layer(inputs).detach(), torch.rand(5)))
        for ours, torchs in zip(*after, strict=True):
            assert torch.equal(ours, torchs)


def test_a_share_of_the_numbers_is_dropped_and_the_others_are_scaled_up() -> None:
    found = mask(torch.empty(100_000), 0.3, torch.Generator().manual_seed(1))
    assert found.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    assert float((found == 0).double().mean()) == pytest.approx(0.3, abs=0.01)


def test_nothing_is_dropped_outside_training_and_torch_drops_what_it_alone_can() -> None:
    values = torch.randn(2, FEW)
    assert Dropout(0.5).eval()(values) is values
    for other in (values.half(), values.t(), values[:, :3]):
        torch.manual_seed(1)
        ours = Dropout(0.5)(other)
        torch.manual_seed(1)
        assert torch.equal(ours, nn.Dropout(0.5)(other))
