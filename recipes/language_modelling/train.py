"""Train a model of text: characters -> recurrent net -> the next character.

    data_prep/text_file.py --source book.txt --out stores/book
    recipes/language_modelling/train.py --store stores/book --run runs/book_lstm --cell lstm

Truncated BPTT over lanes of the one long text. `--no-carry` begins every window with a zero state, for comparison. The
best epoch is chosen on validation. The test split stays closed; `evaluate.py` opens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from seqaudio.batching import PaddedBatches, TokenSequences
from seqaudio.bptt import StrategyName, TrainingOptions, token_source, train
from seqaudio.cli.options import run
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate, per_character
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.evaluation.results import command_line, results
from seqaudio.files import write_json
from seqaudio.models import EventModelOptions, build_model
from seqaudio.probing import probe_rows
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(EventModelOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # text, as data_prep/text_file.py makes it
    embedding_size: int = 32
    batch_size: int = 32  # lanes that run side by side
    epochs: int = 6  # passes over the training split
    learning_rate: float = 4e-3  # Adam; the highest of the schedule
    bptt: StrategyName = "truncated"  # how far gradients reach (docs/bptt.md); full unrolls the whole text: short ones


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require("text", "language modelling")
    training, valid = store["train"].head(config.limit), store["valid"]

    torch.manual_seed(config.seed)
    arguments = config.arguments(len(store.names))
    model = build_model("events", arguments)
    # the whole text: the state is carried from the first character to the last
    valid_batches = PaddedBatches(TokenSequences(valid), 64, max_steps=MAX_STEPS)
    trained = train(
        model,
        arguments,
        token_source(config.strategy(), training, config.batch_size, config.seed, MAX_STEPS),
        config,
        recipe="language_modelling",
        name="events",
        store=store,
        validate=lambda device: per_character(evaluate(model, valid_batches, device)),
        select=("nats_per_character", "min"),
        probe_on=probe_rows(store, store.names),
    )
    if trained is None:
        return

    scores = ngram_baselines(store, training, valid, valid)
    baselines = {name: {"valid": per_character(values)} for name, values in scores.items()}
    outcome = results(
        recipe="language_modelling",
        seed=config.seed,
        valid=trained.best,
        baselines=baselines,
        parameters=model.parameter_count(),
        wall_seconds=trained.seconds,
        command=command_line(),
    )
    write_json(config.run / "results.json", outcome)
    draw_curves(read_metrics(trained.folder.metrics_file), trained.folder.figure("curves"))
    beside = ", ".join(f"{name} {values['valid']['nats_per_character']:.4f}" for name, values in baselines.items())
    print(
        f"validation {trained.best['nats_per_character']:.4f} nats a character over {trained.best['count']:,} "
        f"({beside}), {trained.seconds:.0f} s; "
        f"next: recipes/language_modelling/evaluate.py --run {config.run} --split test"
    )


if __name__ == "__main__":
    run(Config, main)
