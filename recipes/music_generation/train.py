"""Train a model of music: note events -> recurrent net -> the next event.

    data_prep/midi_folder.py --source FOLDER --out stores/nottingham
    recipes/music_generation/train.py --store stores/nottingham --run runs/nottingham_lstm --cell lstm

Truncated BPTT over lanes: the state is carried through each piece, the gradient reaches back one window. The best
epoch is chosen on validation. The test split stays closed; `evaluate.py` opens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from seqaudio.batching import Lanes, PaddedBatches, Source, TokenSequences
from seqaudio.bptt import (
    RunFolder,
    StrategyName,
    Trainer,
    TrainingOptions,
    TruncatedBPTT,
    begin_with,
    launch,
    run_settings,
)
from seqaudio.cli.options import run
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.evaluation.results import command_line, results
from seqaudio.files import write_json
from seqaudio.models import build_model, choose_width
from seqaudio.probing import probe_rows
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(TrainingOptions):
    """Options of the training."""

    store: Path  # tokens, as data_prep/midi_folder.py makes them
    cell: str = "lstm"  # recurrent cell, wrappers too, as in lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    embedding_size: int = 128
    hidden_size: int | None = None  # units a layer; 256 where neither this nor --parameters is given
    parameters: int | None = None  # of the whole model, instead: picks the width that comes nearest
    layers: int = 1
    initialisation: str = ""  # such as chrono=100 or orthogonal+forget_bias=2; empty is the cell's own
    learned_state: bool = False  # the state before the first event is learned; zero otherwise
    dropout: float = 0.2
    batch_size: int = 32  # lanes that run side by side; pieces a batch under full BPTT
    epochs: int = 8  # passes over the training split
    learning_rate: float = 4e-3  # Adam; the highest of the schedule
    bptt: StrategyName = (
        "truncated"  # how far gradients reach (docs/bptt.md): truncated runs over lanes, the others over pieces
    )


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require("tokens", "music generation")
    train, valid = store["train"].head(config.limit), store["valid"]

    torch.manual_seed(config.seed)
    arguments = {
        "vocabulary_size": len(store.names),
        "embedding_size": config.embedding_size,
        "cell": config.cell,
        "layers": config.layers,
        "dropout": config.dropout,
        "initialisation": config.initialisation,
        "learned_state": config.learned_state,
    }
    arguments["hidden_size"] = choose_width(
        "events", arguments, hidden_size=config.hidden_size, parameters=config.parameters, default=256
    )
    model = build_model("events", arguments)
    strategy = config.strategy()
    strategy.check(model)
    train_batches: Source
    if isinstance(strategy, TruncatedBPTT):
        train_batches = Lanes(train, config.batch_size, strategy.batch_steps, seed=config.seed)
    else:
        train_batches = PaddedBatches(TokenSequences(train), config.batch_size, seed=config.seed, max_steps=MAX_STEPS)
    # whole pieces: the state is carried from the first event to the last
    valid_batches = PaddedBatches(TokenSequences(valid), 64, max_steps=MAX_STEPS)
    parent = begin_with(config.start_from, model, store, "music_generation")

    processes = launch(config.devices, config.device, config.threads)
    processes.on_first(
        lambda: RunFolder.create(
            config.run,
            recipe="music_generation",
            settings=run_settings(config),
            model={"name": "events", "arguments": arguments},
            store=store,
            resume=config.resume,
            parent=parent,
        )
    )
    folder = RunFolder(config.run)
    trainer = Trainer(
        model,
        strategy,
        train_batches,
        validate=lambda: evaluate(model, valid_batches, processes.device),
        run=folder,
        settings=config,
        select=("nats_per_event", "min"),
        processes=processes,
        probe_on=probe_rows(store, store.names),
    )
    best = trainer.fit()
    if not processes.first:
        return

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
