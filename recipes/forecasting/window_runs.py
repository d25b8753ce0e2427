"""The trainings of the window study: their options, and what each reaches and needs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from seqaudio.batching import SeriesWindows, channels_of, series_of, statistics_of
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import RunError
from seqaudio.evaluation.finishing import begun_run
from seqaudio.evaluation.results import read_results
from seqaudio.store import Store

LANE = 1_500  # steps of a lane of the recurrent net, at least
LANES = 16  # at most
CHECKS = 10  # looks at validation of each training, at most

prepare = load(preparations()["series"])
train, evaluate = (load(recipes(file)["forecasting"]) for file in ("train.py", "evaluate.py"))


def prepared(config: Any) -> Store:
    """The store of the study, made where it is missing. Raises RunError where the folder is that of another study."""
    path = config.out / "store"
    rule = {"length": config.length, "delay": config.delay, "noise": config.noise, "seed": config.seed}
    if not path.exists():
        prepare.main(prepare.Config(out=path, series="echo", percent=(70.0, 10.0, 20.0), **rule))
    store = Store(path)
    made_by = {name: store.settings["series"]["rule"][name] for name in rule}
    if made_by != rule:
        raise RunError(f"{path} was made with {made_by}, now it is {rule}; choose another --out")
    return store


def measured(config: Any, store: Store, window: int, begun: str | None = None) -> dict[str, Any]:
    """Test error of a net trained on the whole split, and the fewest examples from which it learned; None where all of
    them do not suffice, for then it was luck with fewer.

    window: 0 for a recurrent net. begun: its --initialisation; None for that of the cell.
    """
    steps = store.counts["train"].steps
    needed = None
    for share in config.shares[:-1]:
        examples = examples_in(store, steps // share)
        if needed is None and examples > 1:
            part = trained(options_of(config, store, steps // share, window, begun))
            needed = examples if relative(part, "valid") <= config.low else None
    whole = options_of(config, store, steps, window, begun)
    data = trained(whole)
    if data["test"] is None:
        evaluate.main(evaluate.Config(run=whole.run, split="test", figures=False))
        data = read_results(whole.run)
    all_examples = examples_in(store, steps)
    learned = relative(data, "valid") <= config.low
    return {
        "window": window,
        "initialisation": begun,
        "error": relative(data, "test"),
        "parameters": data["parameters"],
        "examples": (needed or all_examples) if learned else None,
        "all_examples": all_examples,
        "seconds": data["wall_seconds"],
    }


def noise_share(config: Any, store: Store) -> float:
    """The error that noise alone leaves, as a share of the variance of the targets."""
    _, std = statistics_of(store)
    share: float = (config.noise / std[channels_of(store).targets[0]]) ** 2
    return share


def relative(data: dict[str, Any], split: str) -> float:
    """The squared error of a run on a split as a share of that of the training mean."""
    share: float = data[split]["mse"] / data["baselines"]["training mean"][split]["mse"]
    return share


def examples_in(store: Store, limit: int) -> int:
    """Echoes among the first `limit` training steps, whether a window before them is whole or not."""
    return sum(len(one.origins(1, 1)) for one in series_of(store, "train", limit))


def options_of(config: Any, store: Store, limit: int, window: int, begun: str | None) -> Any:
    """The options of train.py for one training: a feed-forward net over a window, a recurrent net where that is 0."""
    name = f"window_{window}" if window else f"recurrent_{begun.partition('=')[0]}" if begun else "recurrent"
    shared = {
        "store": store.path,
        "run": config.out / "runs" / f"{name}_{limit}",
        "window": window,
        "horizon": 1,
        "limit": limit,
        "seed": config.seed,
        "figures": False,
        "device": "cpu",
        "hidden_size": config.hidden_size,
        "initialisation": begun,
    }
    if window:
        origins = len(SeriesWindows(series_of(store, "train", limit), window, 1, 1))
        batch = min(32, origins)
        shared |= {"model": "window_mlp", "batch_size": batch, "learning_rate": 3e-3}
        return train.Config(**shared, **lasting(config, math.ceil(origins / batch)))
    lanes, advance = max(1, min(LANES, limit // LANE)), 2 * config.delay
    shared |= {"model": "recurrent", "cell": config.cell, "batch_size": lanes}
    shared |= {"bptt": "truncated", "advance": advance, "learning_rate": 1e-2}
    return train.Config(**shared, **lasting(config, math.ceil(math.ceil(limit / lanes) / advance)))


def lasting(config: Any, updates: int) -> dict[str, int]:
    """How often validation is looked at, and passes between, for equal updates in all; `updates`: of one pass."""
    passes = math.ceil(config.updates / CHECKS / updates)
    return {"epochs": math.ceil(config.updates / passes / updates), "passes": passes}


def trained(options: Any) -> dict[str, Any]:
    """Train, or go on with it, or read what it reached. Raises RunError for a run that was made with other options."""
    begun = begun_run(options.run, options)
    if not (options.run / "results.json").is_file():
        train.main(replace(options, resume=begun))
    return read_results(options.run)
