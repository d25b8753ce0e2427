"""The recurrences behind fused layers: their numbers, which code runs where, and what happens without numba."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections import Counter

import numba
import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from pairs import pairs_of
from seqaudio import jit
from seqaudio.cells import CELLS
from seqaudio.layers import FUSED, Unrolled, build_layer
from seqaudio.layers.kernels import choice, compiled_serves
from seqaudio.layers.kernels.compiled.elementwise import sigmoid, tanh
from seqaudio.state import flatten, map_state, tensors

T, B, F, H = 7, 6, 3, 5
LENGTHS = torch.tensor([7, 0, 4, 1, 7, 5])
RESETS = torch.rand(T, B, generator=torch.Generator().manual_seed(8)) < 0.3
RESETS[0, 0] = RESETS[6, 4] = True
FUSED_NAMES = [name for name in CELLS if CELLS[name] in FUSED]
# the steps that run a cell where torch's own kernel does not
STEPS = {
    "lstm": "lstm",
    "peephole_lstm": "lstm",
    "gru": "gru",
    "layer_norm_lstm": "layer_norm_lstm",
    "layer_norm_gru": "layer_norm_gru",
}
SITUATIONS = {
    "plain": (None, None),
    "ragged": (LENGTHS, None),
    "resets": (None, RESETS),
    "ragged with resets": (LENGTHS, RESETS),
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(9)


@pytest.fixture
def without_numba(monkeypatch):
    monkeypatch.setattr(choice, "numba_is_there", lambda: False)


@pytest.fixture
def products_by_torch(monkeypatch):
    """No product runs inside the loop."""
    monkeypatch.setattr(choice, "INSIDE", 0)


@pytest.fixture
def steps_run(monkeypatch):
    """Counts calls into the steps of every room: `compiled.lstm.step` and so on."""
    counts = Counter()

    def counted(label, work):
        def run(*arguments):
            counts[label] += 1
            work(*arguments)

        return run

    for room in ("compiled", "operations"):
        for name in set(STEPS.values()):
            module = importlib.import_module(f"seqaudio.layers.kernels.{room}.{name}")
            parts = {part: work for part, work in dataclasses.asdict(module.STEPS).items() if callable(work)}
            wrapped = {part: counted(f"{room}.{name}.{part}", work) for part, work in parts.items()}
            monkeypatch.setattr(module, "STEPS", dataclasses.replace(module.STEPS, **wrapped))
    return counts


def make(name, dtype=torch.float64):
    layer = build_layer(CELLS[name](F, H)).to(dtype)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def results(layer, inputs, state=None, lengths=None, resets=None):
    """Outputs, final state and every gradient of a random projection of both."""
    inputs = inputs.detach().requires_grad_()
    outputs, final = layer(inputs, state, lengths, resets)
    values = {"outputs": outputs} | flatten(final, "final")
    generator = torch.Generator().manual_seed(6)
    total = sum((v * torch.randn(v.shape, generator=generator).to(v)).sum() for v in values.values())
    sources = {"inputs": inputs} | {key: p for key, p in layer.named_parameters() if p.requires_grad}
    if state is not None:
        sources |= flatten(state, "initial")
    gradients = torch.autograd.grad(total, list(sources.values()))
    return values | {f"d {name}": gradient for name, gradient in zip(sources, gradients, strict=True)}


def assert_same(got, expected, atol):
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        torch.testing.assert_close(tensor, expected[name], atol=atol, rtol=atol, msg=lambda m, n=name: f"{n}: {m}")


# ---- elementwise functions


@jit.compiled
def apply_sigmoid(values):
    for k in range(len(values)):
        values[k] = sigmoid(values[k])


@jit.compiled
def apply_tanh(values):
    for k in range(len(values)):
        values[k] = tanh(values[k])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_tanh_are_right_to_a_few_last_bits(dtype):
    last_bit = np.finfo(dtype).eps
    x = np.concatenate([np.linspace(-30, 30, 5001), np.geomspace(1e-20, 1, 300), -np.geomspace(1e-20, 1, 300)])
    x = x.astype(dtype)
    exact, got = x.astype(np.longdouble), x.copy()
    apply_sigmoid(got)
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-exact)), rtol=3 * last_bit)
    got = x.copy()
    apply_tanh(got)
    np.testing.assert_allclose(got, np.tanh(exact), rtol=3 * last_bit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_tanh_of_extremes(dtype):
    x = np.array([np.inf, 1e30, -1e30, -np.inf, np.nan, 0.0, -0.0], dtype)
    got = x.copy()
    apply_sigmoid(got)
    np.testing.assert_allclose(got, [1, 1, 0, 0, np.nan, 0.5, 0.5], atol=1e-37)
    apply_tanh(x)
    np.testing.assert_array_equal(x, [1, 1, -1, -1, np.nan, 0, 0])
    assert np.signbit(x[6])


# ---- which code runs


@pairs_of(name=list(STEPS), rows=[1, B], situation=SITUATIONS)
def test_compiled_steps_run_in_float64(steps_run, name, rows, situation):
    layer = make(name)
    lengths, resets = (None if given is None else given[..., :rows] for given in situation)
    results(layer, torch.randn(T, rows, F).double(), None, lengths, resets)
    kernel = f"compiled.{STEPS[name]}"
    if T * rows >= choice.FEW_FRAMES:
        assert steps_run == {f"{kernel}.sequence": 1, f"{kernel}.sequence_back": 1}
    else:
        assert steps_run == {f"{kernel}.step": T, f"{kernel}.step_back": T}


@pytest.mark.parametrize("name", [name for name in STEPS if name != "lstm"])
def test_compiled_steps_run_between_products_of_large_weights(steps_run, products_by_torch, name):
    results(make(name, torch.float32), torch.randn(T, B, F))
    assert steps_run.keys() == {f"compiled.{STEPS[name]}.step", f"compiled.{STEPS[name]}.step_back"}


def profiled(layer, *arguments):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as profile:
        layer(*arguments)
    return {event.key: event.count for event in profile.key_averages()}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["plain", "ragged"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
def test_large_lstm_is_one_call_of_torch_and_reaches_its_fast_library(steps_run, products_by_torch, lengths, dtype):
    calls = profiled(make("lstm", dtype), torch.randn(T, B, F, dtype=dtype), None, lengths)
    assert calls["aten::lstm"] == 1
    if torch.backends.mkldnn.is_available() and (
        dtype is torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    ):
        assert calls["aten::mkldnn_rnn_layer"] == 1
    assert not steps_run


def test_lstm_with_resets_is_not_cut_into_pieces(steps_run):
    calls = profiled(make("lstm", torch.float32), torch.randn(T, B, F), None, LENGTHS, RESETS)
    assert "aten::lstm" not in calls
    assert steps_run == {"compiled.lstm.sequence": 1}


def test_elman_is_torchs_kernel():
    for name, kernel in {"elman": "aten::rnn_tanh", "elman_relu": "aten::rnn_relu"}.items():
        assert profiled(make(name, torch.float32), torch.randn(T, B, F), None, LENGTHS)[kernel] == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_few_frames_of_a_stream_take_one_call_of_the_gru(steps_run, dtype, rows):
    layer, inputs = make("gru", dtype), torch.randn(T, rows, F, dtype=dtype)
    expected, after = layer(inputs, layer.initial_state(rows))
    steps_run.clear()
    with torch.no_grad():
        outputs, state = layer(inputs, layer.initial_state(rows))
    assert steps_run == {"compiled.gru.stream": 1}
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(state.hidden, after.hidden)
    with torch.no_grad():  # another kernel where rows have lengths
        layer(inputs, lengths=torch.full((rows,), T - 1))
    assert steps_run["compiled.gru.stream"] == 1
    assert len(steps_run) == 2


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_without_numba_torchs_kernel_runs_each_piece_between_resets(steps_run, without_numba, name):
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[0, 0] = resets[4, 1] = resets[4, 5] = resets[5, 0] = True
    layer, inputs = make(name, torch.float32), torch.randn(T, B, F)
    assert profiled(layer, inputs)[f"aten::{name}"] == 1
    assert profiled(layer, inputs, None, None, resets)[f"aten::{name}"] == 3
    # row 1 ends at step 4 and row 0 at step 5, so that what is asked of them from there on does not cut
    lengths = torch.tensor([5, 4, 7, 7, 7, 4])
    assert profiled(layer, inputs, None, lengths, resets)[f"aten::{name}"] == 1
    assert not steps_run


@pytest.mark.parametrize("name", ["peephole_lstm", "layer_norm_lstm", "layer_norm_gru"])
def test_without_numba_torch_operations_run(steps_run, without_numba, name):
    results(make(name), torch.randn(T, B, F).double())
    assert steps_run == {f"operations.{STEPS[name]}.step": T, f"operations.{STEPS[name]}.step_back": T}


def test_missing_numba_is_told_once(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "numba", None)
    choice.numba_is_there.cache_clear()
    try:
        assert not compiled_serves(torch.zeros(1))
        assert not compiled_serves(torch.zeros(1))
    finally:
        choice.numba_is_there.cache_clear()
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "torch operations" in told
    assert "pip install numba" in told


def test_half_precision_is_left_to_torch(steps_run):
    for name in STEPS:
        steps_run.clear()
        results(make(name, torch.bfloat16), torch.randn(T, B, F, dtype=torch.bfloat16))
        assert not any(label.startswith("compiled") for label in steps_run)


def test_what_is_traced_is_made_of_torch_operations(monkeypatch):
    assert compiled_serves(torch.zeros(1))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not compiled_serves(torch.zeros(1))


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch):
    def no_folder(*arguments, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*arguments, **options)

    njit = numba.njit
    monkeypatch.setattr(numba, "njit", no_folder)

    @jit.compiled
    def double(values):
        for k in range(len(values)):
            values[k] *= 2

    values = np.arange(3.0)
    double(values)
    assert double.signatures
    assert values.tolist() == [0, 2, 4]


# ---- the same numbers whichever code runs


@pairs_of(
    name=FUSED_NAMES,
    precision={"f64": (torch.float64, 1e-10), "f32": (torch.float32, 1e-5)},
    situation=SITUATIONS,
)
def test_torch_operations_equal_the_loop(without_numba, name, precision, situation):
    (dtype, atol), (lengths, resets) = precision, situation
    layer, inputs = make(name, dtype), torch.randn(T, B, F, dtype=dtype)
    state = map_state(lambda tensor: torch.randn_like(tensor).requires_grad_(), layer.initial_state(B))
    expected = results(Unrolled(layer.cell), inputs, state, lengths, resets)
    assert_same(results(layer, inputs, state, lengths, resets), expected, atol)


@pytest.mark.parametrize("name", list(STEPS))
@pytest.mark.parametrize(("lengths", "resets"), SITUATIONS.values(), ids=SITUATIONS)
def test_one_row_at_a_time_equals_many(name, lengths, resets):
    """A single row is a few frames, whose products are torch's; those of many are made inside the loop."""
    layer, inputs = make(name), torch.randn(T, B, F).double()
    outputs, final = layer(inputs, None, lengths, resets)
    for row in range(B):
        only = slice(row, row + 1)
        alone, alone_final = layer(
            inputs[:, only],
            None,
            None if lengths is None else lengths[only],
            None if resets is None else resets[:, only],
        )
        torch.testing.assert_close(alone, outputs[:, only], atol=1e-12, rtol=0)
        for got, wanted in zip(tensors(alone_final), tensors(final), strict=True):
            torch.testing.assert_close(got, wanted[only], atol=1e-12, rtol=0)


@pairs_of(
    name=list(STEPS),
    inside={"inside the loop": True, "by torch": False},
    rows=[1, 3, 10],
    size=[5, 40, 77],
    precision={"f64": (torch.float64, 1e-10), "f32": (torch.float32, 2e-5)},
    situation=SITUATIONS,
)
def test_products_inside_the_loop_and_by_torch_equal_the_loop_of_cells(
    monkeypatch, name, inside, rows, size, precision, situation
):
    """Sizes have columns in strips, in eights and single ones; rows come in sixes, fours and single ones."""
    monkeypatch.setattr(choice, "FEW_FRAMES", 0)
    monkeypatch.setattr(choice, "LSTM_FRAMES", 0)
    monkeypatch.setattr(choice, "INSIDE", choice.INSIDE if inside else 0)
    (dtype, atol), generator = precision, torch.Generator().manual_seed(8)
    layer = build_layer(CELLS[name](F, size)).to(dtype)
    lengths, resets = situation
    lengths = None if lengths is None else torch.randint(0, T + 1, (rows,), generator=generator)
    resets = None if resets is None else torch.rand(T, rows, generator=generator) < 0.3
    inputs = torch.randn(T, rows, F, dtype=dtype)
    state = map_state(lambda tensor: torch.randn_like(tensor).requires_grad_(), layer.initial_state(rows))
    expected = results(Unrolled(layer.cell), inputs, state, lengths, resets)
    assert_same(results(layer, inputs, state, lengths, resets), expected, atol)


@pairs_of(name=FUSED_NAMES, numba={"numba": True, "no numba": False}, situation=SITUATIONS)
def test_learned_initial_state_gets_the_gradient_of_every_fresh_start(request, name, numba, situation):
    if not numba:
        request.getfixturevalue("without_numba")
    lengths, resets = situation
    layer, inputs = make(name), torch.randn(T, B, F).double()
    layer.cell.learn_initial_state()
    for start in layer.cell.start.values():
        nn.init.normal_(start)
    expected = results(Unrolled(layer.cell), inputs, None, lengths, resets)
    got = results(layer, inputs, None, lengths, resets)
    assert any(name.startswith("d cell.start") for name in got)
    assert_same(got, expected, 1e-10)


@pytest.mark.parametrize("name", FUSED_NAMES)
def test_bfloat16_runs_near_full_precision(name):
    layer = make(name, torch.float32)
    state = map_state(torch.randn_like, layer.initial_state(B))
    inputs = torch.randn(T, B, F)
    expected, _ = layer(inputs, state, LENGTHS, RESETS)
    state = map_state(lambda tensor: tensor.bfloat16(), state)
    outputs, final = layer.bfloat16()(inputs.bfloat16(), state, LENGTHS, RESETS)
    assert {tensor.dtype for tensor in (outputs, *tensors(final))} == {torch.bfloat16}
    torch.testing.assert_close(outputs.float(), expected, atol=0.05 * expected.abs().max().item(), rtol=0)
    outputs.float().square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


# ---- as a part of a larger graph


@pytest.mark.parametrize("name", FUSED_NAMES)
def test_layout_of_inputs_and_gradients_does_not_matter(name):
    layer, inputs = make(name), torch.randn(T, B, F).double()
    expected = torch.autograd.grad(layer(inputs)[0].sum(), list(layer.parameters()))
    turned = inputs.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    outputs = layer(turned)[0].permute(1, 2, 0)
    got = torch.autograd.grad((outputs * torch.ones(B, H, T).double()).sum(), list(layer.parameters()))
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", FUSED_NAMES)
def test_gradients_can_be_taken_twice(name):
    layer, inputs = make(name), torch.randn(T, B, F).double()
    total = layer(inputs, None, LENGTHS, RESETS)[0].square().sum()
    once = torch.autograd.grad(total, list(layer.parameters()), retain_graph=True)
    again = torch.autograd.grad(total, list(layer.parameters()))
    assert all(map(torch.equal, once, again))


@pytest.mark.parametrize("name", list(STEPS))
def test_final_state_alone_gives_the_gradients(name):
    layer, inputs = make(name), torch.randn(T, B, F).double()
    loop_layer = Unrolled(layer.cell)
    got, expected = (
        torch.autograd.grad(run(inputs, None, LENGTHS)[1].hidden.square().sum(), list(layer.parameters()))
        for run in (layer, loop_layer)
    )
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", list(STEPS))
def test_frozen_parameters_leave_the_gradient_of_the_inputs(name):
    layer, inputs = make(name), torch.randn(T, B, F).double()
    expected = results(layer, inputs)["d inputs"]
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    torch.testing.assert_close(results(layer, inputs)["d inputs"], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", list(STEPS))
def test_weights_changed_before_the_way_back_are_noticed(name):
    layer, inputs = make(name), torch.randn(T, B, F).double()
    total = layer(inputs)[0].sum()
    with torch.no_grad():
        layer.cell.weight_hh.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize("name", [*STEPS, "min_gru"])
def test_second_derivatives_are_refused_rather_than_wrong(name):
    layer, inputs = make(name), torch.randn(T, B, F).double().requires_grad_()
    with pytest.raises(RuntimeError, match=r"got create_graph=True.* build with fused=False"):
        torch.autograd.grad(layer(inputs)[0].sum(), inputs, create_graph=True)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")  # by torch's own forward mode
@pytest.mark.parametrize("name", [*STEPS, "min_gru"])
def test_other_ways_to_differentiate_are_refused_in_one_line_with_the_way_out(name):
    layer, inputs = make(name), torch.randn(T, B, F).double()
    with pytest.raises(RuntimeError, match=r"got a transform of torch\.func.* build with fused=False"):
        torch.func.vmap(lambda frames: layer(frames)[0])(inputs[None])
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match=r"forward-mode.* build with fused=False"):
        layer(forward_ad.make_dual(inputs, inputs))
    _, tangents = torch.func.jvp(lambda frames: Unrolled(layer.cell)(frames)[0], (inputs,), (inputs,))
    ahead, behind = (layer(inputs * (1 + step))[0] for step in (1e-6, -1e-6))
    torch.testing.assert_close(tangents, (ahead - behind) / 2e-6, atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", list(STEPS))
def test_nan_in_a_real_frame_shows(name):
    inputs = torch.randn(T, B, F).double()
    inputs[2, 3] = float("nan")
    outputs, _ = make(name)(inputs)
    assert outputs[2:, 3].isnan().all()
    assert not outputs[:2].isnan().any()
    assert not outputs[:, [0, 1, 2, 4, 5]].isnan().any()


@pytest.mark.parametrize("name", FUSED_NAMES)
def test_no_rows_are_no_difficulty(name):
    outputs, final = make(name)(torch.zeros(T, 0, F).double())
    assert outputs.shape == (T, 0, H)
    assert all(tensor.shape == (0, H) for tensor in tensors(final))


@pytest.mark.parametrize("name", list(STEPS))
@pytest.mark.parametrize("rows", [1, B])
def test_mixed_types_are_refused_with_both_named(name, rows):
    layer = make(name)
    state = map_state(torch.Tensor.float, layer.initial_state(rows))
    with pytest.raises(TypeError, match=r"torch.float32 and torch.float64 for weights of torch.float64"):
        layer(torch.randn(T, rows, F).double(), state)
