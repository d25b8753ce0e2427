"""The gradient probe: it agrees with brute force, tells nets apart, sees every kind of module and changes none."""

from __future__ import annotations

import copy
import json
import math
import re
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import seqaudio
from conftest import ROOT
from legibility import assert_legible, words
from made_up import frame_store, token_store
from seqaudio.batching import Batch
from seqaudio.cells import ElmanCell, ElmanReLUCell, GRUCell, LSTMCell, LSTMState, RRUCell, build_cell
from seqaudio.cli import probe as probe_command
from seqaudio.errors import OptionError, RunError
from seqaudio.layers import Stack, Unrolled, build_stack
from seqaudio.models import EventModel, KeywordModel, Model, build_model
from seqaudio.probing import EpochProbe, LinearCell, Report, judge, probe, reports_figure, turning_cell
from seqaudio.run_folder import RunFolder

T, B, F_IN, H = 12, 3, 4, 5  # all different, so that a swapped axis shows


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


def frames(steps: int = T, rows: int = B, width: int = F_IN) -> Tensor:
    return torch.randn(steps, rows, width, dtype=torch.float64)


def squares(outputs: Tensor, t: int) -> Tensor:
    """A loss that is curved, so that the states matter, and differs from step to step."""
    return (outputs.flatten(1).square() * (1 + t)).sum(dim=1)


# --- brute force ---


def pushed_losses(cells: list[Any], inputs: Tensor, push: Tensor, layer: int, step: int) -> Tensor:
    """[T] losses of one row where the state that a layer leaves at a step is moved by `push`, hidden before memory."""
    states = [cell.zero_state(1) for cell in cells]
    losses = []
    for t, frame in enumerate(inputs):
        below = frame
        for number, cell in enumerate(cells):
            below, states[number] = cell(below, states[number])
            if (number, t) == (layer, step):
                moved = [part + move for part, move in zip(states[number], push.split(H), strict=True)]
                states[number] = type(states[number])(*moved)
                below = moved[0]
        losses.append(squares(below, t).sum())
    return torch.stack(losses)


@pytest.mark.parametrize("kind", [ElmanCell, GRUCell, LSTMCell])
def test_curves_equal_full_jacobians_of_every_layer(kind: Any) -> None:
    cells = [kind(F_IN, H).double(), kind(H, H).double()]
    inputs = frames(steps=7, rows=2)
    report = probe(Stack([Unrolled(cell) for cell in cells]), inputs, loss=squares, anchors=2, lags=3)
    size = H * len(cells[0].zero_state(1))
    anchors = [int(step) for step in report.anchors]
    assert anchors == [3, 6]
    for layer, found in enumerate(report.layers):
        for lag in range(4):
            norms = []
            for step in range(7):
                if step + lag in anchors:
                    for row in range(2):
                        rows = inputs[:, row : row + 1]
                        jacobian = torch.autograd.functional.jacobian(
                            lambda push, rows=rows, step=step: pushed_losses(cells, rows, push, layer, step),  # noqa: B023
                            torch.zeros(size, dtype=torch.float64),
                        )
                        norms.append(float(jacobian[step + lag].norm()))
            assert found.curve[lag] == pytest.approx(np.mean(norms), rel=1e-10)


def test_totals_equal_the_gradient_of_all_losses() -> None:
    cells = [LSTMCell(F_IN, H).double(), LSTMCell(H, H).double()]
    inputs = frames(rows=1)
    report = probe(Stack([Unrolled(cell) for cell in cells]), inputs, loss=squares)
    for layer, found in enumerate(report.layers):
        for step in range(T):
            jacobian = torch.autograd.functional.jacobian(
                lambda push, step=step: pushed_losses(cells, inputs, push, layer, step),  # noqa: B023
                torch.zeros(2 * H, dtype=torch.float64),
            )
            assert found.total[step] == pytest.approx(float(jacobian.sum(dim=0).norm()), rel=1e-10)


def test_step_radii_are_those_of_full_jacobians() -> None:
    cell = LSTMCell(F_IN, H).double()
    inputs = frames(rows=1)
    (layer,) = probe(cell, inputs, jacobians=T - 1).layers
    state, expected = cell.zero_state(1), []
    for t, frame in enumerate(inputs):
        joined = torch.cat([*state], dim=1)[0]
        if t:
            jacobian = torch.autograd.functional.jacobian(
                lambda s, frame=frame: torch.cat([*cell(frame, LSTMState(s[None, :H], s[None, H:]))[1]], dim=1)[0],
                joined,
            )
            expected.append(float(torch.linalg.eigvals(jacobian).abs().max()))
        _, state = cell(frame, state)
    assert layer.step_radii == pytest.approx(expected, rel=1e-10)


# --- what theory says ---


def scaled(radius: float, size: int = 16) -> Tensor:
    """An orthogonal matrix times `radius`: every vector grows by exactly that."""
    return radius * nn.init.orthogonal_(torch.empty(size, size, dtype=torch.float64))


def elman(radius: float, kind: type[ElmanCell] = ElmanCell) -> ElmanCell:
    cell = kind(2, 16).double()
    with torch.no_grad():
        cell.weight_hh.copy_(scaled(radius))
    return cell


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.6])
def test_a_linear_region_shows_the_spectral_radius_everywhere(radius: float) -> None:
    (layer,) = probe(elman(radius), torch.zeros(40, 2, 2), double=True).layers  # tanh' is 1 at zero
    np.testing.assert_allclose(layer.curve, radius ** np.arange(len(layer.curve)), rtol=1e-10)
    assert layer.growth == pytest.approx(radius, rel=1e-10)
    assert layer.slope == pytest.approx(radius, rel=1e-10)
    assert layer.step_radii == pytest.approx([radius] * 4, rel=1e-10)
    assert layer.weight_radii == {"h": pytest.approx(radius, rel=1e-10)}


def test_vanishing_exploding_and_carrying_nets_are_told_apart() -> None:
    inputs = 0.5 * torch.randn(120, 4, 2)
    positive = elman(1.6, ElmanReLUCell)
    remembers = LSTMCell(2, 16)
    with torch.no_grad():
        positive.weight_hh.copy_(1.6 * torch.eye(16))
        positive.bias_ih.fill_(1.0)
        remembers.bias_ih[16:32] = 8.0
        remembers.weight_hh.mul_(0.1)
    vanishing = probe(elman(0.5).float(), inputs)
    exploding = probe(positive.float(), inputs)
    carrying = probe(remembers, inputs)
    assert vanishing.layers[0].verdict.kind == "vanishing"
    assert re.fullmatch(r"vanishing: no gradient beyond [3-8] steps", vanishing.verdict)
    assert exploding.layers[0].verdict.kind == "exploding"
    assert exploding.verdict.endswith("1.6 a step")
    assert carrying.layers[0].verdict.kind == "carries"
    assert carrying.verdict.endswith("of the peak left after 59 steps")
    assert vanishing.layers[0].growth < 0.6 < 0.99 < carrying.layers[0].growth < 1.01 < exploding.layers[0].growth


def test_the_memory_of_an_lstm_carries_what_its_hidden_state_does_not() -> None:
    cell = LSTMCell(2, 4).double()
    with torch.no_grad():
        cell.weight_hh.zero_()  # nothing is carried but by the memory, f = sigmoid(2) a step
        cell.weight_ih.zero_()
        cell.bias_ih[4:8] = 2.0
    (layer,) = probe(cell, torch.randn(30, 2, 2), double=True).layers
    assert layer.parts["hidden"][1:].max() == 0
    f = 1 / (1 + math.exp(-2))
    np.testing.assert_allclose(layer.parts["memory"][2:] / layer.parts["memory"][1:-1], f, rtol=1e-10)
    assert layer.growth == pytest.approx(f, rel=0.05)
    assert layer.step_radii == pytest.approx([f] * 4, rel=1e-10)


@pytest.mark.parametrize(
    ("curve", "kind", "reason"),
    [
        ([1.0, 0.5, 0.0051, 0.0049], "vanishing", "no gradient beyond 2 steps"),
        ([1.0, 0.5, 0.0051], "carries", "1 % of the peak left after 2 steps"),
        ([1.0, 0.5, 0.0049], "vanishing", "no gradient beyond 1 step"),
        ([1.0, 0.009, 0.009], "carries", "100 % of the peak left after 2 steps"),  # lag 0 is the read-out's
        ([1.0, 0.0, 0.0], "vanishing", "no gradient beyond 0 steps"),
        ([1.0, 0.0], "vanishing", "no gradient beyond 0 steps"),
        ([1.0, 0.5], "carries", "100 % of the peak left after 1 step"),
        ([1.0], "carries", "100 % of the peak left after 0 steps"),
        ([0.0, 0.0], "vanishing", "no gradient reaches the state at all"),
        ([1.0, 1.0, 1.0099], "carries", "100 % of the peak left after 2 steps"),
        ([1.0, 1.0, 1.0101], "exploding", "grows 1.01 times a step over 2 steps"),
        ([1.0, 0.1, 0.2, 0.3, 0.3, 0.3], "carries", "100 % of the peak left after 5 steps"),  # rises at first alone
        ([1.0, 4.0, 16.0], "exploding", "grows 16 times over 2 steps, 4 a step"),
        ([1.0, 4.0, math.inf], "exploding", "not finite from lag 2 on"),
    ],
)
def test_verdicts_at_both_sides_of_every_threshold(curve: list[float], kind: str, reason: str) -> None:
    assert judge(np.array(curve)) == (kind, reason)


@pytest.mark.parametrize("lags", [1, 2, 3, 10, 60])
def test_a_rotation_explodes_above_1_whatever_the_lags(lags: int) -> None:
    for radius, kind in ((1.02, "exploding"), (1.0, "carries"), (0.98, "carries")):
        (layer,) = probe(turning_cell(2, 16, radius), torch.randn(64, 2, 2), lags=lags, anchors=2, jacobians=0).layers
        assert layer.verdict.kind == kind


def test_a_net_that_passes_nothing_on_does_not_explode_whatever_its_matrix() -> None:
    assert judge(np.array([1.0, 0.0, 0.0, 0.0]), growth=1.5).kind == "vanishing"


def test_paths_through_the_layer_above_are_no_explosion() -> None:
    layer = probe(
        Stack([Unrolled(turning_cell(2, 16, 0.99)), Unrolled(turning_cell(16, 16, 0.99))]),
        torch.randn(44, 2, 2), lags=40, anchors=2, jacobians=0, double=True,
    ).layers[0]  # fmt: skip
    assert layer.slope > 1.01 > layer.growth  # one path more with each lag
    assert layer.verdict.kind == "carries"


@pytest.mark.parametrize("kind", [LSTMCell, LinearCell])
def test_effective_memory_is_the_time_constant_whatever_the_read_out(kind: Any) -> None:
    if kind is LSTMCell:
        cell = LSTMCell(2, 4).double()
        with torch.no_grad():
            cell.weight_hh.zero_()
            cell.weight_ih.zero_()
            cell.bias_ih[4:8] = 3.0  # f = sigmoid(3)
        time_constant = -1 / math.log(1 / (1 + math.exp(-3.0)))
    else:
        cell = turning_cell(2, 4, 0.95).double()
        time_constant = -1 / math.log(0.95)
    (layer,) = probe(cell, torch.randn(124, 2, 2), lags=120, anchors=2, jacobians=0, double=True).layers
    assert layer.faded == math.floor(time_constant) + 1  # counted from lag 1
    assert layer.vanished == math.floor(time_constant * math.log(100)) + 1
    assert layer.verdict == ("vanishing", f"no gradient beyond {layer.vanished} steps")
    at_least = probe(cell, torch.randn(44, 2, 2), lags=layer.faded, anchors=2, jacobians=0, double=True).layers[0]
    assert at_least.faded is None


def test_saturation_counts_activations_near_their_bounds() -> None:
    cell = LSTMCell(1, 2).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        # i, f, g, o of two units: shut and open; both open; slack and saturated; neither
        cell.bias_ih.copy_(torch.tensor([-9.0, 9.0, 9.0, 9.0, 0.0, 9.0, 0.0, 0.0]))
    (layer,) = probe(cell, torch.zeros(2, 1, 1), lags=1, double=True).layers
    # memory of the second unit: tanh(1) at step 0 is under 0.95, tanh(2) at step 1 is over it
    assert layer.saturation == {
        "gates shut": pytest.approx(1 / 6),
        "gates open": pytest.approx(3 / 6),
        "tanh saturated": pytest.approx((1 / 4 + 2 / 4) / 2),
    }


def test_rectifiers_that_are_off_are_counted() -> None:
    cell = ElmanReLUCell(1, 4)
    with torch.no_grad():
        cell.bias_ih.copy_(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
        cell.weight_hh.zero_()
    assert probe(cell, torch.zeros(6, 2, 1)).layers[0].saturation == {"rectifiers off": 0.25}


def test_activations_of_parameters_alone_are_not_counted() -> None:
    layer = probe(RRUCell(2, 3), torch.randn(6, 2, 2)).layers[0]  # its memory is kept by sigmoid(10 s), of no frame
    assert set(layer.saturation) == {"rectifiers off"}
    assert set(layer.parts) == {"hidden", "memory"}


# --- every kind of module ---


def equal(one: Report, other: Report) -> None:
    """The same numbers, whatever the module is called."""
    for first, second in zip(one.layers, other.layers, strict=True):
        for field in ("curve", "heat", "total"):
            np.testing.assert_allclose(getattr(first, field), getattr(second, field), rtol=1e-10, err_msg=field)
        assert first.growth == pytest.approx(second.growth, rel=1e-10)
        assert first.step_radii == pytest.approx(second.step_radii, rel=1e-10)
        assert first.weight_radii == pytest.approx(second.weight_radii, rel=1e-10)
        assert first.saturation == pytest.approx(second.saturation)


def test_a_plain_lstm_equals_our_stack_of_the_same_weights() -> None:
    theirs = nn.LSTM(F_IN, H, num_layers=2, batch_first=True).double()
    ours = build_stack("lstm", F_IN, H, layers=2).double()
    names = {
        f"layers.{layer}.cell.{name}": f"{name}_l{layer}" for layer in range(2) for name in LSTMCell(1, 1).state_dict()
    }
    ours.load_state_dict({name: theirs.state_dict()[other] for name, other in names.items()})
    inputs = frames()
    equal(probe(theirs, inputs.transpose(0, 1)), probe(ours, inputs))


@pytest.mark.parametrize(
    "module",
    [
        nn.RNN(F_IN, H, 2),
        nn.RNN(F_IN, H, nonlinearity="relu", bias=False),
        nn.LSTM(F_IN, H, 2, proj_size=3),
        nn.GRU(F_IN, H, 2, bidirectional=True, bias=False),
        nn.LSTM(F_IN, H, 2, bidirectional=True),
    ],
    ids=str,
)
def test_modules_that_hold_torch_layers_are_seen_as_they_compute(module: nn.RNNBase) -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = module.double()

        def forward(self, inputs: Tensor) -> Tensor:
            first, state = self.recurrent(inputs[:5])
            second, state = self.recurrent(inputs[5:], state)
            whole, after = self.recurrent(inputs)
            given.append((torch.cat([first, second]), state, whole, after))
            return whole

    given: list[Any] = []
    reader, inputs = Reader(), frames()
    reader(inputs)
    with pytest.raises(OptionError, match="ran 24 steps for inputs of 12"):
        probe(reader, inputs)
    expected, found = given
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


class Tagger(nn.Module):
    """A module as a reader may have it: rows first, packed, with a read-out."""

    def __init__(self, lengths: Tensor) -> None:
        super().__init__()
        self.recurrent = nn.GRU(F_IN, H, 2, batch_first=True)
        self.output = nn.Linear(H, 3)
        self.lengths = lengths

    def forward(self, inputs: Tensor) -> Tensor:
        packed = pack_padded_sequence(inputs, self.lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        scores: Tensor = self.output(outputs)
        return scores


def test_a_readers_packed_module_equals_its_recurrent_part_with_the_read_out_in_the_loss() -> None:
    lengths = torch.tensor([T, 5, 9])
    tagger = Tagger(lengths).double()
    inputs = frames()
    whole = probe(tagger, inputs.transpose(0, 1), loss=squares, lengths=lengths)
    part = probe(
        tagger.recurrent, inputs.transpose(0, 1), loss=lambda y, t: squares(tagger.output(y), t), lengths=lengths
    )
    equal(whole, part)
    assert whole.subject == "Tagger"


@pytest.mark.parametrize("place", [lambda part: part, nn.Sequential], ids=["alone", "inside"])
def test_computed_weights_are_refused_with_a_hint(place: Any) -> None:
    for part in (nn.LSTM(F_IN, H), nn.GRU(F_IN, H)):
        weight_norm(part, "weight_hh_l0")
        with pytest.raises(OptionError, match=r"computed from other tensors.*\.remove_parametrizations"):
            probe(place(part), frames(), double=True)


def test_a_loop_over_torchs_cells_equals_our_cell() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(F_IN, H)

        def forward(self, inputs: Tensor) -> Tensor:
            state, outputs = None, []
            for frame in inputs:
                state = self.cell(frame, state)
                outputs.append(state[0])
            return torch.stack(outputs)

    loop, inputs = Loop().double(), frames()
    cell = LSTMCell(F_IN, H).double()
    cell.load_state_dict(loop.cell.state_dict())
    equal(probe(loop, inputs), probe(cell, inputs))
    equal(probe(loop.cell, inputs), probe(cell, inputs))


def test_a_function_of_one_step_equals_the_cell_that_it_is() -> None:
    cell, inputs = GRUCell(F_IN, H).double(), frames()

    def step(frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = cell(frame, state)
        return outputs, state

    of_cell, of_step = probe(cell, inputs).layers[0], probe(step, inputs, state=cell.zero_state(B)).layers[0]
    np.testing.assert_allclose(of_cell.curve, of_step.curve, rtol=1e-12)
    assert of_cell.growth == pytest.approx(of_step.growth, rel=1e-12)
    assert all(parameter.grad is None for parameter in cell.parameters())


def test_the_state_of_a_function_may_be_read_out_and_hold_several_tensors() -> None:
    def leaky(frame: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        slow, _ = state
        slow = 0.9 * slow + frame
        quick = 2 * slow  # computed from the other part: they are two coordinates all the same
        return quick.sum(dim=1, keepdim=True), (slow, quick)

    zeros = torch.zeros(B, F_IN, dtype=torch.float64)
    (layer,) = probe(leaky, frames(), state=(zeros, zeros), loss=lambda y, t: y[:, 0]).layers
    # quick is not read by the next step, and slow reaches L_t through each later slow and quick
    np.testing.assert_allclose(layer.parts["0"][1:], 2 * 2 * 0.9 ** np.arange(1, len(layer.curve)), rtol=1e-12)
    assert layer.step_radii == pytest.approx([0.9] * 4)


@pytest.mark.parametrize(
    "spec", ["lstm+zoneout=0.2,0.3", "gru+variational_dropout=0.2,0.3", "elman+residual", "min_gru"]
)
def test_wrapped_cells_are_probed_whole(spec: str) -> None:
    cell = build_cell(spec, H, H).double()
    report = probe(cell, frames(width=H), loss=squares)
    (layer,) = report.layers
    assert layer.curve.min() > 0
    assert layer.cell == re.sub(r"=[\d.,]+", "", spec)
    assert bool(layer.weight_radii) == (spec != "min_gru")


# --- models ---


def events(cell: str = "lstm", layers: int = 2) -> EventModel:
    return EventModel(9, embedding_size=F_IN, cell=cell, hidden_size=H, layers=layers, dropout=0.3).double()


def event_batch(**more: Any) -> Batch:
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(3, 9, (T + 1, B), generator=draw)
    return Batch(ids[:-1], torch.tensor([T, 9, 6]), targets=ids[1:], **more)


def test_each_layer_of_a_model_has_a_curve() -> None:
    report = probe(events(layers=3), event_batch(), lags=5)
    assert [layer.name for layer in report.layers] == ["layer 1", "layer 2", "layer 3"]
    curves = [layer.curve for layer in report.layers]
    assert all(len(curve) == 6 and curve.min() > 0 for curve in curves)
    assert all(not np.allclose(one, other) for one, other in pairwise(curves))


def test_a_models_loss_of_a_step_is_taken_apart_exactly() -> None:
    model, batch = events("gru", layers=1), event_batch()
    whole = copy.deepcopy(model).eval()
    embedded = whole.embedding(batch.inputs).detach()

    def loss(outputs: Tensor, t: int) -> Tensor:
        return F.cross_entropy(whole.output(outputs), batch.targets[t], reduction="none")

    part = probe(whole.layers, embedded, loss=loss, lengths=batch.lengths)
    equal(probe(model, batch), part)


def test_steps_without_weight_are_no_anchors() -> None:
    weights = torch.zeros(T, B)
    weights[8, 0] = weights[3, 1] = weights[5, 1] = weights[5, 2] = 2.0
    report = probe(events(), event_batch(weights=weights), lags=3)
    assert report.anchors == (3.0, pytest.approx((8 + 5 + 5) / 3))
    assert len(probe(events(), event_batch(weights=weights)).anchors) == 1  # most have 5 steps before them


def test_a_weight_scales_the_loss_of_its_step() -> None:
    model, ones = events(), torch.ones(T, B)
    one, three = probe(model, event_batch(weights=ones)), probe(model, event_batch(weights=3 * ones))
    np.testing.assert_allclose(3 * one.layers[0].curve, three.layers[0].curve, rtol=1e-10)


def test_no_lag_crosses_a_reset() -> None:
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[7] = True
    model, batch = events(), event_batch()
    report = probe(model, event_batch(resets=resets), lags=4)
    assert [len(layer.curve) for layer in report.layers] == [5, 5]
    assert min(layer.curve.min() for layer in report.layers) > 0
    with pytest.raises(OptionError, match="9 lags, expected at most 6"):
        probe(model, event_batch(resets=resets), lags=9)
    # the rows of length 9 and 6 have no step that goes on for 4 steps after the reset
    first = probe(model, batch.slice_time(0, 7), lags=4)
    assert first.anchors != report.anchors


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_model_with_one_loss_a_row_is_probed_by_its_outputs(bidirectional: bool) -> None:
    model = KeywordModel(F_IN, classes=3, hidden_size=H, bidirectional=bidirectional).double()
    batch = Batch(frames(), torch.tensor([T, 9, 6]), targets=torch.tensor([0, 2, 1]))
    report = probe(model, batch)
    names = [layer.name for layer in report.layers]
    both = ["layer 1", "layer 1 backward", "layer 2", "layer 2 backward"]
    assert names == (both if bidirectional else ["layer 1", "layer 2"])
    top = report.layers[-1]
    if not bidirectional:
        assert top.curve[0] == pytest.approx(1.0)  # a unit vector at the output
    # the model's own loss reaches every step of every row, and no further
    assert np.isfinite(top.total).all() and top.total.min() > 0


def test_padding_changes_nothing() -> None:
    stack = build_stack("lstm", F_IN, H, layers=2).double()
    lengths = torch.tensor([T, 5, 9])
    inputs = frames()
    padded = torch.cat([inputs, torch.full((4, B, F_IN), math.nan)])
    padded[5:, 1] = math.inf
    padded[9:, 2] = 1e9
    one, other = probe(stack, inputs, lengths=lengths), probe(stack, padded, lengths=lengths)
    for layer in other.layers:
        assert np.isnan(layer.total[T:]).all()
    trimmed = [layer.total[:T] for layer in other.layers]
    for first, second, total in zip(one.layers, other.layers, trimmed, strict=True):
        np.testing.assert_array_equal(first.curve, second.curve)
        np.testing.assert_array_equal(first.total, total)
        assert first.growth == pytest.approx(second.growth, rel=1e-12)
        assert first.saturation == second.saturation
    model, batch = events(), event_batch()
    other_ids = batch.inputs.clone()
    other_ids[9:, 1] = other_ids[6:, 2] = 8
    equal(probe(model, batch), probe(model, Batch(other_ids, batch.lengths, targets=batch.targets)))


@pytest.mark.parametrize("gradients", [False, True])
def test_probing_changes_neither_the_module_nor_random_numbers(gradients: bool) -> None:
    model, batch = events("lstm+weight_drop=0.3"), event_batch()
    model.embedding.requires_grad_(False)
    if gradients:
        total, _, _ = model.loss(batch)
        total.backward()
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    before = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    modes = [part.training for part in model.modules()]
    kinds = [type(part) for part in model.modules()]
    random = torch.get_rng_state()
    first = probe(model, batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert [part.training for part in model.modules()] == modes
    assert [type(part) for part in model.modules()] == kinds
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert not model.embedding.weight.requires_grad
    for name, value in model.state_dict().items():
        assert torch.equal(value, kept[name])
    for name, parameter in model.named_parameters():
        if before[name] is None:
            assert parameter.grad is None
        else:
            assert torch.equal(parameter.grad, before[name])
    equal(first, probe(model, batch))  # dropout is off, directions have a seed


def test_double_keeps_gradients_that_single_precision_loses() -> None:
    cell = elman(0.1).float()
    inputs = torch.zeros(120, 1, 2)
    assert probe(cell, inputs).layers[0].curve[-1] == 0
    assert probe(cell, inputs, double=True).layers[0].curve[-1] == pytest.approx(1e-59, rel=1e-3)
    assert cell.weight_hh.dtype == torch.float32


# --- what is refused ---


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (lambda: (nn.Linear(F_IN, 2).double(), frames(), {}), "found no recurrent part in Linear"),
        (lambda: (nn.GRU(F_IN, H).double(), frames()[:, 0], {}), "expected inputs of 3"),
        (lambda: (nn.GRU(F_IN, H).double(), event_batch(), {}), "got a Batch for GRU"),
        (lambda: (events(), frames(), {}), "expected a Batch"),
        (lambda: (events(), event_batch(), {"loss": squares}), "takes lengths from its Batch"),
        (lambda: (lambda x, s: (x, s), frames(), {}), "expected state="),
        (lambda: (lambda x, s: (x, s), frames(), {"state": torch.zeros(B, 2)}), "have no gradient"),
        (lambda: (nn.GRU(F_IN, H).double(), frames(), {"loss": lambda y, t: y.sum()}), "one loss a row"),
        (lambda: (nn.GRU(F_IN, H).double(), frames(), {"lags": T}), "lower the lags"),
        (lambda: (nn.GRU(F_IN, H).double(), frames(), {"anchors": 0}), "expected at least 1"),
        (lambda: (nn.GRU(F_IN, H).double(), frames(), {"lengths": torch.tensor([1, 2])}), "one a row in 0..12"),
        (lambda: (nn.GRU(F_IN, H).double(), frames(), {"lengths": torch.zeros(B).long()}), "no step has a loss"),
    ],
)
def test_what_cannot_be_probed_is_refused_in_one_line(arguments: Any, match: str) -> None:
    module, inputs, options = arguments()
    with pytest.raises(OptionError, match=match) as caught:
        probe(module, inputs, **options)
    assert "\n" not in str(caught.value)


def test_a_model_that_passes_over_weights_is_refused() -> None:
    class Careless(EventModel):
        def loss(self, batch: Batch, state: Any = None) -> Any:
            total, count, state = super().loss(batch, state)
            return total + 1, count, state

    with pytest.raises(OptionError, match="multiply each step by the batch's weights"):
        probe(Careless(9, F_IN, hidden_size=H), event_batch())


# --- the report ---


def report_of(layers: int = 2, **options: Any) -> Report:
    return probe(nn.LSTM(F_IN, H, layers), torch.randn(30, B, F_IN), **options)


def test_a_report_is_json_without_infinities() -> None:
    cell = ElmanReLUCell(1, 4)
    with torch.no_grad():
        cell.weight_hh.copy_(1e9 * torch.eye(4))
        cell.bias_ih.fill_(1.0)
    report = probe(cell, torch.ones(12, 2, 1), loss=lambda y, t: y.sum(dim=1), jacobians=0)
    assert report.verdict.startswith("exploding: not finite")
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert None in data["layers"][0]["curve"]
    assert data["layers"][0]["step_radius"] is None
    json.dumps(report.numbers(), allow_nan=False)


def test_the_table_tells_every_layer_and_its_verdict() -> None:
    report = report_of()
    lines = str(report).splitlines()
    assert len(lines) == 2 + 2 * 2
    for layer, line in zip(report.layers, lines[2:], strict=False):
        assert line.split()[:2] == layer.name.split()
        assert line.endswith(str(layer.verdict))
    assert "recurrent weights: i " in lines[-1] and "gates open" in lines[-1]
    assert max(map(len, lines)) <= 140


def test_the_layer_that_reaches_furthest_decides_unless_one_explodes() -> None:
    report = report_of(3)
    furthest = max(report.layers, key=lambda layer: layer.vanished or math.inf)
    assert report.verdict == f"{furthest.name}: {furthest.verdict}"


@pytest.mark.parametrize("layers", [1, 4])
def test_pictures_are_legible(layers: int) -> None:
    report = report_of(layers)
    figure = reports_figure({"one": report, "other, with a name that is far too long for its column": report_of(1)})
    assert_legible(figure)
    assert any(report.verdict in text for text in words(figure))
    assert len(figure.axes) == 2 + layers + 1 + 1  # curves, heat maps of both, one scale


def test_curves_are_drawn_as_they_are_and_marked_where_they_vanish() -> None:
    report = report_of(1)
    (layer,) = report.layers
    axes = reports_figure({"one": report}).axes[0]
    (line,) = axes.get_lines()
    np.testing.assert_allclose(line.get_ydata(), layer.curve)
    assert axes.get_yscale() == "log"
    assert line.get_markevery() == [layer.vanished]


def test_a_picture_of_nothing_is_still_a_picture(tmp_path: Path) -> None:
    def forgets(frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return frame + 0 * state, 0 * state

    report = probe(forgets, torch.randn(9, 2, 3), state=torch.zeros(2, 3))
    assert report.verdict == "vanishing: no gradient reaches the state at all"
    report.draw(tmp_path / "nothing.png")
    assert (tmp_path / "nothing.png").read_bytes().startswith(b"\x89PNG")


class Board:
    """What a SummaryWriter is asked to write."""

    def __init__(self) -> None:
        self.scalars: dict[str, float] = {}
        self.images: dict[str, tuple[int, ...]] = {}

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        assert global_step == 5
        self.scalars[tag] = scalar_value

    def add_image(self, tag: str, img_tensor: Any, global_step: int, *, dataformats: str) -> None:
        assert (global_step, dataformats) == (5, "HWC")
        self.images[tag] = img_tensor.shape


def test_a_board_gets_numbers_of_each_layer_and_the_picture() -> None:
    report, board = report_of(), Board()
    report.write(board, 5)
    assert board.scalars["probe/layer_2/vanished"] == report.layers[1].vanished
    assert board.scalars["probe/layer_1/growth"] == report.layers[0].growth
    assert board.images["probe/curves"][2] == 3


def test_an_epoch_probe_takes_its_turn_and_the_same_rows() -> None:
    model, batch = events(), event_batch()
    after = EpochProbe(batch, every=3)
    assert [after(model, epoch) is not None for epoch in range(1, 7)] == [False, False, True, False, False, True]
    first, second = after(model, 3), after(model, 6)
    assert first is not None and second is not None
    assert first.numbers() == second.numbers()
    with pytest.raises(OptionError, match="--probe-every 0"):
        EpochProbe(batch, every=0)


# --- the package, the command, the page ---


def test_the_package_offers_the_probe_and_nothing_unknown() -> None:
    assert seqaudio.probe is probe
    with pytest.raises(AttributeError, match="no attribute 'prob'"):
        _ = seqaudio.prob


def run_of(folder: Path, store: Any, recipe: str, name: str, arguments: dict[str, Any]) -> Path:
    description = {"name": name, "arguments": arguments}
    run = RunFolder.create(
        folder, recipe=recipe, settings={"store": str(store.path)}, model=description, store=store, resume=False
    )
    model: Model = build_model(name, arguments)
    run.save_weights(model)
    return folder


def test_the_command_probes_a_run_on_rows_of_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = token_store(tmp_path)
    arguments = {"vocabulary_size": len(store.names), "embedding_size": 4, "hidden_size": 6, "layers": 2}
    run = run_of(tmp_path / "run", store, "music_generation", "events", arguments)
    png = tmp_path / "reach.png"
    probe_command.main(probe_command.Config(run, store.path, sequences=3, png=png))
    assert "EventModel: 3 rows" in capsys.readouterr().out
    assert png.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OptionError, match="give --force"):
        probe_command.main(probe_command.Config(run, store.path, png=png))
    probe_command.main(probe_command.Config(run, store.path, steps=4, json=True))
    assert json.loads(capsys.readouterr().out)["steps"] == 4
    with pytest.raises(OptionError, match="--sequences 0"):
        probe_command.main(probe_command.Config(run, store.path, sequences=0))


def test_the_command_probes_recognisers_and_refuses_other_stores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = frame_store(tmp_path)
    arguments = {"input_size": 4, "classes": len(store.names), "hidden_size": 5, "layers": 1}
    run = run_of(tmp_path / "run", store, "keyword_recognition", "keyword", arguments)
    probe_command.main(probe_command.Config(run, store.path))
    assert "KeywordModel: " in capsys.readouterr().out
    with pytest.raises(RunError, match="does not suit"):
        probe_command.main(probe_command.Config(run, token_store(tmp_path).path))


def test_the_page_draws_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "probe.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    drawing = next(block for block in blocks if "draw_reports" in block)
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text(drawing)
    reports = runpy.run_path(str(tmp_path / "page.py"))["reports"]
    kinds = {title: report.layers[-1].verdict.kind for title, report in reports.items()}
    assert kinds == {"tanh": "vanishing", "LSTM, chrono": "carries"}
    assert (tmp_path / "docs" / "pictures" / "probe_tanh_lstm.png").is_file()
    for report in reports.values():
        assert all(str(layer.verdict) in page for layer in report.layers)
