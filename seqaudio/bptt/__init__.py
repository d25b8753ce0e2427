"""Backpropagation through time: strategies, the Trainer, checkpoints."""

from seqaudio.bptt.options import StoreOptions, TrainingOptions
from seqaudio.bptt.processes import Processes, launch
from seqaudio.bptt.settings import TrainerSettings
from seqaudio.bptt.start_from import initialise_from
from seqaudio.bptt.strategies import (
    ADVANCE,
    CheckpointedBPTT,
    FullBPTT,
    Strategy,
    StrategyName,
    TruncatedBPTT,
    strategy_from,
)
from seqaudio.bptt.trainer import Trainer
from seqaudio.bptt.training import Trained, train
from seqaudio.interruption import Interrupted

__all__ = [
    "ADVANCE",
    "CheckpointedBPTT",
    "FullBPTT",
    "Interrupted",
    "Processes",
    "StoreOptions",
    "Strategy",
    "StrategyName",
    "Trained",
    "Trainer",
    "TrainerSettings",
    "TrainingOptions",
    "TruncatedBPTT",
    "initialise_from",
    "launch",
    "strategy_from",
    "train",
]
