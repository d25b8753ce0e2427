"""Backpropagation through time: strategies, the one Trainer, checkpoints and run folders."""

from seqaudio.bptt.run_folder import RunFolder, run_settings
from seqaudio.bptt.strategies import FullBPTT, Strategy, TruncatedBPTT
from seqaudio.bptt.trainer import Trainer, TrainerSettings

__all__ = ["FullBPTT", "RunFolder", "Strategy", "Trainer", "TrainerSettings", "TruncatedBPTT", "run_settings"]
