"""From names and numbers to a stack of layers."""

from __future__ import annotations

from typing import Any

from seqaudio.cells import CELLS, Cell
from seqaudio.layers.base import Layer
from seqaudio.layers.bidirectional import Bidirectional
from seqaudio.layers.fused import FUSED
from seqaudio.layers.stack import Stack
from seqaudio.layers.unrolled import Unrolled


def build_layer(cell: Cell[Any], fused: bool = True) -> Layer:
    """The fused layer of a cell where there is one and it is wanted, `Unrolled` otherwise."""
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
) -> Stack:
    """A stack of equal layers, the same parameters and names whether fused or not.

    cell_name: a name in `seqaudio.cells.CELLS`; an unknown one raises OptionError with the nearest.
    input_size: F. hidden_size: H of one direction; outputs have H, or 2 H where bidirectional.
    layers: at least one. dropout: between layers, while training.
    """
    cell_type = CELLS[cell_name]
    stack: list[Layer] = []
    for _ in range(layers):
        width = stack[-1].output_size if stack else input_size
        layer = build_layer(cell_type(width, hidden_size), fused)
        if bidirectional:
            layer = Bidirectional(layer, build_layer(cell_type(width, hidden_size), fused))
        stack.append(layer)
    return Stack(stack, dropout)
