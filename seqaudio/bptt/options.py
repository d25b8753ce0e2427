"""The options that all recipes share: each is typed, defaulted and explained here, once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from seqaudio.bptt.settings import TrainerSettings
from seqaudio.bptt.strategies import Strategy, StrategyName, strategy_from


@dataclass(frozen=True, kw_only=True)
class BPTTOptions:
    """How far gradients reach back through time; docs/bptt.md says which way to take."""

    GROUP: ClassVar[str] = "BPTT"

    bptt: StrategyName = "full"  # full unrolls whole sequences, checkpointed in less memory; truncated takes windows
    advance: int | None = None  # of truncated: steps a window, 128 where none are given
    reach: int | None = None  # of truncated: steps that the gradient reaches back, a multiple of advance
    spread: int | None = None  # of truncated: steps by which a window's border is moved at random, at most
    carry: bool = True  # of truncated: the state goes on from window to window; --no-carry zeroes it, for comparison
    segments: int | None = None  # of checkpointed: parts of a batch; the root of its steps where none are given


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """Where a training goes, on what it runs, and what it goes on from."""

    GROUP: ClassVar[str] = "run"

    run: Path  # new folder for config.json, metrics.jsonl, model.safetensors, results.json
    seed: int = 1  # of all that is drawn
    device: str = "auto"  # such as cpu or cuda; auto is a GPU where there is one
    devices: int = 1  # processes that train together, a GPU each where there are GPUs
    threads: int = 1  # of the CPU in each process; wide nets on an idle machine gain from more, small ones lose
    start_from: Path | None = None  # a run whose weights this one begins with, where they fit
    config: Path | None = None  # config.json of a run to repeat; options given beside it win
    resume: bool = False  # go on with an interrupted run


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(TrainerSettings, BPTTOptions, SessionOptions):
    """Options of every recipe. A recipe's Config inherits them, gives its own defaults and adds those of its model."""

    # what a help text begins with
    FIRST: ClassVar[tuple[str, ...]] = ("store", "run", "cell", "epochs", "batch_size", "learning_rate")

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


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """What a training is given to learn from."""

    GROUP: ClassVar[str] = "data"

    store: Path  # made by a script of data_prep/
    limit: int | None = None  # train on the first N sequences only, for a trial
