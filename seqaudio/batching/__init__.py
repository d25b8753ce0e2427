"""From a store to tensors: padded batches of whole sequences, and endless lanes for truncated BPTT."""

from seqaudio.batching.batch import Batch, Source
from seqaudio.batching.lanes import Lanes
from seqaudio.batching.padded import Collate, LabelledSequences, PaddedBatches, TokenSequences

__all__ = ["Batch", "Collate", "LabelledSequences", "Lanes", "PaddedBatches", "Source", "TokenSequences"]
