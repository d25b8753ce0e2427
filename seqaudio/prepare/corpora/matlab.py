"""Cell arrays of matrices out of MATLAB files, which four published sets of piano rolls are in; SciPy reads them.

SciPy was not made for damaged or hostile files: a few bytes may declare gigabytes, or cells nested until the process
dies. So it reads in a guarded child (`matlab_child.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from seqaudio.errors import SourceError, how_to_install
from seqaudio.guarded.parent import ChildCrashedError, ChildTimeoutError, the_guard

CHILD = Path(__file__).with_name("matlab_child.py")
MEGABYTES = 1024  # beside what SciPy takes, enforced on Linux; the largest of the sets has 40 million bytes of numbers
SECONDS = 60.0  # the largest of the sets takes half a second

Matrix = np.ndarray[Any, np.dtype[Any]]


def read_cells(path: Path, names: Sequence[str]) -> dict[str, list[Matrix]]:
    """The matrices [rows, columns] of each cell array that is named, in order; a name that is not there is left out.

    Raises:
        SourceError: SciPy is not installed; no such file; SciPy does not read it, or not within 60 seconds and a
            gigabyte; a named variable is no cell array of real matrices.
    """
    if find_spec("scipy") is None:
        raise SourceError(f"{path}: SciPy, which reads MATLAB files, is not installed; run {how_to_install('matlab')}")
    if not path.is_file():
        raise SourceError(f"{path}: no such file; give a .mat file")
    request = {"path": os.fsencode(path.absolute()).hex(), "names": list(names)}
    guard = the_guard(CHILD, MEGABYTES, "the reader of MATLAB files", "numpy, scipy.io")
    try:
        reply, content = guard.ask(json.dumps(request).encode(), SECONDS)
    except (ChildCrashedError, ChildTimeoutError) as error:
        raise SourceError(f"{path}: SciPy cannot read it ({error}); fetch it again") from None
    if "error" in reply:
        raise SourceError(f"{path}: {reply['error']}; fetch it again")
    return _unpacked(reply["cells"], content)


def _unpacked(cells: dict[str, list[tuple[str, list[int]]]], content: bytes) -> dict[str, list[Matrix]]:
    """The matrices of a reply, whose bytes follow each other."""
    found: dict[str, list[Matrix]] = {}
    place = 0
    for name, matrices in cells.items():
        found[name] = []
        for dtype, shape in matrices:
            count = int(np.prod(shape, dtype=np.int64))
            found[name].append(np.frombuffer(content, dtype, count, place).reshape(shape))
            place += count * np.dtype(dtype).itemsize
    return found
