"""Compare cells on piano rolls: equal parameters, equal steps, the same learning rates tried for each.

    recipes/polyphonic_music/study.py --store stores/jsb --out runs/cells
    recipes/polyphonic_music/study.py --store stores/jsb --out runs/cells --cells lstm gru --head nade

Every cell is trained once with each learning rate; validation chooses, and the test split is read for the chosen run
alone. Stop with Ctrl-C and go on with the same command: finished runs are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, recipes
from seqaudio.evaluation.results import publish
from seqaudio.evaluation.trials import check_budget, choose, file_words, read_test, run_trial, table
from seqaudio.models.frame_heads import HeadName
from seqaudio.store import Store

CELLS = ("elman", "gru", "lstm", "layer_norm_lstm", "min_gru", "rru")
METRICS = {"sigmoid": "nats_per_later_frame", "nade": "nats_per_frame"}  # as papers count for each head

train, evaluate = (load(recipes(file)["polyphonic_music"]) for file in ("train.py", "evaluate.py"))


@dataclass(frozen=True)
class Config:
    """Options of the study."""

    store: Path  # piano rolls, as `seqaudio prepare polyphonic` makes them
    out: Path  # folder of the runs, one a trial; the same one goes on with a study
    head: HeadName = "sigmoid"  # notes of a frame: independent, or nade: each given the lower ones of its frame
    cells: tuple[str, ...] = CELLS  # CELL or CELL@INITIALISATION
    learning_rates: tuple[float, ...] = (3e-3, 1e-2)  # the trials of each cell
    parameters: int = 200_000  # trainable numbers of every model, within 2 %
    layers: int = 1  # recurrent layers
    epochs: int = 60  # passes over the training split of every trial
    seed: int = 1
    device: str = "auto"
    publish: Path | None = None  # folder that takes a copy of the results of each chosen run: docs/results


def main(config: Config) -> None:
    """Run all trials that are missing, read the test split of the chosen ones, print the table."""
    width, metric = Store(config.store)["train"].width or 0, METRICS[config.head]
    plans = {cell: [options_of(config, cell, rate) for rate in config.learning_rates] for cell in config.cells}
    for cell, options in plans.items():
        check_budget(cell, options[0].description(width), config.parameters)
    rows: dict[str, dict[str, Any] | None] = {}
    for cell, plan in plans.items():
        tried = [run_trial(train.main, options) for options in plan]
        chosen = choose(tried, metric)
        rows[cell] = None
        if chosen is not None:
            rows[cell] = read_test(evaluated, chosen, tried, metric, {"epochs": config.epochs})
        if chosen is not None and config.publish is not None:
            publish(chosen.options.run, row_name(config, cell), config.publish)
    print(table(rows, metric))


def evaluated(folder: Path) -> None:
    """Read the test split of a run."""
    evaluate.main(evaluate.Config(run=folder, split="test"))


def options_of(config: Config, cell: str, learning_rate: float) -> Any:
    """The options of train.py for one trial of a cell."""
    name, _, initialisation = cell.partition("@")
    return train.Config(
        store=config.store,
        run=config.out / row_name(config, cell) / f"rate_{learning_rate:g}",
        head=config.head,
        cell=name,
        initialisation=initialisation,
        parameters=config.parameters,
        layers=config.layers,
        epochs=config.epochs,
        learning_rate=learning_rate,
        seed=config.seed,
        device=config.device,
    )


def row_name(config: Config, cell: str) -> str:
    """A name for files: `cells_jsb_sigmoid_lstm_1`, the seed last."""
    return f"cells_{config.store.name}_{config.head}_{file_words(cell)}_{config.seed}"


if __name__ == "__main__":
    run(Config, main)
