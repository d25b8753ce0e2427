"""Time an epoch of a recipe, training and validation, against older code; both stay alive and take turns by epochs.

    python benchmarks/epoch.py --speech FSDD --music NOTTINGHAM [--before FOLDER] [--rounds N] [--limit N] [--json]

FSDD and NOTTINGHAM are the folders of those corpora, which are prepared once, into a temporary folder. FOLDER is a
clone or a worktree of older code: a process for each side runs `train.py` of its own folder as a user would, with the
same options, and stops before each epoch until it is its turn. The first epoch is left out. Ratios are medians over the
rounds of the time of this code / that of FOLDER: below 1 this code is faster.

    keyword_epoch, music_epoch              by the clock
    keyword_processor, music_processor      the same in processor time, which other programs disturb less; work that
                                            moves to a thread beside the training counts here all the same

Losses of training and validation of both sides are printed, and the largest relative difference between them. A table
says where the time of an epoch goes, in processor time of the thread that trains, in milliseconds a batch:

    batch          making it, unless another thread does
    recurrence     the recurrent stack alone, forward and backward
    model          the rest of the model and the loss, forward; `model back`: backward
    update         clipping, the step of the optimiser, the average of the weights
    validation     all of it, divided by the batches of the epoch; so `checkpoint`
    rest           progress, clocks, what is left
    other threads  processor time of the process in other threads
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
# recipe, preparation with its options, options of the training, rounds
RECIPES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], int]] = {
    "keyword": ("keyword_recognition", ("fsdd.py", "--features", "spotting"), ("--cell", "gru"), 7),
    "music": ("music_generation", ("midi_folder.py",), ("--cell", "lstm"), 3),
}
PARTS = (
    "batch", "recurrence", "recurrence back", "model", "model back", "update", "validation", "checkpoint", "rest",
    "other threads",
)  # fmt: skip

parser = argparse.ArgumentParser(description="Time an epoch of the keyword and the music recipe against older code")
parser.add_argument("--speech", type=Path, help="folder of the Free Spoken Digit Dataset")
parser.add_argument("--music", type=Path, help="folder of the Nottingham tunes")
parser.add_argument("--before", type=Path, help="clone or worktree of older code")
parser.add_argument("--rounds", type=int, help="epochs that are timed (default 7 of keywords, 3 of music)")
parser.add_argument("--limit", type=int, help="train on the first so many rows alone, for a trial")
parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
parser.add_argument("--turns", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)  # FOLDER RECIPE OPTIONS: one side


def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    from _interleaved import report

    sides = {"now": HERE} | ({"before": options.before.resolve()} if options.before else {})
    ratios: dict[str, float] = {}
    absolute: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, source in (("keyword", options.speech), ("music", options.music)):
            if source is None:
                continue
            recipe, (script, *prepared), training, rounds = RECIPES[name]
            store = Path(folder) / name
            command = [sys.executable, str(HERE / "data_prep" / script), "--source", str(source), "--out", str(store)]
            subprocess.run([*command, *prepared], check=True, env=environment(HERE, 1), stdout=subprocess.DEVNULL)
            rounds = options.rounds or rounds
            more = ["--store", str(store), "--epochs", str(rounds + 1), *training]
            more += ["--limit", str(options.limit)] if options.limit else []
            turns = [
                Side(side, path, recipe, [*more, "--run", str(Path(folder) / f"{name}_{side}")], options.threads)
                for side, path in sides.items()
            ]
            epochs = taking_turns(turns, rounds + 1)
            if not options.json:
                print_parts(name, epochs)
            for side, found in epochs.items():
                absolute[f"{name}_epoch_{side}"] = 1000 * statistics.median(epoch["seconds"] for epoch in found)
                absolute[f"{name}_processor_{side}"] = 1000 * statistics.median(epoch["processor"] for epoch in found)
            if "before" in epochs:
                pairs = list(zip(epochs["now"], epochs["before"], strict=True))
                for ratio, key in ((f"{name}_epoch", "seconds"), (f"{name}_processor", "processor")):
                    ratios[ratio] = statistics.median(now[key] / then[key] for now, then in pairs)
                difference = max(
                    abs(a - b) / abs(b)
                    for now, then in pairs
                    for a, b in zip(now["losses"].values(), then["losses"].values(), strict=True)
                )
                if not options.json:
                    print(f"  largest relative difference of a loss {difference:.2g}")
                ratios[f"{name}_loss_difference"] = difference
    report(f"an epoch, {options.threads} threads of torch", ratios, absolute)


class Side:
    """The process of one side, which trains an epoch at a time."""

    def __init__(self, name: str, folder: Path, recipe: str, training: list[str], threads: int) -> None:
        self.name = name
        command = [sys.executable, __file__, "--turns", str(folder), recipe, *training]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(folder, threads)
        )

    def epoch(self) -> dict[str, Any]:
        """Train an epoch; its times and losses."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise SystemExit(f"{self.name} ended with status {self._process.wait()}")

    def end(self) -> None:
        """Leave out what follows the last epoch."""
        self._process.kill()
        self._process.wait()


def environment(folder: Path, threads: int) -> dict[str, str]:
    """The environment of a process that imports the package of a folder."""
    numbers = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return os.environ | {"PYTHONPATH": str(folder)} | numbers


def taking_turns(sides: list[Side], epochs: int) -> dict[str, list[dict[str, Any]]]:
    """Timings and losses of each side by epoch, without the first, which warms up."""
    found: dict[str, list[dict[str, Any]]] = {side.name: [] for side in sides}
    for number in range(epochs):
        for side in sides if number % 2 else reversed(sides):
            found[side.name].append(side.epoch())
    for side in sides:
        side.end()
    return {name: measured[1:] for name, measured in found.items()}


def print_parts(name: str, epochs: dict[str, list[dict[str, Any]]]) -> None:
    """The table of parts, and the losses of the last epoch."""
    print(f"{name}, milliseconds a batch" + "".join(f"{side:>12}" for side in epochs))
    for part in PARTS:
        values = [1000 * statistics.median(epoch["parts"][part] for epoch in found) for found in epochs.values()]
        print(f"  {part:<20}" + "".join(f"{value:12.2f}" for value in values))
    for number in range(len(next(iter(epochs.values())))):
        losses = {side: found[number]["losses"] for side, found in epochs.items()}
        for metric in next(iter(losses.values())):
            print(f"  epoch {number + 2} {metric:<16}" + "".join(f"{losses[side][metric]:14.9f}" for side in losses))


# --- one side ---


class Clock:
    """Processor time of the thread that trains, by part; parts may lie within each other."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._open: list[list[float]] = []  # of each open part: time of the parts within it
        self._thread = threading.current_thread()

    def begin(self) -> None:
        """Forget everything: an epoch begins."""
        self.parts = dict.fromkeys(PARTS, 0.0)
        self.batches = 0
        self._start = time.perf_counter(), time.process_time(), time.thread_time()

    def seen(self) -> dict[str, Any]:
        """Timings of the epoch so far."""
        seconds, processor, thread = (
            now() - start
            for now, start in zip((time.perf_counter, time.process_time, time.thread_time), self._start, strict=True)
        )
        parts = self.parts | {"rest": thread - sum(self.parts.values()), "other threads": processor - thread}
        parts = {part: value / self.batches for part, value in parts.items()}
        return {"seconds": seconds, "processor": processor, "parts": parts}

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time without that of parts within it counts for a part."""

        def call(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is not self._thread:
                return function(*given, **named)
            inside = [0.0]
            self._open.append(inside)
            start = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                taken = time.thread_time() - start
                self._open.pop()
                if self._open:
                    self._open[-1][0] += taken
                if self.parts:
                    self.parts[part] += taken - inside[0]

        return call


class Counted:
    """A source whose batches are timed and counted."""

    def __init__(self, source: Any, clock: Clock) -> None:
        self._source, self._clock = source, clock
        self.continues = source.continues

    def __len__(self) -> int:
        return len(self._source)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        batches = iter(self._source.epoch(epoch, start))
        following = self._clock.timed("batch", lambda: next(batches, None))
        while (batch := following()) is not None:
            self._clock.batches += 1
            yield batch


def one_side(folder: Path, recipe: str, training: list[str]) -> None:
    """Run a recipe of a folder, an epoch for each line of stdin; print a line of JSON after each."""
    import torch

    from seqaudio.bptt import trainer
    from seqaudio.layers.kernels import loop

    clock = Clock()
    begun = trainer.Trainer.__init__
    arguments = ["--quiet", *training]

    def begin(self: Any, model: Any, *given: Any, **named: Any) -> None:
        begun(self, model, *given, **named)
        self.source = Counted(self.source, clock)
        self.updater.update = clock.timed("update", self.updater.update)
        model.loss = clock.timed("model", model.loss)
        model.layers.forward = clock.timed("recurrence", model.layers.forward)
        self._validated = of_all("validation", self._validated, model)
        save, bar = clock.timed("checkpoint", self._save), self._bar

        def in_turn() -> Any:  # called where an epoch begins
            sys.stdin.readline()
            clock.begin()
            return bar()

        def saved() -> None:
            save()
            if self.at.batch == 0:  # behind an epoch
                last = json.loads((self.run.path / "metrics.jsonl").read_text().splitlines()[-1])
                losses = {"train loss": last["train_loss"]}
                losses |= {name: value for name, value in last["valid"].items() if name.startswith("nats")}
                print(json.dumps(clock.seen() | {"losses": losses}), flush=True)

        self._save, self._bar = saved, in_turn

    def of_all(part: str, function: Callable[[], Any], model: Any) -> Callable[[], Any]:
        """The function as one part, without those within it."""

        def call() -> Any:
            before = dict(clock.parts)
            start = time.thread_time()
            result = function()
            clock.parts = before | {part: before[part] + time.thread_time() - start}
            return result

        return call

    trainer.Trainer.__init__ = begin  # type: ignore[method-assign]
    setattr(torch.Tensor, "backward", clock.timed("model back", torch.Tensor.backward))  # noqa: B010
    for function in loop.FirstDerivatives.__subclasses__():
        if function.__module__.startswith("seqaudio.layers.kernels"):
            function.backward = staticmethod(clock.timed("recurrence back", function.backward))
    script = folder / "recipes" / recipe / "train.py"
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    given = parser.parse_args()
    if given.turns:
        one_side(Path(given.turns[0]), given.turns[1], given.turns[2:])
    else:
        main(given)
