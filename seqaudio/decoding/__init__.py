"""From a trained model to what was asked of it: keywords, text, new notes."""

from seqaudio.decoding.sampling import StepModel, sample, sample_roll

__all__ = ["StepModel", "sample", "sample_roll"]
