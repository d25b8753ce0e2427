"""Convert stacks from and to torch.nn.RNN, LSTM and GRU: all layers, both directions, projections."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from seqaudio.cells import ElmanCell, ElmanReLUCell, GRUCell, LSTMCell, ProjectedLSTMCell
from seqaudio.errors import OptionError
from seqaudio.layers.base import Layer
from seqaudio.layers.bidirectional import Bidirectional
from seqaudio.layers.build import build_layer
from seqaudio.layers.fused import FusedLayer
from seqaudio.layers.stack import Stack
from seqaudio.layers.unrolled import Unrolled

TorchLayers = nn.RNN | nn.LSTM | nn.GRU
TorchCell = ElmanCell | ElmanReLUCell | LSTMCell | ProjectedLSTMCell | GRUCell

CELLS_OF_TORCH = (ElmanCell, ElmanReLUCell, LSTMCell, ProjectedLSTMCell, GRUCell)
SUFFIXES = ("", "_reverse")  # of the names of a direction's parameters
# suffix of a tensor from which a module computes a weight before each call: what makes the weight a parameter again
REMOVERS = {
    "_g": "torch.nn.utils.remove_weight_norm",
    "_u": "torch.nn.utils.remove_spectral_norm",
    "_mask": "torch.nn.utils.prune.remove",
}


@torch.no_grad()
def from_torch(module: TorchLayers, fused: bool = True) -> Stack:
    """A stack that computes the same as a module of torch.nn, on its device, in its dtype and training mode.

    The weights are copied, and take a gradient where they do in the module. Sequences are [T, B, F], whatever the
    module's batch_first. Where the module has no biases (bias=False) those of the stack are zero and take no gradient,
    so they stay zero in training. No random number is drawn.

    fused: as for `build_stack`. False runs each step by the cell itself, slower: for second derivatives
        (create_graph=True), for torch.func (vmap, jvp, hessian), and for hooks that see every step.
    Raises OptionError for anything but nn.RNN, nn.LSTM and nn.GRU (a subclass too, since it may compute something
    else), and for weights that are computed from others, as weight_norm does.
    """
    check_weights(module)
    if type(module) not in (nn.RNN, nn.LSTM, nn.GRU):
        raise OptionError(
            f"got {type(module).__name__}, expected torch.nn.RNN, LSTM or GRU itself; pass the recurrent part of it"
        )
    stack: list[Layer] = []
    for number in range(module.num_layers):
        width = stack[-1].output_size if stack else module.input_size
        layers = []
        for suffix in SUFFIXES[: 1 + module.bidirectional]:
            cell = _cell_like(module, width)
            for name, parameter in cell.named_parameters():
                if module.bias or not _is_bias(name):
                    _copy(_parameter(module, name, number, suffix), parameter)
                else:
                    parameter.zero_().requires_grad_(False)
            layers.append(build_layer(cell, fused))
        stack.append(Bidirectional(*layers) if module.bidirectional else layers[0])
    return Stack(stack, module.dropout).train(module.training)


@torch.no_grad()
def to_torch(stack: Stack) -> TorchLayers:
    """The inverse of `from_torch`: the module of torch.nn that computes the same as a stack.

    The weights are copied, and take a gradient where they do in the stack; batch_first is off. Where no bias takes a
    gradient and all are zero, bias=False.

    Raises OptionError where torch.nn has no such module: for wrappers and other cells, for a learned initial state, and
    for layers or directions that differ in cell or width; and for weights that are computed from others.
    """
    layers = [_cells(layer) for layer in stack.layers]
    module = _module_like(layers, stack)
    for number, cells in enumerate(layers):
        for cell, suffix in zip(cells, SUFFIXES, strict=False):
            for name, parameter in cell.named_parameters():
                if module.bias or not _is_bias(name):
                    _copy(parameter, _parameter(module, name, number, suffix))
    return module.train(stack.training)


def check_weights(module: nn.Module) -> None:
    """Raise OptionError where a weight of a module, torch's or ours, is computed from other tensors, as by weight_norm.

    Such a weight, copied or shared, would be the result of the latest call rather than what is trained.
    """
    if parametrize.is_parametrized(module):
        names = list(module.parametrizations)  # type: ignore[arg-type]  # a ModuleDict
        call = f"torch.nn.utils.parametrize.remove_parametrizations(module, {names[0]!r})"
    else:
        names = [name for name, part in vars(module).items() if isinstance(part, Tensor) and _is_weight(name)]
        if not names:
            return
        remover = next((call for suffix, call in REMOVERS.items() if hasattr(module, names[0] + suffix)), "")
        call = f"{remover}(module, {names[0]!r})" if remover else f"module.{names[0]} = torch.nn.Parameter(...)"
    kind = parametrize.type_before_parametrizations(module).__name__
    raise OptionError(
        f"got {kind} with {', '.join(names)} computed from other tensors (weight norm, spectral norm, pruning), "
        f"expected parameters; first call {call}{', and so for the others' if len(names) > 1 else ''}"
    )


def _is_weight(name: str) -> bool:
    return name.startswith(("weight", "bias"))


def _is_bias(name: str) -> bool:
    return name.startswith("bias")


def _parameter(module: TorchLayers, name: str, layer: int, suffix: str) -> nn.Parameter:
    """torch.nn's counterpart of a cell's parameter in one layer and direction."""
    parameter: nn.Parameter = getattr(module, f"{name}_l{layer}{suffix}")
    return parameter


def _copy(source: nn.Parameter, target: nn.Parameter) -> None:
    target.copy_(source).requires_grad_(source.requires_grad)


def _cell_like(module: TorchLayers, input_size: int) -> TorchCell:
    """The cell of a module's layer, with uninitialised weights."""
    with torch.device("meta"):  # the cell's own initialisation would draw random numbers
        cell = _cell_of(module, input_size)
    like = next(module.parameters())
    return cell.to(like.dtype).to_empty(device=like.device)


def _cell_of(module: TorchLayers, input_size: int) -> TorchCell:
    """The cell of one layer of a module, for frames of `input_size`."""
    if isinstance(module, nn.GRU):
        return GRUCell(input_size, module.hidden_size)
    if isinstance(module, nn.RNN):
        return (ElmanReLUCell if module.nonlinearity == "relu" else ElmanCell)(input_size, module.hidden_size)
    if module.proj_size:
        return ProjectedLSTMCell(input_size, module.hidden_size, module.proj_size)
    return LSTMCell(input_size, module.hidden_size)


def _cells(layer: nn.Module) -> list[TorchCell]:
    """The cells of a layer's directions. Raises OptionError where torch.nn has no counterpart."""
    directions = [layer.forward_layer, layer.backward_layer] if isinstance(layer, Bidirectional) else [layer]
    cells: list[TorchCell] = []
    for direction in directions:
        part = direction.cell if isinstance(direction, Unrolled | FusedLayer) else direction
        check_weights(part)
        if type(part) not in CELLS_OF_TORCH:
            known = ", ".join(cell.__name__ for cell in CELLS_OF_TORCH)
            raise OptionError(f"torch.nn has no layer of {type(part).__name__}, only of {known}")
        if part.start is not None:
            raise OptionError("got a learned initial state, which no layer of torch.nn has; turn learned_state off")
        cells.append(part)
    return cells


def _module_like(layers: list[list[TorchCell]], stack: Stack) -> TorchLayers:
    """The module of torch.nn for the cells of each layer, with uninitialised weights."""
    kinds = {(len(cells), type(cell), cell.hidden_size, cell.output_size) for cells in layers for cell in cells}
    if len(kinds) > 1:
        found = ", ".join("/".join(f"{type(cell).__name__}({cell.extra_repr()})" for cell in cells) for cells in layers)
        raise OptionError(f"got layers {found}; torch.nn stacks equal cells of equal width, convert them one by one")
    ((directions, kind, hidden_size, output_size),) = kinds
    named = [item for cells in layers for cell in cells for item in cell.named_parameters()]
    options: dict[str, Any] = {
        "num_layers": len(layers),
        "bias": any(_is_bias(name) and (bias.requires_grad or bool(bias.any())) for name, bias in named),
        "dropout": stack.dropout.p if len(layers) > 1 else 0.0,  # torch.nn warns where there is nothing between
        "bidirectional": directions == 2,
    }
    with torch.device("meta"):
        module = _module_of(kind, stack.input_size, hidden_size, output_size, options)
    _, like = named[0]
    return module.to(like.dtype).to_empty(device=like.device)


def _module_of(
    kind: type[TorchCell], input_size: int, hidden_size: int, output_size: int, options: dict[str, Any]
) -> TorchLayers:
    """torch.nn's layers of one kind of cell."""
    if kind is GRUCell:
        return nn.GRU(input_size, hidden_size, **options)
    if kind is LSTMCell:
        return nn.LSTM(input_size, hidden_size, **options)
    if kind is ProjectedLSTMCell:
        if output_size == hidden_size:
            raise OptionError(
                f"got a projection of {hidden_size} values to {output_size}, torch.nn.LSTM needs fewer than "
                f"{hidden_size}; lower the projection size"
            )
        return nn.LSTM(input_size, hidden_size, proj_size=output_size, **options)
    nonlinearity = "relu" if kind is ElmanReLUCell else "tanh"
    return nn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, **options)
