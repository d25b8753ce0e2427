"""Backpropagation through time: strategies, the one Trainer, checkpoints and run folders."""

from seqaudio.bptt.run_folder import RunFolder, run_settings
from seqaudio.bptt.strategies import (
    ADVANCE,
    CheckpointedBPTT,
    FullBPTT,
    Strategy,
    StrategyName,
    TruncatedBPTT,
    strategy_from,
)
from seqaudio.bptt.trainer import Trainer, TrainerSettings

__all__ = [
    "ADVANCE",
    "CheckpointedBPTT",
    "FullBPTT",
    "RunFolder",
    "Strategy",
    "StrategyName",
    "Trainer",
    "TrainerSettings",
    "TruncatedBPTT",
    "run_settings",
    "strategy_from",
]
