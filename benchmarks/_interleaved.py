"""Timing for shared machines: the compared functions take turns in one process; each turn gives a ratio."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping

UNITS = ("MiB", "files_a_second")


def interleave(
    rivals: Mapping[str, Callable[[], object]], rounds: int = 15, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each function in each round, after a warm-up round, by a clock such as `time.process_time`."""
    for work in rivals.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, work in rivals.items():
            start = clock()
            work()
            seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], ours: str, rival: str) -> float:
    """Median over the rounds of our time / the rival's; below 1 we are faster."""
    return statistics.median(a / b for a, b in zip(seconds[ours], seconds[rival], strict=True))


def report(title: str, ratios: dict[str, float], absolute: dict[str, float]) -> None:
    """Print a table, or with --json one object {"ratios": ..., "absolute": ...}.

    Absolute values are milliseconds, unless the name ends with another of UNITS.
    """
    if "--json" in sys.argv:
        print(json.dumps({"ratios": ratios, "absolute": absolute}))
        return
    print(title)
    for name, value in absolute.items():
        unit = next((unit for unit in UNITS if name.endswith(unit)), "ms")
        print(f"  {name:<28} {value:9,.2f} {unit.replace('_', ' ')}")
    for name, value in ratios.items():
        print(f"  {name:<28} {value:9.2f}")
