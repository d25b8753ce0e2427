"""Continue a series beyond its end with a trained forecaster: values in its units, at times that continue its own.

Example: seqaudio forecast runs/glass --steps 24 --csv next.csv --png next.png

The forecast begins after the end of the whole series, so its test part is read too. `--until valid` forecasts from the
end of validation instead, so that the test part shows what came.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from seqaudio.cli.outputs import PICTURES, check_output, written


@dataclass(frozen=True)
class Config:
    """The run, how far to forecast, and where to write."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe forecasting
    steps: int | None = None  # to forecast, by default the horizon of the run; beyond it forecasts are fed back
    csv: Path | None = None  # table to write; without --csv and --png the table is printed
    png: Path | None = None  # picture to write; .pdf and .svg work too
    intervals: bool = False  # add the bounds of the 80 % and 95 % prediction intervals to the table
    until: Literal["train", "valid", "test"] = "test"  # forecast from the end of this part of the series
    series: str | None = None  # which one, in a store of several
    store: Path | None = None  # the store of the training, if it was moved
    force: bool = False  # replace existing files


def main(config: Config) -> None:
    """Forecast, write the table and the picture."""
    if config.csv is not None:
        check_output("--csv", config.csv, ".csv", config.force)
    if config.png is not None:
        check_output("--png", config.png, PICTURES, config.force)

    from seqaudio.evaluation.finishing import open_run
    from seqaudio.evaluation.forecasts.beyond import continue_series
    from seqaudio.files import write_bytes
    from seqaudio.models import ForecastModel

    folder, store = open_run(config.run, "forecasting", "series", config.store, exact=True)
    model = folder.model()
    assert isinstance(model, ForecastModel)
    steps = folder.settings["horizon"] if config.steps is None else config.steps
    found = continue_series(model, store, folder.settings["window"], steps, config.until, config.series)
    text = io.StringIO()
    delimiter = store.settings["series"].get("delimiter", ",")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(found.table(config.intervals))
    if config.csv is not None:
        with written(config.csv):
            write_bytes(config.csv, text.getvalue().encode())
        print(f"{config.csv}: {steps:,} steps of {', '.join(found.names)}")
    if config.png is not None:
        with written(config.png):
            end = "its end" if config.until == "test" else f"the end of {config.until}"
            found.draw(config.png, f"{config.run.name}: {steps:,} steps beyond {end}")
        print(f"{config.png}: the end of the series and its forecast")
    if config.csv is None and config.png is None:
        print(text.getvalue(), end="")
