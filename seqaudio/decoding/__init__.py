"""Decode the outputs of trained models: keywords, text, new notes."""

from seqaudio.decoding.sampling import StepModel, sample, sample_roll

__all__ = ["StepModel", "sample", "sample_roll"]
