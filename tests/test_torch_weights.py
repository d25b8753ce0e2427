"""Stacks and torch.nn's modules compute the same, whichever was made from the other."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import utils
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqaudio.cells import GRUCell, LSTMCell, LSTMState, PeepholeLSTMCell, ProjectedLSTMCell
from seqaudio.errors import OptionError
from seqaudio.layers import Bidirectional, BidirectionalState, FusedLayer, FusedLSTM, Stack, Unrolled, build_stack
from seqaudio.layers.torch_weights import from_torch, to_torch
from seqaudio.state import tensors

T, B, F, H = 7, 5, 3, 4  # all different, so that a swapped axis shows
LENGTHS = torch.tensor([7, 1, 4, 6, 2])  # packing knows no row without frames

MODULES = {
    "rnn": lambda **options: nn.RNN(F, H, **options),
    "rnn_relu": lambda **options: nn.RNN(F, H, nonlinearity="relu", **options),
    "lstm": lambda **options: nn.LSTM(F, H, **options),
    "projected_lstm": lambda **options: nn.LSTM(F, H, proj_size=2, **options),
    "gru": lambda **options: nn.GRU(F, H, **options),
}
SHAPES = {
    "one layer": {},
    "stacked": {"num_layers": 3},
    "bidirectional": {"bidirectional": True},
    "stacked bidirectional": {"num_layers": 2, "bidirectional": True},
    "without bias": {"num_layers": 2, "bidirectional": True, "bias": False},
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


@pytest.fixture(params=list(MODULES))
def kind(request):
    return request.param


@pytest.fixture(params=list(SHAPES))
def shape(request):
    return SHAPES[request.param]


def as_torch(state):
    """A stack's state as torch.nn has it: h, or (h, c), each [layers x directions, B, H]."""
    directions = [part for layer in state for part in (layer if isinstance(layer, BidirectionalState) else (layer,))]
    hidden, *memory = (torch.stack(parts) for parts in zip(*map(tensors, directions), strict=True))
    return (hidden, *memory) if memory else hidden


def torch_name(name):
    """What torch.nn calls a stack's parameter."""
    layer, direction, parameter = re.fullmatch(r"layers\.(\d)\.(?:(\w+)_layer\.)?cell\.(\w+)", name).groups()
    return f"{parameter}_l{layer}{'_reverse' if direction == 'backward' else ''}"


def assert_computes_the_same(stack, module, inputs, lengths=None):
    """Outputs, final states and the gradients of inputs and weights; packed where rows differ in length."""
    ours, theirs = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    outputs, state = stack(ours, lengths=lengths)
    if lengths is None:
        expected, expected_state = module(theirs)
    else:
        packed, expected_state = module(pack_padded_sequence(theirs, lengths, enforce_sorted=False))
        expected, _ = pad_packed_sequence(packed, total_length=len(inputs))
    torch.testing.assert_close(outputs, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(as_torch(state), expected_state, atol=1e-12, rtol=0)

    for result, final in ((outputs, as_torch(state)), (expected, expected_state)):
        draw = torch.Generator().manual_seed(1)
        parts = (result, *(final if isinstance(final, tuple) else (final,)))
        sum((part * torch.randn(part.shape, generator=draw).double()).sum() for part in parts).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-11, rtol=0)
    named = dict(module.named_parameters())
    for name, parameter in stack.named_parameters():
        if parameter.requires_grad:
            gradient = named.pop(torch_name(name)).grad
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-11, rtol=0, msg=lambda m, n=name: f"{n}: {m}")
    assert not named, "a parameter of torch has no counterpart"


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_a_stack_made_from_torch_has_its_values_and_gradients(kind, shape, lengths):
    module = MODULES[kind](**shape).double()
    assert_computes_the_same(from_torch(module), module, torch.randn(T, B, F).double(), lengths)


def test_a_module_made_from_a_stack_has_its_values_and_gradients(kind, shape):
    shape = {"layers": shape.get("num_layers", 1), "bidirectional": shape.get("bidirectional", False)}
    name = {"rnn": "elman", "rnn_relu": "elman_relu"}.get(kind, kind)
    for fused in (True, False):
        stack = build_stack(name, F, H, **shape, fused=fused).double()
        assert_computes_the_same(stack, to_torch(stack), torch.randn(T, B, F).double())


def test_there_and_back_is_equal_to_the_bit(kind, shape):
    module = MODULES[kind](**shape, dropout=0.25 if shape.get("num_layers") else 0.0)
    back = to_torch(from_torch(module))
    assert type(back) is type(module)
    assert repr(back) == repr(module)
    assert back.state_dict().keys() == module.state_dict().keys()
    for name, tensor in module.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name


def test_a_stack_there_and_back_is_equal_to_the_bit():
    stack = build_stack("projected_lstm", F, H, layers=2, bidirectional=True, dropout=0.25)
    back = from_torch(to_torch(stack))
    assert back.dropout.p == 0.25
    assert back.state_dict().keys() == stack.state_dict().keys()
    assert all(map(torch.equal, back.state_dict().values(), stack.state_dict().values()))


def test_what_torch_does_without_stays_absent_in_training():
    stack = from_torch(nn.GRU(F, H, 2, bias=False))
    optimiser = torch.optim.SGD(stack.parameters(), lr=1.0)
    stack(torch.randn(T, B, F))[0].sum().backward()
    optimiser.step()
    assert not any(parameter.any() for name, parameter in stack.named_parameters() if "bias" in name)
    assert not to_torch(stack).bias


def test_biases_that_happen_to_be_zero_are_kept():
    stack = build_stack("gru", F, H)
    assert not any(parameter.any() for name, parameter in stack.named_parameters() if "bias" in name)
    assert to_torch(stack).bias


def test_frozen_weights_stay_frozen_both_ways(kind):
    module = MODULES[kind](num_layers=2, bidirectional=True)
    for number, parameter in enumerate(module.parameters()):
        parameter.requires_grad_(number % 3 > 0)
    stack = from_torch(module)
    for name, parameter in stack.named_parameters():
        assert parameter.requires_grad == module.get_parameter(torch_name(name)).requires_grad, name
    for name, parameter in to_torch(stack).named_parameters():
        assert parameter.requires_grad == module.get_parameter(name).requires_grad, name


def test_unfused_layers_have_second_derivatives(kind, shape):
    module = MODULES[kind](**shape).double()
    stack = from_torch(module, fused=False)
    assert not any(isinstance(part, FusedLayer) for part in stack.modules())
    inputs = torch.randn(3, 2, F).double()
    torch.testing.assert_close(stack(inputs)[0], module(inputs)[0], atol=1e-12, rtol=0)
    if kind != "rnn_relu":  # which is zero nearly everywhere
        weights = tuple(parameter for parameter in stack.parameters() if parameter.requires_grad)
        names = [name for name, parameter in stack.named_parameters() if parameter.requires_grad]

        def outputs(frames, *changed):
            return functional_call(stack, dict(zip(names, changed, strict=True)), frames)[0]

        frames = inputs[:2, :1].clone().requires_grad_()
        assert torch.autograd.gradgradcheck(outputs, (frames, *weights), fast_mode=True)


@pytest.mark.parametrize("make", [from_torch, lambda module: to_torch(from_torch(module))], ids=["from", "to"])
def test_weights_are_copied_in_type_and_mode_and_no_random_number_is_drawn(make):
    module = nn.LSTM(F, H, 2, dropout=0.5).to(torch.bfloat16).eval()
    generator = torch.get_rng_state()
    made = make(module)
    assert torch.equal(torch.get_rng_state(), generator)
    assert not made.training
    assert {parameter.dtype for parameter in made.parameters()} == {torch.bfloat16}
    kept = [parameter.clone() for parameter in made.parameters()]
    nn.init.zeros_(module.weight_ih_l0)
    assert all(map(torch.equal, made.parameters(), kept))


def test_a_batch_first_module_gives_a_time_major_stack():
    module = nn.GRU(F, H, batch_first=True)
    inputs = torch.randn(T, B, F)
    outputs, _ = from_torch(module)(inputs)
    torch.testing.assert_close(outputs, module(inputs.transpose(0, 1))[0].transpose(0, 1))


def test_converted_layers_are_fused_where_there_is_a_fused_layer():
    assert isinstance(from_torch(nn.LSTM(F, H)).layers[0], FusedLSTM)


def test_dropout_of_all_comes_along():
    module = nn.LSTM(F, H, 2, dropout=1.0)
    inputs = torch.randn(T, B, F)
    torch.testing.assert_close(from_torch(module)(inputs)[0], module(inputs)[0])
    assert to_torch(from_torch(module)).dropout == 1.0


def test_dropout_between_layers_comes_along():
    stack = from_torch(nn.GRU(F, H, 2, dropout=0.5))
    inputs = torch.randn(T, B, F)
    assert not torch.equal(stack(inputs)[0], stack(inputs)[0])
    assert torch.equal(stack.eval()(inputs)[0], stack(inputs)[0])


class OwnLSTM(nn.LSTM):
    """Another computation, for all one knows."""


@pytest.mark.parametrize("module", [nn.Linear(F, H), nn.LSTMCell(F, H), OwnLSTM(F, H)])
def test_what_is_no_layer_of_torch_is_refused(module):
    with pytest.raises(OptionError, match=rf"got {type(module).__name__}, expected torch\.nn\.RNN, LSTM or GRU"):
        from_torch(module)


COMPUTED = {
    "parametrized weight norm": lambda module: parametrizations.weight_norm(module, "weight_hh_l0"),
    "weight norm": lambda module: utils.weight_norm(module, "weight_hh_l0"),
    "parametrized spectral norm": lambda module: parametrizations.spectral_norm(module, "weight_hh_l0"),
    "spectral norm": lambda module: utils.spectral_norm(module, "weight_hh_l0"),
    "orthogonal": lambda module: parametrizations.orthogonal(module, "weight_hh_l0"),
    "pruning": lambda module: prune.random_unstructured(module, "weight_hh_l0", 0.5),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED)
def test_computed_weights_are_refused_and_the_named_call_mends_it(compute):
    module = nn.LSTM(F, H)
    compute(module)
    module.eval()
    inputs = torch.randn(T, B, F)
    expected, _ = module(inputs)
    with pytest.raises(OptionError, match="got LSTM with weight_hh_l0 computed from other tensors") as caught:
        from_torch(module)
    message = str(caught.value)
    assert "\n" not in message
    exec(message.partition("first call ")[2], {"torch": torch, "module": module})
    torch.testing.assert_close(from_torch(module)(inputs)[0], expected)


def test_computed_weights_of_a_stack_are_refused_too():
    stack = build_stack("lstm", F, H)
    parametrizations.weight_norm(stack.layers[0].cell, "weight_hh")
    with pytest.raises(OptionError, match=r"got LSTMCell with weight_hh computed .*remove_parametrizations"):
        to_torch(stack)
    parametrize.remove_parametrizations(stack.layers[0].cell, "weight_hh")
    assert torch.equal(to_torch(stack).weight_hh_l0, stack.layers[0].cell.weight_hh)


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        (build_stack("lstm+zoneout", F, H), "no layer of Zoneout"),
        (build_stack("min_gru", F, H), "no layer of MinGRUCell"),
        (build_stack("gru_reset_before", F, H, bidirectional=True), "no layer of GRUResetBeforeCell"),
        (Stack([Unrolled(PeepholeLSTMCell(F, H))]), "no layer of PeepholeLSTMCell"),
        (Stack([Stack([Unrolled(GRUCell(F, H))])]), "no layer of Stack"),
        (Stack([Unrolled(ProjectedLSTMCell(F, H, H))]), "a projection of 4 values to 4, torch.nn.LSTM needs fewer"),
        (build_stack("gru", F, H, learned_state=True), "learned initial state"),
        (Stack([Unrolled(GRUCell(F, H)), Unrolled(LSTMCell(H, H))]), r"GRUCell\(3, 4\), LSTMCell\(4, 4\)"),
        (Stack([Unrolled(GRUCell(F, H)), Unrolled(GRUCell(H, F))]), r"GRUCell\(3, 4\), GRUCell\(4, 3\)"),
        (Stack([Bidirectional(Unrolled(GRUCell(F, H)), Unrolled(GRUCell(F, F)))]), r"GRUCell\(3, 4\)/GRUCell\(3, 3\)"),
        (
            Stack([Unrolled(ProjectedLSTMCell(F, H, 2)), Unrolled(ProjectedLSTMCell(2, H, 3))]),
            r"ProjectedLSTMCell\(3, 2\), ProjectedLSTMCell\(2, 3\)",
        ),
    ],
)
def test_what_torch_does_not_have_is_refused_and_named(stack, words):
    with pytest.raises(OptionError, match=words) as caught:
        to_torch(stack)
    assert "\n" not in str(caught.value)


def test_a_state_goes_on_where_the_module_ended():
    module = nn.LSTM(F, H).double()
    first, then = torch.randn(2, T, B, F).double()
    _, (hidden, memory) = module(first)
    expected, _ = module(then, (hidden, memory))
    outputs, _ = from_torch(module)(then, (LSTMState(hidden[0], memory[0]),))
    torch.testing.assert_close(outputs, expected, atol=1e-12, rtol=0)
