"""From text to a cell: `lstm+zoneout=0.1,0.5`, begun as `orthogonal+chrono=784`.

CELL            = NAME { "+" WRAPPER }        innermost first
WRAPPER         = NAME [ "=" NUMBER { "," NUMBER } ]
INITIALISATION  = WRAPPER { "+" WRAPPER }     one after the other, names of INITIALISATIONS
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from seqaudio.cells.base import CELLS, Cell
from seqaudio.cells.initialisation import INITIALISATIONS
from seqaudio.cells.wrappers import WRAPPERS
from seqaudio.errors import OptionError

Result = TypeVar("Result")


def build_cell(spec: str, input_size: int, hidden_size: int, initialisation: str | None = None) -> Cell[Any]:
    """The cell that a specification names, with its wrappers around it and its weights begun.

    spec: such as "lstm", "lstm+zoneout=0.1,0.5" or "gru+weight_drop=0.3+residual".
    input_size: F of the whole, a wrapper's own columns included. hidden_size: H of the innermost cell.
    initialisation: such as "chrono=784" or "orthogonal+forget_bias=1"; None or "" leaves the cell's own.
    Raises OptionError for unknown names (with the nearest), for numbers that do not fit, and where a wrapper or an
    initialisation does not suit the cell.
    """
    (name, numbers), *around = _parse(spec)
    if numbers:
        raise OptionError(f"got numbers for the cell in {spec!r}, expected them behind a wrapper; sizes are options")
    wrappers = [(WRAPPERS[call.name], call) for call in around]
    extra = sum(wrapper.extra_inputs for wrapper, _ in wrappers)
    if input_size <= extra:
        raise OptionError(
            f"{spec} keeps {extra} columns of each frame to itself, got frames of {input_size}; widen them"
        )
    cell = CELLS[name](input_size - extra, hidden_size)
    for wrapper, call in wrappers:
        cell = _apply(wrapper, cell, call)
    if initialisation:
        initialise(cell, initialisation)
    return cell


def initialise(cell: Cell[Any], initialisation: str) -> None:
    """Begin the weights of a cell as a specification says, such as "orthogonal+chrono=784"."""
    for call in _parse(initialisation):
        _apply(INITIALISATIONS[call.name], cell, call)


class _Call(NamedTuple):
    name: str
    numbers: tuple[float, ...]


def _parse(spec: str) -> list[_Call]:
    calls = []
    for part in spec.split("+"):
        name, equals, numbers = part.partition("=")
        calls.append(_Call(name, tuple(_number(text, part) for text in numbers.split(",")) if equals else ()))
    return calls


def _number(text: str, part: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(f"got {text!r} in {part!r}, expected a finite number, as in zoneout=0.1,0.5")
    return number


def _apply(function: Callable[..., Result], cell: Cell[Any], call: _Call) -> Result:
    """function(cell, *numbers), with as many numbers as it takes."""
    _, *takes = inspect.signature(function).parameters.values()
    least = sum(parameter.default is inspect.Parameter.empty for parameter in takes)
    if not least <= len(call.numbers) <= len(takes):
        counts = f"{least} to {len(takes)}" if least < len(takes) else f"{least}"
        names = ",".join(parameter.name.upper() for parameter in takes)
        form = f"{call.name}={names}" if takes else call.name
        raise OptionError(f"{call.name} got {len(call.numbers)} numbers, expected {counts}; write {form}")
    return function(cell, *call.numbers)
