"""Every registered cell: its contract, and its equations where it has them in NumPy here or in torch.nn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqaudio.cells import CELLS, AffineCell, GRUCell, LSTMCell, LSTMState
from seqaudio.errors import OptionError
from seqaudio.state import batch_size, flatten, map_state, tensors

B, F, H = 4, 3, 5  # all different, so that a swapped matrix shows


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(20)


@pytest.fixture(params=list(CELLS))
def cell(request):
    made = CELLS[request.param](F, H).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.6)  # biases differ from zero too
    return made


def random_state(cell, rows=B):
    return map_state(torch.randn_like, cell.initial_state(rows))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elman_equations(x, state, W, U, b, c):
    hidden = np.tanh(W @ x + b + U @ state["hidden"] + c)
    return {"hidden": hidden}


def elman_relu_equations(x, state, W, U, b, c):
    hidden = np.maximum(0, W @ x + b + U @ state["hidden"] + c)
    return {"hidden": hidden}


def lstm_equations(x, state, W, U, b, c):
    i, f, g, o = np.split(W @ x + b + U @ state["hidden"] + c, 4)
    memory = sigmoid(f) * state["memory"] + sigmoid(i) * np.tanh(g)
    return {"hidden": sigmoid(o) * np.tanh(memory), "memory": memory}


def gru_equations(x, state, W, U, b, c):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(W @ x + b, 3), np.split(U @ state["hidden"] + c, 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return {"hidden": (1 - z) * np.tanh(x_n + r * h_n) + z * state["hidden"]}


EQUATIONS = {
    "elman": elman_equations,
    "elman_relu": elman_relu_equations,
    "lstm": lstm_equations,
    "gru": gru_equations,
}
TORCH_CELLS = {
    "elman": nn.RNNCell(F, H),
    "elman_relu": nn.RNNCell(F, H, nonlinearity="relu"),
    "lstm": nn.LSTMCell(F, H),
    "gru": nn.GRUCell(F, H),
}


@pytest.mark.parametrize("name", list(EQUATIONS))
def test_step_follows_the_equations(name):
    cell = CELLS[name](F, H).double()
    inputs, state = torch.randn(B, F).double(), random_state(cell)
    nn.init.normal_(cell.bias_ih)
    nn.init.normal_(cell.bias_hh)
    outputs, next_state = cell(inputs, state)
    matrices = [p.detach().numpy() for p in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)]
    for row in range(B):
        before = {key: tensor[row].numpy() for key, tensor in flatten(state).items()}
        expected = EQUATIONS[name](inputs[row].numpy(), before, *matrices)
        np.testing.assert_allclose(outputs[row].detach().numpy(), expected["hidden"], atol=1e-12)
        for key, tensor in flatten(next_state).items():
            np.testing.assert_allclose(tensor[row].detach().numpy(), expected[key], atol=1e-12)


@pytest.mark.parametrize("name", list(TORCH_CELLS))
def test_weights_move_one_to_one_from_torch(name):
    reference = TORCH_CELLS[name].double()
    cell = CELLS[name](F, H).double()
    cell.load_state_dict(reference.state_dict())
    inputs, state = torch.randn(B, F).double(), random_state(cell)
    outputs, next_state = cell(inputs, state)
    expected = reference(inputs, tuple(state) if len(state) > 1 else state.hidden)
    expected = expected if isinstance(expected, tuple) else (expected,)
    torch.testing.assert_close(outputs, expected[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(tuple(next_state), expected, atol=1e-12, rtol=0)


def test_affine_cells_without_equations_here_are_noticed():
    """A cell on the shared parameters has its equations written out a second time above."""
    affine = {name for name in CELLS if issubclass(CELLS[name], AffineCell)}
    assert affine <= EQUATIONS.keys()


def test_spec_names_and_shapes_are_those_of_the_state(cell):
    _, next_state = cell(torch.randn(B, F).double(), random_state(cell))
    for state in (cell.initial_state(B), next_state):
        assert batch_size(state) == B
        assert {name: tuple(t.shape[1:]) for name, t in flatten(state).items()} == cell.state_spec()
        assert type(state) is type(cell.initial_state(1))


def test_output_has_the_promised_width(cell):
    outputs, _ = cell(torch.randn(B, F).double(), cell.initial_state(B))
    assert outputs.shape == (B, cell.output_size)
    assert (cell.input_size, cell.output_size) == (F, H)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_initial_state_follows_the_type_of_the_cell(cell, dtype):
    assert {t.dtype for t in tensors(cell.to(dtype).initial_state(2))} == {dtype}


def test_initial_state_follows_the_device_of_the_cell(cell):
    assert {t.device.type for t in tensors(cell.to("meta").initial_state(2))} == {"meta"}


def test_rows_are_independent(cell):
    inputs, state = torch.randn(B, F).double(), random_state(cell)
    together, next_state = cell(inputs, state)
    for row in range(B):
        alone, alone_state = cell(inputs[row : row + 1], map_state(lambda t, r=row: t[r : r + 1], state))
        torch.testing.assert_close(alone[0], together[row], atol=1e-12, rtol=0)
        for a, b in zip(tensors(alone_state), tensors(next_state), strict=True):
            torch.testing.assert_close(a[0], b[row], atol=1e-12, rtol=0)


def test_step_leaves_its_arguments_alone(cell):
    inputs, state = torch.randn(B, F).double(), random_state(cell)
    kept_inputs, kept_state = inputs.clone(), map_state(torch.clone, state)
    cell(inputs, state)
    assert torch.equal(inputs, kept_inputs)
    assert all(map(torch.equal, tensors(state), tensors(kept_state)))


def test_gradients_agree_with_finite_differences(cell):
    state = random_state(cell)
    names = [name for name, _ in cell.named_parameters()]

    def step(inputs, *others):
        parts, weights = others[: len(state)], others[len(state) :]
        outputs, next_state = torch.func.functional_call(
            cell, dict(zip(names, weights, strict=True)), (inputs, type(state)(*parts))
        )
        return outputs, *next_state

    arguments = [torch.randn(B, F).double(), *state, *cell.parameters()]
    assert torch.autograd.gradcheck(step, [t.detach().clone().requires_grad_() for t in arguments])


@pytest.mark.parametrize("shape", [(B, F + 1), (B, 0), (F,), (2, B, F)])
def test_wrong_width_names_both_sizes(cell, shape):
    with pytest.raises(ValueError) as caught:
        cell(torch.zeros(shape).double(), cell.initial_state(B))
    assert str(list(shape)) in str(caught.value)
    assert f"[B, {F}]" in str(caught.value)


def test_same_seed_gives_the_same_weights(cell):
    torch.manual_seed(3)
    one = type(cell)(F, H).state_dict()
    torch.manual_seed(3)
    other = type(cell)(F, H).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("sizes", [(0, 5), (3, 0), (-1, 5)])
def test_sizes_are_positive(sizes):
    with pytest.raises(ValueError, match="positive"):
        LSTMCell(*sizes)


@pytest.mark.parametrize("name", list(EQUATIONS))
def test_recurrent_weights_start_orthogonal_in_every_gate(name):
    cell = CELLS[name](F, H)
    for gate in cell.weight_hh.detach().split(H):
        torch.testing.assert_close(gate @ gate.T, torch.eye(H), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", list(EQUATIONS))
def test_input_weights_start_within_the_bound_of_one_gate(name):
    weights = CELLS[name](30, 50).weight_ih.detach()
    bound = (6 / (30 + 50)) ** 0.5
    assert 0.97 * bound < weights.abs().max() <= bound


def test_forget_gate_starts_open_and_other_biases_at_zero():
    cell = LSTMCell(F, H)
    assert cell.bias_ih.tolist() == [0.0] * H + [1.0] * H + [0.0] * (2 * H)
    assert cell.bias_hh.tolist() == [0.0] * (4 * H)
    assert not GRUCell(F, H).bias_ih.any()


def test_memory_of_an_open_gate_outlives_the_hidden_state():
    cell = LSTMCell(F, H)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(cell.bias_ih[H : 2 * H].detach(), 50.0)
    memory = torch.arange(B * H).reshape(B, H).float()
    _, state = cell(torch.randn(B, F), LSTMState(torch.randn(B, H), memory))
    assert torch.equal(state.memory, memory)
    torch.testing.assert_close(state.hidden, 0.5 * torch.tanh(memory))


def test_unknown_cell_suggests_the_nearest():
    with pytest.raises(OptionError, match="did you mean lstm"):
        CELLS["lstn"]
