"""Layers against torch.nn, and fused layers against the Python loop: values and every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pairs import pairs_of
from seqaudio.cells import CELLS
from seqaudio.layers import FUSED, build_stack, torch_kernels
from seqaudio.layers.kernels import choice
from seqaudio.state import flatten, map_state, tensors

T, B, F, H = 13, 7, 4, 6
LENGTHS = torch.tensor([13, 5, 0, 1, 13, 8, 12])
RESETS = torch.rand(T, B, generator=torch.Generator().manual_seed(4)) < 0.2
FUSED_NAMES = [name for name in CELLS if CELLS[name] in FUSED]
TORCH_LAYERS = {
    "elman": nn.RNN,
    "elman_relu": lambda *args, **kwargs: nn.RNN(*args, nonlinearity="relu", **kwargs),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
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
    torch.manual_seed(5)


def randomised(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


def random_state(layer):
    return map_state(torch.randn_like, layer.initial_state(B))


def run(layer, inputs, state, lengths=None, resets=None):
    """Outputs, final state, and the gradients of a random projection of both."""
    inputs = inputs.clone().requires_grad_()
    state = map_state(lambda tensor: tensor.clone().requires_grad_(), state)
    outputs, final = layer(inputs, state, lengths, resets)
    results = {"outputs": outputs} | flatten(final, "final")
    generator = torch.Generator().manual_seed(6)
    total = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results.values())
    sources = {"inputs": inputs} | flatten(state, "initial") | dict(layer.named_parameters())
    gradients = torch.autograd.grad(total, list(sources.values()))
    return results | {f"d {name}": gradient for name, gradient in zip(sources, gradients, strict=True)}


def assert_same(got, expected, atol, rtol=0.0):
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        torch.testing.assert_close(tensor, expected[name], atol=atol, rtol=rtol, msg=lambda m, n=name: f"{n}: {m}")


# ---- fused against the loop


@pairs_of(
    name=FUSED_NAMES,
    shape=["one layer", "two layers", "bidirectional"],
    situation={
        "plain": (None, None),
        "ragged": (LENGTHS, None),
        "resets": (None, RESETS),
        "ragged with resets": (LENGTHS, RESETS),
    },
    precision={"f64": (torch.float64, 1e-10), "f32": (torch.float32, 1e-5)},
)
def test_fused_equals_the_loop_in_values_and_gradients(name, shape, situation, precision):
    (lengths, resets), (dtype, atol) = situation, precision
    arguments = (name, F, H, 2 if shape == "two layers" else 1, shape == "bidirectional")
    fused = randomised(build_stack(*arguments)).to(dtype)
    loop = build_stack(*arguments, fused=False).to(dtype)
    loop.load_state_dict(fused.state_dict())
    inputs, state = torch.randn(T, B, F, dtype=dtype), random_state(fused)
    # a sum over T x B terms may differ in the last bits: float32 gradients of weights get a relative part too
    rtol = 1e-5 if dtype is torch.float32 else 0.0
    assert_same(run(fused, inputs, state, lengths, resets), run(loop, inputs, state, lengths, resets), atol, rtol)


def test_an_lstm_that_begins_with_zeros_at_both_ends_runs_in_one_call_and_equals_the_loop(monkeypatch):
    monkeypatch.setattr(choice, "LSTM_WEIGHTS", 0)  # all of them on torch's kernel
    calls = []
    one_call = torch_kernels.lstm_both_ways
    monkeypatch.setattr(torch_kernels, "lstm_both_ways", lambda *given: calls.append(given) or one_call(*given))
    fused = randomised(build_stack("lstm", F, H, 2, bidirectional=True))
    loop = build_stack("lstm", F, H, 2, bidirectional=True, fused=False)
    loop.load_state_dict(fused.state_dict())
    state = tuple(
        each._replace(backward=each.backward._replace(hidden=torch.zeros(B, H))) for each in random_state(fused)
    )
    inputs, found = torch.randn(T, B, F), []
    for layer in (fused, loop):
        given = inputs.clone().requires_grad_()
        outputs, final = layer(given, state, LENGTHS)
        total = (outputs * torch.linspace(-1, 1, H * 2)).sum() + sum(tensor.sin().sum() for tensor in tensors(final))
        gradients = torch.autograd.grad(total, [given, *layer.parameters()])
        found.append({"outputs": outputs} | flatten(final, "final") | dict(enumerate(gradients)))
    assert_same(*found, 1e-5, 1e-5)
    assert len(calls) == 2


@pytest.mark.parametrize("name", FUSED_NAMES)
def test_fused_gradients_are_right_in_evaluation_mode(name):
    fused = randomised(build_stack(name, F, H)).double()
    inputs, state = torch.randn(T, B, F).double(), random_state(fused)
    training = run(fused.train(), inputs, state, LENGTHS, RESETS)
    assert_same(run(fused.eval(), inputs, state, LENGTHS, RESETS), training, 0.0)


@pytest.mark.parametrize("name", FUSED_NAMES)
def test_fused_without_gradients_gives_the_same_values(name):
    fused = randomised(build_stack(name, F, H))
    inputs, state = torch.randn(T, B, F), random_state(fused)
    expected, expected_final = fused(inputs, state, LENGTHS, RESETS)
    with torch.no_grad():
        outputs, final = fused(inputs, state, LENGTHS, RESETS)
    torch.testing.assert_close(outputs, expected, atol=1e-6, rtol=0)
    for got, wanted in zip(tensors(final), tensors(expected_final), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", FUSED_NAMES)
def test_fused_runs_under_autocast_near_full_precision(name):
    fused = randomised(build_stack(name, F, H, layers=2))
    inputs = torch.randn(T, B, F)
    expected, _ = fused(inputs, None, LENGTHS, RESETS)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = fused(inputs, None, LENGTHS, RESETS)
    scale = expected.abs().max().item()
    torch.testing.assert_close(outputs.float(), expected, atol=0.05 * scale, rtol=0)


# ---- against torch.nn


def to_torch(name, stack, layers, bidirectional):
    """torch.nn's layer with our weights."""
    reference = TORCH_LAYERS[name](F, H, num_layers=layers, bidirectional=bidirectional).to(torch.float64)
    weights = {}
    for key, tensor in stack.state_dict().items():
        _, layer, *direction, _, parameter = key.split(".")
        suffix = "_reverse" if direction == ["backward_layer"] else ""
        weights[f"{parameter}_l{layer}{suffix}"] = tensor
    reference.load_state_dict(weights)
    return reference


def torch_state(state):
    """[layers x directions, B, H] for each of hidden and memory."""
    fields = {}
    for name, tensor in flatten(state).items():
        fields.setdefault(name.split(".")[-1], []).append(tensor)
    stacked = tuple(torch.stack(rows) for rows in fields.values())
    return stacked if len(stacked) > 1 else stacked[0]


@pairs_of(
    name=list(TORCH_LAYERS),
    layers=[1, 3],
    bidirectional={"one direction": False, "both directions": True},
    ragged={"full": False, "packed": True},
    fused={"fused": True, "loop": False},
)
def test_stack_equals_torch_in_values_and_gradients(name, layers, bidirectional, ragged, fused):
    stack = randomised(build_stack(name, F, H, layers, bidirectional, fused=fused)).double()
    reference = to_torch(name, stack, layers, bidirectional)
    lengths = LENGTHS.clamp(min=1) if ragged else None  # torch packs no empty row
    inputs, state = torch.randn(T, B, F).double(), random_state(stack)
    ours = run(stack, inputs, state, lengths)

    inputs = inputs.requires_grad_()
    state = map_state(lambda tensor: tensor.requires_grad_(), state)
    frames = pack_padded_sequence(inputs, lengths, enforce_sorted=False) if ragged else inputs
    outputs, final = reference(frames, torch_state(state))
    outputs = pad_packed_sequence(outputs, total_length=T)[0] if ragged else outputs
    finals = final if isinstance(final, tuple) else (final,)
    names = [key for key in ours if key.startswith("final.")]
    rows = {"final." + key: None for key in flatten(state)}
    for field, tensor in zip(dict.fromkeys(key.split(".")[-1] for key in names), finals, strict=True):
        keys = [key for key in names if key.endswith(field)]
        rows |= dict(zip(keys, tensor, strict=True))
    results = {"outputs": outputs} | rows
    generator = torch.Generator().manual_seed(6)
    total = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results.values())
    sources = {"inputs": inputs} | flatten(state, "initial")
    gradients = torch.autograd.grad(total, [*sources.values(), *reference.parameters()])
    expected = results | {f"d {key}": gradient for key, gradient in zip(sources, gradients, strict=False)}
    for (key, _), gradient in zip(reference.named_parameters(), gradients[len(sources) :], strict=True):
        parameter, suffix = key.rsplit("_l", 1)
        number, *reverse = suffix.split("_")
        side = "" if not bidirectional else "backward_layer." if reverse else "forward_layer."
        expected[f"d layers.{number}.{side}cell.{parameter}"] = gradient
    assert_same(ours, expected, 1e-10)
