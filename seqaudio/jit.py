"""Compile kernels by numba: at the first call, for the types of its arguments, and cached on disk.

Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# sums may be reordered, so that they vectorise; infinities and NaN behave as in IEEE arithmetic
FASTMATH = {"contract", "nsz", "arcp", "reassoc"}
# as above, but sums keep their order
ORDERED = FASTMATH - {"reassoc"}


def compiled(function: Function) -> Function:
    """Compile a kernel for one thread; the matrix products around it use torch's threads.

    The machine code is cached beside the source or, where that folder is not writable, in the user's cache folder
    (NUMBA_CACHE_DIR names another); where neither is writable, each process compiles again. It is compiled again when
    the kernel's own file changes, but not when a file that it imports from does.
    """
    options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True}
    kernel: Any
    try:
        kernel = njit(cache=True, **options)(function)
    except RuntimeError:  # no writable folder for the cache
        kernel = njit(**options)(function)
    return cast(Function, kernel)
