"""Linear recurrences: the compiled scan and the parallel one give the numbers of single steps."""

from __future__ import annotations

import pytest
import torch

from seqaudio.cells import CELLS
from seqaudio.layers import ScanLayer, Unrolled, build_layer
from seqaudio.layers.kernels import choice, linear_scan
from seqaudio.layers.kernels.compiled import scan as compiled_scan

B, F, H = 3, 2, 4
MINIMAL = ["min_gru", "min_lstm"]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(12)


@pytest.fixture(params=["compiled", "parallel"])
def scan_kind(request, monkeypatch):
    if request.param == "parallel":
        monkeypatch.setattr(choice, "numba_is_there", lambda: False)
    return request.param


def stepwise(a, b, h):
    hidden = []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        hidden.append(h)
    return torch.stack(hidden)


def random_case(T, dtype=torch.float64):
    """Coefficients of any sign with zeros among them, and a state that is not zero."""
    a = torch.rand(T, B, H, dtype=dtype) * 2 - 1
    a[torch.rand(T, B, H) < 0.1] = 0
    return a, torch.randn(T, B, H, dtype=dtype), torch.randn(B, H, dtype=dtype)


@pytest.mark.parametrize("T", [1, 2, 3, 4, 5, 7, 8, 13, 64, 100])
def test_scan_equals_single_steps_in_values_and_gradients(scan_kind, T):
    arguments = [tensor.requires_grad_() for tensor in random_case(T)]
    got, expected = linear_scan(*arguments), stepwise(*arguments)
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)
    direction = torch.randn_like(got)
    gradients = torch.autograd.grad((got * direction).sum(), arguments)
    wanted = torch.autograd.grad((expected * direction).sum(), arguments)
    torch.testing.assert_close(gradients, wanted, atol=1e-12, rtol=0)


def test_scan_of_known_numbers(scan_kind):
    a = torch.tensor([2.0, 0.0, -1.0])[:, None, None]
    b = torch.tensor([1.0, 5.0, 2.0])[:, None, None]
    assert linear_scan(a, b, torch.tensor([[3.0]])).flatten().tolist() == [7.0, 5.0, -3.0]


def test_scan_gradients_agree_with_finite_differences(scan_kind):
    arguments = [tensor.requires_grad_() for tensor in random_case(5)]
    assert torch.autograd.gradcheck(linear_scan, arguments)


def test_memory_is_neither_lost_nor_blown_up_where_nothing_decays(scan_kind):
    """Products of 10,000 ones and of 10,000 halves: no logarithm, no division, nothing overflows."""
    T = 10_000
    held = linear_scan(torch.ones(T, 1, 1), torch.zeros(T, 1, 1), torch.full((1, 1), 3.0))
    assert (held == 3).all()
    faded = linear_scan(torch.full((T, 1, 1), 0.5), torch.ones(T, 1, 1), torch.full((1, 1), 3.0))
    assert torch.isfinite(faded).all()
    assert faded[-1].item() == 2


@pytest.mark.parametrize("name", MINIMAL)
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["f64", "f32"])
def test_layer_equals_single_steps_over_ten_thousand_steps(scan_kind, name, dtype, atol):
    T = 10_000
    layer = build_layer(CELLS[name](F, H)).to(dtype)
    torch.nn.init.normal_(layer.cell.bias_ih)
    inputs = torch.randn(T, B, F, dtype=dtype)
    state = layer.initial_state(B)._replace(hidden=torch.randn(B, H, dtype=dtype))
    with torch.no_grad():
        outputs, final = layer(inputs, state)
        steps = []
        for frames in inputs:
            output, state = layer.step(frames, state)
            steps.append(output)
    expected = torch.stack(steps)
    torch.testing.assert_close(outputs, expected, atol=atol, rtol=atol)
    torch.testing.assert_close(final.hidden, state.hidden, atol=atol, rtol=atol)


@pytest.mark.parametrize("name", MINIMAL)
def test_gradients_of_a_long_window_equal_those_of_the_loop(scan_kind, name):
    layer = build_layer(CELLS[name](F, H)).double()
    inputs = torch.randn(600, B, F).double()
    got, expected = (
        torch.autograd.grad(run(inputs)[0].square().sum(), list(layer.parameters()))
        for run in (layer, Unrolled(layer.cell))
    )
    torch.testing.assert_close(got, expected, atol=1e-9, rtol=1e-12)


@pytest.mark.parametrize("name", MINIMAL)
def test_minimal_cells_are_scanned_in_one_call(monkeypatch, name):
    calls = []
    for part in ("scan", "scan_back"):
        work = getattr(compiled_scan, part)
        monkeypatch.setattr(compiled_scan, part, lambda *a, part=part, work=work: (calls.append(part), work(*a)))
    layer = build_layer(CELLS[name](F, H))
    assert type(layer) is ScanLayer
    layer(torch.randn(9, B, F))[0].sum().backward()
    assert calls == ["scan", "scan_back"]


def test_parallel_scan_takes_few_operations(monkeypatch):
    monkeypatch.setattr(choice, "numba_is_there", lambda: False)
    counts = []
    for T in (1024, 4096):
        a, b, h = random_case(T)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as profile:
            linear_scan(a, b, h)
        counts.append({event.key: event.count for event in profile.key_averages()}["aten::addcmul"])
    # two for each halving, and one for the first step
    assert counts == [21, 25]
