"""Products of many rows: those of torch.nn.Linear, with their gradients, whichever library runs them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqaudio.layers import products
from seqaudio.layers.products import FEW_ROWS, Linear, linear

SIZES = [(3, 70), (1, FEW_ROWS), (2, 5), (0, 4)]  # of the leading dimensions


@pytest.mark.parametrize("rows", SIZES, ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_it_equals_torchs_layer_and_takes_its_weights(rows: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(1)
    ours, torchs = Linear(11, 13, bias=bias), nn.Linear(11, 13, bias=bias)
    ours.load_state_dict(torchs.state_dict())
    weights = torch.randn(*rows, 13)
    found = []
    for layer in (ours, torchs):
        inputs = torch.randn(*rows, 11, generator=torch.Generator().manual_seed(2)).requires_grad_()
        outputs = layer(inputs)
        (outputs * weights).sum().backward()
        found.append((outputs.detach(), inputs.grad, *(value.grad for value in layer.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(ours(inputs), outputs.detach(), rtol=1e-4, atol=1e-5)


def test_many_rows_in_float32_run_in_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    if not products._has_onednn():
        pytest.skip("this torch has no such call")
    calls: list[Tensor] = []
    run = products._product
    monkeypatch.setattr(products, "_product", lambda *given: calls.append(given[0]) or run(*given))
    layer = Linear(3, 4)
    with torch.no_grad():
        layer(torch.randn(FEW_ROWS, 3))
        assert len(calls) == 1
        layer(torch.randn(FEW_ROWS - 1, 3))
        layer.double()(torch.randn(FEW_ROWS, 3, dtype=torch.float64))
    assert len(calls) == 1


def test_second_derivatives_and_a_gradient_of_one_number_for_all() -> None:
    rows, weight = torch.randn(FEW_ROWS, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    (first,) = torch.autograd.grad(linear(rows, weight).square().sum(), rows, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), weight)
    (expected,) = torch.autograd.grad(
        torch.autograd.grad((rows @ weight.t()).square().sum(), rows, create_graph=True)[0].sum(), weight
    )
    torch.testing.assert_close(second, expected, rtol=1e-4, atol=1e-3)
    linear(rows, weight).sum().backward()
    torch.testing.assert_close(rows.grad, weight.detach().sum(0).expand(FEW_ROWS, 3), rtol=1e-4, atol=1e-5)


def test_transforms_of_torch_go_through_it() -> None:
    weight = torch.randn(2, 3)
    rows = torch.randn(4, FEW_ROWS, 3)
    found = torch.func.vmap(lambda part: linear(part, weight))(rows)
    torch.testing.assert_close(found, rows @ weight.t(), rtol=1e-4, atol=1e-5)
