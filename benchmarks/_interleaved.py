"""Timing that survives a shared machine: rivals take turns in one process, and ratios are taken turn by turn."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping


def interleave(rivals: Mapping[str, Callable[[], object]], rounds: int = 15) -> dict[str, list[float]]:
    """Seconds of each rival in each round, after one round of warming up."""
    for work in rivals.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, work in rivals.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], ours: str, rival: str) -> float:
    """Median over the rounds of ours / rival's; below 1 we are faster."""
    return statistics.median(a / b for a, b in zip(seconds[ours], seconds[rival], strict=True))


def report(title: str, ratios: dict[str, float], absolute: dict[str, float]) -> None:
    """A table, or with --json one object {"ratios": ..., "absolute": ...} (milliseconds)."""
    if "--json" in sys.argv:
        print(json.dumps({"ratios": ratios, "absolute": absolute}))
        return
    print(title)
    for name, value in absolute.items():
        print(f"  {name:<28} {value:9.2f} ms")
    for name, value in ratios.items():
        print(f"  {name:<28} {value:9.2f}")
