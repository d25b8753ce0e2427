"""The Trainer: what it computes, what it keeps, and that an interruption leaves no trace."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from made_up import frame_store, token_store
from seqaudio.batching import LabelledSequences, Lanes, PaddedBatches, TokenSequences
from seqaudio.bptt import FullBPTT, RunFolder, Trainer, TrainerSettings, TruncatedBPTT
from seqaudio.bptt.checkpoint import load_checkpoint, load_tensors, save_checkpoint
from seqaudio.bptt.trainer import Interrupted
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.metrics import evaluate
from seqaudio.models import EventModel, KeywordModel, build_model
from seqaudio.store import Store

ARGUMENTS = {"vocabulary_size": 10, "embedding_size": 6, "hidden_size": 8, "layers": 2, "dropout": 0.3}


def trainer(
    store: Store, run: Path, *, bptt: str = "truncated", epochs: int = 3, resume: bool = False, **settings: Any
) -> Trainer:
    """A small model of letters; `bptt` tells the strategy and the source."""
    torch.manual_seed(1)
    model = build_model("events", ARGUMENTS)
    folder = RunFolder.create(
        run,
        recipe="music_generation",
        settings={"bptt": bptt, "epochs": epochs},
        model={"name": "events", "arguments": ARGUMENTS},
        store=store,
        resume=resume,
    )
    source = (
        Lanes(store["train"], 4, 8, seed=1)
        if bptt == "truncated"
        else PaddedBatches(TokenSequences(store["train"]), 8, seed=1)
    )
    valid = PaddedBatches(TokenSequences(store["valid"]), 8)
    return Trainer(
        model,
        TruncatedBPTT(8) if bptt == "truncated" else FullBPTT(),
        source,
        lambda: evaluate(model, valid),
        folder,
        TrainerSettings(epochs, learning_rate=1e-2, **settings),
        select=("nats_per_event", "min"),
    )


def untimed(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without the time."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def assert_equal_runs(one: Path, other: Path) -> None:
    """Weights, the last checkpoint and metrics are equal to the bit."""
    assert untimed(one) == untimed(other)
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    last = [sorted((run / "resume").glob("*.safetensors"))[-1] for run in (one, other)]
    assert last[0].name == last[1].name
    assert last[0].read_bytes() == last[1].read_bytes()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return token_store(tmp_path_factory.mktemp("store"), count=100)


@pytest.mark.parametrize("bptt", ["truncated", "full"])
def test_training_learns_and_keeps_the_best_epoch(store: Store, tmp_path: Path, bptt: str) -> None:
    training = trainer(store, tmp_path / "run", bptt=bptt, epochs=6)
    best = training.fit()
    lines = untimed(tmp_path / "run")
    scores = [line["valid"]["nats_per_event"] for line in lines]
    assert len(lines) == 6
    assert best["nats_per_event"] == min(scores) < scores[0]
    model = RunFolder(tmp_path / "run").model()
    again = evaluate(model, PaddedBatches(TokenSequences(store["valid"]), 8))
    assert again["nats_per_event"] == pytest.approx(min(scores), rel=1e-6)


def test_each_event_is_trained_on_once_an_epoch(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=1)
    counts: list[int] = []
    update = training._update
    training._update = lambda total, count: (counts.append(count), update(total, count))[1]  # type: ignore[method-assign]
    training.fit()
    assert sum(counts) == int((store["train"].lengths + 1).sum())


def test_equal_seeds_give_equal_runs(store: Store, tmp_path: Path) -> None:
    for name in ("one", "two"):
        trainer(store, tmp_path / name).fit()
    assert_equal_runs(tmp_path / "one", tmp_path / "two")


class PowerError(Exception):
    """Stands for the power failing in the middle of a training."""


@pytest.mark.parametrize("bptt", ["truncated", "full"])
@pytest.mark.parametrize("moment", [1, 7, 12])
def test_an_interrupted_training_ends_equal_to_an_uninterrupted_one(
    store: Store, tmp_path: Path, bptt: str, moment: int
) -> None:
    trainer(store, tmp_path / "whole", bptt=bptt).fit()
    training = trainer(store, tmp_path / "cut", bptt=bptt, checkpoint_seconds=0.0)
    train_on = training._train_on

    def failing(batch: Any) -> None:
        train_on(batch)
        if training.at.step == moment:
            raise PowerError

    training._train_on = failing  # type: ignore[method-assign]
    with pytest.raises(PowerError):
        training.fit()
    torch.rand(100)  # a new process has another generator state
    trainer(store, tmp_path / "cut", bptt=bptt, resume=True).fit()
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_trainer import trainer
from seqaudio.store import Store
trainer(Store({store!r}), Path({run!r}), bptt={bptt!r}, epochs=4, resume={resume}, checkpoint_seconds=0.0).fit()
"""


@pytest.mark.parametrize("bptt", ["truncated", "full"])
def test_a_killed_training_ends_equal_to_an_uninterrupted_one(store: Store, tmp_path: Path, bptt: str) -> None:
    trainer(store, tmp_path / "whole", bptt=bptt, epochs=4).fit()
    names = {"tests": str(Path(__file__).parent), "store": str(store.path), "run": str(tmp_path / "cut"), "bptt": bptt}
    draw = random.Random(bptt)
    for resume in (False, True):
        script = KILLED.format(**names, resume=resume)
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        resumes = tmp_path / "cut" / "resume"
        before = sorted(path.name for path in resumes.glob("*.json"))
        while sorted(path.name for path in resumes.glob("*.json")) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    trainer(store, tmp_path / "cut", bptt=bptt, epochs=4, resume=True).fit()
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


def test_control_c_saves_and_says_how_to_go_on(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "whole").fit()
    training = trainer(store, tmp_path / "cut")
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    train_on = training._train_on
    training._train_on = lambda batch: (time.sleep(0.02), train_on(batch))[1]  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="--resume"):
        training.fit()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    trainer(store, tmp_path / "cut", resume=True).fit()
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


def test_the_carried_state_crosses_windows_and_is_in_the_checkpoint(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=1)
    seen: list[bool] = []
    loss = training.model.loss
    training.model.loss = lambda batch, state=None: (seen.append(state is not None), loss(batch, state))[1]  # type: ignore[method-assign]
    training.fit()
    windows = len(training.source)
    assert seen[:windows] == [False] + [True] * (windows - 1)
    tensors, _ = load_checkpoint(tmp_path / "run" / "resume") or ({}, {})
    carried = {name: tuple(value.shape) for name, value in tensors.items() if name.startswith("carried")}
    assert set(carried.values()) == {(4, 8)}
    assert len(carried) == 4  # hidden and memory of two layers


def test_only_the_last_two_checkpoints_are_kept(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "run", checkpoint_seconds=0.0).fit()
    assert len(list((tmp_path / "run" / "resume").iterdir())) == 4


@pytest.mark.parametrize("damage", ["truncated", "flipped", "json"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path / "resume", step, {"x": torch.full((3,), float(step))}, {"step": step})
    newest = tmp_path / "resume" / "step-000000002.safetensors"
    content = bytearray(newest.read_bytes())
    if damage == "truncated":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[-2] ^= 1
        newest.write_bytes(content)
    else:
        newest.with_suffix(".json").write_text("{")
    with pytest.warns(UserWarning, match="step-000000002 is damaged"):
        tensors, data = load_checkpoint(tmp_path / "resume") or ({}, {})
    assert data == {"step": 1}
    assert tensors["x"].tolist() == [1.0, 1.0, 1.0]


def test_no_whole_checkpoint_is_an_error_and_none_at_all_is_not(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "resume") is None
    save_checkpoint(tmp_path / "resume", 1, {"x": torch.zeros(3)}, {})
    next((tmp_path / "resume").glob("*.safetensors")).write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(RunError, match="no checkpoint is whole"):
        load_checkpoint(tmp_path / "resume")


def test_gradients_of_a_sum_are_divided_by_its_count_once(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run")
    batch = next(iter(training.source.epoch(0)))
    training.model.eval()
    total, count, _ = training.strategy.backward(training.model, batch, None)
    sums = [p.grad.clone() for p in training.model.parameters() if p.grad is not None]
    training.settings = TrainerSettings(3, clip_norm=0.0)
    training._update(total, count)
    for summed, parameter in zip(sums, training.model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, summed / count)


def test_the_gradient_is_clipped_before_the_step(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", clip_norm=1e-3)
    batch = next(iter(training.source.epoch(0)))
    training._train_on(batch)
    norm = torch.nn.utils.get_total_norm([p.grad for p in training.model.parameters() if p.grad is not None])
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)
    assert training.at.clipped == 1


def test_updates_without_a_finite_gradient_are_skipped_and_then_given_up(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run")
    weights = {name: value.clone() for name, value in training.model.state_dict().items()}
    backward = type(training.strategy).backward

    class Broken(TruncatedBPTT):
        def backward(self, *arguments: Any) -> Any:
            result = backward(self, *arguments)
            for parameter in training.model.parameters():
                if parameter.grad is not None:
                    parameter.grad[...] = float("nan")
            return result

    training.strategy = Broken(8)
    with pytest.raises(RunError, match=r"not finite in 20 updates in a row, the first at step 0"):
        training.fit()
    for name, value in training.model.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)


def test_the_learning_rate_rises_and_falls_to_nothing(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=10, warmup=0.2)
    rates = []
    for epoch in range(10):
        training.at.epoch = epoch
        rates.append(training._learning_rate())
    assert rates[0] < rates[1] < rates[2] == pytest.approx(1e-2)
    assert all(one > other for one, other in pairwise(rates[2:]))
    training.at.epoch = 10
    assert training._learning_rate() == pytest.approx(0.0, abs=1e-9)


def test_a_run_is_made_once_and_resumed_only_as_it_was_made(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "run", epochs=1).fit()
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(RunError, match="exists; give --resume"):
        trainer(store, tmp_path / "run", epochs=1)
    with pytest.raises(RunError, match=r"epochs = 1, now it is 2"):
        trainer(store, tmp_path / "run", epochs=2, resume=True)
    with pytest.raises(RunError, match="no such folder"):
        trainer(store, tmp_path / "nowhere", resume=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_a_run_refuses_another_kind_of_store_and_names_both(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "run", epochs=1).fit()
    run = RunFolder(tmp_path / "run")
    run.check_store(store)
    with pytest.raises(RunError, match=r"features .*tokens"):
        run.check_store(frame_store(tmp_path))
    with pytest.raises(RunError, match=r"'music_generation', recognising.*'keyword_recognition'"):
        run.require("keyword_recognition", "recognising")


def test_a_run_without_weights_says_so(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "run")
    with pytest.raises(RunError, match="no trained model yet"):
        RunFolder(tmp_path / "run").model()
    (tmp_path / "run" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(RunError, match="not a readable safetensors file"):
        RunFolder(tmp_path / "run").model()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        RunFolder(tmp_path / "run")


def test_tensorboard_holds_the_curves(store: Store, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(store, tmp_path / "run", epochs=2).fit()
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    values = [event.value for event in board.Scalars("valid/nats_per_event")]
    assert values == pytest.approx([line["valid"]["nats_per_event"] for line in untimed(tmp_path / "run")])


def test_a_keyword_model_overfits_a_small_store(tmp_path: Path) -> None:
    store = frame_store(tmp_path)
    torch.manual_seed(1)
    arguments = {"input_size": 4, "classes": 2, "hidden_size": 8, "layers": 1, "dropout": 0.0}
    model = build_model("keyword", arguments)
    assert isinstance(model, KeywordModel)
    train = LabelledSequences(store["train"], store.names.encode(store["train"].labels))
    valid = PaddedBatches(LabelledSequences(store["valid"], store.names.encode(store["valid"].labels)), 8)
    run = RunFolder.create(
        tmp_path / "run",
        recipe="keyword_recognition",
        settings={},
        model={"name": "keyword", "arguments": arguments},
        store=store,
        resume=False,
    )
    training = Trainer(
        model,
        FullBPTT(),
        PaddedBatches(train, 8, seed=1),
        lambda: evaluate(model, valid),
        run,
        TrainerSettings(20, learning_rate=1e-2),
        ("accuracy", "max"),
    )
    assert training.fit()["accuracy"] == 1.0


def test_models_that_are_not_windowed_never_reach_the_loop(tmp_path: Path) -> None:
    store = frame_store(tmp_path)
    arguments = {"input_size": 4, "classes": 2}
    model = build_model("keyword", arguments)
    run = RunFolder.create(
        tmp_path / "run", recipe="r", settings={}, model={"name": "keyword", "arguments": arguments}, store=store,
        resume=False,
    )  # fmt: skip
    source = PaddedBatches(LabelledSequences(store["train"], store.names.encode(store["train"].labels)), 8)
    with pytest.raises(OptionError, match="--bptt full"):
        Trainer(model, TruncatedBPTT(4), source, dict, run, TrainerSettings(1), ("accuracy", "max"))


def test_saved_weights_are_the_weights(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=1)
    training.fit()
    assert isinstance(training.model, EventModel)
    tensors = load_tensors(tmp_path / "run" / "model.safetensors")
    assert tensors.keys() == training.model.state_dict().keys()
    for name, value in training.model.state_dict().items():
        torch.testing.assert_close(tensors[name], value, rtol=0, atol=0)
