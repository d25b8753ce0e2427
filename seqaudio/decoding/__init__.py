"""Decode the outputs of trained models: keywords of recordings and streams, text, new notes."""

from seqaudio.decoding.recognition import Recognition, StreamRecognizer
from seqaudio.decoding.sampling import StepModel, Stream, sample, sample_many, sample_roll
from seqaudio.decoding.spotting import Hit, Spotter, Spotting

__all__ = [
    "Hit",
    "Recognition",
    "Spotter",
    "Spotting",
    "StepModel",
    "Stream",
    "StreamRecognizer",
    "sample",
    "sample_many",
    "sample_roll",
]
