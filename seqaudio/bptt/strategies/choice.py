"""Choose a strategy from command-line options."""

from __future__ import annotations

from typing import Literal

from seqaudio.bptt.strategies.base import Strategy
from seqaudio.bptt.strategies.checkpointed import CheckpointedBPTT
from seqaudio.bptt.strategies.full import FullBPTT
from seqaudio.bptt.strategies.truncated import TruncatedBPTT
from seqaudio.errors import OptionError
from seqaudio.registry import did_you_mean

StrategyName = Literal["full", "truncated", "checkpointed"]

ADVANCE = 128  # steps a window of truncated BPTT where none are given

OPTIONS: dict[str, tuple[str, ...]] = {
    "full": (),
    "truncated": ("advance", "reach", "spread", "carry"),
    "checkpointed": ("segments",),
}


def strategy_from(
    bptt: str,
    *,
    advance: int | None = None,
    reach: int | None = None,
    spread: int | None = None,
    segments: int | None = None,
    carry: bool | None = None,
    seed: int = 0,
) -> Strategy:
    """The strategy called `bptt`. None stands for an option that was not given.

    seed: of random borders; without effect for other strategies.
    Raises OptionError for an unknown name, an option of another strategy, and numbers that do not go together.
    """
    if bptt not in OPTIONS:
        raise OptionError(f"no strategy is called {bptt!r}; {did_you_mean(bptt, list(OPTIONS))}")
    given = {"advance": advance, "reach": reach, "spread": spread, "carry": carry, "segments": segments}
    for option, value in given.items():
        if value is not None and option not in OPTIONS[bptt]:
            owner = next(name for name, options in OPTIONS.items() if option in options)
            raise OptionError(
                f"{_spelled(option, value)} beside --bptt {bptt}, it belongs to --bptt {owner}; leave one of them out"
            )
    if bptt == "full":
        return FullBPTT()
    if bptt == "checkpointed":
        return CheckpointedBPTT(segments)
    return TruncatedBPTT(ADVANCE if advance is None else advance, reach, spread or 0, seed, carry is not False)


def _spelled(option: str, value: int | bool) -> str:
    """An option as written on a command line."""
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}"
