"""Read cell arrays of MATLAB files in a child process: a path comes in, matrices go out.

request   JSON: path (its bytes in hexadecimal), names of variables
reply     JSON: cells, {name: [[dtype, shape] of each matrix]}, and the matrices' values one after another, row by row;
          or error
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # seqaudio as the process has it that started this one

import numpy as np
from scipy.io import loadmat

from seqaudio.guarded.child import serve


def work(request: bytes) -> tuple[dict[str, Any], bytes]:
    """The reply of the module's docstring."""
    asked = json.loads(request)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # SciPy warns where a variable is damaged, and gives a text in its place
            warnings.simplefilter("ignore", DeprecationWarning)
            variables = loadmat(
                os.fsdecode(bytes.fromhex(asked["path"])), variable_names=asked["names"], appendmat=False
            )
    except Exception as error:  # noqa: BLE001  # damaged files make SciPy raise nearly anything
        words = " ".join(str(error).split())
        return {"error": f"SciPy cannot read it ({type(error).__name__}{words and ': '}{words})"}, b""
    cells: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    values = []
    for name in asked["names"]:
        if name not in variables:
            continue
        array = variables[name]
        if not (isinstance(array, np.ndarray) and array.dtype == object):
            return {"error": f"{name} is no cell array"}, b""
        for place, matrix in enumerate(array.ravel(order="F")):  # MATLAB counts cells by columns
            if not (isinstance(matrix, np.ndarray) and matrix.dtype.kind in "biuf" and matrix.ndim == 2):
                kind = matrix.dtype if isinstance(matrix, np.ndarray) else type(matrix).__name__
                return {"error": f"cell {place} of {name} is {kind}, expected a matrix of real numbers"}, b""
            values.append(matrix.tobytes())
        cells[name] = [(matrix.dtype.str, matrix.shape) for matrix in array.ravel(order="F")]
    return {"cells": cells}, b"".join(values)


if __name__ == "__main__":
    serve(work, int(sys.argv[1]))
