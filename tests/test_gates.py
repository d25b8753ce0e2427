"""Gates of trained cells: the values that their equations give, in the order of the frames, by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqaudio.cells import build_cell
from seqaudio.layers import build_layer, build_stack
from seqaudio.probing.gates import gates_of

T, F, H = 7, 3, 5


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_gates_of_an_lstm_and_a_gru_are_those_of_their_equations() -> None:
    inputs = torch.randn(T, 1, F)
    for cell, names, order in (("gru", ("reset", "update"), "rzn"), ("lstm", ("forget", "input", "output"), "ifgo")):
        layer = build_layer(build_cell(cell, F, H)).eval()
        outputs, _ = layer(inputs)
        found = gates_of(layer, lambda run: run(inputs))
        assert [(gate.layer, gate.name) for gate in found] == [("layer 1", name) for name in names]
        weights = layer.cell
        before = torch.cat([torch.zeros(1, H), outputs[:-1, 0]])
        sums = inputs[:, 0] @ weights.weight_ih.T + weights.bias_ih + before @ weights.weight_hh.T + weights.bias_hh
        parts = dict(zip(order, sums.detach().sigmoid().chunk(len(order), dim=1), strict=True))
        for gate in found:
            expected = parts["z" if gate.name == "update" else gate.name[0]]
            np.testing.assert_allclose(gate.values, expected.numpy(), atol=1e-6)


def test_a_layer_that_reads_from_the_end_has_its_gates_in_the_order_of_the_frames() -> None:
    stack = build_stack("gru", F, H, layers=2, bidirectional=True).eval()
    inputs = torch.randn(T, 1, F)
    found = gates_of(stack, lambda run: run(inputs))
    assert [gate.layer for gate in found[::2]] == ["layer 1", "layer 1 backward", "layer 2", "layer 2 backward"]
    turned = gates_of(stack.layers[0].backward_layer, lambda run: run(inputs.flip(0)))
    np.testing.assert_array_equal(found[2].values, turned[0].values[::-1])


def test_wrapped_cells_have_the_names_inside_and_cells_without_gates_have_none() -> None:
    inputs = torch.randn(T, 1, F)
    wrapped = gates_of(build_layer(build_cell("gru+zoneout=0.1", F, H)).eval(), lambda run: run(inputs))
    assert [gate.name for gate in wrapped] == ["reset", "update"]
    assert gates_of(build_layer(build_cell("elman", F, H)).eval(), lambda run: run(inputs)) == []
    torch_layer = nn.LSTM(F, H).eval()
    assert [gate.name for gate in gates_of(torch_layer, lambda run: run(inputs))] == ["forget", "input", "output"]


def test_the_model_stays_as_it_is() -> None:
    stack = build_stack("gru", F, H, layers=1).eval()
    inputs = torch.randn(T, 1, F)
    before, _ = stack(inputs)
    gates_of(stack, lambda run: run(inputs))
    after, _ = stack(inputs)
    assert torch.equal(before, after)
    assert not any(module._forward_hooks for module in stack.modules())
