"""BPTT strategies: how far the gradient reaches back. A strategy adds gradients; the Trainer divides, clips and steps.

docs/bptt.md says which to choose, with a picture of each.
"""

from seqaudio.bptt.strategies.base import Strategy
from seqaudio.bptt.strategies.carried import Carried
from seqaudio.bptt.strategies.checkpointed import CheckpointedBPTT
from seqaudio.bptt.strategies.choice import ADVANCE, StrategyName, strategy_from
from seqaudio.bptt.strategies.full import FullBPTT
from seqaudio.bptt.strategies.truncated import TruncatedBPTT

__all__ = [
    "ADVANCE",
    "Carried",
    "CheckpointedBPTT",
    "FullBPTT",
    "Strategy",
    "StrategyName",
    "TruncatedBPTT",
    "strategy_from",
]
