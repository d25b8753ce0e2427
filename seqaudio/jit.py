"""Compile kernels by numba at their first call and cache them on disk; tell which tensors they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

# sums may be reordered, so that they vectorise; infinities and NaN behave as in IEEE arithmetic
FASTMATH = {"contract", "nsz", "arcp", "reassoc"}
# as above, but sums keep their order
ORDERED = FASTMATH - {"reassoc"}


def takes(tensor: Tensor) -> bool:
    """Whether kernels can take a tensor: float32 or float64 on the CPU, and not while tracing, which misses them."""
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64) and not traced


def compiled(function: Function) -> Function:
    """Compile a kernel for one thread, at its first call and for the types of its arguments. Imports numba.

    The machine code is cached beside the source or, where that folder is not writable, in the user's cache folder
    (NUMBA_CACHE_DIR names another); where neither is writable, each process compiles again. It is compiled again when
    the kernel's own file changes, but not when a file that it imports from does.
    """
    from numba import njit

    options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True}
    kernel: Any
    try:
        kernel = njit(cache=True, **options)(function)
    except RuntimeError:  # no writable folder for the cache
        kernel = njit(**options)(function)
    return cast(Function, kernel)
