"""Weights in 8 bits: a scale for each output of a product, symmetric around 0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seqaudio.export.graph import Node, Value

LEVELS = 127  # integers on each side of 0
SMALLEST = 512  # weights of a product below which 8 bits save nothing


class Quantised(NamedTuple):
    """A matrix as integers [K, N] int8 times scales [N] float32."""

    values: np.ndarray
    scales: np.ndarray


def is_quantised(node: Node) -> bool:
    """Whether a product is of the net, and not of the front end, and worth 8 bits."""
    weight = node.inputs[1]
    return node.kind == "matmul" and weight.constant is not None and weight.size >= SMALLEST and not weight.exact


def quantised(weight: Value) -> Quantised:
    """The integers nearest to the weights [K, N], and the scale of each column."""
    assert weight.constant is not None
    scales = np.maximum(np.abs(weight.constant).max(axis=0), 1e-30) / LEVELS
    return Quantised(np.rint(weight.constant / scales).astype(np.int8), scales.astype(np.float32))
