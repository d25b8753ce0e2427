"""Compile kernels by numba at their first call and cache them on disk; tell which tensors they take."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from seqaudio.progress import say

Function = TypeVar("Function", bound=Callable[..., Any])

# sums may be reordered, so that they vectorise; infinities and NaN behave as in IEEE arithmetic
FASTMATH = {"contract", "nsz", "arcp", "reassoc"}
# as above, but sums keep their order
ORDERED = FASTMATH - {"reassoc"}


def takes(tensor: Tensor) -> bool:
    """Whether kernels can take a tensor: float32 or float64 on the CPU, and not while tracing, which misses them.

    A mode that sees torch's operations, as the export's does, is tracing too.
    """
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    traced = traced or torch._C._len_torch_dispatch_stack() > 0
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64) and not traced


class KernelCache:
    """numba's cache of a kernel on disk: where it is damaged, or the disk is full, the kernel is compiled in memory."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled kernel, or None where the cache does not have it or cannot be read."""
        try:
            return self._cache.load_overload(signature, context)
        except Exception as error:  # noqa: BLE001  # pickle and LLVM raise anything on damaged bytes
            _say_once(f"the cache of compiled kernels is damaged ({_short(error)}); they are compiled again")
            self._write(self._cache.flush)  # an empty index
            return None

    def save_overload(self, signature: Any, kernel: Any) -> None:
        """Keep a compiled kernel for later processes, where the disk allows that."""
        self._write(lambda: self._cache.save_overload(signature, kernel))

    def _write(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  # a full disk, or an index damaged meanwhile
            _say_once(
                f"compiled kernels cannot be kept in {self._cache.cache_path} ({_short(error)}); each process compiles "
                f"them again"
            )


@functools.cache
def _say_once(message: str) -> None:
    say(message)


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def compiled(function: Function) -> Function:
    """Compile a kernel for one thread, at its first call and for the types of its arguments. Imports numba.

    The machine code is cached beside the source or, where that folder is not writable, in the user's cache folder
    (NUMBA_CACHE_DIR names another). Where neither is writable, the disk is full or the cache is damaged, each process
    compiles again. A kernel is compiled again when its own file changes, but not when a file that it imports from does.
    """
    return _compiled(function)


def compiled_exactly(function: Function) -> Function:
    """As `compiled`, with every operation rounded on its own and in order, as by NumPy."""
    return _compiled(function, fastmath=False)


def _compiled(function: Function, **more: bool) -> Function:
    from numba import njit

    options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, **more}
    kernel: Any
    try:
        kernel = njit(cache=True, **options)(function)
        kernel._cache = KernelCache(kernel._cache)
    except RuntimeError:  # no writable folder for the cache
        kernel = njit(**options)(function)
    return cast(Function, kernel)
