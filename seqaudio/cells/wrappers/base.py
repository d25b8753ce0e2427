"""The base class of wrappers (cells that hold a cell), and access to the innermost cell and its state."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from seqaudio.cells.base import Cell
from seqaudio.errors import OptionError
from seqaudio.registry import Registry
from seqaudio.state import State


class Wrapper(Cell[Any]):
    """A cell that holds a cell, `self.cell`, and passes on whatever it does not change.

    Its state is that of the held cell, or a NamedTuple around it; then the wrapper overrides `unwrap` and `rewrap`.
    `forward` passes on the argument `recurrent` of AffineCell, where it gets one.

    Args:
        cell: any cell, also another wrapper.
    Raises:
        OptionError: the held cell has to be the outermost wrapper.
    """

    extra_inputs: ClassVar[int] = 0  # columns at the end of each frame that the wrapper reads and does not pass on

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__(cell.input_size + self.extra_inputs, cell.output_size)
        if isinstance(cell, Wrapper) and cell.extra_inputs:
            raise OptionError(
                f"got {type(self).__name__} around {type(cell).__name__}, which reads a column of each frame and "
                f"must be the outermost wrapper; name it last"
            )
        self.cell = cell

    def forward(self, inputs: Tensor, state: Any, *recurrent: Tensor) -> tuple[Tensor, Any]:
        result: tuple[Tensor, Any] = self.cell(inputs, state, *recurrent)
        return result

    def zero_state(self, batch_size: int) -> Any:
        return self.cell.zero_state(batch_size)

    def initial_state(self, batch_size: int) -> Any:
        return self.cell.initial_state(batch_size)

    def learn_initial_state(self) -> None:
        self.cell.learn_initial_state()

    def unwrap(self, state: Any) -> Any:
        """The state of the held cell."""
        return state

    def rewrap(self, state: Any, inner: Any) -> Any:
        """`state` with the held cell's state replaced by `inner`."""
        return inner


WRAPPERS: Registry[type[Wrapper]] = Registry("wrapper")


def core_cell(cell: Cell[Any]) -> Cell[Any]:
    """The innermost cell, inside all wrappers."""
    return core_cell(cell.cell) if isinstance(cell, Wrapper) else cell


def core_state(cell: Cell[Any], state: Any) -> Any:
    """The innermost cell's part of a cell's state."""
    return core_state(cell.cell, cell.unwrap(state)) if isinstance(cell, Wrapper) else state


def replace_core_state(cell: Cell[Any], state: Any, core: State) -> Any:
    """A cell's state with the innermost cell's part replaced by `core`."""
    if not isinstance(cell, Wrapper):
        return core
    return cell.rewrap(state, replace_core_state(cell.cell, cell.unwrap(state), core))


def check_probability(wrapper: str, meaning: str, value: float) -> None:
    """Raise OptionError where value is not a probability."""
    if not 0 <= value <= 1:
        raise OptionError(f"{wrapper} got {meaning} {value}, expected a probability in 0 <= p <= 1")


def state_fields(wrapper: str, cell: Cell[Any]) -> tuple[str, ...]:
    """Field names of the innermost cell's state. Raises OptionError where `hidden` is not among them."""
    core = core_cell(cell)
    fields: tuple[str, ...] = getattr(core.zero_state(1), "_fields", ())
    if "hidden" not in fields:
        raise OptionError(
            f"{wrapper} needs a cell whose state has a field 'hidden', got {type(core).__name__} "
            f"with {', '.join(fields) or 'no named fields'}"
        )
    return fields
