"""What a window of a recurrence keeps of its states, on the way forward and on the way back.

Each tuple is filled with tensors; for compiled kernels the same tuple holds NumPy views of them, see `as_arrays`.
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
    """Which rows are real and which start anew; the flags spare the work where none is."""

    lengths: Array  # [B] int64
    resets: Array  # [T + 1, B] bool, row T false
    ragged: bool  # some row is shorter than the window
    anew: bool  # some row starts anew


class StateTape(NamedTuple):
    """One part of the state, [B, H], over a window of T steps."""

    before: Array  # [T + 1, B, H], row t is what step t consumes
    start: Array  # [B, H], what a reset puts in its place
    final: Array  # [B, H], the state after each row's last frame


class StateGradient(NamedTuple):
    """The gradients that travel back along one part of the state."""

    running: Array  # [B, H], to the state between two steps
    start: Array  # [B, H], to what resets have put there
    final: Array  # [B, H], that came in from outside


def room(*size: int, like: Tensor) -> Tensor:
    """Uninitialised memory for a whole window, in the type and on the device of `like`.

    NumPy asks the system for large pages, which torch does not: the first touch of 26 MB takes 4 ms rather than 10.
    """
    if like.device.type == "cpu" and like.dtype in ARRAY_TYPES:
        return torch.from_numpy(np.empty(size, ARRAY_TYPES[like.dtype]))
    return like.new_empty(size)


def gradient_room(saved: Tensor) -> Tensor:
    """Memory for a gradient in the shape of what a forward saved: its own where nobody asks for that again.

    It lies in the cache yet, and fresh memory costs more than the arithmetic. With retain_graph=True, and where torch
    does not tell, it is fresh.
    """
    keeps_graph = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)  # no public call tells
    return room(*saved.shape, like=saved) if keeps_graph is None or keeps_graph() else saved


def window(lengths: Tensor | None, resets: Tensor | None, like: Tensor) -> Window:
    """The window of sequences [T, B, ...] beside `like`. None: no row is shorter, none starts anew."""
    T, B = like.shape[:2]
    marks = torch.zeros(T + 1, B, dtype=torch.bool, device=like.device)
    if resets is not None:
        marks[:T] = resets
    full = torch.full((B,), T, device=like.device)
    return Window(full if lengths is None else lengths.to(like.device), marks, lengths is not None, resets is not None)


def state_tape(initial: Tensor, start: Tensor | None, marks: Window) -> StateTape:
    """Room for a state [B, H] that begins with `initial`; `start` is needed where rows start anew."""
    initial = initial.detach().contiguous()
    start = initial if start is None else start.detach().contiguous()
    before = room(len(marks.resets), *initial.shape, like=initial)
    before[0] = torch.where(marks.resets[0][:, None], start, initial) if marks.anew else initial
    return StateTape(before, start, initial.clone())


def output_room(hidden: StateTape, marks: Window) -> Tensor:
    """[T, B, H] for the outputs: where nothing starts anew, step t + 1 consumes the output of step t itself."""
    before: Tensor = hidden.before[1:]
    return room(*before.shape, like=before) if marks.anew else before


def sums(*size: int, like: Tensor) -> Tensor:
    """Zeros in which the terms of all rows and steps are summed: wide enough for a million of them."""
    wide = torch.float64 if like.device.type == "cpu" else torch.promote_types(like.dtype, torch.float32)
    return torch.zeros(size, dtype=wide, device=like.device)


def state_gradient(final: Tensor) -> StateGradient:
    """Gradients before the last step has been gone back over; `final` [B, H] comes from outside."""
    final = final.contiguous()
    return StateGradient(torch.zeros_like(final), torch.zeros_like(final), final)


def gradients_of_origins(gradient: StateGradient, marks: Window) -> tuple[Tensor, Tensor | None]:
    """Gradients of the initial state and of the start, [B, H] each, once all steps have been gone back over."""
    initial, start = gradient.running, None
    if marks.ragged:
        # a row without frames hands its state through
        initial = torch.where((marks.lengths == 0)[:, None], gradient.final, initial)
    if marks.anew:
        fresh = marks.resets[0][:, None]
        start = gradient.start + torch.where(fresh, initial, 0)
        initial = torch.where(fresh, 0, initial)
    return initial, start


def as_arrays(tape: Tape) -> Tape:
    """The same tuple with NumPy views of its contiguous CPU tensors, for compiled kernels."""

    def view(part: Any) -> Any:
        if isinstance(part, Tensor):
            return part.numpy()
        return as_arrays(part) if isinstance(part, tuple) else part

    return type(tape)(*map(view, tape))
