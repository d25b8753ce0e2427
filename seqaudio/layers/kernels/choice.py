"""The choice of what runs where. Made here alone, from measurements; `benchmarks/cells.py` repeats them.

    Elman                      torch's kernel
    LSTM, GRU                  torch's kernel on every device but the CPU (cuDNN on CUDA) and in half precision
    LSTM on the CPU            ours up to SMALL recurrent weights; torch's kernel (oneDNN's) beyond and for a few frames
                               of a stream, but not where rows are reset, since torch's would be called for each piece
                               between resets, nor in float64, which oneDNN does not support
    GRU on the CPU             ours: torch has no fused GRU there; one compiled call for the few frames of a stream
    peephole, layer norm       ours
    minGRU, minLSTM            our scan

Our kernels are compiled by numba for float32 and float64 on the CPU, and made of torch operations otherwise.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib

import torch
from torch import Tensor

from seqaudio import jit
from seqaudio.layers.kernels.loop import Steps
from seqaudio.progress import say

# up to so many frames what surrounds the kernel takes longer than its arithmetic: 4 frames of 200 units take 90 us in
# one call and 280 us otherwise; beyond, torch's product with the inputs is faster
STREAMED_FRAMES, STREAMED_ROWS = 16, 4
# up to so many recurrent weights the products of a step run inside the compiled loop: they stay in the second cache, and
# a call of torch's product at each step costs as much as the product
SMALL = 2**18
# below so many frames of all rows the copy of the weights into another order costs more than it saves
FEW_FRAMES = 32


@functools.cache
def numba_is_there() -> bool:
    """Whether numba can be imported; prints one line where it cannot."""
    try:
        importlib.import_module("numba")
    except ImportError as error:
        say(f"recurrent layers run as torch operations, several times slower: {error}; pip install numba")
        return False
    return True


def compiled_serves(like: Tensor) -> bool:
    """Whether compiled kernels run tensors of this device and type. Tracing cannot record them."""
    return jit.takes(like) and numba_is_there()


def small(weight: Tensor, frames: int) -> bool:
    """Whether a recurrence of these weights [G H, H] over so many frames of all rows has its products inside its loop."""
    return weight.numel() <= SMALL and frames >= FEW_FRAMES


def torch_serves_lstm(weight: Tensor, frames: int, resets: Tensor | None) -> bool:
    """Whether torch's own kernel runs an LSTM without peepholes, of recurrent weights, over so many frames."""
    return not compiled_serves(weight) or (
        weight.dtype == torch.float32 and resets is None and not small(weight, frames)
    )


def torch_serves_gru(like: Tensor) -> bool:
    """Whether torch's own kernel runs a GRU."""
    return not compiled_serves(like)


def stream_serves_gru(like: Tensor, inputs: Tensor, state: Tensor) -> bool:
    """Whether a GRU runs short windows of few rows, without gradients, in one compiled call, as in a stream."""
    frames, rows, _ = inputs.shape
    return (
        rows <= STREAMED_ROWS
        and frames <= STREAMED_FRAMES
        and not torch.is_grad_enabled()
        and inputs.dtype == state.dtype == like.dtype
        and compiled_serves(like)
    )


def steps(name: str, weight: Tensor, frames: int) -> Steps:
    """The steps of `lstm`, `gru`, `layer_norm_lstm` or `layer_norm_gru` for recurrent weights and so many frames."""
    folder = "compiled" if compiled_serves(weight) else "operations"
    found: Steps = importlib.import_module(f"seqaudio.layers.kernels.{folder}.{name}").STEPS
    return found if small(weight, frames) else dataclasses.replace(found, sequence=None, sequence_back=None)


def compiled_serves_products(like: Tensor, weight: Tensor) -> bool:
    """Whether our products run those of a small recurrence with its inputs; torch's use more than two threads well."""
    return weight.numel() <= SMALL and torch.get_num_threads() <= 2 and compiled_serves(like)
