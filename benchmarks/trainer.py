"""Time the Trainer against a plain torch loop on the same model and lanes; they take turns in one process.

    python benchmarks/trainer.py [--json]

An LSTM of 256 units with an embedding of 32 reads 16 lanes from a memory-mapped store in windows of 128 steps. After
each batch of `Trainer.fit`, the loop makes an update with the same batch on a copy of the model. An update of the
Trainer is timed from when it gets a batch until it asks for the next, so all its work on a batch counts, with its
clocks and checks. Work at the end of an epoch (validation, checkpoint, log) is left out. `trainer_vs_loop` is the
median over all updates of the Trainer's time / the loop's: 1 is equal.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from _interleaved import ratio, report
from bptt_memory import TOKENS, make_store

from seqaudio import progress
from seqaudio.batching import Batch, Lanes
from seqaudio.bptt import Trainer, TrainerSettings, TruncatedBPTT
from seqaudio.models import EventModel
from seqaudio.run_folder import RunFolder
from seqaudio.state import State, detach
from seqaudio.store import Store

LANES, WINDOW, STEPS, WARM_UP = 16, 128, 20_000, 6
ARGUMENTS = {"vocabulary_size": len(TOKENS), "embedding_size": 32, "cell": "lstm", "hidden_size": 256}


class TakingTurns:
    """The lanes as a source; after each batch the rival makes an update with it, and both are timed."""

    continues = True

    def __init__(self, lanes: Lanes, rival: Callable[[Batch], None]) -> None:
        self.lanes = lanes
        self.rival = rival
        self.seconds: dict[str, list[float]] = {"trainer": [], "loop": []}

    def __len__(self) -> int:
        return len(self.lanes)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for batch in self.lanes.epoch(epoch, start):
            handed_over = time.perf_counter()
            yield batch
            wanted = time.perf_counter()
            self.rival(batch)
            self.seconds["trainer"].append(wanted - handed_over)
            self.seconds["loop"].append(time.perf_counter() - wanted)


def model() -> EventModel:
    torch.manual_seed(1)
    return EventModel(**ARGUMENTS)


def bare_loop() -> Callable[[Batch], None]:
    """A function that makes one update of a model of its own, as one would write it by hand."""
    net = model()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.0)
    state: State | None = None
    loss = 0.0

    def update(batch: Batch) -> None:
        nonlocal state, loss
        optimiser.zero_grad()
        total, count, after = net.loss(batch, state)
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        state = detach(after)
        loss += total.item()

    return update


def measure(store: Store, run: Path) -> dict[str, list[float]]:
    """Seconds of each update of the Trainer and of the loop, after the warm-up."""
    source = TakingTurns(Lanes(store["train"], LANES, WINDOW), bare_loop())
    description = {"name": "events", "arguments": ARGUMENTS}
    folder = RunFolder.create(run, recipe="benchmark", settings={}, model=description, store=store, resume=False)
    settings = TrainerSettings(1, clip_norm=1.0)
    Trainer(model(), TruncatedBPTT(WINDOW), source, lambda: {"none": 0.0}, folder, settings, ("none", "min")).fit()
    return {name: values[WARM_UP:] for name, values in source.seconds.items()}


def main() -> None:
    """Measure and print."""
    progress.quiet = True
    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder), STEPS)
        seconds = measure(Store(Path(folder) / f"steps_{STEPS}"), Path(folder) / "run")
    report(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, an update",
        {"trainer_vs_loop": ratio(seconds, "trainer", "loop")},
        {name: 1000 * statistics.median(values) for name, values in seconds.items()},
    )


if __name__ == "__main__":
    main()
