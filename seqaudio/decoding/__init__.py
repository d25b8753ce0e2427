"""From a trained model to what was asked of it: keywords, text, new notes."""

from seqaudio.decoding.sampling import StepModel, sample

__all__ = ["StepModel", "sample"]
