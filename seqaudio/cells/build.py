"""Build a cell from text such as `lstm+zoneout=0.1,0.5`, initialised by text such as `orthogonal+chrono=784`.

CELL            = NAME { "+" WRAPPER }        the innermost wrapper first
WRAPPER         = NAME [ "=" NUMBER { "," NUMBER } ]
INITIALISATION  = WRAPPER { "+" WRAPPER }     applied in this order, names of INITIALISATIONS
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
    """The cell that a specification names, inside its wrappers, with initialised weights.

    spec: such as "lstm", "lstm+zoneout=0.1,0.5" or "gru+weight_drop=0.3+residual".
    input_size: F of the whole, columns that a wrapper reads included. hidden_size: H of the innermost cell.
    initialisation: such as "chrono=784" or "orthogonal+forget_bias=1"; None or "" keeps the cell's default.
    Raises OptionError for unknown names (suggesting the nearest), for a wrong count of numbers or a number out of
    range, and where a wrapper or an initialisation does not suit the cell.
    """
    (name, numbers), *calls = _parse(spec)
    if numbers:
        raise OptionError(
            f"got numbers after the cell in {spec!r}, expected them after a wrapper; sizes are options of their own"
        )
    wrappers = [(WRAPPERS[call.name], call) for call in calls]
    extra = sum(wrapper.extra_inputs for wrapper, _ in wrappers)
    if input_size <= extra:
        raise OptionError(
            f"wrappers of {spec} use up {extra} columns of each frame, got frames of {input_size}; widen the frames"
        )
    cell = CELLS[name](input_size - extra, hidden_size)
    for wrapper, call in wrappers:
        cell = _apply(wrapper, cell, call)
    if initialisation:
        initialise(cell, initialisation)
    return cell


def initialise(cell: Cell[Any], initialisation: str) -> None:
    """Initialise the weights of a cell as a specification says, such as "orthogonal+chrono=784"."""
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
    """Call function(cell, *numbers) after checking the count of numbers against its signature."""
    _, *parameters = inspect.signature(function).parameters.values()
    required = sum(parameter.default is inspect.Parameter.empty for parameter in parameters)
    if not required <= len(call.numbers) <= len(parameters):
        counts = f"{required} to {len(parameters)}" if required < len(parameters) else f"{required}"
        names = ",".join(parameter.name.upper() for parameter in parameters)
        form = f"{call.name}={names}" if parameters else call.name
        raise OptionError(f"{call.name} got {len(call.numbers)} numbers, expected {counts}; write {form}")
    return function(cell, *call.numbers)
