"""Study how long a window should be: error, weights and examples needed against its length, beside a recurrent net.

    recipes/forecasting/window_study.py --out runs/windows
    recipes/forecasting/window_study.py --out runs/windows --language tr     (draws the finished study again)

The series is an echo of single marked sounds: the target depends on one value `--delay` steps back, and on nothing
else. Feed-forward nets see windows of many lengths; a recurrent net has none, it carries its state. Two recurrent nets
are trained, of as many units: one whose gates begin with memories of up to `--chrono` steps, one with default biases.
Each net is trained on more and more of the training split, with the same number of updates, until its error on
validation is low; that many examples it needs. All of them are trained on the whole split as well, and read the test
split once. Stop with Ctrl-C and go on with the same command: finished runs are kept. Writes window_study.json and
window_study.png (of a language: window_study_tr.png).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError
from seqaudio.evaluation.results import command_line, machine
from seqaudio.files import write_json

WINDOWS = (0.2, 0.5, 0.8, 0.98, 1.0, 1.2, 1.6, 2.4, 4.0, 6.0)  # of the delay
SHARES = (64, 32, 16, 8, 4, 2, 1)

runs, figure = (load(recipes(file)["forecasting"]) for file in ("window_runs.py", "window_figure.py"))


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
    hidden_size: int = 32  # units of every net
    cell: str = "gru"  # of the recurrent nets
    chrono: float = 300.0  # steps of the longest memory that the gates of the first recurrent net begin with
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
    store = runs.prepared(config)
    rows = [runs.measured(config, store, window) for window in windows]
    long_memory, default = (runs.measured(config, store, 0, begun) for begun in (f"chrono={config.chrono:g}", None))
    study = {
        "delay": config.delay,
        "low": config.low,
        "noise": runs.noise_share(config, store),
        "windows": rows,
        "chrono": config.chrono,
        "recurrent": long_memory,
        "recurrent_default": default,
        "updates": config.updates,
        "seed": config.seed,
        "command": command_line(),
        "machine": machine(),
    }
    write_json(config.out / "window_study.json", study)
    suffix = "" if config.language == "en" else f"_{config.language}"
    figure.draw_window_study(study, config.out / f"window_study{suffix}.png", config.language)
    figure.draw_window_net(config.out / f"window_net{suffix}.png", config.language)
    print(table([*rows, long_memory, default]))
    print(f"{config.out / f'window_study{suffix}.png'}")


def table(rows: list[dict[str, Any]]) -> str:
    """The study as lines of equal columns."""
    lines = [f"{'window':>22}{'error':>8}{'weights':>9}{'examples needed':>17}{'seconds':>9}"]
    for row in rows:
        needed = f"{row['examples']:,}" if row["examples"] is not None else f"over {row['all_examples']:,}"
        name = row["window"] or f"recurrent, {row['initialisation'] or 'default'}"
        lines.append(f"{name:>22}{row['error']:>8.3f}{row['parameters']:>9,}{needed:>17}{row['seconds']:>9.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(Config, main)
