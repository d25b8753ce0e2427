"""Cells around cells: each has its effect, and nested in any order they keep the contract of a cell."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from seqaudio.cells import (
    CELLS,
    WRAPPERS,
    Cell,
    ElmanCell,
    GRUCell,
    LSTMCell,
    MinGRUCell,
    ProjectedLSTMCell,
    Reset,
    Residual,
    RRUCell,
    VariationalDropout,
    WeightDrop,
    Zoneout,
    build_cell,
)
from seqaudio.cells.wrappers import core_cell, core_state, replace_core_state
from seqaudio.errors import OptionError
from seqaudio.layers import Unrolled
from seqaudio.state import flatten, map_state, tensors, unflatten

T, B, F, H = 7, 4, 3, 6


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(8)


def randomised(cell):
    for parameter in cell.double().parameters():
        nn.init.normal_(parameter, std=0.5)
    return cell


def random_state(cell, rows=B):
    """Random where the core has its state; what wrappers add stays as `initial_state` made it."""
    state = cell.initial_state(rows)
    return replace_core_state(cell, state, map_state(torch.randn_like, core_state(cell, state)))


def frames(steps=T, rows=B, width=F):
    return torch.randn(steps, rows, width).double()


def take(state, row):
    return map_state(lambda tensor: tensor[row : row + 1], state)


def assert_states_close(got, expected):
    assert flatten(got).keys() == flatten(expected).keys()
    for name, tensor in flatten(got).items():
        torch.testing.assert_close(tensor, flatten(expected)[name], atol=1e-10, rtol=0)


# ---- zoneout


@pytest.mark.parametrize("kind", [LSTMCell, ProjectedLSTMCell])
def test_zoned_out_units_keep_their_value_to_the_last_bit_and_others_move_on(kind):
    inner = randomised(kind(F, 40))
    cell = Zoneout(inner, hidden=0.2, memory=0.7)
    inputs, before = frames(1, 50)[0], random_state(cell, 50)
    _, moved = inner(inputs, before)
    _, after = cell(inputs, before)
    for old, new, got, probability in zip(before, moved, after, (0.2, 0.7), strict=True):
        kept = got == old
        assert torch.equal(got[~kept], new[~kept])
        assert abs(kept.double().mean() - probability) < 0.04  # of 1000 or more units


def test_zoneout_draws_for_every_unit_and_every_step_anew():
    cell = Zoneout(randomised(GRUCell(F, 30)), hidden=0.5)
    inputs, before = frames(1)[0], random_state(cell)
    kept = [cell(inputs, before)[0] == before.hidden for _ in range(2)]
    assert not torch.equal(*kept)
    assert not torch.equal(kept[0][0], kept[0][1])


def test_zoneout_takes_the_expectation_in_evaluation():
    inner = randomised(LSTMCell(F, H))
    cell = Zoneout(inner, hidden=0.2, memory=0.7).eval()
    inputs, before = frames(1)[0], random_state(cell)
    _, moved = inner(inputs, before)
    outputs, after = cell(inputs, before)
    torch.testing.assert_close(after.hidden, 0.2 * before.hidden + 0.8 * moved.hidden, atol=1e-12, rtol=0)
    torch.testing.assert_close(after.memory, 0.7 * before.memory + 0.3 * moved.memory, atol=1e-12, rtol=0)
    assert torch.equal(outputs, after.hidden)


def test_zoneout_outputs_what_it_kept():
    cell = Zoneout(randomised(LSTMCell(F, H)), hidden=0.5)
    outputs, after = cell(frames(1)[0], random_state(cell))
    assert torch.equal(outputs, after.hidden)


def test_zoneout_of_nothing_is_the_cell():
    inner = randomised(LSTMCell(F, H))
    inputs, state = frames(1)[0], random_state(inner)
    for training in (True, False):
        torch.testing.assert_close(Zoneout(inner, 0, 0).train(training)(inputs, state), inner(inputs, state))


class CountState(NamedTuple):
    count: Tensor  # [B, 1]


class Count(Cell[CountState]):
    """Outputs the number of frames so far."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def forward(self, inputs, state):
        self.check_width(inputs)
        return state.count + 1, CountState(state.count + 1)

    def zero_state(self, batch_size):
        return CountState(torch.zeros(batch_size, 1))


@pytest.mark.parametrize("wrapper", [Zoneout, VariationalDropout])
def test_state_without_hidden_units_is_refused(wrapper):
    with pytest.raises(OptionError, match=r"field 'hidden', got Count with count$"):
        wrapper(Count(), 0, 0)


def test_zoneout_refuses_outputs_that_are_more_than_hidden_units():
    with pytest.raises(OptionError, match="zoneout around residual"):
        Zoneout(WeightDrop(Residual(GRUCell(H, H))))


# ---- variational dropout


def gradient_of_inputs(cell, steps=T, resets=None):
    inputs = frames(steps, width=cell.input_size).requires_grad_()
    outputs, _ = Unrolled(cell)(inputs, resets=resets)
    return torch.autograd.grad(outputs.sum(), inputs)[0]


def test_same_inputs_are_dropped_at_every_step_of_a_sequence():
    gradient = gradient_of_inputs(VariationalDropout(randomised(LSTMCell(12, H)), inputs=0.5, hidden=0))
    dropped = gradient == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert 0.25 < dropped[0].double().mean() < 0.75
    assert not torch.equal(dropped[0, 0], dropped[0, 1])  # rows have masks of their own


def test_reset_draws_new_masks_for_its_row_alone():
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[3, 1] = True
    dropped = gradient_of_inputs(VariationalDropout(randomised(LSTMCell(20, H)), inputs=0.5), resets=resets) == 0
    assert not torch.equal(dropped[2, 1], dropped[3, 1])
    assert torch.equal(dropped[3:, 1], dropped[3:4, 1].expand(T - 3, -1))
    for row in (0, 2, 3):
        assert torch.equal(dropped[:, row], dropped[:1, row].expand(T, -1))


def test_same_recurrent_connections_are_dropped_at_every_step_of_a_sequence():
    cell = VariationalDropout(randomised(ElmanCell(F, 12)), inputs=0, hidden=0.5)
    state = cell.initial_state(1)
    gradients = []
    for inputs in frames(5, 1):
        state = replace_core_state(cell, state, map_state(torch.randn_like, core_state(cell, state)))
        outputs, state = cell(inputs, state)
        gradients.append(torch.autograd.grad(outputs.sum(), cell.cell.weight_hh)[0])
    dropped = state.hidden_mask[0] == 0
    assert 0 < dropped.sum() < 12
    for gradient in gradients:
        assert torch.equal((gradient == 0).all(0), dropped)


def test_what_a_gate_carries_over_is_not_dropped():
    """A GRU with its update gate shut and an LSTM with its forget gate open keep their state under any mask."""
    for kind, gate in ((GRUCell, 1), (LSTMCell, 1)):
        cell = VariationalDropout(kind(F, H).double(), hidden=0.9)
        nn.init.constant_(core_cell(cell).bias_ih.detach().chunk(core_cell(cell).gates)[gate], 60.0)
        if kind is LSTMCell:
            nn.init.constant_(core_cell(cell).bias_ih.detach()[:H], -60.0)  # input gate
        before = random_state(cell)
        _, after = Unrolled(cell)(frames(), before)
        kept = [core_state(cell, state)[-1] for state in (before, after)]
        torch.testing.assert_close(*kept, atol=1e-10, rtol=0)


def test_masks_keep_the_mean():
    state = VariationalDropout(LSTMCell(300, 300), inputs=0.2, hidden=0.6).initial_state(B)
    assert set(state.inputs_mask.unique().tolist()) == {0.0, 1.25}
    assert set(state.hidden_mask.unique().tolist()) == {0.0, 2.5}
    assert abs(state.inputs_mask.mean() - 1) < 0.1
    assert abs(state.hidden_mask.mean() - 1) < 0.2


def test_all_may_be_dropped_or_kept():
    inputs, before = frames(), LSTMCell(F, H).double().initial_state(B)
    assert not torch.any(VariationalDropout(GRUCell(F, H).double(), 1, 1).initial_state(B).inputs_mask)
    _, kept = Unrolled(Zoneout(LSTMCell(F, H).double(), 1, 1))(inputs, before)
    assert all(map(torch.equal, kept, before))
    dropped = WeightDrop(ElmanCell(F, H).double(), 1)
    without = nn.Parameter(torch.zeros_like(dropped.cell.weight_hh))
    outputs, _ = Unrolled(dropped)(inputs)
    dropped.cell.weight_hh = without
    torch.testing.assert_close(outputs, Unrolled(dropped.cell)(inputs)[0])


def test_nothing_is_dropped_in_evaluation():
    inner = randomised(LSTMCell(F, H))
    cell = VariationalDropout(inner, 0.5, 0.5)
    trained = cell.initial_state(B)  # with masks
    inputs = frames()
    expected, _ = Unrolled(inner)(inputs)
    for state in (trained, cell.eval().initial_state(B)):
        assert torch.equal(Unrolled(cell.eval())(inputs, state)[0], expected)


def test_template_of_the_state_draws_nothing():
    cell = VariationalDropout(LSTMCell(F, H))
    before = torch.get_rng_state()
    shapes = {name: tuple(tensor.shape) for name, tensor in flatten(cell.zero_state(1)).items()}
    assert shapes == {"cell.hidden": (1, H), "cell.memory": (1, H), "inputs_mask": (1, F), "hidden_mask": (1, H)}
    assert torch.equal(torch.get_rng_state(), before)


def test_hidden_dropout_needs_recurrent_weights():
    with pytest.raises(
        OptionError, match=r"MinGRUCell, which has no recurrent weights; write variational_dropout=0.25,0"
    ):
        VariationalDropout(MinGRUCell(F, H))
    with pytest.raises(OptionError, match=r"RRUCell, which does not take a masked state; write variational_dropout"):
        VariationalDropout(RRUCell(F, H))
    assert VariationalDropout(MinGRUCell(F, H), 0.25, 0).input_size == F


# ---- weight drop


def effective_weight(cell, state):
    """weight_hh as one step uses it, for each row: the Jacobian of an Elman step, its tanh divided out. [B, H, H]"""
    inputs = frames(1, len(state.hidden))[0]
    hidden = state.hidden.requires_grad_()
    outputs, _ = cell(inputs, state)
    rows = [torch.autograd.grad(outputs[:, unit].sum(), hidden, retain_graph=True)[0] for unit in range(H)]
    return torch.stack(rows, dim=1) / (1 - outputs**2)[..., None]


def test_dropped_weight_is_one_within_a_window_and_another_in_the_next():
    inner = randomised(ElmanCell(F, H))
    cell = WeightDrop(inner, 0.5)
    seen = []
    for _ in range(2):
        cell.begin_window()
        seen.append([effective_weight(cell, random_state(inner)) for _ in range(2)])
    for window in seen:
        for step in window:
            torch.testing.assert_close(step, window[0][:1].expand(B, -1, -1), atol=1e-10, rtol=0)
        kept = window[0][0].abs() > 1e-12
        assert 0 < kept.sum() < H * H
        torch.testing.assert_close(window[0][0], torch.where(kept, 2 * inner.weight_hh, 0), atol=1e-10, rtol=0)
    assert (seen[0][0] - seen[1][0]).abs().max() > 0.1


def test_gradient_reaches_the_raw_weight_at_kept_places_only():
    inner = randomised(LSTMCell(F, H))
    layer = Unrolled(WeightDrop(inner, 0.5))
    kept = []
    for _ in range(2):
        outputs, _ = layer(frames())
        (gradient,) = torch.autograd.grad(outputs.sum(), inner.weight_hh)
        kept.append(gradient != 0)
        assert torch.equal(kept[-1], layer.cell.mask != 0)
    assert 0.3 < kept[0].double().mean() < 0.7
    assert not torch.equal(*kept)


def test_layer_redraws_the_weights_of_a_cell_deep_inside():
    layer = Unrolled(Zoneout(VariationalDropout(WeightDrop(randomised(LSTMCell(F, H))), 0, 0), 0, 0))
    inputs = frames()
    assert not torch.equal(layer(inputs)[0], layer(inputs)[0])
    layer.eval()
    assert torch.equal(layer(inputs)[0], layer(inputs)[0])


def test_all_weights_take_part_in_evaluation():
    inner = randomised(GRUCell(F, H))
    layer, inputs = Unrolled(WeightDrop(inner)), frames()
    layer(inputs)  # leaves a mask behind
    assert torch.equal(layer.eval()(inputs)[0], Unrolled(inner)(inputs)[0])


def test_dropped_weight_follows_the_optimiser_within_a_window():
    inner = randomised(ElmanCell(F, H))
    cell, inputs = WeightDrop(inner), frames(1)[0]
    state = random_state(inner)
    cell.begin_window()
    before, _ = cell(inputs, state)
    with torch.no_grad():
        inner.weight_hh.mul_(2)
    after, _ = cell(inputs, state)
    plain = inputs @ inner.weight_ih.T + inner.bias_ih + inner.bias_hh
    torch.testing.assert_close(torch.atanh(after) - plain, 2 * (torch.atanh(before) - plain), atol=1e-8, rtol=0)


def test_steps_without_a_gradient_leave_the_next_ones_theirs():
    inner = randomised(ElmanCell(F, H))
    cell, inputs, state = WeightDrop(inner), frames(1)[0], random_state(inner)
    with torch.no_grad():
        expected, _ = cell(inputs, state)
    outputs, _ = cell(inputs, state)
    assert torch.equal(outputs, expected)
    assert torch.autograd.grad(outputs.sum(), inner.weight_hh)[0].any()


def test_weight_drop_can_be_copied_in_the_middle_of_a_window():
    cell, inputs = WeightDrop(randomised(LSTMCell(F, H))), frames(1)[0]
    state = random_state(cell)
    outputs, _ = cell(inputs, state)
    assert torch.equal(copy.deepcopy(cell)(inputs, state)[0], outputs)


def test_weight_drop_adds_nothing_to_the_saved_weights():
    cell = WeightDrop(LSTMCell(F, H))
    cell.begin_window()
    assert list(cell.state_dict()) == [f"cell.{name}" for name in LSTMCell(F, H).state_dict()]


def test_weight_drop_refuses_a_cell_without_recurrent_weights():
    with pytest.raises(OptionError, match=r"weight_hh\), MinGRUCell has none"):
        WeightDrop(MinGRUCell(F, H))


# ---- residual


def test_residual_adds_the_frame_to_the_outputs_and_leaves_the_state():
    inner = randomised(GRUCell(H, H))
    inputs, state = frames(1, width=H)[0], random_state(inner)
    outputs, after = Residual(inner)(inputs, state)
    expected, expected_after = inner(inputs, state)
    assert torch.equal(outputs, expected + inputs)
    assert_states_close(after, expected_after)


def test_residual_names_both_widths_where_they_differ():
    with pytest.raises(OptionError, match="3 inputs and 6 outputs"):
        Residual(LSTMCell(F, H))


# ---- reset


def test_flagged_frames_begin_sequences_of_their_own():
    inner = randomised(LSTMCell(F, H))
    inner.learn_initial_state()
    randomised(inner)
    cell = Reset(inner)
    assert cell.input_size == F + 1
    inputs, state = frames(), random_state(inner)
    flags = torch.zeros(T, B, 1).double()
    flags[2, 0], flags[3, 0], flags[5, 3] = 1.0, -0.5, 1e-30
    outputs, after = Unrolled(cell)(torch.cat([inputs, flags], dim=2), state)
    expected, expected_after = Unrolled(inner)(inputs, state, resets=flags[..., 0] != 0)
    assert torch.equal(outputs, expected)
    assert_states_close(after, expected_after)


def test_nothing_of_the_state_before_a_flag_reaches_values_or_gradients():
    cell = Reset(randomised(LSTMCell(F, H)))
    inputs = torch.cat([frames(1)[0], torch.ones(B, 1).double()], dim=1).requires_grad_()
    state = map_state(lambda tensor: torch.full_like(tensor, float("nan")).requires_grad_(), cell.zero_state(B))
    outputs, after = cell(inputs, state)
    gradients = torch.autograd.grad(outputs.sum() + after.memory.sum(), [inputs, *state])
    assert torch.isfinite(outputs).all()
    assert torch.isfinite(gradients[0]).all()
    assert not any(gradient.any() for gradient in gradients[1:])


def test_flag_has_no_gradient():
    cell = Reset(randomised(GRUCell(F, H)))
    inputs = torch.cat([frames(1)[0], torch.tensor([[0.0], [1.0], [0.0], [2.0]]).double()], dim=1).requires_grad_()
    outputs, _ = cell(inputs, random_state(cell))
    (gradient,) = torch.autograd.grad(outputs.sum(), inputs)
    assert not gradient[:, -1].any()
    assert gradient[:, :-1].all()


def test_reset_brings_new_masks_for_its_row():
    cell = Reset(VariationalDropout(LSTMCell(20, H), inputs=0.5))
    state = cell.initial_state(B)
    inputs = torch.zeros(B, 21)
    inputs[2, -1] = 1
    _, after = cell(inputs, state)
    same = (after.inputs_mask == state.inputs_mask).all(1)
    assert same.tolist() == [True, True, False, True]


@pytest.mark.parametrize("wrapper", list(WRAPPERS))
def test_reset_goes_around_all_others(wrapper):
    with pytest.raises(OptionError, match="around Reset, which reads a column of each frame"):
        WRAPPERS[wrapper](Reset(GRUCell(H, H)))


# ---- numbers that are no probabilities


@pytest.mark.parametrize("value", [-0.1, 1.01, 1.5, float("nan")])
@pytest.mark.parametrize(
    "make",
    [
        lambda cell, p: Zoneout(cell, p, 0),
        lambda cell, p: Zoneout(cell, 0, p),
        lambda cell, p: VariationalDropout(cell, p, 0),
        lambda cell, p: VariationalDropout(cell, 0, p),
        lambda cell, p: WeightDrop(cell, p),
    ],
)
def test_number_out_of_range_is_named(make, value):
    with pytest.raises(OptionError, match=rf"got \w+ {value}, expected a probability in 0 <= p <= 1"):
        make(LSTMCell(F, H), value)


# ---- the contract of a cell, for every wrapper around every cell, and nested


NUMBERS = {"zoneout": "=0.3,0.4", "variational_dropout": "=0.3,0.4", "weight_drop": "=0.4"}


def fits(cell_name, wrappers):
    """What the wrappers say of themselves, said a second time."""
    recurrent = not cell_name.startswith("min_")
    if not recurrent and ({"weight_drop", "variational_dropout"} & set(wrappers)):
        return False
    if cell_name == "rru" and "variational_dropout" in wrappers:  # of the memory, not of the field `hidden`
        return False
    if "reset" in wrappers[:-1]:
        return False
    return not ("residual" in wrappers and "zoneout" in wrappers[wrappers.index("residual") :])


def build_nested(cell_name, wrappers):
    width = CELLS[cell_name](F, H).output_size if "residual" in wrappers else F
    spec = "+".join([cell_name, *(wrapper + NUMBERS.get(wrapper, "") for wrapper in wrappers)])
    return randomised(build_cell(spec, width + ("reset" in wrappers), H))


def nested_frames(cell):
    inputs = frames(width=cell.input_size)
    if isinstance(cell, Reset):
        inputs[..., -1] = (torch.rand(T, B) < 0.2).double()
    return inputs


EVERY = [(name, (wrapper,)) for name in CELLS for wrapper in WRAPPERS if fits(name, (wrapper,))]
CHAINS = [
    ("weight_drop", "zoneout", "variational_dropout", "residual", "reset"),
    ("variational_dropout", "zoneout", "weight_drop", "reset"),
    ("residual", "variational_dropout", "weight_drop"),
    ("zoneout", "residual", "reset"),
]
NESTED = EVERY + [
    (name, chain) for name in ("lstm", "gru_reset_before", "min_lstm") for chain in CHAINS if fits(name, chain)
]
each = pytest.mark.parametrize(("name", "wrappers"), NESTED, ids=["+".join((name, *chain)) for name, chain in NESTED])


def some(turn):
    """A third of the cases, another one for each turn, with every cell and every wrapper among them."""
    cases = NESTED[turn::3]
    assert {name for name, _ in cases} == set(CELLS)
    assert {wrapper for _, chain in cases for wrapper in chain} == set(WRAPPERS)
    return pytest.mark.parametrize(("name", "wrappers"), cases, ids=["+".join((name, *chain)) for name, chain in cases])


def check_steps_equal_whole(cell):
    layer, inputs = Unrolled(cell), nested_frames(cell)
    state = start = random_state(cell)
    whole, final = layer(inputs, start)
    for t in range(T):
        outputs, state = cell(inputs[t], state)
        torch.testing.assert_close(outputs, whole[t], atol=1e-10, rtol=0)
    assert_states_close(state, final)


def check_chunks_equal_whole(cell):
    layer, inputs = Unrolled(cell), nested_frames(cell)
    lengths = torch.tensor([T, 0, 4, 5])
    state = start = random_state(cell)
    whole, final = layer(inputs, start, lengths)
    chunks = []
    for a, b in pairwise((0, 2, 2, 5, T)):
        outputs, state = layer(inputs[a:b], state, (lengths - a).clamp(0, b - a))
        chunks.append(outputs)
    torch.testing.assert_close(torch.cat(chunks), whole, atol=1e-10, rtol=0)
    assert_states_close(state, final)


def check_rows_are_independent(cell):
    layer, inputs = Unrolled(cell), nested_frames(cell)
    state = random_state(cell)
    together, final = layer(inputs, state)
    for row in range(B):
        alone, alone_final = layer(inputs[:, row : row + 1], take(state, row))
        torch.testing.assert_close(alone[:, 0], together[:, row], atol=1e-10, rtol=0)
        assert_states_close(alone_final, take(final, row))


@each
def test_wrapped_cells_keep_the_contract(name, wrappers):
    cell = build_nested(name, wrappers).eval()
    check_steps_equal_whole(cell)
    check_chunks_equal_whole(cell)
    check_rows_are_independent(cell)


@settings(max_examples=40)
@given(name=st.sampled_from(list(CELLS)), wrappers=st.lists(st.sampled_from(list(WRAPPERS)), min_size=2, unique=True))
def test_wrappers_in_any_order_keep_the_contract_or_are_refused(name, wrappers):
    if fits(name, wrappers):
        cell = build_nested(name, wrappers).eval()
        check_steps_equal_whole(cell)
        check_chunks_equal_whole(cell)
        check_rows_are_independent(cell)
    else:
        with pytest.raises(OptionError):
            build_nested(name, wrappers)


@pytest.mark.parametrize("chain", [("variational_dropout",), ("weight_drop",), ("residual", "variational_dropout")])
def test_steps_equal_whole_while_training_within_a_window(chain):
    cell = build_nested("lstm", chain)
    layer, inputs = Unrolled(cell), nested_frames(cell)
    state = start = random_state(cell)
    whole, final = layer(inputs, start)
    for t in range(T):
        outputs, state = layer.step(inputs[t], state)
        torch.testing.assert_close(outputs, whole[t], atol=1e-10, rtol=0)
    assert_states_close(state, final)


@some(0)
def test_template_first_state_and_next_state_agree(name, wrappers):
    cell = build_nested(name, wrappers)
    _, after = cell(nested_frames(cell)[0], cell.initial_state(B))
    expected = {key: t.shape for key, t in flatten(cell.zero_state(B)).items()}
    for state in (cell.initial_state(B), after):
        assert {key: t.shape for key, t in flatten(state).items()} == expected
        assert {t.dtype for t in tensors(state)} == {torch.float64}


@some(1)
def test_wrong_width_names_both_sizes(name, wrappers):
    cell = build_nested(name, wrappers)
    with pytest.raises(ValueError, match=rf"\[{B}, {cell.input_size + 1}\], expected \[B, {cell.input_size}\]"):
        cell(torch.zeros(B, cell.input_size + 1).double(), cell.initial_state(B))


@some(2)
def test_start_of_the_innermost_cell_can_be_learned(name, wrappers):
    cell = build_nested(name, wrappers)
    cell.learn_initial_state()
    learned = [key for key in cell.state_dict() if ".start." in f".{key}"]
    core = core_cell(cell)
    read = [key for key in flatten(core.zero_state(1)) if key not in core.unread]
    assert learned == [f"{'cell.' * len(wrappers)}start.{key}" for key in read]
    outputs, _ = Unrolled(cell)(nested_frames(cell))
    assert all(gradient.any() for gradient in torch.autograd.grad(outputs.sum(), core_cell(cell).start.values()))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("name", "wrappers"), NESTED[len(EVERY) :])
def test_gradients_agree_with_finite_differences(name, wrappers, training):
    cell = build_nested(name, wrappers).train(training)
    inputs, state = nested_frames(cell)[:3], random_state(cell)
    core, parameters = core_state(cell, state), dict(cell.named_parameters())

    def run(*arguments):
        torch.manual_seed(1)  # the same masks every time
        parts, weights = arguments[: len(core)], dict(zip(parameters, arguments[len(core) :], strict=True))
        begin = replace_core_state(cell, state, type(core)(*parts))
        outputs, final = torch.func.functional_call(
            layer, {f"cell.{key}": weight for key, weight in weights.items()}, (inputs, begin)
        )
        return outputs, *core_state(cell, final)

    layer = Unrolled(cell)
    arguments = [tensor.detach().clone().requires_grad_() for tensor in (*core, *parameters.values())]
    assert torch.autograd.gradcheck(run, arguments, fast_mode=True)


def test_state_of_nested_wrappers_survives_flattening():
    cell = build_nested("lstm", CHAINS[0])
    state = random_state(cell)
    assert_states_close(unflatten(cell.zero_state(B), flatten(state)), state)
