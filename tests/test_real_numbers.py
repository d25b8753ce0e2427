"""Numbers that are not finite: a training that learned nothing fails and says why, and all JSON stays JSON."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Command, assert_refused
from made_up import token_store
from seqaudio.batching import Lanes, PaddedBatches, TokenSequences
from seqaudio.bptt import Trainer, TrainerSettings, TruncatedBPTT
from seqaudio.cli.grouped_help import parse
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import DivergedError
from seqaudio.evaluation.figures import read_metrics
from seqaudio.evaluation.metrics import evaluate
from seqaudio.files import json_text, write_json
from seqaudio.json_files import read_json
from seqaudio.models import build_model
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

ARGUMENTS = {"vocabulary_size": 10, "embedding_size": 4, "hidden_size": 6}


class NoGradient(TruncatedBPTT):
    """A strategy whose gradients are NaN."""

    def backward(self, model: Any, *arguments: Any) -> Any:
        found = super().backward(model, *arguments)
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.fill_(math.nan)
        return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return token_store(tmp_path / "letters")


def trainer(store: Store, run: Path, strategy: TruncatedBPTT, epochs: int = 2, steps: int = 64) -> Trainer:
    torch.manual_seed(1)
    model = build_model("events", ARGUMENTS)
    folder = RunFolder.create(
        run,
        recipe="music_generation",
        settings={},
        model={"name": "events", "arguments": ARGUMENTS},
        store=store,
        resume=False,
    )
    source = Lanes(store["train"], 4, steps, seed=1)
    assert len(source) < 20, "updates skipped in a row that end a training by themselves"
    valid = PaddedBatches(TokenSequences(store["valid"]), 8)
    settings = TrainerSettings(epochs, learning_rate=1e-2)
    return Trainer(model, strategy, source, lambda: evaluate(model, valid), folder, settings, ("nats_per_event", "min"))


def scored(training: Trainer, scores: list[float]) -> None:
    left = iter(scores)
    training.validate = lambda: {"nats_per_event": next(left), "count": 1}


def test_a_training_in_which_no_update_counted_fails(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", NoGradient(64))
    with pytest.raises(DivergedError, match=r"no update of epoch 1 counted: the gradient was not finite in all \d+"):
        training.fit()
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_training_whose_metric_is_never_finite_fails(store: Store, tmp_path: Path, value: float) -> None:
    training = trainer(store, tmp_path / "run", TruncatedBPTT(64))
    scored(training, [value, value])
    with pytest.raises(DivergedError, match="nats_per_event on validation was NaN or infinite in all 2 epochs"):
        training.fit()
    assert not (tmp_path / "run" / "model.safetensors").exists()
    again = trainer_resumed(training, tmp_path / "run")
    with pytest.raises(DivergedError, match="NaN or infinite"):  # and not exit 0 when it is resumed
        again.fit()


def trainer_resumed(first: Trainer, run: Path) -> Trainer:
    return Trainer(
        first.model, first.strategy, first.source, first.validate, RunFolder(run), first.settings, first.select
    )


def test_nan_never_counts_as_best_and_is_null_in_the_metrics(store: Store, tmp_path: Path) -> None:
    training = trainer(store, tmp_path / "run", TruncatedBPTT(64), epochs=4)
    scored(training, [math.nan, 2.0, math.nan, math.inf])
    assert training.fit()["nats_per_event"] == 2.0
    lines = [
        json.loads(line, parse_constant=refuse) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    ]
    assert [line["best"] for line in lines] == [False, True, False, False]
    assert [line["valid"]["nats_per_event"] for line in lines] == [None, 2.0, None, None]
    values = [line["valid"]["nats_per_event"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert str(values) == "[nan, 2.0, nan, nan]"


def refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def test_what_is_not_finite_is_null_in_all_json(tmp_path: Path) -> None:
    data = {"a": [math.nan, 1.5, (math.inf,)], "b": {"c": -math.inf, "d": "NaN"}}
    expected = {"a": [None, 1.5, [None]], "b": {"c": None, "d": "NaN"}}
    assert json.loads(json_text(data), parse_constant=refuse) == expected
    write_json(tmp_path / "x.json", data)
    assert read_json(tmp_path / "x.json") == expected


def test_a_learning_rate_that_destroys_the_weights_is_told(word_store: Path, tmp_path: Path) -> None:
    recipe = load(recipes("train.py")["keyword_recognition"])
    words = ["--epochs", "2", "--hidden-size", "8", "--batch-size", "8", "--device", "cpu"]
    config = parse(recipe.Config, ["--store", str(word_store), "--run", str(tmp_path / "run"), *words])
    with pytest.raises(DivergedError, match=r"(not finite|NaN or infinite).*lower --learning-rate"):
        recipe.main(replace(config, learning_rate=1e30))  # beyond the option's bounds
    assert not (tmp_path / "run" / "results.json").exists()


def test_a_metric_that_is_null_is_shown_and_not_compared(command: Command, word_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(word_run, tmp_path / "run"))
    data = read_json(run / "results.json")
    data["valid"]["nats_per_clip"] = None
    write_json(run / "results.json", data)
    done = command("seqaudio", "info", run)
    assert done.returncode == 0
    assert "nats_per_clip not finite" in done.stdout
    assert_refused(command("seqaudio", "compare", run, "--metric", "nats_per_clip"), "has no metric 'nats_per_clip'")
    compared = command("seqaudio", "compare", run, "--json")
    assert json.loads(compared.stdout, parse_constant=refuse)
    data["valid"] = dict.fromkeys(data["valid"])
    write_json(run / "results.json", data)
    assert_refused(command("seqaudio", "info", run), "valid has no metric with a finite value")
