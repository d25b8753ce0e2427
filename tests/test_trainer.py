"""The Trainer: what it computes, what it keeps, and that an interruption leaves no trace."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from made_up import frame_store, token_store
from seqaudio.batching import Batch, LabelledSequences, Lanes, PaddedBatches, TokenSequences
from seqaudio.bptt import CheckpointedBPTT, FullBPTT, Interrupted, Strategy, Trainer, TrainerSettings, TruncatedBPTT
from seqaudio.bptt.checkpoint import load_checkpoint, save_checkpoint
from seqaudio.bptt.pace import Pace
from seqaudio.bptt.precision import BFloat16Mixed
from seqaudio.bptt.processes import take_rows
from seqaudio.bptt.updater import Updater
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.metrics import evaluate
from seqaudio.models import EventModel, KeywordModel, build_model
from seqaudio.probing import probe_rows
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tensors import load_tensors

STRATEGIES: dict[str, Strategy] = {
    "truncated": TruncatedBPTT(8),
    "reach": TruncatedBPTT(8, 24),
    "drawn": TruncatedBPTT(4, spread=1, seed=1),
    "checkpointed": CheckpointedBPTT(),
    "full": FullBPTT(),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "all": {
        "schedule": "plateau", "plateau_patience": 1, "accumulate": 3, "average": 0.9, "clip_value": 1e-2,
        "weight_decay": 0.1, "precision": "bf16-mixed",
    },
}  # fmt: skip
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
    strategy = STRATEGIES[bptt]
    source = (
        Lanes(store["train"], 4, strategy.batch_steps, seed=1)
        if isinstance(strategy, TruncatedBPTT)
        else PaddedBatches(TokenSequences(store["train"]), 8, seed=1)
    )
    valid = PaddedBatches(TokenSequences(store["valid"]), 8)
    return Trainer(
        model,
        strategy,
        source,
        lambda: evaluate(model, valid),
        folder,
        TrainerSettings(epochs, learning_rate=1e-2, **settings),
        select=("nats_per_event", "min"),
        probe_on=probe_rows(store, store.names, sequences=2, steps=12),
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
    return token_store(tmp_path_factory.mktemp("store"), count=50)


@pytest.fixture(scope="module")
def whole(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The run of a training that nothing interrupted, made once for each strategy and settings."""

    @cache
    def trained(bptt: str, settings: str = "plain") -> Path:
        run = tmp_path_factory.mktemp("whole") / "run"
        trainer(store, run, bptt=bptt, **SETTINGS[settings]).fit()
        return run

    return trained


@pytest.mark.parametrize("bptt", ["truncated", "reach", "checkpointed"])
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


@pytest.mark.parametrize("accumulate", [1, 4])
def test_each_event_is_trained_on_once_an_epoch(store: Store, tmp_path: Path, accumulate: int) -> None:
    training = trainer(store, tmp_path / "run", epochs=1, accumulate=accumulate)
    counts: list[int] = []
    update = training._update
    training._update = lambda: (counts.append(training.at.pending.count), update())[1]  # type: ignore[method-assign]
    training.fit()
    assert sum(counts) == int((store["train"].lengths + 1).sum())
    assert len(counts) == -(-len(training.source) // accumulate)


def test_equal_seeds_give_equal_runs(store: Store, tmp_path: Path) -> None:
    for name in ("one", "two"):
        trainer(store, tmp_path / name).fit()
    assert_equal_runs(tmp_path / "one", tmp_path / "two")


class PowerError(Exception):
    """Stands for the power failing in the middle of a training."""


@pytest.mark.parametrize(
    ("bptt", "moment", "settings"),
    [(bptt, moment, "plain") for bptt in ("truncated", "full") for moment in (1, 7, 12)]
    + [(bptt, moment, "plain") for bptt in ("reach", "drawn") for moment in (1, 12)]
    + [("checkpointed", 7, "plain"), ("truncated", 4, "all"), ("reach", 11, "all"), ("full", 12, "all")],
)
def test_an_interrupted_training_ends_equal_to_an_uninterrupted_one(
    store: Store, whole: Callable[..., Path], tmp_path: Path, bptt: str, moment: int, settings: str
) -> None:
    """Moments are batches; with `all` they lie between two updates."""
    expected = whole(bptt, settings)
    training = trainer(store, tmp_path / "cut", bptt=bptt, checkpoint_seconds=0.0, **SETTINGS[settings])
    train_on = training._train_on
    batches = 0

    def failing(batch: Any) -> None:
        nonlocal batches
        train_on(batch)
        batches += 1
        if batches > moment:
            raise PowerError

    training._train_on = failing  # type: ignore[method-assign]
    with pytest.raises(PowerError):
        training.fit()
    torch.rand(100)  # a new process has another generator state
    trainer(store, tmp_path / "cut", bptt=bptt, resume=True, **SETTINGS[settings]).fit()
    assert_equal_runs(expected, tmp_path / "cut")


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_trainer import SETTINGS, trainer
from seqaudio.store import Store
trainer(
    Store({store!r}), Path({run!r}), bptt={bptt!r}, epochs={epochs}, resume={resume}, checkpoint_seconds=0.0,
    **SETTINGS[{settings!r}]
).fit()
"""


def kill(store: Store, run: Path, bptt: str, epochs: int, settings: str, seconds: float) -> bool:
    """Train in a process of its own and kill it so long after its first new checkpoint; whether it was killed."""
    script = KILLED.format(
        tests=str(Path(__file__).parent), store=str(store.path), run=str(run), bptt=bptt, epochs=epochs,
        settings=settings, resume=run.exists(),
    )  # fmt: skip

    def checkpoints() -> list[str]:
        return sorted(path.name for path in (run / "resume").glob("*.json"))

    before = checkpoints()
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    while checkpoints() == before and process.poll() is None:
        time.sleep(0.005)
    time.sleep(seconds)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors.decode()
    return process.returncode != 0


def generated(run: Path) -> list[list[int]]:
    """Ids drawn from the run's model, a row a seed."""
    model = RunFolder(run).model()
    rows = []
    for seed in range(5):
        draw = torch.Generator().manual_seed(seed)
        state, ids = model.initial_state(1), [1]
        with torch.no_grad():
            for _ in range(50):
                logits, state = model.step(torch.tensor(ids[-1:]), state)
                ids.append(int(torch.multinomial(logits.softmax(-1)[0], 1, generator=draw)))
        rows.append(ids)
    return rows


def test_a_killed_training_ends_equal_to_an_uninterrupted_one(
    store: Store, whole: Callable[..., Path], tmp_path: Path
) -> None:
    assert kill(store, tmp_path / "cut", "reach", 3, "plain", 0.1)
    trainer(store, tmp_path / "cut", bptt="reach", resume=True).fit()
    assert_equal_runs(whole("reach"), tmp_path / "cut")


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("settings", ["plain", "all"])
@pytest.mark.parametrize("bptt", ["truncated", "full"])
def test_a_training_killed_at_random_moments_leaves_no_trace(
    store: Store, tmp_path: Path, bptt: str, settings: str
) -> None:
    """Ten kills a strategy and kind of settings: five in each of two trainings."""
    epochs = 60
    trainer(store, tmp_path / "whole", bptt=bptt, epochs=epochs, **SETTINGS[settings]).fit()
    draw = random.Random(f"{bptt} {settings}")
    for name in ("one", "two"):
        killed = [kill(store, tmp_path / name, bptt, epochs, settings, draw.uniform(0, 0.5)) for _ in range(5)]
        assert all(killed), "a training ended before it was killed; give it more epochs"
        trainer(store, tmp_path / name, bptt=bptt, epochs=epochs, resume=True, **SETTINGS[settings]).fit()
        assert_equal_runs(tmp_path / "whole", tmp_path / name)
        assert generated(tmp_path / name) == generated(tmp_path / "whole")


@pytest.mark.usefixtures("control_c")
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


def test_windows_that_are_run_again_are_in_the_checkpoint(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", bptt="reach", epochs=1)
    batches = list(training.source.epoch(0))
    training.fit()
    tensors, _ = load_checkpoint(tmp_path / "run" / "resume") or ({}, {})
    for number, batch in enumerate(batches[-2:]):
        for name in ("inputs", "targets", "resets", "lengths"):
            assert torch.equal(tensors[f"carried.again.{number}.{name}"], getattr(batch, name))
    assert sum(name.startswith("carried.state.") for name in tensors) == 4


def test_the_rate_of_an_update_is_scaled_by_the_strategy(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", bptt="drawn", epochs=1, warmup=0.0)
    rates: list[float] = []
    update = training.updater.update
    training.updater.update = lambda count, rate, number: (rates.append(rate), update(count, rate, number))[1]  # type: ignore[method-assign]
    batch = next(iter(training.source.epoch(0)))
    windows = [window.steps for window in training.strategy.windows(batch, (0, 0))]
    training._train_on(batch)
    assert len(set(windows)) > 1
    assert rates == pytest.approx([1e-2 * steps / 4 for steps in windows])


def test_only_the_last_two_checkpoints_are_kept(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "run", checkpoint_seconds=0.0).fit()
    assert len(list((tmp_path / "run" / "resume").iterdir())) == 4


@pytest.mark.parametrize("damage", ["truncated", "flipped", "json"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path / "resume", (0, step), {"x": torch.full((3,), float(step))}, {"step": step})
    newest = tmp_path / "resume" / "epoch-00000-batch-0000002.safetensors"
    content = bytearray(newest.read_bytes())
    if damage == "truncated":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[-2] ^= 1
        newest.write_bytes(content)
    else:
        newest.with_suffix(".json").write_text("{")
    with pytest.warns(UserWarning, match="epoch-00000-batch-0000002 is damaged"):
        tensors, data = load_checkpoint(tmp_path / "resume") or ({}, {})
    assert data == {"step": 1}
    assert tensors["x"].tolist() == [1.0, 1.0, 1.0]


def test_no_checkpoint_is_written_over_another(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place in the training has its own files, also where no update lies between two of them."""
    places: list[tuple[int, int]] = []

    def note(folder: Path, place: tuple[int, int], *content: Any) -> None:
        places.append(place)
        save_checkpoint(folder, place, *content)

    monkeypatch.setattr("seqaudio.bptt.trainer.save_checkpoint", note)
    trainer(store, tmp_path / "run", checkpoint_seconds=0.0, accumulate=4).fit()
    assert places == sorted(set(places))
    assert len(places) > 20


def test_no_whole_checkpoint_is_an_error_and_none_at_all_is_not(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "resume") is None
    save_checkpoint(tmp_path / "resume", (0, 1), {"x": torch.zeros(3)}, {})
    next((tmp_path / "resume").glob("*.safetensors")).write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(RunError, match="checkpoints are damaged"):
        load_checkpoint(tmp_path / "resume")


def test_gradients_of_a_sum_are_divided_by_its_count_once(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run")
    batch = next(iter(training.source.epoch(0)))
    training.model.eval()
    _, count, _ = training.strategy.backward(training.model, batch, None)
    sums = [p.grad.clone() for p in training.model.parameters() if p.grad is not None]
    training.updater.settings = TrainerSettings(3, clip_norm=0.0)
    training.updater.update(count, 1e-2, 1)
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
    with pytest.raises(
        RunError,
        match=r"not finite in 20 updates in a row, the first at step 0, batch 1 of epoch 1, .*embedding.weight",
    ):
        training.fit()
    for name, value in training.model.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)


def test_what_is_not_finite_is_not_carried_on(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=1)
    batches = list(training.source.epoch(0))
    training._train_on(batches[0])
    weight = training.model.embedding.weight.data
    before = weight.clone()
    weight[3:] = float("inf")
    training._train_on(batches[1])
    weight.copy_(before)
    assert training.carried is None
    assert training.at.skipped == 1
    training._train_on(batches[2])
    assert (training.at.step, training.at.skipped, training.at.skipped_in_a_row) == (2, 1, 0)
    assert math.isfinite(training.at.total)


def test_the_optimiser_of_one_pass_steps_as_the_plain_one_and_goes_on_from_its_checkpoint() -> None:
    gradients = [torch.Generator().manual_seed(seed) for seed in range(6)]

    def model() -> EventModel:
        torch.manual_seed(1)
        return EventModel(10, 6, hidden_size=8)

    def steps(updater: Updater, draws: list[torch.Generator], number: int) -> None:
        for draw in draws:
            for value in updater.model.parameters():
                value.grad = torch.randn(value.shape, generator=draw)
            number += 1
            updater.update(3, 1e-2, number)

    settings = TrainerSettings(1, learning_rate=1e-2, weight_decay=0.1)
    ours, plain = (Updater(model(), settings) for _ in range(2))
    assert ours.optimiser.defaults["fused"]
    plain.optimiser = torch.optim.AdamW(plain.model.parameters(), lr=1e-2, weight_decay=0.1, foreach=False)
    steps(plain, gradients[:3], 0)
    kept = {name: value.clone() for name, value in plain.tensors().items()}
    ours.load(kept)  # the checkpoint of a training before there was the one of one pass
    ours.model.load_state_dict(plain.model.state_dict())
    for updater in (ours, plain):
        steps(updater, [torch.Generator().manual_seed(seed) for seed in (7, 8, 9)], 3)
    for one, other in zip(ours.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert ours.tensors().keys() == plain.tensors().keys()


def test_a_failure_of_the_source_ends_the_training_with_its_own_message(store: Store, tmp_path: Path) -> None:
    class Failing(Lanes):
        def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
            for number, batch in enumerate(super().epoch(epoch, start)):
                if number == 2:
                    raise RunError("train.arrow: row 7 is damaged, expected 40 tokens; prepare again")
                yield batch

    training = trainer(store, tmp_path / "run")
    training.source = Failing(store["train"], 4, 8, seed=1)
    with pytest.raises(RunError, match="row 7 is damaged"):
        training.fit()
    assert training.at.batch == 2
    assert not [thread for thread in threading.enumerate() if thread.name == "batches-ahead"]


def test_the_gradients_elements_are_bounded_before_the_step(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", clip_norm=0.0, clip_value=1e-3)
    training._train_on(next(iter(training.source.epoch(0))))
    largest = max(p.grad.abs().max().item() for p in training.model.parameters() if p.grad is not None)
    assert largest == pytest.approx(1e-3)
    assert training.at.clipped == 1


class Dealt:
    """A source of given batches."""

    continues = False

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        yield from self.batches[start:]


def test_accumulation_equals_the_larger_batch(store: Store, tmp_path: Path) -> None:
    whole = list(PaddedBatches(TokenSequences(store["train"]), 12, seed=1).epoch(0))
    parts = [take_rows(batch, rows) for batch in whole for rows in (slice(5), slice(5, 6), slice(6, None))]
    weights = []
    for name, batches, accumulate in (("whole", whole, 1), ("parts", parts, 3)):
        training = trainer(store, tmp_path / name, bptt="full", epochs=2, accumulate=accumulate, schedule="constant",
                           warmup=0.0)  # fmt: skip
        for module in training.model.double().modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        training.source, training.batches = Dealt(batches), len(batches)
        training.fit()
        assert training.at.step == 2 * len(whole)
        weights.append(training.model.state_dict())
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=0, atol=1e-10)


def scored(training: Trainer, scores: list[float]) -> None:
    """Let the validations of a training have these results."""
    left = iter(scores)
    training.validate = lambda: {"nats_per_event": next(left), "count": 1}


def test_a_training_that_gets_no_better_ends_early(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=9, patience=2)
    scored(training, [3.0, 2.0, 2.5, 1.0, 1.1, 1.2, 0.0])
    assert training.fit()["nats_per_event"] == 1.0
    assert [line["best"] for line in untimed(tmp_path / "run")] == [True, True, False, True, False, False]
    again = trainer(store, tmp_path / "run", epochs=9, patience=2, resume=True)
    scored(again, [])
    assert again.fit()["nats_per_event"] == 1.0


def test_an_epoch_whose_score_is_no_number_is_beaten_by_any_other(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=3)
    scored(training, [math.nan, 2.0, math.nan])
    assert training.fit()["nats_per_event"] == 2.0


def test_the_rate_is_halved_where_the_validation_stands_still(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=8, schedule="plateau", plateau_patience=2, warmup=0.0)
    scored(training, [3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 1.0, 1.5])
    training.fit()
    rates = [line["learning_rate"] for line in untimed(tmp_path / "run")]
    assert rates == pytest.approx([1e-2] * 4 + [5e-3] * 2 + [2.5e-3] * 2)


def test_averaged_weights_are_validated_and_kept(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=1, average=0.9)
    training.fit()
    assert training.updater.average is not None
    kept = load_tensors(tmp_path / "run" / "model.safetensors")
    tensors, _ = load_checkpoint(tmp_path / "run" / "resume") or ({}, {})
    for name, value in training.updater.average.weights.items():
        assert torch.equal(kept[name], value)
        assert torch.equal(tensors[f"average.{name}"], value)
        assert torch.equal(tensors[f"model.{name}"], training.model.state_dict()[name])
    assert any(not torch.equal(kept[name], value) for name, value in training.model.state_dict().items())
    again = evaluate(RunFolder(tmp_path / "run").model(), PaddedBatches(TokenSequences(store["valid"]), 8))
    assert untimed(tmp_path / "run")[0]["valid"]["nats_per_event"] == pytest.approx(again["nats_per_event"])


def test_minutes_fit_the_length_and_a_resumed_training_keeps_it(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", epochs=1, minutes=0.04)
    training._pace = Pace(budget=2.4)
    set_length = training._set_length

    def set_and_stop() -> None:
        set_length()
        training._save()
        raise PowerError

    training._set_length = set_and_stop  # type: ignore[method-assign]
    with pytest.raises(PowerError):
        training.fit()
    length = (training.at.epochs, training.at.batches_in_epoch)
    assert training.at.seconds < 2.4
    again = trainer(store, tmp_path / "run", epochs=1, minutes=0.04, resume=True)
    again.fit()
    assert (again.at.epochs, again.at.batches_in_epoch) == length
    assert again.at.epoch == again.at.epochs + bool(again.at.batches_in_epoch)
    lines = untimed(tmp_path / "run")
    assert len(lines) == again.at.epoch
    assert lines[-1]["learning_rate"] == pytest.approx(0.0, abs=1e-4)


def test_a_shorter_last_epoch_ends_at_its_batch_even_if_cut_off_there(store: Store, tmp_path: Path) -> None:
    def short(name: str, resume: bool = False) -> Trainer:
        training = trainer(store, tmp_path / name, checkpoint_seconds=0.0, resume=resume)
        training.at.epochs, training.at.batches_in_epoch = 1, 3
        return training

    whole = short("whole")
    whole.fit()
    assert whole.at.step == len(whole.source) + 3
    cut = short("cut")
    save = cut._save

    def failing() -> None:
        save()
        if (cut.at.epoch, cut.at.batch) == (1, 3):
            raise PowerError

    cut._save = failing  # type: ignore[method-assign]
    with pytest.raises(PowerError):
        cut.fit()
    short("cut", resume=True).fit()
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "layer_norm_lstm", "peephole_lstm", "lstm+zoneout=0.1"])
def test_bfloat16_trains_with_weights_and_states_in_float32(store: Store, cell: str) -> None:
    torch.manual_seed(1)
    model = build_model("events", ARGUMENTS | {"cell": cell, "dropout": 0.0})
    batch = next(iter(Lanes(store["train"], 4, 16, seed=1).epoch(0)))
    with torch.no_grad():
        exact, count, _ = model.loss(batch)
    total, counted, carried = TruncatedBPTT(16).backward(BFloat16Mixed(model, torch.device("cpu")), batch, None)
    assert counted == count
    assert total == pytest.approx(float(exact), rel=1e-2)
    assert total != float(exact), "nothing was computed in bfloat16"
    assert {value.dtype for value in carried.tensors().values()} == {torch.float32}
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}


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


def tensorboard_events(run: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = accumulator.EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    return board


def test_tensorboard_holds_the_curves(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "run", epochs=2).fit()
    board = tensorboard_events(tmp_path / "run")
    values = [event.value for event in board.Scalars("valid/nats_per_event")]
    assert values == pytest.approx([line["valid"]["nats_per_event"] for line in untimed(tmp_path / "run")])


@pytest.mark.parametrize(("wanted", "said"), [("auto", 0), ("no", 0), ("yes", 1)])
def test_a_training_without_tensorboard_goes_on_and_says_so_once_where_it_was_asked_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wanted: str,
    said: int,
) -> None:  # fmt: skip
    monkeypatch.setattr("seqaudio.bptt.logs.find_spec", lambda name: None)
    trainer(store, tmp_path / "run", epochs=2, tensorboard=wanted, probe_every=1).fit()
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert (tmp_path / "run" / "figures" / "probe.png").is_file()
    assert len(untimed(tmp_path / "run")) == 2
    assert capsys.readouterr().err.count("pip install tensorboard") == said


def test_tensorboard_can_be_left_out(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "run", epochs=1, tensorboard="no").fit()
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_probed_training_tells_how_far_gradients_reach_and_is_otherwise_the_same(
    store: Store, tmp_path: Path
) -> None:
    trainer(store, tmp_path / "plain", epochs=4).fit()
    trainer(store, tmp_path / "probed", epochs=4, probe_every=2).fit()
    lines = untimed(tmp_path / "probed")
    assert ["probe" in line for line in lines] == [False, True, False, True]
    assert [{name: line[name] for name in line if name != "probe"} for line in lines] == untimed(tmp_path / "plain")
    assert lines[1]["probe"]["layer 2"]["verdict"] in ("vanishing", "exploding", "carries")
    assert lines[1]["probe"] != lines[3]["probe"]
    assert (tmp_path / "plain" / "model.safetensors").read_bytes() == (
        tmp_path / "probed" / "model.safetensors"
    ).read_bytes()
    assert (tmp_path / "probed" / "figures" / "probe.png").stat().st_size > 10_000
    events = tensorboard_events(tmp_path / "probed")
    assert {"probe/layer_1/growth", "probe/layer_2/vanished"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["probe/curves"]


def test_a_probed_training_that_was_cut_off_writes_the_same_lines(store: Store, tmp_path: Path) -> None:
    trainer(store, tmp_path / "whole", epochs=4, probe_every=2).fit()
    cut = trainer(store, tmp_path / "cut", epochs=4, probe_every=2)
    save = cut._save

    def stop_behind_the_second() -> None:
        save()
        if cut.at.epoch == 2:
            raise KeyboardInterrupt

    cut._save = stop_behind_the_second  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        cut.fit()
    trainer(store, tmp_path / "cut", epochs=4, probe_every=2, resume=True).fit()
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


def test_a_probe_without_rows_is_refused_at_once(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run")
    with pytest.raises(ValueError, match="give probe_on"):
        Trainer(
            training.model,
            training.strategy,
            training.source,
            training.validate,
            training.run,
            TrainerSettings(1, probe_every=1),
            training.select,
        )


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
