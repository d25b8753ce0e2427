"""The choice of what runs where. Made here alone, from measurements; `benchmarks/cells.py` repeats them.

    Elman                      torch's kernel
    LSTM, GRU                  torch's kernel on every device but the CPU (cuDNN on CUDA) and in half precision
    LSTM on the CPU            ours to train small ones, where rows are reset, since torch's would be called for each
                               piece between resets, and in float64, which oneDNN does not support; torch's kernel
                               (oneDNN's) otherwise
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
# up to so many recurrent weights the products of a step run inside the compiled loop, on one thread: where torch has
# two threads at most, and where it has more; beyond, torch's products share the work among threads
INSIDE, INSIDE_OF_MANY_THREADS = 2**20, 2**18
# below so many frames of all rows the copy of the weights into another order costs more than it saves
FEW_FRAMES = 8
# our LSTM trains faster than oneDNN's up to so many recurrent weights and from so many frames of all rows on: 64 rows
# of 128 units take 0.6 of its time, 32 rows of 64 units as long; without gradients ours takes longer
LSTM_WEIGHTS, LSTM_FRAMES = 2**18, 64


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


def inside(weight: Tensor, frames: int) -> bool:
    """Whether the products with recurrent weights, over so many frames of all rows, run inside the compiled loop."""
    most = INSIDE if torch.get_num_threads() <= 2 else INSIDE_OF_MANY_THREADS
    return weight.numel() <= most and frames >= FEW_FRAMES


def torch_serves_lstm(weight: Tensor, inputs: Tensor, resets: Tensor | None) -> bool:
    """Whether torch's own kernel runs an LSTM without peepholes, of recurrent weights, over inputs [T, B, F]."""
    if not compiled_serves(weight):
        return True
    frames = len(inputs) * inputs.shape[1]
    ours_is_faster = torch.is_grad_enabled() and weight.numel() <= LSTM_WEIGHTS and frames >= LSTM_FRAMES
    return weight.dtype == torch.float32 and resets is None and not (ours_is_faster and inside(weight, frames))


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
    return found if inside(weight, frames) else dataclasses.replace(found, sequence=None, sequence_back=None)
