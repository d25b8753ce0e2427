"""Options that all recipes share; the comment behind each is its help text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from seqaudio.bptt.settings import TrainerSettings
from seqaudio.bptt.strategies import Strategy, StrategyName, strategy_from
from seqaudio.files import is_unicode


@dataclass(frozen=True, kw_only=True)
class BPTTOptions:
    """How far gradients reach back in time; docs/bptt.md helps to choose."""

    GROUP: ClassVar[str] = "BPTT"

    bptt: StrategyName = "full"  # full: whole sequences; checkpointed: the same in less memory; truncated: windows
    advance: int | None = None  # truncated: steps of a window, with one update each; 128 by default
    reach: int | None = None  # truncated: steps the gradient reaches back, a multiple of --advance; by default equal
    spread: int | None = None  # truncated: window borders move at random by up to this many steps; 0 by default
    carry: bool = True  # truncated: carry the state from window to window; --no-carry resets it, for comparison
    segments: int | None = None  # checkpointed: segments of a batch; by default the square root of its steps


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """Run folder, seed, devices, and what to start or resume from."""

    GROUP: ClassVar[str] = "run"

    run: Path  # new folder for config.json, metrics.jsonl, model.safetensors, results.json
    seed: int = 1  # of all random numbers: weights, order of batches, dropout, augmentation
    device: str = "auto"  # such as cpu or cuda; auto is a GPU if there is one
    devices: int = 1  # processes that train together, with a GPU each if there are GPUs
    threads: int = 1  # CPU threads of each process; more may speed up wide nets on an idle machine, not small ones
    start_from: Path | None = None  # run whose weights are the initial ones, where they fit
    config: Path | None = None  # config.json of a run to repeat; other options given override it
    resume: bool = False  # continue an interrupted run
    figure_format: Literal["png", "pdf", "svg"] = "png"  # of the run's pictures, those of evaluate too


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(TrainerSettings, BPTTOptions, SessionOptions):
    """Options of every recipe. A recipe's Config inherits them, sets its own defaults and adds options of its model."""

    # options that --help shows first
    FIRST: ClassVar[tuple[str, ...]] = ("store", "run", "cell", "epochs", "batch_size", "learning_rate")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect("seed", 0 <= self.seed < 2**63, "0 or more, below 2^63")
        self._expect("run", is_unicode(self.run), "a name in UTF-8, for TensorBoard")

    def strategy(self) -> Strategy:
        """The strategy that the options choose. Raises OptionError for options that exclude each other."""
        return strategy_from(
            self.bptt,
            advance=self.advance,
            reach=self.reach,
            spread=self.spread,
            carry=None if self.carry else False,  # True is right for every strategy, False for truncated alone
            segments=self.segments,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """The store to train on."""

    GROUP: ClassVar[str] = "data"

    store: Path  # made by `seqaudio prepare`
    limit: int | None = None  # train on the first N sequences only, for a trial
