"""How long should the window be? Error, weights and examples needed against its length, beside a recurrent net.

    recipes/forecasting/window_study.py --out runs/windows
    recipes/forecasting/window_study.py --out runs/windows --language tr     (draws the finished study again)

The series is an echo: what is asked depends on one value `--delay` steps back, and on nothing else. Feed-forward nets
see windows of many lengths; a recurrent net has none, it carries its state. Each is trained on more and more of the
training split, with the same number of updates, until its error on validation is low; that many examples it needs. All
of them are trained on the whole split as well, and read the test split once. Stop with Ctrl-C and go on with the same
command: finished runs are kept. Writes window_study.json and window_study.png (of a language: window_study_tr.png).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.batching import SeriesWindows, channels_of, series_of, statistics_of
from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.results import command_line, machine, read_results
from seqaudio.files import write_json
from seqaudio.run_folder import RunFolder, run_settings
from seqaudio.store import Store

WINDOWS = (0.2, 0.5, 0.8, 0.98, 1.0, 1.2, 1.6, 2.4, 4.0, 6.0)  # of the delay
SHARES = (64, 32, 16, 8, 4, 2, 1)
LANE = 1_500  # steps of a lane of the recurrent net, at least
LANES = 16  # at most
CHECKS = 10  # looks at validation of each training, at most

prepare = load(preparations()["series"])
train, evaluate, figure = (
    load(recipes(file)["forecasting"]) for file in ("train.py", "evaluate.py", "window_figure.py")
)


@dataclass(frozen=True)
class Config:
    """Options of the study."""

    out: Path  # folder of the store, the runs, the table and the figure; the same one goes on with a study
    delay: int = 50  # steps from a sound to its echo
    length: int = 120_000  # steps of the series: 70 % train, 10 % validate, 20 % are the test
    noise: float = 0.1  # standard deviation of what is added to an echo; the sound has 0.58
    windows: tuple[int, ...] = ()  # steps; ten from a fifth of the delay to six times the delay where none are named
    shares: tuple[int, ...] = SHARES  # the training split is divided by these, from the most to 1
    low: float = 0.2  # an error that counts as low: a share of that of the best constant
    hidden_size: int = 32  # units of the feed-forward nets
    cell: str = "gru"  # of the recurrent net
    units: int = 16  # of the recurrent net
    updates: int = 600  # of the optimiser, for every net, or the next number that fits
    seed: int = 1
    language: Literal["en", "tr"] = "en"  # of the figures


def main(config: Config) -> None:
    """Run all trainings that are missing, write the table and the figures, print the table."""
    windows = config.windows or tuple(round(share * config.delay) for share in WINDOWS)
    if min(windows) < 1 or not 0 < config.low < 1:
        raise OptionError(f"windows {windows} and --low {config.low}, expected at least 1 step, and a share under 1")
    if config.shares != tuple(sorted(config.shares, reverse=True)) or config.shares[-1:] != (1,):
        raise OptionError(f"--shares {' '.join(map(str, config.shares))}, expected falling numbers down to 1: 16 4 1")
    store = prepared(config)
    rows = [measured(config, store, window) for window in windows]
    recurrent = measured(config, store, 0)
    study = {
        "delay": config.delay,
        "low": config.low,
        "noise": noise_share(config, store),
        "windows": rows,
        "recurrent": recurrent,
        "updates": config.updates,
        "seed": config.seed,
        "command": command_line(),
        "machine": machine(),
    }
    write_json(config.out / "window_study.json", study)
    suffix = "" if config.language == "en" else f"_{config.language}"
    figure.draw_window_study(study, config.out / f"window_study{suffix}.png", config.language)
    figure.draw_window_net(config.out / f"window_net{suffix}.png", config.language)
    print(table(rows, recurrent))
    print(f"{config.out / f'window_study{suffix}.png'}")


def prepared(config: Config) -> Store:
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


def measured(config: Config, store: Store, window: int) -> dict[str, Any]:
    """What a net with this window (0: the recurrent one) reaches on the whole split, and the examples that it needs."""
    steps = store.counts["train"].steps
    needed = None
    for share in config.shares[:-1]:
        examples = examples_in(store, steps // share)
        if needed is None and examples > 1:
            part = finished(options_of(config, steps // share, window))
            needed = examples if relative(part, "valid") <= config.low else None
    whole = options_of(config, steps, window)
    data = finished(whole)
    if data["test"] is None:
        evaluate.main(evaluate.Config(run=whole.run, split="test", figures=False))
        data = read_results(whole.run)
    all_examples = examples_in(store, steps)
    if needed is None and relative(data, "valid") <= config.low:
        needed = all_examples
    return {
        "window": window,
        "error": relative(data, "test"),
        "parameters": data["parameters"],
        "examples": needed,
        "all_examples": all_examples,
        "seconds": data["wall_seconds"],
    }


def noise_share(config: Config, store: Store) -> float:
    """The error that noise alone leaves, as a share of the variance of what is asked."""
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


def options_of(config: Config, limit: int, window: int) -> Any:
    """The options of train.py for one training."""
    shared = {
        "store": config.out / "store",
        "run": config.out / "runs" / f"{'recurrent' if not window else f'window_{window}'}_{limit}",
        "window": window,
        "horizon": 1,
        "limit": limit,
        "seed": config.seed,
        "figures": False,
        "device": "cpu",
        "learning_rate": 1e-2 if not window else 3e-3,
    }
    if window:
        origins = len(SeriesWindows(series_of(Store(config.out / "store"), "train", limit), window, 1, 1))
        batch = min(32, origins)
        lasts = lasting(config, math.ceil(origins / batch))
        return train.Config(model="window_mlp", hidden_size=config.hidden_size, batch_size=batch, **lasts, **shared)
    lanes, advance = max(1, min(LANES, limit // LANE)), 2 * config.delay
    return train.Config(
        model="recurrent", cell=config.cell, hidden_size=config.units, initialisation=f"chrono={config.delay}",
        bptt="truncated", advance=advance, batch_size=lanes,
        **lasting(config, math.ceil(math.ceil(limit / lanes) / advance)), **shared,
    )  # fmt: skip


def lasting(config: Config, updates: int) -> dict[str, int]:
    """How often validation is looked at, and passes between, for equal updates in all; `updates`: of one pass."""
    passes = math.ceil(config.updates / CHECKS / updates)
    return {"epochs": math.ceil(config.updates / passes / updates), "passes": passes}


def finished(options: Any) -> dict[str, Any]:
    """Train, or go on with it, or read what it reached. Raises RunError for a run that was made with other options."""
    if options.run.exists():
        made_with = RunFolder(options.run).settings
        wanted = run_settings(options)
        differing = [name for name, value in wanted.items() if made_with.get(name) != value and name != "store"]
        if differing:
            raise RunError(f"{options.run} was made with another {', '.join(differing)}; choose another --out")
    if not (options.run / "results.json").is_file():
        train.main(train.Config(**{**vars(options), "resume": options.run.exists()}))
    return read_results(options.run)


def table(rows: list[dict[str, Any]], recurrent: dict[str, Any]) -> str:
    """The study as lines of equal columns."""
    lines = [f"{'window':>10}{'error':>8}{'weights':>9}{'examples needed':>17}{'seconds':>9}"]
    for row in [*rows, recurrent]:
        needed = f"{row['examples']:,}" if row["examples"] is not None else f"over {row['all_examples']:,}"
        name = row["window"] or "recurrent"
        lines.append(f"{name:>10}{row['error']:>8.3f}{row['parameters']:>9,}{needed:>17}{row['seconds']:>9.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(Config, main)
