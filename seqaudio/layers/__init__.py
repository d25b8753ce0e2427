"""Layers: cells over whole sequences, as a Python loop or fused kernels, in one direction or two, in stacks.

Every layer is called `(inputs [T, B, F], state=None, lengths=None, resets=None) -> (outputs [T, B, H], state)`.
"""

from seqaudio.layers.base import Layer, flip, mask
from seqaudio.layers.bidirectional import Bidirectional, BidirectionalState
from seqaudio.layers.build import build_layer, build_layers, build_stack
from seqaudio.layers.fused import (
    FUSED,
    FusedElman,
    FusedGRU,
    FusedLayer,
    FusedLayerNormGRU,
    FusedLayerNormLSTM,
    FusedLSTM,
    FusedPeepholeLSTM,
    ScanLayer,
)
from seqaudio.layers.stack import MaskedStack, MaskedState, Stack
from seqaudio.layers.torch_weights import from_torch, to_torch
from seqaudio.layers.unrolled import Unrolled
from seqaudio.layers.weight_dropout import has_recurrent_weights

__all__ = [
    "FUSED",
    "Bidirectional",
    "BidirectionalState",
    "FusedElman",
    "FusedGRU",
    "FusedLSTM",
    "FusedLayer",
    "FusedLayerNormGRU",
    "FusedLayerNormLSTM",
    "FusedPeepholeLSTM",
    "Layer",
    "MaskedStack",
    "MaskedState",
    "ScanLayer",
    "Stack",
    "Unrolled",
    "build_layer",
    "build_layers",
    "build_stack",
    "flip",
    "from_torch",
    "has_recurrent_weights",
    "mask",
    "to_torch",
]
