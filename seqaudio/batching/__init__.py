"""From a store, or from a rule, to tensors: padded batches, endless lanes for truncated BPTT, memory tasks."""

from seqaudio.batching.batch import Batch, Source
from seqaudio.batching.lanes import Lanes
from seqaudio.batching.memory_tasks import (
    MEMORY_TASKS,
    AddingProblem,
    CopyProblem,
    GeneratedBatches,
    MemoryTask,
    held_out,
)
from seqaudio.batching.padded import Collate, LabelledSequences, PaddedBatches, TokenSequences

__all__ = [
    "MEMORY_TASKS",
    "AddingProblem",
    "Batch",
    "Collate",
    "CopyProblem",
    "GeneratedBatches",
    "LabelledSequences",
    "Lanes",
    "MemoryTask",
    "PaddedBatches",
    "Source",
    "TokenSequences",
    "held_out",
]
