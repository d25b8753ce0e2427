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

from seqaudio.batching import PaddedBatches, TokenSequences
from seqaudio.bptt import StrategyName, TrainingOptions, token_source, train
from seqaudio.cli.options import run
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.evaluation.results import command_line, results
from seqaudio.files import write_json
from seqaudio.models import EventModelOptions, build_model
from seqaudio.probing import probe_rows
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(EventModelOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # tokens, as data_prep/midi_folder.py makes them
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
    training, valid = store["train"].head(config.limit), store["valid"]

    torch.manual_seed(config.seed)
    arguments = config.arguments(len(store.names))
    model = build_model("events", arguments)
    # whole pieces: the state is carried from the first event to the last
    valid_batches = PaddedBatches(TokenSequences(valid), 64, max_steps=MAX_STEPS)
    trained = train(
        model,
        arguments,
        token_source(config.strategy(), training, config.batch_size, config.seed, MAX_STEPS),
        config,
        recipe="music_generation",
        name="events",
        store=store,
        validate=lambda device: evaluate(model, valid_batches, device),
        select=("nats_per_event", "min"),
        probe_on=probe_rows(store, store.names),
    )
    if trained is None:
        return

    baselines = {name: {"valid": scores} for name, scores in ngram_baselines(store, training, valid, valid).items()}
    outcome = results(
        recipe="music_generation",
        seed=config.seed,
        valid=trained.best,
        baselines=baselines,
        parameters=model.parameter_count(),
        wall_seconds=trained.seconds,
        command=command_line(),
    )
    write_json(config.run / "results.json", outcome)
    draw_curves(read_metrics(trained.folder.metrics_file), trained.folder.figure("curves"))
    beside = ", ".join(f"{name} {scores['valid']['nats_per_event']:.4f}" for name, scores in baselines.items())
    print(
        f"validation {trained.best['nats_per_event']:.4f} nats an event over {trained.best['count']:,} events "
        f"({beside}), {trained.seconds:.0f} s; "
        f"next: recipes/music_generation/evaluate.py --run {config.run} --split test"
    )


if __name__ == "__main__":
    run(Config, main)
