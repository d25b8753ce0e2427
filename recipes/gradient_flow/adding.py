"""The adding problem at growing length: up to where does each cell still learn it?

The trainings are those of `recipes/memory_tasks/trials.py`: equal parameters, equal steps, the same learning rates for
each cell; validation chooses, and the test split is read for the chosen run alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seqaudio.batching import AddingProblem, held_out
from seqaudio.cli.scripts import load, recipes
from seqaudio.evaluation.results import machine
from seqaudio.evaluation.trials import choose

CELLS = ("elman", "elman_relu@identity", "lstm", "lstm@chrono={length}", "gru", "min_gru@chrono={length}")
SOLVED = 0.1  # share of the constant guess's error that a cell has to come under
PATIENCE = 2  # lengths in a row that a cell may fail before longer ones are left out

memory_study, trials = (load(recipes(file)["memory_tasks"]) for file in ("study.py", "trials.py"))


@dataclass(frozen=True)
class AddingStudy:
    """Settings of the trainings."""

    lengths: tuple[int, ...]  # T, ascending
    cells: tuple[str, ...]  # CELL or CELL@INITIALISATION, in which {length} stands for T
    learning_rates: tuple[float, ...] = (3e-3, 1e-2)
    parameters: int = 5_000  # of every model, within 2 %
    steps: int = 1_500  # updates of every trial
    seed: int = 1


def run_adding(study: AddingStudy, folder: Path) -> dict[str, Any]:
    """Train whatever is missing in a folder of runs.

    Returns lengths, steps and so on; `guess`: {length: error of the constant guess on test}; `cells`: {cell: {length:
    row}}, a row with test and validation error, parameters, seconds of all trials and the chosen learning rate, or None
    where no trial ended with finite gradients. A cell lacks the lengths behind PATIENCE failures in a row.
    """
    options = {cell: _options(study, cell, folder) for cell in study.cells}
    for of_cell in options.values():
        for config, cell in of_cell.values():
            trials.check_budget(trials.options_of(config, cell, study.learning_rates[0]))
    guess = {length: _guess(length) for length in study.lengths}
    rows: dict[str, dict[int, dict[str, Any] | None]] = {cell: {} for cell in study.cells}
    for length in study.lengths:
        for cell in study.cells:
            if not gave_up(rows[cell], guess):
                rows[cell][length] = _row(study, *options[cell][length])
    return {
        "lengths": list(study.lengths),
        "learning_rates": list(study.learning_rates),
        "parameters": study.parameters,
        "steps": study.steps,
        "solved": SOLVED,
        "seed": study.seed,
        "guess": {str(length): error for length, error in guess.items()},
        "cells": {cell: {str(length): row for length, row in of_cell.items()} for cell, of_cell in rows.items()},
        "wall_seconds": round(sum(row["wall_seconds"] for of_cell in rows.values() for row in of_cell.values() if row)),
        "machine": machine(),
        "torch": version("torch"),
    }


def gave_up(rows: dict[int, dict[str, Any] | None], guess: dict[int, float]) -> bool:
    """Whether the last PATIENCE lengths, in ascending order, were all failed."""
    last = sorted(rows)[-PATIENCE:]
    return len(last) == PATIENCE and not any(solved(rows[length], guess[length]) for length in last)


def solved(row: dict[str, Any] | None, guess: float) -> bool:
    """Whether a row's error on test lies under SOLVED of the constant guess."""
    return row is not None and row["test"] < SOLVED * guess


def longest_solved(result: dict[str, Any], cell: str) -> int | None:
    """The greatest length up to which a cell solved every one; None where it failed the shortest."""
    longest = None
    for length in result["lengths"]:
        if not solved(result["cells"][cell].get(str(length)), result["guess"][str(length)]):
            break
        longest = length
    return longest


def table(result: dict[str, Any]) -> str:
    """Test errors as a Markdown table, a row a cell; solved ones are bold, `-` was not tried."""
    lengths = [str(length) for length in result["lengths"]]
    head = ["cell", *(f"T = {length}" for length in lengths), "learns up to"]
    lines = [
        head,
        ["---"] * len(head),
        ["constant guess", *(f"{result['guess'][length]:.4f}" for length in lengths), ""],
    ]
    for cell, rows in result["cells"].items():
        longest = longest_solved(result, cell)
        values = [_value(rows, length, result["guess"][length]) for length in lengths]
        end = "under " + lengths[0] if longest is None else str(longest)
        lines.append([f"`{cell}`", *values, end + " or more" * (longest == result["lengths"][-1])])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def names(result: dict[str, Any]) -> dict[str, str]:
    """Names of the cells in a figure: their specification, with the length as T."""
    return {cell: cell.replace("{length}", "T").replace("@", ", ") for cell in result["cells"]}


def _value(rows: dict[str, dict[str, Any] | None], length: str, guess: float) -> str:
    if length not in rows:
        return "-"
    row = rows[length]
    if row is None:
        return "broke off"
    return f"**{row['test']:.4f}**" if solved(row, guess) else f"{row['test']:.4f}"


def _options(study: AddingStudy, cell: str, folder: Path) -> dict[int, tuple[Any, str]]:
    """By length: the options of the memory study, and the cell with its initialisation for that length."""
    return {
        length: (
            memory_study.Config(
                out=folder,
                task="adding",
                length=length,
                learning_rates=study.learning_rates,
                parameters=study.parameters,
                steps=study.steps,
                check_every=math.gcd(250, study.steps),
                seed=study.seed,
            ),
            cell.format(length=length),
        )
        for length in study.lengths
    }


def _row(study: AddingStudy, config: Any, cell: str) -> dict[str, Any] | None:
    tried = [trials.run_trial(trials.options_of(config, cell, rate)) for rate in study.learning_rates]
    chosen = choose(tried, AddingProblem.metric)
    if chosen is None:
        return None
    data = trials.read_test(chosen, tried, AddingProblem.metric)
    return {
        "test": data["test"]["mse"],
        "valid": data["valid"]["mse"],
        "parameters": data["parameters"],
        "learning_rate": chosen.options.learning_rate,
        "wall_seconds": data["tuning"]["wall_seconds"],
    }


def _guess(length: int) -> float:
    task = AddingProblem(length)
    return task.constant_guess(held_out(task, "test"))["mse"]
