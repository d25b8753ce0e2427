"""Every registered cell: its contract, and its equations where it has them in NumPy here or in torch.nn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqaudio.cells import (
    CELLS,
    AffineCell,
    GRUCell,
    LayerNormGRUCell,
    LSTMCell,
    LSTMState,
    MinGRUCell,
    MinLSTMCell,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    RRUCell,
    RRUState,
)
from seqaudio.errors import OptionError
from seqaudio.layers import Unrolled, build_layer
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


def normalised(values):
    return (values - values.mean()) / np.sqrt(values.var() + 1e-5)


def plain_sums(x, h, p, gates):
    """W x + b and U h + b' by gate."""
    return np.split(p["weight_ih"] @ x + p["bias_ih"], gates), np.split(p["weight_hh"] @ h + p["bias_hh"], gates)


def normalised_sums(x, h, p, gates):
    """The same with each product normalised over all gates, scaled and shifted."""
    of_x = normalised(p["weight_ih"] @ x) * p["gain_ih"] + p["bias_ih"]
    of_h = normalised(p["weight_hh"] @ h) * p["gain_hh"] + p["bias_hh"]
    return np.split(of_x, gates), np.split(of_h, gates)


def elman_equations(x, state, p):
    (of_x,), (of_h,) = plain_sums(x, state["hidden"], p, 1)
    return {"hidden": np.tanh(of_x + of_h)}


def elman_relu_equations(x, state, p):
    (of_x,), (of_h,) = plain_sums(x, state["hidden"], p, 1)
    return {"hidden": np.maximum(0, of_x + of_h)}


def lstm_memory(sums, memory):
    i, f, g, o = (of_x + of_h for of_x, of_h in zip(*sums, strict=True))
    return sigmoid(f) * memory + sigmoid(i) * np.tanh(g), sigmoid(o)


def lstm_equations(x, state, p):
    memory, o = lstm_memory(plain_sums(x, state["hidden"], p, 4), state["memory"])
    return {"hidden": o * np.tanh(memory), "memory": memory}


def projected_lstm_equations(x, state, p):
    memory, o = lstm_memory(plain_sums(x, state["hidden"], p, 4), state["memory"])
    return {"hidden": p["weight_hr"] @ (o * np.tanh(memory)), "memory": memory}


def layer_norm_lstm_equations(x, state, p):
    memory, o = lstm_memory(normalised_sums(x, state["hidden"], p, 4), state["memory"])
    return {"hidden": o * np.tanh(normalised(memory) * p["gain_memory"] + p["bias_memory"]), "memory": memory}


def peephole_lstm_equations(x, state, p):
    sums = plain_sums(x, state["hidden"], p, 4)
    i, f, g, o = (of_x + of_h for of_x, of_h in zip(*sums, strict=True))
    to_i, to_f, to_o = p["weight_peephole"]
    f, i = sigmoid(f + to_f * state["memory"]), sigmoid(i + to_i * state["memory"])
    memory = f * state["memory"] + i * np.tanh(g)
    return {"hidden": sigmoid(o + to_o * memory) * np.tanh(memory), "memory": memory}


def gru_after(sums, hidden):
    (x_r, x_z, x_n), (h_r, h_z, h_n) = sums
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return {"hidden": (1 - z) * np.tanh(x_n + r * h_n) + z * hidden}


def gru_equations(x, state, p):
    return gru_after(plain_sums(x, state["hidden"], p, 3), state["hidden"])


def layer_norm_gru_equations(x, state, p):
    return gru_after(normalised_sums(x, state["hidden"], p, 3), state["hidden"])


def gru_reset_before_equations(x, state, p):
    (x_r, x_z, x_n), (h_r, h_z, _) = plain_sums(x, state["hidden"], p, 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + p["weight_hh"][2 * H :] @ (r * state["hidden"]) + p["bias_hh"][2 * H :])
    return {"hidden": (1 - z) * n + z * state["hidden"]}


def min_gru_equations(x, state, p):
    z, n = np.split(p["weight_ih"] @ x + p["bias_ih"], 2)
    return {"hidden": (1 - sigmoid(z)) * state["hidden"] + sigmoid(z) * n}


def min_lstm_equations(x, state, p):
    f, i, n = np.split(p["weight_ih"] @ x + p["bias_ih"], 3)
    f, i = sigmoid(f), sigmoid(i)
    return {"hidden": f / (f + i) * state["hidden"] + i / (f + i) * n}


def rru_equations(x, state, p):
    a = p["weight_ih"] @ x + p["weight_hh"] @ state["memory"] + p["bias_ih"]
    j = np.maximum(0, a / np.sqrt((a**2).mean() + 1e-5))
    candidate, output = np.split(p["weight_out"] @ j + p["bias_out"], 2)
    return {"hidden": output, "memory": sigmoid(10 * p["keep"]) * state["memory"] + p["rezero"] * candidate}


EQUATIONS = {
    "elman": elman_equations,
    "elman_relu": elman_relu_equations,
    "lstm": lstm_equations,
    "peephole_lstm": peephole_lstm_equations,
    "projected_lstm": projected_lstm_equations,
    "layer_norm_lstm": layer_norm_lstm_equations,
    "gru": gru_equations,
    "gru_reset_before": gru_reset_before_equations,
    "layer_norm_gru": layer_norm_gru_equations,
    "min_gru": min_gru_equations,
    "min_lstm": min_lstm_equations,
    "rru": rru_equations,
}
AFFINE = [name for name in EQUATIONS if issubclass(CELLS[name], AffineCell)]
TORCH_CELLS = {
    "elman": nn.RNNCell(F, H),
    "elman_relu": nn.RNNCell(F, H, nonlinearity="relu"),
    "lstm": nn.LSTMCell(F, H),
    "gru": nn.GRUCell(F, H),
}


def test_step_follows_the_equations(cell, request):
    equations = EQUATIONS[request.node.callspec.params["cell"]]
    inputs, state = torch.randn(B, F).double(), random_state(cell)
    outputs, next_state = cell(inputs, state)
    parameters = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    for row in range(B):
        before = {key: tensor[row].numpy() for key, tensor in flatten(state).items()}
        expected = equations(inputs[row].numpy(), before, parameters)
        assert expected.keys() == flatten(next_state).keys()
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


@pytest.mark.parametrize("projection", [1, 2, 4])
def test_projected_weights_move_one_to_one_from_torch(projection):
    reference = nn.LSTM(F, H, proj_size=projection).double()
    cell = ProjectedLSTMCell(F, H, projection).double()
    cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in reference.state_dict().items()})
    inputs, state = torch.randn(B, F).double(), random_state(cell)
    outputs, next_state = cell(inputs, state)
    expected, (hidden, memory) = reference(inputs[None], tuple(tensor[None] for tensor in state))
    torch.testing.assert_close(outputs, expected[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(tuple(next_state), (hidden[0], memory[0]), atol=1e-12, rtol=0)


def test_cells_without_equations_here_are_noticed():
    """A cell of this package has its equations written out a second time above."""
    ours = {name for name in CELLS if CELLS[name].__module__.startswith("seqaudio.")}
    assert ours == EQUATIONS.keys()


def shapes(state):
    return {name: tensor.shape for name, tensor in flatten(state).items()}


def test_names_and_shapes_of_the_state_stay(cell):
    _, next_state = cell(torch.randn(B, F).double(), random_state(cell))
    for state in (cell.initial_state(B), next_state):
        assert batch_size(state) == B
        assert shapes(state) == shapes(cell.zero_state(B))
        assert type(state) is type(cell.initial_state(1))


def test_output_has_the_promised_width(cell):
    outputs, _ = cell(torch.randn(B, F).double(), cell.initial_state(B))
    assert outputs.shape == (B, cell.output_size)
    assert cell.input_size == F
    assert cell.output_size == (H // 2 if isinstance(cell, ProjectedLSTMCell) else H)


def test_initial_state_follows_the_type_of_the_cell(cell):
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
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


def test_wrong_width_names_both_sizes(cell):
    for shape in ((B, F + 1), (B, 0), (F,), (2, B, F)):
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


@pytest.mark.parametrize("name", AFFINE)
def test_recurrent_weights_start_orthogonal_in_every_gate(name):
    cell = CELLS[name](F, H)
    for gate in cell.weight_hh.detach().split(H):
        torch.testing.assert_close(gate.T @ gate, torch.eye(cell.output_size), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in EQUATIONS if name != "rru"])
def test_input_weights_start_within_the_bound_of_one_gate(name):
    weights = CELLS[name](30, 50).weight_ih.detach()
    bound = (6 / (30 + 50)) ** 0.5
    assert 0.97 * bound < weights.abs().max() <= bound


def test_forget_gate_starts_open_and_other_biases_at_zero():
    cell = LSTMCell(F, H)
    assert cell.bias_ih.tolist() == [0.0] * H + [1.0] * H + [0.0] * (2 * H)
    assert cell.bias_hh.tolist() == [0.0] * (4 * H)
    assert not GRUCell(F, H).bias_ih.any()
    for name in ("peephole_lstm", "projected_lstm", "layer_norm_lstm"):
        assert torch.equal(CELLS[name](F, H).bias_ih, cell.bias_ih)


def test_memory_of_an_open_gate_outlives_the_hidden_state():
    cell = LSTMCell(F, H)
    for parameter in cell.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(cell.bias_ih[H : 2 * H].detach(), 50.0)
    memory = torch.arange(B * H).reshape(B, H).float()
    _, state = cell(torch.randn(B, F), LSTMState(torch.randn(B, H), memory))
    assert torch.equal(state.memory, memory)
    torch.testing.assert_close(state.hidden, 0.5 * torch.tanh(memory))


def test_peephole_cell_starts_as_an_lstm():
    lstm, peephole = LSTMCell(F, H), PeepholeLSTMCell(F, H)
    peephole.load_state_dict(lstm.state_dict(), strict=False)
    inputs, state = torch.randn(B, F), random_state(lstm)
    torch.testing.assert_close(peephole(inputs, state), lstm(inputs, state), atol=1e-7, rtol=0)


def test_normalised_products_do_not_see_the_scale_of_the_weights():
    cell = LayerNormGRUCell(F, H).double()
    inputs, state = torch.randn(B, F).double(), random_state(cell)
    expected, _ = cell(inputs, state)
    with torch.no_grad():
        cell.weight_ih.mul_(70)
        cell.weight_hh.mul_(0.3)
    torch.testing.assert_close(cell(inputs, state)[0], expected, atol=1e-4, rtol=0)  # the epsilon is not scaled


def test_projection_is_no_wider_than_the_memory():
    with pytest.raises(ValueError, match="projection of 5 values to 6"):
        ProjectedLSTMCell(F, H, 6)


@pytest.mark.parametrize("kind", [MinGRUCell, MinLSTMCell])
def test_coefficients_of_a_whole_sequence_are_those_of_its_steps(kind):
    cell = kind(F, H).double()
    frames = torch.randn(7, B, F).double()
    for whole, steps in zip(cell.coefficients(frames), zip(*map(cell.coefficients, frames), strict=True), strict=True):
        torch.testing.assert_close(whole, torch.stack(steps), atol=1e-14, rtol=0)


@pytest.mark.parametrize("kind", [MinGRUCell, MinLSTMCell])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_minimal_step_moves_between_the_old_state_and_the_candidate(kind, scale):
    """The weights of the two lie in 0..1 and add up to one, where gates underflow too."""
    cell = kind(F, H)
    nn.init.zeros_(cell.weight_ih[-H:].detach())
    nn.init.ones_(cell.bias_ih[-H:].detach())  # the candidate is one
    kept, new = cell.coefficients(scale * torch.randn(50, F))
    assert ((kept >= 0) & (kept <= 1)).all()
    torch.testing.assert_close(kept + new, torch.ones(50, H), atol=1e-6, rtol=0)


def test_minimal_lstm_shares_evenly_where_both_gates_are_shut():
    cell = MinLSTMCell(F, H)
    nn.init.zeros_(cell.weight_ih)
    nn.init.constant_(cell.bias_ih, -1e4)
    kept, _ = cell.coefficients(torch.randn(B, F))
    assert kept.eq(0.5).all()


# ---- the state before the first step


def read_fields(cell):
    """Names of the state's tensors that a step reads, which are learned."""
    return [name for name in flatten(cell.zero_state(1)) if name not in cell.unread]


def test_learned_start_is_zero_so_far_and_named_as_the_state(cell):
    before = set(cell.state_dict())
    cell.learn_initial_state()
    assert set(cell.state_dict()) - before == {f"start.{name}" for name in read_fields(cell)}
    assert not any(tensor.any() for tensor in tensors(cell.initial_state(B)))


def test_names_of_parameters_tell_nothing_of_a_start_that_is_not_learned(cell):
    assert not any(name.startswith("start") for name in cell.state_dict())


def test_learned_start_stands_in_every_row(cell):
    cell.learn_initial_state()
    for parameter in cell.start.values():
        nn.init.normal_(parameter)
    state = flatten(cell.initial_state(B))
    for name in read_fields(cell):
        assert torch.equal(state[name], cell.start[name].detach().expand(B, -1))


def test_learning_the_start_twice_keeps_what_was_learned(cell):
    cell.learn_initial_state()
    (name, *_) = read_fields(cell)
    learned = cell.start[name]
    nn.init.normal_(learned)
    cell.learn_initial_state()
    assert cell.start[name] is learned


@pytest.mark.parametrize("fused", [False, True], ids=["loop", "fastest"])
def test_learned_start_is_trained_by_every_row_and_by_every_reset(cell, fused):
    cell.learn_initial_state()
    for parameter in cell.start.values():
        nn.init.normal_(parameter)
    layer = build_layer(cell, fused)
    inputs, given = torch.randn(6, B, F).double(), random_state(cell)
    resets = torch.zeros(6, B, dtype=torch.bool)
    resets[2, 1] = resets[5, 1] = True
    starts = list(cell.start.values())

    total = layer(inputs)[0].sum()
    pieces = sum(Unrolled(cell)(inputs[:, row : row + 1])[0].sum() for row in range(B))
    assert_gradients_equal(total, pieces, starts)

    total = layer(inputs, given, resets=resets)[0].sum()
    # row 1 starts anew twice, the others go on from the state that was given
    pieces = sum(Unrolled(cell)(inputs[a:b, 1:2])[0].sum() for a, b in ((2, 5), (5, 6)))
    assert_gradients_equal(total, pieces, starts)


def assert_gradients_equal(one, other, parameters):
    for a, b in zip(torch.autograd.grad(one, parameters), torch.autograd.grad(other, parameters), strict=True):
        assert a.any()
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


# ---- the residual recurrent unit


def test_residual_unit_starts_with_memories_of_many_lengths_and_without_a_candidate():
    cell = RRUCell(30, 50)
    kept = torch.sigmoid(10 * cell.keep).detach()
    assert 0.01 <= kept.min() < 0.2 < 0.8 < kept.max() <= 0.99
    assert not cell.rezero.any()
    bound = (6 / (30 + 50 + 160)) ** 0.5
    for weights in (cell.weight_ih.detach(), cell.weight_hh.detach()):
        assert 0.97 * bound < weights.abs().max() <= bound
    memory = torch.randn(B, 50)
    _, state = cell(torch.randn(B, 30), RRUState(torch.randn(B, 50), memory))
    torch.testing.assert_close(state.memory, kept * memory, atol=1e-6, rtol=0)


def test_residual_unit_reads_its_memory_and_not_its_output():
    cell, inputs, memory = RRUCell(F, H), torch.randn(B, F), torch.randn(B, H)
    one, _ = cell(inputs, RRUState(torch.randn(B, H), memory))
    same, _ = cell(inputs, RRUState(torch.randn(B, H), memory))
    other, _ = cell(inputs, RRUState(torch.zeros(B, H), 2 * memory))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_unknown_cell_suggests_the_nearest():
    with pytest.raises(OptionError, match="did you mean lstm"):
        CELLS["lstn"]
