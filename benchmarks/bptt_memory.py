"""Measure the peak memory of each strategy over long sequences, each in a process of its own.

    python benchmarks/bptt_memory.py [--json]

An LSTM of 256 units reads 16 lanes of a memory-mapped store that is made for this in a temporary folder. A peak is that
of the resident set minus the baseline, its size after the imports with the store open. Linux only.

`truncated_100k_vs_1k` is the peak of TruncatedBPTT(128) over T = 100,000 steps / that over 1,000: 1 means that memory
does not depend on T. `checkpointed_vs_full` is the peak of CheckpointedBPTT / that of FullBPTT at T = 10,000.

Peaks include the memory that torch and compiled kernels take at their first use, the same in every case, which makes
ratios closer to 1. The ratios called `..._loaded` are stricter: their baseline is taken after an update on two steps of
one row. Sequences of 1,000 steps are trained on ten times, since the allocator needs about fifty windows to settle.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from seqaudio.batching import Batch, Lanes
from seqaudio.bptt import CheckpointedBPTT, FullBPTT, Strategy, TruncatedBPTT
from seqaudio.models import EventModel, Model
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.store import Store, StoreDescription
from seqaudio.vocabulary import SPECIAL_TOKENS

B, E, H = 16, 32, 256
TOKENS = (*SPECIAL_TOKENS, *"abcdefghijklm")
PIECE = 999  # tokens of a sequence; with its end mark it has 1,000 steps


class Case(NamedTuple):
    strategy: Strategy
    steps: int  # T, of a lane
    batch: int  # steps of a batch
    epochs: int = 1


CASES = {
    "truncated_1k": Case(TruncatedBPTT(128), 1_000, 128, epochs=10),
    "truncated_100k": Case(TruncatedBPTT(128), 100_000, 128),
    "truncated_reach_512_1k": Case(TruncatedBPTT(128, 512), 1_000, 128, epochs=10),
    "full_1k": Case(FullBPTT(), 1_000, 1_000, epochs=10),
    "full_10k": Case(FullBPTT(), 10_000, 10_000),
    "checkpointed_10k": Case(CheckpointedBPTT(), 10_000, 10_000),
}
RATIOS = {
    "truncated_100k_vs_1k": ("truncated_100k", "truncated_1k"),
    "checkpointed_vs_full": ("checkpointed_10k", "full_10k"),
}


@dataclass(frozen=True)
class RandomPiece:
    """Make a row of PIECE random tokens, with the item's id as seed."""

    def __call__(self, item: Item) -> list[Row]:
        ids = np.random.default_rng(int(item.id)).integers(3, len(TOKENS), PIECE)
        return [Row(item.id, ids, duration=float(PIECE))]


def make_store(folder: Path, steps: int) -> None:
    """Make a store whose B lanes have `steps` steps each."""
    empty = folder / "input"
    empty.touch()
    items = [Item(str(n), empty, str(n), split="train") for n in range(B * steps // (PIECE + 1))]
    description = StoreDescription("tokens", {"representation": {"name": "random"}}, vocabulary=TOKENS)
    build_store(folder / f"steps_{steps}", items, RandomPiece(), description)


def measure(case: str, store: Path) -> dict[str, float]:
    """Train; returns {"mebibytes": peak minus baseline, "loaded": the part taken at first use, "seconds": an epoch}."""
    strategy, _, steps, epochs = CASES[case]
    lanes = Lanes(Store(store)["train"], B, steps)
    baseline = status("VmRSS")
    torch.manual_seed(1)
    model = EventModel(len(TOKENS), E, "lstm", H)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    tokens = torch.full((2, 1), 3)
    train(model, optimiser, strategy, [Batch(tokens, torch.tensor([2]), targets=tokens)])
    loaded = status("VmRSS") - baseline
    started = time.perf_counter()
    for epoch in range(epochs):
        train(model, optimiser, strategy, lanes.epoch(epoch))
    seconds = (time.perf_counter() - started) / epochs
    return {"mebibytes": status("VmHWM") - baseline, "loaded": loaded, "seconds": seconds}


def train(model: Model, optimiser: torch.optim.Optimizer, strategy: Strategy, batches: Iterable[Batch]) -> None:
    """Train for one epoch."""
    carried = None
    for number, batch in enumerate(batches):
        for window in strategy.windows(batch, (0, number)):
            optimiser.zero_grad(set_to_none=True)
            _, _, carried = strategy.backward(model, window, carried)
            optimiser.step()


def status(field: str) -> float:
    """Mebibytes of this process: VmRSS is the resident set now, VmHWM its peak so far."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"/proc/self/status has no {field}; this benchmark needs Linux")
    return int(found[1]) / 1024


def main() -> None:
    """Make the stores, measure each case in a fresh process, print."""
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for steps in sorted({case.steps for case in CASES.values()}):
            make_store(Path(folder), steps)
        for name, case in CASES.items():
            command = [sys.executable, __file__, "--case", name, str(Path(folder) / f"steps_{case.steps}")]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            measured[name] = json.loads(done.stdout)
    ratios = {}
    for name, (ours, other) in RATIOS.items():
        a, b = measured[ours], measured[other]
        ratios[name] = a["mebibytes"] / b["mebibytes"]
        ratios[f"{name}_loaded"] = (a["mebibytes"] - a["loaded"]) / (b["mebibytes"] - b["loaded"])
    if "--json" in sys.argv:
        print(json.dumps({"ratios": ratios, "absolute": measured}))
        return
    print(f"B={B} H={H} LSTM, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, values in measured.items():
        print(
            f"  {name:<28} {values['mebibytes']:9.1f} MiB, {values['loaded']:.1f} of them at first use, "
            f"{values['seconds']:.1f} s an epoch"
        )
    for name, value in ratios.items():
        print(f"  {name:<28} {value:9.3f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]))))
    else:
        main()
