"""Where weights begin, by name: the values that each initialisation promises, and the cells it refuses."""

from __future__ import annotations

import math

import pytest
import torch

from seqaudio.cells import (
    CELLS,
    INITIALISATIONS,
    AffineCell,
    ElmanCell,
    ElmanReLUCell,
    GRUCell,
    LSTMCell,
    MinGRUCell,
    MinLSTMCell,
    ProjectedLSTMCell,
    Residual,
    Zoneout,
    initialise,
)
from seqaudio.errors import OptionError

F, H = 3, 200  # wide enough for statistics

LSTM_KINDS = ["lstm", "peephole_lstm", "projected_lstm", "layer_norm_lstm"]
GRU_KINDS = ["gru", "gru_reset_before", "layer_norm_gru"]
SUITED = {
    "orthogonal=1": [name for name in CELLS if issubclass(CELLS[name], AffineCell)],
    "spectral_radius=0.9": ["elman", "elman_relu", *GRU_KINDS, "lstm", "peephole_lstm", "layer_norm_lstm"],
    "forget_bias=1": [*LSTM_KINDS, "min_lstm"],
    "chrono=100": [*LSTM_KINDS, *GRU_KINDS, "min_gru", "min_lstm"],
    "identity=1": ["elman", "elman_relu"],
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(2)


def bias(cell, gate):
    """The whole bias of a gate."""
    whole = cell.bias_ih + (cell.bias_hh if isinstance(cell, AffineCell) else 0)
    return whole.detach().chunk(cell.gates)[gate]


def pairs(fitting):
    every = [(text, name) for text in SUITED for name in CELLS]
    return [(text, name) for text, name in every if (name in SUITED[text]) == fitting]


@pytest.mark.parametrize(("text", "name"), pairs(fitting=True))
def test_weights_stay_finite_leaves_that_are_trained(text, name):
    cell = CELLS[name](F, 6)
    initialise(cell, text)
    assert all(p.is_leaf and p.requires_grad and torch.isfinite(p).all() for p in cell.parameters())


@pytest.mark.parametrize(("text", "name"), pairs(fitting=False))
def test_cell_that_it_does_not_fit_is_refused_in_one_line(text, name):
    cell = CELLS[name](F, 6)
    before = {key: tensor.clone() for key, tensor in cell.state_dict().items()}
    with pytest.raises(OptionError, match=CELLS[name].__name__) as caught:
        initialise(cell, text)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(tensor, before[key]) for key, tensor in cell.state_dict().items())


def test_every_initialisation_is_tried_here():
    assert {text.split("=")[0] for text in SUITED} == set(INITIALISATIONS)


@pytest.mark.parametrize("name", ["lstm", "gru", "projected_lstm"])
def test_orthogonal_gates_stretch_by_the_gain(name):
    cell = CELLS[name](F, 8)
    initialise(cell, "orthogonal=1.5")
    for gate in cell.weight_hh.detach().split(8):
        torch.testing.assert_close(gate.T @ gate, 2.25 * torch.eye(cell.output_size), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", LSTM_KINDS)
def test_forget_bias_is_the_value_in_all(name):
    cell = CELLS[name](F, 5)
    torch.nn.init.normal_(cell.bias_hh)
    others = [bias(cell, gate) for gate in (0, 2, 3)]
    initialise(cell, "forget_bias=2.5")
    assert bias(cell, 1).tolist() == [2.5] * 5
    assert cell.bias_hh.detach().chunk(4)[1].tolist() == [0.0] * 5
    assert all(map(torch.equal, others, [bias(cell, gate) for gate in (0, 2, 3)]))


def test_forget_bias_is_one_by_default():
    cell = MinLSTMCell(F, 5)
    initialise(cell, "forget_bias")
    assert cell.bias_ih.tolist() == [1.0] * 5 + [0.0] * 10


@pytest.mark.parametrize("name", LSTM_KINDS)
def test_chrono_opens_the_forget_gate_as_far_as_it_shuts_the_input_gate(name):
    cell = CELLS[name](F, H)
    initialise(cell, "chrono=784")
    assert torch.equal(bias(cell, 0), -bias(cell, 1))
    assert_log_uniform(bias(cell, 1), 784)
    assert not bias(cell, 2).any()


@pytest.mark.parametrize("name", GRU_KINDS)
def test_chrono_keeps_by_the_update_gate(name):
    cell = CELLS[name](F, H)
    initialise(cell, "chrono=784")
    assert_log_uniform(bias(cell, 1), 784)
    assert not bias(cell, 0).any()


def assert_log_uniform(biases, longest_lag):
    """exp of the biases is uniform over 1 .. longest_lag - 1."""
    lags = biases.exp()
    assert 1 - 1e-4 <= lags.min() < 0.05 * longest_lag
    assert 0.95 * longest_lag < lags.max() <= longest_lag - 1 + 1e-3
    assert abs(lags.mean() / (longest_lag / 2) - 1) < 0.1


@pytest.mark.parametrize("kind", [LSTMCell, GRUCell, MinGRUCell, MinLSTMCell])
def test_chrono_forgets_within_the_longest_lag(kind):
    """On silent frames a unit keeps 1 - 1 / tau of its state a step, tau spread over 2 .. longest_lag."""
    cell = kind(F, H).double()
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    initialise(cell, "chrono=50")
    ones = cell.zero_state(1)._replace(**{cell.zero_state(1)._fields[-1]: torch.ones(1, H).double()})
    _, after = cell(torch.zeros(1, F).double(), ones)
    time_constants = 1 / (1 - after[-1])
    assert 2 - 1e-9 <= time_constants.min() < 5
    assert 45 < time_constants.max() <= 50 + 1e-9


@pytest.mark.parametrize("longest_lag", [2, 1, 0, -5])
def test_chrono_needs_a_lag(longest_lag):
    with pytest.raises(OptionError, match=f"longest lag of {longest_lag} steps, expected more than 2"):
        initialise(LSTMCell(F, H), f"chrono={longest_lag}")


def test_identity_hands_the_state_on():
    cell = ElmanReLUCell(F, 6)
    torch.nn.init.normal_(cell.bias_hh)
    initialise(cell, "identity=0.5")
    state = cell.zero_state(2)._replace(hidden=torch.rand(2, 6))
    _, after = cell(torch.zeros(2, F), state)
    torch.testing.assert_close(after.hidden, 0.5 * state.hidden)


@pytest.mark.parametrize("name", ["elman", "lstm", "gru"])
def test_largest_eigenvalue_of_every_gate_is_the_value(name):
    cell = CELLS[name](F, 20)
    torch.nn.init.normal_(cell.weight_hh)
    initialise(cell, "spectral_radius=0.9")
    for gate in cell.weight_hh.detach().split(20):
        assert math.isclose(torch.linalg.eigvals(gate).abs().max(), 0.9, rel_tol=1e-4)


def test_matrices_without_eigenvalues_to_scale_are_refused():
    square, oblong = ElmanCell(F, 4), ProjectedLSTMCell(F, 4)
    torch.nn.init.zeros_(square.weight_hh)
    with pytest.raises(OptionError, match="all zero"):
        initialise(square, "spectral_radius=0.9")
    with pytest.raises(OptionError, match="square matrices, weight_hh of ProjectedLSTMCell is 4 x 2"):
        initialise(oblong, "spectral_radius=0.9")
    with pytest.raises(OptionError, match="got 0, expected a positive number"):
        initialise(oblong, "spectral_radius=0")


def test_initialisation_acts_on_the_innermost_cell():
    for function in (
        lambda cell: initialise(cell, "forget_bias=3"),
        lambda cell: INITIALISATIONS["forget_bias"](cell, 3),
    ):
        cell = Residual(Zoneout(LSTMCell(4, 4)))
        function(cell)
        assert bias(cell.cell.cell, 1).tolist() == [3.0] * 4


def test_initialisations_follow_each_other():
    cell = LSTMCell(F, 5)
    initialise(cell, "spectral_radius=0.5+chrono=30+forget_bias=7")
    assert bias(cell, 1).tolist() == [7.0] * 5
    assert (bias(cell, 0) <= 0).all()
    assert math.isclose(torch.linalg.eigvals(cell.weight_hh.detach()[:5]).abs().max(), 0.5, rel_tol=1e-4)


def test_same_seed_begins_the_same():
    cells = []
    for _ in range(2):
        torch.manual_seed(4)
        cells.append(GRUCell(F, 9))
        initialise(cells[-1], "orthogonal+chrono=40")
    assert all(map(torch.equal, cells[0].parameters(), cells[1].parameters()))
