"""Build layers and stacks from a cell's name, sizes or a budget of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqaudio.cells import Cell, Reset, build_cell
from seqaudio.errors import OptionError
from seqaudio.layers.base import Layer
from seqaudio.layers.bidirectional import Bidirectional
from seqaudio.layers.fused import FUSED
from seqaudio.layers.stack import MaskedStack, Stack
from seqaudio.layers.unrolled import Unrolled

MAX_WIDTH = 2**20  # hidden units; a budget not reached at this width is refused


def build_layer(cell: Cell[Any], fused: bool = True) -> Layer:
    """A cell's fused layer, or `Unrolled` where there is none (as for every wrapper) or `fused` is false."""
    if fused and type(cell) in FUSED:
        return FUSED[type(cell)](cell)
    return Unrolled(cell)


def build_stack(
    cell_name: str,
    input_size: int,
    hidden_size: int,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    fused: bool = True,
    initialisation: str = "",
    learned_state: bool = False,
    weight_dropout: float = 0.0,
    input_dropout: float | None = None,
) -> Stack:
    """A stack of layers of one kind, with the same parameters and names whether fused or not.

    cell_name, input_size, hidden_size, layers, bidirectional, fused, initialisation, learned_state: as `build_layers`
    takes them.
    dropout: between layers, in training mode. weight_dropout: of recurrent weights, as for `Stack`.
    input_dropout: makes a `MaskedStack`, whose dropout has one mask for all steps of a sequence.
    Raises OptionError where a specification is invalid, alone or together with the sizes.
    """
    built = build_layers(
        cell_name, input_size, hidden_size, layers, bidirectional, fused, initialisation, learned_state
    )
    if input_dropout is None:
        return Stack(built, dropout, weight_dropout)
    return MaskedStack(built, dropout, weight_dropout, input_dropout)


def build_layers(
    cell_name: str,
    input_size: int,
    hidden_size: int,
    layers: int = 1,
    bidirectional: bool = False,
    fused: bool = True,
    initialisation: str = "",
    learned_state: bool = False,
) -> list[Layer]:
    """The layers of a stack, from the bottom up.

    cell_name: as `seqaudio.cells.build_cell` reads it: a name in CELLS, with wrappers such as "lstm+zoneout=0.1".
    input_size: F. hidden_size: H of one direction; outputs have H, or 2 H where bidirectional (a projected cell has
    fewer, see `Layer.output_size`).
    layers: at least one.
    initialisation: of every cell, such as "chrono=784". learned_state: initial states are parameters.
    Raises OptionError where a specification is invalid, alone or together with the sizes.
    """

    def layer(width: int) -> Layer:
        cell = build_cell(cell_name, width, hidden_size, initialisation)
        if isinstance(cell, Reset) and (layers > 1 or bidirectional):
            raise OptionError(
                f"{cell_name} reads resets from the frames, got {layers} layers with bidirectional={bidirectional}, "
                f"expected one layer in one direction; pass resets to the layers instead"
            )
        if learned_state:
            cell.learn_initial_state()
        return build_layer(cell, fused)

    stack: list[Layer] = []
    for _ in range(layers):
        width = stack[-1].output_size if stack else input_size
        stack.append(Bidirectional(layer(width), layer(width)) if bidirectional else layer(width))
    return stack


def width_for(count: Callable[[int], int], parameters: int) -> int:
    """The width, 1 or more, at which `count` is nearest to a number of parameters.

    count: maps a width to the model's number of parameters (all its parts included), which grows with the width.
    Raises OptionError where width 1 takes more than twice the budget, or no width reaches it.
    """
    minimum = count(1)
    if minimum > 2 * parameters:
        raise OptionError(f"got a budget of {parameters} parameters, width 1 takes {minimum} already; raise the budget")
    narrow, wide = 1, 2
    while count(wide) < parameters:
        if wide >= MAX_WIDTH:
            raise OptionError(f"got a budget of {parameters} parameters, width {wide} takes {count(wide)}; lower it")
        narrow, wide = wide, 2 * wide
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        narrow, wide = (middle, wide) if count(middle) < parameters else (narrow, middle)
    return min((narrow, wide), key=lambda width: abs(count(width) - parameters))
