"""Steps of whole stacks in one call: equal to the layers' own, row by row to the bit, with float and int8 weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqaudio.errors import OptionError
from seqaudio.layers import MaskedStack, Stack, build_layers, build_stack
from seqaudio.layers.kernels.compiled import panels
from seqaudio.layers.stack import STREAMED_LINES, StreamedStack
from seqaudio.layers.stepping import CompiledStepper, RowByRow, Stepper
from seqaudio.models import EventModel, KeywordModel, SpotterModel
from seqaudio.models.recogniser import Recogniser
from seqaudio.state import State, flatten, map_state

F, T = 7, 5
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-14}


def stack(cell: str, size: int, layers: int, dtype: torch.dtype = torch.float32, **more: Any) -> Stack:
    torch.manual_seed(0)
    return build_stack(cell, F, size, layers=layers, **more).eval().to(dtype)


def frames(rows: int, dtype: torch.dtype = torch.float32, steps: int = T) -> Tensor:
    return torch.randn(steps, rows, F, generator=torch.Generator().manual_seed(rows), dtype=torch.float64).to(dtype)


@torch.no_grad()
def run(steps: Stepper | Stack | StreamedStack, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Outputs [T, B, ..] of single steps, and the last state."""
    state = steps.initial_state(inputs.shape[1]) if state is None else state
    outputs = []
    for frame in inputs:
        output, state = steps.step(frame, state)
        outputs.append(output.clone())
    return torch.stack(outputs), state


def assert_same_state(found: State, expected: State, tolerance: float) -> None:
    assert flatten(found).keys() == flatten(expected).keys()
    for name, part in flatten(expected).items():
        torch.testing.assert_close(flatten(found)[name], part, rtol=0, atol=tolerance)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(("size", "layers"), [(1, 1), (13, 1), (32, 2), (37, 3), (100, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_the_stack_and_a_row_has_its_bits_in_any_batch(
    cell: str, size: int, layers: int, dtype: torch.dtype
) -> None:
    net = stack(cell, size, layers, dtype)
    stepper = net.stepper(64)
    assert isinstance(stepper, CompiledStepper)
    every = frames(64, dtype)
    for rows in (1, 2, 7, 64):
        inputs = every[:, :rows].contiguous()
        with torch.no_grad():
            expected, after = net(inputs)
        outputs, state = run(stepper, inputs)
        torch.testing.assert_close(outputs, expected, rtol=0, atol=TOLERANCE[dtype])
        assert_same_state(state, after, TOLERANCE[dtype])
        if rows == 64:
            whole = outputs
    for rows in (1, 2, 7):
        assert torch.equal(run(stepper, every[:, :rows].contiguous())[0], whole[:, :rows])
    assert torch.equal(run(net.stepper(), every[:, 9:10].contiguous())[0], whole[:, 9:10])


def test_layers_of_both_kinds_and_of_several_widths_in_one_stack() -> None:
    torch.manual_seed(0)
    layers = [*build_layers("lstm", F, 90), *build_layers("gru", 90, 11), *build_layers("lstm", 11, 40)]
    net = Stack(layers).eval()
    outputs, state = run(net.stepper(), frames(3))
    expected, after = run(net, frames(3))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=2e-6)
    assert_same_state(state, after, 2e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_several_frames_at_once_are_the_same_steps_to_the_bit(cell: str) -> None:
    stepper, inputs = stack(cell, 21, 2).stepper(), frames(3)
    expected, after = run(stepper, inputs)
    state = stepper.initial_state(3)
    begun = map_state(torch.clone, state)
    first, state = stepper.steps(inputs[:3], state)
    last, end = stepper.steps(inputs[3:], state)
    assert torch.equal(torch.cat([first, last]), expected)
    assert_same_state(end, after, 0)
    assert torch.equal(stepper.steps(inputs[3:], state)[0], last)  # the state is left alone
    assert torch.equal(stepper.steps(inputs[:3], begun)[0], first)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole_lstm"])
def test_an_output_layer_gives_scores_and_a_table_stands_for_frames(cell: str) -> None:
    net, output = stack(cell, 20, 2), nn.Linear(20, 33)
    stepper = net.stepper(output=(output.weight, output.bias))
    inputs = frames(6)
    scores, _ = run(stepper, inputs)
    expected, _ = run(net, inputs)
    torch.testing.assert_close(scores, output(expected).detach(), rtol=0, atol=2e-6)
    # columns 0 to 4, and 5 to 6, from two tables
    with torch.no_grad():
        table = torch.cat([stepper.table(inputs[0, :, :5]), stepper.table(inputs[0, :, 5:], first=5, bias=False)])
        ids = np.stack([np.arange(6), 6 + np.arange(6)], axis=1)
        found, _ = stepper.step_of(table, ids, stepper.initial_state(6))
    torch.testing.assert_close(found, scores[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_go_from_a_stack_to_its_stepper_and_back(cell: str) -> None:
    net, inputs = stack(cell, 20, 2), frames(4, steps=6)
    expected, _ = run(net, inputs)
    begun, state = run(net, inputs[:2])
    middle, state = run(net.stepper(), inputs[2:4], state)
    end, _ = run(net, inputs[4:], state)
    torch.testing.assert_close(torch.cat([begun, middle, end]), expected, rtol=0, atol=4e-6)


def test_streams_take_turns_and_states_of_others_are_left_alone() -> None:
    net = stack("lstm", 20, 2)
    stepper, (one, other) = net.stepper(), (frames(1), frames(2)[:, 1:])
    expected = run(net.stepper(), one)[0], run(net.stepper(), other.contiguous())[0]
    start = net.initial_state(1)
    states, found = [start, start], ([], [])
    for t in range(T):
        for number, inputs in enumerate((one, other)):
            output, states[number] = stepper.step(inputs[t], states[number])
            found[number].append(output)
    for outputs, whole in zip(found, expected, strict=True):
        assert torch.equal(torch.stack(outputs), whole)
    assert_same_state(start, net.initial_state(1), 0)


def test_a_learned_start_is_not_overwritten() -> None:
    net = stack("gru", 20, 1, learned_state=True)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
        before = map_state(torch.clone, net.initial_state(1))
        run(net.stepper(), frames(1), net.initial_state(1))
        assert_same_state(net.initial_state(1), before, 0)


def test_later_training_does_not_change_a_stepper() -> None:
    net, inputs = stack("lstm", 20, 2), frames(2)
    stepper = net.stepper()
    before, _ = run(stepper, inputs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1)
    assert torch.equal(run(stepper, inputs)[0], before)
    assert not torch.allclose(run(net.stepper(), inputs)[0], before, atol=1e-2)


def test_a_stack_with_dropout_masks_in_its_state() -> None:
    torch.manual_seed(0)
    net = MaskedStack(build_layers("lstm", F, 20, 2), dropout=0.5, input_dropout=0.5).eval()
    outputs, state = run(net.stepper(), frames(3))
    expected, after = run(net, frames(3))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=2e-6)
    assert_same_state(state, after, 2e-6)

    class Squared(MaskedStack):
        def input_features(self, inputs: Tensor) -> Tensor:
            return inputs.square()

    squared = Squared(net.layers, input_dropout=0.5).eval()  # type: ignore[arg-type]  # a ModuleList of layers
    assert isinstance(squared.stepper(), RowByRow)
    torch.testing.assert_close(run(squared.stepper(), frames(3))[0], run(squared, frames(3))[0])


# --- int8 ---


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_int8_is_the_product_with_weights_rounded_to_255_steps_a_row(rows: int, dtype: torch.dtype) -> None:
    sizes = torch.logspace(-3, 3, 45, dtype=dtype)
    weight, bias = torch.randn(45, 20, dtype=dtype) * sizes[:, None], torch.randn(45, dtype=dtype)
    weight[3] = 0
    net = build_stack("lstm", 20, 45)
    inputs = torch.randn(rows, 20, dtype=dtype)
    scores, _ = CompiledStepper(net, [], (weight, bias), int8=True).step(inputs, ())
    scales = weight.abs().amax(dim=1) / 127
    rounded = torch.where(weight == 0, 0, (weight / scales[:, None]).round()) * scales[:, None]
    torch.testing.assert_close(scores, inputs @ rounded.t() + bias, rtol=1e-5, atol=1e-4)
    bound = 0.5 * scales * inputs.abs().sum(dim=1, keepdim=True)  # half a step a weight
    assert ((scores - (inputs @ weight.t() + bias)).abs() <= bound * 1.001 + 1e-5).all()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_int8_steps_are_near_those_with_float_weights_and_rows_keep_their_bits(cell: str) -> None:
    net, inputs = stack(cell, 50, 2), frames(9, steps=30)
    stepper = net.stepper(int8=True)
    exact, _ = run(net, inputs)
    found, _ = run(stepper, inputs)
    assert 0 < (found - exact).abs().max() < 0.01
    for row in (0, 4, 8):
        assert torch.equal(run(stepper, inputs[:, row : row + 1].contiguous())[0], found[:, row : row + 1])


def test_models_of_events_are_sampled_with_int8() -> None:
    torch.manual_seed(0)
    model, ids = EventModel(40, hidden_size=64, layers=2).eval(), torch.arange(40)[:, None]
    exact, _ = run(model.sampler(), ids)  # type: ignore[arg-type]  # takes steps as a stepper does
    found, _ = run(model.sampler(int8=True), ids)  # type: ignore[arg-type]
    assert 0 < (found - exact).abs().max() < 0.01
    with pytest.raises(OptionError, match="int8 need LSTM or GRU layers"):
        EventModel(40, cell="elman").eval().sampler(int8=True)


# --- what is refused ---


def test_what_has_no_steps_is_refused() -> None:
    with pytest.raises(OptionError, match="needs whole sequences, which has no single steps"):
        build_stack("lstm", F, 8, bidirectional=True).stepper()
    with pytest.raises(OptionError, match="int8 need LSTM or GRU layers"):
        build_stack("elman", F, 8).stepper(int8=True)


def test_inputs_and_states_that_do_not_fit_are_refused() -> None:
    stepper = stack("lstm", 8, 1).stepper()
    state = stepper.initial_state(2)
    with pytest.raises(ValueError, match=f"got frames float32 of 3 numbers, expected float32 of {F}"):
        stepper.step(torch.zeros(2, 3), state)
    with pytest.raises(ValueError, match=f"got frames float64 of {F} numbers, expected float32"):
        stepper.step(torch.zeros(2, F, dtype=torch.float64), state)
    with pytest.raises(ValueError, match="got a state of 2 rows for inputs of 3 rows"):
        stepper.step(torch.zeros(3, F), state)
    with pytest.raises(ValueError, match="got a state of 1 parts, expected 2"):
        stepper.step(torch.zeros(2, F), stack("gru", 8, 1).initial_state(2))


# --- streams ---


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@torch.no_grad()
def test_a_stack_for_streams_is_the_stack_in_windows_of_any_length(cell: str) -> None:
    net, inputs = stack(cell, 20, 2), frames(1, steps=STREAMED_LINES + 20)
    streamed = net.for_streams().eval()
    assert isinstance(streamed, StreamedStack)
    expected, after = net(inputs)
    for length in (1, 3, STREAMED_LINES, STREAMED_LINES + 1):
        state, parts = None, []
        for window in inputs.split(length):
            part, state = streamed(window, state)
            parts.append(part)
        torch.testing.assert_close(torch.cat(parts), expected, rtol=0, atol=4e-6)
        assert_same_state(state, after, 4e-6)  # type: ignore[arg-type]  # there was a window
    torch.testing.assert_close(run(streamed, inputs)[0], expected, rtol=0, atol=4e-6)


def test_a_stack_for_streams_has_padding_resets_and_gradients_as_before() -> None:
    net, inputs = stack("lstm", 20, 1), frames(2)
    streamed = net.for_streams().eval()
    lengths, resets = torch.tensor([T, 2]), torch.zeros(T, 2, dtype=torch.bool)
    resets[1, 0] = True
    assert torch.equal(streamed(inputs, None, lengths, resets)[0], net(inputs, None, lengths, resets)[0])
    asked = inputs.clone().requires_grad_()
    streamed(asked)[0].sum().backward()
    assert asked.grad is not None and asked.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "model",
    [
        SpotterModel(F, 3, hidden_size=12),
        KeywordModel(F, 3, hidden_size=12),
        Recogniser(F, 5, cell="lstm", hidden_size=12, bidirectional=False, centring="running", subsampling=1),
    ],
)
@torch.no_grad()
def test_models_for_streams_are_the_models(model: Any) -> None:
    model = model.eval()
    streamed, inputs = model.for_streams(), frames(1, steps=9)
    assert isinstance(streamed.layers, StreamedStack) and isinstance(model.layers, Stack)
    expected, found = model.initial_state(1), streamed.initial_state(1)
    for frame in inputs:
        logits, expected = model.step(frame, expected)
        again, found = streamed.step(frame, found)
        torch.testing.assert_close(again, logits, rtol=0, atol=1e-5)
    assert_same_state(found, expected, 1e-5)


def test_a_model_in_training_or_without_such_layers_is_itself_for_streams() -> None:
    training, other = SpotterModel(F, 3), SpotterModel(F, 3, cell="elman").eval()
    assert training.for_streams() is training
    assert other.for_streams() is other


# --- products with panels ---


@pytest.mark.parametrize("group", [panels._add_group_wide, panels._add_group_narrow], ids=["wide", "narrow"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_registers_sum_the_same_bits_for_every_number_of_rows(group: Any, dtype: Any) -> None:
    random, (K, M) = np.random.default_rng(0), (19, 15 * panels.PANEL)
    every, matrix = random.standard_normal((21, K)).astype(dtype), random.standard_normal((M, K)).astype(dtype)
    held = np.ascontiguousarray(matrix.reshape(-1, panels.PANEL, K).swapaxes(1, 2)).ravel()

    def sums(rows: int) -> Any:
        found = np.ones((rows, M), dtype=dtype)
        for begin in range(0, M, panels.GROUP):
            group(every[:rows], held, 0, held, 0, found, begin, min(begin + panels.GROUP, M))
        return found

    whole = sums(21)
    np.testing.assert_allclose(whole, 1 + every @ matrix.T, rtol=1e-4, atol=1e-4)
    for rows in range(1, 21):
        assert np.array_equal(sums(rows), whole[:rows])
    by_one = np.ones((21, M), dtype=dtype)
    panels.add_products(every, held, by_one)
    assert np.array_equal(by_one, whole)
