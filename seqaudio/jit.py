"""How kernels are compiled by numba: when first called, for the type they are called with, and kept on disk.

Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# sums may be taken in any order, so that they vectorise; infinities and NaN keep their meaning
FASTMATH = {"contract", "nsz", "arcp", "reassoc"}
# as above, in the order written
ORDERED = FASTMATH - {"reassoc"}


def compiled(function: Function) -> Function:
    """Compile a kernel for one thread: the products around it have all of torch's.

    The machine code is kept beside the source or, where that cannot be written, in the user's cache folder
    (NUMBA_CACHE_DIR names another); where neither can, each process compiles for itself. It is made anew when the
    kernel's own file changes, not when a file does that it imports from.
    """
    options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True}
    kernel: Any
    try:
        kernel = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in
        kernel = njit(**options)(function)
    return cast(Function, kernel)
