"""Batches of a store's rows or of generated sequences: padded batches, lanes for truncated BPTT, memory tasks."""

from seqaudio.batching.batch import Batch, Source
from seqaudio.batching.clips import Clips, LabelledRecordings, labelled_clips
from seqaudio.batching.conditions import DROPPED, SequenceConditions
from seqaudio.batching.filling import BarMarks, FilledBatches, FilledRows
from seqaudio.batching.lanes import Lanes
from seqaudio.batching.memory_tasks import (
    MEMORY_TASKS,
    AddingProblem,
    CopyProblem,
    GeneratedBatches,
    MemoryTask,
    held_out,
)
from seqaudio.batching.padded import Augmenter, Collate, LabelledSequences, PaddedBatches, TokenRows, TokenSequences
from seqaudio.batching.rolls import RollSequences, Transposition
from seqaudio.batching.series import Series, SeriesChannels, channels_of, scaling_of, series_of, statistics_of
from seqaudio.batching.series_whole import SeriesLanes, WholeSeries
from seqaudio.batching.series_windows import SeriesWindows

__all__ = [
    "DROPPED",
    "MEMORY_TASKS",
    "AddingProblem",
    "Augmenter",
    "BarMarks",
    "Batch",
    "Clips",
    "Collate",
    "CopyProblem",
    "FilledBatches",
    "FilledRows",
    "GeneratedBatches",
    "LabelledRecordings",
    "LabelledSequences",
    "Lanes",
    "MemoryTask",
    "PaddedBatches",
    "RollSequences",
    "SequenceConditions",
    "Series",
    "SeriesChannels",
    "SeriesLanes",
    "SeriesWindows",
    "Source",
    "TokenRows",
    "TokenSequences",
    "Transposition",
    "WholeSeries",
    "channels_of",
    "held_out",
    "labelled_clips",
    "scaling_of",
    "series_of",
    "statistics_of",
]
