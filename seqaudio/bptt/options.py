"""The options that all recipes share: each is typed, defaulted and explained here, once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seqaudio.bptt.settings import TrainerSettings
from seqaudio.bptt.strategies import Strategy, StrategyName, strategy_from


@dataclass(frozen=True, kw_only=True)
class Folders:
    """What goes in and what comes out; a help text begins with these."""

    store: Path  # made by a script of data_prep/
    run: Path  # new folder for config.json, metrics.jsonl, model.safetensors, results.json


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(TrainerSettings, Folders):
    """Options of every recipe. A recipe's Config inherits them, gives its own defaults and adds those of its model."""

    bptt: StrategyName = "full"  # how far gradients reach; docs/bptt.md says which to take
    advance: int | None = None  # of truncated: steps a window, 128 where none are given
    reach: int | None = None  # of truncated: steps that the gradient reaches back, a multiple of advance
    spread: int | None = None  # of truncated: steps by which a window's border is moved at random, at most
    carry: bool = True  # of truncated: the state goes on from window to window; --no-carry zeroes it, for comparison
    segments: int | None = None  # of checkpointed: parts of a batch; the root of its steps where none are given
    seed: int = 1
    device: str = "auto"
    devices: int = 1  # processes that train together, a GPU each where there are GPUs
    threads: int = 1  # of the CPU in each process; wide nets on an idle machine gain from more, small ones lose
    limit: int | None = None  # train on the first N sequences only, for a trial
    start_from: Path | None = None  # a run whose weights this one begins with, where they fit
    config: Path | None = None  # config.json of a run to repeat; options given beside it win
    resume: bool = False  # go on with an interrupted run

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("seed", 0 <= self.seed < 2**63, "0 or more, below 2^63")

    def strategy(self) -> Strategy:
        """The strategy that the options name. Raises OptionError where they do not go together."""
        return strategy_from(
            self.bptt,
            advance=self.advance,
            reach=self.reach,
            spread=self.spread,
            carry=None if self.carry else False,  # what all strategies do needs no saying
            segments=self.segments,
            seed=self.seed,
        )
