"""The form in which kernels take a back-off model: a trie of all n-grams, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Trie(NamedTuple):
    """All n-grams as M nodes, order by order from the empty one, which is node 0."""

    first: npt.NDArray[np.int32]  # [M + 1] the nodes first[i] .. first[i + 1] - 1 are the n-grams of context i
    token: npt.NDArray[np.int32]  # [M] the last id of each, ascending within a context
    suffix: npt.NDArray[np.int32]  # [M] its longest known suffix, by one id shorter where that is known
    log_probability: Floats  # [M]
    back_off: Floats  # [M]
    highest: int  # first node of the highest order, which is a context of nothing
