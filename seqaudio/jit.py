"""Kernels compiled by numba: which tensors they take, and how they are compiled and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

# sums may be taken in any order, so that they vectorise; infinities and NaN keep their meaning
FASTMATH = {"contract", "nsz", "arcp", "reassoc"}
# as above, in the order written
ORDERED = FASTMATH - {"reassoc"}


def takes(tensor: Tensor) -> bool:
    """Whether kernels can take a tensor: float32 or float64 on the CPU. Tracing torch cannot see what they do."""
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64) and not traced


def compiled(function: Function) -> Function:
    """Compile a kernel, when first called and for the types it is called with, for one thread: the products around it
    have all of torch's. Imports numba.

    The machine code is kept beside the source or, where that cannot be written, in the user's cache folder
    (NUMBA_CACHE_DIR names another); where neither can, each process compiles for itself. It is made anew when the
    kernel's own file changes, not when a file does that it imports from.
    """
    from numba import njit

    options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True}
    kernel: Any
    try:
        kernel = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in
        kernel = njit(**options)(function)
    return cast(Function, kernel)
