"""States and their gradients over a window of a recurrence, and memory for them.

Each tuple holds tensors; for compiled kernels the same tuple holds NumPy views of them, see `as_arrays`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

ARRAY_TYPES = {torch.float32: np.float32, torch.float64: np.float64}

Array: TypeAlias = Any  # a tensor, or the NumPy view of its memory
Tape = TypeVar("Tape", bound=tuple[Any, ...])


class Window(NamedTuple):
    """Lengths and resets of a window's rows; the flags skip work where all rows are full or none is reset."""

    lengths: Array  # [B] int64
    resets: Array  # [T + 1, B] bool, row T false
    ragged: bool  # some row is shorter than the window
    has_resets: bool  # some row is reset


class StateTape(NamedTuple):
    """One part of the state, [B, H], over a window of T steps."""

    before: Array  # [T + 1, B, H], row t is the input of step t
    start: Array  # [B, H], the initial state, to which rows are reset
    final: Array  # [B, H], the state after each row's last frame


class StateGradient(NamedTuple):
    """The gradients of one part of the state in the backward pass."""

    grad_carry: Array  # [B, H], of the state between two steps
    start: Array  # [B, H], of the state to which rows are reset, summed over resets
    final: Array  # [B, H], of the state after each row's last frame, given


class InputTape(NamedTuple):
    """A projection as compiled loops read it."""

    frames: Array
    strips: Array  # W transposed, in strips
    bias: Array


class InputGradients(NamedTuple):
    """What compiled loops read and write on the way back through a projection."""

    frames: Array
    strips: Array  # W, in strips
    d_frames: Array  # [T, B, F], or [0, B, F] where nobody asks
    d_weight: Array  # [M, F]
    d_bias: Array  # [G]


def allocate(*size: int, like: Tensor) -> Tensor:
    """Uninitialised memory for a whole window, in the dtype and on the device of `like`.

    NumPy asks the system for large pages, which torch does not: the first access to 26 MB takes 4 ms rather than 10.
    """
    if like.device.type == "cpu" and like.dtype in ARRAY_TYPES:
        return torch.from_numpy(np.empty(size, ARRAY_TYPES[like.dtype]))
    return like.new_empty(size)


def allocate_gradient(saved: Tensor) -> Tensor:
    """Memory for a gradient in the shape of a saved tensor: that tensor's own memory where it is not needed again.

    It is still in the cache, and fresh memory costs more than the arithmetic. The memory is fresh with
    retain_graph=True, and where torch does not tell whether the graph is retained.
    """
    keeps_graph = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)  # there is no public call
    return allocate(*saved.shape, like=saved) if keeps_graph is None or keeps_graph() else saved


def make_window(lengths: Tensor | None, resets: Tensor | None, like: Tensor) -> Window:
    """The window of sequences [T, B, ...] on the device of `like`. lengths None: all full; resets None: no resets."""
    T, B = like.shape[:2]
    reset_rows = torch.zeros(T + 1, B, dtype=torch.bool, device=like.device)
    if resets is not None:
        reset_rows[:T] = resets
    full = torch.full((B,), T, device=like.device)
    return Window(
        full if lengths is None else lengths.to(like.device), reset_rows, lengths is not None, resets is not None
    )


def state_tape(initial: Tensor, start: Tensor | None, window: Window) -> StateTape:
    """Memory for a state [B, H] over a window, beginning with `initial`; `start` is needed where rows are reset."""
    initial = initial.detach().contiguous()
    start = initial if start is None else start.detach().contiguous()
    before = allocate(len(window.resets), *initial.shape, like=initial)
    before[0] = torch.where(window.resets[0][:, None], start, initial) if window.has_resets else initial
    return StateTape(before, start, initial.clone())


def allocate_outputs(hidden: StateTape, window: Window) -> Tensor:
    """Memory [T, B, H] for the outputs; without resets it is that of the states, since step t + 1 reads output t."""
    before: Tensor = hidden.before[1:]
    return allocate(*before.shape, like=before) if window.has_resets else before


def sums(*size: int, like: Tensor) -> Tensor:
    """Zeros to sum over all rows and steps, in a dtype precise enough for a million terms."""
    wide = torch.float64 if like.device.type == "cpu" else torch.promote_types(like.dtype, torch.float32)
    return torch.zeros(size, dtype=wide, device=like.device)


def state_gradient(final: Tensor) -> StateGradient:
    """Gradients at the beginning of the backward pass; `final` [B, H] is the gradient of the final state."""
    final = final.contiguous()
    return StateGradient(torch.zeros_like(final), torch.zeros_like(final), final)


def initial_gradients(gradient: StateGradient, window: Window) -> tuple[Tensor, Tensor | None]:
    """Gradients of the state before the first step and of `start`, [B, H] each, at the end of the backward pass."""
    initial, start = gradient.grad_carry, None
    if window.ragged:
        # a row without frames passes its state through
        initial = torch.where((window.lengths == 0)[:, None], gradient.final, initial)
    if window.has_resets:
        reset = window.resets[0][:, None]
        start = gradient.start + torch.where(reset, initial, 0)
        initial = torch.where(reset, 0, initial)
    return initial, start


def as_arrays(tape: Tape) -> Tape:
    """The same tuple with NumPy views of its contiguous CPU tensors, for compiled kernels."""

    def view(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part.numpy()
        return as_arrays(part) if isinstance(part, tuple) else part

    return type(tape)(*map(view, tape))
