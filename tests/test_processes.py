"""Two processes compute what one does."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Command
from made_up import token_store
from seqaudio.batching import Batch, Lanes, PaddedBatches, Source, TokenSequences
from seqaudio.bptt import FullBPTT, Processes, Strategy, Trainer, TrainerSettings, TruncatedBPTT, launch
from seqaudio.bptt.checkpoint import load_checkpoint
from seqaudio.bptt.launching import own_command
from seqaudio.bptt.processes import RowsOf, take_rows
from seqaudio.errors import OptionError
from seqaudio.evaluation.metrics import evaluate
from seqaudio.models import build_model
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tensors import load_tensors

torch.set_num_threads(1)

ARGUMENTS = {"vocabulary_size": 10, "embedding_size": 6, "hidden_size": 8, "layers": 2, "learned_state": True}
CASES: dict[str, dict[str, Any]] = {
    # clipped, with what is run again carried from batch to batch
    "lanes": {"strategy": TruncatedBPTT(8, 16), "clip_norm": 0.05},
    # 41 rows in batches of 8: the last one leaves the second process without rows
    "pieces": {"strategy": FullBPTT(), "clip_norm": 0.0},
    "accumulated": {"strategy": TruncatedBPTT(8), "clip_norm": 0.0, "accumulate": 3, "average": 0.5},
}


def trainer(case: str, store: Store, run: Path, processes: Processes, resume: bool = False) -> Trainer:
    """In float64 with plain gradient descent, whose steps are proportional to the gradient."""
    settings = dict(CASES[case])
    strategy: Strategy = settings.pop("strategy")
    torch.manual_seed(1)
    model = build_model("events", ARGUMENTS).double()
    processes.on_first(
        lambda: RunFolder.create(
            run, recipe="music_generation", settings={}, store=store, resume=resume,
            model={"name": "events", "arguments": ARGUMENTS},
        )
    )  # fmt: skip
    source: Source = (
        Lanes(store["train"], 4, 8, seed=1)
        if isinstance(strategy, TruncatedBPTT)
        else PaddedBatches(TokenSequences(store["train"].head(41)), 8, seed=1)
    )
    valid = PaddedBatches(TokenSequences(store["valid"]), 8)
    training = Trainer(
        model,
        strategy,
        source,
        lambda: evaluate(model, valid),
        RunFolder(run),
        TrainerSettings(3, checkpoint_seconds=0.0, **settings),
        select=("nats_per_event", "min"),
        processes=processes,
    )
    training.updater.optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    return training


class PowerError(Exception):
    """Stands for the power failing in the middle of a training."""


def cut(training: Trainer, batches: int) -> None:
    """Stop a training after so many batches."""
    train_on = training._train_on
    left = iter(range(batches))

    def failing(batch: Batch) -> None:
        if next(left, None) is None:
            raise PowerError
        train_on(batch)

    training._train_on = failing  # type: ignore[method-assign]
    with pytest.raises(PowerError):
        training.fit()


def main(store: Path, out: Path) -> None:
    """What torchrun runs: each case whole, and once in two parts."""
    atexit.register(note_threads, out)  # runs after all that is registered later
    processes = launch(2, "cpu")
    for case in CASES:
        trainer(case, Store(store), out / case, processes).fit()
        cut(trainer(case, Store(store), out / f"{case}-cut", processes), 7)
        trainer(case, Store(store), out / f"{case}-cut", processes, resume=True).fit()


def note_threads(out: Path) -> None:
    """Write the names of this process's threads, at its end."""
    names = (name.read_text() for name in Path("/proc/self/task").glob("*/comm"))
    (out / f"threads.{os.environ['RANK']}").write_text("".join(names))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return token_store(tmp_path_factory.mktemp("store"), count=52)


@pytest.fixture(scope="module")
def two(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all cases as two processes on the CPU trained them."""
    out = tmp_path_factory.mktemp("two")
    done = torchrun(2, "-c", f"from test_processes import *; main(Path({str(store.path)!r}), Path({str(out)!r}))")
    assert done.returncode == 0, done.stderr
    return out


def torchrun(processes: int, *command: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--standalone", "--nproc-per-node", str(processes), "--no-python", sys.executable, *command]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_end_with_the_weights_of_one(two: Path, store: Store, tmp_path: Path, case: str) -> None:
    training = trainer(case, store, tmp_path / case, Processes())
    training.fit()
    weights = load_tensors(two / case / "model.safetensors")
    start = build_model("events", ARGUMENTS).state_dict()
    for name, value in RunFolder(tmp_path / case).weights().items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-10)
        assert not torch.equal(value.float(), start[name])
    for one, other in zip(lines(tmp_path / case), lines(two / case), strict=True):
        assert one["step"] == other["step"]
        assert one["clipped"] == other["clipped"]
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_two_interrupted_processes_go_on_to_the_bit(two: Path, case: str) -> None:
    tensors = [(load_checkpoint(two / name / "resume") or ({}, {}))[0] for name in (case, f"{case}-cut")]
    assert any(name.startswith("rank.1.") for name in tensors[0])
    assert tensors[0].keys() == tensors[1].keys()
    assert all(torch.equal(value, tensors[1][name]) for name, value in tensors[0].items())


def test_the_lanes_of_each_process_are_in_the_checkpoint(two: Path, store: Store) -> None:
    tensors, _ = load_checkpoint(two / "lanes" / "resume") or ({}, {})
    *_, last = Lanes(store["train"], 4, 8, seed=1).epoch(2)
    for rank, prefix in enumerate(("", "rank.1.")):
        assert torch.equal(tensors[f"{prefix}carried.again.0.inputs"], last.inputs[:, rank::2])


@pytest.mark.skipif(sys.platform != "linux", reason="the names of threads are those in /proc")
def test_threads_of_the_group_end_before_the_interpreter(two: Path) -> None:
    for rank in range(2):
        names = (two / f"threads.{rank}").read_text()
        assert "python" in names
        assert "gloo" not in names


def test_rows_are_dealt_out_once_each(store: Store) -> None:
    source = PaddedBatches(TokenSequences(store["train"]), 8, seed=1)
    dealt = (RowsOf(source, rank, 3) for rank in range(3))
    for whole, *parts in zip(source.epoch(1), *(part.epoch(1) for part in dealt), strict=True):
        assert sorted(name for part in parts for name in part.ids) == sorted(whole.ids)
        for rank, part in enumerate(parts):
            assert torch.equal(part.inputs, whole.inputs[:, rank::3])
            assert part.targets is not None
            assert whole.targets is not None
            assert torch.equal(part.targets, whole.targets[:, rank::3])
            assert torch.equal(part.lengths, whole.lengths[rank::3])


def test_labels_have_no_time() -> None:
    batch = Batch(torch.zeros(5, 3, 1), torch.tensor([5, 2, 1]), targets=torch.tensor([4, 5, 6]), ids=("a", "b", "c"))
    part = take_rows(batch, slice(1, None))
    assert part.targets is not None
    assert part.targets.tolist() == [5, 6]
    assert part.ids == ("b", "c")


def test_rows_keep_the_time_of_the_whole_batch() -> None:
    batch = Batch(torch.zeros(5, 3), torch.tensor([5, 2, 1]), resets=torch.zeros(5, 3, dtype=torch.bool))
    part = take_rows(batch, slice(1, None, 2))
    assert (part.steps, part.rows, part.lengths.tolist()) == (5, 1, [2])
    assert part.resets is not None
    assert part.resets.shape == (5, 1)


def test_lanes_that_cannot_be_dealt_out_equally_are_refused(store: Store) -> None:
    with pytest.raises(OptionError, match=r"5 lanes for 2 processes, .* --batch-size 6"):
        next(iter(RowsOf(Lanes(store["train"], 5, 8), 0, 2).epoch(0)))


def test_one_process_needs_no_launch_and_other_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = launch(1, "cpu")
    assert (type(processes), processes.rank, processes.count) == (Processes, 0, 1)
    with pytest.raises(OptionError, match="--devices 0, expected at least 1"):
        launch(0, "cpu")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(OptionError, match="--devices 1, expected 2, the number that torchrun started"):
        launch(1, "cpu")


def test_the_recipe_trains_in_two_processes_that_the_first_starts(
    command: Command, process: Command, store: Store, tmp_path: Path
) -> None:
    recipe = "recipes/music_generation/train.py"
    options = (
        "--store", store.path, "--epochs", "1", "--batch-size", "4", "--advance", "8", "--hidden-size", "6",
        "--dropout", "0", "--device", "cpu",
    )  # fmt: skip
    for run, devices in ((command, "1"), (process, "2")):
        done = run(recipe, *options, "--devices", devices, "--run", tmp_path / devices)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("nats an event over") == 1
    one, two = (RunFolder(tmp_path / devices).weights() for devices in ("1", "2"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-4)
    done = process(recipe, *options, "--devices", "2", "--run", tmp_path / "2")
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert "exists; give --resume" in done.stderr


PEER_ENDS = """
import os, sys
from seqaudio.cli.options import exit_status
second = os.environ.get("RANK") == "1"
if second and {before}:
    sys.exit(3)
from seqaudio.bptt import launch
def action():
    processes = launch(2, "cpu")
    if second:
        os._exit(3)
    processes.agree(True)
sys.exit(exit_status(action))
"""


@pytest.mark.parametrize(("before", "words"), [(True, "process 2 of 2 ended"), (False, "another process of this")])
def test_a_process_that_ends_ends_the_training_in_one_line(before: bool, words: str) -> None:
    code = PEER_ENDS.format(before=before)
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("[W"))
    assert line.startswith("error: ")
    assert words in line


def test_the_other_processes_run_the_same_command(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from seqaudio.bptt.launching import own_command; print(own_command())"
    command = [sys.executable, "-P", "-W", "ignore", "-c", code, "--run", "a run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(command)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(OptionError, match="interactive session"):
        own_command()


def test_threads_are_set_before_the_training_and_refused_below_one() -> None:
    before = torch.get_num_threads()
    try:
        launch(1, "cpu", threads=2)
        assert torch.get_num_threads() == 2
        launch(1, "cpu")
        assert torch.get_num_threads() == 2
        with pytest.raises(OptionError, match="--threads 0, expected at least 1"):
            launch(1, "cpu", threads=0)
    finally:
        torch.set_num_threads(before)
