"""Lengths, resets, states and padding, for every registered cell in every kind of layer."""

from __future__ import annotations

from itertools import count, pairwise
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from seqaudio.cells import CELLS, AffineCell, Cell, GRUCell, LSTMCell
from seqaudio.errors import OptionError
from seqaudio.layers import (
    FUSED,
    Bidirectional,
    FusedGRU,
    FusedLSTM,
    Stack,
    Unrolled,
    build_layer,
    build_stack,
    flip,
    mask,
)
from seqaudio.state import flatten, map_state, select, tensors, unflatten

T, B, F, H = 9, 6, 3, 5  # all different, so that a swapped axis shows
LENGTHS = torch.tensor([9, 0, 4, 1, 9, 7])
RESETS = torch.zeros(T, B, dtype=torch.bool)
# the first frame, neighbours, the last frame, frames in the padding, a row without, two rows at one step
for step, row in [(0, 0), (3, 0), (4, 0), (8, 0), (2, 1), (2, 2), (3, 2), (4, 2), (6, 2), (5, 5), (3, 5), (7, 5)]:
    RESETS[step, row] = True

KINDS = {
    "unrolled": lambda name: Unrolled(CELLS[name](F, H)),
    "fused": lambda name: build_layer(CELLS[name](F, H)),
    "stack": lambda name: build_stack(name, F, H, layers=2),
    "bidirectional": lambda name: build_stack(name, F, H, layers=2, bidirectional=True),
}
CAUSAL = [kind for kind in KINDS if kind != "bidirectional"]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(11)


def make(kind, name):
    layer = KINDS[kind](name).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


TURNS = count()


def every(kinds, argument="", values=()):
    """Each cell in its fastest layer, and in one of the other kinds, which are the same code for all cells.

    Which one differs from test to test, so that every cell meets every kind. `argument` has all `values` in the fastest
    layer, one of them in the other.
    """
    turn, cases = next(TURNS), []
    for number, name in enumerate(CELLS, start=turn):
        own = "fused" if CELLS[name] in FUSED else "unrolled"
        others = [kind for kind in kinds if kind not in ("fused", own)]
        cases += [(own, name, value) for value in values or [None]]
        cases.append((others[number % len(others)], name, values[number % len(values)] if values else None))
    if not values:
        cases = [case[:2] for case in cases]
    names = ("kind", "name", argument) if values else ("kind", "name")
    return pytest.mark.parametrize(names, cases, ids=["-".join(map(str, case)) for case in cases])


def random_inputs():
    return torch.randn(T, B, F).double()


def random_state(layer, rows=B):
    return map_state(torch.randn_like, layer.initial_state(rows))


def take(state, row):
    return map_state(lambda tensor: tensor[row : row + 1], state)


def assert_states_close(got, expected, atol=1e-10):
    assert flatten(got).keys() == flatten(expected).keys()
    for name, tensor in flatten(got).items():
        torch.testing.assert_close(
            tensor, flatten(expected)[name], atol=atol, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


def widths(state):
    """Shapes of a state's tensors without the batch, by name."""
    return {name: tuple(tensor.shape[1:]) for name, tensor in flatten(state).items()}


# ---- the contract of every layer


@every(KINDS)
def test_outputs_and_state_have_the_promised_shapes(kind, name):
    layer = make(kind, name)
    outputs, state = layer(random_inputs())
    assert outputs.shape == (T, B, layer.output_size)
    assert widths(state) == widths(layer.initial_state(B))
    assert {t.shape[0] for t in tensors(state)} == {B}


@every(KINDS)
def test_no_state_means_the_initial_state(kind, name):
    layer, inputs = make(kind, name), random_inputs()
    outputs, state = layer(inputs)
    expected, expected_state = layer(inputs, layer.initial_state(B))
    assert torch.equal(outputs, expected)
    assert_states_close(state, expected_state, atol=0)


@every(KINDS)
def test_full_lengths_equal_no_lengths(kind, name):
    layer, inputs = make(kind, name), random_inputs()
    state = random_state(layer)
    outputs, final = layer(inputs, state, torch.full((B,), T), torch.zeros(T, B, dtype=torch.bool))
    expected, expected_final = layer(inputs, state)
    assert torch.equal(outputs, expected)
    assert_states_close(final, expected_final, atol=0)


@every(KINDS)
def test_no_frames_give_no_outputs_and_the_same_state(kind, name):
    layer = make(kind, name)
    state = random_state(layer)
    for lengths, resets in [(None, None), (torch.zeros(B, dtype=torch.int64), torch.zeros(0, B, dtype=torch.bool))]:
        outputs, final = layer(torch.zeros(0, B, F).double(), state, lengths, resets)
        assert outputs.shape == (0, B, layer.output_size)
        assert_states_close(final, state, atol=0)


@every(KINDS)
def test_no_frames_have_zero_gradients(kind, name):
    layer = make(kind, name)
    inputs = torch.zeros(0, B, F).double().requires_grad_()
    state = map_state(Tensor.requires_grad_, random_state(layer))
    outputs, final = layer(inputs, state)
    (outputs.sum() + 2 * sum(part.sum() for part in tensors(final))).backward()
    assert inputs.grad.shape == inputs.shape
    assert all(torch.equal(part.grad, torch.full_like(part, 2.0)) for part in tensors(state))
    for parameter_name, parameter in layer.named_parameters():
        assert torch.equal(parameter.grad, torch.zeros_like(parameter)), parameter_name


def test_no_frames_of_what_takes_no_gradient_have_no_graph():
    layer = build_stack("lstm", F, H).requires_grad_(False)
    assert not layer(torch.zeros(0, B, F))[0].requires_grad
    with torch.no_grad():
        assert not build_stack("lstm", F, H)(torch.zeros(0, B, F))[0].requires_grad


@every(CAUSAL)
def test_steps_equal_whole(kind, name):
    layer, inputs = make(kind, name), random_inputs()
    state = start = random_state(layer)
    whole, final = layer(inputs, start)
    for t in range(T):
        outputs, state = layer.step(inputs[t], state)
        torch.testing.assert_close(outputs, whole[t], atol=1e-10, rtol=0)
    assert_states_close(state, final)


@every(CAUSAL, "borders", [(0, 1, 9), (0, 4, 4, 9), (0, 3, 6, 9)])
def test_chunks_equal_whole(kind, name, borders):
    layer, inputs = make(kind, name), random_inputs()
    state = start = random_state(layer)
    whole, final = layer(inputs, start, LENGTHS, RESETS)
    chunks = []
    for a, b in pairwise(borders):
        outputs, state = layer(inputs[a:b], state, (LENGTHS - a).clamp(0, b - a), RESETS[a:b])
        chunks.append(outputs)
    torch.testing.assert_close(torch.cat(chunks), whole, atol=1e-10, rtol=0)
    assert_states_close(state, final)


@pytest.mark.parametrize("name", [name for name in CELLS if CELLS[name] in FUSED])
def test_a_sequence_too_long_for_one_kernel_call_is_cut(name, monkeypatch):
    layer, inputs = make("fused", name), random_inputs()
    state = random_state(layer)
    whole, final = layer(inputs, state, LENGTHS, RESETS)
    monkeypatch.setattr("seqaudio.layers.torch_kernels.LARGEST", 4 * B * layer.cell.gates * H * 8)  # of 4 steps
    outputs, cut_final = layer(inputs, state, LENGTHS, RESETS)
    torch.testing.assert_close(outputs, whole, atol=1e-10, rtol=0)
    assert_states_close(cut_final, final)


@every(CAUSAL)
def test_outputs_depend_on_no_later_frame(kind, name):
    layer, inputs = make(kind, name), random_inputs()
    outputs, _ = layer(inputs)
    changed, _ = layer(torch.cat([inputs[:5], torch.randn(T - 5, B, F).double()]))
    torch.testing.assert_close(changed[:5], outputs[:5], atol=1e-12, rtol=0)
    assert (changed[5:] != outputs[5:]).any()


@every(KINDS)
def test_rows_alone_equal_rows_in_a_batch(kind, name):
    layer, inputs = make(kind, name), random_inputs()
    state = random_state(layer)
    together, final = layer(inputs, state, LENGTHS, RESETS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, alone_final = layer(
            inputs[:length, row : row + 1], take(state, row), resets=RESETS[:length, row : row + 1]
        )
        torch.testing.assert_close(alone[:, 0], together[:length, row], atol=1e-10, rtol=0)
        assert_states_close(alone_final, take(final, row))


# ---- lengths


@every(KINDS)
def test_outputs_beyond_the_length_are_zero(kind, name):
    outputs, _ = make(kind, name)(random_inputs(), lengths=LENGTHS, resets=RESETS)
    assert not outputs[~mask(LENGTHS, T)].any()


@every(KINDS)
def test_state_of_a_row_without_frames_stays_to_the_last_bit(kind, name):
    layer = make(kind, name)
    state = random_state(layer)
    _, final = layer(random_inputs(), state, LENGTHS, RESETS)
    assert_states_close(take(final, 1), take(state, 1), atol=0)


@every(KINDS)
def test_batch_of_rows_without_frames_is_all_zero(kind, name):
    layer = make(kind, name)
    state = random_state(layer)
    outputs, final = layer(random_inputs(), state, torch.zeros(B, dtype=torch.int64))
    assert not outputs.any()
    assert_states_close(final, state, atol=0)


@every(KINDS, "filling", [float("nan"), float("inf"), 1e9])
def test_padding_never_reaches_outputs_states_or_gradients(kind, name, filling):
    layer, inputs = make(kind, name), random_inputs()
    start = random_state(layer)
    real = mask(LENGTHS, T)
    results = []
    for padding in (0.0, filling):
        frames = torch.where(real[..., None], inputs, padding).requires_grad_()
        state = map_state(lambda tensor: tensor.clone().requires_grad_(), start)
        outputs, final = layer(frames, state, LENGTHS, RESETS)
        total = outputs.square().sum() + sum(tensor.square().sum() for tensor in tensors(final))
        gradients = torch.autograd.grad(total, [frames, *tensors(state), *layer.parameters()])
        assert not gradients[0][~real].any()
        results.append([outputs, *tensors(final), *gradients])
    assert all(map(torch.equal, *results))


@every(KINDS)
def test_final_state_survives_much_padding(kind, name):
    layer = make(kind, name).float()
    inputs = torch.randn(3, B, F)
    _, expected = layer(inputs)
    padded = torch.cat([inputs, torch.zeros(700, B, F)])
    lengths = torch.full((B,), 3)
    _, final = layer(padded, lengths=lengths)
    assert_states_close(final, expected, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in CELLS if issubclass(CELLS[name], AffineCell)])
def test_state_that_would_explode_in_the_padding_stays_out_of_gradients(name):
    layer = build_layer(CELLS[name](F, H))
    with torch.no_grad():
        for gate in layer.cell.weight_hh.split(H):
            gate.copy_(3 * torch.eye(*gate.shape))  # 3^200 is more than float32 can hold
    inputs, lengths = torch.rand(200, B, F), torch.tensor([3, 1, 0, 4, 2, 200 if name != "elman_relu" else 4])
    outputs, final = layer(inputs, lengths=lengths)
    total = outputs.sum() + sum(tensor.sum() for tensor in tensors(final))
    gradients = torch.autograd.grad(total, list(layer.parameters()))
    loop = Unrolled(layer.cell)
    expected, expected_final = loop(inputs, lengths=lengths)
    total = expected.sum() + sum(tensor.sum() for tensor in tensors(expected_final))
    assert torch.isfinite(outputs).all()
    torch.testing.assert_close(gradients, torch.autograd.grad(total, list(loop.parameters())), atol=1e-3, rtol=1e-4)


# ---- resets


def reference_with_resets(layer, inputs, state, lengths, resets):
    """Each row cut at its resets, each piece run by itself from the state that the contract asks for."""
    outputs, finals = torch.zeros(T, B, layer.output_size).double(), []
    for row, length in enumerate(lengths.tolist()):
        row_state = take(state, row)
        starts = [t for t in range(length) if resets[t, row]]
        for start, end in zip([0, *starts], [*starts, length], strict=True):
            if start in starts:
                row_state = layer.initial_state(1)
            piece, row_state = layer(inputs[start:end, row : row + 1], row_state)
            outputs[start:end, row] = piece[:, 0]
        finals.append(row_state)
    return outputs, map_state(lambda *rows: torch.cat(rows), *finals)


@every(CAUSAL)
def test_resets_equal_separate_sequences(kind, name):
    layer, inputs = make(kind, name), random_inputs()
    state = random_state(layer)
    outputs, final = layer(inputs, state, LENGTHS, RESETS)
    expected, expected_final = reference_with_resets(layer, inputs, state, LENGTHS, RESETS)
    torch.testing.assert_close(outputs, expected, atol=1e-10, rtol=0)
    assert_states_close(final, expected_final)


@pytest.mark.parametrize("name", list(CELLS))
def test_resets_part_both_directions(name):
    layer, inputs = make("bidirectional", name), random_inputs()
    outputs, _ = layer(inputs, None, LENGTHS, RESETS)
    expected, _ = reference_with_resets(layer, inputs, layer.initial_state(B), LENGTHS, RESETS)
    torch.testing.assert_close(outputs, expected, atol=1e-10, rtol=0)


@every(KINDS)
def test_resets_in_the_padding_do_nothing(kind, name):
    layer, inputs = make(kind, name), random_inputs()
    state = random_state(layer)
    outputs, final = layer(inputs, state, LENGTHS, RESETS)
    expected, expected_final = layer(inputs, state, LENGTHS, RESETS & mask(LENGTHS, T))
    more, more_final = layer(inputs, state, LENGTHS, RESETS | ~mask(LENGTHS, T))
    assert torch.equal(outputs, expected)
    torch.testing.assert_close(more, expected, atol=1e-12, rtol=0)
    assert_states_close(final, expected_final, atol=0)
    assert_states_close(more_final, expected_final, atol=1e-12)


@every(CAUSAL)
def test_reset_stops_the_gradient_of_the_past(kind, name):
    layer, inputs = make(kind, name), random_inputs().requires_grad_()
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[4, 2] = True
    _, final = layer(inputs, resets=resets)
    total = sum(tensor.square().sum() for tensor in tensors(final))
    (gradient,) = torch.autograd.grad(total, inputs)
    assert not gradient[:4, 2].any()
    assert gradient[:4, [0, 1, 3, 4, 5]].abs().amax(2).sum() > 0
    assert gradient[4:, 2].abs().sum() > 0


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(0, T), min_size=B, max_size=B),
    resets=st.lists(st.booleans(), min_size=T * B, max_size=T * B),
    name=st.sampled_from(list(CELLS)),
)
def test_any_lengths_and_resets_equal_separate_sequences(lengths, resets, name):
    layer, inputs = make("fused", name), random_inputs()
    state = random_state(layer)
    lengths, resets = torch.tensor(lengths), torch.tensor(resets).reshape(T, B)
    outputs, final = layer(inputs, state, lengths, resets)
    expected, expected_final = reference_with_resets(layer, inputs, state, lengths, resets)
    torch.testing.assert_close(outputs, expected, atol=1e-10, rtol=0)
    assert_states_close(final, expected_final)


@every([kind for kind in KINDS if kind != "stack"])
def test_gradients_agree_with_finite_differences(kind, name):
    layer = {"bidirectional": lambda: build_stack(name, 2, 3, bidirectional=True)}.get(
        kind, lambda: Unrolled(CELLS[name](2, 3)) if kind == "unrolled" else build_layer(CELLS[name](2, 3))
    )()
    layer = layer.double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    lengths = torch.tensor([5, 0, 3, 4])
    resets = torch.zeros(5, 4, dtype=torch.bool)
    resets[2, 0] = resets[2, 2] = resets[3, 3] = resets[4, 2] = True
    template = layer.initial_state(4)
    keys, parameters = list(flatten(template)), dict(layer.named_parameters())

    def run(inputs, *others):
        state = unflatten(template, dict(zip(keys, others[: len(keys)], strict=True)))
        weights = dict(zip(parameters, others[len(keys) :], strict=True))
        outputs, final = torch.func.functional_call(layer, weights, (inputs, state, lengths, resets))
        return outputs, *tensors(final)

    arguments = [torch.randn(5, 4, 2).double(), *tensors(random_state(layer, 4)), *parameters.values()]
    arguments = [argument.detach().clone().requires_grad_() for argument in arguments]
    assert torch.autograd.gradcheck(run, arguments, fast_mode=True)


# ---- a toy cell whose outputs are arithmetic


class CounterState(NamedTuple):
    count: Tensor  # [B, 1], frames since the start; starts at 100
    total: Tensor  # [B, 1], sum of the frames since the start; starts at 10


class Counter(Cell[CounterState]):
    """Outputs the count of frames and their sum, both from a learned start."""

    def __init__(self) -> None:
        super().__init__(1, 2)
        self.learn_initial_state()
        nn.init.constant_(self.start["count"], 100.0)
        nn.init.constant_(self.start["total"], 10.0)

    def forward(self, inputs, state):
        self.check_width(inputs)
        state = CounterState(state.count + 1, state.total + inputs)
        return torch.cat(state, dim=1), state

    def zero_state(self, batch_size):
        return CounterState(torch.zeros(batch_size, 1), torch.zeros(batch_size, 1))


def column(outputs, row, feature):
    return outputs[:, row, feature].tolist()


ONES = torch.ones(4, 3, 1)


def test_counter_counts_within_lengths():
    outputs, state = Unrolled(Counter())(ONES * 2, lengths=torch.tensor([0, 2, 4]))
    assert column(outputs, 0, 0) == [0, 0, 0, 0]
    assert column(outputs, 1, 0) == [101, 102, 0, 0]
    assert column(outputs, 2, 1) == [12, 14, 16, 18]
    assert state.count.flatten().tolist() == [100, 102, 104]
    assert state.total.flatten().tolist() == [10, 14, 18]


def test_counter_starts_anew_before_the_reset_frame_is_consumed():
    resets = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.bool)
    given_state = CounterState(torch.tensor([[0.0], [0.0], [0.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
    outputs, state = Unrolled(Counter())(ONES, given_state, resets=resets)
    assert column(outputs, 0, 0) == [101, 102, 103, 104]
    assert column(outputs, 1, 0) == [1, 2, 101, 102]
    assert column(outputs, 2, 1) == [4, 5, 6, 11]
    assert state.count.flatten().tolist() == [104, 102, 101]


def test_counter_runs_backward_from_the_last_real_frame():
    frames = torch.tensor([1.0, 2.0, 4.0, 8.0])[:, None, None].expand(4, 2, 1)
    layer = Bidirectional(Unrolled(Counter()), Unrolled(Counter()))
    outputs, state = layer(frames, lengths=torch.tensor([4, 3]))
    assert column(outputs, 0, 3) == [25, 24, 22, 18]
    assert column(outputs, 1, 3) == [17, 16, 14, 0]
    assert column(outputs, 1, 2) == [103, 102, 101, 0]
    assert column(outputs, 1, 1) == [11, 13, 17, 0]
    assert state.backward.total.flatten().tolist() == [25, 17]


def test_counter_runs_backward_anew_across_a_reset():
    frames = torch.tensor([1.0, 2.0, 4.0, 8.0])[:, None, None]
    resets = torch.tensor([1, 0, 1, 0], dtype=torch.bool)[:, None]
    layer = Bidirectional(Unrolled(Counter()), Unrolled(Counter()))
    outputs, state = layer(frames, resets=resets)
    assert column(outputs, 0, 1) == [11, 13, 14, 22]
    assert column(outputs, 0, 3) == [13, 12, 22, 18]
    assert state.forward.total.item() == 22
    assert state.backward.total.item() == 13


def test_learned_initial_state_is_trained_once_for_every_fresh_start():
    layer = Unrolled(Counter())
    resets = torch.tensor([[0, 0, 0], [1, 0, 1], [0, 0, 0], [0, 0, 1]], dtype=torch.bool)
    outputs, _ = layer(ONES, resets=resets)
    last = outputs[3, :, 0].sum()
    assert torch.autograd.grad(last, layer.cell.start["count"])[0].item() == 3
    outputs, _ = layer(ONES, CounterState(torch.zeros(3, 1), torch.zeros(3, 1)), resets=resets)
    counted, total = layer.cell.start.values()
    assert torch.autograd.grad(outputs[3, :, 0].sum(), counted, retain_graph=True)[0].item() == 2
    assert torch.autograd.grad(outputs[3, :, 1].sum(), total)[0].item() == 2


def test_stack_carries_the_state_of_every_layer():
    stack = Stack([Unrolled(Counter()), Unrolled(CELLS["gru"](2, H))])
    assert widths(stack.initial_state(1)) == {"0.count": (1,), "0.total": (1,), "1.hidden": (H,)}
    _, state = stack(ONES, lengths=torch.tensor([1, 2, 3]))
    assert state[0].count.flatten().tolist() == [101, 102, 103]


# ---- stacks, dropout, building


class Echo(Cell[tuple]):
    """Outputs its inputs and remembers nothing."""

    def __init__(self, size: int) -> None:
        super().__init__(size, size)

    def forward(self, inputs, state):
        return inputs, state

    def zero_state(self, batch_size):
        return ()


def test_layer_without_memory_has_an_empty_state():
    outputs, state = Unrolled(Echo(1))(ONES, lengths=torch.tensor([4, 0, 1]))
    assert state == ()
    assert outputs.sum(0).flatten().tolist() == [4, 0, 1]


def test_dropout_lies_between_layers_only():
    ones = torch.ones(50, 3, 4)
    alone, _ = Stack([Unrolled(Echo(4))], dropout=0.5)(ones)
    assert torch.equal(alone, ones)
    between, _ = Stack([Unrolled(Echo(4)), Unrolled(Echo(4))], dropout=0.5)(ones)
    assert between.unique().tolist() == [0.0, 2.0]
    assert abs(between.mean() - 1) < 0.2


def test_dropout_is_off_in_evaluation_and_on_in_training_steps():
    stack = Stack([Unrolled(Echo(4)), Unrolled(Echo(4))], dropout=0.5)
    frame = torch.ones(30, 4)
    assert stack.step(frame, ((), ()))[0].unique().tolist() == [0.0, 2.0]
    assert torch.equal(stack.eval().step(frame, ((), ()))[0], frame)
    assert torch.equal(stack(frame[None])[0], frame[None])


def test_dropout_of_all_leaves_zeros_between_layers_in_training():
    inputs = torch.randn(T, B, F).requires_grad_()
    for input_dropout in (None, 0.0):  # drawn at each step, and once for all
        stack = build_stack("gru", F, H, layers=2, dropout=1.0, input_dropout=input_dropout)
        without, _ = stack.layers[1](torch.zeros(T, B, H))
        outputs, _ = stack(inputs)
        torch.testing.assert_close(outputs, without if input_dropout is None else torch.zeros_like(outputs))
        outputs.sum().backward()
        assert not inputs.grad.any()
        assert not torch.allclose(stack.eval()(inputs)[0], without)


def test_all_recurrent_weights_may_be_dropped():
    stack = build_stack("elman", F, H, weight_dropout=1.0)
    cell, inputs = stack.layers[0].cell, torch.randn(T, B, F)
    expected = torch.tanh(inputs @ cell.weight_ih.t() + cell.bias_ih + cell.bias_hh)
    torch.testing.assert_close(stack(inputs)[0], expected)


@pytest.mark.parametrize("dropout", [-0.1, 1.1, 2.0, float("nan")])
def test_dropout_is_a_probability(dropout):
    with pytest.raises(ValueError, match="0 <= p <= 1"):
        Stack([Unrolled(Echo(4))], dropout)


def test_stack_needs_layers_whose_widths_chain():
    with pytest.raises(ValueError, match="at least one"):
        build_stack("gru", F, H, layers=0)
    with pytest.raises(ValueError, match=r"layer 1 gives 4 outputs, layer 2 expects 5"):
        Stack([Unrolled(Echo(4)), Unrolled(Echo(4)), Unrolled(Echo(5))])


def test_directions_read_the_same_width():
    with pytest.raises(ValueError, match="4 and 5"):
        Bidirectional(Unrolled(Echo(4)), Unrolled(Echo(5)))


def test_bidirectional_cannot_step_and_says_what_to_do():
    stack = build_stack("gru", F, H, bidirectional=True)
    assert not stack.causal
    assert build_stack("gru", F, H, layers=2).causal
    with pytest.raises(OptionError, match="bidirectional off"):
        stack.step(torch.zeros(B, F), stack.initial_state(B))


def test_state_names_tell_layer_direction_and_field():
    assert widths(build_stack("lstm", F, H, layers=2).initial_state(1)) == {
        f"{n}.{field}": (H,) for n in range(2) for field in ("hidden", "memory")
    }
    assert widths(build_stack("gru", F, H, bidirectional=True).initial_state(1)) == {
        "0.forward.hidden": (H,),
        "0.backward.hidden": (H,),
    }


def test_bidirectional_layers_double_the_width():
    stack = build_stack("elman", F, H, layers=2, bidirectional=True)
    assert [layer.input_size for layer in stack.layers] == [F, 2 * H]
    assert stack.output_size == 2 * H


@pytest.mark.parametrize("name", list(CELLS))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_fused_and_unrolled_share_parameter_names(name, bidirectional):
    fused = build_stack(name, F, H, 2, bidirectional)
    unrolled = build_stack(name, F, H, 2, bidirectional, fused=False)
    assert {k: v.shape for k, v in fused.state_dict().items()} == {k: v.shape for k, v in unrolled.state_dict().items()}


def test_build_uses_the_fused_layer_where_there_is_one():
    assert type(build_stack("lstm", F, H).layers[0]) is FusedLSTM
    assert type(build_stack("lstm", F, H, fused=False).layers[0]) is Unrolled
    assert type(build_layer(Counter())) is Unrolled


def test_changed_cell_is_never_handed_to_a_kernel():
    class Leaky(GRUCell):
        pass

    assert type(build_layer(Leaky(F, H))) is Unrolled
    with pytest.raises(TypeError, match=r"FusedGRU runs GRUCell exactly, got Leaky; use Unrolled"):
        FusedGRU(Leaky(F, H))
    with pytest.raises(TypeError, match="got LSTMCell"):
        FusedGRU(LSTMCell(F, H))


def test_unknown_cell_is_one_line():
    with pytest.raises(OptionError, match="did you mean elman"):
        build_stack("elmann", F, H)


# ---- wrong arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": torch.zeros(T, B, F + 1)}, r"\[9, 6, 4\], expected \[T, B, 3\]"),
        ({"inputs": torch.zeros(B, F)}, r"\[6, 3\], expected \[T, B, 3\]"),
        ({"lengths": torch.tensor([1, 2])}, r"torch.int64 \[2\], expected int64 \[6\]"),
        ({"lengths": torch.full((B,), 0.5)}, "torch.float32"),
        ({"lengths": torch.full((B,), T + 1)}, r"10, 10\], expected frame counts in 0..9"),
        ({"lengths": torch.full((B,), -1)}, r"expected frame counts in 0..9"),
        ({"resets": torch.zeros(B, T, dtype=torch.bool)}, r"\[6, 9\], expected bool \[9, 6\]"),
        ({"resets": torch.zeros(T, B)}, "torch.float32"),
        ({"state": "three rows"}, "state of 3 rows for inputs of 6"),
    ],
)
@pytest.mark.parametrize("kind", list(KINDS))
def test_wrong_arguments_name_what_was_got_and_expected(kind, arguments, message):
    layer = make(kind, "lstm").float()
    arguments = {"inputs": torch.zeros(T, B, F)} | arguments
    if "state" in arguments:
        arguments["state"] = layer.initial_state(3)
    with pytest.raises(ValueError, match=message):
        layer(**arguments)


# ---- lengths.py


def test_mask_marks_real_frames():
    assert mask(torch.tensor([0, 1, 3]), 3).int().tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert mask(torch.tensor([0, 0]), 0).shape == (0, 2)


def test_flip_reverses_within_lengths_and_leaves_padding():
    rows = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]).T
    lengths = torch.tensor([0, 1, 3, 4])
    assert flip(rows, lengths).T.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [11, 10, 9, 12], [16, 15, 14, 13]]
    assert torch.equal(flip(rows, None), rows.flip(0))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=5), st.integers(0, 2))
def test_flip_is_its_own_inverse(lengths, extra_axes):
    lengths = torch.tensor(lengths)
    block = torch.randn(7, len(lengths), *range(2, 2 + extra_axes))
    flipped = flip(block, lengths)
    assert torch.equal(flip(flipped, lengths), block)
    assert torch.equal(flipped[~mask(lengths, 7)], block[~mask(lengths, 7)])


def test_flip_passes_gradients_back_to_the_frame_they_came_from():
    block = torch.zeros(4, 2, requires_grad=True)
    lengths = torch.tensor([3, 0])
    (gradient,) = torch.autograd.grad((flip(block, lengths)[0] * torch.tensor([5.0, 7.0])).sum(), block)
    assert gradient.T.tolist() == [[0, 0, 5, 0], [7, 0, 0, 0]]


def test_selecting_rows_of_a_layer_state_keeps_lanes_apart():
    layer = build_stack("lstm", F, H, layers=2)
    kept = select(torch.tensor([True, False, True]), random_state(layer, 3), layer.initial_state(3))
    assert all(bool(t[0].any()) and not t[1].any() for t in tensors(kept))
