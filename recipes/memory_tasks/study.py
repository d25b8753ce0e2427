"""Compare cells on a memory problem: equal parameters, equal steps, the same learning rates tried for each.

    recipes/memory_tasks/study.py --out runs/memory --task adding
    recipes/memory_tasks/study.py --out runs/memory --task copy --cells lstm lstm@chrono=200

Every cell is trained once with each learning rate; validation chooses, and the test split is read for the chosen run
alone. Stop with Ctrl-C and go on with the same command: finished runs are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, recipes
from seqaudio.evaluation.results import publish
from seqaudio.evaluation.trials import choose, table

CELLS = (
    "elman",
    "elman_relu@identity",
    "lstm",
    "lstm@chrono={length}",
    "gru",
    "gru@chrono={length}",
    "peephole_lstm@chrono={length}",
    "layer_norm_lstm@chrono={length}",
    "min_gru@chrono={length}",
    "min_lstm@chrono={length}",
)

trials = load(recipes("trials.py")["memory_tasks"])


@dataclass(frozen=True)
class Config:
    """Options of the study."""

    out: Path  # folder of the runs, one a trial; the same one goes on with a study
    task: Literal["adding", "copy"] = "adding"
    length: int | None = None  # steps to remember over; 600 for adding, 200 for copy where none is given
    cells: tuple[str, ...] = ()  # CELL or CELL@INITIALISATION; the ten of the study where none is named
    learning_rates: tuple[float, ...] = (1e-2, 2e-2)  # the trials of each cell
    parameters: int = 5_000  # trainable numbers of every model, within 2 %
    steps: int = 1_500  # updates of every trial
    check_every: int = 250  # updates between two looks at validation
    batch_size: int = 20  # sequences
    clip_norm: float = 1.0  # largest norm of the gradient
    seed: int = 1
    device: str = "auto"
    publish: Path | None = None  # folder that takes a copy of the results of each chosen run: docs/results


def main(config: Config) -> None:
    """Run all trials that are missing, read the test split of the chosen ones, print the table."""
    task = trials.task_of(config)
    cells = [cell.format(length=task.length) for cell in config.cells or CELLS]
    plans = {cell: [trials.options_of(config, cell, rate) for rate in config.learning_rates] for cell in cells}
    for options in plans.values():
        trials.check_budget(options[0])
    rows: dict[str, dict[str, Any] | None] = {}
    for cell, plan in plans.items():
        tried = [trials.run_trial(options) for options in plan]
        chosen = choose(tried, task.metric)
        name = trials.row_name(config, cell)
        rows[name] = None if chosen is None else trials.read_test(chosen, tried, task.metric)
        if chosen is not None and config.publish is not None:
            publish(chosen.options.run, name, config.publish)
    print(table(rows, task.metric))


if __name__ == "__main__":
    run(Config, main)
