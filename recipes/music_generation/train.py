"""Train a model of music: note events -> recurrent net -> the next event.

    data_prep/midi_folder.py --source FOLDER --out stores/nottingham
    recipes/music_generation/train.py --store stores/nottingham --run runs/nottingham_lstm --cell lstm

Truncated BPTT over lanes: the state is carried through each piece, the gradient reaches back one window. The best
epoch is chosen on validation. The test split stays closed; `evaluate.py` opens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from seqaudio.batching import Lanes, PaddedBatches, Source, TokenSequences
from seqaudio.bptt import (
    FullBPTT,
    RunFolder,
    Strategy,
    Trainer,
    TrainerSettings,
    TruncatedBPTT,
    run_settings,
)
from seqaudio.cli.options import run
from seqaudio.device import resolve_device
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.evaluation.results import command_line, results
from seqaudio.files import write_json
from seqaudio.models import build_model
from seqaudio.store import Store


@dataclass(frozen=True)
class Config:
    """Options of the training."""

    store: Path  # tokens, as data_prep/midi_folder.py makes them
    run: Path  # new folder for config.json, metrics.jsonl, model.safetensors, results.json
    cell: str = "lstm"  # recurrent cell: elman, lstm, gru
    embedding_size: int = 128
    hidden_size: int = 256  # units a layer
    layers: int = 1
    dropout: float = 0.2
    batch_size: int = 32  # lanes that run side by side; pieces a batch under full BPTT
    epochs: int = 8
    learning_rate: float = 4e-3  # Adam
    weight_decay: float = 0.0
    clip_norm: float = 1.0  # largest norm of the gradient
    bptt: Literal["full", "truncated"] = "truncated"
    advance: int = 128  # steps a window of truncated BPTT, which is also how far the gradient reaches
    seed: int = 1
    device: str = "auto"
    limit: int | None = None  # train on the first N pieces only, for a trial
    resume: bool = False  # go on with an interrupted run


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require("tokens", "music generation")
    train, valid = store["train"].head(config.limit), store["valid"]
    device = resolve_device(config.device)

    torch.manual_seed(config.seed)
    arguments = {
        "vocabulary_size": len(store.names),
        "embedding_size": config.embedding_size,
        "cell": config.cell,
        "hidden_size": config.hidden_size,
        "layers": config.layers,
        "dropout": config.dropout,
    }
    model = build_model("events", arguments)
    strategy: Strategy
    train_batches: Source
    if config.bptt == "truncated":
        strategy = TruncatedBPTT(config.advance)
        train_batches = Lanes(train, config.batch_size, config.advance, seed=config.seed)
    else:
        strategy = FullBPTT()
        train_batches = PaddedBatches(TokenSequences(train), config.batch_size, seed=config.seed, max_steps=MAX_STEPS)
    # whole pieces: the state is carried from the first event to the last
    valid_batches = PaddedBatches(TokenSequences(valid), 64, max_steps=MAX_STEPS)
    training = TrainerSettings(
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
    )

    folder = RunFolder.create(
        config.run,
        recipe="music_generation",
        settings=run_settings(config),
        model={"name": "events", "arguments": arguments},
        store=store,
        resume=config.resume,
    )
    trainer = Trainer(
        model,
        strategy,
        train_batches,
        validate=lambda: evaluate(model, valid_batches, device),
        run=folder,
        settings=training,
        select=("nats_per_event", "min"),
        device=device,
    )
    best = trainer.fit()

    baselines = {name: {"valid": scores} for name, scores in ngram_baselines(store, train, valid, valid).items()}
    outcome = results(
        recipe="music_generation",
        seed=config.seed,
        valid=best,
        baselines=baselines,
        parameters=model.parameter_count(),
        wall_seconds=trainer.at.seconds,
        command=command_line(),
    )
    write_json(config.run / "results.json", outcome)
    draw_curves(read_metrics(folder.metrics_file), folder.figure("curves"))
    beside = ", ".join(f"{name} {scores['valid']['nats_per_event']:.4f}" for name, scores in baselines.items())
    print(
        f"validation {best['nats_per_event']:.4f} nats an event over {best['count']:,} events ({beside}), "
        f"{trainer.at.seconds:.0f} s; next: recipes/music_generation/evaluate.py --run {config.run} --split test"
    )


if __name__ == "__main__":
    run(Config, main)
