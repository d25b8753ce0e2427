"""Nested states: structure is kept, names are stable, selection is by row."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from seqaudio import state as states


class Inner(NamedTuple):
    hidden: Tensor
    memory: Tensor


class Outer(NamedTuple):
    first: Inner
    second: tuple[Tensor, Inner]


def outer(offset: float = 0.0) -> Outer:
    def block(value: float, *shape: int) -> Tensor:
        return torch.full((3, *shape), value + offset)

    return Outer(Inner(block(1, 2), block(2)), (block(3, 2, 4), Inner(block(4, 1), block(5, 5))))


NAMES = ["first.hidden", "first.memory", "second.0", "second.1.hidden", "second.1.memory"]


def test_names_are_fields_and_indices():
    assert list(states.flatten(outer())) == NAMES
    assert list(states.flatten((torch.zeros(1), Inner(torch.zeros(1), torch.zeros(1))), "lane")) == [
        "lane.0",
        "lane.1.hidden",
        "lane.1.memory",
    ]
    assert list(states.flatten(torch.zeros(1), "alone")) == ["alone"]
    assert states.flatten(()) == {}


def test_unflatten_restores_values_and_types():
    restored = states.unflatten(outer(), states.flatten(outer(10.0)))
    assert type(restored) is Outer
    assert type(restored.second) is tuple
    assert type(restored.second[1]) is Inner
    assert [int(t.flatten()[0]) for t in states.tensors(restored)] == [11, 12, 13, 14, 15]


def test_unflatten_under_a_prefix_takes_the_names_flatten_gave():
    flat = states.flatten(outer(10.0), "state")
    assert torch.equal(states.unflatten(outer(), flat, "state").second[0], outer(10.0).second[0])


def test_unflatten_lists_missing_and_unknown_names():
    flat = states.flatten(outer())
    flat["surplus"] = flat.pop("second.0")
    with pytest.raises(ValueError, match=r"missing \['second.0'\], unexpected \['surplus'\]"):
        states.unflatten(outer(), flat)


def test_map_walks_several_states_together():
    total = states.map_state(lambda a, b: a + 2 * b, outer(), outer(1.0))
    assert type(total) is Outer
    assert [int(t.flatten()[0]) for t in states.tensors(total)] == [5, 8, 11, 14, 17]


@pytest.mark.parametrize(
    "other",
    [
        (torch.zeros(3), torch.zeros(3)),
        (torch.zeros(3), (torch.zeros(3),), torch.zeros(3)),
        torch.zeros(3),
        (torch.zeros(3), torch.zeros(3), torch.zeros(3)),
    ],
    ids=["shorter", "nested otherwise", "a tensor", "a tensor for a tuple"],
)
def test_states_of_different_structure_are_refused(other):
    state = (torch.zeros(3), (torch.zeros(3), torch.zeros(3)), torch.zeros(3))
    with pytest.raises(ValueError, match="structure"):
        states.map_state(torch.add, state, other)
    with pytest.raises(ValueError, match="structure"):
        states.map_state(torch.add, other, state)


def test_leaf_that_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="got list"):
        states.map_state(torch.neg, (torch.zeros(1), [torch.zeros(1)]))
    with pytest.raises(TypeError, match="got dict"):
        states.flatten(({"hidden": torch.zeros(1)},))


def test_select_takes_whole_rows():
    chosen = states.select(torch.tensor([True, False, True]), outer(), outer(10.0))
    assert type(chosen) is Outer
    assert chosen.first.memory.tolist() == [2.0, 12.0, 2.0]
    assert chosen.second[0][:, 1, 3].tolist() == [3.0, 13.0, 3.0]


def test_select_keeps_nan_of_other_rows_out_of_values_and_gradients():
    source = torch.ones(3, 2, requires_grad=True)
    poisoned = source * torch.tensor([[1.0], [float("nan")], [1.0]])
    chosen = states.select(torch.tensor([True, False, True]), (poisoned,), (source * 5,))[0]
    (gradient,) = torch.autograd.grad(chosen.sum(), source, retain_graph=True)
    assert chosen[:, 0].tolist() == [1.0, 5.0, 1.0]
    (branch,) = torch.autograd.grad(chosen.sum(), poisoned)
    assert branch[:, 0].tolist() == [1.0, 0.0, 1.0]
    assert gradient[[0, 2]].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_detach_cuts_the_graph_and_keeps_the_values():
    weight = torch.ones(3, 2, requires_grad=True)
    cut = states.detach(Inner(weight * 2, weight * 3))
    assert type(cut) is Inner
    assert not any(t.requires_grad for t in cut)
    assert cut.memory[0].tolist() == [3.0, 3.0]


def test_a_spec_has_the_shapes_of_one_row_under_the_names_of_flatten():
    spec = states.state_spec(outer())
    assert list(spec) == NAMES
    assert spec == dict(zip(NAMES, [(2,), (), (2, 4), (1,), (5,)], strict=True))
    assert states.state_spec(()) == {}


def test_batch_size_is_the_first_dimension_of_all():
    assert states.batch_size(outer()) == 3
    assert states.batch_size(torch.zeros(4, 2)) == 4
    with pytest.raises(ValueError, match=r"'hidden': 3, 'memory': 4"):
        states.batch_size(Inner(torch.zeros(3), torch.zeros(4)))
    with pytest.raises(ValueError, match="no tensors"):
        states.batch_size(())
