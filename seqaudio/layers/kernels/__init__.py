"""Kernels: recurrences over whole windows, each forward and backward in one call, and the choice of what runs where."""

from seqaudio.layers.kernels.choice import (
    compiled_serves,
    steps,
    stream_serves_gru,
    torch_serves_gru,
    torch_serves_lstm,
)
from seqaudio.layers.kernels.gru import GRURecurrence, gru_stream
from seqaudio.layers.kernels.layer_norm_gru import LayerNormGRURecurrence
from seqaudio.layers.kernels.layer_norm_lstm import LayerNormLSTMRecurrence
from seqaudio.layers.kernels.loop import apply, without_autocast
from seqaudio.layers.kernels.lstm import LSTMRecurrence
from seqaudio.layers.kernels.scan import linear_scan

__all__ = [
    "GRURecurrence",
    "LSTMRecurrence",
    "LayerNormGRURecurrence",
    "LayerNormLSTMRecurrence",
    "apply",
    "compiled_serves",
    "gru_stream",
    "linear_scan",
    "steps",
    "stream_serves_gru",
    "torch_serves_gru",
    "torch_serves_lstm",
    "without_autocast",
]
