"""Filters in front of a spotter: compiled code gives what torch's convolution, batch norm and rectifier give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.models import SpotterModel
from seqaudio.models.filter_sizes import KERNEL, STRIDE
from seqaudio.models.filters import compiled_filters_serve, filtered_maps


def layers(filters: int, dtype: torch.dtype) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    torch.manual_seed(1)
    convolution = nn.Conv2d(1, filters, KERNEL, stride=(1, STRIDE), padding=(0, KERNEL // 2))
    norm = nn.BatchNorm2d(filters)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return convolution.to(dtype), norm.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(("filters", "size"), [(8, 40), (16, 13), (24, 2)])
def test_compiled_filters_equal_torchs(filters: int, size: int, dtype: torch.dtype) -> None:
    frames = 3 + torch.randn(5, 9 + KERNEL, size, dtype=dtype, generator=torch.Generator().manual_seed(2))
    weights = torch.randn(5, 10, (size + 1) // 2, filters, dtype=dtype)

    def outcome(compiled: bool) -> list[Tensor]:
        convolution, norm = layers(filters, dtype)
        if compiled:
            maps = filtered_maps(frames, convolution, norm)
        else:
            maps = F.relu(norm(convolution(frames[:, None]))).permute(0, 2, 3, 1)
        (maps * weights).sum().backward()  # type: ignore[no-untyped-call]
        gradients = [value.grad for part in (convolution, norm) for value in part.parameters()]
        return [maps.detach(), *gradients, *norm.buffers()]  # type: ignore[list-item]

    tolerance = 1e-9 if dtype == torch.float64 else 2e-3
    for ours, torchs in zip(outcome(True), outcome(False), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=tolerance, atol=tolerance)


def test_compiled_filters_serve_in_training_alone_and_eight_at_a_time() -> None:
    frames = torch.randn(2, 9, 7)
    assert compiled_filters_serve(frames, *layers(8, torch.float32))
    convolution, norm = layers(8, torch.float32)
    assert not compiled_filters_serve(frames, convolution, norm.eval())
    assert not compiled_filters_serve(frames, *layers(12, torch.float32))
    assert not compiled_filters_serve(frames.clone().requires_grad_(), *layers(8, torch.float32))


def test_a_spotter_has_the_gradients_it_has_with_torchs_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = torch.randn(90, 3, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([90, 71, 5])

    def gradients() -> list[Tensor]:
        torch.manual_seed(4)
        model = SpotterModel(11, 4, hidden_size=6, dropout=0.0, filters=8).double().train()
        logits, _ = model(inputs, lengths)
        logits.square().sum().backward()
        return [logits.detach(), *(value.grad for value in model.parameters() if value.grad is not None)]

    ours = gradients()
    monkeypatch.setattr("seqaudio.models.spotter.compiled_filters_serve", lambda *given: False)
    for one, other in zip(ours, gradients(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)
